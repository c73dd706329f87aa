//! Events in a few words, for messages.

use llamark_record::journal::{Event, StartId};

/// The event in a few words, for messages; text of the journal is escaped, since it goes to a terminal.
pub(super) fn describe(event: &Event) -> String {
    let start =
        |id: &StartId| format!("start {} attempt {} of `{}`", id.start, id.attempt, id.case.escape_debug());
    match event {
        Event::Begin(_) => "the beginning".to_owned(),
        Event::Resume(_) => "a resumption".to_owned(),
        Event::Model(model) => format!("model `{}`", model.id.escape_debug()),
        Event::Build(build) => format!("build `{}`", build.id.escape_debug()),
        Event::StartOpened(opened) => format!("the opening of {}", start(&opened.id)),
        Event::StartReady(ready) => format!("the readiness of {}", start(&ready.id)),
        Event::Bench(report) => format!("the report of llama-bench in {}", start(&report.id)),
        Event::Run(run) if run.warmup => format!("warm-up {} in {}", run.index, start(&run.id)),
        Event::Run(run) => format!("run {} in {}", run.index, start(&run.id)),
        Event::WarmedUp(warmed) => format!("the end of the warm-up of {}", start(&warmed.id)),
        Event::Enough(enough) => format!("that case `{}` has enough starts", enough.case.escape_debug()),
        Event::Canary(canary) => format!("the canary of {}", start(&canary.id)),
        Event::CanaryReference(reference) => {
            format!("the reference of the canary for model `{}`", reference.model.escape_debug())
        }
        Event::Perplexity(perplexity) => format!(
            "the perplexity of model `{}` on backend `{}`",
            perplexity.model.escape_debug(),
            perplexity.backend.escape_debug()
        ),
        Event::Telemetry(telemetry) => format!("the telemetry of {}", start(&telemetry.id)),
        Event::StartClosed(closed) => format!("the close of {}", start(&closed.id)),
        Event::Stated(stated) => format!("what is stated of {}", start(&stated.id)),
        Event::CaseClosed(closed) => format!("the close of case `{}`", closed.case.escape_debug()),
        Event::End(_) => "the end".to_owned(),
    }
}
