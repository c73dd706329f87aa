//! A finding: code, severity, subject, one sentence, and its numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Rule;
use crate::estimate::round;

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Stable code, as in `LM201`.
    pub code: String,
    /// Stable name, as in `first-run-slow`.
    pub name: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// One sentence, made from the data.
    pub text: String,
    /// The numbers of the sentence, and others of the rule, by name: rates in tok/s, times in ms, shares of one.
    pub numbers: BTreeMap<String, f64>,
    /// What is not a number, by name: `metric`, `settings`, ...
    pub words: BTreeMap<String, String>,
}

/// How much a finding matters. The worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A number or a label here cannot be true.
    Error,
    /// A reader would be misled.
    Warning,
    /// Good to know.
    Note,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Of what kind it is.
    pub scope: Scope,
    /// Id of the case.
    pub case: Option<String>,
    /// Id of the model.
    pub model: Option<String>,
    /// Name of the prompt.
    pub prompt: Option<String>,
    /// What is not as usual in the shape of the case or the section; absent if there is nothing to say.
    pub shape: Option<String>,
    /// Names of the backends.
    pub backends: Vec<String>,
}

/// Kinds of subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The whole set.
    Set,
    /// One backend, or several against each other.
    Backends,
    /// A model, on every backend.
    Model,
    /// One case.
    Case,
}

impl Subject {
    /// Nothing but the scope.
    pub(super) fn set(scope: Scope) -> Self {
        Self { scope, case: None, model: None, prompt: None, shape: None, backends: Vec::new() }
    }
}

impl Finding {
    /// A finding of a rule.
    pub(super) fn new(rule: &Rule, subject: Subject, text: String) -> Self {
        Self {
            code: rule.code.to_owned(),
            name: rule.name.to_owned(),
            severity: rule.severity,
            subject,
            text,
            numbers: BTreeMap::new(),
            words: BTreeMap::new(),
        }
    }

    /// With a number; what is not finite is left out.
    pub(super) fn number(mut self, name: &str, value: f64) -> Self {
        if value.is_finite() {
            self.numbers.insert(name.to_owned(), round(value));
        }
        self
    }

    /// With a word.
    pub(super) fn word(mut self, name: &str, value: impl Into<String>) -> Self {
        self.words.insert(name.to_owned(), value.into());
        self
    }
}
