//! The experiment as it is typed. The schema that editors show is generated from this file: what is said of a
//! field here is what its author reads while typing.

use indexmap::IndexMap;
use llamark_record::plan::{BackendKind, CacheType, Order, PageCache, Tool};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::Value;

use crate::ab::Ab;
use crate::canary::Canary;
use crate::defaults;
use crate::perplexity::Perplexity;
use crate::procedure::{Cooldown, Until, WarmUpRuns};
use crate::sources::{EngineSource, ModelSource, PromptSource};
use crate::text::{CMakeName, Commit, Device, Line, Name, ParameterCount, Text, VariableName, VariableValue};
use crate::units::{Bandwidth, Duration, Growth, Share, Size, Timeout};
use crate::values::{CMakeValue, LayerCount, Number, Numbers, PromptNames, SampleRate};

/// A benchmark of llama.cpp: which machine, which llama.cpp, which backends, which models, and how to measure.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "llamark experiment")]
pub struct Experiment {
    /// Format of this file: `llamark/experiment/v1`.
    #[schemars(extend("const" = defaults::SCHEMA))]
    pub schema: String,
    /// Name of the experiment: the folder of its results.
    pub name: Name,
    /// Title of the report. Default: the name.
    pub title: Option<Line>,
    /// Text under the title of the report.
    pub description: Option<Text>,
    /// The machine: what the report says about it, and what it must have.
    pub hardware: Option<Hardware>,
    /// The llama.cpp source tree.
    pub engine: Engine,
    /// How llama.cpp is built and on which device it runs, by a name of your choice. Named `cpu`, `vulkan`, `rocm`
    /// or `cuda`, a backend needs no `kind`.
    #[schemars(with = "IndexMap<String, Backend>", extend("minProperties" = 1, "propertyNames" = names::<Name>()))]
    pub backends: IndexMap<Name, Backend>,
    /// The prompts, by a name of your choice.
    #[schemars(with = "IndexMap<String, PromptSource>", extend("minProperties" = 1, "propertyNames" = names::<Name>()))]
    pub prompts: IndexMap<Name, PromptSource>,
    /// What one measurement is, and how often it is made.
    pub protocol: Option<Protocol>,
    /// Two variants to compare (two engines, two builds, two settings of the server or its environment), with the
    /// starts of both interleaved.
    pub ab: Option<Ab>,
    /// The metrics whose regression fails a `diff` with these results as its baseline, each with the change that is
    /// still acceptable, as in `{ tg: 3%, pp: 5% }`. The others are only shown. Default: `pp` and `tg`, 3 % each.
    pub gates: Option<Gates>,
    /// The models.
    #[schemars(length(min = 1))]
    pub models: Vec<Model>,
}

/// The metrics whose regression fails a `diff`, each with its margin: a change that is certainly smaller is
/// equivalent, and a change is called only if it is certainly larger than a third of the margin.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// Margin of prompt processing, tok/s.
    pub pp: Option<Share>,
    /// Margin of token generation, tok/s.
    pub tg: Option<Share>,
    /// Margin of the token generation of one of several streams, tok/s.
    pub tg_stream: Option<Share>,
    /// Margin of the time to the first token; with several streams, of the median one.
    pub ttft: Option<Growth>,
    /// Margin of its 95th percentile over several streams.
    pub ttft_p95: Option<Growth>,
    /// Margin of its 99th percentile over several streams.
    pub ttft_p99: Option<Growth>,
    /// Margin of the time from one token to the next: the median of a run.
    pub itl: Option<Growth>,
    /// Margin of its 95th percentile.
    pub itl_p95: Option<Growth>,
    /// Margin of its 99th percentile.
    pub itl_p99: Option<Growth>,
    /// Margin of the time from the start of the server until it is ready.
    pub load: Option<Growth>,
    /// Margin of the peak memory of the server.
    pub rss: Option<Growth>,
    /// Margin of the peak memory of the GPUs.
    pub vram: Option<Growth>,
    /// Margin of the peak host memory that the GPUs use.
    pub gtt: Option<Growth>,
    /// Margin of the energy per prompt token.
    pub energy_prefill: Option<Growth>,
    /// Margin of the energy per generated token.
    pub energy_decode: Option<Growth>,
}

/// The schema of keys that the author chooses.
pub(crate) fn names<T: JsonSchema>() -> Value {
    T::json_schema(&mut SchemaGenerator::default()).to_value()
}

/// The machine: what the report says about it, and what it must have.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hardware {
    /// One line for the report.
    pub label: Option<Line>,
    /// Memory bandwidth of the device, for the roofline. Without it there is none.
    pub memory_bandwidth: Option<Bandwidth>,
    /// What the machine must have; checked before anything is built or run.
    pub expect: Option<Expectation>,
}

