//! Comparisons of sets that are built in memory: what is called, what is not, and what is said of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use common::synthetic::{Shape, other_model};
use common::{Parts, sample_set};
use llamark_record::Sha256;
use llamark_record::comparison::{
    AcceptedChange, CaseComparison, Cause, Caveat, CaveatCode, Comparison, Conclusion, GroupKind,
    MetricComparison, Verdict,
};
use llamark_record::environment::Fact;
use llamark_record::journal::{BrokenRule, Failure, FailureKind, Outcome, Rule};
use llamark_record::metric::Metric;
use llamark_record::noise::{Calibration, NOISE_FORMAT, NoiseCell, NoiseFile, Squares, measurement};
use llamark_record::plan::{Arm, Gate, Interleaved, PromptContent, Purpose, Settings};
use llamark_report::ReportError;
use llamark_report::compare::{
    CompareOptions, Detail, Side, Tally, compare_all, compare_sides, forest_plot, in_toto, junit, markdown,
    terminal,
};

const FIVE: Shape = Shape::new(12, 5);

fn with(base: &Parts, candidate: &Parts, options: &CompareOptions) -> Comparison {
    try_with(base, candidate, options).unwrap()
}

fn try_with(base: &Parts, candidate: &Parts, options: &CompareOptions) -> Result<Comparison, ReportError> {
    let digests = [Sha256::of_bytes(b"base"), Sha256::of_bytes(b"candidate")];
    compare_sides(
        Side { material: base.material(), manifest: Some(&digests[0]) },
        Side { material: candidate.material(), manifest: Some(&digests[1]) },
        options,
    )
}

fn compared(base: &Parts, candidate: &Parts) -> Comparison {
    with(base, candidate, &CompareOptions::default())
}

fn usual(_: usize) -> f64 {
    1.0
}

/// Case `number` is slower by so much.
fn slower(number: usize, by: f64) -> impl Fn(usize) -> f64 {
    move |case| if case == number { 1.0 - by } else { 1.0 }
}

fn metric(comparison: &Comparison, case: &str, metric: Metric) -> MetricComparison {
    let case = comparison.cases.iter().find(|found| found.id == case).unwrap();
    case.metrics.iter().find(|found| found.metric == metric).unwrap().clone()
}

fn caveat(comparison: &Comparison, code: CaveatCode) -> Option<&Caveat> {
    comparison.caveats.iter().find(|caveat| caveat.code == code)
}

fn on_terminal(comparison: &Comparison) -> String {
    let text = terminal(comparison, 100, Detail::default());
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    text
}

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
    assert!(
        text.contains("1 case does not work any more") && text.contains("allocation of 9 GiB failed"),
        "{text}"
    );
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
fn another_measurement_is_not_compared_unless_that_is_declared() {
    type Change = fn(&mut Parts);
    let changes: [(&str, &str, Change); 7] = [
        ("shape", "max_tokens", |parts| {
            parts.ledger.cases.iter_mut().for_each(|case| case.case.max_tokens += 1);
        }),
        ("case", "context", |parts| parts.ledger.cases.iter_mut().for_each(|case| case.case.context *= 2)),
        ("shape", "warmup", |parts| parts.ledger.cases.iter_mut().for_each(|case| case.case.warmup += 1)),
        ("prompt.bridge.sha256", "prompt.bridge.sha256", |parts| {
            let content = &mut parts.resolved.plan.prompts[0].content;
            let PromptContent::Text { sha256, .. } = content else { return };
            *sha256 = Sha256::of_bytes(b"other");
        }),
        ("prompt", "prompt_tokens", |parts| {
            let starts = parts.ledger.cases.iter_mut().flat_map(|case| case.starts.values_mut());
            starts.for_each(|start| start.ready.as_mut().unwrap().prompt_tokens += 1);
        }),
        ("model", "sha256", other_model),
        ("host.cpu", "host.cpu.model", |parts| fact(parts, "cpu.model", "Another CPU")),
    ];
    for (across, field, change) in changes {
        let (base, mut other) = (FIVE.build(usual), FIVE.seed(2).build(slower(1, 0.1)));
        change(&mut other);
        let comparison = compared(&base, &other);
        assert_eq!(comparison.conclusion, Conclusion::NotComparable, "{field}");
        assert!(comparison.cases.iter().all(|case| case.metrics.is_empty()), "{field}");
        assert!(comparison.cases[0].reason.contains(field), "{}", comparison.cases[0].reason);
        let text = on_terminal(&comparison);
        assert!(
            text.starts_with("Not comparable: these sets share nothing that can be compared\n"),
            "{text}"
        );
        assert!(!text.contains("tok/s") && !text.contains("Baseline "), "no number before or after: {text}");

        let options = CompareOptions { across: vec![across.to_owned()], ..CompareOptions::default() };
        let comparison = with(&base, &other, &options);
        assert_eq!(comparison.conclusion, Conclusion::Regression, "{field} declared as {across}");
        assert!(on_terminal(&comparison).contains("(declared)"));
    }
}

