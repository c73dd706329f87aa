//! The perplexity: how well each backend predicts the same text, as llama.cpp's own llama-perplexity measures it.
//!
//! The record holds what the program printed, as integers; how two of them compare ([`PerplexityValue::against`]) is derived.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::PlannedPerplexity;

/// The perplexity of a model on a backend, after everything was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Perplexity {
    /// Id of the model.
    pub model: String,
    /// Name of the backend, whose device and settings it was measured with.
    pub backend: String,
    /// Id of the build; empty if no build was there.
    pub build: String,
    /// The command, as in [`crate::journal::StartOpened`]; empty if none was run.
    pub argv: Vec<String>,
    /// What came of it.
    pub outcome: PerplexityOutcome,
}

/// A perplexity, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PerplexityOutcome {
    /// There is one.
    Value(PerplexityValue),
    /// The program computed something that is not a number, or none that a perplexity can be.
    NotFinite {
        /// The first chunk where it did, from 1.
        chunk: u32,
        /// What it printed there: `nan`, `inf`, or too many digits.
        printed: String,
    },
    /// There is none.
    Missing {
        /// Why, as a fragment of a sentence.
        reason: String,
    },
}

impl PerplexityOutcome {
    /// The perplexity, if there is one.
    pub fn value(&self) -> Option<&PerplexityValue> {
        match self {
            Self::Value(value) => Some(value),
            Self::NotFinite { .. } | Self::Missing { .. } => None,
        }
    }
}

/// What llama-perplexity printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerplexityValue {
    /// The perplexity over the first chunk, the first two, and so on, in ten-thousandths, which is what it prints. The last
    /// is the perplexity.
    pub running: Vec<u64>,
    /// Its standard error over the tokens, in hundred-thousandths, likewise; absent if it printed none, since all
    /// tokens were predicted equally well.
    pub error: Option<u64>,
}

/// A perplexity that is higher than another of the same text and model by this share is wrong, in parts per million.
///
/// Measured on a model of 135M parameters, over 756 tokens: other kernels and batches move it by 0.3 %, a KV cache of 8 bits by
/// 0.5 %, one of 4 bits by 2.7 %, and larger models hold still better. A wrong kernel or mask moves it by tenths at the least.
pub const WORSE_PPM: u32 = 50_000;

/// By how much rounding moves the logarithm of the probability of a token, at the most: standard deviation, as of a KV cache of
/// 4 bits in that model (of other kernels, 0.12). It is at random, so that of a mean over n tokens it is 1/√n of that.
const ROUNDING_OF_TOKEN: f64 = 0.5;
/// So many of these deviations are no chance.
const DEVIATIONS: f64 = 3.0;

/// One perplexity against another of the same text and model, over the chunks that both have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerplexityExcess {
    /// Chunks that both have.
    pub chunks: usize,
    /// By which share the one is higher than the other; below 0: it is lower.
    pub share: f64,
    /// The share that rounding explains over so many tokens.
    pub allowed: f64,
}

impl PerplexityExcess {
    /// Whether rounding does not explain it.
    pub fn is_wrong(&self) -> bool {
        self.share > self.allowed
    }
}

impl PerplexityValue {
    /// The perplexity.
    pub fn perplexity(&self) -> f64 {
        self.over(self.running.len()).unwrap_or(f64::NAN)
    }

    /// Its standard error over the tokens: how much it would be another over another text. It says nothing of the difference
    /// of two backends, which read the same.
    pub fn error(&self) -> Option<f64> {
        self.error.map(|error| float(error) / 1e5)
    }

    /// The perplexity over the first `chunks`; `None` where there are not so many.
    pub fn over(&self, chunks: usize) -> Option<f64> {
        let last = self.running.get(chunks.checked_sub(1)?)?;
        Some(float(*last) / 1e4)
    }

    /// By how much this perplexity is higher than `other`, of the same text and model. `None` where one has no chunk.
    ///
    /// Both have read the same tokens, so nothing is sampled: the difference is what it is, to the last digit that is printed,
    /// however large the errors of the two are. Only rounding may be in it, which is at random from token to token.
    pub fn against(&self, other: &Self, plan: &PlannedPerplexity) -> Option<PerplexityExcess> {
        let chunks = self.running.len().min(other.running.len());
        let (own, other) = (self.over(chunks)?, other.over(chunks)?);
        let tokens = float(plan.predicted(chunks)).max(1.0);
        let by_chance = (DEVIATIONS * ROUNDING_OF_TOKEN / tokens.sqrt()).exp_m1();
        let allowed = by_chance.max(f64::from(WORSE_PPM) / 1e6);
        Some(PerplexityExcess { chunks, share: own / other - 1.0, allowed })
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is printed has fewer digits than a double")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(running: &[u64]) -> PerplexityValue {
        PerplexityValue { running: running.to_vec(), error: Some(12_345) }
    }

    fn plan(context: u32) -> PlannedPerplexity {
        PlannedPerplexity::new(context, 16, "text".to_owned())
    }

    #[test]
    fn the_last_of_the_running_ones_is_the_perplexity() {
        let value = value(&[180_000, 165_432]);
        assert_eq!((value.perplexity(), value.error()), (16.5432, Some(0.12345)));
    }

    #[test]
    fn over_many_tokens_five_hundredths_are_wrong_whatever_the_errors_are() {
        let best = value(&[200_000; 16]);
        let of = |last: u64| {
            let own = PerplexityValue { running: vec![last; 16], error: Some(u64::MAX) };
            own.against(&best, &plan(512)).unwrap()
        };
        assert!(!of(209_900).is_wrong() && of(210_100).is_wrong());
        assert!(!of(150_000).is_wrong(), "better is not worse");
        assert!((of(210_100).share - 0.0505).abs() < 1e-9);
    }

    #[test]
    fn over_few_tokens_rounding_explains_more() {
        let best = value(&[200_000]);
        let short = value(&[250_000]).against(&best, &plan(128)).unwrap();
        // 63 tokens: e^(3 x 0.5 / √63) - 1.
        assert!((short.allowed - 0.208).abs() < 1e-3, "{}", short.allowed);
        assert!(short.is_wrong());
        assert!(!value(&[220_000]).against(&best, &plan(128)).unwrap().is_wrong());
    }

    #[test]
    fn only_the_chunks_that_both_have_are_compared() {
        let short = value(&[200_000, 300_000]);
        let long = value(&[200_000, 300_000, 900_000]);
        let excess = long.against(&short, &plan(512)).unwrap();
        assert_eq!((excess.chunks, excess.share), (2, 0.0));
        assert_eq!(value(&[]).against(&short, &plan(512)), None);
    }

    #[test]
    fn numbers_from_a_stranger_do_no_harm() {
        let zero = value(&[0]);
        let excess = zero.against(&zero, &plan(0)).unwrap();
        assert!(!excess.is_wrong());
        assert!(value(&[u64::MAX]).against(&zero, &plan(1)).unwrap().is_wrong());
    }
}
