//! The one place that writes files: atomic, durable, and every error names its path.
//!
//! A file appears under its name only when all of it is on disk: temporary file in the same folder, write,
//! fsync, rename, fsync of the folder. An error of fsync is final: Linux marks the pages clean after it, so that
//! a second fsync would succeed without the data (ATC'20, "Can Applications Recover from fsync Failures?").
//! Nothing here is ever tried again on the same file.
//!
//! [`disk`] has every call that changes the disk on the way of an artifact set, one function each. In the tests of this
//! crate it notes them, and a model of a file system says what a crash between any two of them can leave.
//!
//! On macOS `sync_all` is `F_FULLFSYNC`. Network file systems and overlays promise less than this module asks.

#![expect(clippy::disallowed_methods, reason = "this module is where files are written")]

mod disk;
mod lock;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};

pub use lock::Lock;
pub(crate) use lock::holder as lock_holder;

/// A file operation that failed: what, where, why.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk or the user's share of it is full.
    #[error(
        "cannot {action} `{path}`: the disk is full (or over quota); free some space and run the same command again"
    )]
    DiskFull {
        /// What was tried, as in `write`.
        action: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The place cannot be written.
    #[error(
        "cannot {action} `{path}`: the folder is read-only or belongs to another user; choose a folder that you can write to"
    )]
    ReadOnly {
        /// What was tried, as in `write`.
        action: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// Something is there already, and it is not replaced.
    #[error("`{path}` already exists and is not replaced")]
    Exists {
        /// What is there.
        path: Utf8PathBuf,
    },
    /// Anything else.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried, as in `write`.
        action: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The path has no folder or no file name, as `/` or `..`.
    #[error("`{path}` is not the path of a file in a folder")]
    NoParent {
        /// The path.
        path: Utf8PathBuf,
    },
    /// Another process holds the lock.
    #[error("`{path}` is held by another llamark{}; wait for it or end it", holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked {
        /// The lock file.
        path: Utf8PathBuf,
        /// Process id that the holder wrote into it, where it can be read.
        holder: Option<u32>,
    },
}

impl FileError {
    /// Sorts an error of the system by what the user can do about it.
    pub fn new(action: &'static str, path: &Utf8Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull { action, path, source }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { action, path, source }
            }
            _ => Self::Io { action, path, source },
        }
    }
}

/// Attaches what was tried, and on what, to an error of the system.
fn at<'a>(action: &'static str, path: &'a Utf8Path) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError::new(action, path, source)
}

fn parent_of(path: &Utf8Path) -> Result<&Utf8Path, FileError> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(_)) if parent.as_str().is_empty() => Ok(Utf8Path::new(".")),
        (Some(parent), Some(_)) => Ok(parent),
        _ => Err(FileError::NoParent { path: path.to_owned() }),
    }
}

/// A file that is being written and has no name yet. Dropped without [`commit`](Self::commit), it is removed.
#[derive(Debug)]
pub struct NewFile {
    temporary: tempfile::NamedTempFile,
    folder: Utf8PathBuf,
}

impl NewFile {
    /// Opens a temporary file in `folder`, which exists: that in which the file will appear.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create_in(folder: &Utf8Path) -> Result<Self, FileError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY_PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any other file of the user, less what the umask takes; tempfile's own default is 0600.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let temporary = disk::temporary_file(&builder, folder).map_err(at("write into", folder))?;
        Ok(Self { temporary, folder: folder.to_owned() })
    }

    /// Makes it durable and gives it its name, replacing what was there. Durable when this returns.
    ///
    /// # Errors
    /// When the disk refuses. What was under the name before is then still there.
    pub fn commit(self, path: &Utf8Path) -> Result<(), FileError> {
        disk::sync(self.temporary.as_file()).map_err(at("flush", path))?;
        disk::persist(self.temporary, path).map_err(at("name", path))?;
        sync_folder(&self.folder)
    }

    /// As [`commit`](Self::commit), but never replaces anything.
    ///
    /// # Errors
    /// [`FileError::Exists`] when there is something under that name; else as `commit`.
    pub fn commit_new(self, path: &Utf8Path) -> Result<(), FileError> {
        disk::sync(self.temporary.as_file()).map_err(at("flush", path))?;
        disk::persist_new(self.temporary, path).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                FileError::Exists { path: path.to_owned() }
            } else {
                FileError::new("name", path, error)
            }
        })?;
        sync_folder(&self.folder)
    }
}

