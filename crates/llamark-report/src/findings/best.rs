//! LM501: the fastest backend of a model, for pp, tg and load.

use llamark_record::metric::{Direction, Metric};

use super::rules::BEST_BACKEND;
use super::{Context, Finding, list, title};
use crate::estimate::LEVEL;
use crate::format::{change, fixed};
use crate::summary::{Estimate, Section};

/// Fewest values on each side that a test is made of.
const FEWEST: usize = 3;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    context.summary.sections.iter().filter_map(|section| of_section(context, section)).collect()
}

/// A backend with its values of a metric: those that are replicated.
struct Entry<'a> {
    label: &'a str,
    estimate: &'a Estimate,
    values: Vec<f64>,
}

/// What two sets of values say of each other.
enum Against {
    Differ,
    Tie,
    TooFew,
}

fn of_section(context: &Context<'_>, section: &Section) -> Option<Finding> {
    let mut parts = Vec::new();
    let mut finding = Finding::new(&BEST_BACKEND, context.subject_of_section(section), String::new());
    for metric in [Metric::Pp, Metric::Tg, Metric::Load] {
        let entries = entries(context, section, metric);
        let [first, second, ..] = entries.as_slice() else { continue };
        let gain = first.estimate.mean / second.estimate.mean - 1.0;
        let mut tied = vec![first.label];
        tied.extend(
            entries
                .iter()
                .skip(1)
                .take_while(|entry| matches!(against(first, entry), Against::Tie))
                .map(|entry| entry.label),
        );
        let too_few = matches!(against(first, second), Against::TooFew);
        let name = metric.name();
        let (part, verdict) = match (too_few, tied.len()) {
            (true, _) => (
                format!(
                    "{} {} ({}; too few values to say)",
                    title(metric),
                    first.label,
                    against_second(gain, second.label)
                ),
                "too_few",
            ),
            (false, 1) => (
                format!("{} {} ({})", title(metric), first.label, against_second(gain, second.label)),
                "best",
            ),
            (false, _) => (format!("{} a tie of {}", title(metric), list(&tied)), "tie"),
        };
        parts.push(part);
        finding = finding
            .number(&format!("{name}_change"), gain)
            .word(name, if verdict == "tie" { tied.join("; ") } else { first.label.to_owned() })
            .word(&format!("{name}_verdict"), verdict);
    }
    if parts.is_empty() {
        return None;
    }
    finding.text = format!("{}, fastest: {}.", context.section(section), parts.join(" · "));
    Some(finding)
}

/// By how much the best is ahead of the second: as a share, or from twice as much on as so many times.
fn against_second(gain: f64, second: &str) -> String {
    if gain >= 1.0 {
        format!("{} times that of {second}", fixed(gain + 1.0, 1))
    } else {
        format!("{} against {second}", change(gain))
    }
}

/// The backends with this metric, the best first; equal means in the order of the backends.
fn entries<'a>(context: &'a Context<'_>, section: &Section, metric: Metric) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = section
        .cases
        .iter()
        .filter_map(|place| {
            let case = context.summary.cases.get(*place).filter(|case| !case.is_suspect())?;
            let starts = context.samples(*place, metric);
            let values = match starts.as_slice() {
                [only] => only.clone(),
                _ => starts.iter().filter_map(|runs| llamark_stats::mean(runs)).collect(),
            };
            Some(Entry { label: context.backend(case.backend), estimate: case.metrics.get(metric)?, values })
        })
        .collect();
    entries.sort_by(|a, b| match metric.direction() {
        Direction::HigherIsBetter => b.estimate.mean.total_cmp(&a.estimate.mean),
        Direction::LowerIsBetter => a.estimate.mean.total_cmp(&b.estimate.mean),
    });
    entries
}

/// Welch's interval of the difference of the means: a tie when zero lies in it. Without any spread, what the document
/// rounds decides.
fn against(a: &Entry<'_>, b: &Entry<'_>) -> Against {
    if a.values.len() < FEWEST || b.values.len() < FEWEST {
        return Against::TooFew;
    }
    let rounding =
        |entry: &Entry<'_>| entry.estimate.interval.as_ref().map_or(0.0, |interval| interval.rounding);
    let is_tie = match llamark_stats::two_sample::welch(&a.values, &b.values, LEVEL) {
        Some(test) => test.interval.contains(0.0),
        None => (a.estimate.mean - b.estimate.mean).abs() <= rounding(a) + rounding(b),
    };
    if is_tie { Against::Tie } else { Against::Differ }
}
