//! Writes a synthetic model: many threads make its pieces, one sees them in the order of the file.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError, mpsc};

use camino::Utf8Path;

use super::Synthetic;
use super::shape::Planned;
use super::weights::Maker;
use crate::error::GgufError;

/// Bytes made at once, about.
const PIECE: u64 = 4 << 20;
/// Pieces at hand for each thread: one being made, one waiting for those before it.
const AHEAD: usize = 2;

/// A part of the file that is made at once.
#[derive(Clone, Copy, Debug)]
enum Piece<'a> {
    /// The header.
    Header,
    /// Blocks of a tensor.
    Blocks {
        /// The tensor, and its number.
        tensor: &'a Planned,
        number: u64,
        /// The first of the blocks, how many, and the padding after them.
        first: u64,
        count: u64,
        padding: u64,
    },
}

/// A piece and where in the file it begins.
type Placed<'a> = (usize, u64, Piece<'a>);
/// What a thread made: which piece, and its bytes.
type Made = Result<(usize, Vec<u8>), io::Error>;

impl Synthetic {
    /// Writes the file at `path`, with that many threads (at least one), and syncs it to the disk. Takes a few MiB of
    /// memory for each, whatever the size of the model.
    ///
    /// `in_order` sees every byte in the order of the file, to hash it; if it breaks off, writing ends. The file appears
    /// as it is written: give a temporary name and rename it when this returns.
    ///
    /// # Errors
    ///
    /// [`GgufError::Write`] when the file cannot be written, [`GgufError::Stopped`] when `in_order` broke off.
    pub fn write(
        &self,
        path: &Utf8Path,
        threads: usize,
        in_order: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), GgufError> {
        let failed = |source| GgufError::Write { path: path.to_owned(), source };
        #[expect(
            clippy::disallowed_methods,
            reason = "writes gigabytes under a temporary name; the caller renames the finished file"
        )]
        let file = fs_err::File::create(path).map_err(failed)?;
        let put = |offset: u64, bytes: &[u8]| file.file().write_all_at(bytes, offset);
        match self.make(threads, &put, in_order).map_err(failed)? {
            ControlFlow::Continue(()) => file.sync_all().map_err(failed),
            ControlFlow::Break(()) => Err(GgufError::Stopped),
        }
    }

    /// Makes every piece and puts it in its place.
    fn make(
        &self,
        threads: usize,
        put: &(dyn Fn(u64, &[u8]) -> io::Result<()> + Sync),
        in_order: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        let threads = threads.max(1);
        let pieces = Mutex::new(self.pieces());
        let (give, free) = mpsc::channel();
        let free = Mutex::new(free);
        for _ in 0..threads * AHEAD {
            // Whoever takes a piece has a buffer already, so the first piece that is missing is always being made.
            drop(give.send(Vec::new()));
        }
        std::thread::scope(|scope| {
            let (done, made) = mpsc::channel::<Made>();
            for _ in 0..threads {
                let (done, free, pieces) = (done.clone(), &free, &pieces);
                scope.spawn(move || self.work(free, pieces, put, &done));
            }
            drop(done);
            // Both ends that the threads wait for are let go of when this returns, early or not.
            let give = give;
            let mut waiting = BTreeMap::new();
            let mut next = 0;
            for made in made {
                let (number, bytes) = made?;
                waiting.insert(number, bytes);
                while let Some(bytes) = waiting.remove(&next) {
                    if in_order(&bytes).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    drop(give.send(bytes));
                    next += 1;
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// What each thread does until there is nothing left, or nobody wants more.
    fn work<'a>(
        &self,
        free: &Mutex<mpsc::Receiver<Vec<u8>>>,
        pieces: &Mutex<impl Iterator<Item = Placed<'a>>>,
        put: &(dyn Fn(u64, &[u8]) -> io::Result<()> + Sync),
        done: &mpsc::Sender<Made>,
    ) {
        loop {
            let Ok(mut bytes) = free.lock().unwrap_or_else(PoisonError::into_inner).recv() else { return };
            let placed = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((number, offset, piece)) = placed else { return };
            self.fill(piece, &mut bytes);
            let made = put(offset, &bytes).map(|()| (number, bytes));
            let failed = made.is_err();
            if done.send(made).is_err() || failed {
                return;
            }
        }
    }

    /// Makes the bytes of a piece.
    fn fill(&self, piece: Piece<'_>, bytes: &mut Vec<u8>) {
        match piece {
            Piece::Header => {
                bytes.clear();
                bytes.extend_from_slice(&self.header);
            }
            Piece::Blocks { tensor, number, first, count, padding } => {
                let maker = Maker::new(self.seed, number, tensor);
                let made = count * maker.block_bytes();
                bytes.resize((made + padding) as usize, 0);
                let (blocks, zeros) = bytes.split_at_mut(made as usize);
                maker.blocks(first, blocks);
                zeros.fill(0);
            }
        }
    }

    /// Every piece, in the order of the file.
    fn pieces(&self) -> impl Iterator<Item = Placed<'_>> {
        let blocks = self.tensors.iter().zip(0_u64..).flat_map(|(tensor, number)| pieces_of(tensor, number));
        let with_bytes = std::iter::once((Piece::Header, self.header.len() as u64)).chain(blocks);
        with_bytes.enumerate().scan(0, |offset, (number, (piece, bytes))| {
            let begins = *offset;
            *offset += bytes;
            Some((number, begins, piece))
        })
    }
}

/// The pieces of a tensor, each with its bytes.
fn pieces_of(tensor: &Planned, number: u64) -> impl Iterator<Item = (Piece<'_>, u64)> {
    let block = Maker::new(0, 0, tensor).block_bytes();
    let (blocks, most) = (tensor.bytes / block, PIECE / block);
    (0..blocks.div_ceil(most)).map(move |piece| {
        let first = piece * most;
        let count = most.min(blocks - first);
        let is_last = first + count == blocks;
        let padding = if is_last { tensor.padded_bytes() - tensor.bytes } else { 0 };
        (Piece::Blocks { tensor, number, first, count, padding }, count * block + padding)
    })
}

#[cfg(test)]
impl Synthetic {
    /// All bytes, made by that many threads.
    pub(super) fn to_bytes(&self, threads: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let placed = Mutex::new(vec![0; self.bytes() as usize]);
        let put = |offset: u64, piece: &[u8]| {
            placed.lock().unwrap()[offset as usize..][..piece.len()].copy_from_slice(piece);
            Ok(())
        };
        let mut in_order = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            ControlFlow::Continue(())
        };
        assert_eq!(self.make(threads, &put, &mut in_order).unwrap(), ControlFlow::Continue(()));
        assert!(placed.into_inner().unwrap() == bytes, "what is put is what is seen");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use llamark_record::plan::{SyntheticModel, SyntheticPreset, SyntheticQuant, SyntheticTokenizer};

    use super::*;

    fn model() -> Synthetic {
        let shape = SyntheticPreset::Tiny.shape();
        let (quant, tokenizer) = (SyntheticQuant::F32, SyntheticTokenizer::BuiltIn);
        Synthetic::new(&SyntheticModel { like: None, shape, quant, tokenizer, seed: 1 }, None).unwrap()
    }

    #[test]
    fn who_wants_no_more_is_left_alone_at_once() {
        let model = model();
        let mut seen = 0;
        let mut in_order = |_: &[u8]| {
            seen += 1;
            if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let made = model.make(3, &|_, _| Ok(()), &mut in_order).unwrap();
        assert_eq!((made, seen), (ControlFlow::Break(()), 2));
    }

    #[test]
    fn a_full_disk_ends_it_with_its_error() {
        let put = |offset: u64, _: &[u8]| {
            if offset > 1 << 20 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        };
        let error = model().make(4, &put, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
