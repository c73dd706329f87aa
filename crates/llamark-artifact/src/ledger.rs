//! The journal folded: what was planned, what came of it, and what counts.
//!
//! One state machine serves three readers: the writer, which refuses an event that makes no sense where it is; the
//! reader of a set; and `verify`. Its rules are what makes a retry visible that was chosen for its result: a start
//! is tried again only when the attempt before was interrupted, every attempt stays, and the last one counts.

mod canary;
mod describe;
mod enough;
mod perplexity;
mod starts;

use std::collections::{BTreeMap, HashMap};

use llamark_record::Sha256;
use llamark_record::build::BuildRecord;
use llamark_record::canary::{Canary, CanaryReference};
use llamark_record::journal::{
    Begin, CaseClosed, End, Enough, Entry, Event, Outcome, Proof, RunRecord, StartClosed, StartId,
    StartOpened, StartReady, WarmedUp,
};
use llamark_record::llama_bench::BenchReport;
use llamark_record::model::ModelRecord;
use llamark_record::perplexity::Perplexity;
use llamark_record::plan::{Case, Plan, PlannedStart, Until, WarmUp};
use llamark_record::stated::{StatedRun, StatedStart};
use llamark_record::telemetry::Telemetry;

use describe::describe;
pub use starts::Starts;

/// Most runs of a start that room is made for before they are there: a plan may come from a stranger.
const MOST_ROOM: u32 = 256;

/// What came of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    /// The first entry; absent before it was read.
    pub begin: Option<Begin>,
    /// How often the set was opened again after an interruption.
    pub resumes: u32,
    /// Models by id, as found last.
    pub models: BTreeMap<String, ModelRecord>,
    /// Builds by id, as found last.
    pub builds: BTreeMap<String, BuildRecord>,
    /// What the processor alone makes of the canary prompt, by the id of the model.
    pub canary_references: BTreeMap<String, CanaryReference>,
    /// How well each backend predicts the text of the plan, in the order in which that was measured.
    pub perplexities: Vec<Perplexity>,
    /// The cases, in the order of the plan.
    pub cases: Vec<CaseLedger>,
    /// The last entry of a finished set.
    pub end: Option<End>,
    /// When the first entry was written (RFC 3339); empty before it was read.
    pub started_at: String,
    /// When the last entry was written (RFC 3339).
    pub finished_at: String,
    /// `hash` of the last entry; absent before the first.
    pub head: Option<Sha256>,
    /// Whether the plan has a canary.
    has_canary: bool,
    /// Most chunks of a perplexity; absent if the plan asks for none.
    perplexity_chunks: Option<u32>,
    /// Whether the plan comes from a document: then there is nothing to run, only what it states.
    imported: bool,
    /// When a case has enough starts; absent: when all of the plan are made.
    until: Option<Until>,
    /// Pairs of starts that are enough where two sets are interleaved; absent: all are made.
    pairs: Option<u32>,
    /// Place in `cases` of the same case in the other variant, by the id of the case.
    partners: HashMap<String, usize>,
    /// Whether the plan leaves the number of warm-up runs to what they show.
    warms_until_steady: bool,
    /// Starts in the order in which they are run.
    schedule: Vec<PlannedStart>,
    /// Place of a case in `cases`.
    places: HashMap<String, usize>,
    /// Place of the case of the last event of a start: most often the next one is of the same.
    near: usize,
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseLedger {
    /// The case.
    pub case: Case,
    /// Its status; absent while it is open.
    pub outcome: Option<Outcome>,
    /// The last attempt at each start, by the number of the start: what counts.
    pub starts: Starts,
    /// Attempts that were interrupted and replaced, in the order in which they were made.
    pub superseded: Vec<StartLedger>,
    /// What a document states, by the number of the start. Only in imported sets, which have no `starts`.
    pub stated: BTreeMap<u32, StatedStart>,
    /// Why fewer starts than the plan's most are enough; absent if they are not.
    pub enough: Option<Enough>,
}

