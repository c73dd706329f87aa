//! A set in the form of llama-bench's `-o jsonl`, so that what reads llama-bench's files reads ours, its own comparison
//! script among them.
//!
//! A row is a start and one half of it: the prompt (`n_prompt`, `n_gen` 0), or the generation (`n_gen`, `n_prompt` 0). Its
//! samples are the runs that count, in nanoseconds, of the server's clock. `n_gen` is the steps that were timed, one fewer
//! than the tokens: llama-bench times every step, a server those after its first token.

use llamark_artifact::ArtifactSet;
use llamark_record::llama_bench::{BenchRun, Timed};
use llamark_record::plan::{
    BackendKind, Case, DocumentKind, Engine, GpuLayers, PlannedBackend, ServerSettings,
};
use llamark_record::{Sha256, metric};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::counted::{Start, starts};
use crate::error::ReportError;
use crate::format::float;

/// Digits of a commit: those of every row must be as many.
const COMMIT_DIGITS: usize = 8;

/// What was exported, and what has no place in such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LlamaBench {
    /// The rows: JSON Lines.
    pub text: String,
    /// Rows in it.
    pub rows: usize,
    /// Cases that are not in it, with the reason.
    pub left_out: Vec<(String, &'static str)>,
}

/// One row, its fields in llama-bench's order.
#[derive(Serialize)]
struct Row<'a> {
    build_commit: &'a str,
    build_number: u32,
    cpu_info: &'a str,
    gpu_info: &'a str,
    backends: &'a str,
    model_filename: &'a str,
    model_type: &'a str,
    model_size: u64,
    model_n_params: u64,
    n_batch: u32,
    n_ubatch: u32,
    n_threads: u32,
    cpu_mask: &'static str,
    cpu_strict: bool,
    poll: u32,
    type_k: &'static str,
    type_v: &'static str,
    n_gpu_layers: i64,
    n_cpu_moe: u32,
    split_mode: &'static str,
    main_gpu: u32,
    no_kv_offload: bool,
    flash_attn: u8,
    devices: &'a str,
    tensor_split: &'static str,
    tensor_buft_overrides: &'static str,
    load_mode: &'static str,
    lazy_mode: &'static str,
    embeddings: bool,
    no_op_offload: u8,
    no_host: bool,
    repack: bool,
    fit_target: u32,
    fit_min_ctx: u32,
    n_prompt: u32,
    n_gen: u32,
    n_depth: u32,
    test_time: &'a str,
    avg_ns: u64,
    stddev_ns: u64,
    avg_ts: f64,
    stddev_ts: f64,
    samples_ns: Vec<u64>,
    samples_ts: Vec<f64>,
}

/// The set as rows of llama-bench. Of a set that was imported from such a file: that file's rows, field for field.
///
/// `build` stands in the rows as `build_commit`, by which llama.cpp's script tells what it compares; absent, the commit of
/// the engine, or the head of the digest of its source tree where no commit is known.
///
/// # Errors
/// [`ReportError::NoTimes`] of a set that was imported from a report, [`ReportError::OneNameForAll`] when `build` is to stand
/// for the engines of both sides of an A/B, [`ReportError::Artifact`] when the file that it was
/// imported from does not read.
pub fn llama_bench(set: &ArtifactSet, build: Option<&str>) -> Result<LlamaBench, ReportError> {
    match set.resolved.plan.document().map(|document| document.kind) {
        Some(DocumentKind::LlamaBench) => imported(set, build),
        Some(DocumentKind::Report) => Err(ReportError::NoTimes),
        None => measured(set, build),
    }
}

/// The rows of the file that the set was made of. They stay JSON values, so that nothing of them is rounded or lost.
fn imported(set: &ArtifactSet, build: Option<&str>) -> Result<LlamaBench, ReportError> {
    let document = set.document()?.map(|(_, bytes)| bytes).unwrap_or_default();
    let mut text = String::new();
    let mut rows = 0;
    for mut row in rows_of(&document)? {
        if let Some(build) = build {
            row.insert("build_commit".to_owned(), Value::String(build.to_owned()));
        }
        text.push_str(&line(&row)?);
        rows += 1;
    }
    Ok(LlamaBench { text, rows, left_out: Vec::new() })
}

