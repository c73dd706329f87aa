//! What a build does, as it does it.

use std::time::Duration;

use camino::Utf8PathBuf;
use llamark_record::Sha256;

/// What is going on. Only the command prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Tools are looked for or installed, or a damaged entry of the cache is thrown away.
    Tools {
        /// What, in words.
        what: String,
    },
    /// cmake configures.
    Configuring {
        /// Id of the build.
        build: String,
    },
    /// ninja compiles.
    Compiling {
        /// Id of the build.
        build: String,
        /// Steps that are done.
        done: u32,
        /// Steps in all. It may grow while ninja learns of more.
        total: u32,
    },
    /// The cache holds it, and every file is as it was.
    Reused {
        /// Id of the build.
        build: String,
        /// Its key.
        key: Sha256,
    },
    /// Another process makes the same build.
    Waiting {
        /// Id of the build.
        build: String,
        /// The lock that the other one holds.
        path: Utf8PathBuf,
    },
    /// The build is done and in the cache.
    Finished {
        /// Id of the build.
        build: String,
        /// Its key.
        key: Sha256,
        /// How long configure and compile took.
        took: Duration,
    },
}
