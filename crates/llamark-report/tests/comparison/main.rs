//! Comparisons of sets that are built in memory: what is called, what is not, and what is said of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
mod differences;
mod formats;
mod in_turn;
mod pace;
mod rules;
mod verdicts;

use llamark_record::Sha256;
use llamark_record::comparison::{Caveat, CaveatCode, Comparison, MetricComparison};
use llamark_record::environment::Fact;
use llamark_record::metric::Metric;
use llamark_report::ReportError;
use llamark_report::compare::{CompareOptions, Detail, Side, compare_sides, terminal};

use common::Parts;
use common::synthetic::Shape;

const FIVE: Shape = Shape::new(12, 5);

fn with(base: &Parts, candidate: &Parts, options: &CompareOptions) -> Comparison {
    try_with(base, candidate, options).unwrap()
}

fn try_with(base: &Parts, candidate: &Parts, options: &CompareOptions) -> Result<Comparison, ReportError> {
    let digests = [Sha256::of_bytes(b"base"), Sha256::of_bytes(b"candidate")];
    compare_sides(
        Side { material: base.material(), manifest: Some(&digests[0]) },
        Side { material: candidate.material(), manifest: Some(&digests[1]) },
        options,
    )
}

fn compared(base: &Parts, candidate: &Parts) -> Comparison {
    with(base, candidate, &CompareOptions::default())
}

fn usual(_: usize) -> f64 {
    1.0
}

/// Case `number` is slower by so much.
fn slower(number: usize, by: f64) -> impl Fn(usize) -> f64 {
    move |case| if case == number { 1.0 - by } else { 1.0 }
}

fn metric(comparison: &Comparison, case: &str, metric: Metric) -> MetricComparison {
    let case = comparison.cases.iter().find(|found| found.id == case).unwrap();
    case.metrics.iter().find(|found| found.metric == metric).unwrap().clone()
}

fn caveat(comparison: &Comparison, code: CaveatCode) -> Option<&Caveat> {
    comparison.caveats.iter().find(|caveat| caveat.code == code)
}

fn on_terminal(comparison: &Comparison) -> String {
    let text = terminal(comparison, 100, Detail::default());
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    text
}

fn fact(parts: &mut Parts, name: &str, value: &str) {
    let fact = Fact { value: Some(value.to_owned()), source: "test".to_owned(), error: None };
    parts.environment.facts.insert(name.to_owned(), fact);
}
