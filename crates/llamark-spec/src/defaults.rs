//! What is assumed where an experiment says nothing. Nowhere else in llamark is a default.
//!
//! A default here is a decision of ours and holds for every version of llama.cpp: what llama.cpp assumes by
//! itself changes between versions, so nothing is ever left to it.

/// `schema:` of an experiment that this version reads.
pub const SCHEMA: &str = "llamark/experiment/v1";
/// What stands before the version in `schema:`.
pub const SCHEMA_FAMILY: &str = "llamark/experiment/v";

/// Tokens to generate in each run.
pub const MAX_TOKENS: u32 = 128;
/// Context of the server, in tokens.
pub const CONTEXT: u32 = 8192;
/// Tokens of context before the prompt.
pub const DEPTH: u32 = 0;
/// Requests at once.
pub const CONCURRENCY: u32 = 1;
/// What a prompt of so many tokens is cut from, and what fills the context before it.
pub const PROSE: &str = include_str!("prose.txt");
/// Runs at the beginning of each start that do not count.
pub const WARMUP: u32 = 1;
/// Runs that count, in each start.
pub const RUNS: u32 = 5;
/// Lives of the server for each case.
pub const STARTS: u32 = 1;
/// Seed of the order of the starts.
pub const SEED: u32 = 1;
/// Pause before each start.
pub const COOLDOWN: &str = "0s";

/// Most runs of `warmup: auto`.
pub const AUTO_WARMUP_MOST: u32 = 10;
/// Runs that `warmup: auto` looks at. A smaller window takes noise for a steady state, a larger one costs a run more.
pub const AUTO_WARMUP_WINDOW: u32 = 3;
/// Coefficient of variation of these at which `warmup: auto` ends, in parts per million: the larger of the two limits in
/// Georges, Buytaert and Eeckhout (2007).
pub const AUTO_WARMUP_VARIATION_PPM: u32 = 20_000;
/// Most starts of a case with `until`.
pub const MAX_STARTS: u32 = 20;
/// Order of the starts.
pub const ORDER: &str = "interleave";
/// Shortest run to rely on.
pub const MIN_DURATION: &str = "0s";
/// The page cache before each start.
pub const CACHE: &str = "as-is";

/// Seed of the weights of a synthetic model.
pub const SYNTHETIC_SEED: u32 = 1;
/// Context length of a synthetic model that is like no other, tokens.
pub const SYNTHETIC_CONTEXT: u32 = 8192;

/// Limit of loading.
pub const LOAD_TIMEOUT: &str = "600s";
/// Limit of one request.
pub const REQUEST_TIMEOUT: &str = "600s";
/// Limit of an orderly end of the server.
pub const STOP_TIMEOUT: &str = "10s";

/// Whether every server continues a short text after its runs, to see whether it computes the right thing.
pub const CANARY: bool = true;
/// Tokens that it continues it with.
pub const CANARY_TOKENS: u32 = 24;
/// That text: long enough for the kernels of large batches, and even a model of 135M parameters is sure of how it
/// continues (at 23 of 24 tokens by more than e^2), so that rounding decides little and an error shows.
pub const CANARY_PROMPT: &str = "Days: Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday. Again: Monday, \
                                 Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday. Again: Monday, Tuesday,";

/// Tokens of a chunk of a perplexity: what published ones have.
pub const PERPLEXITY_CONTEXT: u32 = 512;
/// Most chunks of a perplexity: a few thousand tokens, so that it takes about as long as a case.
pub const PERPLEXITY_CHUNKS: u32 = 16;

/// Readings of the sensors: what most of them refresh at.
pub const TELEMETRY_RATE: &str = "10 Hz";

/// Logical batch.
pub const BATCH: u32 = 2048;
/// Physical batch.
pub const UBATCH: u32 = 512;
/// Flash attention.
pub const FLASH_ATTN: bool = false;
/// Element type of both halves of the KV cache.
pub const CACHE_TYPE: &str = "f16";
/// Map the model file into memory.
pub const MMAP: bool = true;
/// Lock the model in memory.
pub const MLOCK: bool = false;
/// Layers on the device of a backend that has one.
pub const GPU_LAYERS: &str = "all";

/// How a comparison judges each metric. They stand with the plan, since they also hold for sets that say nothing of it.
pub use llamark_record::plan::STANDARD_GATES as GATES;

/// Branch or commit of a Hugging Face repository.
pub const REVISION: &str = "main";
