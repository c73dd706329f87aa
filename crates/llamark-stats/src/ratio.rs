//! The ratio of two means, candidate over baseline, with an interval: three ways.
//!
//! * [`delta_log`]: ln of the ratio of means, its variance by the delta method. The everyday choice.
//! * [`fieller`]: exact for normal means; unbounded when the baseline mean is not clearly different from zero.
//! * [`geometric`]: the ratio of geometric means, Welch on logarithms. Fits values that scale.

use serde::{Deserialize, Serialize};

use crate::describe::{finite, logarithms, mean, variance};
use crate::interval::{Interval, t_half_width};
use crate::special::t_upper_quantile;
use crate::two_sample::{satterthwaite, welch};

/// A ratio b/a with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    /// Candidate over baseline, without unit.
    pub ratio: f64,
    /// Standard error of ln ratio.
    pub standard_error_log: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Interval of the ratio.
    pub interval: Interval,
}

/// Fieller's interval of a ratio of means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fieller {
    /// The usual case.
    Bounded {
        /// Ratio of the means.
        ratio: f64,
        /// Interval of the ratio.
        interval: Interval,
        /// How uncertain the baseline is: (t·se_a/mean_a)²; below 1.
        g: f64,
        /// Degrees of freedom.
        df: f64,
    },
    /// g >= 1: the baseline mean may be zero, so nothing bounds the ratio.
    Unbounded {
        /// Ratio of the means.
        ratio: f64,
        /// As above; at least 1.
        g: f64,
        /// Degrees of freedom.
        df: f64,
    },
}

/// mean(b)/mean(a). `None` when empty, not finite, or a mean is not positive.
pub fn ratio_of_means(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mean_a, mean_b) = (mean(a)?, mean(b)?);
    if mean_a <= 0.0 || mean_b <= 0.0 {
        return None;
    }
    finite(mean_b / mean_a)
}

/// Relative squared standard errors of both means and the Welch–Satterthwaite df.
fn relative_errors(a: &[f64], b: &[f64]) -> Option<(f64, f64, f64)> {
    ratio_of_means(a, b)?;
    let relative = |values: &[f64]| {
        let centre = mean(values)?;
        Some(variance(values)? / values.len() as f64 / (centre * centre))
    };
    let (v_a, v_b) = (relative(a)?, relative(b)?);
    Some((v_a, v_b, satterthwaite(v_a, a.len(), v_b, b.len())?))
}

/// The ratio of means by the delta method on its logarithm: se² = s_a²/(n_a·m_a²) + s_b²/(n_b·m_b²), df by Welch &
/// Satterthwaite on these two terms, interval exp(ln R ± t·se).
///
/// `None` for fewer than two values in a sample, values that are not finite, a mean that is not positive, or no
/// variance in either.
pub fn delta_log(a: &[f64], b: &[f64], level: f64) -> Option<Ratio> {
    let (v_a, v_b, df) = relative_errors(a, b)?;
    let ratio = ratio_of_means(a, b)?;
    let standard_error_log = (v_a + v_b).sqrt();
    let interval = Interval::around(ratio.ln(), t_half_width(standard_error_log, df, level)?, level)?;
    Some(Ratio { ratio, standard_error_log, df, interval: interval.map(f64::exp)? })
}

/// Fieller's interval (Fieller 1954; Kalibera & Jones 2013, section 9.2): with v the relative squared errors and
/// g = t²·v_a, R·(1 ± t·√(v_a + v_b − g·v_b))/(1 − g). df as in [`delta_log`].
///
/// `None` as [`delta_log`].
pub fn fieller(a: &[f64], b: &[f64], level: f64) -> Option<Fieller> {
    let (v_a, v_b, df) = relative_errors(a, b)?;
    let ratio = ratio_of_means(a, b)?;
    if !(level > 0.0 && level < 1.0) {
        return None;
    }
    let t = t_upper_quantile(0.5 * (1.0 - level), df)?;
    let g = t * t * v_a;
    if g >= 1.0 {
        return Some(Fieller::Unbounded { ratio, g, df });
    }
    let half = t * (v_a + v_b * (1.0 - g)).sqrt();
    let interval = Interval {
        low: finite(ratio * (1.0 - half) / (1.0 - g))?,
        high: finite(ratio * (1.0 + half) / (1.0 - g))?,
        level,
    };
    Some(Fieller::Bounded { ratio, interval, g, df })
}

/// The ratio of geometric means: Welch's test on ln x, through exp. Gives the two-sided p as well.
///
/// `None` as [`delta_log`], or when a value is not positive.
pub fn geometric(a: &[f64], b: &[f64], level: f64) -> Option<(Ratio, f64)> {
    let test = welch(&logarithms(a)?, &logarithms(b)?, level)?;
    let ratio = Ratio {
        ratio: finite(test.difference.exp())?,
        standard_error_log: test.standard_error,
        df: test.df,
        interval: test.interval.map(f64::exp)?,
    };
    Some((ratio, test.p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_constants_have_a_ratio_but_no_interval() {
        assert_eq!(ratio_of_means(&[7.0; 3], &[14.0; 3]), Some(2.0));
        assert_eq!(delta_log(&[7.0; 3], &[7.0; 3], 0.95), None);
        assert_eq!(fieller(&[7.0; 3], &[7.0; 3], 0.95), None);
        assert_eq!(geometric(&[7.0; 3], &[7.0; 3], 0.95), None);
    }

    #[test]
    fn a_ratio_needs_positive_means() {
        assert_eq!(ratio_of_means(&[0.0, 0.0], &[1.0, 2.0]), None);
        assert_eq!(delta_log(&[-1.0, -2.0], &[1.0, 2.0], 0.95), None);
        assert_eq!(geometric(&[1.0, -0.5], &[1.0, 2.0], 0.95), None);
    }
}
