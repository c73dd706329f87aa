//! Empirical Bayes: the variance of each case, steadied by that of the others.
//!
//! With three starts an own variance has two to four degrees of freedom and decides little. The variances of many
//! cases tell what is usual; each is drawn towards it (Smyth 2004, the `eBayes` of limma).

use serde::{Deserialize, Serialize};

use crate::describe::{finite, mean, median, variance};
use crate::special::{digamma, trigamma, trigamma_inverse};

/// A variance estimate and its degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variance {
    /// s², in squared logarithms.
    pub s_squared: f64,
    /// Degrees of freedom.
    pub df: f64,
}

impl Variance {
    /// s² = SS/df. `None` without degrees of freedom or when not finite or negative.
    pub fn from_squares(sum_of_squares: f64, df: u32) -> Option<Self> {
        let s_squared = finite(sum_of_squares / f64::from(df))?;
        (df > 0 && s_squared >= 0.0).then_some(Self { s_squared, df: f64::from(df) })
    }
}

/// What is usual among the cases of a pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// d0: how many degrees of freedom the pool is worth to each case; infinite when the cases spread no more than
    /// chance.
    pub df: f64,
    /// s0²: the usual variance.
    pub s_squared: f64,
    /// Σ df of the pool: no posterior has more.
    pub pool_df: f64,
}

/// Fewest cases that a prior is made of; below, each case has its own variance only.
pub const FEWEST_CASES: usize = 3;

/// Variances are raised to this share of their median before logarithms are taken, so that a case whose few starts
/// agree exactly does not spoil the pool (limma `fitFDist`).
const FLOOR: f64 = 1e-5;

/// Fits the prior of a pool by the moments of ln s² (limma `fitFDist`, Smyth 2004 section 6.2).
///
/// e = ln s² − ψ(df/2) + ln(df/2) and v = var(e) − mean ψ′(df/2).
/// v > 0: d0 = 2·ψ′⁻¹(v), s0² = exp(mean e + ψ(d0/2) − ln(d0/2)). Else d0 = ∞ and s0² = mean s².
///
/// `None` for fewer than three cases, values that are not finite, and a pool without any variance.
pub fn fit_prior(pool: &[Variance]) -> Option<Prior> {
    if pool.len() < FEWEST_CASES {
        return None;
    }
    let positive: Vec<f64> = pool.iter().map(|case| case.s_squared).filter(|value| *value > 0.0).collect();
    let all: Vec<f64> = pool.iter().map(|case| case.s_squared).collect();
    // Where more than half are zero the median is no scale; that of the others is.
    let middle = Some(median(&all)?).filter(|value| *value > 0.0).or_else(|| median(&positive))?;
    let floored: Vec<f64> = all.iter().map(|value| value.max(FLOOR * middle)).collect();
    let (mut logs, mut expected) = (Vec::new(), Vec::new());
    for (s_squared, case) in floored.iter().zip(pool) {
        let half = 0.5 * case.df;
        logs.push(s_squared.ln() - digamma(half)? + half.ln());
        expected.push(trigamma(half)?);
    }
    let excess = variance(&logs)? - mean(&expected)?;
    let pool_df = finite(pool.iter().map(|case| case.df).sum())?;
    if excess <= 0.0 {
        return Some(Prior { df: f64::INFINITY, s_squared: mean(&floored)?, pool_df });
    }
    let df = 2.0 * trigamma_inverse(excess)?;
    let s_squared = finite((mean(&logs)? + digamma(0.5 * df)? - (0.5 * df).ln()).exp())?;
    Some(Prior { df, s_squared, pool_df })
}

impl Prior {
    /// s̃² = (d0·s0² + df·s²)/(d0 + df) with ν = min(d0 + df, Σ df of the pool) (limma `squeezeVar`).
    pub fn posterior(&self, own: &Variance) -> Variance {
        let s_squared = if self.df.is_infinite() {
            self.s_squared
        } else {
            (self.df * self.s_squared + own.df * own.s_squared) / (self.df + own.df)
        };
        Variance { s_squared, df: (self.df + own.df).min(self.pool_df) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(values: &[f64]) -> Vec<Variance> {
        values.iter().map(|value| Variance { s_squared: *value, df: 4.0 }).collect()
    }

    #[test]
    fn two_cases_or_no_variance_make_no_prior() {
        assert_eq!(fit_prior(&pool(&[1.0, 2.0])), None);
        assert_eq!(fit_prior(&pool(&[0.0; 9])), None);
        assert_eq!(fit_prior(&pool(&[1.0, 2.0, f64::NAN])), None);
        assert_eq!(fit_prior(&[Variance { s_squared: 1.0, df: 0.0 }; 5]), None);
    }

    #[test]
    fn mostly_zero_still_has_a_prior() {
        let prior = fit_prior(&pool(&[0.0, 0.0, 0.0, 1.0, 2.0])).unwrap();
        assert!(prior.s_squared > 0.0 && prior.df > 0.0);
        assert!(prior.posterior(&Variance { s_squared: 0.0, df: 4.0 }).s_squared > 0.0);
    }

    #[test]
    fn the_posterior_lies_between_and_its_df_are_capped() {
        let cases = pool(&[1.0, 2.0, 40.0, 0.1, 3.0, 7.0]);
        let prior = fit_prior(&cases).unwrap();
        for case in &cases {
            let posterior = prior.posterior(case);
            let (low, high) = (prior.s_squared.min(case.s_squared), prior.s_squared.max(case.s_squared));
            assert!((low..=high).contains(&posterior.s_squared));
            assert!(posterior.df <= 24.0);
        }
    }
}
