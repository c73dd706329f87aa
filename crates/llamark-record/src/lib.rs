//! Takes: nothing. It is the vocabulary that the other crates share.
//! Gives: the [`plan::Plan`] ("everything is decided"), the records ("this happened"), digests, metrics.
//! Never: a file, a process, a clock, a line of YAML; only data, its JSON form and pure functions on it.

pub mod bisect;
pub mod build;
pub mod canary;
mod case_id;
pub mod comparison;
pub mod digest;
pub mod environment;
pub mod grade;
pub mod journal;
pub mod llama_bench;
pub mod manifest;
pub mod metric;
pub mod model;
pub mod noise;
pub mod perplexity;
pub mod plan;
pub mod stated;
pub mod telemetry;

pub use case_id::CaseId;
pub use digest::{Sha256, SharedSha256};
