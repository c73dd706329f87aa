//! The lives of the programs of a build, as far as all of them have that in common: how one is stopped, and why it did not
//! do what it was to do; and of a tool, which ends by itself, all of its life.

use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_process::{Exit, Interrupt, Server};
use llamark_record::journal::Failure;

use crate::failure::{self, Gone};
use crate::log::{LogReader, LogSummary};
use crate::protocol::Halt;
use crate::server::{self, Launch};
use crate::start::{Progress, Start};
use crate::telemetry::Watch;

/// Grace of a server when somebody waits for us to stop: all of it must be over within 5 s.
const GRACE_INTERRUPTED: Duration = Duration::from_secs(3);
/// How often, a millisecond apart, it is looked whether a killed server is gone.
const KILL_LOOKS: u32 = 1_000;
/// How often somebody is told that a tool is still at work.
const TELL: Duration = Duration::from_millis(500);
/// Most of the end of what a tool wrote that is kept.
const MOST_END: u64 = 64 << 20;

/// Where tools are run, and who is told.
pub(crate) struct Tool<'a> {
    pub(crate) start: &'a Start<'a>,
    pub(crate) watch: &'a Watch,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) observer: &'a dyn Fn(Progress),
}

/// What a tool wrote.
pub(crate) struct Said {
    /// What all of it says.
    pub(crate) log: LogSummary,
    /// The end of it, where its result stands.
    pub(crate) end: String,
}

impl Tool<'_> {
    /// One life, from the spawn to the end, and no longer than `limit`: what it wrote, once it ended well. Its exit is left in
    /// `exit`, together with that of the one before. When this returns, no process of it is left.
    ///
    /// # Errors
    /// When it is not to be had, does not end well or in time, or somebody asks to stop.
    pub(crate) async fn run(
        &self,
        launch: &Launch,
        what: &str,
        limit: Duration,
        exit: &mut Option<Exit>,
    ) -> Result<Said, Halt> {
        let log = self.start.log;
        let before = fs_err::metadata(log).map_or(0, |log| log.len());
        let server = server::spawn(self.start, launch).map_err(|failure| Halt::Failed(Box::new(failure)))?;
        self.watch.spawned(server.pid(), server.spawned_at());
        (self.observer)(Progress::Spawned);
        let ended = self.end(&server, what, limit).await;
        let last = match &ended {
            Ok(last) => Some(*last),
            Err(_) => stop(server, Duration::ZERO, self.interrupt).await,
        };
        *exit = last.map(|last| together(exit.as_ref(), last));
        if ended?.code != Some(0) {
            return Err(Halt::Died(Gone::tool(what)));
        }
        said(log, before, MOST_END)
            .map_err(|error| Halt::Protocol(format!("the output of {what} cannot be read: {error}")))
    }

    async fn end(&self, server: &Server, what: &str, limit: Duration) -> Result<Exit, Halt> {
        let began = Instant::now();
        let told = async {
            loop {
                tokio::time::sleep(TELL).await;
                (self.observer)(Progress::Loading { elapsed: began.elapsed() });
            }
        };
        tokio::select! {
            biased;
            exit = server.exited() => Ok(exit),
            () = self.interrupt.wait() => Err(Halt::Interrupted),
            () = tokio::time::sleep(limit) => {
                Err(Halt::TimedOut { phase: what.to_owned(), limit, seen: String::new() })
            }
            () = told => Err(Halt::Interrupted),
        }
    }
}

/// The end of the last process, with the lifetimes added and the larger peak of memory.
fn together(before: Option<&Exit>, last: Exit) -> Exit {
    let Some(before) = before else { return last };
    Exit {
        lifetime: before.lifetime + last.lifetime,
        max_rss_bytes: before.max_rss_bytes.max(last.max_rss_bytes),
        ..last
    }
}

