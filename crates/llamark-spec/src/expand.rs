//! From [`Spec`] to [`Plan`]: every default filled in, every combination written out.

use std::collections::{BTreeMap, HashSet};

use camino::Utf8Path;
use llamark_record::Sha256;
use llamark_record::metric::Metric;
use llamark_record::plan::{
    Arm, BackendKind, CacheType, Case, Engine, EngineSource, Filler, Gate, GpuLayers, Hardware, ModelSource,
    NO_DEVICE, Origin, Package, Plan, PlannedBackend, PlannedBuild, PlannedModel, PlannedPrompt,
    PromptContent, ServerSettings, Settings, TelemetryRate, Timeouts, case_id, model_id,
};

use crate::ab::{self, Chosen};
use crate::defaults;
use crate::diagnostic::{Diagnostics, MAX_PROBLEMS, Problem};
use crate::experiment::{self, Experiment};
use crate::node::Node;
use crate::parse::Spec;
use crate::perplexity;
use crate::procedure::{most_warmups, pause_ms, procedure, starts};
use crate::schedule::{in_pairs, schedule};
use crate::semantic::backends::{device_prefix, kind_named};
use crate::semantic::sources::{build_number, is_commit};
use crate::source::Source;
use crate::sources;
use crate::text::{Digest, Line, Name, PackageUrl};
use crate::units::{Growth, Timeout};
use crate::values::{LayerCount, Numbers, SampleRate};
use crate::variant::{Variant, variants};

/// What expanding needs to know of the world; the caller gives it, so that expanding is a pure function.
pub trait Surroundings {
    /// Physical cores that this process may use; at least 1.
    fn usable_cores(&self) -> u32;

    /// The text of a prompt, by its path relative to the experiment.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read_prompt(&self, relative: &Utf8Path) -> std::io::Result<String>;
}

/// Fills in every default and writes out every combination. Backends and prompts that no case uses are left out.
///
/// # Errors
/// When a prompt cannot be read or is empty.
pub fn expand(spec: &Spec, source: &Source, surroundings: &dyn Surroundings) -> Result<Plan, Diagnostics> {
    let mut expander = Expander { spec, surroundings, problems: Vec::new() };
    let plan = expander.plan();
    if expander.problems.is_empty() {
        Ok(plan)
    } else {
        Err(Diagnostics::new(source.clone(), expander.problems))
    }
}

pub(crate) struct Expander<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) surroundings: &'a dyn Surroundings,
    pub(crate) problems: Vec<Problem>,
}

