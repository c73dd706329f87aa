//! LM306, LM307: load times from different states of the page cache, or from another than was asked for.

use super::rules::{CACHE_NOT_AS_ASKED, MIXED_CACHE};
use super::{Context, Finding, list};
use crate::format::{duration_ms, percent};
use crate::summary::{CaseSummary, Loading, LoadingFrom};

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let cases = || context.summary.cases.iter().filter_map(|case| Some((case, case.loading.as_ref()?)));
    let mixed = cases().filter(|(_, loading)| loading.cache == "mixed");
    let mixed = mixed.map(|(case, loading)| of_mixed(context, case, loading));
    let other = cases().filter_map(|(case, loading)| not_as_asked(context, case, loading));
    mixed.chain(other).collect()
}

fn of_mixed(context: &Context<'_>, case: &CaseSummary, loading: &Loading) -> Finding {
    let each: Vec<String> = loading.by_cache.iter().map(times).collect();
    let text = format!(
        "{}: its starts found the model in different states of the page cache ({}): their mean is not the load time of \
         any of them.",
        context.case(case),
        list(&each)
    );
    let mut finding = Finding::new(&MIXED_CACHE, context.subject_of_case(case), text);
    for from in &loading.by_cache {
        finding = finding.number(&from.cache, f64::from(from.starts));
    }
    finding
}

fn times(from: &LoadingFrom) -> String {
    let share = match from.resident {
        Some([least, most]) if from.cache == "partial" => {
            format!(", {} to {} in memory", percent(least), percent(most))
        }
        _ => String::new(),
    };
    format!("{} {}{share}: {}", from.starts, from.cache, duration_ms(from.ready_ms))
}

/// The starts that are not what the experiment asks for, as one finding of the case.
fn not_as_asked(context: &Context<'_>, case: &CaseSummary, loading: &Loading) -> Option<Finding> {
    let could_not = match loading.asked.as_str() {
        "cold" => "could not be made cold",
        "warm" => "could not be made warm",
        _ => return None,
    };
    let others: Vec<&LoadingFrom> =
        loading.by_cache.iter().filter(|from| from.cache != loading.asked).collect();
    let starts: u32 = others.iter().map(|from| from.starts).sum();
    let all: u32 = loading.by_cache.iter().map(|from| from.starts).sum();
    let shares: Vec<[f64; 2]> = others.iter().filter_map(|from| from.resident).collect();
    let reason = others.iter().map(|from| from.reason.as_str()).find(|reason| !reason.is_empty());
    let least = shares.iter().map(|[least, _]| *least).min_by(f64::total_cmp);
    let most = shares.iter().map(|[_, most]| *most).max_by(f64::total_cmp);
    let what = match (loading.asked.as_str(), least, most) {
        ("cold", _, Some(most)) => format!("up to {} of its pages stayed in memory", percent(most)),
        (_, Some(least), _) => format!("as few as {} of its pages were in memory", percent(least)),
        _ => "how much of it is in memory is unknown".to_owned(),
    };
    let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    let text = format!(
        "{}: the model {could_not} in {starts} of {all} starts: {what}{reason}. Their load time is not called {}.",
        context.case(case),
        loading.asked
    );
    (starts > 0).then(|| {
        Finding::new(&CACHE_NOT_AS_ASKED, context.subject_of_case(case), text)
            .number("starts", f64::from(starts))
            .word("asked", &loading.asked)
    })
}
