//! Whether a case has enough starts: a pure function of the plan and the journal, asked before each further start.
//!
//! So it does not matter whether the set was interrupted, or when: what is on the disk decides, and the decision is an
//! event of its own.

use llamark_artifact::{CaseLedger, Ledger, StartLedger};
use llamark_record::journal::{EnoughBy, Outcome};
use llamark_record::metric::RunValues;
use llamark_record::plan::Plan;
use llamark_stats::until::{half_width, looks};

/// Level of the interval; the one of a report.
const LEVEL: f64 = 0.95;

/// Why no further start of this case is made; `None` where one is.
///
/// The two variants of a case have their starts in pairs, so they are asked together: neither stops before the other, and
/// none stops with a start that has no partner.
pub(crate) fn enough(ledger: &Ledger, plan: &Plan, case: &CaseLedger) -> Option<EnoughBy> {
    let until = plan.procedure.until?;
    let made = made(case)?;
    if case.outcome_of_starts().is_some() {
        return None;
    }
    let partner = partner(ledger, plan, case);
    if partner.is_some_and(|partner| self::made(partner) != Some(made)) {
        return None;
    }
    let looks = looks(until.least, case.case.starts);
    let is_known = |case| is_narrow(case, f64::from(until.share_ppm) / 1e6, looks.len());
    if looks.contains(&made) && is_known(case) && partner.is_none_or(is_known) {
        return Some(EnoughBy::Narrow);
    }
    let is_over = until.max_server_ms.is_some_and(|limit| server_us(ledger) / 1000 >= limit);
    (is_over && made >= until.least).then_some(EnoughBy::Time)
}

/// Starts that were made; `None` while an attempt at one was interrupted: it is made again first.
fn made(case: &CaseLedger) -> Option<u32> {
    let made = case.starts.values().filter(|start| start.is_settled()).count();
    u32::try_from(made).ok().filter(|_| made == case.starts.len())
}

/// The case in the other variant; `None` where there is none, or where it came to a bad end: then this one is alone.
fn partner<'a>(ledger: &'a Ledger, plan: &Plan, case: &CaseLedger) -> Option<&'a CaseLedger> {
    plan.ab.as_ref()?;
    let id = plan.common_id(&case.case.id);
    let is_it = |other: &&CaseLedger| other.case.id != case.case.id && plan.common_id(&other.case.id) == id;
    let partner = ledger.cases.iter().find(is_it)?;
    partner.outcome_of_starts().is_none_or(|outcome| outcome == Outcome::Ok).then_some(partner)
}

/// Every rate that the case has is known well enough, and it has one.
fn is_narrow(case: &CaseLedger, share: f64, looks: usize) -> bool {
    let rates: [fn(&RunValues) -> Option<f64>; 2] = [|values| values.pp, |values| values.tg];
    let mut found = false;
    for rate in rates {
        let means = start_means(case, rate);
        if means.is_empty() {
            continue;
        }
        found = true;
        if half_width(&means, looks, LEVEL).is_none_or(|half| half > share) {
            return false;
        }
    }
    found
}

/// The mean over the runs that count of each start that has some: what a report's interval is made of.
fn start_means(case: &CaseLedger, rate: fn(&RunValues) -> Option<f64>) -> Vec<f64> {
    let mean = |start: &StartLedger| {
        let values: Vec<f64> = start.counting().filter_map(|run| rate(&RunValues::of(run))).collect();
        llamark_stats::mean(&values)
    };
    case.starts.values().filter_map(mean).collect()
}

/// How long all servers of the set lived, those of attempts that were interrupted too.
fn server_us(ledger: &Ledger) -> u64 {
    let starts = ledger.cases.iter().flat_map(|case| case.starts.values().chain(&case.superseded));
    starts.filter_map(|start| start.closed.as_ref()).map(|closed| closed.lifetime_us).sum()
}
