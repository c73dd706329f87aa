//! Helper commands and servers, with real processes that misbehave.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_process::{Command, Interrupt, ProcessError, RunOptions, Server, base_environment, run};

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

/// The scripts are the programs under test here; llamark itself never makes one.
fn script(text: &str, cwd: &Utf8Path) -> Command {
    Command::new("sh", cwd).envs(base_environment()).args(["-c", text])
}

fn here(text: &str) -> Command {
    script(text, Utf8Path::new("/"))
}

/// Whether a process lives; a zombie does not.
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

/// The process ids that a script has written, one in each of the files.
fn pids(folder: &Utf8Path, names: &[&str]) -> Vec<String> {
    let read = |name: &&str| fs_err::read_to_string(folder.join(name)).unwrap_or_default().trim().to_owned();
    eventually("the script wrote its ids", Duration::from_secs(10), || {
        names.iter().all(|name| !read(name).is_empty())
    });
    names.iter().map(read).collect()
}

// Helper commands.

#[test]
fn output_code_and_signal() {
    let interrupt = Interrupt::new();
    let output = run(&here("echo out; echo err >&2; exit 3"), RunOptions::new(&interrupt)).unwrap();
    assert_eq!((output.code, output.signal, output.success()), (Some(3), None, false));
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
    let killed = run(&here("kill -9 $$"), RunOptions::new(&interrupt)).unwrap();
    assert_eq!((killed.code, killed.signal), (None, Some(9)));
    assert_eq!(killed.ending(), "signal 9");
}

#[test]
fn the_environment_is_what_was_given_and_one_mark() {
    let command = Command::new("/usr/bin/env", "/tmp").env("B", "2").env("A", "größe");
    let output = run(&command, RunOptions::new(&Interrupt::new())).unwrap();
    let mut lines: Vec<&str> = output.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[..2], ["A=größe", "B=2"]);
    assert!(lines[2].starts_with("LLAMARK_CHILD="), "{lines:?}");
}

#[test]
fn standard_input_is_empty_and_descriptors_are_not_inherited() {
    // A descriptor that is not marked close-on-exec, as a careless library leaves it.
    let (reader, _writer) = std::io::pipe().unwrap();
    rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty()).unwrap();
    let output = run(&here("cat; ls /proc/self/fd"), RunOptions::new(&Interrupt::new())).unwrap();
    // 3 is the folder that `ls` itself reads.
    assert_eq!(output.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}

#[test]
fn standard_input_is_what_was_given_and_need_not_be_read() {
    let interrupt = Interrupt::new();
    let given = vec![b'x'; 1 << 20];
    let with = |stdin| RunOptions { stdin: Some(stdin), ..RunOptions::new(&interrupt) };
    let output = run(&here("wc -c"), with(given.clone())).unwrap();
    assert_eq!(output.stdout.trim(), "1048576");
    assert!(run(&here("exec true"), with(given)).unwrap().success());
}

#[test]
fn bytes_that_are_no_text() {
    let output = run(&here(r"printf 'a\377\376b\n'"), RunOptions::new(&Interrupt::new())).unwrap();
    assert_eq!(output.stdout, "a\u{fffd}\u{fffd}b\n");
}

#[test]
fn huge_output_is_bounded_and_complete_in_the_log() {
    let (_keep, path) = folder();
    let log = path.join("log");
    let interrupt = Interrupt::new();
    let mut longest = 0;
    let mut on_line = |line: &str| longest = longest.max(line.len());
    let options = RunOptions { log: Some(&log), on_line: Some(&mut on_line), ..RunOptions::new(&interrupt) };
    let output = run(&here("head -c 50000000 /dev/zero; echo end"), options).unwrap();
    assert_eq!(output.stdout.len(), 16 << 20);
    assert!(output.stdout.ends_with("\0end\n"));
    assert_eq!(log.metadata().unwrap().len(), 50_000_004);
    assert!(longest < 1 << 20, "a line without end comes in pieces: {longest}");
}

#[test]
fn lines_come_while_the_command_runs_and_the_log_is_appended_to() {
    let (_keep, path) = folder();
    let log = path.join("log");
    let interrupt = Interrupt::new();
    let begun = Instant::now();
    for _ in 0..2 {
        let mut lines = Vec::new();
        let mut on_line = |line: &str| lines.push((line.to_owned(), begun.elapsed()));
        let options =
            RunOptions { log: Some(&log), on_line: Some(&mut on_line), ..RunOptions::new(&interrupt) };
        run(&here("echo '[1/2] a'; sleep 0.3; echo '[2/2] b' >&2"), options).unwrap();
        assert_eq!([&lines[0].0, &lines[1].0], ["[1/2] a", "[2/2] b"]);
        assert!(lines[1].1 - lines[0].1 > Duration::from_millis(200), "{lines:?}");
    }
    assert_eq!(fs_err::read_to_string(&log).unwrap(), "[1/2] a\n[2/2] b\n".repeat(2));
}

