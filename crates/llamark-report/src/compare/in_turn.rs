//! Two interleaved sets, one metric of one case: the difference of each pair of starts.

use llamark_artifact::ArtifactSet;
use llamark_record::metric::Metric;
use llamark_stats::start_level::worsening;

use super::cells::{direction, levels, levels_in_turn};

/// The metrics of a case that have a value on both sides; also those without a start that met one machine.
pub fn metrics_in_both(base: &ArtifactSet, candidate: &ArtifactSet, case: &str) -> Vec<Metric> {
    let Some((a, b)) = base.ledger().case(case).zip(candidate.ledger().case(case)) else { return Vec::new() };
    let (a, b) = (levels(a), levels(b));
    a.into_keys().filter(|metric| b.contains_key(metric)).collect()
}

/// ln of the first over the second of each pair of starts that both count and met one machine, in the order of the
/// starts, with the sign that makes it above zero where the second is worse. Empty when the sets were not
/// interleaved, or a side has no value.
pub fn differences_in_turn(
    base: &ArtifactSet,
    candidate: &ArtifactSet,
    case: &str,
    metric: Metric,
) -> Vec<f64> {
    if !base.resolved.plan.is_interleaved_with(&candidate.resolved.plan) {
        return Vec::new();
    }
    let cases = base.ledger().case(case).zip(candidate.ledger().case(case));
    let Some((mut a, mut b)) = cases.map(|(base, candidate)| levels_in_turn(base, candidate)) else {
        return Vec::new();
    };
    let Some((a, b)) = a.remove(&metric).zip(b.remove(&metric)) else { return Vec::new() };
    let (a, b) = a.beside(&b);
    a.iter().zip(&b).map(|(a, b)| worsening(*a, *b, direction(metric))).collect()
}
