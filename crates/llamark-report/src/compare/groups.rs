//! Groups of cases that moved together by less than one case alone can show: a backend, a model, a prompt, everything.

use std::collections::BTreeMap;

use llamark_record::comparison::{CaseComparison, GroupFinding, GroupKind, Rules, Verdict};
use llamark_record::metric::Metric;
use llamark_stats::group::{Shift, shifts};
use llamark_stats::start_level::Design;

use super::judge::{Pairs, change, change_interval};
use crate::estimate::round;

/// A group: its cases, by the places of their differences.
type Groups<'a> = BTreeMap<(Metric, GroupKind, &'a str), Vec<usize>>;

/// The groups that moved, over every gating metric. What was called by itself is left out: it is said already, and
/// one large change is not a shift of a group.
pub(super) fn find(pairs: &Pairs<'_>, judged: &[CaseComparison], by: &Rules) -> Vec<GroupFinding> {
    let mut differences = Vec::new();
    let mut groups = Groups::new();
    for ((case, _), judged) in pairs.cases.iter().zip(judged) {
        for metric in judged.metrics.iter().filter(|metric| metric.gates) {
            let is_called = matches!(metric.verdict, Verdict::Regressed | Verdict::Improved);
            let Some(evidence) = metric.evidence.filter(|_| !is_called) else { continue };
            for (kind, name) in [
                (GroupKind::All, ""),
                (GroupKind::Backend, case.case.backend.as_str()),
                (GroupKind::Model, case.case.model.as_str()),
                (GroupKind::Prompt, case.case.prompt.as_str()),
            ] {
                groups.entry((metric.metric, kind, name)).or_default().push(differences.len());
            }
            differences.push(evidence.difference);
        }
    }
    let (keys, places): (Vec<_>, Vec<Vec<usize>>) = groups.into_iter().unzip();
    let found = shifts(&differences, &places, by.alpha);
    found.iter().filter_map(|shift| finding(*keys.get(shift.group)?, shift, pairs.design)).collect()
}

fn finding(
    (metric, kind, name): (Metric, GroupKind, &str),
    shift: &Shift,
    design: Design,
) -> Option<GroupFinding> {
    let found = shift.effect;
    Some(GroupFinding {
        kind,
        name: name.to_owned(),
        metric,
        cases: u64::try_from(found.cases).ok()?,
        difference: round(found.difference),
        change: round(change(metric, found.difference)),
        interval: change_interval(metric, &found.interval),
        p_adjusted: round(found.p),
        interleaved: design == Design::Blocked,
    })
}
