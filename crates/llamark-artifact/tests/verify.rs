//! Verification finds every change: each byte flipped, each length, each file and line removed, repeated, swapped.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use common::{SAMPLE, TINY, content, folder, lay_out, sealed, write};
use llamark_artifact::journal::Reader;
use llamark_artifact::{ArtifactError, verify};
use llamark_record::Sha256;
use llamark_record::manifest::{Manifest, RunDetails};

/// Problems of level 1, or why there is no verdict.
fn problems(set: &Utf8Path) -> Vec<String> {
    problems_of(set, 1)
}

fn problems_of(set: &Utf8Path, level: u8) -> Vec<String> {
    match verify(set, level) {
        Ok(verification) => verification.checks.into_iter().flat_map(|check| check.problems).collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// A tiny sealed set laid out as plain writable files, and its content.
fn tiny(root: &Utf8Path) -> (Utf8PathBuf, Vec<(String, Vec<u8>)>) {
    let (_keep, made) = folder();
    let files = content(&sealed(&made, TINY));
    let set = root.join("set");
    lay_out(&set, &files);
    assert_eq!(problems(&set), Vec::<String>::new());
    (set, files)
}

/// Writes manifest and checksums anew so that level 0 passes: what is left to find is for level 1.
fn seal_anew(set: &Utf8Path, change: impl FnOnce(&mut Manifest)) {
    let path = set.join("manifest.json");
    let mut manifest: Manifest = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    let mut lines = Vec::new();
    for subject in &mut manifest.subject {
        let bytes = fs_err::read(set.join(&subject.name)).unwrap();
        subject.digest.sha256 = Sha256::of_bytes(&bytes);
        subject.annotations.insert("bytes".to_owned(), bytes.len().to_string());
        lines.push((subject.name.clone(), subject.digest.sha256.clone()));
    }
    change(&mut manifest);
    let mut bytes = serde_json::to_vec_pretty(&manifest).unwrap();
    bytes.push(b'\n');
    lines.push(("manifest.json".to_owned(), Sha256::of_bytes(&bytes)));
    lines.sort();
    let list: String = lines.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
    write(&path, &bytes);
    write(&set.join("manifest-sha256.txt"), list.as_bytes());
}

#[test]
fn the_sample_passes_and_says_what_was_checked() {
    let (_keep, root) = folder();
    let verification = verify(&sealed(&root, SAMPLE), 1).unwrap();
    assert!(verification.passed(), "{verification:?}");
    let counts: Vec<String> = verification
        .checks
        .iter()
        .map(|check| format!("{} {} {}", check.level, check.count, check.name))
        .collect();
    insta::assert_snapshot!(counts.join("\n"), @r"
    0 1 manifest
    0 15 lines of manifest-sha256.txt
    0 14 files by size and sha256
    0 16 files and folders, for what was not sealed
    1 1 plan
    1 54 journal entries by chain and order
    1 4 cases by their end
    1 32 planned runs by their record
    1 2 models by the plan
    1 2 builds by the plan
    1 6 programs and libraries that were run
    1 9 materials of the manifest
    1 1 machine
    ");
}

#[test]
fn every_flipped_byte_is_found() {
    let (_keep, root) = folder();
    let (set, files) = tiny(&root);
    let begun = Instant::now();
    let mut flips = 0_u32;
    for (name, bytes) in &files {
        let path = set.join(name);
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            // Another bit at each place, so that letters, digits and structure all change.
            changed[place] ^= 1 << (place % 8);
            write(&path, &changed);
            // Level 0 is a part of level 1: what it finds, both find.
            assert!(!problems_of(&set, 0).is_empty(), "{name} at {place}");
            flips += 1;
        }
        write(&path, bytes);
    }
    assert_eq!(problems(&set), Vec::<String>::new());
    println!("T7: {flips} flipped bytes found in {:.1} s", begun.elapsed().as_secs_f64());
}

/// The journal without the manifest's help: what level 1 and every reader see.
#[test]
fn every_flipped_byte_of_a_journal_is_found_by_the_chain_alone() {
    let (_keep, root) = folder();
    let (set, _files) = tiny(&root);
    let path = set.join("journal.jsonl");
    let bytes = fs_err::read(&path).unwrap();
    let is_whole = || Reader::open(&path, true).unwrap().all(|entry| entry.is_ok());
    assert!(is_whole());
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        write(&path, &changed);
        assert!(!is_whole(), "byte {place}");
    }
    println!("T7: {} flipped bytes of a journal found by its chain", bytes.len());
}

#[test]
fn every_shorter_file_is_found() {
    let (_keep, root) = folder();
    let (set, files) = tiny(&root);
    let mut cuts = 0_u32;
    for (name, bytes) in &files {
        let path = set.join(name);
        for length in 0..bytes.len() {
            write(&path, &bytes[..length]);
            assert!(!problems_of(&set, 0).is_empty(), "{name} of {length} bytes");
            cuts += 1;
        }
        write(&path, &[bytes.as_slice(), b"\n"].concat());
        assert!(!problems(&set).is_empty(), "{name} with a byte more");
        write(&path, bytes);
    }
    println!("T7: {cuts} truncations found");
}

#[test]
fn every_removed_added_swapped_or_linked_file_is_found() {
    let (_keep, root) = folder();
    let (set, files) = tiny(&root);
    let mut changes = 0_u32;
    for (place, (name, bytes)) in files.iter().enumerate() {
        let path = set.join(name);
        let mut expect_found = |what: &str| {
            assert!(!problems(&set).is_empty(), "{name}: {what}");
            changes += 1;
        };
        fs_err::remove_file(&path).unwrap();
        expect_found("removed");
        let elsewhere = root.join("elsewhere");
        write(&elsewhere, bytes);
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        expect_found("replaced by a link to the same bytes");
        fs_err::remove_file(&path).unwrap();
        fs_err::create_dir(&path).unwrap();
        expect_found("replaced by a folder");
        fs_err::remove_dir(&path).unwrap();
        write(&path, bytes);

        let copy = path.with_file_name("copy");
        write(&copy, bytes);
        expect_found("copied");
        fs_err::remove_file(&copy).unwrap();

        for (other, other_bytes) in &files[place + 1..] {
            if bytes != other_bytes {
                write(&path, other_bytes);
                write(&set.join(other), bytes);
                expect_found(other);
                write(&set.join(other), other_bytes);
                write(&path, bytes);
            }
        }
    }
    let (cases, moved) = (set.join("cases"), root.join("moved"));
    fs_err::rename(&cases, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &cases).unwrap();
    assert!(!problems(&set).is_empty(), "a folder behind a link");
    fs_err::remove_file(&cases).unwrap();
    fs_err::rename(&moved, &cases).unwrap();
    assert_eq!(problems(&set), Vec::<String>::new());
    println!("T7: {changes} files removed, linked, copied or exchanged: found");
}

/// Lines of the sample's journal, and what to expect when level 0 has nothing to say.
#[test]
fn every_removed_repeated_or_swapped_line_is_found_by_the_chain_alone() {
    let (_keep, root) = folder();
    let set = root.join("set");
    let (_keep_made, made) = folder();
    lay_out(&set, &content(&sealed(&made, SAMPLE)));
    let path = set.join("journal.jsonl");
    let text = fs_err::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut changes = 0_u32;
    let mut expect_found = |lines: &[&str], what: String| {
        write(&path, format!("{}\n", lines.join("\n")).as_bytes());
        seal_anew(&set, |_manifest| {});
        let found = problems(&set);
        assert!(
            found.iter().any(|problem| problem.contains("journal") || problem.contains("last entry")),
            "{what}: {found:?}"
        );
        changes += 1;
    };
    for place in 0..lines.len() {
        let mut changed = lines.clone();
        changed.remove(place);
        expect_found(&changed, format!("line {} removed", place + 1));
        let mut changed = lines.clone();
        changed.insert(place, lines[place]);
        expect_found(&changed, format!("line {} repeated", place + 1));
        for other in place + 1..lines.len() {
            let mut changed = lines.clone();
            changed.swap(place, other);
            expect_found(&changed, format!("lines {} and {} swapped", place + 1, other + 1));
        }
        expect_found(&lines[..place.max(1)], format!("cut before line {}", place + 1));
    }
    println!("T7: {changes} journals with lines removed, repeated, swapped or cut: found");
}

/// The digits of a chain made anew by somebody who knows how.
fn chain_anew(lines: &[serde_json::Value]) -> (String, Sha256) {
    let mut prev = Sha256::from_raw([0; 32]);
    let mut text = String::new();
    for (seq, entry) in lines.iter().enumerate() {
        let mut body =
            serde_json::json!({"at": entry["at"], "event": entry["event"], "prev": prev, "seq": seq});
        prev = Sha256::of_canonical_json(&body).unwrap();
        body["hash"] = serde_json::json!(prev);
        text.push_str(&String::from_utf8(llamark_record::digest::canonical_json(&body).unwrap()).unwrap());
        text.push('\n');
    }
    (text, prev)
}

#[test]
fn what_a_forger_with_a_new_chain_leaves_out_is_found() {
    let (_keep, root) = folder();
    let set = root.join("set");
    let (_keep_made, made) = folder();
    lay_out(&set, &content(&sealed(&made, SAMPLE)));
    let path = set.join("journal.jsonl");
    let text = fs_err::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let forge = |what: &str, lines: &[serde_json::Value]| {
        let (text, head) = chain_anew(lines);
        write(&path, text.as_bytes());
        seal_anew(&set, |manifest| {
            manifest.predicate.run_details.byproducts = vec![RunDetails::journal_head(head)];
        });
        let found = problems(&set);
        println!("{what}: {}", found.first().map_or("", String::as_str));
        found
    };
    assert_eq!(forge("nothing", &lines), Vec::<String>::new());

    let at = |kind: &str| lines.iter().position(|line| line["event"].get(kind).is_some()).unwrap();
    let without = |place: usize| {
        let mut changed = lines.clone();
        changed.remove(place);
        changed
    };
    let counted = lines.iter().position(|line| line["event"]["run"]["warmup"] == false).unwrap();
    for kind in [
        "begin",
        "model",
        "build",
        "start_opened",
        "start_ready",
        "run",
        "start_closed",
        "case_closed",
        "end",
    ] {
        assert!(!forge(&format!("no {kind}"), &without(at(kind))).is_empty(), "{kind}");
    }
    assert!(!forge("a counted run left out", &without(counted)).is_empty());

    // The last counted run of a start left out: the indices still follow each other.
    let closed = at("start_closed");
    assert!(!forge("the last run of a start left out", &without(closed - 1)).is_empty());

    let change = |place: usize, pointer: &str, value: serde_json::Value| {
        let mut changed = lines.clone();
        *changed[place].pointer_mut(pointer).unwrap() = value;
        changed
    };
    let other = serde_json::json!("ab".repeat(32));
    for (what, forged) in [
        ("another plan", change(0, "/event/begin/plan", other.clone())),
        ("another machine", change(0, "/event/begin/host", other.clone())),
        ("another model file", change(at("model"), "/event/model/files/0/sha256", other.clone())),
        ("another build", change(at("build"), "/event/build/record/key", other.clone())),
        ("another binary", change(at("build"), "/event/build/record/files/0/sha256", other)),
        ("a failed case as ok", {
            let is_failed =
                |line: &serde_json::Value| line["event"]["case_closed"]["outcome"].get("failed").is_some();
            let failed = lines.iter().position(is_failed).unwrap();
            change(failed, "/event/case_closed/outcome", serde_json::json!("ok"))
        }),
        ("a second try at a start that was measured", {
            // The events of the first start of the first case once more, as attempt 2.
            let (open, close) = (at("start_opened"), closed);
            let mut again: Vec<serde_json::Value> = lines[open..=close].to_vec();
            for line in &mut again {
                for kind in ["start_opened", "start_ready", "run", "start_closed"] {
                    if let Some(id) = line["event"].get_mut(kind).and_then(|event| event.get_mut("id")) {
                        id["attempt"] = serde_json::json!(2);
                    }
                }
            }
            [&lines[..=close], &again, &lines[close + 1..]].concat()
        }),
    ] {
        assert!(!forge(what, &forged).is_empty(), "{what}");
    }
}

#[test]
fn hostile_manifests_are_refused_in_words() {
    let (_keep, root) = folder();
    let (set, files) = tiny(&root);
    let manifest = &files.iter().find(|(name, _)| name == "manifest.json").unwrap().1;
    let text = String::from_utf8(manifest.clone()).unwrap();
    let path = set.join("manifest.json");
    for (what, bytes) in [
        ("a path out of the set", text.replace("\"spec.yaml\"", "\"../spec.yaml\"").into_bytes()),
        ("an absolute path", text.replace("\"spec.yaml\"", "\"/etc/passwd\"").into_bytes()),
        ("itself as a subject", text.replace("\"spec.yaml\"", "\"manifest.json\"").into_bytes()),
        ("deep nesting", format!("{{\"predicate\":{}", "[".repeat(100_000)).into_bytes()),
        ("not UTF-8", vec![0xff; 100]),
        ("nothing", Vec::new()),
        ("another type", text.replace("in-toto.io/Statement/v1", "in-toto.io/Statement/v9").into_bytes()),
    ] {
        write(&path, &bytes);
        assert!(!problems(&set).is_empty(), "{what}");
    }
    write(&path, text.replace("urn:llamark:run:v1", "urn:llamark:run:v2").as_bytes());
    let error = verify(&set, 1).unwrap_err();
    assert!(matches!(error, ArtifactError::Format { .. }), "{error}");
    insta::assert_snapshot!(
        error.to_string().replace(root.as_str(), ""),
        @"`/set/manifest.json` has the format `urn:llamark:run:v2`, which this llamark (0.1.0) does not know (it knows `urn:llamark:run:v1`); llamark 0.1.0 wrote it: use that one, or a newer one"
    );
}

#[test]
fn pipes_do_not_block_and_names_are_escaped() {
    let (_keep, root) = folder();
    let (set, _files) = tiny(&root);
    rustix::fs::mkfifoat(rustix::fs::CWD, set.join("\u{1b}[31mpipe").as_std_path(), rustix::fs::Mode::RWXU)
        .unwrap();
    let found = problems(&set);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("pipe") && !found[0].contains('\u{1b}'), "{found:?}");
    fs_err::remove_file(set.join("spec.yaml")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, set.join("spec.yaml").as_std_path(), rustix::fs::Mode::RWXU)
        .unwrap();
    assert!(problems(&set).len() > 1);
}

#[test]
fn an_unsealed_set_and_no_set_are_told_apart() {
    let (_keep, root) = folder();
    let resolved = common::plan(TINY);
    let writer = common::begin(&common::store(&root), &resolved);
    let found = problems(writer.path());
    assert!(found.len() == 1 && found[0].contains("not sealed"), "{found:?}");
    assert!(matches!(verify(&root, 1), Err(ArtifactError::NotASet { .. })));
    assert!(matches!(verify(writer.path(), 2), Err(ArtifactError::Level { level: 2 })));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the one test that asks another program")]
fn sha256sum_agrees() {
    let (_keep, root) = folder();
    let set = sealed(&root, SAMPLE);
    let run = || {
        std::process::Command::new("sha256sum")
            .args(["--strict", "-c", "manifest-sha256.txt"])
            .current_dir(&set)
            .output()
    };
    let Ok(output) = run() else {
        println!("no sha256sum here");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.stdout.split(|byte| *byte == b'\n').filter(|line| line.ends_with(b": OK")).count(), 15);
    let spec = set.join("spec.yaml");
    fs_err::remove_file(&spec).unwrap();
    write(&spec, b"changed");
    assert!(!run().unwrap().status.success());
}
