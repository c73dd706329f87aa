//! The whole decision over the cases of one comparison: variance, test, multiplicity, verdict, confirmation.
//!
//! The order of the steps and their constants are those of `docs/statistics.md`: start-level effects, variances
//! steadied over cases, a test beyond a minimum effect, Benjamini–Hochberg, equivalence.

use serde::{Deserialize, Serialize};

use crate::estimate::{Estimate, FEWEST_STARTS, Noise, Quantiles, Requirement, Target, family_alpha};
use crate::interval::Interval;
use crate::multiple::{benjamini_hochberg, false_coverage_level, holm};
use crate::pools::Pools;
use crate::shrink::{Prior, Variance};
use crate::start_level::Effect;

/// One case and metric to decide on.
#[derive(Clone, Debug)]
pub struct Cell<'a> {
    /// Backend: with the metric, the pool that its variance belongs to.
    pub backend: &'a str,
    /// Metric.
    pub metric: &'a str,
    /// Whether it gates. Gating cells and others are two families of tests.
    pub gating: bool,
    /// The effect.
    pub effect: Effect,
    /// Squares and degrees of freedom of earlier restarts of the same cell on the same host, baseline against
    /// itself and of the same design; zero of both without history.
    pub history: (f64, u32),
    /// τ: the least change looked for, in logarithms.
    pub minimum: f64,
    /// The least estimate that is called under [`Sensitivity::Estimate`], in logarithms.
    pub least_estimate: f64,
    /// δ: the margin of equivalence, in logarithms.
    pub margin: f64,
}

/// What a change must show to be called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sensitivity {
    /// The change is beyond the minimum effect of the cell (TREAT). Calls nothing else.
    MinimumEffect,
    /// The change is not zero, and its estimate is at least the least estimate of the cell. More power, more false calls.
    Estimate,
}

/// The levels of the procedure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// False discovery rate, as 0.05.
    pub q: f64,
    /// Level under which a single p makes a suspect, and of the equivalence test.
    pub alpha: f64,
    /// Power for which the detectable effect is given.
    pub power: f64,
    /// What a change must show.
    pub sensitivity: Sensitivity,
}

impl Rules {
    /// q = 0.05, alpha = 0.05, power = 0.8, minimum effect.
    pub const STANDARD: Self =
        Self { q: 0.05, alpha: 0.05, power: 0.8, sensitivity: Sensitivity::MinimumEffect };
}

/// What is said of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Worse, at the false discovery rate of the family.
    Regressed,
    /// Better, at the same.
    Improved,
    /// It looks changed, but not surely enough among so many; to be confirmed with fresh starts.
    Suspect,
    /// The 90 % interval lies within the margin.
    Equivalent,
    /// Neither a change nor its absence is shown.
    Inconclusive,
}

/// The numbers behind a verdict. Differences are in natural logarithms; above zero is worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The effect, its standard error and degrees of freedom.
    pub estimate: Estimate,
    /// The variance used.
    pub variance: Variance,
    /// What it was steadied with; `None` when there were too few cells.
    pub prior: Option<Prior>,
    /// p of the test that the sensitivity names.
    pub p: f64,
    /// The same after Benjamini–Hochberg in its family.
    pub p_adjusted: f64,
    /// p of the equivalence test; small means equivalent.
    pub p_not_equivalent: f64,
    /// 90 % interval, the one of the equivalence test.
    pub interval: Interval,
    /// For what was called: the interval at the false coverage level of its family.
    pub selected_interval: Option<Interval>,
    /// For suspect and inconclusive cells: the smallest change that would have been found with the power of the
    /// rules.
    pub detectable: Option<f64>,
    /// For the same: starts per arm that would find a change as large as the margin, more than there were; `None`
    /// when a thousand would not.
    pub starts_needed: Option<u32>,
}

/// A verdict and, where the noise is known, its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// What is said.
    pub verdict: Verdict,
    /// `None` when nothing is known of the noise: one start and no history, or starts that agree exactly and no
    /// other cases to learn from.
    pub evidence: Option<Evidence>,
}

