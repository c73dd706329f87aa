//! Energy on made-up readings whose truth is known.

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// Readings every 100 ms for `seconds`.
fn every_100_ms(seconds: u64, value: impl Fn(u64) -> i64) -> Vec<(u64, i64)> {
    (0..=seconds * 10).map(|place| (place * 100 * MS, value(place * 100 * MS))).collect()
}

fn power(series: &[(u64, i64)], window: (u64, u64)) -> Energy {
    energy(Unit::Microwatts, None, series, window, 100 * MS)
}

fn counter(wraps_at: Option<u64>, series: &[(u64, i64)], window: (u64, u64)) -> Energy {
    energy(Unit::Microjoules, wraps_at, series, window, 100 * MS)
}

fn reason(energy: &Energy) -> &str {
    match energy {
        Energy::NotAvailable { reason } => reason,
        Energy::Measured { microjoules, .. } => panic!("{microjoules} µJ were measured"),
    }
}

/// Microjoules of a device at 50 W that was switched on at 0, since then.
fn at_50_watts(at: u64) -> i64 {
    i64::try_from(at / 1_000 * 50).unwrap()
}

#[test]
fn constant_power_times_time_is_energy() {
    let series = every_100_ms(10, |_| 50_000_000);
    assert_eq!(power(&series, (2 * SECOND, 5 * SECOND)).microjoules(), Some(150_000_000));
    // Ends between two readings.
    assert_eq!(power(&series, (2 * SECOND + 37 * MS, 5 * SECOND + 41 * MS)).microjoules(), Some(150_200_000));
}

#[test]
fn rising_power_is_integrated_by_trapezoids() {
    // P(t) = 10 W/s * t: from 2 s to 4 s, 10 * (16 - 4) / 2 = 60 J.
    let series = every_100_ms(10, |at| i64::try_from(at / 100).unwrap());
    assert_eq!(power(&series, (2 * SECOND, 4 * SECOND)).microjoules(), Some(60_000_000));
    assert_eq!(power(&series, (2 * SECOND + 50 * MS, 4 * SECOND)).microjoules(), Some(58_987_500));
}

#[test]
fn a_counter_is_a_difference() {
    let series = every_100_ms(10, |at| 7_000_000 + at_50_watts(at));
    assert_eq!(counter(None, &series, (2 * SECOND, 5 * SECOND)).microjoules(), Some(150_000_000));
    assert_eq!(counter(None, &series, (2 * SECOND + 33 * MS, 5 * SECOND)).microjoules(), Some(148_350_000));
}

#[test]
fn a_counter_that_wraps_goes_on() {
    let range = 262_143_328_850;
    let start = i64::try_from(range).unwrap() - 60_000_000;
    let wrapped = |at| (start + at_50_watts(at)) % i64::try_from(range).unwrap();
    let series = every_100_ms(10, wrapped);
    assert!(series.windows(2).any(|pair| pair[1].1 < pair[0].1), "it wraps");
    assert_eq!(counter(Some(range), &series, (0, 5 * SECOND)).microjoules(), Some(250_000_000));
    assert_eq!(reason(&counter(None, &series, (0, 5 * SECOND))), "the counter went backwards");
}

#[test]
fn a_counter_that_was_set_back_is_no_energy() {
    let series =
        every_100_ms(
            10,
            |at| {
                if at < 3 * SECOND { 9_000_000_000 + at_50_watts(at) } else { at_50_watts(at) }
            },
        );
    let wraps = Some(262_143_328_850);
    assert_eq!(reason(&counter(wraps, &series, (0, 5 * SECOND))), "the counter jumped: it was reset");
    // Where it did not happen, it does not matter.
    assert_eq!(counter(wraps, &series, (4 * SECOND, 6 * SECOND)).microjoules(), Some(100_000_000));
}

#[test]
fn two_readings_that_fail_are_bridged_and_three_are_not() {
    let mut series = every_100_ms(10, |_| 50_000_000);
    series.retain(|(at, _)| !(31..=32).contains(&(at / (100 * MS))));
    assert_eq!(power(&series, (2 * SECOND, 5 * SECOND)).microjoules(), Some(150_000_000));
    series.retain(|(at, _)| !(31..=33).contains(&(at / (100 * MS))));
    // 400 ms of 10 s are 4 %: covered enough, and still a gap.
    assert_eq!(
        reason(&power(&series, (0, 10 * SECOND))),
        "there is no reading for 400 ms, but only 300 ms are allowed"
    );
    assert_eq!(
        reason(&power(&series, (2 * SECOND, 5 * SECOND))),
        "readings cover 86.66 % of the window, but 95 % are needed"
    );
}

#[test]
fn at_a_high_rate_the_floor_of_the_gap_holds() {
    assert_eq!(longest_gap(10 * MS), 250 * MS);
    assert_eq!(longest_gap(100 * MS), 300 * MS);
    assert_eq!(longest_gap(SECOND), 3 * SECOND);
}

#[test]
fn a_window_that_begins_before_the_readings_or_ends_after_them_is_not_covered() {
    let series = every_100_ms(10, |_| 50_000_000);
    assert!(reason(&power(&series, (9 * SECOND, 12 * SECOND))).starts_with("readings cover 33.33 %"));
    let late: Vec<_> = series.iter().copied().filter(|(at, _)| *at >= 2 * SECOND).collect();
    assert!(reason(&power(&late, (0, 4 * SECOND))).starts_with("readings cover 50.00 %"));
    assert!(reason(&power(&[], (0, SECOND))).starts_with("readings cover 0.00 %"));
}

