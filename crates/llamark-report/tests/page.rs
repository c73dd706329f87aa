//! The page and the terminal table of the sample set, and what happens to text of others in them.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Parts, sample_set};
use llamark_import::Options;
use llamark_record::journal::{Failure, FailureKind, Outcome};
use llamark_report::{
    Templates, derived_files, derived_from, render_markdown, summarize, summarize_material, terminal_table,
};

fn page(parts: &Parts) -> String {
    render_markdown(&summarize_material(parts.material()).unwrap(), &Templates::built_in()).unwrap()
}

#[test]
fn the_whole_page() {
    let page = render_markdown(&summarize(&sample_set()).unwrap(), &Templates::built_in()).unwrap();
    insta::assert_snapshot!("page", page);
}

/// A sweep over six hundred depths: work that grows with the square of a set would take minutes, and the page would not be
/// finished. The first screen stays one.
#[test]
fn a_page_of_many_cases_is_finished() {
    let rows = include_str!("../../llamark-import/tests/fixtures/llama-bench-b11434.jsonl");
    let row = rows.lines().next().unwrap();
    let depth = "\"n_depth\": 0";
    assert!(row.contains(depth));
    let many: String =
        (0..600).map(|number| row.replace(depth, &format!("\"n_depth\": {number}")) + "\n").collect();
    let options = Options { name: "many".to_owned(), title: None, memory_bandwidth: None };
    let parts = common::published::parts(
        llamark_import::llama_bench("many.jsonl", many.as_bytes(), &options).unwrap(),
    );
    let began = std::time::Instant::now();
    let page = page(&parts);
    assert!(page.contains("**Benchmark:** 600 cases of 600 shapes"), "{}", &page[..2000]);
    assert_eq!(page.matches("\n## SmolLM2").count(), 600);
    assert!(page.split("## Findings").next().unwrap().lines().count() < 30);
    // It takes a second, and took a minute.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn the_terminal_table() {
    let summary = summarize(&sample_set()).unwrap();
    insta::assert_snapshot!("terminal", terminal_table(&summary, 100));
    insta::assert_snapshot!("terminal_narrow", terminal_table(&summary, 60));
    for width in [0, 40, 60, 100, 200] {
        for line in terminal_table(&summary, width).lines() {
            assert!(line.chars().count() <= usize::from(width.max(40)), "{width}: {line}");
        }
    }
}

#[test]
fn the_same_set_gives_the_same_bytes_and_knows_its_own_id() {
    let first = derived_files(&sample_set()).unwrap();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["report.md", "results.parquet", "summary.json"]);
    assert!(first == derived_files(&sample_set()).unwrap());
    // A copy under another name is the same set: it keeps the id that it was sealed with.
    let mut renamed = sample_set();
    renamed.id = "copy".to_owned();
    assert!(first == derived_files(&renamed).unwrap());
    // Before the end was written, as when it is sealed.
    let mut open = Parts::sample();
    open.id = sample_set().sealed.unwrap().predicate.run_details.metadata.invocation_id;
    open.ledger.end = None;
    open.ledger.finished_at = "later".to_owned();
    open.ledger.head = None;
    assert!(first == derived_from(open.material()).unwrap());
}

#[test]
fn summary_json_reads_back() {
    let files = derived_files(&sample_set()).unwrap();
    let summary: llamark_report::Summary = serde_json::from_slice(&files["summary.json"]).unwrap();
    assert_eq!(summary, summarize(&sample_set()).unwrap());
}

/// Cells of a row of a table: pipes that are not escaped.
fn cells(row: &str) -> usize {
    row.replace("\\|", "").matches('|').count()
}

