use std::collections::BTreeMap;

use camino::Utf8Path;
use llamark_record::plan::BackendKind;
use llamark_record::plan::{CacheType, ServerSettings};
use serde_json::json;

use super::*;
use crate::log::LogReader;

const LOG: &str = include_str!("../../fixtures/b11434/flash-attn-on.log");
const PROPS: &str = include_str!("../../fixtures/b11434/flash-attn-on.props.json");

/// As in the line that made the fixtures.
fn settings() -> ServerSettings {
    ServerSettings {
        gpu_layers: GpuLayers::All,
        flash_attn: true,
        cache_type_k: CacheType::F16,
        cache_type_v: CacheType::F16,
        mmap: true,
        mlock: false,
        threads: 2,
        threads_batch: 1,
        batch: 2048,
        ubatch: 512,
    }
}

fn read(log: &str) -> LogSummary {
    let mut reader = LogReader::new();
    reader.feed(log.as_bytes());
    reader.summary()
}

fn proofs(
    kind: BackendKind,
    device: &str,
    settings: &ServerSettings,
    props: &Value,
    log: &str,
) -> Vec<Proof> {
    let request = LaunchRequest {
        settings,
        is_cpu_build: kind == BackendKind::Cpu,
        is_on_processor: device == "none",
        device,
        backend_environment: &BTreeMap::new(),
        model: Utf8Path::new("/models/SmolLM2-135M-Instruct.Q4_1.gguf"),
        context: 1000,
        slots: 1,
        alias: "llamark-fixture",
        scratch: Utf8Path::new("/scratch"),
    };
    prove(&request, props, &read(log))
}

fn props() -> Value {
    serde_json::from_str(PROPS).unwrap()
}

