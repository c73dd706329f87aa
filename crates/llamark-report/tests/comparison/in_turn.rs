//! Starts that were made in turn, groups of cases that moved together, and what is known of the noise before.

use llamark_record::Sha256;
use llamark_record::comparison::{
    CaseComparison, CaveatCode, Comparison, Conclusion, GroupKind, MetricComparison, Verdict,
};
use llamark_record::metric::Metric;
use llamark_record::noise::{Calibration, NOISE_FORMAT, NoiseCell, NoiseFile, Squares, measurement};
use llamark_record::plan::{Arm, Interleaved, PageCache, Purpose, Tool};
use llamark_report::compare::{
    Again, CompareOptions, Detail, Side, Tally, compare_all, is_to_confirm, markdown,
};
use llamark_report::format;

use crate::common::Parts;
use crate::common::synthetic::Shape;
use crate::{FIVE, caveat, compared, metric, on_terminal, slower, usual, with};

/// The two as if their starts had been made in turn.
pub(crate) fn in_turn(mut base: Parts, mut candidate: Parts) -> (Parts, Parts) {
    let turns = |arm| Interleaved {
        pairs: None,
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
    decided(Again::Worse, screen, fresh)
}

fn decided(again: Again, screen: (&Parts, &Parts), fresh: (&Parts, &Parts)) -> Comparison {
    let digest = Sha256::of_bytes(b"a set");
    let [a, b, c, d] = [screen.0, screen.1, fresh.0, fresh.1]
        .map(|parts| Side { material: parts.material(), manifest: Some(&digest) });
    compare_all(a, b, Some(([c, d], again)), &CompareOptions::default()).unwrap()
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
    // What is shown is what the verdict is of; the first numbers are in the reason.
    let found = metric(&comparison, "m0003/cpu/bridge", Metric::Tg);
    let fresh = found.confirmation.as_ref().unwrap();
    assert_eq!(found.decisive().change, Some(fresh.change));
    assert_ne!(found.change, Some(fresh.change));
    let shown = format::change(fresh.change);
    assert!(on_terminal(&comparison).contains(&shown), "{}", on_terminal(&comparison));

    // The other way round at the second look is no confirmation.
    let (a, fast) = in_turn(FIVE.seed(3).build(usual), FIVE.seed(4).build(slower(3, -0.1)));
    let comparison = confirmed((&base, &candidate), (&a, &fast));
    assert_eq!(metric(&comparison, "m0003/cpu/bridge", Metric::Tg).verdict, Verdict::Inconclusive);
}

/// What is suspect because of what it computes, and bytes that every start agrees on, have no luck that fresh starts could take
/// away.
#[test]
fn only_what_fresh_starts_can_decide_is_measured_again() {
    let (base, candidate) = (FIVE.build(usual), FIVE.seed(2).build(slower(3, 0.1)));
    let comparison = compared(&base, &candidate);
    let found = metric(&comparison, "m0003/cpu/bridge", Metric::Tg);
    let is_measured = |again, found: &MetricComparison| is_to_confirm(found, again);
    for again in [Again::Worse, Again::Undecided] {
        assert!(is_measured(again, &found));
        let doubted = MetricComparison { doubted: true, verdict: Verdict::Suspect, ..found.clone() };
        assert!(!is_measured(again, &doubted));
        assert!(!is_measured(again, &MetricComparison { evidence: None, ..found.clone() }));
        assert!(!is_measured(again, &MetricComparison { verdict: Verdict::Equivalent, ..found.clone() }));
    }
    // Where nothing is known of the noise, fresh starts have all the more to say.
    let open = MetricComparison { verdict: Verdict::Inconclusive, evidence: None, ..found };
    assert!(is_measured(Again::Undecided, &open) && !is_measured(Again::Worse, &open));
}

/// One start a side decides nothing. Fresh ones do, in either direction, since there was none.
#[test]
fn fresh_starts_decide_what_was_inconclusive_too() {
    let once = Shape::new(6, 1);
    let (base, candidate) = (once.build(usual), once.seed(2).build(usual));
    let fresh = Shape::new(6, 5);
    let id = "m0003/cpu/bridge";
    for (loss, verdict) in [(0.1, Verdict::Regressed), (-0.1, Verdict::Improved), (0.0, Verdict::Equivalent)]
    {
        let (a, b) = in_turn(fresh.seed(3).build(usual), fresh.seed(4).build(slower(3, loss)));
        let comparison = decided(Again::Undecided, (&base, &candidate), (&a, &b));
        let found = metric(&comparison, id, Metric::Tg);
        assert_eq!(found.verdict, verdict, "{}", found.reason);
        let said = format!("; {} by 5 pairs of fresh starts", verdict.word());
        assert!(found.reason.starts_with("inconclusive at first (") && found.reason.contains(&said));
        // Who asked for less got less.
        let comparison = confirmed((&base, &candidate), (&a, &b));
        assert_eq!(metric(&comparison, id, Metric::Tg).verdict, Verdict::Inconclusive);
    }
}

/// In turn, start i of one side ran beside start i of the other: those that one side lacks have no partner.
#[test]
fn pairs_of_starts_are_counted_and_not_the_starts_of_a_side() {
    let kept = |first: u32, last: u32, parts: Parts| {
        let mut parts = parts;
        parts.ledger.cases[3].starts.retain(|number| (first..=last).contains(&number));
        parts
    };
    let (base, candidate) = in_turn(FIVE.build(usual), FIVE.seed(2).build(slower(3, 0.1)));
    let reason = |base: [u32; 2], candidate_starts: [u32; 2]| {
        let base = kept(base[0], base[1], in_turn(FIVE.build(usual), FIVE.build(usual)).0);
        let again = in_turn(FIVE.build(usual), FIVE.seed(2).build(slower(3, 0.1))).1;
        let candidate = kept(candidate_starts[0], candidate_starts[1], again);
        let found = metric(&compared(&base, &candidate), "m0003/cpu/bridge", Metric::Tg);
        assert!(!matches!(found.verdict, Verdict::Regressed), "{found:?}");
        found.reason
    };
    assert_eq!(
        metric(&compared(&base, &candidate), "m0003/cpu/bridge", Metric::Tg).verdict,
        Verdict::Regressed
    );
    assert_eq!(reason([1, 3], [2, 4]), "two pairs of starts: no verdict is final below three");
    assert_eq!(reason([1, 2], [3, 5]), "no start counts on both sides, so there is no pair");
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

    // The noise of one instrument is not that of another, nor that of a warm page cache that of a cold one.
    let change: [fn(&mut Parts); 2] = [
        |parts| parts.resolved.plan.backends.iter_mut().for_each(|backend| backend.tool = Tool::LlamaBench),
        |parts| parts.resolved.plan.procedure.cache = PageCache::Cold,
    ];
    for change in change {
        let [mut a, mut b] = [Shape::new(4, 1).build(usual), Shape::new(4, 1).seed(2).build(usual)];
        change(&mut a);
        change(&mut b);
        let options = CompareOptions { noise: Some(file.clone()), ..CompareOptions::default() };
        assert_eq!(df(&with(&a, &b, &options)), None);
    }

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
