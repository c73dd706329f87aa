//! Signals at any moment: the server is gone, the set is whole, and the same command goes on.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::harness::Box;

/// Spawns a slow run: about 20 s of generation if nobody stops it.
fn slow(a_box: &Box) -> Child {
    a_box.model("fox", r#"{"generation_rate": 4.0, "prompt_rate": 1000.0}"#);
    a_box.experiment(&["fox"], "warmup: 0, runs: 10");
    std::process::Command::new(env!("CARGO_BIN_EXE_llamark"))
        .current_dir(a_box.root.path())
        .env("LLAMARK_CACHE", a_box.path("cache"))
        .env("LLAMARK_MODELS", a_box.path("models"))
        .args(["run", "box.yaml"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until the journal holds a finished run.
fn until_measuring(a_box: &Box) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let journals = a_box
            .sets()
            .into_iter()
            .filter_map(|set| std::fs::read_to_string(set.join("journal.jsonl")).ok());
        if journals.into_iter().any(|journal| journal.contains(r#""event":{"run""#)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no run was recorded in time");
}

fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

fn nothing_survives(a_box: &Box) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !a_box.servers().is_empty() {
        assert!(Instant::now() < deadline, "still there: {:?}", a_box.servers());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The same plan, quick: the model's bytes decide the speed, so it must not change. The rest is 10 runs of 2 s; too
/// long for a test, so only the resume itself is looked at.
fn resumes(a_box: &Box) {
    let mut again = std::process::Command::new(env!("CARGO_BIN_EXE_llamark"))
        .current_dir(a_box.root.path())
        .env("LLAMARK_CACHE", a_box.path("cache"))
        .env("LLAMARK_MODELS", a_box.path("models"))
        .args(["run", "box.yaml"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let [set] = a_box.sets().try_into().expect("the set is opened again, not a second one made");
        let journal = std::fs::read_to_string(set.join("journal.jsonl")).unwrap();
        if journal.contains(r#""event":{"resume""#) && journal.contains(r#""attempt":2"#) {
            break;
        }
        assert!(Instant::now() < deadline, "no second attempt in {journal}");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&again, "-INT");
    assert_eq!(again.wait().unwrap().code(), Some(130));
    nothing_survives(a_box);
}

#[test]
fn ctrl_c_stops_within_five_seconds_and_the_same_command_resumes() {
    let a_box = Box::new();
    let mut child = slow(&a_box);
    until_measuring(&a_box);
    let begin = Instant::now();
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    nothing_survives(&a_box);
    resumes(&a_box);
}

#[test]
fn sigkill_leaves_no_server_and_the_same_command_resumes() {
    let a_box = Box::new();
    let mut child = slow(&a_box);
    until_measuring(&a_box);
    signal(&child, "-KILL");
    child.wait().unwrap();
    nothing_survives(&a_box);
    resumes(&a_box);
}

#[test]
fn measuring_afresh_goes_on_where_it_was_interrupted() {
    let a_box = Box::new();
    a_box.model("fox", r#"{"generation_rate": 100.0}"#).experiment(&["fox"], "warmup: 0, runs: 8");
    a_box.run(&["run", "box.yaml"], 0);
    let mut again = std::process::Command::new(env!("CARGO_BIN_EXE_llamark"))
        .current_dir(a_box.root.path())
        .env("LLAMARK_CACHE", a_box.path("cache"))
        .env("LLAMARK_MODELS", a_box.path("models"))
        .args(["run", "box.yaml", "--again"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while a_box.sets().len() < 2 || a_box.servers().is_empty() {
        assert!(Instant::now() < deadline, "no second set in time");
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&again, "-KILL");
    again.wait().unwrap();
    nothing_survives(&a_box);
    a_box.run(&["run", "box.yaml", "--again"], 0);
    assert_eq!(a_box.sets().len(), 2, "the interrupted set is finished, and no third one made");
    assert!(a_box.sets().iter().all(|set| set.join("manifest.json").is_file()));
    a_box.run(&["run", "box.yaml", "--again"], 0);
    assert_eq!(a_box.sets().len(), 3, "afresh, now that nothing is unfinished");
}
