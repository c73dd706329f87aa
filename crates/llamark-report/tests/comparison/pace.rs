//! Was it the machine? What the pace of the processor changes of a verdict, and what it does not.

use llamark_record::comparison::{CaveatCode, Comparison, Conclusion, PaceKind, Verdict};
use llamark_record::journal::Pace;
use llamark_record::metric::Metric;
use llamark_report::pairs_on_one_machine;

use crate::common::Parts;
use crate::in_turn::in_turn;
use crate::{FIVE, caveat, compared, fact, metric, on_terminal, usual};

const CASE: &str = "m0003/cpu/bridge";

/// With a processor that is so many times as fast as usual at computing and at reading memory, give or take a little.
fn at_pace(parts: Parts, [compute, memory]: [f64; 2]) -> Parts {
    with_paces(parts, [compute, memory, 1.0])
}

/// And at bringing threads together.
fn with_paces(mut parts: Parts, [compute, memory, sync]: [f64; 3]) -> Parts {
    let mut count = 0_u64;
    let mut slices = |usual: f64, pace: f64| -> Vec<u64> {
        count += 1;
        let luck = 1.0 + 0.002 * ((count * 7 % 11) as f64 - 5.0) / 5.0;
        vec![(usual * luck / pace) as u64; 8]
    };
    for start in parts.ledger.cases.iter_mut().flat_map(|case| case.starts.values_mut()) {
        let mut pace = || {
            let (compute_ns, memory_ns) = (slices(8e6, compute), slices(7e6, memory));
            Some(Box::new(Pace { threads: 4, compute_ns, memory_ns, sync_ns: slices(6e5, sync) }))
        };
        start.opened.pace = pace();
        start.closed.as_mut().unwrap().pace = pace();
    }
    parts
}

fn base() -> Parts {
    at_pace(FIVE.build(usual), [1.0, 1.0])
}

fn candidate(speed: f64, pace: [f64; 2]) -> Parts {
    at_pace(FIVE.seed(2).build(move |_| speed), pace)
}

fn verdicts(comparison: &Comparison) -> [Verdict; 2] {
    [Metric::Pp, Metric::Tg].map(|one| metric(comparison, CASE, one).verdict)
}

#[test]
fn what_the_processor_lost_as_well_is_suspect() {
    let comparison = compared(&base(), &candidate(0.85, [0.85, 0.85]));
    assert_eq!(verdicts(&comparison), [Verdict::Suspect; 2]);
    assert_eq!(comparison.conclusion, Conclusion::Inconclusive);
    let pp = metric(&comparison, CASE, Metric::Pp);
    assert!(
        pp.reason.starts_with(
            "the processor itself computed 15 % slower during the candidate; relative to that, the change is "
        ),
        "{}",
        pp.reason
    );
    assert!((pp.change.unwrap() + 0.15).abs() < 0.01, "what was measured is shown as it was measured");
    assert!(pp.relative[0].change.abs() < 0.01 && (pp.relative[0].pace + 0.15).abs() < 0.01);
    let said = caveat(&comparison, CaveatCode::OtherPace).unwrap();
    assert!(said.text.contains("computed 15 % slower during the candidate (-15"), "{}", said.text);
    assert!(on_terminal(&comparison).contains("the processor itself"), "{}", on_terminal(&comparison));
}

#[test]
fn what_the_processor_gained_as_well_is_no_improvement() {
    let comparison = compared(&base(), &candidate(1.2, [1.2, 1.2]));
    assert_eq!(verdicts(&comparison), [Verdict::Suspect; 2]);
}

#[test]
fn a_loss_that_the_processor_did_not_have_stays_one() {
    let comparison = compared(&base(), &candidate(0.85, [1.0, 1.0]));
    assert_eq!(verdicts(&comparison), [Verdict::Regressed; 2]);
    assert_eq!(caveat(&comparison, CaveatCode::OtherPace), None);
    let tg = metric(&comparison, CASE, Metric::Tg);
    let kinds: Vec<PaceKind> = tg.relative.iter().map(|relative| relative.to).collect();
    assert_eq!(kinds, [PaceKind::Compute, PaceKind::Memory]);
    assert!(tg.relative.iter().all(|relative| relative.verdict == Verdict::Regressed), "{tg:?}");
}

#[test]
fn a_loss_beyond_that_of_the_processor_stays_one() {
    let comparison = compared(&base(), &candidate(0.7, [0.9, 0.9]));
    assert_eq!(verdicts(&comparison), [Verdict::Regressed; 2]);
    assert!(caveat(&comparison, CaveatCode::OtherPace).is_some());
}

