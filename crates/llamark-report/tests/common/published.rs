//! The numbers of a published report as the parts of an imported set: 21 models on Vulkan, 9 of them on ROCm and the
//! processor too, three runs each.

use std::collections::BTreeMap;

use llamark_artifact::Ledger;
use llamark_record::Sha256;
use llamark_record::environment::{ENVIRONMENT_FORMAT, Environment};
use llamark_record::journal::{Outcome, StartId};
use llamark_record::model::FileIdentity;
use llamark_record::plan::{
    BackendKind, Case, Document, DocumentKind, Engine, EngineSource, Hardware, ModelSource, Origin,
    PLAN_FORMAT, Plan, PlannedBackend, PlannedModel, PlannedPrompt, PlannedStart, PromptContent,
    ResolvedPlan, Settings, StatedSettings, Timeouts,
};
use llamark_record::stated::{Decimal, StatedRun, StatedStart};

use super::Parts;

const TABLE: &str = include_str!("published.tsv");
const PROMPT: &str = "infrastructure";

/// The set, with the bandwidth of the machine added.
pub(crate) fn published() -> Parts {
    let (models, stated) = rows();
    let cases: Vec<Case> = stated.iter().map(|start| case(&start.id.case)).collect();
    let plan = Plan {
        origin: Origin::Document(Document {
            kind: DocumentKind::Report,
            file: FileIdentity {
                name: "report.md".to_owned(),
                bytes: 1,
                sha256: Sha256::of_bytes(b"report"),
            },
            added: BTreeMap::from([("memory_bandwidth".to_owned(), "256 GB/s".to_owned())]),
            remarks: Vec::new(),
            unstated: [
                "date",
                "llama.cpp commit",
                "digests of the models",
                "drivers",
                "starts of the server",
            ]
            .map(str::to_owned)
            .to_vec(),
        }),
        name: "strix-halo".to_owned(),
        title: "Inference Benchmark Results".to_owned(),
        description: String::new(),
        hardware: Hardware {
            label: "AMD Strix Halo — Radeon 8060S (gfx1151), 128 GB unified memory (GPU+CPU)".to_owned(),
            memory_bandwidth: Some(256_000_000_000),
            expect_gpu: None,
            expect_memory: 0,
        },
        engine: Engine { source: EngineSource::Unstated, build_number: 0, commit: "unknown".to_owned() },
        builds: Vec::new(),
        backends: vec![
            backend(
                BackendKind::Vulkan,
                "Vulkan",
                "",
                "LLAMA_HIP_UMA=ON, mmap",
                &[("LLAMA_HIP_UMA", "ON"), ("mmap", "true")],
            ),
            backend(
                BackendKind::Rocm,
                "ROCm 7.2",
                "flash-attn, q4_0 KV",
                "ROCm 7.2, --no-mmap, flash-attn, q4_0 KV cache",
                &[
                    ("mmap", "false"),
                    ("flash_attn", "true"),
                    ("cache_type_k", "q4_0"),
                    ("cache_type_v", "q4_0"),
                ],
            ),
            backend(BackendKind::Cpu, "CPU", "no GPU offload", "no GPU offload", &[("gpu_layers", "0")]),
        ],
        models,
        prompts: vec![PlannedPrompt {
            name: PROMPT.to_owned(),
            content: PromptContent::Unstated {
                description: "~600 tokens (infrastructure scenario)".to_owned(),
            },
        }],
        schedule: cases.iter().map(|case| PlannedStart { case: case.id.clone(), start: 1 }).collect(),
        cases,
        seed: 0,
        cooldown_ms: 0,
        timeouts: Timeouts { load_ms: 0, request_ms: 0, stop_ms: 0 },
    };
    let mut ledger = Ledger::new(&plan);
    for (case, start) in ledger.cases.iter_mut().zip(stated) {
        case.stated.insert(1, start);
        case.outcome = Some(Outcome::Ok);
    }
    let resolved = ResolvedPlan {
        format: PLAN_FORMAT.to_owned(),
        plan,
        engine_tree: None,
        build_keys: BTreeMap::new(),
        model_files: BTreeMap::new(),
    };
    let environment = Environment { format: ENVIRONMENT_FORMAT.to_owned(), facts: BTreeMap::new() };
    Parts { id: "imported".to_owned(), resolved, ledger, environment }
}

fn rows() -> (Vec<PlannedModel>, Vec<StatedStart>) {
    let (mut models, mut starts): (Vec<PlannedModel>, Vec<StatedStart>) = (Vec::new(), Vec::new());
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        match cells.as_slice() {
            ["model", name, quant, parameters, active, size] => models.push(PlannedModel {
                id: format!("{name}-{quant}").to_lowercase().replace(' ', "-"),
                name: (*name).to_owned(),
                quant: (*quant).to_owned(),
                vision: name.contains("VL") || name.starts_with("Gemma 3"),
                note: String::new(),
                claimed_parameters: (*parameters).to_owned(),
                claimed_active_parameters: (*active).to_owned(),
                claimed_file_size: (*size).to_owned(),
                source: ModelSource::Unstated,
            }),
            [backend, load, runs @ ..] => {
                let id = format!("{}/{backend}/{PROMPT}", models.last().unwrap().id);
                starts.push(StatedStart {
                    id: StartId { case: id, start: 1, attempt: 1 },
                    line: 1,
                    load_ms: Some(load.parse::<u64>().unwrap() * 1000),
                    runs: runs.iter().zip(1..).map(|(run, index)| stated_run(run, index)).collect(),
                });
            }
            [] | [_] => assert!(line.is_empty(), "{line}"),
        }
    }
    (models, starts)
}

fn stated_run(text: &str, index: u32) -> StatedRun {
    let mut parts = text.split('/');
    let mut decimal = || Decimal::try_from(parts.next().unwrap().to_owned()).ok();
    let (pp, tg) = (decimal(), decimal());
    let prompt_tokens = parts.next().unwrap().parse().ok();
    StatedRun { index, line: 1, pp, tg, prompt_tokens, generated_tokens: Some(128) }
}

fn case(id: &str) -> Case {
    let mut parts = id.split('/').map(str::to_owned);
    let mut part = || parts.next().unwrap();
    Case {
        id: id.to_owned(),
        model: part(),
        backend: part(),
        prompt: part(),
        max_tokens: 128,
        context: 8192,
        warmup: 1,
        runs: 3,
        starts: 1,
    }
}

fn backend(
    kind: BackendKind,
    label: &str,
    note: &str,
    text: &str,
    settings: &[(&str, &str)],
) -> PlannedBackend {
    let by_name = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    PlannedBackend {
        name: kind.name().to_owned(),
        label: label.to_owned(),
        note: note.to_owned(),
        kind,
        build: String::new(),
        device: String::new(),
        server: Settings::Stated(StatedSettings { text: text.to_owned(), by_name }),
        environment: BTreeMap::new(),
    }
}
