//! One revision against the good end: fetched, compiled, and interleaved until it is decided.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use llamark_artifact::ArtifactSet;
use llamark_fetch::FetchedModel;
use llamark_record::Sha256;
use llamark_record::bisect::{BisectEvidence, BisectRules};
use llamark_record::environment::Environment;
use llamark_record::journal::Outcome as Status;
use llamark_record::metric::Metric;
use llamark_record::plan::{Arm, Pairing, Purpose};
use llamark_report::compare;
use llamark_report::format;
use llamark_spec::Turns;
use llamark_stats::Interval;
use llamark_stats::sequential::{Elsewhere, Looks, repeated_interval};

use super::history::History;
use crate::context::Context;
use crate::display::Display;
use crate::exit::{Exit, Failed, OrFail as _, fail};
use crate::load::Loaded;
use crate::resolve::{self, Resolved};
use crate::session;
use crate::turns::{self, Given};

/// More rounds than one comparison can have.
const MOST_ROUNDS: u32 = 10_000;

/// What every step is made with.
pub(crate) struct Laboratory<'a> {
    pub(crate) context: &'a Context,
    pub(crate) display: &'a Display,
    pub(crate) loaded: &'a Loaded,
    pub(crate) history: &'a History,
    pub(crate) models: BTreeMap<String, FetchedModel>,
    pub(crate) environment: Environment,
    pub(crate) case: String,
    pub(crate) metric: Metric,
    pub(crate) rules: BisectRules,
    /// Which attempt at the search.
    pub(crate) attempt: NonZeroU32,
}

/// What was measured of one revision.
pub(crate) struct Measured {
    /// Of each pair of starts: above zero the revision is worse.
    pub(crate) differences: Vec<f64>,
    /// Limits of their mean; absent while there are too few.
    pub(crate) interval: Option<Interval>,
    /// The sets, as `NAME/ID`.
    pub(crate) sets: Vec<[String; 2]>,
    /// Which side has no result, and why; absent when all went well.
    pub(crate) trouble: Option<(Arm, String)>,
}

