//! `llamark import`: a published report becomes a set that verifies, and a damaged one does not become a number.

use std::path::Path;

use crate::harness::Box;

const PUBLISHED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments/published/strix-halo-report.md");
const LLAMA_BENCH: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../llamark-import/tests/fixtures/llama-bench-b11434.jsonl");
const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../artifacts/strix-halo");

/// The one set of that name in this box.
fn set(a_box: &Box, name: &str) -> std::path::PathBuf {
    let mut sets = std::fs::read_dir(a_box.path("artifacts").join(name)).unwrap();
    sets.next().unwrap().unwrap().path()
}

/// A box with the published report, changed in one place.
fn with(old: &str, new: &str) -> Box {
    let a_box = Box::new();
    let text = std::fs::read_to_string(PUBLISHED).unwrap();
    assert!(text.contains(old), "{old}");
    std::fs::write(a_box.path("Report 1.md"), text.replacen(old, new, 1)).unwrap();
    a_box
}

#[test]
fn a_published_report_becomes_a_set_that_verifies() {
    let a_box = with("", "");
    let (_, err) = a_box.run(&["import", "report", "Report 1.md", "--memory-bandwidth", "256 GB/s"], 0);
    for part in
        ["21 models, 39 cases, 117 runs", "stated", "llama.cpp commit", "line 356", "artifacts/report-1/"]
    {
        assert!(err.contains(part), "{part} in {err}");
    }
    let (_, err) = a_box.run(&["import", "report", "Report 1.md", "--memory-bandwidth", "256 GB/s"], 0);
    assert!(err.contains("nothing to do"), "{err}");
    let (_, err) = a_box.run(&["verify"], 0);
    assert!(err.contains("numbers of the document read again (117)"), "{err}");
    let (list, _) = a_box.run(&["list"], 0);
    assert!(list.contains("stated"), "{list}");
    let (page, _) = a_box.run(&["report"], 0);
    assert!(page.contains("**Provenance:** stated") && !page.contains("token ids"), "{page}");
    let set = set(&a_box, "report-1");
    let (_, err) = a_box.run(&["run", set.join("manifest.json").to_str().unwrap()], 2);
    assert!(err.contains("imported"), "{err}");
}

#[test]
fn an_incomplete_report_is_imported_and_says_so() {
    let a_box = with("Run 2: pp=757.37 tg=80.67 (prompt=587 tok, gen=128 tok)\n", "");
    let (_, err) = a_box.run(&["import", "report", "Report 1.md"], 5);
    assert!(err.contains("2 of 3 runs") && err.contains("; 1 case is incomplete"), "{err}");
    a_box.run(&["verify"], 0);
    let (json, _) = a_box.run(&["report", "--format", "json"], 0);
    let summary: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(summary["cases"][0]["outcome"], "invalid");
    assert!(summary["cases"][0]["metrics"]["pp"].is_null(), "runs of an incomplete case do not count");
}

#[test]
fn what_cannot_be_imported_leaves_nothing_behind() {
    let a_box = with("| 1417 ±275 |", "| 1,417 ±275 |");
    let (_, err) = a_box.run(&["import", "report", "Report 1.md"], 2);
    assert!(err.contains("Report 1.md:25:") && err.contains("1,417"), "{err}");
    let head = std::fs::read_to_string(PUBLISHED).unwrap();
    let head = head.split("## Detail").next().unwrap();
    std::fs::write(a_box.path("cut.md"), head).unwrap();
    let (_, err) = a_box.run(&["import", "report", "cut.md"], 2);
    assert!(err.contains("states no case completely"), "{err}");
    a_box.run(&["import", "report", "nowhere.md"], 2);
    a_box.run(&["import", "report", "cut.md", "--name", "../x"], 2);
    a_box.run(&["import", "report", "cut.md", "--memory-bandwidth", "fast"], 2);
    assert!(!a_box.path("artifacts").exists());
}

