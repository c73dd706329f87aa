//! The shape of a run: prompts of an exact length and the depth before them, and the proof that they are so.

mod support;

use llamark_record::journal::{Outcome, Rule};
use llamark_record::metric::prompt_rate;
use serde_json::json;
use support::{Bench, PROMPT_TOKENS};

#[tokio::test]
async fn a_prompt_has_exactly_as_many_tokens_as_are_asked_for() {
    // Fewer than the text has, as many, and several times the text.
    for tokens in [1, 4, PROMPT_TOKENS, 11, 500] {
        let ran = Bench::new(&json!({})).tokens(tokens).run().await;
        assert_eq!(ran.outcome, Outcome::Ok, "{tokens}: {}", ran.log);
        assert_eq!(ran.ready().unwrap().prompt_tokens, tokens);
        for run in ran.runs() {
            assert_eq!(run.measurement.as_ref().unwrap().prompt_tokens, tokens);
        }
    }
}

#[tokio::test]
async fn the_same_prompt_has_the_same_ids_in_every_start() {
    let digest = async |bench: Bench| bench.run().await.ready().unwrap().prompt_ids.clone();
    let once = digest(Bench::new(&json!({})).tokens(300)).await;
    assert_eq!(once, digest(Bench::new(&json!({})).tokens(300)).await);
    assert_eq!(once, digest(Bench::new(&json!({})).tokens(300).deep(64)).await, "at every depth, too");
    assert_ne!(once, digest(Bench::new(&json!({})).tokens(301)).await);
}

#[tokio::test]
async fn the_depth_is_in_the_cache_before_every_run_and_does_not_count() {
    let ran = Bench::new(&json!({"prompt_rate": 4000.0})).tokens(40).deep(400).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let ready = ran.ready().unwrap();
    assert_eq!(ready.prompt_tokens, 40);
    assert!(ready.depth_ids.is_some());
    assert_eq!(ran.runs().len(), 3);
    for run in ran.runs() {
        assert_eq!(run.broken, []);
        let measured = run.measurement.as_ref().unwrap();
        assert_eq!((measured.cached_tokens, measured.prompt_tokens), (Some(400), 40));
        // The rate is that of the prompt alone: 10 ms, where the depth takes 100 ms.
        assert_eq!(prompt_rate(measured.prompt_tokens, measured.prompt_us), Some(4000.0));
        assert!(measured.first_token_ns < 60_000_000, "{measured:?}");
    }
}

#[tokio::test]
async fn a_llama_cpp_of_2025_shows_the_depth_by_what_it_evaluates() {
    let ran = Bench::new(&json!({"version": "y2025"})).deep(32).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let measured = ran.runs()[1].measurement.clone().unwrap();
    assert_eq!((measured.cached_tokens, measured.prompt_tokens), (None, PROMPT_TOKENS));
}

#[tokio::test]
async fn a_cache_that_does_not_hold_the_depth_makes_the_case_invalid() {
    let ran = Bench::new(&json!({"forgets": true})).deep(32).run().await;
    insta::assert_snapshot!(ran.invalid(), @"warm-up run 1 breaks the rule `depth`: 0 tokens came from the cache and 42 were evaluated; a depth of 32 and a prompt of 10 were asked for (attention over a sliding window and recurrent state cannot be cut back to a depth: measure such a model without `depth`)");
    assert_eq!(ran.broken()[0].0, Rule::Depth);

    let ran = Bench::new(&json!({"cache_n_off": 1, "from_run": 4})).deep(32).run().await;
    insta::assert_snapshot!(ran.invalid(), @"2 of 2 runs: run 1 breaks the rule `depth`: 33 tokens came from the cache and 10 were evaluated; a depth of 32 and a prompt of 10 were asked for");
}

#[tokio::test]
async fn a_depth_that_the_context_cannot_hold_is_refused() {
    let ran = Bench::new(&json!({})).tokens(512).deep(1600).run().await;
    insta::assert_snapshot!(ran.failure().detail, @"a depth of 1600, a prompt of 512 tokens and 8 to generate do not fit into a context of 2048");
}