/// What the machine must have.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Text that the name of a GPU must contain.
    pub gpu: Option<Line>,
    /// Minimum memory.
    pub memory_at_least: Option<Size>,
}

/// The llama.cpp source tree, and what it calls itself.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Where llama.cpp comes from: `git` and `rev`, `archive` and `sha256`, `path`, `package` and `sha256`, or
    /// `prebuilt`.
    pub source: EngineSource,
    /// llama.cpp's build number, for records. Default: that of `rev` if it is a tag like `b11434`, else 0
    /// (unknown).
    #[schemars(range(min = 1, max = 10_000_000))]
    pub build_number: Option<u32>,
    /// llama.cpp's commit, for records. Default: `rev` if it is a full commit, else `unknown`.
    pub commit: Option<Commit>,
}

/// How llama.cpp is built and on which device it runs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Name in the report. Default: the usual name of the kind if the backend is named after it, else its name.
    pub label: Option<Line>,
    /// Which of llama.cpp's backends. Default: the name of the backend, if it is one of these.
    pub kind: Option<BackendKind>,
    /// How llama.cpp is compiled.
    pub build: Option<Build>,
    /// Device as llama.cpp names it, or `none` for the processor alone. Default: `none`, `Vulkan0`, `ROCm0` or
    /// `CUDA0`, by the kind.
    pub device: Option<Device>,
    /// What measures: `llama-server`, or `llama-bench`, which needs prompts with a number of `tokens`. Default:
    /// `llama-server`.
    #[schemars(extend("default" = "llama-server"))]
    pub tool: Option<Tool>,
    /// Memory bandwidth of the device of this backend, for its roofline, as in `300 GB/s`: GPUs with their own memory
    /// have a different one than the processor. Default: that of `hardware`.
    pub memory_bandwidth: Option<Bandwidth>,
    /// Settings of the server.
    pub server: Option<Server>,
    /// Settings that vary, such as a sweep over threads or batches. Each combination becomes a separate backend.
    pub matrix: Option<Matrix>,
    /// Environment variables of the server, as in `GGML_VK_VISIBLE_DEVICES: "0"`. The server gets these and none of
    /// your others.
    #[serde(default)]
    #[schemars(extend("propertyNames" = names::<VariableName>()))]
    pub env: IndexMap<String, VariableValue>,
    /// Note in the report.
    pub note: Option<Line>,
}

/// How llama.cpp is compiled.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// CMake variables, in addition to those that the kind sets by itself. A variable that this llama.cpp does not
    /// know is an error.
    #[serde(default)]
    #[schemars(extend("propertyNames" = names::<CMakeName>()))]
    pub cmake: IndexMap<String, CMakeValue>,
}

/// Settings of the server, under llamark's names, which are the same for every version of llama.cpp.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Layers on the device: `all` or a number. Default: `all`, or 0 if the device is `none`.
    #[schemars(extend("default" = defaults::GPU_LAYERS))]
    pub gpu_layers: Option<LayerCount>,
    /// Flash attention. Default: `false`, whatever this llama.cpp would choose.
    #[schemars(extend("default" = defaults::FLASH_ATTN))]
    pub flash_attn: Option<bool>,
    /// Element type of the keys in the KV cache. Default: `f16`.
    #[schemars(extend("default" = defaults::CACHE_TYPE))]
    pub cache_type_k: Option<CacheType>,
    /// Element type of the values in the KV cache; a quantized one needs `flash_attn: true`. Default: `f16`.
    #[schemars(extend("default" = defaults::CACHE_TYPE))]
    pub cache_type_v: Option<CacheType>,
    /// Map the model file into memory (`true`), or read it (`false`). Default: `true`.
    #[schemars(extend("default" = defaults::MMAP))]
    pub mmap: Option<bool>,
    /// Lock the model in memory. Default: `false`.
    #[schemars(extend("default" = defaults::MLOCK))]
    pub mlock: Option<bool>,
    /// Threads for token generation. Default: the physical cores that llamark may use.
    #[schemars(range(min = 1, max = 4096))]
    pub threads: Option<u32>,
    /// Threads for prompt processing. Default: the same as `threads`.
    #[schemars(range(min = 1, max = 4096))]
    pub threads_batch: Option<u32>,
    /// Logical batch: maximum tokens in one call. Default: `2048`.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = defaults::BATCH))]
    pub batch: Option<u32>,
    /// Physical batch: maximum tokens computed at once; at most `batch`. Default: `512`, or `batch` if that is less.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = defaults::UBATCH))]
    pub ubatch: Option<u32>,
}

