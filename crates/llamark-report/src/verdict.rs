//! The verdict of one metric of one case: two samples, a ratio with its interval, and a word.
//!
//! With g the ratio candidate / base, turned over for metrics of which less is better, and a margin of 3 %:
//! `regressed` when the whole 95 % interval of g lies below 1/1.03, `improved` when it lies above 1.03,
//! `equivalent` when it lies between the two, and `inconclusive` otherwise. There is no "no change": a wide interval
//! around 1 is inconclusive. A real loss of just over 3 % needs a narrow interval to be called; that is meant, since
//! a gate that fires on noise is switched off.

use llamark_record::metric::{Direction, Metric};
use llamark_stats::ratio;
use serde::{Deserialize, Serialize};

use crate::estimate::{LEVEL, round};
use crate::summary::Replication;

/// A difference up to this share is of no interest.
pub const MARGIN: f64 = 0.03;

/// What a comparison says, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Worse by more than the margin.
    Regressed,
    /// One side has no result.
    Missing,
    /// The two are not the same measurement.
    NotComparable,
    /// The interval is too wide to say.
    Inconclusive,
    /// The difference is smaller than the margin.
    Equivalent,
    /// Better by more than the margin.
    Improved,
}

impl Verdict {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Missing => "missing",
            Self::NotComparable => "not comparable",
            Self::Inconclusive => "inconclusive",
            Self::Equivalent => "equivalent",
            Self::Improved => "improved",
        }
    }
}

/// The values of one metric on one side: the values of each start.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) starts: Vec<Vec<f64>>,
}

impl Sample {
    fn runs(&self) -> Vec<f64> {
        self.starts.iter().flatten().copied().collect()
    }

    fn medians(&self) -> Vec<f64> {
        self.starts.iter().filter_map(|runs| llamark_stats::median(runs)).collect()
    }
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// Geometric mean of the values that were compared, in the unit of the metric.
    pub value: f64,
    /// Values: runs, or starts for metrics of starts.
    pub n: u64,
    /// Starts that they come from.
    pub starts: u32,
}

/// One metric of one case in both sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricComparison {
    /// Which.
    pub metric: Metric,
    /// Whether its verdict decides the exit code: that of `pp` and `tg` does.
    pub gates: bool,
    /// The base.
    pub base: Side,
    /// The candidate.
    pub candidate: Side,
    /// Candidate over base.
    pub ratio: f64,
    /// The confidence interval of the ratio; absent when nothing is known of the noise.
    pub interval: Option<RatioInterval>,
    /// The verdict.
    pub verdict: Verdict,
    /// What limits the verdict; empty when nothing does.
    pub note: String,
}

/// A confidence interval of a ratio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatioInterval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Its level: 0.95.
    pub level: f64,
    /// What was replicated.
    pub over: Replication,
}

/// Compares one metric; `None` when a side has no value.
pub(crate) fn compare_metric(metric: Metric, base: &Sample, candidate: &Sample) -> Option<MetricComparison> {
    let by_start = base.starts.len() >= 2 && candidate.starts.len() >= 2;
    let of_runs = metric.is_of_runs();
    let values = |sample: &Sample| if by_start { sample.medians() } else { sample.runs() };
    let (base_values, candidate_values) = (values(base), values(candidate));
    let base_side = side(base, &base_values)?;
    let candidate_side = side(candidate, &candidate_values)?;
    let ratio = candidate_side.value / base_side.value;
    let over = if by_start { Replication::Starts } else { Replication::RunsOfOneStart };
    // Values of a start are one each: with a single start there is nothing to compare them with.
    let interval = if by_start || of_runs {
        let interval = ratio::geometric(&base_values, &candidate_values, LEVEL)
            .map(|(ratio, _)| (ratio.interval.low, ratio.interval.high));
        // What never varies on either side (bytes, mostly) is no sample of anything: it is compared exactly.
        let exact =
            || (is_constant(&base_values) && is_constant(&candidate_values)).then_some((ratio, ratio));
        interval.or_else(exact).map(|(low, high)| RatioInterval {
            low: round(low),
            high: round(high),
            level: LEVEL,
            over,
        })
    } else {
        None
    };
    let note = match (&interval, over) {
        (Some(interval), _) if interval.low >= interval.high => "the values do not vary: compared exactly",
        (Some(_), Replication::Starts) => "",
        (Some(_), Replication::RunsOfOneStart) => "runs of one start: between-start noise unknown",
        (None, _) if base_values.len() < 2 || candidate_values.len() < 2 => "too few values to say",
        (None, _) => "a value is not positive: no ratio",
    };
    let verdict = interval.as_ref().map_or(Verdict::Inconclusive, |interval| decide(metric, interval));
    Some(MetricComparison {
        metric,
        gates: matches!(metric, Metric::Pp | Metric::Tg),
        ratio: round(ratio),
        base: base_side,
        candidate: candidate_side,
        interval,
        verdict,
        note: note.to_owned(),
    })
}

