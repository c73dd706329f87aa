//! Two samples compared by ranks: Mann–Whitney as benchstat does it, and the Hodges–Lehmann shift.

use serde::{Deserialize, Serialize};

use crate::describe::{median_of_sorted, sorted};
use crate::interval::OrderInterval;
use crate::special::normal_upper_tail;

/// How a Mann–Whitney p was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The permutation distribution of U, ties included.
    Exact,
    /// The normal approximation with tie and continuity corrections, for large samples.
    Normal,
    /// Every value is the same; p is 1 (benchstat: `ErrSamplesEqual`).
    AllEqual,
}

/// A Mann–Whitney U test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MannWhitney {
    /// Pairs with a > b, ties counting a half (scipy's statistic for x = a).
    pub u_a: f64,
    /// Pairs with b > a, ties counting a half; u_a + u_b = n_a·n_b.
    pub u_b: f64,
    /// Two-sided p.
    pub p: f64,
    /// How p was found.
    pub method: Method,
    /// Whether two values are equal, in the same sample or across.
    pub ties: bool,
    /// The smallest two-sided p that samples of these sizes can give without ties, 2/C(n_a + n_b, n_a).
    pub smallest_possible_p: f64,
}

/// Largest sample with the exact distribution when there are no ties (go-moremath `MannWhitneyExactLimit`).
const EXACT_LIMIT: usize = 50;
/// The same with ties (go-moremath `MannWhitneyTiesExactLimit`).
const EXACT_LIMIT_TIES: usize = 25;

/// The test of benchstat: p = 2·P(U <= min(U_a, U_b)) under all permutations, at most 1, and 1 if U_a = U_b; exact
/// up to 50 values a side, 25 with ties, else [`mann_whitney_normal`]. One value repeated throughout gives p = 1.
/// With ties P is that of U_a, which need not be symmetric: as in benchstat, swapping a and b can change p then.
///
/// `None` when a sample is empty or not finite. Run it on start-level values: on pooled runs its false alarms grow
/// with the number of runs.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<MannWhitney> {
    let pooled = Pooled::new(a, b)?;
    let (u_a, u_b) = pooled.statistics();
    let largest = a.len().max(b.len());
    let (p, method) = if pooled.groups.len() == 1 {
        (1.0, Method::AllEqual)
    } else if largest <= if pooled.ties { EXACT_LIMIT_TIES } else { EXACT_LIMIT } {
        (pooled.exact_p(u_a, u_b), Method::Exact)
    } else {
        (pooled.normal_p(u_a)?, Method::Normal)
    };
    let smallest_possible_p = (2.0 / binomial(a.len() + b.len(), a.len())).min(1.0);
    Some(MannWhitney { u_a, u_b, p, method, ties: pooled.ties, smallest_possible_p })
}

/// Two-sided p of the normal approximation: z = (|U − n_a·n_b/2| − ½)/σ with
/// σ² = n_a·n_b/12·((N + 1) − Σ(t³ − t)/(N(N − 1))) over groups of t ties (as scipy, `method="asymptotic"`).
///
/// `None` as [`mann_whitney`], or when all values are equal.
pub fn mann_whitney_normal(a: &[f64], b: &[f64]) -> Option<f64> {
    let pooled = Pooled::new(a, b)?;
    pooled.normal_p(pooled.statistics().0)
}

/// Both samples in one order: for each distinct value, how many there are of a and of all.
struct Pooled {
    groups: Vec<(usize, usize)>,
    n_a: usize,
    n_b: usize,
    ties: bool,
}

impl Pooled {
    fn new(a: &[f64], b: &[f64]) -> Option<Self> {
        let (a, b) = (sorted(a)?, sorted(b)?);
        let mut all: Vec<(f64, bool)> =
            a.iter().map(|v| (*v, true)).chain(b.iter().map(|v| (*v, false))).collect();
        all.sort_by(|x, y| x.0.total_cmp(&y.0));
        let mut groups = Vec::new();
        // `==`, not total_cmp: 0.0 and -0.0 are the same measurement.
        for group in all.chunk_by(|x, y| x.0 == y.0) {
            groups.push((group.iter().filter(|entry| entry.1).count(), group.len()));
        }
        let ties = groups.iter().any(|(_, size)| *size > 1);
        Some(Self { groups, n_a: a.len(), n_b: b.len(), ties })
    }

    /// (U_a, U_b).
    fn statistics(&self) -> (f64, f64) {
        let (mut below_b, mut doubled) = (0, 0);
        for (of_a, size) in &self.groups {
            let of_b = size - of_a;
            doubled += of_a * (2 * below_b + of_b);
            below_b += of_b;
        }
        let u_a = doubled as f64 / 2.0;
        (u_a, (self.n_a * self.n_b) as f64 - u_a)
    }

