//! LM205, LM206, LM308: starts that were never steady, runs that are short, cases whose interval stayed wide.

use llamark_artifact::StartLedger;
use llamark_record::journal::RunRecord;
use llamark_record::metric::Windows;

use super::rules::{NOT_NARROW, NOT_STEADY, SHORT_RUNS};
use super::{Context, Finding};
use crate::format::{duration_ms, float, percent};
use crate::summary::CaseSummary;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let each = |rule: fn(&Context<'_>, usize, &CaseSummary) -> Option<Finding>| {
        context.summary.cases.iter().enumerate().filter_map(move |(place, case)| rule(context, place, case))
    };
    each(not_steady).chain(each(short_runs)).chain(each(not_narrow)).collect()
}

fn not_steady(context: &Context<'_>, _: usize, case: &CaseSummary) -> Option<Finding> {
    let warm_ups = case.warm_ups.as_ref().filter(|warm_ups| warm_ups.unsteady > 0)?;
    let text = format!(
        "{}: {} of {} starts were not steady after {} warm-up runs, and were measured anyway.",
        context.case(case),
        warm_ups.unsteady,
        warm_ups.starts,
        warm_ups.most
    );
    let finding = Finding::new(&NOT_STEADY, context.subject_of_case(case), text)
        .number("unsteady", f64::from(warm_ups.unsteady))
        .number("starts", f64::from(warm_ups.starts))
        .number("warmup", f64::from(warm_ups.most));
    Some(finding)
}

/// How long a run took, and each further token of it, ns.
fn times(run: &RunRecord, tokens: u32) -> Option<(f64, Option<f64>)> {
    let single = run.measurement.iter().map(|one| one.total_ns);
    let several = run.streams.iter().map(|stream| stream.sent_ns.saturating_add(stream.measurement.total_ns));
    let total = single.chain(several).max()?;
    let step = Windows::of(run).and_then(|windows| {
        let [begin, end] = windows.generation;
        (tokens > 1 && end > begin).then(|| float(end - begin) / f64::from(tokens - 1))
    });
    Some((float(total), step))
}

fn short_runs(context: &Context<'_>, place: usize, case: &CaseSummary) -> Option<Finding> {
    let least = float(context.procedure.min_run_ms) * 1e6;
    let starts = context.ledger.cases.get(place)?.starts.values();
    let times: Vec<(f64, Option<f64>)> =
        starts.flat_map(StartLedger::counting).filter_map(|run| times(run, case.max_tokens)).collect();
    let all: Vec<f64> = times.iter().map(|(total, _)| *total).collect();
    let median = llamark_stats::median(&all)?;
    if median >= least {
        return None;
    }
    let steps: Vec<f64> = times.iter().filter_map(|(_, step)| *step).collect();
    let enough = llamark_stats::median(&steps)
        .map(|step| f64::from(case.max_tokens) + ((least - median) / step).ceil());
    let hint = enough.map_or_else(String::new, |enough| format!(": max_tokens {enough:.0} would reach it"));
    let text = format!(
        "{}: a run takes {}, less than the {} that the experiment asks for{hint}.",
        context.case(case),
        duration_ms(median / 1e6),
        duration_ms(least / 1e6)
    );
    let mut finding = Finding::new(&SHORT_RUNS, context.subject_of_case(case), text)
        .number("median", median / 1e6)
        .number("least", least / 1e6);
    if let Some(enough) = enough {
        finding = finding.number("max_tokens", enough);
    }
    Some(finding)
}

fn not_narrow(context: &Context<'_>, _: usize, case: &CaseSummary) -> Option<Finding> {
    let stopped = case.stopped.as_ref()?;
    // Rounded numbers of what was decided by others.
    let widest = stopped.widest.filter(|widest| *widest > stopped.asked * (1.0 + 1e-9));
    if stopped.widest.is_some() && widest.is_none() {
        return None;
    }
    let why = match stopped.by.as_str() {
        "time" => "the time was used up",
        "most" => "no more starts were allowed",
        _ => "the journal says that it is enough",
    };
    let known = widest.map_or_else(
        || "its precision is unknown".to_owned(),
        |widest| format!("its rates are known to ±{} at best", percent(widest)),
    );
    let text = format!(
        "{}: {known} after {} starts, when {why}; the experiment asks for ±{}.",
        context.case(case),
        stopped.starts,
        percent(stopped.asked)
    );
    let mut finding = Finding::new(&NOT_NARROW, context.subject_of_case(case), text)
        .number("starts", f64::from(stopped.starts))
        .number("asked", stopped.asked)
        .word("by", stopped.by.clone());
    if let Some(widest) = widest {
        finding = finding.number("widest", widest);
    }
    Some(finding)
}
