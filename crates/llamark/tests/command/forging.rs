//! A set that somebody changed who knows the format: what each level of `verify` finds, and what none can.

use std::path::{Path, PathBuf};

use camino::Utf8Path;
use llamark_artifact::ArtifactSet;
use llamark_record::Sha256;
use llamark_record::digest::canonical_json;
use llamark_record::manifest::{Manifest, RunDetails};
use serde_json::Value;

use crate::harness::Box;

/// A sealed set with three derived files, and a copy of it that can be written.
fn forgery() -> (Box, PathBuf) {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "warmup: 1, runs: 3, starts: 2");
    a_box.run(&["run", "box.yaml"], 0);
    let [set] = a_box.sets().try_into().unwrap();
    let forged = a_box.path("forged").join(set.file_name().unwrap());
    copy(&set, &forged);
    (a_box, forged)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::write(&target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Manifest and checksums that fit what is in the folder.
fn seal_anew(set: &Path, journal_head: Option<Sha256>) {
    let path = set.join("manifest.json");
    let mut manifest: Manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    if let Some(head) = journal_head {
        manifest.predicate.run_details.byproducts = vec![RunDetails::journal_head(head)];
    }
    let mut lines = Vec::new();
    for subject in &mut manifest.subject {
        let bytes = std::fs::read(set.join(&subject.name)).unwrap();
        subject.digest.sha256 = Sha256::of_bytes(&bytes);
        subject.annotations.insert("bytes".to_owned(), bytes.len().to_string());
        lines.push((subject.name.clone(), subject.digest.sha256.clone()));
    }
    let mut bytes = serde_json::to_vec_pretty(&manifest).unwrap();
    bytes.push(b'\n');
    lines.push(("manifest.json".to_owned(), Sha256::of_bytes(&bytes)));
    lines.sort();
    let list: String = lines.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
    std::fs::write(path, bytes).unwrap();
    std::fs::write(set.join("manifest-sha256.txt"), list).unwrap();
}

/// The journal with one member of one event changed, and its whole chain made again; its new head.
fn change_journal(set: &Path, is_it: impl Fn(&Value) -> bool, pointer: &str, value: &Value) -> Sha256 {
    let text = std::fs::read_to_string(set.join("journal.jsonl")).unwrap();
    let (mut prev, mut out, mut changed) = (Sha256::from_raw([0; 32]), Vec::new(), 0);
    for (seq, line) in text.lines().enumerate() {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        if changed == 0 && is_it(&entry["event"]) {
            *entry["event"].pointer_mut(pointer).unwrap() = value.clone();
            changed += 1;
        }
        let mut body =
            serde_json::json!({"at": entry["at"], "event": entry["event"], "prev": prev, "seq": seq});
        prev = Sha256::of_canonical_json(&body).unwrap();
        body["hash"] = serde_json::json!(prev);
        out.extend(canonical_json(&body).unwrap());
        out.push(b'\n');
    }
    assert_eq!(changed, 1);
    std::fs::write(set.join("journal.jsonl"), out).unwrap();
    prev
}

fn is_counted_run(event: &Value) -> bool {
    event["run"]["warmup"] == Value::Bool(false)
}

/// Exit code of `verify` at that level.
fn verify(a_box: &Box, set: &Path, level: &str) -> i32 {
    let args = ["verify", "--level", level, set.to_str().unwrap()];
    a_box.llamark(&args).output().unwrap().status.code().unwrap()
}

const DERIVED: [&str; 3] = ["report.md", "summary.json", "results.parquet"];

/// A run that breaks a rule does not count, whatever it says of itself.
#[test]
fn a_run_that_counts_is_one_that_breaks_no_rule() {
    for (pointer, value, says) in [
        ("/run/measurement/cached_tokens", 9, "took 9 tokens from a cache"),
        ("/run/measurement/generated_tokens", 7, "generated 7 tokens"),
        ("/run/gaps/p50_ns", 1, "do not match their arrivals"),
    ] {
        let (a_box, set) = forgery();
        let head = change_journal(&set, is_counted_run, pointer, &serde_json::json!(value));
        seal_anew(&set, Some(head));
        let (_, err) = a_box.run(&["verify", "--level", "1", set.to_str().unwrap()], 3);
        assert!(err.contains(says), "{pointer}: {err}");
    }
}

/// Programs that read the manifest alone believe the digests in it.
#[test]
fn what_the_manifest_says_went_in_is_what_went_in() {
    let (a_box, set) = forgery();
    let path = set.join("manifest.json");
    let mut manifest: Manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let materials = &mut manifest.predicate.build_definition.resolved_dependencies;
    let program = materials.iter_mut().find(|one| one.name.starts_with("build/cpu/")).unwrap();
    program.digest.sha256 = Sha256::of_bytes(b"another program");
    let name = program.name.clone();
    std::fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    seal_anew(&set, None);
    let (_, err) = a_box.run(&["verify", set.to_str().unwrap()], 3);
    assert!(err.contains("FAILED materials of the manifest") && err.contains(&name), "{err}");
}

/// Another version of llamark has other words: its report cannot be made again, and the numbers of its summary can.
#[test]
fn of_another_version_the_numbers_are_made_again() {
    let (a_box, set) = forgery();
    let is_begin = |event: &Value| event.get("begin").is_some();
    let head = change_journal(&set, is_begin, "/begin/llamark", &serde_json::json!("9.9.9"));
    // The manifest alone is not believed.
    seal_anew(&set, Some(head.clone()));
    assert_eq!(verify(&a_box, &set, "2"), 3);
    a_box.run(&["verify", set.to_str().unwrap()], 3);
    let path = set.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let ours = format!("\"llamark\": \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&ours));
    std::fs::write(&path, text.replace(&ours, "\"llamark\": \"9.9.9\"")).unwrap();

    let report = std::fs::read_to_string(set.join("report.md")).unwrap();
    std::fs::write(set.join("report.md"), report.replace("## Findings", "## What we found")).unwrap();
    let summary = std::fs::read_to_string(set.join("summary.json")).unwrap();
    std::fs::write(set.join("summary.json"), summary.replacen("\"hint\"", "\"advice\"", 1)).unwrap();
    seal_anew(&set, None);
    assert_eq!(verify(&a_box, &set, "2"), 3, "whoever asks for level 2 gets it or an error");
    let (_, err) = a_box.run(&["verify", set.to_str().unwrap()], 0);
    assert!(err.contains("verifies at level 1") && err.contains("another version of llamark"), "{err}");

    let mean = summary.split("\"mean\": ").nth(1).unwrap().split(',').next().unwrap();
    std::fs::write(set.join("summary.json"), summary.replacen(mean, "1.25", 1)).unwrap();
    seal_anew(&set, None);
    let (_, err) = a_box.run(&["verify", set.to_str().unwrap()], 3);
    assert!(err.contains("mean is 1.25, but the journal gives"), "{err}");
}

#[test]
fn a_derived_number_that_was_changed_is_found_at_level_2_whatever_the_manifest_says() {
    let (a_box, set) = forgery();
    assert_eq!(verify(&a_box, &set, "2"), 0);
    let mut found = 0;
    for name in DERIVED {
        let path = set.join(name);
        let bytes = std::fs::read(&path).unwrap();
        let digits: Vec<usize> = (0..bytes.len())
            .filter(|place| bytes[*place].is_ascii_digit())
            .step_by(bytes.len() / 20 + 1)
            .collect();
        for place in digits {
            let mut changed = bytes.clone();
            changed[place] = if changed[place] == b'9' { b'8' } else { changed[place] + 1 };
            std::fs::write(&path, changed).unwrap();
            seal_anew(&set, None);
            // Levels 0 and 1 do not look at what a report says.
            assert_eq!(verify(&a_box, &set, "2"), 3, "{name} at {place}");
            found += 1;
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    seal_anew(&set, None);
    assert_eq!(verify(&a_box, &set, "2"), 0);
    println!(
        "T7: {found} numbers changed in derived files, with a manifest made again: each found at level 2"
    );
    assert!(found > 5);
}

#[test]
fn a_measured_number_that_was_changed_is_found_unless_everything_is_made_again() {
    let (a_box, set) = forgery();
    let journal = std::fs::read(set.join("journal.jsonl")).unwrap();
    let mut found = 0;
    for (pointer, value) in [
        ("/run/measurement/prompt_us", serde_json::json!(17)),
        ("/run/measurement/generation_us", serde_json::json!(1)),
        ("/run/measurement/first_token_ns", serde_json::json!(5)),
        ("/run/broken", serde_json::json!([{"rule": "exact_length", "detail": "x"}])),
    ] {
        let head = change_journal(&set, is_counted_run, pointer, &value);
        seal_anew(&set, Some(head));
        assert_eq!(verify(&a_box, &set, "2"), 3, "{pointer}");
        found += 1;
        std::fs::write(set.join("journal.jsonl"), &journal).unwrap();
    }
    println!(
        "T7: {found} measured numbers changed, with chain and manifest made again: each found at level 2"
    );

    // What nobody can find without a signature: the derived files made again too, with llamark itself.
    let head = change_journal(&set, is_counted_run, "/run/measurement/prompt_us", &serde_json::json!(17));
    seal_anew(&set, Some(head));
    let read = ArtifactSet::read(Utf8Path::from_path(&set).unwrap()).unwrap();
    for (name, bytes) in llamark_report::derived_files(&read).unwrap() {
        std::fs::write(set.join(name), bytes).unwrap();
    }
    seal_anew(&set, None);
    assert_eq!(verify(&a_box, &set, "2"), 0);
    println!(
        "T7: one number changed and everything made again: accepted, as it must be; only a signature tells"
    );
}

#[test]
fn another_plan_with_everything_else_as_it_was_is_found() {
    let (a_box, set) = forgery();
    let path = set.join("plan.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut found = 0;
    // A margin, the seed, a repetition: what somebody would change who did not like the verdict.
    for (from, to) in [
        ("\"margin_ppm\":30000", "\"margin_ppm\":90000"),
        ("\"runs\":3", "\"runs\":2"),
        ("\"seed\":", "\"seed\":1"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        std::fs::write(&path, changed).unwrap();
        seal_anew(&set, None);
        assert_eq!(verify(&a_box, &set, "1"), 3, "{from}");
        found += 1;
    }
    println!("T7: {found} changes of the plan, with a manifest made again: each found at level 1");
}
