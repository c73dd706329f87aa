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
    round_quickly(value).unwrap_or_else(|| round_in_decimal(value))
}

fn round_in_decimal(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

/// The same without a text, where no rounding of the arithmetic can have a part in it: a comparison has millions of numbers.
///
/// m = value·10^k with 12 digits before its point. The product is off by less than 0.001, so that the whole number next to it is
/// sure unless it lies about half between two. That number and 10^k are exact, and so the division rounds once, as reading
/// the decimal text would.
fn round_quickly(value: f64) -> Option<f64> {
    /// The powers of ten that are exact.
    const POWERS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
        1e18, 1e19, 1e20, 1e21, 1e22,
    ];
    let place = 11.0 - value.abs().log10().floor();
    if !(0.0..23.0).contains(&place) {
        return None;
    }
    let power = POWERS.iter().zip(0_u8..).find(|(_, k)| f64::from(*k) == place)?.0;
    let scaled = value.abs() * power;
    let whole = scaled.round();
    let is_sure = (scaled - whole).abs() < 0.499 && scaled > 1e11 + 1.0 && scaled < 1e12 - 1.0;
    is_sure.then(|| (whole / power).copysign(value))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_rounded_as_its_decimal_text_is() {
        for value in
            [0.0, 1.0, 0.1, 1e11, 999_999_999_999.5, 1e12, 1e-30, 1e300, f64::MIN_POSITIVE, 123_456_789_012.5]
        {
            assert_eq!(round(value).to_bits(), round_in_decimal(value).to_bits(), "{value}");
            assert_eq!(round(-value).to_bits(), round_in_decimal(-value).to_bits(), "{value}");
        }
        assert!(round(f64::NAN).is_nan() && round(f64::INFINITY) == f64::INFINITY);
        assert!(round_quickly(0.034_567_891_234_567_89).is_some(), "the usual way is the quick one");
    }

    proptest! {
        #[test]
        fn both_ways_to_round_agree(digits in 1_u64..1 << 53, exponent in -30_i32..20, digit in 0_u64..1_000_000_000_000) {
            let any = digits as f64 * 10_f64.powi(exponent);
            prop_assert_eq!(round(any).to_bits(), round_in_decimal(any).to_bits());
            // About half between two.
            let half = (digit as f64 + 0.5) / 10_f64.powi(exponent.abs());
            for near in [half, half.next_up(), half.next_down()] {
                prop_assert_eq!(round(near).to_bits(), round_in_decimal(near).to_bits());
            }
        }
    }
}
