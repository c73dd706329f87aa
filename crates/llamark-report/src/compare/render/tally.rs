//! How often each verdict was given, and the one line that says it.

use llamark_record::comparison::{Comparison, Conclusion, MetricComparison, Verdict};

/// How often each verdict was given. Metrics that do not gate are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Gating metrics, over all cases that are compared.
    pub gating: usize,
    /// Of these: regressed, and not accepted.
    pub regressed: usize,
    /// Regressed or suspect, and accepted.
    pub accepted: usize,
    /// Suspect.
    pub suspect: usize,
    /// Inconclusive, or without a value on a side.
    pub inconclusive: usize,
    /// Improved.
    pub improved: usize,
    /// Equivalent.
    pub equivalent: usize,
    /// Cases.
    pub cases: usize,
    /// Cases that failed in the candidate only.
    pub broke: usize,
    /// Cases with a result in the baseline and none in the candidate, for another reason.
    pub lost: usize,
    /// Cases that are not the same measurement.
    pub not_comparable: usize,
}

impl Tally {
    /// Of a comparison.
    pub fn of(comparison: &Comparison) -> Self {
        let mut tally = Self { cases: comparison.cases.len(), ..Self::default() };
        for case in &comparison.cases {
            if case.broke {
                tally.broke += 1;
            } else if case.metrics.is_empty() && case.gates {
                match case.verdict {
                    Verdict::NotComparable => tally.not_comparable += 1,
                    _ => tally.lost += 1,
                }
            }
            case.metrics.iter().filter(|metric| metric.gates).for_each(|metric| tally.count(metric));
        }
        tally
    }

    fn count(&mut self, metric: &MetricComparison) {
        self.gating += 1;
        let place = match metric.verdict {
            _ if metric.accepted.is_some() => &mut self.accepted,
            Verdict::Regressed => &mut self.regressed,
            Verdict::Suspect => &mut self.suspect,
            Verdict::Inconclusive | Verdict::Missing | Verdict::NotComparable => &mut self.inconclusive,
            Verdict::Improved => &mut self.improved,
            Verdict::Equivalent => &mut self.equivalent,
        };
        *place += 1;
    }
}

/// The verdict in one line, without a full stop.
pub fn headline(comparison: &Comparison) -> String {
    let tally = Tally::of(comparison);
    let gating = |count: usize| format!("{count} of {} gating comparisons", tally.gating);
    let mut parts = Vec::new();
    let head = match comparison.conclusion {
        Conclusion::Regression => {
            if tally.regressed > 0 {
                parts.push(format!("{} {} worse", gating(tally.regressed), is(tally.regressed)));
            }
            "Regression"
        }
        Conclusion::NotComparable if tally.gating == 0 => {
            parts.push("these sets have nothing in common that can be compared".to_owned());
            "Not comparable"
        }
        Conclusion::NotComparable => {
            let count = tally.not_comparable;
            parts.push(format!(
                "{count} of {} cases {} not the same measurement in both sets",
                tally.cases,
                is(count)
            ));
            "Not comparable"
        }
        Conclusion::Inconclusive => "Inconclusive",
        Conclusion::NoRegression => {
            let mut how = vec![format!("{} equivalent", tally.equivalent)];
            if tally.improved > 0 {
                how.push(format!("{} improved", tally.improved));
            }
            if tally.accepted > 0 {
                how.push(format!("{} accepted", tally.accepted));
            }
            parts.push(format!("of {} gating comparisons {}", tally.gating, how.join(", ")));
            "No regression"
        }
    };
    if tally.broke > 0 {
        parts.push(format!(
            "{} {}",
            tally.broke,
            if tally.broke == 1 { "case no longer works" } else { "cases no longer work" }
        ));
    }
    let open = tally.suspect + tally.inconclusive;
    if open > 0 && tally.gating > 0 {
        let suspects =
            if tally.suspect > 0 { format!(" ({} suspect)", tally.suspect) } else { String::new() };
        let what = if comparison.conclusion == Conclusion::Inconclusive {
            gating(open)
        } else {
            format!("{open} more")
        };
        parts.push(format!("{what} {} undecided{suspects}", is(open)));
    }
    if tally.lost > 0 && tally.gating > 0 {
        parts.push(format!("the candidate lacks {} of {} cases", tally.lost, tally.cases));
    }
    format!("{head}: {}", parts.join("; "))
}

fn is(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}
