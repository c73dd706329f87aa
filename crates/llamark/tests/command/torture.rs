//! Whatever happens to the runner, to the server or to the disk: nothing that was written is lost, nothing half is
//! accepted, no process is left, and the same command goes on.
//!
//! What takes minutes is ignored here, and run by `just torture`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::harness::Box;

/// The command, of which every box has one.
const RUN: [&str; 2] = ["run", "box.yaml"];

/// A number generator for choosing moments: Knuth's.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }
}

/// A box with an experiment that takes less than a second.
fn quick() -> Box {
    let a_box = Box::new();
    a_box.model("fox", r#"{"generation_rate": 400.0, "load_ms": 10.0}"#);
    a_box.experiment(&["fox"], "warmup: 1, runs: 2, starts: 3");
    a_box
}

fn kill(pid: u32) {
    // It may be gone: then there is nothing to do.
    let _status =
        Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status().unwrap();
}

fn is_sealed(set: &Path) -> bool {
    set.join("manifest.json").is_file()
}

/// The whole lines of the journal of a set.
fn lines(set: &Path) -> Vec<u8> {
    let mut journal = std::fs::read(set.join("journal.jsonl")).unwrap();
    let end = journal.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    journal.truncate(end);
    journal
}

/// What is in the journals of a box, to see that it stays.
#[derive(Default)]
struct Memory(std::collections::BTreeMap<PathBuf, Vec<u8>>);

impl Memory {
    fn check(&mut self, a_box: &Box) {
        for set in a_box.sets() {
            let now = lines(&set);
            let before = self.0.entry(set.clone()).or_default();
            assert!(now.starts_with(before), "{}: lines that were there are gone", set.display());
            *before = now;
        }
        assert!(self.0.keys().all(|set| set.is_dir()), "a set is gone");
    }
}

/// Runs to the end and verifies every set.
fn finish(a_box: &Box, memory: &mut Memory) {
    let status = a_box.spawn(&RUN).wait().unwrap();
    // 5: a server that was killed is a failed case.
    assert!(matches!(status.code(), Some(0 | 5)), "{status}");
    memory.check(a_box);
    for set in a_box.sets() {
        assert!(is_sealed(&set), "{} is not sealed", set.display());
        a_box.run(&["verify", "--level", "2", set.to_str().unwrap()], 0);
    }
    a_box.nobody_is_left();
}

/// A server of the box, as soon as there is one; none when the run ends before.
fn a_server(a_box: &Box, child: &mut Child) -> Option<u32> {
    loop {
        if let Some(server) = a_box.servers().first() {
            return Some(*server);
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
    }
}

/// Kills of the runner and of the server at random moments of a run, until there were so many.
fn kills(count: u64, seed: u64) {
    let (a_box, mut chance, mut memory) = (quick(), Chance(seed), Memory::default());
    let begin = Instant::now();
    finish(&a_box, &mut memory);
    let whole = u64::try_from(begin.elapsed().as_millis()).unwrap();
    let (mut runners, mut servers, mut late, mut sealed, mut entries) = (0, 0, 0, 0, 0_usize);
    while runners + servers < count {
        let done: Vec<PathBuf> = a_box.sets().into_iter().filter(|set| is_sealed(set)).collect();
        for set in done {
            // Verified, and out of the way: the next run makes another.
            a_box.run(&["verify", "--level", "2", set.to_str().unwrap()], 0);
            let before = memory.0.remove(&set).unwrap_or_default();
            let now = lines(&set);
            assert!(now.starts_with(&before), "acknowledged lines are gone from a sealed set");
            entries += now.iter().filter(|byte| **byte == b'\n').count();
            std::fs::remove_dir_all(&set).unwrap();
            sealed += 1;
        }
        let mut child = a_box.spawn(&RUN);
        std::thread::sleep(Duration::from_millis(chance.below(whole)));
        let victim = (chance.below(3) == 0).then(|| a_server(&a_box, &mut child)).flatten();
        if let Some(server) = victim {
            std::thread::sleep(Duration::from_millis(chance.below(60)));
            kill(server);
            servers += 1;
            assert!(matches!(child.wait().unwrap().code(), Some(0 | 5)));
        } else {
            let is_over = child.try_wait().unwrap().is_some();
            child.kill().unwrap();
            child.wait().unwrap();
            if is_over { late += 1 } else { runners += 1 }
        }
        a_box.nobody_is_left();
        memory.check(&a_box);
        assert!(a_box.sets().len() <= 1, "an interrupted set was not found again");
    }
    finish(&a_box, &mut memory);
    println!(
        "T5: {runners} kills of the runner and {servers} of the server in {:.0} s ({late} came too late); {sealed} sets \
         sealed in between with {entries} entries, each verified at level 2; nothing lost, no process left",
        begin.elapsed().as_secs_f64()
    );
}

#[test]
fn two_dozen_kills_lose_nothing() {
    kills(24, 1);
}

#[test]
#[ignore = "minutes: just torture"]
fn a_thousand_kills_lose_nothing() {
    let count = std::env::var("LLAMARK_TORTURE_KILLS").map_or(1000, |count| count.parse().unwrap());
    let seed = u64::from(std::process::id());
    println!("T5: seed {seed}");
    kills(count, seed);
}

fn has_strace() -> bool {
    let found = Command::new("strace").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Runs a fresh box under strace with that injection; the box, how it ended, and whether anything was injected.
fn injected(call: &str, what: &str, place: u32) -> (Box, ExitStatus, bool) {
    let a_box = quick();
    let log = a_box.path("strace.log");
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{what}:when={place}"));
    let words = ["strace", "-f", "-qq", "-o", log.to_str().unwrap(), "-e", &trace, "-e", &inject];
    let status = a_box.spawn_below(&words, &RUN).wait().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    let hit = log.contains("(INJECTED)") || log.contains("killed by SIGKILL");
    (a_box, status, hit)
}

/// Every N-th call of each kind (counted by thread, as strace does) with that injection, until nothing is hit.
fn every_call(calls: &[&str], what: &str, most: u32) -> u32 {
    let mut total = 0;
    for call in calls {
        let mut hits = 0;
        for place in 1..=most {
            let (a_box, status, hit) = injected(call, what, place);
            a_box.nobody_is_left();
            if !hit {
                break;
            }
            hits += 1;
            let mut memory = Memory::default();
            memory.check(&a_box);
            let is_whole = a_box.sets().first().is_some_and(|set| is_sealed(set));
            assert!(
                is_whole || status.code() != Some(0),
                "{call} {place}: nothing is sealed, and all is well"
            );
            finish(&a_box, &mut memory);
        }
        println!("  {call}, {what}: {hits} places");
        total += hits;
    }
    total
}

/// Calls that change the disk.
const CALLS: [&str; 7] = ["fsync", "fdatasync", "rename", "renameat2", "linkat", "mkdir", "unlink"];

#[test]
#[ignore = "minutes, and needs strace: just torture"]
fn a_kill_before_every_call_loses_nothing() {
    if !has_strace() {
        println!("T2: not run, there is no strace here");
        return;
    }
    let places = every_call(&CALLS, "signal=KILL", 200);
    println!("T2: killed before {places} calls; nothing lost, no process left");
    assert!(places > 30);
}

#[test]
#[ignore = "minutes, and needs strace: just torture"]
fn an_error_of_every_call_is_said_and_loses_nothing() {
    if !has_strace() {
        println!("T3: not run, there is no strace here");
        return;
    }
    let places = every_call(&["fsync", "fdatasync"], "error=EIO", 200)
        + every_call(&["rename", "renameat2", "mkdir", "openat"], "error=ENOSPC", 12)
        + every_call(&["write"], "error=ENOSPC", 12);
    println!("T3: {places} calls failed; nothing lost, nothing false sealed, no process left");
    assert!(places > 30);
}

/// A call in the output of `strace -f -y`, put together where another process came between.
fn calls(log: &str) -> Vec<String> {
    let mut open: std::collections::BTreeMap<&str, String> = std::collections::BTreeMap::new();
    let mut whole = Vec::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(head) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(pid, head.to_owned());
        } else if rest.starts_with("<... ") {
            let tail = rest.split_once(" resumed>").map_or("", |(_, tail)| tail);
            whole.push(open.remove(pid).unwrap_or_default() + tail);
        } else {
            whole.push(rest.to_owned());
        }
    }
    whole
}

/// The order of the calls of a whole run: a name is given to what was flushed, the folder is flushed after it, and a
/// line of the journal is flushed before the next is written.
#[test]
#[ignore = "needs strace: just torture"]
fn the_calls_of_a_run_are_in_order() {
    if !has_strace() {
        println!("T4: not run, there is no strace here");
        return;
    }
    let a_box = quick();
    let log = a_box.path("strace.log");
    let trace = "trace=write,fsync,fdatasync,rename,renameat,renameat2,link,linkat";
    let words = ["strace", "-f", "-y", "-qq", "-s", "4096", "-o", log.to_str().unwrap(), "-e", trace];
    assert!(a_box.spawn_below(&words, &RUN).wait().unwrap().success());
    let root = a_box.root.path().canonicalize().unwrap();
    let store = root.join("artifacts").to_str().unwrap().to_owned();
    let (mut dirty, mut unnamed) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    let (mut names, mut lines, mut flushes) = (0, 0, 0);
    for call in calls(&std::fs::read_to_string(&log).unwrap()) {
        let Some((name, arguments)) = call.split_once('(') else { continue };
        let of_descriptor =
            arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
        match name {
            "write" if of_descriptor.starts_with(&store) => {
                if of_descriptor.ends_with("/journal.jsonl") {
                    lines += 1;
                    assert!(!dirty.contains(of_descriptor), "a line was written before the last was flushed");
                    assert!(
                        unnamed.is_empty(),
                        "{unnamed:?} are named and not flushed when a line is written"
                    );
                }
                // The server writes its own log, which the seal flushes.
                if !of_descriptor.ends_with(".log") {
                    dirty.insert(of_descriptor.to_owned());
                }
            }
            "fsync" | "fdatasync" => {
                flushes += 1;
                dirty.remove(of_descriptor);
                unnamed.remove(of_descriptor);
            }
            "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
                let paths: Vec<String> = arguments
                    .split('"')
                    .skip(1)
                    .step_by(2)
                    .map(|path| root.join(path).to_str().unwrap().to_owned())
                    .collect();
                let [from, to] = paths.as_slice() else { panic!("{call}") };
                if to.starts_with(&store) {
                    names += 1;
                    let is_under = |path: &&String| *path == from || path.starts_with(&format!("{from}/"));
                    let unflushed: Vec<_> = dirty.iter().filter(is_under).collect();
                    assert!(unflushed.is_empty(), "{unflushed:?} are not flushed and get a name");
                    unnamed.insert(Path::new(to).parent().unwrap().to_str().unwrap().to_owned());
                }
            }
            _ => {}
        }
    }
    assert!(dirty.is_empty() && unnamed.is_empty(), "{dirty:?} {unnamed:?} at the end");
    println!("T4: {names} names, {lines} lines of a journal, {flushes} flushes: each in order");
    assert!(names > 5 && lines > 10);
}

