//! Two sets measured in turn by one process: start i of one beside start i of the other.
//!
//! Each is an ordinary set with a plan, a journal and a seal of its own. What joins them is in both plans
//! (`interleaved`): the same pairing, which arm each is, and which arm goes first at each start. An interrupted pair
//! goes on where it stopped; the block in which that happened has its two starts further apart.

use camino::Utf8PathBuf;
use llamark_artifact::{Found, Store};
use llamark_record::environment::Environment;
use llamark_record::plan::{Arm, PlannedStart};

use crate::context::Context;
use crate::display::Display;
use crate::exit::{Exit, Failed, OrFail as _, fail};
use crate::resolve::Resolved;
use crate::session::Session;

/// One of the two: what it is measured from.
pub(crate) struct Given {
    /// The text of its experiment.
    pub(crate) text: String,
    /// Its plan, which says that it is interleaved, with its inputs at hand.
    pub(crate) resolved: Resolved,
}

/// One of the two: measured already, or open.
enum Side<'a> {
    Sealed(Utf8PathBuf),
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

/// Measures what the store does not hold of both, in turn, and seals them: baseline, candidate.
///
/// # Errors
/// As for one set. What was measured is recorded, and the same command goes on.
pub(crate) fn measure(
    context: &Context,
    given: [Given; 2],
    environment: &Environment,
    display: &Display,
) -> Result<[Utf8PathBuf; 2], Failed> {
    let [base, candidate] = given;
    let Some(turns) = base.resolved.plan.plan.interleaved.clone() else {
        return fail(Exit::Internal, "a plan that is measured in turn does not say so", "");
    };
    let schedule = base.resolved.plan.plan.schedule.clone();
    let find = || find(&context.store(), [&base.resolved, &candidate.resolved], environment);
    let mut found = find()?;
    if !is_done(&found) {
        context.have_machine(display)?;
        found = find()?;
    }
    let [of_base, of_candidate] = found;
    let open = |given: Given, found| -> Result<Side<'_>, Failed> {
        if let Some(Found::Sealed(path)) = found {
            return Ok(Side::Sealed(path));
        }
        let session =
            Session::open(context, &given.text, given.resolved, environment, found, display, false)?;
        Ok(Side::Open(Box::new(session)))
    };
    let mut base = open(base, of_base)?;
    let mut candidate = open(candidate, of_candidate)?;
    let total = schedule.len();
    for (place, (planned, first)) in schedule.iter().zip(&turns.first).enumerate() {
        for arm in [*first, first.other()] {
            let left = base.left().zip(candidate.left()).map(|(a, b)| a + b);
            let side = if arm == Arm::Base { &mut base } else { &mut candidate };
            let name =
                format!("pair {} of {total}, {} #{}, {}", place + 1, planned.case, planned.start, arm.word());
            side.start(planned, &name, left)?;
        }
    }
    Ok([base.finish()?, candidate.finish()?])
}

impl Side<'_> {
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
            Self::Sealed(path) => Ok(path),
            Self::Open(session) => session.finish(),
        }
    }
}
