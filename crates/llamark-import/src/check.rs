//! Everything against everything: a contradiction within a document is an error, since nobody can say which of the
//! two places is right.

use std::collections::BTreeMap;
use std::ops::Range;

use llamark_record::plan::model_id;
use llamark_record::stated::Decimal;

use crate::cases::{Case, Model};
use crate::problem::{Code, Problem};
use crate::published::{
    At, BackendName, Estimate, ModelName, Numbers, PublishedReport, Run, Section, SummaryRow,
};

/// Room for the arithmetic of floating-point numbers, as a share of the number.
const EPSILON: f64 = 1e-9;

/// Two places that contradict each other.
fn contradiction(
    span: &Range<usize>,
    message: impl Into<String>,
    other: &Range<usize>,
    label: &str,
) -> Problem {
    Problem::new(Code::Contradiction, span.clone(), message).related(other.clone(), label)
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// Contradictions.
    pub(crate) problems: Vec<Problem>,
    /// Last digits that rounding does not explain, and no more: where, and in words.
    pub(crate) remarks: Vec<At<String>>,
}

/// Every contradiction of a report.
pub(crate) fn check(report: &PublishedReport, models: &[Model<'_>]) -> Checked {
    let mut checked = Checked::default();
    let problems = &mut checked.problems;
    if models.is_empty() {
        let message = "the summary has no row, and no model has a section";
        problems.push(Problem::new(Code::Missing, report.summary.span.clone(), message));
    }
    head(report, problems);
    order(report, problems);
    unique(report, problems);
    labels(report, problems);
    for model in models {
        if let (Some(row), Some(section)) = (model.summary, model.section) {
            summary_and_section(report, row, section, problems);
        }
        if let Some(section) = model.section {
            self::section(report, model, section, problems);
        }
        for case in &model.cases {
            runs_and_method(report, case, problems);
        }
    }
    for case in models.iter().flat_map(|model| &model.cases) {
        row_and_runs(report, case, &mut checked);
    }
    checked
}

fn head(report: &PublishedReport, problems: &mut Vec<Problem>) {
    if let Some(context) = &report.load_context
        && context.value != report.method.value.context
    {
        let message = format!(
            "the load is for a context of {}, but the benchmark uses one of {}",
            context.value, report.method.value.context
        );
        problems.push(contradiction(&context.span, message, &report.method.span, "the benchmark"));
    }
    let also = report.summary.also.iter().flat_map(|also| &also.value);
    let known: Vec<_> = report.summary.backends.iter().chain(also).map(|backend| backend.kind).collect();
    for line in &report.settings {
        if !known.contains(&line.backend.value.kind) {
            let message = format!("nothing was measured on `{}`", line.backend.value.label);
            problems.push(contradiction(&line.backend.span, message, &report.summary.span, "the summary"));
        }
    }
}

/// The rows are in the order that the legend claims.
fn order(report: &PublishedReport, problems: &mut Vec<Problem>) {
    let Some(sorted) = &report.summary.sorted_by else { return };
    let Some(column) = report.summary.backends.iter().position(|backend| backend.kind == sorted.value) else {
        let message = "the summary is sorted by a backend that it has no columns for";
        problems.push(contradiction(&sorted.span, message, &report.summary.span, "the summary"));
        return;
    };
    let tg =
        |row: &SummaryRow| row.numbers.get(column).map_or(f64::NAN, |numbers| numbers.tg.value.mean.value());
    for pair in report.summary.rows.windows(2) {
        if let [before, after] = pair
            && tg(after) > tg(before)
        {
            let message =
                format!("the summary is sorted by TG, but {} comes after {}", tg(after), tg(before));
            problems.push(contradiction(&after.span, message, &before.span, "the row before"));
        }
    }
}

/// No model is there twice, also not under two names that would share an id.
fn unique(report: &PublishedReport, problems: &mut Vec<Problem>) {
    let rows: Vec<_> = report.summary.rows.iter().map(|row| (&row.model, &row.span)).collect();
    let sections: Vec<_> =
        report.sections.iter().map(|section| (&section.model.value, &section.model.span)).collect();
    for places in [&rows, &sections] {
        let mut seen: BTreeMap<String, &Range<usize>> = BTreeMap::new();
        for (model, span) in places {
            if let Some(first) = seen.insert(model_id(&model.name, &model.quant), span) {
                let message = format!("`{} {}` appears twice", model.name, model.quant);
                problems.push(
                    Problem::new(Code::Duplicate, (*span).clone(), message)
                        .related(first.clone(), "the first"),
                );
            }
        }
    }
    let whole = |model: &ModelName| (model.name.clone(), model.quant.clone());
    for (row, span) in &rows {
        let twin = sections.iter().find(|(section, _)| {
            whole(row) != whole(section)
                && model_id(&row.name, &row.quant) == model_id(&section.name, &section.quant)
        });
        if let Some((_, other)) = twin {
            problems.push(contradiction(span, "two names differ only in punctuation", other, "the other"));
        }
    }
}

/// A backend has one label in all sections.
fn labels(report: &PublishedReport, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&'static str, &At<BackendName>> = BTreeMap::new();
    let rows = report.sections.iter().flat_map(|section| section.rows.iter().map(|row| &row.backend));
    let groups = report.sections.iter().filter_map(|section| section.runs.as_ref());
    let groups = groups.flat_map(|block| &block.groups).filter_map(|group| group.backend.as_ref());
    for backend in rows.chain(groups) {
        let first = *seen.entry(backend.value.kind.name()).or_insert(backend);
        if first.value.label != backend.value.label {
            let message =
                format!("the backend is `{}` here, but `{}` there", backend.value.label, first.value.label);
            problems.push(contradiction(&backend.span, message, &first.span, "the other"));
        }
    }
}

/// A row of the summary says what the section says, within its rounding.
fn summary_and_section(
    report: &PublishedReport,
    row: &SummaryRow,
    section: &Section,
    problems: &mut Vec<Problem>,
) {
    let heading = &section.model;
    if row.model.dagger != heading.value.dagger {
        problems.push(contradiction(&heading.span, "only one of the two has `‡`", &row.span, "the summary"));
    }
    if row.model.vision != heading.value.vision {
        let message = "only one of the two has `*(vision)*`";
        problems.push(contradiction(&heading.span, message, &row.span, "the summary"));
    }
    let stated = section.facts.as_ref().and_then(|facts| facts.parameters.as_ref());
    if let Some(stated) = stated.filter(|stated| stated.value != row.parameters.value) {
        let message = "the parameters differ from those in the summary";
        problems.push(contradiction(&stated.span, message, &row.parameters.span, "the summary"));
    }
    for (backend, brief) in report.summary.backends.iter().zip(&row.numbers) {
        let detail = section.rows.iter().find(|row| row.backend.value.kind == backend.kind);
        if let Some(detail) = detail {
            same_numbers(brief, &detail.numbers, problems);
        }
    }
}

fn same_numbers(brief: &Numbers, detail: &Numbers, problems: &mut Vec<Problem>) {
    if brief.load.value != detail.load.value {
        let message = "the load time differs from the one in the summary";
        problems.push(contradiction(&detail.load.span, message, &brief.load.span, "the summary"));
    }
    for (name, brief, detail) in [("PP", &brief.pp, &detail.pp), ("TG", &brief.tg, &detail.tg)] {
        let spreads = match (&brief.value.spread, &detail.value.spread) {
            (Some(brief), Some(detail)) => rounds_to(brief, detail),
            (None, None) => true,
            _ => false,
        };
        if !rounds_to(&brief.value.mean, &detail.value.mean) || !spreads {
            let message = format!("{name} differs from the one in the summary by more than rounding");
            problems.push(contradiction(&detail.span, message, &brief.span, "the summary"));
        }
    }
}

/// Whether one number can be rounded to both.
fn rounds_to(a: &Decimal, b: &Decimal) -> bool {
    is_near(a.value(), b.value(), a.half_unit() + b.half_unit())
}

fn is_near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance + EPSILON * a.abs().max(b.abs()).max(1.0)
}