#[test]
fn a_witness_calls_nothing() {
    for pace in [0.9, 1.1] {
        let comparison = compared(&base(), &candidate(1.0, [pace, pace]));
        assert_eq!(verdicts(&comparison), [Verdict::Equivalent; 2]);
        assert!(caveat(&comparison, CaveatCode::OtherPace).is_some(), "it is told all the same");
    }
}

#[test]
fn reading_memory_is_a_witness_of_generation_alone() {
    let comparison = compared(&base(), &candidate(0.85, [1.0, 0.85]));
    assert_eq!(verdicts(&comparison), [Verdict::Regressed, Verdict::Suspect]);
}

/// What a virtual machine shows that is moved to cores that lie further apart.
#[test]
fn cores_that_are_further_apart_are_another_machine() {
    let slow = with_paces(FIVE.seed(2).build(|_| 0.8), [1.0, 1.3, 0.4]);
    let comparison = compared(&base(), &slow);
    assert_eq!(verdicts(&comparison), [Verdict::Suspect; 2]);
    let reason = metric(&comparison, CASE, Metric::Pp).reason;
    assert!(reason.contains("synchronised its threads 60 % slower during the candidate"), "{reason}");
    assert!(caveat(&comparison, CaveatCode::OtherPace).is_some());
    // Back again, it is no improvement; and what moved the other way has no excuse.
    assert_eq!(verdicts(&compared(&slow, &base())), [Verdict::Suspect; 2]);
    let loss = with_paces(FIVE.seed(2).build(|_| 0.8), [1.0, 1.0, 2.0]);
    assert_eq!(verdicts(&compared(&base(), &loss)), [Verdict::Regressed; 2]);
    let same = with_paces(FIVE.seed(2).build(usual), [1.0, 1.0, 2.0]);
    assert_eq!(verdicts(&compared(&base(), &same)), [Verdict::Equivalent; 2]);
}

#[test]
fn where_the_machine_is_what_was_changed_its_pace_is_no_witness() {
    let mut changed = candidate(0.85, [0.85, 0.85]);
    fact(&mut changed, "kernel.release", "6.99");
    let comparison = compared(&base(), &changed);
    assert_eq!(verdicts(&comparison), [Verdict::Regressed; 2]);
    assert!(caveat(&comparison, CaveatCode::OtherPace).is_some(), "and is told all the same");
    // What differs of a GPU, or of another backend, is not the machine that the processor's cases are computed on.
    let mut other = candidate(0.85, [0.85, 0.85]);
    fact(&mut other, "gpu.0.driver", "6.99");
    assert_eq!(verdicts(&compared(&base(), &other)), [Verdict::Suspect; 2]);
}

#[test]
fn another_llamark_may_do_other_work() {
    let mut other = candidate(0.85, [0.85, 0.85]);
    "9.9.9".clone_into(&mut other.ledger.begin.as_mut().unwrap().llamark);
    let comparison = compared(&base(), &other);
    assert_eq!(verdicts(&comparison), [Verdict::Regressed; 2]);
    assert_eq!(caveat(&comparison, CaveatCode::OtherPace), None);
}

#[test]
fn paces_of_other_work_say_nothing() {
    let mut other = candidate(0.85, [0.85, 0.85]);
    for start in other.ledger.cases.iter_mut().flat_map(|case| case.starts.values_mut()) {
        start.opened.pace.as_mut().unwrap().threads = 8;
        start.closed.as_mut().unwrap().pace.as_mut().unwrap().threads = 8;
    }
    let comparison = compared(&base(), &other);
    assert_eq!(verdicts(&comparison), [Verdict::Regressed; 2]);
    assert!(metric(&comparison, CASE, Metric::Tg).relative.is_empty());
    // And where one set has none.
    let comparison = compared(&FIVE.build(usual), &candidate(0.85, [0.85, 0.85]));
    assert_eq!(verdicts(&comparison), [Verdict::Regressed; 2]);
}

/// The start of that number met other cores in every case: during it, or before it already.
fn moved(mut parts: Parts, start: u32, during: bool) -> Parts {
    for case in &mut parts.ledger.cases {
        let met = case.starts.values_mut().find(|met| met.id.start == start).unwrap();
        for measured in met.runs.iter_mut().filter_map(|run| run.measurement.as_mut()) {
            measured.prompt_us = measured.prompt_us * 125 / 100;
            measured.generation_us = measured.generation_us * 125 / 100;
        }
        let behind = met.closed.as_mut().unwrap().pace.as_mut();
        let before = met.opened.pace.as_mut().filter(|_| !during);
        for pace in before.into_iter().chain(behind) {
            pace.sync_ns.iter_mut().for_each(|time| *time *= 4);
        }
    }
    parts
}

