//! `tree1`: one digest for a source tree, the same for a git checkout, a tar file, a package and a copy of them.
//!
//! SHA-256 over a line for each entry, sorted by the bytes of its path: `MODE SP SHA256 SP LENGTH:PATH LF`. MODE
//! is `f` for a file, `x` for one that its owner may execute, `l` for a symbolic link, whose content is its target.
//! LENGTH is that of the path in bytes, in decimal, so that no name can be mistaken for another line. Times,
//! owners, other mode bits and empty folders do not count, and what is named `.git` is left out.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

use camino::Utf8Path;
use llamark_process::Interrupt;
use llamark_record::Sha256;

use crate::digest::digest_file;
use crate::error::FetchError;
use crate::memory::Stamp;

/// Name of the digest and its version.
pub const TREE_FORMAT: &str = "tree1";

/// The `tree1` digest of the folder.
///
/// # Errors
/// When something in it cannot be read, or is neither file, folder nor link.
pub fn tree_digest(folder: &Utf8Path) -> Result<Sha256, FetchError> {
    digest_of(&entries(folder)?, &Interrupt::new(), &mut |_| ())
}

/// An entry of a tree that counts.
#[derive(Debug)]
pub(crate) struct TreeEntry {
    /// Path relative to the root.
    relative: Vec<u8>,
    path: PathBuf,
    mode: Mode,
    stamp: Stamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    File,
    Executable,
    Link,
}

impl Mode {
    fn letter(self) -> &'static str {
        match self {
            Self::File => "f",
            Self::Executable => "x",
            Self::Link => "l",
        }
    }
}

/// Everything in the folder that counts, sorted by the bytes of the path.
pub(crate) fn entries(folder: &Utf8Path) -> Result<Vec<TreeEntry>, FetchError> {
    let mut entries = Vec::new();
    let mut folders = vec![(folder.as_std_path().to_owned(), Vec::new())];
    while let Some((path, prefix)) = folders.pop() {
        for entry in fs_err::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == ".git" {
                continue;
            }
            let mut relative = prefix.clone();
            if !relative.is_empty() {
                relative.push(b'/');
            }
            relative.extend_from_slice(name.as_bytes());
            let metadata = entry.metadata()?;
            let kind = metadata.file_type();
            let mode = if kind.is_dir() {
                folders.push((entry.path(), relative));
                continue;
            } else if kind.is_symlink() {
                Mode::Link
            } else if !kind.is_file() {
                return Err(FetchError::Odd { path: entry.path().to_string_lossy().into_owned() });
            } else if metadata.permissions().mode() & 0o100 != 0 {
                Mode::Executable
            } else {
                Mode::File
            };
            entries.push(TreeEntry { relative, path: entry.path(), mode, stamp: Stamp::of(&metadata) });
        }
    }
    entries.sort_by(|a, b| a.relative.cmp(&b.relative));
    Ok(entries)
}

/// The digest of `entries`. `progress` is told how many bytes are done.
pub(crate) fn digest_of(
    entries: &[TreeEntry],
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(u64),
) -> Result<Sha256, FetchError> {
    let mut text = Vec::new();
    let mut done = 0;
    for entry in entries {
        let digest = match entry.mode {
            Mode::Link => Sha256::of_bytes(fs_err::read_link(&entry.path)?.as_os_str().as_bytes()),
            Mode::File | Mode::Executable => {
                let path = Utf8Path::from_path(&entry.path)
                    .ok_or_else(|| FetchError::Odd { path: entry.path.to_string_lossy().into_owned() })?;
                digest_file(path, interrupt, &mut |_| ())?
            }
        };
        line(&mut text, entry.mode, &digest, &entry.relative);
        done += entry.stamp.bytes;
        progress(done);
    }
    Ok(Sha256::of_bytes(&text))
}

