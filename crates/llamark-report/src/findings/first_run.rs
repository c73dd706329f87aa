//! LM201, LM202: first runs that are not in the steady state.

use llamark_record::metric::Metric;
use llamark_stats::chance::at_least;
use llamark_stats::steady::without_first;

use super::rules::{FIRST_RUN_SLOW, FIRST_RUNS_SLOW};
use super::{Context, Finding, odds, title};
use crate::format::{change, float, significant};
use crate::summary::{CaseSummary, SteadyState};

/// Fewest runs of a start: of two, nobody can say which one is odd.
const FEWEST_RUNS: usize = 3;
/// So many slow first runs come by chance less often than this, or they are not mentioned.
const CHANCE: f64 = 0.05;
/// A largest effect below this is not worth a sentence about a backend.
const SMALL: f64 = 0.005;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let mut all: Vec<(f64, Finding)> = Vec::new();
    for case in &context.summary.cases {
        for (metric, steady) in [(Metric::Pp, &case.steady.pp), (Metric::Tg, &case.steady.tg)] {
            let found = steady
                .as_ref()
                .and_then(|steady| Some((steady.change, of_case(context, case, metric, steady)?)));
            all.extend(found);
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut findings: Vec<Finding> = all.into_iter().map(|(_, finding)| finding).collect();
    for backend in 0..context.summary.backends.len() {
        findings.extend(
            [Metric::Pp, Metric::Tg].into_iter().filter_map(|metric| pooled(context, backend, metric)),
        );
    }
    findings
}

fn of_case(
    context: &Context<'_>,
    case: &CaseSummary,
    metric: Metric,
    steady: &SteadyState,
) -> Option<Finding> {
    let mean = case.metrics.get(metric)?.mean;
    let which = match steady.left_out {
        1 => "run 1 is".to_owned(),
        count => format!("runs 1 to {count} are"),
    };
    let text = format!(
        "{}: {which} slower than every later {} run by more than these differ; without {}, the mean is {} instead of {} ({}).",
        context.case(case),
        title(metric),
        if steady.left_out == 1 { "it" } else { "them" },
        significant(steady.mean, 4),
        significant(mean, 4),
        change(steady.change)
    );
    let finding = Finding::new(&FIRST_RUN_SLOW, context.subject_of_case(case), text)
        .number("mean", mean)
        .number("steady_mean", steady.mean)
        .number("change", steady.change)
        .number("left_out", f64::from(steady.left_out))
        .word("metric", metric.name());
    Some(finding)
}

/// Over all starts of a backend: how often the first run is strictly the slowest, and how often chance makes it so.
fn pooled(context: &Context<'_>, backend: usize, metric: Metric) -> Option<Finding> {
    let (mut slowest, mut chances, mut cases) = (0_usize, Vec::new(), Vec::new());
    let (mut largest, mut left_out, mut warmup) = (0.0_f64, 1_u32, 0_u32);
    for (place, case) in context.of_backend(backend) {
        let starts: Vec<Vec<f64>> =
            context.samples(place, metric).into_iter().filter(|runs| runs.len() >= FEWEST_RUNS).collect();
        cases.extend((!starts.is_empty()).then_some(case));
        let mut any = false;
        for runs in &starts {
            chances.push(1.0 / float(u64::try_from(runs.len()).unwrap_or(1)));
            let is_slowest =
                matches!(runs.as_slice(), [first, rest @ ..] if rest.iter().all(|run| run > first));
            slowest += usize::from(is_slowest);
            any |= is_slowest;
        }
        if any {
            largest = largest.max(without_first(&starts, 1).unwrap_or(0.0));
        }
        let steady = if metric == Metric::Pp { &case.steady.pp } else { &case.steady.tg };
        left_out = left_out.max(steady.as_ref().map_or(1, |steady| steady.left_out));
        let planned = context.ledger.cases.get(place).map_or(0, |case| case.case.warmup);
        warmup = warmup.max(case.warm_ups.map_or(planned, |warm_ups| warm_ups.most));
    }
    let chance = at_least(slowest, &chances);
    if chances.len() < 2 || chance > CHANCE || largest < SMALL {
        return None;
    }
    let (count, noun) = (cases.len(), Context::noun(cases.into_iter()));
    let of = if chances.len() == count {
        format!("{slowest} of {count} {} {noun}", context.backend(backend))
    } else {
        format!("{slowest} of {} starts of {count} {} {noun}", chances.len(), context.backend(backend))
    };
    let mean_chance = llamark_stats::mean(&chances)?;
    let text = format!(
        "{of}: run 1 is the slowest {} run (chance alone: {} each, {} for so many); leaving it out moves a mean by up to \
         {}. Warm up with at least {} runs instead of {warmup}.",
        title(metric),
        odds(mean_chance),
        odds(chance),
        change(largest),
        warmup + left_out
    );
    let finding = Finding::new(&FIRST_RUNS_SLOW, context.subject_of_backends([backend]), text)
        .number("slowest", float(u64::try_from(slowest).unwrap_or(0)))
        .number("of", float(u64::try_from(chances.len()).unwrap_or(0)))
        .number("chance", chance)
        .number("largest_change", largest)
        .number("warmup", f64::from(warmup))
        .number("recommended_warmup", f64::from(warmup + left_out))
        .word("metric", metric.name());
    Some(finding)
}
