//! Which runs count, and the value of a metric in one of them: decided here, once, for tables and comparisons.
//!
//! A run was measured by llamark or is stated by an imported document; past this file nobody asks which.

use llamark_artifact::{CaseLedger, StartLedger};
use llamark_record::journal::{BrokenRule, Measurement, Outcome, RunRecord};
use llamark_record::llama_bench::{BenchRun, Timed};
use llamark_record::metric::{self, Metric, RunValues};
use llamark_record::stated::{Decimal, StatedRun, StatedStart};
use llamark_record::telemetry::Phase;

use crate::format::float;

/// A start, measured or stated.
pub(crate) struct Start<'a> {
    /// Which start of the case, from 1.
    pub(crate) number: u32,
    /// Which attempt at it, from 1.
    pub(crate) attempt: u32,
    /// Another attempt took its place.
    pub(crate) superseded: bool,
    /// Its numbers mean what the plan says.
    pub(crate) counts: bool,
    /// Process start to ready, ms.
    pub(crate) load_ms: Option<f64>,
    /// Peak resident memory, bytes.
    pub(crate) rss_bytes: Option<f64>,
    /// Peak memory of the GPUs, bytes.
    pub(crate) vram_bytes: Option<f64>,
    /// Peak memory of the host that the GPUs use, bytes.
    pub(crate) gtt_bytes: Option<f64>,
    /// What the journal has of it, where it was measured.
    pub(crate) measured: Option<&'a StartLedger>,
    /// Its runs, warm-up too.
    pub(crate) runs: Vec<Run<'a>>,
}

/// A run, measured or stated.
pub(crate) struct Run<'a> {
    /// Which run of its start, from 1; warm-up runs count apart.
    pub(crate) index: u32,
    /// A warm-up run.
    pub(crate) warmup: bool,
    /// There are numbers, and no rule is broken.
    pub(crate) valid: bool,
    /// The rules that it breaks.
    pub(crate) broken: &'a [BrokenRule],
    /// The raw integers, where it was measured and is of a single stream.
    pub(crate) measurement: Option<&'a Measurement>,
    /// What llama-bench timed, where that is what measured.
    pub(crate) bench: Option<&'a BenchRun>,
    /// Tokens of the prompt; of several streams, all of them.
    pub(crate) prompt_tokens: Option<u32>,
    /// Tokens generated, likewise.
    pub(crate) generated_tokens: Option<u32>,
    /// Prompt processing, tok/s.
    pub(crate) pp: Option<f64>,
    /// Token generation, tok/s.
    pub(crate) tg: Option<f64>,
    /// Token generation of the median of several streams, tok/s.
    pub(crate) tg_stream: Option<f64>,
    /// Time to first token, ms: the median over the streams, and of several the 95th and 99th percentile.
    pub(crate) ttft_ms: [Option<f64>; 3],
    /// Time from one token to the next, ms: median, 95th and 99th percentile.
    pub(crate) itl_ms: [Option<f64>; 3],
    /// Energy for each token of the prompt, J.
    pub(crate) energy_prefill: Option<f64>,
    /// Energy for each step of generation, J.
    pub(crate) energy_decode: Option<f64>,
}

impl Start<'_> {
    /// The values of a metric in this start that count: one per run, or one of the start itself.
    pub(crate) fn values(&self, metric: Metric) -> Vec<f64> {
        match metric {
            Metric::Load => self.load_ms.into_iter().collect(),
            Metric::Rss => self.rss_bytes.into_iter().collect(),
            Metric::Vram => self.vram_bytes.into_iter().collect(),
            Metric::Gtt => self.gtt_bytes.into_iter().collect(),
            _ => self.runs.iter().filter(|run| run.counts()).filter_map(|run| run.value(metric)).collect(),
        }
    }
}

