//! The ledger as polars frames: one row per run, one row per start, and their exports.
//!
//! Every row of the journal is there, warm-up, invalid and superseded ones too; the column `counted` says which ones
//! the report is made of. Raw integers stand next to the rates that follow from them.

use llamark_artifact::{ArtifactSet, CaseLedger, Ledger};
use llamark_record::journal::{LoadStages, StartClosed};
use polars::prelude::{
    Column, DataFrame, IdxCa, IdxSize, IntoColumn, NamedFrom, NewChunkedArray, PlSmallStr, Series,
};
use polars_io::prelude::{
    CsvWriter, JsonFormat, JsonWriter, ParquetCompression, ParquetWriter, SerWriter, StatisticsOptions,
};

use crate::counted::{Run, Start, broken_text, every_start};
use crate::error::ReportError;

/// Rows in one group of `results.parquet`; a part of the format, since it decides the bytes.
const ROW_GROUP: usize = 1 << 18;

/// Place of the case in the plan: what tables are grouped by. Not exported.
pub(crate) const CASE_INDEX: &str = "case_index";

/// The frames of a set.
pub(crate) struct Frames {
    /// One row per run, in the order plan, start, attempt, run.
    pub(crate) runs: DataFrame,
    /// One row per start and attempt.
    pub(crate) starts: DataFrame,
}

/// Both frames.
pub(crate) fn frames(ledger: &Ledger) -> Result<Frames, ReportError> {
    let build = || -> Result<Frames, polars::error::PolarsError> {
        Ok(Frames { runs: runs(ledger)?, starts: starts(ledger)? })
    };
    build().map_err(|source| ReportError::Frame { what: "make the frames of the set", source })
}

/// `results.parquet`: one row per run. The same set gives the same bytes.
///
/// # Errors
/// When polars refuses.
pub fn results_parquet(set: &ArtifactSet) -> Result<Vec<u8>, ReportError> {
    parquet(&frames(set.ledger())?)
}

/// The rows of `results.parquet` as CSV with a header; what is absent is empty.
///
/// # Errors
/// When polars refuses.
pub fn results_csv(set: &ArtifactSet) -> Result<Vec<u8>, ReportError> {
    let fail = |source| ReportError::Frame { what: "write the runs as CSV", source };
    let mut frame = exported(&frames(set.ledger())?)?;
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).n_threads(1).finish(&mut frame).map_err(fail)?;
    Ok(bytes)
}

/// The rows of `results.parquet` as JSON, one object a line; what is absent is `null`.
///
/// # Errors
/// When polars refuses.
pub fn results_json(set: &ArtifactSet) -> Result<Vec<u8>, ReportError> {
    let fail = |source| ReportError::Frame { what: "write the runs as JSON", source };
    let mut frame = exported(&frames(set.ledger())?)?;
    let mut bytes = Vec::new();
    JsonWriter::new(&mut bytes).with_json_format(JsonFormat::JsonLines).finish(&mut frame).map_err(fail)?;
    Ok(bytes)
}

/// The bytes of `results.parquet`.
pub(crate) fn parquet(frames: &Frames) -> Result<Vec<u8>, ReportError> {
    let fail = |source| ReportError::Frame { what: "write the runs as Parquet", source };
    let mut frame = exported(frames)?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_statistics(StatisticsOptions::full())
        .with_row_group_size(Some(ROW_GROUP))
        .set_parallel(false)
        .finish(&mut frame)
        .map_err(fail)?;
    Ok(bytes)
}

fn exported(frames: &Frames) -> Result<DataFrame, ReportError> {
    let fail = |source| ReportError::Frame { what: "make the frame of the runs", source };
    frames.runs.drop(CASE_INDEX).map_err(fail)
}

