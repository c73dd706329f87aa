//! The shape of a run: prompts of an exact length and the depth before them, and the proof that they are so.

mod support;

use llamark_record::journal::{FailureKind, Outcome, Rule};
use llamark_record::metric::{RunValues, prompt_rate};
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
        // The rate is that of the prompt alone: 10 ms, where the depth takes another 100 ms.
        assert_eq!(prompt_rate(measured.prompt_tokens, measured.prompt_us), Some(4000.0));
        assert!(measured.first_token_ns < 95_000_000, "{measured:?}");
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

#[tokio::test]
async fn several_streams_are_under_way_at_once_each_in_a_slot_of_its_own() {
    let ran = Bench::new(&json!({"generation_rate": 100.0})).streams(4).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{:#?}\n{}", ran.ready(), ran.log);
    let opened = ran.opened().argv.join(" ");
    assert!(opened.contains("--parallel 4") && opened.contains("--ctx-size 8192"), "{opened}");
    assert!(opened.contains("--no-kv-unified"), "{opened}");
    for run in ran.runs() {
        assert_eq!(run.broken, []);
        assert!(run.measurement.is_none(), "none of them is the run");
        assert_eq!(run.streams.len(), 4);
        for stream in &run.streams {
            assert_eq!(
                (stream.measurement.prompt_tokens, stream.measurement.generated_tokens),
                (PROMPT_TOKENS, 8)
            );
        }
        assert_eq!(run.gaps.unwrap().count, 4 * 7);
        let values = RunValues::of(run);
        // One stream makes 100 tok/s; four at once up to four times that, and never more.
        let (all, one) = (values.tg.unwrap(), values.tg_stream.unwrap());
        assert!((99.9..100.1).contains(&one), "{one}");
        assert!((110.0..=400.1).contains(&all), "{all}");
        assert!(values.ttft.iter().all(Option::is_some));
    }
}

#[tokio::test]
async fn every_slot_has_its_depth() {
    let ran = Bench::new(&json!({})).streams(3).deep(64).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    for stream in ran.runs().iter().flat_map(|run| &run.streams) {
        assert_eq!(stream.measurement.cached_tokens, Some(64));
        assert_eq!(stream.measurement.prompt_tokens, PROMPT_TOKENS);
    }
}

#[tokio::test]
async fn a_slot_that_is_missing_is_seen() {
    let ran = Bench::new(&json!({"slots": 3})).streams(4).run().await;
    assert!(ran.invalid().contains("`slots` is 3 (/props), the plan asks for 4"), "{}", ran.invalid());
    let ran = Bench::new(&json!({"context": 1024})).streams(4).run().await;
    assert!(ran.invalid().contains("`context` is 1024"), "{}", ran.invalid());
}

#[tokio::test]
async fn what_one_stream_breaks_is_said_of_it() {
    // The seventh request: the third of the second run, after a warm-up of two.
    let ran = Bench::new(&json!({"stop_after": 3, "from_run": 6})).streams(2).run().await;
    let broken = ran.broken();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(broken[0].1.starts_with("stream "), "{broken:?}");
    assert!(!ran.runs()[2].counts());
}

#[tokio::test]
async fn a_server_that_dies_under_several_streams_is_a_crash() {
    let ran =
        Bench::new(&json!({"die": {"at": "mid_stream", "signal": 6}, "from_run": 3})).streams(2).run().await;
    assert_eq!(ran.failure().kind, FailureKind::Crash);
    assert_eq!(ran.broken()[0].0, Rule::Answered);
}

#[tokio::test]
async fn times_between_tokens_are_of_tokens() {
    let ran = Bench::new(&json!({"generation_rate": 200.0, "tokens_per_event": 4})).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    for run in ran.runs() {
        let gaps = run.gaps.unwrap();
        // Events of 4 tokens, 20 ms apart: one gap of 20 ms, and six of 0.
        assert_eq!((gaps.count, gaps.p50_ns), (7, 0));
        assert!((15_000_000..500_000_000).contains(&gaps.max_ns), "{gaps:?}");
        assert_eq!(gaps.p99_ns, gaps.max_ns);
    }
    let ran = Bench::new(&json!({"generation_rate": 200.0})).run().await;
    let gaps = ran.runs()[1].gaps.unwrap();
    assert!((3_000_000..100_000_000).contains(&gaps.p50_ns), "{gaps:?}");
}
