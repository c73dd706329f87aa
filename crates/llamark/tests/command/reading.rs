//! The verbs that read: validate, plan, report, diff, verify, list, schema, completions.

use crate::harness::Box;

fn measured() -> Box {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 2, starts: 3");
    a_box.run(&["run", "box.yaml"], 0);
    a_box
}

#[test]
fn every_problem_is_printed_at_once() {
    let a_box = Box::new();
    std::fs::write(
        a_box.path("bad.yaml"),
        "schema: llamark/experiment/v1\nname: bad\nengine: { source: { path: . } }\nbackends: { cpu: { labell: x } }\n\
         prompts: { p: { text: hi } }\nprotocol: { prompt: q, runs: many }\nmodels: [ { name: a, source: { file: a.gguf } } ]\n",
    )
    .unwrap();
    let (out, err) = a_box.run(&["validate", "bad.yaml"], 2);
    assert_eq!(out, "");
    for part in ["labell", "label", "bad.yaml:4", "many", "bad.yaml:6"] {
        assert!(err.contains(part), "{part} in {err}");
    }
    let (out, _) = a_box.run(&["validate", "bad.yaml", "--json"], 2);
    let checked: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(checked[0]["valid"], false);
    assert!(checked[0]["problems"].as_array().unwrap().len() >= 2);
    a_box.run(&["run", "bad.yaml"], 2);
}

/// Every problem at once: also those of the files behind one that cannot be read.
#[test]
fn a_file_that_cannot_be_read_is_a_problem_of_that_file() {
    let a_box = Box::new();
    a_box.experiment(&["fox"], "runs: 2");
    std::fs::write(a_box.path("bad.yaml"), "schema: llamark/experiment/v1\n").unwrap();
    let files = ["box.yaml", "gone.yaml", "gone.lock.yaml", "bad.yaml"];
    let (out, _) = a_box.run(&[&["validate", "--json"], &files[..]].concat(), 2);
    let checked: serde_json::Value = serde_json::from_str(&out).unwrap();
    let checked: Vec<_> =
        checked.as_array().unwrap().iter().map(|one| (&one["file"], &one["valid"])).collect();
    let expected = files.map(|file| (serde_json::json!(file), serde_json::json!(file == "box.yaml")));
    assert_eq!(checked, expected.iter().map(|(file, valid)| (file, valid)).collect::<Vec<_>>());
    assert!(out.contains("spec/unreadable") && out.contains("No such file"), "{out}");
    let (_, err) = a_box.run(&[&["validate"], &files[..]].concat(), 2);
    for part in [
        "box.yaml: 1 model",
        "gone.yaml",
        "No such file",
        "SPEC is the path",
        "bad.yaml: ",
        "in 3 of 4 files",
    ] {
        assert!(err.contains(part), "{part} in {err}");
    }
    let (_, err) = a_box.run(&["validate", "gone.yaml"], 2);
    assert!(err.contains("1 problem in 1 of 1 file\n"), "{err}");
}

/// As many as the schema allows are no number of 32 bits.
#[test]
fn a_plan_of_very_many_runs_is_counted() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 1000000, starts: 5000");
    let (out, _) = a_box.run(&["plan", "box.yaml"], 0);
    assert!(out.contains("5000 starts, 5000000000 runs and 5000 warm-up runs"), "{out}");
}

#[test]
fn what_is_no_experiment_is_bad_input() {
    let a_box = Box::new();
    a_box.run(&["validate", "nowhere.yaml"], 2);
    std::fs::write(a_box.path("binary.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    a_box.run(&["validate", "binary.yaml"], 2);
    a_box.run(&["no-such-verb"], 2);
    a_box.run(&["--help"], 0);
    a_box.run(&["report"], 2);
}

#[test]
fn an_empty_folder_is_no_folder() {
    let a_box = Box::new();
    let (_, err) = a_box.run(&["--cache", "", "list"], 2);
    assert!(err.contains("--cache") && err.contains("it is empty; name a folder"), "{err}");
    let output = a_box.llamark(&["list"]).env("LLAMARK_ARTIFACTS", "").output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && err.contains("--artifacts"), "{err}");
}

#[test]
fn a_report_comes_in_every_format() {
    let a_box = measured();
    let (page, _) = a_box.run(&["report"], 0);
    let sealed = std::fs::read_to_string(a_box.sets()[0].join("report.md")).unwrap();
    assert_eq!(page, sealed);
    let (json, _) = a_box.run(&["report", "box", "--format", "json"], 0);
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
    let (csv, _) = a_box.run(&["report", "--format", "csv"], 0);
    assert_eq!(csv.lines().count(), 1 + 3 * 3, "a header, and 3 starts of 1 warm-up and 2 runs");
    a_box.run(&["report", "--format", "parquet"], 2);
    a_box.run(&["report", "--format", "md,parquet", "--out", "out"], 0);
    assert!(a_box.path("out/results.parquet").is_file() && a_box.path("out/report.md").is_file());
}

#[test]
fn a_template_of_the_user_takes_the_place_of_ours() {
    let a_box = measured();
    std::fs::create_dir(a_box.path("mine")).unwrap();
    std::fs::write(a_box.path("mine/report.md.j2"), "only {{ title }}\n").unwrap();
    let (_, err) = a_box.run(&["report", "--template", "mine"], 2);
    assert!(err.contains("report.md.j2") && err.contains('1'), "undefined names have a place: {err}");
    assert!(err.contains("every name that a template may use is in `summary.json`"), "{err}");
}

#[test]
fn a_set_that_was_touched_does_not_verify() {
    let a_box = measured();
    let report = a_box.sets()[0].join("report.md");
    let page = std::fs::read_to_string(&report).unwrap();
    std::fs::remove_file(&report).unwrap();
    std::fs::write(&report, page.replacen('1', "2", 1)).unwrap();
    let (_, err) = a_box.run(&["verify"], 3);
    assert!(err.contains("report.md"), "{err}");
    let (out, _) = a_box.run(&["verify", "--json"], 3);
    serde_json::from_str::<serde_json::Value>(&out).unwrap();
}

#[test]
fn the_usual() {
    let a_box = measured();
    let (list, _) = a_box.run(&["list"], 0);
    assert!(list.contains("sealed") && list.contains("artifacts/box/"), "{list}");
    for what in [
        "experiment",
        "lock",
        "plan",
        "resolved-plan",
        "journal",
        "manifest",
        "environment",
        "comparison",
        "accepted",
    ] {
        let (schema, _) = a_box.run(&["schema", what], 0);
        serde_json::from_str::<serde_json::Value>(&schema).unwrap();
    }
    let (script, _) = a_box.run(&["completions", "bash"], 0);
    assert!(script.contains("llamark"));
    let (doctor, _) = a_box.run(&["doctor"], 0);
    assert!(doctor.contains("cpu") && doctor.contains("rocm"), "{doctor}");
    assert!(doctor.contains("  memory.available             available\n"), "{doctor}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let a_box = measured();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_llamark"))
        .current_dir(a_box.root.path())
        .args(["schema", "plan"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