/// Decides on every cell, in the order given.
///
/// Fewer than three starts in an arm give no final verdict: at most [`Verdict::Suspect`], never
/// [`Verdict::Equivalent`].
pub fn decide(cells: &[Cell<'_>], rules: &Rules) -> Vec<Decision> {
    let pools = Pools::learn(cells);
    let mut quantiles = Quantiles::default();
    let evidence: Vec<Option<(Evidence, Option<Prior>)>> =
        cells.iter().map(|cell| weigh(cell, &pools, rules, &mut quantiles)).collect();
    let mut decisions = vec![Decision { verdict: Verdict::Inconclusive, evidence: None }; cells.len()];
    for gating in [true, false] {
        let family: Vec<usize> =
            (0..cells.len()).filter(|i| cells[*i].gating == gating && evidence[*i].is_some()).collect();
        decide_family(cells, &family, &evidence, rules, &mut quantiles, &mut decisions);
    }
    decisions
}

fn weigh(
    cell: &Cell<'_>,
    pools: &Pools<'_>,
    rules: &Rules,
    quantiles: &mut Quantiles,
) -> Option<(Evidence, Option<Prior>)> {
    let variance = pools.variance(cell)?;
    let estimate = Estimate::new(&cell.effect, &variance)?;
    let half_width = quantiles.upper(rules.alpha, estimate.df)? * estimate.standard_error;
    let p = match rules.sensitivity {
        Sensitivity::MinimumEffect => estimate.p_beyond(cell.minimum)?,
        Sensitivity::Estimate => estimate.p_student()?,
    };
    let evidence = Evidence {
        estimate,
        variance,
        prior: pools.prior(cell),
        p,
        p_adjusted: p,
        p_not_equivalent: estimate.p_not_equivalent(cell.margin)?,
        interval: Interval::around(estimate.difference, half_width, 1.0 - 2.0 * rules.alpha)?,
        selected_interval: None,
        detectable: None,
        starts_needed: None,
    };
    Some((evidence, pools.prior(cell)))
}

fn decide_family(
    cells: &[Cell<'_>],
    family: &[usize],
    evidence: &[Option<(Evidence, Option<Prior>)>],
    rules: &Rules,
    quantiles: &mut Quantiles,
    decisions: &mut [Decision],
) {
    let weighed: Vec<(usize, Evidence, Option<Prior>)> =
        family.iter().filter_map(|i| evidence[*i].map(|(evidence, prior)| (*i, evidence, prior))).collect();
    let p: Vec<f64> = weighed.iter().map(|(_, evidence, _)| evidence.p).collect();
    let Some(adjusted) = benjamini_hochberg(&p) else { return };
    let large = |cell: &Cell<'_>, evidence: &Evidence| match rules.sensitivity {
        Sensitivity::MinimumEffect => true,
        Sensitivity::Estimate => evidence.estimate.difference.abs() >= cell.least_estimate,
    };
    let called = |index: usize, evidence: &Evidence, adjusted: f64| {
        adjusted <= rules.q && large(&cells[index], evidence)
    };
    let selected = weighed
        .iter()
        .zip(&adjusted)
        .filter(|((index, evidence, _), p)| called(*index, evidence, **p))
        .count();
    let alpha = family_alpha(rules.q, selected, weighed.len());
    for ((index, mut evidence, prior), p_adjusted) in weighed.iter().copied().zip(&adjusted) {
        let cell = &cells[index];
        let final_ = cell.effect.starts >= FEWEST_STARTS;
        let is_called = called(index, &evidence, *p_adjusted);
        let verdict = if is_called && final_ {
            if evidence.estimate.difference > 0.0 { Verdict::Regressed } else { Verdict::Improved }
        } else if is_called || (evidence.p <= rules.alpha && large(cell, &evidence)) {
            Verdict::Suspect
        } else if final_ && evidence.p_not_equivalent <= rules.alpha {
            Verdict::Equivalent
        } else {
            Verdict::Inconclusive
        };
        evidence.p_adjusted = *p_adjusted;
        if matches!(verdict, Verdict::Suspect | Verdict::Inconclusive) {
            let requirement = match rules.sensitivity {
                Sensitivity::MinimumEffect => Requirement::Beyond(cell.minimum),
                Sensitivity::Estimate => Requirement::Estimated(cell.least_estimate),
            };
            let target = Target { requirement, effect: cell.margin, alpha, power: rules.power };
            let noise =
                Noise { variance: &evidence.variance, prior: prior.as_ref(), design: cell.effect.design };
            evidence.detectable = quantiles.detectable(&evidence.estimate, &target);
            // This many were not enough, whatever the plan of a fresh comparison would say.
            let more = |starts: u32| starts.max(cell.effect.starts.saturating_add(1));
            evidence.starts_needed = quantiles.starts_needed(&noise, &target).map(more);
        }
        evidence.selected_interval = if is_called {
            false_coverage_level(rules.q, selected, weighed.len())
                .and_then(|level| evidence.estimate.interval(level))
        } else {
            None
        };
        decisions[index] = Decision { verdict, evidence: Some(evidence) };
    }
}

/// Whether a witness contradicts a verdict: the same cell decided once more, on what was measured relative to something that only
/// the machine moves.
///
/// A change must show in both, so that the two together alarm no more often than either. The witness calls nothing.
pub fn contradicts(measured: Verdict, relative: Verdict) -> bool {
    matches!(measured, Verdict::Regressed | Verdict::Improved) && relative != measured
}

/// A suspect measured again: its effect at the screen, and its estimate from fresh interleaved starts alone.
#[derive(Clone, Copy, Debug)]
pub struct Retest {
    /// D of the comparison that made it a suspect; `None` of one that was undecided, and pointed nowhere.
    pub screened: Option<f64>,
    /// The estimate of the fresh starts only, its variance steadied by the pools of the screen
    /// ([`Pools::estimate`]): what is usual was learned from other cells, and says nothing of the effect of this one.
    pub fresh: Estimate,
    /// τ.
    pub minimum: f64,
    /// δ.
    pub margin: f64,
}

/// What fresh data say of one that was measured again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retested {
    /// What is said.
    pub verdict: Verdict,
    /// p of a change no larger than τ.
    pub p: f64,
    /// The same after Holm over all that was measured again.
    pub p_adjusted: f64,
}

