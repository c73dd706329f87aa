//! The two variants of one set against each other: each is seen as a set of its own, interleaved with the other.

use std::collections::BTreeMap;

use llamark_artifact::{ArtifactSet, CaseLedger, Ledger};
use llamark_record::Sha256;
use llamark_record::comparison::Comparison;
use llamark_record::perplexity::Perplexity;
use llamark_record::plan::{Arm, Interleaved, Purpose, ResolvedPlan, Variants};

use super::options::Options;
use super::{Side, compare_parts, manifest_of};
use crate::error::ReportError;
use crate::summarize::Material;

/// Compares the two variants of a set: the candidate with the baseline, start by start.
///
/// # Errors
/// When the set has no variants; else as [`super::compare`].
pub fn compare_variants(set: &ArtifactSet, options: &Options) -> Result<Comparison, ReportError> {
    let manifest = manifest_of(set)?;
    compare_variants_of(Side { material: Material::of(set), manifest: manifest.as_ref() }, options)
}

/// [`compare_variants`] from the parts of the set.
///
/// # Errors
/// As [`compare_variants`].
pub fn compare_variants_of(side: Side<'_>, options: &Options) -> Result<Comparison, ReportError> {
    let material = side.material;
    let none = || ReportError::NoVariants { set: material.id.to_owned() };
    let variants = material.resolved.plan.ab.as_ref().ok_or_else(none)?;
    let plan = material.resolved.digest()?;
    let view = |arm| View::of(material, &plan, arm).ok_or_else(none);
    let (base, candidate) = (view(Arm::Base)?, view(Arm::Candidate)?);
    let sides = [&base, &candidate].map(|view| Side { material: view.material(material), ..side });
    compare_parts(sides, None, options, Some(&Declared { variants, plan }))
}

/// What the plan of a set says of its variants.
pub(super) struct Declared<'a> {
    pub(super) variants: &'a Variants,
    /// Digest of the whole plan.
    pub(super) plan: Sha256,
}

/// The perplexities of one variant, each under the name that its backend has in both.
fn perplexities(material: Material<'_>, arm: Arm) -> Vec<Perplexity> {
    let Some(variants) = material.resolved.plan.ab.as_ref() else { return Vec::new() };
    let of = |measured: &Perplexity| {
        let (found, backend) = variants.arm_of(&measured.backend)?;
        (found == arm).then(|| Perplexity { backend: backend.to_owned(), ..measured.clone() })
    };
    material.ledger.perplexities.iter().filter_map(of).collect()
}

/// One variant as a set of its own.
struct View {
    resolved: ResolvedPlan,
    ledger: Ledger,
}

impl View {
    fn of(material: Material<'_>, pairing: &Sha256, arm: Arm) -> Option<Self> {
        let whole = material.ledger;
        let mut resolved = material.resolved.variant(arm)?;
        resolved.plan.interleaved = Some(Interleaved {
            pairs: None,
            purpose: Purpose::Variants,
            pairing: pairing.clone(),
            arm,
            first: Vec::new(),
        });
        let mut ledger = Ledger::new(&resolved.plan);
        ledger.begin.clone_from(&whole.begin);
        ledger.models.clone_from(&whole.models);
        ledger.builds.clone_from(&whole.builds);
        ledger.canary_references.clone_from(&whole.canary_references);
        ledger.perplexities = perplexities(material, arm);
        ledger.started_at.clone_from(&whole.started_at);
        ledger.finished_at.clone_from(&whole.finished_at);
        let plan = &material.resolved.plan;
        let variants = plan.ab.as_ref()?;
        let own = whole
            .cases
            .iter()
            .filter(|case| variants.arm_of(&case.case.backend).is_some_and(|(found, _)| found == arm));
        let mut by_id: BTreeMap<String, &CaseLedger> =
            own.map(|case| (plan.common_id(&case.case.id), case)).collect();
        for case in &mut ledger.cases {
            if let Some(found) = by_id.remove(&case.case.id) {
                *case = CaseLedger { case: case.case.clone(), ..found.clone() };
            }
        }
        Some(Self { resolved, ledger })
    }

    fn material<'a>(&'a self, whole: Material<'a>) -> Material<'a> {
        Material { resolved: &self.resolved, ledger: &self.ledger, ..whole }
    }
}
