//! A text for every backend to predict in addition to its measurements, to see whether it computes the right thing
//! throughout.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;

/// What llama-perplexity is given, once for each model and backend with at least one measured start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedPerplexity {
    /// Tokens per chunk; the first half of a chunk is context and not counted.
    pub context: u32,
    /// Maximum number of chunks; a text that has fewer is read to its end.
    pub chunks: u32,
    /// The text.
    pub text: String,
    /// SHA-256 of the text as UTF-8.
    pub sha256: Sha256,
}

impl PlannedPerplexity {
    /// The program that measures it, and the target of a build that makes it.
    pub const PROGRAM: &'static str = "llama-perplexity";

    /// So many chunks of so many tokens of this text.
    pub fn new(context: u32, chunks: u32, text: String) -> Self {
        Self { context, chunks, sha256: Sha256::of_bytes(text.as_bytes()), text }
    }

    /// Tokens that are predicted in so many chunks: of each the second half, but for its first token.
    pub fn predicted(&self, chunks: usize) -> u64 {
        let of_one = u64::from(self.context).saturating_sub(u64::from(self.context / 2)).saturating_sub(1);
        of_one.saturating_mul(u64::try_from(chunks).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_half_of_a_chunk_is_predicted() {
        let of = |context| PlannedPerplexity::new(context, 1, "x".to_owned()).predicted(4);
        assert_eq!((of(512), of(128), of(33)), (1020, 252, 64));
    }
}
