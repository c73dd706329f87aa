//! LM305: an interval so wide that its mean says little.

use llamark_record::metric::Metric;

use super::rules::WIDE_INTERVAL;
use super::{Context, Finding, title};
use crate::format::{percent, with_interval};
use crate::summary::CaseSummary;

/// Half-width over mean from which it is said: two backends or builds that differ by this much are called different by
/// everybody, and such a case cannot tell them apart.
const WIDE: f64 = 0.10;

/// The widest first, so that it is the one that is quoted for many.
pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let each = |case| [Metric::Pp, Metric::Tg].map(|metric| wide(context, case, metric));
    let mut found: Vec<(f64, Finding)> = context.summary.cases.iter().flat_map(each).flatten().collect();
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found.into_iter().map(|(_, finding)| finding).collect()
}

fn wide(context: &Context<'_>, case: &CaseSummary, metric: Metric) -> Option<(f64, Finding)> {
    let estimate = case.metrics.get(metric)?;
    let interval = estimate.interval.as_ref()?;
    let share = interval.half_width / estimate.mean;
    if share.is_nan() || share < WIDE {
        return None;
    }
    let text = format!(
        "{}: {} is known to ±{} only ({} tok/s): a smaller difference from another row cannot be seen.",
        context.case(case),
        title(metric),
        percent(share),
        with_interval(estimate.mean, interval.half_width, interval.rounding),
    );
    let finding = Finding::new(&WIDE_INTERVAL, context.subject_of_case(case), text)
        .number("share", share)
        .number("mean", estimate.mean)
        .number("half_width", interval.half_width)
        .word("metric", metric.name());
    Some((share, finding))
}