    /// 2·P(U <= min) over all ways to give n_a of the pooled values to a.
    ///
    /// Counts ways by (values given to a so far, 2·U so far), one group of ties after another: giving j of a group
    /// of t to a, when r of the values before went to the other side, adds j·(2r + t − j) to 2·U.
    fn exact_p(&self, u_a: f64, u_b: f64) -> f64 {
        if u_a == u_b {
            return 1.0;
        }
        let limit = (2.0 * u_a.min(u_b)) as usize;
        let width = limit + 1;
        let mut ways = vec![0.0_f64; (self.n_a + 1) * width];
        ways[0] = 1.0;
        let mut seen = 0;
        for (_, size) in &self.groups {
            let mut next = vec![0.0_f64; ways.len()];
            for given in 0..=self.n_a.min(seen) {
                let row = &ways[given * width..(given + 1) * width];
                let others = seen - given;
                for more in 0..=(*size).min(self.n_a - given) {
                    let added = more * (2 * others + size - more);
                    if added > limit || others + size - more > self.n_b {
                        continue;
                    }
                    let choices = binomial(*size, more);
                    let target = &mut next[(given + more) * width + added..(given + more + 1) * width];
                    for (to, from) in target.iter_mut().zip(row) {
                        *to += choices * from;
                    }
                }
            }
            ways = next;
            seen += size;
        }
        let low: f64 = ways[self.n_a * width..].iter().sum();
        (2.0 * low / binomial(self.n_a + self.n_b, self.n_a)).min(1.0)
    }

    fn normal_p(&self, u_a: f64) -> Option<f64> {
        let (n_a, n_b) = (self.n_a as f64, self.n_b as f64);
        let n = n_a + n_b;
        let ties: f64 = self.groups.iter().map(|(_, size)| (*size as f64).powi(3) - *size as f64).sum();
        let variance = n_a * n_b / 12.0 * ((n + 1.0) - ties / (n * (n - 1.0)));
        if variance.is_nan() || variance <= 0.0 {
            return None;
        }
        let distance = (u_a - n_a * n_b / 2.0).abs() - 0.5;
        Some((2.0 * normal_upper_tail(distance / variance.sqrt())?).min(1.0))
    }
}

/// C(n, k) as a float: exact while it fits 53 bits, else to rounding.
fn binomial(n: usize, k: usize) -> f64 {
    (0..k.min(n - k)).fold(1.0, |value, i| value * (n - i) as f64 / (i + 1) as f64)
}

/// The Hodges–Lehmann shift of b against a.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Median of all differences b − a, in the unit of the values.
    pub shift: f64,
    /// Its exact distribution-free interval, between two of the ordered differences.
    pub interval: OrderInterval,
}

/// Most pairs that [`hodges_lehmann`] takes: 1,000 values a side.
pub const MOST_PAIRS: usize = 1_000_000;

/// The Hodges–Lehmann estimate with the interval that inverts the Mann–Whitney test: between the k-th smallest and
/// the k-th largest difference, with the largest k whose level 1 − 2·P(U <= k − 1) is at least the one asked for
/// (Hollander & Wolfe 1999, section 4.3; Lehmann 1975). P is the exact distribution without ties up to 50 values a
/// side, and the normal approximation beyond.
///
/// `None` when a sample is empty or not finite, the level is outside 0..1, or there are over [`MOST_PAIRS`] pairs.
/// For a relative shift, give logarithms.
pub fn hodges_lehmann(a: &[f64], b: &[f64], level: f64) -> Option<Shift> {
    if !(level > 0.0 && level < 1.0) || a.len().checked_mul(b.len())? > MOST_PAIRS {
        return None;
    }
    let differences: Vec<f64> = b.iter().flat_map(|y| a.iter().map(move |x| y - x)).collect();
    let differences = sorted(&differences)?;
    let shift = median_of_sorted(&differences)?;
    let (order, achieved) = shift_order(a.len(), b.len(), level)?;
    let interval = if order == 0 {
        OrderInterval::TooFew { min: *differences.first()?, max: *differences.last()?, achieved }
    } else {
        let high = *differences.get(differences.len() - order)?;
        OrderInterval::Bounded { low: *differences.get(order - 1)?, high, order, achieved }
    };
    Some(Shift { shift, interval })
}

/// The order k of the interval and its level; order 0 with the level of the full range when that is too little.
fn shift_order(n_a: usize, n_b: usize, level: f64) -> Option<(usize, f64)> {
    let most = n_a * n_b / 2 + 1;
    let mut best = None;
    if n_a.max(n_b) <= EXACT_LIMIT {
        let counts = null_counts(n_a, n_b, most);
        let total = binomial(n_a + n_b, n_a);
        let mut below = 0.0;
        for (index, count) in counts.iter().enumerate() {
            below += count;
            let achieved = (1.0 - 2.0 * below / total).max(0.0);
            if achieved < level {
                return Some(best.unwrap_or((0, if index == 0 { achieved } else { 0.0 })));
            }
            best = Some((index + 1, achieved));
        }
        return best;
    }
    let (a, b) = (n_a as f64, n_b as f64);
    let sigma = (a * b * (a + b + 1.0) / 12.0).sqrt();
    for order in 1..=most {
        // P(U <= k − 1) with the continuity correction.
        let z = (a * b / 2.0 - (order as f64 - 0.5)) / sigma;
        let achieved = (1.0 - 2.0 * normal_upper_tail(z)?).max(0.0);
        if achieved < level {
            return Some(best.unwrap_or((0, achieved)));
        }
        best = Some((order, achieved));
    }
    best
}

