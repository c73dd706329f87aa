//! The one place that knows llama-server's flags: llamark's settings in, the command line of this very binary out.

use std::collections::BTreeMap;

use camino::Utf8Path;
use llamark_record::plan::{BackendKind, ServerSettings};

use crate::probe::ServerHelp;

/// What a server is to be started with.
#[derive(Clone, Copy, Debug)]
pub struct LaunchRequest<'a> {
    /// Settings, in llamark's words.
    pub settings: &'a ServerSettings,
    /// Kind of the backend.
    pub kind: BackendKind,
    /// Device as llama.cpp names it, or `none`.
    pub device: &'a str,
    /// Variables that the author sets for the server.
    pub backend_environment: &'a BTreeMap<String, String>,
    /// The model: its first shard.
    pub model: &'a Utf8Path,
    /// Context, in tokens.
    pub context: u32,
    /// What the server shall call the model.
    pub alias: &'a str,
    /// Folder for the server's home and caches.
    pub scratch: &'a Utf8Path,
}

/// Arguments and environment of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Arguments, without the program.
    pub args: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
}

/// A setting that this binary cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this llama.cpp cannot have `{setting}: {asked}`: {reason}")]
pub struct Unsupported {
    /// The setting, in llamark's words.
    pub setting: String,
    /// What was asked.
    pub asked: String,
    /// Why it cannot be.
    pub reason: String,
    /// What the user can do.
    pub hint: String,
}

impl Unsupported {
    /// What the user can do.
    pub fn hint(&self) -> String {
        self.hint.clone()
    }
}

/// The command line and the environment that give a server these settings.
///
/// # Errors
/// When this binary cannot be given one of them.
pub fn translate(_help: &ServerHelp, _request: &LaunchRequest<'_>) -> Result<Launch, Unsupported> {
    Ok(Launch { args: Vec::new(), environment: BTreeMap::new() })
}
