//! The search itself: the ends, then one revision after the other, until the first bad one is known. Each step is kept.

use std::collections::BTreeMap;

use llamark_build::BuildError;
use llamark_record::bisect::{Answer, BisectStep, BisectVerdict};
use llamark_record::plan::Arm;
use llamark_stats::search::{self, Next, Told};
use llamark_stats::sequential::{Elsewhere, Ends, Side, ends, side};

use super::laboratory::{Laboratory, Measured, keys};
use super::record::RecordFile;
use crate::exit::{Exit, Failed, fail};
use crate::resolve::Resolved;

/// A search on its way.
pub(crate) struct Search<'a> {
    laboratory: Laboratory<'a>,
    /// How far it came.
    pub(crate) file: RecordFile,
    /// The ends, once they were needed.
    good: Option<Resolved>,
    bad: Option<Resolved>,
}

impl<'a> Search<'a> {
    /// From where the record of it ends.
    pub(crate) fn new(laboratory: Laboratory<'a>, file: RecordFile) -> Self {
        Self { laboratory, file, good: None, bad: None }
    }

    fn revisions(&self) -> usize {
        self.laboratory.history.revisions.len()
    }

    /// Notes what the user does not want to be tried.
    pub(crate) fn skip(&mut self, words: &[String]) -> Result<(), Failed> {
        for word in words {
            let place = self.laboratory.history.find(word)?;
            if place == 0 || place + 1 == self.revisions() {
                let hint = "leave out `--skip` for it: both ends must run";
                return fail(
                    Exit::BadInput,
                    format!("`{word}` is an end of the history, and cannot be skipped"),
                    hint,
                );
            }
            // The ends come first: without them there is no search.
            self.ends()?;
            if self.file.record.answer.is_none() && !self.told().contains_key(&place) {
                self.note(step(place, BisectVerdict::Skipped, "left out by `--skip`"))?;
            }
        }
        Ok(())
    }

    /// To the answer. What is known already is not asked again.
    pub(crate) fn go(&mut self) -> Result<Answer, Failed> {
        if !self.file.record.steps.is_empty() {
            let known = self.file.record.steps.len();
            self.laboratory.display.step("Resuming", &format!("{known} revisions are known already"));
        }
        self.ends()?;
        loop {
            if let Some(answer) = self.file.record.answer {
                return Ok(answer);
            }
            match search::next(self.revisions(), &self.told()) {
                Next::Try(place) => {
                    let step = self.attempt(place)?;
                    self.note(step)?;
                }
                Next::Found(place) => self.end(Answer::FirstBad { revision: number(place) })?,
                Next::Hidden { first, last } => {
                    self.end(Answer::Hidden { first: number(first), last: number(last) })?;
                }
            }
        }
    }

    /// The bad end against the good one.
    fn ends(&mut self) -> Result<(), Failed> {
        if !self.file.record.steps.is_empty() {
            return Ok(());
        }
        let last = self.revisions().saturating_sub(1);
        let (good, bad) = (self.good()?, self.bad()?);
        let (from, to) = (self.laboratory.history.label(0), self.laboratory.history.label(last));
        if keys(&good) == keys(&bad) {
            let hint = "what they are built of is the same: name two ends that differ";
            return fail(Exit::BadInput, format!("{from} and {to} are the same build"), hint);
        }
        for (place, end) in [(0, &good), (last, &bad)] {
            self.laboratory.compile(end).map_err(|failed| Failed {
                hint: format!(
                    "both ends must run: name a different one than {}",
                    self.laboratory.history.label(place)
                ),
                ..failed
            })?;
        }
        self.laboratory.display.step("Bisecting", &format!("first the ends: {to} against {from}"));
        let minimum = self.laboratory.rules.minimum.ln_1p();
        let found = self
            .laboratory
            .compare([&good, &bad], Elsewhere::default(), |interval| ends(interval, minimum) != Ends::Open)?;
        if let Some((arm, reason)) = &found.trouble {
            let end = if *arm == Arm::Base { from } else { to };
            return fail(
                Exit::CaseWithoutResult,
                format!("{end} has no result, and it is an end of the history: {reason}"),
                format!(
                    "look at what was measured ({}); `--again` measures everything again",
                    found.sets.concat().join(" and ")
                ),
            );
        }
        let (verdict, boundary, answer) = match found.interval.as_ref().map(|one| ends(one, minimum)) {
            Some(Ends::Worse { boundary }) => (BisectVerdict::Bad, boundary, None),
            Some(Ends::NotWorse) => (BisectVerdict::Good, 0.0, Some(Answer::NotWorse)),
            Some(Ends::Open) | None => (BisectVerdict::Skipped, 0.0, Some(Answer::EndsUndecided)),
        };
        self.file.record.answer = answer;
        self.note(self.measured(last, verdict, &found, boundary, ""))
    }

