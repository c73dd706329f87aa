//! Was it the machine? What was measured, compared with how fast the processor itself was.
//!
//! Two sets that were measured one after the other met two states of the machine: somebody else computes during the
//! second, a clock is lower, a limit of power bites. Where the processor computes, each start has the pace of the
//! processor before and after it. So each rate is judged twice: as it was measured, and relative to the pace; and a
//! change is called only if both show it. No number is corrected by it: what is shown is what was measured.
//!
//! How fast threads come together is a witness of another kind: no rate is proportional to it, but cores that lie further apart
//! (a virtual machine is moved from some to others) are another machine. Where that changed, what changed with it is suspect.
//!
//! Interleaved starts need neither, since drift moves both sides. Those that met two machines are left out of both
//! kinds of comparison before that (`cells.rs`).

use std::collections::BTreeMap;

use llamark_artifact::CaseLedger;
use llamark_record::comparison::{
    CaseComparison, Cause, Caveat, CaveatCode, Difference, MetricComparison, PaceKind, Relative, Rules,
    Verdict,
};
use llamark_record::environment::FieldClass;
use llamark_record::metric::Metric;
use llamark_stats::Direction;
use llamark_stats::estimate::{Estimate, MINIMUM_THROUGHPUT};
use llamark_stats::shrink::Variance;
use llamark_stats::start_level::{Design, Effect, unblocked};
use llamark_stats::verdict;

use super::cells::{Levels, direction};
use super::differences::touches_case;
use super::judge::{self, Open, Pairs, change, change_interval, conclude, word};
use crate::estimate::round;
use crate::format;
use crate::pace::Paces;

/// The kinds of work that what a metric tells is bound by. Those of generation are bound by memory, and by whatever takes the
/// processor away.
fn witnesses(metric: Metric) -> &'static [PaceKind] {
    match metric {
        Metric::Pp | Metric::Ttft | Metric::TtftP95 | Metric::TtftP99 => &[PaceKind::Compute],
        Metric::Tg | Metric::TgStream | Metric::Itl | Metric::ItlP95 | Metric::ItlP99 => {
            &[PaceKind::Compute, PaceKind::Memory]
        }
        Metric::Load
        | Metric::Rss
        | Metric::Vram
        | Metric::Gtt
        | Metric::EnergyPrefill
        | Metric::EnergyDecode => &[],
    }
}

/// Whether the pace of the processor says something of it.
pub(super) fn has_witness(metric: Metric) -> bool {
    !witnesses(metric).is_empty()
}

/// The paces of both sides of each pair, by its place; where there are both, of as many threads.
fn of_pairs(pairs: &Pairs<'_>, kind: PaceKind) -> BTreeMap<usize, [Paces; 2]> {
    let both = |(place, (base, candidate)): (usize, &(&CaseLedger, &CaseLedger))| {
        let paces = [Paces::of(base, kind)?, Paces::of(candidate, kind)?];
        (paces[0].threads == paces[1].threads).then_some((place, paces))
    };
    pairs.cases.iter().enumerate().filter_map(both).collect()
}

/// What a change of how fast threads come together must exceed to be another machine: ln 1.1.
const ANOTHER_MACHINE: f64 = 0.095_310_179_804_324_87;

/// Whether what was changed between the sets, as far as it has to do with a case, is the machine that it was computed
/// on: then its pace is not a witness, but a part of what is compared.
fn is_treated(differences: &[Difference], case: &str) -> bool {
    differences.iter().any(|difference| {
        let of_machine =
            matches!(difference.cause, Cause::Driver | Cause::Kernel | Cause::Power | Cause::Hardware);
        // The pace is that of the processor, and so is what it is a witness of.
        let of_gpu = difference.field.starts_with("host.gpu.");
        let matters = difference.class != FieldClass::Nuisance && touches_case(&difference.touches, case);
        matters && of_machine && !of_gpu
    })
}

