//! Exit codes: one per outcome, documented in `docs/exit-codes.md`, and the error that carries one.

use std::fmt;

use llamark_report::ReportError;

/// How the command ended. The numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done; a diff found no regression.
    Done = 0,
    /// A diff found a regression.
    Regression = 1,
    /// Bad usage or a bad experiment.
    BadInput = 2,
    /// Verification failed, or two sets are not comparable.
    NotVerified = 3,
    /// A build failed.
    BuildFailed = 4,
    /// Some planned case has no valid result.
    CaseWithoutResult = 5,
    /// A comparison is inconclusive.
    Inconclusive = 6,
    /// A bug in llamark.
    Internal = 70,
    /// Interrupted by a signal; the same command resumes.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error on its way to the terminal: what happened, why, what to do, and the exit code.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The code.
    pub(crate) exit: Exit,
    /// What happened, and the causes under it. Empty when it was printed already.
    pub(crate) error: anyhow::Error,
    /// What to do; empty when nothing is known.
    pub(crate) hint: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl From<ReportError> for Failed {
    fn from(error: ReportError) -> Self {
        let exit = match &error {
            ReportError::UnknownField { .. }
            | ReportError::NotSealed { .. }
            | ReportError::NoVariants { .. }
            | ReportError::TemplateFolder { .. }
            | ReportError::Template { .. } => Exit::BadInput,
            _ => Exit::NotVerified,
        };
        let hint = error.hint().to_owned();
        Self { exit, error: error.into(), hint }
    }
}

/// What every verb returns.
pub(crate) type Outcome = Result<Exit, Failed>;

/// Gives an error its exit code and its hint.
pub(crate) trait OrFail<T> {
    /// With this code.
    fn or_fail(self, exit: Exit) -> Result<T, Failed>;
    /// With this code and this advice.
    fn or_fail_hint(self, exit: Exit, hint: impl Into<String>) -> Result<T, Failed>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for Result<T, E> {
    fn or_fail(self, exit: Exit) -> Result<T, Failed> {
        self.or_fail_hint(exit, "")
    }

    fn or_fail_hint(self, exit: Exit, hint: impl Into<String>) -> Result<T, Failed> {
        self.map_err(|error| Failed { exit, error: error.into(), hint: hint.into() })
    }
}

/// An error made here, of one sentence and one piece of advice.
pub(crate) fn fail<T>(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Result<T, Failed> {
    Err(Failed { exit, error: anyhow::Error::msg(message.into()), hint: hint.into() })
}
