//! A model of a summary: its names, its file, and what one token reads of it.

use llamark_record::model::FileIdentity;
use serde::{Deserialize, Serialize};

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
    /// if nothing was claimed.
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
