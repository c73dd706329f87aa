//! What was asked of llama-perplexity beside what its log shows: what decides the numbers that it computes, and where.

use llamark_record::journal::Proof;

use super::{device, gpu_layers, on_off, same, types};
use crate::flags::LaunchRequest;
use crate::log::LogSummary;

/// One proof for each setting that the log shows.
pub(crate) fn prove_perplexity(request: &LaunchRequest<'_>, log: &LogSummary) -> Vec<Proof> {
    let settings = request.settings;
    let mut proofs = vec![device(request, log)];
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
    proofs
}
