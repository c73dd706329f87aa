//! What the author of an experiment, the caller, and a list of accepted changes decide.

use llamark_record::comparison::{AcceptedChange, CaveatCode, Comparison, Conclusion, Verdict};
use llamark_record::metric::Metric;
use llamark_record::plan::Gate;
use llamark_report::compare::{CompareOptions, Detail, Tally, markdown};

use crate::common::Parts;
use crate::common::synthetic::Shape;
use crate::{FIVE, caveat, compared, metric, on_terminal, slower, usual, with};

#[test]
fn the_gates_of_the_baseline_hold_and_another_choice_is_said() {
    let only_rss = |parts: &mut Parts| {
        for gate in &mut parts.resolved.plan.gates {
            *gate = Gate::with_margin(gate.metric, gate.metric == Metric::Rss, gate.margin_ppm);
        }
    };
    let (mut base, mut slow) = (FIVE.build(usual), FIVE.seed(2).build(slower(3, 0.1)));
    assert_eq!(compared(&base, &slow).conclusion, Conclusion::Regression);
    only_rss(&mut base);
    let comparison = compared(&base, &slow);
    assert_eq!(comparison.conclusion, Conclusion::NoRegression, "{}", on_terminal(&comparison));
    assert!(on_terminal(&comparison).contains("regressed"), "it is shown all the same");
    assert!(caveat(&comparison, CaveatCode::OtherGates).is_some());
    only_rss(&mut slow);
    assert!(caveat(&compared(&base, &slow), CaveatCode::OtherGates).is_none());
    // A plan without gates is judged by the standard.
    base.resolved.plan.gates.clear();
    assert_eq!(compared(&base, &slow).conclusion, Conclusion::Regression);
}

#[test]
fn thresholds_and_sensitivity() {
    let (base, slow) = (FIVE.build(usual), FIVE.seed(2).build(slower(3, 0.06)));
    let wide = CompareOptions { threshold: Some(0.2), ..CompareOptions::default() };
    let comparison = with(&base, &slow, &wide);
    assert_eq!(comparison.conclusion, Conclusion::NoRegression, "6 % is within 20 %");
    assert!((comparison.rules.metrics[0].minimum - 0.2 / 3.0).abs() < 1e-9);
    // 2.2 % is hard to tell from 1 %, and easier to tell from nothing.
    let noisy = Shape::new(12, 5).between(0.008);
    let found = |sensitive: bool| {
        let options = CompareOptions { sensitive, ..CompareOptions::default() };
        let tallies = (2..22).map(|seed| {
            let base = noisy.seed(seed + 100).build(usual);
            Tally::of(&with(&base, &noisy.seed(seed).build(slower(3, 0.022)), &options)).regressed
        });
        tallies.sum::<usize>()
    };
    assert!(found(true) > found(false) + 5, "{} against {}", found(true), found(false));
}

/// Each metric by its own least estimate: 4 % of a load time are less than two thirds of its margin.
#[test]
fn sensitivity_is_that_of_each_metric() {
    let mut base = Shape::new(12, 5).between(0.001).build(usual);
    let gate = |metric, margin_ppm| Gate::with_margin(metric, true, margin_ppm);
    base.resolved.plan.gates = vec![gate(Metric::Tg, 150_000), gate(Metric::Pp, 30_000)];
    let slow = Shape::new(12, 5).between(0.001).seed(2).build(slower(3, 0.04));
    let options = CompareOptions { sensitive: true, ..CompareOptions::default() };
    let comparison = with(&base, &slow, &options);
    let least = comparison.rules.metrics[0].least_estimate.unwrap();
    assert!((least - 0.1).abs() < 1e-9 && (comparison.rules.metrics[0].minimum - 0.05).abs() < 1e-9);
    assert_ne!(metric(&comparison, "m0003/cpu/bridge", Metric::Tg).verdict, Verdict::Regressed);
    base.resolved.plan.gates = vec![gate(Metric::Tg, 30_000)];
    let comparison = with(&base, &slow, &options);
    assert_eq!(metric(&comparison, "m0003/cpu/bridge", Metric::Tg).verdict, Verdict::Regressed);
}

#[test]
fn an_accepted_regression_is_shown_and_does_not_gate() {
    let (base, slow) = (FIVE.build(usual), FIVE.seed(2).build(slower(3, 0.06)));
    let change = |metric, at_most_ppm| AcceptedChange {
        line: 4,
        case: "m0003/cpu/bridge".to_owned(),
        metric,
        at_most_ppm,
        reason: "slower on purpose".to_owned(),
        until: Some("2026-12-31".to_owned()),
    };
    let on = |today: &str, accepted: Vec<AcceptedChange>| {
        with(&base, &slow, &CompareOptions { accepted, today: today.to_owned(), ..CompareOptions::default() })
    };
    let both = || vec![change(Metric::Pp, 80_000), change(Metric::Tg, 80_000)];
    let comparison = on("2026-12-31", both());
    assert_eq!((comparison.conclusion, comparison.stale.len()), (Conclusion::NoRegression, 0));
    let text = on_terminal(&comparison);
    assert!(
        text.contains("regressed, accepted") && text.contains("slower on purpose (until 2026-12-31)"),
        "{text}"
    );
    assert!(markdown(&comparison, Detail::default()).contains("slower on purpose"));

    let stale =
        |comparison: &Comparison| comparison.stale.iter().map(|entry| entry.why.clone()).collect::<Vec<_>>();
    let late = on("2027-01-01", both());
    assert_eq!(late.conclusion, Conclusion::Regression);
    assert_eq!(stale(&late), ["it was valid until 2026-12-31"; 2]);
    let too_much = on("2026-12-01", vec![change(Metric::Pp, 80_000), change(Metric::Tg, 40_000)]);
    assert_eq!(too_much.conclusion, Conclusion::Regression);
    assert!(stale(&too_much)[0].starts_with("it is worse by 6"), "{:?}", too_much.stale);
    let elsewhere = AcceptedChange { case: "m0004/cpu/bridge".to_owned(), ..change(Metric::Tg, 80_000) };
    let nowhere = AcceptedChange { case: "x/cpu/bridge".to_owned(), ..change(Metric::Tg, 80_000) };
    let comparison = on("2026-12-01", vec![elsewhere, nowhere]);
    assert_eq!(stale(&comparison), ["it is now equivalent", "neither set has this case"]);
    assert!(on_terminal(&comparison).contains("no effect: the accepted change in line 4"));
}
