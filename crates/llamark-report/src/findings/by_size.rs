//! LM502: how a second backend compares with the first, by kind and size of the models.

use std::collections::BTreeSet;

use llamark_record::metric::Metric;
use llamark_stats::correlation::rank_correlation;

use super::rules::BEST_BY_SIZE;
use super::{Context, Finding, title};
use crate::format::{fixed, float};

/// Fewest models that a sentence is made of.
const FEWEST: usize = 4;
/// p below which a rank correlation is mentioned.
const CHANCE: f64 = 0.05;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let others = 1..context.summary.backends.len();
    others
        .flat_map(|other| {
            [Metric::Pp, Metric::Tg].into_iter().filter_map(move |metric| of_pair(context, other, metric))
        })
        .collect()
}

/// One model: its rate on the other backend over that on the first, its parameters, and whether it is sparse.
struct Point {
    ratio: f64,
    active: f64,
    is_sparse: bool,
}

fn points(context: &Context<'_>, other: usize, metric: Metric) -> Vec<Point> {
    let summary = context.summary;
    let mean_of = |section: &crate::summary::Section, backend: usize| {
        let cases = section.cases.iter().filter_map(|place| summary.cases.get(*place));
        cases
            .into_iter()
            .find(|case| case.backend == backend && !case.is_suspect())
            .and_then(|case| Some(case.metrics.get(metric)?.mean))
    };
    // A model counts once, whatever prompts and shapes it was measured with.
    let mut seen = BTreeSet::new();
    let firsts = summary.sections.iter().filter(|section| seen.insert(section.model));
    let points = firsts.filter_map(|section| {
        let weights = summary.models.get(section.model)?.weights.as_ref()?;
        let base = mean_of(section, 0).filter(|mean| *mean > 0.0)?;
        Some(Point {
            ratio: mean_of(section, other)? / base,
            active: weights.active_parameters,
            // The embedding table of a dense model is not read whole, so a little less than all is dense too.
            is_sparse: weights.active_parameters < 0.75 * weights.parameters,
        })
    });
    points.collect()
}

fn of_pair(context: &Context<'_>, other: usize, metric: Metric) -> Option<Finding> {
    let points = points(context, other, metric);
    if points.len() < FEWEST {
        return None;
    }
    let mut finding = Finding::new(&BEST_BY_SIZE, context.subject_of_backends([0, other]), String::new())
        .number("models", float(u64::try_from(points.len()).unwrap_or(0)))
        .word("metric", metric.name());
    let mut groups = Vec::new();
    for (is_sparse, name) in [(false, "dense"), (true, "MoE")] {
        let ratios: Vec<f64> =
            points.iter().filter(|point| point.is_sparse == is_sparse).map(|point| point.ratio).collect();
        let Some(found) = llamark_stats::describe(&ratios) else { continue };
        let models = if ratios.len() == 1 { "model" } else { "models" };
        groups.push(format!(
            "{}x for {} {name} {models} (median; {}x to {}x)",
            fixed(found.median, 2),
            ratios.len(),
            fixed(found.min, 2),
            fixed(found.max, 2)
        ));
        let key = if is_sparse { "moe" } else { "dense" };
        finding = finding.number(&format!("median_{key}"), found.median);
    }
    let mut text = format!(
        "{} of {} relative to {}: {}",
        title(metric),
        context.backend(other),
        context.backend(0),
        groups.join(", ")
    );
    let active: Vec<f64> = points.iter().map(|point| point.active).collect();
    let ratios: Vec<f64> = points.iter().map(|point| point.ratio).collect();
    if let Some((correlation, p)) = rank_correlation(&active, &ratios) {
        finding = finding.number("rank_correlation", correlation).number("p", p);
        if p < CHANCE {
            text.push_str(&format!(
                "; it {} with the active parameters (rank correlation {}, n = {}, p = {})",
                if correlation > 0.0 { "rises" } else { "falls" },
                fixed(correlation, 2),
                points.len(),
                crate::format::significant(p, 1)
            ));
        }
    }
    finding.text = text + ".";
    Some(finding)
}