    /// One revision in the middle.
    fn attempt(&mut self, place: usize) -> Result<BisectStep, Failed> {
        let label = self.laboratory.history.label(place).to_owned();
        let text = format!("{label} ({} of {})", place + 1, self.revisions());
        self.laboratory.display.step("Trying", &text);
        let (good, bad) = (self.good()?, self.bad()?);
        let revision = match self.laboratory.fetch(place) {
            Ok(revision) => revision,
            Err(failed) if is_of_revision(&failed) => return Ok(does_not_build(place, &failed)),
            Err(failed) => return Err(failed),
        };
        for (end, verdict, word) in [(&good, BisectVerdict::Good, "good"), (&bad, BisectVerdict::Bad, "bad")]
        {
            if keys(&revision) == keys(end) {
                return Ok(step(place, verdict, &format!("it is the same build as the {word} end")));
            }
        }
        match self.laboratory.compile(&revision) {
            Ok(()) => {}
            Err(failed) if is_of_revision(&failed) => return Ok(does_not_build(place, &failed)),
            Err(failed) => return Err(failed),
        }
        let boundary = self.boundary();
        let found = self.laboratory.compare([&good, &revision], self.elsewhere(), |interval| {
            side(interval, boundary) != Side::Open
        })?;
        if let Some((arm, reason)) = &found.trouble {
            let who =
                if *arm == Arm::Base { "the good end measured with it has no result" } else { "no result" };
            let reason = format!("{who}: {reason}");
            return Ok(self.measured(place, BisectVerdict::Skipped, &found, boundary, &reason));
        }
        let (verdict, reason) = match found.interval.as_ref().map(|one| side(one, boundary)) {
            Some(Side::Below) => (BisectVerdict::Good, ""),
            Some(Side::Above) => (BisectVerdict::Bad, ""),
            Some(Side::Open) | None => (BisectVerdict::Skipped, "undecided after all starts"),
        };
        Ok(self.measured(place, verdict, &found, boundary, reason))
    }

    fn measured(
        &self,
        place: usize,
        verdict: BisectVerdict,
        found: &Measured,
        boundary: f64,
        reason: &str,
    ) -> BisectStep {
        BisectStep {
            evidence: self.laboratory.evidence(found, boundary),
            sets: found.sets.clone(),
            ..step(place, verdict, reason)
        }
    }

    fn good(&mut self) -> Result<Resolved, Failed> {
        if self.good.is_none() {
            self.good = Some(self.laboratory.fetch(0)?);
        }
        self.good.clone().map_or_else(|| fail(Exit::Internal, "the good end is gone", ""), Ok)
    }

    fn bad(&mut self) -> Result<Resolved, Failed> {
        if self.bad.is_none() {
            self.bad = Some(self.laboratory.fetch(self.revisions().saturating_sub(1))?);
        }
        self.bad.clone().map_or_else(|| fail(Exit::Internal, "the bad end is gone", ""), Ok)
    }

    /// What is known of each revision.
    fn told(&self) -> BTreeMap<usize, Told> {
        let steps = self.file.record.steps.iter();
        let told = |step: &BisectStep| match step.verdict {
            BisectVerdict::Good => Told::Good,
            BisectVerdict::Bad => Told::Bad,
            BisectVerdict::Skipped => Told::Skipped,
        };
        steps.filter_map(|step| Some((usize::try_from(step.revision).ok()?, told(step)))).collect()
    }

    /// Half of the loss between the ends, in logarithms.
    fn boundary(&self) -> f64 {
        let ends = self.file.record.steps.first().and_then(|step| step.evidence);
        ends.map_or(0.0, |evidence| evidence.boundary)
    }

    /// What the steps so far say of the spread between starts.
    fn elsewhere(&self) -> Elsewhere {
        let steps = self.file.record.steps.iter().filter_map(|step| step.evidence);
        steps.fold(Elsewhere::default(), |all, one| Elsewhere {
            sum_of_squares: all.sum_of_squares + one.sum_of_squares,
            df: all.df + one.pairs.saturating_sub(1),
        })
    }

    /// Keeps a step.
    fn note(&mut self, step: BisectStep) -> Result<(), Failed> {
        let place = usize::try_from(step.revision).unwrap_or(usize::MAX);
        let word = match step.verdict {
            BisectVerdict::Good => "good",
            BisectVerdict::Bad => "bad",
            BisectVerdict::Skipped => "skipped",
        };
        let reason = if step.reason.is_empty() { String::new() } else { format!(": {}", step.reason) };
        let label = self.laboratory.history.label(place);
        self.laboratory.display.step("Found", &format!("{label} is {word}{reason}"));
        self.file.record.steps.push(step);
        self.file.save()
    }

    fn end(&mut self, answer: Answer) -> Result<(), Failed> {
        self.file.record.answer = Some(answer);
        self.file.save()
    }
}

fn step(place: usize, verdict: BisectVerdict, reason: &str) -> BisectStep {
    let (revision, reason) = (number(place), reason.to_owned());
    BisectStep { revision, verdict, reason, evidence: None, sets: Vec::new() }
}

/// Whether it is the revision that does not build. On a machine whose disk is full none does, and to skip them all would be an
/// answer that is kept.
fn is_of_revision(failed: &Failed) -> bool {
    let of_engine = failed.error.downcast_ref::<BuildError>().is_none_or(BuildError::is_of_engine);
    failed.exit == Exit::BuildFailed && of_engine
}

fn does_not_build(place: usize, failed: &Failed) -> BisectStep {
    let text = failed.to_string();
    let first = text.lines().next().unwrap_or_default();
    step(place, BisectVerdict::Skipped, &format!("it does not build: {first}"))
}

fn number(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX)
}
