//! Blocks to a [`PublishedReport`]: the head, and which block belongs to which part. Whatever is not understood is a
//! problem, since what is passed over in silence may be what makes a number mean something else.

use std::ops::Range;

use crate::markdown::{Block, Row as TableRow, Text};
use crate::phrase::{self, Refusal};
use crate::problem::{Code, Problem};
use crate::published::{At, BackendLine, PublishedReport, Summary};
use crate::source::Source;
use crate::{section, summary};

/// The source, and what was found wrong so far.
pub(crate) struct Reading<'a> {
    pub(crate) source: &'a Source,
    pub(crate) problems: Vec<Problem>,
    /// Runs of a case, once the head has said so.
    pub(crate) runs: Option<u32>,
}

impl Reading<'_> {
    /// Notes a problem.
    pub(crate) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// What a phrase says, or a problem at its place.
    pub(crate) fn read<T>(&mut self, span: &Range<usize>, phrase: Result<T, Refusal>) -> Option<At<T>> {
        match phrase {
            Ok(value) => Some(At { value, span: span.clone() }),
            Err(refusal) => {
                let problem = Problem::new(Code::Malformed, span.clone(), refusal.message);
                self.problem(problem.help(refusal.help));
                None
            }
        }
    }

    /// A block or a line that has no place where it stands.
    pub(crate) fn unknown(&mut self, span: Range<usize>, what: &str, place: &str) {
        let message = format!("{what} is not understood {place}");
        let help = if self.source.get(&span).starts_with('|') {
            "it is not a table: the header and the line under it have different numbers of columns"
        } else {
            "llamark skips nothing, because an unknown line may say what a number means; \
             if it does not, remove it in a copy"
        };
        self.problem(Problem::new(Code::Unknown, span, message).help(help));
    }

    /// A block that no part of a report has.
    pub(crate) fn unknown_block(&mut self, block: &Block, place: &str) {
        let (what, span) = match block {
            Block::Heading { text, .. } => ("this heading", text.span.clone()),
            Block::Paragraph(lines) => {
                for line in lines {
                    self.unknown(line.span.clone(), "this line", place);
                }
                return;
            }
            Block::Table { header, .. } => ("a table", header.span.clone()),
            Block::Code { span, .. } => ("a fenced code block", span.clone()),
            Block::Html(span) => ("this HTML", span.clone()),
            Block::Other { what, span } => (*what, span.clone()),
            Block::Rule => return,
        };
        self.unknown(span, what, place);
    }

    /// A table as columns by name; the columns may be in any order, and each of `names` is there once.
    pub(crate) fn columns(&mut self, header: &TableRow, names: &[&str]) -> Option<Vec<usize>> {
        let mut places = vec![None; names.len()];
        let before = self.problems.len();
        for (place, cell) in header.cells.iter().enumerate() {
            let name = cell.plain();
            let known = names.iter().position(|known| *known == name);
            let Some(slot) = known.and_then(|known| places.get_mut(known)) else {
                let span = if cell.span.is_empty() { header.span.clone() } else { cell.span.clone() };
                let message = format!("the table has an unknown column `{name}`");
                let help = format!("the columns are {}", names.join(", "));
                self.problem(Problem::new(Code::Unknown, span, message).help(help));
                continue;
            };
            if slot.replace(place).is_some() {
                let message = format!("the column `{name}` appears twice");
                self.problem(Problem::new(Code::Duplicate, cell.span.clone(), message));
            }
        }
        for (name, place) in names.iter().zip(&places) {
            if place.is_none() {
                let message = format!("the table has no column `{name}`");
                let help = format!("the columns are {}", names.join(", "));
                self.problem(Problem::new(Code::Missing, header.span.clone(), message).help(help));
            }
        }
        (self.problems.len() == before).then(|| places.into_iter().flatten().collect())
    }

    /// A row with as many cells as its header: Markdown would make up those that are missing.
    pub(crate) fn is_whole(&mut self, row: &TableRow, header: &TableRow) -> bool {
        if row.written != header.written {
            let message =
                format!("the row has {} cells, but the table has {} columns", row.written, header.written);
            let problem = Problem::new(Code::Malformed, row.span.clone(), message);
            self.problem(problem.related(header.span.clone(), "the header"));
            return false;
        }
        let foreign = row.cells.iter().find(|cell| cell.is_foreign());
        if let Some(cell) = foreign {
            self.unknown(cell.span.clone(), "code, a link or HTML", "in a table");
        }
        foreign.is_none()
    }
}