#[test]
fn hostile_names_stay_in_their_cells() {
    let mut parts = Parts::sample();
    let hostile = "x | y <script>alert(1)</script>\n## not a heading ``` `code` [a](http://b) \u{1b}[2J";
    for model in &mut parts.resolved.plan.models {
        model.name = hostile.to_owned();
        model.quant = hostile.to_owned();
        model.note = hostile.to_owned();
    }
    for backend in &mut parts.resolved.plan.backends {
        backend.label = hostile.to_owned();
        backend.note = hostile.to_owned();
    }
    parts.resolved.plan.title = hostile.to_owned();
    parts.resolved.plan.description = hostile.to_owned();
    parts.resolved.plan.hardware.label = hostile.to_owned();
    let failure = Failure {
        kind: FailureKind::Crash,
        detail: hostile.to_owned(),
        log: vec!["```".to_owned(), hostile.to_owned()],
        hint: hostile.to_owned(),
    };
    parts.ledger.cases[0].outcome = Some(Outcome::Failed(failure));
    let hostile_page = page(&parts);
    // Inside a fenced block it is text.
    let outside: String = hostile_page.split("\n```").step_by(2).collect();
    assert!(!outside.contains("<script"), "{outside}");
    assert!(!hostile_page.contains('\u{1b}'));
    assert!(!hostile_page.lines().any(|line| line.starts_with("## not a heading")));
    assert_eq!(hostile_page.matches("```").count(), page(&Parts::sample()).matches("```").count());
    let mut width = 0;
    for line in hostile_page.lines() {
        if line.starts_with("|--") {
            width = cells(line);
        } else if line.starts_with('|') && width > 0 {
            assert_eq!(cells(line), width, "{line}");
        } else {
            width = 0;
        }
    }
    let table = terminal_table(&summarize_material(parts.material()).unwrap(), 100);
    assert!(!table.contains('\u{1b}') && table.contains("failed"), "{table}");
}

#[test]
fn a_set_without_a_single_number_still_has_a_page() {
    let mut parts = Parts::sample();
    parts.ledger.models.clear();
    parts.ledger.builds.clear();
    parts.ledger.begin = None;
    for case in &mut parts.ledger.cases {
        case.outcome = None;
        case.starts.retain(|_| false);
        case.superseded.clear();
    }
    parts.environment.facts.clear();
    parts.resolved.plan.hardware.memory_bandwidth = None;
    let summary = summarize_material(parts.material()).unwrap();
    let page = render_markdown(&summary, &Templates::built_in()).unwrap();
    assert!(page.contains("**open**"), "{page}");
    assert!(!page.contains("none") && !page.contains("NaN"), "{page}");
    assert!(terminal_table(&summary, 80).contains("cases have no valid result"));
}

#[test]
fn starts_make_the_interval_where_there_are_three() {
    let mut parts = Parts::sample();
    parts.more_starts(2);
    let summary = summarize_material(parts.material()).unwrap();
    let tg = summary.cases[0].metrics.tg.as_ref().unwrap();
    let interval = tg.interval.as_ref().unwrap();
    assert_eq!((tg.starts, interval.n), (4, 4));
    assert_eq!(interval.over, llamark_report::summary::Replication::Starts);
    assert!(interval.low < tg.mean && tg.mean < interval.high);
}

#[test]
fn what_was_found_invalid_is_shown_and_not_counted() {
    let mut parts = Parts::sample();
    let reason = "the device was not used".to_owned();
    parts.ledger.cases[0].outcome = Some(Outcome::Invalid { reason });
    let summary = summarize_material(parts.material()).unwrap();
    let case = &summary.cases[0];
    assert_eq!((case.counts.valid, case.metrics.tg.is_none()), (0, true));
    assert!(!case.runs.is_empty());
    assert!(page(&parts).contains("the device was not used"));
}