impl Run<'_> {
    /// Whether it counts, if its start does.
    pub(crate) fn counts(&self) -> bool {
        self.valid && !self.warmup
    }

    /// The value of a metric of runs, in its unit; `None` for a metric of starts, or if there is none.
    fn value(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Pp => self.pp,
            Metric::Tg => self.tg,
            Metric::TgStream => self.tg_stream,
            Metric::Ttft => self.ttft_ms[0],
            Metric::TtftP95 => self.ttft_ms[1],
            Metric::TtftP99 => self.ttft_ms[2],
            Metric::Itl => self.itl_ms[0],
            Metric::ItlP95 => self.itl_ms[1],
            Metric::ItlP99 => self.itl_ms[2],
            Metric::EnergyPrefill => self.energy_prefill,
            Metric::EnergyDecode => self.energy_decode,
            Metric::Load | Metric::Rss | Metric::Vram | Metric::Gtt => None,
        }
    }
}

/// Every start of a case, also those that another attempt has replaced, by start and attempt.
pub(crate) fn every_start(case: &CaseLedger) -> Vec<Start<'_>> {
    let superseded = case.superseded.iter().map(|start| measured(case, start, true));
    let last = case.starts.values().map(|start| measured(case, start, false));
    let stated = case.stated.values().map(|start| stated(case, start));
    let mut all: Vec<Start<'_>> = superseded.chain(last).chain(stated).collect();
    all.sort_by_key(|start| (start.number, start.attempt));
    all
}

/// The last attempt at each start of a case, by start.
pub(crate) fn starts(case: &CaseLedger) -> impl Iterator<Item = Start<'_>> {
    let last = case.starts.values().map(|start| measured(case, start, false));
    last.chain(case.stated.values().map(|start| stated(case, start)))
}

/// The values of a metric that count, by start; a start without one is not there.
pub(crate) fn samples(case: &CaseLedger, metric: Metric) -> Vec<Vec<f64>> {
    let counting = starts(case).filter(|start| start.counts);
    counting.map(|start| start.values(metric)).filter(|values| !values.is_empty()).collect()
}

/// Half a unit of the last digit of the values of a metric as a document writes them, the coarsest of a case; `None`
/// where they were measured.
pub(crate) fn half_unit(case: &CaseLedger, metric: Metric) -> Option<f64> {
    let runs = case.stated.values().flat_map(|start| &start.runs);
    let written = runs.filter_map(|run| match metric {
        Metric::Pp => run.pp.as_ref(),
        Metric::Tg => run.tg.as_ref(),
        _ => None,
    });
    written.map(Decimal::half_unit).max_by(f64::total_cmp)
}

/// Whether the numbers of this start mean what the plan says. Those of a start or a case that was found invalid
/// do not: a fallback to the processor must not be read as a result of the device.
pub(crate) fn counts(case: &CaseLedger, start: Option<&StartLedger>) -> bool {
    let is_invalid = |outcome: &Outcome| matches!(outcome, Outcome::Invalid { .. });
    let case_is_invalid = case.outcome.as_ref().is_some_and(is_invalid);
    let closed = start.and_then(|start| start.closed.as_ref());
    !case_is_invalid && !closed.is_some_and(|closed| is_invalid(&closed.outcome))
}

fn measured<'a>(case: &CaseLedger, start: &'a StartLedger, superseded: bool) -> Start<'a> {
    Start {
        number: start.id.start,
        attempt: start.id.attempt,
        superseded,
        counts: !superseded && counts(case, Some(start)),
        load_ms: start.ready.as_ref().map(|ready| float(ready.load.ready_us) / 1e3),
        rss_bytes: start.closed.as_ref().and_then(|closed| closed.max_rss_bytes).map(float),
        vram_bytes: peak(start, "vram"),
        gtt_bytes: peak(start, "gtt"),
        measured: Some(start),
        runs: start.runs.iter().map(|run| measured_run(start, run)).collect(),
    }
}

fn peak(start: &StartLedger, what: &str) -> Option<f64> {
    start.telemetry.as_ref()?.peak(what).ok().map(float)
}