/// Holds every metric that has a witness against it, and makes suspect what would be called changed and is not relative to the
/// pace. The cases are in the order of the pairs.
pub(super) fn apply(
    cases: &mut [CaseComparison],
    pairs: &Pairs<'_>,
    differences: &[Difference],
    by: &Rules,
) -> Vec<Caveat> {
    // Another version of llamark may do other work.
    let is_other_work = differences.iter().any(|difference| difference.field == "llamark");
    if pairs.design == Design::Blocked || is_other_work {
        return Vec::new();
    }
    let mut caveats = Vec::new();
    // Of the cases as they were measured: opened once, and only where there is a witness.
    let open = std::cell::LazyCell::new(|| judge::open(pairs, by));
    for kind in PaceKind::ALL {
        let mut paces = of_pairs(pairs, kind);
        caveats.extend(caveat(kind, &paces, by));
        paces.retain(|place, _| {
            pairs.cases.get(*place).is_some_and(|(case, _)| !is_treated(differences, &case.case.id))
        });
        match kind {
            _ if paces.is_empty() => {}
            PaceKind::Compute | PaceKind::Memory => hold_against(kind, &paces, cases, &open, by),
            PaceKind::Sync => excuse(kind, &paces, cases, by),
        }
    }
    cases.iter_mut().filter(|case| !case.metrics.is_empty()).for_each(conclude);
    caveats
}

