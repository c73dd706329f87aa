//! Two sets against each other: what may be compared, a verdict for each metric of each case, and what differs around.
//!
//! ```text
//! fields -> classes -> differences -> pairing -> cells -> judge -> pace -> accept -> conclusion
//! ```

mod accept;
mod canary;
mod caveats;
mod cells;
mod classes;
mod confirm;
mod differences;
mod exact;
mod fields;
mod groups;
mod in_turn;
mod judge;
mod noise;
mod options;
mod pace;
mod pairing;
mod perplexity;
mod render;
mod reproduction;
mod rules;
mod variants;

use llamark_artifact::ArtifactSet;
use llamark_record::Sha256;
use llamark_record::comparison::{
    COMPARISON_FORMAT, CaseComparison, ComparedSet, Comparison, Conclusion, Difference, MetricComparison,
    Verdict,
};

pub use confirm::{Again, is_to_confirm};
pub use exact::cases_with_same_tokens;
pub use in_turn::{differences_in_turn, metrics_in_both};
pub use judge::change;
pub use noise::calibration;
pub use options::Options as CompareOptions;
pub use render::{Detail, tally::Tally, tally::headline};
pub use render::{
    forest::forest_plot, in_toto::in_toto, junit::junit, markdown::markdown, terminal::terminal,
};
pub use reproduction::{Reproduction, reproduction};
pub use variants::{compare_variants, compare_variants_of};

use llamark_stats::start_level::Design;

use crate::error::ReportError;
use crate::summarize::Material;
use judge::Pairs;
use noise::History;
use options::Options;
use pairing::Paired;
use variants::Declared;

/// Name of the manifest in a set.
const MANIFEST: &str = "manifest.json";

/// A set of a comparison: what it holds, and the digest of its manifest where it is sealed.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// What it holds.
    pub material: Material<'a>,
    /// Digest of the manifest; absent when the set is not sealed.
    pub manifest: Option<&'a Sha256>,
}

/// Compares two sets.
///
/// # Errors
/// When a plan has no digest, the manifest of a sealed set cannot be read, or a declared field is none.
pub fn compare(
    base: &ArtifactSet,
    candidate: &ArtifactSet,
    options: &Options,
) -> Result<Comparison, ReportError> {
    let (a, b) = (manifest_of(base)?, manifest_of(candidate)?);
    compare_sides(side(base, a.as_ref()), side(candidate, b.as_ref()), options)
}

/// [`compare`], and what it leaves open decided by two sets of fresh starts that were interleaved.
///
/// # Errors
/// As [`compare`].
pub fn compare_confirmed(
    screen: [&ArtifactSet; 2],
    fresh: [&ArtifactSet; 2],
    again: Again,
    options: &Options,
) -> Result<Comparison, ReportError> {
    let ([a, b], [c, d]) = (screen, fresh);
    let manifests = [manifest_of(a)?, manifest_of(b)?, manifest_of(c)?, manifest_of(d)?];
    let [of_a, of_b, of_c, of_d] = manifests.each_ref().map(Option::as_ref);
    let fresh = [side(c, of_c), side(d, of_d)];
    compare_all(side(a, of_a), side(b, of_b), Some((fresh, again)), options)
}

fn side<'a>(set: &'a ArtifactSet, manifest: Option<&'a Sha256>) -> Side<'a> {
    Side { material: Material::of(set), manifest }
}

fn manifest_of(set: &ArtifactSet) -> Result<Option<Sha256>, ReportError> {
    if set.sealed.is_none() {
        return Ok(None);
    }
    let bytes = fs_err::read(set.path.join(MANIFEST)).map_err(ReportError::Manifest)?;
    Ok(Some(Sha256::of_bytes(&bytes)))
}

/// [`compare`] from the parts of the sets.
///
/// # Errors
/// As [`compare`].
pub fn compare_sides(
    base: Side<'_>,
    candidate: Side<'_>,
    options: &Options,
) -> Result<Comparison, ReportError> {
    compare_all(base, candidate, None, options)
}