/// What the head says, as far as it was found.
#[derive(Default)]
struct Head {
    title: Option<At<String>>,
    hardware: Option<At<String>>,
    method: Option<At<String>>,
    prompt: Option<At<String>>,
    load_context: Option<At<u32>>,
    settings: Vec<BackendLine>,
    defined: Vec<&'static str>,
}

/// The parts of a report: each from its heading to the next.
enum Part {
    Head,
    Summary,
    Detail,
    Section,
}

/// Reads the blocks; what is wrong is noted.
pub(crate) fn report(reading: &mut Reading<'_>, blocks: &[Block]) -> Option<PublishedReport> {
    let mut head = Head::default();
    let mut summary_blocks = None;
    let mut sections: Vec<(&Text, Vec<&Block>)> = Vec::new();
    let mut part = Part::Head;
    for block in blocks {
        match (block, &part) {
            (Block::Heading { level: 2, text }, _) => {
                part = begin(reading, text, &mut summary_blocks, &mut sections);
            }
            (Block::Heading { level: 1, text }, Part::Head) if head.title.is_none() => {
                head.title = Some(At { value: text.plain(), span: text.span.clone() });
            }
            (Block::Rule, _) => {}
            (Block::Paragraph(lines), Part::Head) => {
                lines.iter().for_each(|line| head_line(reading, &mut head, line));
            }
            (block, Part::Head) => reading.unknown_block(block, "before the first section"),
            (block, Part::Summary) => {
                summary_blocks.iter_mut().for_each(|(_, blocks): &mut (&Text, Vec<_>)| blocks.push(block));
            }
            (block, Part::Detail) => reading.unknown_block(block, "under this heading"),
            (block, Part::Section) => {
                sections.last_mut().into_iter().for_each(|(_, blocks)| blocks.push(block));
            }
        }
    }
    let method = method(reading, &head);
    reading.runs = method.as_ref().map(|method| method.value.runs);
    let summary = summary_blocks.and_then(|(heading, blocks)| summary::read(reading, heading, &blocks));
    let sections =
        sections.iter().filter_map(|(heading, blocks)| section::read(reading, heading, blocks)).collect();
    finish(reading, head, method, summary, sections)
}

/// A heading of the second level begins a part.
fn begin<'b>(
    reading: &mut Reading<'_>,
    text: &'b Text,
    summary: &mut Option<(&'b Text, Vec<&'b Block>)>,
    sections: &mut Vec<(&'b Text, Vec<&'b Block>)>,
) -> Part {
    match text.plain().as_str() {
        "Summary" => {
            if let Some((first, _)) = summary {
                let problem = Problem::new(Code::Duplicate, text.span.clone(), "there are two summaries");
                reading.problem(problem.related(first.span.clone(), "the first"));
            } else {
                *summary = Some((text, Vec::new()));
            }
            Part::Summary
        }
        "Detail" => Part::Detail,
        _ => {
            sections.push((text, Vec::new()));
            Part::Section
        }
    }
}

fn method(reading: &mut Reading<'_>, head: &Head) -> Option<At<crate::published::Method>> {
    let said = head.method.as_ref()?;
    reading.read(&said.span, phrase::method(&said.value))
}

fn finish(
    reading: &mut Reading<'_>,
    head: Head,
    method: Option<At<crate::published::Method>>,
    summary: Option<Summary>,
    sections: Vec<crate::published::Section>,
) -> Option<PublishedReport> {
    let end = reading.source.end();
    let missing = [
        (head.title.is_none(), "a title: `# Inference Benchmark Results`"),
        (head.hardware.is_none(), "a line `**Hardware:** ...`"),
        (head.method.is_none(), "a line `**Benchmark:** 3-run average after 1 warmup; ...`"),
        (head.prompt.is_none(), "a line `**Prompt:** ...`"),
        (!head.defined.contains(&"PP"), "the unit of PP: `**PP** = prompt processing speed (tok/s)`"),
        (!head.defined.contains(&"TG"), "the unit of TG: `**TG** = token generation speed (tok/s)`"),
        (summary.is_none(), "a section `## Summary` with a table"),
    ];
    for (_, what) in missing.iter().filter(|(is_missing, _)| *is_missing) {
        let message = format!("the report does not have {what}");
        let problem = Problem::new(Code::Missing, end.clone(), message).label("the file ends here");
        reading.problem(problem);
    }
    Some(PublishedReport {
        title: head.title?,
        hardware: head.hardware?,
        method: method?,
        prompt: head.prompt?,
        load_context: head.load_context,
        settings: head.settings,
        summary: summary?,
        sections,
    })
}

