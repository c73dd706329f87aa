//! A warm-up without a fixed length and a case with enough starts: what the journal takes of them, and what not.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Fate, Shape, folder, start_events, store};
use llamark_artifact::SetWriter;
use llamark_record::Sha256;
use llamark_record::journal::{CaseClosed, Enough, EnoughBy, Event, Outcome, StartId, WarmedUp, WarmedUpBy};
use llamark_record::plan::{Arm, Interleaved, Procedure, Purpose, ResolvedPlan, Until, WarmUp};

const FIVE_STARTS: Shape = Shape { models: 1, backends: 1, starts: 5, warmup: 3, runs: 2, tokens: 4 };

fn writer(procedure: Procedure) -> (tempfile::TempDir, ResolvedPlan, SetWriter) {
    let (keep, root) = folder();
    let mut resolved = common::plan(FIVE_STARTS);
    resolved.plan.procedure = procedure;
    let mut writer = common::begin(&store(&root), &resolved);
    common::record_inputs(&mut writer, &resolved);
    (keep, resolved, writer)
}

/// The events of the next start, whose warm-up ends after so many runs.
fn next(resolved: &ResolvedPlan, writer: &SetWriter, warmups: u32) -> (StartId, Vec<Event>) {
    let id = writer.ledger().pending().remove(0);
    let mut events = start_events(resolved, &id, Fate::Ok);
    events.retain(|event| !matches!(event, Event::Run(run) if run.warmup && run.index > warmups));
    let first = events.iter().position(|event| matches!(event, Event::Run(run) if !run.warmup)).unwrap();
    events.insert(first, warmed(&id, warmups));
    (id, events)
}

fn warmed(id: &StartId, runs: u32) -> Event {
    Event::WarmedUp(WarmedUp { id: id.clone(), runs, by: WarmedUpBy::Steady })
}

fn append(writer: &mut SetWriter, events: impl IntoIterator<Item = Event>) {
    events.into_iter().for_each(|event| writer.append(event).unwrap());
}

fn refusal(writer: &mut SetWriter, event: Event) -> String {
    writer.append(event).unwrap_err().to_string()
}

const STEADY: Procedure = Procedure {
    cache: llamark_record::plan::PageCache::AsIs,
    order: llamark_record::plan::Order::Interleave,
    warmup: WarmUp::Steady { window: 2, variation_ppm: 20_000 },
    until: None,
    cooldown: llamark_record::plan::CoolDown::Pause,
    min_run_ms: 0,
};

#[test]
fn a_start_is_whole_with_the_warm_up_runs_that_it_needed() {
    let (_keep, resolved, mut writer) = writer(STEADY);
    for warmups in [2, 3, 2, 2, 3] {
        let (_, events) = next(&resolved, &writer, warmups);
        append(&mut writer, events);
    }
    let case = writer.ledger().cases[0].clone();
    assert_eq!(case.starts.get(2).unwrap().warmed.as_ref().unwrap().runs, 3);
    append(&mut writer, [Event::CaseClosed(CaseClosed { case: case.case.id, outcome: Outcome::Ok })]);
    writer.end().unwrap();
    let set = writer.set().unwrap();
    assert_eq!(set.ledger().tally()["ok"], 1);
}

#[test]
fn a_warm_up_ends_once_and_before_the_runs_that_count() {
    let (_keep, resolved, mut writer) = writer(STEADY);
    let (id, events) = next(&resolved, &writer, 2);
    let of = |warmup, index| {
        let is_it =
            |event: &&Event| matches!(event, Event::Run(run) if run.warmup == warmup && run.index == index);
        events.iter().find(is_it).unwrap().clone()
    };
    append(&mut writer, events[..2].to_vec());
    append(&mut writer, [of(true, 1)]);
    assert!(refusal(&mut writer, of(false, 1)).contains("come after the end of the warm-up"));
    assert!(refusal(&mut writer, warmed(&id, 2)).contains("1 warm-up runs were made"));
    append(&mut writer, [of(true, 2), warmed(&id, 2)]);
    assert!(refusal(&mut writer, warmed(&id, 2)).contains("already warm"));
    append(&mut writer, [of(false, 1), of(false, 2)]);
}

#[test]
fn a_plan_with_fixed_numbers_has_no_such_events() {
    let (_keep, resolved, mut writer) = writer(Procedure::default());
    let (id, mut events) = next(&resolved, &writer, 3);
    let warmed = events.remove(5);
    append(&mut writer, events[..5].to_vec());
    assert!(refusal(&mut writer, warmed).contains("fixed number of warm-up runs"));
    assert!(refusal(&mut writer, enough(&id, 1)).contains("fixed number of starts"));
}

