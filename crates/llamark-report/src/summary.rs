//! The summary: every derived number of a set, and all that a template may see.
//!
//! It is a pure function of the plan, the journal and the environment of the set; written as `summary.json` it is
//! the same bytes every time.

use std::collections::BTreeMap;

use llamark_record::Sha256;
use llamark_record::grade::Grade;
use llamark_record::plan::{BackendKind, Document};
use serde::{Deserialize, Serialize};

use crate::findings::{Finding, Headline};

mod case;
mod model;
mod numbers;
mod perplexity;
mod variants;

pub use case::{
    CanaryCheck, CanaryTally, CaseSummary, Counts, LISTED_RUNS, Loading, LoadingFrom, RunLine, Stopped,
    WarmUps,
};
pub use model::{Basis, ModelHeader, ModelSummary, Weights};
pub use numbers::{Estimate, FirstRun, Interval, Metrics, Replication, Steady, SteadyState};
pub use perplexity::{PerplexityRow, PerplexitySummary};
pub use variants::{VariantRow, VariantsSummary};

/// `format` of a [`Summary`] as written by this version.
pub const SUMMARY_FORMAT: &str = "llamark/summary/v3";

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
    /// How well the backends predict the same text; absent if that was not asked for, and omitted from the file then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<PerplexitySummary>,
    /// The two variants against each other; omitted from the file if there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<VariantsSummary>,
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
    /// Memory bandwidth by the author, bytes per second. A backend may have another.
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
    /// The starts of a case were made one after the other, and not in blocks. Omitted from the file if they were not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_grouped: bool,
    /// What is not as usual in how starts are prepared and repeated, a sentence each; omitted from the file if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub procedure: Vec<String>,
    /// Settings that this llama.cpp does not show, so that nothing proves them.
    pub unproven: Vec<String>,
    /// The canaries of all cases; absent if no server was asked, and omitted from the file then.
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
    /// `warmup` is the most of them: a start that is steady before has fewer. Omitted from the file if it is not, so
    /// that the summaries of older sets are the same bytes.
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
    /// Tokens that it is cut to, for every model; absent if it is a whole text.
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
    /// The kind; absent if a document was measured with one that llamark cannot build.
    pub kind: Option<BackendKind>,
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
    /// Memory bandwidth by the author, bytes per second, where it is another than that of the machine; omitted from
    /// the file if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bandwidth: Option<u64>,
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
    /// Labels of the backends other than the first.
    pub others: Vec<String>,
}
