//! A comparison as people and machines read it.

use llamark_record::comparison::{AcceptedChange, Comparison};
use llamark_record::journal::Outcome;
use llamark_record::metric::Metric;
use llamark_report::ReportError;
use llamark_report::compare::{CompareOptions, Detail, forest_plot, in_toto, junit, markdown, terminal};

use crate::common::synthetic::{Shape, other_model};
use crate::{FIVE, compared, fact, on_terminal, slower, usual, with};

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
