//! What is fast and wrong is not an improvement: the verdicts of cases whose candidate's canary is wrong.

use llamark_artifact::Ledger;
use llamark_record::comparison::CaseComparison;

use super::judge;
use crate::canary;

/// Marks as suspect what would be called improved, or equivalent to a baseline that computes the right thing, where the
/// candidate computes the wrong thing. A regression stays one.
pub(super) fn apply(cases: &mut [CaseComparison], base: &Ledger, candidate: &Ledger) {
    let fault = |ledger: &Ledger, id: &str| canary::check(ledger, ledger.case(id)?)?.fault();
    for case in cases.iter_mut().filter(|case| !case.metrics.is_empty()) {
        let Some(now) = fault(candidate, &case.id) else { continue };
        let was_wrong = fault(base, &case.id).is_some();
        judge::doubt(case, &now, was_wrong);
    }
}
