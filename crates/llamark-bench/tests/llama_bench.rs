//! llama-bench as the instrument of a start: what it is asked, what becomes of its samples, and what is not believed.

#![expect(clippy::panic, reason = "helpers of tests, which clippy does not take for tests")]

mod support;

use llamark_record::journal::{Failure, FailureKind, Outcome, Rule};
use llamark_record::metric::RunValues;
use serde_json::json;
use support::{Bench, Ran};

fn failure(ran: &Ran) -> &Failure {
    match &ran.outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("{other:?}\n{}", ran.log),
    }
}

#[tokio::test]
async fn every_sample_is_a_run_of_the_shape_that_a_server_would_have() {
    let mut bench = Bench::new(&json!({"prompt_rate": 40000.0, "generation_rate": 1000.0}))
        .by_llama_bench()
        .tokens(40)
        .deep(16);
    (bench.case().warmup, bench.case().runs, bench.case().max_tokens) = (3, 4, 9);
    let ran = bench.run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let report = ran.report().unwrap();
    assert_eq!((report.build_info.as_str(), report.prompt_tokens), ("b11434-pkg", 40));
    assert!(report.proofs.iter().all(|proof| proof.agrees == Some(true)), "{:#?}", report.proofs);
    // A process for the prompt, and one for the steps behind it.
    let shape = |command: &[String]| {
        let value = |name: &str| {
            let at = command.iter().position(|arg| arg == name).unwrap();
            command[at + 1].parse::<u32>().unwrap()
        };
        ["--n-prompt", "--n-gen", "--n-depth", "--repetitions"].map(value)
    };
    let shapes: Vec<_> = report.commands.iter().map(|command| shape(command)).collect();
    assert_eq!(shapes, [[40, 0, 16, 6], [0, 8, 56, 6]]);
    assert!(report.commands.iter().all(|command| command[0] == "{build}/bin/llama-bench"), "{report:?}");
    assert_eq!(ran.opened().argv, report.commands[0]);
    // Its own warm-up, two more that are recorded, and those that count.
    let kinds: Vec<_> = ran.runs().iter().map(|run| (run.index, run.warmup, run.counts())).collect();
    let counted = (1..=4).map(|index| (index, false, true));
    assert_eq!(kinds, [(1, true, false), (2, true, false)].into_iter().chain(counted).collect::<Vec<_>>());
    for run in ran.runs() {
        let values = RunValues::of(run);
        assert!((values.pp.unwrap() / 40000.0 - 1.0).abs() < 1e-3, "{values:?}");
        assert!((values.tg.unwrap() / 1000.0 - 1.0).abs() < 1e-3, "{values:?}");
        assert_eq!(values.ttft, [None; 3], "it says nothing of it, and nothing is made up");
    }
    assert!(ran.ready().is_none() && ran.closed().max_rss_bytes.is_some());
}

#[tokio::test]
async fn a_llama_cpp_of_2025_is_asked_in_its_own_words() {
    let ran = Bench::new(&json!({"version": "y2025"})).by_llama_bench().tokens(4).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let command = ran.report().unwrap().commands[0].join(" ");
    assert!(command.contains("--flash-attn 1") && command.contains("--mmap 0"), "{command}");
}

#[tokio::test]
async fn a_single_token_is_no_step() {
    let mut bench = Bench::new(&json!({})).by_llama_bench().tokens(4);
    bench.case().max_tokens = 1;
    let ran = bench.run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    assert_eq!(ran.report().unwrap().commands.len(), 1);
    assert!(ran.runs().iter().all(|run| run.bench.as_deref().unwrap().generation.is_none()));
}

#[tokio::test]
async fn a_device_that_is_not_used_makes_the_start_invalid() {
    let behaviour = json!({"devices": ["Vulkan0"], "cpu_fallback": true});
    let ran = Bench::new(&behaviour).by_llama_bench().on_vulkan().tokens(4).run().await;
    let Outcome::Invalid { reason } = &ran.outcome else { panic!("{:?}", ran.outcome) };
    assert!(reason.contains("`device` is CPU") && reason.contains("Vulkan0"), "{reason}");
    assert!(ran.runs().is_empty());
    let ran = Bench::new(&json!({"devices": ["Vulkan0"]})).by_llama_bench().on_vulkan().tokens(4).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
}