#[test]
fn one_start_has_an_interval_over_its_runs_and_says_so() {
    let mut parts = Parts::sample();
    for case in &mut parts.ledger.cases {
        case.starts.retain(|number| number == 1);
    }
    let summary = summarize_material(parts.material()).unwrap();
    let tg = summary.cases[0].metrics.tg.as_ref().unwrap();
    let interval = tg.interval.as_ref().unwrap();
    assert_eq!(interval.over, llamark_report::summary::Replication::RunsOfOneStart);
    // 84.69, 84.66 and 84.65 tok/s: t(0.975; 2) = 4.303 standard errors.
    let expected = 4.302_652_73 * tg.sd.unwrap() / 3f64.sqrt();
    assert!((interval.half_width - expected).abs() < 1e-6 * expected, "{interval:?}");
    assert!(terminal_table(&summary, 100).contains("runs of one start"));
    assert!(page(&parts).contains(" ±0.0"), "two significant digits of the uncertainty: {}", page(&parts));
}

#[test]
fn sections_are_sorted_by_the_first_backend_and_unmeasured_ones_come_last() {
    let mut parts = Parts::sample();
    let order = |parts: &Parts| -> Vec<usize> {
        summarize_material(parts.material()).unwrap().sections.iter().map(|section| section.model).collect()
    };
    assert_eq!(order(&parts), [0, 1]);
    for start in parts.ledger.cases[0].starts.values_mut() {
        for measurement in start.runs.iter_mut().filter_map(|run| run.measurement.as_mut()) {
            measurement.generation_us *= 100;
        }
    }
    assert_eq!(order(&parts), [1, 0]);
    parts.ledger.cases[2].starts.retain(|_| false);
    assert_eq!(order(&parts), [0, 1]);
}

#[test]
fn the_first_run_and_an_impossible_roofline_are_said() {
    let mut parts = Parts::sample();
    parts.resolved.plan.hardware.memory_bandwidth = Some(1_000_000_000);
    for start in parts.ledger.cases[0].starts.values_mut() {
        let first = start.runs.iter_mut().find(|run| run.counts()).unwrap();
        first.measurement.as_mut().unwrap().prompt_us *= 2;
    }
    let summary = summarize_material(parts.material()).unwrap();
    let case = &summary.cases[0];
    let pp = case.first_run.as_ref().unwrap().pp.unwrap();
    assert!((-0.52..-0.48).contains(&pp), "{pp}");
    assert!(case.roofline.unwrap() > 1.0);
    let found = |code: &str| summary.findings.iter().find(|finding| finding.code == code).unwrap().clone();
    assert!(found("LM101").text.contains("the bandwidth or the size is wrong"));
    let slow = found("LM201");
    assert_eq!(slow.subject.case.as_deref(), Some(case.id.as_str()));
    assert!(slow.text.contains("run 1 is slower than every later PP run"), "{}", slow.text);
    assert!((1.9..2.1).contains(&(slow.numbers["steady_mean"] / case.runs[1].pp.unwrap())), "{slow:?}");
}

#[test]
fn a_backend_may_have_a_memory_bandwidth_of_its_own() {
    let mut parts = Parts::sample();
    parts.resolved.plan.hardware.memory_bandwidth = Some(1_000_000_000_000);
    let of_cpu = |parts: &Parts| {
        let summary = summarize_material(parts.material()).unwrap();
        let of = |name: &str| summary.backends.iter().position(|backend| backend.name == name).unwrap();
        let (cpu, vulkan) = (of("cpu"), of("vulkan"));
        let share =
            |backend| summary.cases.iter().find(|case| case.backend == backend).unwrap().roofline.unwrap();
        (share(cpu), share(vulkan), render_markdown(&summary, &Templates::built_in()).unwrap())
    };
    let (cpu, vulkan, page) = of_cpu(&parts);
    assert!(page.contains("what a memory bandwidth of 1 TB/s allows"), "{page}");
    let own = parts.resolved.plan.backends.iter_mut().find(|backend| backend.name == "cpu").unwrap();
    own.memory_bandwidth = Some(100_000_000_000);
    let (own, same, page) = of_cpu(&parts);
    assert!((9.9..10.1).contains(&(own / cpu)) && same.to_bits() == vulkan.to_bits(), "{own} {cpu}");
    assert!(page.contains("a memory bandwidth of 1 TB/s, 100 GB/s (CPU) allows"), "{page}");
}