/// Energy of a token in a phase of a run that counts; warm-up runs have none.
fn energy(start: &StartLedger, run: &RunRecord, phase: Phase, tokens: u32) -> Option<f64> {
    let telemetry = start.telemetry.as_ref().filter(|_| !run.warmup)?;
    metric::energy_per_token(telemetry.energy(phase).ok()?, tokens)
}

fn measured_run<'a>(start: &StartLedger, run: &'a RunRecord) -> Run<'a> {
    let values = RunValues::of(run);
    let is_measured = run.is_measured();
    let tokens = |of: fn(&Measurement) -> u32| run.measurements().map(of).fold(0, u32::saturating_add);
    let of_bench =
        |half: fn(&BenchRun) -> Option<Timed>| run.bench.as_deref().and_then(half).map(|timed| timed.tokens);
    let prompt = of_bench(|run| run.prompt).unwrap_or_else(|| tokens(|one| one.prompt_tokens));
    let steps = tokens(|one| one.generated_tokens.saturating_sub(1));
    let energy = |phase, tokens| is_measured.then(|| energy(start, run, phase, tokens)).flatten();
    Run {
        index: run.index,
        warmup: run.warmup,
        valid: run.is_valid(),
        broken: &run.broken,
        measurement: run.measurement.as_ref(),
        bench: run.bench.as_deref(),
        prompt_tokens: is_measured.then_some(prompt),
        generated_tokens: is_measured
            .then(|| of_bench(|run| run.generation).unwrap_or_else(|| tokens(|one| one.generated_tokens))),
        pp: values.pp,
        tg: values.tg,
        tg_stream: values.tg_stream,
        ttft_ms: values.ttft,
        itl_ms: values.itl,
        energy_prefill: energy(Phase::Prefill { run: run.index }, prompt),
        energy_decode: energy(Phase::Decode { run: run.index }, steps),
    }
}

fn stated<'a>(case: &CaseLedger, start: &'a StatedStart) -> Start<'a> {
    Start {
        number: start.id.start,
        attempt: start.id.attempt,
        superseded: false,
        counts: counts(case, None),
        load_ms: start.load_ms.map(float),
        rss_bytes: None,
        vram_bytes: None,
        gtt_bytes: None,
        measured: None,
        runs: start.runs.iter().map(stated_run).collect(),
    }
}

fn stated_run(run: &StatedRun) -> Run<'static> {
    // A time is of the prompt, or of the generation where there is no prompt; of both together it is no rate of either.
    let timed = |tokens: Option<u32>, other: Option<u32>| {
        other.filter(|other| *other == 0)?;
        metric::timed_rate(tokens?, run.duration_ns?)
    };
    let pp = run.pp.as_ref().map(Decimal::value).or_else(|| timed(run.prompt_tokens, run.generated_tokens));
    let tg = run.tg.as_ref().map(Decimal::value).or_else(|| timed(run.generated_tokens, run.prompt_tokens));
    Run {
        index: run.index,
        warmup: false,
        valid: pp.is_some() || tg.is_some(),
        broken: &[],
        measurement: None,
        bench: None,
        prompt_tokens: run.prompt_tokens,
        generated_tokens: run.generated_tokens,
        pp,
        tg,
        tg_stream: None,
        ttft_ms: [None; 3],
        itl_ms: [None; 3],
        energy_prefill: None,
        energy_decode: None,
    }
}

/// The broken rules as one text: `cold_cache: 12 tokens came from a cache; ...`.
pub(crate) fn broken_text(broken: &[BrokenRule]) -> String {
    let mut text = String::new();
    for rule in broken {
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(&word(&rule.rule));
        if !rule.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&rule.detail);
        }
    }
    text
}

/// The name of a unit variant as it is written in records: `cold_cache`, `out_of_memory`.
pub(crate) fn word<T: serde::Serialize>(variant: &T) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