fn fact(parts: &mut Parts, name: &str, value: &str) {
    let fact = Fact { value: Some(value.to_owned()), source: "test".to_owned(), error: None };
    parts.environment.facts.insert(name.to_owned(), fact);
}

#[test]
fn one_case_that_is_another_measurement_costs_no_other() {
    let (base, mut other) = (FIVE.build(usual), FIVE.seed(2).build(usual));
    other.ledger.cases[2].case.max_tokens += 1;
    let comparison = compared(&base, &other);
    assert_eq!(comparison.conclusion, Conclusion::NotComparable);
    let tally = Tally::of(&comparison);
    assert_eq!((tally.not_comparable, tally.gating), (1, 22));
    assert!(
        comparison.cases[0].reason.contains("case.m0002/cpu/bridge.max_tokens is 16 in the baseline and 17")
    );
}

#[test]
fn what_nobody_knows_forbids_a_comparison_and_a_misspelt_declaration_is_an_error() {
    let (base, mut other) = (FIVE.build(usual), FIVE.seed(2).build(usual));
    fact(&mut other, "weather.rain", "a lot");
    let comparison = compared(&base, &other);
    assert_eq!(comparison.conclusion, Conclusion::NotComparable);
    assert!(comparison.cases[0].reason.contains("host.weather.rain is nothing in the baseline and a lot"));
    let options = CompareOptions { across: vec!["modle".to_owned()], ..CompareOptions::default() };
    assert!(
        matches!(try_with(&base, &other, &options), Err(ReportError::UnknownField { field }) if field == "modle")
    );
}

#[test]
fn the_causes_are_ranked() {
    let (base, mut other) = (FIVE.build(usual), FIVE.seed(2).build(usual));
    fact(&mut other, "kernel.cmdline", "quiet amd_iommu=off");
    fact(&mut other, "cpu.governor", "powersave");
    fact(&mut other, "gpu.0.driver", "Mesa 26.1");
    fact(&mut other, "memory.available_bytes", "1");
    other.resolved.plan.engine.build_number = 11_500;
    other.resolved.plan.engine.commit = "7654321".to_owned();
    other.resolved.plan.title = "Another title".to_owned();
    if let Settings::Decided(server) = &mut other.resolved.plan.backends[0].server {
        server.threads += 1;
    }
    let build = other.ledger.builds.get_mut("cpu").unwrap().inputs.as_mut().unwrap();
    build.cmake.insert("GGML_NATIVE".to_owned(), "OFF".to_owned());
    build.tools.insert("cc".to_owned(), "cc 15".to_owned());
    asks_for(&mut other, "GGML_NATIVE");
    let comparison = compared(&base, &other);
    let causes: Vec<&str> = comparison.differences.iter().map(|difference| difference.cause.word()).collect();
    let expected = [
        "engine",
        "engine",
        "build-flags",
        "compiler",
        "driver",
        "kernel",
        "power",
        "settings",
        "kernel",
        "label",
    ];
    assert_eq!(causes, expected, "{:#?}", comparison.differences);
    assert!(caveat(&comparison, CaveatCode::Confounded).unwrap().text.starts_with("7 kinds of things"));
    let text = on_terminal(&comparison);
    assert!(text.contains("llama.cpp b11434 -> b11500: 66 builds later, commits 0123456..7654321"), "{text}");
}

