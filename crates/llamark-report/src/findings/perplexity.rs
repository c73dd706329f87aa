//! LM123, LM124: a backend that predicts a text worse than another one with the same model, and one whose prediction
//! is unknown.

use super::rules::{NO_PERPLEXITY, WORSE_PERPLEXITY};
use super::{Context, Finding, Scope, Subject};
use crate::summary::PerplexityRow;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let rows = context.summary.perplexity.iter().flat_map(|perplexity| &perplexity.rows);
    rows.filter_map(|row| of_row(context, row)).collect()
}

fn of_row(context: &Context<'_>, row: &PerplexityRow) -> Option<Finding> {
    let model = context.summary.models.get(row.model)?;
    let backend = context.summary.backends.get(row.backend)?;
    let name = format!("{} on {}", context.model(row.model), backend.label);
    let subject = Subject {
        model: Some(model.id.clone()),
        backends: vec![backend.name.clone()],
        ..Subject::set(Scope::Backends)
    };
    let lowest = row.lowest_backend.map_or("", |place| context.backend(place));
    if let Some(fault) = row.fault(lowest) {
        let made_up = match model.synthetic.as_str() {
            "" => "",
            _ => {
                " (Its weights are made up, so the number means nothing by itself; but all backends should compute the same one.)"
            }
        };
        let text = format!(
            "{name} is suspect: {fault}. Its speed is that of a computation that went wrong.{made_up}"
        );
        let mut finding = Finding::new(&WORSE_PERPLEXITY, subject, text);
        let numbers = [
            ("perplexity", row.perplexity),
            ("lowest", row.lowest),
            ("above", row.above),
            ("allowed", row.allowed),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                finding = finding.number(name, number);
            }
        }
        return Some(finding);
    }
    if row.perplexity.is_some() {
        return None;
    }
    let text = format!("{name} has no perplexity: {}.", row.reason);
    Some(Finding::new(&NO_PERPLEXITY, subject, text))
}