#[tokio::test]
async fn a_row_of_another_test_breaks_a_rule() {
    let ran = Bench::new(&json!({"prompt_n_off": -1})).by_llama_bench().tokens(4).run().await;
    assert!(
        matches!(&ran.outcome, Outcome::Invalid { reason } if reason.contains("3 tokens of the prompt")),
        "{ran:?}"
    );
    assert_eq!(ran.runs()[0].broken[0].rule, Rule::WholePrompt);
}

#[tokio::test]
async fn a_row_that_is_cut_off_and_a_death_are_told() {
    let ran = Bench::new(&json!({"cut": true})).by_llama_bench().tokens(4).run().await;
    assert_eq!(failure(&ran).kind, FailureKind::Protocol);
    assert!(failure(&ran).detail.contains("printed 0 rows"), "{:?}", failure(&ran));
    let ran =
        Bench::new(&json!({"die": {"at": "load", "signal": 11}})).by_llama_bench().tokens(4).run().await;
    assert_eq!((failure(&ran).kind, ran.closed().signal), (FailureKind::Crash, Some(11)));
    assert_eq!(failure(&ran).detail, "SIGSEGV ended the prompt test of llama-bench");
    let ran = Bench::new(&json!({"refuse": {"lines": ["something"], "code": 3}}))
        .by_llama_bench()
        .tokens(4)
        .run()
        .await;
    assert_eq!(failure(&ran).detail, "the prompt test of llama-bench ended with exit code 3");
    let refuse = json!({"refuse": {"lines": ["ggml_vulkan: Device memory allocation of size 1 failed.",
        "ggml_vulkan: vk::Device::allocateMemory: ErrorOutOfDeviceMemory"], "code": 1}});
    let ran = Bench::new(&refuse).by_llama_bench().tokens(4).run().await;
    assert_eq!(failure(&ran).kind, FailureKind::OutOfMemory, "{:?}", failure(&ran));
    let mut hanging = Bench::new(&json!({"hang": "load"})).by_llama_bench().tokens(4);
    (hanging.plan.timeouts.load_ms, hanging.plan.timeouts.request_ms) = (200, 10);
    let ran = hanging.run().await;
    assert_eq!(failure(&ran).kind, FailureKind::Timeout);
    assert!(failure(&ran).detail.contains("the prompt test of llama-bench"), "{:?}", failure(&ran));
}

#[tokio::test]
async fn what_it_cannot_measure_is_refused_before_it_is_started() {
    let text = Bench::new(&json!({})).by_llama_bench().run().await;
    assert_eq!(failure(&text).kind, FailureKind::Unsupported);
    assert!(
        failure(&text).detail.contains("not a text") && failure(&text).hint.contains("tokens"),
        "{text:?}"
    );
    let mut absent = Bench::new(&json!({})).by_llama_bench().tokens(4);
    absent.build.bench = None;
    let ran = absent.run().await;
    assert!(failure(&ran).detail.contains("the build has no llama-bench"), "{ran:?}");
    let mut streams = Bench::new(&json!({})).by_llama_bench().tokens(4);
    streams.case().concurrency = 2;
    assert!(failure(&streams.run().await).detail.contains("no concurrent streams"), "two streams");
    assert!(streams.backend().is_cpu());
}

#[tokio::test]
async fn whoever_asks_to_stop_does_not_wait() {
    let mut bench = Bench::new(&json!({"hang": "load"})).by_llama_bench().tokens(4);
    bench.plan.timeouts.load_ms = 60_000;
    let interrupt = bench.interrupt.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        interrupt.set();
    });
    let ran = bench.run().await;
    assert_eq!(ran.outcome, Outcome::Interrupted);
    assert!(ran.took < std::time::Duration::from_secs(5), "{:?}", ran.took);
}
