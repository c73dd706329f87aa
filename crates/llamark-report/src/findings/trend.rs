//! LM203, LM204: rates that fall from run to run.

use llamark_record::metric::Metric;
use llamark_stats::Direction;
use llamark_stats::chance::at_least;

use super::rules::{FALLING, FALLING_TOGETHER};
use super::{Context, Finding, odds, title};
use crate::format::{change, fixed, float};
use crate::summary::CaseSummary;

/// Fewest runs of a start: two fall every other time.
const FEWEST_RUNS: usize = 3;
/// From this many runs on a strict fall is too much to ask, and a line through them says more.
const MANY_RUNS: usize = 5;
/// p of a line that falls, below which it is mentioned.
const CHANCE: f64 = 0.01;
/// So many falling cases come by chance less often than this, or they are not mentioned.
const CHANCE_TOGETHER: f64 = 0.05;
/// A fall from the first run to the last of less than this is not mentioned for a case.
const SMALL: f64 = 0.01;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let metrics = [Metric::Pp, Metric::Tg];
    let mut all: Vec<(f64, Finding)> = Vec::new();
    for place in 0..context.summary.cases.len() {
        all.extend(metrics.into_iter().filter_map(|metric| of_case(context, place, metric)));
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut findings: Vec<Finding> = all.into_iter().map(|(_, finding)| finding).collect();
    for backend in 0..context.summary.backends.len() {
        findings.extend(metrics.into_iter().filter_map(|metric| together(context, backend, metric)));
    }
    findings
}

/// A case that falls: from the first run to the last by how much, and how likely that is without a trend.
struct Fall {
    share: f64,
    chance: f64,
    falls: bool,
}

fn fall(starts: &[Vec<f64>]) -> Option<Fall> {
    if starts.is_empty() || starts.iter().any(|runs| runs.len() < FEWEST_RUNS) {
        return None;
    }
    let shares: Vec<f64> = starts
        .iter()
        .filter_map(|runs| Some(runs.last()? / runs.first().filter(|first| **first > 0.0)? - 1.0))
        .collect();
    let share = llamark_stats::mean(&shares)?;
    if starts.iter().all(|runs| runs.len() < MANY_RUNS) {
        let falls = starts.iter().all(|runs| runs.windows(2).all(|pair| matches!(pair, [a, b] if b < a)));
        let chance = starts
            .iter()
            .map(|runs| 1.0 / (1..=runs.len()).fold(1.0, |all, n| all * float(u64::try_from(n).unwrap_or(1))))
            .product();
        return Some(Fall { share, chance, falls });
    }
    let trend = llamark_stats::warmup::trend(starts, Direction::HigherIsBetter)?;
    // One side of two.
    let falls = trend.per_run > 0.0 && trend.p / 2.0 < CHANCE;
    Some(Fall { share, chance: CHANCE, falls })
}

fn of_case(context: &Context<'_>, place: usize, metric: Metric) -> Option<(f64, Finding)> {
    let case = context.summary.cases.get(place)?;
    let starts = context.samples(place, metric);
    let fall = fall(&starts).filter(|fall| fall.falls && fall.share < -SMALL)?;
    let runs = match starts.as_slice() {
        [runs] if runs.len() < MANY_RUNS => {
            let shown: Vec<String> =
                runs.iter().map(|run| fixed(*run, if *run < 100.0 { 2 } else { 1 })).collect();
            format!(" ({})", shown.join(", "))
        }
        _ => String::new(),
    };
    let text = format!(
        "{}: {} falls from run to run{runs}, {} from the first to the last; by chance, {} cases does.",
        context.case(case),
        title(metric),
        change(fall.share),
        odds(fall.chance)
    );
    let finding = Finding::new(&FALLING, context.subject_of_case(case), text)
        .number("change", fall.share)
        .number("chance", fall.chance)
        .word("metric", metric.name());
    Some((fall.share, finding))
}

fn together(context: &Context<'_>, backend: usize, metric: Metric) -> Option<Finding> {
    let cases = context.of_backend(backend);
    let (cases, falls): (Vec<&CaseSummary>, Vec<Fall>) =
        cases.filter_map(|(place, case)| Some((case, fall(&context.samples(place, metric))?))).unzip();
    let falling = falls.iter().filter(|fall| fall.falls).count();
    let chances: Vec<f64> = falls.iter().map(|fall| fall.chance).collect();
    let chance = at_least(falling, &chances);
    if falling < 2 || chance > CHANCE_TOGETHER {
        return None;
    }
    let largest = falls.iter().filter(|fall| fall.falls).map(|fall| fall.share).fold(0.0, f64::min);
    let text = format!(
        "{falling} of {} {} {}: {} falls from run to run, by up to {} from the first to the last (chance alone: {} for \
         so many).",
        falls.len(),
        context.backend(backend),
        Context::noun(cases.into_iter()),
        title(metric),
        change(largest),
        odds(chance)
    );
    let finding = Finding::new(&FALLING_TOGETHER, context.subject_of_backends([backend]), text)
        .number("falling", float(u64::try_from(falling).unwrap_or(0)))
        .number("of", float(u64::try_from(falls.len()).unwrap_or(0)))
        .number("chance", chance)
        .number("largest_change", largest)
        .word("metric", metric.name());
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strict_fall_of_three_comes_once_in_six() {
        let found = fall(&[vec![33.76, 32.83, 32.36]]).unwrap();
        assert!(found.falls && (found.chance - 1.0 / 6.0).abs() < 1e-12 && found.share < -0.04);
        assert!(!fall(&[vec![18.98, 18.38, 18.54]]).unwrap().falls);
        assert!(!fall(&[vec![3.0, 2.0, 1.0], vec![3.0, 2.0, 2.0]]).unwrap().falls);
        assert!(fall(&[vec![3.0, 2.0]]).is_none());
    }

    #[test]
    fn many_runs_fall_along_a_line() {
        let noisy: Vec<f64> = (0..8).map(|i| 100.0 - f64::from(i) + 0.6 * f64::from(i % 2)).collect();
        assert!(fall(&[noisy]).unwrap().falls);
        assert!(!fall(&[vec![1.0, 1.1, 1.0, 1.1, 1.0, 1.1]]).unwrap().falls);
    }
}
