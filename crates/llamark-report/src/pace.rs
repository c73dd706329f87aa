//! How fast the processor itself was before and after each start, as the journal has it.

use std::collections::{BTreeMap, BTreeSet};

use llamark_artifact::{CaseLedger, StartLedger};
use llamark_record::comparison::PaceKind;
use llamark_record::journal::Pace;

use crate::counted::counts;
use crate::format::float;

/// ln of the median slice of a start, by its number, and the threads that all of them had.
pub(crate) struct Paces {
    pub(crate) threads: u32,
    pub(crate) by_start: BTreeMap<u32, f64>,
}

impl Paces {
    /// Of the starts of a case that count and met one machine; `None` if there are none, or not all of as many
    /// threads.
    pub(crate) fn of(case: &CaseLedger, kind: PaceKind) -> Option<Self> {
        let mut threads = BTreeSet::new();
        let mut by_start = BTreeMap::new();
        let met_one = |start: &&StartLedger| counts(case, Some(start)) && !moved_during(start);
        for start in case.starts.values().filter(met_one) {
            let behind = start.closed.as_ref().and_then(|closed| closed.pace.as_deref());
            let paces = [start.opened.pace.as_deref(), behind];
            let slices: Vec<f64> = paces.into_iter().flatten().flat_map(|pace| slices(pace, kind)).collect();
            threads.extend(paces.into_iter().flatten().map(|pace| pace.threads));
            if let Some(median) = llamark_stats::median(&slices).filter(|median| *median > 0.0) {
                by_start.insert(start.id.start, median.ln());
            }
        }
        let threads = threads.first().copied().filter(|_| threads.len() == 1 && !by_start.is_empty())?;
        Some(Self { threads, by_start })
    }

    /// The logarithms, in the order of the starts.
    pub(crate) fn times(&self) -> Vec<f64> {
        self.by_start.values().copied().collect()
    }
}

fn slices(pace: &Pace, kind: PaceKind) -> impl Iterator<Item = f64> {
    let slices = match kind {
        PaceKind::Compute => &pace.compute_ns,
        PaceKind::Memory => &pace.memory_ns,
        PaceKind::Sync => &pace.sync_ns,
    };
    slices.iter().map(|time| float(*time))
}

/// How many times as long threads take to come together on other cores, at least, as a logarithm: twice. What a quiet machine
/// shows is less, and cores that share no cache take four times as long.
const OTHER_CORES: f64 = std::f64::consts::LN_2;

/// Threads, and the logarithm of how long they took to synchronise, before and after a start, as far as that is known.
pub(crate) fn syncs(start: &StartLedger) -> impl Iterator<Item = (u32, f64)> {
    let behind = start.closed.as_ref().and_then(|closed| closed.pace.as_deref());
    [start.opened.pace.as_deref(), behind].into_iter().flatten().filter_map(|pace| {
        let median = llamark_stats::median(&slices(pace, PaceKind::Sync).collect::<Vec<_>>())?;
        Some((pace.threads, median.ln())).filter(|(_, time)| time.is_finite())
    })
}

/// Whether a machine was another one at some of these moments. Of other numbers of threads nothing can be told.
fn is_moved(syncs: impl Iterator<Item = (u32, f64)>) -> bool {
    let syncs: Vec<(u32, f64)> = syncs.collect();
    let Some((threads, _)) = syncs.first() else { return false };
    let (least, most) = syncs.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), (_, sync)| {
        (least.min(*sync), most.max(*sync))
    });
    syncs.iter().all(|(other, _)| other == threads) && most - least > OTHER_CORES
}

/// Whether the machine moved to other cores during a start: what was measured is of neither.
pub(crate) fn moved_during(start: &StartLedger) -> bool {
    is_moved(syncs(start))
}

/// Interleaved starts, by number, for which the machine had different cores on the two sides.
pub(crate) fn apart(base: &CaseLedger, candidate: &CaseLedger) -> BTreeSet<u32> {
    let is_apart = |start: &&StartLedger| {
        let Some(other) = candidate.starts.get(start.id.start) else { return false };
        moved_during(start) || moved_during(other) || is_moved(syncs(start).chain(syncs(other)))
    };
    base.starts.values().filter(is_apart).map(|start| start.id.start).collect()
}

/// How many pairs of two interleaved cases count on both sides and met one machine. The measured values play no part
/// in it, so replacing the pairs that did not is no selection.
pub fn pairs_on_one_machine(base: &CaseLedger, candidate: &CaseLedger) -> usize {
    let apart = apart(base, candidate);
    let is_one = |start: &&StartLedger| {
        let other = candidate.starts.get(start.id.start);
        let count = counts(base, Some(start)) && other.is_some_and(|other| counts(candidate, Some(other)));
        count && !apart.contains(&start.id.start)
    };
    base.starts.values().filter(is_one).count()
}
