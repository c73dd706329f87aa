//! Which runs at the head of a start come before its steady state, and what they do to a mean. Higher is better here.

use crate::describe::mean;

/// Fewest runs that must be left: of one, nobody can say that it is steady.
const FEWEST_LEFT: usize = 2;

/// How many runs at the head of every start are slower than each later run of it, by more than these differ among
/// themselves. At most half of a start.
pub fn before_steady(starts: &[Vec<f64>]) -> usize {
    let shortest = starts.iter().map(Vec::len).min().unwrap_or(0);
    let most = (shortest / 2).min(shortest.saturating_sub(FEWEST_LEFT));
    (1..=most).rev().find(|count| starts.iter().all(|runs| is_before(runs, *count))).unwrap_or(0)
}

fn is_before(runs: &[f64], count: usize) -> bool {
    let (head, rest) = runs.split_at(count.min(runs.len()));
    let slowest = rest.iter().copied().fold(f64::INFINITY, f64::min);
    let fastest = rest.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    head.iter().all(|run| slowest - run > fastest - slowest)
}

/// By how much the mean changes when the first runs of each start are left out; `None` when nothing is left.
pub fn without_first(starts: &[Vec<f64>], count: usize) -> Option<f64> {
    let (all, rest) = (mean_from(starts, 0)?, mean_from(starts, count)?);
    (all > 0.0).then(|| rest / all - 1.0)
}

/// The mean of the means of the starts from a run on.
pub fn mean_from(starts: &[Vec<f64>], first: usize) -> Option<f64> {
    let means: Option<Vec<f64>> =
        starts.iter().map(|runs| mean(runs.get(first..).unwrap_or_default())).collect();
    mean(&means?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_that_is_slower_than_all_that_follows_is_left_out() {
        assert_eq!(before_steady(&[vec![394.5, 619.8, 627.2]]), 1);
        // Slower than later ones, yet they differ more among themselves.
        assert_eq!(before_steady(&[vec![122.5, 121.2, 135.7]]), 0);
        assert_eq!(before_steady(&[vec![50.0, 70.0, 100.0, 101.0, 100.0, 99.0]]), 2);
        assert_eq!(before_steady(&[vec![50.0, 100.0]]), 0, "of one run nobody can say that it is steady");
        assert_eq!(before_steady(&[vec![50.0, 100.0, 101.0], vec![99.0, 100.0, 98.0]]), 0);
        assert_eq!(before_steady(&[]), 0);
    }

    #[test]
    fn the_change_is_that_of_the_mean() {
        let change = without_first(&[vec![394.49, 619.78, 627.20]], 1).unwrap();
        assert!((change - 0.1395).abs() < 1e-3, "{change}");
        assert_eq!(without_first(&[], 1), None);
    }
}
