use super::*;
use llamark_record::plan::BackendKind;

use crate::probe::parse_help;

const HELP: &str = include_str!("../../fixtures/b11434/help.txt");
const HELP_B9093: &str = include_str!("../../fixtures/b9093/help.txt");
const HELP_2025: &str = include_str!("../../fixtures/2025-08/help.txt");

fn settings() -> ServerSettings {
    ServerSettings {
        gpu_layers: GpuLayers::All,
        flash_attn: true,
        cache_type_k: CacheType::F16,
        cache_type_v: CacheType::F16,
        mmap: true,
        mlock: false,
        threads: 8,
        threads_batch: 16,
        batch: 2048,
        ubatch: 512,
    }
}

fn try_it(
    help: &ServerHelp,
    kind: BackendKind,
    device: &str,
    settings: &ServerSettings,
    environment: &[(&str, &str)],
) -> Result<Launch, Unsupported> {
    let backend_environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let request = LaunchRequest {
        settings,
        is_cpu_build: kind == BackendKind::Cpu,
        is_on_processor: device == NO_DEVICE,
        device,
        backend_environment: &backend_environment,
        model: Utf8Path::new("/models/m.gguf"),
        context: 8192,
        slots: 1,
        alias: "llamark-1",
        scratch: Utf8Path::new("/scratch"),
    };
    translate_with(help, &request, |name| match name {
        "CUDA_VISIBLE_DEVICES" => Some("1".to_owned()),
        "PATH" | "HOME" | "LD_PRELOAD" | "LLAMA_ARG_CTX_SIZE" => Some("of the user".to_owned()),
        _ => None,
    })
}

fn line(help: &ServerHelp, kind: BackendKind, device: &str, settings: &ServerSettings) -> String {
    match try_it(help, kind, device, settings, &[]) {
        Ok(launch) => {
            for arg in launch.args.iter().filter(|arg| arg.starts_with('-')) {
                assert!(help.argument(arg).is_some(), "{arg} is not in the help");
            }
            launch.args.join(" ")
        }
        Err(unsupported) => format!("{unsupported} | {}", unsupported.hint()),
    }
}

fn with(change: impl FnOnce(&mut ServerSettings)) -> ServerSettings {
    let mut settings = settings();
    change(&mut settings);
    settings
}

#[test]
fn b11434() {
    let help = parse_help(HELP, "");
    insta::assert_snapshot!(line(&help, BackendKind::Cuda, "CUDA0", &settings()), @"--model /models/m.gguf --host 127.0.0.1 --port 0 --alias llamark-1 --ctx-size 8192 --parallel 1 --threads 8 --threads-batch 16 --batch-size 2048 --ubatch-size 512 --device CUDA0 --n-gpu-layers all --flash-attn on --cache-type-k f16 --cache-type-v f16 --load-mode mmap --fit off --cache-ram 0 --ctx-checkpoints 0 --no-context-shift --no-warmup --no-ui --offline --verbosity 4");
    insta::assert_snapshot!(line(&help, BackendKind::Cpu, "none", &with(|s| {
        (s.flash_attn, s.mmap, s.mlock) = (false, false, true);
        (s.cache_type_k, s.cache_type_v) = (CacheType::Q8_0, CacheType::Iq4Nl);
    })), @"--model /models/m.gguf --host 127.0.0.1 --port 0 --alias llamark-1 --ctx-size 8192 --parallel 1 --threads 8 --threads-batch 16 --batch-size 2048 --ubatch-size 512 --device none --n-gpu-layers 0 --flash-attn off --cache-type-k q8_0 --cache-type-v iq4_nl --load-mode mlock --fit off --cache-ram 0 --ctx-checkpoints 0 --no-context-shift --no-warmup --no-ui --offline --verbosity 4");
    insta::assert_snapshot!(line(&help, BackendKind::Vulkan, "Vulkan0", &with(|s| {
        (s.gpu_layers, s.mmap, s.mlock) = (GpuLayers::Count(12), true, true);
    })), @"--model /models/m.gguf --host 127.0.0.1 --port 0 --alias llamark-1 --ctx-size 8192 --parallel 1 --threads 8 --threads-batch 16 --batch-size 2048 --ubatch-size 512 --device Vulkan0 --n-gpu-layers 12 --flash-attn on --cache-type-k f16 --cache-type-v f16 --load-mode mmap+mlock --fit off --cache-ram 0 --ctx-checkpoints 0 --no-context-shift --no-warmup --no-ui --offline --verbosity 4");
}

