//! Tests of `archive`.

use std::os::unix::fs::PermissionsExt as _;

use tar::{EntryType, Header};

use super::*;
use crate::testing::{folder, put};

/// One entry of a tar file, with names as they are: the library's builder would refuse the bad ones.
fn entry(tar: &mut Vec<u8>, kind: EntryType, name: &str, link: &str, mode: u32, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn file(tar: &mut Vec<u8>, name: &str, content: &[u8]) {
    entry(tar, EntryType::Regular, name, "", 0o644, content);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Unpacks `bytes` into `root/out`.
fn try_unpack(root: &Utf8Path, bytes: &[u8], limits: &Limits) -> Result<Utf8PathBuf, ArchiveError> {
    let (archive, out) = (root.join("archive"), root.join("out"));
    put(&archive, bytes);
    std::fs::create_dir_all(&out).unwrap();
    unpack(&archive, &out, limits, &Interrupt::new()).map(|()| out)
}

/// The error that a tar file ends in; nothing may have been written beside the folder.
fn refused(make: impl FnOnce(&mut Vec<u8>)) -> String {
    let (_keep, root) = folder();
    let mut tar = Vec::new();
    make(&mut tar);
    tar.extend([0; 1024]);
    let error = try_unpack(&root, &gzip(&tar), &Limits::default()).unwrap_err();
    let mut names: Vec<String> =
        root.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["archive", "out"], "{error}");
    error.to_string()
}

#[test]
fn names_that_leave_the_folder() {
    for name in ["../evil", "a/../../evil", "/tmp/evil", "a/..", "a\\..\\evil", ".."] {
        let error = refused(|tar| file(tar, name, b"x"));
        assert_eq!(error, format!("entry `{name}` would be written outside the folder"));
    }
}

#[test]
fn links_that_leave_the_folder() {
    for (name, target) in [
        ("l", "../x"),
        ("l", "/etc"),
        ("a/l", "../../x"),
        ("a/l", "../b/../../x"),
        ("l", "a/../x"),
        ("l", ""),
    ] {
        let error = refused(|tar| entry(tar, EntryType::Symlink, name, target, 0o777, b""));
        assert_eq!(error, format!("link `{name}` leads out of the folder, to `{target}`"));
    }
    for target in ["../x", "/etc/passwd", "later", "folder"] {
        let error = refused(|tar| {
            entry(tar, EntryType::Directory, "folder", "", 0o755, b"");
            entry(tar, EntryType::Link, "h", target, 0o644, b"");
        });
        assert!(error.starts_with(&format!("hard link `h` points to `{target}`")), "{error}");
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let error = refused(|tar| {
        entry(tar, EntryType::Directory, "real", "", 0o755, b"");
        entry(tar, EntryType::Symlink, "l", "real", 0o777, b"");
        file(tar, "l/f", b"x");
    });
    assert_eq!(error, "entry `l` appears twice, or is in the way of another");
    let twice = refused(|tar| {
        entry(tar, EntryType::Symlink, "l", "real", 0o777, b"");
        file(tar, "l", b"x");
    });
    assert!(twice.contains("twice"), "{twice}");
    let under_a_file = refused(|tar| {
        file(tar, "f", b"x");
        file(tar, "f/g", b"x");
    });
    assert!(under_a_file.contains("`f` appears twice"), "{under_a_file}");
}

#[test]
fn devices_and_the_like() {
    for (kind, said) in [
        (EntryType::Char, "device"),
        (EntryType::Block, "device"),
        (EntryType::Fifo, "named pipe"),
        (EntryType::GNUSparse, "sparse file"),
        (EntryType::new(b'Z'), "entry of an unknown kind"),
    ] {
        assert_eq!(refused(|tar| entry(tar, kind, "x", "", 0o644, b"")), format!("entry `x` is a {said}"));
    }
}

#[test]
fn bombs() {
    let (_keep, root) = folder();
    let limits = Limits { entries: 10, bytes: 1 << 20, ratio: 10 };
    let mut big = Vec::new();
    file(&mut big, "f", &vec![0; 3 << 20]);
    let error = try_unpack(&root, &gzip(&big), &limits).unwrap_err();
    assert_eq!(error.to_string(), "it expands to more than 1048576 bytes");
    let mut many = Vec::new();
    for index in 0..20 {
        file(&mut many, &format!("f{index}"), b"");
    }
    let (_keep, root) = folder();
    let error = try_unpack(&root, &gzip(&many), &limits).unwrap_err();
    assert_eq!(error.to_string(), "it has more than 10 entries");
    // A long name that would be read into memory.
    let mut name = Vec::new();
    entry(&mut name, EntryType::GNULongName, "././@LongLink", "", 0, &vec![b'a'; 2 << 20]);
    let (_keep, root) = folder();
    let error = try_unpack(&root, &gzip(&name), &Limits::default()).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { limit: 1_048_576 }), "{error}");
    // A name with more folders than there is stack to make them.
    let mut deep = Vec::new();
    let long = "a/".repeat(400_000) + "f\0";
    entry(&mut deep, EntryType::GNULongName, "././@LongLink", "", 0, long.as_bytes());
    file(&mut deep, "cut", b"x");
    let (_keep, root) = folder();
    let error = try_unpack(&root, &gzip(&deep), &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("a name in it has 800001 bytes"), "{error}");
    // The ratio binds where the absolute bound does not.
    assert_eq!(Limits::default().for_length(1000), 200_000 + (64 << 20));
    assert_eq!(Limits::default().for_length(u64::MAX), 8 << 30);
    // One file, and links to it: a few bytes each in the archive, and a copy each on the disk.
    let mut links = Vec::new();
    file(&mut links, "f", &vec![0; 600 << 10]);
    entry(&mut links, EntryType::Link, "one", "f", 0o644, b"");
    let (_keep, root) = folder();
    try_unpack(&root, &gzip(&links), &limits).unwrap();
    entry(&mut links, EntryType::Link, "two", "f", 0o644, b"");
    let (_keep, root) = folder();
    let error = try_unpack(&root, &gzip(&links), &limits).unwrap_err();
    assert_eq!(error.to_string(), "it expands to more than 1048576 bytes");
    // A zip whose members together are too much.
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for name in ["a", "b"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&vec![0; 700 << 10]).unwrap();
    }
    let (_keep, root) = folder();
    let error = try_unpack(&root, &zip.finish().unwrap().into_inner(), &limits).unwrap_err();
    assert_eq!(error.to_string(), "it expands to more than 1048576 bytes");
}

