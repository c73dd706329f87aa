//! A comparison as a list of checks that pass or do not, for machines that count such things: what gates, and only that.

use llamark_record::comparison::{CaseComparison, Comparison, MetricComparison, Verdict};
use llamark_record::metric::Metric;

use super::rows::{case_word, interval};
use crate::format::{change, of_metric};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Equivalent, improved, or a regression that was accepted.
    Passed,
    /// Neither shown nor excluded.
    Undecided,
    /// A regression, or a case that does not work any more.
    Failed,
    /// Not the same measurement.
    NotComparable,
    /// It has no result in the baseline, so there is nothing to hold it against.
    NotGating,
}

/// One check: a metric of a case, or a case as a whole where it has none to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check<'a> {
    pub(super) case: &'a str,
    /// Absent for a case as a whole.
    pub(super) metric: Option<Metric>,
    pub(super) outcome: Outcome,
    pub(super) verdict: &'static str,
    pub(super) message: String,
}

impl Check<'_> {
    /// `MODEL/BACKEND/PROMPT#tg`.
    pub(super) fn name(&self) -> String {
        match self.metric {
            Some(metric) => format!("{}#{}", self.case, metric.name()),
            None => self.case.to_owned(),
        }
    }
}

/// Every check, in the order of the comparison.
pub(super) fn of(comparison: &Comparison) -> Vec<Check<'_>> {
    comparison.cases.iter().flat_map(of_case).collect()
}

fn of_case(case: &CaseComparison) -> Vec<Check<'_>> {
    if case.metrics.is_empty() {
        let outcome = match case.verdict {
            _ if case.broke => Outcome::Failed,
            _ if !case.gates => Outcome::NotGating,
            Verdict::NotComparable => Outcome::NotComparable,
            _ => Outcome::Undecided,
        };
        let (verdict, message) = (case_word(case), case.reason.clone());
        return vec![Check { case: &case.id, metric: None, outcome, verdict, message }];
    }
    let gating = case.metrics.iter().filter(|metric| metric.gates);
    let check = |metric: &MetricComparison| Check {
        case: &case.id,
        metric: Some(metric.metric),
        outcome: outcome(metric),
        verdict: metric.verdict.word(),
        message: message(metric),
    };
    gating.map(check).collect()
}

fn outcome(metric: &MetricComparison) -> Outcome {
    match metric.verdict {
        _ if metric.accepted.is_some() => Outcome::Passed,
        Verdict::Regressed => Outcome::Failed,
        Verdict::Suspect | Verdict::Inconclusive | Verdict::Missing | Verdict::NotComparable => {
            Outcome::Undecided
        }
        Verdict::Improved | Verdict::Equivalent => Outcome::Passed,
    }
}

fn message(metric: &MetricComparison) -> String {
    let mut text = metric.verdict.word().to_owned();
    let found = metric.decisive();
    if let (Some(base), Some(candidate), Some(by)) = (found.base, found.candidate, found.change) {
        let unit = if metric.metric.unit() == "tok/s" { " tok/s" } else { "" };
        text.push_str(&format!(
            ": {} to {}{unit}, {}",
            of_metric(metric.metric, base.value),
            of_metric(metric.metric, candidate.value),
            change(by)
        ));
    }
    if let Some(limits) = found.interval {
        text.push_str(&format!(" ({})", interval(limits)));
    }
    if !metric.reason.is_empty() {
        text.push_str(&format!("; {}", metric.reason));
    }
    if let Some(accepted) = &metric.accepted {
        text.push_str(&format!("; accepted: {}", accepted.reason));
    }
    text
}