fn hold_against(
    kind: PaceKind,
    paces: &BTreeMap<usize, [Paces; 2]>,
    cases: &mut [CaseComparison],
    measured: &[Open<'_>],
    by: &Rules,
) {
    let mut held = Vec::new();
    let mut open = Vec::with_capacity(measured.len());
    // The family stays whole: what has no witness stands in it as it was measured.
    for one in measured.iter().cloned() {
        let found = paces.get(&one.case).filter(|_| witnesses(one.metric).contains(&kind));
        match found.and_then(|paces| Some((relative(&one, paces)?, pace_change(paces)?))) {
            Some((effect, pace)) => {
                held.push((open.len(), pace));
                open.push(one.with_effect(effect));
            }
            None => open.push(one),
        }
    }
    let decided = judge::decided(&open, by);
    for (place, pace) in held {
        let found = open.get(place).zip(decided.get(place).copied().flatten());
        let Some((one, decision)) = found else { continue };
        let Some(found) = decision.evidence else { continue };
        let relative = Relative {
            to: kind,
            pace: round(pace),
            change: round(change(one.metric, found.estimate.difference)),
            interval: change_interval(one.metric, &found.interval),
            verdict: word(decision.verdict),
        };
        let metrics = cases.get_mut(one.case).map(|case| &mut case.metrics);
        if let Some(metric) = metrics.into_iter().flatten().find(|metric| metric.metric == one.metric) {
            hear(metric, relative, decision.verdict);
        }
    }
}

/// Makes suspect what would be called changed where the machine became another one, and moved the same way.
fn excuse(kind: PaceKind, paces: &BTreeMap<usize, [Paces; 2]>, cases: &mut [CaseComparison], by: &Rules) {
    for (place, [base, candidate]) in paces {
        let slowing = slowing(base, candidate).and_then(|effect| estimate(&effect));
        let Some(moved) = slowing else { continue };
        if moved.p_beyond(ANOTHER_MACHINE).is_none_or(|p| p > by.alpha) {
            continue;
        }
        let excused = if moved.difference > 0.0 { Verdict::Regressed } else { Verdict::Improved };
        let metrics = cases.get_mut(*place).map(|case| &mut case.metrics);
        let of_runs = metrics.into_iter().flatten().filter(|metric| has_witness(metric.metric));
        for metric in of_runs.filter(|metric| metric.verdict == excused) {
            metric.reason =
                format!("{}: it was not the same machine", sentence(kind, faster(moved.difference)));
            metric.verdict = Verdict::Suspect;
        }
    }
}

/// How much longer the same work took during the candidate.
fn slowing(base: &Paces, candidate: &Paces) -> Option<Effect> {
    unblocked(&base.times(), &candidate.times(), Direction::LowerIsBetter)
}

/// With the variance of its own starts.
fn estimate(effect: &Effect) -> Option<Estimate> {
    Estimate::new(effect, &Variance::from_squares(effect.sum_of_squares, effect.df)?)
}

/// As a share: how much faster it was, of how much longer it took in logarithms.
fn faster(slower: f64) -> f64 {
    (-slower).exp_m1()
}

/// The effect on values as they would be, had the processor been as fast for each start.
fn relative(open: &Open<'_>, [of_base, of_candidate]: &[Paces; 2]) -> Option<Effect> {
    let direction = direction(open.metric);
    let shifted = |levels: &Option<Levels>, paces: &Paces| {
        // The longer its own work took, the less a rate is to blame.
        let shift = |start: u32| {
            let pace = *paces.by_start.get(&start)?;
            Some(if direction == Direction::HigherIsBetter { pace } else { -pace })
        };
        Some(levels.as_ref()?.shifted(shift))
    };
    unblocked(&shifted(&open.base, of_base)?, &shifted(&open.candidate, of_candidate)?, direction)
}

/// How much faster the processor was for the candidate, as a share.
fn pace_change([base, candidate]: &[Paces; 2]) -> Option<f64> {
    let [base, candidate] = [base, candidate].map(|paces| llamark_stats::mean(&paces.times()));
    Some(faster(candidate? - base?))
}

/// What the witness changes of a verdict.
fn hear(metric: &mut MetricComparison, relative: Relative, of_witness: verdict::Verdict) {
    if measured(metric.verdict).is_some_and(|measured| verdict::contradicts(measured, of_witness)) {
        metric.reason = format!(
            "the processor itself {} during the candidate; relative to that, the change is {} ({})",
            by_how_much(relative.to, relative.pace),
            format::change(relative.change),
            format::change_interval(relative.interval.low, relative.interval.high)
        );
        metric.verdict = Verdict::Suspect;
    }
    metric.relative.push(relative);
}

/// A verdict of the procedure; `None` for those that are not.
fn measured(verdict: Verdict) -> Option<verdict::Verdict> {
    match verdict {
        Verdict::Regressed => Some(verdict::Verdict::Regressed),
        Verdict::Improved => Some(verdict::Verdict::Improved),
        Verdict::Suspect => Some(verdict::Verdict::Suspect),
        Verdict::Equivalent => Some(verdict::Verdict::Equivalent),
        Verdict::Inconclusive => Some(verdict::Verdict::Inconclusive),
        Verdict::NotComparable | Verdict::Missing => None,
    }
}

fn sentence(kind: PaceKind, pace: f64) -> String {
    format!("the processor itself {} during the candidate", by_how_much(kind, pace))
}

/// `computed 19 % slower`.
fn by_how_much(kind: PaceKind, pace: f64) -> String {
    let word = if pace < 0.0 { "slower" } else { "faster" };
    format!("{} {} {word}", kind.verb(), format::percent(pace.abs()))
}

/// That the processor itself was not as fast for one set as for the other, over all starts that are compared.
fn caveat(kind: PaceKind, paces: &BTreeMap<usize, [Paces; 2]>, by: &Rules) -> Option<Caveat> {
    // Case by case, each with the weight of its starts: those of one may be of more threads than those of another, and work longer.
    let effects: Vec<Effect> =
        paces.values().filter_map(|[base, candidate]| slowing(base, candidate)).collect();
    let first = effects.first()?;
    let weight: f64 = effects.iter().map(|effect| 1.0 / effect.c).sum();
    let pooled = Effect {
        difference: effects.iter().map(|effect| effect.difference / effect.c).sum::<f64>() / weight,
        sum_of_squares: effects.iter().map(|effect| effect.sum_of_squares).sum(),
        df: effects.iter().map(|effect| effect.df).fold(0, u32::saturating_add),
        c: 1.0 / weight,
        ..*first
    };
    let moved = estimate(&pooled)?;
    let minimum = if kind == PaceKind::Sync { ANOTHER_MACHINE } else { MINIMUM_THROUGHPUT };
    if moved.p_beyond(minimum)? > by.alpha {
        return None;
    }
    let interval = moved.interval(1.0 - 2.0 * by.alpha)?;
    let text = format!(
        "{} ({}), timed with the same work before and after each start",
        sentence(kind, faster(moved.difference)),
        format::change_interval(faster(interval.high), faster(interval.low))
    );
    Some(Caveat { code: CaveatCode::OtherPace, text })
}
