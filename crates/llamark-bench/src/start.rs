//! One start as the command sees it: what goes in, what is told on the way, and the record of it.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_process::{Exit, Interrupt};
use llamark_record::build::BuildRecord;
use llamark_record::environment::Environment;
use llamark_record::journal::{CachedFile, Cooled, Event, Outcome, Pace, StartClosed, StartId, StartOpened};
use llamark_record::plan::{Case, Plan, PlannedBackend, PromptContent, ServerSettings, Tool};

use crate::cache;
use crate::error::{BenchError, RecordError};
use crate::failure;
use crate::host::{self, Roots};
use crate::llama_bench;
use crate::mapped::KnownFiles;
use crate::probe::ServerHelp;
use crate::program;
use crate::protocol::{Halt, Session};
use crate::server;
use crate::telemetry::{self, Watch};

/// All that one life of the server needs to be known.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// Which start, and which attempt at it.
    pub id: StartId,
    /// The plan that it belongs to: for its limits in time.
    pub plan: &'a Plan,
    /// The case.
    pub case: &'a Case,
    /// The backend of the case.
    pub backend: &'a PlannedBackend,
    /// The settings of the server: those of the backend, decided.
    pub settings: &'a ServerSettings,
    /// What the prompt says.
    pub prompt: &'a PromptContent,
    /// The build of the backend.
    pub build: &'a BuildRecord,
    /// Folder of that build.
    pub build_folder: &'a Utf8Path,
    /// What the server of that build can do; from [`crate::probe::probe`], once per build.
    pub help: &'a ServerHelp,
    /// What the llama-bench of that build can do; absent where no backend of the plan measures with it.
    pub bench_help: Option<&'a ServerHelp>,
    /// The model: its first shard.
    pub model: &'a Utf8Path,
    /// Every shard of it.
    pub shards: &'a [Utf8PathBuf],
    /// Where the output of the server goes; made when it is not there.
    pub log: &'a Utf8Path,
    /// Folder for the server's home and caches. It is made empty-handed: nothing of the user's configuration
    /// reaches the server.
    pub scratch: &'a Utf8Path,
    /// Where facts about the machine are read.
    pub roots: &'a Roots,
    /// The facts as they were when the set began: what changed since is recorded.
    pub environment: &'a Environment,
    /// Digests of shared objects that are known from earlier starts.
    pub known_files: &'a KnownFiles,
    /// How the pause before it ended; absent where it waits for nothing.
    pub cooled: Option<Cooled>,
}

/// Where a start is.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// The server was spawned.
    Spawned,
    /// It loads the model.
    Loading {
        /// Since the spawn.
        elapsed: Duration,
    },
    /// It answers.
    Ready {
        /// From the spawn to ready.
        load: Duration,
    },
    /// A request is being answered. Told at most every 100 ms.
    Run {
        /// Which run, from 1; warm-up runs count from 1 apart.
        index: u32,
        /// Of how many.
        of: u32,
        /// Whether it is a warm-up run.
        warmup: bool,
        /// Tokens generated so far.
        tokens: u32,
        /// Of how many.
        of_tokens: u32,
        /// Prompt processing by our clock, tok/s; absent before the first token.
        pp: Option<f64>,
        /// Token generation by our clock, tok/s; absent before the second token.
        tg: Option<f64>,
    },
    /// A request was answered, and the record of it is safe.
    RunDone,
    /// The server is being stopped.
    Stopping,
    /// It is gone.
    Stopped,
}

/// Takes the events of a start, in order. An event counts as recorded when this returns.
pub trait Recorder {
    /// Records an event.
    ///
    /// # Errors
    /// When it could not be made safe.
    fn record(&mut self, event: Event) -> Result<(), RecordError>;

    /// Keeps a file beside the log of a start, by the extension of its name. No event has it but its digest.
    ///
    /// # Errors
    /// When it could not be made safe.
    fn attach(&mut self, id: &StartId, extension: &str, bytes: &[u8]) -> Result<(), RecordError>;
}

/// Runs one start: spawns the server, proves that it is what the plan asks for, measures, and stops it. Records
/// [`Event::StartOpened`], [`Event::StartReady`], every [`Event::Run`], [`Event::Telemetry`] where the plan wants it and
/// [`Event::StartClosed`] itself.
///
/// Whatever goes wrong with the server is in the outcome. When this returns, no process of the start is left.
///
/// # Errors
/// Only when the record could not be written.
pub async fn run_start(
    start: &Start<'_>,
    interrupt: &Interrupt,
    recorder: &mut dyn Recorder,
    observer: &dyn Fn(Progress),
) -> Result<Outcome, BenchError> {
    if interrupt.is_set() {
        return Ok(Outcome::Interrupted);
    }
    live(start, interrupt, recorder, observer)
        .await
        .map_err(|source| BenchError::Record { id: start.id.clone(), source })
}