/// The experiment itself switches that option of the build off.
fn asks_for(parts: &mut Parts, option: &str) {
    let planned = parts.resolved.plan.builds.iter_mut().find(|build| build.id == "cpu").unwrap();
    planned.cmake.insert(option.to_owned(), "OFF".to_owned());
}

#[test]
fn an_option_that_llamark_sets_where_a_version_has_it_comes_with_the_engine() {
    let (mut parts, mut newer) = (FIVE.build(usual), FIVE.seed(2).build(usual));
    newer.resolved.plan.engine.build_number += 1;
    let build = newer.ledger.builds.get_mut("cpu").unwrap().inputs.as_mut().unwrap();
    build.cmake.insert("LLAMA_BUILD_APP".to_owned(), "OFF".to_owned());
    let cause_of = |base: &Parts, candidate: &Parts| {
        let comparison = compared(base, candidate);
        let mut differences = comparison.differences.iter();
        let option = differences.find(|one| one.field == "build.cpu.cmake.LLAMA_BUILD_APP").unwrap();
        (option.cause, caveat(&comparison, CaveatCode::Confounded).is_some())
    };
    assert_eq!(cause_of(&parts, &newer), (Cause::Engine, false));
    // What the author asks for is a choice, and so is what another llamark sets.
    let mut asked = newer;
    asks_for(&mut asked, "LLAMA_BUILD_APP");
    assert_eq!(cause_of(&parts, &asked), (Cause::BuildFlags, true));
    asked.resolved.plan.builds.iter_mut().for_each(|build| build.cmake.clear());
    parts.ledger.begin.as_mut().unwrap().llamark = "another".to_owned();
    assert_eq!(cause_of(&parts, &asked).0, Cause::BuildFlags);
}

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
    assert_eq!(stale(&late), ["it held until 2026-12-31"; 2]);
    let too_much = on("2026-12-01", vec![change(Metric::Pp, 80_000), change(Metric::Tg, 40_000)]);
    assert_eq!(too_much.conclusion, Conclusion::Regression);
    assert!(stale(&too_much)[0].starts_with("it is worse by 6"), "{:?}", too_much.stale);
    let elsewhere = AcceptedChange { case: "m0004/cpu/bridge".to_owned(), ..change(Metric::Tg, 80_000) };
    let nowhere = AcceptedChange { case: "x/cpu/bridge".to_owned(), ..change(Metric::Tg, 80_000) };
    let comparison = on("2026-12-01", vec![elsewhere, nowhere]);
    assert_eq!(stale(&comparison), ["it is equivalent now", "neither set has the case"]);
    assert!(on_terminal(&comparison).contains("no effect: the accepted change in line 4"));
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

#[test]
fn a_set_against_itself_says_so() {
    let set = sample_set();
    let comparison = llamark_report::compare(&set, &set, &CompareOptions::default()).unwrap();
    assert!(caveat(&comparison, CaveatCode::SameSet).is_some());
    assert_eq!(comparison.differences, []);
    assert_eq!(comparison.base.manifest, comparison.candidate.manifest);
    assert!(comparison.base.manifest.is_some());
}

