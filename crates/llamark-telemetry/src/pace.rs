//! How fast the processor itself is right now: the same work as always, timed.
//!
//! The work must be the same instructions whoever compiles llamark: this crate has one level of optimisation in every profile
//! (`Cargo.toml` of the workspace), and the work is on plain arrays that every compiler vectorizes alike.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use llamark_record::journal::Pace;

/// Slices of each kind.
const SLICES: usize = 10;
/// And before them, untold: a clock rises, and threads that begin together are moved apart, within some ten milliseconds.
const WARM_UP: usize = 4;
/// Numbers that are worked on side by side, in registers.
const LANES: usize = 32;
/// Numbers of a block, 8 KiB of them: they lie in the first cache of a core.
const BLOCK: usize = 2048;
/// How often a slice goes through its block: some ten milliseconds.
const ROUNDS: usize = 81_920;
/// Memory that a slice reads, all threads together: more than most processors have in caches.
const BYTES: usize = 128 << 20;
/// And of each thread at least this much, more than a second cache holds.
const BYTES_OF_THREAD: usize = 8 << 20;
/// How often it reads it.
const PASSES: usize = 2;
/// Places at which threads meet: a line of a cache has its home somewhere, and one place would tell of that.
const PLACES: usize = 64;
/// How often all threads meet at each of them in a slice.
const MEETINGS: usize = 100;

/// Times the work on so many threads at once; it takes a few tenths of a second. `None` where the threads or the memory cannot be
/// had, and where there are more threads than processors: then the times would be those of the scheduler.
pub fn pace(threads: NonZeroU32) -> Option<Pace> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let count = usize::try_from(threads.get()).ok().filter(|count| *count <= processors)?;
    let words = (BYTES / count).max(BYTES_OF_THREAD) / size_of::<u64>();
    let memory = || {
        let mut memory: Vec<u64> = Vec::new();
        memory.try_reserve_exact(words).ok().map(|()| memory)
    };
    let ours = memory()?;
    let of_others: Vec<Vec<u64>> = (1..count).map(|_| memory()).collect::<Option<_>>()?;
    // Nobody waits for a thread that could not be made.
    let gate: OnceLock<Option<Vec<Meeting>>> = OnceLock::new();
    let times = std::thread::scope(|scope| {
        let spawn = |memory| {
            let thread = || gate.wait().as_ref().map(|places| work(places, memory, words));
            std::thread::Builder::new().spawn_scoped(scope, thread).ok()
        };
        let others = of_others.into_iter().map_while(spawn).count();
        let places = || (0..PLACES).map(|_| Meeting::of(count)).collect();
        let places = gate.get_or_init(|| (others + 1 == count).then(places));
        places.as_ref().map(|places| work(places, ours, words))
    });
    let times = times?;
    let of_kind = |kind: usize| times.iter().filter_map(|slice| slice.get(kind).copied()).collect();
    // One thread has nobody to meet; and fewer than there are processors may lie anywhere, here and in the server.
    let sync_ns = if count > 1 && count == processors { of_kind(2) } else { Vec::new() };
    Some(Pace { threads: threads.get(), compute_ns: of_kind(0), memory_ns: of_kind(1), sync_ns })
}

/// The part of one thread: the times of each slice, of the three kinds in turn.
fn work(places: &[Meeting], mut memory: Vec<u64>, words: usize) -> Vec<[u64; 3]> {
    let block: Vec<f32> = (1..=BLOCK).map(|place| 1.0 / place as f32).collect();
    // Written by the thread that reads it, so that the pages are there, and near.
    memory.resize(words, 1);
    let memory = black_box(memory);
    let meet = || (0..MEETINGS).for_each(|_| places.iter().for_each(Meeting::wait));
    let slice = |_| [timed(places, || compute(&block)), timed(places, || read(&memory)), timed(places, meet)];
    (0..WARM_UP + SLICES).map(slice).skip(WARM_UP).collect()
}

/// From all threads being here to the last of them being done.
fn timed(places: &[Meeting], slice: impl FnOnce()) -> u64 {
    let all_are_here = || places.iter().take(1).for_each(Meeting::wait);
    all_are_here();
    let begin = Instant::now();
    slice();
    all_are_here();
    u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Where threads wait for each other awake, as those of llama.cpp do: one that sleeps is woken somewhere, on a virtual machine
/// often on the core of another, and the slice would tell of that.
#[repr(align(128))]
struct Meeting {
    count: usize,
    arrived: AtomicUsize,
    rounds: AtomicUsize,
}

impl Meeting {
    /// For so many threads.
    fn of(count: usize) -> Self {
        Self { count, arrived: AtomicUsize::new(0), rounds: AtomicUsize::new(0) }
    }

    /// Until all are here.
    fn wait(&self) {
        let round = self.rounds.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.count {
            self.arrived.store(0, Ordering::Release);
            self.rounds.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut looks = 0_u32;
        while self.rounds.load(Ordering::Acquire) == round {
            std::hint::spin_loop();
            looks = looks.wrapping_add(1);
            // Where others compute too, the one that is waited for may need this processor.
            if looks.is_multiple_of(4096) {
                std::thread::yield_now();
            }
        }
    }
}

/// Multiplies and adds.
#[inline(never)]
fn compute(block: &[f32]) {
    let mut sums = [0.0_f32; LANES];
    for _ in 0..ROUNDS {
        for numbers in black_box(block).chunks_exact(LANES) {
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum = *sum * 0.5 + number;
            }
        }
    }
    black_box(sums);
}

/// Reads all of it.
#[inline(never)]
fn read(memory: &[u64]) {
    let mut sums = [0_u64; LANES];
    for _ in 0..PASSES {
        for numbers in black_box(memory).chunks_exact(LANES) {
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum = sum.wrapping_add(*number);
            }
        }
    }
    black_box(sums);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slice_takes_time() {
        for threads in [1, 2] {
            let Some(found) = pace(NonZeroU32::new(threads).unwrap()) else {
                assert!(threads > 1 && std::thread::available_parallelism().unwrap().get() == 1);
                continue;
            };
            let slices = [&found.compute_ns, &found.memory_ns, &found.sync_ns].map(Vec::len);
            assert_eq!(
                (found.threads, slices),
                (threads, [SLICES, SLICES, if threads > 1 { SLICES } else { 0 }])
            );
            // A clock that stands still, or work that was left out, would show as nothing.
            let all = [&found.compute_ns, &found.memory_ns, &found.sync_ns].into_iter().flatten();
            assert!(all.into_iter().all(|time| *time > 20_000), "{found:?}");
        }
        assert_eq!(pace(NonZeroU32::MAX), None, "more threads than processors");
    }
}
