//! `calibrate` and `diff --confirm`: two sets measured in turn by one process.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::Box;

fn at(rate: f64) -> String {
    format!(r#"{{"generation_rate": {rate}, "prompt_rate": {}, "jitter": 0.002}}"#, rate * 5.0)
}

fn folders(a_box: &Box, name: &str) -> Vec<PathBuf> {
    let Ok(folders) = std::fs::read_dir(a_box.path("artifacts").join(name)) else { return Vec::new() };
    let mut sets: Vec<_> = folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    sets.sort();
    sets
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn noise(a_box: &Box) -> Value {
    let [file] = std::fs::read_dir(a_box.path("artifacts/noise"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    json(&std::fs::read_to_string(file).unwrap())
}

/// A second engine beside the first, as fast as that; and two sets: one of each.
fn two_engines(base: f64, candidate: f64) -> (Box, [String; 2]) {
    let a_box = Box::new();
    a_box.model("fox", "{}").model("hen", "{}").experiment(&["fox", "hen"], "runs: 3, starts: 5");
    std::fs::create_dir_all(a_box.path("other")).unwrap();
    std::fs::copy(a_box.path("engine/llama-server"), a_box.path("other/llama-server")).unwrap();
    std::fs::write(a_box.path("engine/fake.json"), at(base)).unwrap();
    std::fs::write(a_box.path("other/fake.json"), at(candidate)).unwrap();
    a_box.run(&["run", "box.yaml"], 0);
    let [base] = a_box.sets().try_into().unwrap();
    let text = std::fs::read_to_string(a_box.path("box.yaml")).unwrap();
    std::fs::write(a_box.path("box.yaml"), text.replace("prebuilt: engine", "prebuilt: other")).unwrap();
    a_box.run(&["run", "box.yaml"], 0);
    // Two ids of one second do not say which came first.
    let candidate = a_box.sets().into_iter().find(|set| *set != base).unwrap();
    let sets = [base, candidate].map(|set| set.to_str().unwrap().to_owned());
    (a_box, sets)
}

/// Something was measured, so that this is no bad input: it is there, and the same command goes on with it.
#[test]
fn a_noise_file_that_cannot_be_written_is_no_bad_input() {
    let a_box = Box::new();
    a_box.model("fox", &at(4000.0)).experiment(&["fox"], "runs: 2");
    std::fs::create_dir_all(a_box.path("artifacts")).unwrap();
    std::fs::write(a_box.path("artifacts/noise"), "in the way").unwrap();
    let args = ["calibrate", "box.yaml", "--starts", "3"];
    let (_, err) = a_box.run(&args, 3);
    assert!(err.contains("artifacts/noise") && err.contains("the same command"), "{err}");
    std::fs::remove_file(a_box.path("artifacts/noise")).unwrap();
    let (_, err) = a_box.run(&args, 0);
    assert!(!err.contains("Measured"), "{err}");
    assert_eq!(noise(&a_box)["calibrations"].as_array().unwrap().len(), 1);
}

#[test]
fn a_calibration_is_two_sets_in_turn_and_a_noise_file_that_diff_uses() {
    let a_box = Box::new();
    a_box.model("fox", &at(4000.0)).model("hen", &at(4000.0));
    a_box.experiment(&["fox", "hen"], "runs: 3, starts: 1");
    let (_, err) = a_box.run(&["calibrate", "box.yaml", "--starts", "4"], 0);
    assert!(err.contains("pair 8 of at most 24") && err.contains("fox/cpu/p tg:"), "{err}");
    let sets = folders(&a_box, "box-calibrate");
    assert_eq!(sets.len(), 2);
    let mut arms = Vec::new();
    for set in &sets {
        a_box.run(&["verify", set.to_str().unwrap()], 0);
        let plan = json(&std::fs::read_to_string(set.join("plan.json")).unwrap());
        let turns = plan["plan"]["interleaved"].clone();
        assert_eq!(turns["first"].as_array().unwrap().len(), 24);
        arms.push((turns["arm"].clone(), turns["pairing"].clone(), turns["first"].clone()));
    }
    assert_ne!(arms[0].0, arms[1].0);
    assert_eq!((&arms[0].1, &arms[0].2), (&arms[1].1, &arms[1].2));

    let file = noise(&a_box);
    assert_eq!(
        (&file["format"], file["calibrations"].as_array().unwrap().len()),
        (&"llamark/noise/v1".into(), 1)
    );
    let cells = file["calibrations"][0]["cells"].as_array().unwrap();
    let tg = cells.iter().find(|cell| cell["case"] == "hen/cpu/p" && cell["metric"] == "tg").unwrap();
    assert_eq!((&tg["paired"]["df"], &tg["unpaired"]["df"]), (&3.into(), &6.into()));

    // The two arms are a comparison of blocks.
    let arms: Vec<&str> = sets.iter().map(|set| set.to_str().unwrap()).collect();
    let (table, _) = a_box.run(&["diff", arms[0], arms[1], "--no-noise"], 0);
    assert!(!table.contains("not interleaved"), "{table}");

    // One start decides nothing by itself, and with the noise file it is at most a suspect.
    a_box.run(&["run", "box.yaml"], 0);
    std::fs::write(a_box.path("engine/fake.json"), r#"{"jitter": 0.002}"#).unwrap();
    a_box.run(&["run", "box.yaml", "--again"], 0);
    let ones: Vec<String> = a_box.sets().iter().map(|set| set.to_str().unwrap().to_owned()).collect();
    let (text, _) = a_box.run(&["diff", &ones[0], &ones[1], "--format", "json"], 6);
    let found = json(&text);
    let caveat = found["caveats"].as_array().unwrap().iter().find(|one| one["code"] == "noise_file").unwrap();
    assert!(caveat["text"].as_str().unwrap().contains("to 4 of 4 gating comparisons"), "{caveat}");
    let history = &found["cases"][0]["metrics"][0]["evidence"]["history"];
    assert_eq!(history["df"], 6.0);
    let (table, _) = a_box.run(&["diff", &ones[0], &ones[1], "--no-noise"], 6);
    assert!(table.contains("between-start noise unknown"), "{table}");

    // Again: a new pair, and a second entry.
    a_box.run(&["calibrate", "box.yaml", "--starts", "3"], 0);
    assert_eq!(folders(&a_box, "box-calibrate").len(), 4);
    assert_eq!(noise(&a_box)["calibrations"].as_array().unwrap().len(), 2);
    a_box.run(&["diff", &ones[0], &ones[1], "--noise", "box.yaml"], 2);
}

/// What a calibration showed stands, also that it showed nothing; another one is made where that is asked for.
#[test]
fn a_calibration_without_a_result_is_made_anew_where_that_is_asked_for() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 2, warmup: 0");
    std::fs::write(a_box.path("engine/fake.json"), r#"{"die": {"at": "load", "signal": 6}}"#).unwrap();
    let args = ["calibrate", "box.yaml", "--starts", "3"];
    let (_, err) = a_box.run(&args, 5);
    assert!(err.contains("nothing was learned") && err.contains("`--again` measures again"), "{err}");
    std::fs::write(a_box.path("engine/fake.json"), at(4000.0)).unwrap();
    a_box.run(&args, 5);
    a_box.run(&[&args[..], &["--again"]].concat(), 0);
    assert_eq!(folders(&a_box, "box-calibrate").len(), 4);
}

/// The starts of one side alone, hours later, would be taken for pairs.
#[test]
fn a_set_whose_partner_is_gone_gets_no_new_one() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 2, warmup: 0");
    std::fs::write(a_box.path("engine/fake.json"), r#"{"die": {"at": "load", "signal": 6}}"#).unwrap();
    let args = ["calibrate", "box.yaml", "--starts", "3"];
    a_box.run(&args, 5);
    let [gone, left] = <[PathBuf; 2]>::try_from(folders(&a_box, "box-calibrate")).unwrap();
    std::fs::remove_dir_all(gone).unwrap();
    let (_, err) = a_box.run(&args, 2);
    assert!(err.contains("its starts have no partners") && err.contains("remove"), "{err}");
    assert_eq!(folders(&a_box, "box-calibrate"), std::slice::from_ref(&left));
    std::fs::remove_dir_all(left).unwrap();
    std::fs::write(a_box.path("engine/fake.json"), at(4000.0)).unwrap();
    a_box.run(&args, 0);
}

#[test]
fn an_interrupted_calibration_goes_on_with_both_sets() {
    let a_box = Box::new();
    a_box.model("fox", r#"{"generation_rate": 60.0, "prompt_rate": 4000.0}"#);
    a_box.experiment(&["fox"], "warmup: 0, runs: 2");
    let args = ["calibrate", "box.yaml", "--starts", "3"];
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_llamark"))
        .current_dir(a_box.root.path())
        .env("LLAMARK_CACHE", a_box.path("cache"))
        .env("LLAMARK_MODELS", a_box.path("models"))
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let has_run = |set: &PathBuf| {
        let journal = std::fs::read_to_string(set.join("journal.jsonl")).unwrap_or_default();
        journal.contains(r#""event":{"run""#)
    };
    while folders(&a_box, "box-calibrate").iter().filter(|set| has_run(set)).count() < 2 {
        assert!(Instant::now() < deadline, "no run was recorded in time");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(a_box.servers().is_empty());
    assert!(!a_box.path("artifacts/noise").exists());
    let (_, err) = a_box.run(&args, 0);
    assert!(err.contains("Resuming"), "{err}");
    let sets = folders(&a_box, "box-calibrate");
    assert_eq!(sets.len(), 2);
    for set in sets {
        a_box.run(&["verify", set.to_str().unwrap()], 0);
    }
    assert_eq!(noise(&a_box)["calibrations"][0]["cells"][0]["paired"]["df"], 2);
}

#[test]
fn a_real_regression_is_confirmed_once() {
    let (a_box, [base, candidate]) = two_engines(4000.0, 3600.0);
    let args = ["diff", &base, &candidate, "--confirm", "--starts", "3"];
    let (table, err) = a_box.run(&args, 1);
    assert!(table.starts_with("Regression: 4 of 4 gating comparisons are worse"), "{table}");
    assert!(table.contains("regressed at first") && table.contains("confirmed by 3 pairs"), "{table}");
    assert!(err.contains("Confirming fox/cpu/p, hen/cpu/p in 3 fresh starts per side"), "{err}");
    assert_eq!(folders(&a_box, "box-confirm").len(), 2);
    let (text, err) = a_box.run(&[&args[..], &["--format", "json"]].concat(), 1);
    assert!(err.contains("confirmed before; nothing was run"), "{err}");
    let found = json(&text);
    let metric = &found["cases"][0]["metrics"][0];
    assert_eq!(
        (&metric["verdict"], &metric["confirmation"]["screened"]),
        (&"regressed".into(), &"regressed".into())
    );
    assert_eq!(found["confirmed_by"].as_array().unwrap().len(), 2);
    assert_eq!(folders(&a_box, "box-confirm").len(), 2);
    // Asking until it passes is refused.
    let (_, err) = a_box.run(&["diff", &base, &candidate, "--confirm", "--starts", "4"], 2);
    assert!(err.contains("there is only one such round"), "{err}");
    // What is better needs no confirmation.
    let (_, err) = a_box.run(&["diff", &candidate, &base, "--confirm"], 0);
    assert!(err.contains("nothing to confirm"), "{err}");
}

/// Three jittery starts a side leave it open; fresh pairs of as many starts as it takes do not.
#[test]
fn what_is_inconclusive_is_decided_by_fresh_starts_where_that_is_asked_for() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 2, starts: 1");
    std::fs::write(a_box.path("engine/fake.json"), at(4000.0)).unwrap();
    a_box.run(&["run", "box.yaml"], 0);
    a_box.run(&["run", "box.yaml", "--again"], 0);
    let [base, candidate] = <[PathBuf; 2]>::try_from(a_box.sets()).unwrap();
    let sets = [base.to_str().unwrap(), candidate.to_str().unwrap()];
    let (_, err) = a_box.run(&["diff", sets[0], sets[1]], 6);
    assert!(err.contains("`--confirm=undecided` decides what is open"), "{err}");
    let (_, err) = a_box.run(&["diff", sets[0], sets[1], "--confirm"], 6);
    assert!(err.contains("Nothing looks or is worse") && !err.contains("decides what is open"), "{err}");
    let args = ["diff", sets[0], sets[1], "--confirm=undecided", "--starts", "6", "-v"];
    let (table, err) = a_box.run(&args, 0);
    assert!(table.contains("inconclusive at first") && table.contains("equivalent by 6 pairs"), "{table}");
    assert!(err.contains("of at most 18"), "{err}");
    let (_, err) = a_box.run(&args, 0);
    assert!(err.contains("confirmed before; nothing was run"), "{err}");
    for set in folders(&a_box, "box-confirm") {
        a_box.run(&["verify", set.to_str().unwrap()], 0);
        let journal = std::fs::read_to_string(set.join("journal.jsonl")).unwrap();
        assert!(journal.contains(r#""by":"pairs""#), "a case that has enough says why");
    }
}

#[test]
fn what_the_machine_did_for_a_while_is_not_confirmed() {
    let (a_box, [base, candidate]) = two_engines(4000.0, 3600.0);
    std::fs::write(a_box.path("other/fake.json"), at(4000.0)).unwrap();
    a_box.run(&["diff", &base, &candidate], 1);
    let (table, _) = a_box.run(&["diff", &base, &candidate, "--confirm"], 0);
    assert!(table.starts_with("No regression"), "{table}");
    let (table, _) = a_box.run(&["diff", &base, &candidate, "--confirm", "-v"], 0);
    assert!(table.contains("not confirmed by 5 pairs"), "{table}");
}

#[test]
fn every_missing_input_is_named_before_anything_is_measured() {
    let (a_box, [base, candidate]) = two_engines(4000.0, 3600.0);
    // Not the one alone: the other has the same bytes, and would do.
    std::fs::remove_dir_all(a_box.path("models")).unwrap();
    std::fs::remove_dir_all(a_box.path("other")).unwrap();
    let (_, err) = a_box.run(&["diff", &base, &candidate, "--confirm"], 2);
    for what in ["missing: baseline: model hen", "missing: candidate: model hen", "missing: candidate: "] {
        assert!(err.contains(what), "{err}");
    }
    assert!(err.contains("other"), "{err}");
    assert!(folders(&a_box, "box-confirm").is_empty());
}
