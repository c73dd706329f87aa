//! Takes: the text of a document that somebody else wrote.
//! Gives: a plan and what the document states of each case, with its lines; or every problem with its line.
//! Never: a guess. What is not stated stays unstated, and what contradicts itself is not imported.

mod cases;
mod check;
mod convert;
mod llama_bench;
mod markdown;
mod phrase;
mod problem;
mod published;
mod read;
mod section;
mod source;
mod stated_plan;
mod summary;

use llamark_record::Sha256;
use llamark_record::journal::{Event, Outcome};
use llamark_record::model::FileIdentity;
use llamark_record::plan::ResolvedPlan;

pub use problem::Problems;
pub use source::MAX_BYTES;

use read::Reading;
use source::Source;

/// What is added at the import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Name of the set.
    pub name: String,
    /// Title instead of that of the document.
    pub title: Option<String>,
    /// Memory bandwidth of the machine.
    pub memory_bandwidth: Option<Bandwidth>,
}

/// A bandwidth as it was typed, and what that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// As in `256 GB/s`.
    pub text: String,
    /// Bytes per second.
    pub bytes_per_second: u64,
}

/// What a document states.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The plan: what was measured, as far as the document says.
    pub plan: ResolvedPlan,
    /// For each case what is stated of it, if anything, and its end.
    pub events: Vec<Event>,
}

impl Imported {
    /// Cases that are not complete, with the reason.
    pub fn incomplete(&self) -> impl Iterator<Item = (&str, &str)> {
        self.events.iter().filter_map(|event| match event {
            Event::CaseClosed(closed) => match &closed.outcome {
                Outcome::Invalid { reason } => Some((closed.case.as_str(), reason.as_str())),
                _ => None,
            },
            _ => None,
        })
    }

    /// Runs that are stated, also those of incomplete cases.
    pub fn runs(&self) -> usize {
        let starts = self.events.iter().map(|event| match event {
            Event::Stated(start) => start.runs.len(),
            _ => 0,
        });
        starts.sum()
    }
}

/// Reads a file of llama-bench: JSON Lines (`-o jsonl`) or JSON (`-o json`), of any version. `file` is its name, for
/// messages and for the record.
///
/// # Errors
/// Every problem of the file: what does not read, where its averages are not those of its samples, rows of two builds.
pub fn llama_bench(file: &str, bytes: &[u8], options: &Options) -> Result<Imported, Problems> {
    let source = Source::records(file, bytes)?;
    llama_bench::read(&source, identity(file, bytes), options)
        .map_err(|problems| Problems::new(&source, problems))
}

fn identity(file: &str, bytes: &[u8]) -> FileIdentity {
    FileIdentity {
        name: file.rsplit('/').next().unwrap_or(file).to_owned(),
        bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        sha256: Sha256::of_bytes(bytes),
    }
}

/// Reads a report in Markdown, as in `docs/how-to/import-a-published-report.md`. `file` is its name, for messages
/// and for the record.
///
/// # Errors
/// Every problem of the document: what is not understood, and where it contradicts itself.
pub fn report(file: &str, bytes: &[u8], options: &Options) -> Result<Imported, Problems> {
    let source = Source::new(file, bytes)?;
    let mut reading = Reading { source: &source, problems: Vec::new(), runs: None };
    let report = read::report(&mut reading, &markdown::blocks(&source));
    let mut problems = reading.problems;
    let models = report.as_ref().map(cases::models).unwrap_or_default();
    let checked = report.as_ref().map(|report| check::check(report, &models)).unwrap_or_default();
    problems.extend(checked.problems);
    match report.as_ref().filter(|_| problems.is_empty()) {
        Some(report) => {
            let file = identity(file, bytes);
            let remarks = checked.remarks.iter();
            let remarks =
                remarks.map(|r| format!("line {}: {}", source.line_number(&r.span), r.value)).collect();
            Ok(convert::convert(&source, report, &models, options, convert::Given { file, remarks }))
        }
        None => Err(Problems::new(&source, problems)),
    }
}
