//! What must hold for any numbers: nothing panics, nothing is NaN, and order, scale and sign do what they should.

use llamark_stats::describe::{describe, outliers, quantile};
use llamark_stats::estimate::{Estimate, MARGIN, MINIMUM_THROUGHPUT};
use llamark_stats::rank::{hodges_lehmann, mann_whitney, mann_whitney_normal};
use llamark_stats::ratio::{Fieller, delta_log, fieller, geometric, ratio_of_means};
use llamark_stats::shrink::{Variance, fit_prior};
use llamark_stats::start_level::{
    blocked, level, start_median, start_medians, unblocked, variance_components,
};
use llamark_stats::{Direction, OrderInterval};
use llamark_stats::{interval, multiple, special, two_sample, warmup};
use proptest::collection::vec;
use proptest::prelude::*;

/// Any float at all, with the ugly ones often.
fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -1e3..1e3,
        prop::sample::select(vec![
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.0,
            -0.0,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            1.0,
        ]),
    ]
}

/// A plausible sample of rates, with ties.
fn sample(least: usize) -> impl Strategy<Value = Vec<f64>> {
    vec(prop_oneof![50.0..150.0, (50_u32..60).prop_map(f64::from)], least..12)
}

fn near(x: f64, y: f64, tolerance: f64) -> bool {
    (x - y).abs() <= tolerance * x.abs().max(y.abs()).max(1e-12)
}

