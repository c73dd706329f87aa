//! What came of a plan's procedure, in words and numbers: how starts were prepared, when they were warm, why there were
//! enough of them.

use llamark_artifact::CaseLedger;
use llamark_record::journal::{EnoughBy, WarmedUpBy};
use llamark_record::metric::Metric;
use llamark_record::plan::{Case, CoolDown, PageCache, Plan, Until, WarmUp};
use llamark_stats::special::t_upper_quantile;
use llamark_stats::until::looks;

use crate::estimate::{LEVEL, round};
use crate::format::{duration_ms, float, percent};
use crate::summary::{Estimate, Metrics, Replication, Stopped, WarmUps};

/// The rates that decide whether there are enough starts.
const DECIDING: [Metric; 2] = [Metric::Pp, Metric::Tg];

/// What is not as usual in how starts are prepared and repeated, a sentence each.
pub(crate) fn sentences(plan: &Plan) -> Vec<String> {
    let procedure = plan.procedure;
    let mut said = Vec::new();
    match procedure.cache {
        PageCache::AsIs => {}
        PageCache::Cold => said.push(
            "Before each start, the files of the model are dropped from the page cache, and the pages that stay are counted."
                .to_owned(),
        ),
        PageCache::Warm => said.push(
            "Before each start, the files of the model are read into the page cache, and the pages that are there are \
             counted."
                .to_owned(),
        ),
    }
    if let CoolDown::Until { millicelsius } = procedure.cooldown {
        said.push(format!(
            "Before each start, llamark waits until the hottest sensor of the device is at most {} °C, for at most {}.",
            degrees(millicelsius),
            duration_ms(float(plan.cooldown_ms))
        ));
    }
    if let WarmUp::Steady { window, variation_ppm } = procedure.warmup {
        said.push(format!(
            "A start is warm when PP and TG of its last {window} warm-up runs have a coefficient of variation of at most {} \
             each; these runs do not count.",
            share(variation_ppm)
        ));
    }
    if let Some(until) = procedure.until {
        let time = until.max_server_ms.map_or_else(String::new, |limit| {
            format!(", and none after {} of server time", duration_ms(float(limit)))
        });
        said.push(format!(
            "Starts are added, at least {}{time}, until the 95 % interval of PP and of TG over the starts is within ±{} of \
             the mean. The intervals have an allowance for each look (Bonferroni), so stopping when they are narrow \
             does not make them wrong.",
            until.least,
            share(until.share_ppm)
        ));
    }
    said
}

fn degrees(millicelsius: u64) -> String {
    crate::format::significant(float(millicelsius) / 1e3, 3)
}

fn share(ppm: u32) -> String {
    percent(f64::from(ppm) / 1e6)
}

/// How many warm-up runs the starts of a case needed; `None` where that was fixed before.
pub(crate) fn warm_ups(case: &CaseLedger) -> Option<WarmUps> {
    let warmed: Vec<_> = case.starts.values().filter_map(|start| start.warmed.as_ref()).collect();
    Some(WarmUps {
        starts: u32::try_from(warmed.len()).unwrap_or(u32::MAX),
        fewest: warmed.iter().map(|warmed| warmed.runs).min()?,
        most: warmed.iter().map(|warmed| warmed.runs).max()?,
        unsteady: u32::try_from(warmed.iter().filter(|warmed| warmed.by == WarmedUpBy::Limit).count())
            .unwrap_or(u32::MAX),
    })
}

/// How often it can be looked whether a case has enough starts.
fn looks_of(case: &Case, until: Until) -> usize {
    looks(until.least, case.starts).len()
}

/// Widens the interval over starts by the allowance for looks: the quantile of t at α/(2L) instead of that at α/2.
pub(crate) fn allow_for_looks(estimate: &mut Estimate, case: &Case, until: Option<Until>) {
    let Some(until) = until else { return };
    let Some(interval) = estimate.interval.as_mut().filter(|one| one.over == Replication::Starts) else {
        return;
    };
    let df = float(interval.n) - 1.0;
    let tail = (1.0 - LEVEL) / 2.0;
    let all = float(u64::try_from(looks_of(case, until)).unwrap_or(1));
    let (Some(wide), Some(usual)) = (t_upper_quantile(tail / all, df), t_upper_quantile(tail, df)) else {
        return;
    };
    interval.half_width = round(interval.half_width * wide / usual);
    interval.low = round(estimate.mean - interval.half_width);
    interval.high = round(estimate.mean + interval.half_width);
}

/// Why a case has so many starts; `None` where that was fixed before, and of a case without a result.
pub(crate) fn stopped(case: &CaseLedger, until: Option<Until>, metrics: &Metrics) -> Option<Stopped> {
    let until = until?;
    let starts = u32::try_from(case.starts.len()).unwrap_or(u32::MAX);
    let widest = DECIDING.into_iter().filter_map(|metric| {
        let estimate = metrics.get(metric)?;
        Some(round(estimate.interval.as_ref()?.half_width / estimate.mean))
    });
    let by = match case.enough.as_ref().map(|enough| enough.by) {
        Some(EnoughBy::Narrow) => "narrow",
        Some(EnoughBy::Time) => "time",
        Some(EnoughBy::Pairs) => "pairs",
        None => "most",
    };
    let widest = widest.max_by(f64::total_cmp);
    case.outcome_of_starts().filter(|outcome| outcome.word() == "ok").map(|_| Stopped {
        starts,
        most: case.case.starts,
        by: by.to_owned(),
        asked: f64::from(until.share_ppm) / 1e6,
        widest,
    })
}
