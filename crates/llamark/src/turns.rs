//! Two sets interleaved by one process: start i of one beside start i of the other.
//!
//! Each is an ordinary set with a plan, a journal and a seal of its own. What joins them is in both plans
//! (`interleaved`): the same pairing, which arm each is, and which arm goes first at each start. An interrupted pair
//! continues where it stopped; the block in which that happened has its two starts further apart.
//!
//! A pair that met two machines (`llamark_report::pairs_on_one_machine`) decides nothing, so another is made in its
//! place. That is decided by telemetry, and not by what was measured: nothing is chosen that way.

use camino::Utf8PathBuf;
use llamark_artifact::{ArtifactSet, CaseLedger, Found, Ledger, Store};
use llamark_record::environment::Environment;
use llamark_record::journal::{EnoughBy, Outcome};
use llamark_record::plan::{Arm, PlannedStart};

use crate::context::{Context, shown};
use crate::display::Display;
use crate::exit::{Exit, Failed, OrFail as _, fail};
use crate::resolve::Resolved;
use crate::session::Session;

/// The most pairs that are made to have so many that met one machine: three times as many. A machine that moves in two pairs of
/// three is one for nobody to measure on.
pub(crate) fn most(pairs: u32) -> u32 {
    pairs.saturating_mul(3)
}

/// One of the two: what it is measured from.
pub(crate) struct Given {
    /// The text of its experiment.
    pub(crate) text: String,
    /// Its plan, which says that it is interleaved, with its inputs at hand.
    pub(crate) resolved: Resolved,
}

/// One of the two: measured already, or open.
enum Side<'a> {
    Sealed(Box<ArtifactSet>),
    Open(Box<Session<'a>>),
}

/// What the store holds of the two.
///
/// # Errors
/// When it cannot be listed.
pub(crate) fn find(
    store: &Store,
    given: [&Resolved; 2],
    environment: &Environment,
) -> Result<[Option<Found>; 2], Failed> {
    let host = environment.fingerprint();
    let [a, b] = given;
    Ok([
        store.find(&a.plan, &host).or_fail(Exit::NotVerified)?,
        store.find(&b.plan, &host).or_fail(Exit::NotVerified)?,
    ])
}

/// Both are sealed: nothing is left to measure.
pub(crate) fn is_done(found: &[Option<Found>; 2]) -> bool {
    found.iter().all(|found| matches!(found, Some(Found::Sealed(_))))
}

/// Measures, interleaved, what the store does not have of both, and seals them: baseline, candidate.
///
/// # Errors
/// As for one set. What was measured is recorded, and the same command continues.
pub(crate) fn measure(
    context: &Context,
    given: [Given; 2],
    environment: &Environment,
    display: &Display,
) -> Result<[Utf8PathBuf; 2], Failed> {
    let [base, candidate] = given;
    let Some(turns) = base.resolved.plan.plan.interleaved.clone() else {
        return fail(Exit::Internal, "a plan that is measured interleaved does not say so", "");
    };
    let schedule = base.resolved.plan.plan.schedule.clone();
    let find = || find(&context.store(), [&base.resolved, &candidate.resolved], environment);
    let mut found = find()?;
    if !is_done(&found) {
        context.have_machine(display)?;
        found = find()?;
    }
    no_half(&found)?;
    let [of_base, of_candidate] = found;
    let open = |given: Given, found| -> Result<Side<'_>, Failed> {
        if let Some(Found::Sealed(path)) = found {
            let set = ArtifactSet::read_by_seal(&path).or_fail(Exit::NotVerified)?;
            return Ok(Side::Sealed(Box::new(set)));
        }
        let session =
            Session::open(context, &given.text, given.resolved, environment, found, display, false)?;
        Ok(Side::Open(Box::new(session)))
    };
    let mut base = open(base, of_base)?;
    let mut candidate = open(candidate, of_candidate)?;
    let total = match turns.pairs {
        Some(_) => format!("at most {}", schedule.len()),
        None => schedule.len().to_string(),
    };
    for (place, (planned, first)) in schedule.iter().zip(&turns.first).enumerate() {
        // Before the pair too: whoever stopped it may have done so between the ends of the two sides.
        end_if_enough(&mut base, &mut candidate, &planned.case, turns.pairs, display)?;
        for arm in [*first, first.other()] {
            let left = base.left().zip(candidate.left()).map(|(a, b)| a + b);
            let side = if arm == Arm::Base { &mut base } else { &mut candidate };
            let name =
                format!("pair {} of {total}, {} #{}, {}", place + 1, planned.case, planned.start, arm.word());
            side.start(planned, &name, left)?;
        }
        end_if_enough(&mut base, &mut candidate, &planned.case, turns.pairs, display)?;
    }
    Ok([base.finish()?, candidate.finish()?])
}

