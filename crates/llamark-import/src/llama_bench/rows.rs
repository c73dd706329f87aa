//! The rows of a llama-bench file: JSON (`-o json`) or JSON Lines (`-o jsonl`). What a row is, the records know.

use std::ops::{Deref, Range};

use llamark_record::llama_bench::{self, RowFault, RowProblem};
use serde_json::{Map, Value};

use crate::problem::{Code, Problem};
use crate::source::Source;

/// One test of llama-bench, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Where it stands.
    pub(crate) span: Range<usize>,
    row: llama_bench::Row,
}

impl Deref for Row {
    type Target = llama_bench::Row;

    fn deref(&self) -> &llama_bench::Row {
        &self.row
    }
}

/// Every row of a file, or what is wrong with them.
pub(crate) fn rows(source: &Source) -> (Vec<Row>, Vec<Problem>) {
    let (objects, mut problems) = objects(source);
    let mut rows = Vec::new();
    for (span, object) in objects {
        match llama_bench::Row::read(&object) {
            Ok(row) => rows.push(Row { span, row }),
            Err(found) => problems.extend(found.into_iter().map(|found| placed(&span, found))),
        }
    }
    if rows.is_empty() && problems.is_empty() {
        let message = "the file has no row of llama-bench";
        problems.push(Problem::new(Code::Missing, source.end(), message).help("run it with `-o jsonl`"));
    }
    (rows, problems)
}

fn placed(span: &Range<usize>, found: RowProblem) -> Problem {
    let code = match found.fault {
        RowFault::Missing => Code::Missing,
        RowFault::Malformed => Code::Malformed,
        RowFault::Contradiction => Code::Contradiction,
    };
    Problem::new(code, span.clone(), found.message).help(found.help)
}

/// An object of the file, and where it stands.
type Object = (Range<usize>, Map<String, Value>);

/// The objects of a file, each with its place. JSON Lines and an array differ in what stands between them only.
fn objects(source: &Source) -> (Vec<Object>, Vec<Problem>) {
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    let text = source.text();
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let skipped = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']'));
        at += rest.len() - skipped.len();
        if skipped.is_empty() {
            return (objects, problems);
        }
        let mut values = serde_json::Deserializer::from_str(skipped).into_iter::<Value>();
        match values.next() {
            Some(Ok(Value::Object(object))) => {
                objects.push((at..at + values.byte_offset(), object));
                at += values.byte_offset();
            }
            Some(Err(error)) => {
                let span = source.line_span(source.line(at));
                let message = format!("this is not a row of llama-bench: {}", reason(&error));
                problems.push(Problem::new(Code::Malformed, span, message).help(help(skipped)));
                return (objects, problems);
            }
            _ => {
                let span = source.line_span(source.line(at));
                let message = "a row of llama-bench is an object";
                let help = "expected a file of `llama-bench -o jsonl` or `-o json`";
                problems.push(Problem::new(Code::Malformed, span, message).help(help));
                return (objects, problems);
            }
        }
    }
}

/// What to do about text that is not a row.
fn help(text: &str) -> &'static str {
    match text.chars().next() {
        Some('{') => "expected a file of `llama-bench -o jsonl` or `-o json`; is this one truncated?",
        Some('|') => "a table has only averages: run llama-bench with `-o jsonl`",
        _ => {
            "expected a file of `llama-bench -o jsonl` or `-o json`; if both streams went to one file, a line of the log is in \
             the way: remove it, or run llama-bench with `2>/dev/null`"
        }
    }
}

/// The message of a JSON error without its place, which is that in the rest of the file.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
