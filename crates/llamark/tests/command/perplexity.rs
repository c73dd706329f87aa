//! The perplexity: measured once for each model and backend where it is asked for, and what is worse is suspect.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Box, events, flat, signal, until};
use crate::running::header;

const BOTH: &str = "cpu: { label: CPU }, gpu: { kind: vulkan, label: GPU }";
const GPU: &str = "gpu: { kind: vulkan, label: GPU }";
/// Of the text of 1280 words, 16 chunks of 64 tokens.
const ASKED: &str = "perplexity: { file: story.txt, context: 64 }";

/// A box with a device: its engine behaves so as llama-perplexity.
fn a_box(perplexity: &Value) -> Box {
    let a_box = Box::new();
    a_box.model("fox", "{}");
    std::fs::write(a_box.path("story.txt"), "It was a dark and stormy night. ".repeat(180)).unwrap();
    engine(&a_box, "engine", json!({ "perplexity": perplexity }));
    a_box
}

fn engine(a_box: &Box, name: &str, mut behaviour: Value) {
    behaviour["devices"] = json!(["Vulkan0"]);
    std::fs::create_dir_all(a_box.path(name)).unwrap();
    for program in ["llama-server", "llama-perplexity"] {
        let copy = a_box.path(name).join(program);
        if !copy.exists() {
            std::fs::copy(a_box.path("engine/llama-server"), copy).unwrap();
        }
    }
    std::fs::write(a_box.path(name).join("fake.json"), behaviour.to_string()).unwrap();
}

fn experiment(a_box: &Box, backends: &str, protocol: &str) {
    let text = format!(
        "schema: llamark/experiment/v1\nname: box\nengine: {{ source: {{ prebuilt: engine }} }}\n\
         backends: {{ {backends} }}\nprompts: {{ p: {{ text: Tell me a story about a fox. }} }}\n\
         protocol: {{ max_tokens: 8, context: 512, warmup: 0, telemetry: {{ rate: off }}, canary: false, {protocol} }}\n\
         models: [{{ name: fox, source: {{ file: fox.gguf }} }}]\n"
    );
    std::fs::write(a_box.path("box.yaml"), text).unwrap();
}

/// Runs the experiment; gives the report and what the terminal said.
fn reported(a_box: &Box) -> (String, String) {
    let (_, err) = a_box.run(&["run", "box.yaml"], 0);
    a_box.run(&["verify", "--level", "2"], 0);
    (std::fs::read_to_string(a_box.set().join("report.md")).unwrap(), flat(&err))
}

fn has_suspect(report: &str, row: &str) -> bool {
    report.lines().any(|line| line.starts_with(row) && line.contains("**suspect**"))
}

#[test]
fn backends_that_agree_are_shown_in_a_table_of_their_own() {
    let a_box = a_box(&json!({"printed": "20.0000", "on_device": "20.0600"}));
    experiment(&a_box, BOTH, &format!("runs: 1, starts: 2, {ASKED}"));
    let (plan, _) = a_box.run(&["plan", "box.yaml"], 0);
    assert!(plan.contains("at most 16 chunks of 64 tokens, by llama-perplexity"), "{plan}");
    let (report, err) = reported(&a_box);
    assert!(report.contains("| fox | CPU | 20.0000 ±2.0000 | 16 × 64 | 0.0 % |"), "{report}");
    assert!(report.contains("| fox | GPU | 20.0600 ±2.0060 | 16 × 64 | +0.3 % |"), "{report}");
    assert!(!has_suspect(&report, "|") && !report.contains("LM12"), "{report}");
    for line in [
        "fox on gpu: perplexity 20.0600 ± 2.0060 over 16 chunks",
        "Perplexity: fox on GPU: 20.0600 ± 2.0060.",
    ] {
        assert!(err.contains(line), "{line}: {err}");
    }
    let set = a_box.set();
    // Once for each backend, however many starts, after the last of them.
    let found = events(&set, "perplexity");
    let names: Vec<_> = found.iter().map(|one| (one["model"].as_str(), one["backend"].as_str())).collect();
    assert_eq!(names, [(Some("fox"), Some("cpu")), (Some("fox"), Some("gpu"))]);
    assert_eq!(found[1]["outcome"]["value"]["running"], json!(vec![200_600; 16]));
    let log = std::fs::read_to_string(set.join("perplexity/fox__gpu.log")).unwrap();
    assert!(log.contains("Final estimate: PPL = 20.0600"), "{log}");
    let plan: Value = serde_json::from_str(&std::fs::read_to_string(set.join("plan.json")).unwrap()).unwrap();
    assert_eq!(plan["plan"]["builds"][0]["extra_targets"], json!(["llama-perplexity"]));
}

