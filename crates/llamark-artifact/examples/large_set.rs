//! Makes a sealed set of many made-up runs, and says how long reading and verifying it take.
//!
//! `cargo run --release -p llamark-artifact --example large_set -- FOLDER RUNS`. A folder in memory (`/dev/shm`)
//! makes it quickly: each of its runs is flushed to disk, as those of a real set are.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for benchmarks, not a part of the program"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use camino::Utf8PathBuf;
use llamark_artifact::{ArtifactSet, verify};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let root = Utf8PathBuf::from(arguments.next().unwrap_or_else(|| "/dev/shm/llamark-large".to_owned()));
    let runs: u32 = arguments.next().map_or(1_000_000, |text| text.parse().unwrap());
    // Six of the eight starts are measured; one case does not fit into memory.
    let shape = common::Shape { starts: 2, warmup: 1, runs: runs.div_ceil(6), ..common::SAMPLE };
    let begun = Instant::now();
    let set = common::sealed(&root, shape);
    let bytes = set.join("journal.jsonl").metadata().unwrap().len();
    println!("{set}: a journal of {bytes} bytes, made in {:.1} s", begun.elapsed().as_secs_f64());

    let begun = Instant::now();
    let read = ArtifactSet::read(&set).unwrap();
    let kept: usize =
        read.ledger().cases.iter().flat_map(|case| case.starts.values()).map(|start| start.runs.len()).sum();
    println!("read {kept} runs in {:.2} s", begun.elapsed().as_secs_f64());
    drop(read);

    let begun = Instant::now();
    let verification = verify(&set, 1).unwrap();
    println!("verified to level 1 in {:.2} s: {}", begun.elapsed().as_secs_f64(), verification.passed());
}
