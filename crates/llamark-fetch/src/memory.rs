//! Digests that were computed once are remembered, so that a model of 97 GiB is read once.
//!
//! A memory is believed only while the file is the same one (device, inode) with the same size and both times,
//! and only if it was not written so shortly before it was hashed that a later change could carry the same time.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files;
use llamark_record::Sha256;
use serde::{Deserialize, Serialize};

use crate::error::FetchError;

/// `format` of a remembered digest as written by this version.
const FORMAT: &str = "llamark/digest/v1";
/// A file younger than this may change again under the same time stamp: file systems count in up to 2 s (FAT).
const RACY: Duration = Duration::from_secs(2);

/// The state of a file, as far as the system tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// When the content was changed, ns after 1970.
    mtime_ns: i64,
    /// When content or metadata were changed, ns after 1970. Cannot be set by a program.
    ctime_ns: i64,
}

impl Stamp {
    pub(crate) fn of(metadata: &std::fs::Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// All of it, to be digested.
    pub(crate) fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let fields = [
            self.device,
            self.inode,
            self.bytes,
            self.mtime_ns.cast_unsigned(),
            self.ctime_ns.cast_unsigned(),
        ];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// Whether the last change is so long before `now` that the next one will have another time.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let newest = u64::try_from(self.mtime_ns.max(self.ctime_ns)).unwrap_or(0);
        Duration::from_nanos(newest) + RACY < now
    }
}

/// One remembered digest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    format: String,
    /// For people.
    path: Utf8PathBuf,
    stamp: Stamp,
    sha256: Sha256,
}

/// The digests that are remembered: a folder with a small file for each.
#[derive(Debug)]
pub(crate) struct Memory {
    folder: Utf8PathBuf,
}

impl Memory {
    pub(crate) fn new(cache: &Utf8Path) -> Self {
        Self { folder: cache.join("digests") }
    }

    fn place(&self, path: &Utf8Path) -> Utf8PathBuf {
        let absolute = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
        self.folder.join(format!("{}.json", Sha256::of_bytes(absolute.as_str().as_bytes())))
    }

    /// The digest of the file at `path`, if it is known and the file has not changed since.
    pub(crate) fn recall(&self, path: &Utf8Path, stamp: &Stamp) -> Option<Sha256> {
        let bytes = fs_err::read(self.place(path)).ok()?;
        let remembered: Remembered = serde_json::from_slice(&bytes).ok()?;
        (remembered.format == FORMAT && remembered.stamp == *stamp).then_some(remembered.sha256)
    }

    /// Remembers a digest that was computed from `begun` on, unless the file was too young then for its time
    /// stamp to be believed.
    pub(crate) fn remember(
        &self,
        path: &Utf8Path,
        stamp: &Stamp,
        begun: SystemTime,
        sha256: &Sha256,
    ) -> Result<(), FetchError> {
        if stamp.is_settled(begun) { self.remember_own(path, stamp, sha256) } else { Ok(()) }
    }

    /// Remembers the digest of a file of our cache, which nobody else writes.
    pub(crate) fn remember_own(
        &self,
        path: &Utf8Path,
        stamp: &Stamp,
        sha256: &Sha256,
    ) -> Result<(), FetchError> {
        let path = path.to_owned();
        let remembered = Remembered {
            format: FORMAT.to_owned(),
            path: path.clone(),
            stamp: *stamp,
            sha256: sha256.clone(),
        };
        files::create_dir_all(&self.folder)?;
        files::write_atomic(&self.place(&path), &serde_json::to_vec(&remembered)?)?;
        Ok(())
    }
}

#[cfg(test)]
impl Stamp {
    /// The same, a minute ago.
    pub(crate) fn aged(self) -> Self {
        let minute = 60_000_000_000;
        Self { mtime_ns: self.mtime_ns - minute, ctime_ns: self.ctime_ns - minute, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{age, folder, put};

    fn stamp(path: &Utf8Path) -> Stamp {
        Stamp::of(&std::fs::metadata(path).unwrap())
    }

    #[test]
    fn a_young_file_is_not_remembered() {
        let (_keep, path) = folder();
        let (memory, file) = (Memory::new(&path), path.join("f"));
        put(&file, b"one");
        memory.remember(&file, &stamp(&file), SystemTime::now(), &Sha256::of_bytes(b"one")).unwrap();
        assert_eq!(memory.recall(&file, &stamp(&file)), None);
        let now = SystemTime::now();
        let at = |before: Duration| {
            let time = i64::try_from((now - before).duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
            Stamp { mtime_ns: time, ctime_ns: 0, ..stamp(&file) }
        };
        assert!(!at(Duration::from_millis(1900)).is_settled(now));
        assert!(at(Duration::from_millis(2100)).is_settled(now));
        let ahead = Stamp { ctime_ns: i64::MAX, ..stamp(&file) };
        assert!(!ahead.is_settled(now), "a time in the future is never believed");
    }

    #[test]
    fn a_memory_is_of_one_state_of_one_file() {
        let (_keep, path) = folder();
        let (memory, file) = (Memory::new(&path), path.join("f"));
        put(&file, b"one");
        let old = age(stamp(&file));
        memory.remember(&file, &old, SystemTime::now(), &Sha256::of_bytes(b"one")).unwrap();
        assert_eq!(memory.recall(&file, &old), Some(Sha256::of_bytes(b"one")));
        for other in [
            Stamp { device: old.device + 1, ..old },
            Stamp { inode: old.inode + 1, ..old },
            Stamp { bytes: old.bytes + 1, ..old },
            Stamp { mtime_ns: old.mtime_ns + 1, ..old },
            Stamp { ctime_ns: old.ctime_ns + 1, ..old },
        ] {
            assert_eq!(memory.recall(&file, &other), None, "{other:?}");
        }
        assert_eq!(memory.recall(&path.join("g"), &old), None);
        put(&memory.place(&file), b"{ torn");
        assert_eq!(memory.recall(&file, &old), None);
    }
}
