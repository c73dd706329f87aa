//! Which cases can be compared: those with a result on both sides that are the same measurement.

use std::collections::BTreeMap;

use llamark_artifact::CaseLedger;
use llamark_record::comparison::{CaseComparison, Difference, Verdict};
use llamark_record::environment::FieldClass;
use llamark_record::journal::Outcome;

use super::cells::too_many_invalid;
use super::differences::touches_case;
use crate::summarize::Material;

/// A case of either set.
pub(super) enum Paired<'a> {
    /// Both have a result of the same measurement.
    Both(&'a CaseLedger, &'a CaseLedger),
    /// They cannot be compared, and this is why.
    Not(CaseComparison),
}

/// Every case of either set, by id. Cases that only the candidate has are included too.
pub(super) fn pair<'a>(
    base: Material<'a>,
    candidate: Material<'a>,
    differences: &[Difference],
) -> Vec<Paired<'a>> {
    let mut ids: BTreeMap<&str, (Option<&CaseLedger>, Option<&CaseLedger>)> = BTreeMap::new();
    for case in &base.ledger.cases {
        ids.entry(&case.case.id).or_default().0 = Some(case);
    }
    for case in &candidate.ledger.cases {
        ids.entry(&case.case.id).or_default().1 = Some(case);
    }
    let identities: Vec<&Difference> =
        differences.iter().filter(|difference| difference.class == FieldClass::Identity).collect();
    let mut paired = Vec::with_capacity(ids.len());
    for (id, sides) in ids {
        paired.push(match sides {
            (Some(a), Some(b)) => both(id, a, b, &identities),
            (Some(a), None) => {
                let gates = without_result(a).is_none();
                missing(id, "the candidate does not have this case".to_owned(), gates, false)
            }
            (None, _) => missing(id, "the baseline does not have this case".to_owned(), false, false),
        });
    }
    paired
}

fn both<'a>(
    id: &str,
    base: &'a CaseLedger,
    candidate: &'a CaseLedger,
    identities: &[&Difference],
) -> Paired<'a> {
    match (without_result(base), without_result(candidate)) {
        (None, None) => {}
        (None, Some((why, broke))) => {
            return missing(id, format!("the candidate has no result ({why})"), true, broke);
        }
        (Some((why, _)), None) => {
            return missing(id, format!("the baseline has no result ({why})"), false, false);
        }
        (Some((base, _)), Some((candidate, _))) => {
            let reason = format!("neither side has a result (baseline {base}; candidate {candidate})");
            return missing(id, reason, false, false);
        }
    }
    let mut other = identities.iter().filter(|difference| touches_case(&difference.touches, id));
    let Some(first) = other.next() else { return Paired::Both(base, candidate) };
    let more = other.count();
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let mut reason = format!(
        "{} is {} in the baseline and {} in the candidate",
        first.field,
        value(&first.base),
        value(&first.candidate)
    );
    if more > 0 {
        reason.push_str(&format!("; {more} more fields that identify the measurement differ"));
    }
    Paired::Not(without_metrics(id, Verdict::NotComparable, reason, true, false))
}

/// Why a case has no result that can be compared, and whether that is a failure; `None` when it has one.
pub(super) fn without_result(case: &CaseLedger) -> Option<(String, bool)> {
    match &case.outcome {
        Some(Outcome::Ok) => too_many_invalid(case).map(|why| (why, false)),
        Some(Outcome::Failed(failure)) => Some((format!("failed: {}", failure.detail), true)),
        Some(Outcome::Invalid { reason }) => Some((format!("invalid: {reason}"), true)),
        Some(Outcome::Skipped { reason }) => Some((format!("skipped: {reason}"), false)),
        Some(Outcome::Interrupted) | None => Some(("not finished".to_owned(), false)),
    }
}

fn missing(id: &str, reason: String, gates: bool, broke: bool) -> Paired<'static> {
    Paired::Not(without_metrics(id, Verdict::Missing, reason, gates, broke))
}

/// A case without compared metrics.
pub(super) fn without_metrics(
    id: &str,
    verdict: Verdict,
    reason: String,
    gates: bool,
    broke: bool,
) -> CaseComparison {
    let id = id.to_owned();
    CaseComparison { id, verdict, broke, gates, reason, metrics: Vec::new(), exact: Vec::new() }
}