/// [`compare_sides`], with two sets of fresh starts where something was measured again, and what they are to decide.
///
/// # Errors
/// As [`compare`].
pub fn compare_all(
    base: Side<'_>,
    candidate: Side<'_>,
    fresh: Option<([Side<'_>; 2], Again)>,
    options: &Options,
) -> Result<Comparison, ReportError> {
    compare_parts([base, candidate], fresh, options, None)
}

/// [`compare_all`]; `declared` is what the plan says where both sides are variants of one set.
fn compare_parts(
    [base, candidate]: [Side<'_>; 2],
    fresh: Option<([Side<'_>; 2], Again)>,
    options: &Options,
    declared: Option<&Declared<'_>>,
) -> Result<Comparison, ReportError> {
    let (a, b) = (base.material, candidate.material);
    // Whoever declares a field may mean one that does not differ.
    let common = fields::Common::of(a, b, !options.across.is_empty());
    let by_plan = declared.map_or(&[][..], |declared| &declared.variants.differs);
    let differences = differences::between(a, b, &common, [&options.across, by_plan])?;
    let rules = rules::of(&a.resolved.plan, options);
    let (pairs, mut cases) = pairs_of(base, candidate, &differences, options);
    let mut judged = judge::judge(&pairs, &rules);
    let groups = groups::find(&pairs, &judged, &rules);
    let of_pace = pace::apply(&mut judged, &pairs, &differences, &rules);
    cases.extend(judged);
    let stale = accept::apply(&mut cases, &options.accepted, &options.today);
    if let Some(([base, candidate], again)) = fresh {
        let (fresh, _missing) = pairs_of(base, candidate, &[], options);
        confirm::apply(&mut cases, &pairs, (&fresh, again), &rules)?;
    }
    let fresh = fresh.map(|(sides, _)| sides);
    canary::apply(&mut cases, a.ledger, b.ledger);
    perplexity::apply(&mut cases, a, b);
    sort(&mut cases);
    let (base, candidate) = rayon::join(|| identity(base), || identity(candidate));
    let (mut base, mut candidate) = (base?, candidate?);
    if let Some(Declared { variants, plan }) = declared {
        for (set, label) in [(&mut base, &variants.base), (&mut candidate, &variants.candidate)] {
            set.variant = Some(label.clone());
            set.plan = plan.clone();
        }
    }
    let confirmed_by = match fresh {
        Some([base, candidate]) => Some([identity(base)?, identity(candidate)?]),
        None => None,
    };
    let mut caveats = caveats::of((&base, &candidate), (a, b), &cases, &differences);
    caveats.extend(of_pace);
    let of_fresh = fresh.map(|[base, candidate]| (base.material, candidate.material));
    caveats.extend(caveats::of_confirmation(confirmed_by.as_ref(), of_fresh));
    let gating = || cases.iter().flat_map(|case| &case.metrics).filter(|metric| metric.gates);
    let used = gating().filter(|metric| metric.evidence.is_some_and(|evidence| evidence.history.is_some()));
    caveats.extend(noise::caveat(options.noise.as_ref(), a, used.count(), gating().count()));
    Ok(Comparison {
        format: COMPARISON_FORMAT.to_owned(),
        conclusion: conclude(&cases),
        caveats,
        confirmed_by,
        base,
        candidate,
        rules,
        cases,
        groups,
        differences,
        stale,
    })
}

/// What can be compared, and the cases that cannot.
fn pairs_of<'a>(
    base: Side<'a>,
    candidate: Side<'a>,
    differences: &[Difference],
    options: &'a Options,
) -> (Pairs<'a>, Vec<CaseComparison>) {
    let (a, b) = (base.material, candidate.material);
    let (mut cases, mut other) = (Vec::new(), Vec::new());
    for paired in pairing::pair(a, b, differences) {
        match paired {
            Paired::Both(base, candidate) => cases.push((base, candidate)),
            Paired::Not(case) => other.push(case),
        }
    }
    let interleaved = a.resolved.plan.is_interleaved_with(&b.resolved.plan);
    let design = if interleaved { Design::Blocked } else { Design::Unblocked };
    (Pairs { cases, design, history: History::new(options.noise.as_ref(), base, candidate) }, other)
}

/// The worst first: what broke, then by verdict (what was accepted after what was not), then by size, then by id.
fn sort(cases: &mut Vec<CaseComparison>) {
    for case in cases.iter_mut() {
        case.metrics.sort_by_key(|metric| (!metric.gates, metric.metric));
    }
    let size = |case: &CaseComparison| -> f64 {
        let gating = case.metrics.iter().filter(|metric| metric.gates);
        gating.filter_map(worsening).fold(f64::NEG_INFINITY, f64::max)
    };
    let accepted = |case: &CaseComparison| !case.metrics.iter().any(MetricComparison::is_regression);
    let rank = |case: &CaseComparison| {
        (!case.broke, case.verdict == Verdict::Regressed && accepted(case), case.verdict)
    };
    let mut keyed: Vec<_> = cases.drain(..).map(|case| (rank(&case), size(&case), case)).collect();
    keyed.sort_by(|(a_rank, a_size, a), (b_rank, b_size, b)| {
        a_rank.cmp(b_rank).then(b_size.total_cmp(a_size)).then_with(|| a.id.cmp(&b.id))
    });
    cases.extend(keyed.into_iter().map(|(_, _, case)| case));
}

/// By how much a metric is worse, as a difference of logarithms, by the numbers that decide.
fn worsening(metric: &MetricComparison) -> Option<f64> {
    match &metric.confirmation {
        Some(fresh) => Some(judge::difference(metric.metric, fresh.change)),
        None => Some(metric.evidence?.difference),
    }
}

fn conclude(cases: &[CaseComparison]) -> Conclusion {
    let gating = || {
        cases
            .iter()
            .filter(|case| case.gates)
            .flat_map(|case| case.metrics.iter().filter(|metric| metric.gates))
    };
    let any_case = |verdict: Verdict| {
        cases.iter().any(|case| case.gates && case.metrics.is_empty() && case.verdict == verdict)
    };
    let is_open = |metric: &MetricComparison| {
        let undecided = matches!(metric.verdict, Verdict::Suspect | Verdict::Inconclusive | Verdict::Missing);
        undecided && metric.accepted.is_none()
    };
    if gating().any(MetricComparison::is_regression) || cases.iter().any(|case| case.broke) {
        Conclusion::Regression
    } else if any_case(Verdict::NotComparable) || gating().next().is_none() {
        Conclusion::NotComparable
    } else if gating().any(is_open) || any_case(Verdict::Missing) {
        Conclusion::Inconclusive
    } else {
        Conclusion::NoRegression
    }
}

fn identity(side: Side<'_>) -> Result<ComparedSet, ReportError> {
    let Material { id, resolved, ledger, environment } = side.material;
    let engine = &resolved.plan.engine;
    let engine = match (engine.build_number, engine.commit.as_str()) {
        (0, commit) => format!("({commit})"),
        (number, "unknown") => format!("b{number}"),
        (number, commit) => format!("b{number} ({commit})"),
    };
    Ok(ComparedSet {
        name: resolved.plan.name.clone(),
        id: id.to_owned(),
        started_at: ledger.started_at.clone(),
        finished_at: ledger.finished_at.clone(),
        // As the journal has it from its first line on: to make it again takes as long as to read a tenth of a large set.
        plan: ledger.begin.as_ref().map_or_else(|| resolved.digest(), |begin| Ok(begin.plan.clone()))?,
        manifest: side.manifest.cloned(),
        engine,
        host: environment.fingerprint(),
        variant: None,
    })
}
