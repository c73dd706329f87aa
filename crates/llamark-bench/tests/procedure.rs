//! How a start is prepared and warmed up, as its events say.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

mod support;

use llamark_record::journal::{CacheState, Event, Outcome, WarmedUp, WarmedUpBy};
use llamark_record::plan::{PageCache, Procedure, WarmUp};
use serde_json::json;
use support::{Bench, Ran};

fn until_within(variation_ppm: u32) -> Procedure {
    Procedure { warmup: WarmUp::Steady { window: 2, variation_ppm }, ..Procedure::default() }
}

/// How the warm-up ended, and how many runs of each kind there are before and after that is said.
fn warm_up(ran: &Ran) -> (&WarmedUp, [usize; 2]) {
    let said = ran.events.iter().position(|event| matches!(event, Event::WarmedUp(_))).unwrap();
    let Event::WarmedUp(warmed) = &ran.events[said] else { unreachable!("it was looked for") };
    let runs = |events: &[Event], warmup: bool| {
        events.iter().filter(|event| matches!(event, Event::Run(run) if run.warmup == warmup)).count()
    };
    let (before, after) = ran.events.split_at(said);
    assert_eq!((runs(before, false), runs(after, true)), (0, 0), "what counts comes after the warm-up");
    (warmed, [runs(before, true), runs(after, false)])
}

#[tokio::test]
async fn runs_that_are_alike_end_the_warm_up() {
    let ran = Bench::new(&json!({})).procedure(until_within(1_000), 6).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let (warmed, runs) = warm_up(&ran);
    assert_eq!((warmed.runs, warmed.by, runs), (2, WarmedUpBy::Steady, [2, 2]));
}

/// No two times of a jittery server are the same.
#[tokio::test]
async fn runs_that_are_never_alike_end_it_at_the_most_and_it_is_measured_all_the_same() {
    let ran = Bench::new(&json!({"jitter": 0.05})).procedure(until_within(0), 4).run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let (warmed, runs) = warm_up(&ran);
    assert_eq!((warmed.runs, warmed.by, runs), (4, WarmedUpBy::Limit, [4, 2]));
}

#[tokio::test]
async fn a_fixed_number_needs_no_word() {
    let ran = Bench::new(&json!({})).run().await;
    assert!(!ran.events.iter().any(|event| matches!(event, Event::WarmedUp(_))));
}

#[tokio::test]
async fn the_pages_of_the_model_are_counted_before_every_start() {
    let asked = |cache| Procedure { cache, ..Procedure::default() };
    for cache in [PageCache::AsIs, PageCache::Warm] {
        let ran = Bench::new(&json!({})).procedure(asked(cache), 1).run().await;
        let files = &ran.opened().cache;
        assert_eq!(files.len(), 1);
        // The model was just written, so it is in memory either way.
        assert_eq!(CacheState::of(files), Some(CacheState::Warm), "{files:?}");
    }
}
