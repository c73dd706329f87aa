//! The summary: every derived number of a set, and all that a template may see.
//!
//! It is a pure function of the plan, the journal and the environment of the set; written as `summary.json` it is
//! the same bytes every time.

use std::collections::BTreeMap;

use llamark_record::Sha256;
use llamark_record::grade::Grade;
use llamark_record::metric::Metric;
use llamark_record::model::FileIdentity;
use llamark_record::plan::{BackendKind, Document};
use serde::{Deserialize, Serialize};

use crate::findings::{Finding, Headline};

mod perplexity;

pub use perplexity::{PerplexityRow, PerplexitySummary};

/// `format` of a [`Summary`] as written by this version.
pub const SUMMARY_FORMAT: &str = "llamark/summary/v3";

/// Runs of one case that are listed one by one; the others are in `results.parquet`.
pub const LISTED_RUNS: usize = 60;

/// Every derived number of a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// [`SUMMARY_FORMAT`].
    pub format: String,
    /// Which set.
    pub set: SetIdentity,
    /// The machine.
    pub hardware: HardwareSummary,
    /// How it was measured.
    pub method: Method,
    /// The llama.cpp source tree.
    pub engine: EngineSummary,
    /// The builds, in plan order.
    pub builds: Vec<BuildSummary>,
    /// The backends, in the author's order; the first decides the order of `sections`.
    pub backends: Vec<BackendSummary>,
    /// The models, in the author's order.
    pub models: Vec<ModelSummary>,
    /// The cases, in plan order.
    pub cases: Vec<CaseSummary>,
    /// One section of the report each: a model with a prompt in one shape. By tg on the first backend, descending; those
    /// without a number come last, in plan order. Shapes of one model and prompt stay together, in plan order: the first
    /// has the tg that counts.
    pub sections: Vec<Section>,
    /// What a reader should know before believing or comparing a number: worst first, by code.
    pub findings: Vec<Finding>,
    /// The findings in few lines: worst first, many of one code folded into one.
    pub headlines: Vec<Headline>,
    /// Cases by the word of their outcome: `ok`, `failed`, `skipped`, `invalid`, `open`.
    pub outcomes: BTreeMap<String, u32>,
    /// How well the backends predict one and the same text; absent where that was not asked for, and left out of the file
    /// then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<PerplexitySummary>,
}

/// Which set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetIdentity {
    /// Name of the experiment.
    pub name: String,
    /// Id of the set.
    pub id: String,
    /// Title of the report.
    pub title: String,
    /// Text under the title; may be empty.
    pub description: String,
    /// Day on which it began, `YYYY-MM-DD`, UTC.
    pub date: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// Milliseconds that servers lived, all starts together, also those that were tried again.
    pub server_ms: u64,
    /// Version of llamark that began it.
    pub llamark: String,
    /// Digest of the plan.
    pub plan: Sha256,
    /// Digest of the facts that make the machine this machine.
    pub host: Sha256,
    /// How often it was interrupted and taken up again.
    pub resumed: u32,
    /// How far its numbers can be traced.
    pub grade: Grade,
    /// What that word means, in one line.
    pub grade_meaning: String,
    /// The document that the set was imported from; absent when llamark measured it.
    pub document: Option<Document>,
}

/// The machine: what the author says of it, and what was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardwareSummary {
    /// The author's line; may be empty.
    pub label: String,
    /// Memory bandwidth by the author, bytes per second.
    pub memory_bandwidth: Option<u64>,
    /// The facts that most readers ask for, in a fixed order. All of them are in `environment.json`.
    pub facts: Vec<HostFact>,
}

/// One fact of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFact {
    /// Its name for people.
    pub label: String,
    /// Its name in `environment.json`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// How it was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// The shapes in which cases were measured; one, as a rule. In plan order.
    pub shapes: Vec<Shape>,
    /// The prompts, in plan order.
    pub prompts: Vec<PromptSummary>,
    /// Seed of the order of the starts.
    pub seed: u32,
    /// Pause before each start, ms.
    pub cooldown_ms: u64,
    /// The starts of a case were made one after the other, and not in blocks. Left out of the file where they were not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_grouped: bool,
    /// What is not as usual in how starts are prepared and repeated, a sentence each; left out of the file where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub procedure: Vec<String>,
    /// Settings that this llama.cpp does not show, so that nothing proves them.
    pub unproven: Vec<String>,
    /// The canaries of all cases; absent where no server was asked, and left out of the file then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryTally>,
}

