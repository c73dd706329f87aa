//! The state of the page cache, where load times are shown: each start by its own, and never one mean for all.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "tests")]

mod common;

use common::Parts;
use common::synthetic::Shape;
use llamark_record::comparison::CaveatCode;
use llamark_record::journal::CachedFile;
use llamark_record::plan::PageCache;
use llamark_report::compare::{CompareOptions, Side, compare_sides};
use llamark_report::{Summary, Templates, render_markdown, summarize_material, terminal_table};

/// A case whose starts found so many of 1000 pages in memory and took so many ms to load; `None`: it could not be told.
fn loaded(asked: PageCache, starts: &[(Option<u64>, u64)]) -> Parts {
    let mut parts = Shape::new(1, u32::try_from(starts.len()).unwrap()).build(|_| 1.0);
    parts.resolved.plan.procedure.cache = asked;
    for (start, (resident, ms)) in parts.ledger.cases[0].starts.values_mut().zip(starts) {
        let error = resident.is_none().then(|| "the system tells nobody".to_owned());
        let name = "m.gguf".to_owned();
        start.opened.cache = vec![CachedFile { name, pages: 1000, resident: *resident, error }];
        let load = &mut start.ready.as_mut().unwrap().load;
        load.ready_us = ms * 1000;
        load.weights_us = Some(ms * 900);
        load.first_line_us = Some(3_000);
    }
    parts
}

fn shown(parts: &Parts) -> (Summary, String) {
    let summary = summarize_material(parts.material()).unwrap();
    let page = render_markdown(&summary, &Templates::built_in()).unwrap();
    (summary, page)
}

fn texts<'a>(summary: &'a Summary, code: &str) -> Vec<&'a str> {
    summary.findings.iter().filter(|one| one.code == code).map(|one| one.text.as_str()).collect()
}

#[test]
fn starts_that_found_different_caches_are_not_one_mean() {
    let starts = [(Some(0), 4000), (Some(1000), 400), (Some(1000), 600)];
    let (summary, page) = shown(&loaded(PageCache::AsIs, &starts));
    let loading = summary.cases[0].loading.as_ref().unwrap();
    let by: Vec<_> = loading.by_cache.iter().map(|by| (by.cache.as_str(), by.starts, by.ready_ms)).collect();
    assert_eq!(by, [("cold", 1, 4000.0), ("warm", 2, 500.0)]);
    assert_eq!(loading.cache, "mixed");
    let found = texts(&summary, "LM306");
    assert!(found[0].contains("1 cold: 4.00 s and 2 warm: 500 ms"), "{found:?}");
    assert!(page.contains("(mixed)") && page.contains("| cold | 1 | 3.00 ms | 3.60 s | 4.00 s |"), "{page}");
    assert!(terminal_table(&summary, 100).contains("mixed"));
}

#[test]
fn what_could_not_be_made_cold_is_not_called_cold() {
    let (summary, page) = shown(&loaded(PageCache::Cold, &[(Some(0), 4000), (Some(180), 3000)]));
    let found = texts(&summary, "LM307");
    assert!(found[0].contains("could not be made cold in 1 of 2 starts: up to 18 %"), "{found:?}");
    assert!(page.contains("partial (18 % in memory), cold was asked for"), "{page}");

    let (summary, _) = shown(&loaded(PageCache::Cold, &[(None, 4000), (None, 4000)]));
    let found = texts(&summary, "LM307");
    assert!(
        found[0].contains("in 2 of 2 starts: how much of it is in memory is unknown (the system"),
        "{found:?}"
    );
    assert_eq!(summary.cases[0].loading.as_ref().unwrap().cache, "unknown");
}

#[test]
fn what_is_as_asked_is_a_word_beside_the_time() {
    let (summary, page) = shown(&loaded(PageCache::Warm, &[(Some(1000), 400), (Some(1000), 500)]));
    assert!(page.contains("450 ms (warm)"), "{page}");
    assert!(texts(&summary, "LM306").is_empty() && texts(&summary, "LM307").is_empty());
}

/// Two starts of which each found a part, and not the same.
#[test]
fn parts_that_differ_are_mixed_too() {
    let cache = |starts: &[(Option<u64>, u64)]| {
        shown(&loaded(PageCache::AsIs, starts)).0.cases[0].loading.as_ref().unwrap().cache.clone()
    };
    assert_eq!(cache(&[(Some(100), 400), (Some(140), 400)]), "partial");
    assert_eq!(cache(&[(Some(100), 400), (Some(900), 400)]), "mixed");
}

#[test]
fn load_times_from_two_caches_are_compared_with_a_warning() {
    let caveat = |base: &[(Option<u64>, u64)], candidate: &[(Option<u64>, u64)]| {
        let [base, candidate] = [base, candidate].map(|starts| loaded(PageCache::AsIs, starts));
        let [a, b] = [&base, &candidate].map(|parts| Side { material: parts.material(), manifest: None });
        let comparison = compare_sides(a, b, &CompareOptions::default()).unwrap();
        let found = comparison.caveats.into_iter().find(|one| one.code == CaveatCode::OtherCache);
        found.map(|found| found.text)
    };
    let (cold, warm) = ([(Some(0), 4000); 3], [(Some(1000), 400); 3]);
    assert!(
        caveat(&cold, &warm).unwrap().contains("in 1 case, the starts") && caveat(&warm, &warm).is_none()
    );
    assert!(caveat(&cold, &warm).unwrap().contains("(cold, and warm in the candidate)"));
    let mixed = [cold[0], warm[0], warm[0]];
    assert!(caveat(&mixed, &mixed).unwrap().contains("cold or warm, and cold or warm in the candidate"));
}

#[test]
fn a_set_that_says_nothing_of_it_reads_as_before() {
    let parts = Shape::new(1, 2).build(|_| 1.0);
    let (summary, page) = shown(&parts);
    assert!(summary.cases[0].loading.is_none());
    assert!(!page.contains("Page cache"));
    assert!(!serde_json::to_string(&summary).unwrap().contains("loading"));
}
