//! The page cache before a start: what of the model's files is in memory, counted and not assumed.
//!
//! A model that was read before loads from memory, and one that was not from the disk: the same llama.cpp, and load
//! times that differ tenfold. So what the plan asks for is done, and then it is counted what came of it.

mod sys;

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_process::Interrupt;
use llamark_record::journal::CachedFile;
use llamark_record::plan::PageCache;

/// Bytes of a file that are read at once.
const CHUNK: usize = 1 << 20;

/// Does to the page cache what is asked, and counts what came of it: one entry for each file, in their order.
///
/// Nothing fails here: what could not be done or told is said in the entry.
pub(crate) fn prepare(files: &[Utf8PathBuf], asked: PageCache, interrupt: &Interrupt) -> Vec<CachedFile> {
    let mut errors = Vec::with_capacity(files.len());
    for file in files {
        errors.push(match asked {
            PageCache::AsIs => None,
            PageCache::Cold => drop_pages(file).err(),
            PageCache::Warm => read(file, interrupt).err(),
        });
    }
    // After all of them: to read one may have pushed out another.
    files.iter().zip(errors).map(|(file, error)| count(file, error.as_ref())).collect()
}

/// The pages of a file that are in memory.
fn count(path: &Utf8Path, prepared: Option<&std::io::Error>) -> CachedFile {
    let counted = resident(path);
    let error = prepared.or(counted.as_ref().err()).map(ToString::to_string);
    let pages = fs_err::metadata(path).map_or(0, |metadata| metadata.len().div_ceil(sys::page_size()));
    let name = path.file_name().unwrap_or_default().to_owned();
    CachedFile { name, pages, resident: counted.ok(), error }
}

fn resident(path: &Utf8Path) -> std::io::Result<u64> {
    let file = fs_err::File::open(path)?;
    let metadata = file.metadata()?;
    // To anybody else Linux says that every page is in memory (since 5.2, so that nobody can watch what others read).
    if !sys::is_told(path, metadata.uid()) {
        let what = "the system tells it only to the owner of a file, or to who may write it";
        return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, what));
    }
    sys::resident_pages(file.file(), metadata.len())
}

/// Drops the pages of a file. Those that are dirty, mapped by somebody or locked stay: that is what is counted after.
fn drop_pages(path: &Utf8Path) -> std::io::Result<()> {
    let file = fs_err::File::open(path)?;
    file.sync_all()?;
    sys::drop_pages(file.file())
}

/// Reads a file to its end.
fn read(path: &Utf8Path, interrupt: &Interrupt) -> std::io::Result<()> {
    let mut file = fs_err::File::open(path)?;
    let mut buffer = vec![0; CHUNK];
    while !interrupt.is_set() && file.read(&mut buffer)? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use llamark_record::journal::CacheState;

    use super::*;

    fn some_file(folder: &Utf8Path) -> Utf8PathBuf {
        let path = folder.join("model.gguf");
        llamark_artifact::files::write_atomic(&path, &vec![7; 3_000_001]).unwrap();
        path
    }

    fn folder(at: &str) -> Option<(tempfile::TempDir, Utf8PathBuf)> {
        let folder = tempfile::Builder::new().tempdir_in(at).ok()?;
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).ok()?;
        Some((folder, path))
    }

    #[test]
    fn what_was_read_is_counted_to_the_last_page() {
        let (_kept, folder) = folder(&std::env::temp_dir().to_string_lossy()).unwrap();
        let file = some_file(&folder);
        let interrupt = Interrupt::new();
        let warm = prepare(std::slice::from_ref(&file), PageCache::Warm, &interrupt);
        let pages = 3_000_001_u64.div_ceil(sys::page_size());
        assert_eq!((warm[0].pages, warm[0].resident, &warm[0].error), (pages, Some(pages), &None));
        assert_eq!(CacheState::of(&warm), Some(CacheState::Warm));
        assert_eq!(prepare(&[file], PageCache::AsIs, &interrupt), warm);
    }

    /// Beside the program of the test, which lies on a disk.
    #[test]
    fn what_was_dropped_is_cold() {
        let beside = std::env::current_exe().unwrap();
        let (_kept, folder) = folder(&beside.parent().unwrap().to_string_lossy()).unwrap();
        let file = some_file(&folder);
        let interrupt = Interrupt::new();
        prepare(std::slice::from_ref(&file), PageCache::Warm, &interrupt);
        let cold = prepare(&[file], PageCache::Cold, &interrupt);
        assert_eq!((cold[0].resident, &cold[0].error), (Some(0), &None));
        assert_eq!(CacheState::of(&cold), Some(CacheState::Cold));
    }

    /// A file of tmpfs has nowhere else to be: no advice makes it cold, and the count says so.
    #[test]
    fn what_cannot_be_dropped_is_not_called_cold() {
        let Some((_kept, folder)) = folder("/dev/shm") else { return };
        let file = some_file(&folder);
        let counted = prepare(&[file], PageCache::Cold, &Interrupt::new());
        assert_eq!(CacheState::of(&counted), Some(CacheState::Warm));
    }

    #[test]
    fn what_is_not_there_is_unknown_and_says_why() {
        let counted = prepare(&["/nowhere/m.gguf".into()], PageCache::Cold, &Interrupt::new());
        assert_eq!(CacheState::of(&counted), Some(CacheState::Unknown));
        assert!(counted[0].error.as_ref().unwrap().contains("/nowhere"), "{counted:?}");
    }
}
