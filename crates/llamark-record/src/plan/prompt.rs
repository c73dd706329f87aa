//! What is sent to the server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;

/// A prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedPrompt {
    /// Name in the experiment.
    pub name: String,
    /// What it says.
    pub content: PromptContent,
}

/// What a prompt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PromptContent {
    /// A text.
    Text {
        /// The text itself, so that a set can be run again from its manifest.
        text: String,
        /// SHA-256 of the text as UTF-8.
        sha256: Sha256,
    },
    /// Of an imported set: what the document says of it, as in `~600 tokens (infrastructure scenario)`.
    Unstated {
        /// The words of the document.
        description: String,
    },
}

impl PromptContent {
    /// The text, where there is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            Self::Unstated { .. } => None,
        }
    }

    /// Digest of the text, where there is one.
    pub fn sha256(&self) -> Option<&Sha256> {
        match self {
            Self::Text { sha256, .. } => Some(sha256),
            Self::Unstated { .. } => None,
        }
    }
}
