//! Machine, engine, builds, backends and models in the words of a report.

use std::collections::{BTreeMap, BTreeSet};

use llamark_record::build::BuildRecord;
use llamark_record::environment::Environment;
use llamark_record::model::{ModelFacts, ModelRecord};
use llamark_record::plan::{
    EngineSource, GpuLayers, ModelSource, NOT_STATED, Plan, PlannedBackend, PlannedBuild, PlannedModel,
    ResolvedPlan, ServerSettings, Settings, Tool,
};

use crate::estimate::round;
use crate::format;
use crate::summary::{BackendSummary, BuildSummary, EngineSummary, HostFact, ModelHeader, ModelSummary};
use crate::weights::{self, Claim, UnitReading};

/// The facts that most readers ask for: name in `environment.json`, name for people. Those of GPUs come after the
/// processor and the memory.
const FACTS: [(&str, &str); 15] = [
    ("cpu.model", "Processor"),
    ("cpu.physical", "Cores"),
    ("cpu.logical", "Logical processors"),
    ("memory.total_bytes", "Memory"),
    ("os.name", "System"),
    ("kernel.release", "Kernel"),
    ("machine.architecture", "Architecture"),
    ("machine.product", "Product"),
    ("machine.virtualization", "Virtualisation"),
    ("container.cpu_limit", "Container processor limit"),
    ("container.memory_limit_bytes", "Container memory limit"),
    ("cpu.governor", "Governor"),
    ("cpu.microcode", "Microcode"),
    ("platform.profile", "Platform profile"),
    ("memory.thp", "Transparent huge pages"),
];

/// How many of [`FACTS`] come before the GPUs.
const BEFORE_GPUS: usize = 4;

/// The short list of facts, in a fixed order; what is unknown is left out.
pub(crate) fn host_facts(environment: &Environment) -> Vec<HostFact> {
    let mut facts = Vec::new();
    for (place, (name, label)) in FACTS.into_iter().enumerate() {
        if place == BEFORE_GPUS {
            facts.extend(gpu_facts(environment));
        }
        if let Some(value) = environment.value(name).filter(|value| !value.is_empty()) {
            facts.push(HostFact {
                label: label.to_owned(),
                name: name.to_owned(),
                value: shown(name, value),
            });
        }
    }
    facts
}

/// Name and driver of each GPU: `gpu.0.name`, `gpu.0.driver`.
fn gpu_facts(environment: &Environment) -> Vec<HostFact> {
    let number = |name: &str| name.strip_prefix("gpu.")?.split_once('.')?.0.parse::<u32>().ok();
    let numbers: BTreeSet<u32> = environment.facts.keys().filter_map(|name| number(name)).collect();
    let mut facts = Vec::new();
    for number in numbers {
        for (what, label) in [("name", "GPU"), ("driver", "GPU driver")] {
            let name = format!("gpu.{number}.{what}");
            if let Some(value) = environment.value(&name).filter(|value| !value.is_empty()) {
                let label = if number == 0 { label.to_owned() } else { format!("{label} {number}") };
                facts.push(HostFact { label, value: value.to_owned(), name });
            }
        }
    }
    facts
}

fn shown(name: &str, value: &str) -> String {
    let bytes = if name.ends_with("_bytes") { value.parse().ok() } else { None };
    bytes.map_or_else(|| value.to_owned(), format::bytes)
}

/// The engine in one line, and its identity.
pub(crate) fn engine(resolved: &ResolvedPlan) -> EngineSummary {
    let engine = &resolved.plan.engine;
    let inside = |subdir: &str| if subdir.is_empty() { String::new() } else { format!(", folder {subdir}") };
    let source = match &engine.source {
        EngineSource::Git { url, rev } => format!("{url} at {rev}"),
        EngineSource::Archive { location, subdir, .. } => format!("{location}{}", inside(subdir)),
        EngineSource::Path { path } => format!("folder {path}"),
        EngineSource::Package { package, subdir, .. } => format!("{package}{}", inside(subdir)),
        EngineSource::Prebuilt { path } => format!("prebuilt in {path}"),
        EngineSource::Unstated => "not stated".to_owned(),
    };
    EngineSummary {
        source,
        build_number: engine.build_number,
        commit: engine.commit.clone(),
        tree: resolved.engine_tree.clone(),
    }
}

/// A build: as recorded, or as planned when it was never made.
pub(crate) fn build(planned: &PlannedBuild, record: Option<&BuildRecord>) -> BuildSummary {
    let inputs = record.and_then(|record| record.inputs.as_ref());
    let server = record.and_then(|record| {
        let of_server = |path: &str| path == record.server || record.server.ends_with(&format!("/{path}"));
        Some(record.files.iter().find(|file| of_server(&file.name))?.sha256.clone())
    });
    BuildSummary {
        id: planned.id.clone(),
        kind: planned.kind,
        key: record.map(|record| record.key.clone()),
        version: record.map(|record| record.version.trim().to_owned()).unwrap_or_default(),
        cmake: inputs.map_or_else(|| planned.cmake.clone(), |inputs| inputs.cmake.clone()),
        tools: inputs.map(|inputs| inputs.tools.clone()).unwrap_or_default(),
        sdk: inputs.map(|inputs| inputs.sdk.clone()).unwrap_or_default(),
        server,
        devices: record.map(|record| record.devices.clone()).unwrap_or_default(),
    }
}

