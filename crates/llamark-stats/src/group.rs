//! Effects of a whole group: did every case of one backend and metric move a little?

use serde::{Deserialize, Serialize};

use crate::decide::Estimate;
use crate::describe::{mean, variance};
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

#[cfg(test)]
mod tests {
    use super::*;

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
