//! Is the first run of a start slower than the others, and do the runs drift?
//!
//! Neither changes a number after the fact: they say "raise the warm-up" or "this machine was not settled".

use serde::{Deserialize, Serialize};

use crate::describe::{logarithms, mean, median, variance};
use crate::special::t_two_sided;
use crate::start_level::Direction;

/// How the first run of each start compares with the rest of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstRun {
    /// Mean over starts of (y_1 − median of the rest), y = ln value with the sign that makes worse positive: 0.01 says
    /// that run 1 is 1 % worse.
    pub worse_by: f64,
    /// Starts whose first run is strictly the worst.
    pub worst_in: usize,
    /// Starts with at least two runs.
    pub starts: usize,
}

/// The first-run effect of one case. Starts with fewer than two runs are left out.
///
/// `None` when no start is left or a value is not finite and positive.
pub fn first_run<S: AsRef<[f64]>>(starts: &[S], direction: Direction) -> Option<FirstRun> {
    let (mut effects, mut worst_in) = (Vec::new(), 0);
    for runs in starts {
        let [first, rest @ ..] = runs.as_ref() else { continue };
        if rest.is_empty() {
            continue;
        }
        let first = badness(&[*first], direction)?[0];
        let rest = badness(rest, direction)?;
        worst_in += usize::from(rest.iter().all(|value| *value < first));
        effects.push(first - median(&rest)?);
    }
    Some(FirstRun { worse_by: mean(&effects)?, worst_in, starts: effects.len() })
}

/// First-run effects pooled over the cases of one backend and metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PooledFirstRun {
    /// Mean of `worse_by`, in logarithms.
    pub worse_by: f64,
    /// Its t statistic over the cases; `None` for one case or cases that are all equal.
    pub t: Option<f64>,
    /// Whether to say "raise the warm-up": |mean| over 0.5 % and |t| over 3.
    pub raise_warmup: bool,
}

/// Pools first-run effects ([`FirstRun::worse_by`]) of several cases. `None` when empty or not finite.
pub fn pool_first_runs(effects: &[f64]) -> Option<PooledFirstRun> {
    let worse_by = mean(effects)?;
    let error = variance(effects).map(|value| (value / effects.len() as f64).sqrt());
    let t = error.filter(|value| *value > 0.0).map(|value| worse_by / value);
    let raise_warmup = worse_by.abs() > 0.005 && t.is_some_and(|t| t.abs() > 3.0);
    Some(PooledFirstRun { worse_by, t, raise_warmup })
}

/// The drift from run to run within starts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trend {
    /// Change of ln value per run, with the sign that makes worse positive: 0.01 is 1 % worse with every run.
    pub per_run: f64,
    /// t statistic of the slope.
    pub t: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Two-sided p of no trend.
    pub p: f64,
}

/// The common slope of ln value over the run number, each start with its own level: least squares on values and run
/// numbers less their mean in the start; df = Σ(n_i − 1) − 1 (analysis of covariance).
///
/// `None` when no degree of freedom is left, the fit is exact, or a value is not finite and positive. Leave a run 1
/// effect out before ([`first_run`]), or it shows up here.
pub fn trend<S: AsRef<[f64]>>(starts: &[S], direction: Direction) -> Option<Trend> {
    let (mut xx, mut xy, mut yy, mut points, mut levels) = (0.0, 0.0, 0.0, 0_usize, 0_usize);
    for runs in starts {
        let runs = runs.as_ref();
        if runs.len() < 2 {
            continue;
        }
        let values = badness(runs, direction)?;
        let centre = mean(&values)?;
        let middle = (values.len() - 1) as f64 / 2.0;
        for (index, value) in values.iter().enumerate() {
            let (x, y) = (index as f64 - middle, value - centre);
            xx += x * x;
            xy += x * y;
            yy += y * y;
        }
        points += values.len();
        levels += 1;
    }
    let df = points.checked_sub(levels + 1).filter(|df| *df > 0)? as f64;
    let per_run = xy / xx;
    let residual = yy - per_run * xy;
    // What is left of an exact fit is rounding, not noise.
    if residual <= yy * 1e-12 {
        return None;
    }
    let t = per_run / (residual / df / xx).sqrt();
    Some(Trend { per_run, t, df, p: t_two_sided(t, df)? })
}

