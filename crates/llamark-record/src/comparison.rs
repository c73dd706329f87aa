//! A comparison of two artifact sets, as it is written: verdicts, the numbers behind them, and what differs around.
//!
//! Differences of logarithms are above zero where the candidate is worse, whatever the direction of the metric. What
//! is shown to people are shares: `change` is candidate over base, less one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::environment::FieldClass;
use crate::metric::Metric;

/// `format` of a [`Comparison`] as written by this version.
pub const COMPARISON_FORMAT: &str = "llamark/comparison/v1";

/// Two sets against each other.
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
    /// By which rules it was decided.
    pub rules: Rules,
    /// What a reader must know before the numbers.
    pub caveats: Vec<Caveat>,
    /// Every case of either set, the worst first, then by id.
    pub cases: Vec<CaseComparison>,
    /// Groups of cases that moved together by less than a case alone can show, the surest first. They decide nothing.
    pub groups: Vec<GroupFinding>,
    /// What differs around them: what forbids a comparison first, then the likeliest cause first.
    pub differences: Vec<Difference>,
    /// Entries of the file of accepted changes that had no effect.
    pub stale: Vec<StaleAcceptance>,
    /// The two sets of fresh starts that decide on what was suspected; absent when nothing was measured again.
    pub confirmed_by: Option<[ComparedSet; 2]>,
}

/// A group of cases that moved together: of those among them that were not called by themselves, the mean moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupFinding {
    /// What the cases have in common.
    pub kind: GroupKind,
    /// Which: a backend, a model, a prompt; empty for all cases.
    pub name: String,
    /// The metric, which gates.
    pub metric: Metric,
    /// Cases of the group that are not called regressed or improved by themselves.
    pub cases: u64,
    /// Mean of their differences, in logarithms; above zero is worse.
    pub difference: f64,
    /// The same as a share: candidate over base, less one.
    pub change: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// p of a shift no larger than 0.5 %, times the number of groups that were looked at.
    pub p_adjusted: f64,
    /// Whether the starts were made in turn. If not, a shift of the machine between the sets looks the same.
    pub interleaved: bool,
}

/// What the cases of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// They are all of them.
    All,
    /// The backend.
    Backend,
    /// The model.
    Model,
    /// The prompt.
    Prompt,
}

impl GroupKind {
    /// The word for people, before a name.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Backend => "backend",
            Self::Model => "model",
            Self::Prompt => "prompt",
        }
    }
}

/// What a gate should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Every gating metric is equivalent, improved, or accepted.
    NoRegression,
    /// Some gating metric regressed, or a case that had a result fails now. Goes before all that follows: what
    /// regressed is said even where other cases cannot be compared.
    Regression,
    /// Some case is not the same measurement in both sets, or there is nothing with a result in both.
    NotComparable,
    /// Nothing regressed as far as can be told, and for some gating metric it cannot be told, or the candidate lacks a
    /// case that has a result in the baseline.
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
    /// Digest of what makes the machine this machine.
    pub host: Sha256,
    /// Which of its two variants, by its name; absent: all of the set.
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
    /// Level under which a single p makes a suspect, and of the equivalence test.
    pub alpha: f64,
    /// Power for which the detectable change is given.
    pub power: f64,
    /// Whether a change is called by the size of its estimate: more power, more false calls.
    pub sensitive: bool,
    /// How each metric is judged, in the order of a report.
    pub metrics: Vec<MetricRule>,
    /// Fields whose difference was declared to be what is compared.
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
    /// In place of τ where `sensitive`, else absent: no change is called unless its estimate is as large.
    pub least_estimate: Option<f64>,
    /// δ as a share: a change that is shown to be smaller is equivalent.
    pub margin: f64,
}

/// What a reader must know before the numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Caveat {
    /// Which, for programs.
    pub code: CaveatCode,
    /// As a sentence.
    pub text: String,
}

/// What a reader must know before the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaveatCode {
    /// Both are one and the same set.
    SameSet,
    /// The starts of the two sets were not interleaved: drift between them is not controlled.
    NotInterleaved,
    /// The processor itself was not as fast for one set as for the other.
    OtherPace,
    /// Starts do not count during which the machine went over to other cores.
    MovedStarts,
    /// A noise file of the machine added what earlier starts showed.
    NoiseFile,
    /// What was suspected was measured again, and the fresh starts alone decide on it.
    Confirmed,
    /// They were measured on different machines.
    OtherHost,
    /// The candidate's plan judges otherwise; the baseline's rules hold.
    OtherGates,
    /// A set is not sealed: nothing vouches for its files, and cases may be open.
    NotSealed,
    /// The numbers of a set are stated by a document, not measured.
    Stated,
    /// More than one likely cause differs: they cannot be told apart.
    Confounded,
    /// Nothing differs that could be a cause.
    NothingDiffers,
    /// Memory or the generated tokens, which are deterministic, differ.
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
    /// What is deterministic and differs all the same: bytes of buffers, generated tokens.
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