impl Expander<'_> {
    fn plan(&mut self) -> Plan {
        let experiment = self.spec.experiment();
        let protocol = experiment.protocol.clone().unwrap_or_default();
        let timeouts = protocol.timeouts.clone().unwrap_or_default();
        let chosen: Vec<&Name> = match &protocol.prompt {
            Some(names) => names.0.iter().collect(),
            None => experiment.prompts.keys().collect(),
        };
        let models: Vec<PlannedModel> = experiment.models.iter().map(planned_model).collect();
        let (engine, sides) = ab::chosen(experiment.ab.as_ref(), &experiment.engine);
        let cases = cases(experiment, &protocol, &models, &chosen);
        let used: HashSet<&str> = cases.iter().map(|case| case.backend.as_str()).collect();
        let extra_targets = perplexity::targets(protocol.perplexity.as_ref());
        let mut builds = Vec::new();
        let mut known = BTreeMap::new();
        let mut backends = Vec::new();
        for (name, backend) in &experiment.backends {
            let all = variants_of(name.as_str(), backend);
            for (name_of, variant) in all.iter().filter(|(name, _)| used.contains(name.as_str())) {
                for side in &sides {
                    let kind = kind(name.as_str(), backend);
                    let planned = self.backend(name.as_str(), kind, backend, variant, side);
                    let build = build(&planned, kind, backend, side, &extra_targets, &mut known, &mut builds);
                    let name = format!("{name_of}{}", side.suffix());
                    backends.push(PlannedBackend { build, name, ..planned });
                }
            }
        }
        let wanted: HashSet<&str> = chosen.iter().map(|name| name.as_str()).collect();
        let prompts = experiment
            .prompts
            .iter()
            .filter(|(name, _)| wanted.contains(name.as_str()))
            .map(|(name, prompt)| self.prompt(name.as_str(), prompt))
            .collect();
        let seed = protocol.seed.unwrap_or(defaults::SEED);
        Plan {
            origin: Origin::Experiment,
            name: experiment.name.as_str().to_owned(),
            title: experiment.title.as_ref().map_or(experiment.name.as_str(), Line::as_str).to_owned(),
            description: experiment
                .description
                .as_ref()
                .map_or(String::new(), |text| text.as_str().trim().to_owned()),
            hardware: hardware(experiment.hardware.as_ref()),
            engine,
            ab: ab::variants(&sides, &backends, &builds),
            builds,
            backends,
            models,
            prompts,
            filler: cases.iter().any(|case| case.depth > 0).then(filler),
            schedule: {
                let order = schedule(&cases, seed, protocol.order.unwrap_or_default());
                if sides.len() == 1 { order } else { in_pairs(&cases, order, seed, &sides) }
            },
            cases: ab::cases_of(&cases, &sides),
            seed,
            cooldown_ms: pause_ms(&protocol),
            timeouts: Timeouts {
                load_ms: timeouts.load.unwrap_or_else(|| assumed(defaults::LOAD_TIMEOUT, Timeout(600_000))).0,
                request_ms: timeouts
                    .request
                    .unwrap_or_else(|| assumed(defaults::REQUEST_TIMEOUT, Timeout(600_000)))
                    .0,
                stop_ms: timeouts.stop.unwrap_or_else(|| assumed(defaults::STOP_TIMEOUT, Timeout(10_000))).0,
            },
            telemetry: telemetry(protocol.telemetry.as_ref()),
            gates: gates(experiment.gates.as_ref()),
            interleaved: None,
            procedure: procedure(&protocol),
            canary: protocol.canary.clone().unwrap_or_default().planned(),
            perplexity: protocol.perplexity.as_ref().map(|perplexity| self.perplexity(perplexity)),
        }
    }

    fn backend(
        &self,
        name: &str,
        kind: BackendKind,
        backend: &experiment::Backend,
        variant: &Variant,
        side: &Chosen,
    ) -> PlannedBackend {
        let device = match (&backend.device, device_prefix(kind)) {
            (Some(device), _) => device.as_str().to_owned(),
            (None, Some(prefix)) => format!("{prefix}0"),
            (None, None) => NO_DEVICE.to_owned(),
        };
        let label = match &backend.label {
            Some(label) => label.as_str(),
            None if name == kind.name() => usual_name(kind),
            None => name,
        };
        let of_side = if side.label.is_empty() { String::new() } else { format!(", {}", side.label) };
        PlannedBackend {
            name: name.to_owned(),
            label: format!("{label}{}{of_side}", variant.label),
            note: optional(backend.note.as_ref()),
            kind: Some(kind),
            build: String::new(),
            server: Settings::Decided(self.server(&side.server(&variant.server), &device)),
            device,
            environment: side.environment(&backend.env),
            tool: side.tool(backend.tool),
            memory_bandwidth: backend.memory_bandwidth.map(|bandwidth| bandwidth.0),
        }
    }

    fn server(&self, server: &experiment::Server, device: &str) -> ServerSettings {
        let threads = server.threads.unwrap_or_else(|| self.surroundings.usable_cores().max(1));
        let batch = server.batch.unwrap_or(defaults::BATCH);
        ServerSettings {
            gpu_layers: match server.gpu_layers {
                Some(LayerCount::Count(count)) => GpuLayers::Count(count),
                None if device == NO_DEVICE => GpuLayers::Count(0),
                Some(LayerCount::All) | None => GpuLayers::All,
            },
            flash_attn: server.flash_attn.unwrap_or(defaults::FLASH_ATTN),
            cache_type_k: server.cache_type_k.unwrap_or(CacheType::F16),
            cache_type_v: server.cache_type_v.unwrap_or(CacheType::F16),
            mmap: server.mmap.unwrap_or(defaults::MMAP),
            mlock: server.mlock.unwrap_or(defaults::MLOCK),
            threads,
            threads_batch: server.threads_batch.unwrap_or(threads),
            batch,
            ubatch: server.ubatch.unwrap_or(defaults::UBATCH.min(batch)),
        }
    }

    fn prompt(&mut self, name: &str, prompt: &sources::PromptSource) -> PlannedPrompt {
        let (file, text, tokens) = match prompt {
            sources::PromptSource::Text { text } => (None, Some(text), None),
            sources::PromptSource::File { file } => (Some(file), None, None),
            sources::PromptSource::Tokens { tokens, file, text } => {
                (file.as_ref(), text.as_ref(), Some(*tokens))
            }
        };
        let text = match (file, text) {
            (Some(file), _) => self.prompt_file(name, file.as_str()),
            (None, Some(text)) => text.as_str().to_owned(),
            (None, None) => defaults::PROSE.to_owned(),
        };
        let sha256 = Sha256::of_bytes(text.as_bytes());
        let content = match tokens {
            None => PromptContent::Text { text, sha256 },
            Some(tokens) => PromptContent::Tokens { tokens, text, sha256 },
        };
        PlannedPrompt { name: name.to_owned(), content }
    }

    fn prompt_file(&mut self, name: &str, file: &str) -> String {
        let place = || {
            let prompts = self.spec.root.get("prompts");
            let node = prompts.and_then(|prompts| prompts.get(name)).and_then(|prompt| prompt.get("file"));
            node.map_or(0..0, |node: &Node| node.span.clone())
        };
        if self.problems.len() >= MAX_PROBLEMS {
            return String::new();
        }
        match self.surroundings.read_prompt(Utf8Path::new(file)) {
            Ok(text) if text.trim().is_empty() => {
                let message = format!("the prompt `{file}` is empty");
                self.problems.push(
                    Problem::new("spec/prompt-empty", place(), message)
                        .help("write the prompt into that file"),
                );
                text
            }
            Ok(text) => text,
            Err(error) => {
                let message = format!("the prompt `{file}` cannot be read: {error}");
                let help = "the path is relative to the folder of the experiment";
                self.problems.push(Problem::new("spec/prompt-unreadable", place(), message).help(help));
                String::new()
            }
        }
    }
}