/// The rows of JSON, as an array or one after the other. The import has read them before.
fn rows_of(document: &[u8]) -> Result<Vec<Map<String, Value>>, ReportError> {
    let failed = |source| ReportError::Json { what: "rows of the imported file", source };
    if document.trim_ascii_start().starts_with(b"[") {
        return serde_json::from_slice(document).map_err(failed);
    }
    serde_json::Deserializer::from_slice(document).into_iter().collect::<Result<_, _>>().map_err(failed)
}

fn line(row: &impl Serialize) -> Result<String, ReportError> {
    let text = serde_json::to_string(row);
    text.map(|text| text + "\n").map_err(|source| ReportError::Json { what: "rows of llama-bench", source })
}

fn measured(set: &ArtifactSet, build: Option<&str>) -> Result<LlamaBench, ReportError> {
    let engines = set.resolved.plan.engines().len();
    if engines > 1 && build.is_some() {
        return Err(ReportError::OneNameForAll { engines });
    }
    let mut export = LlamaBench { text: String::new(), rows: 0, left_out: Vec::new() };
    for ledger in &set.ledger().cases {
        let case = &ledger.case;
        if case.concurrency != 1 {
            export.left_out.push((case.id.clone(), "llama-bench has no concurrent streams"));
            continue;
        }
        let Some(subject) = Subject::of(set, case, build) else {
            export.left_out.push((case.id.clone(), "its model was not found"));
            continue;
        };
        let before = export.rows;
        for start in starts(ledger).filter(|start| start.counts) {
            for half in
                [Half::prompt(&start, case.depth), Half::generation(&start, case.depth)].into_iter().flatten()
            {
                export.text.push_str(&line(&subject.row(set, half))?);
                export.rows += 1;
            }
        }
        if export.rows == before {
            export.left_out.push((case.id.clone(), "it has no run that counts"));
        }
    }
    Ok(export)
}

/// What stands for `build_commit`: all rows of an engine have the same, or the script would not join them.
fn commit(engine: &Engine, tree: Option<&Sha256>) -> String {
    let tree = tree.map(Sha256::as_str);
    let known = Some(engine.commit.as_str()).filter(|commit| *commit != "unknown");
    known.or(tree).unwrap_or("unknown").chars().take(COMMIT_DIGITS).collect()
}

/// One half of a start: what was timed, and how long each run took.
struct Half {
    prompt: u32,
    steps: u32,
    depth: u32,
    samples_ns: Vec<u64>,
}

impl Half {
    fn prompt(start: &Start<'_>, depth: u32) -> Option<Self> {
        if let Some((timed, samples_ns)) = timed(start, |run| run.prompt) {
            return Some(Self { prompt: timed.tokens, steps: 0, depth: timed.depth, samples_ns });
        }
        let runs = || start.runs.iter().filter(|run| run.counts()).filter_map(|run| run.measurement);
        let samples_ns = runs().map(|run| run.prompt_us.saturating_mul(1000)).collect();
        Some(Self { prompt: runs().next()?.prompt_tokens, steps: 0, depth, samples_ns })
    }

    fn generation(start: &Start<'_>, depth: u32) -> Option<Self> {
        if let Some((timed, samples_ns)) = timed(start, |run| run.generation) {
            return Some(Self { prompt: 0, steps: timed.tokens, depth: timed.depth, samples_ns });
        }
        let runs = || start.runs.iter().filter(|run| run.counts()).filter_map(|run| run.measurement);
        let samples_ns = runs().map(|run| run.generation_us.saturating_mul(1000)).collect();
        let steps = runs().next()?.generated_tokens.saturating_sub(1);
        (steps > 0).then_some(Self { prompt: 0, steps, depth, samples_ns })
    }
}

/// What llama-bench itself timed of one half, and its samples.
fn timed(start: &Start<'_>, half: fn(&BenchRun) -> Option<Timed>) -> Option<(Timed, Vec<u64>)> {
    let runs = || start.runs.iter().filter(|run| run.counts()).filter_map(|run| half(run.bench?));
    Some((runs().next()?, runs().map(|timed| timed.ns).collect()))
}

/// What the rows of a case say besides their results.
struct Subject<'a> {
    commit: String,
    build_number: u32,
    backend: &'a PlannedBackend,
    server: &'a ServerSettings,
    cpu: &'a str,
    gpus: String,
    file: &'a str,
    model_type: String,
    bytes: u64,
    parameters: u64,
}

