//! What is fast and wrong is not an improvement: the verdicts of cases whose candidate predicts a text worse than it
//! should.

use llamark_record::comparison::CaseComparison;
use llamark_record::perplexity::PerplexityValue;
use llamark_record::plan::PlannedPerplexity;

use super::judge;
use crate::perplexity;
use crate::summarize::Material;
use crate::summary::PerplexitySummary;

/// One side, with its perplexities.
struct Side<'a> {
    material: Material<'a>,
    summary: Option<PerplexitySummary>,
}

impl<'a> Side<'a> {
    fn new(material: Material<'a>) -> Self {
        Self { material, summary: perplexity::summary(&material.resolved.plan, material.ledger) }
    }

    /// Id of the model and name of the backend of a case.
    fn names(&self, case: &str) -> Option<(&'a str, &'a str)> {
        let case = &self.material.ledger.case(case)?.case;
        Some((case.model.as_str(), case.backend.as_str()))
    }

    /// What is wrong with the backend of a case by its own set.
    fn fault(&self, case: &str) -> Option<String> {
        let plan = &self.material.resolved.plan;
        let (model, backend) = self.names(case)?;
        let model = plan.models.iter().position(|known| known.id == model)?;
        let backend = plan.backends.iter().position(|known| known.name == backend)?;
        let row = self.summary.as_ref()?.of(model, backend)?;
        let lowest = row.lowest_backend.and_then(|place| plan.backends.get(place));
        row.fault(lowest.map_or("", |lowest| lowest.label.as_str()))
    }

    fn value(&self, case: &str) -> Option<(&'a PlannedPerplexity, &'a PerplexityValue)> {
        let (model, backend) = self.names(case)?;
        let value = self.material.ledger.perplexity(model, backend)?.outcome.value()?;
        Some((self.material.resolved.plan.perplexity.as_ref()?, value))
    }
}

/// Marks as suspect what would be called improved, or equivalent to a baseline that computes the right thing, where the
/// candidate predicts the text worse than the baseline does, or than another backend of its own set. A regression stays one.
pub(super) fn apply(cases: &mut [CaseComparison], base: Material<'_>, candidate: Material<'_>) {
    let (base, candidate) = (Side::new(base), Side::new(candidate));
    if candidate.summary.is_none() {
        return;
    }
    for case in cases.iter_mut().filter(|case| !case.metrics.is_empty()) {
        let now = candidate.fault(&case.id);
        let than_before = worse_than_before(&base, &candidate, &case.id);
        // What was wrong before, and is so still, may be called equivalent to it.
        let was_wrong = than_before.is_none() && base.fault(&case.id).is_some();
        let Some(fault) = than_before.or(now) else { continue };
        judge::doubt(case, &fault, was_wrong);
    }
}

/// The candidate against the baseline, where both read the same text in the same chunks.
fn worse_than_before(base: &Side<'_>, candidate: &Side<'_>, case: &str) -> Option<String> {
    let ((before, was), (planned, is)) = (base.value(case)?, candidate.value(case)?);
    if (before.context, &before.sha256) != (planned.context, &planned.sha256) {
        return None;
    }
    let excess = is.against(was, planned).filter(llamark_record::perplexity::PerplexityExcess::is_wrong)?;
    let values = [is.over(excess.chunks)?, was.over(excess.chunks)?];
    Some(perplexity::worse(values, excess.share, excess.allowed, "that of the baseline"))
}
