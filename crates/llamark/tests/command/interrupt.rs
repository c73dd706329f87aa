//! Signals at any moment: the server is gone, the set is whole, and the same command goes on.

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Box, events, signal, until};

/// Spawns a slow run: about 20 s of generation if nobody stops it.
fn slow(a_box: &Box) -> Child {
    a_box.model("fox", r#"{"generation_rate": 4.0, "prompt_rate": 1000.0}"#);
    a_box.experiment(&["fox"], "warmup: 0, runs: 10");
    a_box.spawn(&["run", "box.yaml"])
}

/// Waits until the journal holds a finished run.
fn until_measuring(a_box: &Box) {
    until("a run in the journal", || a_box.sets().iter().any(|set| !events(set, "run").is_empty()));
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
    let mut again = a_box.spawn(&["run", "box.yaml"]);
    let is_second = |start: &Value| start["id"]["attempt"] == 2;
    until("a second attempt", || events(&a_box.set(), "start_opened").iter().any(is_second));
    assert_eq!(a_box.sets().len(), 1, "the set is opened again, not a second one made");
    assert_eq!(events(&a_box.set(), "resume").len(), 1);
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
    let mut again = a_box.spawn(&["run", "box.yaml", "--again"]);
    until("a second set", || a_box.sets().len() == 2 && !a_box.servers().is_empty());
    signal(&again, "-KILL");
    again.wait().unwrap();
    nothing_survives(&a_box);
    a_box.run(&["run", "box.yaml", "--again"], 0);
    assert_eq!(a_box.sets().len(), 2, "the interrupted set is finished, and no third one made");
    assert!(a_box.sets().iter().all(|set| set.join("manifest.json").is_file()));
    a_box.run(&["run", "box.yaml", "--again"], 0);
    assert_eq!(a_box.sets().len(), 3, "afresh, now that nothing is unfinished");
}

/// What only reads has nothing to finish: the first signal ends it.
#[test]
fn what_only_reads_ends_at_once() {
    let a_box = Box::new();
    let pipe = a_box.path("pipe.gguf");
    assert_cmd::Command::new("mkfifo").arg(&pipe).assert().success();
    for name in ["-INT", "-TERM"] {
        // It waits for somebody who writes into the pipe.
        let mut child = a_box.spawn(&["inspect", "pipe.gguf"]);
        until("its signals are watched", || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim();
            u64::from_str_radix(caught, 16).unwrap_or(0) & 0b10 != 0
        });
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}