/// No field of a result may be NaN: the debug form names it.
fn sound(result: &impl std::fmt::Debug) -> Result<(), TestCaseError> {
    let text = format!("{result:?}");
    prop_assert!(!text.contains("NaN"), "{text}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_numbers_give_numbers_or_none(
        a in vec(any_float(), 0..8),
        b in vec(any_float(), 0..8),
        x in any_float(),
        df in any_float(),
    ) {
        sound(&describe(&a))?;
        sound(&interval::t_interval(&a, 0.95))?;
        sound(&interval::t_interval(&a, x))?;
        sound(&interval::median_interval(&a, 0.95))?;
        sound(&interval::geometric_interval(&a, 0.95))?;
        sound(&two_sample::welch(&a, &b, 0.95))?;
        sound(&two_sample::student(&a, &b, 0.95))?;
        sound(&mann_whitney(&a, &b))?;
        sound(&mann_whitney_normal(&a, &b))?;
        sound(&hodges_lehmann(&a, &b, 0.95))?;
        sound(&delta_log(&a, &b, 0.95))?;
        sound(&fieller(&a, &b, 0.95))?;
        sound(&geometric(&a, &b, 0.95))?;
        sound(&quantile(&a, x))?;
        sound(&outliers(&a))?;
        for direction in [Direction::HigherIsBetter, Direction::LowerIsBetter] {
            sound(&unblocked(&a, &b, direction))?;
            sound(&blocked(&a, &b, direction))?;
            sound(&warmup::first_run(&[&a, &b], direction))?;
            sound(&warmup::trend(&[&a, &b], direction))?;
            sound(&warmup::by_run(&[&a, &b], direction))?;
            if let Some(effect) = unblocked(&a, &b, direction) {
                let estimate = Estimate::new(&effect, &Variance { s_squared: x, df });
                sound(&estimate)?;
                sound(&estimate.map(|e| (e.p_student(), e.p_beyond(MINIMUM_THROUGHPUT), e.p_not_equivalent(MARGIN))))?;
                sound(&estimate.map(|e| (e.interval(0.9), e.detectable(MINIMUM_THROUGHPUT, 0.05, 0.8))))?;
            }
        }
        sound(&level(&a, 0.95))?;
        sound(&start_median(&a, 1))?;
        sound(&variance_components(&[&a, &b], 0))?;
        sound(&multiple::benjamini_hochberg(&a))?;
        sound(&multiple::holm(&a))?;
        sound(&llamark_stats::group::group_effect(&a, 3))?;
        let pool: Vec<Variance> = a.iter().map(|s| Variance { s_squared: *s, df }).collect();
        sound(&fit_prior(&pool))?;
        sound(&(special::digamma(x), special::trigamma(x), special::trigamma_inverse(x)))?;
        sound(&(special::t_upper_tail(x, df), special::t_quantile(x, df), special::t_upper_quantile(x, df)))?;
    }

    #[test]
    fn intervals_contain_their_estimate(a in sample(2), b in sample(2), confidence in 0.5..0.999) {
        let found = describe(&a).unwrap();
        prop_assert!(interval::t_interval(&a, confidence).unwrap().contains(found.mean));
        let within = match interval::median_interval(&a, confidence).unwrap() {
            OrderInterval::Bounded { low, high, achieved, .. } => {
                prop_assert!(achieved >= confidence);
                (low..=high).contains(&found.median)
            }
            OrderInterval::TooFew { min, max, achieved } => {
                prop_assert!(achieved < confidence);
                (min, max) == (found.min, found.max)
            }
        };
        prop_assert!(within);
        if let Some(test) = two_sample::welch(&a, &b, confidence) {
            prop_assert!(test.interval.contains(test.difference));
            // The interval and the test say the same.
            prop_assert_eq!(test.interval.contains(0.0), test.p >= 1.0 - confidence);
        }
        if let Some(ratio) = delta_log(&a, &b, confidence) {
            prop_assert!(ratio.interval.contains(ratio.ratio));
        }
        if let Some(Fieller::Bounded { ratio, interval, .. }) = fieller(&a, &b, confidence) {
            prop_assert!(interval.contains(ratio));
        }
        let shift = hodges_lehmann(&a, &b, confidence).unwrap();
        if let OrderInterval::Bounded { low, high, .. } = shift.interval {
            prop_assert!((low..=high).contains(&shift.shift));
        }
    }

    #[test]
    fn order_does_not_matter(mut a in sample(2), b in sample(2)) {
        let before = (describe(&a).unwrap(), mann_whitney(&a, &b), hodges_lehmann(&a, &b, 0.9));
        let welch = two_sample::welch(&a, &b, 0.9);
        a.reverse();
        let after = (describe(&a).unwrap(), mann_whitney(&a, &b), hodges_lehmann(&a, &b, 0.9));
        prop_assert_eq!(before.0.median, after.0.median);
        prop_assert!(near(before.0.mean, after.0.mean, 1e-12));
        prop_assert_eq!((before.1, before.2), (after.1, after.2));
        if let (Some(x), Some(y)) = (welch, two_sample::welch(&a, &b, 0.9)) {
            prop_assert!(near(x.p, y.p, 1e-6), "{} {}", x.p, y.p);
        }
    }

    #[test]
    fn a_unit_changes_nothing(a in sample(2), b in sample(2), power in -20_i32..20) {
        // Powers of two, so that scaling is exact.
        let scale = 2.0_f64.powi(power);
        let scaled = |values: &[f64]| -> Vec<f64> { values.iter().map(|value| value * scale).collect() };
        let (c, d) = (scaled(&a), scaled(&b));
        prop_assert_eq!(ratio_of_means(&a, &b), ratio_of_means(&c, &d));
        prop_assert_eq!(mann_whitney(&a, &b), mann_whitney(&c, &d));
        if let (Some(x), Some(y)) = (delta_log(&a, &b, 0.95), delta_log(&c, &d, 0.95)) {
            prop_assert!(near(x.interval.low, y.interval.low, 1e-12));
        }
        let logs = |values: &[f64]| vec![start_median(values, 0).unwrap()];
        let x = unblocked(&logs(&a), &logs(&b), Direction::HigherIsBetter).unwrap();
        let y = unblocked(&logs(&c), &logs(&d), Direction::HigherIsBetter).unwrap();
        prop_assert!((x.difference - y.difference).abs() < 1e-12);
    }

    #[test]
    fn swapping_the_arms_turns_the_sign(a in sample(3), b in sample(3)) {
        let (x, y) = (mann_whitney(&a, &b).unwrap(), mann_whitney(&b, &a).unwrap());
        // With ties the permutation distribution need not be symmetric.
        prop_assert!(x.ties || near(x.p, y.p, 1e-12));
        prop_assert_eq!((x.u_a, x.u_b), (y.u_b, y.u_a));
        let (x, y) = (hodges_lehmann(&a, &b, 0.9).unwrap(), hodges_lehmann(&b, &a, 0.9).unwrap());
        prop_assert_eq!(x.shift, -y.shift);
        for direction in [Direction::HigherIsBetter, Direction::LowerIsBetter] {
            let (x, y) = (unblocked(&a, &b, direction).unwrap(), unblocked(&b, &a, direction).unwrap());
            prop_assert_eq!(x.difference, -y.difference);
            prop_assert!(near(x.sum_of_squares, y.sum_of_squares, 1e-9));
        }
        let up = unblocked(&a, &b, Direction::HigherIsBetter).unwrap();
        let down = unblocked(&a, &b, Direction::LowerIsBetter).unwrap();
        prop_assert_eq!(up.difference, -down.difference);
    }

    #[test]
    fn blocks_forgive_a_shift_of_both_arms(pairs in vec((4.0..5.0, 4.0..5.0, -1.0..1.0), 2..10)) {
        let a: Vec<f64> = pairs.iter().map(|(a, _, _)| *a).collect();
        let b: Vec<f64> = pairs.iter().map(|(_, b, _)| *b).collect();
        let shifted = |values: &[f64]| -> Vec<f64> {
            values.iter().zip(&pairs).map(|(value, (_, _, drift))| value + drift).collect()
        };
        let x = blocked(&a, &b, Direction::HigherIsBetter).unwrap();
        let y = blocked(&shifted(&a), &shifted(&b), Direction::HigherIsBetter).unwrap();
        prop_assert!((x.difference - y.difference).abs() < 1e-12);
        prop_assert!((x.sum_of_squares - y.sum_of_squares).abs() < 1e-12);
    }

    #[test]
    fn a_larger_effect_never_has_a_larger_p(d in 0.0..0.1, more in 0.0..0.1, se in 1e-4..0.05, df in 1.0..50.0) {
        let at = |difference| Estimate { difference, standard_error: se, df }.p_beyond(MINIMUM_THROUGHPUT).unwrap();
        prop_assert!(at(d + more) <= at(d) + 1e-12);
        prop_assert_eq!(at(d), at(-d));
    }

    #[test]
    fn adjusted_p_is_never_smaller_and_keeps_the_order(p in vec(0.0..=1.0, 1..40)) {
        let by = multiple::benjamini_yekutieli(&p).unwrap();
        let bh = multiple::benjamini_hochberg(&p).unwrap();
        let holm = multiple::holm(&p).unwrap();
        for i in 0..p.len() {
            prop_assert!(p[i] <= bh[i] + 1e-15 && bh[i] <= by[i] + 1e-15 && bh[i] <= holm[i] + 1e-15);
            for j in 0..p.len() {
                prop_assert!(p[i] > p[j] || (bh[i] <= bh[j] && holm[i] <= holm[j]));
            }
        }
    }

    #[test]
    fn quantiles_and_tails_are_inverse(df in 0.5..1e5, tail in 1e-12..0.5) {
        let t = special::t_upper_quantile(tail, df).unwrap();
        prop_assert!(near(special::t_upper_tail(t, df).unwrap(), tail, 1e-10));
    }

    #[test]
    fn the_level_of_an_arm_lies_among_its_starts(starts in vec(sample(2), 1..6)) {
        let logs = start_medians(&starts, 0).unwrap();
        let found = level(&logs, 0.95).unwrap();
        let values: Vec<f64> = logs.iter().map(|value| value.exp()).collect();
        let description = describe(&values).unwrap();
        prop_assert!(found.estimate >= description.min * (1.0 - 1e-12));
        prop_assert!(found.estimate <= description.max * (1.0 + 1e-12));
        prop_assert!(found.interval.is_none_or(|interval| interval.contains(found.estimate)));
    }
}
