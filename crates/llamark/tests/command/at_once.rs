//! Two commands at the same time: one measures, the other waits, or is told who writes.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::time::Duration;

use crate::harness::{Box, signal, until};

#[test]
fn of_two_commands_at_once_one_measures_and_the_other_waits_and_has_nothing_to_do() {
    let a_box = Box::new();
    a_box.model("fox", r#"{"generation_rate": 40.0}"#).experiment(&["fox"], "warmup: 0, runs: 3");
    let mut both = [a_box.spawn_to_read(&["run", "box.yaml"]), a_box.spawn_to_read(&["run", "box.yaml"])];
    let mut most = 0;
    while both.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        // The servers that load or measure; one that is asked for its options has no port.
        most = most.max(a_box.servers_with("--port").len());
        std::thread::sleep(Duration::from_millis(5));
    }
    let pids = both.each_ref().map(Child::id);
    let [first, second] = both.map(|child| {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    });
    let (other, waited) = if second.contains("Waiting") { (pids[0], second) } else { (pids[1], first) };
    let who = format!("another llamark is measuring or compiling here (process {other})");
    assert!(waited.contains(&who) && waited.contains("nothing was run"), "{waited}");
    assert_eq!((most, a_box.sets().len()), (1, 1), "servers at once, sets");
    a_box.nobody_is_left();
}

/// A box in which the first of ten runs goes on, and who makes it.
fn measuring() -> (Box, Child) {
    let a_box = Box::new();
    a_box.model("fox", r#"{"generation_rate": 4.0}"#).experiment(&["fox"], "warmup: 0, runs: 10");
    let first = a_box.spawn(&["run", "box.yaml"]);
    until("a server", || !a_box.servers_with("--port").is_empty());
    (a_box, first)
}

/// It goes on measuring; then it is ended.
fn was_not_disturbed(a_box: &Box, mut first: Child) {
    assert!(first.try_wait().unwrap().is_none() && a_box.servers().len() == 1);
    first.kill().unwrap();
    first.wait().unwrap();
    a_box.nobody_is_left();
}

#[test]
fn who_waits_can_be_stopped() {
    let (a_box, first) = measuring();
    let mut second = a_box.spawn_to_read(&["run", "box.yaml", "--again"]);
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("Waiting")));
    signal(&second, "-INT");
    let said = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(second.wait().unwrap().code(), Some(130), "{said}");
    was_not_disturbed(&a_box, first);
}

/// With a cache of its own a process does not see who has the machine; the journal has one writer all the same.
#[test]
fn a_second_writer_is_told_who_writes() {
    let (a_box, first) = measuring();
    let output = a_box.llamark(&["run", "box.yaml", "--cache", "other"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(&format!("process {}", first.id())), "{said}");
    was_not_disturbed(&a_box, first);
}
