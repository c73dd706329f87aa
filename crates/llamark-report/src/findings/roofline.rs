//! LM101, LM102: token generation against what the memory bandwidth allows.

use super::rules::{BEYOND_BANDWIDTH, FAR_BELOW_BANDWIDTH};
use super::{Context, Finding};
use crate::format::{decimal_bytes, fixed, percent};
use crate::summary::{Basis, CaseSummary, Weights};

/// More than all of the bandwidth cannot be: every token reads its weights once.
const LIMIT: f64 = 1.0;
/// A share this many times below the median of the others on the backend is suspicious. A sparse model reaches about
/// half of what a dense one does, since its reads are small; four times is more than that.
const FAR: f64 = 4.0;
/// Fewest other rows that a median is made of.
const FEWEST: usize = 3;
/// Tokens that come faster than this one after the other are not bound by memory, whatever it does: launching kernels,
/// sampling and the answer to the client take a millisecond or more for each, which small models on fast GPUs show.
const BOUND_BY_OVERHEAD: f64 = 500.0;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let cases = &context.summary.cases;
    let mut all: Vec<(f64, Finding)> = cases
        .iter()
        .enumerate()
        .filter_map(|(place, case)| {
            let share = case.roofline?;
            let weights = context.summary.models.get(case.model)?.weights.as_ref()?;
            if share > LIMIT {
                return Some((-share, beyond(context, case, share, weights)?));
            }
            Some((share, far_below(context, place, case, share, weights)?))
        })
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.into_iter().map(|(_, finding)| finding).collect()
}

fn billions(count: f64) -> String {
    format!("{}B", fixed(count / 1e9, 1))
}

fn source(weights: &Weights) -> String {
    match weights.basis {
        Basis::Header => "by the header of the file".to_owned(),
        Basis::Claims => format!(
            "an estimate from the claimed {} file x {} of {} parameters",
            bytes(weights),
            billions(weights.active_parameters),
            billions(weights.parameters)
        ),
    }
}

fn bytes(weights: &Weights) -> String {
    let unit = crate::weights::unit(&weights.size_unit).0;
    format!("{} {}", fixed(weights.bytes / unit, 0), weights.size_unit)
}

/// The memory bandwidth of what a case computes on, bytes per second.
fn bandwidth(context: &Context<'_>, case: &CaseSummary) -> Option<u64> {
    let own = context.summary.backends.get(case.backend).and_then(|backend| backend.memory_bandwidth);
    own.or(context.summary.hardware.memory_bandwidth)
}

/// The most parameters that can be active at this speed, if the bytes per parameter are right.
fn most_active(weights: &Weights, share: f64) -> f64 {
    weights.active_parameters / share
}

fn numbers(
    finding: Finding,
    context: &Context<'_>,
    case: &CaseSummary,
    share: f64,
    weights: &Weights,
) -> Finding {
    let tg = case.metrics.tg.as_ref().map_or(f64::NAN, |tg| tg.mean);
    let bandwidth = bandwidth(context, case).map_or(f64::NAN, crate::format::float);
    finding
        .number("share", share)
        .number("tg", tg)
        .number("bytes_per_token", weights.bytes_per_token)
        .number("memory_bandwidth", bandwidth)
        .number("most_active_parameters", most_active(weights, share))
        .word("basis", if weights.basis == Basis::Header { "header" } else { "claims" })
}

fn beyond(context: &Context<'_>, case: &CaseSummary, share: f64, weights: &Weights) -> Option<Finding> {
    let bandwidth = bandwidth(context, case)?;
    let tg = case.metrics.tg.as_ref()?.mean;
    let mut text = format!(
        "{}: TG of {} tok/s would need {} of the {}/s that the memory has ({})",
        context.case(case),
        fixed(tg, 1),
        percent(share),
        decimal_bytes(bandwidth),
        source(weights)
    );
    text.push_str(&if weights.basis == Basis::Claims && weights.active_parameters < weights.parameters {
        format!(
            "; at most {} parameters can be active, {} are claimed",
            billions(most_active(weights, share)),
            billions(weights.active_parameters)
        )
    } else {
        "; the bandwidth or the size is wrong".to_owned()
    });
    let finding = Finding::new(&BEYOND_BANDWIDTH, context.subject_of_case(case), text + ".");
    Some(numbers(finding, context, case, share, weights))
}

fn far_below(
    context: &Context<'_>,
    place: usize,
    case: &CaseSummary,
    share: f64,
    weights: &Weights,
) -> Option<Finding> {
    if case.metrics.tg.as_ref()?.mean > BOUND_BY_OVERHEAD {
        return None;
    }
    let possible = |share: &f64| *share <= LIMIT;
    let others: Vec<f64> = context
        .of_backend(case.backend)
        .filter(|(other, _)| *other != place)
        .filter_map(|(_, other)| other.roofline.filter(possible))
        .collect();
    if others.len() < FEWEST {
        return None;
    }
    let median = llamark_stats::median(&others)?;
    if share * FAR >= median {
        return None;
    }
    let mut text = format!(
        "{}: TG is only {} of what the memory bandwidth allows ({}), while the other {} rows of {} have a median of {}",
        context.case(case),
        percent(share),
        source(weights),
        others.len(),
        context.backend(case.backend),
        percent(median)
    );
    let whole = share * weights.parameters / weights.active_parameters;
    if weights.active_parameters < weights.parameters && whole <= LIMIT {
        text.push_str(&format!(
            "; if every parameter were read for each token, as in a dense model, it would be {}",
            percent(whole)
        ));
    }
    let finding = Finding::new(&FAR_BELOW_BANDWIDTH, context.subject_of_case(case), text + ".");
    let finding = finding.number("median_of_others", median).number("share_if_dense", whole);
    Some(numbers(finding, context, case, share, weights))
}
