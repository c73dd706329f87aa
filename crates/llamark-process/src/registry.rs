//! The children that live now. A process id is only ever signalled or reaped under this lock, so a number that
//! the system has given to somebody else is never hit.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal};

use crate::guard::Watchdog;

/// The variable that marks a process as ours, and its descendants with it.
pub(crate) const MARK_VARIABLE: &str = "LLAMARK_CHILD";

/// Children that are not reaped yet, and who watches over them.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    children: HashSet<Pid>,
    /// Set by [`crate::guard`].
    pub watchdog: Option<Watchdog>,
}

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);
static MARK: OnceLock<String> = OnceLock::new();
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// The registry; nobody can spawn, signal or reap meanwhile.
pub(crate) fn lock() -> MutexGuard<'static, Registry> {
    // Every change is a single insertion or removal, so a panic in between leaves nothing half done.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the value of [`MARK_VARIABLE`] begins with in all that this process spawns.
pub(crate) fn process_mark() -> &'static str {
    MARK.get_or_init(|| {
        let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let low = u32::try_from(nanoseconds & u128::from(u32::MAX)).unwrap_or_default();
        format!("{:08x}{low:08x}", std::process::id())
    })
}

/// A new value of [`MARK_VARIABLE`]. Always of the same length, since the size of its environment moves the
/// stack of a program.
pub(crate) fn next_mark() -> String {
    format!("{}-{:08x}", process_mark(), SERIAL.fetch_add(1, Ordering::Relaxed))
}

impl Registry {
    /// Registers the child that `start` makes. Nobody can take it for a stray orphan in between.
    pub(crate) fn spawn<T>(&mut self, start: impl FnOnce() -> io::Result<(Pid, T)>) -> io::Result<T> {
        let (pid, value) = start()?;
        self.children.insert(pid);
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.watch(pid);
        }
        Ok(value)
    }

    /// Sends `signal` to the group of `pid`, if that child is not reaped yet.
    pub(crate) fn signal_group(&self, pid: Pid, signal: Signal) {
        if self.children.contains(&pid) {
            // It may be all zombies by now.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    /// Forgets `pid`, which `reap` takes from the system.
    pub(crate) fn reap<T>(&mut self, pid: Pid, reap: impl FnOnce() -> T) -> T {
        let value = reap();
        self.children.remove(&pid);
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.forget(pid);
        }
        value
    }

    /// Whether `pid` is a child that we know of, or the watchdog.
    pub(crate) fn knows(&self, pid: Pid) -> bool {
        self.children.contains(&pid) || self.watchdog.as_ref().is_some_and(|watchdog| watchdog.pid() == pid)
    }

    /// Whether `pid` is the only child left: then every orphan that came to us is of its family.
    pub(crate) fn is_last(&self, pid: Pid) -> bool {
        self.children.iter().all(|child| *child == pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_differ_and_are_of_one_length() {
        let marks: HashSet<String> = (0..100).map(|_| next_mark()).collect();
        assert_eq!(marks.len(), 100);
        assert!(marks.iter().all(|mark| mark.len() == 25 && mark.starts_with(process_mark())));
    }
}
