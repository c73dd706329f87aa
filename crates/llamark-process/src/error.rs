//! What can go wrong with a process.

use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;

/// A process could not be spawned, or was ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such program.
    #[error("program `{program}` was not found{}", searched(.path))]
    ProgramNotFound {
        /// The program as asked for.
        program: Utf8PathBuf,
        /// The `PATH` in which it was looked for; absent when the program was given as a path.
        path: Option<String>,
    },
    /// The folder in which the program should run cannot be entered.
    #[error("`{program}` cannot run in folder `{cwd}`: it does not exist")]
    WorkingFolder {
        /// The program.
        program: Utf8PathBuf,
        /// The folder.
        cwd: Utf8PathBuf,
    },
    /// The operating system refused to start the program.
    #[error("cannot start `{command}`")]
    Spawn {
        /// The whole command, quoted for people.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The log file cannot be opened.
    #[error("cannot open log file `{path}`")]
    Log {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A pipe, a thread or a wait failed: the system is out of something.
    #[error("cannot {step} for `{command}`")]
    System {
        /// What was being done.
        step: &'static str,
        /// The whole command, quoted for people.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program ran longer than it may, and was killed with all of its children.
    #[error("`{command}` was killed: it ran longer than {}{}", seconds(.limit), last(.last_line))]
    TimedOut {
        /// The whole command, quoted for people.
        command: String,
        /// The limit.
        limit: Duration,
        /// The last line that it printed; empty when it printed nothing.
        last_line: String,
    },
    /// Somebody asked to stop; the program was killed with all of its children.
    #[error("`{command}` was interrupted")]
    Interrupted {
        /// The whole command, quoted for people.
        command: String,
    },
    /// The thread that spawns everything could not be started, or is gone.
    #[error("the thread that starts processes is gone")]
    NoSpawner,
    /// The watchdog process could not be set up.
    #[error("cannot {step} for the watchdog process")]
    Guard {
        /// What was being done.
        step: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// [`crate::guard`] was called too late.
    #[error("the watchdog process must be created before any thread: {threads} threads are running")]
    GuardAfterThreads {
        /// Threads of this process.
        threads: usize,
    },
}

impl ProcessError {
    /// Whether somebody asked for this: not a failure of the program.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Interrupted { .. })
    }

    /// Whether the program is simply not installed.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::ProgramNotFound { .. })
    }
}

fn searched(path: &Option<String>) -> String {
    path.as_ref().map(|path| format!(" in PATH ({path})")).unwrap_or_default()
}

fn seconds(limit: &Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

fn last(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!("; its last line was `{line}`") }
}