/// One life of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct StartLedger {
    /// Which.
    pub id: StartId,
    /// How it began.
    pub opened: StartOpened,
    /// The server answered; absent when it never did.
    pub ready: Option<StartReady>,
    /// llama-bench ran through, where that is what measures: instead of `ready`.
    pub bench: Option<BenchReport>,
    /// The runs, warm-ups too, in the order in which they were made.
    pub runs: Vec<RunRecord>,
    /// How its warm-up ended; absent if that has a fixed length.
    pub warmed: Option<WarmedUp>,
    /// What greedy sampling made of the canary prompt; absent when it was not asked.
    pub canary: Option<Box<Canary>>,
    /// What the sensors of the machine said; absent when they were not read.
    pub telemetry: Option<Box<Telemetry>>,
    /// How it ended; absent while it lives, and for ever when llamark was killed during it.
    pub closed: Option<StartClosed>,
}

/// An event at a place where it makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is out of place: {reason}")]
pub struct Misplaced {
    /// The event, in short.
    pub what: String,
    /// Why.
    pub reason: String,
}

impl StartLedger {
    /// Drops what [`crate::ArtifactSet::read_by_seal`] leaves out.
    pub fn leave_unread(&mut self) {
        crate::journal::leave_of_opened(&mut self.opened);
        self.ready.iter_mut().for_each(crate::journal::leave_of_ready);
        self.closed.iter_mut().for_each(crate::journal::leave_of_closed);
        self.runs.iter_mut().for_each(crate::journal::leave_arrivals);
    }

    /// Whether this attempt came to an end of its own, good or bad; it is not tried again then.
    pub fn is_settled(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.outcome != Outcome::Interrupted)
    }

    /// Tokens of the prompt, as the server counted them, or as llama-bench was asked for them.
    pub fn prompt_tokens(&self) -> Option<u32> {
        let counted = self.ready.as_ref().map(|ready| ready.prompt_tokens);
        counted.or_else(|| self.bench.as_ref().map(|report| report.prompt_tokens))
    }

    /// What was asked, what was seen, and where.
    pub fn proofs(&self) -> &[Proof] {
        let of_server = self.ready.as_ref().map(|ready| &ready.proofs);
        of_server.or_else(|| self.bench.as_ref().map(|report| &report.proofs)).map_or(&[], Vec::as_slice)
    }

    /// The runs that count.
    pub fn counting(&self) -> impl Iterator<Item = &RunRecord> {
        self.runs.iter().filter(|run| run.counts())
    }

    /// Runs of that kind so far. Their indices follow each other, so that the last one tells.
    pub(crate) fn recorded(&self, warmup: bool) -> u32 {
        self.runs.iter().rev().find(|run| run.warmup == warmup).map_or(0, |run| run.index)
    }
}

impl CaseLedger {
    /// The status that the starts give the case, once nothing is left to do for it: the first start that failed or
    /// was invalid decides; all starts ok, with at least one run that counts, is ok. Absent while starts are left.
    ///
    /// A case is settled by its first bad start: the starts that are left would only cost time.
    ///
    /// What a document states of a case is ok when it states all of its runs.
    pub fn outcome_of_starts(&self) -> Option<Outcome> {
        if !self.stated.is_empty() {
            return self.outcome_of_stated();
        }
        let mut settled = 0;
        for start in self.starts.values().filter(|start| start.is_settled()) {
            match &start.closed {
                Some(StartClosed { outcome: Outcome::Ok, .. }) => settled += 1,
                Some(closed) => return Some(closed.outcome.clone()),
                None => {}
            }
        }
        if settled < self.starts_wanted() {
            return None;
        }
        if self.starts.values().any(|start| start.counting().next().is_some()) {
            Some(Outcome::Ok)
        } else {
            Some(Outcome::Invalid { reason: "every run breaks a rule".to_owned() })
        }
    }

    /// Starts that the case has when it is done: those of the plan, unless fewer were enough.
    pub fn starts_wanted(&self) -> u32 {
        self.enough.as_ref().map_or(self.case.starts, |enough| enough.starts)
    }