/// A small disk at that folder of the box; false where this user may not mount one.
fn small_disk(at: &Path, options: &str) -> bool {
    std::fs::create_dir_all(at).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "llamark-test"]).arg(at).output();
    mount.is_ok_and(|output| output.status.success())
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _status = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_the_run_goes_on_when_there_is_room() {
    // Full before the set has its name, before the first start, and under a server, whose log then says nothing any more.
    let begun = Instant::now();
    for kibibytes in [8, 24, 28, 32, 36, 40, 44, 48] {
        let a_box = quick();
        let artifacts = a_box.path("artifacts");
        if !small_disk(&artifacts, &format!("size={kibibytes}k")) {
            println!("T8: full disk not run, no disk can be mounted here");
            return;
        }
        let _mounted = Mounted(artifacts.clone());
        let output = a_box.llamark(&["run", "box.yaml"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("the disk is full"), "{kibibytes} KiB: {said}");
        a_box.nobody_is_left();
        assert!(!a_box.sets().iter().any(|set| is_sealed(set)));
        let mut memory = Memory::default();
        memory.check(&a_box);
        let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&artifacts).status().unwrap();
        assert!(grown.success());
        finish(&a_box, &mut memory);
        assert_eq!(a_box.sets().len(), 1, "{kibibytes} KiB");
    }
    // No server was waited for in vain: it may take five minutes to load.
    assert!(begun.elapsed() < Duration::from_secs(200), "{:?}", begun.elapsed());
}