/// `**Hardware:** ...`, `**PP** = ...`.
fn head_line(reading: &mut Reading<'_>, head: &mut Head, line: &Text) {
    let place = "before the first section";
    let Some((key, rest)) = line.key().filter(|_| !line.is_foreign()) else {
        return reading.unknown(line.span.clone(), "this line", place);
    };
    if let Some(meaning) = rest.strip_prefix("= ") {
        return definition(reading, head, line, &key, meaning);
    }
    // The colon may stand in bold or behind it.
    let name = key.strip_suffix(':').map(|name| (name, rest.as_str()));
    let Some((name, value)) = name.or_else(|| Some((key.as_str(), rest.strip_prefix(':')?.trim()))) else {
        return reading.unknown(line.span.clone(), "this line", place);
    };
    let said = At { value: value.to_owned(), span: line.span.clone() };
    if value.is_empty() {
        reading.problem(Problem::new(Code::Missing, line.span.clone(), format!("`{name}` is empty")));
    }
    let slot = match name {
        "Hardware" => &mut head.hardware,
        "Benchmark" => &mut head.method,
        "Prompt" => &mut head.prompt,
        _ => return backend_line(reading, head, line, name, value),
    };
    if let Some(first) = slot.replace(said) {
        let problem = Problem::new(Code::Duplicate, line.span.clone(), format!("`{name}` appears twice"));
        reading.problem(problem.related(first.span, "the first"));
    }
}

fn backend_line(reading: &mut Reading<'_>, head: &mut Head, line: &Text, name: &str, value: &str) {
    let Ok(backend) = phrase::backend(name) else {
        return reading.unknown(line.span.clone(), &format!("`{name}`"), "before the first section");
    };
    let first = head.settings.iter().find(|known| known.backend.value.kind == backend.kind);
    if let Some(first) = first.map(|first| first.backend.span.clone()) {
        let problem = Problem::new(Code::Duplicate, line.span.clone(), format!("`{name}` appears twice"));
        return reading.problem(problem.related(first, "the first"));
    }
    let backend = At { value: backend, span: line.span.clone() };
    head.settings.push(BackendLine { backend, text: value.to_owned() });
}

/// What an abbreviation means: a report in other units must not be read as one in ours.
fn definition(reading: &mut Reading<'_>, head: &mut Head, line: &Text, key: &str, meaning: &str) {
    let expected = match key {
        "PP" => "prompt processing speed (tok/s)",
        "TG" => "token generation speed (tok/s)",
        "Load" => "server startup + model load time",
        _ => return reading.unknown(line.span.clone(), &format!("the definition of `{key}`"), "in a report"),
    };
    let defined = ["PP", "TG", "Load"].into_iter().find(|known| *known == key);
    if head.defined.iter().any(|known| Some(*known) == defined) {
        let message = format!("`{key}` is defined twice");
        reading.problem(Problem::new(Code::Duplicate, line.span.clone(), message));
    }
    head.defined.extend(defined);
    let rest = meaning.strip_prefix(expected).map(str::trim);
    match (key, rest) {
        (_, Some("")) => {}
        ("Load", Some(rest)) if rest.starts_with('(') && rest.ends_with(" context)") => {
            let context = rest.trim_start_matches('(').trim_end_matches(" context)");
            head.load_context = reading.read(&line.span, phrase::whole(context));
        }
        _ => {
            let message = format!("`{key}` is not defined in a way that llamark knows");
            let help = format!(
                "the known definition is `{key} = {expected}`; numbers that mean something else are not imported"
            );
            reading.problem(Problem::new(Code::Unknown, line.span.clone(), message).help(help));
        }
    }
}
