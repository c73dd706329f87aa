//! The real thing: a llama-server and a model that the environment names, through the whole of a start.
//!
//! `LLAMARK_TEST_SERVER`: path of llama-server. `LLAMARK_TEST_MODEL`: path of a GGUF.
//! `LLAMARK_TEST_LIBRARIES`, where needed: `LD_LIBRARY_PATH` of the server.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests, which clippy does not take for tests"
)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::canary::{Agreement, CanaryOutcome};
use llamark_record::journal::Outcome;
use llamark_record::metric::{RunValues, generation_rate, prompt_rate};
use llamark_record::plan::{PlannedCanary, PlannedPerplexity};
use support::Bench;

fn bench() -> Option<Bench> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(server), Some(model)) = (variable("LLAMARK_TEST_SERVER"), variable("LLAMARK_TEST_MODEL"))
    else {
        println!("skipped: LLAMARK_TEST_SERVER and LLAMARK_TEST_MODEL are not set");
        return None;
    };
    let libraries = variable("LLAMARK_TEST_LIBRARIES").map(|path| ("LD_LIBRARY_PATH".to_owned(), path));
    let environment: BTreeMap<String, String> = libraries.into_iter().collect();
    let server = Utf8PathBuf::from(server);
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
    let build_folder = server.parent().unwrap().to_owned();
    let name = server.file_name().unwrap().to_owned();
    let mut bench =
        Bench::with(root, build_folder, &name, Utf8Path::new(&model).to_owned(), Some(folder), environment)
            .with_all_files();
    bench.plan.timeouts.load_ms = 120_000;
    bench.plan.timeouts.request_ms = 60_000;
    bench.deadline = Duration::from_secs(400);
    bench.case().max_tokens = 32;
    bench.case().runs = 3;
    Some(bench)
}

