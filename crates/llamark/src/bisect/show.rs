//! The answer of a search, for people.

use llamark_record::bisect::{Answer, BisectRecord, BisectStep, BisectVerdict};

use super::laboratory::changes;

/// The answer with its evidence, as lines.
pub(crate) fn answer(record: &BisectRecord) -> Vec<String> {
    let question = &record.question;
    let label = |place: u64| -> &str {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        question.revisions.get(place).map_or("?", |revision| revision.label.as_str())
    };
    let last = count(question.revisions.len()).saturating_sub(1);
    let of = |place: u64| record.steps.iter().rev().find(|step| step.revision == place);
    let against = |place: u64| match of(place) {
        Some(step) => numbers(record, step),
        None if place == 0 => "the good end".to_owned(),
        None => "not tried".to_owned(),
    };
    let mut lines = Vec::new();
    match record.answer {
        None => {}
        Some(Answer::NotWorse) => {
            lines.push(format!("Nothing to find: {} is not worse than {}", label(last), label(0)));
            lines.push(format!("  {}", against(last)));
        }
        Some(Answer::EndsUndecided) => {
            lines.push(format!(
                "Undecided: llamark cannot tell whether {} is worse than {}",
                label(last),
                label(0)
            ));
            lines.push(format!("  {}", against(last)));
            lines.push(
                "  more starts may decide it: `--starts N`; if the machine is quieter now, `--again`"
                    .to_owned(),
            );
        }
        Some(Answer::FirstBad { revision }) => {
            let before = revision.saturating_sub(1);
            lines.push(format!("First bad: {}", label(revision)));
            lines.push(format!("  {}", against(revision)));
            lines.push(format!("  before it {}", label(before)));
            lines.push(format!("  {}", against(before)));
            lines.push(effort(record));
        }
        Some(Answer::Hidden { first, last }) => {
            lines.push(format!(
                "Hidden: one of these {} is the first bad one, but skipped revisions hide which",
                last - first + 1
            ));
            for place in first..=last {
                lines.push(format!("  {}: {}", label(place), against(place)));
            }
            lines.push(format!("  before them {}: {}", label(first - 1), against(first - 1)));
            lines.push(effort(record));
        }
    }
    lines
}

/// What a step says: the numbers, or why there are none; and the sets.
fn numbers(record: &BisectRecord, step: &BisectStep) -> String {
    let mut text = match (&step.evidence, step.verdict) {
        (Some(found), _) => {
            let change = changes(record.question.metric, found.difference, found.low, found.high);
            format!("{change} against the good end, {} pairs of starts", found.pairs)
        }
        (None, BisectVerdict::Skipped) => "skipped".to_owned(),
        (None, BisectVerdict::Good) => "good".to_owned(),
        (None, BisectVerdict::Bad) => "bad".to_owned(),
    };
    if !step.reason.is_empty() {
        text.push_str(&format!("; {}", step.reason));
    }
    if let Some([_, set]) = step.sets.last() {
        text.push_str(&format!(" [{set}]"));
    }
    text
}

/// What it took, and how far the answer can be trusted.
fn effort(record: &BisectRecord) -> String {
    let decided = record.steps.iter().filter(|step| step.evidence.is_some());
    let verdicts = decided.clone().filter(|step| step.verdict != BisectVerdict::Skipped).count();
    let pairs: u64 = decided.filter_map(|step| Some(u64::from(step.evidence?.pairs))).sum();
    let error = record.question.rules.error * llamark_report::format::float(count(verdicts));
    format!(
        "  {} of {} revisions tried, {pairs} pairs of starts; wrong with a probability of at most {}, if the history \
         changes only once",
        record.steps.len(),
        record.question.revisions.len(),
        llamark_report::format::percent(error),
    )
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
