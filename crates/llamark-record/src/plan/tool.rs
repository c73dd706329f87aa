//! What of llama.cpp is run to measure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program of llama.cpp that measures.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// llama-server: requests as users make them, by our clock and by its own.
    #[default]
    LlamaServer,
    /// llama-bench: the functions of the library in a loop, by its own clock alone.
    LlamaBench,
}

impl Tool {
    /// The word in an experiment.
    pub fn word(self) -> &'static str {
        match self {
            Self::LlamaServer => "llama-server",
            Self::LlamaBench => "llama-bench",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
    pub(super) fn is_server(&self) -> bool {
        *self == Self::LlamaServer
    }
}
