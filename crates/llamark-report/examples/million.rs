//! A report from 1,000,000 runs (or as many as the first argument says): seconds and peak memory, as JSON.
//!
//! The runs are made up in memory, so that what is timed is the report alone: frames, summary, page, Parquet.
#![allow(
    clippy::allow_attributes,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark that people run by hand"
)]

use std::time::Instant;

use camino::Utf8Path;
use llamark_artifact::ArtifactSet;
use llamark_report::{Material, derived_from};

fn main() {
    let wanted: usize = std::env::args().nth(1).map_or(1_000_000, |argument| argument.parse().unwrap());
    let path =
        Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../llamark-artifact/tests/fixtures/sample-set");
    let set = ArtifactSet::read(&path).unwrap();
    let mut ledger = set.ledger().clone();
    let mut resolved = set.resolved.clone();

    // 1,000 cases of one start each; every run a little different.
    let pattern = ledger.cases[0].clone();
    let planned = resolved.plan.cases[0].clone();
    let cases = 1_000.min(wanted);
    ledger.cases.clear();
    resolved.plan.cases.clear();
    for number in 0..cases {
        let mut case = pattern.clone();
        case.case.id = format!("{}/{number}", planned.id);
        case.case.prompt = format!("{}-{number}", planned.prompt);
        case.superseded.clear();
        case.starts.retain(|number| number == 1);
        let start = case.starts.get_mut(1).unwrap();
        let run = start.runs.iter().find(|run| run.counts()).unwrap().clone();
        start.runs.clear();
        for index in 0..(wanted / cases) {
            let mut run = run.clone();
            run.index = u32::try_from(index).unwrap() + 1;
            let noise = (index as u64 * 7919 + number as u64 * 104_729) % 1_000;
            let measurement = run.measurement.as_mut().unwrap();
            measurement.arrivals.clear();
            measurement.prompt_us += noise;
            measurement.generation_us += noise * 3;
            start.runs.push(run);
        }
        resolved.plan.cases.push(case.case.clone());
        ledger.cases.push(case);
    }
    let before = peak_bytes();
    let begun = Instant::now();
    let material =
        Material { id: &set.id, resolved: &resolved, ledger: &ledger, environment: &set.environment };
    let files = derived_from(material).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let file = |name: &str, bytes: &[u8]| {
        let digest = llamark_record::Sha256::of_bytes(bytes);
        format!("\"{name}\": {{\"bytes\": {}, \"sha256\": \"{}\"}}", bytes.len(), digest.short())
    };
    let files: Vec<String> = files.iter().map(|(name, bytes)| file(name, bytes)).collect();
    println!(
        "{{\"runs\": {}, \"cases\": {cases}, \"seconds\": {seconds:.3}, \"records_bytes\": {before}, \
         \"peak_bytes\": {}, {}}}",
        wanted / cases * cases,
        peak_bytes(),
        files.join(", ")
    );
}

/// Peak resident memory of this process so far.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
