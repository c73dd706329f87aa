//! Do two quantities rise together?

use crate::describe::mean;
use crate::special::t_two_sided;

/// Fewest pairs: of three, no rank correlation can be told from chance.
const FEWEST: usize = 4;
/// Up to so many pairs p is exact, by all orders there are (9! = 362,880). Student's approximation is for more of them: with
/// four pairs it calls a perfect order certain, which chance alone makes in 1 of 12.
const MOST_EXACT: usize = 9;

/// Spearman's rank correlation with mid-ranks, and its two-sided p: the share of all orders of `y` whose correlation is as far from
/// zero; for more than nine pairs by t = r·√((n − 2)/(1 − r²)). `None` for fewer than four pairs or without any variation.
pub fn rank_correlation(x: &[f64], y: &[f64]) -> Option<(f64, f64)> {
    if x.len() < FEWEST || x.len() != y.len() {
        return None;
    }
    let (x, mut y) = (centred_ranks(x)?, centred_ranks(y)?);
    let squares = |ranks: &[f64]| ranks.iter().map(|rank| rank * rank).sum::<f64>();
    let scale = (squares(&x) * squares(&y)).sqrt();
    if scale <= 0.0 {
        return None;
    }
    let together = |y: &[f64]| x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
    let product = together(&y);
    let correlation = (product / scale).clamp(-1.0, 1.0);
    if y.len() <= MOST_EXACT {
        let (mut all, mut as_far) = (0.0, 0.0);
        each_order(&mut y, &mut |y| {
            all += 1.0;
            // Products of ranks are multiples of a quarter: what is as far is as far but for rounding.
            as_far += f64::from(u8::from(together(y).abs() >= product.abs() - 0.01));
        });
        return Some((correlation, as_far / all));
    }
    let df = x.len() as f64 - 2.0;
    let rest = 1.0 - correlation * correlation;
    let p = if rest < 1e-12 { 0.0 } else { t_two_sided(correlation * (df / rest).sqrt(), df)? };
    Some((correlation, p))
}

/// Every order of the values, each once (Heap 1963).
fn each_order(values: &mut [f64], visit: &mut impl FnMut(&[f64])) {
    visit(values);
    let mut counts = vec![0; values.len()];
    let mut place = 1;
    while let Some(count) = counts.get_mut(place) {
        if *count < place {
            values.swap(place, if place % 2 == 0 { 0 } else { *count });
            visit(values);
            *count += 1;
            place = 1;
        } else {
            *count = 0;
            place += 1;
        }
    }
}

/// Ranks around their mean.
fn centred_ranks(values: &[f64]) -> Option<Vec<f64>> {
    let ranks = ranks(values);
    let middle = mean(&ranks)?;
    Some(ranks.into_iter().map(|rank| rank - middle).collect())
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let equal = values.iter().filter(|other| *other == value).count();
        below as f64 + (equal as f64 + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_correlate_whatever_the_scale() {
        let (correlation, p) =
            rank_correlation(&[1.0, 2.0, 3.0, 4.0, 5.0], &[1.0, 10.0, 9.0, 1e3, 1e6]).unwrap();
        // scipy.stats.spearmanr with permutation_test: 10 of 120 orders.
        assert!((correlation - 0.9).abs() < 1e-12 && (p - 10.0 / 120.0).abs() < 1e-12, "{correlation} {p}");
        assert_eq!(rank_correlation(&[1.0; 5], &[1.0, 2.0, 3.0, 4.0, 5.0]), None);
        assert_eq!(rank_correlation(&[1.0; 3], &[1.0; 3]), None);
        assert_eq!(ranks(&[3.0, 1.0, 3.0]), [2.5, 1.0, 2.5]);
    }

    #[test]
    fn a_few_pairs_in_perfect_order_are_no_proof() {
        let rising = [1.0, 2.0, 3.0, 4.0];
        let (correlation, p) = rank_correlation(&rising, &[7.0, 8.0, 9.0, 10.0]).unwrap();
        assert_eq!((correlation, p), (1.0, 2.0 / 24.0));
        let (correlation, p) = rank_correlation(&rising, &[4.0, 3.0, 2.0, 1.0]).unwrap();
        assert_eq!((correlation, p), (-1.0, 2.0 / 24.0));
        // With a tie, of 24 orders 4 are as far: two of the equal ones, each way round.
        assert_eq!(rank_correlation(&rising, &[1.0, 2.0, 2.0, 3.0]).unwrap().1, 4.0 / 24.0);
    }

    #[test]
    fn every_order_comes_once() {
        let mut seen = std::collections::BTreeSet::new();
        let mut count = 0;
        each_order(&mut [1.0, 2.0, 3.0, 4.0, 5.0], &mut |order| {
            count += 1;
            seen.insert(order.iter().map(|value| *value as u8).collect::<Vec<_>>());
        });
        assert_eq!((count, seen.len()), (120, 120));
    }
}
