//! Estimates per case and metric: grouped and aggregated by polars, intervals by `llamark_stats`.

use std::collections::BTreeMap;

use llamark_record::metric::Metric;
use polars::error::PolarsError;
use polars::prelude::{DataFrame, IdxSize, IntoLazy, LazyFrame, col, len};

use crate::error::ReportError;
use crate::format::float;
use crate::frame::{CASE_INDEX, Frames};
use crate::summary::{Estimate, Interval, Replication};

/// Level of every interval.
pub(crate) const LEVEL: f64 = 0.95;
/// Fewest values that an interval is made of.
const FEWEST: usize = 3;

/// The column of a metric, and whether it is one of runs (else of starts).
fn place_of(metric: Metric) -> (&'static str, bool) {
    match metric {
        Metric::Pp => ("pp_tokens_per_second", true),
        Metric::Tg => ("tg_tokens_per_second", true),
        Metric::TgStream => ("tg_stream_tokens_per_second", true),
        Metric::Ttft => ("ttft_ms", true),
        Metric::TtftP95 => ("ttft_p95_ms", true),
        Metric::TtftP99 => ("ttft_p99_ms", true),
        Metric::Itl => ("itl_ms", true),
        Metric::ItlP95 => ("itl_p95_ms", true),
        Metric::ItlP99 => ("itl_p99_ms", true),
        Metric::Load => ("load_ms", false),
        Metric::Rss => ("rss_bytes", false),
        Metric::Vram => ("vram_bytes", false),
        Metric::Gtt => ("gtt_bytes", false),
        Metric::EnergyPrefill => ("energy_prefill_joules_per_token", true),
        Metric::EnergyDecode => ("energy_decode_joules_per_token", true),
    }
}

/// The estimates of a metric by place of the case in the plan; a case without a value that counts is not there.
pub(crate) fn estimates(frames: &Frames, metric: Metric) -> Result<BTreeMap<usize, Estimate>, ReportError> {
    let (column, of_runs) = place_of(metric);
    let frame = if of_runs { &frames.runs } else { &frames.starts };
    grouped(frame, column, metric.unit())
        .map_err(|source| ReportError::Frame { what: "group the runs by case", source })
}

fn grouped(frame: &DataFrame, column: &str, unit: &str) -> Result<BTreeMap<usize, Estimate>, PolarsError> {
    let counted = frame
        .clone()
        .lazy()
        .filter(col("counted").and(col(column).is_not_null()))
        .select([col(CASE_INDEX), col("start"), col(column).alias("value")])
        .collect()?;
    // Stable: groups come in the order of the rows, which is that of the plan, whatever the number of threads.
    let starts = counted
        .clone()
        .lazy()
        .group_by_stable([col(CASE_INDEX), col("start")])
        .agg([col("value").mean().alias("mean")])
        .collect()?;
    let cases = per_case(counted.clone().lazy()).collect()?;
    let start_means = by_case(&starts, "mean")?;
    let values = by_case(&counted, "value")?;
    let index = indices(&cases)?;
    let number = |name: &str| -> Result<Vec<Option<f64>>, PolarsError> {
        Ok(cases.column(name)?.f64()?.iter().collect())
    };
    let (sd, median, min, max) = (number("sd")?, number("median")?, number("min")?, number("max")?);
    let counts: Vec<Option<IdxSize>> = cases.column("n")?.idx()?.iter().collect();
    let mut estimates = BTreeMap::new();
    for (row, case) in index.into_iter().enumerate() {
        let cell = |column: &[Option<f64>]| column.get(row).copied().flatten();
        let (Some(means), Some(values)) = (start_means.get(&case), values.get(&case)) else { continue };
        let (Some(mean), Some(median), Some(min), Some(max)) =
            (llamark_stats::mean(means), cell(&median), cell(&min), cell(&max))
        else {
            continue;
        };
        let n = counts.get(row).copied().flatten().map_or(0, u64::from);
        let starts = u32::try_from(means.len()).unwrap_or(u32::MAX);
        let estimate = Estimate {
            unit: unit.to_owned(),
            n,
            starts,
            mean: round(mean),
            sd: cell(&sd).filter(|_| n >= 2).map(round),
            median: round(median),
            min: round(min),
            max: round(max),
            interval: interval(means, values),
        };
        estimates.insert(case, estimate);
    }
    Ok(estimates)
}

fn per_case(counted: LazyFrame) -> LazyFrame {
    counted.group_by_stable([col(CASE_INDEX)]).agg([
        len().alias("n"),
        col("value").std(1).alias("sd"),
        col("value").median().alias("median"),
        col("value").min().alias("min"),
        col("value").max().alias("max"),
    ])
}

/// The interval over starts where there are enough; with one start over its runs, and said so; else none.
fn interval(start_means: &[f64], values: &[f64]) -> Option<Interval> {
    let (sample, over) = match start_means.len() {
        1 => (values, Replication::RunsOfOneStart),
        _ => (start_means, Replication::Starts),
    };
    if sample.len() < FEWEST {
        return None;
    }
    let interval = llamark_stats::interval::t_interval(sample, LEVEL)?;
    let n = u64::try_from(sample.len()).unwrap_or(u64::MAX);
    let half_width = round((interval.high - interval.low) / 2.0);
    Some(Interval {
        low: round(interval.low),
        high: round(interval.high),
        half_width,
        level: LEVEL,
        over,
        n,
        rounding: 0.0,
    })
}

/// Widens an interval for values that a document rounded: each lies within `half_unit` of what is written. The standard
/// deviation of n values moves by at most √(n/(n − 1)) x that (triangle inequality), so the half-width by t/√(n − 1).
pub(crate) fn add_rounding(estimate: &mut Estimate, half_unit: Option<f64>) {
    let (Some(interval), Some(half_unit)) = (&mut estimate.interval, half_unit) else { return };
    let df = float(interval.n) - 1.0;
    let t = llamark_stats::special::t_upper_quantile((1.0 - LEVEL) / 2.0, df);
    interval.rounding = t.map_or(0.0, |t| round(t * half_unit / df.sqrt()));
}

/// To 12 significant digits: far more than was measured, and few enough that the last bit of another machine's
/// mathematical library does not change the bytes of a summary.
pub(crate) fn round(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

fn indices(frame: &DataFrame) -> Result<Vec<usize>, PolarsError> {
    let column = frame.column(CASE_INDEX)?.idx()?;
    Ok(column
        .iter()
        .map(|index| index.map_or(usize::MAX, |index| usize::try_from(index).unwrap_or(usize::MAX)))
        .collect())
}

/// The values of a column by case, in the order of the rows.
fn by_case(frame: &DataFrame, column: &str) -> Result<BTreeMap<usize, Vec<f64>>, PolarsError> {
    let values = frame.column(column)?.f64()?;
    let mut map: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for (case, value) in indices(frame)?.into_iter().zip(values.iter()) {
        if let Some(value) = value {
            map.entry(case).or_default().push(value);
        }
    }
    Ok(map)
}