/// A backend with its settings in one line.
pub(crate) fn backend(backend: &PlannedBackend) -> BackendSummary {
    BackendSummary {
        name: backend.name.clone(),
        label: if backend.label.is_empty() { backend.name.clone() } else { backend.label.clone() },
        note: backend.note.clone(),
        kind: backend.kind,
        build: backend.build.clone(),
        device: backend.device.clone(),
        settings: match &backend.server {
            Settings::Decided(server) => settings_line(backend, server),
            Settings::Stated(stated) => stated.text.clone(),
        },
        settings_by_name: backend.server.by_name(),
        is_stated: backend.server.decided().is_none(),
        memory_bandwidth: backend.memory_bandwidth,
    }
}

/// Settings in one line: `all layers on Vulkan0, mmap, flash-attn, KV q4_0/q4_0, 8 threads`.
fn settings_line(backend: &PlannedBackend, server: &ServerSettings) -> String {
    let mut settings = Vec::new();
    if backend.is_on_processor() {
        settings.push("no device".to_owned());
    } else {
        settings.push(match server.gpu_layers {
            GpuLayers::All => format!("all layers on {}", backend.device),
            GpuLayers::Count(count) => format!("{count} layers on {}", backend.device),
        });
    }
    settings.push(if server.mmap { "mmap" } else { "no mmap" }.to_owned());
    if server.mlock {
        settings.push("mlock".to_owned());
    }
    settings.push(if server.flash_attn { "flash-attn" } else { "no flash-attn" }.to_owned());
    settings.push(match (server.cache_type_k.name(), server.cache_type_v.name()) {
        (k, v) if k == v => format!("{k} KV cache"),
        (k, v) => format!("{k} keys and {v} values in the KV cache"),
    });
    settings.push(match (server.threads, server.threads_batch) {
        (threads, batch) if threads == batch => format!("{threads} threads"),
        (threads, batch) => format!("{threads} threads ({batch} for prompts)"),
    });
    settings.push(format!("batch {}/{}", server.batch, server.ubatch));
    if backend.tool == Tool::LlamaBench {
        settings.push("measured by llama-bench".to_owned());
    }
    for (name, value) in &backend.environment {
        settings.push(format!("{name}={value}"));
    }
    settings.join(", ")
}

/// A model: what the author says, and what its header says.
pub(crate) fn model(model: &PlannedModel, record: Option<&ModelRecord>) -> ModelSummary {
    let facts = record.and_then(|record| record.facts.as_ref());
    let from_header = || facts.and_then(|facts| facts.file_type.clone()).unwrap_or_default();
    let (parameters_short, parameters_long) = parameters(model, facts);
    ModelSummary {
        id: model.id.clone(),
        name: if model.name.is_empty() { model.id.clone() } else { model.name.clone() },
        quant: if model.quant.is_empty() { from_header() } else { model.quant.clone() },
        vision: model.vision,
        synthetic: match &model.source {
            ModelSource::Synthetic { model, .. } => model.summary(),
            _ => String::new(),
        },
        note: model.note.clone(),
        parameters_short,
        parameters_long,
        claimed_parameters: model.claimed_parameters.clone(),
        claimed_active_parameters: model.claimed_active_parameters.clone(),
        claimed_file_size: model.claimed_file_size.clone(),
        weights: None,
        file_bytes: record.map(|record| record.files.iter().map(|file| file.bytes).sum()),
        files: record.map(|record| record.files.clone()).unwrap_or_default(),
        facts: facts.map(header),
        contradictions: record.map(|record| record.contradictions.clone()).unwrap_or_default(),
    }
}

/// Every model, with its weights: in which unit claimed sizes are is decided over all of them.
pub(crate) fn models(plan: &Plan, records: &BTreeMap<String, ModelRecord>) -> Vec<ModelSummary> {
    let mut models: Vec<ModelSummary> =
        plan.models.iter().map(|planned| model(planned, records.get(&planned.id))).collect();
    let claims: Vec<Option<Claim>> = models.iter().map(claim_of).collect();
    let reading = unit_reading(&models);
    for (model, claim) in models.iter_mut().zip(&claims) {
        model.weights = weights::weights(model.facts.as_ref(), model.file_bytes, claim.as_ref(), &reading);
    }
    models
}

/// What is claimed of a model whose header nobody has read.
pub(crate) fn claim_of(model: &ModelSummary) -> Option<Claim> {
    if model.facts.is_some() {
        return None;
    }
    weights::claim(&model.claimed_parameters, &model.claimed_active_parameters, &model.claimed_file_size)
}

/// How well the claimed sizes fit, over all models.
pub(crate) fn unit_reading(models: &[ModelSummary]) -> UnitReading {
    let claims: Vec<(Claim, &str)> =
        models.iter().filter_map(|model| Some((claim_of(model)?, model.quant.as_str()))).collect();
    UnitReading::of(claims.iter().map(|(claim, quant)| (claim, *quant)))
}