/// Whether there are several values, and all are the same.
fn is_constant(values: &[f64]) -> bool {
    values.len() >= 2 && values.windows(2).all(|pair| matches!(pair, [a, b] if a.to_bits() == b.to_bits()))
}

fn side(sample: &Sample, values: &[f64]) -> Option<Side> {
    let logarithms: Vec<f64> = values.iter().filter(|value| **value > 0.0).map(|value| value.ln()).collect();
    let value = round(llamark_stats::mean(&logarithms)?.exp());
    let n = sample.starts.iter().map(Vec::len).sum::<usize>();
    Some(Side {
        value,
        n: u64::try_from(n).unwrap_or(u64::MAX),
        starts: u32::try_from(sample.starts.len()).unwrap_or(u32::MAX),
    })
}

fn decide(metric: Metric, interval: &RatioInterval) -> Verdict {
    let (low, high) = match metric.direction() {
        Direction::HigherIsBetter => (interval.low, interval.high),
        Direction::LowerIsBetter => (1.0 / interval.high, 1.0 / interval.low),
    };
    let (worse, better) = (1.0 / (1.0 + MARGIN), 1.0 + MARGIN);
    if high < worse {
        Verdict::Regressed
    } else if low > better {
        Verdict::Improved
    } else if low > worse && high < better {
        Verdict::Equivalent
    } else {
        Verdict::Inconclusive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_start(values: &[f64]) -> Sample {
        Sample { starts: vec![values.to_vec()] }
    }

    fn verdict(metric: Metric, base: &Sample, candidate: &Sample) -> (Verdict, String) {
        let compared = compare_metric(metric, base, candidate).unwrap();
        (compared.verdict, compared.note)
    }

    #[test]
    fn a_clear_loss_is_a_regression_and_the_direction_is_that_of_the_metric() {
        let (fast, slow) = (one_start(&[100.0, 101.0, 99.0]), one_start(&[80.0, 81.0, 79.0]));
        let flagged = "runs of one start: between-start noise unknown".to_owned();
        assert_eq!(verdict(Metric::Tg, &fast, &slow), (Verdict::Regressed, flagged.clone()));
        assert_eq!(verdict(Metric::Tg, &slow, &fast), (Verdict::Improved, flagged.clone()));
        assert_eq!(verdict(Metric::Ttft, &fast, &slow), (Verdict::Improved, flagged));
    }

    #[test]
    fn equality_is_only_said_when_the_interval_is_narrow() {
        let (quiet, same) = (one_start(&[100.0, 100.1, 99.9]), one_start(&[100.1, 100.0, 100.2]));
        assert_eq!(verdict(Metric::Pp, &quiet, &same).0, Verdict::Equivalent);
        let noisy = one_start(&[90.0, 100.0, 110.0]);
        assert_eq!(verdict(Metric::Pp, &noisy, &noisy).0, Verdict::Inconclusive);
        // A loss of 4 % with an interval that reaches into the margin.
        let loss = one_start(&[95.0, 96.0, 97.0]);
        assert_eq!(verdict(Metric::Pp, &one_start(&[99.0, 100.0, 101.0]), &loss).0, Verdict::Inconclusive);
    }

    #[test]
    fn starts_are_the_unit_where_there_are_several() {
        // Within a start nothing varies; between starts much does. Runs pooled would call this a regression.
        let starts =
            |levels: &[f64]| Sample { starts: levels.iter().map(|level| vec![*level; 20]).collect() };
        let compared = compare_metric(Metric::Tg, &starts(&[100.0, 110.0]), &starts(&[90.0, 101.0])).unwrap();
        assert_eq!(compared.verdict, Verdict::Inconclusive);
        assert_eq!(compared.interval.unwrap().over, Replication::Starts);
        assert_eq!((compared.base.n, compared.base.starts), (40, 2));
    }

    #[test]
    fn one_value_each_says_nothing() {
        let (verdict, note) = verdict(Metric::Load, &one_start(&[100.0]), &one_start(&[900.0]));
        assert_eq!((verdict, note.as_str()), (Verdict::Inconclusive, "too few values to say"));
        assert!(compare_metric(Metric::Load, &Sample::default(), &one_start(&[1.0])).is_none());
    }
}
