//! Regressions that somebody accepted: they are shown with the reason, and do not gate.

use llamark_record::comparison::{
    Acceptance, AcceptedChange, CaseComparison, MetricComparison, StaleAcceptance, Verdict,
};
use llamark_stats::start_level::relative;

use super::cells::direction;
use crate::format;

/// Marks what was accepted, and gives the entries that had no effect, by their line.
pub(super) fn apply(
    cases: &mut [CaseComparison],
    accepted: &[AcceptedChange],
    today: &str,
) -> Vec<StaleAcceptance> {
    let mut stale = Vec::new();
    for entry in accepted {
        if let Some(why) = refuse(cases, entry, today) {
            let (line, case, metric) = (entry.line, entry.case.clone(), entry.metric);
            stale.push(StaleAcceptance { line, case, metric, why });
        }
    }
    stale
}

/// Marks the change of an entry, or says why it does not hold.
fn refuse(cases: &mut [CaseComparison], entry: &AcceptedChange, today: &str) -> Option<String> {
    if let Some(until) = entry.until.as_deref().filter(|until| *until < today) {
        return Some(format!("it was valid until {until}"));
    }
    let Some(case) = cases.iter_mut().find(|case| case.id == entry.case) else {
        return Some("neither set has this case".to_owned());
    };
    let reason = case.reason.clone();
    let Some(metric) = case.metrics.iter_mut().find(|metric| metric.metric == entry.metric) else {
        return Some(if reason.is_empty() { "this case has no such metric".to_owned() } else { reason });
    };
    match metric.verdict {
        Verdict::Regressed | Verdict::Suspect => accept(metric, entry),
        // It may come back with more starts.
        Verdict::Inconclusive => None,
        Verdict::Improved | Verdict::Equivalent | Verdict::Missing | Verdict::NotComparable => {
            Some(format!("it is now {}", metric.verdict.word()))
        }
    }
}

fn accept(metric: &mut MetricComparison, entry: &AcceptedChange) -> Option<String> {
    let most = f64::from(entry.at_most_ppm) / 1e6;
    let worse = metric.evidence.map(|evidence| relative(evidence.difference, direction(metric.metric)));
    let worse = worse.or(metric.change.map(f64::abs)).unwrap_or(f64::INFINITY);
    if worse > most {
        return Some(format!(
            "it is worse by {}, but only {} is accepted",
            format::percent(worse),
            format::percent(most)
        ));
    }
    metric.accepted = Some(Acceptance { reason: entry.reason.clone(), until: entry.until.clone() });
    None
}