#[test]
fn b9093() {
    let help = parse_help(HELP_B9093, "");
    insta::assert_snapshot!(line(&help, BackendKind::Cuda, "CUDA0", &settings()), @"--model /models/m.gguf --host 127.0.0.1 --port 0 --alias llamark-1 --ctx-size 8192 --parallel 1 --threads 8 --threads-batch 16 --batch-size 2048 --ubatch-size 512 --device CUDA0 --n-gpu-layers all --flash-attn on --cache-type-k f16 --cache-type-v f16 --no-direct-io --mmap --fit off --cache-ram 0 --ctx-checkpoints 0 --no-context-shift --no-warmup --no-webui --offline");
    insta::assert_snapshot!(line(&help, BackendKind::Cpu, "none", &with(|s| (s.mmap, s.mlock) = (false, true))), @"--model /models/m.gguf --host 127.0.0.1 --port 0 --alias llamark-1 --ctx-size 8192 --parallel 1 --threads 8 --threads-batch 16 --batch-size 2048 --ubatch-size 512 --device none --n-gpu-layers 0 --flash-attn on --cache-type-k f16 --cache-type-v f16 --no-direct-io --no-mmap --mlock --fit off --cache-ram 0 --ctx-checkpoints 0 --no-context-shift --no-warmup --no-webui --offline");
}

#[test]
fn august_2025() {
    let help = parse_help(HELP_2025, "");
    insta::assert_snapshot!(line(&help, BackendKind::Cuda, "CUDA0", &settings()), @"--model /models/m.gguf --host 127.0.0.1 --port 0 --alias llamark-1 --ctx-size 8192 --parallel 1 --threads 8 --threads-batch 16 --batch-size 2048 --ubatch-size 512 --device CUDA0 --n-gpu-layers 999 --flash-attn --cache-type-k f16 --cache-type-v f16 --swa-checkpoints 0 --no-context-shift --no-warmup --no-webui --offline");
    insta::assert_snapshot!(line(&help, BackendKind::Cpu, "none", &with(|s| {
        (s.flash_attn, s.mmap, s.mlock) = (false, false, true);
    })), @"--model /models/m.gguf --host 127.0.0.1 --port 0 --alias llamark-1 --ctx-size 8192 --parallel 1 --threads 8 --threads-batch 16 --batch-size 2048 --ubatch-size 512 --device none --n-gpu-layers 0 --cache-type-k f16 --cache-type-v f16 --no-mmap --mlock --swa-checkpoints 0 --no-context-shift --no-warmup --no-webui --offline");
}