    fn outcome_of_stated(&self) -> Option<Outcome> {
        if u32::try_from(self.stated.len()).unwrap_or(u32::MAX) < self.case.starts {
            return None;
        }
        let runs = || self.stated.values().flat_map(|start| &start.runs);
        if runs().any(StatedRun::is_of_both) {
            return Some(Outcome::Invalid { reason: StatedRun::OF_BOTH.to_owned() });
        }
        let planned = u64::from(self.case.starts) * u64::from(self.case.runs);
        let runs = runs().count();
        if u64::try_from(runs).unwrap_or(u64::MAX) == planned {
            return Some(Outcome::Ok);
        }
        Some(Outcome::Invalid { reason: format!("incomplete: the document states {runs} of {planned} runs") })
    }

    /// The attempt that comes next for a start, from 1.
    fn next_attempt(&self, start: u32) -> u32 {
        self.starts.get(start).map_or(1, |last| last.id.attempt.saturating_add(1))
    }
}

impl Ledger {
    /// Before the first event.
    pub fn new(plan: &Plan) -> Self {
        let places = plan.cases.iter().enumerate().map(|(place, case)| (case.id.clone(), place)).collect();
        let case = |case: &Case| CaseLedger {
            case: case.clone(),
            outcome: None,
            starts: Starts::default(),
            superseded: Vec::new(),
            stated: BTreeMap::new(),
            enough: None,
        };
        Self {
            begin: None,
            resumes: 0,
            models: BTreeMap::new(),
            builds: BTreeMap::new(),
            canary_references: BTreeMap::new(),
            perplexities: Vec::new(),
            cases: plan.cases.iter().map(case).collect(),
            end: None,
            started_at: String::new(),
            finished_at: String::new(),
            head: None,
            has_canary: plan.canary.is_some(),
            perplexity_chunks: plan.perplexity.as_ref().map(|planned| planned.chunks),
            imported: plan.document().is_some(),
            until: plan.procedure.until,
            pairs: plan.interleaved.as_ref().and_then(|turns| turns.pairs),
            partners: enough::partners(plan),
            warms_until_steady: plan.procedure.warmup != WarmUp::Counted,
            schedule: plan.schedule.clone(),
            places,
            near: 0,
        }
    }

    /// The case of that id.
    pub fn case(&self, id: &str) -> Option<&CaseLedger> {
        self.cases.get(self.place(id)?)
    }

    fn place(&self, id: &str) -> Option<usize> {
        let is_near = self.cases.get(self.near).is_some_and(|near| near.case.id == id);
        if is_near { Some(self.near) } else { self.places.get(id).copied() }
    }

    /// What is left to do, in the order of the schedule: starts of open cases that were never brought to an end,
    /// each with the attempt that comes next. A case that a bad start has settled has nothing left.
    pub fn pending(&self) -> Vec<StartId> {
        if self.imported {
            return Vec::new();
        }
        self.schedule
            .iter()
            .filter_map(|planned| {
                let case = self.case(&planned.case)?;
                let settled = case.starts.get(planned.start).is_some_and(StartLedger::is_settled);
                if case.outcome.is_some() || settled || case.outcome_of_starts().is_some() {
                    return None;
                }
                let attempt = case.next_attempt(planned.start);
                Some(StartId { case: (&planned.case).into(), start: planned.start, attempt })
            })
            .collect()
    }

