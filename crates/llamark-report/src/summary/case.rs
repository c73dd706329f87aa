//! A case of a summary: how it went, how often it was measured, and what that gave.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FirstRun, Metrics, Steady};

/// Runs of one case that are listed one by one; the others are in `results.parquet`.
pub const LISTED_RUNS: usize = 60;

/// A case: one row of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseSummary {
    /// `MODEL/BACKEND/PROMPT`, and the parts of the shape that are not as usual.
    pub id: String,
    /// Place of the model in `models`.
    pub model: usize,
    /// Place of the backend in `backends`.
    pub backend: usize,
    /// Name of the prompt.
    pub prompt: String,
    /// What is not as usual in the shape, for people: `depth 4096, 4 streams`; with the tokens generated where the
    /// cases of the set differ in them. Empty if there is nothing to say.
    pub shape: String,
    /// Tokens of context before the prompt.
    pub depth: u32,
    /// Streams at once.
    pub concurrency: u32,
    /// Tokens generated in each run, by each stream.
    pub max_tokens: u32,
    /// `ok`, `failed`, `skipped`, `invalid`; `open` when the set was interrupted before the case ended.
    pub outcome: String,
    /// Kind of the failure, as in the journal: `out_of_memory`, ...; empty unless it failed.
    pub failure: String,
    /// Why it is not ok, in one sentence; empty when it is.
    pub reason: String,
    /// What the user can do; empty when nothing is known.
    pub hint: String,
    /// The lines of the server's log that decided a failure.
    pub log: Vec<String>,
    /// How many runs and starts.
    pub counts: Counts,
    /// Tokens of the prompt; absent when no server came up.
    pub prompt_tokens: Option<u32>,
    /// What was measured.
    pub metrics: Metrics,
    /// Why a metric of the sensors has no value, by its name; empty when the sensors were not asked.
    pub not_available: BTreeMap<String, String>,
    /// How it loaded, in stages and by the state of the page cache; absent if no start says what that was. Left out
    /// of the file then, so that the summaries of older sets are the same bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading: Option<Loading>,
    /// How many warm-up runs its starts needed; absent, and omitted from the file, where that was fixed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_ups: Option<WarmUps>,
    /// Why it has so many starts; absent, and omitted from the file, where that was fixed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// How its tokens compare with those of the processor alone; absent if no server was asked, and omitted from the
    /// file then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryCheck>,
    /// Whether the perplexity of its model on its backend is not a number, or worse than rounding explains; omitted
    /// from the file if it is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_bad_perplexity: bool,
    /// tg as a share of what the memory bandwidth allows: tg x bytes per token / bandwidth. Absent when either is
    /// unknown. The KV cache is not in it, so the true share is a little higher.
    pub roofline: Option<f64>,
    /// How the first run differs from the others, where there are enough.
    pub first_run: Option<FirstRun>,
    /// The steady state, where the first runs are not in it.
    pub steady: Steady,
    /// The runs of the starts that count, warm-up included; at most [`LISTED_RUNS`].
    pub runs: Vec<RunLine>,
    /// Runs that are not in `runs`.
    pub runs_not_listed: u64,
}

impl CaseSummary {
    /// Whether it is known to compute the wrong thing: its speed then means nothing.
    pub fn is_suspect(&self) -> bool {
        self.has_bad_perplexity || self.canary.as_ref().is_some_and(|canary| canary.suspect)
    }
}

/// How many warm-up runs the starts of a case needed to be steady.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUps {
    /// Starts.
    pub starts: u32,
    /// Fewest runs of one.
    pub fewest: u32,
    /// Most runs of one.
    pub most: u32,
    /// Starts that were not steady after the most runs that the plan allows.
    pub unsteady: u32,
}

/// Why a case has so many starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopped {
    /// Starts that were made.
    pub starts: u32,
    /// Most that the plan allows.
    pub most: u32,
    /// `narrow`: the intervals are as narrow as was asked; `time`: the time was used up; `most`: no more are allowed.
    pub by: String,
    /// Half-width that was asked for, as a share of the mean.
    pub asked: f64,
    /// The wider of the half-widths of PP and TG, likewise; absent if neither has an interval.
    pub widest: Option<f64>,
}

