//! The journal: what happened, as a hash-chained list of events. It is the truth of an artifact set.
//!
//! Raw integers only: nanoseconds and microseconds, token counts, bytes. Every rate, mean and table can be made
//! again from it. Nothing is ever dropped: a run that breaks a rule is recorded with the rule that it breaks,
//! and an interrupted start stays next to the attempt that replaced it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::build::BuildRecord;
use crate::canary::{Canary, CanaryReference};
use crate::environment::Fact;
use crate::llama_bench::{BenchReport, BenchRun};
use crate::model::ModelRecord;
use crate::perplexity::Perplexity;
use crate::stated::StatedStart;
use crate::telemetry::Telemetry;
use crate::{CaseId, Sha256, SharedSha256};

mod pace;
mod procedure;

pub use pace::Pace;
pub use procedure::{
    CacheState, CachedFile, Cooled, CooledBy, Enough, EnoughBy, WarmedUp, WarmedUpBy, pages,
};

/// `format` of a journal as written by this version.
pub const JOURNAL_FORMAT: &str = "llamark/journal/v1";

/// One line of `journal.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Place in the journal, from 0.
    pub seq: u64,
    /// `hash` of the line before; 64 zeros in the first.
    pub prev: Sha256,
    /// When it was written: RFC 3339, UTC, by the wall clock (never used to measure).
    pub at: String,
    /// What happened.
    pub event: Event,
    /// SHA-256 of the canonical JSON of this object without `hash`.
    pub hash: Sha256,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A set was opened. Always the first, and only there.
    Begin(Begin),
    /// An interrupted set was opened again.
    Resume(Begin),
    /// A model was found and hashed.
    Model(ModelRecord),
    /// A build is ready.
    Build(BuildEvent),
    /// A start began: the server is about to be spawned.
    StartOpened(StartOpened),
    /// The server answers, and its settings were read back.
    StartReady(StartReady),
    /// llama-bench finished, if it is what measures: it takes the place of the event above.
    Bench(BenchReport),
    /// One request was made.
    Run(RunRecord),
    /// What the sensors of the machine said during a start; after the server is gone, before the start is closed.
    Telemetry(Telemetry),
    /// A start whose warm-up has no fixed length is warm, or warming up was given up.
    WarmedUp(WarmedUp),
    /// The result of greedy sampling from the canary prompt, after the runs of a start.
    Canary(Canary),
    /// The server is gone.
    StartClosed(StartClosed),
    /// A document states a start and its runs. Only in imported sets, where it takes the place of the start's own
    /// events.
    Stated(StatedStart),
    /// A case has enough starts before all planned ones are made.
    Enough(Enough),
    /// What the processor alone generates from the canary prompt, once for each model with an answer.
    CanaryReference(CanaryReference),
    /// How well a backend predicts the text of the plan, once for each model and backend with at least one measured
    /// start.
    Perplexity(Perplexity),
    /// A case ended. Each planned case has exactly one in a sealed set.
    CaseClosed(CaseClosed),
    /// Everything is done. Always the last line of a sealed set.
    End(End),
}

/// Which set, by whom, where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// [`JOURNAL_FORMAT`].
    pub format: String,
    /// Digest of the [`crate::plan::ResolvedPlan`].
    pub plan: Sha256,
    /// Version of llamark.
    pub llamark: String,
    /// Digest of the facts that make this machine this machine; see [`crate::environment`].
    pub host: Sha256,
}

/// A build and its id in the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildEvent {
    /// Id in the plan.
    pub id: String,
    /// The record; also in `builds/` of the set.
    pub record: BuildRecord,
}

/// Which start of the server: the case, the start, the attempt at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartId {
    /// Id of the case.
    #[schemars(with = "String")]
    pub case: CaseId,
    /// Which start, from 1.
    pub start: u32,
    /// Which attempt, from 1. Only the last counts.
    pub attempt: u32,
}

/// A start began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartOpened {
    /// Which.
    pub id: StartId,
    /// The command: program and arguments. The folders of the build and the model are written `{build}` and
    /// `{model}`, since they only say where this user keeps things.
    pub argv: Vec<String>,
    /// The whole environment of the server, likewise.
    pub environment: BTreeMap<String, String>,
    /// Facts that change from moment to moment: free memory, clocks, temperatures, load.
    pub conditions: BTreeMap<String, String>,
    /// Facts of `environment.json` that have changed; one that is gone has no value. Omitted from the file if empty,
    /// so that older journals keep their hashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changed: BTreeMap<String, Fact>,
    /// Pages of the model's files in the page cache, counted right before the server is spawned, in the order of the
    /// shards. Empty in older journals, and omitted from the file then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cache: Vec<CachedFile>,
    /// How the pause before this start ended; absent if it waits for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooled: Option<Cooled>,
    /// How fast the processor itself was, where it computes; absent if a GPU does, or where the plan wants no
    /// telemetry. Boxed: a large set has many starts, and most fields of a start are small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Box<Pace>>,
}

