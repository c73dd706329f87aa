//! LM121, LM122: tokens that are not those of the processor alone, and tokens that nothing says anything of.

use super::rules::{TOKENS_NOT_CHECKED, WRONG_TOKENS};
use super::{Context, Finding};
use crate::summary::{CanaryCheck, CaseSummary};

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let cases = context.summary.cases.iter();
    cases.filter_map(|case| of_case(context, case, case.canary.as_ref()?)).collect()
}

fn of_case(context: &Context<'_>, case: &CaseSummary, check: &CanaryCheck) -> Option<Finding> {
    let name = context.case(case);
    let subject = || context.subject_of_case(case);
    let starts = if case.counts.starts_planned > 1 {
        format!(" ({} of {} starts)", check.wrong, check.compared)
    } else {
        String::new()
    };
    let finding = match (check.fault(), check.agreement.as_str()) {
        (Some(fault), _) => {
            let text = format!(
                "{name} is suspect: {fault}{starts}. Its speed is that of a computation that went wrong."
            );
            Finding::new(&WRONG_TOKENS, subject(), text)
                .number("starts", f64::from(check.wrong))
                .word("text", &check.text)
                .word("expected", &check.expected)
        }
        (None, "unknown") => {
            let at = check.at.unwrap_or_default();
            let text = format!(
                "{name}: its tokens differ from those of the processor alone from token {at} on, and how sure the processor \
                 was there is unknown: it may be rounding or an error."
            );
            Finding::new(&TOKENS_NOT_CHECKED, subject(), text)
        }
        (None, "missing") => {
            let text = format!(
                "{name}: its tokens were not compared with those of the processor alone: {}.",
                check.reason
            );
            Finding::new(&TOKENS_NOT_CHECKED, subject(), text)
        }
        (None, _) => return None,
    };
    let finding = finding.word("agreement", &check.agreement);
    Some(match (check.at, check.gap) {
        (Some(at), Some(gap)) => finding.number("token", f64::from(at)).number("gap", gap),
        (Some(at), None) => finding.number("token", f64::from(at)),
        (None, _) => finding,
    })
}
