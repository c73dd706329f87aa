//! The entry: what is fetched with, where to, and what is reported meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files::{self, FileError, Lock};
use llamark_process::{Command, Interrupt, Output, RunOptions};
use llamark_record::Sha256;
use llamark_record::model::FileIdentity;
use llamark_record::plan::{EngineSource, ModelSource};

use crate::archive::Limits;
use crate::error::FetchError;
use crate::git::Commit;

/// Fetches engines and models into a cache. Two processes that fetch the same thing do the work once.
#[derive(Clone, Debug)]
pub struct Fetcher {
    /// The cache folder; made when it is needed.
    pub cache: Utf8PathBuf,
    /// The program `curl`, a name or a path.
    pub curl: String,
    /// The program `git`, a name or a path.
    pub git: String,
    /// A Python that has pip, a name or a path.
    pub python: String,
    /// The environment of these programs, complete.
    pub environment: BTreeMap<String, String>,
    /// Where models of Hugging Face repositories come from.
    pub hugging_face: HuggingFace,
    /// What an archive may expand to.
    pub limits: Limits,
}

/// Where models of Hugging Face repositories come from, and who asks.
#[derive(Clone, Debug)]
pub struct HuggingFace {
    /// Base URL, unless the experiment gives another.
    pub endpoint: String,
    /// Sent to `endpoint`, and to no other that an experiment names.
    pub token: Token,
}

/// A secret, or none. It cannot be printed.
#[derive(Clone, Default)]
pub struct Token(Option<String>);

impl Token {
    /// A token; empty: none.
    pub fn new(secret: Option<String>) -> Self {
        Self(secret.map(|secret| secret.trim().to_owned()).filter(|secret| !secret.is_empty()))
    }

    pub(crate) fn reveal(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Token(a secret)" } else { "Token(none)" })
    }
}

/// What is being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes are coming.
    Downloading {
        /// What.
        what: String,
        /// Bytes so far, those of an earlier attempt included.
        done: u64,
        /// Bytes in all, when the server said so.
        total: Option<u64>,
    },
    /// A digest is being computed.
    Hashing {
        /// Of what.
        what: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A synthetic model is being made.
    Making {
        /// Its file.
        what: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// An archive is being unpacked.
    Unpacking {
        /// Which.
        what: String,
    },
    /// Another process is at the same thing.
    Waiting {
        /// For what.
        what: String,
    },
    /// It was in the cache.
    Hit {
        /// What.
        what: String,
    },
}

/// An engine on this disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchedEngine {
    /// Its source.
    Source {
        /// The folder with llama.cpp's CMakeLists.txt. Never to be written to.
        path: Utf8PathBuf,
        /// Its `tree1` digest.
        tree: Sha256,
        /// The full commit, when it came from a git repository.
        git_commit: Option<String>,
    },
    /// A build that somebody else made.
    Prebuilt {
        /// The folder.
        path: Utf8PathBuf,
    },
}

/// A model on this disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedModel {
    /// Every shard, in order.
    pub paths: Vec<Utf8PathBuf>,
    /// The same: name, size, digest.
    pub files: Vec<FileIdentity>,
}

