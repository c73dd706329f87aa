//! The watchdog: what is left when we are killed. With its own `main`, since a watchdog is made in a process
//! with one thread: the test starts itself again as the program that is killed.
#![expect(clippy::disallowed_methods, reason = "the program that spawns is itself under test")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::io::Write as _;
use std::process::{Child, Command as Program, ExitCode, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_process::{Command, Interrupt, RunOptions, Server, base_environment, guard, run};
use rustix::process::{Pid, Signal};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if let [_, flag, mode, folder] = args.as_slice()
        && flag == "--victim"
    {
        return victim(mode, Utf8Path::new(folder));
    }
    let tests: [(&str, fn()); 6] = [
        ("killed_it_leaves_nothing", killed_it_leaves_nothing),
        ("killed_in_a_helper_command_it_leaves_nothing", killed_in_a_helper_command_it_leaves_nothing),
        ("killed_as_a_group_it_leaves_nothing", killed_as_a_group_it_leaves_nothing),
        ("without_a_watchdog_the_child_dies_all_the_same", without_a_watchdog_the_child_dies_all_the_same),
        ("orphans_without_a_mark_are_swept", orphans_without_a_mark_are_swept),
        ("in_order_it_ends_at_once_and_holds_nothing_open", in_order_it_ends_at_once_and_holds_nothing_open),
    ];
    let mut out = std::io::stdout();
    for (name, test) in tests {
        // A failed assertion ends the program, with its message.
        test();
        writeln!(out, "test {name} ... ok").unwrap();
    }
    writeln!(out, "\ntest result: ok. {} passed; 0 failed", tests.len()).unwrap();
    ExitCode::SUCCESS
}

// The program that is killed.

/// A child in the group, one in another session, and a daemon that nobody waits for.
const FAMILY: &str = "trap '' TERM HUP
    sh -c 'echo $$ > child; sleep 60; :' &
    setsid sh -c 'echo $$ > session; sleep 60; :' &
    (setsid sh -c 'echo $$ > daemon; sleep 60; :' &)
    echo $$ > leader; while :; do sleep 60; done";

fn script(text: &str, cwd: &Utf8Path) -> Command {
    Command::new("sh", cwd).envs(base_environment()).args(["-c", text])
}

fn victim(mode: &str, folder: &Utf8Path) -> ExitCode {
    let guard = (mode != "unguarded").then(|| guard().unwrap());
    match mode {
        "server" | "unguarded" => {
            let _server = Server::spawn(&script(FAMILY, folder), &folder.join("log")).unwrap();
            std::thread::sleep(Duration::from_secs(60));
        }
        "helper" => {
            drop(run(&script(FAMILY, folder), RunOptions::new(&Interrupt::new())));
        }
        "orphans" => {
            // Nothing of it can be found but by its parent, which is us.
            let text = "(env -i setsid sh -c 'echo $$ > orphan; sleep 60; :' &); sleep 0.2; exit 3";
            let server = Server::spawn(&script(text, folder), &folder.join("log")).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let exit = runtime.block_on(server.exited());
            assert_eq!(exit.code, Some(3));
            assert!(exit.survivors_killed >= 1, "{exit:?}");
        }
        "orderly" => {
            run(&script("exit 0", folder), RunOptions::new(&Interrupt::new())).unwrap();
        }
        other => panic!("{other}"),
    }
    drop(guard);
    ExitCode::from(9)
}

// The tests.

fn start(mode: &str, folder: &Utf8Path) -> Child {
    use std::os::unix::process::CommandExt as _;
    Program::new(std::env::current_exe().unwrap())
        .args(["--victim", mode, folder.as_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap()
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

fn lives(pid: &str) -> bool {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

fn eventually(what: &str, limit: Duration, mut check: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !check() {
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn pids(folder: &Utf8Path, names: &[&str]) -> Vec<String> {
    let read = |name: &&str| fs_err::read_to_string(folder.join(name)).unwrap_or_default().trim().to_owned();
    eventually("the script wrote its ids", Duration::from_secs(10), || {
        names.iter().all(|name| !read(name).is_empty())
    });
    names.iter().map(read).collect()
}

/// The child of `parent` that is called so.
fn watchdog_of(parent: u32) -> Option<String> {
    let is_it = |pid: &String| {
        let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent_field = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        stat.contains("(llamark-guard)") && parent_field == Some(&parent.to_string())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).find(is_it)
}

fn all_dead(pids: &[String]) {
    for pid in pids {
        eventually(&format!("process {pid} dead"), Duration::from_secs(5), || !lives(pid));
    }
}

const NAMES: [&str; 4] = ["leader", "child", "session", "daemon"];

fn killed_it_leaves_nothing() {
    let (_keep, path) = folder();
    let mut victim = start("server", &path);
    let mut family = pids(&path, &NAMES);
    assert!(family.iter().all(|pid| lives(pid)));
    family.push(watchdog_of(victim.id()).unwrap());
    victim.kill().unwrap();
    victim.wait().unwrap();
    all_dead(&family);
}

fn killed_in_a_helper_command_it_leaves_nothing() {
    let (_keep, path) = folder();
    let mut victim = start("helper", &path);
    let mut family = pids(&path, &NAMES);
    family.push(watchdog_of(victim.id()).unwrap());
    victim.kill().unwrap();
    victim.wait().unwrap();
    all_dead(&family);
}

fn killed_as_a_group_it_leaves_nothing() {
    let (_keep, path) = folder();
    let mut victim = start("server", &path);
    let family = pids(&path, &NAMES);
    let watchdog = watchdog_of(victim.id()).unwrap();
    let group = Pid::from_raw(victim.id().cast_signed()).unwrap();
    // What a terminal, a shell or an impatient person sends to all of us; the watchdog stays.
    for signal in [Signal::INT, Signal::HUP, Signal::TERM] {
        rustix::process::kill_process(Pid::from_raw(watchdog.parse().unwrap()).unwrap(), signal).unwrap();
    }
    rustix::process::kill_process_group(group, Signal::KILL).unwrap();
    victim.wait().unwrap();
    all_dead(&family);
    all_dead(&[watchdog]);
}

fn without_a_watchdog_the_child_dies_all_the_same() {
    let (_keep, path) = folder();
    let mut victim = start("unguarded", &path);
    let leader = pids(&path, &["leader"]);
    let rest = pids(&path, &NAMES);
    assert!(watchdog_of(victim.id()).is_none());
    victim.kill().unwrap();
    victim.wait().unwrap();
    all_dead(&leader);
    assert!(rest.iter().any(|pid| lives(pid)), "what the watchdog is for");
    for pid in rest.iter().filter(|pid| lives(pid)) {
        let _ = rustix::process::kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL);
    }
}

fn orphans_without_a_mark_are_swept() {
    let (_keep, path) = folder();
    let victim = start("orphans", &path);
    let output = victim.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(9));
    all_dead(&pids(&path, &["orphan"]));
}

fn in_order_it_ends_at_once_and_holds_nothing_open() {
    let (_keep, path) = folder();
    let begun = Instant::now();
    let victim = start("orderly", &path);
    // Waits for the end of its output, which the watchdog must not hold.
    let output = victim.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(9));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
