//! One artifact set while it is measured: from what is built to the seal, a start at a time.

mod canary;
mod perplexity;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use llamark_artifact::{ArtifactSet, CaseLedger, Found, Given, Ledger, SetWriter};
use llamark_bench::probe::{self, ServerHelp};
use llamark_bench::{KnownFiles, RecordError, Recorder, Start, host};
use llamark_build::{Built, Prepared};
use llamark_record::environment::Environment;
use llamark_record::journal::{BuildEvent, CaseClosed, Enough, EnoughBy, Event, Outcome as Status, StartId};
use llamark_record::metric::RunValues;
use llamark_record::plan::{PlannedStart, ResolvedPlan, Tool};

use crate::context::{Context, shown};
use crate::display::Display;
use crate::estimate::Estimate;
use crate::exit::{Exit, Failed, OrFail as _, fail};
use crate::resolve::{self, Resolved};
use crate::sealing::seal;

/// A status in a sentence.
fn explain(outcome: &Status) -> String {
    match outcome {
        Status::Ok => "ok".to_owned(),
        Status::Failed(failure) => {
            let mut text = format!("failed: {}", failure.detail);
            for line in failure.log.iter().take(3) {
                text.push_str(&format!("\n      log: {line}"));
            }
            if !failure.hint.is_empty() {
                text.push_str(&format!("\n     help: {}", failure.hint));
            }
            text
        }
        Status::Skipped { reason } => format!("skipped: {reason}"),
        Status::Invalid { reason } => format!("invalid: {reason}"),
        Status::Interrupted => "interrupted".to_owned(),
    }
}

/// Connects the runner to the journal.
struct Journal<'a>(&'a mut SetWriter);

impl Recorder for Journal<'_> {
    fn record(&mut self, event: Event) -> Result<(), RecordError> {
        self.0.append(event).map_err(RecordError::new)
    }

    fn attach(&mut self, id: &StartId, extension: &str, bytes: &[u8]) -> Result<(), RecordError> {
        self.0.attach(id, extension, bytes).map_err(RecordError::new)
    }
}

/// A build, and what its server can do.
pub(crate) struct Ready {
    built: Built,
    help: ServerHelp,
    /// Of its llama-bench, where some backend of the plan measures with it.
    bench: Option<ServerHelp>,
}

