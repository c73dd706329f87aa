//! The perplexity of a backend: what is asked, what is recorded, and that nothing fails over it.

#![expect(clippy::panic, reason = "helpers of tests, which clippy does not take for tests")]

mod support;

use std::time::Duration;

use llamark_record::perplexity::PerplexityOutcome;
use serde_json::{Value, json};
use support::Bench;

/// Of 5 chunks of 32 tokens, from a text of 170 words.
fn bench(behaviour: &Value) -> Bench {
    Bench::new(&json!({ "perplexity": behaviour })).with_perplexity(32, 16, 170)
}

async fn reason(bench: &Bench) -> String {
    match bench.perplexity().await {
        Some((_, PerplexityOutcome::Missing { reason })) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_text_is_read_to_its_end_with_the_settings_of_the_backend() {
    let (argv, outcome) = bench(&json!({"printed": "12.3456"})).perplexity().await.unwrap();
    let value = outcome.value().unwrap_or_else(|| panic!("{outcome:?}"));
    assert_eq!((value.running.as_slice(), value.error), (&[123_456; 5][..], Some(123_456)));
    let line = argv.join(" ");
    for part in [
        "{build}/bin/llama-perplexity --model {model}/fake.gguf --file {scratch}/text.txt",
        "--ctx-size 32 --chunks 16 --threads 2",
        "--flash-attn on --cache-type-k f16",
        "--load-mode none",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[tokio::test]
async fn a_llama_cpp_of_2025_is_asked_in_its_own_words() {
    let old = Bench::new(&json!({"version": "y2025"})).with_perplexity(32, 2, 64);
    let (argv, outcome) = old.perplexity().await.unwrap();
    assert_eq!(outcome.value().map(|value| value.running.len()), Some(2), "{outcome:?}");
    assert!(!argv.join(" ").contains("--no-kv-unified"), "it has no such flag: {argv:?}");
}

#[tokio::test]
async fn a_device_is_asked_for_and_must_be_seen() {
    let on = |behaviour: Value| Bench::new(&behaviour).on_vulkan().with_perplexity(32, 2, 64);
    let good =
        on(json!({"devices": ["Vulkan0"], "perplexity": {"printed": "1.0000", "on_device": "3.0000"}}));
    let (argv, outcome) = good.perplexity().await.unwrap();
    assert!(argv.join(" ").contains("--device Vulkan0 --n-gpu-layers all"), "{argv:?}");
    assert_eq!(outcome.value().unwrap().running, [30_000; 2]);
    let fallen = reason(&on(json!({"devices": ["Vulkan0"], "cpu_fallback": true}))).await;
    assert!(fallen.contains("`device` is CPU") && fallen.contains("the plan asks for Vulkan0"), "{fallen}");
}

#[tokio::test]
async fn what_is_no_number_is_an_outcome_of_its_own() {
    let (_, outcome) = bench(&json!({"printed": "nan"})).perplexity().await.unwrap();
    assert_eq!(outcome, PerplexityOutcome::NotFinite { chunk: 1, printed: "nan".to_owned() });
}

#[tokio::test]
async fn whatever_goes_wrong_is_a_perplexity_that_is_missing() {
    let died = reason(&bench(&json!({"die": 11}))).await;
    assert_eq!(died, "SIGSEGV ended llama-perplexity");
    let mut hung = bench(&json!({"hang": true}));
    (hung.plan.timeouts.load_ms, hung.plan.timeouts.request_ms) = (200, 10);
    assert_eq!(reason(&hung).await, "llama-perplexity took longer than 360 ms");
    let short = Bench::new(&json!({})).with_perplexity(32, 16, 60);
    assert_eq!(reason(&short).await, "the text has 60 tokens of this model, and two chunks need 64");
    let mut without = bench(&json!({}));
    without.build.files.clear();
    assert_eq!(reason(&without).await, "the build has no llama-perplexity");
    let other = bench(&json!({}));
    std::fs::remove_file(other.build_folder.join("bin/llama-perplexity")).unwrap();
    assert!(reason(&other).await.contains("cannot ask"), "a program that is gone");
}

#[tokio::test]
async fn an_interrupt_ends_it_and_leaves_nothing() {
    let bench = bench(&json!({"hang": true}));
    let interrupt = bench.interrupt.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        interrupt.set();
    });
    assert_eq!(bench.perplexity().await, None);
    assert_eq!(bench.perplexity().await, None, "and before it begins");
}
