//! The perplexity of a model on a backend: one life of llama.cpp's own llama-perplexity, after everything was measured.
//!
//! Whatever goes wrong with it is a perplexity that is missing, with the reason: never a failed start.

mod output;

use std::time::Duration;

use camino::Utf8Path;
use llamark_process::Interrupt;
use llamark_record::perplexity::PerplexityOutcome;
use llamark_record::plan::{Case, PlannedPerplexity};

use crate::failure;
use crate::flags::{self, LaunchRequest, PerplexityTest};
use crate::log::LogSummary;
use crate::probe::ServerHelp;
use crate::program::{self, Tool};
use crate::proof;
use crate::protocol::{Halt, disagreements};
use crate::server;
use crate::start::Start;
use crate::telemetry::Watch;

/// The case that it is measured as, which is in no plan; its id is that of no case.
pub fn perplexity_case(planned: &PlannedPerplexity, model: &str, backend: &str) -> Case {
    Case {
        id: format!("perplexity/{model}/{backend}"),
        model: model.to_owned(),
        backend: backend.to_owned(),
        prompt: "perplexity".to_owned(),
        max_tokens: 0,
        depth: 0,
        concurrency: 1,
        context: planned.context,
        warmup: 0,
        runs: 1,
        starts: 1,
    }
}

/// Runs llama-perplexity with the settings of the start over the text in the file `text`: the command, and what came of it.
/// `help` is what the program can do, or why nobody knows. `None`: somebody asked to stop. When this returns, no process of it
/// is left.
pub async fn perplexity(
    start: &Start<'_>,
    planned: &PlannedPerplexity,
    help: Result<&ServerHelp, String>,
    text: &Utf8Path,
    interrupt: &Interrupt,
) -> Option<(Vec<String>, PerplexityOutcome)> {
    let missing = |argv: Vec<String>, reason: String| Some((argv, PerplexityOutcome::Missing { reason }));
    if interrupt.is_set() {
        return None;
    }
    let Some(program) = start.build.beside_server(PlannedPerplexity::PROGRAM) else {
        return missing(Vec::new(), "the build has no llama-perplexity".to_owned());
    };
    let help = match help {
        Ok(help) => help,
        Err(reason) => return missing(Vec::new(), reason),
    };
    if let Some(reason) = start.known_files.touched(start.shards) {
        return missing(Vec::new(), reason);
    }
    let request = server::request(start, "");
    let test = PerplexityTest { context: planned.context, chunks: planned.chunks, text };
    let flags = match flags::translate_perplexity(help, &request, &test) {
        Ok(flags) => flags,
        Err(unsupported) => return missing(Vec::new(), unsupported.to_string()),
    };
    let launch = server::launch(start, program, flags);
    let memory_kills = failure::memory_kills();
    let mut exit = None;
    let tool = Tool { start, watch: &Watch::off(), interrupt, observer: &|_| () };
    let said = tool.run(&launch, PlannedPerplexity::PROGRAM, limit(start, planned), &mut exit).await;
    let said = match said {
        Ok(said) => said,
        Err(Halt::Interrupted) => return None,
        Err(halt) => {
            return missing(launch.argv, program::failure(start, halt, exit.as_ref(), memory_kills).detail);
        }
    };
    let outcome = match elsewhere(&request, &said.log) {
        Some(wrong) => PerplexityOutcome::Missing { reason: server::hide(start, &wrong) },
        None => output::read(&said.end),
    };
    Some((launch.argv, outcome))
}

/// How long it may take: to load, and for all of its chunks.
fn limit(start: &Start<'_>, planned: &PlannedPerplexity) -> Duration {
    let timeouts = &start.plan.timeouts;
    let chunks = timeouts.request_ms.saturating_mul(planned.chunks.into());
    Duration::from_millis(timeouts.load_ms.saturating_add(chunks))
}

/// What the log shows that is not what was asked: a perplexity of another device, or of other types of the cache, says
/// nothing of this backend.
fn elsewhere(request: &LaunchRequest<'_>, log: &LogSummary) -> Option<String> {
    disagreements(&proof::prove_perplexity(request, log))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use llamark_record::plan::{BackendKind, CacheType, GpuLayers, ServerSettings};

    use super::*;
    use crate::log::LogReader;

    const REAL: &str = include_str!("recorded-b11434.txt");

    fn wrong(kind: BackendKind, device: &str, cache_type_k: CacheType) -> Option<String> {
        let settings = ServerSettings {
            gpu_layers: GpuLayers::All,
            flash_attn: false,
            cache_type_k,
            cache_type_v: CacheType::F16,
            mmap: true,
            mlock: false,
            threads: 1,
            threads_batch: 1,
            batch: 2048,
            ubatch: 512,
        };
        let request = LaunchRequest {
            settings: &settings,
            is_cpu_build: kind == BackendKind::Cpu,
            is_on_processor: device == "none",
            device,
            backend_environment: &BTreeMap::new(),
            model: Utf8Path::new("m.gguf"),
            context: 128,
            slots: 1,
            alias: "",
            scratch: Utf8Path::new("/s"),
        };
        let mut reader = LogReader::new();
        reader.feed(REAL.as_bytes());
        elsewhere(&request, &reader.summary())
    }

    #[test]
    fn a_perplexity_of_something_else_says_nothing_of_the_backend() {
        assert_eq!(wrong(BackendKind::Cpu, "none", CacheType::F16), None);
        let device = wrong(BackendKind::Vulkan, "Vulkan0", CacheType::F16).unwrap();
        assert!(device.contains("the plan asks for Vulkan0"), "{device}");
        let cache = wrong(BackendKind::Cpu, "none", CacheType::Q8_0).unwrap();
        assert!(cache.contains("`cache_type_k` is f16 (log), the plan asks for q8_0"), "{cache}");
    }
}