/// A set that is open for measuring.
pub(crate) struct Session<'a> {
    context: &'a Context,
    display: &'a Display,
    resolved: Resolved,
    built: BTreeMap<String, Ready>,
    roots: host::Roots,
    /// As it was when the set began.
    environment: Environment,
    known_files: KnownFiles,
    writer: SetWriter,
    estimate: Estimate,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Session<'a> {
    /// Compiles what is needed, then creates the set or opens the interrupted one again. `found` was asked for with the
    /// machine in hand ([`Context::have_machine`]): else another process may have made the set meanwhile.
    ///
    /// # Errors
    /// When a build fails (unless `keep_going`), or the set cannot be written.
    pub(crate) fn open(
        context: &'a Context,
        text: &str,
        mut resolved: Resolved,
        environment: &Environment,
        found: Option<Found>,
        display: &'a Display,
        keep_going: bool,
    ) -> Result<Self, Failed> {
        let known_files = KnownFiles::default();
        known_files.pin(resolved.models.values().flat_map(|model| &model.paths));
        let built = compile_all(context, &mut resolved, display, keep_going)?;
        let store = context.store();
        let version = env!("CARGO_PKG_VERSION");
        let plan = &resolved.plan;
        let mut writer = match found {
            Some(Found::Interrupted(path)) => {
                let writer = store.resume(&path, plan, environment, version).or_fail(Exit::NotVerified)?;
                display.step("Resuming", &shown(&path));
                writer
            }
            _ => {
                let writer = store
                    .create(plan, &Given::Experiment(text), environment, version)
                    .or_fail(Exit::NotVerified)?;
                display.step("Recording", &shown(writer.path()));
                writer
            }
        };
        record_inputs(&mut writer, &resolved, &built)?;
        let estimate = Estimate::from_history(&store, &plan.plan);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().or_fail(Exit::Internal)?;
        let roots = host::Roots::default();
        let environment = ArtifactSet::read_environment(writer.path()).or_fail(Exit::NotVerified)?;
        let mut session = Self {
            context,
            display,
            resolved,
            built,
            roots,
            environment,
            known_files,
            writer,
            estimate,
            runtime,
        };
        session.skip_unavailable()?;
        Ok(session)
    }

    /// Every start that the set does not hold yet; then the seal.
    pub(crate) fn all(mut self) -> Result<Utf8PathBuf, Failed> {
        let total = self.plan().plan.schedule.len();
        loop {
            // Asked anew after each start: one that fails settles its case.
            let pending = self.writer.ledger().pending();
            let Some(id) = pending.first() else { break };
            if self.has_enough(&id.case)? {
                continue;
            }
            let place = format!("start {} of {total}, {} #{}", total - pending.len() + 1, id.case, id.start);
            let left = self.left();
            self.start(id, &place, left)?;
        }
        self.finish()
    }

    /// Whether a case has enough starts; if so, that is recorded, and it comes to its end.
    fn has_enough(&mut self, id: &str) -> Result<bool, Failed> {
        let ledger = self.writer.ledger();
        let Some(case) = ledger.case(id) else { return Ok(false) };
        let Some(by) = ledger.enough(case) else { return Ok(false) };
        let most = case.case.starts;
        let why = match by {
            EnoughBy::Narrow => "its rates are known as precisely as asked",
            EnoughBy::Time => "the time is used up",
            EnoughBy::Pairs => "enough pairs met one machine",
        };
        let starts = self.end_case(id, by)?;
        self.display.step("Enough", &format!("{id}: {starts} of at most {most} starts, {why}"));
        Ok(true)
    }

    /// Ends a case that is not settled before all of its starts were made; how many were.
    pub(crate) fn end_case(&mut self, id: &str, by: EnoughBy) -> Result<u32, Failed> {
        let made = self.case_ledger(id).map_or(0, |case| case.starts.len());
        let starts = u32::try_from(made).unwrap_or(u32::MAX);
        self.append(Event::Enough(Enough { case: id.to_owned(), starts, by }))?;
        self.close_case(id)?;
        Ok(starts)
    }

    /// The start of that case and number, where the set does not hold it yet and the case is not settled.
    pub(crate) fn pending(&self, planned: &PlannedStart) -> Option<StartId> {
        let pending = self.writer.ledger().pending();
        pending.into_iter().find(|id| *id.case == *planned.case && id.start == planned.start)
    }

    /// How long what is pending takes, if it can be told; of two sets in turn, as long as each further pair meets one machine.
    pub(crate) fn left(&self) -> Option<Duration> {
        let plan = &self.plan().plan;
        let mut pending = self.writer.ledger().pending();
        if let Some(pairs) = plan.interleaved.as_ref().and_then(|turns| turns.pairs) {
            let mut next: Option<u32> = None;
            pending.retain(|id| id.start <= pairs.max(*next.get_or_insert(id.start)));
        }
        self.estimate.starts(pending.iter().map(|id| &*id.case), plan.cooldown_ms)
    }

    /// Ends what is open, then seals.
    pub(crate) fn finish(mut self) -> Result<Utf8PathBuf, Failed> {
        self.perplexities()?;
        self.canary_references()?;
        self.close_rest()?;
        self.seal()
    }

    /// Told to stop in what comes after the measurement.
    fn interrupted_at_the_end<T>(&self) -> Result<T, Failed> {
        self.display.clear();
        let place = shown(self.writer.path());
        fail(
            Exit::Interrupted,
            format!("interrupted after everything was measured; it is recorded in {place}"),
            "run the same command again to resume",
        )
    }

    pub(crate) fn plan(&self) -> &ResolvedPlan {
        &self.resolved.plan
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        self.writer.ledger()
    }

    fn case_ledger(&self, id: &str) -> Option<&CaseLedger> {
        self.ledger().case(id)
    }

    /// A set that was interrupted between the last start of a case and its end still owes that end.
    fn close_rest(&mut self) -> Result<(), Failed> {
        let open: Vec<String> = self
            .writer
            .ledger()
            .cases
            .iter()
            .filter(|case| case.outcome.is_none())
            .map(|case| case.case.id.clone())
            .collect();
        open.iter().try_for_each(|case| self.close_case(case))
    }

    /// Cases whose model or build could not be had end here, with the reason.
    fn skip_unavailable(&mut self) -> Result<(), Failed> {
        let missing = resolve::unavailable(&self.resolved.plan.plan, &self.resolved.missing);
        let skipped: Vec<CaseClosed> = missing
            .iter()
            .map(|(case, reason)| CaseClosed {
                case: (*case).to_owned(),
                outcome: Status::Skipped { reason: (*reason).to_owned() },
            })
            .collect();
        for closed in skipped {
            let Some(case) = self.case_ledger(&closed.case) else { continue };
            if !case.starts.is_empty() && case.outcome_of_starts().is_none() {
                // It was begun by an earlier session: it can neither go on nor be taken back.
                return fail(
                    Exit::BuildFailed,
                    format!("{} was started, and cannot continue: {}", closed.case, explain(&closed.outcome)),
                    "the set stays as it is; once the cause is fixed, the same command continues it",
                );
            }
            if case.outcome.is_none() && case.starts.is_empty() {
                self.display.warn(&format!("{} is {}", closed.case, explain(&closed.outcome)));
                self.append(Event::CaseClosed(closed))?;
            }
        }
        Ok(())
    }

    /// One life of the server; its case ends with it when it was the last, or failed.
    pub(crate) fn start(&mut self, id: &StartId, place: &str, left: Option<Duration>) -> Result<(), Failed> {
        let resolved = &self.resolved.plan.plan;
        let parts = (|| {
            let case = resolved.case(&id.case)?;
            let backend = resolved.backend(&case.backend)?;
            let settings = backend.server.decided()?;
            let prompt = &resolved.prompt(&case.prompt)?.content;
            let ready = self.built.get(&backend.build)?;
            let shards = &self.resolved.models.get(&case.model)?.paths;
            Some((case, backend, settings, prompt, ready, (shards.first()?, shards)))
        })();
        let Some((case, backend, settings, prompt, ready, (model, shards))) = parts else {
            return fail(
                Exit::Internal,
                format!("the plan names something that it does not contain, in {}", id.case),
                "",
            );
        };
        let began = Instant::now();
        let interrupt = &self.context.interrupt;
        let pause = llamark_bench::cool_down(resolved, backend, &self.roots, interrupt);
        let cooled = self.runtime.block_on(pause);
        let log = self.writer.log_path(id).or_fail(Exit::NotVerified)?;
        let scratch = self.context.cache.join("scratch").join(std::process::id().to_string());
        let start = Start {
            id: id.clone(),
            plan: resolved,
            case,
            backend,
            settings,
            prompt,
            build: &ready.built.record,
            build_folder: &ready.built.folder,
            help: &ready.help,
            bench_help: ready.bench.as_ref(),
            model,
            shards,
            log: &log,
            scratch: &scratch,
            roots: &self.roots,
            environment: &self.environment,
            known_files: &self.known_files,
            cooled,
        };
        let display = self.display;
        let outcome = if interrupt.is_set() {
            Ok(Status::Interrupted)
        } else {
            let mut journal = Journal(&mut self.writer);
            self.runtime.block_on(llamark_bench::run_start(&start, interrupt, &mut journal, &|progress| {
                display.start(place, left, &progress);
            }))
        };
        let removed = llamark_artifact::files::remove_folder(&scratch);
        let outcome = outcome.or_fail_hint(
            Exit::NotVerified,
            "the set is as it was before; run the same command again to resume",
        )?;
        removed.or_fail(Exit::NotVerified)?;
        self.estimate.learn(&id.case, began.elapsed());
        match &outcome {
            Status::Interrupted => {
                display.clear();
                return fail(
                    Exit::Interrupted,
                    format!(
                        "interrupted in {place}; what was measured is recorded in {}",
                        shown(self.writer.path())
                    ),
                    "run the same command again to resume",
                );
            }
            Status::Ok => display.step("Measured", &format!("{place}{}", self.rates(id))),
            other => display.warn(&format!("{place}: {}", explain(other))),
        }
        self.close_case(&id.case)
    }

    /// Mean rates of a start, for the terminal.
    fn rates(&self, id: &StartId) -> String {
        let Some(start) = self.case_ledger(&id.case).and_then(|case| case.starts.get(id.start)) else {
            return String::new();
        };
        let values: Vec<RunValues> = start.counting().map(RunValues::of).collect();
        let pp: Vec<f64> = values.iter().filter_map(|values| values.pp).collect();
        let tg: Vec<f64> = values.iter().filter_map(|values| values.tg).collect();
        let mean = |values: &[f64]| llamark_stats::mean(values);
        match (mean(&pp), mean(&tg)) {
            (Some(pp), Some(tg)) => format!(": pp {pp:.1}, tg {tg:.1} tok/s"),
            (Some(pp), None) => format!(": pp {pp:.1} tok/s"),
            _ => String::new(),
        }
    }

    /// Ends a case when nothing of it is left to run.
    fn close_case(&mut self, id: &str) -> Result<(), Failed> {
        let Some(case) = self.case_ledger(id) else { return Ok(()) };
        match case.outcome_of_starts() {
            Some(outcome) if case.outcome.is_none() => {
                let case = id.to_owned();
                self.append(Event::CaseClosed(CaseClosed { case, outcome }))
            }
            _ => Ok(()),
        }
    }

    fn append(&mut self, event: Event) -> Result<(), Failed> {
        self.writer.append(event).or_fail(Exit::NotVerified)
    }

    /// Makes every derived file from the journal, then seals.
    fn seal(self) -> Result<Utf8PathBuf, Failed> {
        self.display.now("Sealing", self.writer.id());
        seal(self.writer, self.resolved.dependencies)
    }
}

