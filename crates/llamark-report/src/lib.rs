//! Takes: artifact sets, as read back; templates.
//! Gives: frames of runs, summaries, pages, tables and comparisons, each a pure function of the set.
//! Never: a server, a compiler, a clock; a number that does not follow from the journal.

mod compare;
mod compare_render;
mod counted;
mod derived;
mod describe;
mod differences;
mod error;
mod escape;
mod estimate;
mod filters;
pub mod format;
mod frame;
mod notes;
mod summarize;
pub mod summary;
mod telemetry;
mod templates;
mod terminal;
mod verdict;

pub use compare::{
    COMPARISON_FORMAT, CaseComparison, ComparedSet, Comparison, Conclusion, compare, compare_materials,
};
pub use derived::{derived_files, derived_from, summary_json};
pub use differences::Difference;
pub use error::ReportError;
pub use frame::{results_csv, results_json, results_parquet};
pub use summarize::{Material, summarize, summarize_material};
pub use summary::Summary;
pub use templates::{Templates, render_markdown};
pub use terminal::terminal_table;
pub use verdict::{MARGIN, MetricComparison, RatioInterval, Side, Verdict};
