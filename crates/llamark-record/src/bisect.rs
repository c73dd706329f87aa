//! A search for the first bad revision of an engine, as it is written: the question, each step, and the answer.
//!
//! What was measured lies in sealed sets; this names them, and says what was concluded from them.

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
    /// What is asked: another question is another search.
    pub question: Question,
    /// Which attempt at it, from 1: the next one measures everything again.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
    /// What was found out, in the order in which it was. The first is of the bad end.
    pub steps: Vec<BisectStep>,
    /// How it ended; absent while it continues.
    pub answer: Option<Answer>,
}

fn first_attempt() -> u32 {
    1
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Name of the experiment.
    pub experiment: String,
    /// Digest of its plan with the good end for an engine, that case alone, and the digests of the model.
    pub plan: Sha256,
    /// Digest of what makes the machine this machine.
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
    /// Pairs after which a step stays undecided.
    pub most_pairs: u32,
    /// Probability of an error of one verdict, as a share.
    pub error: f64,
    /// The least loss between the ends that is looked into, as a share.
    pub minimum: f64,
}

/// One revision of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BisectRevision {
    /// What people call it.
    pub label: String,
    /// Where it comes from.
    pub engine: Engine,
}

/// What was found out about one revision.
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
    /// As the good end.
    Good,
    /// As the bad end.
    Bad,
    /// It cannot be told.
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
    /// Its limits, which hold at every look with the probability of error of the rules.
    pub low: f64,
    /// Likewise.
    pub high: f64,
    /// The loss above which it is on the side of the bad end: half of that between the ends. In logarithms; 0 where it
    /// is not known.
    pub boundary: f64,
    /// Squares of the differences around their mean.
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
    /// Whether the bad end is worse could not be told.
    EndsUndecided,
    /// This revision is the first bad one.
    FirstBad {
        /// Its place in the history, from 0.
        revision: u64,
    },
    /// One of these is, and what was skipped hides which.
    Hidden {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
}
