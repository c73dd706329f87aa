//! What is found in a published report and in a measured set, and that every code is documented.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;

use common::Parts;
use common::published::published;
use common::synthetic::Shape;
use llamark_artifact::ArtifactSet;
use llamark_report::findings::{Finding, RULES, Scope, Severity};
use llamark_report::{Summary, Templates, render_markdown, summarize, summarize_material};

fn summary(parts: &Parts) -> Summary {
    summarize_material(parts.material()).unwrap()
}

fn found<'a>(summary: &'a Summary, code: &str) -> Vec<&'a Finding> {
    summary.findings.iter().filter(|finding| finding.code == code).collect()
}

fn of_backend<'a>(findings: &[&'a Finding], backend: &str, metric: &str) -> &'a Finding {
    let is_it = |finding: &&&Finding| {
        finding.subject.backends.contains(&backend.to_owned()) && finding.words["metric"] == metric
    };
    findings.iter().find(is_it).unwrap()
}

#[test]
fn every_code_is_documented_and_every_documented_code_exists() {
    let page = include_str!("../../../docs/findings.md");
    let documented: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let known: Vec<String> = RULES.iter().map(|rule| format!("{} {}", rule.code, rule.name)).collect();
    assert_eq!(documented, known.iter().map(String::as_str).collect());
    assert_eq!(known.len(), documented.len());
    for section in page.split("\n### ").skip(1) {
        assert!(section.contains("**What to do:**"), "{section}");
        let rule = RULES.iter().find(|rule| section.starts_with(rule.code)).unwrap();
        let severity = format!("{:?}.", rule.severity);
        assert!(section.lines().nth(2).unwrap().starts_with(&severity), "{section}");
    }
    assert!(RULES.is_sorted_by_key(|rule| rule.code));
}

#[test]
fn the_first_pp_run_is_the_slowest_in_17_of_21_vulkan_models() {
    let summary = summary(&published());
    let pooled = of_backend(&found(&summary, "LM202"), "vulkan", "pp").clone();
    assert_eq!((pooled.numbers["slowest"], pooled.numbers["of"]), (17.0, 21.0));
    assert!((0.1395..0.1405).contains(&pooled.numbers["largest_change"]), "{pooled:?}");
    assert_eq!(pooled.numbers["recommended_warmup"], 2.0);
    assert!(
        pooled.text.starts_with("17 of 21 Vulkan models: run 1 is the slowest PP run"),
        "{}",
        pooled.text
    );
    // The worst comes first, and its steady value stands beside the mean.
    let first = found(&summary, "LM201")[0];
    assert!(first.text.starts_with("GLM-4.7 Flash"), "{}", first.text);
    let glm = summary.cases.iter().find(|case| case.id.starts_with("glm")).unwrap();
    assert!((glm.steady.pp.as_ref().unwrap().mean - 623.49).abs() < 0.01);
    assert!(glm.steady.tg.is_none());
}

#[test]
fn rocm_tg_falls_run_by_run_in_6_of_9_models() {
    let summary = summary(&published());
    let together = of_backend(&found(&summary, "LM204"), "rocm", "tg").clone();
    assert_eq!((together.numbers["falling"], together.numbers["of"]), (6.0, 9.0));
    assert!((together.numbers["chance"] - 0.001_136).abs() < 1e-5);
    let cases = found(&summary, "LM203");
    let coder =
        cases.iter().find(|f| f.text.starts_with("Qwen3-Coder-Next") && f.text.contains("ROCm")).unwrap();
    assert!(coder.text.contains("(33.76, 32.83, 32.36)") && coder.text.contains("1 in 6"), "{}", coder.text);
}

#[test]
fn gpt_oss_120b_would_need_234_per_cent_and_command_a_uses_10() {
    let summary = summary(&published());
    let impossible = found(&summary, "LM101");
    assert_eq!(impossible.len(), 1);
    assert!(
        impossible[0].text.starts_with("GPT-OSS 120B Q4_K_M on Vulkan")
            && impossible[0].text.contains("234 %")
    );
    assert!((impossible[0].numbers["share"] - 2.336).abs() < 0.002);
    assert!((8.5e9..8.6e9).contains(&impossible[0].numbers["most_active_parameters"]));
    let suspicious = found(&summary, "LM102");
    assert_eq!(suspicious.len(), 1, "{suspicious:#?}");
    assert!(
        suspicious[0].text.starts_with("Command-A 111B IQ4_XS on Vulkan: TG is only 10 %"),
        "{}",
        suspicious[0].text
    );
    assert!((0.75..0.85).contains(&suspicious[0].numbers["share_if_dense"]));
}