/// How the tokens of a case compare with those of the processor alone: of its starts the worst.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryCheck {
    /// `equal`; `rounding`: they part where two tokens are nearly as likely; `wrong`: they part where that does not explain
    /// it; `stuck`: likewise, and one token over and over; `unknown`: they part, and nobody knows how sure the processor was;
    /// `missing`: nothing was compared.
    pub agreement: String,
    /// Whether it is `wrong` or `stuck`.
    pub suspect: bool,
    /// Starts that were compared.
    pub compared: u32,
    /// Starts that are `wrong` or `stuck`.
    pub wrong: u32,
    /// The start that the rest is of.
    pub start: u32,
    /// The token at which they first differ, from 1; absent if they do not.
    pub at: Option<u32>,
    /// How much less likely its token was for the processor there: difference of the natural logarithms; of `wrong` the
    /// least.
    pub gap: Option<f64>,
    /// The head of its text.
    pub text: String,
    /// The head of the processor's.
    pub expected: String,
    /// Why nothing was compared; else empty.
    pub reason: String,
}

/// The canaries of all cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryTally {
    /// Tokens of a canary.
    pub tokens: u32,
    /// Cases by the word of [`CanaryCheck::agreement`].
    pub cases: BTreeMap<String, u32>,
    /// The same for people: `equal in 9 of 10 cases; rounding from token 17 in 1`, with the first token at which any parts.
    pub text: String,
}

/// How the starts of a case loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loading {
    /// What the experiment asks of the page cache: `as-is`, `cold`, `warm`.
    pub asked: String,
    /// What it was before the starts that count: `cold`, `warm`, `partial`, `unknown`; `mixed` where they differ, and
    /// then one mean over them says little.
    pub cache: String,
    /// By the state of the page cache.
    pub by_cache: Vec<LoadingFrom>,
}

/// How the starts loaded that found the page cache in one state. Times are means over them, in ms from the spawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadingFrom {
    /// The state: `cold`, `warm`, `partial`, `unknown`.
    pub cache: String,
    /// Share of the pages of the model's files that were in memory, the least and the most of these starts; absent if
    /// it is unknown.
    pub resident: Option<[f64; 2]>,
    /// Why that is unknown, or why what was asked could not be done; empty if nothing went wrong.
    pub reason: String,
    /// How many starts.
    pub starts: u32,
    /// First line of the log; absent if some start does not say.
    pub first_line_ms: Option<f64>,
    /// Weights are in memory; absent if some start does not say.
    pub weights_ms: Option<f64>,
    /// Ready for requests.
    pub ready_ms: f64,
}

/// How many runs and starts a case has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Runs that the plan counts.
    pub planned: u64,
    /// Runs that count.
    pub valid: u64,
    /// Runs that break a rule (warm-up apart).
    pub invalid: u64,
    /// Warm-up runs.
    pub warmup: u64,
    /// Starts that the plan has.
    pub starts_planned: u32,
    /// Starts with at least one run that counts.
    pub starts: u32,
    /// Starts that were interrupted or failed and were tried again.
    pub superseded: u32,
}

/// One run, for the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunLine {
    /// Which start.
    pub start: u32,
    /// Which run of it; warm-up runs count apart.
    pub index: u32,
    /// A warm-up run.
    pub warmup: bool,
    /// Whether it counts (or would, were it no warm-up).
    pub valid: bool,
    /// The rules that it breaks, as one text; empty when none.
    pub broken: String,
    /// Prompt processing, tok/s.
    pub pp: Option<f64>,
    /// Token generation, tok/s.
    pub tg: Option<f64>,
    /// Time to first token, ms.
    pub ttft: Option<f64>,
    /// Tokens of the prompt that were evaluated.
    pub prompt_tokens: Option<u32>,
    /// Tokens generated.
    pub generated_tokens: Option<u32>,
}
