//! What was asked of a server beside what was observed. A setting that a version does not show is not held against it,
//! with one exception: the device, which must be seen.

use llamark_record::journal::{Buffer, BufferKind, Proof};
use llamark_record::plan::GpuLayers;
use serde_json::Value;

use crate::flags::{CONTEXT_STEP, LaunchRequest};
use crate::log::{LogSummary, Setting};

mod bench;

pub(crate) use bench::prove_bench;

/// One proof for each setting.
///
/// `props` is the answer of `/props`, `log` what the log said until the server was ready, at the verbosity that
/// [`crate::flags::translate`] asks for.
pub fn prove(request: &LaunchRequest<'_>, props: &Value, log: &LogSummary) -> Vec<Proof> {
    let settings = request.settings;
    let text = |key: &str| props.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut proofs = vec![
        same("model", &request.model, text("model_path"), "/props"),
        same("alias", &request.alias, text("model_alias"), "/props"),
        context(request, props, log),
        same("slots", &request.slots, slots(props, log), "/props"),
    ];
    proofs.extend(of_log(request, log));
    proofs.push(same("threads", &settings.threads, log.setting(Setting::Threads), "log"));
    proofs.push(same("threads_batch", &settings.threads_batch, log.setting(Setting::ThreadsBatch), "log"));
    proofs.extend(batches(request, log));
    let files = if log.config_files.is_empty() { "none".to_owned() } else { log.config_files.join(", ") };
    proofs.push(same("config_file", &"none", Some(files), "log"));
    proofs.push(same("speculation", &"none", speculation(props), "/props"));
    proofs
}

/// What every tool of llama.cpp says in its log of where a model lies and how it is computed.
fn of_log(request: &LaunchRequest<'_>, log: &LogSummary) -> Vec<Proof> {
    let settings = request.settings;
    let mut proofs = prove_perplexity(request, log);
    proofs.push(same("mmap", &settings.mmap, log.load_mode.map(|mode| mode.mmap), "log"));
    let locked = if log.mlock_failed { Some(false) } else { log.load_mode.and_then(|mode| mode.mlock) };
    proofs.push(same("mlock", &settings.mlock, locked, "log"));
    proofs
}

