//! How fast the processor itself was before and behind each start, as the journal has it.

use std::collections::{BTreeMap, BTreeSet};

use llamark_artifact::CaseLedger;
use llamark_record::comparison::PaceKind;
use llamark_record::journal::Pace;

use crate::format::float;

/// ln of the median slice of a start, by its number, and the threads that all of them had.
pub(crate) struct Paces {
    pub(crate) threads: u32,
    pub(crate) by_start: BTreeMap<u32, f64>,
}

impl Paces {
    /// Of the starts of a case; `None` where there are none, or not all of as many threads.
    pub(crate) fn of(case: &CaseLedger, kind: PaceKind) -> Option<Self> {
        let mut threads = BTreeSet::new();
        let mut by_start = BTreeMap::new();
        for start in case.starts.values() {
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
