//! LM301, LM303: what the runs of a case are too few, or too coarse, to say.

use llamark_record::metric::Metric;

use super::rules::{BELOW_RESOLUTION, TOO_FEW_RUNS};
use super::{Context, Finding, title};
use crate::format::{counted, float, with_interval};
use crate::summary::CaseSummary;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let cases = &context.summary.cases;
    let few = cases.iter().filter_map(|case| too_few(context, case));
    let coarse = cases.iter().flat_map(|case| {
        [Metric::Pp, Metric::Tg].into_iter().filter_map(|metric| below_resolution(context, case, metric))
    });
    few.chain(coarse).collect()
}

/// No interval of a rate: fewer than three runs of one start, or two starts.
fn too_few(context: &Context<'_>, case: &CaseSummary) -> Option<Finding> {
    let tg = case.metrics.tg.as_ref().or(case.metrics.pp.as_ref()).filter(|tg| tg.interval.is_none())?;
    let text = format!(
        "{}: {} in {} are too few to say how far off its means may be.",
        context.case(case),
        counted(tg.n, "counted run"),
        counted(tg.starts, "start"),
    );
    let finding = Finding::new(&TOO_FEW_RUNS, context.subject_of_case(case), text);
    Some(finding.number("runs", float(tg.n)).number("starts", f64::from(tg.starts)))
}

fn below_resolution(context: &Context<'_>, case: &CaseSummary, metric: Metric) -> Option<Finding> {
    let estimate = case.metrics.get(metric)?;
    let interval = estimate.interval.as_ref().filter(|interval| interval.half_width < interval.rounding)?;
    let text = format!(
        "{}: {} varies by less than the rounding of the document, so its uncertainty is that of the rounding: {} tok/s \
         (n = {}).",
        context.case(case),
        title(metric),
        with_interval(estimate.mean, interval.half_width, interval.rounding),
        estimate.n
    );
    let finding = Finding::new(&BELOW_RESOLUTION, context.subject_of_case(case), text)
        .number("mean", estimate.mean)
        .number("half_width", interval.half_width)
        .number("rounding", interval.rounding)
        .number("n", float(estimate.n))
        .word("metric", metric.name());
    Some(finding)
}
