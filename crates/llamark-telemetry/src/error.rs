//! What keeps a sampler from running at all. That a sensor cannot be read is not an error: it is not available.

/// There is no sampler.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The rate is out of range.
    #[error("cannot sample at {hertz} Hz: the rate is 1 Hz to {} Hz", Self::MOST_HERTZ)]
    Rate {
        /// The rate.
        hertz: u32,
    },
    /// The system gave no thread.
    #[error("cannot start the thread of the sampler")]
    Thread {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl TelemetryError {
    /// Highest rate: sensors refresh at 10 to 100 Hz, so that more would read the same again.
    pub const MOST_HERTZ: u32 = 100;
}