fn telemetry(telemetry: Option<&experiment::Telemetry>) -> TelemetryRate {
    let rate = telemetry.and_then(|telemetry| telemetry.rate);
    match rate.unwrap_or_else(|| assumed(defaults::TELEMETRY_RATE, SampleRate::Hertz(10))) {
        SampleRate::Off => TelemetryRate::Off,
        SampleRate::Hertz(hertz) => TelemetryRate::Hertz(hertz),
    }
}

/// A default that is written with its unit. A test reads each; the second is never used.
fn assumed<T: std::str::FromStr>(text: &str, otherwise: T) -> T {
    text.parse().unwrap_or(otherwise)
}

fn optional(line: Option<&Line>) -> String {
    line.map_or(String::new(), |line| line.as_str().to_owned())
}

fn usual_name(kind: BackendKind) -> &'static str {
    match kind {
        BackendKind::Cpu => "CPU",
        BackendKind::Vulkan => "Vulkan",
        BackendKind::Rocm => "ROCm",
        BackendKind::Cuda => "CUDA",
    }
}

/// A rule of the meaning says that one of the two is there.
fn kind(name: &str, backend: &experiment::Backend) -> BackendKind {
    backend.kind.or_else(|| kind_named(name)).unwrap_or(BackendKind::Cpu)
}

