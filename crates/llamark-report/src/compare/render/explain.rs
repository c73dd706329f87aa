//! How a verdict came to be: the effect, the spreads, the tests, the values of the starts, and what differs around it.

use llamark_record::comparison::{Arm, CaseComparison, Comparison, Difference, MetricComparison};
use llamark_record::environment::FieldClass;
use llamark_record::metric::Metric;

use super::rows::{MOST_CASES, Shown, interval};
use super::why::sides;
use crate::compare::differences::touches_case;
use crate::format::{fixed, of_metric, percent};
use crate::terminal::wrapped;

/// Differences that are listed for one case.
const LISTED: usize = 6;

/// For a terminal.
pub(super) fn terminal(comparison: &Comparison, rows: &[Shown<'_>], width: u16) -> String {
    let title = "How it was decided (D: difference of logarithms, above zero is worse):";
    let mut out = format!("\n{}", wrapped(title, "", width));
    for row in rows.iter().take(MOST_CASES) {
        out.push_str(&wrapped(&row.case.id, "", width));
        for metric in &row.metrics {
            let mut lines = lines(comparison, metric).into_iter();
            let first = lines.next().unwrap_or_default();
            out.push_str(&wrapped(&format!("{:<5} {first}", metric.metric.name()), "  ", width));
            for line in lines {
                out.push_str(&wrapped(&line, "        ", width));
            }
        }
        for line in around(comparison, row.case) {
            out.push_str(&wrapped(&line, "  ", width));
        }
    }
    out
}

/// The numbers of a metric, as lines.
pub(super) fn lines(comparison: &Comparison, metric: &MetricComparison) -> Vec<String> {
    let mut lines = vec![first_line(metric)];
    if let Some(evidence) = metric.evidence {
        let spread = format!("s {} with {} df", log_percent(evidence.spread.s), number(evidence.spread.df));
        let own = evidence
            .own
            .map_or("unknown".to_owned(), |own| format!("{} with {} df", log_percent(own.s), number(own.df)));
        let prior = evidence.prior.map_or("too few cases to learn from".to_owned(), |prior| {
            let worth = prior.df.map_or("any number of".to_owned(), number);
            format!("typical of the cases {}, worth {worth} df", log_percent(prior.s))
        });
        let history = evidence.history.map_or_else(String::new, |history| {
            format!("; earlier starts {} with {} df", log_percent(history.s), number(history.df))
        });
        lines.push(format!("{spread}; this case alone {own}{history}; {prior}"));
        let rule = comparison.rules.metrics.iter().find(|rule| rule.metric == metric.metric);
        let (minimum, margin) = rule.map_or((0.0, 0.0), |rule| (rule.minimum, rule.margin));
        let null = if comparison.rules.sensitive {
            "no change".to_owned()
        } else {
            format!("change <= {}", percent(minimum))
        };
        lines.push(format!(
            "p ({null}): {}, adjusted {}; p (change >= {}): {}",
            probability(evidence.p),
            probability(evidence.p_adjusted),
            percent(margin),
            probability(evidence.p_not_equivalent)
        ));
    }
    for relative in &metric.relative {
        lines.push(format!(
            "the processor {} at {} of its pace during the baseline; relative to that {} (90 % {}), {}",
            relative.to.verb(),
            percent(1.0 + relative.pace),
            crate::format::change(relative.change),
            interval(relative.interval),
            relative.verdict.word()
        ));
    }
    for (side, arm) in [("baseline", &metric.base), ("candidate", &metric.candidate)] {
        if let Some(arm) = arm {
            lines.push(arm_line(side, metric.metric, arm));
        }
    }
    lines
}

fn first_line(metric: &MetricComparison) -> String {
    let mut text = metric.verdict.word().to_owned();
    if !metric.reason.is_empty() {
        text.push_str(&format!(" ({})", metric.reason));
    }
    if let Some(evidence) = metric.evidence {
        text.push_str(&format!(
            ": D {:+.5}, standard error {:.5}; 90 % interval {}",
            evidence.difference,
            evidence.standard_error,
            interval(evidence.interval)
        ));
        if let Some(selected) = evidence.selected {
            text.push_str(&format!("; adjusted for selection {}", interval(selected)));
        }
    }
    text
}

fn arm_line(side: &str, metric: Metric, arm: &Arm) -> String {
    let starts: Vec<String> = arm.starts.iter().take(20).map(|start| of_metric(metric, *start)).collect();
    let more = arm.starts.len().saturating_sub(20);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let left_out =
        if arm.left_out > 0 { format!("; {} starts left out", arm.left_out) } else { String::new() };
    format!("{side}: {} starts, {} values: {}{more}{left_out}", arm.starts.len(), arm.runs, starts.join(", "))
}

/// What differs around a case, the likeliest cause first.
pub(super) fn around(comparison: &Comparison, case: &CaseComparison) -> Vec<String> {
    let matter = |difference: &&Difference| {
        difference.class != FieldClass::Nuisance && touches_case(&difference.touches, &case.id)
    };
    let found: Vec<&Difference> = comparison.differences.iter().filter(matter).collect();
    if found.is_empty() {
        return vec!["nothing differs around it that could be a cause".to_owned()];
    }
    let mut lines: Vec<String> = found
        .iter()
        .take(LISTED)
        .enumerate()
        .map(|(place, difference)| {
            let (base, candidate) = sides(difference);
            format!("{}. {}: {} {base} -> {candidate}", place + 1, difference.cause.word(), difference.field)
        })
        .collect();
    if found.len() > LISTED {
        lines.push(format!("... and {} more", found.len() - LISTED));
    }
    lines
}

fn log_percent(s: f64) -> String {
    format!("{} %", crate::format::significant(s * 100.0, 2))
}

fn number(value: f64) -> String {
    if value.fract().abs() < 1e-9 { fixed(value, 0) } else { fixed(value, 1) }
}

fn probability(p: f64) -> String {
    if p < 0.0001 { "<0.0001".to_owned() } else { fixed(p, 4) }
}
