//! A comparison on a terminal and as Markdown, the worst first.

use llamark_record::environment::FieldClass;
use llamark_record::metric::Metric;

use crate::compare::{CaseComparison, ComparedSet, Comparison, Conclusion};
use crate::differences::Difference;
use crate::escape;
use crate::format::{self, NOTHING};
use crate::summary::Replication;
use crate::terminal::{align_right, new_table, wrapped};
use crate::verdict::{MetricComparison, Verdict};

/// Differences of a class that are listed; the others are in the JSON.
const LISTED: usize = 20;
/// Characters of a value that are shown.
const SHOWN: usize = 60;

impl Comparison {
    /// For a terminal of `width` columns (never wider than 100). Ends with a newline; has no colour.
    pub fn terminal(&self, width: u16) -> String {
        let width = width.clamp(60, 100);
        let mut out = wrapped(&self.headline(), "", width);
        out.push_str(&wrapped(&format!("base       {}", set_line(&self.base)), "  ", width));
        out.push_str(&wrapped(&format!("candidate  {}", set_line(&self.candidate)), "  ", width));
        out.push('\n');
        out.push_str(&self.table(width));
        for case in self.cases.iter().filter(|case| case.metrics.is_empty()) {
            let text = format!("{}  {}: {}", case_word(case), case.id, case.reason);
            out.push_str(&wrapped(&text, "  ", width));
        }
        for note in self.notes() {
            out.push_str(&wrapped(&note, "", width));
        }
        for (title, differences) in self.by_class() {
            out.push_str(&format!("\n{title}:\n"));
            for difference in differences.iter().take(LISTED) {
                let (base, candidate) = sides(difference);
                out.push_str(&wrapped(&format!("{}: {base} -> {candidate}", difference.field), "  ", width));
            }
            if differences.len() > LISTED {
                out.push_str(&format!(
                    "  ... and {} more (`--format json` has all)\n",
                    differences.len() - LISTED
                ));
            }
        }
        out
    }

    /// The metrics, each case under its id.
    fn table(&self, width: u16) -> String {
        let rows = self.rows();
        if rows.is_empty() {
            return String::new();
        }
        let mut table = new_table(width);
        table.set_header(HEADER.map(|name| if name == "Metric" { "" } else { name }));
        for (_, metric) in &rows {
            table.add_row(row(metric));
        }
        align_right(&mut table, 1..5);
        let text = table.trim_fmt();
        // Narrow cells, so that each row is one line; the first is the header.
        let mut lines = text.lines();
        let mut out = format!("{}\n", lines.next().unwrap_or_default());
        let mut before = "";
        for ((case, _), line) in rows.iter().zip(lines) {
            if case.id != before {
                out.push_str(&wrapped(&case.id, "", width));
                before = &case.id;
            }
            out.push_str(&format!(" {line}\n"));
        }
        out.push('\n');
        out
    }

    /// As Markdown, for a pull request or a page.
    pub fn markdown(&self) -> String {
        let mut out = format!("## {}\n\n", escape::markdown(&self.headline()));
        out.push_str("| | Set | Date | llama.cpp |\n|---|---|---|---|\n");
        for (name, set) in [("Base", &self.base), ("Candidate", &self.candidate)] {
            let id = escape::markdown(&format!("{}/{}", set.name, set.id));
            let (date, engine) = (escape::markdown(&set.date), escape::markdown(&set.engine));
            out.push_str(&format!("| {name} | {id} | {date} | {engine} |\n"));
        }
        let rows = self.rows();
        if !rows.is_empty() {
            out.push_str(&format!("\n| Case | {} |\n|---|---|--:|--:|--:|--:|---|\n", HEADER.join(" | ")));
        }
        for (case, metric) in rows {
            let cells = row(metric).map(|text| escape::markdown(&text));
            out.push_str(&format!("| {} | {} |\n", escape::markdown(&case.id), cells.join(" | ")));
        }
        let mut without: Vec<&CaseComparison> = self.cases.iter().collect();
        without.retain(|case| case.metrics.is_empty());
        if !without.is_empty() {
            out.push('\n');
        }
        for case in without {
            let (id, reason) = (escape::markdown(&case.id), escape::markdown(&case.reason));
            out.push_str(&format!("- **{}** {id}: {reason}\n", case_word(case)));
        }
        for note in self.notes() {
            out.push_str(&format!("\n{}\n", escape::markdown(&note)));
        }
        for (title, differences) in self.by_class() {
            out.push_str(&format!("\n### {title}\n\n| Field | Base | Candidate |\n|---|---|---|\n"));
            for difference in differences.iter().take(LISTED) {
                let (base, candidate) = sides(difference);
                let cells = [difference.field.as_str(), &base, &candidate].map(escape::markdown);
                out.push_str(&format!("| {} |\n", cells.join(" | ")));
            }
            if differences.len() > LISTED {
                out.push_str(&format!("\n... and {} more.\n", differences.len() - LISTED));
            }
        }
        out
    }

