//! Rules of backends: kind, device, CMake variables, settings of the server, environment.

use std::ops::Range;

use llamark_record::plan::{BackendKind, NO_DEVICE};

use super::matrix;
use crate::defaults;
use crate::diagnostic::{MAX_PROBLEMS, Problem};
use crate::node::{Entry, Node};
use crate::suggest;

pub(super) fn check(root: &Node, problems: &mut Vec<Problem>) {
    let prebuilt = root
        .get("engine")
        .and_then(|engine| engine.get("source"))
        .and_then(|source| source.entry("prebuilt"));
    for entry in root.get("backends").map(Node::entries).unwrap_or_default() {
        let backend = &*entry.node;
        let cmake = backend.get("build").and_then(|build| build.entry("cmake"));
        if let (Some(prebuilt), Some(cmake)) =
            (prebuilt, cmake.filter(|cmake| !cmake.node.entries().is_empty()))
        {
            problems.push(
                Problem::new(
                    "spec/cmake-with-prebuilt",
                    cmake.key_span.clone(),
                    "a prebuilt engine is not compiled",
                )
                .related(prebuilt.key_span.clone(), "the engine is prebuilt")
                .help("remove `cmake`, or build the engine from its source"),
            );
        }
        let kind = check_kind(entry, cmake.map(|cmake| &*cmake.node), problems);
        if let Some(kind) = kind {
            check_device(backend, &entry.key_span, kind, problems);
            if let Some(cmake) = cmake {
                check_switches(&cmake.node, kind, problems);
            }
        }
        if backend.get("matrix").is_some() {
            matrix::check(backend, problems);
        } else if let Some(server) = backend.get("server") {
            check_settings(&|key: &str| server.get(key), problems);
        }
        for variable in backend.get("env").map(Node::entries).unwrap_or_default() {
            check_variable(variable, problems);
        }
    }
}

/// The kind of that name.
pub(crate) fn kind_named(name: &str) -> Option<BackendKind> {
    BackendKind::ALL.into_iter().find(|kind| kind.name() == name)
}

/// The CMake option that turns a kind on; the processor is always there.
fn switch(kind: BackendKind) -> Option<&'static str> {
    match kind {
        BackendKind::Cpu => None,
        BackendKind::Vulkan => Some("GGML_VULKAN"),
        BackendKind::Rocm => Some("GGML_HIP"),
        BackendKind::Cuda => Some("GGML_CUDA"),
    }
}

/// What llama.cpp calls the devices of a kind, without their number.
pub(crate) fn device_prefix(kind: BackendKind) -> Option<&'static str> {
    match kind {
        BackendKind::Cpu => None,
        BackendKind::Vulkan => Some("Vulkan"),
        BackendKind::Rocm => Some("ROCm"),
        BackendKind::Cuda => Some("CUDA"),
    }
}

fn check_kind(entry: &Entry, cmake: Option<&Node>, problems: &mut Vec<Problem>) -> Option<BackendKind> {
    if let Some(kind) = entry.node.get("kind") {
        return kind.text().and_then(kind_named);
    }
    if let Some(kind) = kind_named(&entry.key) {
        return Some(kind);
    }
    if entry.node.text().is_some() || !entry.node.items().is_empty() {
        return None;
    }
    let is_on = |kind: &BackendKind| {
        switch(*kind).is_some_and(|name| cmake.is_some_and(|cmake| is(cmake.get(name), true)))
    };
    let by_part = || {
        let mut parts = entry.key.split(['-', '_', '.']);
        parts.find_map(|part| {
            let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
            suggest::nearest(letters, BackendKind::ALL.map(BackendKind::name)).and_then(kind_named)
        })
    };
    let by_part = || if problems.len() > MAX_PROBLEMS { None } else { by_part() };
    let help = match BackendKind::ALL.into_iter().find(is_on).or_else(by_part) {
        Some(kind) => format!("add `kind: {0}`, or name the backend `{0}`", kind.name()),
        None => "add a `kind`: `cpu`, `vulkan`, `rocm` or `cuda`".to_owned(),
    };
    let message = format!("`{}` does not say what kind of backend it is", entry.key);
    problems.push(Problem::new("spec/backend-kind", entry.key_span.clone(), message).help(help));
    None
}

fn check_device(backend: &Node, key_span: &Range<usize>, kind: BackendKind, problems: &mut Vec<Problem>) {
    let written = backend.get("device").and_then(|node| Some((node.text()?, node)));
    if let Some((device, node)) = written {
        let wrong = match device_prefix(kind) {
            None => (device != NO_DEVICE).then(|| {
                "a `cpu` backend runs on no device; write `device: none`, or remove the key".to_owned()
            }),
            Some(_) if device == NO_DEVICE => Some(
                "to measure the processor, add a backend `cpu`; to run on the device, remove the key"
                    .to_owned(),
            ),
            Some(prefix) => {
                let is_number =
                    |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let fits = device.strip_prefix(prefix).is_some_and(is_number);
                (!fits).then(|| {
                    format!("llama.cpp calls the devices of this kind `{prefix}0`, `{prefix}1`, and so on")
                })
            }
        };
        if let Some(help) = wrong {
            let message = format!("`{device}` is not a device of a `{}` backend", kind.name());
            problems.push(
                Problem::new("spec/device", node.span.clone(), message)
                    .related(key_span.clone(), "this backend")
                    .help(help),
            );
        }
    }
    let place = |parent: &str| backend.get(parent).and_then(|settings| settings.get("gpu_layers"));
    let layers = place("server").or_else(|| place("matrix"));
    if let Some(layers) = layers.filter(|layers| kind == BackendKind::Cpu && layers.integer() != Some(0)) {
        let message = "there is no device to put layers on";
        let problem = Problem::new("spec/layers-without-device", layers.span.clone(), message);
        problems.push(problem.help("remove `gpu_layers`"));
    }
}

