//! SHA-256 of a file as fast as this processor does it: one thread reads while another computes.

use std::io::Read;
use std::sync::mpsc;

use camino::Utf8Path;
use llamark_process::Interrupt;
use llamark_record::Sha256;
use sha2::Digest as _;

use crate::error::FetchError;
use crate::memory::Stamp;

/// Bytes in one read.
const CHUNK: usize = 1 << 20;
/// Reads that may be ahead of the hasher.
const AHEAD: usize = 3;
/// Files smaller than this are not worth a second thread.
const SMALL: u64 = 4 << 20;

/// The SHA-256 of the file at `path`. `progress` is told, now and then, how many bytes are done.
///
/// # Errors
/// When the file cannot be read, changes meanwhile, or somebody asks to stop.
pub fn digest_file(
    path: &Utf8Path,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(u64),
) -> Result<Sha256, FetchError> {
    digest_stamped(path, interrupt, progress).map(|(digest, _)| digest)
}

/// As [`digest_file`], with the state of the file, which was the same before and after.
pub(crate) fn digest_stamped(
    path: &Utf8Path,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(u64),
) -> Result<(Sha256, Stamp), FetchError> {
    let file = fs_err::File::open(path)?;
    let before = Stamp::of(&file.metadata()?);
    let digest = if before.bytes < SMALL {
        digest_reader(&file, interrupt)?
    } else {
        digest_ahead(&file, interrupt, progress)?
    };
    if Stamp::of(&file.metadata()?) != before {
        return Err(FetchError::Changed { path: path.to_owned() });
    }
    Ok((digest, before))
}

fn digest_reader(mut reader: impl Read, interrupt: &Interrupt) -> Result<Sha256, FetchError> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        if interrupt.is_set() {
            return Err(FetchError::Interrupted);
        }
        match reader.read(&mut buffer)? {
            0 => return Ok(Sha256::from_raw(hasher.finalize().into())),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// A buffer and how much of it is filled.
type Filled = (Vec<u8>, usize);

fn digest_ahead(
    file: &fs_err::File,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(u64),
) -> Result<Sha256, FetchError> {
    let (full_sender, full) = mpsc::sync_channel::<Filled>(AHEAD);
    let (empty_sender, empty) = mpsc::channel::<Vec<u8>>();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || read_ahead(file, &full_sender, &empty));
        let mut hasher = sha2::Sha256::new();
        let mut done = 0_u64;
        for (buffer, count) in &full {
            if interrupt.is_set() {
                break;
            }
            hasher.update(buffer.get(..count).unwrap_or_default());
            done += u64::try_from(count).unwrap_or(0);
            progress(done);
            // The reader may be at its end already.
            drop(empty_sender.send(buffer));
        }
        // Tells a reader that is still at it to stop.
        drop(full);
        let read = reader.join().unwrap_or_else(|_| Err(std::io::Error::other("the reader failed")));
        if interrupt.is_set() {
            return Err(FetchError::Interrupted);
        }
        read?;
        Ok(Sha256::from_raw(hasher.finalize().into()))
    })
}

fn read_ahead(
    mut file: &fs_err::File,
    full: &mpsc::SyncSender<Filled>,
    empty: &mpsc::Receiver<Vec<u8>>,
) -> std::io::Result<()> {
    loop {
        let mut buffer = empty.try_recv().unwrap_or_else(|_| vec![0; CHUNK]);
        let count = file.read(&mut buffer)?;
        if count == 0 || full.send((buffer, count)).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{folder, put};

    #[test]
    fn both_ways_give_what_hashing_at_once_gives() {
        let (_keep, path) = folder();
        for size in [0, 1, 64 << 10, (4 << 20) - 1, 4 << 20, (9 << 20) + 17] {
            let bytes: Vec<u8> = (0..size).map(|index: usize| (index * 31 % 251) as u8).collect();
            let file = path.join(format!("f{size}"));
            put(&file, &bytes);
            let mut seen = Vec::new();
            let digest = digest_file(&file, &Interrupt::new(), &mut |done| seen.push(done)).unwrap();
            assert_eq!(digest, Sha256::of_bytes(&bytes), "{size}");
            assert!(seen.is_sorted());
            if size >= 4 << 20 {
                assert_eq!(seen.last().copied(), Some(size as u64));
            }
        }
    }

    #[test]
    fn an_interrupt_and_a_missing_file_end_it() {
        let (_keep, path) = folder();
        put(&path.join("f"), &vec![0; 8 << 20]);
        let interrupt = Interrupt::new();
        let result = digest_file(&path.join("f"), &interrupt, &mut |_| interrupt.set());
        assert!(matches!(result, Err(FetchError::Interrupted)));
        let missing = digest_file(&path.join("gone"), &Interrupt::new(), &mut |_| ()).unwrap_err();
        assert!(missing.to_string().contains("gone"), "{missing}");
    }
}
