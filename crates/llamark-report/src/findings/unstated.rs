//! LM404: a set that a document was made into.

use super::rules::UNSTATED;
use super::{Context, Finding, Scope, Subject, list};
use crate::format::float;

/// So many of the unknown facts are named in the sentence; all of them are in its words.
const NAMED: usize = 4;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let Some(document) = &context.summary.set.document else { return Vec::new() };
    let mut text =
        "The numbers come from a document; llamark measured none of them and can check none of them."
            .to_owned();
    let unstated = &document.unstated;
    if !unstated.is_empty() {
        let mut named: Vec<String> = unstated.iter().take(NAMED).cloned().collect();
        if unstated.len() > NAMED {
            named.push(format!("{} more", unstated.len() - NAMED));
        }
        text.push_str(&format!(" It does not state: {}.", list(&named)));
    }
    let finding = Finding::new(&UNSTATED, Subject::set(Scope::Set), text)
        .number("unstated", float(u64::try_from(unstated.len()).unwrap_or(0)))
        .word("unstated", unstated.join("; "))
        .word("document", document.file.name.clone());
    vec![finding]
}
