//! From the journal of a case to one number per start, and from two of these to one effect.

use std::collections::{BTreeMap, BTreeSet};

use llamark_artifact::CaseLedger;
use llamark_record::comparison::Arm;
use llamark_record::metric::{Direction, Metric};
use llamark_stats::start_level::{self, Design, Effect, blocked, start_median, unblocked};

use super::pace::has_witness;
use crate::estimate::round;
use crate::format::float;
use crate::{counted, pace};

/// More invalid runs than this share, and a case says nothing: what is left was not chosen by chance.
const MOST_INVALID: f64 = 0.2;

/// The starts of one side that count, for one metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Levels {
    /// ln of the value of each start.
    pub(super) logarithms: Vec<f64>,
    /// Which start each of these is, from 1.
    numbers: Vec<u32>,
    /// Runs of each of these that count.
    runs: Vec<u64>,
    /// Starts with too few runs.
    left_out: u64,
    /// Starts that met two machines.
    moved: u64,
}

/// The starts of a case that count, for every metric that it has.
pub(super) fn levels(case: &CaseLedger) -> BTreeMap<Metric, Levels> {
    let mut found: BTreeMap<Metric, Levels> = BTreeMap::new();
    for start in counted::starts(case).filter(|start| start.counts) {
        let has_moved = start.measured.is_some_and(pace::moved_during);
        for metric in Metric::ALL {
            let levels = found.entry(metric).or_default();
            let values = start.values(metric);
            if has_moved && has_witness(metric) && !values.is_empty() {
                levels.moved += 1;
                continue;
            }
            // Warm-up runs are not among them, so that all of these count.
            let logarithm = if metric.is_of_runs() {
                start_median(&values, 0)
            } else {
                values.first().filter(|value| **value > 0.0).map(|value| value.ln())
            };
            match logarithm.filter(|logarithm| logarithm.is_finite()) {
                Some(logarithm) => {
                    levels.logarithms.push(logarithm);
                    levels.numbers.push(start.number);
                    levels.runs.push(u64::try_from(values.len()).unwrap_or(u64::MAX));
                }
                None => levels.left_out += 1,
            }
        }
    }
    found.retain(|_, levels| !levels.logarithms.is_empty() || levels.moved > 0);
    found
}

/// [`levels`] of two cases whose starts were interleaved: without the pairs that met two machines.
pub(super) fn levels_in_turn(
    base: &CaseLedger,
    candidate: &CaseLedger,
) -> (BTreeMap<Metric, Levels>, BTreeMap<Metric, Levels>) {
    let (mut of_base, mut of_candidate) = (levels(base), levels(candidate));
    let apart = pace::apart(base, candidate);
    if !apart.is_empty() {
        for side in [&mut of_base, &mut of_candidate] {
            for levels in
                side.iter_mut().filter(|(metric, _)| has_witness(**metric)).map(|(_, levels)| levels)
            {
                levels.leave_out(&apart);
            }
        }
    }
    (of_base, of_candidate)
}

impl Levels {
    /// Without the starts of these numbers, which met two machines.
    fn leave_out(&mut self, starts: &BTreeSet<u32>) {
        let all = std::mem::take(&mut self.logarithms).into_iter();
        let all = all.zip(std::mem::take(&mut self.numbers)).zip(std::mem::take(&mut self.runs));
        for ((logarithm, number), runs) in all {
            if starts.contains(&number) {
                self.moved += 1;
            } else {
                self.logarithms.push(logarithm);
                self.numbers.push(number);
                self.runs.push(runs);
            }
        }
    }

    /// Whether some of its starts met two machines.
    pub(super) fn has_moved(&self) -> bool {
        self.moved > 0
    }

    /// For the record.
    pub(super) fn arm(&self) -> Option<Arm> {
        Some(Arm {
            value: round(start_level::estimate(&self.logarithms)?),
            starts: self.logarithms.iter().map(|logarithm| round(logarithm.exp())).collect(),
            runs: self.runs.iter().sum(),
            left_out: self.left_out + self.moved,
        })
    }

    /// The values of the starts that both sides have, in the same order.
    pub(super) fn beside(&self, other: &Self) -> (Vec<f64>, Vec<f64>) {
        let by_number: BTreeMap<u32, f64> =
            other.numbers.iter().copied().zip(other.logarithms.iter().copied()).collect();
        let both = self.numbers.iter().zip(&self.logarithms);
        both.filter_map(|(number, value)| Some((*value, *by_number.get(number)?))).unzip()
    }

    /// ln of each value with what `shift` says of its start added; without the starts that it says nothing of.
    pub(super) fn shifted(&self, shift: impl Fn(u32) -> Option<f64>) -> Vec<f64> {
        let both = self.numbers.iter().zip(&self.logarithms);
        both.filter_map(|(number, value)| Some(value + shift(*number)?)).collect()
    }

    /// Whether every start has the very same value.
    pub(super) fn agree_exactly(&self) -> bool {
        self.logarithms.windows(2).all(|pair| pair.first() == pair.last())
    }

    /// How many starts count.
    pub(super) fn starts(&self) -> usize {
        self.logarithms.len()
    }
}

/// The effect. Blocked: start i of one side ran next to start i of the other, and those that both have are compared.
/// Unblocked: one side was measured after the other, so nothing pairs them.
pub(super) fn effect(metric: Metric, design: Design, base: &Levels, candidate: &Levels) -> Option<Effect> {
    match design {
        Design::Unblocked => unblocked(&base.logarithms, &candidate.logarithms, direction(metric)),
        Design::Blocked => {
            let (a, b) = base.beside(candidate);
            blocked(&a, &b, direction(metric))
        }
    }
}

/// The direction, as the statistics know it.
pub(super) fn direction(metric: Metric) -> llamark_stats::Direction {
    match metric.direction() {
        Direction::HigherIsBetter => llamark_stats::Direction::HigherIsBetter,
        Direction::LowerIsBetter => llamark_stats::Direction::LowerIsBetter,
    }
}

/// Why so many runs of the case are invalid that it says nothing; `None` when they are few.
pub(super) fn too_many_invalid(case: &CaseLedger) -> Option<String> {
    let runs = || case.starts.values().flat_map(|start| &start.runs).filter(|run| !run.warmup);
    let (all, valid) = (runs().count(), runs().filter(|run| run.counts()).count());
    let share = |count: usize| float(u64::try_from(count).unwrap_or(u64::MAX));
    (share(all - valid) > MOST_INVALID * share(all))
        .then(|| format!("{} of {all} runs are invalid, which is more than 20 %", all - valid))
}
