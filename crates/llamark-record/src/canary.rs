//! The canary: a few greedy tokens that show whether what was measured also computes the right thing.
//!
//! The record holds the tokens; how they compare with those of the processor ([`CanaryAnswer::agreement`]) is derived.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::journal::StartId;

/// The result of greedy sampling from the plan's canary prompt in a start, after its runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Which start of the server.
    pub id: StartId,
    /// The answer, or why there is none.
    pub answer: CanaryOutcome,
}

/// The same from the processor alone, for a model: the canaries of its cases are compared with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryReference {
    /// Id of the model.
    pub model: String,
    /// Id of the build that it was made by: on the processor alone, with nothing quantized but the weights. Empty if
    /// no build was there.
    pub build: String,
    /// The command, as in [`crate::journal::StartOpened`]; empty if none was run.
    pub argv: Vec<String>,
    /// The answer, or why there is none.
    pub answer: CanaryOutcome,
}

/// An answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CanaryOutcome {
    /// There is one.
    Answer(CanaryAnswer),
    /// There is none.
    Missing {
        /// Why, as a fragment of a sentence.
        reason: String,
    },
}

impl CanaryOutcome {
    /// The answer, if there is one.
    pub fn answer(&self) -> Option<&CanaryAnswer> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Missing { .. } => None,
        }
    }
}

/// A few greedy tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryAnswer {
    /// SHA-256 of the ids of the prompt as little-endian u32.
    pub prompt_ids: Sha256,
    /// Ids of the tokens.
    pub tokens: Vec<i32>,
    /// Their text.
    pub text: String,
    /// Of a reference, for each token: the ids that were likeliest there, the likeliest first, each with the natural
    /// logarithm of its probability in millionths. Left out where it was not asked for, or the server does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub likeliest: Vec<Vec<(i32, i64)>>,
}

/// How an answer compares with the reference. Places count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Token for token the same.
    Equal,
    /// They first differ at token `at`, where the two tokens were nearly as likely for the reference: rounding, which
    /// is other on every device, decides there.
    Rounding {
        /// Where.
        at: usize,
        /// How much less likely the other token was for the reference: difference of the logarithms, millionths.
        gap: i64,
    },
    /// They first differ at token `at`, and it cannot be told how sure the reference was of its own.
    Unknown {
        /// Where.
        at: usize,
    },
    /// They first differ at token `at`, where the reference was sure of its token: rounding does not explain it.
    Wrong {
        /// Where.
        at: usize,
        /// The least by which the other token was less likely for the reference, likewise.
        gap: i64,
    },
    /// They first differ at token `at` for no such reason, and from there on it is one token over and over.
    Stuck {
        /// Where.
        at: usize,
        /// The token.
        token: i32,
    },
}

impl Agreement {
    /// Whether the computation is at fault.
    pub fn is_wrong(self) -> bool {
        matches!(self, Self::Wrong { .. } | Self::Stuck { .. })
    }

    /// The token at which they first differ, from 0.
    pub fn at(self) -> Option<usize> {
        match self {
            Self::Equal => None,
            Self::Rounding { at, .. }
            | Self::Unknown { at }
            | Self::Wrong { at, .. }
            | Self::Stuck { at, .. } => Some(at),
        }
    }

    /// The word for records and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Rounding { .. } => "rounding",
            Self::Unknown { .. } => "unknown",
            Self::Wrong { .. } => "wrong",
            Self::Stuck { .. } => "stuck",
        }
    }
}

/// Rounding explains a choice between tokens whose logarithms differ by less than this, in millionths: e^2, some seven
/// times as likely.
///
/// Backends differ by a few hundredths in a logit, a KV cache of 8 bits by tenths, and one of 4 bits by one or two in a model of
/// 135M parameters, which is where it begins to say other things; a wrong kernel by many.
pub const ROUNDING: i64 = 2_000_000;

/// So many tokens that are the same are no accident.
const STUCK: usize = 8;

impl CanaryAnswer {
    /// How this answer compares with `reference`. Up to where they first differ both have read the same, so what the
    /// reference thought of the two tokens there tells which of rounding and error it is.
    pub fn agreement(&self, reference: &Self) -> Agreement {
        let same = self.tokens.iter().zip(&reference.tokens).take_while(|(own, other)| own == other).count();
        if self.prompt_ids != reference.prompt_ids {
            return Agreement::Unknown { at: 0 };
        }
        if same == self.tokens.len() && same == reference.tokens.len() {
            return Agreement::Equal;
        }
        let parting = self.parting(reference, same);
        match stuck(&self.tokens, same).filter(|_| stuck(&reference.tokens, same).is_none()) {
            Some(token) if !matches!(parting, Agreement::Rounding { .. }) => {
                Agreement::Stuck { at: same, token }
            }
            _ => parting,
        }
    }

    /// What the reference says of the token at which they first differ.
    fn parting(&self, reference: &Self, at: usize) -> Agreement {
        let (Some(own), Some(other)) = (self.tokens.get(at), reference.tokens.get(at)) else {
            return Agreement::Unknown { at };
        };
        let likeliest = reference.likeliest.get(at).map(Vec::as_slice).unwrap_or_default();
        let of = |wanted: &i32| likeliest.iter().find(|(token, _)| token == wanted).map(|(_, value)| *value);
        // Its own token is not always the likeliest one: it may not end the text.
        let (Some(chosen), Some((_, last))) = (of(other), likeliest.last()) else {
            return Agreement::Unknown { at };
        };
        // Less likely than all that are listed, if it is not among them; when those are near each other, that says nothing.
        let is_listed = of(own).is_some();
        let gap = chosen.saturating_sub(of(own).unwrap_or(*last));
        if gap >= ROUNDING {
            Agreement::Wrong { at, gap }
        } else if is_listed {
            Agreement::Rounding { at, gap }
        } else {
            Agreement::Unknown { at }
        }
    }
}

