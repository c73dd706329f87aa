//! What earlier starts on the same machine showed, and what two sets of one plan show.

use std::collections::BTreeMap;

use llamark_artifact::ArtifactSet;
use llamark_record::comparison::{Caveat, CaveatCode};
use llamark_record::metric::Metric;
use llamark_record::noise::{Calibration, NoiseCell, NoiseFile, Squares, measurement};
use llamark_record::plan::{Case, ResolvedPlan};
use llamark_stats::start_level::Design;

use super::cells::{effect, levels_in_turn};
use super::pairing::without_result;
use super::{Side, identity};
use crate::error::ReportError;
use crate::estimate::round;
use crate::summarize::Material;

/// The noise file as a comparison with this baseline uses it.
pub(super) struct History<'a> {
    cells: BTreeMap<(&'a str, Metric), Vec<&'a NoiseCell>>,
    plan: &'a ResolvedPlan,
}

impl<'a> History<'a> {
    /// Of that file, if it is of the machine that both sets were measured on. A calibration that is one of them is left
    /// out: its starts would count twice.
    pub(super) fn new(file: Option<&'a NoiseFile>, base: Side<'a>, candidate: Side<'a>) -> Self {
        let host = base.material.environment.fingerprint();
        let same =
            |file: &&NoiseFile| file.host == host && candidate.material.environment.fingerprint() == host;
        let compared = [base.manifest, candidate.manifest];
        let mut cells: BTreeMap<_, Vec<&NoiseCell>> = BTreeMap::new();
        let found = file.filter(same).map_or(&[][..], |file| &file.calibrations);
        let earlier = found.iter().filter(|one| !one.sets.iter().any(|set| compared.contains(&Some(set))));
        for cell in earlier.flat_map(|calibration| &calibration.cells) {
            cells.entry((cell.case.as_str(), cell.metric)).or_default().push(cell);
        }
        Self { cells, plan: base.material.resolved }
    }

    /// Squares of every calibration of this very measurement, of this design.
    pub(super) fn of(&self, case: &Case, metric: Metric, design: Design) -> Option<Squares> {
        let cells = self.cells.get(&(case.id.as_str(), metric))?;
        let this = measurement(self.plan, case).ok().flatten()?;
        let mut all = Squares { sum: 0.0, df: 0 };
        for cell in cells.iter().filter(|cell| cell.measurement == this) {
            let squares = match design {
                Design::Blocked => cell.paired,
                Design::Unblocked => cell.unpaired,
            };
            all = Squares { sum: all.sum + squares.sum, df: all.df.saturating_add(squares.df) };
        }
        Some(all).filter(|all| all.df > 0)
    }
}

/// What a reader must know of a noise file that was given: how much of it was of use.
pub(super) fn caveat(file: Option<&NoiseFile>, base: Material<'_>, used: usize, of: usize) -> Option<Caveat> {
    let file = file?;
    let text = if file.host == base.environment.fingerprint() {
        let last = file.calibrations.last().map_or("", |last| last.finished_at.get(..10).unwrap_or_default());
        let count = file.calibrations.len();
        let times = if count == 1 { "calibration" } else { "calibrations" };
        format!(
            "the noise file of this machine ({count} {times}, the last of {last}) adds earlier starts to {used} of \
             {of} gating comparisons"
        )
    } else {
        "the noise file is from another machine and was not used".to_owned()
    };
    Some(Caveat { code: CaveatCode::NoiseFile, text })
}

/// What two sets show about the noise of their machine. They must be one plan measured twice, interleaved and sealed.
///
/// # Errors
/// When they are not, when a manifest cannot be read, or a plan has no digest.
pub fn calibration(base: &ArtifactSet, candidate: &ArtifactSet) -> Result<Calibration, ReportError> {
    let (a, b) = (Material::of(base), Material::of(candidate));
    let of = |set: &ArtifactSet, material| {
        let manifest = super::manifest_of(set)?;
        identity(Side { material, manifest: manifest.as_ref() })
    };
    let (first, second) = (of(base, a)?, of(candidate, b)?);
    let not = || ReportError::NotACalibration { base: base.path.clone(), candidate: candidate.path.clone() };
    let (Some(first_manifest), Some(second_manifest)) = (first.manifest, second.manifest) else {
        return Err(not());
    };
    if !a.resolved.plan.is_interleaved_with(&b.resolved.plan)
        || a.resolved.build_keys != b.resolved.build_keys
    {
        return Err(not());
    }
    let mut cells = Vec::new();
    for case in &a.ledger.cases {
        let other = b.ledger.cases.iter().find(|other| other.case.id == case.case.id);
        let Some((other, measurement)) = other.zip(measurement(a.resolved, &case.case)?) else { continue };
        // Servers that crashed have a spread of their own.
        if without_result(case).or_else(|| without_result(other)).is_some() {
            continue;
        }
        let (of_base, of_candidate) = levels_in_turn(case, other);
        for (metric, one) in &of_base {
            let Some(two) = of_candidate.get(metric) else { continue };
            let both = |design| effect(*metric, design, one, two);
            let Some((paired, unpaired)) = both(Design::Blocked).zip(both(Design::Unblocked)) else {
                continue;
            };
            let squares =
                |effect: &llamark_stats::Effect| Squares { sum: round(effect.sum_of_squares), df: effect.df };
            cells.push(NoiseCell {
                case: case.case.id.clone(),
                measurement: measurement.clone(),
                metric: *metric,
                unpaired: squares(&unpaired),
                paired: squares(&paired),
                difference: round(paired.difference),
            });
        }
    }
    let llamark = a.ledger.begin.as_ref().map_or_else(String::new, |begin| begin.llamark.clone());
    Ok(Calibration {
        name: a.resolved.plan.name.clone(),
        sets: [first_manifest, second_manifest],
        finished_at: first.finished_at.max(second.finished_at),
        engine: first.engine,
        llamark,
        starts: a
            .ledger
            .cases
            .iter()
            .map(|case| case.starts.len())
            .max()
            .map_or(0, |most| u32::try_from(most).unwrap_or(u32::MAX)),
        cells,
    })
}