/// A comparison with everything in it.
fn rich() -> Comparison {
    let base = FIVE.build(usual);
    let speed = |case: usize| match case {
        2 => 0.93,
        5 => 0.95,
        9 => 1.08,
        _ => 1.0,
    };
    let mut candidate = FIVE.seed(2).build(speed);
    candidate.ledger.cases[4].outcome =
        Some(Outcome::Invalid { reason: "a fallback to the processor".to_owned() });
    candidate.ledger.cases[6].case.max_tokens += 1;
    for start in candidate.ledger.cases[7].starts.values_mut() {
        for measured in start.runs.iter_mut().filter_map(|run| run.measurement.as_mut()) {
            measured.generation_us = measured.generation_us * (90 + u64::from(start.id.start) * 4) / 100;
        }
    }
    fact(&mut candidate, "kernel.cmdline", "quiet amd_iommu=off | <b>`x`</b>");
    candidate.resolved.plan.engine.build_number = 11_500;
    candidate.resolved.plan.engine.commit = "7654321".to_owned();
    let accepted = vec![AcceptedChange {
        line: 1,
        case: "m0005/cpu/bridge".to_owned(),
        metric: Metric::Tg,
        at_most_ppm: 80_000,
        reason: "a fix of correctness, <i>see</i> #12".to_owned(),
        until: None,
    }];
    let options = CompareOptions { accepted, today: "2026-11-22".to_owned(), ..CompareOptions::default() };
    with(&base, &candidate, &options)
}

#[test]
fn every_format_of_a_rich_comparison() {
    let comparison = rich();
    insta::assert_snapshot!("terminal", on_terminal(&comparison));
    insta::assert_snapshot!(
        "terminal_explained",
        terminal(&comparison, 100, Detail { all: false, explain: true })
    );
    insta::assert_snapshot!("markdown", markdown(&comparison, Detail::default()));
    insta::assert_snapshot!("junit", junit(&comparison).unwrap());
    insta::assert_snapshot!("in_toto", in_toto(&comparison).unwrap());
    insta::assert_snapshot!("forest", forest_plot(&comparison).unwrap());
    let json = serde_json::to_string(&comparison).unwrap();
    assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap(), comparison);
    for width in [60, 72, 100] {
        let text = terminal(&comparison, width, Detail { all: true, explain: true });
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= usize::from(width), "{widest} > {width}");
    }
}

#[test]
fn markup_holds_whatever_a_name_or_a_reason_holds() {
    let mut comparison = rich();
    let hostile = "</title><script>alert(1)</script> & \"quoted\" 'too' ]]> \u{0}\u{1b}[2J\u{fffe}";
    for case in &mut comparison.cases {
        case.id.push_str(hostile);
        case.reason.push_str(hostile);
    }
    comparison.base.name = hostile.to_owned();
    for text in [junit(&comparison).unwrap(), forest_plot(&comparison).unwrap()] {
        let document = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
        assert!(document.descendants().all(|node| node.tag_name().name() != "script"), "{text}");
    }
}

#[test]
fn machines_read_the_conclusion() {
    let result = |comparison: &Comparison| {
        let statement: serde_json::Value = serde_json::from_str(&in_toto(comparison).unwrap()).unwrap();
        statement["predicate"]["result"].as_str().unwrap().to_owned()
    };
    let counts = |comparison: &Comparison| {
        let text = junit(comparison).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let of = |name: &str| document.root_element().attribute(name).unwrap().parse::<u32>().unwrap();
        (of("tests"), of("failures"), of("errors"), of("skipped"))
    };
    let base = FIVE.build(usual);
    let same = compared(&base, &FIVE.seed(2).build(usual));
    assert_eq!((result(&same).as_str(), counts(&same)), ("PASSED", (24, 0, 0, 0)));
    let slow = compared(&base, &FIVE.seed(2).build(slower(3, 0.06)));
    assert_eq!((result(&slow).as_str(), counts(&slow)), ("FAILED", (24, 2, 0, 0)));
    let few = Shape::new(3, 1);
    let open = compared(&few.build(usual), &few.seed(2).build(usual));
    assert_eq!((result(&open).as_str(), counts(&open)), ("WARNED", (6, 0, 0, 6)));
    let mut other = FIVE.seed(2).build(usual);
    other_model(&mut other);
    let other = compared(&base, &other);
    assert_eq!((result(&other).as_str(), counts(&other)), ("FAILED", (12, 0, 12, 0)));
    let mut unsealed = same;
    unsealed.candidate.manifest = None;
    assert!(matches!(in_toto(&unsealed), Err(ReportError::NotSealed { .. })));
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
                let (d, least) = (evidence.difference, rule.minimum.ln_1p());
                let inside = evidence.interval.low > -rule.margin && evidence.interval.high < rule.margin * 1.1;
                match found.verdict {
                    Verdict::Regressed => prop_assert!((d > least || sensitive) && d > 0.0 && starts >= 3),
                    Verdict::Improved => prop_assert!((d < -least || sensitive) && d < 0.0 && starts >= 3),
                    Verdict::Equivalent => prop_assert!(inside && starts >= 3, "{:?}", found),
                    _ => prop_assert!(evidence.detectable.is_some()),
                }
            }
        }
        let text = terminal(&comparison, 100, Detail { all: true, explain: true });
        prop_assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}

