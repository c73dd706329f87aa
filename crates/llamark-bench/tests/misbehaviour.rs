//! Every way in which a server can misbehave ends in the right outcome with the right message; nothing hangs, and
//! nothing survives (checked after each start by `support`).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not take for tests"
)]

mod support;

use std::time::{Duration, Instant};

use llamark_bench::Progress;
use llamark_record::journal::{Event, FailureKind, Outcome, Rule};
use llamark_record::metric::{generation_rate, prompt_rate};
use serde_json::json;
use support::{Bench, Memory, PROMPT_TOKENS};

// A server that behaves.

#[tokio::test]
async fn a_good_start_is_recorded_whole() {
    let ran = Bench::new(&json!({"prompt_rate": 1000.0, "generation_rate": 500.0})).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let kinds: Vec<&str> = ran
        .events
        .iter()
        .map(|event| match event {
            Event::StartOpened(_) => "opened",
            Event::StartReady(_) => "ready",
            Event::Run(run) if run.warmup => "warm-up",
            Event::Run(_) => "run",
            Event::StartClosed(_) => "closed",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["opened", "ready", "warm-up", "run", "run", "closed"]);
    for (place, run) in ran.runs().into_iter().enumerate() {
        assert_eq!(run.broken, [], "run {place}");
        assert_eq!(usize::try_from(run.index).unwrap(), place.max(1), "warm-up runs count apart");
        let measured = run.measurement.as_ref().unwrap();
        assert_eq!((measured.prompt_tokens, measured.generated_tokens), (PROMPT_TOKENS, 8));
        assert_eq!(measured.cached_tokens, Some(0));
        // The fake reports exactly the speed that it was set to.
        assert_eq!(prompt_rate(measured.prompt_tokens, measured.prompt_us), Some(1000.0));
        assert_eq!(generation_rate(measured.generated_tokens, measured.generation_us), Some(500.0));
        let counts: Vec<u32> = measured.arrivals.iter().map(|(tokens, _)| *tokens).collect();
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(measured.arrivals.is_sorted_by_key(|(_, at)| *at));
        assert_eq!(measured.arrivals[0].1, measured.first_token_ns);
        // How much later than the 10 ms that the fake takes is a matter of what else the machine does.
        assert!((10_000_000..measured.total_ns).contains(&measured.first_token_ns), "{measured:?}");
        assert!(measured.output_ids.is_some());
    }
    let ready = ran.ready().unwrap();
    assert_eq!(ready.prompt_tokens, PROMPT_TOKENS);
    assert_eq!(ready.build_info, "b11434-pkg");
    assert!(ready.load.first_line_us.unwrap() <= ready.load.weights_us.unwrap(), "{:?}", ready.load);
    assert!(ready.load.weights_us.unwrap() <= ready.load.ready_us, "{:?}", ready.load);
    assert!(!ready.proofs.is_empty() && !ready.buffers.is_empty());
    let closed = ran.closed();
    assert_eq!((closed.exit_code, closed.signal), (Some(0), None));
    assert!(closed.max_rss_bytes.unwrap() > 100_000 && closed.lifetime_us > ready.load.ready_us);
    assert!(matches!(ran.progress.first(), Some(Progress::Spawned)));
    assert!(matches!(ran.progress.last(), Some(Progress::Stopped)));
}

#[tokio::test]
async fn the_record_names_no_folder_of_the_user() {
    let bench = Bench::new(&json!({}));
    let ran = bench.run().await;
    let opened = ran.opened();
    assert_eq!(opened.argv[0], "{build}/bin/llama-server");
    assert!(opened.argv.contains(&"{model}/fake.gguf".to_owned()), "{:?}", opened.argv);
    assert!(opened.environment["HOME"].starts_with("{scratch}"), "{:?}", opened.environment);
    let text = serde_json::to_string(&ran.events).unwrap();
    assert!(!text.contains(bench.model.parent().unwrap().as_str()), "{text}");
}

#[tokio::test]
async fn a_llama_cpp_of_2025_is_measured_too() {
    let ran = Bench::new(&json!({"version": "y2025"})).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let measured = ran.runs()[1].measurement.clone().unwrap();
    assert_eq!((measured.cached_tokens, measured.prompt_tokens), (None, PROMPT_TOKENS));
    assert_eq!(ran.ready().unwrap().build_info, "b6180-4227c9b");
}

#[tokio::test]
async fn a_device_is_proven() {
    let ran = Bench::new(&json!({"devices": ["Vulkan0"]})).on_vulkan().run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{:#?}", ran.ready());
    assert!(ran.ready().unwrap().buffers.iter().any(|buffer| buffer.device == "Vulkan0"));
}

#[tokio::test]
async fn events_are_not_tokens_and_chunks_are_not_events() {
    let ran = Bench::new(&json!({"tokens_per_event": 3, "chop": 7})).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let measured = ran.runs()[1].measurement.clone().unwrap();
    let counts: Vec<u32> = measured.arrivals.iter().map(|(tokens, _)| *tokens).collect();
    assert_eq!(counts, [3, 6, 8]);
    assert_eq!(measured.output_ids, None, "ids are lost, so nothing is said about all of them");
}

#[tokio::test]
async fn a_slow_load_is_waited_for_and_told() {
    let ran = Bench::new(&json!({"load_ms": 350.0})).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let load = ran.ready().unwrap().load;
    assert!((350_000..700_000).contains(&load.ready_us), "{load:?}");
    assert!(load.first_line_us.unwrap() < 200_000 && load.weights_us.unwrap() >= 350_000, "{load:?}");
    assert!(ran.progress.iter().any(|told| matches!(told, Progress::Loading { .. })));
}

#[tokio::test]
async fn little_time_is_spent_beside_the_server() {
    let mut beside = Vec::new();
    for _ in 0..3 {
        let ran = Bench::new(&json!({"load_ms": 20.0})).run().await;
        let runs: u64 = ran.runs().iter().map(|run| run.measurement.as_ref().unwrap().total_ns / 1_000).sum();
        let work = Duration::from_micros(ran.ready().unwrap().load.ready_us + runs);
        beside.push(ran.took.saturating_sub(work));
    }
    beside.sort();
    println!("beside load and runs: {beside:?}");
    // No timed test: tens of milliseconds at most on a quiet machine, and this catches a sleep that somebody adds.
    assert!(beside[0] < Duration::from_millis(400), "{beside:?}");
}

// It does not start.

async fn refusal(lines: &[&str], code: u8) -> (FailureKind, String, Vec<String>) {
    let ran = Bench::new(&json!({"refuse": {"lines": lines, "code": code}})).run().await;
    assert_eq!(ran.closed().exit_code, Some(i32::from(code)));
    let failure = ran.failure();
    assert!(!failure.hint.is_empty());
    (failure.kind, failure.detail.clone(), failure.log.clone())
}

#[tokio::test]
async fn refuses_an_unknown_architecture() {
    let line = "0.00.048.054 E llama_model_load: error loading model: unknown model architecture: 'xxama'";
    let (kind, detail, log) =
        refusal(&[line, "0.00.048.722 E srv  llama_server: exiting due to model loading error"], 1).await;
    assert_eq!(kind, FailureKind::Unsupported);
    assert_eq!(
        detail,
        "this llama.cpp does not know the architecture of the model: the server ended during the load of the model with exit code 1"
    );
    assert_eq!(log, [line]);
}

#[tokio::test]
async fn refuses_a_corrupt_model() {
    let line = "0.00.026.718 E llama_model_load: error loading model: tensor 'token_embd.weight' data is not within the file bounds, model is corrupted or incomplete";
    let (kind, detail, _) = refusal(&[line], 1).await;
    assert_eq!(kind, FailureKind::Exit);
    assert!(detail.starts_with("the model file cannot be read"), "{detail}");
}

#[tokio::test]
async fn runs_out_of_memory() {
    for line in [
        "0.09.759.748 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 2304000000000",
        "0.00.759.748 E ggml_backend_cuda_buffer_type_alloc_buffer: allocating 81920.00 MiB on device 0: cudaMalloc failed: out of memory",
        "0.00.759.748 E ggml_vulkan: vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
    ] {
        let (kind, detail, log) = refusal(&[line], 1).await;
        assert_eq!(kind, FailureKind::OutOfMemory);
        assert!(detail.starts_with("memory was not enough"), "{detail}");
        assert_eq!(log, [line]);
    }
}

#[tokio::test]
async fn finds_its_port_taken() {
    let line = "0.00.005.191 E srv         start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 44133";
    let (kind, detail, _) = refusal(&[line], 1).await;
    assert_eq!(kind, FailureKind::Exit);
    assert!(detail.starts_with("the port is taken"), "{detail}");
}

#[tokio::test]
async fn refuses_for_no_known_reason() {
    let (kind, detail, log) = refusal(&["something", "else"], 3).await;
    assert_eq!(kind, FailureKind::Exit);
    assert_eq!(detail, "the server ended during the load of the model with exit code 3");
    assert_eq!(log.last().map(String::as_str), Some("else"));
    let ran = Bench::new(&json!({"refuse": {"lines": ["something"], "code": 3}})).run().await;
    assert!(ran.failure().hint.ends_with("/start.log` of the set"), "it names the log: {:?}", ran.failure());
}

#[tokio::test]
async fn is_not_there() {
    let mut bench = Bench::new(&json!({}));
    bench.build.server = "bin/missing".to_owned();
    let ran = bench.run().await;
    assert_eq!(ran.failure().kind, FailureKind::Spawn);
    assert!(ran.failure().detail.contains("bin/missing` was not found"), "{:?}", ran.failure());
    assert_eq!(ran.closed().lifetime_us, 0);
}

#[tokio::test]
async fn dies_while_it_loads() {
    let ran = Bench::new(&json!({"die": {"at": "load", "signal": libc::SIGSEGV}})).run().await;
    assert_eq!(ran.failure().kind, FailureKind::Crash);
    assert_eq!(ran.failure().detail, "SIGSEGV ended the server during the load of the model");
    assert_eq!(ran.closed().signal, Some(libc::SIGSEGV));
}

// It hangs.

async fn hang(stage: &str) -> (String, Duration) {
    let ran = Bench::new(&json!({"hang": stage})).impatient().run().await;
    assert_eq!(ran.failure().kind, FailureKind::Timeout, "{:?}", ran.outcome);
    (ran.failure().detail.clone(), ran.took)
}

#[tokio::test]
async fn hangs_before_it_listens() {
    let (detail, took) = hang("start").await;
    assert_eq!(detail, "the load of the model took longer than 300 ms");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn hangs_while_it_loads() {
    assert_eq!(hang("load").await.0, "the load of the model took longer than 300 ms");
}

#[tokio::test]
async fn hangs_when_asked_for_its_settings() {
    assert_eq!(hang("props").await.0, "the reading of /props took longer than 300 ms");
}

#[tokio::test]
async fn hangs_before_the_first_token() {
    assert_eq!(hang("first_token").await.0, "warm-up run 1 took longer than 300 ms: no token was here");
}

#[tokio::test]
async fn hangs_in_the_middle_of_a_stream() {
    let ran = Bench::new(&json!({"hang": "mid_stream", "from_run": 3})).impatient().run().await;
    assert_eq!(ran.failure().detail, "run 2 took longer than 300 ms: 4 of 8 tokens were here");
    let (rule, detail) = ran.broken()[0];
    assert_eq!(rule, Rule::Answered);
    assert_eq!(detail, "no end within 300 ms: 4 of 8 tokens were here");
    assert_eq!(ran.runs().len(), 3, "what was measured before is there");
}

#[tokio::test]
async fn hangs_when_told_to_stop() {
    let ran = Bench::new(&json!({"hang": "stop"})).impatient().run().await;
    // All was measured before: the numbers are as good as any. That it was killed is on record.
    assert_eq!(ran.outcome, Outcome::Ok);
    assert_eq!(ran.closed().signal, Some(libc::SIGKILL));
}

#[tokio::test]
async fn ignores_sigterm() {
    let ran = Bench::new(&json!({"ignore_sigterm": true})).impatient().run().await;
    assert_eq!(ran.outcome, Outcome::Ok);
    assert_eq!(ran.closed().signal, Some(libc::SIGKILL));
}

#[tokio::test]
async fn drips_the_head_of_its_answers() {
    let detail = {
        let ran = Bench::new(&json!({"drip_ms": 20})).impatient().run().await;
        assert_eq!(ran.failure().kind, FailureKind::Timeout);
        ran.failure().detail.clone()
    };
    assert_eq!(detail, "the load of the model took longer than 300 ms");
}

#[tokio::test]
async fn leaves_a_grandchild() {
    for child in ["group", "session"] {
        let ran = Bench::new(&json!({"leave": child})).run().await;
        // That nothing is left is checked by `run`.
        assert_eq!(ran.outcome, Outcome::Ok, "{child}: {}", ran.log);
    }
}

#[tokio::test]
async fn leaves_a_grandchild_and_dies() {
    let ran = Bench::new(&json!({"leave": "session", "die": {"at": "mid_stream", "signal": 6}})).run().await;
    assert_eq!(ran.failure().kind, FailureKind::Crash);
}

// It dies.

#[tokio::test]
async fn aborts_in_the_middle_of_a_stream() {
    let ran =
        Bench::new(&json!({"die": {"at": "mid_stream", "signal": libc::SIGABRT}, "from_run": 2})).run().await;
    assert_eq!(ran.failure().kind, FailureKind::Crash);
    assert_eq!(ran.failure().detail, "SIGABRT ended the server during run 1");
    assert_eq!(ran.broken(), [(Rule::Answered, "the server died: 4 of 8 tokens were here")]);
}

#[tokio::test]
async fn is_killed_in_the_middle_of_a_stream() {
    let ran = Bench::new(&json!({"die": {"at": "mid_stream", "signal": libc::SIGKILL}})).run().await;
    // Nobody was killed for want of memory meanwhile, unless this system does not count it.
    let kind = ran.failure().kind;
    assert!(matches!(kind, FailureKind::Crash | FailureKind::OutOfMemory), "{kind:?}");
    assert_eq!(ran.closed().signal, Some(libc::SIGKILL));
}

// It answers nonsense.

async fn protocol(behaviour: serde_json::Value) -> String {
    let ran = Bench::new(&behaviour).run().await;
    assert_eq!(ran.failure().kind, FailureKind::Protocol, "{:?}", ran.outcome);
    assert!(ran.took < Duration::from_secs(5), "{:?}", ran.took);
    ran.failure().detail.clone()
}

#[tokio::test]
async fn answers_with_garbage() {
    let detail = protocol(json!({"body": "garbage"})).await;
    assert!(detail.starts_with("warm-up run 1: /completion: the connection broke: "), "{detail}");
}

#[tokio::test]
async fn answers_with_a_page() {
    let detail = protocol(json!({"body": "html"})).await;
    assert_eq!(detail, "warm-up run 1: /completion: the answer is `text/html`, not a stream of events");
}

#[tokio::test]
async fn answers_with_a_huge_event() {
    let detail = protocol(json!({"body": "huge_event"})).await;
    assert_eq!(detail, "warm-up run 1: /completion: an event of more than 16777216 bytes");
}

#[tokio::test]
async fn answers_with_huge_settings() {
    let detail = protocol(json!({"body": "huge_props"})).await;
    assert_eq!(detail, "the reading of /props: /props: an answer of more than 16777216 bytes");
}

#[tokio::test]
async fn sends_an_event_that_is_no_json() {
    let detail = protocol(json!({"invalid_event": true})).await;
    assert!(detail.starts_with("warm-up run 1: an event is no answer of llama-server ("), "{detail}");
}

#[tokio::test]
async fn sends_an_error_in_the_middle() {
    let detail = protocol(json!({"error_event": "Compute error."})).await;
    assert_eq!(detail, "warm-up run 1: the server gave up: Compute error.");
}

#[tokio::test]
async fn ends_the_stream_too_early() {
    let detail = protocol(json!({"cut": true, "from_run": 2})).await;
    assert_eq!(detail, "run 1: /completion: the stream ended after 4 events, without the last one");
}

#[tokio::test]
async fn answers_500_and_400() {
    let detail = protocol(json!({"status": [500, "Compute error."]})).await;
    assert_eq!(detail, "warm-up run 1: /completion: HTTP 500: Compute error.");
    let detail = protocol(json!({"status": [400, "bad"], "from_run": 2})).await;
    assert_eq!(detail, "run 1: /completion: HTTP 400: bad");
}

// It is not what the plan asks for.

async fn wrong(behaviour: serde_json::Value) -> String {
    let ran = Bench::new(&behaviour).run().await;
    let reason = ran.invalid().to_owned();
    assert!(ran.runs().is_empty(), "nothing is measured on a server that is not what was asked for");
    assert!(ran.ready().unwrap().proofs.iter().any(|proof| proof.agrees == Some(false)));
    reason
}

#[tokio::test]
async fn has_another_context() {
    let reason = wrong(json!({"context": 1024})).await;
    assert!(reason.contains("1024") && reason.contains("2048") && reason.contains("context"), "{reason}");
}

#[tokio::test]
async fn has_other_slots() {
    let reason = wrong(json!({"slots": 4})).await;
    assert!(reason.contains("slots") && reason.contains('4'), "{reason}");
}

#[tokio::test]
async fn is_somebody_else() {
    let reason = wrong(json!({"alias": "somebody-else"})).await;
    assert!(reason.contains("somebody-else"), "{reason}");
}

#[tokio::test]
async fn has_loaded_another_model() {
    let reason = wrong(json!({"model_path": "/other/model.gguf"})).await;
    assert!(reason.contains("model.gguf"), "{reason}");
}

#[tokio::test]
async fn has_another_cache_type() {
    let reason = wrong(json!({"cache_type": "q8_0"})).await;
    assert!(reason.contains("q8_0") && reason.contains("f16"), "{reason}");
}

#[tokio::test]
async fn used_a_configuration_file() {
    let reason = wrong(json!({"config_file": true})).await;
    assert!(reason.contains("config"), "{reason}");
}

#[tokio::test]
async fn falls_back_to_the_processor() {
    let ran = Bench::new(&json!({"devices": ["Vulkan0"], "cpu_fallback": true})).on_vulkan().run().await;
    assert!(ran.invalid().contains("device"), "{}", ran.invalid());
    assert!(ran.runs().is_empty());
}

#[tokio::test]
async fn the_prompt_does_not_fit() {
    let mut bench = Bench::new(&json!({}));
    bench.case().max_tokens = 2040;
    let ran = bench.run().await;
    assert_eq!(ran.failure().kind, FailureKind::Unsupported);
    assert_eq!(
        ran.failure().detail,
        "a prompt of 10 tokens and 2040 to generate do not fit into a context of 2048"
    );
}

// It measures something else.

#[tokio::test]
async fn a_broken_warm_up_ends_the_start() {
    let ran = Bench::new(&json!({"cached": 4})).run().await;
    assert_eq!(
        ran.invalid(),
        "warm-up run 1 breaks the rule `cold_cache`: 4 of 10 prompt tokens came from a cache"
    );
    assert_eq!(ran.runs().len(), 1);
}

/// The rules that the runs of such a server break, all in the same way.
async fn breaks(mut behaviour: serde_json::Value) -> Vec<(Rule, String)> {
    behaviour["from_run"] = json!(2);
    let ran = Bench::new(&behaviour).run().await;
    assert!(ran.invalid().starts_with("2 of 2 runs: run 1 breaks the rule `"), "{}", ran.invalid());
    let runs = ran.runs();
    assert_eq!(runs.len(), 3, "a run that breaks a rule does not end the start");
    assert!(runs.iter().all(|run| run.measurement.is_some()), "its numbers are recorded all the same");
    assert!(runs[0].broken.is_empty() && !runs[1].counts());
    ran.broken().into_iter().map(|(rule, detail)| (rule, detail.to_owned())).collect()
}

fn owned(expected: &[(Rule, &str)]) -> Vec<(Rule, String)> {
    expected.iter().map(|(rule, detail)| (*rule, (*detail).to_owned())).collect()
}

#[tokio::test]
async fn takes_tokens_from_a_cache() {
    let expected = owned(&[(Rule::ColdCache, "9 of 10 prompt tokens came from a cache")]);
    assert_eq!(breaks(json!({"cached": 9})).await, expected);
    assert_eq!(breaks(json!({"cached": 9, "version": "y2025"})).await, expected);
}

#[tokio::test]
async fn stops_early() {
    let expected = owned(&[(Rule::ExactLength, "5 of 8 tokens were generated; `eos` ended the run")]);
    assert_eq!(breaks(json!({"stop_after": 5})).await, expected);
}

#[tokio::test]
async fn cuts_the_context() {
    let expected = owned(&[(Rule::NotTruncated, "the server cut the context")]);
    assert_eq!(breaks(json!({"truncated": true})).await, expected);
}

#[tokio::test]
async fn miscounts_tokens() {
    let expected = owned(&[(Rule::ExactLength, "7 of 8 tokens were generated; `limit` ended the run")]);
    assert_eq!(breaks(json!({"predicted_n_off": -1})).await, expected);
    let expected = owned(&[(Rule::WholePrompt, "10 prompt tokens were sent, 7 were processed")]);
    assert_eq!(breaks(json!({"prompt_n_off": -3})).await, expected);
    let found = breaks(json!({"evaluated_off": 1})).await;
    assert_eq!(found, owned(&[(Rule::WholePrompt, "10 prompt tokens were sent, the server says it has 11")]));
}

/// Memory for each of these tokens would be 34 GB.
#[tokio::test]
async fn claims_more_tokens_than_there_can_be() {
    let found = breaks(json!({"claimed": u32::MAX})).await;
    let expected = "the timings count 8 generated tokens, the stream counts 4294967295";
    assert_eq!(found, owned(&[(Rule::ExactLength, expected)]));
}

#[tokio::test]
async fn speculates() {
    assert_eq!(breaks(json!({"drafted": 3})).await, owned(&[(Rule::NoSpeculation, "3 tokens were drafted")]));
}

#[tokio::test]
async fn reports_times_that_cannot_be() {
    let found = breaks(json!({"time_factor": 5.0, "prompt_rate": 1000.0})).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, Rule::PlausibleTimes);
    assert!(found[0].1.starts_with("the server says that the prompt took 50.000 ms, but"), "{}", found[0].1);
    let found = breaks(json!({"time_factor": 0.0})).await;
    assert_eq!(
        found,
        owned(&[
            (Rule::PlausibleTimes, "10 prompt tokens took no time"),
            (Rule::PlausibleTimes, "8 tokens took no time")
        ])
    );
}

// Somebody asks to stop.

async fn interrupted(behaviour: serde_json::Value, when: fn(&Progress) -> bool) {
    let bench = Bench::new(&behaviour);
    let at = std::cell::Cell::new(None);
    let mut memory = Memory::default();
    let ran = bench
        .run_with(&mut memory, |told| {
            if when(told) && at.get().is_none() {
                at.set(Some(Instant::now()));
                bench.interrupt.set();
            }
        })
        .await
        .unwrap();
    assert_eq!(ran.outcome, Outcome::Interrupted);
    assert_eq!(ran.closed().outcome, Outcome::Interrupted);
    let took = at.get().expect("it was interrupted").elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn interrupted_when_spawned() {
    interrupted(json!({"hang": "start"}), |told| *told == Progress::Spawned).await;
}

#[tokio::test]
async fn interrupted_while_it_loads() {
    interrupted(json!({"load_ms": 60_000.0}), |told| matches!(told, Progress::Loading { .. })).await;
}

#[tokio::test]
async fn interrupted_in_a_run() {
    interrupted(json!({"generation_rate": 10.0}), |told| matches!(told, Progress::Run { .. })).await;
}

#[tokio::test]
async fn interrupted_and_deaf() {
    let behaviour = json!({"generation_rate": 10.0, "ignore_sigterm": true, "leave": "session"});
    interrupted(behaviour, |told| matches!(told, Progress::Run { .. })).await;
}

#[tokio::test]
async fn interrupted_before_it_began() {
    let bench = Bench::new(&json!({}));
    bench.interrupt.set();
    let ran = bench.run().await;
    assert_eq!(ran.outcome, Outcome::Interrupted);
    assert!(ran.events.is_empty());
}

#[tokio::test]
async fn interrupted_while_it_is_stopped() {
    let mut bench = Bench::new(&json!({"ignore_sigterm": true}));
    bench.plan.timeouts.stop_ms = 60_000;
    let began = std::cell::Cell::new(None);
    let ran = bench
        .run_with(&mut Memory::default(), |told| {
            if *told == Progress::Stopping {
                began.set(Some(Instant::now()));
                let interrupt = bench.interrupt.clone();
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(50));
                    interrupt.set();
                });
            }
        })
        .await
        .unwrap();
    // The measuring was over.
    assert_eq!(ran.outcome, Outcome::Ok);
    assert!(began.get().unwrap().elapsed() < Duration::from_secs(5));
}

// The journal fails.

#[tokio::test]
async fn a_journal_that_fails_ends_the_start() {
    for fails_at in 0..6 {
        let bench = Bench::new(&json!({}));
        let mut memory = Memory { fails_at: Some(fails_at), ..Memory::default() };
        let error = bench.run_with(&mut memory, |_| ()).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot record an event of start 1 of case `fake/cpu/short`");
        assert_eq!(memory.events.len(), fails_at);
    }
}
