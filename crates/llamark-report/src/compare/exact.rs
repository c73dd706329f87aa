//! What is deterministic and must be equal: bytes of buffers, generated tokens. Compared exactly, never tested.

use std::collections::{BTreeMap, BTreeSet};

use llamark_artifact::{CaseLedger, StartLedger};
use llamark_record::Sha256;
use llamark_record::comparison::ExactDifference;

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
    let (a, b) = (outputs(base), outputs(candidate));
    if !a.is_empty() && !b.is_empty() && a != b {
        let shown = |side: &BTreeSet<&Sha256>| {
            side.iter().map(|digest| digest.short()).collect::<Vec<_>>().join(", ")
        };
        let what = "generated tokens".to_owned();
        found.push(ExactDifference { what, base: shown(&a), candidate: shown(&b) });
    }
    found
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
    runs.filter_map(|run| run.measurement.as_ref()?.output_ids.as_deref()).collect()
}