#[test]
fn sizes_are_held_against_quantizations_in_both_units() {
    let summary = summary(&published());
    let quant = found(&summary, "LM113");
    assert_eq!(quant.len(), 1, "{quant:#?}");
    assert!(
        quant[0].text.starts_with("GPT-OSS 20B Q8_0")
            && quant[0].numbers["bits_per_weight_in_other_unit"] < 5.0
    );
    let unit = found(&summary, "LM114");
    assert_eq!((unit[0].words["stated_unit"].as_str(), unit[0].words["read_as"].as_str()), ("GiB", "GB"));
    assert!(found(&summary, "LM112").is_empty());
    let mut parts = published();
    parts.resolved.plan.models[9].claimed_active_parameters = "30B".to_owned();
    let other = summarize_material(parts.material()).unwrap();
    assert!(
        found(&other, "LM112")[0]
            .text
            .contains("A22B in its name says 22B active parameters, but 30B are stated")
    );
}

#[test]
fn confounders_are_named_for_each_pair() {
    let summary = summary(&published());
    let pairs = found(&summary, "LM401");
    assert_eq!(pairs.len(), 3);
    let vulkan_rocm = pairs.iter().find(|f| f.subject.backends == ["vulkan", "rocm"]).unwrap();
    for part in [
        "mmap is true and false",
        "flash_attn is stated only for ROCm 7.2 (true)",
        "cache_type_k",
        "9 models",
    ] {
        assert!(vulkan_rocm.text.contains(part), "{}", vulkan_rocm.text);
    }
    assert_eq!(found(&summary, "LM402").len(), 5, "five models have another prompt length in run 1");
    assert_eq!(found(&summary, "LM403")[0].numbers["most"], 608.0);
}

#[test]
fn no_uncertainty_is_zero_and_rounding_is_a_bound() {
    let summary = summary(&published());
    let page = render_markdown(&summary, &Templates::built_in()).unwrap();
    for shown in page.split('±').skip(1).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        let end = shown.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap();
        assert!(shown[..end].parse::<f64>().unwrap() > 0.0, "±{}", &shown[..end]);
    }
    assert!(page.contains("3.37 ±<0.02"), "equal runs, written with two decimals");
    assert!(page.contains("696 ±260"), "a confidence interval, not a standard deviation");
    assert!(
        !page.contains("seed") && !page.contains("token ids"),
        "nothing that only a measured set can say"
    );
    assert!(page.contains("also benchmarked on ROCm 7.2 and CPU"));
    assert!(!page.contains("| none") && !page.contains("NaN"));
}

#[test]
fn the_best_backend_is_named_or_a_tie() {
    let summary = summary(&published());
    let best = found(&summary, "LM501");
    assert_eq!(best.len(), 9);
    let of = |name: &str| best.iter().find(|finding| finding.text.starts_with(name)).unwrap();
    let llama = of("Llama 4 Scout");
    assert_eq!((llama.words["pp"].as_str(), llama.words["pp_verdict"].as_str()), ("ROCm 7.2", "best"));
    assert_eq!(llama.words["tg_verdict"], "tie");
    assert_eq!(llama.words["load_verdict"], "too_few");
    assert_eq!(of("Qwen3-Coder-Next").words["pp"], "Vulkan");
    let by_size = found(&summary, "LM502");
    let pp = of_backend(&by_size, "rocm", "pp");
    assert!(pp.numbers["median_dense"] > pp.numbers["median_moe"], "{}", pp.text);
}

#[test]
fn absent_backends_and_cases_without_result_say_why() {
    let summary = summary(&published());
    let absent = found(&summary, "LM603");
    assert_eq!(absent.iter().map(|f| f.numbers["models"]).collect::<Vec<_>>(), [12.0, 12.0]);
    assert!(absent[0].text.contains("the document has no row for them"));
    let sample = self::summary(&Parts::sample());
    let failed = found(&sample, "LM601");
    assert!(
        failed[0].text.contains("failed (out of memory): the device has not enough memory"),
        "{}",
        failed[0].text
    );
    assert_eq!(found(&sample, "LM602")[0].numbers["invalid"], 1.0);
    assert!(found(&sample, "LM404").is_empty());
}

