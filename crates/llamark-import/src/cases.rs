//! The cases of a report: every model with every backend that the document says it was measured on, and where each
//! of them stands. What is missing of a case is known here, once.

use llamark_record::plan::BackendKind;

use crate::published::{At, BackendName, ModelName, PublishedReport, Row, Run, Section, SummaryRow};

/// A model: what the summary and what the detail has of it. One of the two is there.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    pub(crate) name: &'a ModelName,
    pub(crate) summary: Option<&'a SummaryRow>,
    pub(crate) section: Option<&'a Section>,
    pub(crate) cases: Vec<Case<'a>>,
}

/// A model on a backend.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// As the summary or its legend calls it.
    pub(crate) backend: &'a BackendName,
    pub(crate) row: Option<&'a Row>,
    /// In the order of the document; empty if there are none.
    pub(crate) runs: &'a [At<Run>],
}

impl Model<'_> {
    /// What keeps the document from stating anything of a case that could be checked; absent when it states a row.
    pub(crate) fn gap(&self, case: &Case<'_>) -> Option<&'static str> {
        match (self.summary, self.section, case.row) {
            (None, _, _) => Some("the summary has no row of this model"),
            (_, None, _) => Some("the document has no section of this model"),
            (_, _, None) => Some("the section of this model has no row of this backend"),
            _ => None,
        }
    }
}

/// The models, in the order of the summary; those that it lacks come last.
pub(crate) fn models(report: &PublishedReport) -> Vec<Model<'_>> {
    let same = |a: &ModelName, b: &ModelName| (&a.name, &a.quant) == (&b.name, &b.quant);
    let in_summary = report.summary.rows.iter().map(|row| {
        let section = report.sections.iter().find(|section| same(&section.model.value, &row.model));
        (&row.model, Some(row), section)
    });
    let only_in_detail = report.sections.iter().filter_map(|section| {
        let name = &section.model.value;
        let is_listed = report.summary.rows.iter().any(|row| same(&row.model, name));
        (!is_listed).then_some((name, None, Some(section)))
    });
    let all = in_summary.chain(only_in_detail);
    all.map(|(name, summary, section)| Model { name, summary, section, cases: cases(report, name, section) })
        .collect()
}

fn cases<'a>(report: &'a PublishedReport, name: &ModelName, section: Option<&'a Section>) -> Vec<Case<'a>> {
    let also = report.summary.also.iter().flat_map(|also| &also.value).filter(|_| name.dagger);
    let backends: Vec<&BackendName> = report.summary.backends.iter().chain(also).collect();
    let is_only = backends.len() == 1;
    let case = |backend: &'a BackendName| Case {
        backend,
        row: section.and_then(|section| row(section, backend.kind)),
        runs: section.map(|section| runs(section, backend.kind, is_only)).unwrap_or_default(),
    };
    backends.into_iter().map(case).collect()
}

fn row(section: &Section, kind: BackendKind) -> Option<&Row> {
    section.rows.iter().find(|row| row.backend.value.kind == kind)
}

/// The runs under the heading of that backend; where it is the only one, there may be no heading.
fn runs(section: &Section, kind: BackendKind, is_only: bool) -> &[At<Run>] {
    let groups = section.runs.iter().flat_map(|block| &block.groups);
    let found = groups.into_iter().find(|group| match &group.backend {
        Some(backend) => backend.value.kind == kind,
        None => is_only,
    });
    found.map(|group| group.runs.as_slice()).unwrap_or_default()
}