/// How many of all arrangements without ties have U = 0, 1, ..., `most` − 1.
fn null_counts(n_a: usize, n_b: usize, most: usize) -> Vec<f64> {
    // The number of partitions into at most n_a parts, each at most n_b: one value of b after another.
    let mut ways = vec![vec![0.0; most]; n_a + 1];
    ways[0][0] = 1.0;
    for position in 0..n_a + n_b {
        for given in (0..n_a.min(position + 1)).rev() {
            // The next value goes to a and stands above `others` values of b.
            let others = position - given;
            if others > n_b {
                continue;
            }
            let (low, high) = ways.split_at_mut(given + 1);
            for (to, from) in high[0].iter_mut().skip(others).zip(&low[given]) {
                *to += from;
            }
        }
    }
    ways.swap_remove(n_a)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to choose, counted one by one.
    fn brute_force_p(a: &[f64], b: &[f64]) -> f64 {
        let all: Vec<f64> = a.iter().chain(b).copied().collect();
        let u = |mask: u32| -> f64 {
            let mut u = 0.0;
            for (i, x) in all.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1) {
                for (_, y) in all.iter().enumerate().filter(|(j, _)| mask >> j & 1 == 0) {
                    u += if x > y {
                        1.0
                    } else if x == y {
                        0.5
                    } else {
                        0.0
                    };
                }
                let _ = i;
            }
            u
        };
        let observed = u((1 << a.len()) - 1);
        let other = (a.len() * b.len()) as f64 - observed;
        if observed == other {
            return 1.0;
        }
        let masks: Vec<u32> =
            (0..1_u32 << all.len()).filter(|m| m.count_ones() as usize == a.len()).collect();
        let low = masks.iter().filter(|m| u(**m) <= observed.min(other)).count();
        (2.0 * low as f64 / masks.len() as f64).min(1.0)
    }

    #[test]
    fn the_exact_p_counts_every_permutation() {
        let samples: [(&[f64], &[f64]); 5] = [
            (&[1.0, 2.0, 3.0], &[2.0, 4.0, 5.0, 6.0]),
            (&[1.0, 1.0, 2.0], &[1.0, 3.0]),
            (&[5.0, 1.0, 4.0, 4.0], &[2.0, 2.0, 4.0, 0.0, 9.0]),
            (&[1.0], &[2.0, 3.0]),
            (&[1.0, 2.0, 3.0, 4.0, 5.0], &[6.0, 7.0, 8.0, 0.0, 1.5]),
        ];
        for (a, b) in samples {
            let p = mann_whitney(a, b).unwrap().p;
            assert!((p - brute_force_p(a, b)).abs() < 1e-12, "{a:?} {b:?}: {p}");
        }
    }

    #[test]
    fn null_counts_are_symmetric_and_complete() {
        let counts = null_counts(4, 6, 25);
        assert_eq!(counts.iter().sum::<f64>(), binomial(10, 4));
        assert!((0..25).all(|u| counts[u] == counts[24 - u]));
        assert_eq!(counts[..4], [1.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn large_samples_use_the_normal_approximation() {
        let a: Vec<f64> = (0..60).map(f64::from).collect();
        let b: Vec<f64> = (0..60).map(|v| f64::from(v) + 0.5).collect();
        let test = mann_whitney(&a, &b).unwrap();
        assert_eq!(test.method, Method::Normal);
        assert!(test.p > 0.7);
        assert!(matches!(
            hodges_lehmann(&a, &b, 0.95).unwrap().interval,
            OrderInterval::Bounded { low, high, .. } if low < 0.5 && 0.5 < high
        ));
    }

    #[test]
    fn the_largest_exact_samples_agree_with_the_approximation() {
        let a: Vec<f64> = (0..50).map(|v| f64::from(v * 37 % 101)).collect();
        let b: Vec<f64> = (0..50).map(|v| f64::from(v * 53 % 103) + 8.3).collect();
        let exact = mann_whitney(&a, &b).unwrap();
        assert_eq!(exact.method, Method::Exact);
        let normal = mann_whitney_normal(&a, &b).unwrap();
        assert!((exact.p / normal - 1.0).abs() < 0.02, "{} {normal}", exact.p);
    }

    #[test]
    fn nothing_to_compare_is_none() {
        assert_eq!(mann_whitney(&[], &[1.0]), None);
        assert_eq!(mann_whitney(&[f64::NAN], &[1.0]), None);
        assert_eq!(hodges_lehmann(&[], &[1.0], 0.95), None);
        assert_eq!(mann_whitney(&[1.0], &[1.0]).unwrap().method, Method::AllEqual);
    }
}
