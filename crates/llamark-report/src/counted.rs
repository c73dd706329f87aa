//! Which runs count, and the value of a metric in one of them: decided here, once, for tables and comparisons.

use llamark_artifact::{CaseLedger, StartLedger};
use llamark_record::journal::{BrokenRule, Measurement, Outcome, RunRecord};
use llamark_record::metric::{self, Metric};

use crate::format::float;

/// Whether the numbers of this start mean what the plan says. Those of a start or a case that was found invalid
/// do not: a fallback to the processor must not be read as a result of the device.
pub(crate) fn start_counts(case: &CaseLedger, start: &StartLedger) -> bool {
    let is_invalid = |outcome: &Outcome| matches!(outcome, Outcome::Invalid { .. });
    let case_is_invalid = case.outcome.as_ref().is_some_and(is_invalid);
    let start_is_invalid = start.closed.as_ref().is_some_and(|closed| is_invalid(&closed.outcome));
    !case_is_invalid && !start_is_invalid
}

/// The starts of a case that count, each with its runs that count, in order.
pub(crate) fn runs(
    case: &CaseLedger,
) -> impl Iterator<Item = (&StartLedger, Vec<(&RunRecord, &Measurement)>)> {
    case.starts.values().filter(|start| start_counts(case, start)).map(|start| {
        let runs = start.runs.iter().filter(|run| run.counts());
        (start, runs.filter_map(|run| Some((run, run.measurement.as_ref()?))).collect())
    })
}

/// The value of a metric of runs, in its unit; `None` for a metric of starts, or when there is no rate.
pub(crate) fn run_value(metric: Metric, measurement: &Measurement) -> Option<f64> {
    match metric {
        Metric::Pp => metric::prompt_rate(measurement.prompt_tokens, measurement.prompt_us),
        Metric::Tg => metric::generation_rate(measurement.generated_tokens, measurement.generation_us),
        Metric::Ttft => Some(float(measurement.first_token_ns) / 1e6),
        Metric::Load | Metric::Rss => None,
    }
}

/// The value of a metric of starts, in its unit; `None` for a metric of runs, or when it was not seen.
pub(crate) fn start_value(metric: Metric, start: &StartLedger) -> Option<f64> {
    match metric {
        Metric::Load => Some(float(start.ready.as_ref()?.load.ready_us) / 1e3),
        Metric::Rss => Some(float(start.closed.as_ref()?.max_rss_bytes?)),
        Metric::Pp | Metric::Tg | Metric::Ttft => None,
    }
}

/// The broken rules as one text: `cold_cache: 12 tokens came from a cache; ...`.
pub(crate) fn broken_text(broken: &[BrokenRule]) -> String {
    let mut text = String::new();
    for rule in broken {
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(&word(&rule.rule));
        if !rule.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&rule.detail);
        }
    }
    text
}

/// The name of a unit variant as it is written in records: `cold_cache`, `out_of_memory`.
pub(crate) fn word<T: serde::Serialize>(variant: &T) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