#[test]
fn what_is_not_there_is_named() {
    let interrupt = Interrupt::new();
    let command = Command::new("no-such-tool", "/tmp").env("PATH", "/usr/bin:/bin");
    let error = run(&command, RunOptions::new(&interrupt)).unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.to_string(), "program `no-such-tool` was not found in PATH (/usr/bin:/bin)");
    let error = run(&Command::new("/opt/nowhere/tool", "/tmp"), RunOptions::new(&interrupt)).unwrap_err();
    assert_eq!(error.to_string(), "program `/opt/nowhere/tool` was not found");
    let error = run(&Command::new("sh", "/no/such/folder"), RunOptions::new(&interrupt)).unwrap_err();
    assert_eq!(error.to_string(), "`sh` cannot run in folder `/no/such/folder`: it does not exist");
    let error = run(&Command::new("/etc/passwd", "/tmp"), RunOptions::new(&interrupt)).unwrap_err();
    assert!(matches!(&error, ProcessError::Spawn { command, .. } if command == "/etc/passwd"), "{error}");
    let error =
        Server::spawn(&Command::new("/opt/nowhere/tool", "/tmp"), Utf8Path::new("/dev/null")).unwrap_err();
    assert!(error.is_not_found());
    let error = Server::spawn(&here(":"), Utf8Path::new("/no/such/log")).unwrap_err();
    assert_eq!(error.to_string(), "cannot open log file `/no/such/log`");
}

#[test]
fn a_timeout_kills_the_group_also_one_that_ignores_sigterm() {
    let (_keep, path) = folder();
    let interrupt = Interrupt::new();
    let text = "trap '' TERM; sleep 60 & echo $! > a; echo compiling; wait; sleep 60";
    let options = RunOptions { timeout: Some(Duration::from_millis(300)), ..RunOptions::new(&interrupt) };
    let begun = Instant::now();
    let error = run(&script(text, &path), options).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let said = error.to_string();
    assert!(said.ends_with("it ran longer than 0.3 s; its last line was `compiling`"), "{said}");
    assert!(!lives(&pids(&path, &["a"])[0]));
}

#[test]
fn an_interrupt_ends_it_within_a_second_even_when_it_never_stops_printing() {
    let interrupt = Interrupt::new();
    let setter = std::thread::spawn({
        let interrupt = interrupt.clone();
        move || {
            std::thread::sleep(Duration::from_millis(100));
            interrupt.set();
            Instant::now()
        }
    });
    let error =
        run(&here("trap '' TERM; while :; do echo x; done"), RunOptions::new(&interrupt)).unwrap_err();
    let took = setter.join().unwrap().elapsed();
    assert!(error.is_interrupted() && took < Duration::from_secs(1), "{error}, {took:?}");
    let error = run(&here("true"), RunOptions::new(&interrupt)).unwrap_err();
    assert!(error.is_interrupted(), "nothing is started any more");
}

#[test]
fn what_a_command_leaves_behind_neither_lives_nor_holds_us_up() {
    let (_keep, path) = folder();
    let text = "sleep 60 & echo $! > a; setsid sleep 60 & echo $! > b; echo done";
    let begun = Instant::now();
    let output = run(&script(text, &path), RunOptions::new(&Interrupt::new())).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "the pipes were held open: {:?}", begun.elapsed());
    assert_eq!(output.stdout, "done\n");
    for pid in pids(&path, &["a", "b"]) {
        eventually("dead", Duration::from_secs(2), || !lives(&pid));
    }
}

#[test]
fn many_at_once_keep_their_outputs_apart() {
    std::thread::scope(|scope| {
        for index in 0..16 {
            scope.spawn(move || {
                let text = format!("sleep 0.1; echo {index}; exit {index}");
                let output = run(&here(&text), RunOptions::new(&Interrupt::new())).unwrap();
                assert_eq!((output.code, output.stdout), (Some(index), format!("{index}\n")));
            });
        }
    });
}

// Servers.

/// A server with its log in the folder.
fn serve(text: &str, path: &Utf8Path) -> Server {
    Server::spawn(&script(text, path), &path.join("log")).unwrap()
}

