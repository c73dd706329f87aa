//! Intervals for one sample: the mean by Student's t, the median by order statistics.

use serde::{Deserialize, Serialize};

use crate::describe::{finite, logarithms, mean, sorted, variance};
use crate::special::t_upper_quantile;

/// A two-sided confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
    /// Confidence level asked for, as in 0.95.
    pub level: f64,
}

impl Interval {
    /// `centre` ± `half_width`. `None` when a limit is not finite.
    pub(crate) fn around(centre: f64, half_width: f64, level: f64) -> Option<Self> {
        Some(Self { low: finite(centre - half_width)?, high: finite(centre + half_width)?, level })
    }

    /// Whether the value lies within, limits included.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Both limits through a rising function, as `f64::exp`. `None` when a limit is not finite then.
    pub fn map(&self, function: impl Fn(f64) -> f64) -> Option<Self> {
        Some(Self { low: finite(function(self.low))?, high: finite(function(self.high))?, level: self.level })
    }
}

/// An interval between two order statistics. Its levels come in steps, so what was reached is said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OrderInterval {
    /// The narrowest symmetric pair of order statistics that reaches the level.
    Bounded {
        /// Lower limit: the value of rank `order`.
        low: f64,
        /// Upper limit: the value of rank n + 1 − `order`.
        high: f64,
        /// Rank of the lower limit, from 1.
        order: usize,
        /// Level reached, at least the one asked for.
        achieved: f64,
    },
    /// Not even smallest to largest reaches the level: the interval is unbounded.
    TooFew {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// The level that smallest to largest has.
        achieved: f64,
    },
}

/// Student's t interval of the mean: mean ± t(1 − α/2; n − 1)·s/√n.
///
/// `None` for fewer than two values, values that are not finite, or a level outside 0..1. It is the right one for
/// the start-level values of a case; for the runs of one start it leaves out the spread between starts.
pub fn t_interval(values: &[f64], level: f64) -> Option<Interval> {
    let error = (variance(values)? / values.len() as f64).sqrt();
    Interval::around(mean(values)?, t_half_width(error, (values.len() - 1) as f64, level)?, level)
}

/// The t interval of the geometric mean: [`t_interval`] of ln x, through exp. `None` as there, or when a value is
/// not positive.
pub fn geometric_interval(values: &[f64], level: f64) -> Option<Interval> {
    t_interval(&logarithms(values)?, level)?.map(f64::exp)
}

/// t(1 − α/2; df)·`standard_error`. `None` for a level outside 0..1 or a df that is not positive.
pub(crate) fn t_half_width(standard_error: f64, df: f64, level: f64) -> Option<f64> {
    finite(t_upper_quantile(tail_of(level)?, df)? * standard_error)
}

/// α/2 of a level.
fn tail_of(level: f64) -> Option<f64> {
    (level > 0.0 && level < 1.0).then_some(0.5 * (1.0 - level))
}

/// The interval of the median between order statistics k and n + 1 − k, with the largest k whose level
/// 1 − 2·P(Bin(n, ½) <= k − 1) is at least the one asked for (Conover 1999, section 3.2; Hoefler & Belli 2015).
///
/// `None` when empty, not finite, or the level is outside 0..1. At 95 % it needs six values.
pub fn median_interval(values: &[f64], level: f64) -> Option<OrderInterval> {
    tail_of(level)?;
    let sorted = sorted(values)?;
    let (order, achieved) = median_orders(values.len(), level);
    if order == 0 {
        let achieved = level_of_order(values.len(), 1);
        return Some(OrderInterval::TooFew { min: *sorted.first()?, max: *sorted.last()?, achieved });
    }
    Some(OrderInterval::Bounded {
        low: *sorted.get(order - 1)?,
        high: *sorted.get(sorted.len() - order)?,
        order,
        achieved,
    })
}

/// The rank k from 1 of the lower limit of a median interval for n values, and its level; (0, 1) when the interval
/// is unbounded.
pub fn median_orders(n: usize, level: f64) -> (usize, f64) {
    let mut best = (0, 1.0);
    for order in 1..=n / 2 {
        let achieved = level_of_order(n, order);
        if achieved < level {
            break;
        }
        best = (order, achieved);
    }
    best
}

/// 1 − 2·P(Bin(n, ½) <= order − 1), not below zero.
fn level_of_order(n: usize, order: usize) -> f64 {
    // In logarithms, since ½ⁿ underflows beyond n = 1074.
    let (mut log_term, mut below) = (-(n as f64) * std::f64::consts::LN_2, 0.0);
    for i in 0..order {
        below += log_term.exp();
        log_term += ((n - i) as f64 / (i + 1) as f64).ln();
    }
    (1.0 - 2.0 * below).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_interval_says_what_it_reaches() {
        let six = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let OrderInterval::Bounded { low, high, order, achieved } = median_interval(&six, 0.95).unwrap()
        else {
            panic!("six values bound the median at 95 %");
        };
        assert_eq!((low, high, order), (1.0, 6.0, 1));
        assert!((achieved - 0.96875).abs() < 1e-12);
        let OrderInterval::TooFew { min, max, achieved } = median_interval(&six[..5], 0.95).unwrap() else {
            panic!("five values do not");
        };
        assert_eq!((min, max), (1.0, 5.0));
        assert!((achieved - 0.9375).abs() < 1e-12);
    }

    #[test]
    fn a_single_value_has_no_interval() {
        assert_eq!(t_interval(&[3.0], 0.95), None);
        assert!(matches!(median_interval(&[3.0], 0.95), Some(OrderInterval::TooFew { achieved: 0.0, .. })));
    }

    #[test]
    fn an_impossible_level_is_none() {
        for level in [0.0, 1.0, -1.0, 2.0, f64::NAN] {
            assert_eq!(t_interval(&[1.0, 2.0], level), None);
            assert_eq!(median_interval(&[1.0, 2.0], level), None);
        }
    }

    #[test]
    fn large_samples_do_not_underflow() {
        let (order, achieved) = median_orders(5000, 0.95);
        assert!((0.95..0.96).contains(&achieved));
        assert!((2430..2432).contains(&order), "{order}");
    }
}
