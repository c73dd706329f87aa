//! The source trees in the cache: `sources/ID/tree`, complete once the record next to it exists.
//!
//! A tree gets its name as a whole, record included. Each time it is used the state of all of its files is
//! compared (milliseconds); when somebody has changed something, it is hashed again, and fetched again if it is
//! not what it was.

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files::{self, TemporaryFolder};
use llamark_record::Sha256;
use serde::{Deserialize, Serialize};

use crate::archive::{self, ArchiveError};
use crate::error::FetchError;
use crate::fetcher::{Event, Job};
use crate::tree;

/// `format` of a [`Marker`] as written by this version.
const FORMAT: &str = "llamark/source/v1";

/// The record next to a tree.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    format: String,
    /// Where it came from, for people.
    origin: String,
    /// `tree1` digest.
    tree: Sha256,
    /// State of the files when they were hashed.
    fingerprint: Sha256,
}

/// A source tree in the cache.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub path: Utf8PathBuf,
    pub tree: Sha256,
}

impl Job<'_> {
    /// The source tree of that id. If it is not in the cache, `fill` puts it into the empty folder that it gets
    /// and says where in it llama.cpp is.
    pub(crate) fn source(
        &self,
        id: &Sha256,
        origin: &str,
        fill: impl FnOnce(&Utf8Path) -> Result<Utf8PathBuf, FetchError>,
    ) -> Result<Source, FetchError> {
        let sources = self.cache("sources")?;
        let place = sources.join(id.as_str());
        if let Some(source) = self.complete(&place, origin)? {
            self.tell(Event::Hit { what: origin.to_owned() });
            return Ok(source);
        }
        let _lock = self.lock(&place, origin)?;
        // Another process may have been faster.
        if let Some(source) = self.complete(&place, origin)? {
            self.tell(Event::Hit { what: origin.to_owned() });
            return Ok(source);
        }
        files::remove_folder(&place)?;

        let filling = TemporaryFolder::create_in(&sources)?;
        let found = fill(filling.path())?;
        is_llama_cpp(&found)?;
        let finished = TemporaryFolder::create_in(&sources)?;
        let path = finished.path().join("tree");
        files::rename_folder(&found, &path)?;
        let entries = tree::entries(&path)?;
        // What was inside the archive may be outside of the part that is kept.
        if let Some((name, target)) = tree::link_out(&entries)? {
            let source = ArchiveError::Link { name, target };
            return Err(FetchError::Archive { what: origin.to_owned(), source });
        }
        let tree = self.hash_tree(&entries, origin)?;
        let fingerprint = tree::fingerprint(&entries);
        let marker = Marker { format: FORMAT.to_owned(), origin: origin.to_owned(), tree, fingerprint };
        files::write_atomic(&marker_of(finished.path()), &serde_json::to_vec_pretty(&marker)?)?;
        finished.commit(&place)?;
        Ok(Source { path: place.join("tree"), tree: marker.tree })
    }

    /// Unpacks an archive whose digest was checked; where in `into` the folder `subdir` of it is.
    pub(crate) fn unpack(
        &self,
        file: &Utf8Path,
        what: &str,
        subdir: &str,
        into: &Utf8Path,
    ) -> Result<Utf8PathBuf, FetchError> {
        self.tell(Event::Unpacking { what: what.to_owned() });
        let root = into.join("unpacked");
        files::create_dir_all(&root)?;
        archive::unpack(file, &root, &self.fetcher.limits, self.interrupt)
            .map_err(|source| in_archive(what, source))?;
        find_folder(&root, subdir, what)
    }

    pub(crate) fn hash_tree(&self, entries: &[tree::TreeEntry], what: &str) -> Result<Sha256, FetchError> {
        const STEP: u64 = 16 << 20;
        let total = tree::total_bytes(entries);
        let mut told = 0;
        tree::digest_of(entries, self.interrupt, &mut |done| {
            if done >= told + STEP {
                told = done;
                self.tell(Event::Hashing { what: what.to_owned(), done, total });
            }
        })
    }

    /// A tree of that digest in the cache, whatever it came from.
    pub(crate) fn source_by_tree(&self, tree: &Sha256) -> Result<Option<Source>, FetchError> {
        for entry in self.cache("sources")?.read_dir_utf8()? {
            let place = entry?.into_path();
            let marker = fs_err::read(marker_of(&place)).ok();
            let marker = marker.and_then(|bytes| serde_json::from_slice::<Marker>(&bytes).ok());
            let Some(marker) = marker.filter(|marker| marker.tree == *tree) else { continue };
            if let Some(source) = self.complete(&place, &marker.origin)? {
                self.tell(Event::Hit { what: marker.origin });
                return Ok(Some(source));
            }
        }
        Ok(None)
    }

    /// The tree at `place`, if it is there and is what it was.
    fn complete(&self, place: &Utf8Path, origin: &str) -> Result<Option<Source>, FetchError> {
        let marker = fs_err::read(marker_of(place)).ok();
        let Some(marker) = marker.and_then(|bytes| serde_json::from_slice::<Marker>(&bytes).ok()) else {
            return Ok(None);
        };
        let path = place.join("tree");
        if marker.format != FORMAT || !path.is_dir() {
            return Ok(None);
        }
        let entries = tree::entries(&path)?;
        let fingerprint = tree::fingerprint(&entries);
        if fingerprint != marker.fingerprint {
            if self.hash_tree(&entries, origin)? != marker.tree {
                return Ok(None);
            }
            // Copied or restored: the same content in other inodes. A cache that cannot be written still serves.
            let marker = Marker { fingerprint, ..marker };
            drop(files::write_atomic(&marker_of(place), &serde_json::to_vec_pretty(&marker)?));
            return Ok(Some(Source { path, tree: marker.tree }));
        }
        Ok(Some(Source { path, tree: marker.tree }))
    }
}

