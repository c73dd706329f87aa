//! The numbers of a case: estimates, their intervals, and what the first runs do to them.

use llamark_record::metric::Metric;
use serde::{Deserialize, Serialize};

/// What was measured of a case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Prompt processing, tok/s.
    pub pp: Option<Estimate>,
    /// Token generation, tok/s.
    pub tg: Option<Estimate>,
    /// Token generation of each of several streams, tok/s.
    pub tg_stream: Option<Estimate>,
    /// Time to first token, ms.
    pub ttft: Option<Estimate>,
    /// Its 95th percentile over several streams, ms.
    pub ttft_p95: Option<Estimate>,
    /// Its 99th percentile over several streams, ms.
    pub ttft_p99: Option<Estimate>,
    /// Time from one token to the next, ms: the median of a run.
    pub itl: Option<Estimate>,
    /// Its 95th percentile, ms.
    pub itl_p95: Option<Estimate>,
    /// Its 99th percentile, ms.
    pub itl_p99: Option<Estimate>,
    /// Process start to ready, ms.
    pub load: Option<Estimate>,
    /// Peak resident memory of the server, bytes.
    pub rss: Option<Estimate>,
    /// Peak memory in use on the GPUs of the backend, bytes.
    pub vram: Option<Estimate>,
    /// Peak memory of the host in use by the GPUs of the backend, bytes.
    pub gtt: Option<Estimate>,
    /// Energy for each token of the prompt, J/token.
    pub energy_prefill: Option<Estimate>,
    /// Energy for each step of generation, J/token.
    pub energy_decode: Option<Estimate>,
}

impl Metrics {
    /// The estimate of a metric.
    pub fn get(&self, metric: Metric) -> Option<&Estimate> {
        match metric {
            Metric::Pp => self.pp.as_ref(),
            Metric::Tg => self.tg.as_ref(),
            Metric::TgStream => self.tg_stream.as_ref(),
            Metric::Ttft => self.ttft.as_ref(),
            Metric::TtftP95 => self.ttft_p95.as_ref(),
            Metric::TtftP99 => self.ttft_p99.as_ref(),
            Metric::Itl => self.itl.as_ref(),
            Metric::ItlP95 => self.itl_p95.as_ref(),
            Metric::ItlP99 => self.itl_p99.as_ref(),
            Metric::Load => self.load.as_ref(),
            Metric::Rss => self.rss.as_ref(),
            Metric::Vram => self.vram.as_ref(),
            Metric::Gtt => self.gtt.as_ref(),
            Metric::EnergyPrefill => self.energy_prefill.as_ref(),
            Metric::EnergyDecode => self.energy_decode.as_ref(),
        }
    }
}

/// What the values of one metric say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The unit: `tok/s`, `ms`, `bytes`.
    pub unit: String,
    /// Values: runs that count, or starts for `load` and `rss`.
    pub n: u64,
    /// Starts that they come from.
    pub starts: u32,
    /// Mean of the means of the starts: each start weighs the same.
    pub mean: f64,
    /// Sample standard deviation of the values; absent for fewer than two.
    pub sd: Option<f64>,
    /// Median of the values.
    pub median: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Confidence interval of the mean; absent when there are too few to say.
    pub interval: Option<Interval>,
}

/// A confidence interval of a mean, by Student's t.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Half of its width.
    pub half_width: f64,
    /// Its level: 0.95.
    pub level: f64,
    /// What was replicated.
    pub over: Replication,
    /// How many of these.
    pub n: u64,
    /// By how much `half_width` may be too small because a document rounded its numbers; 0 of measured ones.
    pub rounding: f64,
}

/// What was replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replication {
    /// Starts of the server: the interval covers what changes from start to start.
    Starts,
    /// Runs of one start: what changes from start to start is not in the interval.
    RunsOfOneStart,
}

/// The first run of a start against the later ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstRun {
    /// Change of pp: first run over the median of the later ones, less one; geometric mean over the starts that have
    /// at least three runs.
    pub pp: Option<f64>,
    /// Change of tg, likewise.
    pub tg: Option<f64>,
}

/// The steady state of a case by metric; absent if nothing has to be left out, or too few runs say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steady {
    /// Of pp.
    pub pp: Option<SteadyState>,
    /// Of tg.
    pub tg: Option<SteadyState>,
}

/// A mean without the runs before the steady state: the first runs of every start that are slower than each later run
/// by more than these differ among themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SteadyState {
    /// Runs left out at the beginning of each start.
    pub left_out: u32,
    /// Mean of the rest: of the means of the starts.
    pub mean: f64,
    /// `mean` over the mean of all runs, less one.
    pub change: f64,
}
