//! Warm-ups, stopping rules and short runs, as a reader sees them.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "tests")]

mod common;

use common::Parts;
use common::synthetic::Shape;
use llamark_record::journal::{Enough, EnoughBy, WarmedUp, WarmedUpBy};
use llamark_record::plan::{Until, WarmUp};
use llamark_report::{Summary, Templates, render_markdown, summarize_material};
use llamark_stats::until::{half_width, looks};

fn shown(parts: &Parts) -> (Summary, String) {
    let summary = summarize_material(parts.material()).unwrap();
    let page = render_markdown(&summary, &Templates::built_in()).unwrap();
    (summary, page)
}

fn texts<'a>(summary: &'a Summary, code: &str) -> Vec<&'a str> {
    summary.findings.iter().filter(|one| one.code == code).map(|one| one.text.as_str()).collect()
}

/// A case of so many starts, of which more could have been made.
fn stopped(starts: u32, by: Option<EnoughBy>) -> Parts {
    let mut parts = Shape::new(1, starts).build(|_| 1.0);
    parts.resolved.plan.procedure.until = Some(Until { share_ppm: 10_000, least: 3, max_server_ms: None });
    let case = &mut parts.ledger.cases[0];
    if let Some(by) = by {
        case.enough = Some(Enough { case: case.case.id.clone(), starts, by });
        case.case.starts = 20;
    }
    let planned = case.case.clone();
    parts.resolved.plan.cases = vec![planned];
    parts
}

#[test]
fn the_interval_of_a_case_that_was_stopped_has_the_allowance() {
    let usual = shown(&Shape::new(1, 5).build(|_| 1.0)).0;
    let (summary, page) = shown(&stopped(5, Some(EnoughBy::Narrow)));
    let (wide, narrow) = [&summary, &usual].map(|one| one.cases[0].metrics.pp.clone().unwrap()).into();
    assert_eq!(wide.mean, narrow.mean);
    let half = |estimate: &llamark_report::summary::Estimate| estimate.interval.clone().unwrap().half_width;
    // t(1 - 0.025/6; 4) / t(0.975; 4), six looks at 3, 5, 8, 12, 18 and 20 starts.
    assert_eq!(looks(3, 20).len(), 6);
    let means: Vec<f64> = summary.cases[0]
        .runs
        .chunk_by(|a, b| a.start == b.start)
        .map(|runs| {
            let pp: Vec<f64> = runs.iter().filter(|run| !run.warmup).filter_map(|run| run.pp).collect();
            pp.iter().sum::<f64>() / pp.len() as f64
        })
        .collect();
    let expected = half_width(&means, 6, 0.95).unwrap() * wide.mean;
    assert!((half(&wide) - expected).abs() < 1e-6 * expected && half(&wide) > 1.5 * half(&narrow));
    assert!(page.contains("CPU: 5 of at most 20 starts, stopped by the rule: PP and TG within ±"), "{page}");
    assert!(page.contains("at most 20 starts") && page.contains("with an allowance for stopping"), "{page}");
    // All that was wanted is there.
    assert_eq!((summary.cases[0].counts.planned, summary.cases[0].counts.valid), (15, 15));
    assert!(texts(&summary, "LM602").is_empty() && texts(&summary, "LM308").is_empty());
}

#[test]
fn what_was_not_reached_is_said_with_its_reason() {
    let mut parts = stopped(4, Some(EnoughBy::Time));
    parts.resolved.plan.procedure.until = Some(Until { share_ppm: 10, least: 3, max_server_ms: Some(1) });
    let (summary, page) = shown(&parts);
    let found = texts(&summary, "LM308");
    assert!(
        found[0].contains("after 4 starts, when the time was used up; the experiment asks for ±0.001 %"),
        "{found:?}"
    );
    assert!(page.contains("stopped when the time was used up"), "{page}");

    let mut parts = stopped(4, None);
    parts.resolved.plan.procedure.until = Some(Until { share_ppm: 10, least: 3, max_server_ms: None });
    let found = shown(&parts).0;
    assert!(texts(&found, "LM308")[0].contains("when no more starts were allowed"));
}

#[test]
fn a_start_that_was_never_steady_is_named() {
    let mut parts = Shape::new(1, 3).build(|_| 1.0);
    parts.resolved.plan.procedure.warmup = WarmUp::Steady { window: 3, variation_ppm: 20_000 };
    for (start, runs) in parts.ledger.cases[0].starts.values_mut().zip([3, 10, 4]) {
        let by = if runs == 10 { WarmedUpBy::Limit } else { WarmedUpBy::Steady };
        start.warmed = Some(WarmedUp { id: start.id.clone(), runs, by });
    }
    let (summary, page) = shown(&parts);
    assert!(texts(&summary, "LM205")[0].contains("1 of 3 starts were not steady after 10 warm-up runs"));
    assert!(page.contains("CPU: 3 to 10 warm-up runs until steady; 1 of 3 starts were not."), "{page}");
    assert!(page.contains("coefficient of variation of at most 2 % each"), "{page}");
}

/// A second for the prompt, three for the tokens: three more seconds are as many tokens again, less the first.
#[test]
fn a_run_that_is_short_is_told_how_long_it_should_be() {
    const SECOND: u64 = 1_000_000_000;
    let mut parts = Shape::new(1, 3).build(|_| 1.0);
    let tokens = parts.ledger.cases[0].case.max_tokens;
    let starts = parts.ledger.cases[0].starts.values_mut();
    for run in starts.flat_map(|start| &mut start.runs).filter_map(|run| run.measurement.as_mut()) {
        run.first_token_ns = SECOND;
        run.arrivals = vec![(1, SECOND), (tokens, 4 * SECOND)];
        run.total_ns = 4 * SECOND;
    }
    parts.resolved.plan.procedure.min_run_ms = 4_000;
    assert!(texts(&shown(&parts).0, "LM206").is_empty());
    parts.resolved.plan.procedure.min_run_ms = 7_000;
    let (summary, _) = shown(&parts);
    let found = summary.findings.iter().find(|one| one.code == "LM206").unwrap();
    let enough = 2 * tokens - 1;
    let said =
        format!("takes 4.00 s, less than the 7.00 s that the experiment asks for: max_tokens {enough} would");
    assert!(found.text.contains(&said), "{}", found.text);
    assert_eq!(found.numbers["max_tokens"], f64::from(enough));
}
