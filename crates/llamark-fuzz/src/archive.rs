//! An archive: as bytes, and as entries that somebody made up, which get further.

use std::io;

use camino::Utf8Path;
use llamark_fetch::{Limits, unpack};
use llamark_process::Interrupt;

use crate::folder::Folder;

/// Small bounds: a fuzzer has no time for gigabytes.
const LIMITS: Limits = Limits { entries: 200, bytes: 1 << 20, ratio: 50 };

/// Any bytes as tar, tar.gz or zip: whatever is unpacked lies in the folder, and every link leads into it.
pub fn archive(data: &[u8]) {
    let folder = Folder::new();
    let path = folder.path().join("archive");
    std::fs::write(&path, data).unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(folder.path().join("canary"), "alive").unwrap();
    let unpacked = unpack(&path, &root, &LIMITS, &Interrupt::new());
    let names = folder.path().read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, ["archive", "canary", "root"], "something was written outside");
    assert_eq!(fs_err::read(folder.path().join("canary")).unwrap(), b"alive");
    assert!(fs_err::read(&path).unwrap() == data);
    let (mut entries, mut bytes) = (0, 0);
    inside(&root, &root, unpacked.is_ok(), &mut entries, &mut bytes);
    assert!(bytes <= LIMITS.bytes + (64 << 20), "{bytes} bytes");
    // Folders are made for the names of entries, which are long rather than many.
    assert!(entries <= LIMITS.entries * 512, "{entries} entries");
}

/// Every link that leads somewhere leads inside. Half an archive has no links: they are made last.
fn inside(root: &Utf8Path, folder: &Utf8Path, whole: bool, entries: &mut u64, bytes: &mut u64) {
    for entry in folder.read_dir_utf8().unwrap() {
        let entry = entry.unwrap();
        *entries += 1;
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            if let Ok(target) = entry.path().canonicalize_utf8() {
                assert!(target.starts_with(root), "{} leads to {target}", entry.path());
            }
            let _may_dangle = whole;
        } else if kind.is_dir() {
            inside(root, entry.path(), whole, entries, bytes);
        } else {
            assert!(kind.is_file());
            *bytes += entry.metadata().unwrap().len();
        }
    }
}

/// Entries out of the bytes: kind, name and target up to a newline each. Names and targets are not checked by the
/// library that writes them, as they would not be by an attacker.
pub fn archive_entries(data: &[u8]) {
    let mut builder = tar::Builder::new(Vec::new());
    for (number, entry) in data.split(|byte| *byte == b'\n').take(40).enumerate() {
        let Some((kind, rest)) = entry.split_first() else { continue };
        let mut parts = rest.splitn(2, |byte| *byte == b'\t');
        let (name, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let entry_type = match kind % 6 {
            0 => tar::EntryType::Directory,
            1 => tar::EntryType::Symlink,
            2 => tar::EntryType::Link,
            3 => tar::EntryType::XHeader,
            4 => tar::EntryType::GNULongName,
            _ => tar::EntryType::Regular,
        };
        let has_content = matches!(
            entry_type,
            tar::EntryType::Regular | tar::EntryType::XHeader | tar::EntryType::GNULongName
        );
        let content = if has_content { target } else { b"" };
        let mut header = tar::Header::new_ustar();
        set(&mut header.as_ustar_mut().unwrap().name, name);
        if !has_content {
            set(&mut header.as_ustar_mut().unwrap().linkname, target);
        }
        header.set_entry_type(entry_type);
        header.set_mode(if number % 2 == 0 { 0o755 } else { 0o644 });
        header.set_size(u64::try_from(content.len()).unwrap());
        header.set_cksum();
        if builder.append(&header, io::Cursor::new(content)).is_err() {
            return;
        }
    }
    archive(&builder.into_inner().unwrap());
}

/// Writes as much as there is room for.
fn set(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}
