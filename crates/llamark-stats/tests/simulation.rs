//! A small `just simulate`: the procedure on made-up comparisons whose truth is known, with bounds wide enough for
//! their number. The full table is in `docs/statistics.md`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![allow(dead_code, clippy::allow_attributes, reason = "the example uses more of it")]

#[path = "../examples/simulate/study/mod.rs"]
mod study;

use study::drifting;
use study::grouping;
use study::searching::{self, Way};
use study::{Design, Noise, REALISTIC, Rates, Rule, Study};

const DESIGN: Design = Design { starts: 3, runs: 5 };

/// By rule: 20 comparisons of 120 cells for each slowdown, six cells slowed.
fn simulate(noise: Noise) -> impl Fn(Rule) -> Rates {
    let study = Study { noise, diffs: 20, cases: 60, slowed: 6, seed: 1 };
    let rates = study::run(&study, &[DESIGN]).unwrap().remove(0);
    move |rule| rates[Rule::ALL.iter().position(|other| *other == rule).unwrap()]
}

#[test]
fn realistic_noise_alarms_others_and_not_us() {
    let rates = simulate(REALISTIC);
    for rule in [Rule::Standard, Rule::History, Rule::Confirmed] {
        let found = rates(rule);
        // True rates are near 1 % of comparisons: three of twenty would be a bug in one case of a thousand.
        assert!(found.diffs_with_alarm <= 0.11, "{rule:?} {found:?}");
        assert!(found.false_discoveries <= 0.05, "{rule:?} {found:?}");
        // Of 120 slowed cells, about 93 % and 99 % are found.
        assert!(found.power_at_five_percent() >= 0.8, "{rule:?} {found:?}");
        assert!(found.power[3] >= 0.95, "{rule:?} {found:?}");
    }
    let ours = rates(Rule::Standard);
    assert!(ours.equivalent >= 0.85 && ours.missed_as_equivalent <= 0.01, "{ours:?}");
    // The noise is the one that others take for changes; else this test would show nothing.
    assert!(rates(Rule::UTest).false_alarms >= 0.2 && rates(Rule::Welch).false_alarms >= 0.2);
    assert!(rates(Rule::FivePercent).power_at_five_percent() <= 0.65);
}

#[test]
fn without_noise_between_starts_the_rules_of_others_keep_their_promise() {
    // So the simulation is fair to them: what they miss is the start.
    let rates = simulate(Noise { between: 1e-9, slow_first: 0.0, ..REALISTIC });
    assert!((0.03..0.07).contains(&rates(Rule::Welch).false_alarms), "{:?}", rates(Rule::Welch));
    assert!((0.03..0.07).contains(&rates(Rule::UTest).false_alarms), "{:?}", rates(Rule::UTest));
    assert!(rates(Rule::Standard).diffs_with_alarm <= 0.11);
    assert!(rates(Rule::Standard).power_at_five_percent() >= 0.95);
}

#[test]
fn a_search_names_the_first_bad_revision_and_hardly_ever_another() {
    let with = |loss: f64, drift: f64| {
        let found = searching::run(&REALISTIC, 60, 64, [loss, drift], 1).unwrap();
        move |way: Way| found[Way::ALL.iter().position(|other| *other == way).unwrap()]
    };
    let of = |loss: f64| with(loss, 0.0);
    for loss in [0.03, 0.05, 0.1] {
        let found = of(loss)(Way::Sequential);
        // 5 % are allowed; eight of sixty would be a bug in one case of a hundred.
        assert!(found.wrong <= 0.12, "{loss} {found:?}");
    }
    assert!(of(0.05)(Way::Sequential).right >= 0.8, "{:?}", of(0.05)(Way::Sequential));
    // Where nothing was lost, nothing is named; a script names something every time.
    assert!(of(0.0)(Way::Sequential).wrong <= 0.05, "{:?}", of(0.0)(Way::Sequential));
    assert_eq!(of(0.0)(Way::OneStart).wrong, 1.0);
    // On a machine that drifts from start to start, the starts in turn still tell.
    let drifting = with(0.05, 0.005);
    assert!(drifting(Way::Sequential).wrong <= 0.12 && drifting(Way::ThreeStarts).wrong >= 0.12);
}

#[test]
fn a_backend_that_moved_is_named_and_hardly_ever_another_group() {
    let found = grouping::run(&REALISTIC, 30, 60, 0.015, 1).unwrap();
    assert!(found.found >= 0.9 && found.alone <= 0.05 && found.wrong <= 0.04, "{found:?}");
    let still = grouping::run(&REALISTIC, 30, 60, 0.0, 1).unwrap();
    assert_eq!((still.wrong, still.found), (0.0, 0.0), "{still:?}");
}

#[test]
fn a_machine_that_others_use_is_no_regression() {
    let of = |drift: f64, loss: f64| drifting::run(&REALISTIC, 40, drift, loss, 1).unwrap();
    for drift in [0.03, 0.1] {
        let same = of(drift, 0.0);
        // The drift is one that alarms without the witness; else this test would show nothing.
        assert!(same.wrong[0] >= 0.3 && same.wrong[1] <= 0.05, "{drift} {same:?}");
    }
    assert!(of(0.0, 0.05).found[1] >= 0.9, "a machine that does not move costs hardly any power");
    let moved = |loss: f64| drifting::run_moved(&REALISTIC, 100, 0.1, loss, 1).unwrap();
    assert!(
        moved(0.1).found[1] >= 0.85 && moved(0.1).found[0] <= 0.9 && moved(0.0).wrong[1] <= 0.05,
        "{:?}",
        moved(0.1)
    );
}