#[test]
fn a_short_window_has_too_few_readings() {
    let series = every_100_ms(10, |_| 50_000_000);
    let energy = power(&series, (2 * SECOND + 10 * MS, 2 * SECOND + 510 * MS));
    assert_eq!(
        reason(&energy),
        "the window has 5 readings, but 10 are needed: raise the rate or measure longer"
    );
}

#[test]
fn a_counter_that_stands_still_says_nothing() {
    let still = every_100_ms(10, |_| 5_000_000);
    assert!(reason(&counter(None, &still, (0, 10 * SECOND))).starts_with("the window has 0 readings"));
    // Refreshed once a second only.
    let rare = every_100_ms(10, |at| at_50_watts(at / SECOND * SECOND) + 1);
    assert!(reason(&counter(None, &rare, (SECOND, 6 * SECOND))).starts_with("the window has 6 readings"));
}

#[test]
fn coverage_counts_what_lies_between_close_readings() {
    let limit = 300 * MS;
    let at = |list: &[u64]| list.iter().map(|at| at * MS).collect::<Vec<_>>();
    let of = |list: &[u64], window| coverage(at(list).into_iter(), window, limit);
    let window = (0, 1_000 * MS);
    let all = of(&[0, 250, 500, 750, 1_000], window);
    assert_eq!((all.ppm, all.largest_gap_ns, all.inside), (1_000_000, 250 * MS, 5));
    let hole = of(&[0, 250, 750, 1_000], window);
    assert_eq!((hole.ppm, hole.largest_gap_ns), (500_000, 500 * MS));
    let early = of(&[0, 250], window);
    assert_eq!((early.ppm, early.largest_gap_ns), (250_000, 750 * MS));
    let none = of(&[], window);
    assert_eq!((none.ppm, none.largest_gap_ns, none.inside), (0, 1_000 * MS, 0));
    // Around a window that has none inside.
    let around = of(&[0, 200], (50 * MS, 100 * MS));
    assert_eq!((around.ppm, around.inside), (1_000_000, 0));
}

proptest! {
    /// Whatever the readings are: windows side by side have the energy of both together, up to rounding.
    #[test]
    fn energy_is_additive(values in proptest::collection::vec(1_i64..400_000_000, 61), cut in 1_500_u64..4_500) {
        let series: Vec<(u64, i64)> =
            values.iter().zip(0_u64..).map(|(value, place)| (place * 100 * MS, *value)).collect();
        let end = 6 * SECOND;
        let cut = cut * MS;
        let whole = power(&series, (0, end)).microjoules().unwrap();
        let first = power(&series, (0, cut)).microjoules().unwrap();
        let second = power(&series, (cut, end)).microjoules().unwrap();
        prop_assert!(whole.abs_diff(first + second) <= 2, "{whole} is not {first} + {second}");
    }

    /// Energy lies between that of the least and of the most power.
    #[test]
    fn energy_is_within_its_bounds(values in proptest::collection::vec(1_i64..400_000_000, 61), from in 0_u64..3_000) {
        let series: Vec<(u64, i64)> =
            values.iter().zip(0_u64..).map(|(value, place)| (place * 100 * MS, *value)).collect();
        let window = (from * MS, from * MS + 2 * SECOND);
        let energy = power(&series, window).microjoules().unwrap();
        let least = u64::try_from(*values.iter().min().unwrap()).unwrap() * 2;
        let most = u64::try_from(*values.iter().max().unwrap()).unwrap() * 2;
        prop_assert!((least.saturating_sub(1)..=most).contains(&energy));
    }

    /// A counter gives the same energy wherever it stands, wrapped or not.
    #[test]
    fn where_a_counter_stands_does_not_matter(offset in 1_i64..262_143_328_850, steps in proptest::collection::vec(1_i64..40_000_000, 60)) {
        let range = 262_143_328_850_i64;
        let mut plain = vec![(0, 1)];
        let mut wrapped = vec![(0, offset)];
        for (step, place) in steps.iter().zip(1_u64..) {
            let at = place * 100 * MS;
            plain.push((at, plain.last().unwrap().1 + step));
            wrapped.push((at, (wrapped.last().unwrap().1 + step) % range));
        }
        let wraps = Some(262_143_328_850);
        let window = (330 * MS, 5_870 * MS);
        prop_assert_eq!(counter(wraps, &plain, window), counter(wraps, &wrapped, window));
    }

    #[test]
    fn any_readings_are_taken(
        series in proptest::collection::vec((0_u64..20_000, any::<i64>()), 0..40),
        begin in 0_u64..20_000,
        length in 0_u64..20_000,
    ) {
        let mut series: Vec<(u64, i64)> = series.into_iter().map(|(at, value)| (at * MS, value)).collect();
        series.sort_unstable();
        series.dedup_by_key(|(at, _)| *at);
        let window = (begin * MS, (begin + length) * MS);
        for unit in [Unit::Microwatts, Unit::Microjoules] {
            let _either = energy(unit, Some(1 << 40), &series, window, 100 * MS);
        }
    }
}
