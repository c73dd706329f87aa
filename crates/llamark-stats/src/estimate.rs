//! Tests on one effect: beyond a minimum, equivalent within a margin, and what could have been found.

use std::collections::HashMap;

use crate::describe::finite;
use crate::interval::{Interval, t_half_width};
use crate::shrink::{Prior, Variance};
use crate::special::{t_two_sided, t_upper_quantile, t_upper_tail};
use crate::start_level::{Design, Effect};

/// The least change of throughput that is looked for: ln 1.01.
pub const MINIMUM_THROUGHPUT: f64 = 0.009_950_330_853_168_092;
/// The same for the time to first token: ln 1.02.
pub const MINIMUM_TTFT: f64 = 0.019_802_627_296_179_73;
/// The same for tail and load times: ln 1.05.
pub const MINIMUM_LOAD: f64 = 0.048_790_164_169_432_05;
/// A change that is certainly smaller than this is called equivalent: ln 1.03.
pub const MARGIN: f64 = 0.029_558_802_241_544_43;

/// An effect with its standard error, as the tests see it. In natural logarithms; above zero is worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// D.
    pub difference: f64,
    /// se = √(c·s̃²); above zero.
    pub standard_error: f64,
    /// ν.
    pub df: f64,
}

impl Estimate {
    /// The effect with a variance, own or posterior. `None` when the variance is zero or not finite: then nothing is
    /// known of the noise and nothing can be decided.
    pub fn new(effect: &Effect, variance: &Variance) -> Option<Self> {
        let standard_error = finite((effect.c * variance.s_squared).sqrt())?;
        let usable = standard_error > 0.0 && variance.df > 0.0 && effect.difference.is_finite();
        usable.then_some(Self { difference: effect.difference, standard_error, df: variance.df })
    }

    /// Two-sided p of D = 0.
    pub fn p_student(&self) -> Option<f64> {
        t_two_sided(self.difference / self.standard_error, self.df)
    }

    /// p of |true effect| <= `minimum` (τ): P(T > (|D| − τ)/se) + P(T > (|D| + τ)/se), at most 1 (McCarthy & Smyth
    /// 2009, limma `treat`). With τ = 0 it is [`Self::p_student`].
    pub fn p_beyond(&self, minimum: f64) -> Option<f64> {
        let tail = |distance: f64| t_upper_tail(distance / self.standard_error, self.df);
        let size = self.difference.abs();
        Some((tail(size - minimum)? + tail(size + minimum)?).min(1.0))
    }

    /// p of |true effect| >= `margin` (δ), by two one-sided tests: P(T > (δ − |D|)/se) (Schuirmann 1987). Small means
    /// equivalent; it is under 0.05 exactly when the 90 % interval lies within ±δ.
    pub fn p_not_equivalent(&self, margin: f64) -> Option<f64> {
        t_upper_tail((margin - self.difference.abs()) / self.standard_error, self.df)
    }

    /// D ± t·se.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        Interval::around(self.difference, t_half_width(self.standard_error, self.df, level)?, level)
    }

    /// The effect that this noise would let be found: see [`detectable`].
    pub fn detectable(&self, minimum: f64, alpha: f64, power: f64) -> Option<f64> {
        detectable(self.standard_error, self.df, minimum, alpha, power)
    }
}

/// The minimum detectable effect: τ + (t(1 − α; ν) + t(power; ν))·se, in logarithms.
///
/// α is one-sided and for the whole family: q·max(1, R)/M, see [`family_alpha`].
pub fn detectable(standard_error: f64, df: f64, minimum: f64, alpha: f64, power: f64) -> Option<f64> {
    let reach = t_upper_quantile(alpha, df)? + t_upper_quantile(1.0 - power, df)?;
    finite(minimum + reach * standard_error)
}

/// q·max(1, R)/M: the level at which Benjamini–Hochberg tests when it selects R of M.
pub fn family_alpha(q: f64, selected: usize, tests: usize) -> f64 {
    q * selected.max(1) as f64 / tests.max(1) as f64
}

/// What a change must show to be called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Requirement {
    /// To be beyond τ: [`Estimate::p_beyond`].
    Beyond(f64),
    /// To differ from nothing ([`Estimate::p_student`], two-sided), with an estimate of at least this size.
    Estimated(f64),
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// What it must show.
    pub requirement: Requirement,
    /// The effect to be found, in logarithms.
    pub effect: f64,
    /// Level for the whole family, see [`family_alpha`].
    pub alpha: f64,
    /// Power, as 0.8.
    pub power: f64,
}

/// The noise that more starts would be made in.
#[derive(Clone, Copy, Debug)]
pub struct Noise<'a> {
    /// The variance of the case, which stays as it is.
    pub variance: &'a Variance,
    /// What is usual; with it ν grows as d0 + df(k), capped at what the pool holds.
    pub prior: Option<&'a Prior>,
    /// How the starts would be made.
    pub design: Design,
}

/// Most starts that [`starts_needed`] tries.
pub const MOST_STARTS: u32 = 1000;

/// The fewest starts per arm whose detectable effect is at most that of the target. `None` when [`MOST_STARTS`] are
/// not enough.
pub fn starts_needed(noise: &Noise<'_>, target: &Target) -> Option<u32> {
    Quantiles::default().starts_needed(noise, target)
}