#[test]
fn a_good_tar_with_long_names_links_and_modes() {
    let (_keep, root) = folder();
    let long = format!("{}/{}", "d".repeat(90), "ü".repeat(60));
    let mut tar = Vec::new();
    entry(&mut tar, EntryType::XGlobalHeader, "pax_global_header", "", 0o644, b"19 comment=01234567\n");
    entry(&mut tar, EntryType::Directory, "top/", "", 0o700, b"");
    entry(&mut tar, EntryType::Regular, "top/run.sh", "", 0o4755, b"#!/bin/sh\n");
    file(&mut tar, "./top//plain", b"text");
    entry(&mut tar, EntryType::GNULongName, "././@LongLink", "", 0, format!("top/{long}\0").as_bytes());
    file(&mut tar, "cut", b"long");
    let pax = "path=top/pax-größe\n";
    let record = format!("{} {pax}", pax.len() + 3);
    assert_eq!(record.len(), pax.len() + 3);
    entry(&mut tar, EntryType::XHeader, "PaxHeaders/x", "", 0, record.as_bytes());
    file(&mut tar, "cut", b"pax");
    entry(&mut tar, EntryType::Symlink, "top/sub/link", "../plain", 0o777, b"");
    entry(&mut tar, EntryType::Link, "top/hard", "top/run.sh", 0o755, b"");
    tar.extend([0; 1024]);
    for bytes in [gzip(&tar), tar.clone()] {
        llamark_artifact::files::remove_folder(&root.join("out")).unwrap();
        let out = try_unpack(&root, &bytes, &Limits::default()).unwrap();
        let read = |name: &str| fs_err::read_to_string(out.join("top").join(name)).unwrap();
        let mode = |name: &str| std::fs::metadata(out.join("top").join(name)).unwrap().permissions().mode();
        assert_eq!([read("plain"), read(&long), read("pax-größe")], ["text", "long", "pax"]);
        assert_eq!([read("sub/link"), read("hard")], ["text", "#!/bin/sh\n"]);
        assert_eq!((mode("run.sh") & 0o7100, mode("plain") & 0o100), (0o100, 0), "x stays, setuid does not");
    }
}