/// Values of settings of the server: every combination becomes a separate backend, named after the values, as in
/// `cpu+threads=2+ubatch=128`. Settings that are not listed are as in `server`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// Layers on the device.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub gpu_layers: Option<Vec<LayerCount>>,
    /// Flash attention.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub flash_attn: Option<Vec<bool>>,
    /// Element type of the keys in the KV cache.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub cache_type_k: Option<Vec<CacheType>>,
    /// Element type of the values in the KV cache.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub cache_type_v: Option<Vec<CacheType>>,
    /// Map the model file into memory, or read it.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub mmap: Option<Vec<bool>>,
    /// Lock the model in memory.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub mlock: Option<Vec<bool>>,
    /// Threads for token generation.
    #[schemars(with = "Option<Vec<Number<4096>>>", length(min = 1), extend("uniqueItems" = true))]
    pub threads: Option<Vec<u32>>,
    /// Threads for prompt processing.
    #[schemars(with = "Option<Vec<Number<4096>>>", length(min = 1), extend("uniqueItems" = true))]
    pub threads_batch: Option<Vec<u32>>,
    /// Logical batch.
    #[schemars(with = "Option<Vec<Number<1000000>>>", length(min = 1), extend("uniqueItems" = true))]
    pub batch: Option<Vec<u32>>,
    /// Physical batch.
    #[schemars(with = "Option<Vec<Number<1000000>>>", length(min = 1), extend("uniqueItems" = true))]
    pub ubatch: Option<Vec<u32>>,
    /// Combinations to leave out: every combination that has all the values of one of these.
    #[schemars(length(min = 1))]
    pub exclude: Option<Vec<Combination>>,
    /// Combinations in addition to those of the lists.
    #[schemars(length(min = 1))]
    pub include: Option<Vec<Combination>>,
}

/// Values of some settings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Combination {
    /// Layers on the device.
    pub gpu_layers: Option<LayerCount>,
    /// Flash attention.
    pub flash_attn: Option<bool>,
    /// Element type of the keys in the KV cache.
    pub cache_type_k: Option<CacheType>,
    /// Element type of the values in the KV cache.
    pub cache_type_v: Option<CacheType>,
    /// Map the model file into memory, or read it.
    pub mmap: Option<bool>,
    /// Lock the model in memory.
    pub mlock: Option<bool>,
    /// Threads for token generation.
    #[schemars(range(min = 1, max = 4096))]
    pub threads: Option<u32>,
    /// Threads for prompt processing.
    #[schemars(range(min = 1, max = 4096))]
    pub threads_batch: Option<u32>,
    /// Logical batch.
    #[schemars(range(min = 1, max = 1000000))]
    pub batch: Option<u32>,
    /// Physical batch.
    #[schemars(range(min = 1, max = 1000000))]
    pub ubatch: Option<u32>,
}

