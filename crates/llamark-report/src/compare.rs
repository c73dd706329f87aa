//! Two sets against each other: cases paired by id, a verdict per metric, and what differs around them.

use std::collections::BTreeMap;

use llamark_artifact::{ArtifactSet, CaseLedger};
use llamark_record::journal::Outcome;
use llamark_record::metric::Metric;
use serde::{Deserialize, Serialize};

use crate::counted;
use crate::differences::{Difference, between};
use crate::error::ReportError;
use crate::estimate::LEVEL;
use crate::summarize::Material;
use crate::verdict::{MARGIN, MetricComparison, Sample, Verdict, compare_metric};

/// `format` of a [`Comparison`] as written by this version.
pub const COMPARISON_FORMAT: &str = "llamark/comparison/v1";

/// Two sets against each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// [`COMPARISON_FORMAT`].
    pub format: String,
    /// What a gate should do.
    pub conclusion: Conclusion,
    /// The base.
    pub base: ComparedSet,
    /// The candidate.
    pub candidate: ComparedSet,
    /// A difference up to this share is of no interest.
    pub margin: f64,
    /// Level of the intervals.
    pub level: f64,
    /// Every case of either set, the worst first, then by id.
    pub cases: Vec<CaseComparison>,
    /// What differs around them: identity, treatment, nuisance.
    pub differences: Vec<Difference>,
}

/// What a gate should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Every gating metric is equivalent or improved.
    NoRegression,
    /// Some gating metric is worse by more than the margin, or a case that had a result fails now. Goes before all
    /// that follows: what regressed is said even where other cases cannot be compared.
    Regression,
    /// Some case is not the same measurement in both sets, or there is no case with a result in both.
    NotComparable,
    /// Nothing regressed as far as can be told, and for some gating metric it cannot be told, or the candidate lacks
    /// a case that has a result in the base.
    Inconclusive,
}

/// One of the two sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparedSet {
    /// Name of the experiment.
    pub name: String,
    /// Id of the set.
    pub id: String,
    /// Day on which it began.
    pub date: String,
    /// Digest of the plan.
    pub plan: String,
    /// llama.cpp's build number and commit, in one line.
    pub engine: String,
}

/// A case in both sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseComparison {
    /// Its id.
    pub id: String,
    /// The worst verdict of its gating metrics, or `missing`, or `not_comparable`.
    pub verdict: Verdict,
    /// Whether it had a result in the base and failed in the candidate.
    pub broke: bool,
    /// Whether its verdict decides the exit code: not that of a case without a result in the base.
    pub gates: bool,
    /// Why it is missing or not comparable; empty otherwise.
    pub reason: String,
    /// The metrics that both have, in the order of a report.
    pub metrics: Vec<MetricComparison>,
}

impl Comparison {
    /// What a gate should do.
    pub fn conclusion(&self) -> Conclusion {
        self.conclusion
    }
}

/// Compares two sets.
///
/// Their starts were not interleaved, so drift between them (another temperature, another kernel) is not controlled;
/// what of it is known stands in `differences`.
///
/// # Errors
/// When a plan cannot be read as JSON.
pub fn compare(base: &ArtifactSet, candidate: &ArtifactSet) -> Result<Comparison, ReportError> {
    compare_materials(Material::of(base), Material::of(candidate))
}

/// [`compare`] from the parts of the sets.
///
/// # Errors
/// As [`compare`].
pub fn compare_materials(base: Material<'_>, candidate: Material<'_>) -> Result<Comparison, ReportError> {
    let mut ids: BTreeMap<&str, (Option<&CaseLedger>, Option<&CaseLedger>)> = BTreeMap::new();
    for case in &base.ledger.cases {
        ids.entry(&case.case.id).or_default().0 = Some(case);
    }
    for case in &candidate.ledger.cases {
        ids.entry(&case.case.id).or_default().1 = Some(case);
    }
    let mut cases: Vec<CaseComparison> = ids
        .into_iter()
        .filter_map(|(id, pair)| match pair {
            (Some(a), Some(b)) => Some(compare_case(id, (base, a), (candidate, b))),
            (Some(a), None) => has_result(a)
                .then(|| without_metrics(id, Verdict::Missing, true, "the candidate does not have the case")),
            (None, Some(_)) => {
                Some(without_metrics(id, Verdict::Missing, false, "the base does not have the case"))
            }
            (None, None) => None,
        })
        .collect();
    cases.sort_by(|a, b| (!a.broke, a.verdict, &a.id).cmp(&(!b.broke, b.verdict, &b.id)));
    Ok(Comparison {
        format: COMPARISON_FORMAT.to_owned(),
        conclusion: conclude(&cases),
        base: identity(base),
        candidate: identity(candidate),
        margin: MARGIN,
        level: LEVEL,
        cases,
        differences: between(base, candidate)?,
    })
}

