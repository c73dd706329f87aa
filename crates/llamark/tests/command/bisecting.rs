//! `bisect`: over a list of engines whose speed is known, with engines that do not run, and killed on its way.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::Box;

/// What an engine of the history is like.
#[derive(Clone, Copy)]
enum Engine {
    /// Token generation at this rate.
    Runs(f64),
    /// It starts and dies.
    Dies,
    /// It is no program at all.
    IsBroken,
}

use Engine::{Dies, IsBroken, Runs};

/// A box with these engines as `e0`, `e1`, ... and the list of them.
fn history(engines: &[Engine]) -> Box {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 2, warmup: 0, starts: 1");
    let mut list = "schema: llamark/engines/v1\nengines:\n".to_owned();
    for (place, engine) in engines.iter().enumerate() {
        let folder = a_box.path(&format!("e{place}"));
        std::fs::create_dir_all(&folder).unwrap();
        let server = folder.join("llama-server");
        let behaviour = match engine {
            Runs(rate) => format!(r#"{{"generation_rate": {rate}, "prompt_rate": 20000, "jitter": 0.004}}"#),
            Dies => r#"{"die": {"at": "load", "signal": 6}}"#.to_owned(),
            IsBroken => "{}".to_owned(),
        };
        if matches!(engine, IsBroken) {
            std::fs::write(&server, "no program").unwrap();
        } else {
            std::fs::copy(a_box.path("engine/llama-server"), &server).unwrap();
            // What is behind the end of a program does nothing, and makes it another build.
            let mut file = std::fs::OpenOptions::new().append(true).open(&server).unwrap();
            write!(file, "engine {place}").unwrap();
        }
        std::fs::write(folder.join("fake.json"), behaviour).unwrap();
        list.push_str(&format!("- {{ label: e{place}, engine: {{ source: {{ prebuilt: e{place} }} }} }}\n"));
    }
    std::fs::write(a_box.path("engines.yaml"), list).unwrap();
    a_box
}

/// So many engines, of which those from `turn` on are slower by a tenth.
fn turning(engines: usize, turn: usize) -> Vec<Engine> {
    (0..engines).map(|place| Runs(if place < turn { 4000.0 } else { 3600.0 })).collect()
}

const BISECT: [&str; 4] = ["bisect", "box.yaml", "--engines", "engines.yaml"];

fn record(a_box: &Box) -> Value {
    let Ok(folder) = std::fs::read_dir(a_box.path("artifacts/bisect")) else { return Value::Null };
    // A file that is being written has another name beside it.
    let mut files = folder.map(|entry| entry.unwrap().path());
    let Some(file) = files.find(|path| path.extension().is_some_and(|end| end == "json")) else {
        return Value::Null;
    };
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn sets(a_box: &Box) -> Vec<PathBuf> {
    let Ok(folder) = std::fs::read_dir(a_box.path("artifacts/box-bisect")) else { return Vec::new() };
    let mut sets: Vec<_> = folder.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    sets.sort();
    sets
}

fn verdicts(record: &Value) -> Vec<(u64, String)> {
    let of =
        |step: &Value| (step["revision"].as_u64().unwrap(), step["verdict"].as_str().unwrap().to_owned());
    record["steps"].as_array().unwrap().iter().map(of).collect()
}

fn told(place: u64, verdict: &str) -> (u64, String) {
    (place, verdict.to_owned())
}

#[test]
fn the_first_bad_engine_is_found_and_the_answer_is_kept() {
    let a_box = history(&turning(9, 6));
    let (out, err) = a_box.run(&[&BISECT[..], &["--json"]].concat(), 1);
    assert!(err.contains("First bad: e6") && err.contains("before it e5"), "{err}");
    assert!(err.contains("tg -10.") || err.contains("tg -9."), "{err}");
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found, record(&a_box));
    assert_eq!(found["format"], "llamark/bisect/v1");
    assert_eq!(found["answer"]["first_bad"]["revision"], 6);
    assert_eq!(verdicts(&found), [told(8, "bad"), told(4, "good"), told(6, "bad"), told(5, "good")]);
    // Every number of it is in a sealed set, beside one of the good end.
    for step in found["steps"].as_array().unwrap() {
        for pair in step["sets"].as_array().unwrap() {
            for set in pair.as_array().unwrap() {
                a_box.run(&["verify", set.as_str().unwrap()], 0);
            }
        }
        assert!(step["evidence"]["pairs"].as_u64().unwrap() >= 2, "{step}");
    }
    let measured = sets(&a_box);
    let (_, err) = a_box.run(&BISECT, 1);
    assert!(err.contains("First bad: e6") && !err.contains("Measured"), "{err}");
    assert_eq!(sets(&a_box), measured);
    // The verdicts lost, the sets are still there: nothing is measured twice.
    std::fs::remove_dir_all(a_box.path("artifacts/bisect")).unwrap();
    let (_, err) = a_box.run(&BISECT, 1);
    assert!(err.contains("First bad: e6") && !err.contains("Measured"), "{err}");
    assert_eq!((sets(&a_box), record(&a_box)), (measured, found));
}

#[test]
fn what_does_not_run_is_gone_around() {
    let mut engines = turning(9, 7);
    engines[4] = Dies;
    engines[5] = IsBroken;
    let a_box = history(&engines);
    let (_, err) = a_box.run(&[&BISECT[..], &["--skip", "e3"]].concat(), 1);
    assert!(err.contains("First bad: e7") && err.contains("before it e6"), "{err}");
    let found = verdicts(&record(&a_box));
    assert_eq!(found[..3], [told(8, "bad"), told(3, "skipped"), told(4, "skipped")]);
    let (_, err) = a_box.run(&[&BISECT[..], &["--skip", "e9"]].concat(), 2);
    assert!(err.contains("no revision `e9`") && err.contains("a commit of at least 4 digits"), "{err}");
    let (_, err) = a_box.run(&[&BISECT[..], &["--skip", "e8"]].concat(), 2);
    assert!(err.contains("an end of the history") && err.contains("leave out `--skip`"), "{err}");
}

#[test]
fn skips_around_the_turn_leave_a_range() {
    let mut engines = turning(6, 3);
    engines[2] = IsBroken;
    engines[3] = Dies;
    let a_box = history(&engines);
    let (_, err) = a_box.run(&BISECT, 6);
    assert!(err.contains("Hidden: one of these 3 is the first bad one"), "{err}");
    for line in
        ["  e2: skipped; it does not build", "  e3: skipped; no result", "  e4: tg -", "before them e1: tg "]
    {
        assert!(err.contains(line), "{line} in {err}");
    }
    assert_eq!(record(&a_box)["answer"]["hidden"], serde_json::json!({"first": 2, "last": 4}));
}

#[test]
fn ends_that_do_not_differ_are_no_history_to_search() {
    let a_box = history(&[Runs(4000.0), Dies, Runs(4000.0)]);
    let (_, err) = a_box.run(&BISECT, 0);
    assert!(err.contains("Nothing to find: e2 is not worse than e0"), "{err}");
    assert_eq!(record(&a_box)["answer"], "not_worse");
    // What became better is not worse either.
    let a_box = history(&[Runs(3600.0), Runs(4000.0)]);
    a_box.run(&BISECT, 0);
    // A metric that did not change is another question.
    let a_box = history(&turning(3, 1));
    a_box.run(&[&BISECT[..], &["--metric", "pp"]].concat(), 0);
    let (_, err) = a_box.run(&BISECT, 1);
    assert!(err.contains("First bad: e1"), "{err}");
}

#[test]
fn ends_that_do_not_run_are_an_error() {
    let (_, err) = history(&[Runs(4000.0), Runs(4000.0), IsBroken]).run(&BISECT, 4);
    assert!(err.contains("name a different one than e2"), "{err}");
    // What died once is not measured again by itself, and is where that is asked for.
    let a_box = history(&[Dies, Runs(4000.0), Runs(3600.0)]);
    let (_, err) = a_box.run(&BISECT, 5);
    assert!(err.contains("e0 has no result") && err.contains("`--again` measures everything again"), "{err}");
    std::fs::write(a_box.path("e0/fake.json"), r#"{"generation_rate": 4000.0, "jitter": 0.004}"#).unwrap();
    a_box.run(&BISECT, 5);
    let (_, err) = a_box.run(&[&BISECT[..], &["--again"]].concat(), 1);
    assert!(err.contains("First bad: e2"), "{err}");
    assert_eq!(record(&a_box)["attempt"], 2);
    let (_, err) = a_box.run(&BISECT, 1);
    assert!(err.contains("First bad: e2") && !err.contains("Measured"), "{err}");
    // There is no attempt before the first: llamark did not write such a file.
    let file = std::fs::read_dir(a_box.path("artifacts/bisect")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&file).unwrap().replace(r#""attempt": 2"#, r#""attempt": 0"#);
    std::fs::write(&file, text).unwrap();
    let (_, err) = a_box.run(&BISECT, 3);
    assert!(err.contains("remove it to start a new search"), "{err}");
    let a_box = history(&turning(3, 1));
    std::fs::copy(a_box.path("e0/llama-server"), a_box.path("e2/llama-server")).unwrap();
    let (_, err) = a_box.run(&BISECT, 2);
    assert!(
        err.contains("e0 and e2 are the same build") && err.contains("name two ends that differ"),
        "{err}"
    );
}

/// To look for it in all starts that there may be would find nothing but that.
#[test]
fn a_metric_that_the_case_does_not_have_is_said_after_the_first_pairs() {
    let a_box = history(&turning(3, 1));
    let (_, err) = a_box.run(&[&BISECT[..], &["--metric", "vram"]].concat(), 5);
    assert!(err.contains("fox/cpu/p has no vram on both sides") && err.contains("`--metric tg`"), "{err}");
    assert_eq!(sets(&a_box).len(), 2);
}

#[test]
fn bad_questions_are_refused_before_anything_is_measured() {
    let a_box = history(&turning(3, 1));
    let (_, err) = a_box.run(&["bisect", "box.yaml", "--good", "b1", "--bad", "b2"], 2);
    assert!(err.contains("does not come from a git repository"), "{err}");
    a_box.run(&["bisect", "box.yaml"], 2);
    a_box.run(&["bisect", "box.yaml", "--good", "b1"], 2);
    a_box.run(&[&BISECT[..], &["--good", "b1", "--bad", "b2"]].concat(), 2);
    let (_, err) = a_box.run(&[&BISECT[..], &["--metric", "speed"]].concat(), 2);
    assert!(err.contains("the metrics are pp, tg"), "{err}");
    a_box.model("hen", "{}").experiment(&["fox", "hen"], "runs: 2");
    let (_, err) = a_box.run(&BISECT, 2);
    assert!(err.contains("2 cases") && err.contains("--case ID"), "{err}");
    assert!(err.contains("match: fox/cpu/p, hen/cpu/p\n"), "all of them were listed: {err}");
    let many: Vec<String> = (1..=9).map(|place| format!("m{place}")).collect();
    a_box.experiment(&many.iter().map(String::as_str).collect::<Vec<_>>(), "runs: 2");
    let (_, err) = a_box.run(&BISECT, 2);
    assert!(err.contains("9 cases") && err.contains("m4/cpu/p and 5 more\n"), "{err}");
    // No look at a comparison decides with an error of half.
    let (_, err) = a_box.run(&[&BISECT[..], &["--error", "60"]].concat(), 2);
    assert!(err.contains("--error") && err.contains("below 50"), "{err}");
    a_box.experiment(&["fox"], "runs: 1");
    let (_, err) = a_box.run(&BISECT, 2);
    assert!(err.contains("at least two are needed"), "{err}");
    assert!(sets(&a_box).is_empty());
}

/// Something was measured, so that this is no bad input: it is there, and the same command goes on with it.
#[test]
fn a_verdict_that_cannot_be_kept_is_no_bad_input() {
    let a_box = history(&turning(3, 1));
    std::fs::create_dir_all(a_box.path("artifacts")).unwrap();
    std::fs::write(a_box.path("artifacts/bisect"), "in the way").unwrap();
    let (_, err) = a_box.run(&BISECT, 3);
    assert!(err.contains("artifacts/bisect") && err.contains("the same command"), "{err}");
    std::fs::remove_file(a_box.path("artifacts/bisect")).unwrap();
    let measured = sets(&a_box).len();
    let (_, err) = a_box.run(&BISECT, 1);
    assert!(err.contains("First bad: e1") && sets(&a_box).len() > measured, "{err}");
}

#[test]
fn a_search_that_is_killed_goes_on_where_it_was() {
    let a_box = history(&turning(9, 2));
    let mut child = a_box.spawn(&BISECT);
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_open = |set: &PathBuf| {
        let journal = std::fs::read_to_string(set.join("journal.jsonl")).unwrap_or_default();
        journal.contains(r#""event":{"run""#) && !set.join("manifest.json").exists()
    };
    // In the middle of its second revision or a later one.
    while record(&a_box)["steps"].as_array().is_none_or(|steps| steps.len() < 2)
        || !sets(&a_box).iter().any(is_open)
    {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "it was over too soon");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (before, open) = (record(&a_box), sets(&a_box));
    assert!(before["answer"].is_null(), "{before}");
    let (_, err) = a_box.run(&BISECT, 1);
    assert!(err.contains("First bad: e2") && err.contains("are known already"), "{err}");
    let after = record(&a_box);
    let steps = before["steps"].as_array().unwrap();
    assert_eq!(after["steps"].as_array().unwrap()[..steps.len()], steps[..]);
    // Both sets of the pair that was cut short were opened again, and are whole.
    for set in open {
        a_box.run(&["verify", set.to_str().unwrap()], 0);
    }
}