/// What is said of a case or of one of its metrics, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Worse, at the false discovery rate.
    Regressed,
    /// It looks changed, but not surely enough among so many, or with fewer than three starts.
    Suspect,
    /// The two are not the same measurement.
    NotComparable,
    /// A side has no valid value.
    Missing,
    /// Neither a change nor its absence is shown.
    Inconclusive,
    /// Better, at the false discovery rate.
    Improved,
    /// Certainly within the margin.
    Equivalent,
}

impl Verdict {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Suspect => "suspect",
            Self::NotComparable => "not comparable",
            Self::Missing => "missing",
            Self::Inconclusive => "inconclusive",
            Self::Improved => "improved",
            Self::Equivalent => "equivalent",
        }
    }
}

/// One metric of a case in both sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricComparison {
    /// Which.
    pub metric: Metric,
    /// Whether it decides the conclusion.
    pub gates: bool,
    /// What is said.
    pub verdict: Verdict,
    /// Why it is missing or undecided; empty where the numbers say it.
    pub reason: String,
    /// The baseline; absent when it has no valid start.
    pub base: Option<Arm>,
    /// The candidate, likewise.
    pub candidate: Option<Arm>,
    /// Candidate over base, less one; absent unless both have a value.
    pub change: Option<f64>,
    /// The numbers of the decision; absent when nothing is known of the noise, and where values were compared exactly.
    pub evidence: Option<Evidence>,
    /// That this regression was accepted, and why; absent otherwise.
    pub accepted: Option<Acceptance>,
    /// Whether it is suspect because of what the candidate computes, and not of how fast. Fresh starts say nothing of that.
    pub doubted: bool,
    /// What fresh starts said, which the verdict is of; absent when it was not measured again.
    pub confirmation: Option<Confirmation>,
    /// The same held against how fast the processor itself was; none where a GPU computes, where the starts were made in turn,
    /// or where the machine is what was changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relative: Vec<Relative>,
}

/// A change relative to how fast the processor itself was before and behind each start. It decides nothing alone: what is called
/// changed is so both as it was measured and relative to this.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relative {
    /// At which work.
    pub to: PaceKind,
    /// How much faster the processor was at it beside the candidate than beside the baseline, as a share; below zero it was slower.
    pub pace: f64,
    /// Candidate over base, less one, if the processor had been as fast for both.
    pub change: f64,
    /// The same with its 90 % interval.
    pub interval: Interval,
    /// What would be called by that alone.
    pub verdict: Verdict,
}

/// A kind of work that tells how fast a processor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaceKind {
    /// Multiplying and adding in the first cache.
    Compute,
    /// Reading memory.
    Memory,
    /// Bringing threads together.
    Sync,
}

impl PaceKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Compute, Self::Memory, Self::Sync];

    /// For people: what the processor did at that pace.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Compute => "computed",
            Self::Memory => "read memory",
            Self::Sync => "brought its threads together",
        }
    }
}

/// A suspect measured again in fresh starts, made in turn. They alone decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The verdict of the comparison that made it one.
    pub screened: Verdict,
    /// The baseline, again.
    pub base: Arm,
    /// The candidate, again.
    pub candidate: Arm,
    /// Candidate over base, less one, of the fresh starts.
    pub change: f64,
    /// The same with its 90 % interval.
    pub interval: Interval,
    /// p of a change no larger than τ, of the fresh starts.
    pub p: f64,
    /// The same after Holm over all that was measured again.
    pub p_adjusted: f64,
}

impl MetricComparison {
    /// The interval to show: of what was called, the one that counts the selection; else that of the equivalence test.
    pub fn best_interval(&self) -> Option<Interval> {
        let evidence = self.evidence?;
        Some(evidence.selected.unwrap_or(evidence.interval))
    }

    /// Regressed, and nobody accepted it.
    pub fn is_regression(&self) -> bool {
        self.verdict == Verdict::Regressed && self.accepted.is_none()
    }
}

/// One metric of a case in one set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Geometric mean of `starts`, in the unit of the metric.
    pub value: f64,
    /// The value of each start that counts: the median of its runs, or its one value.
    pub starts: Vec<f64>,
    /// Runs that count, in all of these starts; for a metric of starts, the starts.
    pub runs: u64,
    /// Starts that have too few valid runs to count, or met two machines.
    pub left_out: u64,
}