/// Starts of one side whose partners are gone would be measured alone, and be taken for pairs.
fn no_half(found: &[Option<Found>; 2]) -> Result<(), Failed> {
    let ([Some(left), None] | [None, Some(left)]) = found else { return Ok(()) };
    let (Found::Sealed(path) | Found::Interrupted(path)) = left;
    let set = ArtifactSet::read(path).or_fail(Exit::NotVerified)?;
    if set.ledger().cases.iter().all(|case| case.starts.is_empty()) {
        return Ok(());
    }
    let path = shown(path);
    fail(
        Exit::BadInput,
        format!("{path} was interleaved with a set that no longer exists: its starts have no partners"),
        format!("put the other set back; or remove {path} too, and both are measured again"),
    )
}

/// Ends a case in both sets once as many of its pairs as are wanted met one machine. Where one side came to a bad end, there are
/// no pairs: the other then has as many starts as were asked for.
fn end_if_enough(
    base: &mut Side<'_>,
    candidate: &mut Side<'_>,
    case: &str,
    wanted: Option<u32>,
    display: &Display,
) -> Result<(), Failed> {
    let Some(wanted) = wanted else { return Ok(()) };
    let Some((a, b)) = base.case(case).zip(candidate.case(case)) else { return Ok(()) };
    let is_bad = |case: &CaseLedger| {
        let outcome = case.outcome.clone().or_else(|| case.outcome_of_starts());
        outcome.is_some_and(|outcome| outcome != Outcome::Ok)
    };
    let found = llamark_report::pairs_on_one_machine(a, b);
    let made = a.starts.len();
    let is_enough = if is_bad(a) || is_bad(b) {
        made.max(b.starts.len()) >= wanted as usize
    } else {
        // A pair of which only one side was made is not to be left half.
        found >= wanted as usize && made == b.starts.len()
    };
    if !is_enough {
        return Ok(());
    }
    let ended = [base.end(case)?, candidate.end(case)?];
    if made > found && ended == [true; 2] {
        display.step("Replaced", &format!("{case}: {} of {made} pairs met two machines", made - found));
    }
    Ok(())
}

impl Side<'_> {
    fn ledger(&self) -> &Ledger {
        match self {
            Self::Sealed(set) => set.ledger(),
            Self::Open(session) => session.ledger(),
        }
    }

    fn case(&self, id: &str) -> Option<&CaseLedger> {
        self.ledger().case(id)
    }

    /// Ends a case, unless it ended before; whether it did.
    fn end(&mut self, id: &str) -> Result<bool, Failed> {
        let is_open =
            self.case(id).is_some_and(|case| case.outcome.is_none() && case.outcome_of_starts().is_none());
        match self {
            Self::Open(session) if is_open => session.end_case(id, EnoughBy::Pairs).map(|_| true),
            _ => Ok(false),
        }
    }

    fn left(&self) -> Option<std::time::Duration> {
        match self {
            Self::Sealed(_) => Some(std::time::Duration::ZERO),
            Self::Open(session) => session.left(),
        }
    }

    /// That start, if the set does not hold it and its case is not settled.
    fn start(
        &mut self,
        planned: &PlannedStart,
        name: &str,
        left: Option<std::time::Duration>,
    ) -> Result<(), Failed> {
        match self {
            Self::Sealed(_) => Ok(()),
            Self::Open(session) => match session.pending(planned) {
                Some(id) => session.start(&id, name, left),
                None => Ok(()),
            },
        }
    }

    fn finish(self) -> Result<Utf8PathBuf, Failed> {
        match self {
            Self::Sealed(set) => Ok(set.path.clone()),
            Self::Open(session) => session.finish(),
        }
    }
}