#[test]
fn what_is_found_is_worst_first_and_the_first_screen_is_short() {
    let summary = summary(&published());
    assert!(summary.findings.is_sorted_by_key(|finding| finding.severity));
    assert!(summary.headlines.is_sorted_by_key(|headline| headline.severity));
    let counted: BTreeSet<usize> =
        summary.headlines.iter().flat_map(|headline| headline.findings.clone()).collect();
    assert_eq!(counted.len(), summary.findings.len(), "every finding is behind one headline");
    assert!(summary.headlines.iter().filter(|headline| headline.severity != Severity::Note).count() <= 16);
    for finding in &summary.findings {
        assert!(finding.text.ends_with('.') && !finding.text.contains("NaN"), "{}", finding.text);
        assert_eq!(finding.subject.scope == Scope::Case, finding.subject.case.is_some(), "{finding:?}");
    }
    let page = render_markdown(&summary, &Templates::built_in()).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with("Findings")).unwrap();
    insta::assert_snapshot!("findings_of_the_published_report", section);
    let section = page.split("\n## ").find(|section| section.starts_with("Llama 4 Scout")).unwrap();
    insta::assert_snapshot!("section_of_the_published_report", section);
}

#[test]
fn a_case_with_two_wide_rates_counts_once() {
    let parts = Shape::new(12, 3).between(0.3).build(|_| 1.0);
    let summary = summary(&parts);
    assert!(found(&summary, "LM305").len() > 12);
    let line = summary.headlines.iter().find(|headline| headline.code == "LM305").unwrap();
    assert!(line.text.starts_with("12 of 12 cases: "), "{}", line.text);
}

#[test]
fn a_finding_reads_back_with_its_summary() {
    let summary = summary(&published());
    let text = serde_json::to_string(&summary).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
}

#[test]
fn a_set_without_numbers_finds_only_that() {
    let mut parts = Parts::sample();
    for case in &mut parts.ledger.cases {
        case.outcome = None;
        case.starts.retain(|_| false);
    }
    let codes: BTreeSet<String> = summary(&parts).findings.into_iter().map(|finding| finding.code).collect();
    assert_eq!(codes, BTreeSet::from(["LM601".to_owned()]));
}

/// The committed set of an H100: its smallest model makes 746 tok/s with 3 % of the bandwidth, and others use 14 to 47 %.
fn h100() -> Summary {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../artifacts/h100");
    let mut sets = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let set = sets.find(|path| path.join("manifest.json").is_file()).unwrap();
    summarize(&ArtifactSet::read(camino::Utf8Path::from_path(&set).unwrap()).unwrap()).unwrap()
}

#[test]
fn what_comes_once_for_each_token_bounds_a_small_model_and_not_the_memory() {
    let summary = h100();
    let mut shares: Vec<f64> = summary.cases.iter().filter_map(|case| case.roofline).collect();
    shares.sort_by(f64::total_cmp);
    let smallest =
        summary.cases.iter().find(|case| case.roofline.is_some_and(|share| (0.02..0.04).contains(&share)));
    // Far below the others, and 700 tokens a second: compare the published one, which is slow besides.
    assert!(smallest.unwrap().metrics.tg.as_ref().unwrap().mean > 500.0);
    assert!(smallest.unwrap().roofline.unwrap() * 4.0 < shares[shares.len() / 2]);
    assert!(found(&summary, "LM102").is_empty());
    assert!(!found(&self::summary(&published()), "LM102").is_empty());
}

#[test]
fn energy_is_in_the_tables_where_it_was_measured() {
    let summary = h100();
    let page = render_markdown(&summary, &Templates::built_in()).unwrap();
    let row = page.lines().find(|line| line.contains("70B")).unwrap();
    assert!(
        page.contains("| CUDA TG | J per token | Of roofline |") && row.contains("| 16.36 ±0.25 |"),
        "{row}"
    );
    assert!(page.contains("depths 0 and 8192"));
    let page = render_markdown(&self::summary(&published()), &Templates::built_in()).unwrap();
    assert!(!page.contains("J per token"));
}