/// The two as if their starts had been made in turn.
fn in_turn(mut base: Parts, mut candidate: Parts) -> (Parts, Parts) {
    let turns = |arm| Interleaved {
        purpose: Purpose::Confirmation,
        pairing: Sha256::of_bytes(b"pairing"),
        arm,
        first: Vec::new(),
    };
    base.resolved.plan.interleaved = Some(turns(Arm::Base));
    candidate.resolved.plan.interleaved = Some(turns(Arm::Candidate));
    (base, candidate)
}

fn confirmed(screen: (&Parts, &Parts), fresh: (&Parts, &Parts)) -> Comparison {
    let digest = Sha256::of_bytes(b"a set");
    let [a, b, c, d] = [screen.0, screen.1, fresh.0, fresh.1]
        .map(|parts| Side { material: parts.material(), manifest: Some(&digest) });
    compare_all(a, b, Some([c, d]), &CompareOptions::default()).unwrap()
}

/// Noisy enough that a case alone does not show 1.5 %; twenty of them do.
const MANY: Shape = Shape::new(60, 5).between(0.01);

/// Three backends of twenty cases in place of one of 60.
fn on_three_backends(mut parts: Parts) -> Parts {
    let plan = &mut parts.resolved.plan;
    let cpu = plan.backends[0].clone();
    let names = ["cpu", "rocm", "vulkan"];
    plan.backends = names
        .iter()
        .map(|name| llamark_record::plan::PlannedBackend { name: (*name).to_owned(), ..cpu.clone() })
        .collect();
    for (place, (planned, measured)) in plan.cases.iter_mut().zip(&mut parts.ledger.cases).enumerate() {
        names[place / 20].clone_into(&mut planned.backend);
        measured.case = planned.clone();
    }
    parts
}

#[test]
fn a_small_loss_of_a_whole_backend_is_said_of_the_backend() {
    let of_rocm = |case: usize| if (20..40).contains(&case) { 0.985 } else { 1.0 };
    for seed in 2..8 {
        let (base, candidate) =
            in_turn(on_three_backends(MANY.build(usual)), on_three_backends(MANY.seed(seed).build(of_rocm)));
        let comparison = compared(&base, &candidate);
        assert_eq!(Tally::of(&comparison).regressed, 0, "no case shows it alone");
        let found: Vec<_> =
            comparison.groups.iter().map(|one| (one.kind, one.name.as_str(), one.metric)).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        for metric in [Metric::Pp, Metric::Tg] {
            assert!(found.contains(&(GroupKind::Backend, "rocm", metric)), "{found:?}");
        }
        assert!((comparison.groups[0].change + 0.015).abs() < 0.004, "{:?}", comparison.groups);
        assert_ne!(comparison.conclusion, Conclusion::Regression, "it is within the margin of every case");
        let text = on_terminal(&comparison).replace('\n', " ");
        assert!(text.contains("backend rocm together: tg -1.") && !text.contains("machine would"), "{text}");
        let text = markdown(&comparison, Detail::default());
        assert!(text.contains("backend rocm together: tg"), "{text}");
    }
}

