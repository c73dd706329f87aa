//! Perplexities: one for each model and backend with at least one measured start, after every start of the set.

use llamark_record::journal::Outcome;
use llamark_record::perplexity::{Perplexity, PerplexityOutcome};

use super::{CaseLedger, Ledger, StartLedger};

impl Ledger {
    pub(super) fn check_perplexity(&self, perplexity: &Perplexity) -> Option<String> {
        let Some(most) = self.perplexity_chunks else { return Some("the plan asks for none".to_owned()) };
        let (model, backend) = (perplexity.model.as_str(), perplexity.backend.as_str());
        let is_of = |case: &&CaseLedger| case.case.model == model && case.case.backend == backend;
        let mut cases = self.cases.iter().filter(is_of).peekable();
        if cases.peek().is_none() {
            return Some("the plan has no case for that model on that backend".to_owned());
        }
        if !cases.any(is_measured) {
            return Some("no start of it was measured".to_owned());
        }
        if self.perplexity(model, backend).is_some() {
            return Some("it is already there".to_owned());
        }
        // It would warm the machine and its page cache for what is still to be measured.
        if !self.pending().is_empty() {
            return Some("it comes after all starts, and some are not made yet".to_owned());
        }
        let chunks = match &perplexity.outcome {
            PerplexityOutcome::Value(value) => value.running.len(),
            PerplexityOutcome::NotFinite { chunk, .. } => usize::try_from(*chunk).unwrap_or(usize::MAX),
            PerplexityOutcome::Missing { .. } => return None,
        };
        let is_possible = (1..=usize::try_from(most).unwrap_or(usize::MAX)).contains(&chunks);
        (!is_possible).then(|| format!("it is over {chunks} chunks, but the plan allows 1 to {most}"))
    }

    /// The perplexity of a model on a backend; absent while there is none.
    pub fn perplexity(&self, model: &str, backend: &str) -> Option<&Perplexity> {
        self.perplexities.iter().find(|one| one.model == model && one.backend == backend)
    }

    /// The models and backends with at least one measured start whose perplexity is not there yet: in the order of the
    /// cases. None where the plan asks for none.
    pub fn without_perplexity(&self) -> Vec<(&str, &str)> {
        let mut owed = Vec::new();
        if self.perplexity_chunks.is_none() {
            return owed;
        }
        for case in self.cases.iter().filter(|case| is_measured(case)) {
            let pair = (case.case.model.as_str(), case.case.backend.as_str());
            if self.perplexity(pair.0, pair.1).is_none() && !owed.contains(&pair) {
                owed.push(pair);
            }
        }
        owed
    }

    /// What a set lacks at its end: nobody takes away a perplexity that was bad.
    pub(super) fn check_perplexities(&self) -> Option<String> {
        let owed = self.without_perplexity().len();
        (owed > 0)
            .then(|| format!("{owed} backends have no perplexity for a model that they were measured with"))
    }
}

/// Whether some start of the case came to a good end.
fn is_measured(case: &CaseLedger) -> bool {
    let is_ok =
        |start: &StartLedger| start.closed.as_ref().is_some_and(|closed| closed.outcome == Outcome::Ok);
    case.starts.values().any(is_ok)
}
