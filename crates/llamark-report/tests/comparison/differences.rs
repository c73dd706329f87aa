//! What differs around two sets: what forbids a comparison, and the likely causes of a change.

use llamark_record::Sha256;
use llamark_record::comparison::{Cause, CaveatCode, Conclusion};
use llamark_record::plan::{PromptContent, Settings};
use llamark_report::ReportError;
use llamark_report::compare::{CompareOptions, Tally};

use crate::common::synthetic::other_model;
use crate::common::{Parts, sample_set};
use crate::{FIVE, caveat, compared, fact, on_terminal, slower, try_with, usual, with};

#[test]
fn another_measurement_is_not_compared_unless_that_is_declared() {
    type Change = fn(&mut Parts);
    let changes: [(&str, &str, Change); 7] = [
        ("shape", "max_tokens", |parts| {
            parts.ledger.cases.iter_mut().for_each(|case| case.case.max_tokens += 1);
        }),
        ("case", "context", |parts| parts.ledger.cases.iter_mut().for_each(|case| case.case.context *= 2)),
        ("shape", "warmup", |parts| parts.ledger.cases.iter_mut().for_each(|case| case.case.warmup += 1)),
        ("prompt.bridge.sha256", "prompt.bridge.sha256", |parts| {
            let content = &mut parts.resolved.plan.prompts[0].content;
            let PromptContent::Text { sha256, .. } = content else { return };
            *sha256 = Sha256::of_bytes(b"other");
        }),
        ("prompt", "prompt_tokens", |parts| {
            let starts = parts.ledger.cases.iter_mut().flat_map(|case| case.starts.values_mut());
            starts.for_each(|start| start.ready.as_mut().unwrap().prompt_tokens += 1);
        }),
        ("model", "sha256", other_model),
        ("host.cpu", "host.cpu.model", |parts| fact(parts, "cpu.model", "Another CPU")),
    ];
    for (across, field, change) in changes {
        let (base, mut other) = (FIVE.build(usual), FIVE.seed(2).build(slower(1, 0.1)));
        change(&mut other);
        let comparison = compared(&base, &other);
        assert_eq!(comparison.conclusion, Conclusion::NotComparable, "{field}");
        assert!(comparison.cases.iter().all(|case| case.metrics.is_empty()), "{field}");
        assert!(comparison.cases[0].reason.contains(field), "{}", comparison.cases[0].reason);
        let text = on_terminal(&comparison);
        assert!(
            text.starts_with("Not comparable: these sets have nothing in common that can be compared\n"),
            "{text}"
        );
        assert!(!text.contains("tok/s") && !text.contains("Baseline "), "no number before or after: {text}");

        let options = CompareOptions { across: vec![across.to_owned()], ..CompareOptions::default() };
        let comparison = with(&base, &other, &options);
        assert_eq!(comparison.conclusion, Conclusion::Regression, "{field} declared as {across}");
        assert!(on_terminal(&comparison).contains("(declared)"));
    }
}

/// A start that was refused before anything was spawned got no variables, which says nothing of what the others got.
#[test]
fn variables_are_those_of_a_server_that_was_started() {
    let with_variables = |seed: u64| {
        let mut parts = FIVE.seed(seed).build(usual);
        for start in parts.ledger.cases.iter_mut().flat_map(|case| case.starts.values_mut()) {
            start.opened.environment.insert("HOME".to_owned(), "/home/me".to_owned());
        }
        parts
    };
    let (base, mut candidate) = (with_variables(1), with_variables(2));
    for start in candidate.ledger.cases[0].starts.values_mut() {
        start.opened.environment.clear();
    }
    let fields: Vec<String> =
        compared(&base, &candidate).differences.into_iter().map(|one| one.field).collect();
    assert!(!fields.iter().any(|field| field.contains("environment")), "{fields:?}");
}

#[test]
fn one_case_that_is_another_measurement_costs_no_other() {
    let (base, mut other) = (FIVE.build(usual), FIVE.seed(2).build(usual));
    other.ledger.cases[2].case.max_tokens += 1;
    let comparison = compared(&base, &other);
    assert_eq!(comparison.conclusion, Conclusion::NotComparable);
    let tally = Tally::of(&comparison);
    assert_eq!((tally.not_comparable, tally.gating), (1, 22));
    assert!(
        comparison.cases[0].reason.contains("case.m0002/cpu/bridge.max_tokens is 16 in the baseline and 17")
    );
}