impl Fetcher {
    /// One that takes its programs from PATH, and proxies, pip's settings, HF_ENDPOINT and HF_TOKEN from the
    /// environment.
    pub fn new(cache: impl Into<Utf8PathBuf>) -> Self {
        let mut environment = llamark_process::base_environment();
        // Settings that make pip and a Python from a version manager work as they do for the user.
        let is_passed = |name: &str| name.starts_with("PIP_") || name.starts_with("PYENV_");
        environment.extend(std::env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            is_passed(&name).then_some((name, value))
        }));
        let endpoint = std::env::var("HF_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
        Self {
            cache: cache.into(),
            curl: "curl".to_owned(),
            git: "git".to_owned(),
            python: "python3".to_owned(),
            environment,
            hugging_face: HuggingFace {
                endpoint: endpoint.unwrap_or_else(|| "https://huggingface.co".to_owned()),
                token: Token::new(std::env::var("HF_TOKEN").ok()),
            },
            limits: Limits::default(),
        }
    }

    /// Brings an engine to this disk. Relative paths are relative to `base`.
    ///
    /// # Errors
    /// When it cannot be had, or is not what the source says; nothing of it was run or unpacked before its digest
    /// was checked.
    pub fn engine(
        &self,
        source: &EngineSource,
        base: &Utf8Path,
        interrupt: &Interrupt,
        observer: &dyn Fn(Event),
    ) -> Result<FetchedEngine, FetchError> {
        Job { fetcher: self, interrupt, observer }.engine(source, base)
    }

    /// The commits of a git repository from `good` to `bad`, both included, along first parents.
    ///
    /// # Errors
    /// When it cannot be had, has no such revisions, or `good` is not an ancestor of `bad`.
    pub fn history(
        &self,
        url: &str,
        [good, bad]: [&str; 2],
        base: &Utf8Path,
        interrupt: &Interrupt,
        observer: &dyn Fn(Event),
    ) -> Result<Vec<Commit>, FetchError> {
        Job { fetcher: self, interrupt, observer }.history(url, good, bad, base)
    }

    /// Brings a model to this disk and hashes every shard of it. A `file` is looked for in `models` and then
    /// relative to `base`.
    ///
    /// # Errors
    /// When it cannot be had, or its digest is not the one that was asked for.
    pub fn model(
        &self,
        source: &ModelSource,
        base: &Utf8Path,
        models: Option<&Utf8Path>,
        interrupt: &Interrupt,
        observer: &dyn Fn(Event),
    ) -> Result<FetchedModel, FetchError> {
        Job { fetcher: self, interrupt, observer }.model(source, base, models)
    }
}

/// One thing being fetched.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub fetcher: &'a Fetcher,
    pub interrupt: &'a Interrupt,
    pub observer: &'a dyn Fn(Event),
}

impl Job<'_> {
    pub(crate) fn tell(&self, event: Event) {
        (self.observer)(event);
    }

    /// A folder of the cache, made if it is not there.
    pub(crate) fn cache(&self, name: &str) -> Result<Utf8PathBuf, FetchError> {
        let folder = self.fetcher.cache.join(name);
        files::create_dir_all(&folder)?;
        // Programs run elsewhere than here.
        Ok(folder.canonicalize_utf8()?)
    }

    /// Waits for the right to make `path`, which it is named after.
    pub(crate) fn lock(&self, path: &Utf8Path, what: &str) -> Result<Lock, FetchError> {
        const LONGEST: Duration = Duration::from_secs(24 * 3600);
        let place = Utf8PathBuf::from(format!("{path}.lock"));
        if let Some(lock) = Lock::try_exclusive(&place)? {
            return Ok(lock);
        }
        self.tell(Event::Waiting { what: what.to_owned() });
        match Lock::exclusive_unless(&place, LONGEST, &|| self.interrupt.is_set()) {
            Err(FileError::Locked { .. }) if self.interrupt.is_set() => Err(FetchError::Interrupted),
            lock => Ok(lock?),
        }
    }

    /// Runs a program that fetches. `purpose` and `install` are for the case that it is not there.
    pub(crate) fn run(
        &self,
        command: &Command,
        options: RunOptions<'_>,
        purpose: &'static str,
        install: &'static str,
    ) -> Result<Output, FetchError> {
        llamark_process::run(command, options).map_err(|error| {
            if error.is_not_found() {
                FetchError::MissingProgram { program: command.program.to_string(), purpose, install }
            } else {
                error.into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        let token = Token::new(Some(" hf_secret\n".to_owned()));
        assert_eq!(token.reveal(), Some("hf_secret"));
        let mut fetcher = Fetcher::new("/tmp/x");
        fetcher.hugging_face.token = token;
        assert!(!format!("{fetcher:?}").contains("hf_secret"));
        assert_eq!(Token::new(Some(" ".to_owned())).reveal(), None);
        assert!(!fetcher.environment.contains_key("HF_TOKEN"));
    }
}
