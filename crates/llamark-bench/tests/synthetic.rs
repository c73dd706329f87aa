//! Synthetic models in a real llama-server: every architecture and every quantization is loaded and generates.
//!
//! `LLAMARK_TEST_SERVER`: path of llama-server. `LLAMARK_TEST_LIBRARIES`, where needed: its `LD_LIBRARY_PATH`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests, which clippy does not take for tests"
)]

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use camino::Utf8PathBuf;
use llamark_gguf::Synthetic;
use llamark_record::journal::Outcome;
use llamark_record::plan::{
    SyntheticArchitecture, SyntheticModel, SyntheticPreset, SyntheticQuant, SyntheticShape,
    SyntheticTokenizer,
};
use support::Bench;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A start of the server with that model: how it ended, and what it said.
async fn start(server: &str, shape: SyntheticShape, quant: SyntheticQuant) -> (Outcome, String) {
    let server = Utf8PathBuf::from(server);
    let libraries = variable("LLAMARK_TEST_LIBRARIES").map(|path| ("LD_LIBRARY_PATH".to_owned(), path));
    let environment: BTreeMap<String, String> = libraries.into_iter().collect();
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
    let model = root.join("synthetic.gguf");
    let tokenizer = SyntheticTokenizer::BuiltIn;
    let description = SyntheticModel { like: None, shape, quant, tokenizer, seed: 1 };
    let made = Synthetic::new(&description, None).unwrap();
    made.write(&model, 2, &mut |_| ControlFlow::Continue(())).unwrap();
    let (build, name) = (server.parent().unwrap().to_owned(), server.file_name().unwrap().to_owned());
    let mut bench = Bench::with(root, build, &name, model, Some(folder), environment).with_all_files();
    bench.plan.timeouts.load_ms = 120_000;
    bench.plan.timeouts.request_ms = 60_000;
    bench.deadline = Duration::from_secs(400);
    bench.case().max_tokens = 8;
    bench.case().runs = 1;
    let ran = bench.run().await;
    let prompt = ran.ready().map(|ready| ready.prompt_tokens);
    println!(
        "{} {}: prompt {prompt:?} tokens, {:?}",
        description.file_name(),
        ran.took.as_millis(),
        ran.outcome
    );
    // A word that the vocabulary knows the pieces of is not spelled out by its bytes.
    let letters = support::PROMPT.len();
    assert!(prompt.is_none_or(|tokens| (tokens as usize) < letters), "{prompt:?} of {letters} letters");
    (ran.outcome, ran.log)
}

#[tokio::test]
async fn every_architecture_and_every_quantization_generates() {
    let Some(server) = variable("LLAMARK_TEST_SERVER") else {
        println!("skipped: LLAMARK_TEST_SERVER is not set");
        return;
    };
    // Tiny, and with the tokens of the larger presets, so that the pieces of words are there.
    let tiny = SyntheticShape { vocabulary: 4096, ..SyntheticPreset::Tiny.shape() };
    let mut cases: Vec<_> = SyntheticQuant::ALL.map(|quant| (tiny.clone(), quant)).into();
    let experts = SyntheticShape { vocabulary: 4096, ..SyntheticPreset::TinyMoe.shape() };
    for quant in [SyntheticQuant::Q4_K_M, SyntheticQuant::Q8_0] {
        let tied = SyntheticShape { tied: true, architecture: SyntheticArchitecture::Qwen3, ..tiny.clone() };
        cases.extend([(tied, quant), (experts.clone(), quant)]);
    }
    // Rows that blocks of 256 do not fill: types that llama-quantize falls back to.
    let odd = SyntheticShape { layers: 2, ..SyntheticPreset::Smollm2_135m.shape() };
    cases.extend([SyntheticQuant::Q4_K_M, SyntheticQuant::Q5_K_M].map(|quant| (odd.clone(), quant)));
    // Each preset, with two layers, a narrow vocabulary, and few experts.
    for preset in SyntheticPreset::ALL {
        let whole = preset.shape();
        let shape = SyntheticShape {
            layers: 2,
            vocabulary: 4096,
            embedding: whole.embedding.min(1024),
            feed_forward: whole.feed_forward.min(1536),
            experts: whole.experts.min(16),
            ..whole
        };
        cases.push((shape, SyntheticQuant::Q4_K_M));
    }
    for (shape, quant) in cases {
        let (outcome, log) = start(&server, shape, quant).await;
        assert_eq!(outcome, Outcome::Ok, "{log}");
    }
}
