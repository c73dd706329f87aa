//! When a case has enough starts: as soon as the interval of its mean is as narrow as was asked.
//!
//! Who looks after every start and stops at the first narrow interval stops where the spread happened to come out small,
//! and then the interval is too narrow. So there are few looks, and each has an interval so wide that all of them together
//! hold with the stated probability (repeated confidence intervals: Jennison & Turnbull 1989, with Bonferroni over the
//! looks, as in [`crate::sequential`]): m ± t(1 − α/(2L); k − 1)·s/√k over k starts, L looks at most, α = 1 − level.

use crate::describe::{finite, mean, variance};
use crate::special::t_upper_quantile;

/// Fewest starts that are looked at: of two, the interval is as good as never narrow.
pub const FEWEST: u32 = 3;

/// The numbers of starts after which it is looked: `least` (3 at least), then half as many more each time, and `most`.
/// The fewer looks, the less they cost in width.
pub fn looks(least: u32, most: u32) -> Vec<u32> {
    let mut looks = Vec::new();
    let mut next = least.max(FEWEST);
    while next < most {
        looks.push(next);
        next = next.saturating_add(next.div_ceil(2));
    }
    looks.push(most);
    looks
}

/// Half-width of the interval of the mean at one of so many looks, as a share of the mean.
///
/// `None` for fewer than two values, values that are not finite, a mean that is not positive, no look, or a level outside
/// 0..1.
pub fn half_width(values: &[f64], looks: usize, level: f64) -> Option<f64> {
    let mean = mean(values).filter(|mean| *mean > 0.0)?;
    if values.len() < 2 || looks == 0 || !(level > 0.0 && level < 1.0) {
        return None;
    }
    let k = values.len() as f64;
    let tail = 0.5 * (1.0 - level) / looks as f64;
    finite(t_upper_quantile(tail, k - 1.0)? * (variance(values)? / k).sqrt() / mean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::interval::t_interval;

    #[test]
    fn looks_are_few_and_end_at_the_most() {
        assert_eq!(looks(3, 20), [3, 5, 8, 12, 18, 20]);
        assert_eq!(looks(1, 4), [3, 4]);
        assert_eq!(looks(5, 5), [5]);
        assert_eq!(looks(1, 2), [2]);
        assert_eq!(looks(3, 10_000).len(), 21);
    }

    #[test]
    fn the_half_width_is_students_at_the_level_of_one_look() {
        // t(0.995; 2) = 9.924843, s = 1, k = 3, five looks at 95 %.
        let found = half_width(&[99.0, 100.0, 101.0], 5, 0.95).unwrap();
        assert!((found - 9.924_843_200_918_29 / 3_f64.sqrt() / 100.0).abs() < 1e-12, "{found}");
        assert_eq!(half_width(&[5.0; 3], 5, 0.95), Some(0.0));
        for bad in
            [half_width(&[5.0], 1, 0.95), half_width(&[5.0; 3], 0, 0.95), half_width(&[-5.0; 3], 1, 0.95)]
        {
            assert_eq!(bad, None);
        }
        assert_eq!(half_width(&[1.0, f64::NAN], 1, 0.95), None);
    }

    proptest! {
        /// What a report shows of a case that was stopped is never wider than what was asked.
        #[test]
        fn it_is_never_narrower_than_the_interval_of_a_report(
            values in prop::collection::vec(1.0..1000.0_f64, 3..20),
            looks in 1_usize..20,
        ) {
            let shown = t_interval(&values, 0.95).unwrap();
            let share = 0.5 * (shown.high - shown.low) / mean(&values).unwrap();
            prop_assert!(half_width(&values, looks, 0.95).unwrap() >= share - 1e-12);
        }

        #[test]
        fn looks_ascend(least in 1_u32..50, more in 0_u32..500) {
            let all = looks(least, least + more);
            prop_assert!(all.windows(2).all(|two| two[0] < two[1]));
            prop_assert_eq!(all.last(), Some(&(least + more)));
        }
    }

    /// How often the true mean is in the interval where it was stopped, by simulation (spread of starts 1 %, ±1 % asked):
    /// what the allowance for the looks is for. `docs/statistics.md` has these numbers.
    #[test]
    fn the_mean_is_in_the_interval_as_often_as_it_says() {
        let mut state = 7_u64;
        let mut uniform = || {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let mut normal = || (-2.0 * uniform().ln()).sqrt() * (2.0 * std::f64::consts::PI * uniform()).cos();
        let when = looks(3, 20);
        let (mut with_looks, mut plain) = (0, 0);
        let trials = 4000;
        for _ in 0..trials {
            let values: Vec<f64> = (0..20).map(|_| 100.0 * (1.0 + 0.01 * normal())).collect();
            let is_narrow = |count: &&u32| {
                half_width(&values[..**count as usize], when.len(), 0.95).is_some_and(|half| half <= 0.01)
            };
            let stopped = when.iter().find(is_narrow).copied().unwrap_or(20) as usize;
            let covers = |looks: usize| {
                let mean = mean(&values[..stopped]).unwrap();
                let half = half_width(&values[..stopped], looks, 0.95).unwrap();
                u32::from((mean - 100.0).abs() <= half * mean)
            };
            with_looks += covers(when.len());
            plain += covers(1);
        }
        let share = |count: u32| f64::from(count) / f64::from(trials);
        assert!(share(with_looks) > 0.97, "{with_looks}");
        assert!(share(plain) < 0.935, "without the allowance it is not 95 %: {plain}");
    }
}
