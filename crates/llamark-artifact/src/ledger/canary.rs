//! Canaries: one for each start that was measured, and one reference for each model with an answer.

use llamark_record::canary::{Canary, CanaryReference};
use llamark_record::journal::{Outcome, StartClosed};

use super::{CaseLedger, Ledger};

/// Why an event of a canary is refused.
const NO_CANARY: &str = "the plan has no canary";

impl Ledger {
    pub(super) fn check_canary(&self, canary: &Canary) -> Option<String> {
        match self.live(&canary.id) {
            Err(reason) => Some(reason),
            Ok(_) if !self.has_canary => Some(NO_CANARY.to_owned()),
            Ok(start) if start.ready.is_none() => Some("the start is not ready".to_owned()),
            Ok(start) => start.canary.is_some().then(|| "the start already has its canary".to_owned()),
        }
    }

    pub(super) fn check_canary_reference(&self, reference: &CanaryReference) -> Option<String> {
        if !self.has_canary {
            return Some(NO_CANARY.to_owned());
        }
        if !self.cases.iter().any(|case| case.case.model == reference.model) {
            return Some("the plan has no case for that model".to_owned());
        }
        let is_known = self.canary_references.contains_key(&reference.model);
        is_known.then(|| "the model already has its reference".to_owned())
    }

    /// The models that some server answered for and whose reference is not there yet.
    pub fn without_canary_reference(&self) -> Vec<&str> {
        let answered = |case: &&CaseLedger| {
            let mut canaries = case.starts.values().filter_map(|start| start.canary.as_ref());
            canaries.any(|canary| canary.answer.answer().is_some())
        };
        let mut models: Vec<&str> =
            self.cases.iter().filter(answered).map(|case| case.case.model.as_str()).collect();
        models.retain(|model| !self.canary_references.contains_key(*model));
        models.sort_unstable();
        models.dedup();
        models
    }

    /// What a canary lacks at the end: nobody takes away one that was wrong.
    pub(super) fn check_canaries(&self) -> Option<String> {
        if !self.has_canary {
            return None;
        }
        let is_ok = |closed: &StartClosed| closed.outcome == Outcome::Ok;
        // llama-bench gives no tokens.
        let starts = self.cases.iter().flat_map(|case| case.starts.values());
        let starts = starts.filter(|start| start.bench.is_none());
        let without =
            starts.filter(|start| start.closed.as_ref().is_some_and(is_ok) && start.canary.is_none());
        let (starts, models) = (without.count(), self.without_canary_reference().len());
        (starts + models > 0)
            .then(|| format!("{starts} starts have no canary, and {models} models have no reference"))
    }
}