/// A shape of measurement, and how many cases have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Tokens generated in each run, by each stream.
    pub max_tokens: u32,
    /// Tokens of context before the prompt.
    pub depth: u32,
    /// Streams at once.
    pub concurrency: u32,
    /// Context of the server, tokens.
    pub context: u32,
    /// Warm-up runs in each start.
    pub warmup: u32,
    /// Runs that count, in each start.
    pub runs: u32,
    /// `warmup` is the most of them: a start that is steady before has fewer. Left out of the file where it is not, so that
    /// the summaries of older sets are the same bytes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warmup_is_most: bool,
    /// Starts of the server.
    pub starts: u32,
    /// `starts` is the most of them: a case that is known well before has fewer. Left out likewise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starts_is_most: bool,
    /// Cases of this shape.
    pub cases: u32,
}

/// A prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptSummary {
    /// Name in the experiment.
    pub name: String,
    /// SHA-256 of its text; absent when the text is unknown.
    pub sha256: Option<Sha256>,
    /// Characters of its text; absent when the text is unknown.
    pub characters: Option<u64>,
    /// What a document says of a prompt whose text it does not give; else empty.
    pub description: String,
    /// Tokens that it is cut to, for every model; absent where it is a whole text.
    pub exact_tokens: Option<u32>,
    /// Fewest tokens that a model's tokenizer made of it; absent when no server came up.
    pub tokens_min: Option<u32>,
    /// Most tokens.
    pub tokens_max: Option<u32>,
}

/// The llama.cpp source tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSummary {
    /// Where it comes from, in one line.
    pub source: String,
    /// llama.cpp's build number; 0 when unknown.
    pub build_number: u32,
    /// llama.cpp's commit; `unknown` when it is.
    pub commit: String,
    /// Digest of the source tree; absent for a prebuilt engine.
    pub tree: Option<Sha256>,
}

/// A build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildSummary {
    /// Id in the plan.
    pub id: String,
    /// The kind.
    pub kind: BackendKind,
    /// The build key; absent when it was never built.
    pub key: Option<Sha256>,
    /// What `llama-server --version` printed.
    pub version: String,
    /// Every CMake variable that was set; those of the author alone when it was never built.
    pub cmake: BTreeMap<String, String>,
    /// Tools by name: the first line of their `--version`.
    pub tools: BTreeMap<String, String>,
    /// Facts of the SDK.
    pub sdk: BTreeMap<String, String>,
    /// Digest of `llama-server`.
    pub server: Option<Sha256>,
    /// Devices that it lists.
    pub devices: Vec<String>,
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendSummary {
    /// Name in the experiment.
    pub name: String,
    /// Name in the report.
    pub label: String,
    /// Note of the author; may be empty.
    pub note: String,
    /// The kind.
    pub kind: BackendKind,
    /// Id of the build.
    pub build: String,
    /// Device as llama.cpp names it.
    pub device: String,
    /// Settings of the server in one line; of an imported set, in the words of the document.
    pub settings: String,
    /// The settings by name; of an imported set, those that the document states.
    pub settings_by_name: BTreeMap<String, String>,
    /// A document states the settings: what is not there is unknown.
    pub is_stated: bool,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSummary {
    /// Id in the plan.
    pub id: String,
    /// Name in the report.
    pub name: String,
    /// Quantization: as the author writes it, else that of the header, else empty.
    pub quant: String,
    /// Multimodal, benchmarked on text alone.
    pub vision: bool,
    /// How its weights were made up, as in `like llama-3-70b, Q4_K_M, seed 1`; empty: they were not.
    pub synthetic: String,
    /// Note of the author; may be empty.
    pub note: String,
    /// Parameters with the active share for a table: `30.5B (3.3B MoE)`, `3.8B`; empty when unknown.
    pub parameters_short: String,
    /// The same for a sentence: `30.5B total / 3.3B active (MoE)`, `3.8B (dense)`.
    pub parameters_long: String,
    /// Parameters as the author or a document writes them; may be empty.
    pub claimed_parameters: String,
    /// Active parameters, likewise.
    pub claimed_active_parameters: String,
    /// Size of the file as a document writes it; else empty.
    pub claimed_file_size: String,
    /// What it weighs and what one token reads; absent when neither a header nor claims say.
    pub weights: Option<Weights>,
    /// Bytes of all files; absent when it was never found.
    pub file_bytes: Option<u64>,
    /// The files, every shard.
    pub files: Vec<FileIdentity>,
    /// The facts of the header; absent when there are none.
    pub facts: Option<ModelHeader>,
    /// What the author typed that the header contradicts, as sentences.
    pub contradictions: Vec<String>,
}

/// What a model weighs and what one token reads of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Where the numbers come from.
    pub basis: Basis,
    /// Parameters.
    pub parameters: f64,
    /// Parameters used for one token.
    pub active_parameters: f64,
    /// Bytes of the file.
    pub bytes: f64,
    /// Weight bytes read for one generated token. Of claims: bytes x active parameters / parameters.
    pub bytes_per_token: f64,
    /// Bits per weight.
    pub bits_per_weight: f64,
    /// Unit that a claimed size was read in: not the stated one where the sizes of a set fit only in the other. Empty
    /// where nothing was claimed.
    pub size_unit: String,
}

