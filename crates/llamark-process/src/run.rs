//! Helper commands (cmake, git, compilers), run to their end through duct.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::command::Command;
use crate::error::ProcessError;
use crate::interrupt::Interrupt;
use crate::output::{Message, Stream, Tail, pump};
use crate::registry::{self, MARK_VARIABLE};
use crate::spawner::on_spawner;
use crate::{family, sys};

/// How often an interrupt is looked for.
const TICK: Duration = Duration::from_millis(20);
/// From SIGTERM to SIGKILL when a command is cut short: enough to remove a lock file.
const GRACE: Duration = Duration::from_millis(300);
/// How long the pipes may stay open after everything has been killed.
const DRAIN: Duration = Duration::from_secs(2);

/// How a helper command is run.
pub struct RunOptions<'a> {
    /// The longest that it may take; absent: as long as it wants.
    pub timeout: Option<Duration>,
    /// Both streams are appended to this file, as they come.
    pub log: Option<&'a Utf8Path>,
    /// When this is set, the command is killed.
    pub interrupt: &'a Interrupt,
    /// Called with each line of either stream as it comes, without its end.
    pub on_line: Option<&'a mut dyn FnMut(&str)>,
    /// What it reads on its standard input; absent: nothing, its standard input is at its end.
    pub stdin: Option<Vec<u8>>,
}

impl<'a> RunOptions<'a> {
    /// No limit, no log, no listener, no input.
    pub fn new(interrupt: &'a Interrupt) -> Self {
        Self { timeout: None, log: None, interrupt, on_line: None, stdin: None }
    }
}

/// How a helper command ended and what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The last 16 MiB of its standard output; bytes that are not UTF-8 became U+FFFD.
    pub stdout: String,
    /// The last 16 MiB of its standard error, likewise.
    pub stderr: String,
}

impl Output {
    /// Whether it ended with code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// How it ended, for people: `exit code 2`, `signal 9`.
    pub fn ending(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown status".to_owned(),
        }
    }
}

/// Runs `command` to its end, in a process group of its own, never with our standard input as its own. Whatever it
/// leaves behind is killed, and so is all of it on a timeout or an interrupt.
///
/// # Errors
/// When it cannot be started, takes too long or is interrupted. Ending with another code than 0 is not an error.
pub fn run(command: &Command, mut options: RunOptions<'_>) -> Result<Output, ProcessError> {
    let display = command.display();
    if options.interrupt.is_set() {
        return Err(ProcessError::Interrupted { command: display });
    }
    let deadline = options.timeout.and_then(|limit| Instant::now().checked_add(limit));
    let mark = registry::next_mark();
    let (sender, messages) = mpsc::sync_channel(1024);
    let child = start(command, &mark, options.log, options.stdin.take(), &sender)?;
    drop(sender);

    let mut last_line = String::new();
    let (mut stdout, mut stderr) = (Tail::default(), Tail::default());
    let mut take = |message: Message| match message {
        Message::Line(line) => {
            if let Some(on_line) = &mut options.on_line {
                on_line(&line);
            }
            last_line = line;
            false
        }
        Message::Closed(Stream::Stdout, tail) => {
            stdout = tail;
            false
        }
        Message::Closed(Stream::Stderr, tail) => {
            stderr = tail;
            false
        }
        Message::Ended => true,
    };

    let mut cut = None;
    loop {
        match messages.recv_timeout(TICK) {
            Ok(message) => {
                if take(message) {
                    break;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            // Cannot be before `Ended`; if it were, waiting longer would not help.
            Err(RecvTimeoutError::Disconnected) => break,
        }
        // Also after a message: a command that never stops printing is no excuse.
        if options.interrupt.is_set() {
            cut = Some(Cut::Interrupt);
        } else if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            cut = Some(Cut::Timeout);
        }
        if cut.is_some() {
            child.cut_short(&messages, &mut take);
            break;
        }
    }
    family::sweep(child.pid, &mark);
    let status = registry::lock().reap(child.pid, || child.handle.wait().map(|output| output.status));
    // Everybody who could hold the other ends is dead, so the pipes end now.
    let drained = Instant::now() + DRAIN;
    while let Ok(message) = messages.recv_timeout(drained.saturating_duration_since(Instant::now())) {
        take(message);
    }

    match (cut, options.timeout) {
        (Some(Cut::Interrupt), _) => Err(ProcessError::Interrupted { command: display }),
        (Some(Cut::Timeout), limit) => {
            Err(ProcessError::TimedOut { command: display, limit: limit.unwrap_or_default(), last_line })
        }
        (None, _) => {
            use std::os::unix::process::ExitStatusExt as _;
            let status =
                status.map_err(|source| ProcessError::System { step: "wait", command: display, source })?;
            let (stdout, stderr) = (stdout.text(), stderr.text());
            Ok(Output { code: status.code(), signal: status.signal(), stdout, stderr })
        }
    }
}

#[derive(Clone, Copy)]
enum Cut {
    Interrupt,
    Timeout,
}

struct Child {
    pid: Pid,
    handle: duct::Handle,
}

impl Child {
    /// Ends the group: politely, then not.
    fn cut_short(&self, messages: &mpsc::Receiver<Message>, take: &mut dyn FnMut(Message) -> bool) {
        for signal in [Signal::TERM, Signal::KILL] {
            registry::lock().signal_group(self.pid, signal);
            let deadline = Instant::now() + GRACE;
            while Instant::now() < deadline {
                match messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(message) => {
                        if take(message) {
                            return;
                        }
                    }
                    Err(_) => break,
                }
            }
        }
    }
}