#[test]
fn a_backend_that_predicts_the_text_worse_is_suspect_with_both_numbers() {
    let a_box = a_box(&json!({"printed": "20.0000", "on_device": "22.5000"}));
    experiment(&a_box, BOTH, &format!("runs: 3, starts: 2, {ASKED}"));
    let (report, err) = reported(&a_box);
    let finding = report.lines().find(|line| line.contains("**error LM123**")).unwrap_or(&report);
    for part in [
        "fox on GPU is suspect",
        "is 22.5000, and that of CPU is 20.0000: +12.5 %",
        "rounding explains only 7 %",
    ] {
        assert!(finding.contains(part), "{part}: {finding}");
    }
    assert!(has_suspect(&report, "| GPU |") && !has_suspect(&report, "| CPU |"), "{report}");
    assert!(has_suspect(&report, "| fox | GPU | 22.5000"), "{report}");
    assert!(!report.contains("TG GPU"), "it is not the fastest of anything: {report}");
    assert!(err.contains("suspect fox on GPU: its perplexity on the same text is 22.5000"), "{err}");
    let summary = std::fs::read_to_string(a_box.set().join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["cases"][1]["has_bad_perplexity"], json!(true));
    assert_eq!(summary["cases"][0].get("has_bad_perplexity"), None);
    let (classic, _) = a_box.run(&["report", "--template", "classic", "--format", "md"], 0);
    assert!(classic.contains("**suspect**"), "{classic}");
}

#[test]
fn what_is_no_number_is_suspect_even_alone() {
    let a_box = a_box(&json!({"printed": "nan"}));
    experiment(&a_box, GPU, &format!("runs: 1, {ASKED}"));
    let (report, err) = reported(&a_box);
    let expected = "its perplexity is not a number: llama-perplexity printed nan in chunk 1";
    assert!(report.contains(expected) && report.contains("LM123"), "{report}");
    assert!(err.contains("the perplexity of fox on gpu is not a number: nan in chunk 1"), "{err}");
}

#[test]
fn one_that_cannot_be_measured_fails_nothing_and_says_why() {
    let without = a_box(&json!({}));
    std::fs::remove_file(without.path("engine/llama-perplexity")).unwrap();
    experiment(&without, GPU, &format!("runs: 1, {ASKED}"));
    let (report, err) = reported(&without);
    assert!(err.contains("no perplexity for fox on gpu: the build has no llama-perplexity"), "{err}");
    assert!(report.contains("LM124") && report.contains("(the build has no llama-perplexity)"), "{report}");
    assert!(!has_suspect(&report, "|"), "{report}");
    let died = a_box(&json!({"die": 6}));
    experiment(&died, GPU, &format!("runs: 1, {ASKED}"));
    let (report, _) = reported(&died);
    assert!(report.contains("LM124") && report.contains("SIGABRT"), "{report}");
}

#[test]
fn a_backend_that_llama_bench_measures_has_one_too() {
    let a_box = a_box(&json!({"printed": "20.0000"}));
    std::fs::copy(a_box.path("engine/llama-server"), a_box.path("engine/llama-bench")).unwrap();
    experiment(&a_box, "cpu: { label: CPU, tool: llama-bench }", &format!("runs: 1, {ASKED}"));
    let text = std::fs::read_to_string(a_box.path("box.yaml")).unwrap();
    let text = text.replace("text: Tell me a story about a fox.", "tokens: 8");
    std::fs::write(a_box.path("box.yaml"), text).unwrap();
    let (report, _) = reported(&a_box);
    assert!(report.contains("| fox | CPU | 20.0000 ±2.0000 | 16 × 64 | — |"), "{report}");
}

#[test]
fn chunks_that_are_longer_than_the_model_was_trained_for_are_not_read() {
    let a_box = a_box(&json!({}));
    std::fs::write(a_box.path("models/fox.gguf"), header(512)).unwrap();
    experiment(&a_box, GPU, "runs: 1, perplexity: { file: story.txt, context: 513 }");
    let (report, err) = reported(&a_box);
    let expected = "it was trained for a context of 512 tokens, but a chunk of the perplexity has 513";
    assert!(report.contains(expected) && err.contains(expected), "{err}");
    assert!(!a_box.set().join("perplexity").exists());
}

