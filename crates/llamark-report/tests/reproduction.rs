//! Whether a repetition gives what was measured first: on sets that are built in memory.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeSet;

use common::Parts;
use common::synthetic::Shape;
use llamark_record::Sha256;
use llamark_record::environment::Fact;
use llamark_report::compare::{CompareOptions, Reproduction, Side, compare_sides, reproduction};

const FIVE: Shape = Shape::new(12, 5);

fn usual(_: usize) -> f64 {
    1.0
}

/// The answer for all cases of the candidate, or for those of which `wanted` is true.
fn answer_for(
    base: &Parts,
    candidate: &Parts,
    across: &[&str],
    wanted: impl Fn(&str) -> bool,
) -> Reproduction {
    let digests = [Sha256::of_bytes(b"base"), Sha256::of_bytes(b"candidate")];
    let options = CompareOptions {
        across: across.iter().map(|&word| word.to_owned()).collect(),
        ..CompareOptions::default()
    };
    let comparison = compare_sides(
        Side { material: base.material(), manifest: Some(&digests[0]) },
        Side { material: candidate.material(), manifest: Some(&digests[1]) },
        &options,
    )
    .unwrap();
    let cases: BTreeSet<&str> =
        comparison.cases.iter().map(|case| case.id.as_str()).filter(|id| wanted(id)).collect();
    reproduction(&comparison, &cases)
}

fn answer(base: &Parts, candidate: &Parts) -> Reproduction {
    answer_for(base, candidate, &[], |_| true)
}

#[test]
fn the_same_again_is_reproduced() {
    assert_eq!(answer(&FIVE.build(usual), &FIVE.seed(2).build(usual)), Reproduction::Reproduced);
}

#[test]
fn slower_and_faster_are_both_another_result() {
    let (usual, slow) = (FIVE.build(usual), FIVE.seed(3).build(|case| if case == 7 { 0.94 } else { 1.0 }));
    assert_eq!(answer(&usual, &slow), Reproduction::NotReproduced);
    assert_eq!(answer(&slow, &usual), Reproduction::NotReproduced);
    // Where that case was not repeated, it says nothing.
    let others = answer_for(&usual, &slow, &[], |id| !id.starts_with("m0007"));
    assert_ne!(others, Reproduction::NotReproduced);
}

#[test]
fn noise_and_nothing_are_inconclusive() {
    let noisy = Shape::new(2, 3).between(0.08);
    assert_eq!(answer(&noisy.build(usual), &noisy.seed(4).build(usual)), Reproduction::Inconclusive);
    let (a, b) = (FIVE.build(usual), FIVE.seed(2).build(usual));
    assert_eq!(answer_for(&a, &b, &[], |_| false), Reproduction::Inconclusive);
}

#[test]
fn another_machine_says_nothing_of_the_repetition_declared_or_not() {
    let base = FIVE.build(usual);
    let mut other = FIVE.seed(2).build(|_| 0.5);
    let fact = Fact { value: Some("Another CPU".to_owned()), source: "test".to_owned(), error: None };
    other.environment.facts.insert("cpu.model".to_owned(), fact);
    for across in [&[][..], &["hardware"]] {
        assert_eq!(answer_for(&base, &other, across, |_| true), Reproduction::OtherHardware);
    }
}