/// The facts, the rows and the groups of runs are those of this model.
fn section(report: &PublishedReport, model: &Model<'_>, section: &Section, problems: &mut Vec<Problem>) {
    let heading = &section.model;
    let quant = section.facts.as_ref().and_then(|facts| facts.quant.as_ref());
    if let Some(quant) = quant.filter(|quant| quant.value != heading.value.quant) {
        let message = format!("the quantization is `{}` here", quant.value);
        problems.push(contradiction(
            &quant.span,
            message,
            &heading.span,
            "the heading ends in a different one",
        ));
    }
    if heading.value.dagger && report.summary.also.is_none() {
        let message = "nothing says what `‡` means";
        let problem = Problem::new(Code::Missing, heading.span.clone(), message);
        problems.push(problem.help("the summary explains it: `‡ = also benchmarked on ROCm and CPU`"));
    }
    let expected = |backend: &BackendName| model.cases.iter().any(|case| case.backend.kind == backend.kind);
    for row in section.rows.iter().filter(|row| !expected(&row.backend.value)) {
        let message = format!("nothing announces a row for `{}`", row.backend.value.label);
        problems.push(contradiction(
            &row.span,
            message,
            &heading.span,
            "without `‡`, or with another legend",
        ));
    }
    let Some(block) = &section.runs else { return };
    for group in &block.groups {
        match &group.backend {
            None if model.cases.len() > 1 => {
                let message = "these runs do not say which backend they belong to";
                let span = group.runs.first().map_or(&block.span, |run| &run.span);
                problems.push(Problem::new(Code::Missing, span.clone(), message));
            }
            Some(backend) if !expected(&backend.value) => {
                let message = format!("nothing announces runs for `{}`", backend.value.label);
                problems.push(contradiction(&backend.span, message, &heading.span, "the model"));
            }
            _ => {}
        }
    }
    // Runs under no heading, and more under one.
    if let [first, second, ..] = block.groups.as_slice()
        && first.backend.is_none()
    {
        let span = second.backend.as_ref().map_or(&block.span, |backend| &backend.span);
        problems.push(Problem::new(Code::Duplicate, span.clone(), "the runs before have no heading"));
    }
}