fn line(text: &mut Vec<u8>, mode: Mode, digest: &Sha256, path: &[u8]) {
    text.extend_from_slice(format!("{} {digest} {}:", mode.letter(), path.len()).as_bytes());
    text.extend_from_slice(path);
    text.push(b'\n');
}

/// A digest of the state of all entries (names, modes, sizes, times, inodes; not their content): when it is the
/// same, so is the tree.
pub(crate) fn fingerprint(entries: &[TreeEntry]) -> Sha256 {
    let mut text = Vec::new();
    for entry in entries {
        text.extend_from_slice(entry.mode.letter().as_bytes());
        text.extend(entry.stamp.to_bytes());
        text.extend(entry.relative.len().to_le_bytes());
        text.extend_from_slice(&entry.relative);
    }
    Sha256::of_bytes(&text)
}

/// Whether no entry was so young at `moment`, before it was read, that a change could go unseen in the
/// [`fingerprint`].
pub(crate) fn is_settled(entries: &[TreeEntry], moment: SystemTime) -> bool {
    entries.iter().all(|entry| entry.stamp.is_settled(moment))
}

/// The first symbolic link that leads out of the tree, and where it leads.
pub(crate) fn link_out(entries: &[TreeEntry]) -> Result<Option<(String, String)>, FetchError> {
    for entry in entries.iter().filter(|entry| entry.mode == Mode::Link) {
        let name = String::from_utf8_lossy(&entry.relative).into_owned();
        let target = fs_err::read_link(&entry.path)?.to_string_lossy().into_owned();
        let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
        if !crate::archive::link_stays_inside(parent, &target) {
            return Ok(Some((name, target)));
        }
    }
    Ok(None)
}

