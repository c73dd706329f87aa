//! Starts and their runs: which one comes next.

use std::collections::BTreeMap;

use llamark_record::journal::{RunRecord, StartId, WarmedUp};
use llamark_record::stated::StatedStart;

use super::{CaseLedger, Ledger, StartLedger};

/// Starts of a case by their number. In boxes: a map makes room for eleven at once, and most cases have three.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Starts(BTreeMap<u32, Box<StartLedger>>);

impl Starts {
    /// The start of that number.
    pub fn get(&self, number: u32) -> Option<&StartLedger> {
        self.0.get(&number).map(Box::as_ref)
    }

    /// The start of that number, to change.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut StartLedger> {
        self.0.get_mut(&number).map(Box::as_mut)
    }

    /// All of them, by number.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &StartLedger> + Clone {
        self.0.values().map(Box::as_ref)
    }

    /// All of them, by number, to change.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut StartLedger> {
        self.0.values_mut().map(Box::as_mut)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Leaves out the starts for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.0.retain(|number, _| keep(*number));
    }

    /// Puts a start in the place of that number, and gives what was there.
    pub fn insert(&mut self, number: u32, start: StartLedger) -> Option<StartLedger> {
        self.0.insert(number, Box::new(start)).map(|before| *before)
    }
}

impl Ledger {
    pub(super) fn check_opened(&self, id: &StartId) -> Option<String> {
        let Some(case) = self.case(&id.case) else { return Some("the plan has no such case".to_owned()) };
        if id.start == 0 || id.start > case.case.starts {
            return Some(format!("the plan has {} starts of the case", case.case.starts));
        }
        if case.outcome.is_some() {
            return Some("the case has already ended".to_owned());
        }
        if case.enough.is_some() {
            return Some("the case has enough starts".to_owned());
        }
        if case.starts.get(id.start).is_some_and(StartLedger::is_settled) {
            return Some("the start has already ended, and is not tried again".to_owned());
        }
        if !self.perplexities.is_empty() {
            return Some(
                "the perplexities are measured after all starts, and one is already there".to_owned(),
            );
        }
        let expected = case.next_attempt(id.start);
        (id.attempt != expected).then(|| format!("attempt {expected} is next"))
    }

    pub(super) fn check_stated(&self, stated: &StatedStart) -> Option<String> {
        if !self.imported {
            return Some("the plan comes from an experiment, not from a document".to_owned());
        }
        let Some(case) = self.case(&stated.id.case) else {
            return Some("the plan has no such case".to_owned());
        };
        let StartId { start, attempt, .. } = stated.id;
        if start == 0 || start > case.case.starts || attempt != 1 {
            return Some(format!(
                "the plan has {} starts of the case, with one attempt each",
                case.case.starts
            ));
        }
        if case.outcome.is_some() {
            return Some("the case has already ended".to_owned());
        }
        if case.stated.contains_key(&start) {
            return Some("the start is already stated".to_owned());
        }
        // One may be missing in the middle.
        let indices = || stated.runs.iter().map(|run| run.index);
        let ascends = indices().zip(indices().skip(1)).all(|(before, after)| before < after);
        if !ascends || !indices().all(|index| (1..=case.case.runs).contains(&index)) {
            return Some(format!("its runs are not numbered upwards from 1 to at most {}", case.case.runs));
        }
        None
    }

    pub(super) fn check_run(&self, run: &RunRecord) -> Option<String> {
        // Looked up once: there may be a million of them.
        let case = self.case(&run.id.case);
        let (case, start) = match live_in(case, &run.id) {
            Ok(both) => both,
            Err(reason) => return Some(reason),
        };
        let planned = if run.warmup { case.case.warmup } else { case.case.runs };
        let expected = start.recorded(run.warmup).saturating_add(1);
        if start.ready.is_none() && start.bench.is_none() {
            Some("the start is not ready".to_owned())
        } else if run.index != expected {
            Some(format!("run {expected} is next"))
        } else if run.index > planned {
            Some(format!("the plan has {planned} of them"))
        } else if self.warms_until_steady && run.warmup != start.warmed.is_none() {
            Some("only the runs that count come after the end of the warm-up".to_owned())
        } else if !run.is_measured() && run.broken.is_empty() {
            Some("a run without a measurement must name the rule that it breaks".to_owned())
        } else {
            None
        }
    }

    pub(super) fn check_warmed(&self, warmed: &WarmedUp) -> Option<String> {
        let start = match self.live(&warmed.id) {
            Ok(start) => start,
            Err(reason) => return Some(reason),
        };
        if !self.warms_until_steady {
            Some("the plan has a fixed number of warm-up runs".to_owned())
        } else if start.warmed.is_some() || start.recorded(false) > 0 {
            Some("the start was already warm".to_owned())
        } else if warmed.runs != start.recorded(true) {
            Some(format!("{} warm-up runs were made", start.recorded(true)))
        } else {
            None
        }
    }

    /// The attempt of that id, if it is the last and still open.
    pub(super) fn live(&self, id: &StartId) -> Result<&StartLedger, String> {
        live_in(self.case(&id.case), id).map(|(_, start)| start)
    }
}

/// The attempt of that id and its case, if it is the last and still open.
fn live_in<'a>(
    case: Option<&'a CaseLedger>,
    id: &StartId,
) -> Result<(&'a CaseLedger, &'a StartLedger), String> {
    let start = case.and_then(|case| Some((case, case.starts.get(id.start)?)));
    let both =
        start.filter(|(_, start)| start.id == *id).ok_or("this attempt at a start was never opened")?;
    if both.1.closed.is_some() {
        return Err("the start was already closed".to_owned());
    }
    Ok(both)
}
