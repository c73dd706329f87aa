//! Two plans whose starts are interleaved, so that drift affects both alike.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::digest::CanonicalError;

/// One of two plans whose starts are interleaved: start i of one next to start i of the other, so that drift affects
/// both alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interleaved {
    /// What for.
    pub purpose: Purpose,
    /// What joins the two sets: the same in these two sets only. The digest of [`Pairing`].
    pub pairing: Sha256,
    /// Which of the two this is.
    pub arm: Arm,
    /// For each start of the schedule, in its order: the arm that goes first. Drawn from `seed`.
    pub first: Vec<Arm>,
    /// Pairs of starts after which a case has enough, if that many met one machine; its `starts` are the most that
    /// are made. Absent: all are made. Omitted from the file if absent, so that older plans keep their digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<u32>,
}

/// What makes a pairing this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairing {
    /// What for.
    pub purpose: Purpose,
    /// What is measured against what: the digests of the plan (twice) for a calibration, of the manifests of the
    /// compared sets for a confirmation, of the two plans for a bisection.
    pub of: [Sha256; 2],
    /// Which time, from 1.
    pub round: u32,
}

impl Pairing {
    /// SHA-256 of the canonical JSON.
    ///
    /// # Errors
    /// Never in practice: there is no number in it that is not finite.
    pub fn digest(&self) -> Result<Sha256, CanonicalError> {
        Sha256::of_canonical_json(self)
    }
}

/// What two sets are interleaved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// One plan twice, to learn the noise of a machine.
    Calibration,
    /// What a comparison suspects, again.
    Confirmation,
    /// A revision of an engine against an older one.
    Bisection,
    /// One variant of a plan against the other: never in a plan, since both are in one.
    Variants,
}

impl Purpose {
    /// What the name of such a set ends with.
    pub fn word(self) -> &'static str {
        match self {
            Self::Calibration => "calibrate",
            Self::Confirmation => "confirm",
            Self::Bisection => "bisect",
            Self::Variants => "ab",
        }
    }
}

/// One of two sets that are interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The baseline.
    Base,
    /// The candidate.
    Candidate,
}

impl Arm {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Base => Self::Candidate,
            Self::Candidate => Self::Base,
        }
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Base => "baseline",
            Self::Candidate => "candidate",
        }
    }
}