/// One server at a time: llama.cpp waits in a loop, so that two on the same cores slow each other down a hundredfold.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test]
async fn a_real_start() {
    let _turn = TURN.lock().await;
    let Some(bench) = bench() else { return };
    let ran = bench.run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{:#?}\n{}", ran.ready(), ran.log);
    let ready = ran.ready().unwrap();
    println!("build {} · load {:?} · prompt {} tokens", ready.build_info, ready.load, ready.prompt_tokens);
    for proof in &ready.proofs {
        let observed = proof.observed.as_deref().unwrap_or("not shown");
        println!(
            "  {:<16} {:<24} {observed:<24} {} {:?}",
            proof.setting, proof.asked, proof.source, proof.agrees
        );
    }
    for buffer in &ready.buffers {
        println!("  {:?} {} {} bytes", buffer.holds, buffer.device, buffer.bytes);
    }
    let mut work_us = ready.load.ready_us;
    for run in ran.runs() {
        let measured = run.measurement.as_ref().unwrap();
        assert!(run.broken.is_empty());
        println!(
            "  {} {}: pp {:.1} tg {:.1} tok/s, ttft {:.2} ms by us, prompt {:.2} ms by the server, {} arrivals",
            if run.warmup { "warm-up" } else { "run" },
            run.index,
            prompt_rate(measured.prompt_tokens, measured.prompt_us).unwrap(),
            generation_rate(measured.generated_tokens, measured.generation_us).unwrap(),
            measured.first_token_ns as f64 / 1e6,
            measured.prompt_us as f64 / 1e3,
            measured.arrivals.len(),
        );
        work_us += measured.total_ns / 1_000;
    }
    let closed = ran.closed();
    assert_eq!(closed.exit_code, Some(0));
    println!("  rss {:?} · lifetime {} us · wall {:?}", closed.max_rss_bytes, closed.lifetime_us, ran.took);
    println!("  beyond load and runs: {:.1} ms", ran.took.as_secs_f64() * 1e3 - work_us as f64 / 1e3);
}

/// Greedy sampling of the same ids gives the same tokens, start after start.
#[tokio::test]
async fn output_is_the_same_each_time() {
    let _turn = TURN.lock().await;
    let Some(bench) = bench() else { return };
    let began = Instant::now();
    let ran = bench.run().await;
    let ids: Vec<_> = ran.runs().iter().map(|run| run.measurement.clone().unwrap().output_ids).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    println!("{:?} in {:?}", ids[0], began.elapsed());
}

/// The processor agrees with itself, and says how sure it was. Not always token for token: the order of sums depends on what
/// the cache held before, and where the model is not sure, that decides between two tokens.
#[tokio::test]
async fn a_real_canary() {
    let _turn = TURN.lock().await;
    let Some(bench) = bench() else { return };
    let mut bench = bench;
    bench.case().runs = 1;
    let text = "Days: Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday. Again: Monday, Tuesday, \
                Wednesday, Thursday, Friday, Saturday, Sunday. Again: Monday, Tuesday,";
    bench.plan.canary = Some(PlannedCanary::new(24, text.to_owned()));
    let ran = bench.run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{:#?}\n{}", ran.ready(), ran.log);
    let own = ran.canary().and_then(CanaryOutcome::answer).unwrap();
    let began = Instant::now();
    let (argv, reference) = bench.reference().await.unwrap();
    let reference = reference.answer().unwrap_or_else(|| panic!("{reference:?}"));
    println!("{} in {:?}\n{:?}", argv.join(" "), began.elapsed(), reference.text);
    println!("{:?}", reference.likeliest);
    let agreement = own.agreement(reference);
    assert!(
        matches!(agreement, Agreement::Equal | Agreement::Rounding { .. }),
        "{agreement:?}\n{own:?}\n{reference:?}"
    );
    assert!(own.text.starts_with(" Wednesday, Thursday,"), "{own:?}");
    assert_eq!((reference.tokens.len(), reference.likeliest.len()), (24, 24));
    for (token, likeliest) in reference.tokens.iter().zip(&reference.likeliest) {
        assert_eq!(likeliest.len(), 10);
        assert!(likeliest.is_sorted_by(|a, b| a.1 >= b.1) && likeliest[0].1 <= 0, "{likeliest:?}");
        // The likeliest one, but for those that would end the text.
        assert!(likeliest[..4].iter().any(|(id, _)| id == token), "{token}: {likeliest:?}");
    }
}

/// llama.cpp's own llama-perplexity, where it lies beside the server: two chunks of a text that anybody can have.
#[tokio::test]
async fn a_real_perplexity() {
    let _turn = TURN.lock().await;
    let Some(bench) = bench() else { return };
    if !bench.perplexity_program().is_file() {
        println!("skipped: there is no llama-perplexity beside the server");
        return;
    }
    let text = include_str!("../../../experiments/texts/alice.txt");
    let bench = bench.asked_for(PlannedPerplexity::new(128, 2, text.to_owned()));
    let (argv, outcome) = bench.perplexity().await.unwrap();
    println!("{}\n{outcome:?}", argv.join(" "));
    let value = outcome.value().unwrap();
    assert_eq!(value.running.len(), 2);
    assert!((20.0..40.0).contains(&value.perplexity()), "{value:?}");
}

/// Exactly the tokens asked for, at a depth that is there before every run, by the server's own account.
#[tokio::test]
async fn a_real_depth() {
    let _turn = TURN.lock().await;
    let Some(bench) = bench() else { return };
    let mut bench = bench.tokens(128).deep(512);
    bench.case().max_tokens = 8;
    let ran = bench.run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{:#?}\n{}", ran.ready(), ran.log);
    for run in ran.runs() {
        let measured = run.measurement.as_ref().unwrap();
        assert_eq!(measured.prompt_tokens, 128);
        assert!(measured.cached_tokens.is_none_or(|cached| cached == 512), "{measured:?}");
        println!(
            "  run {}: pp {:.1} tg {:.1} tok/s",
            run.index,
            prompt_rate(measured.prompt_tokens, measured.prompt_us).unwrap(),
            generation_rate(measured.generated_tokens, measured.generation_us).unwrap(),
        );
    }
}

/// Four streams at once, each in a slot of its own.
#[tokio::test]
async fn real_streams() {
    let _turn = TURN.lock().await;
    let Some(bench) = bench() else { return };
    let mut bench = bench.tokens(64).streams(4);
    bench.case().max_tokens = 16;
    let ran = bench.run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{:#?}\n{}", ran.ready(), ran.log);
    for run in ran.runs() {
        assert_eq!(run.streams.len(), 4);
        println!("  run {}: {:?}", run.index, RunValues::of(run));
    }
}

/// llama-bench, beside the server: the same shape, its own clock, the device proven by its log.
#[tokio::test]
async fn a_real_llama_bench() {
    let _turn = TURN.lock().await;
    let Some(bench) = bench() else { return };
    if !bench.build_folder.join("llama-bench").exists() {
        println!("skipped: there is no llama-bench beside the server");
        return;
    }
    let mut bench = bench.by_llama_bench().tokens(64).deep(32);
    (bench.case().warmup, bench.case().max_tokens) = (2, 9);
    bench.backend().note = "as the others".to_owned();
    let ran = bench.run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{:#?}\n{}", ran.report(), ran.log);
    let report = ran.report().unwrap();
    for proof in &report.proofs {
        println!("  {:<16} {:<24} {:?} {:?}", proof.setting, proof.asked, proof.observed, proof.agrees);
    }
    let device = report.proofs.iter().find(|proof| proof.setting == "device").unwrap();
    assert_eq!(device.agrees, Some(true), "{device:?}");
    assert!(!report.buffers.is_empty() && report.commands.len() == 2, "{report:?}");
    assert_eq!(ran.runs().iter().filter(|run| run.warmup).count(), 1, "the first warm-up is its own");
    assert_eq!(ran.runs().iter().filter(|run| run.counts()).count(), 3);
    for run in ran.runs() {
        let timed = run.bench.as_deref().unwrap();
        let (prompt, generation) = (timed.prompt.unwrap(), timed.generation.unwrap());
        assert_eq!((prompt.tokens, prompt.depth, generation.tokens, generation.depth), (64, 32, 8, 96));
        let values = RunValues::of(run);
        println!("  pp {:.1} tg {:.1} tok/s", values.pp.unwrap(), values.tg.unwrap());
    }
    assert!(ran.closed().max_rss_bytes.unwrap() > 50 << 20);
}
