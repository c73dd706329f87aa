//! Takes: a case, a build and a model; the interrupt; the recorder that keeps the journal.
//! Gives: the record of every start and run, proofs of what was measured, and facts about the machine.
//! Never: a plan, a build, a file of the set, a statistic but the one that ends a warm-up, a line on the terminal; no
//! address but 127.0.0.1.

mod cache;
mod canary;
pub mod client;
mod completion;
mod cooling;
mod error;
mod failure;
pub mod flags;
pub mod host;
mod llama_bench;
pub mod log;
mod mapped;
mod perplexity;
pub mod probe;
mod program;
mod prompt;
pub mod proof;
mod protocol;
mod ready;
mod rules;
mod run;
mod server;
pub mod sse;
mod start;
mod telemetry;
mod warm;

pub use canary::{ReferenceParts, canary_reference, reference_backend, reference_parts};
pub use completion::stream_measurement;
pub use cooling::cool_down;
pub use error::{BenchError, RecordError};
pub use mapped::KnownFiles;
pub use perplexity::{perplexity, perplexity_case};
pub use start::{Progress, Recorder, Start, run_start};
pub use telemetry::sensors;
