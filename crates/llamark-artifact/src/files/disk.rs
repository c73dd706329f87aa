//! Every call that changes the disk on the way of an artifact set, one function each, and nothing else.
//!
//! In the tests of this crate each call is noted after it was made, and may be made to fail (`crate::crash::log`); else
//! the notes are nothing, and nothing fails that the system does not.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

use camino::Utf8Path;
use tempfile::{Builder, NamedTempFile, TempDir};

#[cfg(test)]
use crate::crash::log;

/// Makes a file of a name that nobody has.
pub(super) fn temporary_file(builder: &Builder<'_, '_>, folder: &Utf8Path) -> io::Result<NamedTempFile> {
    log::fault()?;
    let file = builder.tempfile_in(folder)?;
    log::created(file.path());
    Ok(file)
}

/// Makes a folder of a name that nobody has.
pub(super) fn temporary_folder(prefix: &str, parent: &Utf8Path) -> io::Result<TempDir> {
    log::fault()?;
    let folder = Builder::new().prefix(prefix).tempdir_in(parent)?;
    log::made_folder(folder.path());
    Ok(folder)
}

/// Makes a folder.
pub(super) fn make_folder(path: &Utf8Path) -> io::Result<()> {
    log::fault()?;
    std::fs::create_dir(path)?;
    log::made_folder(path.as_std_path());
    Ok(())
}

/// Opens a file to write at its end, and makes it if it is not there.
pub(super) fn open_append(path: &Utf8Path) -> io::Result<File> {
    log::fault()?;
    let is_new = path.symlink_metadata().is_err();
    let file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    if is_new {
        log::created(path.as_std_path());
    }
    Ok(file)
}

/// Writes at the end of a file; perhaps not all.
pub(super) fn write(mut file: &File, bytes: &[u8]) -> io::Result<usize> {
    log::fault()?;
    let count = file.write(log::part(bytes))?;
    log::written(file, bytes.get(..count).unwrap_or_default());
    Ok(count)
}

/// Shortens a file.
pub(super) fn cut(file: &File, length: u64) -> io::Result<()> {
    log::fault()?;
    file.set_len(length)?;
    log::cut(file, length);
    Ok(())
}

/// `fsync`.
pub(super) fn sync(file: &File) -> io::Result<()> {
    log::fault()?;
    file.sync_all()?;
    log::synced(file);
    Ok(())
}

/// `fdatasync`: content and size.
pub(super) fn sync_data(file: &File) -> io::Result<()> {
    log::fault()?;
    file.sync_data()?;
    log::synced(file);
    Ok(())
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Utf8Path) -> io::Result<()> {
    log::fault()?;
    let handle = OpenOptions::new().read(true).open(folder)?;
    handle.sync_all()?;
    log::synced(&handle);
    Ok(())
}

/// Gives a temporary file its name, replacing what was there.
pub(super) fn persist(file: NamedTempFile, path: &Utf8Path) -> io::Result<()> {
    log::fault()?;
    let from = file.path().to_owned();
    let _file = file.persist(path).map_err(|error| error.error)?;
    log::renamed(&from, path.as_std_path());
    Ok(())
}

/// As [`persist`], never replacing anything.
pub(super) fn persist_new(file: NamedTempFile, path: &Utf8Path) -> io::Result<()> {
    log::fault()?;
    let from = file.path().to_owned();
    let _file = file.persist_noclobber(path).map_err(|error| error.error)?;
    log::renamed(&from, path.as_std_path());
    Ok(())
}

/// `rename`.
pub(super) fn rename(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    log::fault()?;
    std::fs::rename(from, to)?;
    log::renamed(from.as_std_path(), to.as_std_path());
    Ok(())
}

/// Removes a name of a file.
pub(super) fn remove(path: &Utf8Path) -> io::Result<()> {
    log::fault()?;
    std::fs::remove_file(path)?;
    log::removed(path.as_std_path());
    Ok(())
}

/// Outside of the tests of this crate nothing is noted.
#[cfg(not(test))]
mod log {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    #[expect(clippy::unnecessary_wraps, reason = "it fails in the tests")]
    pub(super) fn fault() -> io::Result<()> {
        Ok(())
    }
    pub(super) fn part(bytes: &[u8]) -> &[u8] {
        bytes
    }
    pub(super) fn created(_path: &Path) {}
    pub(super) fn made_folder(_path: &Path) {}
    pub(super) fn written(_file: &File, _bytes: &[u8]) {}
    pub(super) fn cut(_file: &File, _length: u64) {}
    pub(super) fn synced(_file: &File) {}
    pub(super) fn renamed(_from: &Path, _to: &Path) {}
    pub(super) fn removed(_path: &Path) {}
}
