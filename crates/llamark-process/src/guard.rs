//! The watchdog: a small process that outlives us by a moment, and ends whatever we could not end ourselves.
//!
//! It holds the reading end of a pipe that only we write to. When we die, in whatever way, the pipe is closed,
//! and it kills every group that we had told it of and everything that carries our mark.

use std::collections::HashSet;
use std::io::{self, Read, Write as _};

use rustix::process::Pid;

use crate::error::ProcessError;
use crate::{family, registry};

/// Our end of the watchdog.
#[derive(Debug)]
pub(crate) struct Watchdog {
    pid: Pid,
    pipe: io::PipeWriter,
}

impl Watchdog {
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn watch(&mut self, group: Pid) {
        self.say(group.as_raw_pid());
    }

    pub(crate) fn forget(&mut self, group: Pid) {
        self.say(-group.as_raw_pid());
    }

    /// Records of four bytes: written whole or not at all. If somebody has killed the watchdog, the kernel's
    /// signal at our death is what remains.
    fn say(&mut self, record: i32) {
        drop(self.pipe.write_all(&record.to_ne_bytes()));
    }
}

/// While it lives, so does the watchdog. Dropping it says good-bye in order; not dropping it does no harm.
#[derive(Debug)]
#[must_use = "the watchdog goes when this is dropped"]
pub struct Guard {
    _private: (),
}

impl Drop for Guard {
    fn drop(&mut self) {
        let watchdog = registry::lock().watchdog.take();
        if let Some(watchdog) = watchdog {
            drop(watchdog.pipe);
            // It sees the end of the pipe, looks round once and is gone within milliseconds.
            let _ = rustix::io::retry_on_intr(|| {
                rustix::process::waitpid(Some(watchdog.pid), rustix::process::WaitOptions::empty())
            });
        }
    }
}

/// Makes sure that nothing of ours outlives us, also when we are killed with SIGKILL. To be called once, at the
/// top of `main`, before any thread: this process becomes the one to which orphaned descendants come, and a
/// watchdog process kills what is left when we die. Without it children still die with us, but not theirs.
///
/// Everything that is spawned carries the variable `LLAMARK_CHILD` in its environment, by which a descendant is
/// known that has left its group, its session and its parent.
///
/// # Errors
/// When threads are running already, or the system refuses a process or a pipe.
#[cfg(target_os = "linux")]
pub fn guard() -> Result<Guard, ProcessError> {
    use crate::sys::{self, Side};

    let fail = |step: &'static str| move |source: io::Error| ProcessError::Guard { step, source };
    let threads = std::fs::read_dir("/proc/self/task").map_err(fail("count the threads"))?.count();
    if threads != 1 {
        return Err(ProcessError::GuardAfterThreads { threads });
    }
    let me = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(me)).map_err(|error| fail("ask for orphans")(error.into()))?;
    let (reader, writer) = io::pipe().map_err(fail("make a pipe"))?;
    let mark = registry::process_mark();
    match sys::fork_single_threaded().map_err(fail("make a process"))? {
        Side::Parent(pid) => {
            drop(reader);
            registry::lock().watchdog = Some(Watchdog { pid, pipe: writer });
            Ok(Guard { _private: () })
        }
        Side::Child => {
            // A panic must not unwind into a second life of our caller.
            let outcome = std::panic::catch_unwind(move || {
                std::panic::set_hook(Box::new(|_| ()));
                serve(&reader, mark);
            });
            sys::exit_now(i32::from(outcome.is_err()))
        }
    }
}

/// Elsewhere than on Linux there is no watchdog: children are killed as groups, by us alone.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Linux")]
pub fn guard() -> Result<Guard, ProcessError> {
    Ok(Guard { _private: () })
}

/// The life of the watchdog.
#[cfg(target_os = "linux")]
fn serve(pipe: &io::PipeReader, mark: &str) {
    use crate::sys;

    // In a session of its own it is in nobody's way when a terminal or a shell ends our group.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"llamark-guard");
    sys::ignore_signals();
    // Our standard output must close when we are gone, for the sake of whoever reads it.
    if sys::keep_only(pipe).is_ok() {
        let groups = listen(io::stdin().lock());
        family::kill_all(&groups, mark);
    }
}

/// Reads records to the end of the pipe. The groups that were not taken back.
fn listen(mut pipe: impl Read) -> HashSet<Pid> {
    let mut groups = HashSet::new();
    let mut record = [0; 4];
    while pipe.read_exact(&mut record).is_ok() {
        let number = i32::from_ne_bytes(record);
        // 0 and 1 would mean "all that I may signal".
        match Pid::from_raw(number.saturating_abs()).filter(|pid| pid.as_raw_pid() > 1) {
            Some(group) if number > 0 => groups.insert(group),
            Some(group) => groups.remove(&group),
            None => false,
        };
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_keeps_what_was_not_taken_back() {
        let records = [10, 20, -10, 30, 0, 1, -1, i32::MIN, 20];
        let mut bytes: Vec<u8> = records.iter().flat_map(|record: &i32| record.to_ne_bytes()).collect();
        bytes.extend([1, 2]); // a torn record at the end is none
        let mut groups: Vec<i32> = listen(bytes.as_slice()).iter().map(|pid| pid.as_raw_pid()).collect();
        groups.sort_unstable();
        assert_eq!(groups, [20, 30]);
    }

    #[test]
    fn too_late_when_threads_run() {
        // The test harness has threads.
        assert!(matches!(guard(), Err(ProcessError::GuardAfterThreads { threads }) if threads > 1));
    }
}
