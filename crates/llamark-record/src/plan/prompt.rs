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
    /// Exactly so many tokens, by the tokenizer of each model: the head of a text, which begins again where it ends.
    Tokens {
        /// How many, with those that the tokenizer puts before a text.
        tokens: u32,
        /// The text that they are cut from.
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
    /// The text, if there is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } | Self::Tokens { text, .. } => Some(text),
            Self::Unstated { .. } => None,
        }
    }

    /// Digest of the text, if there is one.
    pub fn sha256(&self) -> Option<&Sha256> {
        match self {
            Self::Text { sha256, .. } | Self::Tokens { sha256, .. } => Some(sha256),
            Self::Unstated { .. } => None,
        }
    }

    /// How many tokens it is cut to; `None` where it has as many as the tokenizer makes of it.
    pub fn exact_tokens(&self) -> Option<u32> {
        match self {
            Self::Tokens { tokens, .. } => Some(*tokens),
            Self::Text { .. } | Self::Unstated { .. } => None,
        }
    }
}

/// The text that fills the context before the prompt, in cases with a depth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filler {
    /// The text itself; it begins again where it ends.
    pub text: String,
    /// SHA-256 of the text as UTF-8.
    pub sha256: Sha256,
}
