//! What the log of a server says, read as it grows.

use llamark_record::journal::Buffer;

/// Something that the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// Its first line is there.
    FirstLine,
    /// The server listens, at this URL.
    Listening(String),
    /// The weights are in memory.
    WeightsLoaded,
}

/// All that the log said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// Buffers, in the order in which they were allocated.
    pub buffers: Vec<Buffer>,
}

/// Reads a log, however it is cut.
#[derive(Clone, Debug, Default)]
pub struct LogReader {
    summary: LogSummary,
}

impl LogReader {
    /// A reader at the start of a log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, and gives what the lines that they complete say.
    pub fn feed(&mut self, _bytes: &[u8]) -> Vec<LogEvent> {
        Vec::new()
    }

    /// All that was said so far.
    pub fn summary(&self) -> LogSummary {
        self.summary.clone()
    }
}
