//! A long-lived child: llama-server.

use std::process::Stdio;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::process::{Pid, Signal};
use tokio::sync::watch;

use crate::command::Command;
use crate::error::ProcessError;
use crate::registry::{self, MARK_VARIABLE};
use crate::run::{check_folder, open_log, spawn_error, wait_for_end};
use crate::spawner::on_spawner;
use crate::{family, sys};

/// How long to wait for the kernel after SIGKILL. A process can be stuck in a driver for longer.
const AFTER_KILL: Duration = Duration::from_secs(5);

/// A running server: it leads a process group of its own, has nothing on its standard input, writes both
/// streams to a log file, and dies with us. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    pid: Pid,
    spawned_at: Instant,
    exit: watch::Receiver<Option<Exit>>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it. When there is neither code nor signal, it did not die even of SIGKILL: it is
    /// stuck in the kernel.
    pub signal: Option<i32>,
    /// Most memory that was resident at once, bytes, as the kernel counted it. Not less than this program had
    /// when it spawned the server.
    pub max_rss_bytes: Option<u64>,
    /// From the spawn to the end.
    pub lifetime: Duration,
    /// Processes that it left behind and that had to be killed.
    pub survivors_killed: u32,
}

impl Server {
    /// Starts it, with both of its streams appended to the file `log`.
    ///
    /// # Errors
    /// When the program, its folder or the log is not to be had, or the system refuses.
    pub fn spawn(command: &Command, log: &Utf8Path) -> Result<Self, ProcessError> {
        check_folder(command)?;
        let mark = registry::next_mark();
        let stdout = open_log(log)?;
        let stderr =
            stdout.try_clone().map_err(|source| ProcessError::Log { path: log.to_owned(), source })?;
        let mut child = standard_command(command, &mark);
        child.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let started = on_spawner(move || {
            registry::lock().spawn(|| {
                let spawned_at = Instant::now();
                let pid = Pid::from_child(&child.spawn()?);
                Ok((pid, (pid, spawned_at)))
            })
        })?;
        let (pid, spawned_at) = started.map_err(|source| spawn_error(command, source))?;

        let (sender, exit) = watch::channel(None);
        let server = Self { pid, spawned_at, exit };
        std::thread::Builder::new()
            .name("wait".to_owned())
            .spawn(move || {
                sender.send_replace(Some(attend(pid, spawned_at, &mark)));
            })
            .map_err(|source| ProcessError::System {
                step: "start a thread",
                command: command.display(),
                source,
            })?;
        Ok(server)
    }

    /// Its process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_pid().cast_unsigned()
    }

    /// The moment before it was spawned.
    pub fn spawned_at(&self) -> Instant {
        self.spawned_at
    }

    /// How it ended, if it has.
    pub fn try_exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits until it has ended and nothing of it is left.
    pub async fn exited(&self) -> Exit {
        let mut receiver = self.exit.clone();
        let exit = receiver.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
        exit.unwrap_or_else(|| self.unknown_exit())
    }

    /// Ends it: SIGTERM to the group; again after half of `grace` (a server that waits for a request to end goes
    /// at the second); SIGKILL after all of it; then whatever escaped the group. Close connections first.
    pub async fn stop(self, grace: Duration) -> Exit {
        for (signal, wait) in
            [(Signal::TERM, grace / 2), (Signal::TERM, grace / 2), (Signal::KILL, AFTER_KILL)]
        {
            if let Some(exit) = self.try_exit() {
                return exit;
            }
            registry::lock().signal_group(self.pid, signal);
            if let Ok(exit) = tokio::time::timeout(wait, self.exited()).await {
                return exit;
            }
        }
        self.unknown_exit()
    }

    fn unknown_exit(&self) -> Exit {
        let lifetime = self.spawned_at.elapsed();
        Exit { code: None, signal: None, max_rss_bytes: None, lifetime, survivors_killed: 0 }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.try_exit().is_none() {
            // The thread that waits does the rest.
            registry::lock().signal_group(self.pid, Signal::KILL);
        }
    }
}

/// Waits for the end, kills what is left, reaps.
fn attend(pid: Pid, spawned_at: Instant, mark: &str) -> Exit {
    wait_for_end(pid);
    let lifetime = spawned_at.elapsed();
    let survivors_killed = family::sweep(pid, mark);
    let reaped = registry::lock().reap(pid, || sys::reap(pid));
    Exit {
        code: reaped.as_ref().ok().and_then(|reaped| reaped.code),
        signal: reaped.as_ref().ok().and_then(|reaped| reaped.signal),
        max_rss_bytes: reaped.as_ref().ok().map(|reaped| reaped.max_rss_bytes),
        lifetime,
        survivors_killed,
    }
}

#[expect(clippy::disallowed_methods, reason = "this crate is the one that spawns")]
fn standard_command(command: &Command, mark: &str) -> std::process::Command {
    let mut child = std::process::Command::new(command.executable());
    child.args(&command.args).current_dir(&command.cwd);
    child.env_clear().envs(&command.env).env(MARK_VARIABLE, mark);
    sys::arm(&mut child);
    child
}
