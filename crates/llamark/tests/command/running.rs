//! `run` from an experiment to a sealed set, and what comes after it.

use crate::harness::Box;

#[test]
fn an_experiment_becomes_a_sealed_set_with_a_report() {
    let a_box = Box::new();
    a_box.model("fox", "{}").model("hen", r#"{"generation_rate": 50.0}"#);
    a_box.experiment(&["fox", "hen"], "warmup: 1, runs: 3, starts: 2");
    let (out, err) = a_box.run(&["run", "box.yaml"], 0);
    assert_eq!(out, "", "data only goes to standard output");
    assert!(err.contains("report.md"), "{err}");
    let sets = a_box.sets();
    let [set] = sets.as_slice() else { panic!("one set, not {sets:?}") };
    for file in [
        "plan.json",
        "spec.yaml",
        "journal.jsonl",
        "environment.json",
        "builds/cpu.json",
        "results.parquet",
        "summary.json",
        "report.md",
        "manifest.json",
        "manifest-sha256.txt",
    ] {
        assert!(set.join(file).is_file(), "{file}");
    }
    a_box.run(&["verify"], 0);
    let report = std::fs::read_to_string(set.join("report.md")).unwrap();
    assert!(report.contains("| fox |") || report.contains("fox"), "{report}");
    assert_eq!(a_box.servers(), Vec::<u32>::new());
}

#[test]
fn a_second_run_does_no_work_and_says_so() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 2");
    a_box.run(&["run", "box.yaml"], 0);
    let (_, err) = a_box.run(&["run", "box.yaml"], 0);
    assert!(err.contains("nothing was run"), "{err}");
    assert_eq!(a_box.sets().len(), 1);
    a_box.run(&["run", "box.yaml", "--again"], 0);
    assert_eq!(a_box.sets().len(), 2);
}

#[test]
fn a_model_that_changed_is_another_plan() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 2");
    a_box.run(&["run", "box.yaml"], 0);
    a_box.model("fox", r#"{"prompt_rate": 77.0}"#);
    let (_, err) = a_box.run(&["run", "box.yaml"], 0);
    assert!(!err.contains("nothing was run"), "{err}");
    assert_eq!(a_box.sets().len(), 2);
}

#[test]
fn the_failure_of_one_case_costs_no_other() {
    let a_box = Box::new();
    a_box.model("good", "{}");
    a_box.model(
        "bad",
        r#"{"refuse": {"lines": ["error loading model: unknown model architecture: 'fox'"], "code": 1}}"#,
    );
    a_box.experiment(&["bad", "good"], "runs: 2, starts: 2");
    let (_, err) = a_box.run(&["run", "box.yaml"], 5);
    assert!(err.contains("unknown model architecture"), "{err}");
    let [set] = a_box.sets().try_into().unwrap();
    a_box.run(&["verify"], 0);
    let report = std::fs::read_to_string(set.join("report.md")).unwrap();
    assert!(report.contains("good") && report.contains("failed"), "{report}");
    // The same again: nothing to do, and still not all is well.
    let (_, err) = a_box.run(&["run", "box.yaml"], 5);
    assert!(err.contains("nothing was run"), "{err}");
}

#[test]
fn a_wrong_configuration_is_no_result() {
    let a_box = Box::new();
    a_box.model("fox", r#"{"context": 512}"#).experiment(&["fox"], "runs: 2");
    let (_, err) = a_box.run(&["run", "box.yaml"], 5);
    assert!(err.contains("context") && err.contains("256") && err.contains("512"), "{err}");
}

#[test]
fn missing_models_are_named_at_once_and_can_be_left_out() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox", "owl", "elk"], "runs: 1");
    let (_, err) = a_box.run(&["run", "box.yaml"], 2);
    assert!(err.contains("owl.gguf") && err.contains("elk.gguf") && err.contains("--models"), "{err}");
    assert!(a_box.sets().is_empty());
    let (_, err) = a_box.run(&["run", "box.yaml", "--keep-going"], 5);
    assert!(err.contains("skipped"), "{err}");
    a_box.run(&["verify"], 0);
}

/// The header of a GGUF file that says only this.
pub(crate) fn header(context: u32) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let (tensors, pairs) = (0_u64.to_le_bytes(), 2_u64.to_le_bytes());
    let (a_number, a_text) = (4_u32.to_le_bytes(), 8_u32.to_le_bytes());
    [
        b"GGUF\x03\0\0\0".as_slice(),
        &tensors,
        &pairs,
        &text("general.architecture"),
        &a_text,
        &text("llama"),
        &text("llama.context_length"),
        &a_number,
        &context.to_le_bytes(),
    ]
    .concat()
}

