//! The folded journal: which attempt counts, what is left to do, how a case ends.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Fate, SAMPLE, Shape, folder, start_events, store};
use llamark_artifact::{Ledger, SetWriter};
use llamark_record::journal::{BrokenRule, CaseClosed, Event, Outcome, Rule, StartId};
use llamark_record::plan::ResolvedPlan;

const TWO_STARTS: Shape = Shape { models: 1, backends: 2, starts: 2, warmup: 0, runs: 2, tokens: 4 };

/// A writer of a set with its inputs recorded, in a folder that lives as long as the test.
fn writer(shape: Shape) -> (tempfile::TempDir, ResolvedPlan, SetWriter) {
    let (keep, root) = folder();
    let resolved = common::plan(shape);
    let mut writer = common::begin(&store(&root), &resolved);
    common::record_inputs(&mut writer, &resolved);
    (keep, resolved, writer)
}

fn names(pending: &[StartId]) -> Vec<String> {
    pending
        .iter()
        .map(|id| format!("{} {} {}", id.case.split('/').nth(1).unwrap(), id.start, id.attempt))
        .collect()
}

fn append(writer: &mut SetWriter, events: impl IntoIterator<Item = Event>) {
    for event in events {
        writer.append(event).unwrap();
    }
}

#[test]
fn what_is_left_is_in_the_order_of_the_schedule() {
    let (_keep, resolved, mut writer) = writer(TWO_STARTS);
    assert_eq!(names(&writer.ledger().pending()), ["cpu 1 1", "vulkan 1 1", "cpu 2 1", "vulkan 2 1"]);
    let id = writer.ledger().pending().remove(0);
    append(&mut writer, start_events(&resolved, &id, Fate::Ok));
    assert_eq!(names(&writer.ledger().pending()), ["vulkan 1 1", "cpu 2 1", "vulkan 2 1"]);
    // A bad start settles its case.
    let id = writer.ledger().pending().remove(0);
    append(&mut writer, start_events(&resolved, &id, Fate::OutOfMemory));
    assert_eq!(names(&writer.ledger().pending()), ["cpu 2 1"]);
    let case = writer.ledger().case(&id.case).unwrap();
    assert_eq!(case.outcome_of_starts().unwrap().word(), "failed");
}

