//! The perplexities of a set against each other: derived here, once, for tables, findings and comparisons.

use llamark_artifact::Ledger;
use llamark_record::perplexity::{PerplexityExcess, PerplexityOutcome, PerplexityValue};
use llamark_record::plan::{Plan, PlannedPerplexity};

use crate::estimate::round;
use crate::format::{change, percent, significant};
use crate::summary::{PerplexityRow, PerplexitySummary};

/// Every perplexity of the set; `None` where the plan asks for none, or none was measured yet.
pub(crate) fn summary(plan: &Plan, ledger: &Ledger) -> Option<PerplexitySummary> {
    let planned = plan.perplexity.as_ref()?;
    let mut rows = Vec::new();
    for (model_place, model) in plan.models.iter().enumerate() {
        let lowest = lowest(plan, ledger, &model.id);
        for (backend_place, backend) in plan.backends.iter().enumerate() {
            let Some(measured) = ledger.perplexity(&model.id, &backend.name) else { continue };
            let row = row(&measured.outcome, planned, lowest.as_ref());
            rows.push(PerplexityRow { model: model_place, backend: backend_place, ..row });
        }
    }
    (!rows.is_empty()).then(|| PerplexitySummary {
        context: planned.context,
        chunks: planned.chunks,
        sha256: planned.sha256.clone(),
        bytes: u64::try_from(planned.text.len()).unwrap_or(u64::MAX),
        rows,
    })
}

/// The lowest perplexity of a model, where there are several.
struct Lowest<'a> {
    backend: usize,
    value: &'a PerplexityValue,
}

/// Of equal ones that of the first backend. What computes the wrong thing predicts worse, whichever backend that is:
/// so the lowest is what the others are compared with.
fn lowest<'a>(plan: &Plan, ledger: &'a Ledger, model: &str) -> Option<Lowest<'a>> {
    let of = |(place, backend): (usize, &llamark_record::plan::PlannedBackend)| {
        let value = ledger.perplexity(model, &backend.name)?.outcome.value()?;
        Some(Lowest { backend: place, value })
    };
    let all: Vec<Lowest<'_>> = plan.backends.iter().enumerate().filter_map(of).collect();
    let is_one = all.len() < 2;
    let lowest = all.into_iter().min_by(|a, b| a.value.perplexity().total_cmp(&b.value.perplexity()));
    lowest.filter(|_| !is_one)
}

fn row(
    outcome: &PerplexityOutcome,
    planned: &PlannedPerplexity,
    lowest: Option<&Lowest<'_>>,
) -> PerplexityRow {
    let none = PerplexityRow {
        model: 0,
        backend: 0,
        perplexity: None,
        error: None,
        chunks: 0,
        above: None,
        allowed: None,
        lowest: None,
        lowest_backend: None,
        suspect: false,
        reason: String::new(),
    };
    let value = match outcome {
        PerplexityOutcome::Value(value) => value,
        PerplexityOutcome::NotFinite { chunk, printed } => {
            let reason = format!("llama-perplexity printed {printed} in chunk {chunk}");
            return PerplexityRow { chunks: *chunk, suspect: true, reason, ..none };
        }
        PerplexityOutcome::Missing { reason } => return PerplexityRow { reason: reason.clone(), ..none },
    };
    let against = lowest.and_then(|lowest| Some((lowest, value.against(lowest.value, planned)?)));
    let excess = against.as_ref().map(|(_, excess)| excess);
    PerplexityRow {
        perplexity: Some(value.perplexity()),
        error: value.error(),
        chunks: u32::try_from(value.running.len()).unwrap_or(u32::MAX),
        above: excess.map(|excess| round(excess.share)),
        allowed: excess.map(|excess| round(excess.allowed)),
        lowest: against.as_ref().and_then(|(lowest, excess)| lowest.value.over(excess.chunks)),
        lowest_backend: against.as_ref().map(|(lowest, _)| lowest.backend),
        suspect: excess.is_some_and(PerplexityExcess::is_wrong),
        ..none
    }
}

impl PerplexitySummary {
    /// The row of a model on a backend, by their places.
    pub(crate) fn of(&self, model: usize, backend: usize) -> Option<&PerplexityRow> {
        self.rows.iter().find(|row| row.model == model && row.backend == backend)
    }
}

impl PerplexityRow {
    /// What is wrong, as the end of a sentence about the backend; `None` where nothing is. `lowest` is the name of the
    /// backend with the lowest one.
    pub(crate) fn fault(&self, lowest: &str) -> Option<String> {
        if !self.suspect {
            return None;
        }
        let (Some(own), Some(other), Some(above), Some(allowed)) =
            (self.perplexity, self.lowest, self.above, self.allowed)
        else {
            return Some(format!("its perplexity is not a number: {}", self.reason));
        };
        Some(worse([own, other], above, allowed, &format!("that of {lowest}")))
    }
}

/// One perplexity that is worse than another, as the end of a sentence.
pub(crate) fn worse([own, other]: [f64; 2], above: f64, allowed: f64, whose: &str) -> String {
    format!(
        "its perplexity on the same text is {}, and {whose} is {}: {}, but rounding explains only {}",
        significant(own, 6),
        significant(other, 6),
        change(above),
        percent((allowed * 1e3).round() / 1e3)
    )
}
