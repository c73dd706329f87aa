//! The perplexities: how well each backend predicts the text of the plan, once for each model, after everything is measured.
//!
//! As the references of the canaries, they come last, so that nothing that counts is measured during or after them.

use llamark_artifact::files;
use llamark_bench::probe::{self, ServerHelp};
use llamark_bench::{Start, perplexity, perplexity_case};
use llamark_record::journal::{Event, StartId};
use llamark_record::perplexity::{Perplexity, PerplexityOutcome};
use llamark_record::plan::{PlannedPerplexity, PromptContent};

use super::{Ready, Session};
use crate::exit::{Exit, Failed, OrFail as _};
use crate::resolve::reason;

/// The file of the text in the folder of its own that the program gets.
const TEXT: &str = "text.txt";

impl Session<'_> {
    /// Measures the missing perplexities: of models and backends with at least one measured start and no perplexity
    /// yet.
    ///
    /// # Errors
    /// When it was interrupted, or the set cannot be written.
    pub(super) fn perplexities(&mut self) -> Result<(), Failed> {
        let Some(planned) = self.plan().plan.perplexity.clone() else { return Ok(()) };
        let ledger = self.writer.ledger();
        if ledger.end.is_some() {
            return Ok(());
        }
        let owed = ledger.without_perplexity().into_iter();
        let owed: Vec<_> = owed.map(|(model, backend)| (model.to_owned(), backend.to_owned())).collect();
        for (place, (model, backend)) in owed.iter().enumerate() {
            let of =
                if owed.len() > 1 { format!(" ({} of {})", place + 1, owed.len()) } else { String::new() };
            self.display.now("Checking", &format!("the perplexity of {model} on {backend}{of}"));
            let measured = self.perplexity(&planned, model, backend)?;
            self.told(&measured);
            self.append(Event::Perplexity(measured))?;
        }
        Ok(())
    }

    /// A line for the terminal.
    fn told(&self, measured: &Perplexity) {
        let name = format!("{} on {}", measured.model, measured.backend);
        match &measured.outcome {
            PerplexityOutcome::Value(value) => {
                let error = value.error().map_or_else(String::new, |error| format!(" ± {error:.4}"));
                let chunks = value.running.len();
                let value = value.perplexity();
                self.display
                    .step("Checked", &format!("{name}: perplexity {value:.4}{error} over {chunks} chunks"));
            }
            PerplexityOutcome::NotFinite { chunk, printed } => {
                self.display
                    .warn(&format!("the perplexity of {name} is not a number: {printed} in chunk {chunk}"));
            }
            PerplexityOutcome::Missing { reason } => {
                self.display.warn(&format!("no perplexity for {name}: {reason}"));
            }
        }
    }

    fn perplexity(
        &self,
        planned: &PlannedPerplexity,
        model: &str,
        backend: &str,
    ) -> Result<Perplexity, Failed> {
        let plan = &self.resolved.plan.plan;
        let missing = |build: &str, reason: &str| Perplexity {
            model: model.to_owned(),
            backend: backend.to_owned(),
            build: build.to_owned(),
            argv: Vec::new(),
            outcome: PerplexityOutcome::Missing { reason: reason.to_owned() },
        };
        let found = (|| {
            let backend = plan.backend(backend)?;
            let settings = backend.server.decided()?;
            let shards = &self.resolved.models.get(model)?.paths;
            Some((backend, settings, self.built.get(&backend.build)?, shards, shards.first()?))
        })();
        let Some((backend, settings, ready, shards, first)) = found else {
            return Ok(missing("", "there is no build, or no model"));
        };
        if let Some(reason) = self.beyond_training(planned, model) {
            return Ok(missing(&backend.build, &reason));
        }
        let case = perplexity_case(planned, model, &backend.name);
        let prompt = PromptContent::Unstated { description: String::new() };
        let scratch = self.context.cache.join("scratch").join(format!("{}-perplexity", std::process::id()));
        let log = self.writer.perplexity_log_path(model, &backend.name).or_fail(Exit::NotVerified)?;
        files::create_dir_all(&scratch).or_fail(Exit::NotVerified)?;
        let text = scratch.join(TEXT);
        files::write_atomic(&text, planned.text.as_bytes()).or_fail(Exit::NotVerified)?;
        let start = Start {
            id: StartId { case: case.id.as_str().into(), start: 1, attempt: 1 },
            plan,
            case: &case,
            backend,
            settings,
            prompt: &prompt,
            build: &ready.built.record,
            build_folder: &ready.built.folder,
            help: &ready.help,
            bench_help: None,
            model: first,
            shards,
            log: &log,
            scratch: &scratch,
            roots: &self.roots,
            environment: &self.environment,
            known_files: &self.known_files,
            cooled: None,
        };
        let interrupt = &self.context.interrupt;
        let help = self.perplexity_help(ready);
        let help = help.as_ref().map_err(Clone::clone);
        let measured = self.runtime.block_on(perplexity(&start, planned, help, &text, interrupt));
        files::remove_folder(&scratch).or_fail(Exit::NotVerified)?;
        let Some((argv, outcome)) = measured else {
            return self.interrupted_at_the_end();
        };
        Ok(Perplexity { argv, outcome, ..missing(&backend.build, "") })
    }

    /// Why a chunk is too long for the model: it would predict nonsense, and on every backend another one.
    fn beyond_training(&self, planned: &PlannedPerplexity, model: &str) -> Option<String> {
        let record = self.writer.ledger().models.get(model)?;
        let trained = record.facts.as_ref()?.context_length?;
        (u64::from(planned.context) > trained).then(|| {
            format!(
                "it was trained for a context of {trained} tokens, but a chunk of the perplexity has {}",
                planned.context
            )
        })
    }

    /// What the llama-perplexity of a build can do, or why nobody knows.
    fn perplexity_help(&self, ready: &Ready) -> Result<ServerHelp, String> {
        let program = ready.built.record.beside_server(PlannedPerplexity::PROGRAM);
        let program = program.ok_or("the build has no llama-perplexity")?;
        let environment = llamark_process::base_environment();
        probe::probe_perplexity(&ready.built.folder.join(program), &environment, &self.context.interrupt)
            .map_err(|error| reason(&error))
    }
}