/// What the log shows of what decides the numbers of a perplexity, and where they are computed: how the weights came into
/// memory does not.
pub(crate) fn prove_perplexity(request: &LaunchRequest<'_>, log: &LogSummary) -> Vec<Proof> {
    let settings = request.settings;
    let mut proofs = vec![device(request, log)];
    if !request.is_on_processor {
        proofs.push(gpu_layers(settings.gpu_layers, log));
    }
    proofs.push(same("flash_attn", &on_off(settings.flash_attn), log.flash_attention.map(on_off), "log"));
    for (setting, asked, observed) in [
        ("cache_type_k", settings.cache_type_k, types(log.kv_caches.iter().map(|cache| &cache.type_k))),
        ("cache_type_v", settings.cache_type_v, types(log.kv_caches.iter().map(|cache| &cache.type_v))),
    ] {
        proofs.push(same(setting, &asked.name(), observed, "log"));
    }
    proofs
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// A setting that is seen as it was asked for.
fn same(setting: &str, asked: &dyn ToString, observed: Option<impl ToString>, source: &str) -> Proof {
    let asked = asked.to_string();
    let observed = observed.map(|value| value.to_string());
    let agrees = observed.as_ref().map(|observed| *observed == asked);
    Proof { setting: setting.to_owned(), asked, observed, source: source.to_owned(), agrees }
}

/// The context of the slot: as asked, or that rounded up.
fn context(request: &LaunchRequest<'_>, props: &Value, log: &LogSummary) -> Proof {
    let in_props = props.pointer("/default_generation_settings/n_ctx").and_then(Value::as_u64);
    let (observed, source) = match in_props {
        Some(context) => (Some(context), "/props"),
        None => {
            let all = log.setting(Setting::Context).map(|context| context / u64::from(request.slots.max(1)));
            (log.setting(Setting::ContextPerSlot).or(all), "log")
        }
    };
    let asked = u64::from(request.context);
    let mut proof = same("context", &asked, observed, source);
    if observed.is_some_and(|context| context == asked.next_multiple_of(CONTEXT_STEP)) {
        proof.agrees = Some(true);
    }
    proof
}

fn slots(props: &Value, log: &LogSummary) -> Option<u64> {
    props.get("total_slots").and_then(Value::as_u64).or(log.setting(Setting::Slots))
}

/// The batches: as asked, or as far as the context (as asked, or as rounded up) and the logical batch allow.
fn batches(request: &LaunchRequest<'_>, log: &LogSummary) -> [Proof; 2] {
    let (batch, ubatch) = (u64::from(request.settings.batch), u64::from(request.settings.ubatch));
    let asked_context = request.total_context();
    let limits = [asked_context, asked_context.next_multiple_of(CONTEXT_STEP)];
    let proof = |setting, asked: u64, observed: Option<u64>, most: u64| {
        let mut proof = same(setting, &asked, observed, "log");
        if observed.is_some_and(|seen| limits.iter().any(|limit| seen == asked.min(most).min(*limit))) {
            proof.agrees = Some(true);
        }
        proof
    };
    [
        proof("batch", batch, log.setting(Setting::Batch), batch),
        proof("ubatch", ubatch, log.setting(Setting::Ubatch), batch),
    ]
}

/// Layers on the device, as the server states them: the number that it took from the command line, or that it changed
/// that to. That they really are there is for [`device`] to show.
fn gpu_layers(asked: GpuLayers, log: &LogSummary) -> Proof {
    let (asked, agrees) = match asked {
        GpuLayers::All => ("all".to_owned(), log.offloaded.map(|(layers, of)| layers == of)),
        GpuLayers::Count(count) => {
            (count.to_string(), log.offloaded.map(|(layers, of)| layers == u64::from(count).min(of)))
        }
    };
    let observed = log.offloaded.map(|(layers, of)| format!("{layers} of {of}"));
    Proof { setting: "gpu_layers".to_owned(), asked, observed, source: "log".to_owned(), agrees }
}

/// Whether the buffer lies in the memory of the host, by its name: `CPU`, `CPU_Mapped`, `CPU_REPACK`, `AMX`, and the
/// host memory that a device can reach, `CUDA_Host`.
fn is_host(buffer: &Buffer) -> bool {
    let name = buffer.device.as_str();
    name == "CPU" || name.starts_with("CPU_") || name == "AMX" || name == "BLAS" || name.ends_with("_Host")
}

/// Whether the buffer lies on that device: `Vulkan0`, and `CUDA0_Split` for `CUDA0`.
fn is_on(buffer: &Buffer, device: &str) -> bool {
    buffer.device.strip_prefix(device).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// The device, by where the buffers are: the only thing in the log that says what was done, not what was wished.
///
/// On a device, weights and (with all layers on it) the KV cache must be there, and no other device may hold anything.
/// For `none`, every buffer must be the host's, those of the computation too: with no layer on a device, a server
/// still sends large batches of the prompt to it.
fn device(request: &LaunchRequest<'_>, log: &LogSummary) -> Proof {
    let asked = request.device;
    let holds = |buffers: &[&Buffer], kind| buffers.iter().any(|buffer| buffer.holds == kind);
    let agrees = if log.buffers.is_empty() {
        // A build for the processor can run nowhere else. For any other, what is not seen is not believed.
        (!request.is_cpu_build).then_some(false)
    } else if request.is_on_processor {
        Some(log.buffers.iter().all(is_host))
    } else {
        let names: Vec<&str> = asked.split(',').map(str::trim).collect();
        let elsewhere = log
            .buffers
            .iter()
            .any(|buffer| !is_host(buffer) && !names.iter().any(|name| is_on(buffer, name)));
        let has_kv = log.buffers.iter().any(|buffer| buffer.holds == BufferKind::Kv);
        let complete = names.iter().all(|name| {
            let own: Vec<&Buffer> = log.buffers.iter().filter(|buffer| is_on(buffer, name)).collect();
            match request.settings.gpu_layers {
                GpuLayers::All => holds(&own, BufferKind::Model) && (!has_kv || holds(&own, BufferKind::Kv)),
                // No layer is to be there; the computation is.
                GpuLayers::Count(0) => !own.is_empty(),
                // A few layers may be such that have no cache of their own.
                GpuLayers::Count(_) => holds(&own, BufferKind::Model),
            }
        });
        Some(complete && !elsewhere)
    };
    let observed = if log.buffers.is_empty() { None } else { Some(places(&log.buffers)) };
    let source = "log".to_owned();
    Proof { setting: "device".to_owned(), asked: asked.to_owned(), observed, source, agrees }
}

/// `Vulkan0 (model, kv, compute), CPU_Mapped (model)`.
fn places(buffers: &[Buffer]) -> String {
    let mut places: Vec<(&str, Vec<&str>)> = Vec::new();
    for buffer in buffers {
        let word = match buffer.holds {
            BufferKind::Model => "model",
            BufferKind::Kv => "kv",
            BufferKind::Compute => "compute",
            BufferKind::Output => "output",
        };
        match places.iter_mut().find(|(device, _)| *device == buffer.device) {
            Some((_, words)) if words.contains(&word) => {}
            Some((_, words)) => words.push(word),
            None => places.push((&buffer.device, vec![word])),
        }
    }
    // Devices first: they are what matters.
    let is_host_name = |name: &str| buffers.iter().any(|buffer| buffer.device == name && is_host(buffer));
    places.sort_by_key(|(device, _)| is_host_name(device));
    let places: Vec<String> =
        places.iter().map(|(device, words)| format!("{device} ({})", words.join(", "))).collect();
    places.join(", ")
}

/// The types of all caches, each once.
fn types<'a>(types: impl Iterator<Item = &'a String>) -> Option<String> {
    let mut found: Vec<&str> = Vec::new();
    for name in types {
        if !found.contains(&name.as_str()) {
            found.push(name);
        }
    }
    if found.is_empty() { None } else { Some(found.join(", ")) }
}

/// Kinds of speculative decoding: a name or a list of names; before, whether there is any.
fn speculation(props: &Value) -> Option<String> {
    let settings = props.get("default_generation_settings")?;
    let value = settings.pointer("/params/speculative.types").or_else(|| settings.get("speculative"))?;
    match value {
        Value::Bool(on) => Some(if *on { "on" } else { "none" }.to_owned()),
        Value::String(name) => Some(name.clone()),
        Value::Array(names) if names.is_empty() => Some("none".to_owned()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