impl io::Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        disk::write(self.temporary.as_file(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

/// Names of temporary files and folders begin with this; such a thing without a live owner may be removed.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

/// Writes a whole file: all of it or nothing, durable on return. The folder exists.
///
/// # Errors
/// When the disk refuses. What was under the name before is then still there.
pub fn write_atomic(path: &Utf8Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = NewFile::create_in(parent_of(path)?)?;
    file.write_all(bytes).map_err(at("write", path))?;
    file.commit(path)
}

/// As [`write_atomic`], but never replaces anything.
///
/// # Errors
/// [`FileError::Exists`] when there is something under that name; else when the disk refuses.
pub fn persist_new(path: &Utf8Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = NewFile::create_in(parent_of(path)?)?;
    file.write_all(bytes).map_err(at("write", path))?;
    file.commit_new(path)
}

/// Opens a file to write at its end, and makes it if it is not there: for downloads that go on where they were.
///
/// # Errors
/// When the file cannot be opened for writing.
pub fn open_append(path: &Utf8Path) -> Result<File, FileError> {
    disk::open_append(path).map_err(at("open", path))
}

/// Gives a finished file another name in the same file system: fsync, rename, fsync of the folder.
///
/// # Errors
/// When the disk refuses.
pub fn rename_file(from: &Utf8Path, to: &Utf8Path) -> Result<(), FileError> {
    let file = OpenOptions::new().read(true).open(from).map_err(at("open", from))?;
    disk::sync(&file).map_err(at("flush", from))?;
    disk::rename(from, to).map_err(at("name", to))?;
    sync_folder(parent_of(to)?)
}

/// Removes a file. It is not an error when there is none.
///
/// # Errors
/// When the disk refuses.
pub fn remove_file(path: &Utf8Path) -> Result<(), FileError> {
    match disk::remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(at("remove", path)),
    }
}

/// Makes a folder and those above it, durably.
///
/// # Errors
/// When the disk refuses, or a file is in the way.
pub fn create_dir_all(path: &Utf8Path) -> Result<(), FileError> {
    if path.as_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    match disk::make_folder(path) {
        Ok(()) => sync_folder(parent_of(path)?),
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(FileError::new("create the folder", path, error)),
    }
}

/// A folder that is being filled and has no name yet. Dropped without a [`rename_folder`], it is removed.
#[derive(Debug)]
pub struct TemporaryFolder {
    folder: tempfile::TempDir,
    path: Utf8PathBuf,
}

impl TemporaryFolder {
    /// Makes one inside `parent`, which is made if it is not there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn create_in(parent: &Utf8Path) -> Result<Self, FileError> {
        create_dir_all(parent)?;
        let folder = disk::temporary_folder(TEMPORARY_PREFIX, parent).map_err(at("write into", parent))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // tempfile makes folders that nobody else may read; what is shared is read by others.
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(folder.path(), open).map_err(at("open to readers", parent))?;
        }
        let path = Utf8PathBuf::try_from(folder.path().to_owned())
            .map_err(|error| FileError::new("write into", parent, error.into_io_error()))?;
        Ok(Self { folder, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Makes its content durable and gives it its name; see [`rename_folder`].
    ///
    /// # Errors
    /// When the disk refuses. The folder is then removed.
    pub fn commit(self, to: &Utf8Path) -> Result<Renamed, FileError> {
        let renamed = rename_folder(&self.path, to)?;
        if renamed == Renamed::Done {
            self.keep();
        }
        Ok(renamed)
    }

    /// Its name was changed: nothing is left to remove.
    pub(crate) fn keep(self) {
        let _path = self.folder.keep();
    }
}

/// How [`rename_folder`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renamed {
    /// The folder has its name.
    Done,
    /// There is a folder of that name; it is as it was, and so is the other one.
    AlreadyThere,
}

/// Gives a finished folder its name, as a whole: what is in it is durable before the name is.
///
/// Never replaces anything except an empty folder.
///
/// # Errors
/// When the disk refuses.
pub fn rename_folder(from: &Utf8Path, to: &Utf8Path) -> Result<Renamed, FileError> {
    sync_tree(from)?;
    rename_synced_folder(from, to)
}

/// As [`rename_folder`], for a folder whose files were all made durable one by one.
pub(crate) fn rename_synced_folder(from: &Utf8Path, to: &Utf8Path) -> Result<Renamed, FileError> {
    let parent = parent_of(to)?;
    match disk::rename(from, to) {
        Ok(()) => {
            sync_folder(parent)?;
            Ok(Renamed::Done)
        }
        // `rename` replaces only an empty folder; a full one is one of these two errors.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) =>
        {
            Ok(Renamed::AlreadyThere)
        }
        Err(error) => Err(FileError::new("name", to, error)),
    }
}

/// Removes a folder and what is in it; it disappears under its name at once, so that nobody sees half of it. It is
/// not an error when there is none. A symbolic link is removed, not followed.
///
/// # Errors
/// When the disk refuses.
pub fn remove_folder(path: &Utf8Path) -> Result<(), FileError> {
    let parent = parent_of(path)?;
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::new("remove", path, error)),
        Ok(metadata) if metadata.is_symlink() => return remove_file(path),
        Ok(_) => {}
    }
    let grave =
        tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(parent).map_err(at("remove", path))?;
    std::fs::rename(path, grave.path().join("removed")).map_err(at("remove", path))?;
    sync_folder(parent)?;
    grave.close().map_err(at("remove", path))
}