/// The server answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartReady {
    /// Which.
    pub id: StartId,
    /// How long loading took.
    pub load: LoadStages,
    /// What was asked, what was seen, and where.
    pub proofs: Vec<Proof>,
    /// Buffers by device, as the log of the server states them.
    pub buffers: Vec<Buffer>,
    /// What the server calls its build.
    pub build_info: String,
    /// Tokens of the prompt, as counted by the server's own tokenizer; those of the depth are not among them.
    pub prompt_tokens: u32,
    /// SHA-256 of the token ids as little-endian u32.
    pub prompt_ids: Sha256,
    /// SHA-256 of the token ids that fill the context before the prompt, likewise; absent if the case has no depth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth_ids: Option<Sha256>,
    /// The program and every shared object that the server has mapped to execute, by path; empty if the system does
    /// not say. Omitted from the file if empty, so that older journals keep their hashes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mapped: Vec<MappedFile>,
}

/// A file that the server executes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappedFile {
    /// Its path as the kernel shows it; the folder of the build is `{build}`.
    pub path: String,
    /// Size in bytes; absent when it could not be read.
    pub bytes: Option<u64>,
    /// SHA-256 of its content; absent when it could not be read.
    pub sha256: Option<Sha256>,
    /// Why it could not be read; absent when it could.
    pub error: Option<String>,
}

/// Stages of loading, microseconds from the spawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadStages {
    /// First line of the log; absent when it could not be told apart.
    pub first_line_us: Option<u64>,
    /// Weights are in memory; absent when the log does not say.
    pub weights_us: Option<u64>,
    /// Ready for requests.
    pub ready_us: u64,
}

/// One setting: what was asked, what was seen, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The setting: `device`, `context`, `slots`, `model`, `cache_type_k`, `flash_attn`, ...
    pub setting: String,
    /// What was asked.
    pub asked: String,
    /// What was seen; absent when this version of llama.cpp does not show it.
    pub observed: Option<String>,
    /// Where: `/props`, `log`, ...
    pub source: String,
    /// Whether what was seen is what was asked. A setting that is not shown neither agrees nor disagrees.
    pub agrees: Option<bool>,
}

/// A buffer that the server allocated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Buffer {
    /// The device or host memory that holds it, as llama.cpp names it: `CPU_Mapped`, `Vulkan0`, ...
    pub device: String,
    /// What is in it.
    pub holds: BufferKind,
    /// Bytes, as precise as the log states them.
    pub bytes: u64,
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BufferKind {
    /// Weights.
    Model,
    /// Keys and values, or recurrent state.
    Kv,
    /// Scratch of the computation.
    Compute,
    /// Logits.
    Output,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Which start of the server.
    pub id: StartId,
    /// Which run of this start, from 1; warm-up runs are counted separately, from 1.
    pub index: u32,
    /// A warm-up run: recorded, never counted.
    pub warmup: bool,
    /// What was measured of the one request; absent when it failed before there was something, or when there are several.
    pub measurement: Option<Measurement>,
    /// What was measured of each of several requests at once, in the order of their slots; empty for a single one,
    /// and omitted from the file then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<Stream>,
    /// Times between tokens, of all streams together; absent if there are none, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaps: Option<Gaps>,
    /// What llama-bench measured, where that is what measures; omitted from the file if absent. Elsewhere in memory:
    /// a set may have a million runs, and hardly any of them has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bench: Option<Box<BenchRun>>,
    /// The rules that the run breaks; empty: it is valid.
    pub broken: Vec<BrokenRule>,
}

impl RunRecord {
    /// Whether the run counts: measured, no rule broken, no warm-up.
    pub fn counts(&self) -> bool {
        !self.warmup && self.is_valid()
    }

    /// Whether there are numbers, and no rule is broken.
    pub fn is_valid(&self) -> bool {
        self.broken.is_empty() && self.is_measured()
    }

    /// Whether there are numbers.
    pub fn is_measured(&self) -> bool {
        self.measurement.is_some() || !self.streams.is_empty() || self.bench.is_some()
    }

    /// What was measured of each request.
    pub fn measurements(&self) -> impl Iterator<Item = &Measurement> {
        self.measurement.iter().chain(self.streams.iter().map(|stream| &stream.measurement))
    }
}

