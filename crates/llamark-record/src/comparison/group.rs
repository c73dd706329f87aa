//! Cases that moved together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Interval;
use crate::metric::Metric;

/// A group of cases that moved together: the mean of those that were not called individually moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupFinding {
    /// What the cases have in common.
    pub kind: GroupKind,
    /// Which: a backend, a model, a prompt; empty for all cases.
    pub name: String,
    /// The metric, which gates.
    pub metric: Metric,
    /// Number of cases of the group that are not individually called regressed or improved.
    pub cases: u64,
    /// Mean of their differences, in logarithms; above zero is worse.
    pub difference: f64,
    /// The same as a share: candidate over base, less one.
    pub change: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// p of a shift no larger than 0.5 %, times the number of groups that were looked at.
    pub p_adjusted: f64,
    /// Whether the starts were interleaved. If not, a shift of the machine between the sets looks the same.
    pub interleaved: bool,
}

/// What the cases of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// They are all of them.
    All,
    /// The backend.
    Backend,
    /// The model.
    Model,
    /// The prompt.
    Prompt,
}

impl GroupKind {
    /// The word for people, before a name.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Backend => "backend",
            Self::Model => "model",
            Self::Prompt => "prompt",
        }
    }
}
