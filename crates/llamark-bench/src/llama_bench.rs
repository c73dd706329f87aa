//! One start that llama-bench measures: two lives of it, one for the prompt and one for the generation, each a process of
//! its own, whose samples become the runs of the start.

use std::collections::BTreeMap;
use std::time::Duration;

use llamark_process::{Exit, Interrupt};
use llamark_record::journal::{BrokenRule, Event, Outcome, Proof, Rule, RunRecord};
use llamark_record::llama_bench::{BenchReport, BenchRun, Row, Timed};
use serde_json::{Map, Value};

use crate::cache;
use crate::error::RecordError;
use crate::failure;
use crate::flags::{self, BenchTest, LaunchRequest, Unsupported};
use crate::log::LogSummary;
use crate::program::Tool;
use crate::proof;
use crate::protocol::{Halt, disagreements};
use crate::server::{self, Launch};
use crate::start::{self, Progress, Recorder, Start};
use crate::telemetry::{self, Watch};

/// A test and its command.
struct Planned {
    test: BenchTest,
    launch: Launch,
    /// What it is called in a message.
    what: &'static str,
}

/// The commands of a start.
///
/// # Errors
/// When llama-bench cannot measure the case, or this binary cannot be given one of its settings.
fn plan(start: &Start<'_>, request: &LaunchRequest<'_>) -> Result<Vec<Planned>, Unsupported> {
    let refuse = |setting: &str, asked: &str, reason: &str, hint: &str| Unsupported {
        setting: setting.to_owned(),
        asked: asked.to_owned(),
        reason: reason.to_owned(),
        hint: hint.to_owned(),
    };
    let (Some(help), Some(program)) = (start.bench_help, &start.build.bench) else {
        let hint = "build it together with llama-server, or leave out `tool`";
        return Err(refuse("tool", "llama-bench", "the build has no llama-bench", hint));
    };
    let case = start.case;
    let Some(prompt) = start.prompt.exact_tokens() else {
        let hint = "say how many tokens, as in `prompts: { p512: { tokens: 512 } }`";
        return Err(refuse("prompt", &case.prompt, "llama-bench takes a number of tokens, not a text", hint));
    };
    // Its own warm-up is the first; more are repetitions that do not count.
    let repetitions = case.runs.saturating_add(case.warmup.saturating_sub(1));
    let test = BenchTest { prompt, generated: 0, depth: case.depth, repetitions, warm_up: case.warmup > 0 };
    // A server's first token comes out of the prompt, and the steps after it are behind the prompt.
    let steps = case.max_tokens.saturating_sub(1);
    let behind = BenchTest { prompt: 0, generated: steps, depth: case.depth.saturating_add(prompt), ..test };
    let mut all = vec![(test, "the prompt test of llama-bench")];
    if steps > 0 {
        all.push((behind, "the generation test of llama-bench"));
    }
    let planned = |(test, what)| {
        let launch = flags::translate_bench(help, request, &test)?;
        Ok(Planned { launch: server::launch(start, program, launch), test, what })
    };
    all.into_iter().map(planned).collect()
}

/// One start, from its opening to its close.
///
/// # Errors
/// Only when the record could not be written.
pub(crate) async fn live(
    start: &Start<'_>,
    interrupt: &Interrupt,
    recorder: &mut dyn Recorder,
    observer: &dyn Fn(Progress),
) -> Result<Outcome, RecordError> {
    let request = server::request(start, "");
    let planned = match plan(start, &request) {
        Ok(planned) => planned,
        Err(unsupported) => {
            let program = start.build.bench.as_deref().unwrap_or("llama-bench");
            let program = server::hide(start, start.build_folder.join(program).as_str());
            recorder.record(start::opened(start, vec![program], BTreeMap::new(), Vec::new(), None))?;
            let failure = failure::unsupported(unsupported.to_string(), &unsupported.hint());
            return start::close(start, Outcome::Failed(failure), None, recorder);
        }
    };
    // Before the page cache is looked at: it takes memory, for a moment.
    let pace = telemetry::pace(start);
    let cache = cache::prepare(start.shards, start.plan.procedure.cache, interrupt);
    let (argv, environment) = match planned.first() {
        Some(first) => (first.launch.argv.clone(), first.launch.environment.clone()),
        None => Default::default(),
    };
    recorder.record(start::opened(start, argv, environment, cache, pace))?;
    if let Some(reason) = start.known_files.touched(start.shards) {
        return start::close(start, Outcome::Invalid { reason }, None, recorder);
    }
    let watch = Watch::begin(start, interrupt).await;
    let memory_kills = failure::memory_kills();
    let mut exit = None;
    let tool = Tool { start, watch: &watch, interrupt, observer };
    let measured = measure(&tool, &request, &planned, &mut exit, recorder).await;
    observer(Progress::Stopped);
    if !matches!(measured, Err(Halt::Record(_))) {
        watch.end(start, recorder)?;
    }
    let outcome = start::outcome_of(start, measured, exit.as_ref(), memory_kills)?;
    start::close(start, outcome, exit, recorder)
}

/// What one life gave.
struct Life {
    row: Row,
    log: LogSummary,
}

