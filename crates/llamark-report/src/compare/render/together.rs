//! Groups of cases that moved together, as sentences.

use llamark_record::comparison::{Comparison, GroupFinding, GroupKind};

use crate::format::{change, change_interval};

/// A sentence for each.
pub(super) fn sentences(comparison: &Comparison) -> Vec<String> {
    comparison.groups.iter().map(sentence).collect()
}

fn sentence(group: &GroupFinding) -> String {
    let who = match group.kind {
        GroupKind::All => "all together".to_owned(),
        kind => format!("{} {} together", kind.word(), group.name),
    };
    let caution = if group.interleaved {
        ""
    } else {
        "; the starts were not interleaved, and a shift of the machine would look the same"
    };
    format!(
        "{who}: {} {} on average ({}) over {} cases, none of which shows it alone{caution}",
        group.metric.name(),
        change(group.change),
        change_interval(group.interval.low, group.interval.high),
        group.cases,
    )
}
