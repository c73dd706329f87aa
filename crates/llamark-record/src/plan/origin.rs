//! How a plan came to be: from an experiment, or from a document that somebody else wrote.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::FileIdentity;

/// How a plan came to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Origin {
    /// From an experiment, before anything was measured. Nothing in it is unstated.
    Experiment,
    /// From a document that somebody wrote afterwards. Nothing of it can be run: what the document does not say
    /// is unstated.
    Document(Document),
}

/// The document that an imported set is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What kind of document.
    pub kind: DocumentKind,
    /// The document; it is in the folder `imported/` of the set.
    pub file: FileIdentity,
    /// What was added at the import, by name: `memory_bandwidth`.
    pub added: BTreeMap<String, String>,
    /// What a measured set would say but the document does not, as names of facts: `engine commit`, `model digests`,
    /// ...
    pub unstated: Vec<String>,
    /// Where the document does not quite agree with itself, as sentences: a last digit that is off by one in a way that
    /// rounding does not explain. A document that contradicts itself by more is not imported.
    pub remarks: Vec<String>,
}

/// Kinds of document that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A report in Markdown: rounded rates of single runs.
    Report,
    /// A file of llama-bench: the time of each repetition.
    LlamaBench,
}

impl DocumentKind {
    /// The name, as in `llamark import KIND`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::LlamaBench => "llama-bench",
        }
    }
}
