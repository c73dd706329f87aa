//! One interleaved comparison that continues until it is decided: pairs of starts are added, and looked at each time.
//!
//! Who looks again and again at one p value finds something in the end. Here every look has an interval of its own, so
//! wide that all of them together hold with the stated probability (repeated confidence intervals: Jennison &
//! Turnbull 1989, with Bonferroni over the looks, which needs no assumption on how they depend on each other):
//!
//! D ± t(1 − ε/L; ν)·√(s²/k), with D the mean of the k differences so far, L the looks that there can be, and ε the
//! probability of error on each side. s² is pooled with other comparisons of the same thing: s² = (SS + SS′)/(df + df′).

use serde::{Deserialize, Serialize};

use crate::describe::{finite, mean, sum_of_squares};
use crate::interval::Interval;
use crate::special::t_upper_quantile;

/// When it is looked at, in pairs of starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looks {
    /// Pairs before the first look; at least 2.
    pub first: u32,
    /// Pairs that are added before each next one; at least 1.
    pub more: u32,
    /// Pairs after which it stays undecided.
    pub most: u32,
}

impl Looks {
    /// L: how many looks there can be.
    pub fn count(&self) -> u32 {
        1 + self.most.saturating_sub(self.first).div_ceil(self.more.max(1))
    }

    /// Pairs to add after `done` of them, until the next look; `None` when there were enough.
    pub fn next(&self, done: u32) -> Option<u32> {
        match self.most.saturating_sub(done) {
            0 => None,
            left if done == 0 => Some(self.first.max(2).min(left)),
            left => Some(self.more.max(1).min(left)),
        }
    }
}

/// Squares around their mean, and degrees of freedom, of other comparisons on the same machine: what they know of the
/// spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// SS′.
    pub sum_of_squares: f64,
    /// df′.
    pub df: u32,
}

/// The mean difference with limits that hold at every look: each of them is crossed at any look with a probability of
/// at most `error`. Differences are of logarithms, above zero where the second of a pair is worse.
///
/// Where all differences agree exactly, here and elsewhere, the interval is a point: such values have no noise.
/// `None` for fewer than two differences, values that are not finite, or an error outside 0..0.5.
pub fn repeated_interval(
    differences: &[f64],
    elsewhere: Elsewhere,
    error: f64,
    looks: &Looks,
) -> Option<Interval> {
    if differences.len() < 2 || !(error > 0.0 && error < 0.5) {
        return None;
    }
    let k = differences.len() as f64;
    let df = k - 1.0 + f64::from(elsewhere.df);
    let variance = finite((sum_of_squares(differences)? + elsewhere.sum_of_squares) / df)?;
    let tail = error / f64::from(looks.count());
    let half_width = t_upper_quantile(tail, df)? * (variance / k).sqrt();
    Interval::around(mean(differences)?, half_width, 1.0 - 2.0 * tail)
}

/// On which side of a boundary a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Below: it is on the side of the good end.
    Below,
    /// Above: it is on the side of the bad end.
    Above,
    /// The interval holds the boundary: not decided yet.
    Open,
}

/// The side of `boundary` that the whole interval is on.
pub fn side(interval: &Interval, boundary: f64) -> Side {
    if interval.low > boundary {
        Side::Above
    } else if interval.high < boundary {
        Side::Below
    } else {
        Side::Open
    }
}

/// What is known of the two ends of a history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ends {
    /// The bad end is worse, and it is known how much well enough to divide the history.
    Worse {
        /// Half of the loss: a revision that lost more is on the side of the bad end.
        boundary: f64,
    },
    /// The bad end is not worse by `minimum` or more.
    NotWorse,
    /// Not decided yet.
    Open,
}

/// Decides on the ends, from the interval of their difference.
///
/// A revision has lost either nothing or Δ, the loss between the ends. D/2 parts the two if 0 < D < 2Δ; since Δ is not
/// below the lower limit, that is certain (as far as the interval is) when the lower limit is above D/2.
pub fn ends(interval: &Interval, minimum: f64) -> Ends {
    let difference = f64::midpoint(interval.low, interval.high);
    if interval.high < minimum {
        Ends::NotWorse
    } else if difference >= minimum && interval.low > 0.5 * difference {
        Ends::Worse { boundary: 0.5 * difference }
    } else {
        Ends::Open
    }
}