    fn headline(&self) -> String {
        let gating = self.cases.iter().flat_map(|case| &case.metrics).filter(|metric| metric.gates);
        let (mut of, mut worse, mut open) = (0, 0, 0);
        for metric in gating {
            of += 1;
            worse += u32::from(metric.verdict == Verdict::Regressed);
            open += u32::from(metric.verdict == Verdict::Inconclusive);
        }
        let broke = self.cases.iter().filter(|case| case.broke).count();
        let margin = format::percent(self.margin);
        match self.conclusion {
            Conclusion::Regression => {
                let broke =
                    if broke > 0 { format!("; {broke} cases do not work any more") } else { String::new() };
                format!(
                    "Regression: {worse} of {of} gating comparisons are worse by more than {margin}{broke}"
                )
            }
            Conclusion::NotComparable => "Not comparable: these are not the same measurements".to_owned(),
            Conclusion::Inconclusive if open == 0 => "Inconclusive: the candidate lacks results".to_owned(),
            Conclusion::Inconclusive => {
                format!(
                    "Inconclusive: {open} of {of} gating comparisons cannot be decided at a margin of {margin}"
                )
            }
            Conclusion::NoRegression => {
                format!(
                    "No regression: all {of} gating comparisons are equivalent within {margin}, or improved"
                )
            }
        }
    }

    /// The rows of the table: the worst first, metrics of a case together.
    fn rows(&self) -> Vec<(&CaseComparison, &MetricComparison)> {
        let cases = self.cases.iter().filter(|case| !case.metrics.is_empty());
        cases
            .flat_map(|case| {
                let mut metrics: Vec<_> = case.metrics.iter().map(|metric| (case, metric)).collect();
                metrics.sort_by_key(|(_, metric)| (!metric.gates, metric.verdict, metric.metric.name()));
                metrics
            })
            .collect()
    }

    fn notes(&self) -> Vec<String> {
        let metrics = || self.cases.iter().flat_map(|case| &case.metrics);
        if metrics().next().is_none() {
            return Vec::new();
        }
        let mut notes = vec![format!(
            "Change is candidate over base. pp and tg decide the verdict of a case; a difference up to {} is of no \
             interest. The sets were not interleaved, so drift between them is not controlled.",
            format::percent(self.margin)
        )];
        let is_one_start = |metric: &MetricComparison| {
            metric.interval.as_ref().is_some_and(|interval| interval.over == Replication::RunsOfOneStart)
        };
        if metrics().any(is_one_start) {
            notes.push(
                "(1) runs of one start: between-start noise unknown, so the interval is too narrow; measure with \
                 `starts: 3` or more."
                    .to_owned(),
            );
        }
        notes
    }

    fn by_class(&self) -> Vec<(&'static str, Vec<&Difference>)> {
        let classes = [
            (FieldClass::Identity, "What makes it another measurement"),
            (FieldClass::Treatment, "What differs, and may be the cause"),
            (FieldClass::Nuisance, "What differs, and should not matter"),
        ];
        classes
            .into_iter()
            .map(|(class, title)| {
                (title, self.differences.iter().filter(|d| d.class == class).collect::<Vec<_>>())
            })
            .filter(|(_, differences)| !differences.is_empty())
            .collect()
    }
}

const HEADER: [&str; 6] = ["Metric", "Base", "Candidate", "Change", "95 % interval", "Verdict"];

/// The cells of a metric, after the case.
fn row(metric: &MetricComparison) -> [String; 6] {
    let interval = metric.interval.as_ref().map_or_else(
        || NOTHING.to_owned(),
        |interval| format::change_interval(interval.low - 1.0, interval.high - 1.0),
    );
    let is_one_start =
        metric.interval.as_ref().is_some_and(|interval| interval.over == Replication::RunsOfOneStart);
    let mark = if is_one_start { " (1)" } else { "" };
    [
        metric.metric.name().to_owned(),
        value(metric.metric, metric.base.value),
        value(metric.metric, metric.candidate.value),
        format::change(metric.ratio - 1.0),
        interval,
        format!("{}{mark}", metric.verdict.word()),
    ]
}

fn value(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Pp | Metric::Tg => format::significant(value, 4),
        Metric::Ttft | Metric::Load => format::duration_ms(value),
        Metric::Rss | Metric::Vram | Metric::Gtt => format::bytes(format!("{value:.0}").parse().unwrap_or(0)),
        Metric::EnergyPrefill | Metric::EnergyDecode => format!("{} J/token", format::significant(value, 3)),
    }
}

fn case_word(case: &CaseComparison) -> &'static str {
    if case.broke { "broke" } else { case.verdict.word() }
}

fn set_line(set: &ComparedSet) -> String {
    format!("{}/{}  {}  llama.cpp {}", set.name, set.id, set.date, set.engine)
}

fn sides(difference: &Difference) -> (String, String) {
    let shown = |value: &Option<String>| match value {
        Some(value) if value.chars().count() > SHOWN => {
            value.chars().take(SHOWN - 3).collect::<String>() + "..."
        }
        Some(value) if value.is_empty() => "(empty)".to_owned(),
        Some(value) => value.clone(),
        None => "(none)".to_owned(),
    };
    (shown(&difference.base), shown(&difference.candidate))
}
