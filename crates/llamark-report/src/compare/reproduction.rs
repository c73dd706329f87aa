//! Whether a repetition gives what was measured first, as one word.
//!
//! A comparison asks whether something got slower; a repetition asks whether it is the same. So that better is no better
//! here: a metric that improved was not reproduced either.

use std::collections::BTreeSet;

use llamark_record::comparison::{Cause, Comparison, MetricComparison, Verdict};
use llamark_record::environment::FieldClass;

/// Whether a repetition gives what was measured first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reproduction {
    /// Every gating metric is equivalent.
    Reproduced,
    /// Some gating metric is certainly another one, or a case that had a result has none.
    NotReproduced,
    /// Some gating metric could not be decided.
    Inconclusive,
    /// The machines differ in what makes them comparable: the numbers say something of the hardware, and nothing of the
    /// repetition.
    OtherHardware,
}

/// Whether the candidate gives what the baseline has, as far as these cases go.
pub fn reproduction(comparison: &Comparison, cases: &BTreeSet<&str>) -> Reproduction {
    let of_hardware = comparison
        .differences
        .iter()
        .any(|one| one.cause == Cause::Hardware && (one.class == FieldClass::Identity || one.declared));
    if of_hardware {
        return Reproduction::OtherHardware;
    }
    let asked = || comparison.cases.iter().filter(|case| cases.contains(case.id.as_str()));
    if asked().any(|case| case.broke) {
        return Reproduction::NotReproduced;
    }
    let gating = || {
        asked().filter(|case| case.gates).flat_map(|case| case.metrics.iter().filter(|metric| metric.gates))
    };
    let is = |wanted: &[Verdict]| gating().any(|metric: &MetricComparison| wanted.contains(&metric.verdict));
    // A case that is missing or not comparable has no metrics.
    let without = asked().any(|case| case.gates && case.metrics.is_empty());
    if is(&[Verdict::Regressed, Verdict::Improved]) {
        Reproduction::NotReproduced
    } else if without || gating().next().is_none() || gating().any(|one| one.verdict != Verdict::Equivalent) {
        Reproduction::Inconclusive
    } else {
        Reproduction::Reproduced
    }
}
