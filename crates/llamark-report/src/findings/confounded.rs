//! LM401: rows of one model that differ in more than the backend.

use std::collections::BTreeSet;

use llamark_record::plan::BackendKind;

use super::rules::CONFOUNDED;
use super::{Context, Finding};
use crate::format::float;
use crate::summary::BackendSummary;

/// A setting that the processor does not share by its nature.
const OF_A_DEVICE: &str = "gpu_layers";

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let backends = &context.summary.backends;
    let pairs = (0..backends.len()).flat_map(|a| (a + 1..backends.len()).map(move |b| (a, b)));
    let mut all: Vec<(usize, Finding)> = pairs.filter_map(|(a, b)| pair(context, a, b)).collect();
    all.sort_by_key(|(differences, _)| std::cmp::Reverse(*differences));
    all.into_iter().map(|(_, finding)| finding).collect()
}

/// The settings that differ, as `mmap is true and false`, and those that only one side states.
fn differences(a: &BackendSummary, b: &BackendSummary) -> Vec<String> {
    let names: BTreeSet<&String> = a.settings_by_name.keys().chain(b.settings_by_name.keys()).collect();
    let cpu = Some(BackendKind::Cpu);
    let is_cpu = a.kind == cpu || b.kind == cpu;
    let alone = |of: &BackendSummary, name: &str, value: &str| {
        format!("{name} is stated only for {} ({value})", of.label)
    };
    let differing = names.into_iter().filter(|name| !(is_cpu && name.as_str() == OF_A_DEVICE));
    differing
        .filter_map(|name| match (a.settings_by_name.get(name), b.settings_by_name.get(name)) {
            (Some(one), Some(other)) if one == other => None,
            (Some(one), Some(other)) => Some(format!("{name} is {one} and {other}")),
            (Some(one), None) => Some(alone(a, name, one)),
            (None, Some(other)) => Some(alone(b, name, other)),
            (None, None) => None,
        })
        .collect()
}

/// How many models have numbers on both with the same prompt and shape.
fn shared(context: &Context<'_>, a: usize, b: usize) -> usize {
    let has = |section: &crate::summary::Section, backend: usize| {
        let cases = section.cases.iter().filter_map(|place| context.summary.cases.get(*place));
        cases.into_iter().any(|case| case.backend == backend && case.counts.valid > 0)
    };
    let both = context.summary.sections.iter().filter(|section| has(section, a) && has(section, b));
    both.map(|section| section.model).collect::<BTreeSet<usize>>().len()
}

fn pair(context: &Context<'_>, a: usize, b: usize) -> Option<(usize, Finding)> {
    let (one, other) = (context.summary.backends.get(a)?, context.summary.backends.get(b)?);
    // Variants of one backend by a matrix are there to differ in these settings.
    let base = |backend: &BackendSummary| backend.name.split('+').next().unwrap_or_default().to_owned();
    if base(one) == base(other) {
        return None;
    }
    let differences = differences(one, other);
    let rows = shared(context, a, b);
    if differences.is_empty() || rows == 0 {
        return None;
    }
    let count = differences.len();
    let text = format!(
        "{} and {} differ in {count} {} besides the backend: {}. A difference between their rows ({rows} {}) cannot be \
         attributed to the backend.",
        one.label,
        other.label,
        if count == 1 { "setting" } else { "settings" },
        differences.join("; "),
        if rows == 1 { "model" } else { "models" },
    );
    let finding = Finding::new(&CONFOUNDED, context.subject_of_backends([a, b]), text)
        .number("settings", float(u64::try_from(count).unwrap_or(0)))
        .number("models", float(u64::try_from(rows).unwrap_or(0)))
        .word("differences", differences.join("; "));
    Some((count, finding))
}
