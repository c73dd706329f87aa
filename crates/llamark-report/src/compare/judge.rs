//! From pairs of cases to verdicts: the procedure of `llamark_stats` over all of them at once, a family at a time.
//!
//! The metrics that gate and those that do not are two families, apart in everything: a noisy load time neither costs
//! throughput its significance nor lends it its variance.

use llamark_artifact::CaseLedger;
use llamark_record::comparison::{
    CaseComparison, Evidence, Interval, MetricComparison, MetricRule, Prior, Rules, Spread, Verdict,
};
use llamark_record::metric::{Direction, Metric};
use llamark_record::noise::Squares;
use llamark_stats::estimate::FEWEST_STARTS;
use llamark_stats::start_level::{Design, Effect, relative};
use llamark_stats::verdict::{self, Cell, Decision};
use rayon::prelude::*;

use super::cells::{Levels, direction, effect, levels, levels_in_turn};
use super::noise::History;
use super::{exact, pairing, rules};
use crate::counted;
use crate::estimate::round;

/// One metric of one pair, before it is decided.
#[derive(Clone)]
pub(super) struct Open<'a> {
    /// Place of the case in the list of pairs.
    pub(super) case: usize,
    pub(super) id: &'a str,
    backend: &'a str,
    pub(super) metric: Metric,
    rule: MetricRule,
    pub(super) base: Option<Levels>,
    pub(super) candidate: Option<Levels>,
    pub(super) effect: Option<Effect>,
    design: Design,
    /// Of earlier starts on this machine.
    history: Option<Squares>,
}

/// Pairs of cases, and how their starts relate.
pub(super) struct Pairs<'a> {
    pub(super) cases: Vec<(&'a CaseLedger, &'a CaseLedger)>,
    pub(super) design: Design,
    pub(super) history: History<'a>,
}

/// Verdicts on every metric of these pairs, in their order.
pub(super) fn judge(pairs: &Pairs<'_>, by: &Rules) -> Vec<CaseComparison> {
    let open = open(pairs, by);
    let decided = decided(&open, by);
    let mut cases: Vec<CaseComparison> =
        pairs.cases.par_iter().map(|(base, candidate)| empty(base, candidate)).collect();
    let compared: Vec<(usize, MetricComparison)> = open
        .into_par_iter()
        .zip(decided)
        .map(|(open, decision)| (open.case, compared(&open, decision.as_ref())))
        .collect();
    for (case, compared) in compared {
        if let Some(case) = cases.get_mut(case) {
            case.metrics.push(compared);
        }
    }
    for case in &mut cases {
        conclude(case);
    }
    cases
}

/// What the procedure says of each; nothing where values are compared as they are, or there are none.
pub(super) fn decided(open: &[Open<'_>], by: &Rules) -> Vec<Option<Decision>> {
    let mut decided: Vec<Option<Decision>> = vec![None; open.len()];
    let (gating, other) = rayon::join(|| family(open, by, true), || family(open, by, false));
    for (place, decision) in gating.into_iter().chain(other) {
        if let Some(slot) = decided.get_mut(place) {
            *slot = Some(decision);
        }
    }
    decided
}

/// Every metric of these pairs, undecided.
pub(super) fn open<'a>(pairs: &Pairs<'a>, by: &Rules) -> Vec<Open<'a>> {
    let of_case = |(case, (base, candidate)): (usize, &(&'a CaseLedger, &'a CaseLedger))| {
        let mut open = Vec::new();
        let (mut of_base, mut of_candidate) = match pairs.design {
            Design::Unblocked => (levels(base), levels(candidate)),
            Design::Blocked => levels_in_turn(base, candidate),
        };
        for metric in Metric::ALL {
            let (a, b) = (of_base.remove(&metric), of_candidate.remove(&metric));
            let rule = rules::rule(by, metric);
            let is_nowhere = a.is_none() && b.is_none();
            if is_nowhere
                && (!rule.gates || [base, candidate].into_iter().all(|case| cannot_have(case, metric)))
            {
                continue;
            }
            let effect = a.as_ref().zip(b.as_ref()).and_then(|(a, b)| effect(metric, pairs.design, a, b));
            let (id, backend) = (base.case.id.as_str(), base.case.backend.as_str());
            let history = pairs.history.of(&base.case, metric, pairs.design);
            let design = pairs.design;
            open.push(Open {
                case,
                id,
                backend,
                metric,
                rule,
                base: a,
                candidate: b,
                effect,
                design,
                history,
            });
        }
        open
    };
    pairs.cases.par_iter().enumerate().flat_map_iter(of_case).collect()
}