    /// Cases by the word of their status: what [`End`] records.
    pub fn tally(&self) -> BTreeMap<String, u32> {
        let mut tally = BTreeMap::new();
        for outcome in self.cases.iter().filter_map(|case| case.outcome.as_ref()) {
            *tally.entry(outcome.word().to_owned()).or_default() += 1;
        }
        tally
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// When the event makes no sense at this place; the ledger is then as it was.
    pub fn apply(&mut self, entry: Entry) -> Result<(), Misplaced> {
        self.check(&entry.event)?;
        match entry.event {
            Event::Begin(begin) => {
                self.begin = Some(begin);
                self.started_at.clone_from(&entry.at);
            }
            Event::Resume(_) => self.resumes += 1,
            Event::Model(model) => {
                self.models.insert(model.id.clone(), model);
            }
            Event::Build(build) => {
                self.builds.insert(build.id, build.record);
            }
            Event::StartOpened(opened) => self.open(opened),
            Event::StartReady(ready) => {
                if let Some(start) = self.start_mut(&ready.id) {
                    start.ready = Some(ready);
                }
            }
            Event::Bench(report) => {
                if let Some(start) = self.start_mut(&report.id) {
                    start.bench = Some(report);
                }
            }
            Event::Run(run) => {
                if let Some(start) = self.start_mut(&run.id) {
                    start.runs.push(run);
                }
            }
            Event::WarmedUp(warmed) => {
                if let Some(start) = self.start_mut(&warmed.id) {
                    start.warmed = Some(warmed);
                }
            }
            Event::Enough(enough) => {
                if let Some(case) = self.case_mut(&enough.case) {
                    case.enough = Some(enough);
                }
            }
            Event::Canary(canary) => {
                if let Some(start) = self.start_mut(&canary.id) {
                    start.canary = Some(Box::new(canary));
                }
            }
            Event::CanaryReference(reference) => {
                self.canary_references.insert(reference.model.clone(), reference);
            }
            Event::Perplexity(perplexity) => self.perplexities.push(perplexity),
            Event::Telemetry(telemetry) => {
                if let Some(start) = self.start_mut(&telemetry.id) {
                    start.telemetry = Some(Box::new(telemetry));
                }
            }
            Event::StartClosed(closed) => {
                if let Some(start) = self.start_mut(&closed.id) {
                    start.closed = Some(closed);
                }
            }
            Event::Stated(stated) => {
                if let Some(case) = self.case_mut(&stated.id.case) {
                    case.stated.insert(stated.id.start, stated);
                }
            }
            Event::CaseClosed(closed) => {
                if let Some(case) = self.case_mut(&closed.case) {
                    case.outcome = Some(closed.outcome);
                }
            }
            Event::End(end) => self.end = Some(end),
        }
        self.finished_at = entry.at;
        self.head = Some(entry.hash);
        Ok(())
    }

    /// Takes the run of the next entry, whose other members the caller looks after. It never is the last one.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub(crate) fn apply_run(&mut self, run: RunRecord) -> Result<(), Misplaced> {
        let problem = self.check_place(false).map(str::to_owned).or_else(|| self.check_run(&run));
        if let Some(reason) = problem {
            return Err(Misplaced { what: describe(&Event::Run(run)), reason });
        }
        if let Some(start) = self.start_mut(&run.id) {
            start.runs.push(run);
        }
        Ok(())
    }

    fn open(&mut self, opened: StartOpened) {
        let id = opened.id.clone();
        if let Some(case) = self.case_mut(&id.case) {
            let number = id.start;
            // Room for all of them: in a large set, growing by doubling would cost as much memory as the runs do.
            let planned = case.case.warmup.saturating_add(case.case.runs).min(MOST_ROOM);
            let runs = Vec::with_capacity(usize::try_from(planned).unwrap_or_default());
            let start = StartLedger {
                id,
                opened,
                ready: None,
                bench: None,
                runs,
                warmed: None,
                canary: None,
                telemetry: None,
                closed: None,
            };
            if let Some(before) = case.starts.insert(number, start) {
                case.superseded.push(before);
            }
        }
    }

    fn case_mut(&mut self, id: &str) -> Option<&mut CaseLedger> {
        self.near = self.place(id)?;
        self.cases.get_mut(self.near)
    }

    fn start_mut(&mut self, id: &StartId) -> Option<&mut StartLedger> {
        self.case_mut(&id.case)?.starts.get_mut(id.start)
    }

