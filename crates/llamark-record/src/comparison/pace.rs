//! A change compared with how fast the processor itself was.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Interval, Verdict};

/// A change relative to how fast the processor itself was before and after each start. It decides nothing alone: a
/// change is called only if it shows both as measured and relative to this.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relative {
    /// The kind of work.
    pub to: PaceKind,
    /// How much faster the processor was at it during the candidate than during the baseline, as a share; below zero
    /// it was slower.
    pub pace: f64,
    /// Candidate over base, less one, if the processor had been equally fast for both.
    pub change: f64,
    /// The same with its 90 % interval.
    pub interval: Interval,
    /// The verdict by that alone.
    pub verdict: Verdict,
}

/// A kind of work that shows how fast a processor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaceKind {
    /// Multiplying and adding in the first-level cache.
    Compute,
    /// Reading memory.
    Memory,
    /// Synchronising threads.
    Sync,
}

impl PaceKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Compute, Self::Memory, Self::Sync];

    /// For people: what the processor did at that pace.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Compute => "computed",
            Self::Memory => "read memory",
            Self::Sync => "synchronised its threads",
        }
    }
}