/// Decides on suspects from fresh data alone: the minimum-effect test, Holm over the suspects at `alpha`, and the same sign as at
/// the screen, if that had one. What is not confirmed is equivalent when the fresh data show that, else inconclusive.
/// In the order given. There is at most one such round: running again until it passes is what this replaces.
///
/// `None` for an estimate that is not finite.
pub fn confirm(retests: &[Retest], alpha: f64) -> Option<Vec<Retested>> {
    let p: Option<Vec<f64>> = retests.iter().map(|retest| retest.fresh.p_beyond(retest.minimum)).collect();
    let p = p?;
    let adjusted = holm(&p)?;
    let decide = |(retest, (p, p_adjusted)): (&Retest, (&f64, &f64))| {
        let same_sign = retest.screened.is_none_or(|screened| screened * retest.fresh.difference > 0.0);
        let verdict = match (*p_adjusted <= alpha && same_sign, retest.fresh.difference > 0.0) {
            (true, true) => Verdict::Regressed,
            (true, false) => Verdict::Improved,
            (false, _) if retest.fresh.p_not_equivalent(retest.margin)? <= alpha => Verdict::Equivalent,
            (false, _) => Verdict::Inconclusive,
        };
        Some(Retested { verdict, p: *p, p_adjusted: *p_adjusted })
    };
    retests.iter().zip(p.iter().zip(&adjusted)).map(decide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::{MARGIN, MINIMUM_THROUGHPUT};
    use crate::start_level::Design;

    fn cell(difference: f64, s: f64, starts: u32) -> Cell<'static> {
        let df = 2 * (starts - 1);
        Cell {
            backend: "cpu",
            metric: "tg",
            gating: true,
            effect: Effect {
                difference,
                sum_of_squares: s * s * f64::from(df),
                df,
                c: 2.0 / f64::from(starts),
                design: Design::Unblocked,
                starts,
            },
            history: (0.0, 0),
            minimum: MINIMUM_THROUGHPUT,
            least_estimate: 1.02_f64.ln(),
            margin: MARGIN,
        }
    }

    fn verdicts(cells: &[Cell<'_>]) -> Vec<Verdict> {
        decide(cells, &Rules::STANDARD).iter().map(|decision| decision.verdict).collect()
    }

    #[test]
    fn every_verdict_has_its_place() {
        let mut cells = vec![cell(0.0, 0.004, 5); 20];
        cells[1] = cell(0.06, 0.004, 5);
        cells[2] = cell(-0.06, 0.004, 5);
        cells[3] = cell(0.0145, 0.004, 5);
        let mut noisy = cell(0.03, 0.09, 5);
        noisy.metric = "other";
        let found = verdicts(&cells);
        assert_eq!(
            found[..4],
            [Verdict::Equivalent, Verdict::Regressed, Verdict::Improved, Verdict::Suspect]
        );
        assert_eq!(verdicts(&[noisy]), [Verdict::Inconclusive]);
    }

    #[test]
    fn fewer_than_three_starts_are_never_final() {
        assert_eq!(verdicts(&vec![cell(0.0, 0.001, 2); 10]), [Verdict::Inconclusive; 10]);
        assert_eq!(verdicts(&vec![cell(0.2, 0.001, 2); 10]), [Verdict::Suspect; 10]);
    }

    #[test]
    fn one_start_needs_a_history_and_stays_a_suspect() {
        let mut cells = vec![cell(0.2, 0.0, 1); 4];
        assert_eq!(verdicts(&cells), [Verdict::Inconclusive; 4]);
        assert!(decide(&cells, &Rules::STANDARD)[0].evidence.is_none());
        for cell in &mut cells {
            cell.history = (9.0 * 0.004 * 0.004, 9);
        }
        assert_eq!(verdicts(&cells), [Verdict::Suspect; 4]);
    }

    #[test]
    fn a_history_adds_its_squares_and_its_degrees_of_freedom() {
        let mut one = cell(0.02, 0.004, 3);
        one.history = (9.0 * 0.008 * 0.008, 9);
        let evidence = decide(&[one], &Rules::STANDARD)[0].evidence.unwrap();
        let expected = (4.0 * 0.004 * 0.004 + 9.0 * 0.008 * 0.008) / 13.0;
        assert!((evidence.variance.s_squared / expected - 1.0).abs() < 1e-12);
        assert_eq!((evidence.variance.df, evidence.estimate.df), (13.0, 13.0));
    }

    #[test]
    fn fewer_than_three_cells_have_their_own_variance_only() {
        for count in [1, 2, 3] {
            let mut cells = vec![cell(0.0, 0.004, 3); count];
            cells[0] = cell(0.0, 0.001, 3);
            let own = decide(&cells, &Rules::STANDARD)[0].evidence.unwrap().variance;
            let is_own = (own.s_squared / 1e-6 - 1.0).abs() < 1e-12 && own.df == 4.0;
            assert_eq!(is_own, count < 3, "{count} {own:?}");
        }
    }

    #[test]
    fn cells_that_spread_no_more_than_chance_share_one_variance() {
        // d0 is infinite: the mean of all, with the degrees of freedom of all of them and no more.
        let cells: Vec<_> = (0..10).map(|i| cell(0.0, 0.004 + 1e-5 * f64::from(i), 3)).collect();
        let mean = cells.iter().filter_map(|cell| cell.effect.own_variance()).sum::<f64>() / 10.0;
        for decision in decide(&cells, &Rules::STANDARD) {
            let variance = decision.evidence.unwrap().variance;
            assert!((variance.s_squared / mean - 1.0).abs() < 1e-12);
            assert_eq!(variance.df, 40.0);
        }
    }

    #[test]
    fn one_start_beside_many_is_never_final() {
        let lone = |difference: f64| {
            let mut cell = cell(difference, 0.004, 3);
            cell.effect = Effect { starts: 1, c: 1.2, ..cell.effect };
            cell
        };
        assert_eq!(verdicts(&vec![lone(0.2); 10]), [Verdict::Suspect; 10]);
        assert_eq!(verdicts(&vec![lone(0.0); 10]), [Verdict::Inconclusive; 10]);
    }

    #[test]
    fn starts_that_agree_exactly_decide_nothing_alone() {
        assert_eq!(verdicts(&[cell(0.2, 0.0, 5)]), [Verdict::Inconclusive]);
        let mut cells = vec![cell(0.0, 0.004, 5); 9];
        cells.push(cell(0.2, 0.0, 5));
        assert_eq!(verdicts(&cells)[9], Verdict::Regressed);
    }

    #[test]
    fn families_do_not_share_their_multiplicity() {
        let mut cells = vec![cell(0.0, 0.004, 5); 200];
        cells[0] = cell(0.0175, 0.004, 5);
        assert_eq!(verdicts(&cells)[0], Verdict::Suspect);
        for cell in &mut cells[1..] {
            cell.gating = false;
        }
        assert_eq!(verdicts(&cells)[0], Verdict::Regressed);
    }

    #[test]
    fn sensitive_calls_by_the_estimate() {
        let mut cells = vec![cell(0.0, 0.004, 5); 20];
        cells[0] = cell(0.021, 0.004, 5);
        cells[1] = cell(0.0195, 0.001, 5);
        let rules = Rules { sensitivity: Sensitivity::Estimate, ..Rules::STANDARD };
        let found = decide(&cells, &rules);
        assert_eq!(found[0].verdict, Verdict::Regressed);
        assert_ne!(found[1].verdict, Verdict::Regressed);
        // Each cell by its own: what is much for a rate may be little for a load time.
        cells[0].least_estimate = 1.1_f64.ln();
        assert_ne!(decide(&cells, &rules)[0].verdict, Verdict::Regressed);
    }

    #[test]
    fn what_is_detectable_is_that_of_the_test_in_use() {
        let mut one = cell(0.012, 0.02, 3);
        one.least_estimate = 1e-9;
        let cells = vec![one; 40];
        let at = |sensitivity| decide(&cells, &Rules { sensitivity, ..Rules::STANDARD })[0].evidence.unwrap();
        let (standard, tiny) = (at(Sensitivity::MinimumEffect), at(Sensitivity::Estimate));
        // Two-sided at half the level, plus nothing for a minimum.
        let estimate = tiny.estimate;
        let alpha = family_alpha(0.05, 0, 40);
        let near = |found: Option<f64>, expected: Option<f64>| {
            assert!((found.unwrap() / expected.unwrap() - 1.0).abs() < 1e-12, "{found:?} {expected:?}");
        };
        near(standard.detectable, estimate.detectable(MINIMUM_THROUGHPUT, alpha, 0.8));
        near(tiny.detectable, estimate.detectable(0.0, alpha / 2.0, 0.8));
    }

    #[test]
    fn more_starts_than_there_were_are_needed() {
        // Neither beyond 1 % nor within 3 %, though such noise would let a change of 3 % be found.
        let decision = decide(&[cell(0.0199, 0.013, 10)], &Rules::STANDARD)[0];
        assert_eq!(decision.verdict, Verdict::Inconclusive);
        assert!(decision.evidence.unwrap().starts_needed.unwrap() > 10);
    }

    #[test]
    fn an_inconclusive_cell_says_what_it_needs() {
        let decision = decide(&[cell(0.005, 0.03, 3)], &Rules::STANDARD)[0];
        let evidence = decision.evidence.unwrap();
        assert_eq!(decision.verdict, Verdict::Inconclusive);
        assert!(evidence.detectable.unwrap() > MARGIN);
        assert!(evidence.starts_needed.unwrap() > 3);
        assert_eq!(evidence.selected_interval, None);
    }

    #[test]
    fn a_witness_takes_back_what_it_does_not_see_and_calls_nothing() {
        let all = [
            Verdict::Regressed,
            Verdict::Improved,
            Verdict::Suspect,
            Verdict::Equivalent,
            Verdict::Inconclusive,
        ];
        for relative in all {
            assert_eq!(contradicts(Verdict::Regressed, relative), relative != Verdict::Regressed);
            assert_eq!(contradicts(Verdict::Improved, relative), relative != Verdict::Improved);
            for quiet in [Verdict::Suspect, Verdict::Equivalent, Verdict::Inconclusive] {
                assert!(!contradicts(quiet, relative));
            }
        }
    }

    #[test]
    fn confirmation_needs_the_same_sign_and_holm() {
        let fresh = |difference| Estimate { difference, standard_error: 0.003, df: 8.0 };
        let retest = |screened, difference| Retest {
            screened: Some(screened),
            fresh: fresh(difference),
            minimum: MINIMUM_THROUGHPUT,
            margin: MARGIN,
        };
        let confirmed = |retests: &[Retest]| -> Vec<Verdict> {
            confirm(retests, 0.05).unwrap().into_iter().map(|one| one.verdict).collect()
        };
        let found =
            confirmed(&[retest(0.03, 0.03), retest(-0.03, -0.03), retest(0.03, -0.03), retest(0.03, 0.0)]);
        let expected = [Verdict::Regressed, Verdict::Improved, Verdict::Inconclusive, Verdict::Equivalent];
        assert_eq!(found, expected);
        // What pointed nowhere has no direction to keep.
        assert_eq!(confirmed(&[Retest { screened: None, ..retest(0.03, -0.03) }]), [Verdict::Improved]);
        assert_eq!(confirm(&[], 0.05), Some(vec![]));
        // Alone it passes; among fifty it does not, and is shown to be within the margin.
        let weak = retest(0.03, 0.018);
        assert_eq!(confirmed(&[weak]), [Verdict::Regressed]);
        let mut many = vec![retest(0.03, 0.0); 49];
        many.push(weak);
        assert_eq!(confirmed(&many)[49], Verdict::Equivalent);
    }
}
