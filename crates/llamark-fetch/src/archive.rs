//! Unpacking of tar, tar.gz and zip (wheel) files that nobody has to trust.
//!
//! Nothing is written outside the folder: no absolute path, no `..`, no name through a link, no link that leads
//! out, no device. Links are made last, so nothing can be written through them. Entries, bytes and the ratio of
//! expansion are bounded. Of the modes only the owner's x bit is kept, of times and owners nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_process::Interrupt;

/// The longest path of an entry, bytes: that of Linux.
const LONGEST_PATH: usize = 4096;

/// Why an archive was not unpacked. Nothing of it is used then.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// No format that is known here.
    #[error("it is not a tar, tar.gz or zip file")]
    Format,
    /// A name that leaves the folder, or is none.
    #[error("entry `{name}` would be written outside the folder")]
    Escapes {
        /// The name.
        name: String,
    },
    /// A name that is not UTF-8.
    #[error("entry `{name}` has a name that is not UTF-8")]
    Name {
        /// The name, as far as it can be shown.
        name: String,
    },
    /// A link that leads out of the folder.
    #[error("link `{name}` leads out of the folder, to `{target}`")]
    Link {
        /// The link.
        name: String,
        /// Where it leads.
        target: String,
    },
    /// A hard link to something that did not come before it.
    #[error("hard link `{name}` points to `{target}`, which is not an earlier file of the archive")]
    HardLink {
        /// The link.
        name: String,
        /// Where it leads.
        target: String,
    },
    /// Something that a source tree has no use for.
    #[error("entry `{name}` is a {kind}")]
    Special {
        /// The entry.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// Two entries of one name, or a file where a folder must be.
    #[error("entry `{name}` appears twice, or is in the way of another")]
    Twice {
        /// The entry.
        name: String,
    },
    /// A name that no file could have.
    #[error("a name in it has {bytes} bytes, but a path has at most {LONGEST_PATH}")]
    LongName {
        /// Its length.
        bytes: usize,
    },
    /// More entries than is believable.
    #[error("it has more than {limit} entries")]
    TooMany {
        /// The bound.
        limit: u64,
    },
    /// More bytes than is believable for its size.
    #[error("it expands to more than {limit} bytes")]
    TooLarge {
        /// The bound for this archive.
        limit: u64,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The archive is damaged.
    #[error("it is damaged")]
    Damaged(#[source] io::Error),
    /// A file cannot be written.
    #[error("cannot write `{path}`")]
    Write {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Bounds on what an archive may expand to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most entries.
    pub entries: u64,
    /// Most bytes in all.
    pub bytes: u64,
    /// Most bytes for each byte of the archive, above 64 MiB.
    pub ratio: u64,
}

/// Bytes that any archive may expand to.
const RATIO_SLACK: u64 = 64 << 20;

impl Default for Limits {
    fn default() -> Self {
        // llama.cpp has 4,000 files, 180 MB, and packs to a fifth.
        Self { entries: 200_000, bytes: 8 << 30, ratio: 200 }
    }
}

impl Limits {
    /// The bound in bytes for an archive of `length` bytes.
    fn for_length(&self, length: u64) -> u64 {
        self.bytes.min(length.saturating_mul(self.ratio).saturating_add(RATIO_SLACK))
    }
}

/// What an entry is.
enum Kind {
    Folder,
    File { executable: bool },
    Symlink { target: String },
    HardLink { target: String },
}

/// Called for each entry; `false` ends the walk.
type Visit<'a> = dyn FnMut(&str, Kind, &mut dyn Read) -> Result<bool, ArchiveError> + 'a;

/// Unpacks `archive` into the folder `root`, which exists and is empty.
///
/// # Errors
/// When it cannot be read or is not to be trusted; see [`ArchiveError`].
pub fn unpack(
    archive: &Utf8Path,
    root: &Utf8Path,
    limits: &Limits,
    interrupt: &Interrupt,
) -> Result<(), ArchiveError> {
    let limit = limits.for_length(fs_err::metadata(archive).map_err(ArchiveError::Damaged)?.len());
    let mut unpacker =
        Unpacker { root, interrupt, taken: BTreeMap::new(), links: Vec::new(), copies: limit, limit };
    walk(archive, limits, &mut |name, kind, content| {
        unpacker.entry(name, kind, content)?;
        Ok(true)
    })?;
    unpacker.make_links()
}

/// Writes the one file `member` of `archive` to `to`, which must not exist. Whether there is such a member.
///
/// # Errors
/// When the archive cannot be read; see [`ArchiveError`].
pub(crate) fn extract(
    archive: &Utf8Path,
    member: &str,
    to: &Utf8Path,
    limits: &Limits,
    interrupt: &Interrupt,
) -> Result<bool, ArchiveError> {
    let mut found = false;
    walk(archive, limits, &mut |name, kind, content| {
        if name != member || !matches!(kind, Kind::File { .. }) {
            return Ok(true);
        }
        found = true;
        write_file(to, false, content, interrupt)?;
        Ok(false)
    })?;
    Ok(found)
}

/// Names of files in `archive` that end with `suffix`; a few, for a message.
///
/// # Errors
/// When the archive cannot be read; see [`ArchiveError`].
pub(crate) fn names_ending(
    archive: &Utf8Path,
    suffix: &str,
    limits: &Limits,
) -> Result<Vec<String>, ArchiveError> {
    const MOST: usize = 10;
    let mut names = Vec::new();
    walk(archive, limits, &mut |name, _, _| {
        if name.ends_with(suffix) {
            names.push(name.to_owned());
        }
        Ok(names.len() < MOST)
    })?;
    Ok(names)
}

/// The path inside the folder that `name` means; empty for the folder itself.
fn inside(name: &str) -> Result<String, ArchiveError> {
    if name.len() > LONGEST_PATH {
        return Err(ArchiveError::LongName { bytes: name.len() });
    }
    let escapes = || ArchiveError::Escapes { name: name.to_owned() };
    if name.is_empty() || name.starts_with('/') || name.contains('\0') || name.contains('\\') {
        return Err(escapes());
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(escapes()),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Whether a link in the folder `parent` (relative to the root, itself no link) stays inside. `..` is allowed at
/// the head only: after another link it would mean something else than it says.
pub(crate) fn link_stays_inside(parent: &str, target: &str) -> bool {
    if target.is_empty() || target.starts_with('/') || target.contains('\0') {
        return false;
    }
    let depth = parent.split('/').filter(|part| !part.is_empty()).count();
    let parts: Vec<&str> = target.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let ups = parts.iter().take_while(|part| **part == "..").count();
    ups <= depth && parts.iter().skip(ups).all(|part| *part != "..")
}

fn parent_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Folder,
    File,
    Link,
}

struct Unpacker<'a> {
    root: &'a Utf8Path,
    interrupt: &'a Interrupt,
    /// What each path inside has become.
    taken: BTreeMap<String, Taken>,
    links: Vec<(String, String)>,
    /// Bytes that hard links may still be copied in: what an archive may expand to, for them once more.
    copies: u64,
    limit: u64,
}

impl Unpacker<'_> {
    fn entry(&mut self, name: &str, kind: Kind, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let path = inside(name)?;
        if path.is_empty() {
            return match kind {
                Kind::Folder => Ok(()),
                _ => Err(ArchiveError::Escapes { name: name.to_owned() }),
            };
        }
        match kind {
            Kind::Folder => self.folder(&path),
            Kind::File { executable } => {
                self.claim(&path, Taken::File)?;
                write_file(&self.root.join(&path), executable, content, self.interrupt)
            }
            Kind::Symlink { target } => {
                if !link_stays_inside(parent_of(&path), &target) {
                    return Err(ArchiveError::Link { name: name.to_owned(), target });
                }
                self.claim(&path, Taken::Link)?;
                self.links.push((path, target));
                Ok(())
            }
            Kind::HardLink { target } => {
                let original = inside(&target)
                    .ok()
                    .filter(|original| self.taken.get(original) == Some(&Taken::File))
                    .ok_or_else(|| ArchiveError::HardLink {
                        name: name.to_owned(),
                        target: target.clone(),
                    })?;
                self.claim(&path, Taken::File)?;
                self.copy(&original, &path)
            }
        }
    }

    /// A copy: to have two names for one file would let a change of one change the other.
    fn copy(&mut self, original: &str, path: &str) -> Result<(), ArchiveError> {
        let from = fs_err::File::open(self.root.join(original)).map_err(ArchiveError::Damaged)?;
        let mode = from.metadata().map_err(ArchiveError::Damaged)?.permissions().mode();
        let mut content = Bounded { inner: from, left: self.copies, limit: self.limit };
        write_file(&self.root.join(path), mode & 0o100 != 0, &mut content, self.interrupt)?;
        self.copies = content.left;
        Ok(())
    }

    /// Makes a folder and those above it.
    fn folder(&mut self, path: &str) -> Result<(), ArchiveError> {
        if path.is_empty() {
            return Ok(());
        }
        match self.taken.get(path) {
            Some(Taken::Folder) => return Ok(()),
            Some(_) => return Err(ArchiveError::Twice { name: path.to_owned() }),
            None => {}
        }
        self.folder(parent_of(path))?;
        let folder = self.root.join(path);
        std::fs::create_dir(&folder).map_err(|source| ArchiveError::Write { path: folder, source })?;
        self.taken.insert(path.to_owned(), Taken::Folder);
        Ok(())
    }

    /// Takes a path for something that is not a folder.
    fn claim(&mut self, path: &str, kind: Taken) -> Result<(), ArchiveError> {
        self.folder(parent_of(path))?;
        match self.taken.insert(path.to_owned(), kind) {
            None => Ok(()),
            Some(_) => Err(ArchiveError::Twice { name: path.to_owned() }),
        }
    }

    fn make_links(self) -> Result<(), ArchiveError> {
        for (path, target) in self.links {
            let link = self.root.join(path);
            std::os::unix::fs::symlink(target, &link)
                .map_err(|source| ArchiveError::Write { path: link, source })?;
        }
        Ok(())
    }
}

/// Writes a new file; an existing one, or a link, is never opened.
fn write_file(
    to: &Utf8Path,
    executable: bool,
    content: &mut dyn Read,
    interrupt: &Interrupt,
) -> Result<(), ArchiveError> {
    let fail = |source| ArchiveError::Write { path: to.to_owned(), source };
    let mode = if executable { 0o755 } else { 0o644 };
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(to);
    let mut file = file.map_err(fail)?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        if interrupt.is_set() {
            return Err(ArchiveError::Interrupted);
        }
        let count = content.read(&mut buffer).map_err(damaged)?;
        if count == 0 {
            return Ok(());
        }
        file.write_all(buffer.get(..count).unwrap_or_default()).map_err(fail)?;
    }
}

/// Carries [`ArchiveError::TooLarge`] through the error of a reader.
#[derive(Debug, thiserror::Error)]
#[error("more than {0} bytes")]
struct OverLimit(u64);

fn damaged(error: io::Error) -> ArchiveError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<OverLimit>()) {
        Some(OverLimit(limit)) => ArchiveError::TooLarge { limit: *limit },
        None => ArchiveError::Damaged(error),
    }
}

