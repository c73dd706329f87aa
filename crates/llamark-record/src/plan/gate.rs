//! How a comparison judges each metric.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// How a comparison judges a metric. Shares are in parts per million of the baseline's value: 30 000 are 3 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The metric.
    pub metric: Metric,
    /// Whether its verdict decides that of the comparison; otherwise it is shown only.
    pub decides: bool,
    /// τ: no change is called unless it is shown to be larger than this.
    pub minimum_ppm: u32,
    /// δ: a change that is shown to be smaller than this is called equivalent.
    pub margin_ppm: u32,
}

impl Gate {
    /// The gate of a metric with this margin. The least change that is looked for is a third of it, as 1 % is of 3 %.
    pub const fn with_margin(metric: Metric, decides: bool, margin_ppm: u32) -> Self {
        Self { metric, decides, minimum_ppm: margin_ppm / 3, margin_ppm }
    }
}

/// How each metric is judged where the author says nothing: throughput decides, at 3 %. Times vary more, loading most.
pub const STANDARD_GATES: [Gate; 15] = [
    Gate::with_margin(Metric::Pp, true, 30_000),
    Gate::with_margin(Metric::Tg, true, 30_000),
    Gate::with_margin(Metric::TgStream, false, 30_000),
    Gate::with_margin(Metric::Ttft, false, 60_000),
    Gate::with_margin(Metric::TtftP95, false, 100_000),
    Gate::with_margin(Metric::TtftP99, false, 150_000),
    Gate::with_margin(Metric::Itl, false, 60_000),
    Gate::with_margin(Metric::ItlP95, false, 100_000),
    Gate::with_margin(Metric::ItlP99, false, 150_000),
    Gate::with_margin(Metric::Load, false, 150_000),
    Gate::with_margin(Metric::Rss, false, 30_000),
    Gate::with_margin(Metric::Vram, false, 30_000),
    Gate::with_margin(Metric::Gtt, false, 30_000),
    Gate::with_margin(Metric::EnergyPrefill, false, 60_000),
    Gate::with_margin(Metric::EnergyDecode, false, 60_000),
];
