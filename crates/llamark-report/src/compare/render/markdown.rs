//! A comparison as Markdown, for a comment on a pull request: verdict, table, and the rest folded.

use llamark_record::comparison::{CaseComparison, Comparison, Difference};

use super::rows::{Footnotes, HEADER, MOST_CASES, Shown, case_word, cells, legend, shown};
use super::tally::headline;
use super::why::{LISTED, by_class, engine_range, sides};
use super::{Detail, explain, together};
use crate::escape;
use crate::format::percent;

/// As Markdown, as GitHub reads it.
pub fn markdown(comparison: &Comparison, detail: Detail) -> String {
    let mut out = format!("## {}\n", escape::markdown(&headline(comparison)));
    let (rows, folded) = shown(comparison, detail);
    let mut notes = Footnotes::default();
    out.push_str(&table(&rows, &mut notes));
    for sentence in together::sentences(comparison) {
        out.push_str(&format!("\n{}.\n", escape::markdown(&sentence)));
    }
    out.push_str(&without_metrics(&comparison.cases));
    out.push_str(&accepted(comparison));
    out.push_str(&causes(comparison));
    for caveat in &comparison.caveats {
        out.push_str(&format!("\n> {}\n", escape::markdown(&caveat.text)));
    }
    if folded > 0 {
        let all = shown(comparison, Detail { all: true, ..detail }).0;
        let spoken: Vec<&str> = rows.iter().map(|row| row.case.id.as_str()).collect();
        let rest: Vec<Shown<'_>> =
            all.into_iter().filter(|row| !spoken.contains(&row.case.id.as_str())).collect();
        let mut own = Footnotes::default();
        let title = format!("{folded} cases in which every gating metric is equivalent");
        let mut body = table(&rest, &mut own);
        body.push_str(&footnotes(&own));
        out.push_str(&details(&title, &body));
    }
    if detail.explain && !rows.is_empty() {
        out.push_str(&details("How it was decided", &explained(comparison, &rows)));
    }
    for (title, differences) in by_class(comparison) {
        out.push_str(&details(&format!("{title} ({})", differences.len()), &differing(&differences)));
    }
    let mut method = footnotes(&notes);
    for line in legend(comparison) {
        method.push_str(&format!("\n{}\n", escape::markdown(&line)));
    }
    out.push_str(&details("How to read it", &method));
    out.push_str(&details("Materials", &materials(comparison)));
    out
}

fn details(title: &str, body: &str) -> String {
    format!("\n<details><summary>{}</summary>\n{body}\n</details>\n", escape::markdown(title))
}

fn table<'a>(rows: &[Shown<'a>], notes: &mut Footnotes<'a>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out = format!("\n| Case | {} |\n|---|---|--:|--:|--:|--:|---|\n", HEADER.join(" | "));
    for row in rows.iter().take(MOST_CASES) {
        for metric in &row.metrics {
            let mut cells = cells(metric, notes).map(|text| escape::markdown(&text));
            if metric.is_regression()
                && metric.gates
                && let Some(verdict) = cells.last_mut()
            {
                *verdict = format!("**{verdict}**");
            }
            out.push_str(&format!("| {} | {} |\n", escape::markdown(&row.case.id), cells.join(" | ")));
        }
    }
    if rows.len() > MOST_CASES {
        out.push_str(&format!("\n... and {} more cases.\n", rows.len() - MOST_CASES));
    }
    let exact =
        rows.iter().take(MOST_CASES).flat_map(|row| row.case.exact.iter().map(move |exact| (row, exact)));
    let lines: Vec<String> = exact
        .map(|(row, exact)| {
            let text = format!("{}: {}: {} -> {}", row.case.id, exact.what, exact.base, exact.candidate);
            format!("- {}\n", escape::markdown(&text))
        })
        .collect();
    if !lines.is_empty() {
        out.push_str(&format!("\nDeterministic, yet different:\n\n{}", lines.concat()));
    }
    out
}

fn footnotes(notes: &Footnotes<'_>) -> String {
    let line = |(place, note): (usize, &&str)| format!("\n({}) {}\n", place + 1, escape::markdown(note));
    notes.texts.iter().enumerate().map(line).collect()
}