fn conclude(cases: &[CaseComparison]) -> Conclusion {
    let any = |verdict: Verdict| cases.iter().any(|case| case.verdict == verdict);
    let lost =
        cases.iter().any(|case| case.verdict == Verdict::Missing && !case.reason.starts_with("the base"));
    let measured = |case: &CaseComparison| !matches!(case.verdict, Verdict::Missing | Verdict::NotComparable);
    if any(Verdict::Regressed) || cases.iter().any(|case| case.broke) {
        Conclusion::Regression
    } else if any(Verdict::NotComparable) || !cases.iter().any(measured) {
        Conclusion::NotComparable
    } else if any(Verdict::Inconclusive) || lost {
        Conclusion::Inconclusive
    } else {
        Conclusion::NoRegression
    }
}

fn identity(material: Material<'_>) -> ComparedSet {
    let engine = &material.resolved.plan.engine;
    let number = if engine.build_number > 0 { format!("b{} ", engine.build_number) } else { String::new() };
    ComparedSet {
        name: material.resolved.plan.name.clone(),
        id: material.id.to_owned(),
        date: material.ledger.started_at.get(..10).unwrap_or_default().to_owned(),
        plan: material.resolved.digest().map(|digest| digest.to_string()).unwrap_or_default(),
        engine: format!("{number}({})", engine.commit),
    }
}

fn has_result(case: &CaseLedger) -> bool {
    case.outcome == Some(Outcome::Ok)
}

/// A case, before it has a metric on both sides.
fn without_metrics(id: &str, verdict: Verdict, gates: bool, reason: &str) -> CaseComparison {
    let (id, reason) = (id.to_owned(), reason.to_owned());
    CaseComparison { id, verdict, broke: false, gates, reason, metrics: Vec::new() }
}

fn compare_case(
    id: &str,
    base: (Material<'_>, &CaseLedger),
    candidate: (Material<'_>, &CaseLedger),
) -> CaseComparison {
    let status = |case: &CaseLedger| match &case.outcome {
        Some(Outcome::Failed(failure)) => format!("failed: {}", failure.detail),
        Some(Outcome::Skipped { reason }) => format!("skipped: {reason}"),
        Some(Outcome::Invalid { reason }) => format!("invalid: {reason}"),
        Some(Outcome::Ok) => "ok".to_owned(),
        Some(Outcome::Interrupted) | None => "not run to its end".to_owned(),
    };
    match (has_result(base.1), has_result(candidate.1)) {
        (true, true) => {}
        (true, false) => {
            let reason = format!("the candidate has no result ({})", status(candidate.1));
            let broke = matches!(candidate.1.outcome, Some(Outcome::Failed(_) | Outcome::Invalid { .. }));
            return CaseComparison { broke, ..without_metrics(id, Verdict::Missing, true, &reason) };
        }
        (false, _) => {
            let reason = format!("the base has no result ({})", status(base.1));
            return without_metrics(id, Verdict::Missing, false, &reason);
        }
    }
    if let Some(reason) = not_the_same(base, candidate) {
        return without_metrics(id, Verdict::NotComparable, true, &reason);
    }
    let compared = Metric::ALL
        .into_iter()
        .filter_map(|metric| compare_metric(metric, &sample(metric, base.1), &sample(metric, candidate.1)));
    let metrics: Vec<MetricComparison> = compared.collect();
    let Some(verdict) = metrics.iter().filter(|metric| metric.gates).map(|metric| metric.verdict).min()
    else {
        return without_metrics(id, Verdict::Missing, true, "neither pp nor tg has a value on both sides");
    };
    CaseComparison { metrics, ..without_metrics(id, verdict, true, "") }
}

/// Why the two are not the same measurement; absent when they are.
fn not_the_same(base: (Material<'_>, &CaseLedger), candidate: (Material<'_>, &CaseLedger)) -> Option<String> {
    let (a, b) = (&base.1.case, &candidate.1.case);
    let shape = |name: &str, a: u32, b: u32| {
        (a != b).then(|| format!("{name}: {a} in the base, {b} in the candidate"))
    };
    let differs = shape("generated tokens", a.max_tokens, b.max_tokens)
        .or_else(|| shape("context", a.context, b.context))
        .or_else(|| shape("warm-up runs", a.warmup, b.warmup));
    if differs.is_some() {
        return differs;
    }
    let text = |material: Material<'_>, name: &str| {
        material.resolved.plan.prompt(name).and_then(|p| p.content.sha256().cloned())
    };
    if text(base.0, &a.prompt) != text(candidate.0, &b.prompt) {
        return Some("the text of the prompt differs".to_owned());
    }
    let model = |material: Material<'_>, id: &str| {
        let files = material.resolved.model_files.get(id)?;
        Some(files.iter().map(|file| file.sha256.clone()).collect::<Vec<_>>())
    };
    if model(base.0, &a.model) != model(candidate.0, &b.model) {
        return Some("the files of the model differ".to_owned());
    }
    let ids = |case: &CaseLedger| {
        let ready = case.starts.values().filter_map(|start| start.ready.as_ref());
        ready.map(|ready| ready.prompt_ids.clone()).collect::<std::collections::BTreeSet<_>>()
    };
    (ids(base.1) != ids(candidate.1)).then(|| "the prompt became other tokens".to_owned())
}

/// The values of a metric that count, by start.
fn sample(metric: Metric, case: &CaseLedger) -> Sample {
    Sample { starts: counted::samples(case, metric) }
}
