//! Two sealed sets, from disk to a verdict for each case: reading, start medians, and the whole decision.
//!
//! `cargo run --release -p llamark-artifact --example compare_sets -- BASE CANDIDATE`. What `llamark diff` adds to this
//! does not grow with the runs. `benches/run compare` makes the sets and puts a script beside it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for benchmarks, not a part of the program"
)]

use std::collections::BTreeMap;
use std::time::Instant;

use camino::Utf8PathBuf;
use llamark_artifact::ArtifactSet;
use llamark_artifact::ledger::CaseLedger;
use llamark_record::journal::Measurement;
use llamark_record::metric::{generation_rate, prompt_rate};
use llamark_stats::Direction;
use llamark_stats::decide::{MARGIN, MINIMUM_THROUGHPUT};
use llamark_stats::procedure::{Cell, Rules, decide};
use llamark_stats::start_level::{start_medians, unblocked};

type Rate = fn(&Measurement) -> Option<f64>;

const METRICS: [(&str, Rate); 2] = [
    ("pp", |run| prompt_rate(run.prompt_tokens, run.prompt_us)),
    ("tg", |run| generation_rate(run.generated_tokens, run.generation_us)),
];

fn main() {
    let paths: Vec<Utf8PathBuf> = std::env::args().skip(1).map(Utf8PathBuf::from).collect();
    let begun = Instant::now();
    let (base, candidate) = ArtifactSet::read_both_whole(&paths[0], &paths[1]);
    let (base, candidate) = (base.unwrap(), candidate.unwrap());
    let read = begun.elapsed().as_secs_f64();

    let mut cells = Vec::new();
    for before in &base.ledger().cases {
        let Some(after) = candidate.ledger().case(&before.case.id) else { continue };
        cells.extend(METRICS.iter().filter_map(|(name, rate)| cell(before, after, name, *rate)));
    }
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    for decision in decide(&cells, &Rules::STANDARD) {
        *verdicts.entry(format!("{:?}", decision.verdict)).or_default() += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let runs = |set: &ArtifactSet| -> usize {
        set.ledger().cases.iter().flat_map(|case| case.starts.values()).map(|start| start.runs.len()).sum()
    };
    println!(
        "llamark: {} and {} runs, {} cells, {verdicts:?}: {seconds:.2} s ({read:.2} s of it to read and check), \
         peak {} MiB",
        runs(&base),
        runs(&candidate),
        cells.len(),
        peak_mebibytes()
    );
}

fn cell<'a>(before: &'a CaseLedger, after: &CaseLedger, metric: &'a str, rate: Rate) -> Option<Cell<'a>> {
    let effect = unblocked(&medians(before, rate)?, &medians(after, rate)?, Direction::HigherIsBetter)?;
    Some(Cell {
        backend: &before.case.backend,
        metric,
        gating: true,
        effect,
        history: (0.0, 0),
        minimum: MINIMUM_THROUGHPUT,
        margin: MARGIN,
    })
}

fn medians(case: &CaseLedger, rate: Rate) -> Option<Vec<f64>> {
    let of_start = |start: &llamark_artifact::ledger::StartLedger| -> Vec<f64> {
        start.counting().filter_map(|run| rate(run.measurement.as_ref()?)).collect()
    };
    start_medians(&case.starts.values().map(of_start).collect::<Vec<_>>(), 0)
}

/// The most memory that this process ever held.
fn peak_mebibytes() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