#[test]
fn more_context_than_a_model_was_trained_for_is_refused_before_anything_is_run() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox", "owl"], "runs: 1");
    std::fs::write(a_box.path("models/owl.gguf"), header(255)).unwrap();
    let (_, err) = a_box.run(&["run", "box.yaml"], 2);
    assert!(err.contains("owl: it was trained for a context of 255 tokens"), "{err}");
    assert!(err.contains("asks for 256") && err.contains("lower `context`"), "{err}");
    assert!(a_box.sets().is_empty());
    let (_, err) = a_box.run(&["run", "box.yaml", "--keep-going"], 5);
    assert!(err.contains("owl/cpu/p is skipped: it was trained for"), "{err}");
    a_box.run(&["verify"], 0);
}

#[test]
fn as_much_context_as_a_model_was_trained_for_is_not_refused() {
    let a_box = Box::new();
    a_box.experiment(&["owl"], "runs: 1");
    std::fs::write(a_box.path("models/owl.gguf"), header(256)).unwrap();
    a_box.run(&["run", "box.yaml"], 0);
}

#[test]
fn a_selection_runs_a_part() {
    let a_box = Box::new();
    a_box.model("fox", "{}").model("hen", "{}").experiment(&["fox", "hen"], "runs: 1");
    let (out, _) = a_box.run(&["plan", "box.yaml", "--model", "hen", "--json"], 0);
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(plan["cases"].as_array().unwrap().len(), 1);
    a_box.run(&["run", "box.yaml", "--case", "hen/cpu"], 0);
    let (_, err) = a_box.run(&["run", "box.yaml", "--backend", "cuda"], 2);
    assert!(err.contains("no backend `cuda`"), "{err}");
}

#[test]
fn a_dry_run_prints_the_plan_and_spends_nothing() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 3, starts: 2");
    let (out, _) = a_box.run(&["run", "box.yaml", "--dry-run"], 0);
    assert!(out.contains("2 starts, 6 runs and 2 warm-up runs"), "{out}");
    assert!(a_box.sets().is_empty());
}

#[test]
fn an_experiment_for_another_machine_is_refused_early() {
    let a_box = Box::new();
    a_box.model("fox", "{}");
    let path = a_box.experiment(&["fox"], "runs: 1");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace(
        "name: box\n",
        "name: box\nhardware: { expect: { gpu: gfx9999, memory_at_least: 900 TiB } }\n",
    );
    std::fs::write(&path, text).unwrap();
    let (_, err) = a_box.run(&["run", "box.yaml"], 2);
    assert!(
        err.contains("gfx9999") && err.contains("900") && err.contains("--allow-other-hardware"),
        "{err}"
    );
    a_box.run(&["run", "box.yaml", "--allow-other-hardware"], 0);
}

#[test]
fn telemetry_is_in_the_set_and_what_has_no_sensor_is_not_available() {
    let a_box = Box::new();
    a_box.model("fox", r#"{"prompt_rate": 1000.0, "generation_rate": 500.0}"#);
    a_box.experiment(&["fox"], "warmup: 0, runs: 1, telemetry: { rate: 50 Hz }");
    a_box.run(&["run", "box.yaml"], 0);
    let set = &a_box.sets()[0];
    let file =
        std::fs::read_to_string(set.join("cases/fox__cpu__p/start-1-attempt-1.telemetry.csv")).unwrap();
    let head = file.lines().next().unwrap();
    assert!(head.starts_with("at_ns,") && head.contains(",process.rss"), "{head}");
    assert!(file.lines().count() > 5, "{file}");
    let journal = std::fs::read_to_string(set.join("journal.jsonl")).unwrap();
    assert!(journal.contains(r#""event":{"telemetry":"#), "{journal}");
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(set.join("summary.json")).unwrap()).unwrap();
    let case = &summary["cases"][0];
    // The processor computes: it has no memory of a GPU.
    assert_eq!(case["metrics"]["vram"], serde_json::Value::Null);
    assert_eq!(case["not_available"]["vram"], "the backend runs on no GPU with sensors");
    assert!(case["not_available"]["energy_decode"].is_string(), "{case}");
    a_box.run(&["verify"], 0);
}