fn show(proofs: &[Proof]) -> String {
    let line = |proof: &Proof| {
        let observed = proof.observed.as_deref().unwrap_or("(not shown)");
        let mark = match proof.agrees {
            Some(true) => "=",
            Some(false) => "!",
            None => "?",
        };
        format!("{mark} {}: {} / {observed} [{}]", proof.setting, proof.asked, proof.source)
    };
    proofs.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn wrong(proofs: &[Proof]) -> String {
    let wrong: Vec<Proof> = proofs.iter().filter(|proof| proof.agrees == Some(false)).cloned().collect();
    show(&wrong)
}

fn device_proof(device: &str, layers: GpuLayers, buffers: &[&str]) -> String {
    let log: String =
        buffers.iter().map(|buffer| format!("load_tensors: {buffer} buffer size = 1.00 MiB\n")).collect();
    let settings = ServerSettings { gpu_layers: layers, ..settings() };
    let proofs = proofs(BackendKind::Vulkan, device, &settings, &props(), &log);
    show(&[proofs.into_iter().find(|proof| proof.setting == "device").unwrap()])
}

#[test]
fn a_real_server_on_the_processor() {
    let cpu = proofs(BackendKind::Cpu, "none", &settings(), &props(), LOG);
    insta::assert_snapshot!(show(&cpu), @"
    = model: /models/SmolLM2-135M-Instruct.Q4_1.gguf / /models/SmolLM2-135M-Instruct.Q4_1.gguf [/props]
    = alias: llamark-fixture / llamark-fixture [/props]
    = context: 1000 / 1024 [/props]
    = slots: 1 / 1 [/props]
    = device: none / CPU_Mapped (model), CPU (output, kv, compute) [log]
    = flash_attn: on / on [log]
    = cache_type_k: f16 / f16 [log]
    = cache_type_v: f16 / f16 [log]
    = mmap: true / true [log]
    = mlock: false / false [log]
    = threads: 2 / 2 [log]
    = threads_batch: 1 / 1 [log]
    = batch: 2048 / 1000 [log]
    = ubatch: 512 / 512 [log]
    = config_file: none / none [log]
    = speculation: none / none [/props]
    ");
}

#[test]
fn every_other_setting_is_a_disagreement() {
    let change: [fn(&mut ServerSettings); 8] = [
        |s| s.flash_attn = false,
        |s| s.cache_type_k = CacheType::Q8_0,
        |s| s.cache_type_v = CacheType::Bf16,
        |s| s.mmap = false,
        |s| s.mlock = true,
        |s| s.threads = 3,
        |s| s.batch = 256,
        |s| s.ubatch = 128,
    ];
    let mut text = String::new();
    for change in change {
        let mut settings = settings();
        change(&mut settings);
        text += &wrong(&proofs(BackendKind::Cpu, "none", &settings, &props(), LOG));
        text += "\n";
    }
    insta::assert_snapshot!(text, @"
    ! flash_attn: off / on [log]
    ! cache_type_k: q8_0 / f16 [log]
    ! cache_type_v: bf16 / f16 [log]
    ! mmap: false / true [log]
    ! mlock: true / false [log]
    ! threads: 3 / 2 [log]
    ! batch: 256 / 1000 [log]
    ! ubatch: 128 / 512 [log]
    ");
    let mut props = props();
    props["model_path"] = json!("/models/other.gguf");
    props["model_alias"] = json!("gpt");
    props["total_slots"] = json!(4);
    props["default_generation_settings"]["n_ctx"] = json!(256);
    props["default_generation_settings"]["params"]["speculative.types"] = json!("ngram-simple");
    let log = format!(
        "0.00.010.741 I using config file: /etc/llama.cpp/config.ini\n{LOG}0.00.0.1 W warning: failed to mlock 1-byte buffer\n"
    );
    let locked = ServerSettings { mlock: true, ..settings() };
    insta::assert_snapshot!(wrong(&proofs(BackendKind::Cpu, "none", &locked, &props, &log)), @"
    ! model: /models/SmolLM2-135M-Instruct.Q4_1.gguf / /models/other.gguf [/props]
    ! alias: llamark-fixture / gpt [/props]
    ! context: 1000 / 256 [/props]
    ! slots: 1 / 4 [/props]
    ! mlock: true / false [log]
    ! config_file: none / /etc/llama.cpp/config.ini [log]
    ! speculation: none / ngram-simple [/props]
    ");
}

/// The log of a build for Vulkan that found no device: it says that all layers are on it.
#[test]
fn a_silent_fall_back_to_the_processor_is_seen() {
    let log = LOG.replace(
        "load_tensors:   CPU_Mapped",
        "load_tensors: offloaded 31/31 layers to GPU\n0.00.000.001 I load_tensors:   CPU_Mapped",
    );
    let proofs = proofs(BackendKind::Vulkan, "Vulkan0", &settings(), &props(), &log);
    insta::assert_snapshot!(wrong(&proofs), @"! device: Vulkan0 / CPU_Mapped (model), CPU (output, kv, compute) [log]");
    assert!(show(&proofs).contains("= gpu_layers: all / 31 of 31 [log]"), "which is why that proves nothing");
}

#[test]
fn places_of_buffers() {
    let all = |buffers: &[&str]| device_proof("Vulkan0", GpuLayers::All, buffers);
    insta::assert_snapshot!(all(&["CPU_Mapped model", "Vulkan0 model", "Vulkan0 KV", "Vulkan_Host output", "Vulkan0 compute", "Vulkan_Host compute"]), @"= device: Vulkan0 / Vulkan0 (model, kv, compute), CPU_Mapped (model), Vulkan_Host (output, compute) [log]");
    insta::assert_snapshot!(all(&["Vulkan0 model", "CPU KV", "Vulkan0 compute"]), @"! device: Vulkan0 / Vulkan0 (model, compute), CPU (kv) [log]");
    insta::assert_snapshot!(all(&["Vulkan0 model", "Vulkan1 model", "Vulkan0 KV"]), @"! device: Vulkan0 / Vulkan0 (model, kv), Vulkan1 (model) [log]");
    insta::assert_snapshot!(all(&["Vulkan10 model", "Vulkan10 KV"]), @"! device: Vulkan0 / Vulkan10 (model, kv) [log]");
    insta::assert_snapshot!(all(&["CPU model", "CPU KV", "Vulkan0 compute"]), @"! device: Vulkan0 / Vulkan0 (compute), CPU (model, kv) [log]");
    insta::assert_snapshot!(all(&[]), @"! device: Vulkan0 / (not shown) [log]");
    insta::assert_snapshot!(device_proof("CUDA0", GpuLayers::All, &["CUDA0_Split model", "CUDA0 KV"]), @"= device: CUDA0 / CUDA0_Split (model), CUDA0 (kv) [log]");
    insta::assert_snapshot!(device_proof("CUDA0,CUDA1", GpuLayers::All, &["CUDA0 model", "CUDA1 model", "CUDA0 KV", "CUDA1 KV"]), @"= device: CUDA0,CUDA1 / CUDA0 (model, kv), CUDA1 (model, kv) [log]");
    insta::assert_snapshot!(device_proof("CUDA0,CUDA1", GpuLayers::All, &["CUDA0 model", "CUDA0 KV"]), @"! device: CUDA0,CUDA1 / CUDA0 (model, kv) [log]");
    insta::assert_snapshot!(device_proof("Vulkan0", GpuLayers::Count(3), &["CPU model", "Vulkan0 model", "CPU KV"]), @"= device: Vulkan0 / Vulkan0 (model), CPU (model, kv) [log]");
    insta::assert_snapshot!(device_proof("Vulkan0", GpuLayers::Count(0), &["CPU model", "CPU KV", "Vulkan0 compute"]), @"= device: Vulkan0 / Vulkan0 (compute), CPU (model, kv) [log]");
}

/// `-ngl 0` keeps the weights off the device, and still computes on it.
#[test]
fn for_the_processor_not_even_scratch_may_be_on_a_device() {
    let none = |buffers: &[&str]| device_proof("none", GpuLayers::All, buffers);
    insta::assert_snapshot!(none(&["CPU_Mapped model", "CPU KV", "CPU output", "CPU_REPACK model", "CPU compute"]), @"= device: none / CPU_Mapped (model), CPU (kv, output, compute), CPU_REPACK (model) [log]");
    insta::assert_snapshot!(none(&["CPU_Mapped model", "CPU KV", "Vulkan0 compute"]), @"! device: none / Vulkan0 (compute), CPU_Mapped (model), CPU (kv) [log]");
    insta::assert_snapshot!(none(&[]), @"! device: none / (not shown) [log]");
}

#[test]
fn what_a_version_does_not_show_is_not_held_against_it() {
    let old = json!({"default_generation_settings": {"n_ctx": 1000, "speculative": false}, "total_slots": 1,
        "model_path": "/models/SmolLM2-135M-Instruct.Q4_1.gguf"});
    let log = "system_info: n_threads = 2 (n_threads_batch = 1) / 2 | CPU : SSE3 = 1 |\n\
        load_tensors: loading model tensors, this can take a while... (mmap = true)\n\
        load_tensors:   CPU_Mapped model buffer size =    92.10 MiB\n\
        llama_context: n_batch       = 1000\n\
        llama_context: flash_attn    = 1\n";
    insta::assert_snapshot!(show(&proofs(BackendKind::Cpu, "none", &settings(), &old, log)), @"
    = model: /models/SmolLM2-135M-Instruct.Q4_1.gguf / /models/SmolLM2-135M-Instruct.Q4_1.gguf [/props]
    ? alias: llamark-fixture / (not shown) [/props]
    = context: 1000 / 1000 [/props]
    = slots: 1 / 1 [/props]
    = device: none / CPU_Mapped (model) [log]
    = flash_attn: on / on [log]
    ? cache_type_k: f16 / (not shown) [log]
    ? cache_type_v: f16 / (not shown) [log]
    = mmap: true / true [log]
    ? mlock: false / (not shown) [log]
    = threads: 2 / 2 [log]
    = threads_batch: 1 / 1 [log]
    = batch: 2048 / 1000 [log]
    ? ubatch: 512 / (not shown) [log]
    = config_file: none / none [log]
    = speculation: none / none [/props]
    ");
    let nothing = proofs(BackendKind::Cpu, "none", &settings(), &Value::Null, "");
    assert_eq!(wrong(&nothing), "");
}

#[test]
fn speculation_by_any_name() {
    let of = |settings: Value| speculation(&json!({"default_generation_settings": settings}));
    assert_eq!(of(json!({"params": {"speculative.types": "none"}})).as_deref(), Some("none"));
    assert_eq!(
        of(json!({"params": {"speculative.types": ["draft-mtp"]}})).as_deref(),
        Some("[\"draft-mtp\"]")
    );
    assert_eq!(of(json!({"params": {"speculative.types": []}})).as_deref(), Some("none"));
    assert_eq!(of(json!({"speculative": true})).as_deref(), Some("on"));
    assert_eq!(of(json!({})), None);
}
