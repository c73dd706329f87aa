//! Sensors during a start: which events there are, which windows, and that the file of readings is the one of the journal.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not take for tests"
)]

mod support;

use llamark_record::Sha256;
use llamark_record::journal::{Event, FailureKind, Outcome};
use llamark_record::plan::TelemetryRate;
use llamark_record::telemetry::{Phase, Telemetry};
use serde_json::{Value, json};
use support::{Bench, Memory};

/// A start with sensors.
async fn watched(behaviour: &Value) -> (support::Ran, Memory) {
    let mut bench = Bench::new(behaviour);
    bench.plan.telemetry = TelemetryRate::Hertz(50);
    let mut memory = Memory::default();
    let ran = bench.run_with(&mut memory, |_| ()).await.unwrap();
    (ran, memory)
}

/// What the journal has before the end of the start.
fn telemetry(ran: &support::Ran) -> &Telemetry {
    match ran.events.iter().rev().nth(1) {
        Some(Event::Telemetry(telemetry)) => telemetry,
        other => panic!("before the end is {other:?}"),
    }
}

#[tokio::test]
async fn a_start_has_its_windows_and_its_file() {
    let (ran, memory) = watched(&json!({"prompt_rate": 100.0, "generation_rate": 50.0})).await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let telemetry = telemetry(&ran);
    let phases: Vec<Phase> = telemetry.windows.iter().map(|window| window.phase).collect();
    let runs = ran.runs();
    let runs = runs.iter().filter(|run| !run.warmup).map(|run| run.index);
    let expected: Vec<Phase> = [Phase::Idle, Phase::Load]
        .into_iter()
        .chain(runs.flat_map(|run| [Phase::Prefill { run }, Phase::Decode { run }]))
        .collect();
    assert_eq!(phases, expected);
    assert!(telemetry.windows.windows(2).all(|pair| pair[0].end_ns <= pair[1].begin_ns), "{telemetry:?}");

    let idle = telemetry.window(Phase::Idle).unwrap();
    assert!(idle.end_ns - idle.begin_ns >= 500_000_000);
    assert!(!idle.readings.contains_key("process.rss"), "there was no server yet");
    let decode = telemetry.window(Phase::Decode { run: 1 }).unwrap();
    assert!(decode.readings["process.rss"].min > 100_000, "{decode:?}");
    let run = ran.runs().into_iter().find(|run| !run.warmup).unwrap();
    let measurement = run.measurement.as_ref().unwrap();
    let prefill = telemetry.window(Phase::Prefill { run: 1 }).unwrap();
    assert_eq!(prefill.end_ns - prefill.begin_ns, measurement.first_token_ns);
    assert_eq!(decode.begin_ns, prefill.end_ns);

    let file = &memory.files["telemetry.csv"];
    assert_eq!(telemetry.samples.sha256, Sha256::of_bytes(file));
    assert_eq!(u64::try_from(file.len()).unwrap(), telemetry.samples.bytes);
    assert_eq!(telemetry.samples.cut_short, None);
}

#[tokio::test]
async fn a_start_that_fails_has_what_was_read_until_then() {
    let (ran, memory) = watched(&json!({"die": {"at": "load", "signal": 6}})).await;
    let Outcome::Failed(failure) = &ran.outcome else { panic!("{:?}", ran.outcome) };
    assert_eq!(failure.kind, FailureKind::Crash, "{failure:?}");
    let phases: Vec<Phase> = telemetry(&ran).windows.iter().map(|window| window.phase).collect();
    assert_eq!(phases, [Phase::Idle]);
    assert!(memory.files.contains_key("telemetry.csv"));
}

#[tokio::test]
async fn a_plan_without_sensors_has_none() {
    let bench = Bench::new(&json!({}));
    let mut memory = Memory::default();
    let ran = bench.run_with(&mut memory, |_| ()).await.unwrap();
    assert!(!ran.events.iter().any(|event| matches!(event, Event::Telemetry(_))));
    assert!(memory.files.is_empty());
}