/// Kind, CMake variables and whether the engine is another than the plan's, which decide a build as far as an experiment
/// does, to the id of the build.
type Builds = BTreeMap<(BackendKind, BTreeMap<String, String>, bool), String>;

/// The id of the build of a backend. Backends that agree share one, which has the name of the first.
fn build(
    planned: &PlannedBackend,
    kind: BackendKind,
    backend: &experiment::Backend,
    side: &Chosen,
    extra_targets: &[String],
    known: &mut Builds,
    builds: &mut Vec<PlannedBuild>,
) -> String {
    let cmake = side.cmake(backend.build.as_ref());
    let id = known.entry((kind, cmake.clone(), side.engine.is_some())).or_insert_with(|| {
        // The baseline's is what the backend alone would have.
        let suffix = if side.arm == Some(Arm::Candidate) { side.suffix() } else { "" };
        let id = format!("{}{suffix}", planned.name);
        let engine = side.engine.clone();
        builds.push(PlannedBuild {
            id: id.clone(),
            kind,
            cmake,
            engine,
            extra_targets: extra_targets.to_vec(),
        });
        id
    });
    id.clone()
}

/// The backends that a backend of the experiment becomes, each with its name.
fn variants_of(name: &str, backend: &experiment::Backend) -> Vec<(String, Variant)> {
    let server = backend.server.clone().unwrap_or_default();
    let all = variants(&server, backend.matrix.as_ref()).into_iter();
    all.map(|variant| (format!("{name}{}", variant.name), variant)).collect()
}

/// What one run is, apart from its prompt.
struct Shape {
    max_tokens: u32,
    /// It is one of a list.
    is_listed: bool,
    depth: u32,
    concurrency: u32,
}

impl Shape {
    fn id(&self, names: [&str; 3]) -> String {
        case_id(names, self.depth, self.concurrency, self.is_listed.then_some(self.max_tokens))
    }
}

/// Every combination of depth, streams and length, in the author's order, the length changing fastest.
fn shapes(protocol: &experiment::Protocol) -> Vec<Shape> {
    let lengths = protocol.max_tokens.as_ref();
    let is_listed = matches!(lengths, Some(Numbers::List(_)));
    let lengths = lengths.map_or(&[defaults::MAX_TOKENS][..], Numbers::all);
    let depths = protocol.depth.as_ref().map_or(&[defaults::DEPTH][..], Numbers::all);
    let mut shapes = Vec::new();
    let concurrency = protocol.concurrency.as_ref().map_or(&[defaults::CONCURRENCY][..], Numbers::all);
    for depth in depths {
        for concurrency in concurrency {
            for max_tokens in lengths {
                let (max_tokens, depth, concurrency) = (*max_tokens, *depth, *concurrency);
                shapes.push(Shape { max_tokens, is_listed, depth, concurrency });
            }
        }
    }
    shapes
}

fn filler() -> Filler {
    let text = defaults::PROSE.to_owned();
    Filler { sha256: Sha256::of_bytes(text.as_bytes()), text }
}

fn cases(
    experiment: &Experiment,
    protocol: &experiment::Protocol,
    models: &[PlannedModel],
    prompts: &[&Name],
) -> Vec<Case> {
    let mut cases = Vec::new();
    for (model, planned) in experiment.models.iter().zip(models) {
        let only: Option<HashSet<&Name>> = model.backends.as_ref().map(|only| only.iter().collect());
        let chosen = experiment
            .backends
            .iter()
            .filter(|(name, _)| only.as_ref().is_none_or(|only| only.contains(name)));
        let backends = chosen.flat_map(|(name, backend)| variants_of(name.as_str(), backend));
        for (backend, _) in backends {
            for prompt in prompts {
                for shape in shapes(protocol) {
                    cases.push(Case {
                        id: shape.id([&planned.id, &backend, prompt.as_str()]),
                        model: planned.id.clone(),
                        backend: backend.clone(),
                        prompt: prompt.as_str().to_owned(),
                        max_tokens: shape.max_tokens,
                        depth: shape.depth,
                        concurrency: shape.concurrency,
                        context: protocol.context.unwrap_or(defaults::CONTEXT),
                        warmup: most_warmups(protocol),
                        runs: protocol.runs.unwrap_or(defaults::RUNS),
                        starts: starts(protocol),
                    });
                }
            }
        }
    }
    cases
}

