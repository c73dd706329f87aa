//! The one thread that spawns everything.
//!
//! The signal that a child gets at its parent's death is sent when the *thread* that spawned it ends, so a child
//! spawned from a worker of a pool would die with the worker. This thread lives as long as the process.

use std::io;
use std::sync::{OnceLock, mpsc};

use crate::error::ProcessError;

type Job = Box<dyn FnOnce() + Send>;

static SPAWNER: OnceLock<Option<mpsc::Sender<Job>>> = OnceLock::new();

fn start() -> io::Result<mpsc::Sender<Job>> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let serve = move || {
        for job in jobs {
            job();
        }
    };
    std::thread::Builder::new().name("spawner".to_owned()).spawn(serve)?;
    Ok(sender)
}

/// Runs `job` on the thread that spawns, and waits for its result.
pub(crate) fn on_spawner<T: Send + 'static>(
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ProcessError> {
    let spawner = SPAWNER.get_or_init(|| start().ok()).as_ref().ok_or(ProcessError::NoSpawner)?;
    let (sender, result) = mpsc::sync_channel(1);
    let job = move || {
        // The caller waits for it: nobody can be gone.
        drop(sender.send(job()));
    };
    spawner.send(Box::new(job)).map_err(|_| ProcessError::NoSpawner)?;
    result.recv().map_err(|_| ProcessError::NoSpawner)
}