/// The columns that name the case, one value per row: gathered from one value per case, so that a name is stored
/// once, however many rows have it.
fn case_columns(ledger: &Ledger, index: &[IdxSize]) -> Result<Vec<Column>, polars::error::PolarsError> {
    let rows = IdxCa::from_slice(PlSmallStr::from_static("index"), index);
    let gather = |name: &'static str, of: &dyn Fn(&CaseLedger) -> String| {
        let values: Vec<String> = ledger.cases.iter().map(of).collect();
        Series::new(PlSmallStr::from_static(name), values).take(&rows).map(IntoColumn::into_column)
    };
    let number = |name: &'static str, of: &dyn Fn(&CaseLedger) -> u32| {
        let values: Vec<u32> = ledger.cases.iter().map(of).collect();
        Series::new(PlSmallStr::from_static(name), values).take(&rows).map(IntoColumn::into_column)
    };
    Ok(vec![
        gather("case", &|case| case.case.id.clone())?,
        gather("model", &|case| case.case.model.clone())?,
        gather("backend", &|case| case.case.backend.clone())?,
        gather("prompt", &|case| case.case.prompt.clone())?,
        number("depth", &|case| case.case.depth)?,
        number("concurrency", &|case| case.case.concurrency)?,
        number("max_tokens", &|case| case.case.max_tokens)?,
    ])
}

fn runs(ledger: &Ledger) -> Result<DataFrame, polars::error::PolarsError> {
    let mut rows = RunRows::default();
    for (place, case) in ledger.cases.iter().enumerate() {
        let place = IdxSize::try_from(place).unwrap_or(IdxSize::MAX);
        for start in every_start(case) {
            for run in &start.runs {
                rows.case_index.push(place);
                rows.push(&start, run);
            }
        }
    }
    let case_index = Series::new(PlSmallStr::from_static(CASE_INDEX), &rows.case_index).into_column();
    let mut columns = vec![case_index];
    columns.extend(case_columns(ledger, &rows.case_index)?);
    columns.extend(rows.into_columns());
    DataFrame::new_infer_height(columns)
}

/// The columns of the runs while they grow.
#[derive(Default)]
struct RunRows {
    case_index: Vec<IdxSize>,
    start: Vec<u32>,
    attempt: Vec<u32>,
    run: Vec<u32>,
    warmup: Vec<bool>,
    superseded: Vec<bool>,
    valid: Vec<bool>,
    counted: Vec<bool>,
    broken: Vec<Option<String>>,
    prompt_tokens: Vec<Option<u32>>,
    cached_tokens: Vec<Option<u32>>,
    prompt_us: Vec<Option<u64>>,
    generated_tokens: Vec<Option<u32>>,
    generation_us: Vec<Option<u64>>,
    first_token_ns: Vec<Option<u64>>,
    total_ns: Vec<Option<u64>>,
    pp: Vec<Option<f64>>,
    tg: Vec<Option<f64>>,
    tg_stream: Vec<Option<f64>>,
    ttft: [Vec<Option<f64>>; 3],
    itl: [Vec<Option<f64>>; 3],
    energy_prefill: Vec<Option<f64>>,
    energy_decode: Vec<Option<f64>>,
}

impl RunRows {
    fn push(&mut self, start: &Start<'_>, run: &Run<'_>) {
        self.start.push(start.number);
        self.attempt.push(start.attempt);
        self.run.push(run.index);
        self.warmup.push(run.warmup);
        self.superseded.push(start.superseded);
        self.valid.push(run.valid);
        self.counted.push(start.counts && run.counts());
        self.broken.push((!run.broken.is_empty()).then(|| broken_text(run.broken)));
        let measurement = run.measurement;
        self.prompt_tokens.push(run.prompt_tokens);
        self.cached_tokens.push(measurement.and_then(|m| m.cached_tokens));
        self.prompt_us.push(measurement.map(|m| m.prompt_us));
        self.generated_tokens.push(run.generated_tokens);
        self.generation_us.push(measurement.map(|m| m.generation_us));
        self.first_token_ns.push(measurement.map(|m| m.first_token_ns));
        self.total_ns.push(measurement.map(|m| m.total_ns));
        self.pp.push(run.pp);
        self.tg.push(run.tg);
        self.tg_stream.push(run.tg_stream);
        for (column, value) in self.ttft.iter_mut().zip(run.ttft_ms) {
            column.push(value);
        }
        for (column, value) in self.itl.iter_mut().zip(run.itl_ms) {
            column.push(value);
        }
        self.energy_prefill.push(run.energy_prefill);
        self.energy_decode.push(run.energy_decode);
    }