#[test]
fn what_nobody_knows_forbids_a_comparison_and_a_misspelt_declaration_is_an_error() {
    let (base, mut other) = (FIVE.build(usual), FIVE.seed(2).build(usual));
    fact(&mut other, "weather.rain", "a lot");
    let comparison = compared(&base, &other);
    assert_eq!(comparison.conclusion, Conclusion::NotComparable);
    assert!(comparison.cases[0].reason.contains("host.weather.rain is nothing in the baseline and a lot"));
    let options = CompareOptions { across: vec!["modle".to_owned()], ..CompareOptions::default() };
    assert!(
        matches!(try_with(&base, &other, &options), Err(ReportError::UnknownField { field }) if field == "modle")
    );
}

#[test]
fn the_causes_are_ranked() {
    let (base, mut other) = (FIVE.build(usual), FIVE.seed(2).build(usual));
    fact(&mut other, "kernel.cmdline", "quiet amd_iommu=off");
    fact(&mut other, "cpu.governor", "powersave");
    fact(&mut other, "gpu.0.driver", "Mesa 26.1");
    fact(&mut other, "memory.available_bytes", "1");
    other.resolved.plan.engine.build_number = 11_500;
    other.resolved.plan.engine.commit = "7654321".to_owned();
    other.resolved.plan.title = "Another title".to_owned();
    if let Settings::Decided(server) = &mut other.resolved.plan.backends[0].server {
        server.threads += 1;
    }
    let build = other.ledger.builds.get_mut("cpu").unwrap().inputs.as_mut().unwrap();
    build.cmake.insert("GGML_NATIVE".to_owned(), "OFF".to_owned());
    build.tools.insert("cc".to_owned(), "cc 15".to_owned());
    asks_for(&mut other, "GGML_NATIVE");
    let comparison = compared(&base, &other);
    let causes: Vec<&str> = comparison.differences.iter().map(|difference| difference.cause.word()).collect();
    let expected = [
        "engine",
        "engine",
        "build-flags",
        "compiler",
        "driver",
        "kernel",
        "power",
        "settings",
        "kernel",
        "label",
    ];
    assert_eq!(causes, expected, "{:#?}", comparison.differences);
    assert!(caveat(&comparison, CaveatCode::Confounded).unwrap().text.starts_with("7 kinds of things"));
    let text = on_terminal(&comparison);
    assert!(text.contains("llama.cpp b11434 -> b11500: 66 builds later, commits 0123456..7654321"), "{text}");
}

/// The experiment itself switches that option of the build off.
fn asks_for(parts: &mut Parts, option: &str) {
    let planned = parts.resolved.plan.builds.iter_mut().find(|build| build.id == "cpu").unwrap();
    planned.cmake.insert(option.to_owned(), "OFF".to_owned());
}

#[test]
fn an_option_that_llamark_sets_where_a_version_has_it_comes_with_the_engine() {
    let (mut parts, mut newer) = (FIVE.build(usual), FIVE.seed(2).build(usual));
    newer.resolved.plan.engine.build_number += 1;
    let build = newer.ledger.builds.get_mut("cpu").unwrap().inputs.as_mut().unwrap();
    build.cmake.insert("LLAMA_BUILD_APP".to_owned(), "OFF".to_owned());
    let cause_of = |base: &Parts, candidate: &Parts| {
        let comparison = compared(base, candidate);
        let mut differences = comparison.differences.iter();
        let option = differences.find(|one| one.field == "build.cpu.cmake.LLAMA_BUILD_APP").unwrap();
        (option.cause, caveat(&comparison, CaveatCode::Confounded).is_some())
    };
    assert_eq!(cause_of(&parts, &newer), (Cause::Engine, false));
    // What the author asks for is a choice, and so is what another llamark sets.
    let mut asked = newer;
    asks_for(&mut asked, "LLAMA_BUILD_APP");
    assert_eq!(cause_of(&parts, &asked), (Cause::BuildFlags, true));
    asked.resolved.plan.builds.iter_mut().for_each(|build| build.cmake.clear());
    parts.ledger.begin.as_mut().unwrap().llamark = "another".to_owned();
    assert_eq!(cause_of(&parts, &asked).0, Cause::BuildFlags);
}

#[test]
fn a_set_against_itself_says_so() {
    let set = sample_set();
    let comparison = llamark_report::compare(&set, &set, &CompareOptions::default()).unwrap();
    assert!(caveat(&comparison, CaveatCode::SameSet).is_some());
    assert_eq!(comparison.differences, []);
    assert_eq!(comparison.base.manifest, comparison.candidate.manifest);
    assert!(comparison.base.manifest.is_some());
}
