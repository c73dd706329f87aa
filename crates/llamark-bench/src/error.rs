//! What keeps a start from being recorded. Everything else that goes wrong is an outcome, not an error.

use camino::Utf8PathBuf;
use llamark_record::journal::StartId;

/// The journal could not take an event.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RecordError(Box<dyn std::error::Error + Send + Sync>);

impl RecordError {
    /// Wraps the error of whatever keeps the journal.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// The server cannot say any more that it is ready.
#[derive(Debug, thiserror::Error)]
#[error("cannot go on with the log of the server, {log}: the disk is full; free some space")]
pub(crate) struct LogFull {
    /// The log.
    pub(crate) log: Utf8PathBuf,
}

/// A start could not be recorded: what was measured would be lost, so it is over at once.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The journal could not take an event.
    #[error("cannot record an event of start {} of case `{}`", .id.start, .id.case)]
    Record {
        /// Which start.
        id: StartId,
        /// Why.
        #[source]
        source: RecordError,
    },
}
