//! How fast the processor itself was at a moment, measured by work that is always the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long the same work took on the processor, before a start or after it: a witness that no version of llama.cpp, no
/// build and no setting can change, but that everything changes which takes the machine away from what is measured.
///
/// Times are nanoseconds from the moment that all threads began a slice to the moment that the last of them ended it.
/// They are comparable only within the same version of llamark and with the same number of threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Threads that worked at the same time: as many as the server computes with.
    pub threads: u32,
    /// Slices of multiplying and adding numbers in the first-level cache of each core.
    pub compute_ns: Vec<u64>,
    /// Slices of reading more memory than most caches hold, all threads together.
    pub memory_ns: Vec<u64>,
    /// Slices of some thousand synchronisations of all threads, each busy-waiting until the last one arrives. Cores
    /// that are far apart, as a virtual machine may be given, take longer. Empty unless there is a thread for each
    /// processor: fewer threads may be anywhere.
    pub sync_ns: Vec<u64>,
}
