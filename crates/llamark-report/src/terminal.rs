//! The summary on a terminal: one row per case, then what has no result and why.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::escape::terminal as plain;
use crate::format::{NOTHING, duration_ms, percent, with_interval, with_uncertainty};
use crate::summary::{CanaryCheck, CaseSummary, Estimate, Replication, Section, Summary};

/// Narrower than this, columns that can be missed are left out.
const NARROW: u16 = 80;

/// The summary as a table of at most `width` columns. Failed, skipped and invalid cases are listed after it, each
/// with its reason. Ends with a newline; has no colour.
pub fn terminal_table(summary: &Summary, width: u16) -> String {
    let width = width.max(40);
    let mut out = String::new();
    out.push_str(&plain(&summary.set.title));
    out.push('\n');
    if !summary.hardware.label.is_empty() {
        out.push_str(&wrapped(&summary.hardware.label, "", width));
    }
    out.push('\n');
    if summary.cases.iter().any(has_numbers) {
        out.push_str(&rows(summary, width));
        out.push('\n');
        out.push_str(&wrapped(legend(summary), "", width));
    }
    out.push_str(&checked(summary, width));
    out.push_str(&predicted(summary, width));
    out.push_str(&without_result(summary, width));
    out
}

/// What the canaries say: a line for all, and one for each case that computes the wrong thing.
fn checked(summary: &Summary, width: u16) -> String {
    let Some(tally) = &summary.method.canary else { return String::new() };
    let tokens =
        format!("Canary: {} greedy tokens against the processor alone: {}.", tally.tokens, tally.text);
    let mut out = wrapped(&tokens, "", width);
    for case in &summary.cases {
        if let Some(fault) = case.canary.as_ref().and_then(CanaryCheck::fault) {
            out.push_str(&wrapped(&format!("suspect  {}: {fault}", case.id), "  ", width));
        }
    }
    out
}

/// What the perplexities say: a line for each, and why one is suspect.
fn predicted(summary: &Summary, width: u16) -> String {
    let mut out = String::new();
    for row in summary.perplexity.iter().flat_map(|perplexity| &perplexity.rows) {
        let label = |place: usize| summary.backends.get(place).map_or("", |backend| backend.label.as_str());
        let model = summary.models.get(row.model).map_or("", |model| model.id.as_str());
        let name = format!("{model} on {}", label(row.backend));
        let text = match (row.perplexity, row.error) {
            (Some(value), Some(error)) => format!("Perplexity: {name}: {value:.4} ± {error:.4}."),
            (Some(value), None) => format!("Perplexity: {name}: {value:.4}."),
            (None, _) => format!("Perplexity: {name}: none: {}.", row.reason),
        };
        out.push_str(&wrapped(&text, "", width));
        if let Some(fault) = row.fault(row.lowest_backend.map_or("", label)) {
            out.push_str(&wrapped(&format!("suspect  {name}: {fault}"), "  ", width));
        }
    }
    out
}

fn has_numbers(case: &CaseSummary) -> bool {
    case.metrics.pp.is_some() || case.metrics.tg.is_some() || case.metrics.load.is_some()
}

fn rows(summary: &Summary, width: u16) -> String {
    let is_wide = width >= NARROW;
    let with_roofline = is_wide && summary.cases.iter().any(|case| case.roofline.is_some());
    let mut header = vec!["Model", "Backend", "Load", "PP tok/s", "TG tok/s"];
    if is_wide {
        header.push("TTFT");
    }
    if with_roofline {
        header.push("Roofline");
    }
    let mut table = new_table(width);
    let columns = header.len();
    table.set_header(header);
    for section in &summary.sections {
        let cases = section.cases.iter().filter_map(|place| summary.cases.get(*place));
        for (row, case) in cases.filter(|case| has_numbers(case)).enumerate() {
            let name = if row == 0 { section_name(summary, section) } else { String::new() };
            let backend = summary.backends.get(case.backend).map_or("", |backend| backend.label.as_str());
            let mean = |estimate: &Option<Estimate>| {
                estimate.as_ref().map_or_else(|| NOTHING.to_owned(), |estimate| duration_ms(estimate.mean))
            };
            let mut cells = vec![
                name,
                plain(backend),
                loading(case, mean(&case.metrics.load)),
                estimate_text(case.metrics.pp.as_ref()),
                estimate_text(case.metrics.tg.as_ref()),
            ];
            if is_wide {
                cells.push(mean(&case.metrics.ttft));
            }
            if with_roofline {
                cells.push(case.roofline.map_or_else(|| NOTHING.to_owned(), percent));
            }
            table.add_row(cells);
        }
    }
    align_right(&mut table, 2..columns);
    table.trim_fmt() + "\n"
}

