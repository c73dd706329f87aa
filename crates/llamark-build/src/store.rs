//! The cache of builds: one folder for each key, that is whole or not there.
//!
//! `builds/KEY/record.json` (written before the folder gets its name), `builds/KEY/bin/` with every binary and
//! shared object, and what tells how they were made: `build.log`, `CMakeCache.txt`, `compile_commands.json`.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files::{self, FileError, NewFile};
use llamark_record::Sha256;
use llamark_record::build::BuildRecord;
use llamark_record::model::FileIdentity;
use sha2::Digest as _;

use crate::error::BuildError;
use crate::key::BUILD_FORMAT;

/// Folder of the binaries inside an entry.
pub(crate) const BINARIES: &str = "bin";
/// The server inside an entry.
pub(crate) const SERVER: &str = "bin/llama-server";
/// llama-bench inside an entry.
pub(crate) const BENCH: &str = "bin/llama-bench";

/// What a look into the cache found.
#[derive(Debug)]
pub(crate) enum Look {
    /// A whole entry.
    Hit(Box<BuildRecord>),
    /// Nothing.
    Nothing,
    /// An entry that is not what it was, with the reason.
    Damaged(String),
}

/// Places of a key in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) folder: Utf8PathBuf,
    pub(crate) lock: Utf8PathBuf,
    pub(crate) log: Utf8PathBuf,
}

impl Entry {
    pub(crate) fn new(cache: &Utf8Path, key: &Sha256) -> Self {
        let builds = cache.join("builds");
        Self {
            folder: builds.join(key.as_str()),
            lock: builds.join(format!("{key}.lock")),
            log: builds.join(format!("{key}.log")),
        }
    }

    /// Looks whether the entry is there and whole: every file by size and SHA-256.
    pub(crate) fn look(&self, key: &Sha256) -> Look {
        let path = self.folder.join("record.json");
        if !self.folder.exists() {
            return Look::Nothing;
        }
        let text = match fs_err::read(&path) {
            Ok(text) => text,
            Err(error) => return Look::Damaged(error.to_string()),
        };
        let record: BuildRecord = match serde_json::from_slice(&text) {
            Ok(record) => record,
            Err(error) => return Look::Damaged(format!("{path}: {error}")),
        };
        if record.format != BUILD_FORMAT || record.key != *key {
            return Look::Damaged(format!("{path} belongs to another build"));
        }
        let mut known = BTreeMap::new();
        for file in &record.files {
            match identity(&self.folder, &file.name, &mut known) {
                Ok(found) if found == *file => {}
                Ok(_) => return Look::Damaged(format!("{}/{} was changed", self.folder, file.name)),
                Err(error) => return Look::Damaged(error.to_string()),
            }
        }
        Look::Hit(Box::new(record))
    }
}

/// Digests by device and inode: names of the same file are read once.
type Known = BTreeMap<(u64, u64), Sha256>;

/// Size and SHA-256 of a file in a folder.
pub(crate) fn identity(folder: &Utf8Path, name: &str, known: &mut Known) -> std::io::Result<FileIdentity> {
    let mut file = fs_err::File::open(folder.join(name))?;
    let metadata = file.metadata()?;
    let place = (metadata.dev(), metadata.ino());
    if let Some(sha256) = known.get(&place) {
        return Ok(FileIdentity { name: name.to_owned(), bytes: metadata.len(), sha256: sha256.clone() });
    }
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0_u64;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        bytes += count as u64;
    }
    let sha256 = Sha256::from_raw(hasher.finalize().into());
    known.insert(place, sha256.clone());
    Ok(FileIdentity { name: name.to_owned(), bytes, sha256 })
}

/// The identities of those files of a folder that are wanted, by name, not going into folders. Symbolic links
/// count as what they point to.
pub(crate) fn identities(
    root: &Utf8Path,
    folder: &str,
    is_wanted: fn(&str) -> bool,
) -> Result<Vec<FileIdentity>, BuildError> {
    let mut known = Known::new();
    let mut identities = Vec::new();
    for name in file_names(&root.join(folder))?.into_iter().filter(|name| is_wanted(name)) {
        let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        identities.push(identity(root, &name, &mut known)?);
    }
    Ok(identities)
}