#[tokio::test]
async fn a_server_that_goes_when_asked() {
    let (_keep, path) = folder();
    let server = serve("trap 'echo bye; exit 0' TERM; echo hello; while :; do sleep 0.01; done", &path);
    eventually("started", Duration::from_secs(10), || {
        path.join("log").metadata().is_ok_and(|log| log.len() > 0)
    });
    assert!(lives(&server.pid().to_string()) && server.try_exit().is_none());
    let begun = Instant::now();
    let exit = server.stop(Duration::from_secs(10)).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!((exit.code, exit.signal), (Some(0), None));
    // Half a megabyte is less than any program needs; 1 GiB is more than sh does.
    let rss = exit.max_rss_bytes.unwrap();
    assert!((512 << 10..1 << 30).contains(&rss), "{rss}");
    let log = fs_err::read_to_string(path.join("log")).unwrap();
    assert!(log.starts_with("hello\n") && log.ends_with("bye\n"), "{log}");
}

#[tokio::test]
async fn a_server_that_dies_is_noticed() {
    let (_keep, path) = folder();
    let server = serve("sleep 60 & echo $! > a; exit 7", &path);
    let begun = Instant::now();
    let exit = tokio::time::timeout(Duration::from_secs(5), server.exited()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!((exit.code, exit.survivors_killed), (Some(7), 1));
    assert_eq!(server.try_exit(), Some(exit));
    assert!(!lives(&pids(&path, &["a"])[0]));
    assert_eq!(server.stop(Duration::from_secs(5)).await, exit);
    let crashed = serve("kill -ABRT $$", &path).exited().await;
    assert_eq!((crashed.code, crashed.signal), (None, Some(6)));
}

#[tokio::test]
async fn a_server_that_will_not_go_is_killed_with_its_family() {
    let (_keep, path) = folder();
    let text = "trap '' TERM
        sh -c 'trap \"\" TERM; sleep 60' & echo $! > child
        setsid sh -c 'echo $$ > session; trap \"\" TERM; while :; do sleep 60; done' &
        (setsid sh -c 'echo $$ > daemon; while :; do sleep 60; done' &) &
        while :; do sleep 60; done";
    let server = serve(text, &path);
    let leader = server.pid().to_string();
    let family = pids(&path, &["child", "session", "daemon"]);
    let begun = Instant::now();
    let exit = server.stop(Duration::from_millis(400)).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(2), "{took:?}");
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
    assert!(exit.survivors_killed >= 2, "the two that left the group: {exit:?}");
    for pid in family.iter().chain([&leader]) {
        assert!(!lives(pid), "{pid}");
    }
}

#[tokio::test]
async fn the_second_sigterm_comes_at_half_of_the_grace() {
    let (_keep, path) = folder();
    // As llama-server does while a request runs: the first is noted, the second obeyed.
    let text = "trap 'n=$((n+1)); [ $n -ge 2 ] && exit 5' TERM; echo > a; while :; do sleep 0.01; done";
    let server = serve(text, &path);
    eventually("ready", Duration::from_secs(10), || path.join("a").is_file());
    let begun = Instant::now();
    let exit = server.stop(Duration::from_secs(2)).await;
    let took = begun.elapsed();
    assert_eq!(exit.code, Some(5));
    assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1900), "{took:?}");
}

#[tokio::test]
async fn a_dropped_server_is_dead() {
    let (_keep, path) = folder();
    let server = serve("trap '' TERM; while :; do sleep 60; done", &path);
    let pid = server.pid().to_string();
    drop(server);
    eventually("dead", Duration::from_secs(5), || !lives(&pid));
}

#[tokio::test]
async fn a_server_outlives_the_thread_that_asked_for_it() {
    let (_keep, path) = folder();
    let server = std::thread::scope(|scope| scope.spawn(|| serve("exec sleep 60", &path)).join().unwrap());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.try_exit(), None, "the signal for the death of the parent came at that of a thread");
    server.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn families_are_kept_apart() {
    let (_keep, path) = folder();
    let (one, other) = (path.join("one"), path.join("other"));
    for folder in [&one, &other] {
        std::fs::create_dir(folder).unwrap();
    }
    let text = "(setsid sh -c 'echo $$ > daemon; sleep 60' &) ; sleep 60";
    let (first, second) = (serve(text, &one), serve(text, &other));
    let (gone, kept) = (pids(&one, &["daemon"]), pids(&other, &["daemon"]));
    first.stop(Duration::from_secs(2)).await;
    assert!(!lives(&gone[0]) && lives(&kept[0]) && second.try_exit().is_none());
    second.stop(Duration::from_secs(2)).await;
    assert!(!lives(&kept[0]));
}