#[test]
fn groups_of_the_same_thing_do_not_move() {
    for seed in 2..16 {
        let (base, candidate) =
            in_turn(on_three_backends(MANY.build(usual)), on_three_backends(MANY.seed(seed).build(usual)));
        assert_eq!(compared(&base, &candidate).groups, [], "seed {seed}");
    }
}

#[test]
fn a_shift_of_everything_is_said_once_and_doubted_where_the_machine_may_have_moved() {
    let base = on_three_backends(MANY.build(usual));
    let candidate = on_three_backends(MANY.seed(2).build(|_| 0.985));
    let comparison = compared(&base, &candidate);
    let found: Vec<_> = comparison.groups.iter().map(|one| (one.kind, one.metric, one.interleaved)).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|(kind, _, interleaved)| *kind == GroupKind::All && !interleaved), "{found:?}");
    let text = on_terminal(&comparison).replace('\n', " ");
    assert!(
        text.contains("all together: ") && text.contains("a shift of the machine would look the same"),
        "{text}"
    );
}

#[test]
fn what_is_called_by_itself_is_not_said_again_of_its_group() {
    let of_rocm = |case: usize| if (20..40).contains(&case) { 0.9 } else { 1.0 };
    let (base, candidate) =
        in_turn(on_three_backends(MANY.build(usual)), on_three_backends(MANY.seed(2).build(of_rocm)));
    let comparison = compared(&base, &candidate);
    let regressed = |case: &CaseComparison| case.verdict == Verdict::Regressed;
    assert!(comparison.cases.iter().filter(|case| regressed(case)).count() >= 20);
    assert_eq!(comparison.groups, []);
}

#[test]
fn starts_made_in_turn_are_compared_in_pairs() {
    let (base, candidate) = in_turn(FIVE.build(usual), FIVE.seed(2).build(slower(3, 0.1)));
    let comparison = compared(&base, &candidate);
    assert_eq!(caveat(&comparison, CaveatCode::NotInterleaved), None);
    let found = metric(&comparison, "m0003/cpu/bridge", Metric::Tg);
    assert_eq!((found.verdict, found.evidence.unwrap().own.unwrap().df), (Verdict::Regressed, 4.0));
    // The same arm twice is no pair.
    let comparison = compared(&base, &base);
    assert_eq!(metric(&comparison, "m0003/cpu/bridge", Metric::Tg).evidence.unwrap().own.unwrap().df, 8.0);
}

#[test]
fn fresh_starts_alone_decide_on_what_was_called_worse() {
    let (base, candidate) = (FIVE.build(usual), FIVE.seed(2).build(slower(3, 0.1)));
    let (a, same) = in_turn(FIVE.seed(3).build(usual), FIVE.seed(4).build(usual));
    let comparison = confirmed((&base, &candidate), (&a, &same));
    let found = metric(&comparison, "m0003/cpu/bridge", Metric::Tg);
    assert_eq!(found.verdict, Verdict::Equivalent, "{}", found.reason);
    assert!(found.reason.contains("regressed at first") && found.reason.contains("not confirmed by 5 pairs"));
    assert_eq!(found.confirmation.unwrap().screened, Verdict::Regressed);
    assert_ne!(comparison.conclusion, Conclusion::Regression);
    assert!(caveat(&comparison, CaveatCode::Confirmed).is_some());
    assert_eq!(metric(&comparison, "m0004/cpu/bridge", Metric::Tg).confirmation, None);

    let (a, slow) = in_turn(FIVE.seed(3).build(usual), FIVE.seed(4).build(slower(3, 0.1)));
    let comparison = confirmed((&base, &candidate), (&a, &slow));
    assert_eq!(metric(&comparison, "m0003/cpu/bridge", Metric::Tg).verdict, Verdict::Regressed);
    assert_eq!(comparison.conclusion, Conclusion::Regression);
    assert!(on_terminal(&comparison).contains("confirmed by 5 pairs"));

    // The other way round at the second look is no confirmation.
    let (a, fast) = in_turn(FIVE.seed(3).build(usual), FIVE.seed(4).build(slower(3, -0.1)));
    let comparison = confirmed((&base, &candidate), (&a, &fast));
    assert_eq!(metric(&comparison, "m0003/cpu/bridge", Metric::Tg).verdict, Verdict::Inconclusive);
}

