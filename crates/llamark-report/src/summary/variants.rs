//! The two variants of a set against each other, as a report shows them.

use llamark_record::comparison::{Interval, Verdict};
use llamark_record::metric::Metric;
use serde::{Deserialize, Serialize};

/// The two variants of a set (`ab:` of its experiment) against each other: what `llamark diff SET` says of it by its starts
/// alone, without what is known of the noise of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantsSummary {
    /// Label of the baseline.
    pub base: String,
    /// Label of the candidate.
    pub candidate: String,
    /// The conclusion, in a sentence.
    pub headline: String,
    /// Each metric that decides, of each case; a case that cannot be compared has one row without a metric.
    pub rows: Vec<VariantRow>,
}

/// One metric of a case in both variants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantRow {
    /// Id of the case that both have in common.
    pub case: String,
    /// Which; null where nothing of the case can be compared.
    pub metric: Option<Metric>,
    /// The baseline, in the unit of the metric: geometric mean of the starts; null where no start counts.
    pub base: Option<f64>,
    /// The candidate, likewise.
    pub candidate: Option<f64>,
    /// Candidate over base, less one, from the pairs of starts; null unless both have a value.
    pub change: Option<f64>,
    /// Its interval; null where nothing is known of the noise.
    pub interval: Option<Interval>,
    /// What is said.
    pub verdict: Verdict,
    /// Why it is missing or undecided; empty if the numbers say it.
    pub reason: String,
}
