//! What is called, and what is not.

use llamark_record::Sha256;
use llamark_record::comparison::{CaseComparison, CaveatCode, Conclusion, MetricComparison, Verdict};
use llamark_record::journal::{BrokenRule, Failure, FailureKind, Measurement, Outcome, Rule, Stream};
use llamark_record::metric::Metric;
use llamark_report::compare::{CompareOptions, Detail, Tally, markdown, terminal};
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use crate::common::Parts;
use crate::common::synthetic::Shape;
use crate::{FIVE, caveat, compared, metric, on_terminal, slower, usual, with};

#[test]
fn the_same_twice_is_equivalent_and_folded_into_a_count() {
    for seed in 2..12 {
        let comparison = compared(&FIVE.build(usual), &FIVE.seed(seed).build(usual));
        let tally = Tally::of(&comparison);
        assert_eq!(tally.regressed + tally.improved + tally.suspect, 0, "{}", on_terminal(&comparison));
        assert!(tally.equivalent >= 20, "{}", on_terminal(&comparison));
    }
    let comparison = compared(&FIVE.build(usual), &FIVE.seed(2).build(usual));
    assert_eq!(comparison.conclusion, Conclusion::NoRegression);
    let text = on_terminal(&comparison);
    assert!(text.contains("12 cases have nothing to show") && !text.contains("m0003"), "{text}");
    let all = terminal(&comparison, 100, Detail { all: true, explain: false });
    assert!(all.contains("m0003/cpu/bridge"), "{all}");
    assert!(caveat(&comparison, CaveatCode::NotInterleaved).is_some());
    assert!(caveat(&comparison, CaveatCode::NothingDiffers).is_some());
}

#[test]
fn a_slow_case_is_found_and_nothing_else() {
    for seed in 2..12 {
        let comparison = compared(&FIVE.build(usual), &FIVE.seed(seed).build(slower(7, 0.06)));
        assert_eq!(comparison.conclusion, Conclusion::Regression);
        assert_eq!(comparison.cases[0].id, "m0007/cpu/bridge", "the worst is first");
        let tally = Tally::of(&comparison);
        assert_eq!((tally.regressed, tally.improved), (2, 0), "{}", on_terminal(&comparison));
        let tg = metric(&comparison, "m0007/cpu/bridge", Metric::Tg);
        let evidence = tg.evidence.unwrap();
        assert!((tg.change.unwrap() + 0.06).abs() < 0.01, "{tg:?}");
        assert!(evidence.selected.unwrap().low < -0.05 && evidence.prior.is_some());
        assert_eq!(tg.base.unwrap().starts.len(), 5);
    }
}

#[test]
fn the_other_way_round_it_is_improved() {
    let (fast, slow) = (FIVE.build(usual), FIVE.seed(3).build(slower(7, 0.06)));
    let comparison = compared(&slow, &fast);
    assert_eq!(comparison.conclusion, Conclusion::NoRegression, "{}", on_terminal(&comparison));
    assert_eq!(Tally::of(&comparison).improved, 2);
    let (there, back) = (compared(&fast, &slow), comparison);
    for case in &there.cases {
        for one in &case.metrics {
            let other = metric(&back, &case.id, one.metric);
            let d = |metric: &MetricComparison| metric.evidence.unwrap().difference;
            assert!((d(one) + d(&other)).abs() < 1e-9, "{} {:?}", case.id, one.metric);
        }
    }
}

#[test]
fn noise_is_inconclusive_and_says_what_it_would_take() {
    let noisy = Shape::new(2, 3).between(0.08);
    let comparison = compared(&noisy.build(usual), &noisy.seed(4).build(usual));
    assert_eq!(comparison.conclusion, Conclusion::Inconclusive);
    let tg = metric(&comparison, "m0000/cpu/bridge", Metric::Tg);
    let evidence = tg.evidence.unwrap();
    assert!(evidence.detectable.unwrap() > 0.03 && evidence.starts_needed.unwrap() > 3, "{evidence:?}");
    let text = on_terminal(&comparison);
    assert!(text.contains("inconclusive; sees") && text.contains("starts"), "{text}");
}

#[test]
fn few_starts_are_never_final() {
    for (starts, why) in [(1, "one start on a side"), (2, "two starts on a side")] {
        let few = Shape::new(12, starts);
        let comparison = compared(&few.build(usual), &few.seed(5).build(slower(3, 0.2)));
        assert_eq!(comparison.conclusion, Conclusion::Inconclusive);
        let tg = metric(&comparison, "m0003/cpu/bridge", Metric::Tg);
        let expected = if starts == 1 { Verdict::Inconclusive } else { Verdict::Suspect };
        assert_eq!((tg.verdict, tg.reason.starts_with(why)), (expected, true), "{tg:?}");
        let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in [on_terminal(&comparison), markdown(&comparison, Detail::default())] {
            assert!(words(text.clone()).contains(why), "{text}");
        }
    }
}