/// What one measurement is, and how often it is made.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// The prompt, or a list of prompts: each makes a separate case. Default: every prompt.
    pub prompt: Option<PromptNames>,
    /// Tokens to generate in each run, exactly; each value of a list makes a separate case. Default: `128`.
    #[schemars(extend("default" = defaults::MAX_TOKENS))]
    pub max_tokens: Option<Numbers<1, 1_000_000>>,
    /// Tokens of context before the prompt, as in `[0, 4096]`: they are in the KV cache when a run begins, and neither
    /// they nor their time count. Each value of a list makes a separate case. Default: `0`.
    #[schemars(extend("default" = defaults::DEPTH))]
    pub depth: Option<Numbers<0, 100_000_000>>,
    /// Requests sent at once in each run, each to its own slot with its own context. Each value of a list makes a
    /// separate case. Default: `1`.
    #[schemars(extend("default" = defaults::CONCURRENCY))]
    pub concurrency: Option<Numbers<1, 256>>,
    /// Context of each slot of the server, in tokens: it must hold the depth, the prompt and `max_tokens`. Default: `8192`.
    #[schemars(range(min = 1, max = 100_000_000), extend("default" = defaults::CONTEXT))]
    pub context: Option<u32>,
    /// Runs at the beginning of each start that are recorded but do not count: a number, or `auto`: until the rates of
    /// the last three differ by at most 2 % (coefficient of variation), and at most 10. Default: `1`.
    #[schemars(extend("default" = defaults::WARMUP))]
    pub warmup: Option<WarmUpRuns>,
    /// Runs that count, in each start. Default: `5`.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = defaults::RUNS))]
    pub runs: Option<u32>,
    /// Starts of the server for each case; a fair comparison needs several. With `until`, the minimum. Default: `1`.
    #[schemars(range(min = 1, max = 10_000), extend("default" = defaults::STARTS))]
    pub starts: Option<u32>,
    /// Add starts until the rates are known precisely enough, as in `{ ci: 2%, max_starts: 20 }`. Without it, the
    /// number of starts is `starts`.
    pub until: Option<Until>,
    /// Order of the starts: `interleave` makes one start of every case, in random order, then the next of every case;
    /// `grouped` makes all starts of a case before the next case. Default: `interleave`.
    #[schemars(extend("default" = defaults::ORDER))]
    pub order: Option<Order>,
    /// Seed of the random order of the starts. Default: `1`.
    #[schemars(range(min = 0, max = 4_294_967_295_u32), extend("default" = defaults::SEED))]
    pub seed: Option<u32>,
    /// Pause before each start, so that the machine cools down: a duration, or until a temperature is reached, as in
    /// `{ until: 60 C, at_most: 120s }`. Default: `0s`.
    #[schemars(extend("default" = defaults::COOLDOWN))]
    pub cooldown: Option<Cooldown>,
    /// Shortest run that you want to rely on: if runs are shorter, the report says so, and which `max_tokens` would be
    /// enough. Default: `0s`, any.
    #[schemars(extend("default" = defaults::MIN_DURATION))]
    pub min_duration: Option<Duration>,
    /// What happens to the model's files in the page cache before each start: nothing (`as-is`), or they are dropped
    /// from it (`cold`) or read into it (`warm`). The result is counted and recorded. Default: `as-is`.
    #[schemars(extend("default" = defaults::CACHE))]
    pub cache: Option<PageCache>,
    /// Time limits. What takes longer ends with status `timeout`.
    pub timeouts: Option<Timeouts>,
    /// Readings of the sensors of the machine: memory, clocks, temperatures, power.
    pub telemetry: Option<Telemetry>,
    /// After the runs of each start, the server continues a short text greedily. The tokens are compared with those of
    /// the processor alone, generated once for each model: what is fast but wrong is `suspect` in the report. Default:
    /// `true`.
    #[schemars(extend("default" = defaults::CANARY))]
    pub canary: Option<Canary>,
    /// A text whose perplexity is measured by llama.cpp's own llama-perplexity, once for each model and backend, after
    /// everything else, as in `{ file: wiki.test.raw }`: a backend that predicts it worse than another by more than
    /// rounding explains is `suspect` in the report. Default: none.
    pub perplexity: Option<Perplexity>,
}

/// Readings of the sensors of the machine.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// How often they are read, as in `10 Hz`, or `off`. Default: `10 Hz`.
    #[schemars(extend("default" = defaults::TELEMETRY_RATE))]
    pub rate: Option<SampleRate>,
}

/// Time limits.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// From the start of the server until it is ready. Default: `600s`.
    #[schemars(extend("default" = defaults::LOAD_TIMEOUT))]
    pub load: Option<Timeout>,
    /// One request. Default: `600s`.
    #[schemars(extend("default" = defaults::REQUEST_TIMEOUT))]
    pub request: Option<Timeout>,
    /// An orderly shutdown of the server, before it is killed. Default: `10s`.
    #[schemars(extend("default" = defaults::STOP_TIMEOUT))]
    pub stop: Option<Timeout>,
}

/// A model.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name in the report.
    pub name: Line,
    /// Name in ids and paths. Default: made from `name` and `quant`, as in `qwen3-vl-30b-a3b-instruct-q4_k_m`.
    pub id: Option<Name>,
    /// Quantization, as in `Q4_K_M`. Default: what the header of the file says.
    pub quant: Option<Line>,
    /// Parameters as the publisher states them; the report says so if the header of the file contradicts them.
    pub params: Option<Parameters>,
    /// Where the file comes from: `file`, `url` and `sha256`, `huggingface` and `file`, `package`, `sha256` and
    /// `member`, or `synthetic`: made-up weights.
    pub source: ModelSource,
    /// A multimodal model, measured on text alone. Default: `false`.
    #[schemars(extend("default" = false))]
    pub vision: Option<bool>,
    /// Backends to measure it on. Default: all of them.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub backends: Option<Vec<Name>>,
    /// Note in the report.
    pub note: Option<Line>,
}

/// Parameters as the publisher states them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// All of them.
    pub total: Option<ParameterCount>,
    /// Those used for one token, in a mixture of experts.
    pub active: Option<ParameterCount>,
}
