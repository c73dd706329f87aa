//! LM402, LM403: prompts of different lengths under one name.

use std::collections::BTreeSet;

use super::rules::{PROMPT_LENGTHS, PROMPT_VARIES};
use super::{Context, Finding, Scope, Subject, list};
use crate::summary::CaseSummary;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        context.summary.cases.iter().filter_map(|case| within(context, case)).collect();
    findings.extend(between(context));
    findings
}

fn within(context: &Context<'_>, case: &CaseSummary) -> Option<Finding> {
    let runs = case.runs.iter().filter(|run| run.valid && !run.warmup);
    let tokens: Vec<u32> = runs.filter_map(|run| run.prompt_tokens).collect();
    let (least, most) = (*tokens.iter().min()?, *tokens.iter().max()?);
    if least == most {
        return None;
    }
    let shown: Vec<String> = tokens.iter().take(6).map(ToString::to_string).collect();
    let text = format!(
        "{}: the runs have {} prompt tokens{}, so either the prompt was not the same or some of it came from a cache; their \
         PP values do not measure the same thing.",
        context.case(case),
        list(&shown),
        if tokens.len() > shown.len() { ", ..." } else { "" },
    );
    let finding = Finding::new(&PROMPT_VARIES, context.subject_of_case(case), text);
    Some(finding.number("least", f64::from(least)).number("most", f64::from(most)))
}

fn between(context: &Context<'_>) -> Vec<Finding> {
    let findings = context.summary.method.prompts.iter().filter_map(|prompt| {
        let cases = context.summary.cases.iter().filter(|case| case.prompt == prompt.name);
        let lengths: BTreeSet<u32> = cases.filter_map(|case| case.prompt_tokens).collect();
        let (least, most) = (*lengths.first()?, *lengths.last()?);
        (least < most).then(|| {
            let text = format!(
                "The prompt {} has {least} to {most} tokens, depending on the model's tokenizer: PP of two models is over \
                 different lengths, and a token of one model is not the same text as a token of another.",
                prompt.name
            );
            let subject = Subject { prompt: Some(prompt.name.clone()), ..Subject::set(Scope::Set) };
            let finding = Finding::new(&PROMPT_LENGTHS, subject, text);
            finding.number("least", f64::from(least)).number("most", f64::from(most))
        })
    });
    findings.collect()
}