#[test]
fn starts_with_too_few_runs_are_left_out_and_said() {
    let mut short = FIVE.build(usual);
    let start = short.ledger.cases[0].starts.get_mut(1).unwrap();
    start.runs.truncate(2);
    let comparison = compared(&short, &FIVE.seed(2).build(usual));
    let base = metric(&comparison, "m0000/cpu/bridge", Metric::Tg).base.unwrap();
    assert_eq!((base.starts.len(), base.left_out), (4, 1));

    let single = Shape { runs: 1, ..FIVE };
    let comparison = compared(&single.build(usual), &single.seed(2).build(usual));
    let tg = metric(&comparison, "m0000/cpu/bridge", Metric::Tg);
    assert_eq!(
        (tg.verdict, tg.reason.as_str()),
        (Verdict::Missing, "neither side has a start with two valid runs")
    );
    assert_eq!(comparison.conclusion, Conclusion::Inconclusive);
}

#[test]
fn many_invalid_runs_make_a_case_worthless() {
    let mut bad = FIVE.seed(2).build(usual);
    for run in bad.ledger.cases[0].starts.values_mut().flat_map(|start| start.runs.iter_mut().skip(2).take(1))
    {
        run.broken.push(BrokenRule { rule: Rule::ColdCache, detail: "12 tokens".to_owned() });
    }
    let comparison = compared(&FIVE.build(usual), &bad);
    let case = comparison.cases.iter().find(|case| case.id == "m0000/cpu/bridge").unwrap();
    assert_eq!((case.verdict, case.broke), (Verdict::Missing, false));
    assert!(case.reason.contains("5 of 15 runs are invalid"), "{}", case.reason);
    assert_eq!(comparison.conclusion, Conclusion::Inconclusive);
}

#[test]
fn a_case_that_broke_is_a_regression_and_one_that_is_gone_is_not_equal() {
    let (base, mut broken) = (FIVE.build(usual), FIVE.seed(2).build(usual));
    broken.ledger.cases[4].outcome = Some(Outcome::Failed(Failure {
        kind: FailureKind::OutOfMemory,
        detail: "allocation of 9 GiB failed".to_owned(),
        log: Vec::new(),
        hint: String::new(),
    }));
    let comparison = compared(&base, &broken);
    assert_eq!(comparison.conclusion, Conclusion::Regression);
    assert!(comparison.cases[0].broke && comparison.cases[0].verdict == Verdict::Missing);
    let text = on_terminal(&comparison);
    assert!(text.contains("1 case no longer works") && text.contains("allocation of 9 GiB failed"), "{text}");
    // It did not work before either: no concern of a gate.
    assert_eq!(compared(&broken, &base).conclusion, Conclusion::NoRegression);

    let mut gone = FIVE.seed(2).build(usual);
    gone.ledger.cases.remove(4);
    assert_eq!(compared(&base, &gone).conclusion, Conclusion::Inconclusive);
    assert_eq!(
        compared(&gone, &base).conclusion,
        Conclusion::NoRegression,
        "a new case is no concern of a gate"
    );
}

#[test]
fn what_is_deterministic_is_compared_exactly() {
    let rss = |bytes: u64| {
        move |parts: &mut Parts| {
            let starts = parts.ledger.cases.iter_mut().flat_map(|case| case.starts.values_mut());
            starts.for_each(|start| start.closed.as_mut().unwrap().max_rss_bytes = Some(bytes));
        }
    };
    let (mut base, mut other) = (FIVE.build(usual), FIVE.seed(2).build(usual));
    rss(400_000_000)(&mut base);
    rss(400_004_096)(&mut other);
    let comparison = compared(&base, &other);
    let found = metric(&comparison, "m0000/cpu/bridge", Metric::Rss);
    assert_eq!((found.verdict, found.evidence), (Verdict::Equivalent, None));
    rss(480_000_000)(&mut other);
    let found = metric(&compared(&base, &other), "m0000/cpu/bridge", Metric::Rss);
    assert_eq!((found.verdict, found.gates), (Verdict::Regressed, false));

    let starts = other.ledger.cases[0].starts.values_mut();
    starts.for_each(|start| start.ready.as_mut().unwrap().buffers[0].bytes *= 2);
    let comparison = compared(&base, &other);
    let case = comparison.cases.iter().find(|case| case.id == "m0000/cpu/bridge").unwrap();
    assert!(case.exact[0].what.contains(" buffer on "), "{:?}", case.exact);
    assert!(caveat(&comparison, CaveatCode::OutputDiffers).is_some());
}

