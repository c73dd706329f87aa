//! The provenance grade: how much of what a set claims can be traced, in one word. A pure function of the plan.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{DocumentKind, Origin, Plan};

/// How the numbers of a set came to be, the best first. The scale is explained in `docs/provenance.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// llamark measured it.
    Measured,
    /// A file of another tool has the times of its samples.
    Samples,
    /// A document states it.
    Stated,
}

impl Grade {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Samples => "samples",
            Self::Stated => "stated",
        }
    }

    /// What the word means, in one line.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Measured => {
                "measured by llamark: raw integers, with engine, binaries, models and machine on record"
            }
            Self::Samples => {
                "times of single samples from the file of another tool; machine, build and settings as it says them"
            }
            Self::Stated => {
                "rounded numbers of a document that somebody else wrote; nothing of it was observed"
            }
        }
    }
}

impl Plan {
    /// The provenance grade of the sets of this plan.
    pub fn grade(&self) -> Grade {
        match &self.origin {
            Origin::Experiment => Grade::Measured,
            Origin::Document(document) => match document.kind {
                DocumentKind::LlamaBench => Grade::Samples,
                DocumentKind::Report => Grade::Stated,
            },
        }
    }
}
