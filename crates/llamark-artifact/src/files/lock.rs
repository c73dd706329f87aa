//! A lock between processes: one builds or downloads a thing, the others wait for it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::time::{Duration, Instant};

use camino::Utf8Path;

use super::{FileError, at};

/// An exclusive lock between processes, held until dropped. The system releases it when the process dies.
///
/// The lock is on a file that is made for it; the file stays when the lock is released, and holds the process id
/// of its last holder for people to read.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would do, but for a child that another thread is about to spawn: it has a copy of the
        // open file until it becomes another program, and would hold the lock until then.
        let _released = self.file.unlock();
    }
}

/// How long between two tries at a lock.
const LOCK_POLL: Duration = Duration::from_millis(20);

impl Lock {
    /// Takes the lock if it is free. `None`: another process has it. The folder exists.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn try_exclusive(path: &Utf8Path) -> Result<Option<Self>, FileError> {
        loop {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(path)
                .map_err(at("open the lock", path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(FileError::new("lock", path, error)),
            }
            if !is_still_there(&file, path) {
                // The file was removed between opening and locking it: a lock that nobody else would see.
                continue;
            }
            // For people only: the lock holds also when the disk is too full for a process id.
            let pid = std::process::id();
            let _written = file.set_len(0).and_then(|()| file.write_all(format!("{pid}\n").as_bytes()));
            return Ok(Some(Self { file }));
        }
    }

    /// Takes the lock, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`FileError::Locked`] when another process still has it then; else when the file cannot be made.
    pub fn exclusive(path: &Utf8Path, timeout: Duration) -> Result<Self, FileError> {
        Self::exclusive_unless(path, timeout, &|| false)
    }

    /// As [`exclusive`](Self::exclusive), and gives up as soon as `stop` says so.
    ///
    /// # Errors
    /// As `exclusive`; also [`FileError::Locked`] when told to stop.
    pub fn exclusive_unless(
        path: &Utf8Path,
        timeout: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, FileError> {
        let begun = Instant::now();
        loop {
            if let Some(lock) = Self::try_exclusive(path)? {
                return Ok(lock);
            }
            if stop() || begun.elapsed() >= timeout {
                return Err(FileError::Locked { path: path.to_owned(), holder: Self::holder(path) });
            }
            std::thread::sleep(LOCK_POLL.min(timeout));
        }
    }

    /// Process id of the last holder, where the file says it.
    pub fn holder(path: &Utf8Path) -> Option<u32> {
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    }
}

/// Process that holds a lock on that open file, where the system says it: on Linux, `/proc/locks` names it by device
/// and inode.
pub(crate) fn holder(file: &File) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata().ok()?;
    let device = metadata.dev();
    let place =
        format!("{:02x}:{:02x}:{}", rustix::fs::major(device), rustix::fs::minor(device), metadata.ino());
    // `1: FLOCK  ADVISORY  WRITE 1234 00:1b:5678 0 EOF`
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let words = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut holders = words.filter_map(|words| match words.as_slice() {
        [_, "FLOCK", _, "WRITE", pid, at, ..] if *at == place => pid.parse().ok(),
        _ => None,
    });
    holders.next()
}

#[cfg(unix)]
fn is_still_there(file: &File, path: &Utf8Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(named)) => held.dev() == named.dev() && held.ino() == named.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still_there(_file: &File, _path: &Utf8Path) -> bool {
    // An open file cannot be removed there.
    true
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    #[test]
    fn one_holder_at_a_time() {
        let (_keep, path) = folder();
        let file = path.join("lock");
        let held = Lock::try_exclusive(&file).unwrap().unwrap();
        assert!(Lock::try_exclusive(&file).unwrap().is_none());
        let error = Lock::exclusive(&file, Duration::from_millis(30)).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("lock") && said.contains(&std::process::id().to_string()), "{said}");
        let stopped = Lock::exclusive_unless(&file, Duration::from_secs(600), &|| true);
        assert!(stopped.is_err());
        drop(held);
        Lock::exclusive(&file, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_waiting_process_gets_the_lock() {
        let (_keep, path) = folder();
        let file = path.join("lock");
        let held = Lock::try_exclusive(&file).unwrap().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::exclusive(&file, Duration::from_secs(20)).map(|_lock| ()));
            std::thread::sleep(Duration::from_millis(40));
            drop(held);
            waiting.join().unwrap().unwrap();
        });
    }
}
