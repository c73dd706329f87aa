//! The published Strix Halo report: what is read of it, and what each kind of damage leads to.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its document has failed")]

use llamark_import::{Imported, Options, Problems, report};
use llamark_record::journal::{Event, Outcome};
use llamark_record::stated::StatedStart;

const DOCUMENT: &str = include_str!("../../../experiments/published/strix-halo-report.md");

fn import(text: &str) -> Result<Imported, Problems> {
    let options = Options { name: "strix-halo".to_owned(), title: None, memory_bandwidth: None };
    report("report.md", text.as_bytes(), &options)
}

fn stated(imported: &Imported) -> Vec<&StatedStart> {
    let stated = imported.events.iter().filter_map(|event| match event {
        Event::Stated(stated) => Some(stated),
        _ => None,
    });
    stated.collect()
}

/// The document with one text replaced, which must be there.
fn with(old: &str, new: &str) -> String {
    assert!(DOCUMENT.contains(old), "{old}");
    DOCUMENT.replacen(old, new, 1)
}

/// The document without the first line that begins so.
fn without(line: &str) -> String {
    let place = DOCUMENT.lines().position(|text| text.starts_with(line)).unwrap();
    let rest = DOCUMENT.lines().enumerate().filter(|(number, _)| *number != place);
    rest.map(|(_, line)| format!("{line}\n")).collect()
}

fn problem(text: &str) -> String {
    import(text).map(|imported| imported.runs()).unwrap_err().to_string()
}

fn incomplete(text: &str) -> Vec<String> {
    let imported = import(text).unwrap();
    imported.incomplete().map(|(case, reason)| format!("{case}: {reason}")).collect()
}

#[test]
fn every_run_of_every_case_is_read() {
    let imported = import(DOCUMENT).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = &imported.plan.plan;
    assert_eq!((plan.models.len(), plan.cases.len(), imported.runs()), (21, 39, 117));
    let by_backend =
        ["vulkan", "rocm", "cpu"].map(|name| plan.cases.iter().filter(|case| case.backend == name).count());
    assert_eq!(by_backend, [21, 9, 9]);
    assert_eq!(imported.incomplete().count(), 0);
    let ends = imported
        .events
        .iter()
        .filter(|event| matches!(event, Event::CaseClosed(c) if c.outcome == Outcome::Ok));
    assert_eq!(ends.count(), 39);
}

#[test]
fn every_number_stands_on_the_line_that_is_named() {
    let imported = import(DOCUMENT).unwrap();
    let lines: Vec<&str> = DOCUMENT.lines().collect();
    for start in stated(&imported) {
        assert!(lines[usize::try_from(start.line).unwrap() - 1].starts_with("| "));
        for run in &start.runs {
            let line = lines[usize::try_from(run.line).unwrap() - 1].trim();
            let again = format!(
                "Run {}: pp={} tg={} (prompt={} tok, gen={} tok)",
                run.index,
                run.pp.as_ref().unwrap(),
                run.tg.as_ref().unwrap(),
                run.prompt_tokens.unwrap(),
                run.generated_tokens.unwrap()
            );
            assert_eq!(again, line);
        }
    }
}

#[test]
fn what_the_head_states_is_in_the_plan_and_nothing_else() {
    let imported = import(DOCUMENT).unwrap();
    let plan = &imported.plan.plan;
    let case = &plan.cases[0];
    assert_eq!((case.runs, case.warmup, case.max_tokens, case.context, case.starts), (3, 1, 128, 8192, 1));
    assert_eq!(case.id, "qwen3-vl-30b-a3b-instruct-q4_k_m/vulkan/infrastructure");
    let backends: Vec<_> = plan
        .backends
        .iter()
        .map(|backend| {
            let settings: Vec<_> =
                backend.server.by_name().iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {:?} note {:?}: {}", backend.name, backend.label, backend.note, settings.join(" "))
        })
        .collect();
    assert_eq!(
        backends,
        [
            "vulkan \"Vulkan\" note \"\": LLAMA_HIP_UMA=ON mmap=true",
            "rocm \"ROCm 7.2\" note \"flash-attn, q4_0 KV\": cache_type_k=q4_0 cache_type_v=q4_0 flash_attn=true mmap=false",
            "cpu \"CPU\" note \"no GPU offload\": gpu_layers=0",
        ]
    );
    let model = plan.model("gpt-oss-20b-q8_0").unwrap();
    assert_eq!(
        (
            model.claimed_parameters.as_str(),
            model.claimed_active_parameters.as_str(),
            model.claimed_file_size.as_str()
        ),
        ("20B", "~4B", "~12 GiB")
    );
    let vision: Vec<_> =
        plan.models.iter().filter(|model| model.vision).map(|model| model.note.as_str()).collect();
    assert_eq!(vision, ["text-only (no mmproj)"; 3]);
    assert!(plan.document().unwrap().unstated.iter().any(|what| what.contains("commit")));
}

