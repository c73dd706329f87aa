//! The lock file next to an experiment: where it is, how it is read and replaced, and the refusal of what it denies.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files;
use llamark_record::Sha256;
use llamark_spec::lock::{self, Lock, Mismatch};
use llamark_spec::{Diagnostics, Source};

use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, fail};
use crate::load::{self, Loaded};

/// Another `llamark lock` writes for moments only.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// `NAME.lock.yaml` next to `NAME.yaml`.
pub(crate) struct LockFile {
    path: Utf8PathBuf,
    /// File name of the experiment.
    spec_name: String,
}

impl LockFile {
    /// That of the experiment at `spec`.
    pub(crate) fn beside(spec: &Utf8Path) -> Self {
        let stem = spec.file_stem().unwrap_or_default();
        Self {
            path: spec.with_file_name(format!("{stem}.lock.yaml")),
            spec_name: spec.file_name().unwrap_or_default().to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The path, for people.
    pub(crate) fn name(&self) -> String {
        shown(&self.path)
    }

    /// What it pins; nothing when there is none. Its problems are printed.
    ///
    /// # Errors
    /// When it cannot be read, or is not a lock file: it is never taken for an empty one.
    pub(crate) fn read(&self, context: &Context) -> Result<Option<Lock>, Failed> {
        let bytes = match fs_err::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).or_fail(Exit::BadInput),
        };
        load::sound(context, &self.path, parse(&self.path, bytes)).map(Some).map_err(|failed| Failed {
            hint: format!("restore it, or remove it and run `llamark lock {}`", self.spec_name),
            ..failed
        })
    }

    /// Replaces the file by what `change` makes of it, as one step that no other `llamark lock` can come between.
    /// Whether anything was written.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(crate) fn update(
        &self,
        context: &Context,
        change: impl FnOnce(&Lock) -> Lock,
    ) -> Result<bool, Failed> {
        let folder = context.cache.join("locks");
        files::create_dir_all(&folder).or_fail(Exit::BadInput)?;
        let absolute = camino::absolute_utf8(&self.path).or_fail(Exit::BadInput)?;
        let place = folder.join(format!("{}.lock", Sha256::of_bytes(absolute.as_str().as_bytes())));
        let _turn = files::Lock::exclusive(&place, LONGEST_WAIT).or_fail(Exit::BadInput)?;
        let old = self.read(context)?;
        let new = change(&old.clone().unwrap_or_default());
        let is_nothing = old.is_none() && new == Lock::default();
        let text = lock::write(&new, &self.spec_name);
        if is_nothing || fs_err::read(&self.path).is_ok_and(|bytes| bytes == text.as_bytes()) {
            return Ok(false);
        }
        files::write_atomic(&self.path, text.as_bytes()).or_fail(Exit::BadInput)?;
        Ok(true)
    }
}

/// Whether a path is named as a lock file is.
pub(crate) fn is_named_so(path: &Utf8Path) -> bool {
    path.as_str().ends_with(".lock.yaml")
}

/// Reads one lock file; the inner error holds every problem.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn check(path: &Utf8Path) -> Result<Result<Lock, Diagnostics>, Failed> {
    let bytes = fs_err::read(path).or_fail(Exit::BadInput)?;
    Ok(parse(path, bytes))
}

fn parse(path: &Utf8Path, bytes: Vec<u8>) -> Result<Lock, Diagnostics> {
    Source::from_bytes(path.as_str(), bytes).and_then(|source| lock::parse(&source))
}

/// Refuses inputs that are not what the lock file pins: all of them at once.
pub(crate) fn same(context: &Context, loaded: &Loaded, mismatches: &[Mismatch]) -> Result<(), Failed> {
    let (Some(path), false) = (&loaded.lock, mismatches.is_empty()) else { return Ok(()) };
    for mismatch in mismatches {
        context.terminal.problem(&mismatch.to_string());
    }
    let inputs = if mismatches.len() == 1 { "input is" } else { "inputs are" };
    fail(
        Exit::BadInput,
        format!("{} {inputs} not what {} pins; nothing was run", mismatches.len(), shown(path)),
        "if what was found is right, pin it with `llamark lock SPEC` and commit the change",
    )
}
