//! A folder of this thread to play in: in memory where there is one, since a fuzzer fills it a thousand times a second.

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

/// A folder that is removed with it.
pub(crate) struct Folder {
    _keep: TempDir,
    path: Utf8PathBuf,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let keep = tempfile::tempdir_in("/dev/shm").or_else(|_error| tempfile::tempdir()).unwrap();
        let path = Utf8PathBuf::try_from(keep.path().canonicalize().unwrap()).unwrap();
        Self { _keep: keep, path }
    }

    pub(crate) fn path(&self) -> &Utf8Path {
        &self.path
    }
}

/// The sealed set that the tests of llamark-artifact make, which is committed.
pub(crate) fn sample_set() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../llamark-artifact/tests/fixtures/sample-set")
}

/// A copy of a set, whose files can be written.
pub(crate) fn copy(from: &Utf8Path, to: &Utf8Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in from.read_dir_utf8().unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(entry.path(), &target);
        } else {
            std::fs::write(&target, fs_err::read(entry.path()).unwrap()).unwrap();
        }
    }
}
