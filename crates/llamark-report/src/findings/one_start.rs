//! LM302: intervals that do not cover what changes from start to start.

use super::rules::ONE_START;
use super::{Context, Finding, Scope, Subject};
use crate::format::float;
use crate::summary::{Estimate, Replication};

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let interval =
        |estimate: &Option<Estimate>| estimate.as_ref().and_then(|estimate| estimate.interval.clone());
    let cases = &context.summary.cases;
    let intervals: Vec<_> =
        cases.iter().filter_map(|case| interval(&case.metrics.tg).or(interval(&case.metrics.pp))).collect();
    let of_one = intervals.iter().filter(|interval| interval.over == Replication::RunsOfOneStart).count();
    if of_one == 0 {
        return Vec::new();
    }
    let starts = if context.summary.set.document.is_some() {
        "the runs that the document lists, which are from one start of the server as far as it says"
    } else {
        "the runs of one start of the server"
    };
    let text = format!(
        "The intervals of {of_one} of {} cases are over {starts}: they do not include what changes from one start to the \
         next, so they are too narrow by an unknown amount.",
        cases.len()
    );
    let finding = Finding::new(&ONE_START, Subject::set(Scope::Set), text)
        .number("cases", float(u64::try_from(of_one).unwrap_or(0)))
        .number("of", float(u64::try_from(cases.len()).unwrap_or(0)));
    vec![finding]
}
