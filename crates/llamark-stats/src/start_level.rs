//! From the runs of server starts to one effect per case: the start is the unit of replication.
//!
//! The runs of one start share its luck (memory placement, clock, kernel choice), so they are first reduced to one
//! number, the median of their logarithms, and only these numbers are compared (Kalibera & Jones 2013: intervals
//! at the highest level that is random).

use serde::{Deserialize, Serialize};

use crate::describe::{finite, logarithms, mean, sum_of_squares, variance};
use crate::interval::{Interval, t_interval};

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better, as tok/s.
    HigherIsBetter,
    /// Less is better, as ms.
    LowerIsBetter,
}

/// How the starts of the two arms relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Interleaved: start i of one arm ran next to start i of the other, so drift cancels.
    Blocked,
    /// Not interleaved: drift between the arms is not controlled, and a report must say so.
    Unblocked,
}

/// The effect of one case: baseline A against candidate B, in natural logarithms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// D: above zero the candidate is worse. 0.01 is about 1 %.
    pub difference: f64,
    /// SS: squares around the mean of the blocks, or around the mean of each arm.
    pub sum_of_squares: f64,
    /// Degrees of freedom of the sum of squares; 0 with one start.
    pub df: u32,
    /// c: the variance of D is c·σ².
    pub c: f64,
    /// How it was made.
    pub design: Design,
    /// Starts of the arm that has fewer.
    pub starts: u32,
}

impl Effect {
    /// SS/df: the case's own variance, in squared logarithms. `None` with one start.
    pub fn own_variance(&self) -> Option<f64> {
        (self.df > 0).then(|| self.sum_of_squares / f64::from(self.df))
    }

    /// How much slower (throughput) or higher (time) the candidate is, as a share: 1 − exp(−D) for throughput,
    /// which is the share of tok/s lost; exp(D) − 1 for times. Below zero it is better.
    pub fn relative(&self, direction: Direction) -> f64 {
        relative(self.difference, direction)
    }
}

/// A logarithmic worsening as a share of the baseline: see [`Effect::relative`].
pub fn relative(difference: f64, direction: Direction) -> f64 {
    match direction {
        Direction::HigherIsBetter => -(-difference).exp_m1(),
        Direction::LowerIsBetter => difference.exp_m1(),
    }
}

/// m_i: the median of ln y over the runs after the first `warmup`. `None` when fewer than two are left (the start
/// is invalid) or a value is not finite and positive.
///
/// Metrics with one value per start, as the load time, need no median: take the logarithm.
pub fn start_median(runs: &[f64], warmup: usize) -> Option<f64> {
    let kept = runs.get(warmup..)?;
    if kept.len() < 2 || !kept.iter().all(|value| value.is_finite() && *value > 0.0) {
        return None;
    }
    // The logarithm keeps the order: only what is in the middle needs one, and nothing else needs its place.
    let mut values = kept.to_vec();
    let middle = values.len() / 2;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = upper.ln();
    if kept.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?.ln();
    Some(0.5 * lower + 0.5 * upper)
}

/// [`start_median`] of every start. `None` when there is no start or one of them is invalid.
pub fn start_medians<S: AsRef<[f64]>>(starts: &[S], warmup: usize) -> Option<Vec<f64>> {
    if starts.is_empty() {
        return None;
    }
    starts.iter().map(|runs| start_median(runs.as_ref(), warmup)).collect()
}

/// The effect of interleaved starts: d_i = a_i − b_i (sign by direction), D = mean d, SS = Σ(d_i − D)², df = k − 1,
/// c = 1/k. Arguments are start-level logarithms, in block order.
///
/// `None` when the arms differ in length, are empty, or hold a value that is not finite.
pub fn blocked(a: &[f64], b: &[f64], direction: Direction) -> Option<Effect> {
    if a.len() != b.len() {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| worsening(*a, *b, direction)).collect();
    let starts = u32::try_from(a.len()).ok()?;
    Some(Effect {
        difference: mean(&differences)?,
        sum_of_squares: sum_of_squares(&differences)?,
        df: starts - 1,
        c: 1.0 / f64::from(starts),
        design: Design::Blocked,
        starts,
    })
}

