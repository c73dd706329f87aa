//! One metric of one case: the verdict, and the numbers behind it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Acceptance, Relative};
use crate::metric::Metric;

/// The verdict on a case or on one of its metrics, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Worse, at the false discovery rate.
    Regressed,
    /// It looks changed, but not certainly enough among so many, or with fewer than three starts.
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
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is missing or undecided; empty if the numbers say it.
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
    /// Whether it is suspect because of what the candidate computes, not how fast. Fresh starts cannot decide that.
    pub doubted: bool,
    /// The result of fresh starts, which then decides the verdict; absent when it was not measured again.
    pub confirmation: Option<Confirmation>,
    /// The same compared with how fast the processor itself was; none where a GPU computes, where the starts were
    /// interleaved, or where the machine is what was changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relative: Vec<Relative>,
}

/// The result of measuring again in fresh, interleaved starts, which alone decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The first verdict, before the fresh starts.
    pub screened: Verdict,
    /// The baseline in the fresh starts.
    pub base: Arm,
    /// The candidate in the fresh starts.
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
    /// The numbers that the verdict is of: those of the fresh starts where there were some.
    ///
    /// The interval is that of the equivalence test; of what was called, the one that counts the selection.
    pub fn decisive(&self) -> Decisive<'_> {
        match &self.confirmation {
            Some(fresh) => Decisive {
                base: Some(&fresh.base),
                candidate: Some(&fresh.candidate),
                change: Some(fresh.change),
                interval: Some(fresh.interval),
            },
            None => Decisive {
                base: self.base.as_ref(),
                candidate: self.candidate.as_ref(),
                change: self.change,
                interval: self.evidence.map(|evidence| evidence.selected.unwrap_or(evidence.interval)),
            },
        }
    }

    /// Regressed, and nobody accepted it.
    pub fn is_regression(&self) -> bool {
        self.verdict == Verdict::Regressed && self.accepted.is_none()
    }
}

/// What a verdict is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decisive<'a> {
    /// The baseline; absent when it has no valid start.
    pub base: Option<&'a Arm>,
    /// The candidate, likewise.
    pub candidate: Option<&'a Arm>,
    /// Candidate over base, less one; absent unless both have a value.
    pub change: Option<f64>,
    /// The interval of the change; absent when nothing is known of the noise, and where values were compared exactly.
    pub interval: Option<Interval>,
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
    /// Starts left out: they have too few valid runs, or met two machines.
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
    /// The spread of its earlier starts, from the noise file of the machine; absent when there is none.
    pub history: Option<Spread>,
    /// The typical spread of the cases that it was steadied with; absent when there were too few.
    pub prior: Option<Prior>,
    /// p of a change no larger than τ; where `sensitive`, of no change.
    pub p: f64,
    /// The same after Benjamini-Hochberg over its family.
    pub p_adjusted: f64,
    /// p of a change as large as δ or larger; small means equivalent.
    pub p_not_equivalent: f64,
    /// The change with its 90 % interval, the one of the equivalence test.
    pub interval: Interval,
    /// If a change was called: the change with the interval at the false coverage level of its family.
    pub selected: Option<Interval>,
    /// For what is undecided: the smallest worsening, as a share, that would have been found with the power of the
    /// rules.
    pub detectable: Option<f64>,
    /// For the same: starts per side that would find a change as large as δ; absent when a thousand would not.
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

/// The typical spread of the cases of a pool.
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