/// What several streams generated is compared like what one did.
#[test]
fn other_tokens_of_any_stream_are_another_output() {
    let generating = |seed: u64, texts: [&[u8]; 2]| {
        let mut parts = FIVE.seed(seed).build(usual);
        for run in parts.ledger.cases[0].starts.values_mut().flat_map(|start| &mut start.runs) {
            let measured = run.measurement.take().unwrap();
            run.streams = texts
                .map(|text| {
                    let output_ids = Some(Sha256::of_bytes(text).into());
                    Stream { sent_ns: 0, measurement: Measurement { output_ids, ..measured.clone() } }
                })
                .into();
        }
        parts
    };
    let exact = |base: &Parts, other: &Parts| {
        let comparison = compared(base, other);
        let case = comparison.cases.into_iter().find(|case| case.id == "m0000/cpu/bridge").unwrap();
        case.exact.into_iter().map(|one| one.what).collect::<Vec<_>>()
    };
    let base = generating(1, [b"one", b"two"]);
    assert!(exact(&base, &generating(2, [b"one", b"two"])).is_empty());
    assert_eq!(exact(&base, &generating(2, [b"one", b"three"])), ["generated tokens"]);
}

/// A single token follows no other: no rate of generation is missing.
#[test]
fn what_a_case_cannot_have_is_not_missing() {
    let one_token = |seed| {
        let mut parts = FIVE.seed(seed).build(usual);
        for case in &mut parts.ledger.cases {
            case.case.max_tokens = 1;
            for run in case.starts.values_mut().flat_map(|start| &mut start.runs) {
                run.gaps = None;
                let measured = run.measurement.as_mut().unwrap();
                (measured.generated_tokens, measured.generation_us) = (1, 0);
            }
        }
        parts
    };
    let comparison = compared(&one_token(1), &one_token(2));
    assert_eq!(comparison.conclusion, Conclusion::NoRegression);
    let gating = |case: &CaseComparison| case.metrics.iter().filter(|metric| metric.gates).count();
    assert!(comparison.cases.iter().all(|case| gating(case) == 1), "PP alone decides");
}

#[test]
fn rates_without_any_noise_decide_nothing() {
    let mut exact = FIVE.build(usual);
    for run in
        exact.ledger.cases.iter_mut().flat_map(|case| case.starts.values_mut()).flat_map(|s| &mut s.runs)
    {
        let measured = run.measurement.as_mut().unwrap();
        (measured.prompt_us, measured.generation_us) = (1_000_000, 2_000_000);
    }
    let comparison = compared(&exact, &exact);
    let tg = metric(&comparison, "m0000/cpu/bridge", Metric::Tg);
    assert_eq!((tg.verdict, tg.evidence), (Verdict::Inconclusive, None));
    assert!(tg.reason.contains("agree exactly"), "{}", tg.reason);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the sets are, a verdict never contradicts the numbers that are shown beside it.
    #[test]
    fn verdicts_agree_with_their_numbers(
        speeds in proptest::collection::vec(0.8_f64..1.25, 1..14),
        starts in 1_u32..7,
        between in 0.0_f64..0.05,
        sensitive: bool,
        seed in 2_u64..1000,
    ) {
        let shape = Shape::new(speeds.len(), starts).between(between);
        let options = CompareOptions { sensitive, ..CompareOptions::default() };
        let comparison = with(&shape.build(usual), &shape.seed(seed).build(|case| speeds[case]), &options);
        for case in &comparison.cases {
            for found in &case.metrics {
                let rule = comparison.rules.metrics.iter().find(|rule| rule.metric == found.metric).unwrap();
                let Some(evidence) = found.evidence else {
                    prop_assert!(!matches!(found.verdict, Verdict::Suspect));
                    continue;
                };
                let (d, least) = (evidence.difference, rule.least_estimate.unwrap_or(rule.minimum).ln_1p());
                let inside = evidence.interval.low > -rule.margin && evidence.interval.high < rule.margin * 1.1;
                match found.verdict {
                    Verdict::Regressed => prop_assert!(d > least && starts >= 3),
                    Verdict::Improved => prop_assert!(d < -least && starts >= 3),
                    Verdict::Equivalent => prop_assert!(inside && starts >= 3, "{:?}", found),
                    _ => prop_assert!(evidence.detectable.is_some()),
                }
            }
        }
        let text = terminal(&comparison, 100, Detail { all: true, explain: true });
        prop_assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