impl<'a> Subject<'a> {
    fn of(set: &'a ArtifactSet, case: &Case, commit: Option<&str>) -> Option<Self> {
        let plan = &set.resolved.plan;
        let backend = plan.backend(&case.backend)?;
        let build = plan.builds.iter().find(|build| build.id == backend.build)?;
        let engine = plan.engine_of(build);
        let tree = set.resolved.tree_of(build);
        let record = set.ledger().models.get(&case.model)?;
        // A file whose header does not read may run all the same.
        let facts = record.facts.as_ref();
        let name = &plan.model(&case.model)?.name;
        let model_type = facts.map_or_else(
            || name.clone(),
            |facts| format!("{} {name} {}", facts.architecture, facts.file_type.as_deref().unwrap_or("?")),
        );
        let gpus = set
            .environment
            .facts
            .iter()
            .filter(|(name, _)| name.starts_with("gpu.") && name.ends_with(".name"));
        let gpus: Vec<&str> = gpus.filter_map(|(_, fact)| fact.value.as_deref()).collect();
        Some(Self {
            commit: commit.map_or_else(|| self::commit(engine, tree), str::to_owned),
            build_number: engine.build_number,
            backend,
            server: backend.server.decided()?,
            cpu: set.environment.value("cpu.model").unwrap_or_default(),
            gpus: if backend.is_cpu() { String::new() } else { gpus.join(", ") },
            file: &set.resolved.model_files.get(&case.model)?.first()?.name,
            model_type,
            bytes: facts
                .map_or_else(|| record.files.iter().map(|file| file.bytes).sum(), |facts| facts.tensor_bytes),
            parameters: facts.map_or(0, |facts| facts.parameters),
        })
    }

    fn row(&self, set: &'a ArtifactSet, half: Half) -> Row<'_> {
        let server = self.server;
        let tokens = half.prompt + half.steps;
        let rates: Vec<f64> = half
            .samples_ns
            .iter()
            .filter_map(|nanoseconds| metric::timed_rate(tokens, *nanoseconds))
            .collect();
        let times: Vec<f64> = half.samples_ns.iter().map(|nanoseconds| float(*nanoseconds)).collect();
        let rounded = |value: Option<f64>| value.unwrap_or(0.0).round() as u64;
        Row {
            build_commit: &self.commit,
            build_number: self.build_number,
            cpu_info: self.cpu,
            gpu_info: &self.gpus,
            backends: name(self.backend),
            model_filename: self.file,
            model_type: &self.model_type,
            model_size: self.bytes,
            model_n_params: self.parameters,
            n_batch: server.batch,
            n_ubatch: server.ubatch,
            n_threads: server.threads,
            cpu_mask: "0x0",
            cpu_strict: false,
            poll: 50,
            type_k: server.cache_type_k.name(),
            type_v: server.cache_type_v.name(),
            n_gpu_layers: match server.gpu_layers {
                GpuLayers::All => -1,
                GpuLayers::Count(count) => i64::from(count),
            },
            n_cpu_moe: 0,
            split_mode: "layer",
            main_gpu: 0,
            no_kv_offload: false,
            flash_attn: u8::from(server.flash_attn),
            devices: &self.backend.device,
            tensor_split: "0.00",
            tensor_buft_overrides: "none",
            load_mode: match (server.mmap, server.mlock) {
                (true, true) => "mmap+mlock",
                (true, false) => "mmap",
                (false, true) => "mlock",
                (false, false) => "none",
            },
            lazy_mode: "auto",
            embeddings: false,
            no_op_offload: 0,
            no_host: false,
            repack: true,
            fit_target: 0,
            fit_min_ctx: 0,
            n_prompt: half.prompt,
            n_gen: half.steps,
            n_depth: half.depth,
            test_time: &set.ledger().started_at,
            avg_ns: rounded(llamark_stats::mean(&times)),
            stddev_ns: rounded(llamark_stats::standard_deviation(&times)),
            avg_ts: llamark_stats::mean(&rates).unwrap_or(0.0),
            stddev_ts: llamark_stats::standard_deviation(&rates).unwrap_or(0.0),
            samples_ns: half.samples_ns,
            samples_ts: rates,
        }
    }
}

/// The backend as llama-bench names it.
fn name(backend: &PlannedBackend) -> &str {
    match backend.kind {
        Some(BackendKind::Cpu) => "CPU",
        Some(BackendKind::Vulkan) => "Vulkan",
        Some(BackendKind::Rocm) => "ROCm",
        Some(BackendKind::Cuda) => "CUDA",
        None => &backend.label,
    }
}