/// What was added to a log since it had that length; of its text, at most so many bytes. All of it is read, a piece at a time: a
/// tool says at the beginning where it computes, and at the end what comes of it.
fn said(log: &Utf8Path, before: u64, most: u64) -> io::Result<Said> {
    let mut file = BufReader::new(fs_err::File::open(log)?);
    file.seek(SeekFrom::Start(before))?;
    let mut reader = LogReader::new();
    let mut length = before;
    loop {
        let piece = file.fill_buf()?;
        if piece.is_empty() {
            break;
        }
        reader.feed(piece);
        let count = piece.len();
        length = length.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        file.consume(count);
    }
    file.seek(SeekFrom::Start(before.max(length.saturating_sub(most))))?;
    let mut end = Vec::new();
    file.take(most).read_to_end(&mut end)?;
    Ok(Said { log: reader.summary(), end: String::from_utf8_lossy(&end).into_owned() })
}

/// Why a program did not do what it was to do, from how it ended; `memory_kills` is their number before it began.
pub(crate) fn failure(
    start: &Start<'_>,
    halt: Halt,
    exit: Option<&Exit>,
    memory_kills: Option<u64>,
) -> Failure {
    let mut log = failure::tail(start.log);
    for line in &mut log.lines {
        *line = server::hide(start, line);
    }
    match halt {
        Halt::Failed(failure) => *failure,
        Halt::TimedOut { phase, limit, seen } => failure::timed_out(&phase, limit, &seen, &log),
        Halt::Died(gone) => {
            let kills = failure::memory_kills().zip(memory_kills);
            // A system that does not count them: nearly every SIGKILL that nobody sent is one.
            let killed_for_memory = kills.is_none_or(|(now, before)| now > before);
            failure::died(&gone, exit, killed_for_memory, &log)
        }
        Halt::Protocol(detail) | Halt::Invalid(detail) => failure::protocol(detail, &log),
        other @ (Halt::Interrupted | Halt::Record(_)) => failure::protocol(format!("{other:?}"), &log),
    }
}

/// Stops a program. Nothing when somebody had enough of waiting for it: then it was killed.
pub(crate) async fn stop(server: Server, grace: Duration, interrupt: &Interrupt) -> Option<Exit> {
    let is_interrupted = interrupt.is_set();
    let process = Utf8PathBuf::from(format!("/proc/{}", server.pid()));
    let stopping = server.stop(if is_interrupted { grace.min(GRACE_INTERRUPTED) } else { grace });
    let enough = async {
        interrupt.wait().await;
        tokio::time::sleep(GRACE_INTERRUPTED).await;
    };
    tokio::select! {
        biased;
        exit = stopping => return Some(exit),
        () = enough, if !is_interrupted => {}
    }
    // To let go of it was to kill it; nothing of it may be left when the start is over.
    for _ in 0..KILL_LOOKS {
        if !process.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    None
}

#[cfg(test)]
mod tests {
    use llamark_artifact::files;

    use super::*;

    #[test]
    fn of_a_long_output_the_end_is_kept_and_all_of_it_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("tool.log");
        let earlier = "load_tensors: Vulkan7 model buffer size = 1.00 MiB\n";
        let head = "load_tensors: Vulkan0 model buffer size = 1.00 MiB\n";
        let noise = "a driver has something to say\n".repeat(2_000);
        let result = "[1]20.0000,[2]21.0000,\nFinal estimate: PPL = 21.0000 +/- 0.50000\n";
        files::write_atomic(&path, format!("{earlier}{head}{noise}{result}").as_bytes()).unwrap();
        let before = u64::try_from(earlier.len()).unwrap();
        let short = said(&path, before, 200).unwrap();
        assert_eq!(short.end.len(), 200);
        assert!(short.end.ends_with(result), "{}", short.end);
        let devices: Vec<&str> = short.log.buffers.iter().map(|buffer| buffer.device.as_str()).collect();
        assert_eq!(devices, ["Vulkan0"], "what stood there before is of another life");
        let whole = said(&path, before, MOST_END).unwrap();
        assert_eq!(whole.end, format!("{head}{noise}{result}"));
        assert!(said(&path.with_extension("gone"), 0, MOST_END).is_err());
    }
}
