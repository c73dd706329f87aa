//! What a published report states, typed, each thing with its place. Nothing is checked against anything else yet.

use std::ops::Range;

use llamark_record::plan::BackendKind;
use llamark_record::stated::Decimal;

/// Something at a place of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// A report in Markdown, as somebody published it.
#[derive(Clone, Debug)]
pub(crate) struct PublishedReport {
    pub(crate) title: At<String>,
    pub(crate) hardware: At<String>,
    pub(crate) method: At<Method>,
    pub(crate) prompt: At<String>,
    /// Context as the definition of `Load` names it.
    pub(crate) load_context: Option<At<u32>>,
    /// The lines that say how a backend was set.
    pub(crate) settings: Vec<BackendLine>,
    pub(crate) summary: Summary,
    pub(crate) sections: Vec<Section>,
}

/// `3-run average after 1 warmup; 128 max generated tokens; 8192 context`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) runs: u32,
    pub(crate) warmup: u32,
    pub(crate) max_tokens: u32,
    pub(crate) context: u32,
}

/// `**ROCm:** ROCm 7.2, --no-mmap, flash-attn, q4_0 KV cache`.
#[derive(Clone, Debug)]
pub(crate) struct BackendLine {
    pub(crate) backend: At<BackendName>,
    pub(crate) text: String,
}

/// A backend as a document calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackendName {
    pub(crate) kind: BackendKind,
    /// As it is written: `ROCm 7.2`.
    pub(crate) label: String,
}

/// The summary: what it says of itself, and its rows.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    /// Its header.
    pub(crate) span: Range<usize>,
    /// `Sorted by Vulkan TG speed descending.`
    pub(crate) sorted_by: Option<At<BackendKind>>,
    /// `‡ = also benchmarked on ROCm and CPU`.
    pub(crate) also: Option<At<Vec<BackendName>>>,
    /// Backends with columns.
    pub(crate) backends: Vec<BackendName>,
    pub(crate) rows: Vec<SummaryRow>,
}

/// A row of the summary.
#[derive(Clone, Debug)]
pub(crate) struct SummaryRow {
    pub(crate) span: Range<usize>,
    pub(crate) model: ModelName,
    pub(crate) parameters: At<Parameters>,
    /// One for each backend with columns.
    pub(crate) numbers: Vec<Numbers>,
}

/// A model as a heading or a row names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelName {
    pub(crate) name: String,
    pub(crate) quant: String,
    /// `‡`: there are more backends than those of the summary.
    pub(crate) dagger: bool,
    pub(crate) vision: bool,
}

/// `30B`, with `3B` active; none for a dense model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameters {
    pub(crate) total: String,
    pub(crate) active: Option<String>,
}

/// What a row states of one case.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    /// Milliseconds; absent if the document says that it has none.
    pub(crate) load: At<Option<u64>>,
    pub(crate) pp: At<Estimate>,
    pub(crate) tg: At<Estimate>,
}

/// `696.0 ±104.7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Estimate {
    pub(crate) mean: Decimal,
    /// Absent only if there is one run.
    pub(crate) spread: Option<Decimal>,
}

/// The section of a model.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) model: At<ModelName>,
    pub(crate) facts: Option<Facts>,
    pub(crate) rows: Vec<Row>,
    pub(crate) runs: Option<RunBlock>,
}

/// `Quantization: Q4_K_M · Params: 30B total / 3B active (MoE) · File: ~19 GiB`.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) quant: Option<At<String>>,
    pub(crate) parameters: Option<At<Parameters>>,
    pub(crate) file_size: Option<String>,
}

/// A row of the table of backends.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) span: Range<usize>,
    pub(crate) backend: At<BackendName>,
    pub(crate) numbers: Numbers,
    /// May be empty.
    pub(crate) note: String,
}

/// The runs of a model.
#[derive(Clone, Debug)]
pub(crate) struct RunBlock {
    /// The fence that opens it.
    pub(crate) span: Range<usize>,
    pub(crate) groups: Vec<RunGroup>,
}

/// The runs under one heading, or under none.
#[derive(Clone, Debug)]
pub(crate) struct RunGroup {
    pub(crate) backend: Option<At<BackendName>>,
    pub(crate) runs: Vec<At<Run>>,
}

/// `Run 1: pp=575.11 tg=78.83 (prompt=587 tok, gen=128 tok)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) index: u32,
    pub(crate) pp: Decimal,
    pub(crate) tg: Decimal,
    pub(crate) prompt_tokens: u32,
    pub(crate) generated_tokens: u32,
}