fn start(
    command: &Command,
    mark: &str,
    log: Option<&Utf8Path>,
    stdin: Option<Vec<u8>>,
    sender: &SyncSender<Message>,
) -> Result<Child, ProcessError> {
    let system = |step: &'static str| {
        let command = command.display();
        move |source: io::Error| ProcessError::System { step, command, source }
    };
    check_folder(command)?;
    let log = log.map(open_log).transpose()?;
    let log_copy =
        log.as_ref().map(std::fs::File::try_clone).transpose().map_err(system("open the log twice"))?;
    let (out_reader, out_writer) = io::pipe().map_err(system("make a pipe"))?;
    let (err_reader, err_writer) = io::pipe().map_err(system("make a pipe"))?;

    let expression = expression(command, mark).stdout_file(out_writer).stderr_file(err_writer);
    // A program that ends without reading all of it is no error: duct ignores the broken pipe.
    let expression = match stdin {
        Some(bytes) => expression.stdin_bytes(bytes),
        None => expression.stdin_null(),
    };
    let started = on_spawner(move || {
        registry::lock().spawn(|| {
            let handle = expression.start()?;
            let pid = handle.pids().first().and_then(|pid| Pid::from_raw(pid.cast_signed()));
            let pid = pid.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
            Ok((pid, Child { pid, handle }))
        })
    })?;
    let child = started.map_err(|source| spawn_error(command, source))?;

    let (out_sender, err_sender, end_sender) = (sender.clone(), sender.clone(), sender.clone());
    let pid = child.pid;
    thread("stdout", move || pump(out_reader, Stream::Stdout, log, &out_sender))
        .and_then(|()| thread("stderr", move || pump(err_reader, Stream::Stderr, log_copy, &err_sender)))
        .and_then(|()| {
            thread("wait", move || {
                wait_for_end(pid);
                drop(end_sender.send(Message::Ended));
            })
        })
        .map_err(|source| {
            registry::lock().signal_group(pid, Signal::KILL);
            family::sweep(pid, mark);
            drop(registry::lock().reap(pid, || child.handle.wait().map(|output| output.status)));
            system("start a thread")(source)
        })?;
    Ok(child)
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}

/// Waits until `pid` has ended, and leaves it to be reaped.
pub(crate) fn wait_for_end(pid: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    // The only error is that it is no child of ours, and then there is nothing to wait for.
    let _ = rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::Pid(pid), options));
}

#[expect(clippy::disallowed_methods, reason = "this crate is the one that spawns")]
fn expression(command: &Command, mark: &str) -> duct::Expression {
    let mut environment = command.env.clone();
    environment.insert(MARK_VARIABLE.to_owned(), mark.to_owned());
    // As a string: duct would put `./` before a path without folder, and so never look in PATH.
    duct::cmd(command.executable().into_string(), &command.args)
        .dir(command.cwd.as_std_path())
        .full_env(environment)
        .unchecked()
        .before_spawn(|command| {
            sys::arm(command);
            Ok(())
        })
}

pub(crate) fn check_folder(command: &Command) -> Result<(), ProcessError> {
    if command.cwd.is_dir() {
        return Ok(());
    }
    Err(ProcessError::WorkingFolder { program: command.program.clone(), cwd: command.cwd.clone() })
}

pub(crate) fn open_log(path: &Utf8Path) -> Result<std::fs::File, ProcessError> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.map_err(|source| ProcessError::Log { path: path.to_owned(), source })
}

pub(crate) fn spawn_error(command: &Command, source: io::Error) -> ProcessError {
    if source.kind() == io::ErrorKind::NotFound && !command.executable().is_file() {
        let is_name = !command.program.as_str().contains('/');
        let path = is_name.then(|| command.env.get("PATH").cloned().unwrap_or_default());
        return ProcessError::ProgramNotFound { program: command.program.clone(), path };
    }
    ProcessError::Spawn { command: command.display(), source }
}