/// The numbers of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// D: mean difference of the logarithms of the start values; above zero is worse.
    pub difference: f64,
    /// Its standard error, with the variance that was used.
    pub standard_error: f64,
    /// The spread between starts that was used, steadied over cases, and its degrees of freedom.
    pub spread: Spread,
    /// The spread of this case alone; absent when its starts cannot say.
    pub own: Option<Spread>,
    /// The spread of earlier starts of it, from the noise file of the machine; absent when there is none of it.
    pub history: Option<Spread>,
    /// What is usual among the cases that it was steadied with; absent when there were too few.
    pub prior: Option<Prior>,
    /// p of a change no larger than τ; where `sensitive`, of no change.
    pub p: f64,
    /// The same after Benjamini-Hochberg over its family.
    pub p_adjusted: f64,
    /// p of a change as large as δ or larger; small means equivalent.
    pub p_not_equivalent: f64,
    /// The change with its 90 % interval, the one of the equivalence test.
    pub interval: Interval,
    /// For what was called: the change with the interval at the false coverage level of its family.
    pub selected: Option<Interval>,
    /// For what is undecided: the smallest worsening, as a share, that would have been found with the power of the
    /// rules.
    pub detectable: Option<f64>,
    /// For the same: starts a side that would find a change as large as δ; absent when a thousand would not.
    pub starts_needed: Option<u32>,
}

/// A standard deviation of logarithms (0.01 is about 1 %) and its degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// s.
    pub s: f64,
    /// Degrees of freedom.
    pub df: f64,
}

/// What is usual among the cases of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// s0.
    pub s: f64,
    /// d0: what the pool is worth, in degrees of freedom; absent when it is infinite, since the cases differ no more
    /// than by chance.
    pub df: Option<f64>,
}

/// An interval of changes, as shares: candidate over base, less one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Its level, as 0.9.
    pub level: f64,
}

/// A regression that somebody accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// Why.
    pub reason: String,
    /// Last day on which it holds, `2027-01-31`; absent: it holds until it is removed.
    pub until: Option<String>,
}

/// An entry of the file of accepted changes that had no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaleAcceptance {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Its case.
    pub case: String,
    /// Its metric.
    pub metric: Metric,
    /// Why it had none.
    pub why: String,
}

/// A change that a team lives with: an entry of the file of accepted changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedChange {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Id of the case.
    pub case: String,
    /// The metric.
    pub metric: Metric,
    /// How much worse it may be, in parts per million of the baseline.
    pub at_most_ppm: u32,
    /// Why.
    pub reason: String,
    /// Last day on which it holds, `2027-01-31`; absent: it holds until it is removed.
    pub until: Option<String>,
}

/// Something that is not the same in both sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// What kind of thing, which is its rank as a likely cause.
    pub cause: Cause,
    /// What it means for a comparison. An identity that was declared with `--across` is a treatment.
    pub class: FieldClass,
    /// Whether it was declared with `--across`.
    pub declared: bool,
    /// Where: `engine.commit`, `build.cpu.tools.cc`, `host.kernel.release`.
    pub field: String,
    /// In the baseline; absent when it has none.
    pub base: Option<String>,
    /// In the candidate; absent when it has none.
    pub candidate: Option<String>,
    /// Which cases it can have to do with.
    pub touches: Touches,
}

/// Which cases a field has to do with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Touches {
    /// All.
    All,
    /// Those of a backend, by its name.
    Backend(String),
    /// Those of a model, by its id.
    Model(String),
    /// Those of a prompt, by its name.
    Prompt(String),
    /// One, by its id.
    Case(String),
}

/// What can make numbers differ, the likeliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// llama.cpp itself.
    Engine,
    /// Flags of the build.
    BuildFlags,
    /// Compiler and build tools.
    Compiler,
    /// SDKs that the build used.
    Sdk,
    /// Drivers and firmware.
    Driver,
    /// Kernel, its command line and its settings; the system around it.
    Kernel,
    /// Governor, power profile, clocks, limits.
    Power,
    /// The bytes of the model.
    Model,
    /// The prompt, as text or as tokens.
    Prompt,
    /// What one run is: tokens, context, warm-up.
    Shape,
    /// Settings of the server.
    Settings,
    /// Variables of the environment.
    Variables,
    /// The machine.
    Hardware,
    /// How it was measured.
    Method,
    /// Names and notes for people.
    Label,
    /// Something that this version does not know.
    Unknown,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 16] = [
        Self::Engine,
        Self::BuildFlags,
        Self::Compiler,
        Self::Sdk,
        Self::Driver,
        Self::Kernel,
        Self::Power,
        Self::Model,
        Self::Prompt,
        Self::Shape,
        Self::Settings,
        Self::Variables,
        Self::Hardware,
        Self::Method,
        Self::Label,
        Self::Unknown,
    ];

    /// The word for people, and for `--across`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::BuildFlags => "build-flags",
            Self::Compiler => "compiler",
            Self::Sdk => "sdk",
            Self::Driver => "driver",
            Self::Kernel => "kernel",
            Self::Power => "power",
            Self::Model => "model",
            Self::Prompt => "prompt",
            Self::Shape => "shape",
            Self::Settings => "settings",
            Self::Variables => "variables",
            Self::Hardware => "hardware",
            Self::Method => "method",
            Self::Label => "label",
            Self::Unknown => "unknown",
        }
    }
}
