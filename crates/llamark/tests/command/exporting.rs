//! `export`: what other programs are given.

use crate::harness::Box;

#[test]
fn a_crate_has_every_file_of_the_set_and_describes_them_all() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 1");
    a_box.run(&["run", "box.yaml"], 0);
    let (text, _) = a_box.run(&["export", "ro-crate"], 0);
    let described: serde_json::Value = serde_json::from_str(&text).unwrap();
    let licence = "https://spdx.org/licenses/CC0-1.0";
    a_box.run(&["export", "ro-crate", "box", "--out", "crate", "--license", licence], 0);
    a_box.run(&["export", "ro-crate", "box", "--out", "crate"], 2);

    let entities = described["@graph"].as_array().unwrap();
    let find =
        |id: &str| entities.iter().find(|entity| entity["@id"] == id).unwrap_or(&serde_json::Value::Null);
    let root = find("./");
    assert_eq!(root["conformsTo"]["@id"], "https://w3id.org/ro/wfrun/process/0.5");
    for part in root["hasPart"].as_array().unwrap() {
        let id = part["@id"].as_str().unwrap();
        assert_eq!(find(id)["@type"], "File", "{id}");
        let decoded = id.replace("%25", "%");
        assert!(a_box.path("crate").join(&decoded).is_file(), "{decoded}");
    }
    let action = find(root["mentions"]["@id"].as_str().unwrap());
    assert_eq!(action["@type"], "CreateAction");
    assert_eq!(find(action["instrument"]["@id"].as_str().unwrap())["name"], "llamark");
    let inputs: Vec<_> = action["object"]
        .as_array()
        .unwrap()
        .iter()
        .map(|input| find(input["@id"].as_str().unwrap()))
        .collect();
    let names: Vec<_> = inputs.iter().filter_map(|input| input["name"].as_str()).collect();
    for name in ["model/fox/fox.gguf", "build/cpu/llama-server", "prompt/p"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    // What the server had mapped, too: its program is in the build, the C library is not.
    assert!(names.iter().any(|name| name.starts_with("mapped/") && name.contains("libc")), "{names:?}");
    // It is the set still, with a description beside it.
    assert_cmd::Command::new("sha256sum")
        .current_dir(a_box.path("crate"))
        .args(["--check", "--strict", "--quiet", "manifest-sha256.txt"])
        .assert()
        .success();
    let written = std::fs::read_to_string(a_box.path("crate/ro-crate-metadata.json")).unwrap();
    assert!(written.contains(licence) && !text.contains(licence));
}

#[test]
fn what_does_not_verify_is_not_exported() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 1");
    a_box.run(&["run", "box.yaml"], 0);
    let report = a_box.sets()[0].join("report.md");
    std::fs::remove_file(&report).unwrap();
    a_box.run(&["export", "ro-crate", "--out", "crate"], 3);
    assert!(!a_box.path("crate").exists());
}

const BENCH: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../llamark-import/tests/fixtures/llama-bench-b11434.jsonl");