    /// Whether the event makes sense as the next one.
    ///
    /// # Errors
    /// When it does not, with the reason.
    pub fn check(&self, event: &Event) -> Result<(), Misplaced> {
        let refuse = |reason: String| Err(Misplaced { what: describe(event), reason });
        if let Some(problem) = self.check_place(matches!(event, Event::Begin(_))) {
            return refuse(problem.to_owned());
        }
        let problem = match event {
            Event::Resume(_) | Event::Model(_) | Event::Build(_) | Event::StartOpened(_) if self.imported => {
                Some("the plan comes from a document, so nothing in it can be run".to_owned())
            }
            Event::Begin(_) | Event::Model(_) | Event::Build(_) => None,
            Event::Stated(stated) => self.check_stated(stated),
            Event::Resume(resume) => self.check_resume(resume),
            Event::StartOpened(opened) => self.check_opened(&opened.id),
            Event::StartReady(ready) => match self.live(&ready.id) {
                Ok(start) => start.ready.is_some().then(|| "the start is already ready".to_owned()),
                Err(reason) => Some(reason),
            },
            Event::Bench(report) => match self.live(&report.id) {
                Ok(start) => (start.ready.is_some() || start.bench.is_some())
                    .then(|| "the start was already measured".to_owned()),
                Err(reason) => Some(reason),
            },
            Event::Run(run) => self.check_run(run),
            Event::Telemetry(telemetry) => match self.live(&telemetry.id) {
                Ok(start) => {
                    start.telemetry.is_some().then(|| "the start already has its telemetry".to_owned())
                }
                Err(reason) => Some(reason),
            },
            Event::WarmedUp(warmed) => self.check_warmed(warmed),
            Event::Enough(enough) => self.check_enough(enough),
            Event::Canary(canary) => self.check_canary(canary),
            Event::CanaryReference(reference) => self.check_canary_reference(reference),
            Event::Perplexity(perplexity) => self.check_perplexity(perplexity),
            Event::StartClosed(closed) => self.live(&closed.id).err(),
            Event::CaseClosed(closed) => self.check_case_closed(closed),
            Event::End(end) => self.check_end(end),
        };
        problem.map_or(Ok(()), refuse)
    }

    /// Whether anything may come next.
    fn check_place(&self, is_begin: bool) -> Option<&'static str> {
        if self.end.is_some() {
            Some("it comes after the end")
        } else if is_begin != self.begin.is_none() {
            Some("the first entry, and only that, is the beginning")
        } else {
            None
        }
    }

    fn check_resume(&self, resume: &Begin) -> Option<String> {
        let begin = self.begin.as_ref()?;
        (begin.plan != resume.plan || begin.host != resume.host)
            .then(|| "its plan or machine is not that of the beginning".to_owned())
    }

    /// A case ends as its starts did: it cannot be put aside under another name, with the starts that are left.
    fn check_case_closed(&self, closed: &CaseClosed) -> Option<String> {
        let Some(case) = self.case(&closed.case) else { return Some("the plan has no such case".to_owned()) };
        if case.outcome.is_some() {
            return Some("the case has already ended".to_owned());
        }
        if closed.outcome == Outcome::Interrupted {
            return Some("a case does not end as interrupted: it is resumed".to_owned());
        }
        let has_starts = !case.starts.is_empty() || !case.stated.is_empty();
        if matches!(closed.outcome, Outcome::Skipped { .. }) {
            return has_starts.then(|| "a case that has starts was not skipped".to_owned());
        }
        let of_starts = case.outcome_of_starts();
        // What is wrong with a document has its reason in the document.
        let agrees = if self.imported {
            (of_starts == Some(Outcome::Ok)) == (closed.outcome == Outcome::Ok)
        } else {
            of_starts.as_ref() == Some(&closed.outcome)
        };
        let by_starts = || of_starts.as_ref().map_or("unfinished", Outcome::word);
        (!agrees)
            .then(|| format!("it ends as {}, but by its starts it is {}", closed.outcome.word(), by_starts()))
    }

    fn check_end(&self, end: &End) -> Option<String> {
        let open = self.cases.iter().filter(|case| case.outcome.is_none()).count();
        if open > 0 {
            return Some(format!("{open} cases are unfinished"));
        }
        if let Some(problem) = self.check_canaries().or_else(|| self.check_perplexities()) {
            return Some(problem);
        }
        (end.cases != self.tally()).then(|| "its count of the cases does not match the journal".to_owned())
    }
}
