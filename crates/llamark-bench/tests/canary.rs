//! The canary of a start and its reference: what is asked, what is recorded, and that nothing fails over it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not take for tests"
)]

mod support;

use llamark_record::canary::{Agreement, CanaryAnswer, CanaryOutcome};
use llamark_record::journal::{Event, Outcome};
use llamark_record::plan::CacheType;
use serde_json::{Value, json};
use support::Bench;

const TOKENS: u32 = 12;

fn bench(behaviour: &Value) -> Bench {
    Bench::new(behaviour).canary(TOKENS)
}

fn answered(outcome: &CanaryOutcome) -> CanaryAnswer {
    outcome.answer().cloned().unwrap_or_else(|| panic!("{outcome:?}"))
}

/// The canary of a server that behaves so, against the reference of one that behaves otherwise.
async fn agreement(measured: Value, reference: Value) -> Agreement {
    let ran = bench(&measured).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let (_, reference) = bench(&reference).reference().await.unwrap();
    answered(ran.canary().unwrap()).agreement(&answered(&reference))
}

#[tokio::test]
async fn a_start_ends_with_its_canary_and_a_plan_without_one_asks_nothing() {
    let ran = bench(&json!({})).run().await;
    let kinds: Vec<bool> = ran.events.iter().map(|event| matches!(event, Event::Canary(_))).collect();
    assert_eq!(kinds, [false, false, false, false, false, true, false], "after the runs, before the close");
    let answer = answered(ran.canary().unwrap());
    assert_eq!(answer.tokens, (101..=112).collect::<Vec<i32>>());
    assert!(answer.text.starts_with(" w101 w102"), "{}", answer.text);
    assert!(answer.likeliest.is_empty(), "a measured server is not asked for probabilities");
    assert_eq!(Bench::new(&json!({})).run().await.canary(), None);
}

#[tokio::test]
async fn the_reference_is_on_the_processor_with_nothing_quantized_but_the_weights() {
    let mut bench = bench(&json!({"devices": ["Vulkan0"]})).on_vulkan();
    let settings = bench.backend().server.decided().unwrap().clone();
    bench.backend().server = llamark_record::plan::Settings::Decided(llamark_record::plan::ServerSettings {
        flash_attn: true,
        cache_type_k: CacheType::Q4_0,
        cache_type_v: CacheType::Q4_0,
        gpu_layers: llamark_record::plan::GpuLayers::All,
        ..settings
    });
    let (argv, reference) = bench.reference().await.unwrap();
    let answer = answered(&reference);
    assert_eq!((answer.tokens.len(), answer.likeliest.len()), (12, 12));
    assert_eq!(answer.likeliest[0], [(101, -100_000), (5_101, -6_100_000), (900_000, -12_100_000)]);
    let line = argv.join(" ");
    for part in [
        "--device none",
        "--n-gpu-layers 0",
        "--flash-attn off",
        "--cache-type-k f16",
        "--model {model}/fake.gguf",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[tokio::test]
async fn what_a_server_computes_wrong_is_told_from_rounding() {
    let good = || json!({});
    assert_eq!(agreement(good(), good()).await, Agreement::Equal);
    assert_eq!(agreement(json!({"parts_at": 5}), good()).await, Agreement::Wrong { at: 4, gap: 6_000_000 });
    let unsure = json!({"unsure_at": 5});
    assert_eq!(agreement(json!({"parts_at": 5}), unsure).await, Agreement::Rounding { at: 4, gap: 10_000 });
    assert_eq!(agreement(json!({"stuck_at": 3}), good()).await, Agreement::Stuck { at: 2, token: 7 });
    let silent = json!({"no_probabilities": true});
    assert_eq!(agreement(json!({"parts_at": 5}), silent.clone()).await, Agreement::Unknown { at: 4 });
    assert_eq!(agreement(good(), silent).await, Agreement::Equal);
}

#[tokio::test]
async fn an_older_version_is_asked_the_same() {
    let old = || json!({"version": "y2025"});
    assert_eq!(agreement(old(), old()).await, Agreement::Equal);
}

#[tokio::test]
async fn a_canary_that_dies_or_does_not_fit_costs_no_run() {
    // Three requests are those of the runs.
    let bench = bench(&json!({"from_run": 4, "die": {"at": "first_token", "signal": 9}}));
    let ran = bench.run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    assert_eq!(ran.runs().iter().filter(|run| run.counts()).count(), 2);
    assert_eq!(ran.closed().signal, Some(9));
    let missing = |reason: &str| CanaryOutcome::Missing { reason: reason.to_owned() };
    assert_eq!(ran.canary(), Some(&missing("the server died during the canary")));

    let ran = Bench::new(&json!({})).canary(3_000).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    assert_eq!(ran.canary(), Some(&missing("3010 tokens do not fit into a context of 2048")));

    let ran = self::bench(&json!({"from_run": 4, "stop_after": 3})).run().await;
    assert_eq!(ran.canary(), Some(&missing("the canary: the server gave 3 of 12 tokens")));
}

#[tokio::test]
async fn a_reference_that_cannot_be_made_says_why() {
    let of = |behaviour: Value| async move {
        match bench(&behaviour).impatient().reference().await.unwrap().1 {
            CanaryOutcome::Missing { reason } => reason,
            CanaryOutcome::Answer(answer) => panic!("{answer:?}"),
        }
    };
    let refuse =
        json!({"refuse": {"lines": ["error loading model: unknown model architecture: 'x'"], "code": 1}});
    insta::assert_snapshot!(of(refuse).await, @"this llama.cpp does not know the architecture of the model: the server ended during the load of the model with exit code 1");
    insta::assert_snapshot!(of(json!({"hang": "load"})).await, @"the load of the model took longer than 300 ms");
    insta::assert_snapshot!(of(json!({"status": [500, "Compute error."]})).await, @"the canary: /completion: HTTP 500: Compute error.");
    let gone = bench(&json!({}));
    gone.interrupt.set();
    assert_eq!(gone.reference().await, None);
}