/// A reader that refuses to give more than `left` bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(u64::try_from(count).unwrap_or(u64::MAX))
            .ok_or_else(|| io::Error::other(OverLimit(self.limit)))?;
        Ok(count)
    }
}

/// Calls `visit` for each entry of `archive`.
fn walk(archive: &Utf8Path, limits: &Limits, visit: &mut Visit<'_>) -> Result<(), ArchiveError> {
    let mut file = fs_err::File::open(archive).map_err(ArchiveError::Damaged)?;
    let length = file.metadata().map_err(ArchiveError::Damaged)?.len();
    let mut head = [0; 265];
    let mut filled = 0;
    while let Some(rest) = head.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).map_err(ArchiveError::Damaged)? {
            0 => break,
            count => filled += count,
        }
    }
    file.seek(SeekFrom::Start(0)).map_err(ArchiveError::Damaged)?;
    let limit = limits.for_length(length);
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        walk_zip(file, limits, limit, visit)
    } else if head.starts_with(&[0x1f, 0x8b]) {
        walk_tar(flate2::read::MultiGzDecoder::new(io::BufReader::new(file)), limits, limit, visit)
    } else if head.get(257..262) == Some(b"ustar") {
        walk_tar(file, limits, limit, visit)
    } else {
        Err(ArchiveError::Format)
    }
}