/// One of several requests that were sent at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// From sending the first of them to sending this one, by our clock.
    pub sent_ns: u64,
    /// What was measured of it; its times count from its own sending.
    pub measurement: Measurement,
}

/// Times between the arrivals of tokens in one run, by our clock. A quantile is the smallest time that at least so many
/// of them do not exceed (nearest rank).
///
/// They are of tokens, not of events: what arrives together arrives at the same moment, so an event with k tokens is
/// one gap and k - 1 gaps of 0. The arrivals themselves are in [`Measurement`]; these are kept as well, so that a
/// report over a million runs need not read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gaps {
    /// How many: one fewer than the tokens of a stream, summed over the streams.
    pub count: u32,
    /// Median.
    pub p50_ns: u64,
    /// 95th percentile.
    pub p95_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// Largest.
    pub max_ns: u64,
}

/// The raw integers of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Tokens of the prompt that the server evaluated.
    pub prompt_tokens: u32,
    /// Tokens of the prompt that it took from a cache; absent when this version does not say.
    pub cached_tokens: Option<u32>,
    /// From the start of the slot to the first token sampled, by the server's clock.
    pub prompt_us: u64,
    /// Tokens generated.
    pub generated_tokens: u32,
    /// From the first token to the last, by the server's clock.
    pub generation_us: u64,
    /// From sending the request to the first generated token, by our clock.
    pub first_token_ns: u64,
    /// From sending the request to the end of the answer, by our clock.
    pub total_ns: u64,
    /// Arrivals by our clock: tokens generated so far, and nanoseconds since the request was sent.
    pub arrivals: Vec<(u32, u64)>,
    /// SHA-256 of the generated token ids as little-endian u32; absent when the server does not return them.
    #[schemars(with = "Option<Sha256>")]
    pub output_ids: Option<SharedSha256>,
}

/// A rule and how it was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokenRule {
    /// The rule.
    pub rule: Rule,
    /// What was seen instead.
    pub detail: String,
}

/// The rules of a valid run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The server answers 200 with a complete event stream.
    Answered,
    /// Every token of the prompt was evaluated: none came from a cache.
    ColdCache,
    /// Of a case with a depth: exactly the tokens of the depth came from the cache.
    Depth,
    /// The prompt that was evaluated has the tokens that were sent.
    WholePrompt,
    /// Exactly the tokens asked for were generated, and the limit ended the run.
    ExactLength,
    /// Nothing was cut from the context.
    NotTruncated,
    /// The numbers make sense: positive times that fit into the time that passed by our clock.
    PlausibleTimes,
    /// No speculative decoding.
    NoSpeculation,
}

/// The server is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartClosed {
    /// Which.
    pub id: StartId,
    /// How the start went.
    pub outcome: Outcome,
    /// Exit code of the server, when it exited.
    pub exit_code: Option<i32>,
    /// Signal that ended the server, when one did.
    pub signal: Option<i32>,
    /// Peak resident memory of the server, bytes.
    pub max_rss_bytes: Option<u64>,
    /// From the spawn to the end of the process.
    pub lifetime_us: u64,
    /// As in [`StartOpened`], at the end.
    pub conditions: BTreeMap<String, String>,
    /// As in [`StartOpened`], at the end.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changed: BTreeMap<String, Fact>,
    /// As in [`StartOpened`], once the server is gone; only of a start that ended as planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Box<Pace>>,
}

/// How a start, or a case, went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// As planned.
    Ok,
    /// It could not be measured.
    Failed(Failure),
    /// It was not tried.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It was measured, and the numbers do not mean what the plan says.
    Invalid {
        /// Why.
        reason: String,
    },
    /// The user or the system stopped llamark. Only of starts: such a start is tried again.
    Interrupted,
}

impl Outcome {
    /// The word for tables: `ok`, `failed`, `skipped`, `invalid`, `interrupted`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(_) => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Invalid { .. } => "invalid",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Why something could not be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// One sentence.
    pub detail: String,
    /// The lines of the log that decided it.
    pub log: Vec<String>,
    /// What the user can do; empty when nothing is known.
    pub hint: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Memory of the host or the device was not enough.
    OutOfMemory,
    /// The server died by a signal.
    Crash,
    /// The server ended by itself with an exit code.
    Exit,
    /// A phase took longer than its limit.
    Timeout,
    /// This llama.cpp cannot do what the plan asks.
    Unsupported,
    /// The server answered something that the protocol does not allow.
    Protocol,
    /// The server could not be spawned.
    Spawn,
}

/// A case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseClosed {
    /// Id of the case.
    pub case: String,
    /// Its status.
    pub outcome: Outcome,
}

/// All is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Cases by the word of their status.
    pub cases: BTreeMap<String, u32>,
}