/// Rows of llama-bench.
fn rows(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_file_of_llama_bench_becomes_a_set_and_comes_out_as_it_was() {
    let a_box = Box::new();
    std::fs::copy(BENCH, a_box.path("bench.jsonl")).unwrap();
    let (_, err) = a_box.run(&["import", "llama-bench", "bench.jsonl"], 0);
    assert!(err.contains("4 cases, 12 runs") && err.contains("samples"), "{err}");
    let (_, err) = a_box.run(&["verify"], 0);
    assert!(err.contains("numbers of the document read again (12)"), "{err}");
    let (page, _) = a_box.run(&["report"], 0);
    assert!(page.contains("**Provenance:** samples"), "{page}");
    let (json, _) = a_box.run(&["report", "--format", "json"], 0);
    let summary: serde_json::Value = serde_json::from_str(&json).unwrap();
    let pp = summary["cases"][0]["metrics"]["pp"]["mean"].as_f64().unwrap();
    assert!((pp - 4.581_553).abs() < 1e-6, "llama-bench itself says 4.581553: {pp}");
    assert!(summary["cases"][0]["metrics"]["tg"].is_null(), "a test of prompts has no rate of generation");
    let (text, _) = a_box.run(&["export", "llama-bench"], 0);
    assert_eq!(rows(&text), rows(&std::fs::read_to_string(BENCH).unwrap()));
    let (text, _) = a_box.run(&["export", "llama-bench", "--build-commit", "mine"], 0);
    assert!(rows(&text).iter().all(|row| row["build_commit"] == "mine"));
}

#[test]
fn a_measured_set_has_a_row_for_each_half_of_a_start() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 2, starts: 2");
    a_box.run(&["run", "box.yaml"], 0);
    let (text, _) = a_box.run(&["export", "llama-bench"], 0);
    let rows = rows(&text);
    assert_eq!(rows.len(), 4, "two starts, each with a prompt and a generation: {text}");
    let real = self::rows(&std::fs::read_to_string(BENCH).unwrap());
    let names = |row: &serde_json::Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for row in &rows {
        assert_eq!(names(row), names(&real[0]), "every field of llama-bench, and no other");
        let tokens = row["n_prompt"].as_f64().unwrap() + row["n_gen"].as_f64().unwrap();
        let rates =
            row["samples_ns"].as_array().unwrap().iter().map(|ns| 1e9 * tokens / ns.as_f64().unwrap());
        let mean = rates.clone().sum::<f64>() / rates.count() as f64;
        assert!((row["avg_ts"].as_f64().unwrap() - mean).abs() < 1e-6 * mean, "{row}");
    }
    std::fs::write(a_box.path("again.jsonl"), &text).unwrap();
    let (_, err) = a_box.run(&["import", "llama-bench", "again.jsonl"], 0);
    assert!(err.contains("Read"), "what is exported can be imported: {err}");
}

#[test]
fn a_report_has_no_times_to_export() {
    let a_box = Box::new();
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments/published/strix-halo-report.md");
    a_box.run(&["import", "report", published], 0);
    let (_, err) = a_box.run(&["export", "llama-bench"], 3);
    assert!(err.contains("states rounded rates and no times"), "{err}");
    assert!(err.contains("`llamark report SET --format csv`"), "{err}");
}

/// Data that was not written is an error: what lies on a full disk is half of it.
#[test]
fn data_that_cannot_be_written_is_an_error() {
    let a_box = Box::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (code, err) = a_box.run_into(full, &["schema"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("cannot write to standard output") && err.contains("No space left"), "{err}");
}

/// In a table of both sides of an A/B, each row names the engine that it was measured with.
#[test]
fn rows_of_an_a_b_name_the_engine_of_their_side() {
    let a_box = Box::new();
    a_box.model("fox", "{}");
    let path = a_box.experiment(&["fox"], "runs: 2");
    std::fs::create_dir_all(a_box.path("other")).unwrap();
    std::fs::copy(a_box.path("engine/llama-server"), a_box.path("other/llama-server")).unwrap();
    let ab =
        "ab: { candidate: { engine: { source: { prebuilt: other }, build_number: 7, commit: 0123abcdef } } }";
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}{ab}\n")).unwrap();
    a_box.run(&["run", "box.yaml"], 0);
    let (rows, _) = a_box.run(&["export", "llama-bench"], 0);
    let rows: Vec<serde_json::Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let of = |number: u64| rows.iter().filter(|row| row["build_number"] == number).collect::<Vec<_>>();
    assert_eq!((of(7).len(), rows.len()), (rows.len() / 2, rows.len()), "{rows:?}");
    assert!(of(7).iter().all(|row| row["build_commit"] == "0123abcd"), "{rows:?}");
    let (_, err) = a_box.run(&["export", "llama-bench", "--build-commit", "mine"], 3);
    assert!(err.contains("the set has 2 engines"), "{err}");
}