/// Compiles one build, unless the cache holds it, and asks its server what it can do.
///
/// # Errors
/// When it does not compile, or its server does not even print its help.
pub(crate) fn ready(context: &Context, prepared: &Prepared, display: &Display) -> Result<Ready, Failed> {
    probed(context, resolve::compile(context, prepared, display)?, false)
}

/// `with_bench`: its llama-bench too, if there is one. Where there is none, the cases that need it say so.
fn probed(context: &Context, built: Built, with_bench: bool) -> Result<Ready, Failed> {
    // A program that was stopped with us has nothing wrong with it.
    let unless_stopped = |failed| if context.interrupt.is_set() { resolve::interrupted() } else { failed };
    let server = built.folder.join(&built.record.server);
    let help = probe::probe(&server, &llamark_process::base_environment(), &context.interrupt)
        .or_fail_hint(Exit::BuildFailed, format!("try it by hand: {server} --help"))
        .map_err(unless_stopped)?;
    let bench = built.record.bench.as_ref().filter(|_| with_bench).map(|bench| built.folder.join(bench));
    let ask = |bench: Utf8PathBuf| {
        probe::probe_bench(&bench, &llamark_process::base_environment(), &context.interrupt)
            .or_fail_hint(Exit::BuildFailed, format!("try it by hand: {bench} --help"))
            .map_err(unless_stopped)
    };
    let bench = bench.map(ask).transpose()?;
    Ok(Ready { built, help, bench })
}

