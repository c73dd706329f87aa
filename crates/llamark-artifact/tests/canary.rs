//! A canary after the runs of a start, and its reference: what the journal takes of them, and what not.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Fate, Shape, folder, start_events, store};
use llamark_artifact::SetWriter;
use llamark_record::Sha256;
use llamark_record::canary::{Canary, CanaryAnswer, CanaryOutcome, CanaryReference};
use llamark_record::journal::{CaseClosed, Event, Outcome, StartId};
use llamark_record::plan::{PlannedCanary, ResolvedPlan};

const ONE_START: Shape = Shape { models: 1, backends: 1, starts: 1, warmup: 0, runs: 2, tokens: 4 };

fn writer(canary: Option<PlannedCanary>) -> (tempfile::TempDir, ResolvedPlan, SetWriter) {
    let (keep, root) = folder();
    let mut resolved = common::plan(ONE_START);
    resolved.plan.canary = canary;
    let mut writer = common::begin(&store(&root), &resolved);
    common::record_inputs(&mut writer, &resolved);
    (keep, resolved, writer)
}

fn with_canary() -> (tempfile::TempDir, ResolvedPlan, SetWriter) {
    writer(Some(PlannedCanary::new(2, "One, two,".to_owned())))
}

fn answer() -> CanaryOutcome {
    CanaryOutcome::Answer(CanaryAnswer {
        prompt_ids: Sha256::of_bytes(b"ids"),
        tokens: vec![11, 12],
        text: " three, four".to_owned(),
        likeliest: Vec::new(),
    })
}

fn canary(id: &StartId) -> Event {
    Event::Canary(Canary { id: id.clone(), answer: answer() })
}

fn reference(model: &str) -> Event {
    let (model, build) = (model.to_owned(), "cpu".to_owned());
    Event::CanaryReference(CanaryReference { model, build, argv: Vec::new(), answer: answer() })
}

fn append(writer: &mut SetWriter, events: impl IntoIterator<Item = Event>) {
    events.into_iter().for_each(|event| writer.append(event).unwrap());
}

fn refusal(writer: &mut SetWriter, event: Event) -> String {
    writer.append(event).unwrap_err().to_string()
}

#[test]
fn a_start_has_one_canary_and_a_model_one_reference() {
    let (_keep, resolved, mut writer) = with_canary();
    let id = writer.ledger().pending().remove(0);
    let model = resolved.plan.cases[0].model.clone();
    let mut events = start_events(&resolved, &id, Fate::Ok);
    let close = events.pop().unwrap();
    append(&mut writer, events.drain(..1));
    assert!(refusal(&mut writer, canary(&id)).contains("the start is not ready"));
    append(&mut writer, events);
    assert!(writer.ledger().without_canary_reference().is_empty(), "no server has answered yet");
    append(&mut writer, [canary(&id)]);
    assert!(refusal(&mut writer, canary(&id)).contains("the start already has its canary"));
    append(&mut writer, [close]);
    assert!(refusal(&mut writer, canary(&id)).contains("the start was already closed"));
    append(&mut writer, [Event::CaseClosed(CaseClosed { case: id.case.to_string(), outcome: Outcome::Ok })]);

    assert_eq!(writer.ledger().without_canary_reference(), [model.as_str()]);
    assert!(writer.end().unwrap_err().to_string().contains("1 models have no reference"));
    assert!(refusal(&mut writer, reference("other")).contains("the plan has no case for that model"));
    append(&mut writer, [reference(&model)]);
    assert!(refusal(&mut writer, reference(&model)).contains("the model already has its reference"));
    writer.end().unwrap();
    let set = writer.set().unwrap();
    assert_eq!(set.ledger().canary_references[&model].answer, answer());
    assert_eq!(set.ledger().cases[0].starts.get(1).unwrap().canary.as_ref().unwrap().answer, answer());
}

/// Nobody takes away a canary that was wrong.
#[test]
fn a_set_without_the_canaries_of_its_plan_comes_to_no_end() {
    let (_keep, resolved, mut writer) = with_canary();
    let id = writer.ledger().pending().remove(0);
    append(&mut writer, start_events(&resolved, &id, Fate::Ok));
    append(&mut writer, [Event::CaseClosed(CaseClosed { case: id.case.to_string(), outcome: Outcome::Ok })]);
    assert!(writer.end().unwrap_err().to_string().contains("1 starts have no canary"));
}

#[test]
fn a_start_that_failed_owes_none() {
    let (_keep, resolved, mut writer) = with_canary();
    let id = writer.ledger().pending().remove(0);
    append(&mut writer, start_events(&resolved, &id, Fate::OutOfMemory));
    let outcome = writer.ledger().cases[0].outcome_of_starts().unwrap();
    append(&mut writer, [Event::CaseClosed(CaseClosed { case: id.case.to_string(), outcome })]);
    writer.end().unwrap();
}

#[test]
fn a_plan_without_a_canary_has_no_such_events() {
    let (_keep, resolved, mut writer) = writer(None);
    let id = writer.ledger().pending().remove(0);
    append(&mut writer, start_events(&resolved, &id, Fate::Ok).into_iter().take(2));
    assert!(refusal(&mut writer, canary(&id)).contains("the plan has no canary"));
    assert!(refusal(&mut writer, reference("small")).contains("the plan has no canary"));
}
