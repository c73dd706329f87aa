//! Makes a sealed set of many made-up runs, and says how long reading and verifying it take.
//!
//! `cargo run --release -p llamark-artifact --example large_set -- FOLDER RUNS [CASES [SEED]]`. A folder in
//! memory (`/dev/shm`) makes it quickly: each of its runs is flushed to disk, as those of a real set are. With a number
//! of cases they are that many (with three starts each), and all are measured; another seed makes other numbers.

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
use llamark_record::plan::{Case, PlannedStart, ResolvedPlan};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let root = Utf8PathBuf::from(arguments.next().unwrap_or_else(|| "/dev/shm/llamark-large".to_owned()));
    let runs: u32 = arguments.next().map_or(1_000_000, |text| text.parse().unwrap());
    let cases: Option<u32> = arguments.next().map(|text| text.parse().unwrap());
    let seed: Option<u32> = arguments.next().map(|text| text.parse().unwrap());
    let begun = Instant::now();
    let set = match cases {
        // Six of the eight starts are measured; one case does not fit into memory.
        None => common::sealed(
            &root,
            common::Shape { starts: 2, warmup: 1, runs: runs.div_ceil(6), ..common::SAMPLE },
        ),
        Some(cases) => {
            let mut resolved = many_cases(cases, runs.div_ceil(cases * STARTS));
            resolved.plan.seed = seed.unwrap_or(resolved.plan.seed);
            common::sealed_plan(&root, &resolved)
        }
    };
    let bytes = set.join("journal.jsonl").metadata().unwrap().len();
    println!("{set}: a journal of {bytes} bytes, made in {:.1} s", begun.elapsed().as_secs_f64());

    let begun = Instant::now();
    let read = ArtifactSet::read(&set).unwrap();
    let kept: usize =
        read.ledger().cases.iter().flat_map(|case| case.starts.values()).map(|start| start.runs.len()).sum();
    println!("read {kept} runs in {:.2} s", begun.elapsed().as_secs_f64());
    drop(read);

    let begun = Instant::now();
    let read = ArtifactSet::read_by_seal(&set).unwrap();
    println!("read by its seal in {:.2} s", begun.elapsed().as_secs_f64());
    drop(read);

    let begun = Instant::now();
    let verification = verify(&set, 1).unwrap();
    println!("verified to level 1 in {:.2} s: {}", begun.elapsed().as_secs_f64(), verification.passed());
}

/// Starts of each case.
const STARTS: u32 = 3;

/// A plan of that many cases that differ in name only.
fn many_cases(cases: u32, runs: u32) -> ResolvedPlan {
    let shape = common::Shape { models: 1, backends: 1, starts: STARTS, warmup: 0, runs, ..common::SAMPLE };
    let mut resolved = common::plan(shape);
    let case = resolved.plan.cases.remove(0);
    resolved.plan.cases =
        (0..cases).map(|index| Case { id: format!("{}-{index:05}", case.id), ..case.clone() }).collect();
    resolved.plan.schedule = resolved
        .plan
        .cases
        .iter()
        .flat_map(|case| (1..=STARTS).map(|start| PlannedStart { case: case.id.clone(), start }))
        .collect();
    resolved
}