fn without_metrics(all: &[CaseComparison]) -> String {
    let some: Vec<&CaseComparison> = all.iter().filter(|case| case.metrics.is_empty()).collect();
    if some.is_empty() {
        return String::new();
    }
    let mut out = String::from("\n");
    for case in some.iter().take(MOST_CASES) {
        let (id, reason) = (escape::markdown(&case.id), escape::markdown(&case.reason));
        out.push_str(&format!("- **{}** {id}: {reason}\n", case_word(case)));
    }
    if some.len() > MOST_CASES {
        out.push_str(&format!("- ... and {} more like these\n", some.len() - MOST_CASES));
    }
    out
}

fn accepted(comparison: &Comparison) -> String {
    let mut lines = Vec::new();
    for case in &comparison.cases {
        for metric in &case.metrics {
            if let Some(accepted) = &metric.accepted {
                let until =
                    accepted.until.as_ref().map_or(String::new(), |until| format!(" (until {until})"));
                let text = format!("{} {}: {}{until}", case.id, metric.metric.name(), accepted.reason);
                lines.push(format!("- **accepted** {}\n", escape::markdown(&text)));
            }
        }
    }
    for stale in &comparison.stale {
        let text = format!("line {}, {} {}: {}", stale.line, stale.case, stale.metric.name(), stale.why);
        lines.push(format!("- **accepted change without effect** {}\n", escape::markdown(&text)));
    }
    if lines.is_empty() { String::new() } else { format!("\n{}", lines.concat()) }
}

/// The likely causes in one line.
fn causes(comparison: &Comparison) -> String {
    let mut words: Vec<&str> = comparison
        .differences
        .iter()
        .filter(|difference| difference.class == llamark_record::environment::FieldClass::Treatment)
        .map(|difference| difference.cause.word())
        .collect();
    words.dedup();
    if words.is_empty() {
        return String::new();
    }
    let range = engine_range(comparison).map_or(String::new(), |range| format!(" ({range})"));
    format!(
        "\nWhat differs, the likeliest cause first: {}.\n",
        escape::markdown(&format!("{}{range}", words.join(", ")))
    )
}

fn differing(differences: &[&Difference]) -> String {
    let mut out = String::from("\n| Kind | Field | Baseline | Candidate |\n|---|---|---|---|\n");
    for difference in differences.iter().take(LISTED) {
        let (base, candidate) = sides(difference);
        let kind = if difference.declared {
            format!("{}, declared", difference.cause.word())
        } else {
            difference.cause.word().to_owned()
        };
        let cells = [kind.as_str(), &difference.field, &base, &candidate].map(escape::markdown);
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    if differences.len() > LISTED {
        out.push_str(&format!("\n... and {} more.\n", differences.len() - LISTED));
    }
    out
}

fn explained(comparison: &Comparison, rows: &[Shown<'_>]) -> String {
    let mut out = String::new();
    for row in rows.iter().take(MOST_CASES) {
        out.push_str(&format!("\n**{}**\n\n", escape::markdown(&row.case.id)));
        for metric in &row.metrics {
            let lines = explain::lines(comparison, metric);
            out.push_str(&format!("- {}: {}\n", metric.metric.name(), escape::markdown(&lines.join(". "))));
        }
        for line in explain::around(comparison, row.case) {
            out.push_str(&format!("- {}\n", escape::markdown(&line)));
        }
    }
    out
}

fn materials(comparison: &Comparison) -> String {
    let mut out =
        String::from("\n| | Set | Measured | llama.cpp | Manifest | Plan |\n|---|---|---|---|---|---|\n");
    for (name, set) in [("Baseline", &comparison.base), ("Candidate", &comparison.candidate)] {
        let id = set.title();
        let when = format!("{} to {}", set.started_at, set.finished_at);
        let cells = [&id, &when, &set.engine].map(|text| escape::markdown(text));
        let manifest = set.manifest.as_ref().map_or("not sealed".to_owned(), |digest| format!("`{digest}`"));
        out.push_str(&format!("| {name} | {} | {manifest} | `{}` |\n", cells.join(" | "), set.plan));
    }
    let margins: Vec<String> = comparison
        .rules
        .metrics
        .iter()
        .map(|rule| {
            let gates = if rule.gates { "gates" } else { "shown only" };
            format!(
                "{} {} / {} ({gates})",
                rule.metric.name(),
                percent(rule.least_estimate.unwrap_or(rule.minimum)),
                percent(rule.margin)
            )
        })
        .collect();
    out.push_str(&format!(
        "\nSmallest change looked for / margin: {}. False discovery rate {}.\n",
        margins.join(", "),
        percent(comparison.rules.false_discovery_rate)
    ));
    out
}
