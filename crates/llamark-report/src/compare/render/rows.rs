//! The rows of a table: which are worth one, and the text of their cells. Terminal and Markdown share them.

use llamark_record::comparison::{
    Arm, CaseComparison, ComparedSet, Comparison, Interval, MetricComparison, Verdict,
};

use super::Detail;
use crate::format::{self, NOTHING};

/// Cases that a table shows before it says how many more there are.
pub(super) const MOST_CASES: usize = 200;

/// Column names; the first is the metric.
pub(super) const HEADER: [&str; 6] = ["Metric", "Baseline", "Candidate", "Change", "Interval", "Verdict"];

/// A case and those of its metrics that are shown.
pub(super) struct Shown<'a> {
    pub(super) case: &'a CaseComparison,
    pub(super) metrics: Vec<&'a MetricComparison>,
}

/// The cases that are compared and worth a row, the worst first, and how many are not: their metrics are equivalent,
/// or undecided where that decides nothing.
pub(super) fn shown(comparison: &Comparison, detail: Detail) -> (Vec<Shown<'_>>, usize) {
    let (mut shown, mut folded) = (Vec::new(), 0);
    for case in comparison.cases.iter().filter(|case| !case.metrics.is_empty()) {
        let speaks = case.metrics.iter().any(says_something);
        if !detail.all && !speaks {
            folded += 1;
            continue;
        }
        let wanted = |metric: &&MetricComparison| detail.all || metric.gates || says_something(metric);
        shown.push(Shown { case, metrics: case.metrics.iter().filter(wanted).collect() });
    }
    (shown, folded)
}

fn says_something(metric: &MetricComparison) -> bool {
    match metric.verdict {
        Verdict::Regressed | Verdict::Suspect | Verdict::Improved => true,
        Verdict::NotComparable | Verdict::Missing | Verdict::Inconclusive => metric.gates,
        Verdict::Equivalent => false,
    }
}

/// The reasons in the order of their first use; a row refers to them by number.
#[derive(Default)]
pub(super) struct Footnotes<'a> {
    pub(super) texts: Vec<&'a str>,
}

impl<'a> Footnotes<'a> {
    fn mark(&mut self, reason: &'a str) -> String {
        if reason.is_empty() {
            return String::new();
        }
        let place = self.texts.iter().position(|text| *text == reason).unwrap_or_else(|| {
            self.texts.push(reason);
            self.texts.len() - 1
        });
        format!(" ({})", place + 1)
    }
}

/// The cells of a metric.
pub(super) fn cells<'a>(metric: &'a MetricComparison, notes: &mut Footnotes<'a>) -> [String; 6] {
    let side = |arm: Option<&Arm>| {
        arm.map_or_else(|| NOTHING.to_owned(), |arm| format::of_metric(metric.metric, arm.value))
    };
    let found = metric.decisive();
    [
        metric.metric.name().to_owned(),
        side(found.base),
        side(found.candidate),
        found.change.map_or_else(|| NOTHING.to_owned(), format::change),
        found.interval.map_or_else(|| NOTHING.to_owned(), interval),
        format!("{}{}", verdict(metric), notes.mark(&metric.reason)),
    ]
}

pub(super) fn interval(interval: Interval) -> String {
    format::change_interval(interval.low, interval.high)
}

/// The verdict, and what an undecided one would have taken.
fn verdict(metric: &MetricComparison) -> String {
    if metric.accepted.is_some() {
        return format!("{}, accepted", metric.verdict.word());
    }
    let mut text = metric.verdict.word().to_owned();
    if let Some(evidence) = metric.evidence
        && let Some(detectable) = evidence.detectable
    {
        let starts = evidence.starts_needed.map_or_else(|| ">1000".to_owned(), |starts| starts.to_string());
        text.push_str(&format!("; sees {}, needs {starts} starts", format::percent(detectable)));
    }
    text
}

/// The word for a case without metrics.
pub(super) fn case_word(case: &CaseComparison) -> &'static str {
    if case.broke { "broke" } else { case.verdict.word() }
}

/// A set in one line.
pub(super) fn set_line(set: &ComparedSet) -> String {
    let day = set.started_at.get(..10).unwrap_or_default();
    format!("{}, {day}, llama.cpp {}", set.title(), set.engine)
}

/// What the columns mean, as sentences.
pub(super) fn legend(comparison: &Comparison) -> Vec<String> {
    let gating: Vec<String> = comparison
        .rules
        .metrics
        .iter()
        .filter(|rule| rule.gates)
        .map(|rule| format!("{} (within {})", rule.metric.name(), format::percent(rule.margin)))
        .collect();
    let mut lines = vec![format!(
        "{} decide. Change is candidate over baseline. Intervals are 90 % (equivalence test); for regressed or \
         improved metrics they are wider, to account for selection.",
        gating.join(" and ")
    )];
    let undecided = comparison
        .cases
        .iter()
        .flat_map(|case| &case.metrics)
        .any(|metric| metric.evidence.is_some_and(|evidence| evidence.detectable.is_some()));
    if undecided {
        lines.push(
            "\"sees X, needs N starts\": a change of X would have been found with a power of 80 %; N starts per \
             side would find one as large as the margin."
                .to_owned(),
        );
    }
    lines
}
