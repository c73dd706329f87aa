//! Which runs at the beginning of a start come before its steady state, and what they do to a mean. Higher is better
//! here.

use crate::describe::{mean, variance};

/// Fewest runs that must be left: of one, nobody can say that it is steady.
const FEWEST_LEFT: usize = 2;

/// How many runs at the beginning of every start are slower than each later run of it, by more than these differ
/// among themselves. At most half of a start.
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

/// Whether a series of runs that is still going on has come to its steady state: the coefficient of variation of its last
/// `window` values, s/m with the n − 1 form of s, is at most `variation`. That is the rule of Georges, Buytaert and
/// Eeckhout, "Statistically rigorous Java performance evaluation", OOPSLA 2007.
///
/// It looks at what is past, and promises nothing of what comes: a slow drift passes. The values of the window were chosen
/// for being alike, so they must not be measured with: their spread is too small.
///
/// False for fewer values than the window, for a window below 2, and for values that are not finite and positive.
pub fn has_settled(runs: &[f64], window: usize, variation: f64) -> bool {
    let Some(last) = runs.len().checked_sub(window.max(2)).and_then(|first| runs.get(first..)) else {
        return false;
    };
    if window < 2 || last.iter().any(|value| !value.is_finite() || *value <= 0.0) {
        return false;
    }
    match (mean(last), variance(last)) {
        (Some(mean), Some(variance)) => variance.sqrt() <= variation * mean,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_runs_decide() {
        // s/m of 100, 101, 102 is 0.0099.
        let runs = [50.0, 90.0, 100.0, 101.0, 102.0];
        assert!(has_settled(&runs, 3, 0.01));
        assert!(!has_settled(&runs, 3, 0.0098));
        assert!(!has_settled(&runs, 4, 0.01) && !has_settled(&runs[..4], 3, 0.01));
        assert!(!has_settled(&runs[3..], 3, 0.5), "two runs are no window of three");
        assert!(has_settled(&[7.0; 3], 3, 0.0), "no spread is within any");
        assert!(!has_settled(&[7.0; 3], 1, 0.5) && !has_settled(&[], 0, 0.5));
        assert!(!has_settled(&[7.0, 7.0, f64::NAN], 2, 0.5) && !has_settled(&[0.0, 0.0], 2, 0.5));
    }

    /// How often noise alone passes for steady, and how soon: what the window and the limit of `warmup: auto` mean.
    #[test]
    fn a_machine_that_is_quieter_than_the_limit_settles_at_once() {
        let mut state = 1_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut normal = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        let mut settled_by = |noise: f64, most: usize| {
            let series: Vec<Vec<f64>> =
                (0..2000).map(|_| (0..most).map(|_| 100.0 * (1.0 + noise * normal())).collect()).collect();
            let settles = |runs: &&Vec<f64>| (3..=most).any(|count| has_settled(&runs[..count], 3, 0.02));
            series.iter().filter(settles).count()
        };
        // Noise of 0.5 %, as of a quiet machine: three runs are enough. Of 10 %: most starts never do within ten.
        assert_eq!(settled_by(0.005, 3), 2000);
        let by_luck = settled_by(0.1, 10);
        assert!((200..700).contains(&by_luck), "{by_luck}");
    }

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