/// Bytes of all files.
pub(crate) fn total_bytes(entries: &[TreeEntry]) -> u64 {
    entries.iter().map(|entry| entry.stamp.bytes).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{folder, put};

    /// What a test puts at a path.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Thing {
        File(Vec<u8>),
        Program(Vec<u8>),
        Link(String),
    }

    fn make(root: &Utf8Path, things: &BTreeMap<String, Thing>, reverse: bool) {
        let mut order: Vec<_> = things.iter().collect();
        if reverse {
            order.reverse();
        }
        for (name, thing) in order {
            let path = root.join(name);
            match thing {
                Thing::File(bytes) => put(&path, bytes),
                Thing::Program(bytes) => {
                    put(&path, bytes);
                    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
                }
                Thing::Link(target) => {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::os::unix::fs::symlink(target, &path).unwrap();
                }
            }
        }
    }

    fn digest(things: &BTreeMap<String, Thing>, reverse: bool) -> Sha256 {
        let (_keep, root) = folder();
        make(&root, things, reverse);
        tree_digest(&root).unwrap()
    }

    fn things(list: &[(&str, Thing)]) -> BTreeMap<String, Thing> {
        list.iter().map(|(name, thing)| ((*name).to_owned(), thing.clone())).collect()
    }

    #[test]
    fn a_known_digest() {
        let tree = things(&[
            ("CMakeLists.txt", Thing::File(b"project(x)\n".to_vec())),
            ("a/b.sh", Thing::Program(b"#!/bin/sh\n".to_vec())),
            ("a-b", Thing::File(Vec::new())),
            ("größe", Thing::Link("a/b.sh".to_owned())),
            (".git/HEAD", Thing::File(b"left out".to_vec())),
        ]);
        // Computed by an independent script from the definition at the head of this file.
        assert_eq!(
            digest(&tree, false).as_str(),
            "13f68ed58b94d051000e084ad82e27d9f4c84c4bcc7323313a1f10af6f95eadc"
        );
        // An empty folder does not count, neither does a file's time or another's right to read it.
        let (_keep, root) = folder();
        make(&root, &tree, true);
        std::fs::create_dir(root.join("empty")).unwrap();
        std::fs::set_permissions(root.join("a-b"), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(
            tree_digest(&root).unwrap().as_str(),
            "13f68ed58b94d051000e084ad82e27d9f4c84c4bcc7323313a1f10af6f95eadc"
        );
    }

    #[test]
    fn every_part_counts() {
        let base = things(&[("a/f", Thing::File(b"x".to_vec())), ("l", Thing::Link("a/f".to_owned()))]);
        let reference = digest(&base, false);
        let mut variants = Vec::new();
        for (name, thing) in [
            ("a/f", Thing::File(b"y".to_vec())),
            ("a/f", Thing::Program(b"x".to_vec())),
            ("a/f", Thing::Link("x".to_owned())),
            ("l", Thing::Link("a/g".to_owned())),
            ("l", Thing::File(b"a/f".to_vec())),
            ("more", Thing::File(Vec::new())),
        ] {
            let mut variant = base.clone();
            variant.insert(name.to_owned(), thing);
            variants.push(digest(&variant, false));
        }
        let mut renamed = base.clone();
        let file = renamed.remove("a/f").unwrap();
        renamed.insert("af".to_owned(), file);
        variants.push(digest(&renamed, false));
        let mut without = base.clone();
        without.remove("l");
        variants.push(digest(&without, false));
        for (index, variant) in variants.iter().enumerate() {
            assert_ne!(*variant, reference, "variant {index}");
            assert!(!variants.iter().take(index).any(|other| other == variant), "variant {index}");
        }
    }

    #[test]
    fn a_name_cannot_pass_for_a_line() {
        let digest_x = Sha256::of_bytes(b"x");
        let one = things(&[("a", Thing::File(b"x".to_vec())), ("b", Thing::File(b"x".to_vec()))]);
        let forged = things(&[(&format!("a\nf {digest_x} 1:b"), Thing::File(b"x".to_vec()))]);
        assert_ne!(digest(&one, false), digest(&forged, false));
    }

    #[test]
    fn the_fingerprint_sees_a_change_without_reading() {
        let (_keep, root) = folder();
        put(&root.join("f"), b"one");
        let before = fingerprint(&entries(&root).unwrap());
        assert_eq!(before, fingerprint(&entries(&root).unwrap()));
        std::thread::sleep(std::time::Duration::from_millis(20));
        put(&root.join("f"), b"two");
        let list = entries(&root).unwrap();
        assert_ne!(before, fingerprint(&list));
        assert!(!is_settled(&list, SystemTime::now()) && total_bytes(&list) == 3);
    }

    #[test]
    fn what_is_no_file_is_refused_and_links_out_are_seen() {
        let (_keep, root) = folder();
        make(&root, &things(&[("a/in", Thing::Link("../b".to_owned()))]), false);
        assert_eq!(link_out(&entries(&root).unwrap()).unwrap(), None);
        make(&root, &things(&[("a/out", Thing::Link("../../b".to_owned()))]), false);
        let (name, target) = link_out(&entries(&root).unwrap()).unwrap().unwrap();
        assert_eq!((name.as_str(), target.as_str()), ("a/out", "../../b"));
        drop(std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap());
        assert!(matches!(tree_digest(&root), Err(FetchError::Odd { path }) if path.ends_with("socket")));
    }

    fn thing() -> impl Strategy<Value = Thing> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Thing::File),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Thing::Program),
            "[a-z./]{1,8}".prop_map(Thing::Link),
        ]
    }

    fn tree() -> impl Strategy<Value = BTreeMap<String, Thing>> {
        // Two levels whose names never collide: `d0..d3/` are folders, the rest are leaves.
        proptest::collection::btree_map("(d[0-3]/)?[e-hé \\-]{1,3}", thing(), 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_order_of_making_does_not_count(tree in tree()) {
            prop_assert_eq!(digest(&tree, false), digest(&tree, true));
        }

        #[test]
        fn other_trees_have_other_digests(a in tree(), b in tree()) {
            prop_assert_eq!(digest(&a, false) == digest(&b, false), a == b);
        }
    }
}
