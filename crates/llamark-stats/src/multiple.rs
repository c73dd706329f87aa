//! Many tests at once: Benjamini–Hochberg, Benjamini–Yekutieli, Holm, and intervals for what was selected.

/// p values adjusted to control the false discovery rate when tests are independent or positively dependent:
/// min over j >= i of p_(j)·M/j, at most 1 (Benjamini & Hochberg 1995; R `p.adjust("BH")`).
///
/// `None` when a value is not in 0..=1. In the order given; empty gives empty.
pub fn benjamini_hochberg(p: &[f64]) -> Option<Vec<f64>> {
    step_up(p, 1.0)
}

/// As [`benjamini_hochberg`] under any dependence: times Σ 1/i (Benjamini & Yekutieli 2001; R `p.adjust("BY")`).
pub fn benjamini_yekutieli(p: &[f64]) -> Option<Vec<f64>> {
    step_up(p, (1..=p.len()).map(|i| 1.0 / i as f64).sum())
}

/// p values adjusted to control the chance of any false call, under any dependence: max over j <= i of
/// (M − j + 1)·p_(j), at most 1 (Holm 1979; R `p.adjust("holm")`).
///
/// `None` when a value is not in 0..=1. In the order given; empty gives empty.
pub fn holm(p: &[f64]) -> Option<Vec<f64>> {
    let order = rising(p)?;
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, index) in order.iter().enumerate() {
        largest = largest.max((p.len() - rank) as f64 * p[*index]).min(1.0);
        adjusted[*index] = largest;
    }
    Some(adjusted)
}

/// The level of the intervals of `selected` out of `tests` at false coverage rate `q`: 1 − q·R/M (Benjamini &
/// Yekutieli 2005). `None` when nothing was selected or more than there were.
pub fn false_coverage_level(q: f64, selected: usize, tests: usize) -> Option<f64> {
    (q > 0.0 && q < 1.0 && selected > 0 && selected <= tests)
        .then(|| 1.0 - q * selected as f64 / tests as f64)
}

fn step_up(p: &[f64], factor: f64) -> Option<Vec<f64>> {
    let order = rising(p)?;
    let mut adjusted = vec![0.0; p.len()];
    let mut smallest = 1.0_f64;
    for (rank, index) in order.iter().enumerate().rev() {
        smallest = smallest.min(p[*index] * factor * p.len() as f64 / (rank + 1) as f64);
        adjusted[*index] = smallest;
    }
    Some(adjusted)
}

/// Indices by rising p.
fn rising(p: &[f64]) -> Option<Vec<usize>> {
    if !p.iter().all(|value| (0.0..=1.0).contains(value)) {
        return None;
    }
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|x, y| p[*x].total_cmp(&p[*y]));
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_nonsense() {
        assert_eq!(benjamini_hochberg(&[]), Some(vec![]));
        assert_eq!(holm(&[f64::NAN]), None);
        assert_eq!(benjamini_hochberg(&[1.5]), None);
        assert_eq!(false_coverage_level(0.05, 0, 10), None);
    }

    #[test]
    fn one_test_needs_no_adjustment() {
        for adjust in [benjamini_hochberg, benjamini_yekutieli, holm] {
            assert_eq!(adjust(&[0.03]), Some(vec![0.03]));
        }
    }
}
