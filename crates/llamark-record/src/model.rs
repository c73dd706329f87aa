//! What is known about a model file: its identity and the facts of its header.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;

/// One file by name, size and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileIdentity {
    /// File name, without a folder.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: Sha256,
}

/// A model as found: every shard, and what the header of the first says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelRecord {
    /// The id of the model in the plan.
    pub id: String,
    /// Every shard, in order.
    pub files: Vec<FileIdentity>,
    /// The facts of the header; absent when it could not be read.
    pub facts: Option<ModelFacts>,
    /// Claims of the experiment that the header contradicts, as sentences.
    pub contradictions: Vec<String>,
}

/// Facts from a GGUF header. Each field states its definition; `llamark-gguf/src/facts.rs` computes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelFacts {
    /// `general.architecture`.
    pub architecture: String,
    /// `general.name`, where given.
    pub name: Option<String>,
    /// Name of `general.file_type`, as in `Q4_K_M`; `None` when the header has none or it is unknown.
    pub file_type: Option<String>,
    /// All parameters: the sum of the products of the tensor dimensions.
    pub parameters: u64,
    /// Parameters used for one token: of the experts those that are used, of the embedding table one row (all of it
    /// where the output layer shares it).
    pub active_parameters: u64,
    /// Bytes of all tensors.
    pub tensor_bytes: u64,
    /// Weight bytes read for one generated token (batch 1), without the KV cache.
    pub bytes_per_token: u64,
    /// Bytes of KV cache for one position with f16 keys and values; `None` when the header does not say.
    pub kv_bytes_per_position: Option<u64>,
    /// `tensor_bytes * 8 / parameters`.
    pub bits_per_weight: f64,
    /// `<architecture>.context_length`: the context the model was trained for, in tokens.
    pub context_length: Option<u64>,
    /// `<architecture>.block_count`.
    pub layers: Option<u64>,
    /// Total number of experts; `None` for a dense model.
    pub experts: Option<u64>,
    /// Experts used for one token; `None` for a dense model.
    pub experts_used: Option<u64>,
    /// Size of the vocabulary, where the header holds it.
    pub vocabulary: Option<u64>,
    /// Bytes by tensor type, as in `{"Q4_1": 92000000, "F32": 4096}`.
    pub bytes_by_type: BTreeMap<String, u64>,
    /// Number of shards, according to the header.
    pub shards: u32,
}
