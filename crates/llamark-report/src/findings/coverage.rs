//! LM601 to LM603: cases without a result, runs that do not count, models that a backend does not have.

use super::rules::{NO_RESULT, NOT_PLANNED, RUNS_NOT_COUNTED};
use super::{Context, Finding, list};
use crate::format::float;
use crate::summary::CaseSummary;

/// So many models are named in the sentence.
const NAMED: usize = 3;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let cases = &context.summary.cases;
    let mut findings: Vec<Finding> = cases.iter().filter_map(|case| no_result(context, case)).collect();
    findings.extend(cases.iter().filter_map(|case| not_counted(context, case)));
    findings.extend((0..context.summary.backends.len()).filter_map(|backend| not_planned(context, backend)));
    findings
}

fn no_result(context: &Context<'_>, case: &CaseSummary) -> Option<Finding> {
    if case.outcome == "ok" {
        return None;
    }
    let mut text = format!("{}: {}", context.case(case), case.outcome);
    if !case.failure.is_empty() {
        text.push_str(&format!(" ({})", case.failure.replace('_', " ")));
    }
    if !case.reason.is_empty() {
        text.push_str(&format!(": {}", case.reason));
    }
    let finding = Finding::new(&NO_RESULT, context.subject_of_case(case), text + ".");
    Some(finding.word("outcome", case.outcome.clone()).word("failure", case.failure.clone()))
}

fn not_counted(context: &Context<'_>, case: &CaseSummary) -> Option<Finding> {
    let counts = &case.counts;
    if case.outcome != "ok" || counts.valid >= counts.planned {
        return None;
    }
    let invalid = match counts.invalid {
        0 => String::new(),
        count => format!("; {count} {} a rule", if count == 1 { "breaks" } else { "break" }),
    };
    let text = format!(
        "{}: {} of {} planned runs count{invalid}.",
        context.case(case),
        counts.valid,
        counts.planned
    );
    let finding = Finding::new(&RUNS_NOT_COUNTED, context.subject_of_case(case), text);
    Some(
        finding
            .number("valid", float(counts.valid))
            .number("invalid", float(counts.invalid))
            .number("planned", float(counts.planned)),
    )
}

fn not_planned(context: &Context<'_>, backend: usize) -> Option<Finding> {
    let models = context.summary.models.len();
    let has = |model: &usize| context.of_backend(backend).any(|(_, case)| case.model == *model);
    let absent: Vec<String> =
        (0..models).filter(|model| !has(model)).map(|model| context.model(model)).collect();
    if absent.is_empty() {
        return None;
    }
    let mut named: Vec<String> = absent.iter().take(NAMED).cloned().collect();
    if absent.len() > NAMED {
        named.push(format!("{} more", absent.len() - NAMED));
    }
    let why = if context.summary.set.document.is_some() {
        "the document has no row for them and gives no reason"
    } else {
        "the experiment does not plan them"
    };
    let text = format!(
        "{} of {models} models have no case on {}: {why} ({}).",
        absent.len(),
        context.backend(backend),
        list(&named)
    );
    let finding = Finding::new(&NOT_PLANNED, context.subject_of_backends([backend]), text)
        .number("models", float(u64::try_from(absent.len()).unwrap_or(0)))
        .number("of", float(u64::try_from(models).unwrap_or(0)))
        .word("models", absent.join("; "));
    Some(finding)
}