/// A case that was begun cannot be put away under another name, with the starts that are left.
#[test]
fn a_case_ends_as_its_starts_did() {
    let (_keep, resolved, mut writer) = writer(TWO_STARTS);
    let [first, second] = [0, 1].map(|place: usize| resolved.plan.cases[place].id.clone());
    let skipped = || Outcome::Skipped { reason: "not wanted".to_owned() };
    let closed = |case: &str, outcome| Event::CaseClosed(CaseClosed { case: case.to_owned(), outcome });
    let id = writer.ledger().pending().remove(0);
    append(&mut writer, start_events(&resolved, &id, Fate::Ok));
    let invalid = || Outcome::Invalid { reason: "it was slow".to_owned() };
    for (outcome, says) in [
        (skipped(), "a case that has starts was not skipped"),
        (invalid(), "it ends as invalid, but by its starts it is unfinished"),
        (Outcome::Ok, "it ends as ok, but by its starts it is unfinished"),
    ] {
        let refused = writer.append(closed(&first, outcome)).unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
    // One that is skipped as a whole has nothing left.
    writer.append(closed(&second, skipped())).unwrap();
    let left = writer.ledger().pending();
    assert_eq!(names(&left), ["cpu 2 1"]);
    append(&mut writer, start_events(&resolved, &left[0], Fate::Ok));
    let refused = writer.append(closed(&first, invalid())).unwrap_err().to_string();
    assert!(refused.contains("it ends as invalid, but by its starts it is ok"), "{refused}");
    writer.append(closed(&first, Outcome::Ok)).unwrap();
    writer.end().unwrap();
}

#[test]
fn an_interrupted_attempt_is_replaced_and_kept() {
    let (_keep, resolved, mut writer) = writer(TWO_STARTS);
    let id = writer.ledger().pending().remove(0);
    let mut events = start_events(&resolved, &id, Fate::Ok);
    // Stopped by the user after its first run.
    let Some(Event::StartClosed(mut closed)) = events.pop() else { panic!("a start ends in its close") };
    closed.outcome = Outcome::Interrupted;
    events.truncate(3);
    append(&mut writer, events);
    append(&mut writer, [Event::StartClosed(closed)]);
    let next = writer.ledger().pending().remove(0);
    assert_eq!((next.start, next.attempt), (1, 2));
    append(&mut writer, start_events(&resolved, &next, Fate::Ok));
    let case = writer.ledger().case(&id.case).unwrap();
    assert_eq!(case.superseded.len(), 1);
    assert_eq!((case.superseded[0].id.attempt, case.superseded[0].runs.len()), (1, 1));
    assert_eq!((case.starts.get(1).unwrap().id.attempt, case.starts.get(1).unwrap().runs.len()), (2, 2));
    // What came to an end is not tried again.
    let third = StartId { attempt: 3, ..next };
    assert!(writer.append(start_events(&resolved, &third, Fate::Ok).remove(0)).is_err());
}

#[test]
fn runs_that_break_a_rule_stay_and_do_not_count() {
    let (_keep, resolved, mut writer) = writer(Shape { backends: 1, starts: 1, ..TWO_STARTS });
    let id = writer.ledger().pending().remove(0);
    let mut events = start_events(&resolved, &id, Fate::Ok);
    for event in &mut events {
        if let Event::Run(run) = event {
            run.broken
                .push(BrokenRule { rule: Rule::ColdCache, detail: "9 tokens came from a cache".to_owned() });
        }
    }
    append(&mut writer, events);
    let case = &writer.ledger().cases[0];
    assert_eq!(
        (case.starts.get(1).unwrap().runs.len(), case.starts.get(1).unwrap().counting().count()),
        (2, 0)
    );
    assert_eq!(case.outcome_of_starts().unwrap().word(), "invalid");
}

#[test]
fn reading_gives_the_ledger_of_the_writer() {
    let (_keep, resolved, mut writer) = writer(SAMPLE);
    common::finish(&mut writer, &resolved);
    writer.end().unwrap();
    let set = writer.set().unwrap();
    assert_eq!(set.ledger(), writer.ledger());
    assert_eq!(set.ledger().tally()["failed"], 1);
    assert_ne!(set.ledger(), &Ledger::new(&resolved.plan));
    assert_eq!(set.spec_text().unwrap(), common::SPEC_TEXT);
}

/// The longest run that an experiment may have (`spec/run-length`) is written, and read again; a longer one is refused before
/// anything of it is written.
#[test]
fn what_is_written_can_be_read_again_however_long_it_is() {
    let (_keep, resolved, mut writer) = writer(TWO_STARTS);
    let id = writer.ledger().pending().remove(0);
    let mut events = start_events(&resolved, &id, Fate::Ok);
    let place = events.iter().position(|event| matches!(event, Event::Run(_))).unwrap();
    let rest = events.split_off(place);
    append(&mut writer, events);
    let long = |tokens: u32| {
        let Event::Run(mut run) = rest[0].clone() else { panic!("a run is next") };
        let arrivals = (1..=tokens).map(|token| (token, 86_400_000_000_000 + u64::from(token)));
        run.measurement.as_mut().unwrap().arrivals = arrivals.collect();
        Event::Run(run)
    };
    let refused = writer.append(long(900_000)).unwrap_err().to_string();
    assert!(refused.contains("the limit is 16777216"), "{refused}");
    append(&mut writer, [long(500_000)]);
    append(&mut writer, rest.into_iter().skip(1));
    let read = writer.set().unwrap();
    let run = &read.ledger().case(&id.case).unwrap().starts.get(1).unwrap().runs[0];
    assert_eq!(run.measurement.as_ref().unwrap().arrivals.len(), 500_000);
}