/// Names of the files of a folder, sorted.
fn file_names(folder: &Utf8Path) -> Result<Vec<String>, BuildError> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder.as_std_path())? {
        let entry = entry?;
        let name =
            entry.file_name().into_string().map_err(|_| BuildError::NotUtf8 { folder: folder.to_owned() })?;
        // Follows links; one that points nowhere is no file.
        if fs_err::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Copies every file of `from` into `to`, which exists. Several names of one file (`libx.so`, `libx.so.0`) stay
/// one file, as hard links: no link is left that could point out of the folder, and nothing is stored twice.
pub(crate) fn copy_binaries(from: &Utf8Path, to: &Utf8Path) -> Result<(), BuildError> {
    let mut copied: BTreeMap<(u64, u64), Utf8PathBuf> = BTreeMap::new();
    for name in file_names(from)? {
        let source = from.join(&name);
        let target = to.join(&name);
        let metadata = fs_err::metadata(&source)?;
        let place = (metadata.dev(), metadata.ino());
        if let Some(first) = copied.get(&place)
            && fs_err::hard_link(first, &target).is_ok()
        {
            continue;
        }
        copy_file(&source, &target)?;
        // What may be executed by its owner may be executed by everybody who reads it.
        let mode = if metadata.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
        fs_err::set_permissions(&target, std::fs::Permissions::from_mode(mode))?;
        copied.insert(place, target);
    }
    Ok(())
}

/// Copies one file.
pub(crate) fn copy_file(from: &Utf8Path, to: &Utf8Path) -> Result<(), BuildError> {
    let mut source = fs_err::File::open(from)?;
    let mut target = NewFile::create_in(to.parent().unwrap_or(Utf8Path::new(".")))?;
    std::io::copy(&mut source, &mut target).map_err(|error| FileError::new("copy into", to, error))?;
    target.flush().map_err(|error| FileError::new("write", to, error))?;
    target.commit(to)?;
    Ok(())
}

/// Writes the record of an entry: the last thing before the entry gets its name.
pub(crate) fn write_record(folder: &Utf8Path, record: &BuildRecord) -> Result<(), BuildError> {
    let mut text = serde_json::to_vec_pretty(record)?;
    text.push(b'\n');
    files::write_atomic(&folder.join("record.json"), &text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_file_stay_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
        let (from, to) = (root.join("from"), root.join("to"));
        for path in [&from, &to, &from.join("sub")] {
            files::create_dir_all(path).unwrap();
        }
        files::write_atomic(&from.join("libx.so.0.1"), b"library").unwrap();
        files::write_atomic(&from.join("server"), b"program").unwrap();
        fs_err::set_permissions(from.join("server"), std::fs::Permissions::from_mode(0o700)).unwrap();
        for name in ["libx.so", "libx.so.0"] {
            fs_err::os::unix::fs::symlink("libx.so.0.1", from.join(name)).unwrap();
        }
        fs_err::os::unix::fs::symlink("nowhere", from.join("broken")).unwrap();
        copy_binaries(&from, &to).unwrap();
        files::remove_folder(&from).unwrap();
        let found = identities(&root, "to", |_| true).unwrap();
        let names: Vec<_> = found.iter().map(|file| (file.name.as_str(), file.bytes)).collect();
        assert_eq!(names, [("to/libx.so", 7), ("to/libx.so.0", 7), ("to/libx.so.0.1", 7), ("to/server", 7)]);
        assert_eq!(found[0].sha256, Sha256::of_bytes(b"library"));
        assert_eq!(fs_err::metadata(to.join("libx.so")).unwrap().nlink(), 3);
        assert_eq!(fs_err::metadata(to.join("server")).unwrap().permissions().mode() & 0o777, 0o755);
    }
}
