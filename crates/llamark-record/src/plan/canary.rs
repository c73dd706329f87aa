//! What every server is asked in addition to its measurements, to see whether it computes the right thing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;

/// The canary of a plan: a text that each server continues greedily after its runs, and the processor alone once for each
/// model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedCanary {
    /// Tokens to generate, exactly.
    pub tokens: u32,
    /// The text that is continued.
    pub text: String,
    /// SHA-256 of the text as UTF-8.
    pub sha256: Sha256,
}

impl PlannedCanary {
    /// So many tokens after this text.
    pub fn new(tokens: u32, text: String) -> Self {
        Self { tokens, sha256: Sha256::of_bytes(text.as_bytes()), text }
    }
}
