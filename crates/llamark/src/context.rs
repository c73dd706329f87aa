//! What every verb works with: the folders, the terminal, the request to stop, and the machine for oneself.

use std::cell::OnceCell;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files::{self, FileError, Lock};
use llamark_artifact::{ArtifactSet, Store};
use llamark_process::Interrupt;

use crate::cli::Global;
use crate::display::Display;
use crate::exit::{Exit, Failed, OrFail as _, fail};
use crate::terminal::Terminal;

/// What every verb works with.
pub(crate) struct Context {
    pub(crate) terminal: Terminal,
    pub(crate) interrupt: Interrupt,
    pub(crate) artifacts: Utf8PathBuf,
    pub(crate) cache: Utf8PathBuf,
    pub(crate) models: Option<Utf8PathBuf>,
    /// Held from when this process first compiles or measures, to its end.
    machine: OnceCell<Lock>,
}

/// Another llamark may measure for days; whoever waits for it can stop.
const LONGEST_WAIT: Duration = Duration::MAX;

impl Context {
    /// From the options of the command line and the user's folders.
    pub(crate) fn new(global: &Global, interrupt: Interrupt) -> Result<Self, Failed> {
        let cache = match &global.cache {
            Some(cache) => absolute(cache)?,
            None => default_cache()?,
        };
        Ok(Self {
            terminal: Terminal::new(global),
            interrupt,
            artifacts: absolute(&global.artifacts)?,
            cache,
            models: global.models.as_deref().map(absolute).transpose()?,
            machine: OnceCell::new(),
        })
    }

    /// Has the machine for itself from now on, to compile or to measure: of all llamarks with this cache, one at a time
    /// does, since two would measure each other. Waits for the one before, whose sets are there afterwards: what the
    /// store holds is to be asked after this.
    ///
    /// # Errors
    /// When told to stop, or the cache cannot be written.
    pub(crate) fn have_machine(&self, display: &Display) -> Result<(), Failed> {
        if self.machine.get().is_some() {
            return Ok(());
        }
        files::create_dir_all(&self.cache).or_fail(Exit::BadInput)?;
        let path = self.machine_lock();
        let lock = match Lock::try_exclusive(&path).or_fail(Exit::BadInput)? {
            Some(lock) => lock,
            None => {
                let holder = Lock::holder(&path).map_or_else(String::new, |pid| format!(" (process {pid})"));
                display.now("Waiting", &format!("another llamark is measuring or compiling here{holder}"));
                match Lock::exclusive_unless(&path, LONGEST_WAIT, &|| self.interrupt.is_set()) {
                    Err(FileError::Locked { .. }) if self.interrupt.is_set() => {
                        return fail(Exit::Interrupted, "interrupted; nothing was measured", "");
                    }
                    lock => lock.or_fail(Exit::BadInput)?,
                }
            }
        };
        let _held = self.machine.set(lock);
        Ok(())
    }

    /// The lock of this machine in a cache that several may share. Its name is that of the machine, where that can be read.
    pub(crate) fn machine_lock(&self) -> Utf8PathBuf {
        let host = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        self.cache.join(format!("machine-{}.lock", llamark_artifact::folder_name(host.trim())))
    }

    /// The artifact sets.
    pub(crate) fn store(&self) -> Store {
        Store::open(&self.artifacts)
    }

    /// The set that the user means: a folder, an id, or the name of an experiment (its newest); without a word,
    /// the newest of all.
    pub(crate) fn find_set(&self, word: Option<&str>) -> Result<Utf8PathBuf, Failed> {
        if let Some(word) = word {
            let path = Utf8Path::new(word);
            if path.join("plan.json").is_file() {
                return Ok(path.to_owned());
            }
            if path.file_name() == Some("manifest.json") && path.is_file() {
                return Ok(path.parent().unwrap_or(Utf8Path::new(".")).to_owned());
            }
        }
        let sets = self.store().sets(None).or_fail(Exit::NotVerified)?;
        let newest = sets.iter().rev().find(|set| match word {
            None => true,
            Some(word) => set.id == word || set.name == word || format!("{}/{}", set.name, set.id) == word,
        });
        match (newest, word) {
            (Some(set), _) => Ok(set.path.clone()),
            (None, Some(word)) => fail(
                Exit::BadInput,
                format!(
                    "there is no artifact set `{word}`: no such folder, and no id or experiment of that name in {}",
                    self.artifacts
                ),
                "`llamark list` shows the sets",
            ),
            (None, None) => fail(
                Exit::BadInput,
                format!("there are no artifact sets in {}", self.artifacts),
                "make one: `llamark run experiments/quickstart.yaml`",
            ),
        }
    }

    /// That set, read.
    pub(crate) fn read_set(&self, word: Option<&str>) -> Result<ArtifactSet, Failed> {
        let path = self.find_set(word)?;
        ArtifactSet::read(&path)
            .or_fail_hint(Exit::NotVerified, format!("`llamark verify {path}` says what else is wrong"))
    }
}

/// `path` as seen from the root, without touching the disk.
fn absolute(path: &Utf8Path) -> Result<Utf8PathBuf, Failed> {
    camino::absolute_utf8(path).or_fail(Exit::BadInput)
}

/// `$XDG_CACHE_HOME/llamark`, or `~/.cache/llamark`.
fn default_cache() -> Result<Utf8PathBuf, Failed> {
    let folder = |name: &str| match std::env::var_os(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => match Utf8PathBuf::from_os_string(value) {
            Ok(path) => Ok(Some(path)),
            Err(value) => fail(
                Exit::BadInput,
                format!("{name} is not valid UTF-8, so llamark cannot record it: {}", value.display()),
                "name a folder for the cache with `--cache DIR`",
            ),
        },
    };
    let base = match folder("XDG_CACHE_HOME")?.filter(|path| path.is_absolute()) {
        Some(base) => Some(base),
        None => folder("HOME")?.map(|home| home.join(".cache")),
    };
    match base {
        Some(base) => absolute(&base.join("llamark")),
        None => fail(
            Exit::BadInput,
            "no folder for the cache: neither HOME nor XDG_CACHE_HOME is set",
            "name one with `--cache DIR`",
        ),
    }
}

/// The first few of a list: of cases there may be thousands.
pub(crate) fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 4;
    match names.len().checked_sub(SHOWN) {
        Some(more @ 1..) => {
            format!("{} and {more} more", names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "))
        }
        _ => names.join(", "),
    }
}

/// `path` as seen from the working directory, for people.
pub(crate) fn shown(path: &Utf8Path) -> String {
    let here = std::env::current_dir().ok().and_then(|here| Utf8PathBuf::from_path_buf(here).ok());
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    relative.filter(|path| !path.as_str().is_empty()).unwrap_or(path).to_string()
}
