//! The rules that are compared: what others do on pooled runs, and ours on starts.

use llamark_stats::rank::mann_whitney;
use llamark_stats::start_level::{blocked, start_medians, unblocked};
use llamark_stats::two_sample::welch;
use llamark_stats::verdict::{Cell, Decision, Retest, Rules, Sensitivity, Verdict, confirm, decide};
use llamark_stats::{Direction, Effect, mean, standard_deviation};

use super::WARMUP;
use super::noise::{BACKENDS, METRICS};

/// What a rule says of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Slower.
    Slower,
    /// Faster.
    Faster,
    /// Nothing was called; ours: shown to be within the margin.
    Equivalent,
    /// Nothing was called.
    Nothing,
}

/// The rules, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// mean ± standard deviation of the runs do not overlap.
    MeanSd,
    /// The mean moved by more than 5 %.
    FivePercent,
    /// Welch's test on all runs, p < 0.05.
    Welch,
    /// benchstat: the Mann–Whitney U test on all runs, p <= 0.05.
    UTest,
    /// Ours with `--sensitive`.
    Sensitive,
    /// Ours.
    Standard,
    /// Ours with a noise file of ten starts.
    History,
    /// The same, then `--confirm`: five fresh interleaved starts of what was suspected or called slower.
    Confirmed,
}

impl Rule {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 8] = [
        Self::MeanSd,
        Self::FivePercent,
        Self::Welch,
        Self::UTest,
        Self::Sensitive,
        Self::Standard,
        Self::History,
        Self::Confirmed,
    ];

    /// The name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MeanSd => "mean ± sd apart",
            Self::FivePercent => "mean moved by > 5 %",
            Self::Welch => "Welch, runs pooled",
            Self::UTest => "benchstat's U test",
            Self::Sensitive => "llamark --sensitive",
            Self::Standard => "llamark",
            Self::History => "llamark, noise file",
            Self::Confirmed => "llamark, noise file, --confirm",
        }
    }
}

/// Smallest and largest U of two samples of `n` without ties that benchstat does not call.
///
/// p depends on U alone when there are no ties, so that it is asked for once for each U and not for each cell.
pub(crate) struct QuietU {
    low: usize,
    high: usize,
}

impl QuietU {
    /// For samples of `n` each.
    pub(crate) fn new(n: usize) -> Self {
        let quiet = |u: usize| {
            // `whole` values of a lie above all of b, one above `rest` of them, the others below.
            let (whole, rest) = (u / n, u % n);
            let b: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let above = |i: usize| if i < whole { (n + i) as f64 } else { -1.0 - i as f64 };
            let mut a: Vec<f64> = (0..n).map(above).collect();
            if rest > 0 {
                a[whole] = rest as f64 - 0.5;
            }
            mann_whitney(&a, &b).is_none_or(|test| test.u_a != u as f64 || test.p > 0.05)
        };
        let low = (0..=n * n / 2).find(|u| quiet(*u)).unwrap_or(0);
        Self { low, high: n * n - low }
    }

    fn call(&self, a: &mut [f64], b: &mut [f64]) -> Call {
        a.sort_by(f64::total_cmp);
        b.sort_by(f64::total_cmp);
        let (mut below, mut u) = (0, 0);
        for value in a {
            while below < b.len() && b[below] < *value {
                below += 1;
            }
            u += below;
        }
        // U counts pairs in which the baseline is faster.
        if u > self.high {
            Call::Slower
        } else if u < self.low {
            Call::Faster
        } else {
            Call::Nothing
        }
    }
}

/// What the rules of others say of one cell, in the order of [`Rule::ALL`].
pub(crate) fn of_others(a: &[Vec<f64>], b: &[Vec<f64>], quiet: &QuietU) -> Option<[Call; 4]> {
    let (mut a, mut b): (Vec<f64>, Vec<f64>) = (a.concat(), b.concat());
    let (mean_a, mean_b) = (mean(&a)?, mean(&b)?);
    let changed = |changed: bool| match (changed, mean_b < mean_a) {
        (true, true) => Call::Slower,
        (true, false) => Call::Faster,
        (false, _) => Call::Nothing,
    };
    let spread = standard_deviation(&a)? + standard_deviation(&b)?;
    Some([
        changed((mean_b - mean_a).abs() > spread),
        changed((mean_b / mean_a - 1.0).abs() > 0.05),
        changed(welch(&a, &b, 0.95)?.p < 0.05),
        quiet.call(&mut a, &mut b),
    ])
}

/// The effect of one cell, as a diff of two sets computes it, or of interleaved fresh starts.
pub(crate) fn effect(a: &[Vec<f64>], b: &[Vec<f64>], interleaved: bool) -> Option<Effect> {
    let of = if interleaved { blocked } else { unblocked };
    of(&start_medians(a, WARMUP)?, &start_medians(b, WARMUP)?, Direction::HigherIsBetter)
}

/// A cell as the procedure sees it. `index` is twice the case, plus one for tg.
pub(crate) fn cell(index: usize, effect: Effect, history: (f64, u32)) -> Cell<'static> {
    Cell {
        backend: BACKENDS[(index / 2) % BACKENDS.len()],
        metric: METRICS[index % 2],
        gating: true,
        effect,
        history,
        minimum: llamark_stats::estimate::MINIMUM_THROUGHPUT,
        least_estimate: 1.02_f64.ln(),
        margin: llamark_stats::estimate::MARGIN,
    }
}

/// What the procedure says.
pub(crate) fn call(verdict: Verdict) -> Call {
    match verdict {
        Verdict::Regressed => Call::Slower,
        Verdict::Improved => Call::Faster,
        Verdict::Equivalent => Call::Equivalent,
        Verdict::Suspect | Verdict::Inconclusive => Call::Nothing,
    }
}

/// `--sensitive`: no minimum in the test, and an estimate of at least 2 %.
pub(crate) fn sensitive() -> Rules {
    Rules { sensitivity: Sensitivity::Estimate, ..Rules::STANDARD }
}

/// Screens, then decides on suspects and regressions from fresh starts that `measure` makes.
pub(crate) fn confirmed(
    cells: &[Cell<'_>],
    screened: &[Decision],
    mut measure: impl FnMut(usize) -> Option<Effect>,
) -> Option<Vec<Call>> {
    let pools = llamark_stats::pools::Pools::learn(cells);
    let mut calls: Vec<Call> = screened.iter().map(|decision| call(decision.verdict)).collect();
    let again = |decision: &Decision| matches!(decision.verdict, Verdict::Suspect | Verdict::Regressed);
    let places: Vec<usize> = (0..cells.len()).filter(|place| again(&screened[*place])).collect();
    let mut retests = Vec::new();
    for place in &places {
        let cell = &cells[*place];
        let fresh = Cell { effect: measure(*place)?, history: (0.0, 0), ..cell.clone() };
        retests.push(Retest {
            screened: Some(cell.effect.difference),
            fresh: pools.estimate(&fresh)?,
            minimum: cell.minimum,
            margin: cell.margin,
        });
    }
    for (place, retested) in places.iter().zip(confirm(&retests, 0.05)?) {
        calls[*place] = call(retested.verdict);
    }
    Some(calls)
}

/// What the procedure says of every cell.
pub(crate) fn ours(cells: &[Cell<'_>], rules: &Rules) -> Vec<Call> {
    decide(cells, rules).iter().map(|decision| call(decision.verdict)).collect()
}
