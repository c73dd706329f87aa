//! Why a reading is not there. Small and without allocation: it is kept in every round.

use std::fmt;
use std::io::ErrorKind;

/// Why a reading is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The system refuses.
    Io(ErrorKind),
    /// The file is empty.
    Empty,
    /// The file is longer than such a file can be.
    TooLong,
    /// The text is not what such a file holds.
    NotANumber,
    /// The file has no such line.
    NoLine(&'static str),
    /// 0, where 0 cannot be true.
    FalseZero(&'static str),
    /// A number that cannot be true.
    Implausible(&'static str),
    /// A table of a format whose layout is not known.
    Format {
        /// Its size in bytes, as it says.
        size: u16,
        /// Its format.
        format: u8,
        /// Its revision.
        content: u8,
    },
    /// No process was given yet.
    NoProcess,
    /// The process ended.
    ProcessGone,
    /// The library of the driver refuses, or there is something else that one sentence says.
    Said(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(ErrorKind::NotFound) => f.write_str("there is no such file"),
            Self::Io(ErrorKind::PermissionDenied) => f.write_str("permission denied"),
            Self::Io(ErrorKind::WouldBlock) => f.write_str("it would block"),
            Self::Io(kind) => write!(f, "{kind}"),
            Self::Empty => f.write_str("it is empty"),
            Self::TooLong => f.write_str("it is too long"),
            Self::NotANumber => f.write_str("it does not contain a number"),
            Self::NoLine(key) => write!(f, "it has no line `{key}`"),
            Self::FalseZero(unit) => write!(f, "it says 0 {unit}, which cannot be true"),
            Self::Implausible(unit) => write!(f, "it says a number of {unit} that cannot be true"),
            Self::Format { size, format, content } => {
                write!(f, "the layout of table v{format}.{content} with {size} bytes is unknown")
            }
            Self::NoProcess => f.write_str("no process was given"),
            Self::ProcessGone => f.write_str("the process is gone"),
            Self::Said(text) => f.write_str(text),
        }
    }
}

impl Fault {
    /// Whether there was nothing to read, so that nothing failed.
    pub(crate) fn is_expected(self) -> bool {
        matches!(self, Self::NoProcess | Self::ProcessGone)
    }

    /// Whether it will be the same next time, so that trying again would only cost time.
    pub(crate) fn is_lasting(self) -> bool {
        matches!(self, Self::Io(ErrorKind::NotFound | ErrorKind::PermissionDenied) | Self::Format { .. })
    }
}
