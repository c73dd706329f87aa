//! The section of a model: its facts, the table of its backends, and its runs.

use std::ops::Range;

use crate::markdown::{Block, Row as TableRow, Text};
use crate::phrase;
use crate::problem::{Code, Problem};
use crate::published::{At, Facts, Row, RunBlock, RunGroup, Section};
use crate::read::Reading;
use crate::summary::{model, numbers};

/// The columns.
const COLUMNS: [&str; 5] = ["Backend", "Load", "PP (tok/s)", "TG (tok/s)", "Notes"];

/// Reads the blocks under the heading of a model; absent when the heading names none.
pub(crate) fn read(reading: &mut Reading<'_>, heading: &Text, blocks: &[&Block]) -> Option<Section> {
    let model = model(reading, heading, None);
    let mut facts: Option<Facts> = None;
    let mut has_table = false;
    let mut rows = Vec::new();
    let mut runs: Option<RunBlock> = None;
    for block in blocks {
        let again = match block {
            Block::Paragraph(lines) => {
                for line in lines {
                    self::facts(reading, facts.get_or_insert_with(Facts::none), line);
                }
                None
            }
            Block::Table { header, rows: lines } if !has_table => {
                has_table = true;
                rows = table(reading, header, lines);
                None
            }
            Block::Table { header, .. } => Some(header.span.clone()),
            Block::Code { lines, span } if runs.is_none() => {
                runs = Some(self::runs(reading, lines, span));
                None
            }
            Block::Code { span, .. } => Some(span.clone()),
            Block::Html(span) => {
                html(reading, span);
                None
            }
            other => {
                reading.unknown_block(other, "in the section of a model");
                None
            }
        };
        if let Some(span) = again {
            let problem = Problem::new(Code::Duplicate, span, "the section has two of these");
            reading.problem(problem.related(heading.span.clone(), "this section"));
        }
    }
    Some(Section { model: model?, facts, rows, runs })
}

impl Facts {
    fn none() -> Self {
        Self { quant: None, parameters: None, file_size: None }
    }
}

/// `Quantization: Q4_K_M · Params: 30B total / 3B active (MoE) · File: ~19 GiB`.
fn facts(reading: &mut Reading<'_>, facts: &mut Facts, line: &Text) {
    let text = line.plain();
    for part in text.split('·').map(str::trim) {
        let known = part.split_once(": ").filter(|_| !line.is_foreign());
        let span = line.span.clone();
        let again = match known {
            Some(("Quantization", value)) => {
                facts.quant.replace(At { value: value.to_owned(), span }).is_some()
            }
            Some(("Params", value)) => {
                let read = reading.read(&span, phrase::long_parameters(value));
                std::mem::replace(&mut facts.parameters, read).is_some()
            }
            Some(("File", value)) => {
                let read = reading.read(&span, phrase::file_size(value)).map(|size| size.value);
                std::mem::replace(&mut facts.file_size, read).is_some()
            }
            _ => {
                reading.unknown(span, &format!("`{part}`"), "among the facts of a model");
                false
            }
        };
        if again {
            let message = "the section states this twice";
            reading.problem(Problem::new(Code::Duplicate, line.span.clone(), message));
        }
    }
}

fn table(reading: &mut Reading<'_>, header: &TableRow, lines: &[TableRow]) -> Vec<Row> {
    let Some(columns) = reading.columns(header, &COLUMNS) else { return Vec::new() };
    let mut rows: Vec<Row> = Vec::new();
    for line in lines {
        if !reading.is_whole(line, header) {
            continue;
        }
        let cells: Vec<&Text> = columns.iter().filter_map(|place| line.cells.get(*place)).collect();
        let [backend, load, pp, tg, note] = cells.as_slice() else { continue };
        let backend = reading.read(&backend.span, phrase::backend(&backend.plain()));
        let numbers = numbers(reading, load, pp, tg);
        let (Some(backend), Some(numbers)) = (backend, numbers) else { continue };
        if let Some(first) = rows.iter().find(|row| row.backend.value.kind == backend.value.kind) {
            let message = format!("`{}` has two rows", backend.value.label);
            let problem = Problem::new(Code::Duplicate, line.span.clone(), message);
            reading.problem(problem.related(first.span.clone(), "the first"));
            continue;
        }
        rows.push(Row { span: line.span.clone(), backend, numbers, note: note.plain() });
    }
    rows
}

/// Only the tags that fold the runs away.
fn html(reading: &mut Reading<'_>, span: &Range<usize>) {
    let source = reading.source;
    for line in source.line(span.start)..=source.line(span.end.saturating_sub(1).max(span.start)) {
        let place = source.line_span(line);
        let text = source.get(&place).trim();
        let rest = text.strip_prefix("<details>").unwrap_or(text);
        let summary = rest.strip_prefix("<summary>").and_then(|rest| rest.strip_suffix("</summary>"));
        let is_known = summary.map_or(matches!(rest, "" | "</details>"), |title| title == "Per-run detail");
        if !is_known {
            reading.unknown(place, "this HTML", "in the section of a model");
        }
    }
}

fn runs(reading: &mut Reading<'_>, lines: &[Range<usize>], span: &Range<usize>) -> RunBlock {
    let mut groups: Vec<RunGroup> = Vec::new();
    for place in lines {
        let text = reading.source.get(place).trim();
        if text.starts_with("Run") {
            let Some(run) = reading.read(place, phrase::run(text)) else { continue };
            if groups.is_empty() {
                groups.push(RunGroup { backend: None, runs: Vec::new() });
            }
            let Some(group) = groups.last_mut() else { continue };
            if let Some(last) = group.runs.last().filter(|last| last.value.index >= run.value.index) {
                let message = format!("run {} comes after run {}", run.value.index, last.value.index);
                let problem = Problem::new(Code::Contradiction, place.clone(), message);
                reading.problem(problem.related(last.span.clone(), "the previous run"));
                continue;
            }
            group.runs.push(run);
            continue;
        }
        let Some(name) = text.strip_suffix(':') else {
            reading.unknown(place.clone(), "this line", "among the runs");
            continue;
        };
        let Some(backend) = reading.read(place, phrase::backend(name)) else { continue };
        let known = groups.iter().filter_map(|group| group.backend.as_ref());
        let first = known.into_iter().find(|known| known.value.kind == backend.value.kind);
        if let Some(first) = first.map(|first| first.span.clone()) {
            let problem = Problem::new(Code::Duplicate, place.clone(), format!("`{name}` appears twice"));
            reading.problem(problem.related(first, "the first"));
        }
        groups.push(RunGroup { backend: Some(backend), runs: Vec::new() });
    }
    RunBlock { span: span.clone(), groups }
}
