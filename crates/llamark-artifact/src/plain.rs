//! Reading files that a stranger may have made: no link is followed, nothing blocks, sizes are bounded.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::Sha256;
use serde::de::DeserializeOwned;
use sha2::Digest as _;

use crate::ArtifactError;
use crate::journal::JOURNAL;
use crate::set::MANIFEST;

/// Most bytes of a JSON file of a set that are read (the journal has its own bound).
pub(crate) const MAX_JSON: u64 = 256 << 20;

/// Most files in a set, so that a made-up one cannot exhaust memory.
const MAX_FILES: usize = 1_000_000;

/// Most folders between a set and a file in it.
const MAX_DEPTH: usize = 8;

/// Opens a plain file to read; a link at the last place is refused, and a pipe does not block.
pub(crate) fn open(path: &Utf8Path) -> Result<File, ArtifactError> {
    Ok(open_sized(path)?.0)
}

/// [`open`], and its size at that moment. A set may have tens of thousands of small files, so the system is not asked twice.
pub(crate) fn open_sized(path: &Utf8Path) -> Result<(File, u64), ArtifactError> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(|source| {
        if is_link(path) {
            ArtifactError::NotPlain { path: path.to_owned() }
        } else {
            ArtifactError::Read { path: path.to_owned(), source }
        }
    })?;
    let metadata = file.metadata().map_err(|source| ArtifactError::Read { path: path.to_owned(), source })?;
    if !metadata.is_file() {
        return Err(ArtifactError::NotPlain { path: path.to_owned() });
    }
    Ok((file, metadata.len()))
}

/// Whether there is a symbolic link under that name.
pub(crate) fn is_link(path: &Utf8Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink())
}

/// The whole of a file, of at most `limit` bytes.
pub(crate) fn read(path: &Utf8Path, limit: u64) -> Result<Vec<u8>, ArtifactError> {
    let (file, length) = open_sized(path)?;
    let too_large = |bytes| Err(ArtifactError::TooLarge { path: path.to_owned(), bytes, limit });
    // The size first: what is too large is not read. It may grow all the same.
    if length > limit {
        return too_large(length);
    }
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| ArtifactError::Read { path: path.to_owned(), source })?;
    let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if read > limit {
        return too_large(read);
    }
    Ok(bytes)
}

/// A JSON file of the set.
pub(crate) fn read_json<T: DeserializeOwned>(
    path: &Utf8Path,
    what: &'static str,
) -> Result<T, ArtifactError> {
    parse_json(path, what, &read(path, MAX_JSON)?)
}

/// JSON that was read from `path`.
pub(crate) fn parse_json<T: DeserializeOwned>(
    path: &Utf8Path,
    what: &'static str,
    bytes: &[u8],
) -> Result<T, ArtifactError> {
    serde_json::from_slice(bytes).map_err(|source| ArtifactError::Json {
        path: path.to_owned(),
        what,
        source,
    })
}

/// Size and SHA-256 of an open plain file of about that many bytes, from its beginning.
pub(crate) fn digest_open(
    mut file: &File,
    length: u64,
    path: &Utf8Path,
) -> Result<(u64, Sha256), ArtifactError> {
    let mut hasher = sha2::Sha256::new();
    // One byte more than there are: a read that leaves room behind all of them was the last one.
    let room = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1).min(256 << 10);
    let mut buffer = vec![0; room];
    let mut total = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(ArtifactError::Read { path: path.to_owned(), source }),
        };
        hasher.update(buffer.get(..read).unwrap_or_default());
        total += u64::try_from(read).unwrap_or_default();
        if read == 0 || (total >= length && read < buffer.len()) {
            return Ok((total, Sha256::from_raw(hasher.finalize().into())));
        }
    }
}

/// Every plain file under `folder`, by its path relative to it, sorted; and whatever is not a plain file or folder.
pub(crate) fn walk(folder: &Utf8Path) -> Result<Walk, ArtifactError> {
    let mut found = Walk::default();
    descend(folder, "", 0, &mut found)?;
    found.files.sort();
    found.odd.sort();
    Ok(found)
}

/// What is in a folder.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Plain files, relative, with `/`.
    pub(crate) files: Vec<String>,
    /// Links, devices, pipes; names that are not UTF-8; what is too deep or too many.
    pub(crate) odd: Vec<String>,
}

impl Walk {
    /// Whether it came upon a plain file of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.binary_search_by(|file| file.as_str().cmp(name)).is_ok()
    }
}

fn descend(folder: &Utf8Path, prefix: &str, depth: usize, found: &mut Walk) -> Result<(), ArtifactError> {
    let fail = |source| ArtifactError::Read { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let Ok(name) = entry.file_name().into_string() else {
            found.odd.push(format!("{prefix}{}", entry.file_name().to_string_lossy()));
            continue;
        };
        let relative = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(fail)?;
        if found.files.len() >= MAX_FILES || found.odd.len() >= MAX_FILES {
            found.odd.push(format!("{relative} (and more: a set has at most {MAX_FILES} files)"));
            return Ok(());
        }
        if kind.is_file() {
            found.files.push(relative);
        } else if kind.is_dir() && depth < MAX_DEPTH {
            descend(&folder.join(&name), &format!("{relative}/"), depth + 1, found)?;
        } else {
            found.odd.push(relative);
        }
    }
    Ok(())
}

/// Refuses a path under `root` that goes through a link, as far as it exists.
pub(crate) fn refuse_links(root: &Utf8Path, relative: &str) -> Result<(), ArtifactError> {
    let mut path: Utf8PathBuf = root.to_owned();
    for part in relative.split('/') {
        path.push(part);
        if is_link(&path) {
            return Err(ArtifactError::NotPlain { path });
        }
    }
    Ok(())
}

/// Refuses a format that this version does not know, in words that say what to do.
pub(crate) fn refuse_other_format(
    path: &Utf8Path,
    found: &str,
    known: &'static str,
) -> Result<(), ArtifactError> {
    if found == known {
        return Ok(());
    }
    // It may come from a stranger and goes to a terminal.
    let found = found.escape_debug().take(64).collect();
    let writer = match written_by(path.parent().unwrap_or(Utf8Path::new(""))) {
        Some(version) => format!("llamark {version} wrote it: use that one, or a newer one"),
        None => "use a newer llamark".to_owned(),
    };
    Err(ArtifactError::Format { path: path.to_owned(), found, known, writer })
}

/// The version of llamark that wrote a set, as its manifest or its journal says, whatever their format.
fn written_by(set: &Utf8Path) -> Option<String> {
    let manifest = || {
        let bytes = read(&set.join(MANIFEST), MAX_JSON).ok()?;
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        manifest.pointer("/predicate/runDetails/builder/version/llamark").cloned()
    };
    let journal = || {
        let mut line = Vec::new();
        let file = open(&set.join(JOURNAL)).ok()?.take(1 << 20);
        std::io::BufReader::new(file).read_until(b'\n', &mut line).ok()?;
        let entry: serde_json::Value = serde_json::from_slice(&line).ok()?;
        entry.pointer("/event/begin/llamark").cloned()
    };
    // It may come from a stranger and goes to a terminal.
    let version = manifest().or_else(journal)?;
    Some(version.as_str()?.escape_debug().take(64).collect())
}