/// Makes the names in a folder durable.
///
/// # Errors
/// When the disk refuses.
pub fn sync_folder(folder: &Utf8Path) -> Result<(), FileError> {
    if cfg!(not(unix)) {
        // Folders cannot be opened for fsync there; the promise is weaker.
        return Ok(());
    }
    disk::sync_folder(folder).map_err(at("flush", folder))
}

/// Flushes a file that is open, as it is now; for files that somebody else wrote.
///
/// # Errors
/// When the disk refuses; that is final.
pub(crate) fn flush(file: &File, path: &Utf8Path) -> Result<(), FileError> {
    disk::sync(file).map_err(at("flush", path))
}

/// Adds to a file that is open for append, and makes that durable: one write, then `fdatasync`.
///
/// # Errors
/// When the disk refuses; what is in the file is not known then.
pub(crate) fn append(file: &File, path: &Utf8Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match disk::write(file, rest) {
            Ok(0) => return Err(FileError::new("write", path, io::ErrorKind::WriteZero.into())),
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::new("write", path, error)),
        }
    }
    disk::sync_data(file).map_err(at("write", path))
}

/// Shortens a file that is open, and makes that durable.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn cut(file: &File, path: &Utf8Path, length: u64) -> Result<(), FileError> {
    disk::cut(file, length).and_then(|()| disk::sync(file)).map_err(at("cut", path))
}

/// Makes everything in a folder durable, however it was written.
///
/// On Linux by one `syncfs`, which reports write errors since 5.8: thousands of files take one flush of the file
/// system instead of a journal commit each.
#[cfg(target_os = "linux")]
fn sync_tree(folder: &Utf8Path) -> Result<(), FileError> {
    let handle = OpenOptions::new().read(true).open(folder).map_err(at("open", folder))?;
    rustix::fs::syncfs(&handle).map_err(|error| FileError::new("flush", folder, error.into()))
}