/// The effect of arms that were not interleaved: D = mean a − mean b (sign by direction), SS pooled,
/// df = k_a + k_b − 2, c = 1/k_a + 1/k_b. Arguments are start-level logarithms.
///
/// `None` when an arm is empty or holds a value that is not finite.
pub fn unblocked(a: &[f64], b: &[f64], direction: Direction) -> Option<Effect> {
    let difference = finite(worsening(mean(a)?, mean(b)?, direction))?;
    let (k_a, k_b) = (u32::try_from(a.len()).ok()?, u32::try_from(b.len()).ok()?);
    Some(Effect {
        difference,
        sum_of_squares: finite(sum_of_squares(a)? + sum_of_squares(b)?)?,
        df: k_a.checked_add(k_b)? - 2,
        c: 1.0 / f64::from(k_a) + 1.0 / f64::from(k_b),
        design: Design::Unblocked,
        starts: k_a.min(k_b),
    })
}

/// By how much `b` is worse than `a`, both logarithms.
pub fn worsening(a: f64, b: f64, direction: Direction) -> f64 {
    match direction {
        Direction::HigherIsBetter => a - b,
        Direction::LowerIsBetter => b - a,
    }
}

/// One arm of a case: its level, with an interval that counts starts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Geometric mean of the start medians, in the unit of the values.
    pub estimate: f64,
    /// Student's t interval over the starts, on the logarithms, through exp; `None` with one start.
    pub interval: Option<Interval>,
    /// How many starts.
    pub starts: usize,
}

/// The geometric mean of the starts, in the unit of the values, from their logarithms ([`start_medians`]). `None` when
/// empty or not finite.
pub fn estimate(logarithms: &[f64]) -> Option<f64> {
    finite(mean(logarithms)?.exp())
}

/// The [`estimate`] of one arm with its interval. `None` when empty or not finite.
pub fn level(logarithms: &[f64], level: f64) -> Option<Level> {
    Some(Level {
        estimate: estimate(logarithms)?,
        interval: t_interval(logarithms, level).and_then(|interval| interval.map(f64::exp)),
        starts: logarithms.len(),
    })
}

/// Where the variance of one arm comes from, in squared logarithms (0.01² is 1 %).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Components {
    /// σ_w²: pooled variance of the runs within their start.
    pub within: f64,
    /// Variance of the start means, which holds σ_w²/n as well.
    pub of_start_means: f64,
    /// σ_b² = max(0, `of_start_means` − σ_w²/n), n the harmonic mean of the runs per start.
    pub between: f64,
}

/// One-way variance components of ln y over starts (Searle, Casella & McCulloch 1992, section 3.6), after the first
/// `warmup` runs of each.
///
/// `None` for fewer than two starts, a start with fewer than two runs left, or values that are not finite and
/// positive.
pub fn variance_components<S: AsRef<[f64]>>(starts: &[S], warmup: usize) -> Option<Components> {
    let (mut means, mut squares, mut df, mut reciprocals) = (Vec::new(), 0.0, 0, 0.0);
    for runs in starts {
        let kept = runs.as_ref().get(warmup..)?;
        if kept.len() < 2 {
            return None;
        }
        let values = logarithms(kept)?;
        means.push(mean(&values)?);
        squares += sum_of_squares(&values)?;
        df += values.len() - 1;
        reciprocals += 1.0 / values.len() as f64;
    }
    let of_start_means = variance(&means)?;
    let within = squares / df as f64;
    let between = (of_start_means - within * reciprocals / means.len() as f64).max(0.0);
    Some(Components { within, of_start_means, between })
}