fn enough(id: &StartId, starts: u32) -> Event {
    Event::Enough(Enough { case: id.case.to_string(), starts, by: EnoughBy::Narrow })
}

#[test]
fn a_case_with_enough_starts_is_whole_and_one_with_too_few_is_refused() {
    let until = Some(Until { share_ppm: 500_000, least: 3, max_server_ms: None });
    let (_keep, resolved, mut writer) = writer(Procedure { until, ..Procedure::default() });
    let start = |writer: &mut SetWriter| {
        let id = writer.ledger().pending().remove(0);
        append(writer, start_events(&resolved, &id, Fate::Ok));
        id
    };
    start(&mut writer);
    let id = start(&mut writer);
    assert!(refusal(&mut writer, enough(&id, 2)).contains("2 starts are not enough"));
    start(&mut writer);
    assert!(refusal(&mut writer, enough(&id, 4)).contains("3 starts were made"));
    let by_time = Enough { case: id.case.to_string(), starts: 3, by: EnoughBy::Time };
    assert!(refusal(&mut writer, Event::Enough(by_time)).contains("not enough for that reason"));
    append(&mut writer, [enough(&id, 3)]);
    assert!(writer.ledger().pending().is_empty());
    assert!(refusal(&mut writer, enough(&id, 3)).contains("nothing is left to do"));
    let case = writer.ledger().cases[0].clone();
    assert_eq!(case.outcome_of_starts(), Some(Outcome::Ok));
    append(&mut writer, [Event::CaseClosed(CaseClosed { case: case.case.id, outcome: Outcome::Ok })]);
    writer.end().unwrap();
}

/// Nobody stops between two looks, or while the interval is wide, because the numbers please them.
#[test]
fn a_case_is_not_ended_because_its_numbers_please_somebody() {
    let until = |share_ppm| Some(Until { share_ppm, least: 3, max_server_ms: None });
    for (share_ppm, starts) in [(1, 3), (500_000, 4)] {
        let (_keep, resolved, mut writer) =
            writer(Procedure { until: until(share_ppm), ..Procedure::default() });
        for _ in 0..starts {
            let id = writer.ledger().pending().remove(0);
            append(&mut writer, start_events(&resolved, &id, Fate::Ok));
        }
        let id = writer.ledger().pending().remove(0);
        let refused = refusal(&mut writer, enough(&id, starts));
        assert!(refused.contains("not enough for that reason"), "{share_ppm}, {starts}: {refused}");
    }
}

/// Nobody adds a start to a case that had enough.
#[test]
fn after_enough_there_is_no_other_start() {
    let until = Some(Until { share_ppm: 20_000, least: 1, max_server_ms: Some(0) });
    let (_keep, resolved, mut writer) = writer(Procedure { until, ..Procedure::default() });
    let id = writer.ledger().pending().remove(0);
    append(&mut writer, start_events(&resolved, &id, Fate::Ok));
    let enough = Enough { case: id.case.to_string(), starts: 1, by: EnoughBy::Time };
    append(&mut writer, [Event::Enough(enough)]);
    let second = StartId { start: 2, ..id };
    let opened = start_events(&resolved, &second, Fate::Ok).remove(0);
    assert!(refusal(&mut writer, opened).contains("the case has enough starts"));
}

/// Of two sets in turn: not before as many pairs as were asked for were made. Which of them met one machine, one set cannot tell.
#[test]
fn a_case_in_turn_has_enough_once_it_has_as_many_pairs_as_were_asked_for() {
    let (_keep, root) = folder();
    let mut resolved = common::plan(FIVE_STARTS);
    resolved.plan.interleaved = Some(Interleaved {
        purpose: Purpose::Confirmation,
        pairing: Sha256::of_bytes(b"pairing"),
        arm: Arm::Base,
        first: vec![Arm::Base; 5],
        pairs: Some(3),
    });
    let mut writer = common::begin(&store(&root), &resolved);
    common::record_inputs(&mut writer, &resolved);
    let start = |writer: &mut SetWriter| {
        let id = writer.ledger().pending().remove(0);
        append(writer, start_events(&resolved, &id, Fate::Ok));
        id
    };
    start(&mut writer);
    let id = start(&mut writer);
    let enough = |starts, by| Event::Enough(Enough { case: id.case.to_string(), starts, by });
    assert!(refusal(&mut writer, enough(2, EnoughBy::Pairs)).contains("not enough for that reason"));
    for _ in 0..2 {
        start(&mut writer);
    }
    assert!(refusal(&mut writer, enough(4, EnoughBy::Narrow)).contains("not enough for that reason"));
    append(&mut writer, [enough(4, EnoughBy::Pairs)]);
    assert_eq!(writer.ledger().cases[0].outcome_of_starts(), Some(Outcome::Ok));
}