/// Makes everything in a folder durable, however it was written.
#[cfg(not(target_os = "linux"))]
fn sync_tree(folder: &Utf8Path) -> Result<(), FileError> {
    for entry in folder.read_dir_utf8().map_err(at("read", folder))? {
        let entry = entry.map_err(at("read", folder))?;
        let kind = entry.file_type().map_err(at("read", entry.path()))?;
        if kind.is_dir() {
            sync_tree(entry.path())?;
        } else if kind.is_file() {
            let file = OpenOptions::new().read(true).open(entry.path()).map_err(at("open", entry.path()))?;
            file.sync_all().map_err(at("flush", entry.path()))?;
        }
    }
    sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    fn names(folder: &Utf8Path) -> Vec<String> {
        let mut names: Vec<String> =
            folder.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_else_stays() {
        let (_keep, path) = folder();
        let file = path.join("a");
        write_atomic(&file, b"one").unwrap();
        write_atomic(&file, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(names(&path), ["a"]);
        assert!(matches!(persist_new(&file, b"three"), Err(FileError::Exists { .. })));
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(names(&path), ["a"]);
    }

    #[test]
    fn a_file_is_written_in_place_of_a_link_and_not_through_it() {
        let (_keep, path) = folder();
        std::fs::write(path.join("victim"), "untouched").unwrap();
        std::os::unix::fs::symlink(path.join("victim"), path.join("a")).unwrap();
        write_atomic(&path.join("a"), b"one").unwrap();
        assert_eq!(std::fs::read_to_string(path.join("victim")).unwrap(), "untouched");
        assert_eq!(std::fs::read_to_string(path.join("a")).unwrap(), "one");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let (_keep, path) = folder();
        let error = write_atomic(&path.join("gone/a"), b"").unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
        assert!(matches!(write_atomic(Utf8Path::new("/"), b""), Err(FileError::NoParent { .. })));
    }

    #[test]
    fn folders_appear_as_a_whole_and_never_in_place_of_another() {
        let (_keep, path) = folder();
        create_dir_all(&path.join("x/y")).unwrap();
        create_dir_all(&path.join("x/y")).unwrap();
        let target = path.join("x/y/build");
        for (content, expected) in [("first", Renamed::Done), ("second", Renamed::AlreadyThere)] {
            let temporary = TemporaryFolder::create_in(&path.join("x/y")).unwrap();
            std::fs::write(temporary.path().join("f"), content).unwrap();
            assert_eq!(temporary.commit(&target).unwrap(), expected);
        }
        assert_eq!(std::fs::read_to_string(target.join("f")).unwrap(), "first");
        assert_eq!(names(&path.join("x/y")), ["build"]);
        remove_folder(&target).unwrap();
        remove_folder(&target).unwrap();
        assert!(names(&path.join("x/y")).is_empty());
    }

    #[test]
    fn a_folder_in_place_of_a_file_is_an_error() {
        let (_keep, path) = folder();
        std::fs::write(path.join("f"), "").unwrap();
        assert!(create_dir_all(&path.join("f/g")).is_err());
        let temporary = TemporaryFolder::create_in(&path).unwrap();
        assert!(temporary.commit(&path.join("f")).is_err());
        assert_eq!(names(&path), ["f"]);
    }

    #[test]
    fn a_full_disk_is_called_that() {
        let full = FileError::new("write", Utf8Path::new("a/b"), io::Error::from_raw_os_error(28));
        assert!(full.to_string().contains("`a/b`: the disk is full"), "{full}");
        let refused = FileError::new("write", Utf8Path::new("a/b"), io::Error::from_raw_os_error(30));
        assert!(refused.to_string().contains("read-only"), "{refused}");
    }
}