/// The cheapest number of runs per start: ⌈√(cost of a start/cost of a run · σ_w²/σ_b²)⌉, at least 1
/// (Kalibera & Jones 2013, section 6). Costs in any one unit, as seconds.
///
/// `None` when a cost is not positive, or when no variance between starts was seen: then more runs are always the
/// cheaper way.
pub fn cheapest_runs(start_cost: f64, run_cost: f64, components: &Components) -> Option<u32> {
    if !(start_cost > 0.0 && run_cost > 0.0 && components.between > 0.0) {
        return None;
    }
    let runs = finite((start_cost / run_cost * components.within / components.between).sqrt().ceil())?;
    Some(runs.clamp(1.0, f64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_zero_is_worse_in_both_directions() {
        let (fast, slow) = ([5.0, 5.1], [4.9, 5.0]);
        assert!(unblocked(&fast, &slow, Direction::HigherIsBetter).unwrap().difference > 0.0);
        assert!(unblocked(&fast, &slow, Direction::LowerIsBetter).unwrap().difference < 0.0);
        assert!((relative(2.0_f64.ln(), Direction::HigherIsBetter) - 0.5).abs() < 1e-12);
        assert!((relative(2.0_f64.ln(), Direction::LowerIsBetter) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn blocks_take_out_drift() {
        let (a, b) = ([1.0, 2.0, 3.0], [0.9, 1.9, 2.9]);
        let paired = blocked(&a, &b, Direction::HigherIsBetter).unwrap();
        assert!(paired.sum_of_squares < 1e-30);
        assert_eq!((paired.df, paired.starts), (2, 3));
        assert!(unblocked(&a, &b, Direction::HigherIsBetter).unwrap().sum_of_squares > 3.9);
    }

    #[test]
    fn arms_of_different_length_have_the_variance_of_both() {
        let a = [1.0, 1.1, 0.9, 1.2, 0.8];
        let effect = unblocked(&a, &[1.0, 1.2], Direction::HigherIsBetter).unwrap();
        // Squares around 1.0 and around 1.1; 5 + 2 − 2 degrees of freedom.
        assert!((effect.difference + 0.1).abs() < 1e-12);
        assert!((effect.sum_of_squares - (0.1 + 0.02)).abs() < 1e-12);
        assert_eq!((effect.df, effect.starts), (5, 2));
        assert!((effect.c - 0.7).abs() < 1e-12);
        // One start beside five: its variance is that of the five.
        let lone = unblocked(&a, &[1.0], Direction::HigherIsBetter).unwrap();
        assert_eq!((lone.df, lone.starts), (4, 1));
        assert!((lone.own_variance().unwrap() - 0.025).abs() < 1e-12);
    }

    #[test]
    fn one_start_has_an_effect_and_no_variance() {
        let one = unblocked(&[1.0], &[1.0], Direction::HigherIsBetter).unwrap();
        assert_eq!((one.df, one.own_variance()), (0, None));
        assert_eq!(level(&[1.0], 0.95).unwrap().interval, None);
    }

    #[test]
    fn a_start_needs_two_runs_after_the_warm_up() {
        assert_eq!(start_median(&[1.0, 2.0], 1), None);
        assert_eq!(start_median(&[1.0], 5), None);
        assert_eq!(start_median(&[9.0, 1.0, 1.0], 1), Some(0.0));
        assert_eq!(start_median(&[0.0, 1.0], 0), None);
        assert_eq!(start_medians::<Vec<f64>>(&[], 0), None);
        assert_eq!(blocked(&[], &[], Direction::HigherIsBetter), None);
        assert_eq!(blocked(&[1.0], &[1.0, 2.0], Direction::HigherIsBetter), None);
    }

    #[test]
    fn the_cheapest_number_of_runs_is_that_of_the_example() {
        let components = Components { within: 0.003 * 0.003, of_start_means: 0.0, between: 0.005 * 0.005 };
        assert_eq!(cheapest_runs(30.0, 10.0, &components), Some(2));
        assert_eq!(cheapest_runs(30.0, 10.0, &Components { between: 0.0, ..components }), None);
    }
}