/// Runs the tests one after the other and records what they gave. `Ok(None)`: as planned; `Ok(Some(reason))`: measured, but
/// not what the plan says. The exit of the last process that ran, with the peak of memory over all, is left in `exit`.
async fn measure(
    tool: &Tool<'_>,
    request: &LaunchRequest<'_>,
    planned: &[Planned],
    exit: &mut Option<Exit>,
    recorder: &mut dyn Recorder,
) -> Result<Option<String>, Halt> {
    let start = tool.start;
    let mut lives = Vec::new();
    for one in planned {
        let said = tool.run(&one.launch, one.what, limit(start, &one.test), exit).await?;
        lives.push(Life { row: row(&said.end, one)?, log: said.log });
    }
    let mut proofs: Vec<Proof> = Vec::new();
    for life in &lives {
        // Of two that say the same, one is enough.
        let found = proof::prove_bench(request, &life.row, &life.log);
        proofs.extend(found.into_iter().filter(|proof| !proofs.contains(proof)).collect::<Vec<_>>());
    }
    for proof in &mut proofs {
        proof.asked = server::hide(start, &proof.asked);
        proof.observed = proof.observed.as_deref().map(|observed| server::hide(start, observed));
    }
    let wrong = disagreements(&proofs);
    let first = lives.first();
    recorder.record(Event::Bench(BenchReport {
        id: start.id.clone(),
        commands: planned.iter().map(|one| one.launch.argv.clone()).collect(),
        proofs,
        buffers: first.map(|life| life.log.buffers.clone()).unwrap_or_default(),
        build_info: first
            .map_or_else(String::new, |Life { row, .. }| format!("b{}-{}", row.build_number, row.commit)),
        prompt_tokens: first.map_or(0, |life| life.row.prompt),
    }))?;
    if let Some(reason) = wrong {
        return Err(Halt::Invalid(reason));
    }
    let broken = broken(planned, &lives);
    let reason = broken.first().map(|broken| broken.detail.clone());
    for record in runs(start, &lives, &broken) {
        recorder.record(Event::Run(record))?;
        (tool.observer)(Progress::RunDone);
    }
    Ok(reason)
}

/// How long a test may take: to load, for its repetitions, for the warm-up, and to fill the depth.
fn limit(start: &Start<'_>, test: &BenchTest) -> Duration {
    let timeouts = &start.plan.timeouts;
    let requests = u64::from(test.repetitions).saturating_add(2);
    Duration::from_millis(timeouts.load_ms.saturating_add(timeouts.request_ms.saturating_mul(requests)))
}

/// The one row that it printed, of the test that was asked for.
fn row(text: &str, planned: &Planned) -> Result<Row, Halt> {
    let objects = text.lines().filter(|line| line.starts_with("{\"build_"));
    let objects: Vec<Map<String, Value>> =
        objects.filter_map(|line| serde_json::from_str(line).ok()).collect();
    let [object] = objects.as_slice() else {
        let detail = format!("{} printed {} rows, and one is expected", planned.what, objects.len());
        return Err(Halt::Protocol(detail));
    };
    Row::read(object).map_err(|problems| {
        let problems: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        Halt::Protocol(format!("the row of {} is not valid: {}", planned.what, problems.join("; ")))
    })
}

/// The rules that the tests break: those of llama-bench say what they were, and it must be what was asked.
fn broken(planned: &[Planned], lives: &[Life]) -> Vec<BrokenRule> {
    let mut broken = Vec::new();
    for (Planned { test, what, .. }, Life { row, .. }) in planned.iter().zip(lives) {
        let samples = u32::try_from(row.samples_ns.len()).unwrap_or(u32::MAX);
        for (rule, name, asked, seen) in [
            (Rule::WholePrompt, "tokens of the prompt", test.prompt, row.prompt),
            (Rule::ExactLength, "steps of generation", test.generated, row.generated),
            (Rule::Depth, "tokens of depth", test.depth, row.depth),
            (Rule::Answered, "samples", test.repetitions, samples),
        ] {
            if asked != seen {
                let detail = format!("{what} has {seen} {name}, and {asked} were asked for");
                broken.push(BrokenRule { rule, detail });
            }
        }
    }
    broken
}

/// The samples as runs: the first ones that go beyond llama-bench's own warm-up are warm-up runs.
fn runs(start: &Start<'_>, lives: &[Life], broken: &[BrokenRule]) -> Vec<RunRecord> {
    let timed = |life: Option<&Life>, place: usize| {
        let Life { row, .. } = life?;
        let tokens = row.prompt.saturating_add(row.generated);
        Some(Timed { tokens, depth: row.depth, ns: *row.samples_ns.get(place)? })
    };
    let warm = start.case.warmup.saturating_sub(1);
    let all = (1..=warm).map(|index| (index, true)).chain((1..=start.case.runs).map(|index| (index, false)));
    let record = |(place, (index, warmup)): (usize, (u32, bool))| RunRecord {
        id: start.id.clone(),
        index,
        warmup,
        measurement: None,
        streams: Vec::new(),
        gaps: None,
        bench: Some(Box::new(BenchRun {
            prompt: timed(lives.first(), place),
            generation: timed(lives.get(1), place),
        })),
        broken: broken.to_vec(),
    };
    all.enumerate().map(record).collect()
}
