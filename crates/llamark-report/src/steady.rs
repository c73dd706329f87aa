//! Which runs of a case come before its steady state.

use llamark_artifact::CaseLedger;
use llamark_record::metric::Metric;
use llamark_stats::steady::{before_steady, mean_from, without_first};

use crate::counted;
use crate::estimate::round;
use crate::summary::SteadyState;

/// The mean is said without the first runs when that moves it by more than this: less is below what the intervals of
/// few runs resolve.
pub(crate) const MOVES: f64 = 0.01;

/// The steady state of a metric where higher is better; `None` where every run is in it, or where leaving the others
/// out changes next to nothing.
pub(crate) fn state(case: &CaseLedger, metric: Metric) -> Option<SteadyState> {
    let starts = counted::samples(case, metric);
    let left_out = before_steady(&starts);
    let change = without_first(&starts, left_out)?;
    (left_out > 0 && change.abs() > MOVES).then(|| SteadyState {
        left_out: u32::try_from(left_out).unwrap_or(u32::MAX),
        mean: round(mean_from(&starts, left_out).unwrap_or(f64::NAN)),
        change: round(change),
    })
}