/// The one token that everything from `at` on consists of, if that is long enough to say so.
fn stuck(tokens: &[i32], at: usize) -> Option<i32> {
    let tail = tokens.get(at..)?;
    let first = *tail.first()?;
    (tail.len() >= STUCK && tail.iter().all(|token| *token == first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer whose tokens were each the best of three: by `gap` and by twice that.
    fn answer(tokens: &[i32], gap: i64) -> CanaryAnswer {
        CanaryAnswer {
            prompt_ids: Sha256::of_bytes(b"prompt"),
            tokens: tokens.to_vec(),
            text: String::new(),
            likeliest: tokens
                .iter()
                .map(|token| vec![(*token, -100), (token + 1000, -100 - gap), (token + 2000, -100 - 2 * gap)])
                .collect(),
        }
    }

    #[test]
    fn where_the_reference_was_unsure_rounding_decides() {
        let reference = answer(&[5, 6, 7, 8], 30_000);
        assert_eq!(reference.agreement(&reference), Agreement::Equal);
        assert_eq!(
            answer(&[5, 1006, 9, 9], 1).agreement(&reference),
            Agreement::Rounding { at: 1, gap: 30_000 }
        );
        assert_eq!(answer(&[5, 4444, 9, 9], 1).agreement(&reference), Agreement::Unknown { at: 1 });
        let silent = CanaryAnswer { likeliest: Vec::new(), ..reference };
        assert_eq!(answer(&[5, 6, 9, 9], 1).agreement(&silent), Agreement::Unknown { at: 2 });
    }

    #[test]
    fn where_the_reference_was_sure_another_token_is_wrong() {
        let reference = answer(&[5, 6, 7, 8], 3_000_000);
        assert_eq!(
            answer(&[1005, 6, 7, 8], 1).agreement(&reference),
            Agreement::Wrong { at: 0, gap: 3_000_000 }
        );
        assert_eq!(
            answer(&[5, 6, 4444, 8], 1).agreement(&reference),
            Agreement::Wrong { at: 2, gap: 6_000_000 }
        );
        // However late: what it read until there is the same.
        assert_eq!(
            answer(&[5, 6, 7, 1008], 1).agreement(&reference),
            Agreement::Wrong { at: 3, gap: 3_000_000 }
        );
    }

    #[test]
    fn the_threshold_is_in_the_wrong_side() {
        let at = |gap| answer(&[1005], 1).agreement(&answer(&[5], gap)).word();
        assert_eq!((at(ROUNDING - 1), at(ROUNDING)), ("rounding", "wrong"));
    }

    #[test]
    fn a_token_that_ends_the_text_may_be_likelier_than_the_one_that_was_taken() {
        let mut reference = answer(&[5], 10);
        reference.likeliest = vec![vec![(2, -10), (5, -4_000_000), (6, -4_100_000)]];
        assert_eq!(answer(&[6], 1).agreement(&reference), Agreement::Rounding { at: 0, gap: 100_000 });
    }

    #[test]
    fn what_ends_early_or_read_another_prompt_is_no_equal_answer() {
        let reference = answer(&[5, 6, 7, 8], 3_000_000);
        assert_eq!(answer(&[5, 6], 1).agreement(&reference), Agreement::Unknown { at: 2 });
        let other = CanaryAnswer { prompt_ids: Sha256::of_bytes(b"other"), ..reference.clone() };
        assert_eq!(other.agreement(&reference), Agreement::Unknown { at: 0 });
    }

    #[test]
    fn one_token_over_and_over_is_stuck_unless_rounding_explains_it_or_the_reference_says_so_too() {
        let reference = answer(&[5, 6, 7, 8, 9, 10, 11, 12, 13], 10);
        assert_eq!(answer(&[3; 9], 10).agreement(&reference), Agreement::Stuck { at: 0, token: 3 });
        let late = [&[5][..], &[3; 8]].concat();
        assert_eq!(answer(&late, 10).agreement(&reference), Agreement::Stuck { at: 1, token: 3 });
        assert_eq!(answer(&[3; 9], 10).agreement(&answer(&[3; 9], 10)), Agreement::Equal);
        assert_eq!(answer(&[1005; 9], 10).agreement(&reference), Agreement::Rounding { at: 0, gap: 10 });
        assert_eq!(
            answer(&[1005; 9], 10).agreement(&answer(&[5; 9], 10)),
            Agreement::Rounding { at: 0, gap: 10 }
        );
    }

    #[test]
    fn a_reference_from_a_stranger_does_no_harm() {
        let mut reference = answer(&[5], 10);
        reference.likeliest = vec![vec![(5, i64::MAX), (6, i64::MIN)]];
        assert_eq!(answer(&[6], 1).agreement(&reference), Agreement::Wrong { at: 0, gap: i64::MAX });
        reference.likeliest = vec![Vec::new()];
        assert_eq!(answer(&[6], 1).agreement(&reference), Agreement::Unknown { at: 0 });
    }
}
