//! From spawned to ready: the log is followed for the address and the stages of loading, then /health is asked.

use std::io::Read as _;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use llamark_record::journal::LoadStages;

use crate::client::{Client, ClientError};
use crate::error::{LogFull, RecordError};
use crate::failure::Gone;
use crate::log::{LogEvent, LogReader, LogSummary};
use crate::protocol::{Halt, Session};
use crate::start::Progress;

/// How often the log is looked at. A look costs some microseconds.
const LOOK: Duration = Duration::from_millis(1);
/// How often the observer hears that the server still loads.
const TELL: Duration = Duration::from_millis(100);
/// Most bytes of the log that are read at one look.
const CHUNK: u64 = 1 << 20;
/// What this phase is called in a failure.
const PHASE: &str = "the load of the model";

/// A server that answers.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Where.
    pub(crate) client: Client,
    /// When each stage of loading was over.
    pub(crate) stages: LoadStages,
    /// What its log says.
    pub(crate) log: LogSummary,
    /// When it said that it is ready.
    pub(crate) ready_at: Instant,
}

/// Waits until the server is ready.
///
/// # Errors
/// When it ends, takes too long, or somebody asks to stop.
pub(crate) async fn wait(session: &Session<'_>) -> Result<Loaded, Halt> {
    let limit = Duration::from_millis(session.start.plan.timeouts.load_ms);
    let work = async {
        tokio::select! {
            biased;
            loaded = follow(session) => loaded,
            () = session.interrupt.wait() => Err(Halt::Interrupted),
            _ = session.server.exited() => Err(Halt::Died(Gone::server(PHASE))),
        }
    };
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Halt::TimedOut { phase: PHASE.to_owned(), limit, seen: String::new() }),
    }
}

async fn follow(session: &Session<'_>) -> Result<Loaded, Halt> {
    let spawned = session.server.spawned_at();
    let since =
        |at: Instant| u64::try_from(at.saturating_duration_since(spawned).as_micros()).unwrap_or(u64::MAX);
    let mut follower = Follower::open(session)?;
    let mut first_line = None;
    let mut weights = None;
    let mut told = Instant::now();
    let (url, listening_at) = 'ready: loop {
        for (event, at) in follower.look()? {
            match event {
                LogEvent::FirstLine => first_line = first_line.or(Some(at)),
                LogEvent::WeightsLoaded => weights = weights.or(Some(at)),
                LogEvent::Listening(url) => break 'ready (url, at),
                _ => {}
            }
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            (session.observer)(Progress::Loading { elapsed: spawned.elapsed() });
            // Its log would say nothing any more, and the wait for it would be one for the whole limit.
            if is_full(session.start.log) {
                return Err(Halt::Record(RecordError::new(LogFull { log: session.start.log.to_owned() })));
            }
        }
        tokio::time::sleep(LOOK).await;
    };
    let client = Client::new(&url).map_err(|error| Halt::Protocol(error.to_string()))?;
    let mut ready_at = listening_at;
    // Every version says so only when the model is there; should one not, the truth is the first 200.
    loop {
        match client.get("/health").await {
            Ok(_) => break,
            Err(ClientError::Status { status: 503, .. }) => {
                tokio::time::sleep(LOOK).await;
                ready_at = Instant::now();
            }
            Err(error) if error.is_disconnected() => {
                // It died, or will be found to hang: both are noticed by who waits for this.
                tokio::time::sleep(Duration::from_millis(10)).await;
                ready_at = Instant::now();
            }
            Err(error) => return Err(Halt::Protocol(format!("asking for /health: {error}"))),
        }
    }
    let stages = LoadStages {
        first_line_us: first_line.map(since),
        weights_us: weights.map(since),
        ready_us: since(ready_at),
    };
    Ok(Loaded { client, stages, log: follower.reader.summary(), ready_at })
}

/// Whether nothing can be added to a file. A system that does not say is believed to have room.
fn is_full(file: &Utf8Path) -> bool {
    rustix::fs::statvfs(file.as_std_path()).is_ok_and(|disk| {
        // A part of some disks is kept for the administrator.
        let free = if rustix::process::geteuid().is_root() { disk.f_bfree } else { disk.f_bavail };
        free == 0
    })
}

/// Reads what was added to the log.
struct Follower {
    file: fs_err::File,
    reader: LogReader,
    buffer: Vec<u8>,
}

impl Follower {
    fn open(session: &Session<'_>) -> Result<Self, Halt> {
        let file = fs_err::File::open(session.start.log).map_err(unreadable)?;
        Ok(Self { file, reader: LogReader::new(), buffer: Vec::new() })
    }

    fn look(&mut self) -> Result<Vec<(LogEvent, Instant)>, Halt> {
        self.buffer.clear();
        (&mut self.file).take(CHUNK).read_to_end(&mut self.buffer).map_err(unreadable)?;
        let at = Instant::now();
        Ok(self.reader.feed(&self.buffer).into_iter().map(|event| (event, at)).collect())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn unreadable(error: std::io::Error) -> Halt {
    Halt::Protocol(format!("the log of the server cannot be read: {error}"))
}
