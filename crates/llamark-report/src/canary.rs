//! The canaries of a set against what the processor alone says: derived here, once, for tables, findings and comparisons.

use std::collections::BTreeMap;

use llamark_artifact::{CaseLedger, Ledger};
use llamark_record::canary::{Agreement, CanaryAnswer, CanaryOutcome};
use llamark_record::plan::Plan;

use crate::estimate::round;
use crate::format::float;
use crate::summary::{CanaryCheck, CanaryTally, CaseSummary};

/// The word where nothing was compared.
const MISSING: &str = "missing";
/// Words by how bad they are.
const WORST_LAST: [&str; 6] = ["equal", "rounding", MISSING, "unknown", "wrong", "stuck"];
/// Most characters of a text that a report shows.
const SHOWN: usize = 80;

/// How the tokens of a case compare; `None` where no server was asked.
pub(crate) fn check(ledger: &Ledger, case: &CaseLedger) -> Option<CanaryCheck> {
    let canaries =
        case.starts.values().filter_map(|start| Some((start.id.start, &start.canary.as_ref()?.answer)));
    let checks: Vec<CanaryCheck> = match reference(ledger, &case.case.model) {
        Ok(reference) => canaries.map(|(start, outcome)| of_start(start, outcome, reference)).collect(),
        Err(reason) => canaries.map(|(start, _)| missing(start, reason)).collect(),
    };
    let compared = checks.iter().filter(|check| check.agreement != MISSING).count();
    let wrong = checks.iter().filter(|check| check.suspect).count();
    // Of equally bad ones the first start.
    let worst = checks.into_iter().rev().max_by_key(|check| rank(&check.agreement))?;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Some(CanaryCheck { compared: count(compared), wrong: count(wrong), ..worst })
}

fn rank(word: &str) -> usize {
    WORST_LAST.iter().position(|known| *known == word).unwrap_or(0)
}

/// What the processor alone says, or why nothing is there to compare with.
fn reference<'a>(ledger: &'a Ledger, model: &str) -> Result<&'a CanaryAnswer, &'a str> {
    match ledger.canary_references.get(model).map(|reference| &reference.answer) {
        Some(CanaryOutcome::Answer(answer)) => Ok(answer),
        Some(CanaryOutcome::Missing { reason }) => Err(reason),
        None => Err("the processor alone was not run"),
    }
}

fn missing(start: u32, reason: &str) -> CanaryCheck {
    CanaryCheck {
        agreement: MISSING.to_owned(),
        suspect: false,
        compared: 0,
        wrong: 0,
        start,
        at: None,
        gap: None,
        text: String::new(),
        expected: String::new(),
        reason: reason.to_owned(),
    }
}

fn of_start(start: u32, outcome: &CanaryOutcome, reference: &CanaryAnswer) -> CanaryCheck {
    let answer = match outcome {
        CanaryOutcome::Answer(answer) => answer,
        CanaryOutcome::Missing { reason } => return missing(start, reason),
    };
    let agreement = answer.agreement(reference);
    let gap = match agreement {
        Agreement::Rounding { gap, .. } | Agreement::Wrong { gap, .. } => Some(gap),
        Agreement::Equal | Agreement::Unknown { .. } | Agreement::Stuck { .. } => None,
    };
    let shown = |text: &str| text.chars().take(SHOWN).collect::<String>();
    CanaryCheck {
        agreement: agreement.word().to_owned(),
        suspect: agreement.is_wrong(),
        at: agreement.at().map(|at| u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1)),
        gap: gap.map(|gap| round(float(u64::try_from(gap).unwrap_or(0)) / 1e6)),
        text: shown(&answer.text),
        expected: shown(&reference.text),
        ..missing(start, "")
    }
}

/// All cases together: `equal in 9 of 10 cases; rounding from token 17 in 1`. `None` where the plan has no canary, or no case
/// got as far.
pub(crate) fn tally(plan: &Plan, cases: &[CaseSummary]) -> Option<CanaryTally> {
    let canary = plan.canary.as_ref()?;
    let checks: Vec<&CanaryCheck> = cases.iter().filter_map(|case| case.canary.as_ref()).collect();
    let mut by_word: BTreeMap<String, u32> = BTreeMap::new();
    for check in &checks {
        *by_word.entry(check.agreement.clone()).or_default() += 1;
    }
    let mut parts = Vec::new();
    for word in WORST_LAST {
        let Some(count) = by_word.get(word) else { continue };
        let first = checks.iter().filter(|check| check.agreement == word).filter_map(|check| check.at).min();
        let first = first.map_or_else(String::new, |at| format!(" from token {at}"));
        let why = checks.iter().find(|check| check.agreement == word && !check.reason.is_empty());
        let why = why.map_or_else(String::new, |check| format!(" ({})", check.reason));
        parts.push(match parts.is_empty() {
            true => {
                let cases = if checks.len() == 1 { "case" } else { "cases" };
                format!("{word}{first} in {count} of {} {cases}{why}", checks.len())
            }
            false => format!("{word}{first} in {count}{why}"),
        });
    }
    (!parts.is_empty()).then(|| CanaryTally { tokens: canary.tokens, cases: by_word, text: parts.join("; ") })
}

impl CanaryCheck {
    /// What is wrong, as the end of a sentence about the case; `None` where nothing is.
    pub(crate) fn fault(&self) -> Option<String> {
        let at = self.at?;
        let texts = format!("{:?} instead of {:?}", self.text, self.expected);
        match self.agreement.as_str() {
            "wrong" => Some(format!(
                "its tokens differ from those of the processor alone from token {at} on, where the processor holds its own \
                 to be {} times as likely: {texts}",
                times(self.gap.unwrap_or_default())
            )),
            "stuck" => Some(format!("from token {at} on it repeats one token over and over: {texts}")),
            _ => None,
        }
    }
}

/// e to the power of a difference of logarithms, for people.
fn times(gap: f64) -> String {
    const MOST: f64 = 13.8;
    if gap >= MOST { "more than a million".to_owned() } else { crate::format::significant(gap.exp(), 2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, at: Option<u32>, gap: Option<f64>) -> CanaryCheck {
        let texts = (" w1\n".to_owned(), " Madrid.".to_owned());
        CanaryCheck {
            agreement: word.to_owned(),
            at,
            gap,
            text: texts.0,
            expected: texts.1,
            ..missing(1, "")
        }
    }

    #[test]
    fn a_fault_reads_like_a_sentence() {
        insta::assert_snapshot!(check("wrong", Some(3), Some(3.2)).fault().unwrap(), @r#"its tokens differ from those of the processor alone from token 3 on, where the processor holds its own to be 25 times as likely: " w1\n" instead of " Madrid.""#);
        insta::assert_snapshot!(check("wrong", Some(3), Some(1e9)).fault().unwrap(), @r#"its tokens differ from those of the processor alone from token 3 on, where the processor holds its own to be more than a million times as likely: " w1\n" instead of " Madrid.""#);
        insta::assert_snapshot!(check("stuck", Some(1), None).fault().unwrap(), @r#"from token 1 on it repeats one token over and over: " w1\n" instead of " Madrid.""#);
        assert_eq!(check("rounding", Some(3), Some(0.1)).fault(), None);
        assert_eq!(check("equal", None, None).fault(), None);
    }

    #[test]
    fn the_worst_start_is_told() {
        assert!(rank("wrong") > rank("unknown") && rank("unknown") > rank("equal"));
    }
}
