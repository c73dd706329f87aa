//! How a plan's procedure went: the page cache before a start, how a pause and a warm-up ended, why there were enough
//! starts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StartId;
use crate::plan::PageCache;

/// Pages of a file in the page cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CachedFile {
    /// Name of the file.
    pub name: String,
    /// Number of its pages.
    pub pages: u64,
    /// Number of pages in memory; absent when unknown.
    pub resident: Option<u64>,
    /// Why it is unknown, or why what the plan asks for could not be done; absent when nothing went wrong.
    pub error: Option<String>,
}

/// The state of a model's files in the page cache, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheState {
    /// No page is in memory.
    Cold,
    /// Every page is.
    Warm,
    /// Some are.
    Partial,
    /// Unknown.
    Unknown,
}

impl CacheState {
    /// Of counted files; `None` where none was counted.
    pub fn of(files: &[CachedFile]) -> Option<Self> {
        if files.is_empty() {
            return None;
        }
        let Some((pages, resident)) = pages(files) else { return Some(Self::Unknown) };
        Some(match resident {
            0 => Self::Cold,
            _ if resident == pages => Self::Warm,
            _ => Self::Partial,
        })
    }

    /// Whether it is what the plan asks for. Nothing was asked of [`PageCache::AsIs`].
    pub fn is_as_asked(self, asked: PageCache) -> bool {
        match asked {
            PageCache::AsIs => true,
            PageCache::Cold => self == Self::Cold,
            PageCache::Warm => self == Self::Warm,
        }
    }

    /// The word for tables: `cold`, `warm`, `partial`, `unknown`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
            Self::Partial => "partial",
            Self::Unknown => "unknown",
        }
    }
}

/// Pages of all files, and those in memory; `None` where that of one could not be told.
pub fn pages(files: &[CachedFile]) -> Option<(u64, u64)> {
    files.iter().try_fold((0_u64, 0_u64), |(pages, resident), file| {
        Some((pages.saturating_add(file.pages), resident.saturating_add(file.resident?)))
    })
}

/// How the pause before a start ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cooled {
    /// How long it was, ms.
    pub waited_ms: u64,
    /// The hottest sensor at its end, thousandths of a degree Celsius; absent when none could be read.
    pub millicelsius: Option<i64>,
    /// Name of that sensor; empty when none could be read.
    pub sensor: String,
    /// What ended it.
    pub by: CooledBy,
}

/// What ended a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CooledBy {
    /// It is as cool as the plan asks for.
    Cool,
    /// It took as long as the plan allows.
    Limit,
    /// No sensor could be read: it was as long as the plan allows.
    NoSensor,
}

/// A start is warm, or warming up was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmedUp {
    /// Which.
    pub id: StartId,
    /// Warm-up runs that were made.
    pub runs: u32,
    /// What ended the warm-up.
    pub by: WarmedUpBy,
}

/// What ended a warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarmedUpBy {
    /// The last runs differ by no more than the plan allows.
    Steady,
    /// They still differed after the maximum number of runs.
    Limit,
}

/// A case has enough starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enough {
    /// Id of the case.
    pub case: String,
    /// Starts that were made: the first of the plan's.
    pub starts: u32,
    /// What ended it.
    pub by: EnoughBy,
}

/// Why no more starts are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnoughBy {
    /// The intervals of the rates are as narrow as the plan asks for.
    Narrow,
    /// The servers of the set ran as long as the plan allows.
    Time,
    /// As many pairs of starts as the plan asks for met one machine; of two sets that are interleaved. Or the case
    /// came to a bad end in the other one, so that there are no pairs.
    Pairs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_cold_or_warm_with_all_of_its_shards() {
        let file = |pages, resident| CachedFile { name: "m.gguf".to_owned(), pages, resident, error: None };
        let of = |files: &[CachedFile]| CacheState::of(files).map(CacheState::word);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[file(10, Some(0)), file(2, Some(0))]), Some("cold"));
        assert_eq!(of(&[file(10, Some(10)), file(2, Some(2))]), Some("warm"));
        assert_eq!(of(&[file(10, Some(10)), file(2, Some(0))]), Some("partial"));
        assert_eq!(of(&[file(10, Some(10)), file(2, None)]), Some("unknown"));
        assert!(CacheState::Partial.is_as_asked(PageCache::AsIs));
        assert!(!CacheState::Partial.is_as_asked(PageCache::Cold));
        assert!(CacheState::Warm.is_as_asked(PageCache::Warm));
    }
}