    /// In the order of the file, without the index of the case.
    fn into_columns(self) -> Vec<Column> {
        let ([ttft, ttft_p95, ttft_p99], [itl, itl_p95, itl_p99]) = (self.ttft, self.itl);
        vec![
            column("start", self.start),
            column("attempt", self.attempt),
            column("run", self.run),
            column("warmup", self.warmup),
            column("superseded", self.superseded),
            column("valid", self.valid),
            column("counted", self.counted),
            column("broken", self.broken),
            column("prompt_tokens", self.prompt_tokens),
            column("cached_tokens", self.cached_tokens),
            column("prompt_us", self.prompt_us),
            column("generated_tokens", self.generated_tokens),
            column("generation_us", self.generation_us),
            column("first_token_ns", self.first_token_ns),
            column("total_ns", self.total_ns),
            column("pp_tokens_per_second", self.pp),
            column("tg_tokens_per_second", self.tg),
            column("tg_stream_tokens_per_second", self.tg_stream),
            column("ttft_ms", ttft),
            column("ttft_p95_ms", ttft_p95),
            column("ttft_p99_ms", ttft_p99),
            column("itl_ms", itl),
            column("itl_p95_ms", itl_p95),
            column("itl_p99_ms", itl_p99),
            column("energy_prefill_joules_per_token", self.energy_prefill),
            column("energy_decode_joules_per_token", self.energy_decode),
        ]
    }
}

fn column<T>(name: &'static str, values: Vec<T>) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    Series::new(PlSmallStr::from_static(name), values).into_column()
}

fn starts(ledger: &Ledger) -> Result<DataFrame, polars::error::PolarsError> {
    let mut index: Vec<IdxSize> = Vec::new();
    let mut all: Vec<Start<'_>> = Vec::new();
    for (place, case) in ledger.cases.iter().enumerate() {
        let starts = every_start(case);
        index.extend(std::iter::repeat_n(IdxSize::try_from(place).unwrap_or(IdxSize::MAX), starts.len()));
        all.extend(starts);
    }
    fn of<T>(all: &[Start<'_>], value: impl Fn(&Start<'_>) -> T) -> Vec<T> {
        all.iter().map(value).collect()
    }
    fn load<'a>(start: &Start<'a>) -> Option<&'a LoadStages> {
        start.measured?.ready.as_ref().map(|ready| &ready.load)
    }
    fn closed<'a>(start: &Start<'a>) -> Option<&'a StartClosed> {
        start.measured?.closed.as_ref()
    }
    let mut columns = vec![column(CASE_INDEX, index.clone())];
    columns.extend(case_columns(ledger, &index)?);
    columns.extend([
        column("start", of(&all, |start| start.number)),
        column("attempt", of(&all, |start| start.attempt)),
        column("superseded", of(&all, |start| start.superseded)),
        column("counted", of(&all, |start| start.counts)),
        column("outcome", of(&all, |start| closed(start).map(|closed| closed.outcome.word().to_owned()))),
        column("first_line_us", of(&all, |start| load(start).and_then(|load| load.first_line_us))),
        column("weights_us", of(&all, |start| load(start).and_then(|load| load.weights_us))),
        column("ready_us", of(&all, |start| load(start).map(|load| load.ready_us))),
        column("max_rss_bytes", of(&all, |start| closed(start).and_then(|closed| closed.max_rss_bytes))),
        column("lifetime_us", of(&all, |start| closed(start).map(|closed| closed.lifetime_us))),
        column("load_ms", of(&all, |start| start.load_ms)),
        column("rss_bytes", of(&all, |start| start.rss_bytes)),
        column("vram_bytes", of(&all, |start| start.vram_bytes)),
        column("gtt_bytes", of(&all, |start| start.gtt_bytes)),
    ]);
    DataFrame::new_infer_height(columns)
}
