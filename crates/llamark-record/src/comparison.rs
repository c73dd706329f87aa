//! A comparison of two artifact sets, as it is written: verdicts, the numbers behind them, and what else differs.
//!
//! Differences of logarithms are above zero where the candidate is worse, whatever the direction of the metric. What
//! is shown to people are shares: `change` is candidate over base, less one.

mod accepted;
mod difference;
mod group;
mod metric;
mod pace;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::metric::Metric;

pub use accepted::{Acceptance, AcceptedChange, StaleAcceptance};
pub use difference::{Cause, Difference, Touches};
pub use group::{GroupFinding, GroupKind};
pub use metric::{Arm, Confirmation, Decisive, Evidence, Interval, MetricComparison, Prior, Spread, Verdict};
pub use pace::{PaceKind, Relative};

/// `format` of a [`Comparison`] as written by this version.
pub const COMPARISON_FORMAT: &str = "llamark/comparison/v1";

/// A comparison of two sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// [`COMPARISON_FORMAT`].
    pub format: String,
    /// What a gate should do.
    pub conclusion: Conclusion,
    /// The baseline.
    pub base: ComparedSet,
    /// The candidate.
    pub candidate: ComparedSet,
    /// The rules by which it was decided.
    pub rules: Rules,
    /// What a reader must know before the numbers.
    pub caveats: Vec<Caveat>,
    /// Every case of either set, the worst first, then by id.
    pub cases: Vec<CaseComparison>,
    /// Groups of cases that moved together by less than a single case can show, the most certain first. They decide
    /// nothing.
    pub groups: Vec<GroupFinding>,
    /// What else differs: first what prevents a comparison, then the likeliest causes first.
    pub differences: Vec<Difference>,
    /// Entries of the file of accepted changes that had no effect.
    pub stale: Vec<StaleAcceptance>,
    /// The two sets of fresh starts that decide what needed confirming; absent when nothing was measured again.
    pub confirmed_by: Option<[ComparedSet; 2]>,
}

/// What a gate should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Every gating metric is equivalent, improved, or accepted.
    NoRegression,
    /// Some gating metric regressed, or a case that had a result now fails. It takes precedence over the following: a
    /// regression is reported even if other cases cannot be compared.
    Regression,
    /// Some case is not the same measurement in both sets, or there is nothing with a result in both.
    NotComparable,
    /// No regression was found, but some gating metric is undecided, or the candidate lacks a case that has a result in
    /// the baseline.
    Inconclusive,
}

/// One of the two sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComparedSet {
    /// Name of the experiment.
    pub name: String,
    /// Id of the set.
    pub id: String,
    /// When it began: RFC 3339, UTC.
    pub started_at: String,
    /// When its last event was written.
    pub finished_at: String,
    /// Digest of the plan.
    pub plan: Sha256,
    /// Digest of `manifest.json`; absent when the set is not sealed.
    pub manifest: Option<Sha256>,
    /// llama.cpp's build number and commit, in one line.
    pub engine: String,
    /// Digest of what identifies the machine.
    pub host: Sha256,
    /// Name of the variant; absent: the whole set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl ComparedSet {
    /// `NAME/ID`, and which of its variants.
    pub fn title(&self) -> String {
        let variant = self.variant.as_ref().map_or(String::new(), |variant| format!(" ({variant})"));
        format!("{}/{}{variant}", self.name, self.id)
    }
}

/// By which rules it was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// False discovery rate over the gating metrics of all cases, and over the others.
    pub false_discovery_rate: f64,
    /// Level below which a single p makes a suspect; also the level of the equivalence test.
    pub alpha: f64,
    /// Power for which the detectable change is given.
    pub power: f64,
    /// Whether a change is called by the size of its estimate: more power, more false calls.
    pub sensitive: bool,
    /// How each metric is judged, in the order of a report.
    pub metrics: Vec<MetricRule>,
    /// Fields whose difference was declared with `--across` as what is compared.
    pub across: Vec<String>,
}

/// How a metric is judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricRule {
    /// Which.
    pub metric: Metric,
    /// Whether it decides the conclusion.
    pub gates: bool,
    /// τ as a share: no change is called unless it is shown to be larger.
    pub minimum: f64,
    /// Used instead of τ if `sensitive`, otherwise absent: no change is called unless its estimate is at least this
    /// large.
    pub least_estimate: Option<f64>,
    /// δ as a share: a change that is shown to be smaller is equivalent.
    pub margin: f64,
}

/// What a reader must know before the numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Caveat {
    /// Its code, for programs.
    pub code: CaveatCode,
    /// As a sentence.
    pub text: String,
}

/// What a reader must know before the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaveatCode {
    /// Both are the same set.
    SameSet,
    /// The starts of the two sets were not interleaved: drift between them is not controlled.
    NotInterleaved,
    /// The processor itself was not equally fast for both sets.
    OtherPace,
    /// Starts during which the machine moved to other cores do not count.
    MovedStarts,
    /// A noise file of the machine added what earlier starts showed.
    NoiseFile,
    /// What needed confirming was measured again, and the fresh starts alone decide it.
    Confirmed,
    /// They were measured on different machines.
    OtherHost,
    /// The candidate's plan has different gates; the baseline's apply.
    OtherGates,
    /// A set is not sealed: nothing vouches for its files, and cases may be unfinished.
    NotSealed,
    /// The numbers of a set come from a document and were not measured.
    Stated,
    /// More than one likely cause differs, so their effects cannot be told apart.
    Confounded,
    /// Nothing differs that could be a cause.
    NothingDiffers,
    /// Something deterministic differs: memory or the generated tokens.
    OutputDiffers,
    /// Load times are from different states of the page cache.
    OtherCache,
}

/// A case in both sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseComparison {
    /// Its id.
    pub id: String,
    /// The worst verdict of its gating metrics, or `missing`, or `not_comparable`. A regression of it may be accepted.
    pub verdict: Verdict,
    /// Whether it had a result in the baseline and failed in the candidate.
    pub broke: bool,
    /// Whether its verdict decides the conclusion: not that of a case without a result in the baseline.
    pub gates: bool,
    /// Why it is missing or not comparable; empty otherwise.
    pub reason: String,
    /// The metrics that either has, in the order of a report; none when the case is missing or not comparable.
    pub metrics: Vec<MetricComparison>,
    /// What is deterministic and yet differs: bytes of buffers, generated tokens.
    pub exact: Vec<ExactDifference>,
}

/// Something deterministic that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExactDifference {
    /// What: `kv buffer on Vulkan0`, `generated tokens`.
    pub what: String,
    /// In the baseline.
    pub base: String,
    /// In the candidate.
    pub candidate: String,
}
