//! Whether a case has enough starts: a pure function of the plan and the journal.
//!
//! It is asked before each further start, so it does not matter whether the set was interrupted, or when: what is on
//! the disk decides, and the decision is an event of its own. A reader of the journal checks it again: a case that was
//! ended because its numbers pleased somebody is refused.

use std::collections::HashMap;

use llamark_record::journal::{Enough, EnoughBy, Outcome};
use llamark_record::metric::RunValues;
use llamark_record::plan::Plan;
use llamark_stats::until::{half_width, looks};

use super::{CaseLedger, Ledger, StartLedger};

/// Level of the interval; the one of a report.
const LEVEL: f64 = 0.95;

impl Ledger {
    /// Why no further start of this case is made; `None` where one is.
    ///
    /// The two variants of a case have their starts in pairs, so they are asked together: neither stops before the other, and
    /// none stops with a start that has no partner.
    pub fn enough(&self, case: &CaseLedger) -> Option<EnoughBy> {
        let until = self.until?;
        let made = made(case)?;
        if case.outcome_of_starts().is_some() {
            return None;
        }
        let partner = self.partner(case);
        if partner.is_some_and(|partner| self::made(partner) != Some(made)) {
            return None;
        }
        let looks = looks(until.least, case.case.starts);
        let is_known = |case| is_narrow(case, f64::from(until.share_ppm) / 1e6, looks.len());
        if looks.contains(&made) && is_known(case) && partner.is_none_or(is_known) {
            return Some(EnoughBy::Narrow);
        }
        let is_over = until.max_server_ms.is_some_and(|limit| self.server_us() / 1000 >= limit);
        (is_over && made >= until.least).then_some(EnoughBy::Time)
    }

    /// Fewer starts than planned are enough only where the plan says so, and when the numbers say so. Of two sets in turn, which
    /// pairs met one machine takes both sets to tell; this one alone must have had so many starts.
    pub(super) fn check_enough(&self, enough: &Enough) -> Option<String> {
        if self.until.is_none() && self.pairs.is_none() {
            return Some("the plan has a fixed number of starts".to_owned());
        }
        let Some(case) = self.case(&enough.case) else {
            return Some("the plan has no such case".to_owned());
        };
        if case.outcome.is_some() || case.enough.is_some() || case.outcome_of_starts().is_some() {
            return Some("nothing is left to do for the case".to_owned());
        }
        let settled = case.starts.values().filter(|start| start.is_settled()).count();
        if made(case) != Some(enough.starts) {
            return Some(format!("{settled} starts were made"));
        }
        let is_enough = match (enough.by, self.pairs) {
            (EnoughBy::Pairs, Some(pairs)) => enough.starts >= pairs,
            (by, _) => self.enough(case) == Some(by),
        };
        (!is_enough)
            .then(|| format!("by the rule of the plan, {settled} starts are not enough for that reason"))
    }

    /// The case in the other variant; `None` if there is none, or where it came to a bad end: then this one is alone.
    fn partner(&self, case: &CaseLedger) -> Option<&CaseLedger> {
        let partner = self.cases.get(*self.partners.get(&case.case.id)?)?;
        partner.outcome_of_starts().is_none_or(|outcome| outcome == Outcome::Ok).then_some(partner)
    }

    /// How long all servers of the set lived, those of attempts that were interrupted too.
    fn server_us(&self) -> u64 {
        let starts = self.cases.iter().flat_map(|case| case.starts.values().chain(&case.superseded));
        let lives = starts.filter_map(|start| start.closed.as_ref()).map(|closed| closed.lifetime_us);
        lives.fold(0, u64::saturating_add)
    }
}

/// The place of the other variant, by the id of the case. Empty if the plan has no variants.
pub(super) fn partners(plan: &Plan) -> HashMap<String, usize> {
    let mut by_common: HashMap<String, Vec<usize>> = HashMap::new();
    if plan.ab.is_some() {
        for (place, case) in plan.cases.iter().enumerate() {
            by_common.entry(plan.common_id(&case.id)).or_default().push(place);
        }
    }
    let mut partners = HashMap::new();
    for places in by_common.values() {
        for place in places {
            let other = places.iter().find(|other| *other != place);
            if let (Some(other), Some(case)) = (other, plan.cases.get(*place)) {
                partners.insert(case.id.clone(), *other);
            }
        }
    }
    partners
}

/// Starts that were made; `None` while an attempt at one was interrupted: it is made again first.
fn made(case: &CaseLedger) -> Option<u32> {
    let made = case.starts.values().filter(|start| start.is_settled()).count();
    u32::try_from(made).ok().filter(|_| made == case.starts.len())
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