/// How each metric is judged: those that the author names decide, with his margins; the others as is standard.
fn gates(gates: Option<&experiment::Gates>) -> Vec<Gate> {
    let Some(gates) = gates else { return defaults::GATES.to_vec() };
    let growth = |margin: Option<Growth>| margin.map(|margin| margin.0);
    let margin = |metric: Metric| match metric {
        Metric::Pp => gates.pp.map(|margin| margin.0),
        Metric::Tg => gates.tg.map(|margin| margin.0),
        Metric::TgStream => gates.tg_stream.map(|margin| margin.0),
        Metric::Ttft => growth(gates.ttft),
        Metric::TtftP95 => growth(gates.ttft_p95),
        Metric::TtftP99 => growth(gates.ttft_p99),
        Metric::Itl => growth(gates.itl),
        Metric::ItlP95 => growth(gates.itl_p95),
        Metric::ItlP99 => growth(gates.itl_p99),
        Metric::Load => growth(gates.load),
        Metric::Rss => growth(gates.rss),
        Metric::Vram => growth(gates.vram),
        Metric::Gtt => growth(gates.gtt),
        Metric::EnergyPrefill => growth(gates.energy_prefill),
        Metric::EnergyDecode => growth(gates.energy_decode),
    };
    let gate = |standard: &Gate| match margin(standard.metric) {
        // The patterns keep it small.
        Some(margin) => {
            Gate::with_margin(standard.metric, true, u32::try_from(margin).unwrap_or(standard.margin_ppm))
        }
        None => Gate { decides: false, ..*standard },
    };
    defaults::GATES.iter().map(gate).collect()
}

fn hardware(hardware: Option<&experiment::Hardware>) -> Hardware {
    let expect = hardware.and_then(|hardware| hardware.expect.as_ref());
    Hardware {
        label: optional(hardware.and_then(|hardware| hardware.label.as_ref())),
        memory_bandwidth: hardware
            .and_then(|hardware| hardware.memory_bandwidth)
            .map(|bandwidth| bandwidth.0),
        expect_gpu: expect.and_then(|expect| expect.gpu.as_ref()).map(|gpu| gpu.as_str().to_owned()),
        expect_memory: expect.and_then(|expect| expect.memory_at_least).map_or(0, |size| size.0),
    }
}

pub(crate) fn engine(engine: &experiment::Engine) -> Engine {
    let rev = match &engine.source {
        sources::EngineSource::Git { rev, .. } => rev.as_str(),
        _ => "",
    };
    let commit = match &engine.commit {
        Some(commit) => commit.as_str(),
        None if is_commit(rev) => rev,
        None => "unknown",
    };
    let source = match &engine.source {
        sources::EngineSource::Git { git, rev } => {
            EngineSource::Git { url: git.as_str().to_owned(), rev: rev.as_str().to_owned() }
        }
        sources::EngineSource::Archive { archive, sha256, subdir } => EngineSource::Archive {
            location: archive.as_str().to_owned(),
            sha256: digest(sha256),
            subdir: subdir.as_ref().map_or(String::new(), |path| path.as_str().to_owned()),
        },
        sources::EngineSource::Path { path } => EngineSource::Path { path: path.as_str().to_owned() },
        sources::EngineSource::Package { package, sha256, subdir } => EngineSource::Package {
            package: self::package(package),
            sha256: digest(sha256),
            subdir: subdir.as_ref().map_or(String::new(), |path| path.as_str().to_owned()),
        },
        sources::EngineSource::Prebuilt { prebuilt } => {
            EngineSource::Prebuilt { path: prebuilt.as_str().to_owned() }
        }
    };
    Engine {
        source,
        build_number: engine.build_number.or_else(|| build_number(rev)).unwrap_or(0),
        commit: commit.to_owned(),
    }
}

