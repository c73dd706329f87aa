//! What was done to the disk, in order: the notes of `files::disk`, by thread. And a call of it that is made to fail.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// One change of the disk, or a flush. Files and folders are known by their inodes: names change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A file got a name in a folder.
    Create { folder: u64, name: String, inode: u64 },
    /// A folder got a name in a folder.
    MakeFolder { folder: u64, name: String, inode: u64 },
    /// Bytes were added to a file.
    Append { inode: u64, bytes: Vec<u8> },
    /// A file was shortened.
    Cut { inode: u64, length: usize },
    /// A file or folder was flushed.
    Sync { inode: u64 },
    /// A file or folder got another name in the same folder.
    Rename { folder: u64, from: String, to: String, inode: u64 },
    /// A name was removed.
    Remove { folder: u64, name: String },
}

thread_local! {
    static LOG: RefCell<Option<Vec<Operation>>> = const { RefCell::new(None) };
}

/// Begins to note what this thread does.
pub(crate) fn begin() {
    LOG.with(|log| *log.borrow_mut() = Some(Vec::new()));
}

/// What was noted since [`begin`]; nothing is noted any more.
pub(crate) fn end() -> Vec<Operation> {
    LOG.with(|log| log.borrow_mut().take()).unwrap_or_default()
}

/// How much was noted so far.
pub(crate) fn length() -> usize {
    LOG.with(|log| log.borrow().as_ref().map_or(0, Vec::len))
}

fn note(operation: impl FnOnce() -> Operation) {
    LOG.with(|log| {
        if let Some(log) = log.borrow_mut().as_mut() {
            log.push(operation());
        }
    });
}

fn inode(path: &Path) -> u64 {
    path.symlink_metadata().unwrap().ino()
}

fn folder(path: &Path) -> u64 {
    inode(path.parent().unwrap())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

pub(crate) fn created(path: &Path) {
    note(|| Operation::Create { folder: folder(path), name: name(path), inode: inode(path) });
}

pub(crate) fn made_folder(path: &Path) {
    note(|| Operation::MakeFolder { folder: folder(path), name: name(path), inode: inode(path) });
}

pub(crate) fn written(file: &File, bytes: &[u8]) {
    note(|| Operation::Append { inode: file.metadata().unwrap().ino(), bytes: bytes.to_vec() });
}

pub(crate) fn cut(file: &File, length: u64) {
    let length = usize::try_from(length).unwrap();
    note(|| Operation::Cut { inode: file.metadata().unwrap().ino(), length });
}

pub(crate) fn synced(file: &File) {
    // A unit test may flush a device; nothing of it is on a disk.
    note(|| Operation::Sync { inode: file.metadata().unwrap().ino() });
}

pub(crate) fn renamed(from: &Path, to: &Path) {
    note(|| {
        assert_eq!(from.parent(), to.parent(), "the model knows names that change within a folder");
        Operation::Rename { folder: folder(to), from: name(from), to: name(to), inode: inode(to) }
    });
}

pub(crate) fn removed(path: &Path) {
    note(|| Operation::Remove { folder: folder(path), name: name(path) });
}

/// A call that fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// How many calls come before it.
    pub(crate) after: usize,
    /// The error of the system.
    pub(crate) errno: i32,
    /// A write before it fails takes half of the bytes: the disk became full in the middle.
    pub(crate) half: bool,
}

thread_local! {
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// Makes a call of this thread fail, or none.
pub(crate) fn set_fault(fault: Option<Fault>) {
    FAULT.set(fault);
}

/// Whether a fault is still to come.
pub(crate) fn has_fault() -> bool {
    FAULT.get().is_some()
}

/// Fails when it is this call's turn; once.
pub(crate) fn fault() -> io::Result<()> {
    let Some(fault) = FAULT.get() else { return Ok(()) };
    if fault.after == 0 && !fault.half {
        FAULT.set(None);
        return Err(io::Error::from_raw_os_error(fault.errno));
    }
    if fault.after > 0 {
        FAULT.set(Some(Fault { after: fault.after - 1, ..fault }));
    }
    Ok(())
}

/// What a write takes of the bytes.
pub(crate) fn part(bytes: &[u8]) -> &[u8] {
    match FAULT.get() {
        // Only a write takes a half; the next call fails, which writes the rest.
        Some(fault) if fault.half && fault.after == 0 && bytes.len() > 1 => {
            FAULT.set(Some(Fault { half: false, ..fault }));
            &bytes[..bytes.len() / 2]
        }
        _ => bytes,
    }
}