impl Laboratory<'_> {
    /// When a step is looked at.
    pub(crate) fn looks(&self) -> Looks {
        let BisectRules { first_pairs, more_pairs, most_pairs, .. } = self.rules;
        Looks { first: first_pairs, more: more_pairs, most: most_pairs }
    }

    /// A revision with its inputs at hand; nothing is compiled yet.
    pub(crate) fn fetch(&self, place: usize) -> Result<Resolved, Failed> {
        let loaded = self.history.with(self.loaded, place)?;
        let builds = resolve::builds(self.context, &loaded, self.display)?;
        Ok(Resolved::new(&loaded, builds, self.models.clone()))
    }

    /// Compiles it, and asks its server what it can do.
    pub(crate) fn compile(&self, resolved: &Resolved) -> Result<(), Failed> {
        self.context.have_machine(self.display)?;
        for prepared in resolved.prepared.values() {
            session::ready(self.context, prepared, self.display)?;
        }
        Ok(())
    }

    /// Measures the revision interleaved with the good end until `is_decided` or there were enough starts.
    pub(crate) fn compare(
        &self,
        [good, revision]: [&Resolved; 2],
        elsewhere: Elsewhere,
        is_decided: impl Fn(&Interval) -> bool,
    ) -> Result<Measured, Failed> {
        let looks = self.looks();
        let mut found = Measured { differences: Vec::new(), interval: None, sets: Vec::new(), trouble: None };
        let (mut done, mut round) = (0, 0);
        while let Some(starts) = looks.next(done) {
            (done, round) = (done + starts, round + 1);
            let sets = self.round([good, revision], round, starts)?;
            found.sets.push(sets.each_ref().map(name));
            found.trouble = self.trouble(&sets);
            if found.trouble.is_some() {
                return Ok(found);
            }
            let [base, candidate] = &sets;
            if round == 1 {
                self.has_metric(base, candidate)?;
            }
            found.differences.extend(compare::differences_in_turn(base, candidate, &self.case, self.metric));
            found.interval = repeated_interval(&found.differences, elsewhere, self.rules.error, &looks);
            if let Some(interval) = &found.interval {
                self.display.step("Looked", &self.words(interval, found.differences.len()));
                if is_decided(interval) {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Without the metric, more starts of the case tell no more.
    fn has_metric(&self, base: &ArtifactSet, candidate: &ArtifactSet) -> Result<(), Failed> {
        let metrics = compare::metrics_in_both(base, candidate, &self.case);
        if metrics.contains(&self.metric) {
            return Ok(());
        }
        let names: Vec<&str> = metrics.iter().map(|metric| metric.name()).collect();
        fail(
            Exit::CaseWithoutResult,
            format!(
                "{} has no {} on both sides ({}, {})",
                self.case,
                self.metric.name(),
                name(base),
                name(candidate)
            ),
            format!("choose one that it has: `--metric {}`", names.join("`, `--metric ")),
        )
    }

    /// Some interleaved starts of both: measured now, or by an earlier call.
    fn round(
        &self,
        [good, revision]: [&Resolved; 2],
        round: u32,
        starts: u32,
    ) -> Result<[ArtifactSet; 2], Failed> {
        let digest = |resolved: &Resolved| resolved.plan.digest().or_fail(Exit::Internal);
        let of = [digest(good)?, digest(revision)?];
        // Those of another attempt are others: there are fewer rounds than that.
        let before = (self.attempt.get() - 1).saturating_mul(MOST_ROUNDS);
        let round = before.saturating_add(round);
        let pairing = Pairing { purpose: Purpose::Bisection, of, round }.digest().or_fail(Exit::Internal)?;
        let seed = self.loaded.plan.seed.wrapping_add(round);
        let arm = |resolved: &Resolved, arm: Arm| {
            let mut resolved = resolved.clone();
            let turns = Turns {
                purpose: Purpose::Bisection,
                pairing: pairing.clone(),
                arm,
                starts,
                most: turns::most(starts),
                seed,
            };
            llamark_spec::interleave(&mut resolved.plan.plan, &[self.case.as_str()], &turns);
            Given { text: self.loaded.text.clone(), resolved }
        };
        let given = [arm(good, Arm::Base), arm(revision, Arm::Candidate)];
        let [base, candidate] = turns::measure(self.context, given, &self.environment, self.display)?;
        let read = |path| ArtifactSet::read_by_seal(path).or_fail(Exit::NotVerified);
        Ok([read(&base)?, read(&candidate)?])
    }

    /// The side whose case has no result.
    fn trouble(&self, sets: &[ArtifactSet; 2]) -> Option<(Arm, String)> {
        [Arm::Base, Arm::Candidate].into_iter().zip(sets).find_map(|(arm, set)| {
            let outcome = set.ledger().case(&self.case).and_then(|case| case.outcome.clone());
            let reason = match outcome? {
                Status::Ok => return None,
                Status::Failed(failure) => failure.detail,
                Status::Skipped { reason } | Status::Invalid { reason } => reason,
                Status::Interrupted => "it was interrupted".to_owned(),
            };
            Some((arm, reason))
        })
    }

    /// The numbers of a step, for the record.
    pub(crate) fn evidence(&self, found: &Measured, boundary: f64) -> Option<BisectEvidence> {
        let interval = found.interval?;
        let difference = llamark_stats::mean(&found.differences)?;
        Some(BisectEvidence {
            pairs: u32::try_from(found.differences.len()).unwrap_or(u32::MAX),
            difference,
            low: interval.low,
            high: interval.high,
            boundary,
            sum_of_squares: llamark_stats::describe::sum_of_squares(&found.differences)?,
            change: compare::change(self.metric, difference),
        })
    }

    /// An interval in a sentence.
    fn words(&self, interval: &Interval, pairs: usize) -> String {
        let middle = f64::midpoint(interval.low, interval.high);
        format!("{pairs} pairs: {}", changes(self.metric, middle, interval.low, interval.high))
    }
}

/// `tg -9.8 % (-10.1 to -9.6 %)` of a worsening in logarithms and its limits.
pub(crate) fn changes(metric: Metric, difference: f64, low: f64, high: f64) -> String {
    let (a, b) = (compare::change(metric, low), compare::change(metric, high));
    let change = format::change(compare::change(metric, difference));
    format!("{} {change} ({})", metric.name(), format::change_interval(a.min(b), a.max(b)))
}

/// `NAME/ID`, as every verb takes it.
fn name(set: &ArtifactSet) -> String {
    format!("{}/{}", set.resolved.plan.name, set.id)
}

/// The keys of the builds of a revision: the same keys are the same programs.
pub(crate) fn keys(resolved: &Resolved) -> Vec<Sha256> {
    resolved.plan.build_keys.values().cloned().collect()
}
