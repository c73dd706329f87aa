//! The references of the canaries: what the processor alone says, once for each model, after everything is measured.
//!
//! They come last, so that nothing that counts is measured during or after them: not warmer, and with the page cache as
//! the starts before have left it.

use llamark_artifact::files;
use llamark_bench::{Start, canary_reference, reference_backend, reference_parts};
use llamark_record::canary::{CanaryOutcome, CanaryReference};
use llamark_record::journal::{Event, StartId};
use llamark_record::plan::PlannedCanary;

use super::Session;
use crate::exit::{Exit, Failed, OrFail as _};

impl Session<'_> {
    /// Makes the missing references: of models that some server answered for and that have none yet.
    ///
    /// # Errors
    /// When it was interrupted, or the set cannot be written.
    pub(super) fn canary_references(&mut self) -> Result<(), Failed> {
        let Some(canary) = self.plan().plan.canary.clone() else { return Ok(()) };
        let ledger = self.writer.ledger();
        if ledger.end.is_some() {
            return Ok(());
        }
        let owed: Vec<String> = ledger.without_canary_reference().into_iter().map(str::to_owned).collect();
        for model in owed {
            self.display.now("Checking", &format!("what the processor alone generates with {model}"));
            let reference = self.reference(&canary, &model)?;
            if let CanaryOutcome::Missing { reason } = &reference.answer {
                self.display.warn(&format!("the tokens of {model} cannot be checked: {reason}"));
            }
            self.append(Event::CanaryReference(reference))?;
        }
        Ok(())
    }

    fn reference(&self, canary: &PlannedCanary, model: &str) -> Result<CanaryReference, Failed> {
        let plan = &self.resolved.plan.plan;
        let missing = |build: &str, reason: &str| CanaryReference {
            model: model.to_owned(),
            build: build.to_owned(),
            argv: Vec::new(),
            answer: CanaryOutcome::Missing { reason: reason.to_owned() },
        };
        let there = plan.backends.iter().filter(|backend| self.built.contains_key(&backend.build));
        let found = (|| {
            let backend = reference_backend(there)?;
            let shards = &self.resolved.models.get(model)?.paths;
            Some((backend, self.built.get(&backend.build)?, shards, shards.first()?))
        })();
        let Some((backend, ready, shards, first)) = found else {
            return Ok(missing("", "there is no build, or no model"));
        };
        let parts = reference_parts(plan, canary, model, backend);
        let scratch = self.context.cache.join("scratch").join(format!("{}-canary", std::process::id()));
        let log = scratch.join("server.log");
        let start = Start {
            id: StartId { case: parts.case.id.as_str().into(), start: 1, attempt: 1 },
            plan,
            case: &parts.case,
            backend: &parts.backend,
            settings: &parts.settings,
            prompt: &parts.prompt,
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
        let answer = self.runtime.block_on(canary_reference(&start, canary, interrupt));
        files::remove_folder(&scratch).or_fail(Exit::NotVerified)?;
        let Some((argv, answer)) = answer else {
            return self.interrupted_at_the_end();
        };
        Ok(CanaryReference { argv, answer, ..missing(&backend.build, "") })
    }
}
