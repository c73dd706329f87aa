//! The plan: every default filled in, every matrix expanded, nothing left to decide.
//!
//! No `Option` here means "default": where a field may be absent, its absence is itself the decision and its
//! docstring says what it means. The plan is made by `llamark-spec` from the experiment alone; [`ResolvedPlan`]
//! adds what only this machine and the network could tell (digests, build keys). Its digest is in the first
//! record of the journal, so a case that is dropped or a margin that is moved later is visible.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::digest::CanonicalError;
use crate::metric::Metric;
use crate::model::FileIdentity;

/// `format` of a [`ResolvedPlan`] as written by this version.
pub const PLAN_FORMAT: &str = "llamark/plan/v1";

/// An experiment with nothing left to decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// How the plan came to be.
    pub origin: Origin,
    /// Name of the experiment: the folder of its artifact sets.
    pub name: String,
    /// Title of the report.
    pub title: String,
    /// Text under the title; empty when there is none.
    pub description: String,
    /// What the author says of the machine, and demands of it.
    pub hardware: Hardware,
    /// The llama.cpp source tree.
    pub engine: Engine,
    /// What is compiled, each once, in the order of the backends that need it.
    pub builds: Vec<PlannedBuild>,
    /// The backends, in the author's order.
    pub backends: Vec<PlannedBackend>,
    /// The models, in the author's order.
    pub models: Vec<PlannedModel>,
    /// The prompts that some case uses.
    pub prompts: Vec<PlannedPrompt>,
    /// The cases: one row of the report each. Ordered by model, then backend.
    pub cases: Vec<Case>,
    /// Every start of every case, in the order in which they are run.
    pub schedule: Vec<PlannedStart>,
    /// Seed of the order in `schedule`.
    pub seed: u32,
    /// Pause before each start, ms.
    pub cooldown_ms: u64,
    /// Limits in time.
    pub timeouts: Timeouts,
    /// How often the sensors of the machine are read while it measures.
    pub telemetry: TelemetryRate,
    /// How a later comparison with this set as its baseline judges each metric, in the order of a report. Empty where
    /// the plan is of a document, which states nothing of it: [`STANDARD_GATES`] hold then.
    pub gates: Vec<Gate>,
    /// That its starts are made beside those of another set, in turn; absent: it is measured by itself. Left out of the
    /// file where absent, so that plans of sets that are older than this field keep their digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interleaved: Option<Interleaved>,
}

/// One of two plans whose starts are made in turn: start i of one beside start i of the other, so that what drifts
/// touches both alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interleaved {
    /// What for.
    pub purpose: Purpose,
    /// What joins the two sets: the same in both, and in no other. The digest of [`Pairing`].
    pub pairing: Sha256,
    /// Which of the two this is.
    pub arm: Arm,
    /// For each start of the schedule, in its order: the arm that goes first. Drawn from `seed`.
    pub first: Vec<Arm>,
}

/// What makes a pairing this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairing {
    /// What for.
    pub purpose: Purpose,
    /// What is measured against what: the digests of the plan (twice) for a calibration, of the manifests of the
    /// compared sets for a confirmation.
    pub of: [Sha256; 2],
    /// Which time, from 1.
    pub round: u32,
}

impl Pairing {
    /// SHA-256 of the canonical JSON.
    ///
    /// # Errors
    /// Never in practice: there is no number in it that is not finite.
    pub fn digest(&self) -> Result<Sha256, CanonicalError> {
        Sha256::of_canonical_json(self)
    }
}

/// What two sets are measured in turn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// One plan twice, to learn the noise of a machine.
    Calibration,
    /// What a comparison suspects, again.
    Confirmation,
}

impl Purpose {
    /// What the name of such a set ends with.
    pub fn word(self) -> &'static str {
        match self {
            Self::Calibration => "calibrate",
            Self::Confirmation => "confirm",
        }
    }
}

/// One of two sets that are measured in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// What is compared with.
    Base,
    /// What is compared.
    Candidate,
}

impl Arm {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Base => Self::Candidate,
            Self::Candidate => Self::Base,
        }
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Base => "baseline",
            Self::Candidate => "candidate",
        }
    }
}

/// How often the sensors of the machine are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TelemetryRate {
    /// Never.
    Off,
    /// This many times a second.
    Hertz(u32),
}