fn header(facts: &ModelFacts) -> ModelHeader {
    ModelHeader {
        architecture: facts.architecture.clone(),
        file_type: facts.file_type.clone(),
        parameters: facts.parameters,
        active_parameters: facts.active_parameters,
        bytes_per_token: facts.bytes_per_token,
        bits_per_weight: round(facts.bits_per_weight),
        context_length: facts.context_length,
        experts: facts.experts,
        experts_used: facts.experts_used,
    }
}

/// Parameters for a table and for a sentence. The header is believed if there is one; what the author typed is shown
/// without it, and where they contradict each other the contradictions say so.
fn parameters(model: &PlannedModel, facts: Option<&ModelFacts>) -> (String, String) {
    let total =
        facts.map_or_else(|| model.claimed_parameters.clone(), |facts| format::parameters(facts.parameters));
    let active = match facts {
        Some(facts) if facts.experts.is_some() => format::parameters(facts.active_parameters),
        Some(_) => String::new(),
        None => model.claimed_active_parameters.clone(),
    };
    match (total.is_empty(), active.is_empty()) {
        (true, _) => (String::new(), String::new()),
        (false, true) => (total.clone(), format!("{total} (dense)")),
        (false, false) if active == NOT_STATED => (total.clone(), total),
        (false, false) => {
            (format!("{total} ({active} MoE)"), format!("{total} total / {active} active (MoE)"))
        }
    }
}

#[cfg(test)]
mod tests {
    use llamark_record::plan::CacheType;

    use super::*;

    fn planned(quant: &str, total: &str, active: &str) -> PlannedModel {
        PlannedModel {
            id: "m".to_owned(),
            name: String::new(),
            quant: quant.to_owned(),
            vision: false,
            note: String::new(),
            claimed_parameters: total.to_owned(),
            claimed_active_parameters: active.to_owned(),
            claimed_file_size: String::new(),
            source: ModelSource::File { file: "m.gguf".to_owned(), sha256: None },
        }
    }

    fn record(experts: Option<u64>) -> ModelRecord {
        let facts = ModelFacts {
            architecture: "qwen3moe".to_owned(),
            name: None,
            file_type: Some("Q4_K_M".to_owned()),
            parameters: 30_532_122_624,
            active_parameters: 3_345_000_000,
            tensor_bytes: 1,
            bytes_per_token: 1,
            kv_bytes_per_position: None,
            bits_per_weight: 4.849_999,
            context_length: None,
            layers: None,
            experts,
            experts_used: None,
            vocabulary: None,
            bytes_by_type: BTreeMap::new(),
            shards: 1,
        };
        ModelRecord { id: "m".to_owned(), files: Vec::new(), facts: Some(facts), contradictions: Vec::new() }
    }

    #[test]
    fn parameters_come_from_the_header_and_else_from_the_author() {
        let short =
            |planned: &PlannedModel, record: Option<&ModelRecord>| model(planned, record).parameters_short;
        let claimed = planned("", "30B", "~3B");
        assert_eq!(short(&claimed, None), "30B (~3B MoE)");
        assert_eq!(short(&claimed, Some(&record(Some(128)))), "30.5B (3.35B MoE)");
        assert_eq!(short(&claimed, Some(&record(None))), "30.5B");
        assert_eq!(short(&planned("", "", ""), None), "");
        assert_eq!(model(&planned("", "8B", ""), None).parameters_long, "8B (dense)");
        let both = model(&claimed, Some(&record(Some(128))));
        assert_eq!(both.parameters_long, "30.5B total / 3.35B active (MoE)");
        assert_eq!((both.name.as_str(), both.quant.as_str()), ("m", "Q4_K_M"));
        assert_eq!(model(&planned("UD-Q4_K_XL", "", ""), Some(&record(None))).quant, "UD-Q4_K_XL");
    }

    #[test]
    fn settings_are_one_line() {
        let server = ServerSettings {
            gpu_layers: GpuLayers::Count(20),
            flash_attn: true,
            cache_type_k: CacheType::Q8_0,
            cache_type_v: CacheType::Q4_0,
            mmap: false,
            mlock: true,
            threads: 8,
            threads_batch: 16,
            batch: 2048,
            ubatch: 512,
        };
        let planned = PlannedBackend {
            name: "rocm".to_owned(),
            label: String::new(),
            note: String::new(),
            kind: Some(llamark_record::plan::BackendKind::Rocm),
            build: "rocm".to_owned(),
            device: "ROCm0".to_owned(),
            server: Settings::Decided(server),
            environment: BTreeMap::from([("HSA_X".to_owned(), "1".to_owned())]),
            tool: Tool::LlamaServer,
            memory_bandwidth: None,
        };
        let summary = backend(&planned);
        assert_eq!(summary.label, "rocm");
        assert_eq!(
            summary.settings,
            "20 layers on ROCm0, no mmap, mlock, flash-attn, q8_0 keys and q4_0 values in the KV cache, \
             8 threads (16 for prompts), batch 2048/512, HSA_X=1"
        );
    }
}