/// Whether a case has none of a metric by what it is, so that nothing is missing: a test of llama-bench is of the prompt or of the
/// generation, and a single token follows no other.
fn cannot_have(case: &CaseLedger, metric: Metric) -> bool {
    let is_stated = !case.stated.is_empty();
    let has_a_value = || !counted::samples(case, metric).is_empty();
    if is_stated { !has_a_value() } else { metric.is_of_generation() && case.case.max_tokens < 2 }
}

/// What is decided on the metrics that gate, or on the others, by their places.
fn family(open: &[Open<'_>], by: &Rules, gating: bool) -> Vec<(usize, Decision)> {
    let mut places = Vec::new();
    let mut cells = Vec::new();
    for (place, one) in open.iter().enumerate() {
        if let Some(cell) = one.cell().filter(|cell| cell.gating == gating) {
            places.push(place);
            cells.push(cell);
        }
    }
    let found = verdict::decide(&cells, &rules::of_statistics(by));
    places.into_iter().zip(found).collect()
}

impl<'a> Open<'a> {
    /// For the statistics; `None` where there is no effect, or values are compared as they are.
    pub(super) fn cell(&self) -> Option<Cell<'a>> {
        let effect = self.effect.filter(|_| !self.is_exact())?;
        Some(Cell {
            backend: self.backend,
            metric: self.metric.name(),
            gating: self.rule.gates,
            effect,
            history: self.history.map_or((0.0, 0), |squares| (squares.sum, squares.df)),
            minimum: self.rule.minimum.ln_1p(),
            least_estimate: self.rule.least_estimate.unwrap_or(self.rule.minimum).ln_1p(),
            margin: self.rule.margin.ln_1p(),
        })
    }

    /// The same with another effect that has no history.
    pub(super) fn with_effect(self, effect: Effect) -> Self {
        Self { effect: Some(effect), history: None, ..self }
    }

    /// Whether the values are deterministic: bytes that every start of a side agrees on. Then they are compared as they
    /// are.
    fn is_exact(&self) -> bool {
        let agrees = |side: &Option<Levels>| {
            side.as_ref().is_some_and(|side| side.starts() >= FEWEST && side.agree_exactly())
        };
        self.metric.unit() == "bytes" && agrees(&self.base) && agrees(&self.candidate)
    }
}

const FEWEST: usize = FEWEST_STARTS as usize;

fn compared(open: &Open<'_>, decision: Option<&Decision>) -> MetricComparison {
    let (verdict, reason) = match (&open.base, &open.candidate, open.effect) {
        (Some(_), Some(_), Some(effect)) => match decision {
            None => exact_verdict(effect.difference, &open.rule),
            Some(decision) => (word(decision.verdict), why(decision, &effect)),
        },
        (Some(_), None, _) => (Verdict::Missing, no_value(open.metric, "the candidate")),
        (None, None, _) => (Verdict::Missing, no_value(open.metric, "neither side")),
        (None, Some(_), _) => (Verdict::Missing, no_value(open.metric, "the baseline")),
        (Some(a), Some(b), None) if a.has_moved() || b.has_moved() => (
            Verdict::Inconclusive,
            "no usable start is left: the machine moved to other cores during all of them".to_owned(),
        ),
        (Some(a), Some(b), None) if open.design == Design::Blocked && a.beside(b).0.is_empty() => {
            (Verdict::Inconclusive, "no start counts on both sides, so there is no pair".to_owned())
        }
        (Some(_), Some(_), None) => (Verdict::Inconclusive, "its values are not positive numbers".to_owned()),
    };
    MetricComparison {
        metric: open.metric,
        gates: open.rule.gates,
        verdict,
        reason,
        base: open.base.as_ref().and_then(Levels::arm),
        candidate: open.candidate.as_ref().and_then(Levels::arm),
        change: open.effect.map(|effect| round(change(open.metric, effect.difference))),
        evidence: decision.and_then(|decision| evidence(open, decision)),
        accepted: None,
        doubted: false,
        confirmation: None,
        relative: Vec::new(),
    }
}

fn exact_verdict(difference: f64, rule: &MetricRule) -> (Verdict, String) {
    let verdict = if difference.abs() <= rule.margin.ln_1p() {
        Verdict::Equivalent
    } else if difference > 0.0 {
        Verdict::Regressed
    } else {
        Verdict::Improved
    };
    (verdict, "all starts of a side agree to the byte, so the values were compared as they are".to_owned())
}

pub(super) fn word(verdict: verdict::Verdict) -> Verdict {
    match verdict {
        verdict::Verdict::Regressed => Verdict::Regressed,
        verdict::Verdict::Improved => Verdict::Improved,
        verdict::Verdict::Suspect => Verdict::Suspect,
        verdict::Verdict::Equivalent => Verdict::Equivalent,
        verdict::Verdict::Inconclusive => Verdict::Inconclusive,
    }
}