/// How a plan came to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Origin {
    /// From an experiment, before anything was measured. Nothing in it is unstated.
    Experiment,
    /// From a document that somebody wrote afterwards. Nothing of it can be run: what the document does not say
    /// is unstated.
    Document(Document),
}

/// The document that an imported set is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What kind of document.
    pub kind: DocumentKind,
    /// The document; it lies in the folder `imported/` of the set.
    pub file: FileIdentity,
    /// What whoever imported it said beside the document, by name: `memory_bandwidth`.
    pub added: BTreeMap<String, String>,
    /// What a set that llamark measured says, and the document does not, as names of facts: `engine commit`,
    /// `model digests`, ...
    pub unstated: Vec<String>,
    /// Where the document does not quite agree with itself, as sentences: a last digit that is off by one, and that
    /// rounding does not explain. What contradicts itself by more is not imported.
    pub remarks: Vec<String>,
}

/// Kinds of document that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A report in Markdown: rounded rates of single runs.
    Report,
}

impl DocumentKind {
    /// The name, as in `llamark import KIND`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
        }
    }
}

/// How a comparison judges a metric. Shares are in parts per million of the baseline's value: 30 000 are 3 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The metric.
    pub metric: Metric,
    /// Whether its verdict decides that of the comparison; otherwise it is shown only.
    pub decides: bool,
    /// τ: no change is called unless it is shown to be larger than this.
    pub minimum_ppm: u32,
    /// δ: a change that is shown to be smaller than this is called equivalent.
    pub margin_ppm: u32,
}

impl Gate {
    /// The gate of a metric with this margin. The least change that is looked for is a third of it, as 1 % is of 3 %.
    pub const fn with_margin(metric: Metric, decides: bool, margin_ppm: u32) -> Self {
        Self { metric, decides, minimum_ppm: margin_ppm / 3, margin_ppm }
    }
}

/// How each metric is judged where the author says nothing: throughput decides, at 3 %. Times vary more, loading most.
pub const STANDARD_GATES: [Gate; 9] = [
    Gate::with_margin(Metric::Pp, true, 30_000),
    Gate::with_margin(Metric::Tg, true, 30_000),
    Gate::with_margin(Metric::Ttft, false, 60_000),
    Gate::with_margin(Metric::Load, false, 150_000),
    Gate::with_margin(Metric::Rss, false, 30_000),
    Gate::with_margin(Metric::Vram, false, 30_000),
    Gate::with_margin(Metric::Gtt, false, 30_000),
    Gate::with_margin(Metric::EnergyPrefill, false, 60_000),
    Gate::with_margin(Metric::EnergyDecode, false, 60_000),
];

/// What the author says of the machine (shown in the report) and demands of it (checked before a run).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hardware {
    /// One line for the report; empty when the author gave none.
    pub label: String,
    /// Memory bandwidth in bytes per second, for the roofline; absent: no roofline.
    pub memory_bandwidth: Option<u64>,
    /// Text that the name of some GPU must contain; absent: any machine will do.
    pub expect_gpu: Option<String>,
    /// Bytes of memory that the machine must have; 0: any amount will do.
    pub expect_memory: u64,
}

/// The llama.cpp source tree and what it calls itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Where it comes from.
    pub source: EngineSource,
    /// llama.cpp's build number, given to cmake; 0 when unknown.
    pub build_number: u32,
    /// llama.cpp's commit, given to cmake; `unknown` when it is.
    pub commit: String,
}

/// Where an engine comes from. Paths are absolute, or relative to the folder of the experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EngineSource {
    /// A git repository at a revision.
    Git {
        /// URL or path.
        url: String,
        /// Commit, tag or branch.
        rev: String,
    },
    /// A tar or zip archive.
    Archive {
        /// Path or `https://` URL.
        location: String,
        /// SHA-256 of the archive.
        sha256: Sha256,
        /// Folder inside the archive that holds llama.cpp; empty: its root (one enclosing folder is skipped).
        subdir: String,
    },
    /// A folder on this machine.
    Path {
        /// The folder.
        path: String,
    },
    /// A source package of a language registry.
    Package {
        /// The package.
        package: Package,
        /// SHA-256 of the package file.
        sha256: Sha256,
        /// Folder inside the package that holds llama.cpp.
        subdir: String,
    },
    /// A folder that holds a `llama-server` which somebody else built.
    Prebuilt {
        /// The folder.
        path: String,
    },
    /// Of an imported set whose document does not say.
    Unstated,
}

