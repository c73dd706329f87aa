//! Suspects and regressions that were measured again: the fresh starts alone decide.

use std::collections::BTreeMap;

use llamark_record::comparison::{CaseComparison, Confirmation, MetricComparison, Rules, Verdict};
use llamark_record::metric::Metric;
use llamark_stats::pools::Pools;
use llamark_stats::verdict::{self, Cell, Retest, Retested};

use super::cells::Levels;
use super::judge::{Open, Pairs, change, change_interval, conclude, open, word};
use crate::error::ReportError;
use crate::estimate::round;
use crate::format;

/// What fresh starts are to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// What looks or is worse.
    Worse,
    /// That, and what is inconclusive.
    Undecided,
}

/// Whether a metric is to be measured again: it gates, looks or is worse (or is undecided), and nobody accepted it.
///
/// An improvement is not: it costs nobody anything. A suspect is, whichever way it points, unless it is one for what the
/// candidate computes. Bytes that were compared exactly have no luck that fresh starts could take away.
pub fn is_to_confirm(metric: &MetricComparison, again: Again) -> bool {
    let is_open = match metric.verdict {
        Verdict::Regressed | Verdict::Suspect => metric.evidence.is_some(),
        // Also where too few starts met one machine, or there was one: fresh ones have more to say.
        Verdict::Inconclusive => again == Again::Undecided,
        _ => false,
    };
    metric.gates && is_open && !metric.doubted && metric.accepted.is_none()
}

/// Replaces the verdicts that are to be confirmed with those of the fresh starts. Where the fresh sets have no
/// result, the first verdict stands, and the reason says so.
pub(super) fn apply(
    cases: &mut [CaseComparison],
    screen: &Pairs<'_>,
    (fresh, again): (&Pairs<'_>, Again),
    by: &Rules,
) -> Result<(), ReportError> {
    let seen: Vec<Cell<'_>> =
        open(screen, by).iter().filter_map(Open::cell).filter(|cell| cell.gating).collect();
    // What is usual was learned before the fresh starts, from other cells.
    let pools = Pools::learn(&seen);
    let fresh = open(fresh, by);
    let by_place: BTreeMap<(&str, Metric), &Open<'_>> =
        fresh.iter().map(|open| ((open.id, open.metric), open)).collect();
    let mut retests = Vec::new();
    for case in cases.iter_mut() {
        for metric in case.metrics.iter_mut().filter(|metric| is_to_confirm(metric, again)) {
            let open = by_place.get(&(case.id.as_str(), metric.metric)).copied();
            match open.and_then(|open| Some((open, retest(metric, open, &pools)?))) {
                Some((open, retest)) => retests.push((metric, open, retest)),
                None => undecided(metric),
            }
        }
    }
    let numbers: Vec<Retest> = retests.iter().map(|(_, _, retest)| *retest).collect();
    let retested = verdict::confirm(&numbers, by.alpha).ok_or(ReportError::NotFinite)?;
    for ((metric, open, retest), retested) in retests.into_iter().zip(retested) {
        decide(metric, &Fresh { open, retest, retested, alpha: by.alpha })?;
    }
    cases.iter_mut().filter(|case| !case.metrics.is_empty()).for_each(conclude);
    Ok(())
}

struct Fresh<'a, 'b> {
    open: &'a Open<'b>,
    retest: Retest,
    retested: Retested,
    alpha: f64,
}

fn retest<'a>(metric: &MetricComparison, open: &Open<'a>, pools: &Pools<'a>) -> Option<Retest> {
    let cell = open.cell()?;
    // What was inconclusive pointed nowhere.
    let is_directed = metric.verdict != Verdict::Inconclusive;
    let screened = metric.evidence.map(|evidence| evidence.difference).filter(|_| is_directed);
    // Two of them that agree by chance would say anything.
    let enough = cell.effect.starts >= llamark_stats::estimate::FEWEST_STARTS;
    let fresh = pools.estimate(&cell).filter(|_| enough)?;
    Some(Retest { screened, fresh, minimum: cell.minimum, margin: cell.margin })
}

/// Measured again, and nothing can be said of it: the first verdict stands, since nothing contradicts it.
fn undecided(metric: &mut MetricComparison) {
    "measured again, but fewer than three usable pairs remain (or all agree exactly): the first verdict stands"
        .clone_into(&mut metric.reason);
}

fn decide(metric: &mut MetricComparison, found: &Fresh<'_, '_>) -> Result<(), ReportError> {
    let (fresh, verdict) = (found.retest.fresh, word(found.retested.verdict));
    let arm = |levels: &Option<Levels>| levels.as_ref().and_then(Levels::arm).ok_or(ReportError::NotFinite);
    let interval = fresh.interval(1.0 - 2.0 * found.alpha).ok_or(ReportError::NotFinite)?;
    let confirmation = Confirmation {
        screened: metric.verdict,
        base: arm(&found.open.base)?,
        candidate: arm(&found.open.candidate)?,
        change: round(change(metric.metric, fresh.difference)),
        interval: change_interval(metric.metric, &interval),
        p: round(found.retested.p),
        p_adjusted: round(found.retested.p_adjusted),
    };
    let is_changed = verdict == Verdict::Regressed || verdict == Verdict::Improved;
    let said = match (found.retest.screened.is_some(), is_changed) {
        (true, true) => "confirmed",
        (true, false) => "not confirmed",
        (false, _) => verdict.word(),
    };
    metric.reason = format!(
        "{} at first{}; {said} by {} pairs of fresh starts",
        confirmation.screened.word(),
        metric.change.map_or_else(String::new, |change| format!(" ({})", format::change(change))),
        found.open.effect.map_or(0, |effect| effect.starts),
    );
    metric.verdict = verdict;
    metric.confirmation = Some(confirmation);
    if let Some(evidence) = &mut metric.evidence {
        // Of the screen, which does not decide any more.
        (evidence.detectable, evidence.starts_needed) = (None, None);
    }
    Ok(())
}