#[test]
fn where_it_is_not_asked_for_nothing_is_measured() {
    let a_box = a_box(&json!({"printed": "nan"}));
    experiment(&a_box, GPU, "runs: 1");
    let (report, _) = reported(&a_box);
    assert!(!report.to_lowercase().contains("perplexity"), "{report}");
    let plan = std::fs::read_to_string(a_box.set().join("plan.json")).unwrap();
    assert!(!plan.contains("perplexity") && !plan.contains("extra_targets"), "{plan}");
    assert!(!a_box.set().join("perplexity").exists());
}

#[test]
fn an_interrupted_one_is_measured_by_the_same_command_and_nothing_else_again() {
    let a_box = a_box(&json!({"chunk_ms": 100.0}));
    experiment(&a_box, BOTH, &format!("runs: 1, {ASKED}"));
    let mut child = a_box.spawn(&["run", "box.yaml"]);
    until("perplexity", || a_box.sets().last().is_some_and(|set| !events(set, "perplexity").is_empty()));
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(a_box.servers().is_empty());
    assert_eq!(events(&a_box.set(), "perplexity").len(), 1);
    engine(&a_box, "engine", json!({}));
    let (report, err) = reported(&a_box);
    assert!(err.contains("Resuming") && !err.contains("fox on cpu: perplexity"), "{err}");
    assert!(report.contains("| fox | GPU | 20.0000"), "{report}");
    assert_eq!(events(&a_box.set(), "start_opened").len(), 2);
    assert_eq!(events(&a_box.set(), "perplexity").len(), 2);
}

#[test]
fn faster_and_worse_is_no_improvement() {
    let a_box = a_box(&json!({}));
    let behaves = |rate: f64, printed: &str| json!({"jitter": 0.002, "generation_rate": rate, "perplexity": {"printed": printed}});
    engine(&a_box, "engine", behaves(4000.0, "20.0000"));
    engine(&a_box, "other", behaves(6000.0, "30.0000"));
    experiment(&a_box, GPU, &format!("runs: 3, starts: 5, {ASKED}"));
    a_box.run(&["run", "box.yaml"], 0);
    let base = a_box.set();
    let text = std::fs::read_to_string(a_box.path("box.yaml")).unwrap();
    std::fs::write(a_box.path("box.yaml"), text.replace("prebuilt: engine", "prebuilt: other")).unwrap();
    a_box.run(&["run", "box.yaml"], 0);
    let candidate = a_box.sets().into_iter().find(|set| *set != base).unwrap();
    let sets = [base, candidate].map(|set| set.to_str().unwrap().to_owned());

    let (table, _) = a_box.run(&["diff", &sets[0], &sets[1]], 6);
    let table = flat(&table);
    assert!(!table.contains("% improved"), "{table}");
    let reason = "the candidate is suspect: its perplexity on the same text is 30.0000, and that of the baseline is 20.0000: +50.0 %";
    assert!(table.contains(reason), "{table}");
    let (text, _) = a_box.run(&["diff", &sets[0], &sets[1], "--format", "json"], 6);
    let found: Value = serde_json::from_str(&text).unwrap();
    let metrics = found["cases"][0]["metrics"].as_array().unwrap();
    let tg = metrics.iter().find(|one| one["metric"] == "tg").unwrap();
    assert_eq!(tg["verdict"], "suspect");

    // The other way round: what is better now may be called what it is.
    let (table, _) = a_box.run(&["diff", &sets[1], &sets[0]], 1);
    assert!(table.contains("regressed"), "{table}");
}

#[test]
fn of_two_variants_in_one_set_the_worse_one_is_no_improvement() {
    let a_box = a_box(&json!({}));
    let behaves = |rate: f64, printed: &str| json!({"jitter": 0.002, "generation_rate": rate, "perplexity": {"printed": printed}});
    engine(&a_box, "engine", behaves(4000.0, "20.0000"));
    engine(&a_box, "other", behaves(6000.0, "30.0000"));
    experiment(&a_box, GPU, &format!("runs: 3, starts: 5, {ASKED}"));
    let text = std::fs::read_to_string(a_box.path("box.yaml")).unwrap();
    let ab =
        "ab: { base: { label: old }, candidate: { label: new, engine: { source: { prebuilt: other } } } }\n";
    std::fs::write(a_box.path("box.yaml"), text + ab).unwrap();
    let (report, _) = reported(&a_box);
    assert!(has_suspect(&report, "| fox | GPU, new | 30.0000"), "{report}");
    let (table, _) = a_box.run(&["diff", a_box.set().to_str().unwrap()], 6);
    let table = flat(&table);
    assert!(
        table.contains("that of the baseline is 20.0000: +50.0 %") && !table.contains("% improved"),
        "{table}"
    );
}
