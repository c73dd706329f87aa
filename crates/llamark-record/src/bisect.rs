//! A search for the first bad revision of an engine, as it is written: the question, each step, and the answer.
//!
//! The measurements are in sealed sets; this record names them, and says what was concluded from them.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::digest::CanonicalError;
use crate::metric::Metric;
use crate::plan::Engine;

/// `format` of a [`BisectRecord`] as written by this version.
pub const BISECT_FORMAT: &str = "llamark/bisect/v1";

/// A search, from its question to its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BisectRecord {
    /// [`BISECT_FORMAT`].
    pub format: String,
    /// What is asked: a different question is a different search.
    pub question: Question,
    /// Which attempt at it, from 1: the next one measures everything again.
    #[serde(default = "first_attempt")]
    pub attempt: NonZeroU32,
    /// What was found, in order. The first step is about the bad end.
    pub steps: Vec<BisectStep>,
    /// How it ended; absent while it continues.
    pub answer: Option<Answer>,
}

fn first_attempt() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Name of the experiment.
    pub experiment: String,
    /// Digest of its plan with the good end as engine, only that case, and the digests of the model.
    pub plan: Sha256,
    /// Digest of what identifies the machine.
    pub host: Sha256,
    /// Id of the case.
    pub case: String,
    /// The metric that became worse.
    pub metric: Metric,
    /// When a step is decided.
    pub rules: BisectRules,
    /// The history, from the good end to the bad one.
    pub revisions: Vec<BisectRevision>,
}

impl Question {
    /// SHA-256 of the canonical JSON.
    ///
    /// # Errors
    /// When a number in it is not finite.
    pub fn digest(&self) -> Result<Sha256, CanonicalError> {
        Sha256::of_canonical_json(self)
    }
}

/// When a step is decided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BisectRules {
    /// Pairs of starts before the first look.
    pub first_pairs: u32,
    /// Pairs that are added before each next look.
    pub more_pairs: u32,
    /// Maximum pairs; a step that is undecided after them stays undecided.
    pub most_pairs: u32,
    /// Probability that one verdict is wrong, as a share.
    pub error: f64,
    /// The smallest loss between the ends that is worth searching for, as a share.
    pub minimum: f64,
}

/// One revision of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BisectRevision {
    /// Its label, for people.
    pub label: String,
    /// Where it comes from.
    pub engine: Engine,
}

/// What was found about one revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BisectStep {
    /// Its place in the history, from 0.
    pub revision: u64,
    /// What it is.
    pub verdict: BisectVerdict,
    /// Why it was skipped, or how it is known without a measurement; empty if the numbers say it.
    pub reason: String,
    /// The numbers; absent when nothing was measured.
    pub evidence: Option<BisectEvidence>,
    /// The sets, each as `NAME/ID`: that of the good end, and that of the revision, which were interleaved.
    pub sets: Vec<[String; 2]>,
}

/// What a revision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BisectVerdict {
    /// Like the good end.
    Good,
    /// Like the bad end.
    Bad,
    /// Undecided.
    Skipped,
}

/// The numbers of a step: a revision against the good end, in pairs of interleaved starts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BisectEvidence {
    /// Pairs of starts that count.
    pub pairs: u32,
    /// D: mean difference of the logarithms; above zero is worse.
    pub difference: f64,
    /// Its lower limit, which holds at every look with the error probability of the rules.
    pub low: f64,
    /// Its upper limit, likewise.
    pub high: f64,
    /// The loss above which it is on the side of the bad end: half of that between the ends. In logarithms; 0 where it
    /// is not known.
    pub boundary: f64,
    /// Sum of squares of the differences around their mean.
    pub sum_of_squares: f64,
    /// Revision over good end, less one.
    pub change: f64,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The bad end is not worse than the good one by the minimum or more.
    NotWorse,
    /// It could not be decided whether the bad end is worse.
    EndsUndecided,
    /// This revision is the first bad one.
    FirstBad {
        /// Its place in the history, from 0.
        revision: u64,
    },
    /// One of these is the first bad one, but skipped revisions hide which.
    Hidden {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
}
