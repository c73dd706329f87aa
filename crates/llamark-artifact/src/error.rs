//! What can go wrong with an artifact set.

use camino::Utf8PathBuf;
use llamark_record::Sha256;
use llamark_record::digest::CanonicalError;

use crate::files::FileError;
use crate::journal::LineProblem;
use crate::ledger::Misplaced;

/// An operation on an artifact set that failed.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Which.
        path: Utf8PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The folder holds no artifact set.
    #[error("`{path}` is not an artifact set: it has no journal.jsonl")]
    NotASet {
        /// The folder.
        path: Utf8PathBuf,
    },
    /// A file of the set is a link, a device, or anything else that is not a plain file in a plain folder.
    #[error("`{path}` is not a plain file; an artifact set contains only plain files in plain folders")]
    NotPlain {
        /// Which.
        path: Utf8PathBuf,
    },
    /// A name that no file of a set may have.
    #[error("`{name}` cannot be the name of a file in an artifact set: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two cases would write into one folder.
    #[error(
        "the cases `{first}` and `{second}` would share the folder `{folder}`; rename the model or the backend of one"
    )]
    SharedFolder {
        /// Id of a case.
        first: String,
        /// Id of another.
        second: String,
        /// The folder.
        folder: String,
    },
    /// A file is larger than any that llamark writes.
    #[error("`{path}` has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Which.
        path: Utf8PathBuf,
        /// Its size.
        bytes: u64,
        /// What is read at most.
        limit: u64,
    },
    /// A file is not the JSON that it should be.
    #[error("`{path}` cannot be read as {what}")]
    Json {
        /// Which.
        path: Utf8PathBuf,
        /// What it should be, as in `a plan`.
        what: &'static str,
        /// Where and why not.
        #[source]
        source: serde_json::Error,
    },
    /// The file was written by a newer llamark.
    #[error(
        "`{path}` has the format `{found}`, which this llamark ({}) does not know (it knows `{known}`); {writer}",
        env!("CARGO_PKG_VERSION")
    )]
    Format {
        /// Which.
        path: Utf8PathBuf,
        /// The format in the file.
        found: String,
        /// The format that this version reads.
        known: &'static str,
        /// What to do, with the version that wrote the set where that is known.
        writer: String,
    },
    /// A line of the journal is not what was written.
    #[error("`{path}` line {line}: {problem}")]
    Journal {
        /// The journal.
        path: Utf8PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// The journal of a sealed set has other bytes than were sealed.
    #[error("`{path}` was changed after it was sealed; `llamark verify` lists everything that was")]
    Changed {
        /// The journal.
        path: Utf8PathBuf,
    },
    /// A file of a sealed set is not what was sealed.
    #[error("`{path}` does not verify: {check}: {problem}")]
    NotWhole {
        /// The set.
        path: Utf8PathBuf,
        /// What was checked, as in [`crate::Check`].
        check: &'static str,
        /// What is wrong, as a sentence.
        problem: String,
    },
    /// An event at a place where it makes no sense.
    #[error("`{path}` line {line}: {source}")]
    Order {
        /// The journal.
        path: Utf8PathBuf,
        /// The line, from 1.
        line: u64,
        /// Why it makes no sense there.
        source: Misplaced,
    },
    /// The set is finished: nothing can be added.
    #[error("`{path}` is sealed: nothing can be added to it")]
    Sealed {
        /// The set.
        path: Utf8PathBuf,
    },
    /// The set cannot be sealed yet.
    #[error("`{path}` cannot be sealed: {open} of its cases are unfinished, the first is `{first}`")]
    Unfinished {
        /// The set.
        path: Utf8PathBuf,
        /// How many cases.
        open: usize,
        /// One of them.
        first: String,
    },
    /// The interrupted set belongs to another plan.
    #[error(
        "`{path}` was started with the plan {found} and cannot continue with the plan {expected}; run without resuming it"
    )]
    OtherPlan {
        /// The set.
        path: Utf8PathBuf,
        /// Plan digest of the set.
        found: Box<Sha256>,
        /// Plan digest now.
        expected: Box<Sha256>,
    },
    /// The interrupted set belongs to another machine.
    #[error(
        "`{path}` was started on a machine with other facts (processor, memory, kernel or GPU); \
         its remaining cases would not be comparable with those that it has"
    )]
    OtherHost {
        /// The set.
        path: Utf8PathBuf,
    },
    /// An earlier write to this journal failed; what is on disk is not known until it is opened again.
    #[error("an earlier write to `{path}` failed; run the same command again to resume")]
    Abandoned {
        /// The journal.
        path: Utf8PathBuf,
    },
    /// An event holds a number that JSON cannot carry exactly (an integer above 2^53, or one that is not finite).
    #[error("an event cannot be written exactly: it contains a number beyond 2^53 or one that is not finite")]
    Inexact,
    /// An event whose line would be too long to be read again.
    #[error("an event cannot be written: its line would have {bytes} bytes, but the limit is {limit}")]
    TooLong {
        /// Its length.
        bytes: u64,
        /// The longest line.
        limit: u64,
    },
    /// A value has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// There is no such level of verification here.
    #[error("there is no verification level {level} here, only 0 and 1")]
    Level {
        /// What was asked.
        level: u8,
    },
}
