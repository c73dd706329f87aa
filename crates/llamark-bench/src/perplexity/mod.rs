//! The perplexity of a model on a backend: one life of llama.cpp's own llama-perplexity, after everything was measured.
//!
//! Whatever goes wrong with it is a perplexity that is missing, with the reason: never a failed start.

mod output;

use std::time::Duration;

use camino::Utf8Path;
use llamark_process::{Exit, Interrupt, Server};
use llamark_record::perplexity::PerplexityOutcome;
use llamark_record::plan::{Case, PlannedPerplexity};

use crate::failure;
use crate::flags::{self, LaunchRequest, PerplexityTest};
use crate::log::LogReader;
use crate::probe::ServerHelp;
use crate::proof;
use crate::protocol::disagreements;
use crate::server;
use crate::start::{self, Start};

/// Most of a log that is read.
const MOST_LOG: usize = 64 << 20;

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
    let before = fs_err::metadata(start.log).map_or(0, |log| log.len());
    let server = match server::spawn(start, &launch) {
        Ok(server) => server,
        Err(error) => return missing(launch.argv, start::not_spawned(&error).detail),
    };
    let exit = match end(&server, start, planned, interrupt).await {
        Ended::Itself(exit) => exit,
        Ended::Interrupted => {
            start::stop(server, Duration::ZERO, interrupt).await;
            return None;
        }
        Ended::TooLong(limit) => {
            start::stop(server, Duration::ZERO, interrupt).await;
            return missing(
                launch.argv,
                format!("llama-perplexity took longer than {} ms", limit.as_millis()),
            );
        }
    };
    if exit.code != Some(0) {
        return missing(launch.argv, died(start, &exit, memory_kills));
    }
    let printed = match read_from(start.log, before) {
        Ok(printed) => printed,
        Err(error) => {
            return missing(launch.argv, format!("the output of llama-perplexity cannot be read: {error}"));
        }
    };
    let outcome = match elsewhere(&request, &printed) {
        Some(wrong) => PerplexityOutcome::Missing { reason: server::hide(start, &wrong) },
        None => output::read(&printed),
    };
    Some((launch.argv, outcome))
}

/// How a life ended.
enum Ended {
    Itself(Exit),
    Interrupted,
    TooLong(Duration),
}

/// Waits for its end; no longer than loading and all of its chunks may take.
async fn end(
    server: &Server,
    start: &Start<'_>,
    planned: &PlannedPerplexity,
    interrupt: &Interrupt,
) -> Ended {
    let timeouts = &start.plan.timeouts;
    let chunks = timeouts.request_ms.saturating_mul(planned.chunks.into());
    let limit = Duration::from_millis(timeouts.load_ms.saturating_add(chunks));
    tokio::select! {
        biased;
        exit = server.exited() => Ended::Itself(exit),
        () = interrupt.wait() => Ended::Interrupted,
        () = tokio::time::sleep(limit) => Ended::TooLong(limit),
    }
}

/// Why it is gone.
fn died(start: &Start<'_>, exit: &Exit, memory_kills: Option<u64>) -> String {
    let log: Vec<String> = failure::tail(start.log).iter().map(|line| server::hide(start, line)).collect();
    let kills = failure::memory_kills().zip(memory_kills);
    let killed_for_memory = kills.is_none_or(|(now, before)| now > before);
    failure::died("llama-perplexity", Some(exit), killed_for_memory, &log).detail
}

/// What the log shows that is not what was asked: a perplexity of another device, or of other types of the cache, says
/// nothing of this backend.
fn elsewhere(request: &LaunchRequest<'_>, printed: &str) -> Option<String> {
    let mut reader = LogReader::new();
    reader.feed(printed.as_bytes());
    disagreements(&proof::prove_perplexity(request, &reader.summary()))
}

/// What was added to a log since it had that length.
fn read_from(log: &Utf8Path, before: u64) -> std::io::Result<String> {
    let bytes = fs_err::read(log)?;
    let added = bytes.get(usize::try_from(before).unwrap_or(usize::MAX)..).unwrap_or_default();
    Ok(String::from_utf8_lossy(added.get(..MOST_LOG).unwrap_or(added)).into_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use llamark_record::plan::{BackendKind, CacheType, GpuLayers, ServerSettings};

    use super::*;

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
            device,
            backend_environment: &BTreeMap::new(),
            model: Utf8Path::new("m.gguf"),
            context: 128,
            slots: 1,
            alias: "",
            scratch: Utf8Path::new("/s"),
        };
        elsewhere(&request, REAL)
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
