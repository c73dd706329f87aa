//! What the server runs: its program and every shared object that it has mapped, by digest, as the kernel shows them.
//!
//! A build record says what was built. This says what was loaded: the C library, the driver of the GPU, a library that
//! some path came upon first. What lies in the folder of the build must be what was built.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::Sha256;
use llamark_record::journal::MappedFile;
use sha2::Digest as _;

use crate::server;
use crate::start::Start;

/// Mapped, and no file that could be read: memory with a name, devices.
const NO_FILES: [&str; 3] = ["/memfd:", "/dev/", "/SYSV"];

/// Digests that were computed once, by the state of the file: drivers are large, and every start maps the same.
#[derive(Debug, Default)]
pub struct KnownFiles {
    digests: Mutex<BTreeMap<State, Sha256>>,
    /// State of the files of the models when they were pinned.
    pinned: Mutex<BTreeMap<Utf8PathBuf, State>>,
}

/// Device, inode, size, and both times in seconds and nanoseconds.
type State = (u64, u64, u64, (i64, i64), (i64, i64));

/// Every file that process `pid` has mapped so that it can be executed, by path; the folder of the build is `{build}`.
/// Empty where the system does not say.
pub(crate) fn mapped(start: &Start<'_>, pid: u32) -> Vec<MappedFile> {
    let maps = match fs_err::read(format!("/proc/{pid}/maps")) {
        Ok(maps) => maps,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![unread("/proc/PID/maps".to_owned(), &error)],
    };
    let build = start.build_folder.canonicalize_utf8().unwrap_or_else(|_| start.build_folder.to_owned());
    let mut mapped: Vec<MappedFile> = executable(&maps)
        .into_iter()
        .map(|path| {
            let path = match path {
                Ok(path) => path,
                Err(shown) => {
                    let error = std::io::Error::new(std::io::ErrorKind::InvalidData, "its path is not UTF-8");
                    return unread(at_home(start, &server::hide(start, &shown)), &error);
                }
            };
            let shown = match path.strip_prefix(&build) {
                Ok(inside) => format!("{{build}}/{inside}"),
                Err(_) => at_home(start, &server::hide(start, path.as_str())),
            };
            match start.known_files.digest(&path) {
                Ok((bytes, sha256)) => {
                    MappedFile { path: shown, bytes: Some(bytes), sha256: Some(sha256), error: None }
                }
                Err(error) => unread(shown, &error),
            }
        })
        .collect();
    // By what is shown: the order is not to depend on where the build lies.
    mapped.sort_by(|a, b| a.path.cmp(&b.path));
    mapped
}

/// What is executed, and could not be read.
fn unread(path: String, error: &std::io::Error) -> MappedFile {
    MappedFile { path, bytes: None, sha256: None, error: Some(error.kind().to_string()) }
}

/// Below the user's home, which has the user's name in it, the path begins with `~`.
fn at_home(start: &Start<'_>, path: &str) -> String {
    let home = start.roots.variables.get("HOME").map(String::as_str).filter(|home| home.len() > 1);
    match home.and_then(|home| path.strip_prefix(home)) {
        Some(inside) if inside.starts_with('/') => format!("~{inside}"),
        _ => path.to_owned(),
    }
}

/// Paths of files that are mapped to be executed. One that was deleted since ends in ` (deleted)`, and cannot be read; nor can
/// one that is not UTF-8, of which there is a likeness.
fn executable(maps: &[u8]) -> BTreeSet<Result<Utf8PathBuf, String>> {
    let path = |line: &[u8]| {
        let text = String::from_utf8_lossy(line);
        // `55d0a0-55d0b0 r-xp 00001000 fe:00 1234   /usr/bin/cat`; a path may have spaces.
        let mut fields = text.splitn(6, ' ');
        let permissions = fields.nth(1)?;
        let path = fields.nth(3)?.trim_start();
        let is_file = path.starts_with('/') && !NO_FILES.iter().any(|start| path.starts_with(start));
        let found = match &text {
            Cow::Borrowed(_) => Ok(Utf8PathBuf::from(path)),
            Cow::Owned(_) => Err(path.to_owned()),
        };
        (is_file && permissions.contains('x')).then_some(found)
    };
    maps.split(|byte| *byte == b'\n').filter_map(path).collect()
}

/// What the server runs and is not what was built, as a sentence.
pub(crate) fn not_as_built(start: &Start<'_>, mapped: &[MappedFile]) -> Option<String> {
    mapped.iter().find_map(|file| start.build.other_than_built(file))
}

/// The state of a file, as far as the system tells it.
fn state(metadata: &std::fs::Metadata) -> State {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        (metadata.mtime(), metadata.mtime_nsec()),
        (metadata.ctime(), metadata.ctime_nsec()),
    )
}

