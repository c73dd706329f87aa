//! LM304: load times that were read off in steps.

use super::rules::LOAD_IN_STEPS;
use super::{Context, Finding, Scope, Subject};
use crate::format::{duration_ms, float};

/// Steps that people poll in, ms; the largest that fits is said.
const STEPS_MS: [f64; 5] = [60_000.0, 30_000.0, 10_000.0, 5_000.0, 2_000.0];
/// A load time lies on a step when it is this much of a step beyond it at most: the time that polling itself took.
const SLACK: f64 = 0.15;
/// Fewest load times that are looked at: of eight, by chance all lie that close to a step in 1 of 4 million sets.
const FEWEST: usize = 8;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let loads: Vec<f64> =
        context.summary.cases.iter().filter_map(|case| Some(case.metrics.load.as_ref()?.mean)).collect();
    let on = |step: f64| loads.iter().all(|load| *load >= step && load % step <= SLACK * step);
    let Some(step) = STEPS_MS.into_iter().find(|step| loads.len() >= FEWEST && on(*step)) else {
        return Vec::new();
    };
    let mut values: Vec<String> = loads.iter().map(|load| duration_ms(*load)).collect();
    values.sort();
    values.dedup();
    let text = format!(
        "All {} load times lie on steps of {} ({} different values): two that differ by less than a step or two cannot be \
         told apart.",
        loads.len(),
        duration_ms(step),
        values.len()
    );
    let finding = Finding::new(&LOAD_IN_STEPS, Subject::set(Scope::Set), text)
        .number("step", step)
        .number("values", float(u64::try_from(loads.len()).unwrap_or(0)));
    vec![finding]
}
