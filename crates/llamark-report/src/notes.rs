//! Notes of a case that come from its data: short sentences with the number that they are about.

use crate::format;
use crate::summary::CaseSummary;

/// A first run that differs by more than this share is said.
const FIRST_RUN: f64 = 0.03;

/// The notes, the weightiest first.
pub(crate) fn of(case: &CaseSummary) -> Vec<String> {
    let mut notes = Vec::new();
    let counts = &case.counts;
    if counts.invalid > 0 {
        let of = counts.invalid + counts.valid;
        notes.push(format!("invalid and not counted: {} of {of} runs", counts.invalid));
    }
    if case.outcome == "ok" && counts.invalid == 0 && counts.valid < counts.planned {
        notes.push(format!("{} of {} planned runs count", counts.valid, counts.planned));
    }
    if let Some(share) = case.roofline.filter(|share| *share > 1.0) {
        notes.push(format!(
            "TG is {} of what the memory bandwidth allows, so the bandwidth or the bytes per token are wrong",
            format::percent(share)
        ));
    }
    let first = case.first_run.as_ref();
    for (name, change) in [("PP", first.and_then(|first| first.pp)), ("TG", first.and_then(|first| first.tg))]
    {
        if let Some(change) = change.filter(|change| change.abs() > FIRST_RUN) {
            let word = if change < 0.0 { "slower" } else { "faster" };
            notes.push(format!(
                "{name} of the first run is {} {word} than that of the later ones",
                format::percent(change.abs())
            ));
        }
    }
    notes
}
