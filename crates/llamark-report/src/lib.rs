//! Takes: artifact sets, as read back; templates.
//! Gives: frames of runs, summaries, pages, tables and comparisons, each a pure function of the set.
//! Never: a server, a compiler, a clock; a number that does not follow from the journal.

mod canary;
pub mod compare;
mod counted;
mod derived;
mod describe;
mod error;
mod escape;
mod estimate;
mod filters;
pub mod findings;
pub mod format;
mod frame;
mod llama_bench;
mod loading;
mod pace;
mod perplexity;
mod procedure;
mod ro_crate;
mod same_numbers;
mod steady;
mod summarize;
pub mod summary;
mod telemetry;
mod templates;
mod terminal;
mod variants;
mod weights;

pub use compare::{CompareOptions, compare};
pub use derived::{derived_files, derived_from, summary_json};
pub use error::ReportError;
pub use frame::{results_csv, results_json, results_parquet};
pub use llama_bench::{LlamaBench, llama_bench};
pub use pace::pairs_on_one_machine;
pub use ro_crate::{RO_CRATE, ro_crate};
pub use same_numbers::same_numbers;
pub use summarize::{Material, summarize, summarize_material};
pub use summary::Summary;
pub use templates::{Templates, render_markdown};
pub use terminal::terminal_table;
