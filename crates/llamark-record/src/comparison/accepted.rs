//! Regressions that somebody accepted, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// A regression that somebody accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// Why.
    pub reason: String,
    /// Last day on which it holds, `2027-01-31`; absent: it holds until it is removed.
    pub until: Option<String>,
}

/// An entry of the file of accepted changes that had no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaleAcceptance {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Its case.
    pub case: String,
    /// Its metric.
    pub metric: Metric,
    /// Why it had none.
    pub why: String,
}

/// A change that a team lives with: an entry of the file of accepted changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedChange {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Id of the case.
    pub case: String,
    /// The metric.
    pub metric: Metric,
    /// How much worse it may be, in parts per million of the baseline.
    pub at_most_ppm: u32,
    /// Why.
    pub reason: String,
    /// Last day on which it holds, `2027-01-31`; absent: it holds until it is removed.
    pub until: Option<String>,
}
