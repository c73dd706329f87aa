//! How a start is prepared, when it is warm, and how many starts are enough.
//!
//! What is as it always was is omitted from the file, so that older plans keep their digest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How starts are prepared and when there are enough of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Procedure {
    /// What is done to the page cache before each start.
    #[serde(default, skip_serializing_if = "PageCache::is_as_is")]
    pub cache: PageCache,
    /// In which order the starts of the cases are made: what the plan's schedule comes from.
    #[serde(default, skip_serializing_if = "Order::is_interleave")]
    pub order: Order,
    /// When a start is warm.
    #[serde(default, skip_serializing_if = "WarmUp::is_counted")]
    pub warmup: WarmUp,
    /// When a case has enough starts; absent: when all that are planned are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// What the pause before a start waits for.
    #[serde(default, skip_serializing_if = "CoolDown::is_pause")]
    pub cooldown: CoolDown,
    /// Shortest run that the author wants to rely on, ms; 0: any. A report says which cases stay below it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_run_ms: u64,
}

impl Procedure {
    /// Whether there is nothing to say.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What is done to the pages of a model's files in the page cache before each start of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PageCache {
    /// Nothing: they are as whatever ran before left them.
    #[default]
    AsIs,
    /// They are dropped from memory, so that the model loads from the disk.
    Cold,
    /// They are read into memory.
    Warm,
}

impl PageCache {
    /// The word in an experiment.
    pub fn word(self) -> &'static str {
        match self {
            Self::AsIs => "as-is",
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
    fn is_as_is(&self) -> bool {
        *self == Self::AsIs
    }
}

/// In which order the starts of the cases are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// In blocks: one start of every case, in random order from the seed; then the next one of every case.
    #[default]
    Interleave,
    /// Every start of a case before the next case, in the order of the cases. What the machine does over hours then
    /// looks like a difference between cases.
    Grouped,
}

impl Order {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
    fn is_interleave(&self) -> bool {
        *self == Self::Interleave
    }
}

/// When a start is warm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WarmUp {
    /// After the case's number of warm-up runs.
    #[default]
    Counted,
    /// As soon as the last runs differ by no more than this; at the latest after the case's number of warm-up runs.
    Steady {
        /// How many runs are compared; at least 2.
        window: u32,
        /// Largest coefficient of variation of these, in parts per million, of every rate that they have.
        variation_ppm: u32,
    },
}

impl WarmUp {
    fn is_counted(&self) -> bool {
        *self == Self::Counted
    }
}

/// When a case has enough starts: `starts` of the case is then the most that are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// Largest half-width of the interval of the mean over starts, as a share of the mean, in parts per million.
    pub share_ppm: u32,
    /// Minimum number of starts.
    pub least: u32,
    /// Total running time of all servers of the set, ms; when it is used up, no case gets more than the minimum of
    /// starts, or those that it already has. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_server_ms: Option<u64>,
}

/// What the pause before a start waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CoolDown {
    /// Nothing: it has a length.
    #[default]
    Pause,
    /// Until the hottest sensor of the backend's device is at most this warm; at the latest after the length of the
    /// pause.
    Until {
        /// In thousandths of a degree Celsius.
        millicelsius: u64,
    },
}

impl CoolDown {
    fn is_pause(&self) -> bool {
        *self == Self::Pause
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_usual_is_not_written() {
        assert_eq!(serde_json::to_string(&Procedure::default()).unwrap(), "{}");
        let other = Procedure {
            cache: PageCache::Cold,
            order: Order::Grouped,
            warmup: WarmUp::Steady { window: 3, variation_ppm: 20_000 },
            until: Some(Until { share_ppm: 20_000, least: 3, max_server_ms: None }),
            cooldown: CoolDown::Until { millicelsius: 60_000 },
            min_run_ms: 2_000,
        };
        let text = serde_json::to_string(&other).unwrap();
        assert_eq!(serde_json::from_str::<Procedure>(&text).unwrap(), other);
        assert!(!other.is_usual() && Procedure::default().is_usual());
    }
}