#[test]
fn where_fresh_starts_say_nothing_the_first_verdict_stands() {
    let (base, candidate) = (FIVE.build(usual), FIVE.seed(2).build(slower(3, 0.1)));
    let (a, b) = in_turn(Shape::new(2, 5).build(usual), Shape::new(2, 5).build(usual));
    let comparison = confirmed((&base, &candidate), (&a, &b));
    let found = metric(&comparison, "m0003/cpu/bridge", Metric::Tg);
    assert_eq!((found.verdict, found.confirmation), (Verdict::Regressed, None));
    assert!(found.reason.contains("the first verdict stands"), "{}", found.reason);
}

#[test]
fn a_noise_file_counts_for_its_own_machine_and_measurement_only() {
    let (base, candidate) = (Shape::new(4, 1).build(usual), Shape::new(4, 1).seed(2).build(usual));
    let cell = |case: &llamark_record::plan::Case| NoiseCell {
        case: case.id.clone(),
        measurement: measurement(&base.resolved, case).unwrap().unwrap(),
        metric: Metric::Tg,
        unpaired: Squares { sum: 18.0 * 0.004 * 0.004, df: 18 },
        paired: Squares { sum: 9.0 * 0.005 * 0.005, df: 9 },
        difference: 0.0,
    };
    let calibration = Calibration {
        name: "some-calibrate".to_owned(),
        sets: [Sha256::of_bytes(b"a"), Sha256::of_bytes(b"b")],
        finished_at: "2026-11-22T10:00:00.000Z".to_owned(),
        engine: String::new(),
        llamark: String::new(),
        starts: 10,
        cells: base.resolved.plan.cases.iter().map(cell).collect(),
    };
    let host = base.environment.fingerprint();
    let file = NoiseFile { format: NOISE_FORMAT.to_owned(), host, calibrations: vec![calibration] };
    let with_noise = |file: &NoiseFile| {
        let options = CompareOptions { noise: Some(file.clone()), ..CompareOptions::default() };
        with(&base, &candidate, &options)
    };
    let df = |comparison: &Comparison| {
        let found = metric(comparison, "m0001/cpu/bridge", Metric::Tg).evidence;
        found.and_then(|evidence| evidence.history).map(|history| history.df)
    };
    let comparison = with_noise(&file);
    assert_eq!(df(&comparison), Some(18.0));
    let said = &caveat(&comparison, CaveatCode::NoiseFile).unwrap().text;
    assert!(said.contains("1 calibration, the last of 2026-11-22") && said.contains("4 of 8"), "{said}");
    let twice = NoiseFile {
        calibrations: [file.calibrations.clone(), file.calibrations.clone()].concat(),
        ..file.clone()
    };
    assert_eq!(df(&with_noise(&twice)), Some(36.0));

    let mut other = file.clone();
    other.calibrations[0].cells[1].measurement = Sha256::of_bytes(b"another prompt");
    assert_eq!(df(&with_noise(&other)), None);
    // The starts of a calibration are no history of themselves.
    let mut itself = file.clone();
    itself.calibrations[0].sets[1] = Sha256::of_bytes(b"candidate");
    assert_eq!(df(&with_noise(&itself)), None);
    let elsewhere = NoiseFile { host: Sha256::of_bytes(b"elsewhere"), ..file };
    let comparison = with_noise(&elsewhere);
    assert_eq!(df(&comparison), None);
    assert!(caveat(&comparison, CaveatCode::NoiseFile).unwrap().text.contains("another machine"));
}