#[test]
fn a_store_that_is_read_only_is_said_and_read() {
    let a_box = quick();
    let artifacts = a_box.path("artifacts");
    if !small_disk(&artifacts, "size=64m") {
        println!("T8: read-only store not run, no disk can be mounted here");
        return;
    }
    let _mounted = Mounted(artifacts.clone());
    a_box.run(&["run", "box.yaml"], 0);
    let frozen = Command::new("mount").args(["-o", "remount,ro"]).arg(&artifacts).status().unwrap();
    assert!(frozen.success());
    a_box.run(&["verify", "--level", "2"], 0);
    a_box.run(&["list"], 0);
    let (_, said) = a_box.run(&["run", "box.yaml"], 0);
    assert!(said.contains("nothing was run"), "{said}");
    let output = a_box.llamark(&["run", "box.yaml", "--again"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("read-only"), "{said}");
    a_box.nobody_is_left();
}

#[test]
fn the_cache_may_go_at_any_time() {
    let a_box = quick();
    let (mut chance, mut memory) = (Chance(3), Memory::default());
    for _ in 0..4 {
        let mut child = a_box.spawn(&RUN);
        std::thread::sleep(Duration::from_millis(chance.below(500)));
        let _in_use = std::fs::remove_dir_all(a_box.path("cache"));
        child.wait().unwrap();
        a_box.nobody_is_left();
        memory.check(&a_box);
    }
    finish(&a_box, &mut memory);
    let _may_be_gone = std::fs::remove_dir_all(a_box.path("cache"));
    a_box.run(&["verify", "--level", "2"], 0);
    a_box.run(&["report"], 0);
    let (_, said) = a_box.run(&["run", "box.yaml"], 0);
    assert!(said.contains("nothing was run"), "{said}");
}

#[test]
fn links_in_place_of_files_of_a_set_are_refused_and_not_written_through() {
    let a_box = quick();
    a_box.run(&["run", "box.yaml"], 0);
    let [set] = a_box.sets().try_into().unwrap();
    let victim = a_box.path("victim");
    for name in
        ["plan.json", "journal.jsonl", "manifest.json", "manifest-sha256.txt", "report.md", "builds/cpu.json"]
    {
        let path = set.join(name);
        // The link leads to the very same bytes.
        std::fs::rename(&path, &victim).unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        a_box.run(&["verify", set.to_str().unwrap()], 3);
        let before = std::fs::read(&victim).unwrap();
        let _whatever = a_box.llamark(&["run", "box.yaml"]).output().unwrap();
        assert_eq!(std::fs::read(&victim).unwrap(), before, "{name} was written through a link");
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&victim, &path).unwrap();
    }
    a_box.run(&["verify", set.to_str().unwrap()], 0);
}