fn utf8(name: &[u8]) -> Result<String, ArchiveError> {
    let name = name.strip_suffix(b"\0").unwrap_or(name);
    String::from_utf8(name.to_vec())
        .map_err(|error| ArchiveError::Name { name: String::from_utf8_lossy(error.as_bytes()).into_owned() })
}

/// What the entries before a tar entry say about it.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

fn walk_tar(
    reader: impl Read,
    limits: &Limits,
    limit: u64,
    visit: &mut Visit<'_>,
) -> Result<(), ArchiveError> {
    use tar::EntryType;

    /// A name or an extended header longer than this is an attack on our memory.
    const LONGEST_NAME: u64 = 1 << 20;
    // Headers and padding are no content: 1 KiB an entry.
    let left = limit.saturating_add(limits.entries.saturating_mul(1024));
    let mut archive = tar::Archive::new(Bounded { inner: reader, left, limit });
    let mut extended = Extended::default();
    // Raw: the library would read a long name of any length into memory.
    let entries = archive.entries().map_err(damaged)?.raw(true);
    for (count, entry) in (1_u64..).zip(entries) {
        let mut entry = entry.map_err(damaged)?;
        if count > limits.entries {
            return Err(ArchiveError::TooMany { limit: limits.entries });
        }
        let entry_type = entry.header().entry_type();
        if matches!(entry_type, EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader) {
            if entry.size() > LONGEST_NAME {
                return Err(ArchiveError::TooLarge { limit: LONGEST_NAME });
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(damaged)?;
            match entry_type {
                EntryType::GNULongName => extended.name = Some(bytes),
                EntryType::GNULongLink => extended.target = Some(bytes),
                _ => pax(&bytes, &mut extended)?,
            }
            continue;
        }
        if entry_type == EntryType::XGlobalHeader {
            // git puts the commit there.
            continue;
        }
        let extended = std::mem::take(&mut extended);
        let name = utf8(&extended.name.unwrap_or_else(|| entry.header().path_bytes().into_owned()))?;
        let target = match extended.target {
            Some(target) => target,
            None => entry.header().link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default(),
        };
        let special = |kind: &'static str| ArchiveError::Special { name: name.clone(), kind };
        let kind = match entry_type {
            EntryType::Regular | EntryType::Continuous if name.ends_with('/') => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => {
                Kind::File { executable: entry.header().mode().map_err(damaged)? & 0o100 != 0 }
            }
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::Symlink { target: utf8(&target)? },
            EntryType::Link => Kind::HardLink { target: utf8(&target)? },
            EntryType::Char | EntryType::Block => return Err(special("device")),
            EntryType::Fifo => return Err(special("named pipe")),
            EntryType::GNUSparse => return Err(special("sparse file")),
            _ => return Err(special("entry of an unknown kind")),
        };
        if !visit(&name, kind, &mut entry)? {
            break;
        }
    }
    Ok(())
}

/// Reads the records of a pax header that change a name. One that changes a size is refused: the archive would
/// be read otherwise by others.
fn pax(bytes: &[u8], extended: &mut Extended) -> Result<(), ArchiveError> {
    for record in tar::PaxExtensions::new(bytes) {
        let record = record.map_err(damaged)?;
        match record.key_bytes() {
            b"path" => extended.name = Some(record.value_bytes().to_vec()),
            b"linkpath" => extended.target = Some(record.value_bytes().to_vec()),
            key if key == b"size" || key.starts_with(b"GNU.sparse") => {
                return Err(ArchiveError::Special {
                    name: "pax header".to_owned(),
                    kind: "sparse or huge file",
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn walk_zip(
    file: fs_err::File,
    limits: &Limits,
    limit: u64,
    visit: &mut Visit<'_>,
) -> Result<(), ArchiveError> {
    const LONGEST_LINK: u64 = 4096;
    let broken = |error: zip::result::ZipError| damaged(io::Error::from(error));
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(broken)?;
    if u64::try_from(archive.len()).unwrap_or(u64::MAX) > limits.entries {
        return Err(ArchiveError::TooMany { limit: limits.entries });
    }
    let mut left = limit;
    let mut seen = BTreeSet::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(broken)?;
        let name = utf8(entry.name_raw())?;
        let (is_folder, is_link, mode) = (entry.is_dir(), entry.is_symlink(), entry.unix_mode().unwrap_or(0));
        if !seen.insert(name.clone()) {
            return Err(ArchiveError::Twice { name });
        }
        // File type bits of the mode, where there are any: nothing but folder, file and link.
        if !matches!(mode & 0o170_000, 0 | 0o040_000 | 0o100_000 | 0o120_000) {
            return Err(ArchiveError::Special { name, kind: "device or named pipe" });
        }
        let mut entry = Bounded { inner: entry, left, limit };
        let kind = if is_folder {
            Kind::Folder
        } else if is_link {
            let mut target = Vec::new();
            (&mut entry).take(LONGEST_LINK).read_to_end(&mut target).map_err(damaged)?;
            Kind::Symlink { target: utf8(&target)? }
        } else {
            Kind::File { executable: mode & 0o100 != 0 }
        };
        let goes_on = visit(&name, kind, &mut entry)?;
        left = entry.left;
        if !goes_on {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