/// Where the weights of a model come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The header of its file.
    Header,
    /// What the author or a document claims: an estimate.
    Claims,
}

/// The facts of a header that a report uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelHeader {
    /// Architecture.
    pub architecture: String,
    /// File type, where the header has one.
    pub file_type: Option<String>,
    /// Parameters in all.
    pub parameters: u64,
    /// Parameters used for one token.
    pub active_parameters: u64,
    /// Weight bytes read for one generated token.
    pub bytes_per_token: u64,
    /// Bits per weight.
    pub bits_per_weight: f64,
    /// Context that the model was trained for, tokens.
    pub context_length: Option<u64>,
    /// Experts in all; absent for a dense model.
    pub experts: Option<u64>,
    /// Experts used for one token.
    pub experts_used: Option<u64>,
}

/// A section of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Place of the model in `models`.
    pub model: usize,
    /// Name of the prompt.
    pub prompt: String,
    /// What is not as usual in the shape, as in [`CaseSummary::shape`].
    pub shape: String,
    /// Place in `cases` of the case on the first backend; absent when the plan has none.
    pub first: Option<usize>,
    /// Places in `cases`, in the order of the backends.
    pub cases: Vec<usize>,
    /// Labels of the backends beside the first.
    pub others: Vec<String>,
}

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
    /// What is not as usual in the shape, for people: `depth 4096, 4 streams`; with the tokens generated where the cases
    /// of the set differ in them. Empty where there is nothing to say.
    pub shape: String,
    /// Tokens of context before the prompt.
    pub depth: u32,
    /// Streams at once.
    pub concurrency: u32,
    /// Tokens generated in each run, by each stream.
    pub max_tokens: u32,
    /// `ok`, `failed`, `skipped`, `invalid`; `open` when the set was interrupted before the case came to its end.
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
    /// How it loaded, in stages and by the state of the page cache; absent where no start says what that was. Left out of
    /// the file then, so that the summaries of older sets are the same bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading: Option<Loading>,
    /// How many warm-up runs its starts needed; absent, and left out of the file, where that was fixed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_ups: Option<WarmUps>,
    /// Why it has so many starts; absent, and left out of the file, where that was fixed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// How its tokens compare with those of the processor alone; absent where no server was asked, and left out of the file
    /// then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryCheck>,
    /// Whether the perplexity of its model on its backend is no number, or worse than rounding explains; left out of the file
    /// where it is not.
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
    /// The wider of the half-widths of PP and TG, likewise; absent where neither has an interval.
    pub widest: Option<f64>,
}