async fn live(
    start: &Start<'_>,
    interrupt: &Interrupt,
    recorder: &mut dyn Recorder,
    observer: &dyn Fn(Progress),
) -> Result<Outcome, RecordError> {
    if start.backend.tool == Tool::LlamaBench {
        return llama_bench::live(start, interrupt, recorder, observer).await;
    }
    let alias = server::alias(&start.id);
    let request = server::request(start, &alias);
    let prepared = server::prepare(start, &request);
    let launch = match prepared {
        Ok(launch) => launch,
        Err(unsupported) => {
            let program = server::hide(start, server::program(start).as_str());
            recorder.record(opened(start, vec![program], BTreeMap::new(), Vec::new(), None))?;
            let failure = failure::unsupported(unsupported.to_string(), &unsupported.hint());
            return close(start, Outcome::Failed(failure), None, recorder);
        }
    };
    // Before the page cache is looked at: it takes memory, for a moment.
    let pace = telemetry::pace(start);
    let cache = cache::prepare(start.shards, start.plan.procedure.cache, interrupt);
    recorder.record(opened(start, launch.argv.clone(), launch.environment.clone(), cache, pace))?;
    if let Some(reason) = start.known_files.touched(start.shards) {
        return close(start, Outcome::Invalid { reason }, None, recorder);
    }
    let watch = Watch::begin(start, interrupt).await;
    let memory_kills = failure::memory_kills();
    let server = match server::spawn(start, &launch) {
        Ok(server) => server,
        Err(failure) => return close(start, Outcome::Failed(failure), None, recorder),
    };
    watch.spawned(server.pid(), server.spawned_at());
    observer(Progress::Spawned);
    let session = Session { watch: &watch, start, request: &request, server: &server, interrupt, observer };
    // When this returns, every socket is closed: a server with a request in flight does not stop for long.
    let measured = session.measure(recorder).await;
    observer(Progress::Stopping);
    let exit = program::stop(server, Duration::from_millis(start.plan.timeouts.stop_ms), interrupt).await;
    observer(Progress::Stopped);
    if !matches!(measured, Err(Halt::Record(_))) {
        watch.end(start, recorder)?;
    }
    let outcome = outcome_of(start, measured, exit.as_ref(), memory_kills)?;
    close(start, outcome, exit, recorder)
}

/// The record of a beginning.
pub(crate) fn opened(
    start: &Start<'_>,
    argv: Vec<String>,
    environment: BTreeMap<String, String>,
    cache: Vec<CachedFile>,
    pace: Option<Box<Pace>>,
) -> Event {
    let conditions = host::conditions(start.roots);
    let changed = host::changed(start.roots, start.environment);
    let cooled = start.cooled.clone();
    let id = start.id.clone();
    Event::StartOpened(StartOpened { id, argv, environment, conditions, changed, cache, cooled, pace })
}

/// How a start went that was measured so, and whose process ended so. `memory_kills` is their number before it began.
pub(crate) fn outcome_of(
    start: &Start<'_>,
    measured: Result<Option<String>, Halt>,
    exit: Option<&Exit>,
    memory_kills: Option<u64>,
) -> Result<Outcome, RecordError> {
    let outcome = match measured {
        Ok(None) => Outcome::Ok,
        Ok(Some(reason)) | Err(Halt::Invalid(reason)) => Outcome::Invalid { reason },
        Err(Halt::Interrupted) => Outcome::Interrupted,
        Err(Halt::Record(error)) => return Err(error),
        Err(halt) => Outcome::Failed(program::failure(start, halt, exit, memory_kills)),
    };
    Ok(match (outcome, start.known_files.touched(start.shards)) {
        (Outcome::Ok, Some(reason)) => Outcome::Invalid { reason },
        (outcome, _) => outcome,
    })
}

/// Records the end of a start.
pub(crate) fn close(
    start: &Start<'_>,
    outcome: Outcome,
    exit: Option<Exit>,
    recorder: &mut dyn Recorder,
) -> Result<Outcome, RecordError> {
    let lifetime = exit.map(|exit| exit.lifetime).unwrap_or_default();
    let conditions = host::conditions(start.roots);
    // Work of ours, behind all that tells of the server's.
    let pace = if outcome == Outcome::Ok { telemetry::pace(start) } else { None };
    recorder.record(Event::StartClosed(StartClosed {
        id: start.id.clone(),
        outcome: outcome.clone(),
        exit_code: exit.and_then(|exit| exit.code),
        signal: exit.and_then(|exit| exit.signal),
        max_rss_bytes: exit.and_then(|exit| exit.max_rss_bytes),
        lifetime_us: u64::try_from(lifetime.as_micros()).unwrap_or(u64::MAX),
        conditions,
        changed: host::changed(start.roots, start.environment),
        pace,
    }))?;
    Ok(outcome)
}