#[test]
fn a_last_digit_that_rounding_does_not_explain_is_remarked() {
    let imported = import(DOCUMENT).unwrap();
    assert_eq!(
        imported.plan.plan.document().unwrap().remarks,
        [
            "line 230: the spread of TG is 0.2 here, and 0.259 by the runs",
            "line 356: the mean of PP is 202.3 here, and 202.357 by the runs",
        ]
    );
}

#[test]
fn a_contradiction_shows_both_places() {
    let text = problem(&with("| Vulkan | 10s | 947.1 ±106.7", "| Vulkan | 10s | 949.1 ±106.7"));
    insta::assert_snapshot!(text, @r"
    error[import/contradiction]: PP differs from the one in the summary by more than rounding
      --> report.md:73:18
       |
    73 | | Vulkan | 10s | 949.1 ±106.7 | 77.2 ±0.2 | |
       |                  ^^^^^^^^^^^^
       |
      ::: report.md:22:46
       |
    22 | | GPT-OSS 20B | Q8_0 | 20B (~4B MoE) | 10s | 947 ±107 | 77.2 ±0.2 |
       |                                              -------- the summary

    error[import/contradiction]: the mean of PP is 949.1 here, and 947.127 by the runs
      --> report.md:73:18
       |
    73 | | Vulkan | 10s | 949.1 ±106.7 | 77.2 ±0.2 | |
       |                  ^^^^^^^^^^^^
       |
      ::: report.md:78:1
       |
    78 | Run 1: pp=830.96 tg=77.26 (prompt=545 tok, gen=128 tok)
       | -------------------------------------------------------
       |
      ::: report.md:79:1
       |
    79 | Run 2: pp=969.78 tg=76.99 (prompt=542 tok, gen=128 tok)
       | -------------------------------------------------------
       |
      ::: report.md:80:1
       |
    80 | Run 3: pp=1040.64 tg=77.29 (prompt=542 tok, gen=128 tok)
       | --------------------------------------------------------
       |
       = help: expected the mean and the standard deviation (n - 1) of the runs as they are listed

    report.md: 2 problems
    ");
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (old, new, says) in [
        ("pp=575.11", "pp=576.11", "the mean of PP is 696.0 here, and 696.340 by the runs"),
        ("±104.7 |", "±105.0 |", "the spread of PP is 105.0 here, and 104.7"),
        ("| 696 ±105 |", "| 698 ±105 |", "PP differs from the one in the summary"),
        ("| 10s | 696 ±105", "| 11s | 696 ±105", "load time"),
        ("Coder-Next 80B ‡ |", "Coder-Next 80B |", "only one of the two has `‡`"),
        (
            "## Gemma 3 27B Instruct Q6_K *(vision)*",
            "## Gemma 3 27B Instruct Q6_K",
            "only one of the two has `*(vision)*`",
        ),
        (
            "Quantization: Q8_0 · Params: 3.8B",
            "Quantization: Q4_0 · Params: 3.8B",
            "the quantization is `Q4_0`",
        ),
        ("Params: 3.8B (dense)", "Params: 3.9B (dense)", "differ from those in the summary"),
        ("| 77.2 ±0.2 |\n| GLM", "| 80.2 ±0.2 |\n| GLM", "sorted by TG"),
        ("gen=128", "gen=129", "at most 128"),
        ("prompt=587", "prompt=8587", "do not fit"),
        ("(8192 context)", "(4096 context)", "context of 4096"),
        ("Run 2: pp=757.37", "Run 1: pp=757.37", "comes after"),
        ("**Benchmark:** 3-run", "**Benchmark:** 2-run", "run 3 of 2 runs"),
        ("| CPU | 20s |", "| CUDA | 20s |", "nothing announces"),
        ("| ROCm 7.2 | 30s | 219.6", "| ROCm 7.1 | 30s | 219.6", "`ROCm 7.1` there"),
        ("## MiniMax M2.5 REAP 139B MXFP4", "## MiniMax M2.5 REAP 172B Q4_K_M", "appears twice"),
    ] {
        let text = problem(&with(old, new));
        assert!(text.contains(says), "{old} -> {new}: {says} in\n{text}");
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    for (old, new, says) in [
        ("| 1417 ±275 |", "| 1,417 ±275 |", "a comma may separate thousands or a fraction"),
        ("±104.7", "+-104.7", "write ± between them"),
        ("| Vulkan PP |", "| Vulkan pp |", "column `Vulkan pp`"),
        ("(tok/s) | Notes", "(tok/min) | Notes", "no column `TG (tok/s)`"),
        (
            "**PP** = prompt processing speed (tok/s)",
            "**PP** = prompt processing time (ms)",
            "not defined in a way",
        ),
        ("| Backend | Load |", "| Backend |", "have different numbers of columns"),
        ("**Prompt:**", "**Date:** today\n**Prompt:**", "`Date` is not understood"),
        ("<details>", "<details open>", "HTML"),
        (
            "| Vulkan | 10s | 947.1 ±106.7 | 77.2 ±0.2 | |",
            "| Vulkan | 10s | 947.1 ±106.7 | 77.2 ±0.2 |",
            "4 cells",
        ),
        ("# Inference", "> # Inference", "a quote"),
        ("## GPT-OSS 20B Q8_0\n", "### GPT-OSS 20B Q8_0\n", "heading"),
        ("pp=575.11", "pp=575.11*", "not a decimal number"),
        ("**Vulkan:**", "**Metal:**", "`Metal` is not understood"),
        ("128 GB", "128\u{0} GB", "U+0000"),
    ] {
        let text = problem(&with(old, new));
        assert!(text.contains(says) && text.contains("report.md:"), "{old} -> {new}: {says} in\n{text}");
    }
}

#[test]
fn all_problems_are_shown_at_once() {
    let damaged = DOCUMENT.replace("±0.2", "+-0.2").replace("1m01s", "61");
    let problems = import(&damaged).unwrap_err();
    assert!(problems.count() >= 9, "{problems}");
}

#[test]
fn what_is_missing_makes_its_case_incomplete_and_no_other() {
    assert_eq!(
        incomplete(&without("Run 2: pp=757.37")),
        [
            "qwen3-vl-30b-a3b-instruct-q4_k_m/vulkan/infrastructure: incomplete: the document states 2 of 3 runs"
        ]
    );
    assert_eq!(
        incomplete(&without("| CPU | 20s | 93.6")),
        [
            "qwen3-coder-next-80b-q6_k/cpu/infrastructure: incomplete: the section of this model has no row of this backend"
        ]
    );
    assert_eq!(
        incomplete(&without("| GPT-OSS 20B")),
        ["gpt-oss-20b-q8_0/vulkan/infrastructure: incomplete: the summary has no row of this model"]
    );
    let section = DOCUMENT.find("## GPT-OSS 120B").unwrap()..DOCUMENT.find("## Phi-4-mini").unwrap();
    let text = format!("{}{}", &DOCUMENT[..section.start], &DOCUMENT[section.end..]);
    assert_eq!(
        incomplete(&text),
        ["gpt-oss-120b-q4_k_m/vulkan/infrastructure: incomplete: the document has no section of this model"]
    );
}

#[test]
fn columns_may_stand_in_another_order() {
    let mut text = String::new();
    for line in DOCUMENT.lines() {
        let cells: Vec<&str> = line.split('|').collect();
        match cells.as_slice() {
            ["", a, b, c, d, e, ""] => text.push_str(&format!("|{e}|{d}|{a}|{c}|{b}|\n")),
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    assert_ne!(text, DOCUMENT);
    let (moved, original) = (import(&text).unwrap(), import(DOCUMENT).unwrap());
    assert_eq!(moved.events, original.events);
}

#[test]
fn line_ends_and_byte_order_marks_change_nothing() {
    let original = import(DOCUMENT).unwrap();
    for text in
        [DOCUMENT.replace('\n', "\r\n"), format!("\u{feff}{DOCUMENT}"), DOCUMENT.trim_end().to_owned()]
    {
        assert_eq!(import(&text).unwrap_or_else(|p| panic!("{p}")).events, original.events);
    }
}

#[test]
fn what_no_report_can_be_is_refused_quickly() {
    let options = Options { name: "x".to_owned(), title: None, memory_bandwidth: None };
    let refused = |bytes: &[u8]| report("x.md", bytes, &options).unwrap_err().to_string();
    assert!(refused(&vec![b'a'; 10 << 20]).contains("more than 1 MiB"));
    assert!(refused(&[0xff, 0xfe, 0, 1]).contains("UTF-8"));
    assert!(refused(b"").contains("title"));
    assert!(refused("a".repeat(5000).as_bytes()).contains("5000 bytes"));
    for hostile in
        [">".repeat(4000), "[".repeat(4000), "*a ".repeat(1300), "- ".repeat(2000), "<a ".repeat(1300)]
    {
        let text = format!("{hostile}\n").repeat(200);
        assert!(!refused(text.as_bytes()).is_empty());
    }
}