/// A load time; one that is the mean of different things says so.
fn loading(case: &CaseSummary, time: String) -> String {
    match &case.loading {
        Some(loading) if loading.cache == "mixed" => format!("{time} mixed"),
        _ => time,
    }
}

fn section_name(summary: &Summary, section: &Section) -> String {
    let Some(model) = summary.models.get(section.model) else { return String::new() };
    let mut name = model.name.clone();
    if !model.quant.is_empty() {
        name.push(' ');
        name.push_str(&model.quant);
    }
    if summary.method.prompts.len() > 1 {
        name.push_str(" — ");
        name.push_str(&section.prompt);
    }
    if !section.shape.is_empty() {
        name.push_str(", ");
        name.push_str(&section.shape);
    }
    plain(&name)
}

pub(crate) fn estimate_text(estimate: Option<&Estimate>) -> String {
    let Some(estimate) = estimate else { return NOTHING.to_owned() };
    match &estimate.interval {
        Some(interval) => with_interval(estimate.mean, interval.half_width, interval.rounding),
        None => with_uncertainty(estimate.mean, None),
    }
}

fn legend(summary: &Summary) -> &'static str {
    let estimates = summary.cases.iter().flat_map(|case| [&case.metrics.pp, &case.metrics.tg]);
    let mut intervals =
        estimates.flatten().map(|estimate| estimate.interval.as_ref().map(|interval| interval.over));
    let all: Vec<_> = intervals.by_ref().collect();
    if all.contains(&Some(Replication::RunsOfOneStart)) {
        "± is the 95 % confidence interval of the mean over the runs of one start of the server; it does not include what \
         changes from start to start."
    } else if all.contains(&Some(Replication::Starts)) {
        "± is the 95 % confidence interval of the mean over the starts of the server."
    } else {
        "Too few repeats for a confidence interval."
    }
}

/// Cases without a result, and cases with one that is not whole.
fn without_result(summary: &Summary, width: u16) -> String {
    let bad: Vec<&CaseSummary> = summary.cases.iter().filter(|case| case.outcome != "ok").collect();
    let invalid = summary.cases.iter().filter(|case| case.outcome == "ok" && case.counts.invalid > 0);
    let mut out = String::new();
    for case in invalid {
        let text = format!(
            "{}: invalid and not counted: {} of {} runs",
            case.id,
            case.counts.invalid,
            case.counts.invalid + case.counts.valid
        );
        out.push_str(&wrapped(&text, "  ", width));
    }
    if bad.is_empty() {
        return out;
    }
    let (of, all) = (bad.len(), summary.cases.len());
    out.push_str(&format!(
        "\n{of} of {all} {} no valid result:\n",
        if of == 1 { "cases has" } else { "cases have" }
    ));
    for case in bad {
        let mut text = format!("{}  {}", case.outcome, case.id);
        if !case.failure.is_empty() {
            text.push_str(&format!(" ({})", case.failure.replace('_', " ")));
        }
        if !case.reason.is_empty() {
            text.push_str(": ");
            text.push_str(&case.reason);
        }
        out.push_str(&wrapped(&text, "  ", width));
        if !case.hint.is_empty() {
            out.push_str(&wrapped(&format!("hint: {}", case.hint), "      ", width));
        }
    }
    out
}

/// An empty table without borders, of at most `width` columns.
pub(crate) fn new_table(width: u16) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    table
}

pub(crate) fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Text in lines of at most `width` characters: the first with `indent` before it, the others with two more.
pub(crate) fn wrapped(text: &str, indent: &str, width: u16) -> String {
    let width = usize::from(width);
    let (mut out, mut line) = (String::new(), indent.to_owned());
    let mut length = indent.chars().count();
    let mut begins = true;
    for word in plain(text).split(' ') {
        let space = usize::from(!begins);
        if !begins && length + space + word.chars().count() > width {
            break_line(&mut out, &mut line, &mut length, indent);
        } else if !begins {
            line.push(' ');
            length += 1;
        }
        begins = false;
        for character in word.chars() {
            // A word that no line can hold.
            if length >= width {
                break_line(&mut out, &mut line, &mut length, indent);
            }
            line.push(character);
            length += 1;
        }
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}

fn break_line(out: &mut String, line: &mut String, length: &mut usize, indent: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
    *line = format!("{indent}  ");
    *length = line.chars().count();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_words() {
        assert_eq!(wrapped("one two three four", "", 9), "one two\n  three\n  four\n");
        assert_eq!(wrapped("", "  ", 9), "\n");
        assert_eq!(wrapped("0123456789abc d", "", 9), "012345678\n  9abc d\n");
        assert_eq!(wrapped("a\u{1b}[31mb", "", 40), "a\u{fffd}[31mb\n");
    }
}