/// Compiles every build, or notes why one is not there.
fn compile_all(
    context: &Context,
    resolved: &mut Resolved,
    display: &Display,
    keep_going: bool,
) -> Result<BTreeMap<String, Ready>, Failed> {
    let mut built = BTreeMap::new();
    for (id, prepared) in &resolved.prepared {
        let users = resolved.plan.plan.backends.iter().filter(|backend| backend.build == *id);
        let with_bench = users.into_iter().any(|backend| backend.tool == Tool::LlamaBench);
        let ready = resolve::compile(context, prepared, display);
        match ready.and_then(|build| probed(context, build, with_bench)) {
            Ok(ready) => {
                built.insert(id.clone(), ready);
            }
            Err(failed) if keep_going && failed.exit == Exit::BuildFailed => {
                display.warn(&format!("{failed}"));
                resolved.missing.insert(id.clone(), format!("its build failed: {failed}"));
            }
            Err(failed) => return Err(failed),
        }
    }
    Ok(built)
}

/// What went in, before anything is measured: all that the journal does not hold yet, since the set may have been
/// interrupted before this was through.
fn record_inputs(
    writer: &mut SetWriter,
    resolved: &Resolved,
    built: &BTreeMap<String, Ready>,
) -> Result<(), Failed> {
    for model in &resolved.plan.plan.models {
        let is_known = writer.ledger().models.contains_key(&model.id);
        if let Some(fetched) = resolved.models.get(&model.id).filter(|_| !is_known) {
            let record = resolve::model_record(model, fetched);
            writer.append(Event::Model(record)).or_fail(Exit::NotVerified)?;
        }
    }
    for (id, ready) in built {
        if writer.ledger().builds.contains_key(id) {
            continue;
        }
        let event = BuildEvent { id: id.clone(), record: ready.built.record.clone() };
        writer.append(Event::Build(event)).or_fail(Exit::NotVerified)?;
    }
    Ok(())
}
