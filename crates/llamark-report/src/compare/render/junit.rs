//! A comparison as JUnit XML. A regression is a failure, what cannot be compared an error, and what is not decided is
//! skipped: it neither passed nor failed, and the exit code of the command tells it from success.

use llamark_record::comparison::Comparison;
use serde::Serialize;

use super::checks::{self, Check, Outcome};
use super::markup;
use super::tally::headline;
use crate::error::ReportError;

const TEMPLATE: &str = include_str!("../../../../../templates/comparison/junit.xml.j2");

#[derive(Serialize)]
struct Report<'a> {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    suite: String,
    timestamp: String,
    properties: Vec<Property>,
    cases: Vec<Case<'a>>,
    headline: String,
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

#[derive(Serialize)]
struct Case<'a> {
    case: &'a str,
    name: &'static str,
    element: &'static str,
    verdict: &'static str,
    message: String,
}

/// As JUnit XML.
///
/// # Errors
/// When the template is at fault, which is a bug.
pub fn junit(comparison: &Comparison) -> Result<String, ReportError> {
    let cases: Vec<Case<'_>> = checks::of(comparison).into_iter().map(case).collect();
    let count = |element: &str| cases.iter().filter(|case| case.element == element).count();
    let set = llamark_record::comparison::ComparedSet::title;
    let (base, candidate) = (&comparison.base, &comparison.candidate);
    // JUnit's time stamps have neither zone nor fraction; ours are UTC.
    let timestamp = candidate.finished_at.get(..19).unwrap_or_default().to_owned();
    let digest = |set: &llamark_record::comparison::ComparedSet| {
        set.manifest.as_ref().map_or_else(|| "not sealed".to_owned(), ToString::to_string)
    };
    let report = Report {
        tests: cases.len(),
        failures: count("failure"),
        errors: count("error"),
        skipped: count("skipped"),
        suite: format!("{} against {}", set(candidate), set(base)),
        timestamp,
        properties: vec![
            Property { name: "baseline manifest sha256", value: digest(base) },
            Property { name: "candidate manifest sha256", value: digest(candidate) },
        ],
        cases,
        headline: headline(comparison),
    };
    markup::render("junit.xml", TEMPLATE, &report)
}

fn case(check: Check<'_>) -> Case<'_> {
    let element = match check.outcome {
        Outcome::Passed => "system-out",
        Outcome::Undecided | Outcome::NotGating => "skipped",
        Outcome::Failed => "failure",
        Outcome::NotComparable => "error",
    };
    let name = check.metric.map_or("case", llamark_record::metric::Metric::name);
    Case { case: check.case, name, element, verdict: check.verdict, message: check.message }
}