impl CaseSummary {
    /// Whether it is known to compute the wrong thing: its speed then means nothing.
    pub fn is_suspect(&self) -> bool {
        self.has_bad_perplexity || self.canary.as_ref().is_some_and(|canary| canary.suspect)
    }
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
    /// The token at which they part, from 1; absent where they do not.
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
    /// Share of the pages of the model's files that were in memory, the least and the most of these starts; absent where
    /// it is unknown.
    pub resident: Option<[f64; 2]>,
    /// Why that is unknown, or why what was asked could not be done; empty where nothing went wrong.
    pub reason: String,
    /// How many starts.
    pub starts: u32,
    /// First line of the log; absent where some start does not say.
    pub first_line_ms: Option<f64>,
    /// Weights are in memory; absent where some start does not say.
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

/// What was measured of a case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Prompt processing, tok/s.
    pub pp: Option<Estimate>,
    /// Token generation, tok/s.
    pub tg: Option<Estimate>,
    /// Token generation of each of several streams, tok/s.
    pub tg_stream: Option<Estimate>,
    /// Time to first token, ms.
    pub ttft: Option<Estimate>,
    /// Its 95th percentile over several streams, ms.
    pub ttft_p95: Option<Estimate>,
    /// Its 99th percentile over several streams, ms.
    pub ttft_p99: Option<Estimate>,
    /// Time from one token to the next, ms: the median of a run.
    pub itl: Option<Estimate>,
    /// Its 95th percentile, ms.
    pub itl_p95: Option<Estimate>,
    /// Its 99th percentile, ms.
    pub itl_p99: Option<Estimate>,
    /// Process start to ready, ms.
    pub load: Option<Estimate>,
    /// Peak resident memory of the server, bytes.
    pub rss: Option<Estimate>,
    /// Peak memory in use on the GPUs of the backend, bytes.
    pub vram: Option<Estimate>,
    /// Peak memory of the host in use by the GPUs of the backend, bytes.
    pub gtt: Option<Estimate>,
    /// Energy for each token of the prompt, J/token.
    pub energy_prefill: Option<Estimate>,
    /// Energy for each step of generation, J/token.
    pub energy_decode: Option<Estimate>,
}

impl Metrics {
    /// The estimate of a metric.
    pub fn get(&self, metric: Metric) -> Option<&Estimate> {
        match metric {
            Metric::Pp => self.pp.as_ref(),
            Metric::Tg => self.tg.as_ref(),
            Metric::TgStream => self.tg_stream.as_ref(),
            Metric::Ttft => self.ttft.as_ref(),
            Metric::TtftP95 => self.ttft_p95.as_ref(),
            Metric::TtftP99 => self.ttft_p99.as_ref(),
            Metric::Itl => self.itl.as_ref(),
            Metric::ItlP95 => self.itl_p95.as_ref(),
            Metric::ItlP99 => self.itl_p99.as_ref(),
            Metric::Load => self.load.as_ref(),
            Metric::Rss => self.rss.as_ref(),
            Metric::Vram => self.vram.as_ref(),
            Metric::Gtt => self.gtt.as_ref(),
            Metric::EnergyPrefill => self.energy_prefill.as_ref(),
            Metric::EnergyDecode => self.energy_decode.as_ref(),
        }
    }
}

/// What the values of one metric say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The unit: `tok/s`, `ms`, `bytes`.
    pub unit: String,
    /// Values: runs that count, or starts for `load` and `rss`.
    pub n: u64,
    /// Starts that they come from.
    pub starts: u32,
    /// Mean of the means of the starts: each start weighs the same.
    pub mean: f64,
    /// Sample standard deviation of the values; absent for fewer than two.
    pub sd: Option<f64>,
    /// Median of the values.
    pub median: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Confidence interval of the mean; absent when there are too few to say.
    pub interval: Option<Interval>,
}

/// A confidence interval of a mean, by Student's t.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Half of its width.
    pub half_width: f64,
    /// Its level: 0.95.
    pub level: f64,
    /// What was replicated.
    pub over: Replication,
    /// How many of these.
    pub n: u64,
    /// By how much `half_width` may be too small because a document rounded its numbers; 0 of measured ones.
    pub rounding: f64,
}

/// What was replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replication {
    /// Starts of the server: the interval covers what changes from start to start.
    Starts,
    /// Runs of one start: what changes from start to start is not in the interval.
    RunsOfOneStart,
}

/// The first run of a start against the later ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstRun {
    /// Change of pp: first run over the median of the later ones, less one; geometric mean over the starts that have
    /// at least three runs.
    pub pp: Option<f64>,
    /// Change of tg, likewise.
    pub tg: Option<f64>,
}

/// The steady state of a case by metric; absent where nothing has to be left out, or too few runs say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steady {
    /// Of pp.
    pub pp: Option<SteadyState>,
    /// Of tg.
    pub tg: Option<SteadyState>,
}

/// A mean without the runs before the steady state: the first runs of every start that are slower than each later run
/// by more than these differ among themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SteadyState {
    /// Runs left out at the head of each start.
    pub left_out: u32,
    /// Mean of the rest: of the means of the starts.
    pub mean: f64,
    /// `mean` over the mean of all runs, less one.
    pub change: f64,
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