/// Upper quantiles of t, each computed once: the cells of a comparison share their levels and mostly their degrees
/// of freedom, and a quantile costs more than all else that is done for a cell.
#[derive(Debug, Default)]
pub(crate) struct Quantiles(HashMap<(u64, u64), Option<f64>>);

impl Quantiles {
    /// [`t_upper_quantile`].
    pub(crate) fn upper(&mut self, tail: f64, df: f64) -> Option<f64> {
        *self.0.entry((tail.to_bits(), df.to_bits())).or_insert_with(|| t_upper_quantile(tail, df))
    }

    /// The smallest effect that the noise of an estimate would let be found as the target asks.
    ///
    /// [`Requirement::Beyond`]: as [`detectable`]. [`Requirement::Estimated`]: max(t(1 − α/2; ν)·se, least) +
    /// t(power; ν)·se, since both conditions are to be met.
    pub(crate) fn detectable(&mut self, estimate: &Estimate, target: &Target) -> Option<f64> {
        let Estimate { standard_error, df, .. } = *estimate;
        let reserve = self.upper(1.0 - target.power, df)? * standard_error;
        let threshold = match target.requirement {
            Requirement::Beyond(minimum) => minimum + self.upper(target.alpha, df)? * standard_error,
            Requirement::Estimated(least) => {
                (self.upper(0.5 * target.alpha, df)? * standard_error).max(least)
            }
        };
        finite(threshold + reserve)
    }

    /// [`starts_needed`].
    pub(crate) fn starts_needed(&mut self, noise: &Noise<'_>, target: &Target) -> Option<u32> {
        let mut enough = |starts: u32| {
            let k = f64::from(starts);
            let (c, own_df) = match noise.design {
                Design::Blocked => (1.0 / k, k - 1.0),
                Design::Unblocked => (2.0 / k, 2.0 * (k - 1.0)),
            };
            let df = noise.prior.map_or(own_df, |prior| (prior.df + own_df).min(prior.pool_df.max(own_df)));
            let standard_error = (c * noise.variance.s_squared).sqrt();
            self.detectable(&Estimate { difference: 0.0, standard_error, df }, target)
                .is_some_and(|effect| effect <= target.effect)
        };
        // More starts never detect less, so halving finds the first.
        let (mut low, mut high) = (FEWEST_STARTS, MOST_STARTS);
        if !enough(high) {
            return None;
        }
        while low < high {
            let middle = u32::midpoint(low, high);
            if enough(middle) { high = middle } else { low = middle + 1 }
        }
        Some(low)
    }
}

/// Starts per arm below which no verdict is final.
pub const FEWEST_STARTS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const ESTIMATE: Estimate = Estimate { difference: 0.02, standard_error: 0.005, df: 8.0 };

    #[test]
    fn the_constants_are_logarithms() {
        for (constant, ratio) in
            [(MINIMUM_THROUGHPUT, 1.01_f64), (MINIMUM_TTFT, 1.02), (MINIMUM_LOAD, 1.05), (MARGIN, 1.03)]
        {
            assert!((constant - ratio.ln()).abs() < 1e-16, "{ratio}");
        }
    }

    #[test]
    fn without_a_minimum_the_test_is_students() {
        assert_eq!(ESTIMATE.p_beyond(0.0), ESTIMATE.p_student());
        assert!(ESTIMATE.p_beyond(0.01) > ESTIMATE.p_beyond(0.0));
    }

    #[test]
    fn equivalence_is_the_ninety_per_cent_interval_within_the_margin() {
        let interval = ESTIMATE.interval(0.9).unwrap();
        assert!(ESTIMATE.p_not_equivalent(interval.high + 1e-9).unwrap() < 0.05);
        assert!(ESTIMATE.p_not_equivalent(interval.high - 1e-9).unwrap() > 0.05);
    }

    #[test]
    fn no_noise_is_no_estimate() {
        let effect =
            crate::start_level::unblocked(&[1.0; 3], &[2.0; 3], crate::Direction::HigherIsBetter).unwrap();
        assert_eq!(Estimate::new(&effect, &Variance { s_squared: 0.0, df: 4.0 }), None);
    }

    #[test]
    fn the_starts_needed_are_the_fewest() {
        let variance = Variance { s_squared: 0.01 * 0.01, df: 4.0 };
        let requirement = Requirement::Beyond(MINIMUM_THROUGHPUT);
        let target = Target { requirement, effect: MARGIN, alpha: 0.05, power: 0.8 };
        let noise = Noise { variance: &variance, prior: None, design: Design::Unblocked };
        let k = starts_needed(&noise, &target).unwrap();
        let reach = |k: u32| {
            let k = f64::from(k);
            detectable((2.0 / k).sqrt() * 0.01, 2.0 * (k - 1.0), MINIMUM_THROUGHPUT, 0.05, 0.8).unwrap()
        };
        assert!(reach(k) <= MARGIN && reach(k - 1) > MARGIN, "{k}");
        let hopeless = Target { effect: MINIMUM_THROUGHPUT, ..target };
        assert_eq!(starts_needed(&noise, &hopeless), None);
        let estimated = |least| Target { requirement: Requirement::Estimated(least), ..target };
        // An estimate that must be as large as what is looked for shows in half of all cases, however many starts.
        assert_eq!(starts_needed(&noise, &estimated(MARGIN)), None);
        assert!(starts_needed(&noise, &estimated(0.02)).unwrap() < k);
    }
}