#[test]
fn starts_that_met_two_machines_do_not_count() {
    let (base, candidate) = (base(), candidate(0.9, [1.0, 1.0]));
    // One after the other: only the start during which the machine moved is of no machine.
    let comparison = compared(&moved(base.clone(), 2, true), &candidate);
    assert_eq!(verdicts(&comparison), [Verdict::Regressed; 2]);
    let pp = metric(&comparison, CASE, Metric::Pp);
    let (base_arm, candidate_arm) = (pp.base.unwrap(), pp.candidate.unwrap());
    assert_eq!((base_arm.starts.len(), base_arm.left_out, candidate_arm.starts.len()), (4, 1, 5));
    let load = metric(&comparison, CASE, Metric::Load);
    assert_eq!(load.base.unwrap().starts.len(), 5, "what is not computed is not touched");
    let said = caveat(&comparison, CaveatCode::MovedStarts).unwrap();
    assert!(said.text.contains("during 12 of 120 starts ("), "{}", said.text);
    assert_eq!(caveat(&compared(&base, &candidate), CaveatCode::MovedStarts), None);
}

#[test]
fn pairs_whose_starts_met_two_machines_do_not_count() {
    let pair = |speed: f64| {
        let slow = moved(candidate(speed, [1.0, 1.0]), 4, false);
        in_turn(moved(base(), 2, true), slow)
    };
    let (a, b) = pair(0.9);
    let met_one = |a: &Parts, b: &Parts| pairs_on_one_machine(&a.ledger.cases[3], &b.ledger.cases[3]);
    assert_eq!(met_one(&a, &b), 3, "so that two others are made in their place");
    let mut lacks_one = b.clone();
    lacks_one.ledger.cases[3].starts.retain(|number| number != 1);
    assert_eq!([met_one(&a, &lacks_one), met_one(&lacks_one, &a), met_one(&a, &a)], [2, 2, 4]);
    let comparison = compared(&a, &b);
    assert_eq!(verdicts(&comparison), [Verdict::Regressed; 2]);
    let pp = metric(&comparison, CASE, Metric::Pp);
    assert_eq!(
        [pp.base.unwrap(), pp.candidate.unwrap()].map(|arm| (arm.starts.len(), arm.left_out)),
        [(3, 2); 2]
    );
    let said = caveat(&comparison, CaveatCode::MovedStarts).unwrap();
    assert!(
        said.text.contains("during 48 of 120 starts, or between the two starts of a pair"),
        "{}",
        said.text
    );
    let (a, b) = pair(1.0);
    assert_eq!(verdicts(&compared(&a, &b)), [Verdict::Equivalent; 2]);
    // Without the witness, the same numbers decide nothing.
    let blind = |mut parts: Parts| {
        for start in parts.ledger.cases.iter_mut().flat_map(|case| case.starts.values_mut()) {
            start.opened.pace = None;
            start.closed.as_mut().unwrap().pace = None;
        }
        parts
    };
    let (a, b) = pair(0.9);
    assert_eq!(verdicts(&compared(&blind(a), &blind(b))), [Verdict::Inconclusive; 2]);
}

/// More threads take longer to come together, on the same cores.
#[test]
fn two_numbers_of_threads_are_not_two_machines() {
    let mut many = with_paces(FIVE.seed(2).build(usual), [1.0, 1.0, 0.2]);
    for start in many.ledger.cases.iter_mut().flat_map(|case| case.starts.values_mut()) {
        start.opened.pace.as_mut().unwrap().threads = 16;
        start.closed.as_mut().unwrap().pace.as_mut().unwrap().threads = 16;
    }
    let (base, many) = in_turn(base(), many);
    let comparison = compared(&base, &many);
    assert_eq!(verdicts(&comparison), [Verdict::Equivalent; 2]);
    assert_eq!(caveat(&comparison, CaveatCode::MovedStarts), None);
}

#[test]
fn where_every_start_met_two_machines_that_is_the_reason() {
    let mut all = base();
    for start in 1..=5 {
        all = moved(all, start, true);
    }
    let comparison = compared(&all, &candidate(0.9, [1.0, 1.0]));
    assert_eq!(verdicts(&comparison), [Verdict::Inconclusive; 2]);
    let reason = metric(&comparison, CASE, Metric::Tg).reason;
    assert!(reason.contains("no usable start is left"), "{reason}");
    assert!(
        comparison.cases.iter().all(|case| case.metrics.iter().all(|one| one.metric != Metric::TgStream))
    );
}