#[test]
fn a_pax_header_that_says_another_size_is_refused() {
    let error = refused(|tar| {
        entry(tar, EntryType::XHeader, "x", "", 0, b"10 size=9\n");
        file(tar, "f", b"x");
    });
    assert!(error.contains("sparse or huge"), "{error}");
}

fn zip_of(add: impl FnOnce(&mut zip::ZipWriter<io::Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    add(&mut zip);
    zip.finish().unwrap().into_inner()
}

#[test]
fn zip_files_are_held_to_the_same_rules() {
    let plain = zip::write::SimpleFileOptions::default();
    let good = zip_of(|zip| {
        zip.add_directory("a", plain).unwrap();
        zip.start_file("a/f", plain.unix_permissions(0o755)).unwrap();
        zip.write_all(b"text").unwrap();
        zip.add_symlink("a/l", "f", plain).unwrap();
    });
    let (_keep, root) = folder();
    let out = try_unpack(&root, &good, &Limits::default()).unwrap();
    assert_eq!(fs_err::read_to_string(out.join("a/l")).unwrap(), "text");
    assert!(std::fs::metadata(out.join("a/f")).unwrap().permissions().mode() & 0o100 != 0);
    let to = root.join("member");
    let (archive, limits, interrupt) = (root.join("archive"), Limits::default(), Interrupt::new());
    assert!(extract(&archive, "a/f", &to, &limits, &interrupt).unwrap());
    assert_eq!(fs_err::read_to_string(&to).unwrap(), "text");
    assert!(!extract(&archive, "a/gone", &root.join("m2"), &limits, &interrupt).unwrap());
    assert!(!extract(&archive, "a/l", &root.join("m3"), &limits, &interrupt).unwrap(), "a link is no member");
    assert_eq!(names_ending(&archive, "f", &limits).unwrap(), ["a/f"]);

    for bad in ["../evil", "/evil"] {
        let bytes = zip_of(|zip| {
            zip.start_file(bad, plain).unwrap();
            zip.write_all(b"x").unwrap();
        });
        let (_keep, root) = folder();
        let error = try_unpack(&root, &bytes, &Limits::default()).unwrap_err();
        assert!(matches!(error, ArchiveError::Escapes { .. }), "{bad}: {error}");
    }
    let link = zip_of(|zip| zip.add_symlink("l", "../../etc", plain).unwrap());
    let (_keep, root) = folder();
    assert!(matches!(try_unpack(&root, &link, &Limits::default()), Err(ArchiveError::Link { .. })));
}

#[test]
fn what_is_no_archive_or_a_torn_one() {
    let (_keep, root) = folder();
    for bytes in [&b""[..], b"hello", &[0; 1000], &[0xfd, b'7', b'z', b'X', b'Z', 0]] {
        assert!(matches!(try_unpack(&root, bytes, &Limits::default()), Err(ArchiveError::Format)));
    }
    let mut tar = Vec::new();
    file(&mut tar, "f", &vec![7; 100_000]);
    let whole = gzip(&tar);
    let (_keep, root) = folder();
    let torn = try_unpack(&root, &whole[..whole.len() / 2], &Limits::default()).unwrap_err();
    assert!(matches!(torn, ArchiveError::Damaged(_)), "{torn}");
    let stopped = Interrupt::new();
    stopped.set();
    put(&root.join("archive"), &whole);
    std::fs::create_dir(root.join("out2")).unwrap();
    let result = unpack(&root.join("archive"), &root.join("out2"), &Limits::default(), &stopped);
    assert!(matches!(result, Err(ArchiveError::Interrupted)));
}