/// ε of each verdict of a search whose answer is to be wrong with at most `error`: the ends, and as many revisions as
/// halving a history of that many takes, share it (Bonferroni).
pub fn error_of_verdict(error: f64, revisions: usize) -> f64 {
    let halvings = revisions.saturating_sub(1).max(1).next_power_of_two().trailing_zeros();
    error / f64::from(halvings + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKS: Looks = Looks { first: 3, more: 2, most: 15 };

    #[test]
    fn looks_add_up_to_the_most() {
        let mut done = 0;
        let mut looks = Vec::new();
        while let Some(more) = LOOKS.next(done) {
            done += more;
            looks.push(done);
        }
        assert_eq!(looks, [3, 5, 7, 9, 11, 13, 15]);
        assert_eq!(LOOKS.count(), 7);
        let odd = Looks { first: 3, more: 4, most: 8 };
        assert_eq!((odd.next(0), odd.next(3), odd.next(7), odd.next(8)), (Some(3), Some(4), Some(1), None));
        assert_eq!(odd.count(), 3);
    }

    #[test]
    fn the_interval_is_students_at_the_level_of_one_look() {
        let differences = [0.01, 0.02, 0.03];
        let found = repeated_interval(&differences, Elsewhere::default(), 0.035, &LOOKS).unwrap();
        // t(0.995; 2) = 9.924843, s = 0.01, k = 3.
        let half_width = 9.924_843_200_918_29 * 0.01 / 3_f64.sqrt();
        assert!(
            (found.high - 0.02 - half_width).abs() < 1e-12 && (0.02 - found.low - half_width).abs() < 1e-12
        );
        let more = Elsewhere { sum_of_squares: 0.0008, df: 8 };
        let pooled = repeated_interval(&differences, more, 0.035, &LOOKS).unwrap();
        assert!(pooled.high < found.high, "what is known elsewhere makes it narrower");
        assert_eq!(repeated_interval(&[0.01], more, 0.035, &LOOKS), None);
        assert_eq!(repeated_interval(&differences, more, 0.5, &LOOKS), None);
    }

    #[test]
    fn values_without_noise_are_a_point() {
        let point = repeated_interval(&[0.02; 3], Elsewhere::default(), 0.01, &LOOKS).unwrap();
        assert_eq!((point.low, point.high), (0.02, 0.02));
        assert_eq!(ends(&point, 0.01), Ends::Worse { boundary: 0.01 });
        assert_eq!(side(&point, 0.01), Side::Above);
    }

    #[test]
    fn the_ends_are_known_well_enough_or_not() {
        let of = |low, high| ends(&Interval { low, high, level: 0.99 }, 0.01);
        assert_eq!(of(0.03, 0.05), Ends::Worse { boundary: 0.04 / 2.0 });
        assert_eq!(
            of(0.015, 0.065),
            Ends::Open,
            "it may be 1.5 %, and half of 4 % would not part it from nothing"
        );
        assert_eq!(of(-0.02, 0.009), Ends::NotWorse);
        assert_eq!(of(-0.02, 0.02), Ends::Open);
        assert_eq!(of(-0.05, -0.03), Ends::NotWorse);
        assert_eq!(of(0.004, 0.0095), Ends::NotWorse, "worse, but by less than anybody asked for");
    }

    #[test]
    fn the_error_is_shared_by_the_verdicts_of_a_search() {
        // Two neighbours: the ends are all that is measured, and they share with one verdict that is never asked.
        assert_eq!(error_of_verdict(0.05, 2), 0.05);
        assert_eq!(error_of_verdict(0.05, 3), 0.025);
        // 63 revisions to tell apart: 6 halvings and the ends.
        assert_eq!(error_of_verdict(0.07, 64), 0.01);
        assert_eq!(error_of_verdict(0.07, 65), 0.01);
        assert_eq!(error_of_verdict(0.08, 66), 0.01);
    }
}
