//! What the sampler costs: threads on every processor compute in lock-step, as llama.cpp's do, in blocks with the sampler
//! on and off by turns. Prints the ratio of the work done.
//!
//! `cargo run --release -p llamark-telemetry --example overhead -- [HERTZ] [PAIRS]`
#![expect(clippy::print_stdout, reason = "an example says what it found")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use llamark_telemetry::{Roots, Sampler};

/// Time of one block.
const BLOCK: Duration = Duration::from_millis(400);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let hertz: u32 = args.next().map_or(Ok(10), |text| text.parse())?;
    let pairs: u32 = args.next().map_or(Ok(100), |text| text.parse())?;
    let threads = thread::available_parallelism()?.get();
    for channel in llamark_telemetry::channels(&Roots::default()) {
        println!("{:<40} {:?}", channel.name, channel.availability);
    }
    println!("a round takes {} us of processor time", round_us()?);
    let mut ratios = Vec::new();
    for pair in 0..pairs {
        // On first, off first, by turns: what drifts hits both alike.
        let (on, off) = if pair % 2 == 0 {
            let on = block(threads, Some(hertz))?;
            (on, block(threads, None)?)
        } else {
            let off = block(threads, None)?;
            (block(threads, Some(hertz))?, off)
        };
        #[expect(clippy::cast_precision_loss, reason = "a ratio to four digits")]
        ratios.push(on as f64 / off as f64);
    }
    ratios.sort_by(f64::total_cmp);
    let at = |share: usize| ratios.get(ratios.len() * share / 100).copied().unwrap_or(f64::NAN);
    println!(
        "telemetry on/off at {hertz} Hz, {threads} threads, {pairs} pairs: {:.4} of the work (quartiles {:.4} to {:.4})",
        at(50),
        at(25),
        at(75)
    );
    Ok(())
}

/// Processor time of a round of readings, microseconds: of this process, which does nothing else.
fn round_us() -> Result<u64, Box<dyn std::error::Error>> {
    let sampler = Sampler::start(&Roots::default(), 100, Instant::now())?;
    sampler.watch(std::process::id());
    let now = || rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    thread::sleep(Duration::from_millis(100));
    let (rounds, begun) = (sampler.rounds(), now());
    thread::sleep(Duration::from_secs(2));
    let (more, ended) = (sampler.rounds(), now());
    let spent = (ended.tv_sec - begun.tv_sec) * 1_000_000 + (ended.tv_nsec - begun.tv_nsec) / 1_000;
    Ok(u64::try_from(spent)? / u64::try_from(more - rounds)?.max(1))
}

/// Steps that all threads made together in a block.
fn block(threads: usize, hertz: Option<u32>) -> Result<u64, Box<dyn std::error::Error>> {
    let sampler = hertz.map(|hertz| Sampler::start(&Roots::default(), hertz, Instant::now())).transpose()?;
    if let Some(sampler) = &sampler {
        sampler.watch(std::process::id());
        while sampler.rounds() == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let (steps, over, arrived) = (AtomicU64::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    let begin = Barrier::new(threads);
    thread::scope(|scope| {
        for place in 0..threads {
            let (steps, over, arrived, begin) = (&steps, &over, &arrived, &begin);
            scope.spawn(move || {
                begin.wait();
                let started = Instant::now();
                let mut round = 0;
                while !over.load(Ordering::Relaxed) {
                    std::hint::black_box(compute());
                    // A barrier that spins, as ggml's.
                    round += 1;
                    arrived.fetch_add(1, Ordering::AcqRel);
                    while arrived.load(Ordering::Acquire) < round * threads && !over.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                    if place == 0 {
                        steps.fetch_add(1, Ordering::Relaxed);
                        over.store(started.elapsed() >= BLOCK, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    if let Some(sampler) = sampler {
        drop(sampler.stop());
    }
    Ok(steps.into_inner())
}

/// Some microseconds of arithmetic.
fn compute() -> u64 {
    (0..20_000_u64)
        .fold(1, |sum, place| std::hint::black_box(sum.wrapping_mul(6_364_136_223_846_793_005) ^ place))
}
