//! Two sets measured in turn, one metric of one case: the difference of each pair of starts.

use llamark_artifact::ArtifactSet;
use llamark_record::metric::{Direction, Metric};

use super::cells::levels;

/// ln of the first over the second of each pair of starts that both count, in the order of the starts, with the sign
/// that makes it above zero where the second is worse. Empty when the sets were not measured in turn, or a side has no
/// value.
pub fn differences_in_turn(
    base: &ArtifactSet,
    candidate: &ArtifactSet,
    case: &str,
    metric: Metric,
) -> Vec<f64> {
    if !base.resolved.plan.is_interleaved_with(&candidate.resolved.plan) {
        return Vec::new();
    }
    let of = |set: &ArtifactSet| levels(set.ledger().case(case)?).remove(&metric);
    let Some((a, b)) = of(base).zip(of(candidate)) else { return Vec::new() };
    let (a, b) = a.beside(&b);
    let sign = match metric.direction() {
        Direction::HigherIsBetter => 1.0,
        Direction::LowerIsBetter => -1.0,
    };
    a.iter().zip(&b).map(|(a, b)| sign * (a - b)).collect()
}