#[test]
fn what_cannot_be_is_refused() {
    let help = parse_help(HELP, "");
    let refusal = |kind, device, settings| line(&help, kind, device, &settings);
    insta::assert_snapshot!(refusal(BackendKind::Cpu, "Vulkan0", settings()), @"this llama.cpp cannot be given `device: Vulkan0`: a build for the processor has no device | set `device: none`");
    insta::assert_snapshot!(refusal(BackendKind::Vulkan, "none", with(|s| s.gpu_layers = GpuLayers::Count(3))), @"this llama.cpp cannot be given `gpu_layers: 3`: no layer can be on a device when `device` is `none` | leave `gpu_layers` out, or name a device");

    let without = |name: &str| {
        let mut help = parse_help(HELP_2025, "");
        help.arguments.retain(|argument| !argument.names.iter().any(|own| own == name));
        help
    };
    let refusal = |name, settings| line(&without(name), BackendKind::Cuda, "CUDA0", &settings);
    insta::assert_snapshot!(refusal("--no-mmap", with(|s| s.mmap = false)), @"this llama.cpp cannot be given `mmap: false`: it has neither `--load-mode` nor `--no-mmap` | leave the setting out, or use a llama.cpp that has it");
    insta::assert_snapshot!(refusal("--mlock", with(|s| s.mlock = true)), @"this llama.cpp cannot be given `mlock: true`: it has neither `--load-mode` nor `--mlock` | leave the setting out, or use a llama.cpp that has it");
    insta::assert_snapshot!(refusal("--flash-attn", settings()), @"this llama.cpp cannot be given `flash_attn: true`: it has no `--flash-attn` | leave the setting out, or use a llama.cpp that has it");
    insta::assert_snapshot!(refusal("--device", settings()), @"this llama.cpp cannot be given `device: CUDA0`: it has no `--device` | leave the setting out, or use a llama.cpp that has it");
    insta::assert_snapshot!(refusal("--n-gpu-layers", settings()), @"this llama.cpp cannot be given `gpu_layers: all`: it has no `--n-gpu-layers` | leave the setting out, or use a llama.cpp that has it");
    insta::assert_snapshot!(refusal("--threads-batch", settings()), @"this llama.cpp cannot be given `threads_batch: 16`: it has no `--threads-batch` | leave the setting out, or use a llama.cpp that has it");
    insta::assert_snapshot!(refusal("--cache-type-v", with(|s| s.cache_type_v = CacheType::Q4_0)), @"this llama.cpp cannot be given `cache_type_v: q4_0`: it has no `--cache-type-v` | leave the setting out, or use a llama.cpp that has it");
    assert!(refusal("--cache-type-v", settings()).starts_with("--model"), "f16 needs no flag");
    assert!(refusal("--no-mmap", settings()).starts_with("--model"), "mapping is the default");
    let cpu = line(&without("--device"), BackendKind::Cpu, "none", &settings());
    assert!(cpu.starts_with("--model"), "a build for the processor needs no `--device none`: {cpu}");

    let mut few = parse_help(HELP, "");
    for argument in &mut few.arguments {
        argument.accepted.retain(|word| word != "iq4_nl" && word != "mmap+mlock");
    }
    let refusal = |settings| line(&few, BackendKind::Cuda, "CUDA0", &settings);
    insta::assert_snapshot!(refusal(with(|s| s.cache_type_k = CacheType::Iq4Nl)), @"this llama.cpp cannot be given `cache_type_k: iq4_nl`: its `--cache-type-k` takes f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1 | leave the setting out, or use a llama.cpp that has it");
    insta::assert_snapshot!(refusal(with(|s| s.mlock = true)), @"this llama.cpp cannot be given `mlock: true`: its `--load-mode` takes auto, none, mmap, mlock, dio | leave the setting out, or use a llama.cpp that has it");
}

#[test]
fn a_removed_flag_is_not_used() {
    let mut help = parse_help(HELP, "");
    for argument in &mut help.arguments {
        argument.removed |= argument.names.iter().any(|name| name == "--no-warmup" || name == "--device");
    }
    assert!(!line(&help, BackendKind::Cpu, "none", &settings()).contains("--no-warmup"));
    assert!(try_it(&help, BackendKind::Vulkan, "Vulkan0", &settings(), &[]).is_err());
}

#[test]
fn the_environment_is_clean() {
    let help = parse_help(HELP, "");
    let author = [("GGML_VK_PREFER_HOST_MEMORY", "1"), ("CUDA_VISIBLE_DEVICES", "0")];
    let launch = try_it(&help, BackendKind::Cuda, "CUDA0", &settings(), &author).unwrap();
    insta::assert_debug_snapshot!(launch.environment, @r#"
    {
        "CUDA_CACHE_PATH": "/scratch/cache/cuda",
        "CUDA_VISIBLE_DEVICES": "0",
        "GGML_NO_BACKTRACE": "1",
        "GGML_VK_PREFER_HOST_MEMORY": "1",
        "HOME": "/scratch/home",
        "LANG": "C.UTF-8",
        "MESA_SHADER_CACHE_DIR": "/scratch/cache/mesa",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "XDG_CACHE_HOME": "/scratch/cache",
        "XDG_CONFIG_HOME": "/scratch/config",
    }
    "#);
    for name in ["LLAMA_ARG_CTX_SIZE", "LLAMA_API_KEY", "HOME", "XDG_CONFIG_HOME"] {
        let refused = try_it(&help, BackendKind::Cuda, "CUDA0", &settings(), &[(name, "x")]).unwrap_err();
        assert_eq!((refused.setting.as_str(), refused.asked), ("environment", name.to_owned()));
    }
}