/// A package of a language registry at one version, written as a package URL: `pkg:pypi/NAME@VERSION`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Which registry: `pypi`.
    pub registry: String,
    /// Name of the package.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl std::fmt::Display for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pkg:{}/{}@{}", self.registry, self.name, self.version)
    }
}

/// The kinds of backend that llamark knows how to build, run and prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackendKind {
    /// The processor.
    Cpu,
    /// Vulkan.
    Vulkan,
    /// AMD ROCm (HIP).
    Rocm,
    /// NVIDIA CUDA.
    Cuda,
}

impl BackendKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Vulkan, Self::Rocm, Self::Cuda];

    /// The name, as in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Vulkan => "vulkan",
            Self::Rocm => "rocm",
            Self::Cuda => "cuda",
        }
    }
}

/// Something to compile. Backends that agree on it share it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedBuild {
    /// Name of the build: that of the first backend that uses it.
    pub id: String,
    /// The kind, which decides what must be installed.
    pub kind: BackendKind,
    /// CMake variables of the author, `ON`/`OFF` for booleans. `llamark-build` adds those of the kind and those
    /// that make a build hermetic. Empty for a prebuilt engine.
    pub cmake: BTreeMap<String, String>,
}

/// A build, the device that it runs on, and how the server is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedBackend {
    /// Name in the experiment.
    pub name: String,
    /// Name in the report.
    pub label: String,
    /// Note in the report; empty when there is none.
    pub note: String,
    /// The kind.
    pub kind: BackendKind,
    /// Id of the build.
    pub build: String,
    /// Device as llama.cpp names it (`Vulkan0`), or `none` for the processor alone; empty where a document does not
    /// say.
    pub device: String,
    /// Settings of the server.
    pub server: Settings,
    /// Variables of the environment that the author sets for the server.
    pub environment: BTreeMap<String, String>,
}

/// Settings of a server: all of them decided, or those that a document happens to state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Settings {
    /// Every setting has its value.
    Decided(ServerSettings),
    /// Of an imported set: what the document happens to say.
    Stated(StatedSettings),
}

/// What a document says of the settings of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatedSettings {
    /// The words of the document, as in `--no-mmap, flash-attn, q4_0 KV cache`; empty when it says nothing.
    pub text: String,
    /// The same by the name of the setting where llamark has one ([`ServerSettings::by_name`]), else as the document
    /// writes it. What is not there is unknown.
    pub by_name: BTreeMap<String, String>,
}

impl Settings {
    /// The settings, where every one is decided.
    pub fn decided(&self) -> Option<&ServerSettings> {
        match self {
            Self::Decided(settings) => Some(settings),
            Self::Stated(_) => None,
        }
    }

    /// The settings by name, as text: all of them, or those that a document states.
    pub fn by_name(&self) -> BTreeMap<String, String> {
        match self {
            Self::Decided(settings) => settings.by_name(),
            Self::Stated(stated) => stated.by_name.clone(),
        }
    }
}

/// Settings of llama-server, in llamark's own words; `llamark-bench` translates them for each version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Layers on the device.
    pub gpu_layers: GpuLayers,
    /// Flash attention on or off.
    pub flash_attn: bool,
    /// Type of the keys in the KV cache.
    pub cache_type_k: CacheType,
    /// Type of the values in the KV cache.
    pub cache_type_v: CacheType,
    /// Map the model file into memory (true) or read it into memory (false).
    pub mmap: bool,
    /// Lock the model in memory.
    pub mlock: bool,
    /// Threads for token generation.
    pub threads: u32,
    /// Threads for prompt processing.
    pub threads_batch: u32,
    /// Logical batch: most tokens in one call.
    pub batch: u32,
    /// Physical batch: most tokens computed at once.
    pub ubatch: u32,
}

