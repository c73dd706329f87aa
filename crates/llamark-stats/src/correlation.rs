//! Do two quantities rise together?

use crate::describe::mean;
use crate::special::t_two_sided;

/// Fewest pairs: of three, no rank correlation can be told from chance.
const FEWEST: usize = 4;

/// Spearman's rank correlation with mid-ranks, and its two-sided p by t = r·√((n − 2)/(1 − r²)). `None` for fewer than
/// four pairs or without any variation.
pub fn rank_correlation(x: &[f64], y: &[f64]) -> Option<(f64, f64)> {
    if x.len() < FEWEST || x.len() != y.len() {
        return None;
    }
    let (x, y) = (ranks(x), ranks(y));
    let (mean_x, mean_y) = (mean(&x)?, mean(&y)?);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(&y) {
        xx += (a - mean_x) * (a - mean_x);
        yy += (b - mean_y) * (b - mean_y);
        xy += (a - mean_x) * (b - mean_y);
    }
    if xx <= 0.0 || yy <= 0.0 {
        return None;
    }
    let correlation = (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0);
    let df = x.len() as f64 - 2.0;
    let rest = 1.0 - correlation * correlation;
    let p = if rest < 1e-12 { 0.0 } else { t_two_sided(correlation * (df / rest).sqrt(), df)? };
    Some((correlation, p))
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
        assert!((correlation - 0.9).abs() < 1e-12 && (p - 0.037_39).abs() < 1e-4, "{correlation} {p}");
        assert_eq!(rank_correlation(&[1.0; 5], &[1.0, 2.0, 3.0, 4.0, 5.0]), None);
        assert_eq!(rank_correlation(&[1.0; 3], &[1.0; 3]), None);
        assert_eq!(ranks(&[3.0, 1.0, 3.0]), [2.5, 1.0, 2.5]);
    }
}