fn planned_model(model: &experiment::Model) -> PlannedModel {
    let quant = match (&model.quant, &model.source) {
        (None, sources::ModelSource::Synthetic { synthetic, .. }) => synthetic.quant.name().to_owned(),
        (quant, _) => optional(quant.as_ref()),
    };
    let id = match &model.id {
        Some(id) => id.as_str().to_owned(),
        None => model_id(model.name.as_str(), &quant),
    };
    let count = |count: Option<&crate::text::ParameterCount>| {
        count.map_or(String::new(), |count| count.as_str().to_owned())
    };
    let params = model.params.as_ref();
    let source = match &model.source {
        sources::ModelSource::File { file, sha256 } => {
            ModelSource::File { file: file.as_str().to_owned(), sha256: sha256.as_ref().map(digest) }
        }
        sources::ModelSource::Url { url, sha256 } => {
            ModelSource::Url { url: url.as_str().to_owned(), sha256: digest(sha256) }
        }
        sources::ModelSource::Huggingface { huggingface, file, revision, endpoint, sha256 } => {
            ModelSource::Huggingface {
                repo: huggingface.as_str().to_owned(),
                revision: revision
                    .as_ref()
                    .map_or(defaults::REVISION, |revision| revision.as_str())
                    .to_owned(),
                file: file.as_str().to_owned(),
                endpoint: endpoint.as_ref().map_or(String::new(), |endpoint| endpoint.as_str().to_owned()),
                sha256: sha256.as_ref().map(digest),
            }
        }
        sources::ModelSource::Package { package, sha256, member } => ModelSource::Package {
            package: self::package(package),
            sha256: digest(sha256),
            member: member.as_str().to_owned(),
        },
        sources::ModelSource::Synthetic { synthetic, sha256 } => {
            ModelSource::Synthetic { model: synthetic.decided(), sha256: sha256.as_ref().map(digest) }
        }
    };
    PlannedModel {
        id,
        name: model.name.as_str().to_owned(),
        quant,
        vision: model.vision.unwrap_or(false),
        note: optional(model.note.as_ref()),
        claimed_parameters: count(params.and_then(|params| params.total.as_ref())),
        claimed_active_parameters: count(params.and_then(|params| params.active.as_ref())),
        claimed_file_size: String::new(),
        source,
    }
}

/// The pattern of the schema is that of a digest, so the second way is never taken.
pub(crate) fn digest(digest: &Digest) -> Sha256 {
    digest.as_str().parse().unwrap_or_else(|_| Sha256::of_bytes(digest.as_str().as_bytes()))
}

/// `pkg:REGISTRY/NAME@VERSION`, which the pattern of the schema holds it to.
fn package(package: &PackageUrl) -> Package {
    let text = package.as_str();
    let (registry, rest) =
        text.strip_prefix("pkg:").unwrap_or(text).split_once('/').unwrap_or(("pypi", text));
    let (name, version) = rest.split_once('@').unwrap_or((rest, ""));
    Package { registry: registry.to_owned(), name: name.to_owned(), version: version.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_with_a_unit_is_read() {
        assert_eq!(defaults::COOLDOWN.parse(), Ok(crate::units::Duration(0)));
        assert_eq!(defaults::LOAD_TIMEOUT.parse(), Ok(Timeout(600_000)));
        assert_eq!(defaults::REQUEST_TIMEOUT.parse(), Ok(Timeout(600_000)));
        assert_eq!(defaults::STOP_TIMEOUT.parse(), Ok(Timeout(10_000)));
        assert_eq!(defaults::TELEMETRY_RATE.parse(), Ok(SampleRate::Hertz(10)));
    }
}
