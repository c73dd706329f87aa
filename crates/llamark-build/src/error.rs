//! Why there is no build, and what to do about it.

use std::io;

use camino::Utf8PathBuf;
use llamark_artifact::files::FileError;
use llamark_process::ProcessError;
use llamark_record::digest::CanonicalError;
use llamark_record::plan::BackendKind;

use crate::compile_error::Finding;
use crate::dead_flags::DeadFlag;
use crate::requirements::{Install, Missing};

/// Why there is no build.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Something that the kind of backend needs is not installed.
    #[error("backend {} cannot be built here: {}", kind.name(), sentences(missing))]
    Missing {
        /// The kind.
        kind: BackendKind,
        /// What is not there.
        missing: Vec<Missing>,
    },
    /// cmake or ninja is missing or too old, and so is Python.
    #[error("cmake and ninja in PATH are missing or too old, and there is no python3 to install them")]
    NoPython,
    /// cmake and ninja could not be installed into the cache.
    #[error("cannot {step} for cmake and ninja: {why} (log: {log})")]
    Tools {
        /// What was tried.
        step: &'static str,
        /// The last that it said.
        why: String,
        /// The full log.
        log: Utf8PathBuf,
    },
    /// A program that must tell its version does not.
    #[error("`{command}` ended with {ending}: {why}")]
    NoVersion {
        /// The command.
        command: String,
        /// How it ended.
        ending: String,
        /// The last that it said.
        why: String,
    },
    /// Flags that do nothing.
    #[error("build `{build}`: {}", flag_sentences(flags))]
    DeadFlags {
        /// Id of the build.
        build: String,
        /// The flags.
        flags: Vec<DeadFlag>,
    },
    /// The engine's folder is not a llama.cpp source tree.
    #[error("`{path}` is not a source tree of llama.cpp: it has no CMakeLists.txt")]
    NotAnEngine {
        /// The folder.
        path: Utf8PathBuf,
    },
    /// A prebuilt folder without a server.
    #[error("`{path}` has no `llama-server`, neither directly nor in bin/ or build/bin/")]
    NoServer {
        /// The folder.
        path: Utf8PathBuf,
    },
    /// cmake refused.
    #[error("build `{build}` cannot be configured ({ending}): {finding} (log: {log})")]
    Configure {
        /// Id of the build.
        build: String,
        /// How cmake ended.
        ending: String,
        /// Its first error.
        finding: Box<Finding>,
        /// The full log.
        log: Utf8PathBuf,
    },
    /// cmake configured something else than was asked for.
    #[error("build `{build}`: cmake silently left out the {backend} backend (log: {log})")]
    BackendLeftOut {
        /// Id of the build.
        build: String,
        /// The backend as cmake names it.
        backend: &'static str,
        /// The full log.
        log: Utf8PathBuf,
    },
    /// A compiler or the linker refused.
    #[error("build `{build}` does not compile ({ending}): {finding} (log: {log})")]
    Compile {
        /// Id of the build.
        build: String,
        /// How ninja ended.
        ending: String,
        /// The first error of a compiler.
        finding: Box<Finding>,
        /// The full log.
        log: Utf8PathBuf,
    },
    /// ninja succeeded, but what it should have made is not there.
    #[error("build `{build}` was compiled, but there is no `{path}` (log: {log})")]
    NothingBuilt {
        /// Id of the build.
        build: String,
        /// What is not there.
        path: Utf8PathBuf,
        /// The full log.
        log: Utf8PathBuf,
    },
    /// The server does not even tell its version.
    #[error("build `{build}` does not run: `{command}` ended with {ending}: {why}")]
    DoesNotRun {
        /// Id of the build.
        build: String,
        /// The command.
        command: String,
        /// How it ended.
        ending: String,
        /// The last that it said.
        why: String,
    },
    /// A path that is not UTF-8, which a record could not hold.
    #[error("a file name in `{folder}` is not UTF-8")]
    NotUtf8 {
        /// The folder.
        folder: Utf8PathBuf,
    },
    /// A program could not be run, or was interrupted.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The disk refused.
    #[error(transparent)]
    Files(#[from] FileError),
    /// A file cannot be read; the error of the system names it.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The inputs have no digest; cannot be, since they hold no number.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// The record cannot be written as JSON; cannot be, since it holds no odd map.
    #[error("the record of a build cannot be written")]
    Json(#[from] serde_json::Error),
}

impl BuildError {
    /// What to do about it, where that is known: for something missing, the command that installs it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { missing, .. } => Some(Install::merged(missing).sentence()),
            Self::NoPython => Some(tools_hint("")),
            Self::Tools { why, .. } => Some(tools_hint(why)),
            Self::DeadFlags { .. } => {
                Some("correct `build.cmake` of the backend in the experiment".to_owned())
            }
            Self::NotAnEngine { .. } => {
                Some("set `subdir` of the engine's source to the folder that contains llama.cpp".to_owned())
            }
            Self::NoServer { .. } => {
                Some("give the folder that contains the `llama-server` that you built".to_owned())
            }
            Self::Configure { finding, .. } | Self::Compile { finding, .. } => finding.hint(),
            Self::BackendLeftOut { .. } => {
                Some("check whether `build.cmake` of the backend switches it off again".to_owned())
            }
            Self::DoesNotRun { why, .. } if why.contains("error while loading shared libraries") => {
                Some("install the library that it names, or put its folder into LD_LIBRARY_PATH".to_owned())
            }
            Self::Process(error) if error.is_interrupted() => {
                Some("run the same command again to resume".to_owned())
            }
            _ => None,
        }
    }

    /// Whether this says something of the engine, so that the next one may build; else of this machine, on which none will:
    /// what is not installed, a full disk, too little memory.
    pub fn is_of_engine(&self) -> bool {
        match self {
            Self::Configure { finding, .. } | Self::Compile { finding, .. } => !finding.is_of_machine(),
            Self::DeadFlags { .. }
            | Self::NotAnEngine { .. }
            | Self::NoServer { .. }
            | Self::BackendLeftOut { .. }
            | Self::NothingBuilt { .. }
            | Self::DoesNotRun { .. }
            | Self::NotUtf8 { .. }
            // Only its own server is a program that the system may refuse to start: cmake and the compilers were tried before.
            | Self::Process(ProcessError::Spawn { .. } | ProcessError::ProgramNotFound { .. }) => true,
            Self::Missing { .. }
            | Self::NoPython
            | Self::Tools { .. }
            | Self::NoVersion { .. }
            | Self::Process(_)
            | Self::Files(_)
            | Self::Read(_)
            | Self::Canonical(_)
            | Self::Json(_) => false,
        }
    }

    /// Whether somebody asked for this.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Process(error) if error.is_interrupted())
    }
}

fn sentences(missing: &[Missing]) -> String {
    missing.iter().map(|one| format!("{} ({})", one.what, one.why)).collect::<Vec<_>>().join("; ")
}

fn flag_sentences(flags: &[DeadFlag]) -> String {
    match flags {
        [one] => one.to_string(),
        several => several.iter().map(|flag| format!("\n  - {flag}")).collect(),
    }
}

fn tools_hint(why: &str) -> String {
    if why.contains("ensurepip") {
        "the `venv` module of Python is incomplete: `sudo apt install python3-venv` on Debian/Ubuntu; \
         or install cmake and ninja yourself"
            .to_owned()
    } else {
        "install cmake 3.21 or newer and ninja yourself: `sudo apt install cmake ninja-build` on Debian/Ubuntu, \
         `sudo dnf install cmake ninja-build` on Fedora, `sudo pacman -S cmake ninja` on Arch"
            .to_owned()
    }
}
