//! The two variants of a set against each other, for its report.

use llamark_record::comparison::{CaseComparison, Interval, MetricComparison};

use crate::compare::{self, CompareOptions, Side};
use crate::error::ReportError;
use crate::estimate::round;
use crate::summarize::Material;
use crate::summary::{VariantRow, VariantsSummary};

/// What a comparison of them says, by the starts of this set alone; `None` where there are no two.
pub(crate) fn summary(material: Material<'_>) -> Result<Option<VariantsSummary>, ReportError> {
    let Some(variants) = &material.resolved.plan.ab else { return Ok(None) };
    // Without a manifest, which the report comes before.
    let side = Side { material, manifest: None };
    let comparison = compare::compare_variants_of(side, &CompareOptions::default())?;
    Ok(Some(VariantsSummary {
        base: variants.base.clone(),
        candidate: variants.candidate.clone(),
        headline: compare::headline(&comparison),
        rows: comparison.cases.iter().flat_map(rows).collect(),
    }))
}

fn rows(case: &CaseComparison) -> Vec<VariantRow> {
    let gating: Vec<_> = case.metrics.iter().filter(|metric| metric.gates).collect();
    if gating.is_empty() {
        return vec![VariantRow {
            case: case.id.clone(),
            metric: None,
            base: None,
            candidate: None,
            change: None,
            interval: None,
            verdict: case.verdict,
            reason: case.reason.clone(),
        }];
    }
    gating.into_iter().map(|metric| row(case, metric)).collect()
}

fn row(case: &CaseComparison, metric: &MetricComparison) -> VariantRow {
    let rounded = |interval: Interval| Interval {
        low: round(interval.low),
        high: round(interval.high),
        level: round(interval.level),
    };
    let found = metric.decisive();
    VariantRow {
        case: case.id.clone(),
        metric: Some(metric.metric),
        base: found.base.map(|arm| round(arm.value)),
        candidate: found.candidate.map(|arm| round(arm.value)),
        change: found.change.map(round),
        interval: found.interval.map(rounded),
        verdict: metric.verdict,
        reason: metric.reason.clone(),
    }
}
