//! Findings: what a reader should know before believing or comparing a number, like the messages of a linter.
//!
//! Each rule is a file: a pure function of the summary and the ledger. Codes are stable; `docs/findings.md` has one
//! section for each.

mod best;
mod by_size;
mod canary;
mod claims;
mod confounded;
mod coverage;
mod finding;
mod first_run;
mod headlines;
mod load_steps;
mod one_start;
mod pace;
mod page_cache;
mod perplexity;
mod procedure;
mod prompt_tokens;
mod roofline;
mod rules;
mod too_few;
mod trend;
mod unstated;
mod wide;

pub use finding::{Finding, Scope, Severity, Subject};
pub use headlines::Headline;
pub use rules::{RULES, Rule};

pub(crate) use headlines::headlines;
pub(crate) use rules::NO_RESULT;

use std::collections::BTreeSet;

use llamark_artifact::Ledger;
use llamark_record::metric::Metric;
use llamark_record::plan::Procedure;

use crate::counted;
use crate::summary::{CaseSummary, Section, Summary};

/// What a rule sees.
pub(crate) struct Context<'a> {
    /// The summary, without findings.
    pub(crate) summary: &'a Summary,
    /// The journal, folded: its cases are in the order of the summary's.
    ledger: &'a Ledger,
    /// What the plan asks of starts and runs.
    procedure: Procedure,
}

/// Every finding of a set: errors, then warnings, then notes; in each by code, and as the rule orders them.
pub(crate) fn find(summary: &Summary, ledger: &Ledger, procedure: Procedure) -> Vec<Finding> {
    let context = Context { summary, ledger, procedure };
    let rules: [fn(&Context<'_>) -> Vec<Finding>; 19] = [
        roofline::find,
        claims::find,
        canary::find,
        perplexity::find,
        first_run::find,
        trend::find,
        too_few::find,
        one_start::find,
        load_steps::find,
        wide::find,
        page_cache::find,
        procedure::find,
        pace::find,
        confounded::find,
        prompt_tokens::find,
        unstated::find,
        best::find,
        by_size::find,
        coverage::find,
    ];
    let mut findings: Vec<Finding> = rules.into_iter().flat_map(|rule| rule(&context)).collect();
    findings.sort_by(|a, b| (a.severity, &a.code).cmp(&(b.severity, &b.code)));
    findings
}

impl Context<'_> {
    /// The values of a metric that count, by start.
    fn samples(&self, case: usize, metric: Metric) -> Vec<Vec<f64>> {
        self.ledger.cases.get(case).map(|case| counted::samples(case, metric)).unwrap_or_default()
    }

    /// The cases of a backend with their places, in plan order.
    fn of_backend(&self, backend: usize) -> impl Iterator<Item = (usize, &CaseSummary)> {
        self.summary.cases.iter().enumerate().filter(move |(_, case)| case.backend == backend)
    }

    /// Name of a model for a sentence: `GPT-OSS 20B Q8_0`.
    fn model(&self, place: usize) -> String {
        self.summary.models.get(place).map_or_else(String::new, |model| match model.quant.as_str() {
            "" => model.name.clone(),
            quant => format!("{} {quant}", model.name),
        })
    }

    /// What these cases are, for a sentence: models, where each is of another one, else cases.
    fn noun<'a>(cases: impl Iterator<Item = &'a CaseSummary>) -> &'static str {
        let mut seen = BTreeSet::new();
        if cases.into_iter().all(|case| seen.insert(case.model)) { "models" } else { "cases" }
    }

    fn backend(&self, place: usize) -> &str {
        self.summary.backends.get(place).map_or("", |backend| backend.label.as_str())
    }

    /// A case for a sentence: `GPT-OSS 20B Q8_0 on Vulkan`, with the prompt where there are several, and the shape where
    /// it is not the usual one.
    fn case(&self, case: &CaseSummary) -> String {
        let name = format!("{} on {}", self.model(case.model), self.backend(case.backend));
        self.with_shape(name, &case.prompt, &case.shape)
    }

    /// A section for a sentence, likewise.
    fn section(&self, section: &Section) -> String {
        self.with_shape(self.model(section.model), &section.prompt, &section.shape)
    }

    fn with_shape(&self, name: String, prompt: &str, shape: &str) -> String {
        let prompt = if self.summary.method.prompts.len() > 1 { prompt } else { "" };
        let parts: Vec<&str> = [prompt, shape].into_iter().filter(|part| !part.is_empty()).collect();
        if parts.is_empty() { name } else { format!("{name} ({})", parts.join(", ")) }
    }

    fn subject_of_case(&self, case: &CaseSummary) -> Subject {
        Subject {
            scope: Scope::Case,
            case: Some(case.id.clone()),
            model: self.summary.models.get(case.model).map(|model| model.id.clone()),
            prompt: Some(case.prompt.clone()),
            shape: said(&case.shape),
            backends: self.backend_names([case.backend]),
        }
    }

    fn subject_of_model(&self, place: usize) -> Subject {
        let model = self.summary.models.get(place).map(|model| model.id.clone());
        Subject { model, ..Subject::set(Scope::Model) }
    }

    fn subject_of_section(&self, section: &Section) -> Subject {
        let (prompt, shape) = (Some(section.prompt.clone()), said(&section.shape));
        Subject { prompt, shape, ..self.subject_of_model(section.model) }
    }

    fn subject_of_backends<const N: usize>(&self, places: [usize; N]) -> Subject {
        Subject { backends: self.backend_names(places), ..Subject::set(Scope::Backends) }
    }

    fn backend_names<const N: usize>(&self, places: [usize; N]) -> Vec<String> {
        let name = |place: usize| self.summary.backends.get(place).map(|backend| backend.name.clone());
        places.into_iter().filter_map(name).collect()
    }
}

fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// How a metric is called in a sentence.
fn title(metric: Metric) -> &'static str {
    match metric {
        Metric::Pp => "PP",
        Metric::Tg => "TG",
        Metric::TgStream => "TG of a stream",
        Metric::Ttft => "TTFT",
        Metric::TtftP95 => "TTFT p95",
        Metric::TtftP99 => "TTFT p99",
        Metric::Itl => "ITL",
        Metric::ItlP95 => "ITL p95",
        Metric::ItlP99 => "ITL p99",
        Metric::Load => "load",
        Metric::Rss => "RSS",
        Metric::Vram => "VRAM",
        Metric::Gtt => "GTT",
        Metric::EnergyPrefill => "energy of prefill",
        Metric::EnergyDecode => "energy of decode",
    }
}

/// A probability for people: `1 in 900`, `1 in 6`, `35 %`.
fn odds(probability: f64) -> String {
    if probability >= 0.2 {
        return crate::format::percent(probability);
    }
    if probability < 1e-6 {
        return "less than 1 in a million".to_owned();
    }
    let one_in = 1.0 / probability;
    let digits = 10f64.powf((one_in.log10().floor() - 1.0).max(0.0));
    format!("1 in {:.0}", (one_in / digits).round() * digits)
}

/// `one`, `one and two`, `one, two and three`.
fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [head @ .., last] => {
            let head: Vec<&str> = head.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", head.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odds_and_lists_read_like_sentences() {
        assert_eq!(odds(0.001_062), "1 in 940");
        assert_eq!(odds(1.0 / 6.0), "1 in 6");
        assert_eq!(odds(0.35), "35 %");
        assert_eq!(odds(1e-9), "less than 1 in a million");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(list::<&str>(&[]), "");
    }
}
