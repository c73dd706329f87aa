//! The canary: what is fast and wrong is said to be, wherever somebody would believe the number.

use serde_json::{Value, json};

use crate::harness::{Box, events, flat, signal, until};

/// A box with a device: its engine behaves so.
fn a_box(behaviour: Value) -> Box {
    let a_box = Box::new();
    a_box.model("fox", "{}");
    engine(&a_box, "engine", behaviour);
    a_box
}

fn engine(a_box: &Box, name: &str, mut behaviour: Value) {
    behaviour["devices"] = json!(["Vulkan0"]);
    std::fs::create_dir_all(a_box.path(name)).unwrap();
    if name != "engine" {
        std::fs::copy(a_box.path("engine/llama-server"), a_box.path(name).join("llama-server")).unwrap();
    }
    std::fs::write(a_box.path(name).join("fake.json"), behaviour.to_string()).unwrap();
}

/// An experiment on these backends, with the usual canary.
fn experiment(a_box: &Box, backends: &str, protocol: &str) {
    let text = format!(
        "schema: llamark/experiment/v1\nname: box\nengine: {{ source: {{ prebuilt: engine }} }}\n\
         backends: {{ {backends} }}\nprompts: {{ p: {{ text: Tell me a story about a fox. }} }}\n\
         protocol: {{ max_tokens: 8, context: 512, warmup: 0, telemetry: {{ rate: off }}, {protocol} }}\n\
         models: [{{ name: fox, source: {{ file: fox.gguf }} }}]\n"
    );
    std::fs::write(a_box.path("box.yaml"), text).unwrap();
}

const BOTH: &str = "cpu: { label: CPU }, gpu: { kind: vulkan, label: GPU }";
const GPU: &str = "gpu: { kind: vulkan, label: GPU }";

/// Whether some row of a table says it.
fn has_suspect(report: &str, row: &str) -> bool {
    report.lines().any(|line| line.starts_with(row) && line.contains("**suspect**"))
}

/// Runs the experiment; gives the report and what the terminal said.
fn reported(a_box: &Box) -> (String, String) {
    let (_, err) = a_box.run(&["run", "box.yaml"], 0);
    a_box.run(&["verify", "--level", "2"], 0);
    (std::fs::read_to_string(a_box.set().join("report.md")).unwrap(), flat(&err))
}

fn summary(a_box: &Box) -> Value {
    serde_json::from_str(&std::fs::read_to_string(a_box.set().join("summary.json")).unwrap()).unwrap()
}

#[test]
fn a_device_that_agrees_with_the_processor_is_said_to_in_one_line() {
    let a_box = a_box(json!({}));
    experiment(&a_box, BOTH, "runs: 1, starts: 2");
    let (report, err) = reported(&a_box);
    let line = "24 greedy tokens against those of the processor alone: equal in 2 of 2 cases";
    assert!(report.contains(line) && !has_suspect(&report, "|"), "{report}");
    assert!(err.contains("the processor alone: equal in 2 of 2 cases"), "{err}");
    assert!(!report.contains("LM121") && !report.contains("LM122"), "{report}");
    assert_eq!(events(&a_box.set(), "canary").len(), 4);
    let references = events(&a_box.set(), "canary_reference");
    assert_eq!(references.len(), 1);
    assert_eq!((&references[0]["model"], &references[0]["build"]), (&"fox".into(), &"cpu".into()));
}

#[test]
fn a_device_that_computes_the_wrong_thing_is_suspect_with_both_texts() {
    let a_box = a_box(json!({"parts_at": 3, "wrong_on_device": true, "generation_rate": 9000.0}));
    experiment(&a_box, BOTH, "runs: 3, starts: 2");
    let (report, err) = reported(&a_box);
    assert!(report.contains("equal in 1 of 2 cases; wrong from token 3 in 1"), "{report}");
    let finding = report.lines().find(|line| line.contains("**error LM121**")).unwrap();
    assert!(finding.contains("fox on GPU is suspect") && finding.contains("(2 of 2 starts)"), "{finding}");
    assert!(finding.contains("w102 w5103") && finding.contains("w102 w103"), "both texts: {finding}");
    assert!(has_suspect(&report, "| GPU |"), "{report}");
    assert!(!has_suspect(&report, "| CPU |"), "{report}");
    assert!(err.contains("suspect fox/gpu/p: its tokens differ from those of the processor alone"), "{err}");
    // It is not the fastest of anything.
    assert!(!report.contains("TG GPU"), "{report}");
    let case = &summary(&a_box)["cases"][1]["canary"];
    assert_eq!((&case["at"], &case["suspect"], &case["wrong"]), (&json!(3), &json!(true), &json!(2)));
}