impl ServerSettings {
    /// Every setting by its name in an experiment, as text.
    pub fn by_name(&self) -> BTreeMap<String, String> {
        let layers = match self.gpu_layers {
            GpuLayers::All => "all".to_owned(),
            GpuLayers::Count(count) => count.to_string(),
        };
        let named = [
            ("gpu_layers", layers),
            ("flash_attn", self.flash_attn.to_string()),
            ("cache_type_k", self.cache_type_k.name().to_owned()),
            ("cache_type_v", self.cache_type_v.name().to_owned()),
            ("mmap", self.mmap.to_string()),
            ("mlock", self.mlock.to_string()),
            ("threads", self.threads.to_string()),
            ("threads_batch", self.threads_batch.to_string()),
            ("batch", self.batch.to_string()),
            ("ubatch", self.ubatch.to_string()),
        ];
        named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// How many layers are on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GpuLayers {
    /// All of them.
    All,
    /// This many.
    Count(u32),
}

/// Element type of a KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are llama.cpp's own")]
pub enum CacheType {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q5_1,
    Q5_0,
    Q4_1,
    Q4_0,
    Iq4Nl,
}

impl CacheType {
    /// llama.cpp's name, as in `--cache-type-k`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q5_1 => "q5_1",
            Self::Q5_0 => "q5_0",
            Self::Q4_1 => "q4_1",
            Self::Q4_0 => "q4_0",
            Self::Iq4Nl => "iq4_nl",
        }
    }
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedModel {
    /// Name in case ids and paths: lower-case letters, digits, `.`, `_`, `-`.
    pub id: String,
    /// Name in the report.
    pub name: String,
    /// Quantization as the author writes it; empty: taken from the header of the file.
    pub quant: String,
    /// Multimodal, benchmarked on text alone.
    pub vision: bool,
    /// Note in the report; empty when there is none.
    pub note: String,
    /// Parameters as the author writes them (`30B`); empty: taken from the header.
    pub claimed_parameters: String,
    /// Active parameters as the author writes them (`3B`); empty: taken from the header.
    pub claimed_active_parameters: String,
    /// Size of the file as a document writes it (`~19 GiB`); empty: that of the file.
    pub claimed_file_size: String,
    /// Where it comes from.
    pub source: ModelSource,
}

/// Where a model comes from. For a model of several shards, the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelSource {
    /// A file: absolute, or under the models folder (`--models`), or else relative to the experiment.
    File {
        /// Its path.
        file: String,
        /// SHA-256 of the (first) file; absent: whatever is found is recorded.
        sha256: Option<Sha256>,
    },
    /// A download.
    Url {
        /// `https://` or `http://` URL.
        url: String,
        /// SHA-256 of the file.
        sha256: Sha256,
    },
    /// A file of a Hugging Face repository. The endpoint is `HF_ENDPOINT`, or the one given here.
    Huggingface {
        /// Repository, as in `owner/name`.
        repo: String,
        /// Commit, tag or branch.
        revision: String,
        /// File in the repository.
        file: String,
        /// Base URL; empty: the environment's, or the public one.
        endpoint: String,
        /// SHA-256 of the file; absent: that which the endpoint states.
        sha256: Option<Sha256>,
    },
    /// A member of a package of a language registry.
    Package {
        /// The package.
        package: Package,
        /// SHA-256 of the package file.
        sha256: Sha256,
        /// Path of the model inside the package.
        member: String,
    },
    /// Of an imported set: a document names no file.
    Unstated,
}

/// A prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedPrompt {
    /// Name in the experiment.
    pub name: String,
    /// What it says.
    pub content: PromptContent,
}

/// What a prompt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PromptContent {
    /// A text.
    Text {
        /// The text itself, so that a set can be run again from its manifest.
        text: String,
        /// SHA-256 of the text as UTF-8.
        sha256: Sha256,
    },
    /// Of an imported set: what the document says of it, as in `~600 tokens (infrastructure scenario)`.
    Unstated {
        /// The words of the document.
        description: String,
    },
}

impl PromptContent {
    /// The text, where there is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            Self::Unstated { .. } => None,
        }
    }

    /// Digest of the text, where there is one.
    pub fn sha256(&self) -> Option<&Sha256> {
        match self {
            Self::Text { sha256, .. } => Some(sha256),
            Self::Unstated { .. } => None,
        }
    }
}

/// Model x backend x prompt shape: one row of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// `MODEL/BACKEND/PROMPT`; the same in two sets when they mean the same row.
    pub id: String,
    /// Id of the model.
    pub model: String,
    /// Name of the backend.
    pub backend: String,
    /// Name of the prompt.
    pub prompt: String,
    /// Tokens to generate in each run, exactly.
    pub max_tokens: u32,
    /// Context of the server, in tokens.
    pub context: u32,
    /// Runs at the measured shape that are recorded but not counted, at the head of each start.
    pub warmup: u32,
    /// Runs that count, in each start.
    pub runs: u32,
    /// Lives of the server.
    pub starts: u32,
}

