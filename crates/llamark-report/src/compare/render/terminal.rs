//! A comparison on a terminal: the verdict, the table with the worst first, what differs.

use llamark_record::comparison::{CaseComparison, Comparison};

use super::rows::{Footnotes, HEADER, MOST_CASES, Shown, case_word, cells, legend, set_line, shown};
use super::tally::headline;
use super::why::{LISTED, by_class, engine_range, sides};
use super::{Detail, explain, together};
use crate::terminal::{align_right, new_table, wrapped};

/// For a terminal of `width` columns (never wider than 100). Ends with a newline; has no colour.
pub fn terminal(comparison: &Comparison, width: u16, detail: Detail) -> String {
    let width = width.clamp(60, 100);
    let mut out = wrapped(&headline(comparison), "", width);
    out.push_str(&wrapped(&format!("baseline {}", set_line(&comparison.base)), "  ", width));
    out.push_str(&wrapped(&format!("candidate {}", set_line(&comparison.candidate)), "  ", width));
    for caveat in &comparison.caveats {
        out.push_str(&wrapped(&format!("- {}", caveat.text), "  ", width));
    }
    out.push('\n');
    let (rows, folded) = shown(comparison, detail);
    let mut notes = Footnotes::default();
    out.push_str(&table(&rows, &mut notes, width));
    if folded > 0 {
        let text = format!(
            "{folded} {} nothing to show: every gating metric is equivalent (-v shows them)",
            cases(folded)
        );
        out.push_str(&wrapped(&text, "", width));
    }
    for sentence in together::sentences(comparison) {
        out.push_str(&wrapped(&sentence, "", width));
    }
    out.push_str(&without_metrics(&comparison.cases, width));
    out.push_str(&accepted(comparison, width));
    if comparison.cases.iter().any(|case| !case.metrics.is_empty()) {
        if !out.ends_with("\n\n") {
            out.push('\n');
        }
        for (place, note) in notes.texts.iter().enumerate() {
            out.push_str(&wrapped(&format!("({}) {note}", place + 1), "", width));
        }
        for line in legend(comparison) {
            out.push_str(&wrapped(&line, "", width));
        }
    }
    if detail.explain && !rows.is_empty() {
        out.push_str(&explain::terminal(comparison, &rows, width));
    }
    out.push_str(&why(comparison, width));
    out
}

/// The metrics, each case under its id.
fn table<'a>(rows: &[Shown<'a>], notes: &mut Footnotes<'a>, width: u16) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = new_table(width);
    table.set_header(HEADER.map(|name| if name == "Metric" { "" } else { name }));
    let listed = rows.get(..MOST_CASES).unwrap_or(rows);
    for metric in listed.iter().flat_map(|row| &row.metrics) {
        table.add_row(cells(metric, notes));
    }
    align_right(&mut table, 1..5);
    // One line a row, whatever the width: the cells are short.
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    let text = table.trim_fmt();
    let mut lines = text.lines();
    let mut out = clipped(lines.next().unwrap_or_default().strip_prefix(' ').unwrap_or_default(), width);
    for row in listed {
        out.push_str(&wrapped(&row.case.id, "", width));
        for line in lines.by_ref().take(row.metrics.len()) {
            out.push_str(&clipped(line, width));
        }
        for exact in &row.case.exact {
            let text = format!("{}: {} -> {}", exact.what, exact.base, exact.candidate);
            out.push_str(&wrapped(&text, "    ", width));
        }
    }
    if rows.len() > listed.len() {
        out.push_str(&format!(
            "... and {} more cases (`--format json` has all)\n",
            rows.len() - listed.len()
        ));
    }
    out.push('\n');
    out
}

/// A row that no terminal of this width holds continues in the next line.
fn clipped(line: &str, width: u16) -> String {
    let text = format!(" {}", line.trim_end());
    if text.chars().count() <= usize::from(width) {
        return text + "\n";
    }
    let head: String = text.chars().take(usize::from(width)).collect();
    let at = head.rfind(' ').filter(|at| *at > 20).unwrap_or(head.len());
    let (head, rest) = text.split_at(at);
    let (head, rest) = (head.trim_end(), rest.trim());
    let indent = usize::from(width).saturating_sub(rest.chars().count()).min(60);
    format!("{head}\n{}{rest}\n", " ".repeat(indent))
}

/// Cases that are missing or not comparable, each with its reason.
fn without_metrics(all: &[CaseComparison], width: u16) -> String {
    let mut out = String::new();
    let some: Vec<&CaseComparison> = all.iter().filter(|case| case.metrics.is_empty()).collect();
    for case in some.iter().take(MOST_CASES) {
        out.push_str(&wrapped(&format!("{} {}: {}", case_word(case), case.id, case.reason), "", width));
    }
    if some.len() > MOST_CASES {
        out.push_str(&format!("... and {} more like these\n", some.len() - MOST_CASES));
    }
    out
}

/// What was accepted and why, and the entries that had no effect.
fn accepted(comparison: &Comparison, width: u16) -> String {
    let mut out = String::new();
    for case in &comparison.cases {
        for metric in &case.metrics {
            if let Some(accepted) = &metric.accepted {
                let until =
                    accepted.until.as_ref().map_or(String::new(), |until| format!(" (until {until})"));
                let text =
                    format!("accepted {} {}: {}{until}", case.id, metric.metric.name(), accepted.reason);
                out.push_str(&wrapped(&text, "", width));
            }
        }
    }
    for stale in &comparison.stale {
        let text = format!(
            "no effect: the accepted change in line {} ({} {}): {}",
            stale.line,
            stale.case,
            stale.metric.name(),
            stale.why
        );
        out.push_str(&wrapped(&text, "", width));
    }
    out
}

fn why(comparison: &Comparison, width: u16) -> String {
    let mut out = String::new();
    for (title, differences) in by_class(comparison) {
        out.push_str(&format!("\n{title}:\n"));
        if title.starts_with("What differs and may")
            && let Some(range) = engine_range(comparison)
        {
            out.push_str(&wrapped(&format!("engine: {range}"), "  ", width));
        }
        for difference in differences.iter().take(LISTED) {
            let (base, candidate) = sides(difference);
            let declared = if difference.declared { " (declared)" } else { "" };
            let text = format!(
                "{:<12}{}: {base} -> {candidate}{declared}",
                difference.cause.word(),
                difference.field
            );
            out.push_str(&wrapped(&text, "  ", width));
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

fn cases(count: usize) -> &'static str {
    if count == 1 { "case has" } else { "cases have" }
}