impl KnownFiles {
    /// From now on these files are to stay what they are: they were just hashed.
    pub fn pin<'a>(&self, paths: impl IntoIterator<Item = &'a Utf8PathBuf>) {
        let Ok(mut pinned) = self.pinned.lock() else { return };
        for path in paths {
            if let Ok(metadata) = fs_err::metadata(path) {
                pinned.entry(path.clone()).or_insert_with(|| state(&metadata));
            }
        }
    }

    /// Which of these files is not what it was when it was pinned, as a sentence. Of one that was not pinned nothing is
    /// known.
    pub(crate) fn touched(&self, paths: &[Utf8PathBuf]) -> Option<String> {
        let pinned = self.pinned.lock().ok()?;
        // Not the last time: another name for the file, or another owner, is no other content.
        let same = |a: &State, b: &State| (a.0, a.1, a.2, a.3) == (b.0, b.1, b.2, b.3);
        let is_touched = |path: &&Utf8PathBuf| {
            let then = pinned.get(*path);
            then.is_some_and(|then| !fs_err::metadata(path).is_ok_and(|now| same(&state(&now), then)))
        };
        let name = paths.iter().find(is_touched)?.file_name().unwrap_or_default().to_owned();
        Some(format!("the model was touched after it was hashed: {name} is not the file that it was"))
    }

    fn digest(&self, path: &Utf8Path) -> std::io::Result<(u64, Sha256)> {
        let mut file = fs_err::File::open(path)?;
        let metadata = file.metadata()?;
        let state = state(&metadata);
        if let Some(known) = self.digests.lock().ok().and_then(|known| known.get(&state).cloned()) {
            return Ok((metadata.len(), known));
        }
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hasher.update(buffer.get(..count).unwrap_or_default());
        }
        let sha256 = Sha256::from_raw(hasher.finalize().into());
        if let Ok(mut known) = self.digests.lock() {
            known.insert(state, sha256.clone());
        }
        Ok((metadata.len(), sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_executed_are_found_and_nothing_else() {
        let maps = "\
55d0a0-55d0b0 r--p 00000000 fe:00 12                         /opt/a b/llama-server
55d0b0-55d0c0 r-xp 00001000 fe:00 12                         /opt/a b/llama-server
7f0000-7f1000 r--s 00000000 fe:00 99                         /models/x.gguf
7f1000-7f2000 r-xp 00000000 fe:00 13                         /usr/lib/libc.so.6
7f2000-7f3000 r-xp 00000000 fe:00 13                         /usr/lib/libc.so.6
7f3000-7f4000 r-xp 00000000 00:01 77                         /memfd:jit (deleted)
7f4000-7f5000 r-xp 00000000 fe:00 14                         /usr/lib/libold.so (deleted)
7f5000-7f6000 rwxs 00000000 00:06 14                         /dev/dri/renderD128
7f6000-7f7000 r-xp 00000000 00:00 0                          [vdso]
7f7000-7f8000 rw-p 00000000 00:00 0 
";
        let found: Vec<String> =
            executable(maps.as_bytes()).into_iter().map(|path| path.unwrap().into_string()).collect();
        assert_eq!(found, ["/opt/a b/llama-server", "/usr/lib/libc.so.6", "/usr/lib/libold.so (deleted)"]);
    }

    /// A model in a folder of another encoding hides nothing of what runs beside it.
    #[test]
    fn a_path_that_is_not_utf_8_is_said_and_costs_nothing_else() {
        let maps = b"\
7f0000-7f1000 r--s 00000000 fe:00 99                         /mod\xe8les/x.gguf
7f1000-7f2000 r-xp 00000000 fe:00 13                         /usr/lib/libc.so.6
7f3000-7f4000 r-xp 00000000 fe:00 14                         /pilotes\xe9/libvulkan.so
";
        let found: Vec<_> = executable(maps).into_iter().collect();
        let libc = Utf8PathBuf::from("/usr/lib/libc.so.6");
        assert_eq!(found, [Ok(libc), Err("/pilotes\u{fffd}/libvulkan.so".to_owned())]);
    }

    #[test]
    fn our_own_program_is_among_what_we_run() {
        let maps = fs_err::read("/proc/self/maps").unwrap();
        let exe = Utf8PathBuf::from_path_buf(std::env::current_exe().unwrap()).unwrap();
        let found = executable(&maps);
        assert!(found.contains(&Ok(exe.canonicalize_utf8().unwrap())), "{found:?}");
        let known = KnownFiles::default();
        let first = known.digest(&exe).unwrap();
        assert_eq!(known.digest(&exe).unwrap(), first);
        assert_eq!(first.1, Sha256::of_bytes(&fs_err::read(&exe).unwrap()));
    }

    #[test]
    fn a_file_that_was_touched_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let (one, two) = (root.join("one.gguf"), root.join("two.gguf"));
        let put = |path: &Utf8Path, text: &str| {
            llamark_artifact::files::write_atomic(path, text.as_bytes()).unwrap();
        };
        put(&one, "content");
        let known = KnownFiles::default();
        known.pin([&one]);
        put(&two, "content");
        assert_eq!(known.touched(&[one.clone(), two]), None);
        // The same bytes in another file: nobody has hashed them.
        put(&one, "content");
        assert!(known.touched(std::slice::from_ref(&one)).unwrap().contains("one.gguf"));
        fs_err::remove_file(&one).unwrap();
        assert!(known.touched(&[one]).is_some());
    }
}