/// One life of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedStart {
    /// Id of the case.
    pub case: String,
    /// Which start of the case, from 1.
    pub start: u32,
}

/// Limits in time, ms. Loading or a request that exceeds its limit ends the start with status `timeout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// From the start of the process to ready.
    pub load_ms: u64,
    /// One request, warm-up included.
    pub request_ms: u64,
    /// From the first signal to the end of the process. It is killed then; what was measured stays valid, and the
    /// record shows the signal.
    pub stop_ms: u64,
}

/// The plan with what only this machine and the network could tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolvedPlan {
    /// [`PLAN_FORMAT`].
    pub format: String,
    /// The plan.
    pub plan: Plan,
    /// Digest of the engine's source tree; absent for a prebuilt engine.
    pub engine_tree: Option<Sha256>,
    /// Build key by build id.
    pub build_keys: BTreeMap<String, Sha256>,
    /// Files by model id, every shard.
    pub model_files: BTreeMap<String, Vec<FileIdentity>>,
}

impl ResolvedPlan {
    /// The plan digest: SHA-256 of the canonical JSON.
    ///
    /// # Errors
    /// When a number in the plan is not finite.
    pub fn digest(&self) -> Result<Sha256, CanonicalError> {
        Sha256::of_canonical_json(self)
    }
}

impl Plan {
    /// The document that the plan comes from, if it was imported.
    pub fn document(&self) -> Option<&Document> {
        match &self.origin {
            Origin::Experiment => None,
            Origin::Document(document) => Some(document),
        }
    }

    /// Leaves out models, backends, builds, prompts and starts that no case uses.
    pub fn leave_unused(&mut self) {
        let cases = &self.cases;
        self.schedule.retain(|start| cases.iter().any(|case| case.id == start.case));
        self.models.retain(|model| cases.iter().any(|case| case.model == model.id));
        self.backends.retain(|backend| cases.iter().any(|case| case.backend == backend.name));
        self.prompts.retain(|prompt| cases.iter().any(|case| case.prompt == prompt.name));
        let backends = &self.backends;
        self.builds.retain(|build| backends.iter().any(|backend| backend.build == build.id));
    }

    /// Whether the starts of these two were made in turn: start i of one beside start i of the other.
    pub fn is_interleaved_with(&self, other: &Self) -> bool {
        let both = self.interleaved.as_ref().zip(other.interleaved.as_ref());
        both.is_some_and(|(a, b)| a.pairing == b.pairing && a.arm != b.arm)
    }

    /// The backend of that name.
    pub fn backend(&self, name: &str) -> Option<&PlannedBackend> {
        self.backends.iter().find(|backend| backend.name == name)
    }

    /// The model of that id.
    pub fn model(&self, id: &str) -> Option<&PlannedModel> {
        self.models.iter().find(|model| model.id == id)
    }

    /// The prompt of that name.
    pub fn prompt(&self, name: &str) -> Option<&PlannedPrompt> {
        self.prompts.iter().find(|prompt| prompt.name == name)
    }

    /// The case of that id.
    pub fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == id)
    }
}

/// The id of a model: its name and quantization in lower case, everything that is no Latin letter, digit, `.` or
/// `_` a `-`.
pub fn model_id(name: &str, quant: &str) -> String {
    let mut id = String::new();
    for c in name.chars().chain(" ".chars()).chain(quant.chars()) {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => id.push(c),
            c @ ('.' | '_') if !id.is_empty() => id.push(c),
            _ if !id.is_empty() && !id.ends_with('-') => id.push('-'),
            _ => {}
        }
    }
    id.truncate(id.trim_end_matches(['-', '.', '_']).len());
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_models() {
        for (name, quant, id) in [
            ("Qwen3-VL 30B-A3B Instruct", "Q4_K_M", "qwen3-vl-30b-a3b-instruct-q4_k_m"),
            ("SmolLM2 1.7B", "", "smollm2-1.7b"),
            ("  Ünï  (test) ", "IQ4_XS", "n-test-iq4_xs"),
            ("Модель", "", ""),
            ("..", "", ""),
        ] {
            assert_eq!(model_id(name, quant), id);
        }
    }
}
