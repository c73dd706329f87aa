//! What was asked of llama-bench beside what was observed: weaker than of a server, which can be asked.

use llamark_record::journal::Proof;
use llamark_record::llama_bench::Row;

use super::{device, gpu_layers, on_off, same, types};
use crate::flags::LaunchRequest;
use crate::log::LogSummary;

/// One proof for each setting: what the log shows was done, and of threads and batches what the row says was asked.
pub(crate) fn prove_bench(request: &LaunchRequest<'_>, row: &Row, log: &LogSummary) -> Vec<Proof> {
    let settings = request.settings;
    let stated = |name: &str| row.settings.get(name).cloned();
    let mut proofs = vec![same("model", &request.model, Some(&row.model), "row"), device(request, log)];
    if !request.is_cpu_only() {
        proofs.push(gpu_layers(settings.gpu_layers, log));
    }
    proofs.push(same("flash_attn", &on_off(settings.flash_attn), log.flash_attention.map(on_off), "log"));
    for (setting, asked, observed) in [
        ("cache_type_k", settings.cache_type_k, types(log.kv_caches.iter().map(|cache| &cache.type_k))),
        ("cache_type_v", settings.cache_type_v, types(log.kv_caches.iter().map(|cache| &cache.type_v))),
    ] {
        proofs.push(same(setting, &asked.name(), observed, "log"));
    }
    proofs.push(same("mmap", &settings.mmap, log.load_mode.map(|mode| mode.mmap), "log"));
    let locked = if log.mlock_failed { Some(false) } else { log.load_mode.and_then(|mode| mode.mlock) };
    proofs.push(same("mlock", &settings.mlock, locked, "log"));
    for (setting, asked, name) in [
        ("threads", settings.threads, "n_threads"),
        ("batch", settings.batch, "n_batch"),
        ("ubatch", settings.ubatch, "n_ubatch"),
    ] {
        proofs.push(same(setting, &asked, stated(name), "row"));
    }
    proofs
}
