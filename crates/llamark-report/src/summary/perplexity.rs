//! How well the backends predict the same text, as a report shows it.

use llamark_record::Sha256;
use serde::{Deserialize, Serialize};

/// The perplexities of a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerplexitySummary {
    /// Tokens of a chunk.
    pub context: u32,
    /// Most chunks.
    pub chunks: u32,
    /// SHA-256 of the text.
    pub sha256: Sha256,
    /// Bytes of the text.
    pub bytes: u64,
    /// By model, then backend, in plan order.
    pub rows: Vec<PerplexityRow>,
}

/// The perplexity of a model on a backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerplexityRow {
    /// Place of the model in the summary.
    pub model: usize,
    /// Place of the backend in the summary.
    pub backend: usize,
    /// The perplexity; absent if there is none, or it is not a number.
    pub perplexity: Option<f64>,
    /// Its standard error over the tokens. Another backend reads the same tokens: it is not that of their difference.
    pub error: Option<f64>,
    /// Chunks that were computed.
    pub chunks: u32,
    /// By which share it is above the lowest of the model, over the chunks that both have: 0 for that itself. Absent
    /// if there is nothing to compare.
    pub above: Option<f64>,
    /// The share that rounding explains; absent likewise.
    pub allowed: Option<f64>,
    /// The lowest of the model, over the chunks that both have; absent likewise.
    pub lowest: Option<f64>,
    /// Place of its backend in the summary; absent likewise.
    pub lowest_backend: Option<usize>,
    /// Whether it is not a number, or higher than rounding explains.
    pub suspect: bool,
    /// Where it is not a number: what was printed. Where there is none: why. Else empty.
    pub reason: String,
}
