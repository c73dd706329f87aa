//! Perplexities: one for each model and backend of which some start was measured, after every start.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Fate, Shape, folder, start_events, store};
use llamark_artifact::SetWriter;
use llamark_record::journal::{CaseClosed, Event, StartId};
use llamark_record::perplexity::{Perplexity, PerplexityOutcome, PerplexityValue};
use llamark_record::plan::{PlannedPerplexity, ResolvedPlan};

const TWO_BACKENDS: Shape = Shape { models: 1, backends: 2, starts: 1, warmup: 0, runs: 1, tokens: 4 };

fn writer(planned: Option<PlannedPerplexity>) -> (tempfile::TempDir, ResolvedPlan, SetWriter) {
    writer_of(TWO_BACKENDS, planned)
}

fn writer_of(
    shape: Shape,
    planned: Option<PlannedPerplexity>,
) -> (tempfile::TempDir, ResolvedPlan, SetWriter) {
    let (keep, root) = folder();
    let mut resolved = common::plan(shape);
    resolved.plan.perplexity = planned;
    let mut writer = common::begin(&store(&root), &resolved);
    common::record_inputs(&mut writer, &resolved);
    (keep, resolved, writer)
}

/// A plan with a perplexity over at most two chunks, its writer, and the names of its model.
fn asked() -> (tempfile::TempDir, ResolvedPlan, SetWriter, String) {
    let (keep, resolved, writer) = writer(Some(PlannedPerplexity::new(32, 2, "text".to_owned())));
    let model = resolved.plan.cases[0].model.clone();
    (keep, resolved, writer, model)
}

fn perplexity(model: &str, backend: &str, running: &[u64]) -> Event {
    let outcome = PerplexityOutcome::Value(PerplexityValue { running: running.to_vec(), error: Some(7) });
    event(model, backend, outcome)
}

fn event(model: &str, backend: &str, outcome: PerplexityOutcome) -> Event {
    let (model, backend, build) = (model.to_owned(), backend.to_owned(), backend.to_owned());
    Event::Perplexity(Perplexity { model, backend, build, argv: Vec::new(), outcome })
}

fn refusal(writer: &mut SetWriter, event: Event) -> String {
    writer.append(event).unwrap_err().to_string()
}

/// Makes a start and closes its case.
fn make(writer: &mut SetWriter, resolved: &ResolvedPlan, id: &StartId, fate: Fate) {
    start_events(resolved, id, fate).into_iter().for_each(|event| writer.append(event).unwrap());
    let outcome = writer.ledger().case(&id.case).unwrap().outcome_of_starts().unwrap();
    writer.append(Event::CaseClosed(CaseClosed { case: id.case.to_string(), outcome })).unwrap();
}

#[test]
fn each_measured_backend_has_one_after_all_starts() {
    let (_keep, resolved, mut writer, model) = asked();
    let ids = writer.ledger().pending();
    assert!(refusal(&mut writer, perplexity(&model, "cpu", &[9])).contains("no start of it was measured"));
    make(&mut writer, &resolved, &ids[0], Fate::Ok);
    assert!(refusal(&mut writer, perplexity(&model, "cpu", &[9])).contains("some are not made yet"));
    make(&mut writer, &resolved, &ids[1], Fate::Ok);

    assert_eq!(writer.ledger().without_perplexity(), [(model.as_str(), "cpu"), (model.as_str(), "vulkan")]);
    assert!(refusal(&mut writer, perplexity("other", "cpu", &[9])).contains("no case for that model"));
    assert!(refusal(&mut writer, perplexity(&model, "other", &[9])).contains("on that backend"));
    writer.append(perplexity(&model, "cpu", &[9, 8])).unwrap();
    assert!(refusal(&mut writer, perplexity(&model, "cpu", &[9])).contains("it is already there"));
    assert!(writer.end().unwrap_err().to_string().contains("1 backends have no perplexity"));
    let missing = PerplexityOutcome::Missing { reason: "it died".to_owned() };
    writer.append(event(&model, "vulkan", missing)).unwrap();
    writer.end().unwrap();
    let set = writer.set().unwrap();
    let found = set.ledger().perplexity(&model, "cpu").unwrap();
    assert_eq!(found.outcome.value().unwrap().running, [9, 8]);
    assert!(set.ledger().without_perplexity().is_empty());
}

#[test]
fn it_is_over_as_many_chunks_as_the_plan_has_at_the_most() {
    let (_keep, resolved, mut writer, model) = asked();
    for id in writer.ledger().pending() {
        make(&mut writer, &resolved, &id, Fate::Ok);
    }
    assert!(refusal(&mut writer, perplexity(&model, "cpu", &[])).contains("over 0 chunks"));
    assert!(refusal(&mut writer, perplexity(&model, "cpu", &[9; 3])).contains("over 3 chunks"));
    let late = PerplexityOutcome::NotFinite { chunk: 3, printed: "nan".to_owned() };
    assert!(refusal(&mut writer, event(&model, "cpu", late)).contains("the plan allows 1 to 2"));
    let nan = PerplexityOutcome::NotFinite { chunk: 2, printed: "nan".to_owned() };
    writer.append(event(&model, "cpu", nan)).unwrap();
}

#[test]
fn after_the_first_no_start_is_made_any_more() {
    let two_starts = Shape { starts: 2, ..TWO_BACKENDS };
    let planned = PlannedPerplexity::new(32, 2, "text".to_owned());
    let (_keep, resolved, mut writer) = writer_of(two_starts, Some(planned));
    let model = resolved.plan.cases[0].model.clone();
    let id = |case: usize, start| StartId {
        case: resolved.plan.cases[case].id.as_str().into(),
        start,
        attempt: 1,
    };
    for (id, fate) in [(id(0, 1), Fate::Ok), (id(0, 2), Fate::Ok), (id(1, 1), Fate::OutOfMemory)] {
        start_events(&resolved, &id, fate).into_iter().for_each(|event| writer.append(event).unwrap());
    }
    // The bad start leaves nothing to do for its case, which is open until somebody closes it.
    writer.append(perplexity(&model, "cpu", &[9])).unwrap();
    let opened = start_events(&resolved, &id(1, 2), Fate::Ok).remove(0);
    assert!(refusal(&mut writer, opened).contains("the perplexities are measured after all starts"));
}

#[test]
fn a_backend_of_which_nothing_was_measured_owes_none() {
    let (_keep, resolved, mut writer, model) = asked();
    let ids = writer.ledger().pending();
    make(&mut writer, &resolved, &ids[0], Fate::Ok);
    make(&mut writer, &resolved, &ids[1], Fate::OutOfMemory);
    assert_eq!(writer.ledger().without_perplexity(), [(model.as_str(), "cpu")]);
}

#[test]
fn a_plan_that_asks_for_none_has_none() {
    let (_keep, resolved, mut writer) = writer(None);
    for id in writer.ledger().pending() {
        make(&mut writer, &resolved, &id, Fate::Ok);
    }
    assert!(refusal(&mut writer, perplexity("small", "cpu", &[9])).contains("the plan asks for none"));
    writer.end().unwrap();
}