/// The runs fit the method.
fn runs_and_method(report: &PublishedReport, case: &Case<'_>, problems: &mut Vec<Problem>) {
    let method = &report.method.value;
    for run in case.runs {
        let value = &run.value;
        let needed = u64::from(value.prompt_tokens) + u64::from(value.generated_tokens);
        let message = if value.index == 0 || value.index > method.runs {
            format!("run {} of {} runs", value.index, method.runs)
        } else if value.generated_tokens > method.max_tokens || value.generated_tokens == 0 {
            let (tokens, most) = (value.generated_tokens, method.max_tokens);
            format!("{tokens} tokens were generated, but at most {most} asked for")
        } else if value.prompt_tokens == 0 || needed > u64::from(method.context) {
            format!("{} prompt tokens do not fit into a context of {}", value.prompt_tokens, method.context)
        } else {
            continue;
        };
        problems.push(contradiction(&run.span, message, &report.method.span, "the benchmark"));
    }
}

/// The row of a case follows from its runs, where all of them are there.
fn row_and_runs(report: &PublishedReport, case: &Case<'_>, checked: &mut Checked) {
    type Rate = fn(&Run) -> &Decimal;
    let is_complete = u32::try_from(case.runs.len()).is_ok_and(|runs| runs == report.method.value.runs);
    let Some(row) = case.row.filter(|_| is_complete) else { return };
    let rates: [(&str, _, Rate); 2] =
        [("PP", &row.numbers.pp, |run| &run.pp), ("TG", &row.numbers.tg, |run| &run.tg)];
    for (name, stated, rate) in rates {
        let runs: Vec<&Decimal> = case.runs.iter().map(|run| rate(&run.value)).collect();
        for (what, stated_value, expected) in expectations(&stated.value, &runs) {
            let message =
                format!("the {what} of {name} is {stated_value} here, and {:.3} by the runs", expected.value);
            match expected.compare(stated_value) {
                Agreement::Rounding => {}
                Agreement::LastDigit => {
                    checked.remarks.push(At { value: message, span: stated.span.clone() });
                }
                Agreement::None => {
                    let mut problem = Problem::new(Code::Contradiction, stated.span.clone(), message);
                    for run in case.runs {
                        problem = problem.related(run.span.clone(), "");
                    }
                    checked.problems.push(problem.help(
                        "expected the mean and the standard deviation (n - 1) of the runs as they are listed",
                    ));
                }
            }
        }
    }
}

/// A number that follows from the runs, and how far their own rounding may have moved it.
struct Expected {
    value: f64,
    moved: f64,
}

/// How well a stated number follows from the runs.
enum Agreement {
    /// Rounding of both explains the difference: the author computed it from numbers with more digits.
    Rounding,
    /// The last digit is off by one, and rounding does not explain it.
    LastDigit,
    /// It is another number.
    None,
}

impl Expected {
    fn compare(&self, stated: &Decimal) -> Agreement {
        if is_near(self.value, stated.value(), self.moved + stated.half_unit()) {
            Agreement::Rounding
        } else if is_near(self.value, stated.value(), self.moved + 2.0 * stated.half_unit()) {
            Agreement::LastDigit
        } else {
            Agreement::None
        }
    }
}

/// The mean and the spread as they are stated, each with what the runs give.
fn expectations<'a>(stated: &'a Estimate, runs: &[&Decimal]) -> Vec<(&'static str, &'a Decimal, Expected)> {
    let n = f64::from(u32::try_from(runs.len()).unwrap_or(u32::MAX));
    let half_units = || runs.iter().map(|run| run.half_unit());
    let mean = runs.iter().map(|run| run.value()).sum::<f64>() / n;
    let mut all =
        vec![("mean", &stated.mean, Expected { value: mean, moved: half_units().sum::<f64>() / n })];
    if let Some(spread) = &stated.spread {
        // The deviation is a norm of the centred runs, so it moves by no more than that of their errors. Of one run
        // there is none.
        let degrees = (n - 1.0).max(1.0);
        let norm = |squares: f64| (squares / degrees).sqrt();
        let value = norm(runs.iter().map(|run| (run.value() - mean).powi(2)).sum());
        let moved = if n > 1.0 { norm(half_units().map(|half| half.powi(2)).sum()) } else { 0.0 };
        all.push(("spread", spread, Expected { value, moved }));
    }
    all
}