/// Why nothing final can be said, where it is not the size of the noise.
fn why(decision: &Decision, effect: &Effect) -> String {
    let is_open = matches!(decision.verdict, verdict::Verdict::Suspect | verdict::Verdict::Inconclusive);
    let (one, two) = match effect.design {
        Design::Unblocked => ("one start on a side", "two starts on a side"),
        Design::Blocked => ("one pair of starts", "two pairs of starts"),
    };
    if !is_open {
        String::new()
    } else if effect.starts == 1 && decision.evidence.is_some() {
        format!("{one}, plus the noise of earlier starts on this machine: no verdict is final")
    } else if effect.starts == 1 {
        format!("{one}: between-start noise unknown")
    } else if effect.starts < FEWEST_STARTS {
        format!("{two}: no verdict is final below three")
    } else if decision.evidence.is_none() {
        "the starts agree exactly: the noise is unknown".to_owned()
    } else {
        String::new()
    }
}

fn no_value(metric: Metric, side: &str) -> String {
    let verb = if side.starts_with("neither") { "has" } else { "lacks" };
    if metric.is_of_runs() {
        format!("{side} {verb} a start with two valid runs")
    } else {
        format!("{side} {verb} a value for it")
    }
}

/// Candidate over base, less one, of a worsening in logarithms.
pub fn change(metric: Metric, difference: f64) -> f64 {
    match metric.direction() {
        Direction::HigherIsBetter => (-difference).exp_m1(),
        Direction::LowerIsBetter => difference.exp_m1(),
    }
}

/// The worsening in logarithms of a candidate over base, less one: what [`change`] is of.
pub(super) fn difference(metric: Metric, change: f64) -> f64 {
    match metric.direction() {
        Direction::HigherIsBetter => -change.ln_1p(),
        Direction::LowerIsBetter => change.ln_1p(),
    }
}

/// The interval of a worsening in logarithms as one of the change.
pub(super) fn change_interval(metric: Metric, interval: &llamark_stats::Interval) -> Interval {
    let (a, b) = (change(metric, interval.low), change(metric, interval.high));
    Interval { low: round(a.min(b)), high: round(a.max(b)), level: round(interval.level) }
}

fn evidence(open: &Open<'_>, decision: &Decision) -> Option<Evidence> {
    let found = decision.evidence?;
    let effect = open.effect?;
    let spread = |s_squared: f64, df: f64| Spread { s: round(s_squared.sqrt()), df: round(df) };
    let interval = |interval| change_interval(open.metric, interval);
    let own = effect.own_variance().filter(|own| *own > 0.0);
    Some(Evidence {
        difference: round(found.estimate.difference),
        standard_error: round(found.estimate.standard_error),
        spread: spread(found.variance.s_squared, found.variance.df),
        history: open
            .history
            .and_then(|squares| Some(spread(squares.deviation()?.powi(2), f64::from(squares.df)))),
        own: own.map(|own| spread(own, f64::from(effect.df))),
        prior: found.prior.map(|prior| Prior {
            s: round(prior.s_squared.sqrt()),
            df: Some(prior.df).filter(|df| df.is_finite()).map(round),
        }),
        p: round(found.p),
        p_adjusted: round(found.p_adjusted),
        p_not_equivalent: round(found.p_not_equivalent),
        interval: interval(&found.interval),
        selected: found.selected_interval.as_ref().map(interval),
        detectable: found.detectable.map(|d| round(relative(d, direction(open.metric)))),
        starts_needed: found.starts_needed,
    })
}

fn empty(base: &CaseLedger, candidate: &CaseLedger) -> CaseComparison {
    let exact = exact::differences(base, candidate);
    let case = pairing::without_metrics(&base.case.id, Verdict::Missing, String::new(), true, false);
    CaseComparison { exact, ..case }
}

/// The candidate computes the wrong thing, as `fault` says: what would be called improved is suspect, and what would be called
/// equivalent too, unless the baseline was as wrong. A regression stays one.
pub(super) fn doubt(case: &mut CaseComparison, fault: &str, was_wrong: bool) {
    for metric in &mut case.metrics {
        let is_doubted = match metric.verdict {
            Verdict::Improved => true,
            Verdict::Equivalent => !was_wrong,
            _ => false,
        };
        if is_doubted {
            metric.verdict = Verdict::Suspect;
            metric.doubted = true;
            metric.reason = format!("the candidate is suspect: {fault}");
        }
    }
    conclude(case);
}

/// The verdict of a case: the worst of the metrics that gate.
pub(super) fn conclude(case: &mut CaseComparison) {
    let gating = case.metrics.iter().filter(|metric| metric.gates);
    match gating.map(|metric| metric.verdict).min() {
        Some(verdict) => case.verdict = verdict,
        None => "no gating metric has a value".clone_into(&mut case.reason),
    }
}
