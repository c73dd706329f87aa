//! Comparisons of the sample set with changed copies of itself.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Parts, sample_set};
use llamark_record::environment::Fact;
use llamark_record::journal::{Failure, FailureKind, Outcome};
use llamark_record::metric::Metric;
use llamark_record::plan::PromptContent;
use llamark_report::{Comparison, Conclusion, Verdict, compare, compare_materials};

/// The sample with enough starts to say something.
fn base() -> Parts {
    let mut parts = Parts::sample();
    parts.more_starts(3);
    parts
}

fn compared(base: &Parts, candidate: &Parts) -> Comparison {
    compare_materials(base.material(), candidate.material()).unwrap()
}

fn candidate() -> Parts {
    let mut parts = base();
    parts.id = "20261123T090000Z-ffffffff".to_owned();
    parts.resolved.plan.engine.commit = "7654321".to_owned();
    parts.resolved.plan.engine.build_number = 11_500;
    parts.resolved.plan.title = "Another title".to_owned();
    parts
}

#[test]
fn a_regression_leads_and_is_told_with_what_changed() {
    let mut slower = candidate();
    slower.slow_down("cpu", 120);
    let fact = Fact { value: Some("6.12.1".to_owned()), source: "uname".to_owned(), error: None };
    slower.environment.facts.insert("kernel.release".to_owned(), fact);
    let comparison = compared(&base(), &slower);
    assert_eq!(comparison.conclusion(), Conclusion::Regression);
    assert_eq!(comparison.cases[0].verdict, Verdict::Regressed);
    let text = comparison.terminal(100);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    insta::assert_snapshot!("comparison_terminal", text);
    insta::assert_snapshot!("comparison_markdown", comparison.markdown());
    let json = serde_json::to_string(&comparison).unwrap();
    assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap(), comparison);
}

#[test]
fn the_same_set_has_no_regression() {
    let comparison = compared(&base(), &base());
    assert_eq!(comparison.conclusion(), Conclusion::NoRegression, "{}", comparison.terminal(100));
    assert!(comparison.differences.is_empty(), "{:?}", comparison.differences);
    // Two starts a side are too few to exclude a loss of 3 %, or the interval says so by itself.
    let comparison = compare(&sample_set(), &sample_set()).unwrap();
    assert!(matches!(comparison.conclusion(), Conclusion::NoRegression | Conclusion::Inconclusive));
}

#[test]
fn faster_is_improved_and_not_a_regression() {
    let mut faster = candidate();
    faster.slow_down("cpu", 80);
    faster.slow_down("vulkan", 80);
    let comparison = compared(&base(), &faster);
    assert_eq!(comparison.conclusion(), Conclusion::NoRegression);
    let verdicts: Vec<_> = comparison.cases.iter().map(|case| case.verdict).collect();
    assert!(
        verdicts.iter().all(|verdict| matches!(verdict, Verdict::Improved | Verdict::Missing)),
        "{verdicts:?}"
    );
}

#[test]
fn one_start_is_flagged_wherever_it_stands() {
    let mut one = base();
    for case in &mut one.ledger.cases {
        case.starts.retain(|start, _| *start == 1);
    }
    let comparison = compared(&one, &one);
    let metrics = || comparison.cases.iter().flat_map(|case| &case.metrics);
    let tg = metrics().find(|metric| metric.metric == Metric::Tg).unwrap();
    assert_eq!(tg.note, "runs of one start: between-start noise unknown");
    let load = metrics().find(|metric| metric.metric == Metric::Load).unwrap();
    assert_eq!((load.verdict, load.note.as_str()), (Verdict::Inconclusive, "too few values to say"));
    for text in [comparison.terminal(100), comparison.markdown()] {
        assert!(text.contains("between-start noise unknown"), "{text}");
    }
}

#[test]
fn a_case_that_broke_is_a_regression_and_one_that_is_gone_is_not_equal() {
    let mut broken = candidate();
    let failure = Failure {
        kind: FailureKind::OutOfMemory,
        detail: "allocation of 9 GiB failed".to_owned(),
        log: Vec::new(),
        hint: String::new(),
    };
    let case = broken.ledger.cases.iter_mut().find(|case| case.outcome == Some(Outcome::Ok)).unwrap();
    case.outcome = Some(Outcome::Failed(failure));
    let comparison = compared(&base(), &broken);
    assert_eq!(comparison.conclusion(), Conclusion::Regression);
    assert!(comparison.cases[0].broke && comparison.cases[0].verdict == Verdict::Missing);
    assert!(comparison.terminal(100).contains("allocation of 9 GiB failed"));

    let mut gone = candidate();
    let place = gone.ledger.cases.iter().position(|case| case.outcome == Some(Outcome::Ok)).unwrap();
    gone.ledger.cases.remove(place);
    assert_eq!(compared(&base(), &gone).conclusion(), Conclusion::Inconclusive);
    // New cases are no concern of a gate.
    assert_eq!(compared(&gone, &base()).conclusion(), Conclusion::NoRegression);
}

#[test]
fn what_is_another_measurement_is_not_compared() {
    type Change = fn(&mut Parts);
    let changes: [(&str, Change); 4] = [
        ("generated tokens", |parts| {
            parts.ledger.cases.iter_mut().for_each(|case| case.case.max_tokens += 1);
        }),
        ("context", |parts| {
            parts.ledger.cases.iter_mut().for_each(|case| case.case.context *= 2);
        }),
        ("text of the prompt", |parts| {
            let other = llamark_record::Sha256::of_bytes(b"other");
            let text = "another text".to_owned();
            parts.resolved.plan.prompts[0].content = PromptContent::Text { text, sha256: other };
        }),
        ("files of the model", |parts| {
            let other = llamark_record::Sha256::of_bytes(b"other");
            parts.resolved.model_files.values_mut().for_each(|files| files[0].sha256 = other.clone());
        }),
    ];
    for (reason, change) in changes {
        let mut other = candidate();
        change(&mut other);
        let comparison = compared(&base(), &other);
        assert_eq!(comparison.conclusion(), Conclusion::NotComparable, "{reason}");
        let case = comparison.cases.iter().find(|case| case.verdict == Verdict::NotComparable).unwrap();
        assert!(case.reason.contains(reason), "{}", case.reason);
    }
}
