//! Two samples compared by their means: Welch and Student.
//!
//! Fit for independent values, as the start-level values of two arms. On pooled runs of a few starts they call a
//! difference far too often: the runs of one start share its luck.

use serde::{Deserialize, Serialize};

use crate::describe::{mean, sum_of_squares, variance};
use crate::interval::{Interval, t_half_width};
use crate::special::t_two_sided;

/// A t test of mean(b) − mean(a).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TTest {
    /// mean(b) − mean(a), in the unit of the values.
    pub difference: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// difference / standard error.
    pub t: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Two-sided p.
    pub p: f64,
    /// Interval of the difference.
    pub interval: Interval,
}

/// Welch's test, which lets the variances differ: se² = s_a²/n_a + s_b²/n_b, df by Welch & Satterthwaite.
///
/// `None` for fewer than two values in a sample, values that are not finite, or no variance in either.
pub fn welch(a: &[f64], b: &[f64], level: f64) -> Option<TTest> {
    let squared_a = variance(a)? / a.len() as f64;
    let squared_b = variance(b)? / b.len() as f64;
    let df = satterthwaite(squared_a, a.len(), squared_b, b.len())?;
    test(mean(b)? - mean(a)?, (squared_a + squared_b).sqrt(), df, level)
}

/// Student's test with the pooled variance: se² = s²(1/n_a + 1/n_b), df = n_a + n_b − 2.
///
/// `None` as [`welch`].
pub fn student(a: &[f64], b: &[f64], level: f64) -> Option<TTest> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let (n_a, n_b) = (a.len() as f64, b.len() as f64);
    let df = n_a + n_b - 2.0;
    let pooled = (sum_of_squares(a)? + sum_of_squares(b)?) / df;
    test(mean(b)? - mean(a)?, (pooled * (1.0 / n_a + 1.0 / n_b)).sqrt(), df, level)
}

/// (v_a + v_b)²/(v_a²/(n_a − 1) + v_b²/(n_b − 1)) for two squared standard errors. `None` when both are zero.
pub(crate) fn satterthwaite(squared_a: f64, n_a: usize, squared_b: f64, n_b: usize) -> Option<f64> {
    let sum = squared_a + squared_b;
    if sum.is_nan() || sum <= 0.0 || n_a < 2 || n_b < 2 {
        return None;
    }
    // As shares of the sum, so that tiny variances do not underflow when squared.
    let (share_a, share_b) = (squared_a / sum, squared_b / sum);
    Some(1.0 / (share_a * share_a / (n_a - 1) as f64 + share_b * share_b / (n_b - 1) as f64))
}

fn test(difference: f64, standard_error: f64, df: f64, level: f64) -> Option<TTest> {
    if standard_error.is_nan() || standard_error <= 0.0 {
        return None;
    }
    let t = difference / standard_error;
    Some(TTest {
        difference,
        standard_error,
        t,
        df,
        p: t_two_sided(t, df)?,
        interval: Interval::around(difference, t_half_width(standard_error, df, level)?, level)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variance_is_no_test() {
        assert_eq!(welch(&[7.0; 3], &[7.0; 3], 0.95), None);
        assert_eq!(student(&[7.0; 3], &[8.0; 3], 0.95), None);
    }

    #[test]
    fn one_value_is_no_test() {
        assert_eq!(welch(&[7.0], &[7.0, 8.0], 0.95), None);
        assert_eq!(student(&[7.0], &[7.0, 8.0], 0.95), None);
    }
}