#[test]
fn one_token_over_and_over_is_suspect() {
    let a_box = a_box(json!({"stuck_at": 1, "wrong_on_device": true}));
    experiment(&a_box, GPU, "runs: 1");
    let (report, _) = reported(&a_box);
    assert!(report.contains("stuck from token 1 in 1 of 1 case"), "{report}");
    assert!(report.contains("from token 1 on it repeats one token over and over"), "{report}");
    // The build of the device made the reference, without the device.
    let references = events(&a_box.set(), "canary_reference");
    let argv = references[0]["argv"].to_string();
    assert!(argv.contains(r#""--device","none""#), "{argv}");
}

#[test]
fn what_rounding_explains_is_not_suspect() {
    let a_box = a_box(json!({"parts_at": 17, "unsure_at": 17, "wrong_on_device": true}));
    experiment(&a_box, BOTH, "runs: 1");
    let (report, _) = reported(&a_box);
    assert!(report.contains("equal in 1 of 2 cases; rounding from token 17 in 1"), "{report}");
    assert!(!has_suspect(&report, "|") && !report.contains("LM12"), "{report}");
}

#[test]
fn where_the_server_says_nothing_of_probabilities_nobody_knows() {
    let a_box = a_box(json!({"parts_at": 2, "no_probabilities": true, "wrong_on_device": true}));
    experiment(&a_box, GPU, "runs: 1");
    let (report, _) = reported(&a_box);
    assert!(report.contains("unknown from token 2 in 1 of 1 case"), "{report}");
    assert!(report.contains("LM122") && !has_suspect(&report, "|"), "{report}");
}

#[test]
fn a_reference_that_cannot_be_made_fails_nothing_and_says_why() {
    // The fake has this context whatever it is told, and the reference asks for less.
    let a_box = a_box(json!({"context": 512}));
    experiment(&a_box, GPU, "runs: 1");
    let (report, err) = reported(&a_box);
    assert!(err.contains("the tokens of fox cannot be checked"), "{err}");
    assert!(report.contains("missing in 1 of 1 case"), "{report}");
    let finding = report.lines().find(|line| line.contains("LM122")).unwrap();
    assert!(finding.contains("is 512 (/props), the plan asks for 256"), "{finding}");
}

#[test]
fn without_a_canary_nothing_is_asked() {
    let a_box = a_box(json!({"parts_at": 2}));
    experiment(&a_box, GPU, "runs: 1, canary: false");
    let (report, _) = reported(&a_box);
    assert!(!report.to_lowercase().contains("canary"), "{report}");
    let plan: Value =
        serde_json::from_str(&std::fs::read_to_string(a_box.set().join("plan.json")).unwrap()).unwrap();
    assert_eq!(plan["plan"].get("canary"), None);
    assert!(events(&a_box.set(), "canary").is_empty());
}

#[test]
fn an_interrupted_reference_is_made_by_the_same_command_and_nothing_is_measured_again() {
    let a_box = a_box(json!({"load_ms": 700.0}));
    experiment(&a_box, GPU, "runs: 1");
    let mut child = a_box.spawn(&["run", "box.yaml"]);
    until("case_closed", || a_box.sets().last().is_some_and(|set| !events(set, "case_closed").is_empty()));
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(a_box.servers().is_empty());
    assert!(events(&a_box.set(), "canary_reference").is_empty());
    let (report, err) = reported(&a_box);
    assert!(err.contains("Resuming"), "{err}");
    assert!(report.contains("equal in 1 of 1 case"), "{report}");
    assert_eq!(events(&a_box.set(), "start_opened").len(), 1);
    assert_eq!(events(&a_box.set(), "canary_reference").len(), 1);
}

#[test]
fn faster_and_wrong_is_no_improvement() {
    let a_box = a_box(json!({"jitter": 0.002}));
    engine(
        &a_box,
        "other",
        json!({"jitter": 0.002, "generation_rate": 6000.0, "parts_at": 3, "wrong_on_device": true}),
    );
    experiment(&a_box, GPU, "runs: 3, starts: 5");
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
    assert!(
        table.contains("suspect") && table.contains("the candidate is suspect: its tokens differ from those"),
        "{table}"
    );
    let (text, _) = a_box.run(&["diff", &sets[0], &sets[1], "--format", "json"], 6);
    let found: Value = serde_json::from_str(&text).unwrap();
    let tg =
        found["cases"][0]["metrics"].as_array().unwrap().iter().find(|one| one["metric"] == "tg").unwrap();
    assert_eq!(tg["verdict"], "suspect");
    assert!(tg["change"].as_f64().unwrap() > 0.4, "{tg}");

    // The other way round: what is right now and was wrong then may be called what it is.
    let (table, _) = a_box.run(&["diff", &sets[1], &sets[0]], 1);
    assert!(table.contains("regressed"), "{table}");
}
