//! Effects of a whole group: did every case of one backend and metric move a little?

use serde::{Deserialize, Serialize};

use crate::describe::{mean, variance};
use crate::estimate::Estimate;
use crate::interval::Interval;

/// The least shift of a group that is looked for: ln 1.005.
pub const MINIMUM_GROUP: f64 = 0.004_987_541_511_038_968;

/// The mean effect of the cases of a group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupEffect {
    /// Mean of D over the cases, in natural logarithms; above zero is worse.
    pub difference: f64,
    /// Cases.
    pub cases: usize,
    /// p of |shift| <= ln 1.005, times the number of groups tested, at most 1 (Bonferroni).
    pub p: f64,
    /// 95 % interval of the mean, not adjusted for the number of groups.
    pub interval: Interval,
}

/// Student's t over the effects of the cases of one backend and metric, against a minimum of ln 1.005, Bonferroni
/// over `groups`. Valid only for interleaved arms: a shift of the host looks the same.
///
/// `None` for fewer than two cases, effects that are not finite, or effects that are all equal.
pub fn group_effect(differences: &[f64], groups: usize) -> Option<GroupEffect> {
    let estimate = Estimate {
        difference: mean(differences)?,
        standard_error: (variance(differences)? / differences.len() as f64).sqrt(),
        df: (differences.len() - 1) as f64,
    };
    if estimate.standard_error == 0.0 {
        return None;
    }
    Some(GroupEffect {
        difference: estimate.difference,
        cases: differences.len(),
        p: (estimate.p_beyond(MINIMUM_GROUP)? * groups.max(1) as f64).min(1.0),
        interval: estimate.interval(0.95)?,
    })
}

/// Cases below which a group is not looked at: of fewer, one odd case decides.
pub const FEWEST_CASES: usize = 4;

/// A group that moved as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Its place in the list of groups.
    pub group: usize,
    /// What was found.
    pub effect: GroupEffect,
}

/// Which groups of cases moved, by [`group_effect`] at `alpha` over all of the groups together.
///
/// A group is a list of places in `differences`, the effects of its cases. Groups of fewer than [`FEWEST_CASES`] are not
/// tested, and of two with the very same cases the first is. Of groups that share cases and moved the same way, the one
/// with the smallest p is given: it says most about what moved. The surest comes first.
pub fn shifts(differences: &[f64], groups: &[Vec<usize>], alpha: f64) -> Vec<Shift> {
    let is_first =
        |place: usize| groups.iter().position(|other| Some(other) == groups.get(place)) == Some(place);
    let tested: Vec<usize> = (0..groups.len())
        .filter(|place| {
            groups.get(*place).is_some_and(|group| group.len() >= FEWEST_CASES) && is_first(*place)
        })
        .collect();
    let effect_of = |place: usize| {
        let of_group: Option<Vec<f64>> =
            groups.get(place)?.iter().map(|member| differences.get(*member).copied()).collect();
        group_effect(&of_group?, tested.len())
    };
    let mut found: Vec<Shift> = tested
        .iter()
        .filter_map(|place| Some(Shift { group: *place, effect: effect_of(*place)? }))
        .filter(|shift| shift.effect.p <= alpha)
        .collect();
    // Where p is 0 for both, the larger one.
    found.sort_by(|a, b| {
        let by_p = a.effect.p.total_cmp(&b.effect.p);
        by_p.then(b.effect.difference.abs().total_cmp(&a.effect.difference.abs())).then(a.group.cmp(&b.group))
    });
    let mut kept: Vec<Shift> = Vec::new();
    for shift in found {
        let says_more = |other: &Shift| {
            let same_way = (other.effect.difference > 0.0) == (shift.effect.difference > 0.0);
            let (one, two) = (groups.get(other.group), groups.get(shift.group));
            same_way && one.zip(two).is_some_and(|(one, two)| two.iter().any(|member| one.contains(member)))
        };
        if !kept.iter().any(says_more) {
            kept.push(shift);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three backends of ten cases, of which the second moved by so much.
    fn backends(shift: f64) -> (Vec<f64>, Vec<Vec<usize>>) {
        let noise = |place: usize| 0.003 * (((place * 7) % 11) as f64 - 5.0) / 5.0;
        let moved = |place: usize| if (10..20).contains(&place) { shift } else { 0.0 };
        let differences = (0..30).map(|place| noise(place) + moved(place)).collect();
        let mut groups = vec![(0..30).collect::<Vec<usize>>()];
        groups.extend((0..3).map(|backend| (10 * backend..10 * backend + 10).collect::<Vec<usize>>()));
        (differences, groups)
    }

    #[test]
    fn the_group_that_moved_is_named_and_not_the_one_around_it() {
        let (differences, groups) = backends(0.015);
        let found = shifts(&differences, &groups, 0.05);
        assert_eq!(found.iter().map(|shift| shift.group).collect::<Vec<_>>(), [2]);
        assert_eq!(found[0].effect.cases, 10);
        assert_eq!(shifts(&backends(0.0).0, &groups, 0.05), []);
        let better: Vec<f64> = differences.iter().map(|d| -d).collect();
        assert!(shifts(&better, &groups, 0.05)[0].effect.difference < 0.0);
    }

    #[test]
    fn what_moved_everywhere_is_one_finding() {
        let (differences, groups) = backends(0.0);
        let all: Vec<f64> = differences.iter().map(|d| d + 0.02).collect();
        assert_eq!(shifts(&all, &groups, 0.05).iter().map(|shift| shift.group).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn small_and_double_groups_are_not_tested() {
        let differences = [0.020, 0.021, 0.019, 0.020, 0.022];
        let all: Vec<usize> = (0..5).collect();
        let groups = [vec![0, 1, 2], all.clone(), all];
        let found = shifts(&differences, &groups, 0.05);
        assert_eq!(found.iter().map(|shift| shift.group).collect::<Vec<_>>(), [1]);
        assert_eq!(found[0].effect.p, group_effect(&differences, 1).unwrap().p, "one test, not three");
        assert_eq!(shifts(&differences, &[vec![0, 1, 2, 99]], 0.05), []);
    }

    #[test]
    fn a_small_shift_of_all_is_found_where_no_case_shows_it() {
        let shifted: Vec<f64> = (0..60).map(|i| 0.01 + 0.004 * f64::from(i % 7 - 3)).collect();
        assert!(group_effect(&shifted, 4).unwrap().p < 1e-3);
        let still: Vec<f64> = shifted.iter().map(|d| d - 0.01).collect();
        assert_eq!(group_effect(&still, 4).unwrap().p, 1.0);
    }

    #[test]
    fn a_group_needs_two_cases_that_differ() {
        assert_eq!(group_effect(&[0.1], 1), None);
        assert_eq!(group_effect(&[0.1, 0.1], 1), None);
        assert!((MINIMUM_GROUP - 1.005_f64.ln()).abs() < 1e-16);
    }
}