/// The digest of the tree at `place`, as it was when it was fetched.
pub(crate) fn tree_of(place: &Utf8Path) -> Option<Sha256> {
    let marker: Marker = serde_json::from_slice(&fs_err::read(marker_of(place)).ok()?).ok()?;
    Some(marker.tree)
}

fn marker_of(place: &Utf8Path) -> Utf8PathBuf {
    place.join("source.json")
}

/// An interrupt inside an archive is an interrupt.
pub(crate) fn in_archive(what: &str, source: ArchiveError) -> FetchError {
    match source {
        ArchiveError::Interrupted => FetchError::Interrupted,
        source => FetchError::Archive { what: what.to_owned(), source },
    }
}

/// Whether a folder looks like llama.cpp.
pub(crate) fn is_llama_cpp(path: &Utf8Path) -> Result<(), FetchError> {
    let missing = if !path.join("CMakeLists.txt").is_file() {
        "CMakeLists.txt"
    } else if !path.join("ggml").is_dir() {
        "ggml"
    } else {
        return Ok(());
    };
    Err(FetchError::NotLlamaCpp { path: path.to_owned(), missing })
}

/// The folder `subdir` of what was unpacked at `root`, or of the one folder that encloses all of it.
fn find_folder(root: &Utf8Path, subdir: &str, what: &str) -> Result<Utf8PathBuf, FetchError> {
    let mut there: Vec<String> = Vec::new();
    for entry in root.read_dir_utf8()? {
        there.push(entry?.file_name().to_owned());
    }
    there.sort();
    let missing =
        |there: Vec<String>| FetchError::NoMember { member: subdir.to_owned(), what: what.to_owned(), there };
    let is_inside = |part: camino::Utf8Component<'_>| matches!(part, camino::Utf8Component::Normal(_));
    if !Utf8Path::new(subdir).components().all(is_inside) {
        return Err(FetchError::Refused { what: "folder inside an archive", value: subdir.to_owned() });
    }
    let enclosing = match there.as_slice() {
        [one] if root.join(one).is_dir() => Some(root.join(one)),
        _ => None,
    };
    let candidates = if subdir.is_empty() {
        // An archive whose root is llama.cpp itself could hold a single folder only if it were none.
        vec![enclosing.unwrap_or_else(|| root.to_owned())]
    } else {
        let inner = enclosing.map(|folder| folder.join(subdir));
        std::iter::once(root.join(subdir)).chain(inner).collect()
    };
    let is_real = |path: &Utf8PathBuf| path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    candidates.into_iter().find(is_real).ok_or_else(|| missing(there))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{folder, put};

    #[test]
    fn the_enclosing_folder_is_skipped() {
        let (_keep, root) = folder();
        put(&root.join("llama-1/src/CMakeLists.txt"), b"");
        assert_eq!(find_folder(&root, "", "x").unwrap(), root.join("llama-1"));
        assert_eq!(find_folder(&root, "src", "x").unwrap(), root.join("llama-1/src"));
        assert_eq!(find_folder(&root, "llama-1/src", "x").unwrap(), root.join("llama-1/src"));
        let missing = find_folder(&root, "gone", "the archive").unwrap_err();
        assert_eq!(missing.to_string(), "there is no `gone` in the archive; at the top level are: llama-1");
        for bad in ["../x", "/x", "a/../.."] {
            assert!(matches!(find_folder(&root, bad, "x"), Err(FetchError::Refused { .. })), "{bad}");
        }
        put(&root.join("README"), b"");
        assert_eq!(find_folder(&root, "", "x").unwrap(), root);
    }
}
