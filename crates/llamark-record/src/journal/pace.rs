//! How fast the processor itself was at a moment, told by work that is always the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the same work took on the processor, before a start or after it: a witness that no version of llama.cpp, no build and
/// no setting can move, and that everything moves which takes the machine away from what is measured.
///
/// Times are nanoseconds from the moment that all threads began a slice to the moment that the last of them ended it. They compare
/// with those of the same version of llamark and of as many threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Threads that worked at the same time: as many as the server computes with.
    pub threads: u32,
    /// Slices of multiplying and adding numbers that lie in the first cache of each core.
    pub compute_ns: Vec<u64>,
    /// Slices of reading more memory than most caches hold, all threads together.
    pub memory_ns: Vec<u64>,
    /// Slices of some thousand meetings of all threads, each awake until the last one is there: what cores that are far from each
    /// other, as a virtual machine may be given them, take longer for. None unless there is a thread for each processor: fewer may
    /// lie anywhere.
    pub sync_ns: Vec<u64>,
}
