//! What is deterministic and must be equal: bytes of buffers, generated tokens. Compared exactly, never tested.

use std::collections::{BTreeMap, BTreeSet};

use llamark_artifact::{ArtifactSet, CaseLedger, StartLedger};
use llamark_record::Sha256;
use llamark_record::comparison::ExactDifference;
use llamark_record::journal::RunRecord;

use crate::counted;
use crate::format;

/// What differs between two cases that should not.
pub(super) fn differences(base: &CaseLedger, candidate: &CaseLedger) -> Vec<ExactDifference> {
    let (a, b) = (buffers(base), buffers(candidate));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let mut found = Vec::new();
    // A version that logs no buffers says nothing of them.
    if !a.is_empty() && !b.is_empty() {
        for name in names.into_iter().filter(|name| a.get(*name) != b.get(*name)) {
            let shown = |side: &BTreeMap<String, BTreeSet<u64>>| {
                let sizes: Vec<String> =
                    side.get(name).into_iter().flatten().map(|bytes| format::bytes(*bytes)).collect();
                if sizes.is_empty() { "none".to_owned() } else { sizes.join(", ") }
            };
            found.push(ExactDifference { what: name.clone(), base: shown(&a), candidate: shown(&b) });
        }
    }
    if same_tokens(base, candidate) == Some(false) {
        let (a, b) = (outputs(base), outputs(candidate));
        let shown = |side: &BTreeSet<&Sha256>| {
            side.iter().map(|digest| digest.short()).collect::<Vec<_>>().join(", ")
        };
        let what = "generated tokens".to_owned();
        found.push(ExactDifference { what, base: shown(&a), candidate: shown(&b) });
    }
    found
}

/// Whether both generated the same tokens; `None` where a side has no digest of what it generated.
fn same_tokens(base: &CaseLedger, candidate: &CaseLedger) -> Option<bool> {
    let (a, b) = (outputs(base), outputs(candidate));
    (!a.is_empty() && !b.is_empty()).then_some(a == b)
}

/// Of so many cases in which both sets have digests of what was generated (the second number), in how many it is the same.
pub fn cases_with_same_tokens(base: &ArtifactSet, candidate: &ArtifactSet) -> (usize, usize) {
    let of_case = |case: &CaseLedger| same_tokens(base.ledger().case(&case.case.id)?, case);
    let known: Vec<bool> = candidate.ledger().cases.iter().filter_map(of_case).collect();
    (known.iter().filter(|same| **same).count(), known.len())
}

/// Bytes by `kv buffer on Vulkan0`, over all starts.
fn buffers(case: &CaseLedger) -> BTreeMap<String, BTreeSet<u64>> {
    let mut found: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for ready in case.starts.values().filter_map(|start| start.ready.as_ref()) {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for buffer in &ready.buffers {
            let name = format!("{} buffer on {}", counted::word(&buffer.holds), buffer.device);
            let sum = sums.entry(name).or_default();
            *sum = sum.saturating_add(buffer.bytes);
        }
        for (name, bytes) in sums {
            found.entry(name).or_default().insert(bytes);
        }
    }
    found
}

/// Digests of what was generated.
fn outputs(case: &CaseLedger) -> BTreeSet<&Sha256> {
    let starts = case.starts.values().filter(|start| counted::counts(case, Some(start)));
    let runs = starts.flat_map(StartLedger::counting);
    runs.flat_map(RunRecord::measurements).filter_map(|measured| measured.output_ids.as_deref()).collect()
}