/// Whether a value switches something on, or off, as CMake reads it.
fn is(node: Option<&Node>, on: bool) -> bool {
    let Some(node) = node else { return false };
    if let Some(value) = node.boolean() {
        return value == on;
    }
    if let Some(number) = node.integer() {
        return (number != 0) == on;
    }
    let text = node.text().unwrap_or_default().to_ascii_uppercase();
    let words: &[&str] =
        if on { &["ON", "YES", "TRUE", "Y", "1"] } else { &["OFF", "NO", "FALSE", "N", "0"] };
    words.contains(&text.as_str())
}

pub(super) fn check_switches(cmake: &Node, kind: BackendKind, problems: &mut Vec<Problem>) {
    for other in BackendKind::ALL {
        let Some(entry) = switch(other).and_then(|name| cmake.entry(name)) else { continue };
        let message = if other == kind && is(Some(&entry.node), false) {
            format!("this turns off what makes it a `{}` backend", kind.name())
        } else if kind == BackendKind::Cpu && is(Some(&entry.node), true) {
            format!("this builds for `{}`, but the backend is `cpu`", other.name())
        } else {
            continue;
        };
        let help = format!("remove `{}`: the kind sets what it needs by itself", entry.key);
        problems.push(Problem::new("spec/kind-contradiction", entry.key_span.clone(), message).help(help));
    }
}

/// Settings that contradict each other, wherever each of them stands.
pub(super) fn check_settings<'a>(server: &dyn Fn(&str) -> Option<&'a Node>, problems: &mut Vec<Problem>) {
    let number = |key: &str| server(key).and_then(Node::integer);
    let batch = number("batch").unwrap_or(i128::from(defaults::BATCH));
    if let (Some(ubatch), Some(node)) = (number("ubatch").filter(|ubatch| *ubatch > batch), server("ubatch"))
    {
        let message = format!("`ubatch` is {ubatch}, but a batch has at most {batch} tokens");
        let problem = Problem::new("spec/ubatch", node.span.clone(), message);
        problems.push(problem.help("make `ubatch` smaller or `batch` larger"));
    }
    let Some(node) = server("cache_type_v") else { return };
    let Some(cache_type) = node.text() else { return };
    let is_quantized = matches!(cache_type, "q8_0" | "q5_1" | "q5_0" | "q4_1" | "q4_0" | "iq4_nl");
    let flash_attn = server("flash_attn");
    let has_flash = match flash_attn {
        Some(node) => node.boolean().unwrap_or(true),
        None => defaults::FLASH_ATTN,
    };
    if is_quantized && !has_flash {
        let message = format!("values of type `{cache_type}` need flash attention, which is off");
        let mut problem = Problem::new("spec/quantized-values", node.span.clone(), message)
            .help("add `flash_attn: true`, or use `cache_type_v: f16`");
        if let Some(flash_attn) = flash_attn {
            problem = problem.related(flash_attn.span.clone(), "turned off here");
        }
        problems.push(problem);
    }
}

/// Variables that would change what is measured where no reader of the experiment looks, or that are secret.
pub(super) fn check_variable(entry: &Entry, problems: &mut Vec<Problem>) {
    let name = entry.key.to_ascii_uppercase();
    let is_secret = ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "API_KEY", "ACCESS_KEY", "CREDENTIALS"];
    let help = if name.starts_with("LLAMA_ARG_") {
        match argument(&name) {
            Some(key) => format!("it silently sets an argument of the server; use `{key}` instead"),
            None => "it silently sets an argument of the server; use the keys under `server` and `protocol`"
                .to_owned(),
        }
    } else if name.starts_with("LD_") || name.starts_with("DYLD_") {
        "it changes which code runs; the server finds its libraries by itself".to_owned()
    } else if ["PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "XDG_CONFIG_HOME", "IFS", "ENV", "BASH_ENV"]
        .contains(&name.as_str())
    {
        "llamark sets it, so that it is the same for every server".to_owned()
    } else if is_secret.iter().any(|word| name.contains(word)) {
        "the environment of the server is recorded and published; the server needs no secret".to_owned()
    } else {
        return;
    };
    let message = format!("`{}` cannot be set", entry.key);
    problems.push(Problem::new("spec/variable", entry.key_span.clone(), message).help(help));
}

/// The key that takes the place of an argument of the server.
fn argument(name: &str) -> Option<&'static str> {
    Some(match name.strip_prefix("LLAMA_ARG_")? {
        "CTX_SIZE" => "context",
        "N_PREDICT" => "max_tokens",
        "N_GPU_LAYERS" => "gpu_layers",
        "FLASH_ATTN" => "flash_attn",
        "CACHE_TYPE_K" => "cache_type_k",
        "CACHE_TYPE_V" => "cache_type_v",
        "BATCH" => "batch",
        "UBATCH" => "ubatch",
        "THREADS" => "threads",
        "THREADS_BATCH" => "threads_batch",
        "DEVICE" => "device",
        "MLOCK" => "mlock",
        "MMAP" | "NO_MMAP" => "mmap",
        _ => return None,
    })
}