#[test]
fn a_journal_that_is_not_of_its_document_does_not_verify() {
    let a_box = with("", "");
    a_box.run(&["import", "report", "Report 1.md"], 0);
    for (name, old, new) in
        [("journal.jsonl", "575.11", "595.11"), ("imported/Report%201.md", "pp=575.11", "pp=595.11")]
    {
        let file = set(&a_box, "report-1").join(name);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(old));
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, text.replacen(old, new, 1)).unwrap();
        let (_, err) = a_box.run(&["verify"], 3);
        assert!(err.contains("was changed"), "{err}");
        std::fs::write(&file, text).unwrap();
    }
}

#[test]
fn the_time_of_an_import_can_be_given() {
    let a_box = with("", "");
    let import = |artifacts: &str| {
        let args = ["--artifacts", artifacts, "import", "report", "Report 1.md", "--name", "r"];
        let mut command = a_box.llamark(&args);
        command.env("SOURCE_DATE_EPOCH", "1782864000").assert().success();
        let set = std::fs::read_dir(a_box.path(artifacts).join("r")).unwrap().next().unwrap().unwrap();
        (set.file_name(), std::fs::read(set.path().join("manifest-sha256.txt")).unwrap())
    };
    let (first, second) = (import("one"), import("two"));
    assert_eq!(first, second);
    assert!(first.0.to_str().unwrap().starts_with("20260701T000000Z-"));
}

#[test]
fn the_reference_set_verifies_and_is_that_of_the_published_report() {
    let sets: Vec<_> = std::fs::read_dir(REFERENCE).unwrap().map(|entry| entry.unwrap().path()).collect();
    let committed = |path: &&std::path::PathBuf| {
        path.file_name().unwrap().to_str().unwrap().starts_with("20260701T000000Z-")
    };
    let set = sets.iter().find(committed).unwrap();
    let a_box = Box::new();
    let output = a_box.llamark(&["verify", set.to_str().unwrap()]).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`just reference-sets` makes it again when a template or a format changed\n{err}"
    );
    assert!(err.contains("cases by their end (39)") && err.contains("read again (117)"), "{err}");
    let document = set.join("imported/strix-halo-report.md");
    assert_eq!(std::fs::read(document).unwrap(), std::fs::read(Path::new(PUBLISHED)).unwrap());
}

/// `llama-bench -pg`: one time of a prompt and a generation together is recorded, is no number, and verifies.
#[test]
fn a_combined_test_of_llama_bench_makes_a_set_that_verifies() {
    let a_box = Box::new();
    let rows = std::fs::read_to_string(LLAMA_BENCH).unwrap();
    let combined = rows.lines().next().unwrap().replace("\"n_gen\": 0", "\"n_gen\": 8");
    let combined = combined
        .replace("\"avg_ts\": 4.581553, ", "")
        .replace("\"samples_ts\": [ 4.82221, 4.69091, 4.23154 ]", "\"x\": 0");
    std::fs::write(a_box.path("pg.jsonl"), format!("{rows}\n{combined}\n")).unwrap();
    a_box.run(&["import", "llama-bench", "pg.jsonl"], 5);
    a_box.run(&["verify"], 0);
}

/// A test of llama-bench is of the prompt or of the generation: two equal files are equal, and nothing of them is missing.
#[test]
fn two_imported_files_of_llama_bench_are_compared_by_what_they_have() {
    let a_box = Box::new();
    let rows = std::fs::read_to_string(LLAMA_BENCH).unwrap();
    for name in ["one", "two"] {
        let mut text = String::new();
        for start in 0..5_u64 {
            for row in rows.lines() {
                let mut row: serde_json::Value = serde_json::from_str(row).unwrap();
                for average in ["avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ts"] {
                    row.as_object_mut().unwrap().remove(average);
                }
                // Starts that differ by a tenth of a percent, and samples of each that differ less.
                row["samples_ns"] =
                    (0..3).map(|run| 1_000_000_000 + 1_000_000 * start + 1000 * run).collect();
                text.push_str(&format!("{row}\n"));
            }
        }
        std::fs::write(a_box.path(&format!("{name}.jsonl")), text).unwrap();
        a_box.run(&["import", "llama-bench", &format!("{name}.jsonl")], 0);
    }
    let (out, _) = a_box.run(&["diff", "one", "two"], 0);
    assert!(out.contains("equivalent") && !out.contains("missing"), "{out}");
}