/// Mean of ln value at each run number, less the median of its start, sign so that worse is positive: the line that
/// a report draws. Run numbers that not every start reached use those that did.
///
/// `None` when there is no run or a value is not finite and positive.
pub fn by_run<S: AsRef<[f64]>>(starts: &[S], direction: Direction) -> Option<Vec<f64>> {
    let mut at: Vec<Vec<f64>> = Vec::new();
    for runs in starts.iter().map(AsRef::as_ref).filter(|runs| !runs.is_empty()) {
        let values = badness(runs, direction)?;
        let centre = median(&values)?;
        at.resize(at.len().max(values.len()), Vec::new());
        for (column, value) in at.iter_mut().zip(values) {
            column.push(value - centre);
        }
    }
    if at.is_empty() {
        return None;
    }
    at.iter().map(|column| mean(column)).collect()
}

fn badness(values: &[f64], direction: Direction) -> Option<Vec<f64>> {
    let sign = match direction {
        Direction::HigherIsBetter => -1.0,
        Direction::LowerIsBetter => 1.0,
    };
    Some(logarithms(values)?.into_iter().map(|value| sign * value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_first_run_is_seen_in_both_directions() {
        let rates = [[90.0, 100.0, 100.1], [91.0, 100.2, 100.0]];
        let effect = first_run(&rates, Direction::HigherIsBetter).unwrap();
        assert_eq!((effect.worst_in, effect.starts), (2, 2));
        assert!((0.09..0.11).contains(&effect.worse_by));
        let as_times = first_run(&rates, Direction::LowerIsBetter).unwrap();
        assert_eq!(as_times.worst_in, 0);
        assert!((effect.worse_by + as_times.worse_by).abs() < 1e-12);
    }

    #[test]
    fn the_warning_needs_size_and_certainty() {
        assert!(pool_first_runs(&[0.02, 0.021, 0.019]).unwrap().raise_warmup);
        assert!(!pool_first_runs(&[0.001, 0.0011, 0.0009]).unwrap().raise_warmup);
        assert!(!pool_first_runs(&[0.02, -0.05, 0.06]).unwrap().raise_warmup);
        assert!(!pool_first_runs(&[0.5]).unwrap().raise_warmup);
    }

    #[test]
    fn a_drift_is_measured_within_starts() {
        // 1 % worse with each run; the starts themselves are far apart and must not matter.
        let start = |level: f64, noise: f64| -> Vec<f64> {
            (0..6).map(|i| level * (-0.01 * f64::from(i) + noise * f64::from(i % 2)).exp()).collect()
        };
        let found = trend(&[start(100.0, 1e-3), start(300.0, -1e-3)], Direction::HigherIsBetter).unwrap();
        assert!((found.per_run - 0.01).abs() < 5e-4, "{found:?}");
        assert!(found.p < 1e-6);
        assert_eq!(found.df, 9.0);
    }

    #[test]
    fn too_little_is_none() {
        assert_eq!(first_run::<Vec<f64>>(&[], Direction::HigherIsBetter), None);
        assert_eq!(first_run(&[vec![1.0]], Direction::HigherIsBetter), None);
        assert_eq!(trend(&[vec![1.0, 2.0]], Direction::HigherIsBetter), None);
        assert_eq!(trend(&[vec![1.0, 1.0, 1.0]], Direction::HigherIsBetter), None);
        assert_eq!(trend(&[vec![1.0, 0.0, 1.0]], Direction::HigherIsBetter), None);
        assert_eq!(by_run(&[Vec::<f64>::new()], Direction::HigherIsBetter), None);
    }
}
