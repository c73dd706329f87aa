//! The findings in few lines, for the first screen of a report.

use serde::{Deserialize, Serialize};

use super::{Finding, RULES, Scope, Severity, Subject};
use crate::summary::Summary;

/// One line about one finding, or about all of one code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headline {
    /// Code of the rule.
    pub code: String,
    /// Name of the rule.
    pub name: String,
    /// How much it matters.
    pub severity: Severity,
    /// The sentence.
    pub text: String,
    /// Places in `findings` of those that it stands for.
    pub findings: Vec<usize>,
}

/// The headlines: worst first; of a code with many findings one line with their number and the first, which is the
/// weightiest.
pub(crate) fn headlines(summary: &Summary) -> Vec<Headline> {
    let mut headlines: Vec<Headline> = Vec::new();
    for rule in RULES {
        let of_code = summary.findings.iter().enumerate().filter(|(_, finding)| finding.code == rule.code);
        let places: Vec<usize> = of_code.map(|(place, _)| place).collect();
        let texts: Vec<(usize, String)> = match places.as_slice() {
            [first, ..] if places.len() > rule.alone => vec![(*first, folded(summary, &places, rule.title))],
            _ => places.iter().filter_map(|p| Some((*p, summary.findings.get(*p)?.text.clone()))).collect(),
        };
        let is_folded = texts.len() < places.len();
        headlines.extend(texts.into_iter().map(|(place, text)| Headline {
            code: rule.code.to_owned(),
            name: rule.name.to_owned(),
            severity: rule.severity,
            text,
            findings: if is_folded { places.clone() } else { vec![place] },
        }));
    }
    headlines.sort_by_key(|headline| headline.severity);
    headlines
}

/// `5 of 21 models: TITLE. First: SENTENCE.`
fn folded(summary: &Summary, places: &[usize], title: &str) -> String {
    let found: Vec<_> = places.iter().filter_map(|place| summary.findings.get(*place)).collect();
    let Some(first) = found.first() else { return String::new() };
    let (noun, of) = match first.subject.scope {
        Scope::Case => ("cases", summary.cases.len()),
        Scope::Model => ("models", summary.models.len()),
        Scope::Backends => ("pairs of backends", 0),
        Scope::Set => ("times", 0),
    };
    // A case may have two findings, of PP and of TG, and they need not follow each other.
    // A model has one for each prompt and shape.
    let is_of_model = first.subject.scope == Scope::Model;
    let mut subjects: Vec<&Subject> = Vec::new();
    for Finding { subject, .. } in &found {
        let is_known =
            |known: &&Subject| if is_of_model { known.model == subject.model } else { *known == subject };
        if !subjects.iter().any(is_known) {
            subjects.push(subject);
        }
    }
    let count = subjects.len();
    let of = if of > 0 { format!("{count} of {of} {noun}") } else { format!("{count} {noun}") };
    format!("{of}: {title}. {}", first.text)
}
