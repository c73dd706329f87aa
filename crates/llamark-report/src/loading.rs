//! How a case loaded: the stages, and from which state of the page cache.
//!
//! Starts that found the cache in different states are kept apart: a model that is read from the disk and one that is
//! in memory already are two measurements.

use llamark_artifact::{CaseLedger, StartLedger};
use llamark_record::journal::{CacheState, LoadStages, pages};
use llamark_record::plan::PageCache;

use crate::counted;
use crate::estimate::round;
use crate::format::float;
use crate::summary::{Loading, LoadingFrom};

/// Shares of resident pages that differ by more than this are different states, though each is `partial`.
const SAME: f64 = 0.05;
/// The states in the order of a report.
const STATES: [CacheState; 4] =
    [CacheState::Cold, CacheState::Partial, CacheState::Warm, CacheState::Unknown];

/// How the starts of a case that count loaded; `None` where none of them says what the page cache was.
pub(crate) fn loading(case: &CaseLedger, asked: PageCache) -> Option<Loading> {
    let starts: Vec<(CacheState, &StartLedger, LoadStages)> = counted::starts(case)
        .filter(|start| start.counts)
        .filter_map(|start| {
            let start = start.measured?;
            Some((CacheState::of(&start.opened.cache)?, start, start.ready.as_ref()?.load))
        })
        .collect();
    let by_cache: Vec<LoadingFrom> = STATES.into_iter().filter_map(|state| from(state, &starts)).collect();
    let cache = match by_cache.as_slice() {
        [] => return None,
        [one] if one.resident.is_none_or(|[least, most]| most - least <= SAME) => one.cache.clone(),
        _ => "mixed".to_owned(),
    };
    Some(Loading { asked: asked.word().to_owned(), cache, by_cache })
}

fn from(state: CacheState, starts: &[(CacheState, &StartLedger, LoadStages)]) -> Option<LoadingFrom> {
    let of_state: Vec<_> = starts.iter().filter(|(found, ..)| *found == state).collect();
    let mean = |stage: fn(&LoadStages) -> Option<u64>| -> Option<f64> {
        let times: Option<Vec<f64>> =
            of_state.iter().map(|(_, _, load)| Some(float(stage(load)?) / 1e3)).collect();
        llamark_stats::mean(&times?).map(round)
    };
    let shares: Option<Vec<f64>> = of_state
        .iter()
        .map(|(_, start, _)| pages(&start.opened.cache))
        .map(|counted| counted.map(|(pages, resident)| float(resident) / float(pages.max(1))))
        .collect();
    let reasons = of_state.iter().flat_map(|(_, start, _)| &start.opened.cache);
    Some(LoadingFrom {
        cache: state.word().to_owned(),
        resident: shares.and_then(|shares| {
            let least = shares.iter().copied().min_by(f64::total_cmp)?;
            let most = shares.iter().copied().max_by(f64::total_cmp)?;
            Some([round(least), round(most)])
        }),
        reason: reasons.filter_map(|file| file.error.clone()).next().unwrap_or_default(),
        starts: u32::try_from(of_state.len()).unwrap_or(u32::MAX),
        first_line_ms: mean(|load| load.first_line_us),
        weights_ms: mean(|load| load.weights_us),
        ready_ms: mean(|load| Some(load.ready_us))?,
    })
}
