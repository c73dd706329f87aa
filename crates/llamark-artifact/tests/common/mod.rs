//! A sample plan and what came of it, with a clock that ticks once a second: the same set, byte for byte, each time.
#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses a part of this")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use llamark_artifact::{Given, SetWriter, Store};
use llamark_record::Sha256;
use llamark_record::build::{BuildInputs, BuildRecord};
use llamark_record::environment::{ENVIRONMENT_FORMAT, Environment, Fact};
use llamark_record::journal::{
    BrokenRule, Buffer, BufferKind, BuildEvent, CaseClosed, Event, Failure, FailureKind, Gaps, LoadStages,
    MappedFile, Measurement, Outcome, Proof, Rule, RunRecord, StartClosed, StartId, StartOpened, StartReady,
};
use llamark_record::model::{FileIdentity, ModelFacts, ModelRecord};
use llamark_record::plan::{
    BackendKind, CacheType, Case, Engine, EngineSource, GpuLayers, Hardware, ModelSource, Origin,
    PLAN_FORMAT, Package, Plan, PlannedBackend, PlannedBuild, PlannedModel, PlannedPrompt, PlannedStart,
    Procedure, PromptContent, ResolvedPlan, ServerSettings, Settings, TelemetryRate, Timeouts, Tool,
};

/// The seed of a plan; another one gives other numbers.
const SEED: u32 = 7;

/// A temporary folder and its path: in memory where that is possible, since these tests flush a thousand times.
pub(crate) fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_error| tempfile::tempdir()).unwrap();
    let path = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
    (folder, path)
}

/// Writes a file as another program would: neither atomic nor durable.
#[expect(clippy::disallowed_methods, reason = "a test that damages files, or plays the server")]
pub(crate) fn write(path: &Utf8Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// Every file under a folder by its path, with its content; sorted.
pub(crate) fn content(folder: &Utf8Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir_utf8().unwrap() {
            let path = entry.unwrap().path().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string();
                found.push((name, fs_err::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A folder with that content.
pub(crate) fn lay_out(folder: &Utf8Path, content: &[(String, Vec<u8>)]) {
    for (name, bytes) in content {
        let path = folder.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, bytes);
    }
}

/// A store whose clock begins at a fixed moment and ticks a second each time it is asked.
pub(crate) fn store(root: &Utf8Path) -> Store {
    let ticks = AtomicI64::new(1_795_366_800);
    Store::with_clock(root, move || Timestamp::from_second(ticks.fetch_add(1, Ordering::Relaxed)).unwrap())
}

/// The digest of a word: stands for the content of a file that is not there.
pub(crate) fn digest(word: &str) -> Sha256 {
    Sha256::of_bytes(word.as_bytes())
}

fn text_map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn server(gpu_layers: GpuLayers) -> ServerSettings {
    ServerSettings {
        gpu_layers,
        flash_attn: false,
        cache_type_k: CacheType::F16,
        cache_type_v: CacheType::F16,
        mmap: true,
        mlock: false,
        threads: 8,
        threads_batch: 8,
        batch: 2048,
        ubatch: 512,
    }
}

fn backend(name: &str, label: &str, kind: BackendKind, device: &str, note: &str) -> PlannedBackend {
    PlannedBackend {
        name: name.to_owned(),
        label: label.to_owned(),
        note: note.to_owned(),
        kind: Some(kind),
        build: name.to_owned(),
        device: device.to_owned(),
        server: Settings::Decided(server(if kind == BackendKind::Cpu {
            GpuLayers::Count(0)
        } else {
            GpuLayers::All
        })),
        environment: BTreeMap::new(),
        tool: Tool::LlamaServer,
        memory_bandwidth: None,
    }
}

fn model(id: &str, name: &str, source: ModelSource) -> PlannedModel {
    PlannedModel {
        id: id.to_owned(),
        name: name.to_owned(),
        quant: String::new(),
        vision: false,
        note: String::new(),
        claimed_parameters: String::new(),
        claimed_active_parameters: String::new(),
        claimed_file_size: String::new(),
        source,
    }
}

/// Shape of a sample: how much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) models: usize,
    pub(crate) backends: usize,
    pub(crate) starts: u32,
    pub(crate) warmup: u32,
    pub(crate) runs: u32,
    pub(crate) tokens: u32,
}

/// Two models, two backends, two starts of one warm-up and three runs.
pub(crate) const SAMPLE: Shape = Shape { models: 2, backends: 2, starts: 2, warmup: 1, runs: 3, tokens: 16 };

/// The least that has everything in it: for tests that try every byte.
pub(crate) const TINY: Shape = Shape { models: 1, backends: 1, starts: 1, warmup: 1, runs: 1, tokens: 2 };

/// The plan of a sample.
pub(crate) fn plan(shape: Shape) -> ResolvedPlan {
    let package =
        Package { registry: "pypi".to_owned(), name: "llm-small".to_owned(), version: "0.1.2".to_owned() };
    let models = [
        model(
            "small-135m-q4_1",
            "Small 135M Instruct",
            ModelSource::Package {
                package,
                sha256: digest("wheel"),
                member: "llm_small/Small-135M-Instruct.Q4_1.gguf".to_owned(),
            },
        ),
        model(
            "middle-8b-q4_k_m",
            "Middle 8B Instruct",
            ModelSource::File { file: "Middle-8B-Instruct-Q4_K_M.gguf".to_owned(), sha256: None },
        ),
    ][..shape.models]
        .to_vec();
    let backends = [
        backend("cpu", "CPU", BackendKind::Cpu, "none", "no GPU offload"),
        backend("vulkan", "Vulkan", BackendKind::Vulkan, "Vulkan0", ""),
    ][..shape.backends]
        .to_vec();
    let builds: Vec<PlannedBuild> = backends
        .iter()
        .map(|backend| PlannedBuild {
            id: backend.name.clone(),
            kind: backend.kind.unwrap(),
            cmake: match backend.kind {
                Some(BackendKind::Vulkan) => text_map(&[("GGML_VULKAN", "ON")]),
                _ => BTreeMap::new(),
            },
            engine: None,
            extra_targets: Vec::new(),
        })
        .collect();
    let text = "Explain how a suspension bridge carries its load.";
    let content = PromptContent::Text { text: text.to_owned(), sha256: digest(text) };
    let prompt = PlannedPrompt { name: "bridge".to_owned(), content };
    let mut cases = Vec::new();
    for model in &models {
        for backend in &backends {
            cases.push(Case {
                id: format!("{}/{}/bridge", model.id, backend.name),
                model: model.id.clone(),
                backend: backend.name.clone(),
                prompt: prompt.name.clone(),
                max_tokens: shape.tokens,
                depth: 0,
                concurrency: 1,
                context: 2048,
                warmup: shape.warmup,
                runs: shape.runs,
                starts: shape.starts,
            });
        }
    }
    let schedule = (1..=shape.starts)
        .flat_map(|start| cases.iter().map(move |case| PlannedStart { case: case.id.clone(), start }))
        .collect();
    let model_files = models
        .iter()
        .map(|model| {
            let name = match &model.source {
                ModelSource::File { file, .. } => file.clone(),
                _ => "Small-135M-Instruct.Q4_1.gguf".to_owned(),
            };
            let bytes = if model.id.starts_with("small") { 98_304_000 } else { 4_920_000_000 };
            (model.id.clone(), vec![FileIdentity { sha256: digest(&name), name, bytes }])
        })
        .collect();
    let build_keys = builds.iter().map(|build| (build.id.clone(), build_record(build).key)).collect();
    ResolvedPlan {
        format: PLAN_FORMAT.to_owned(),
        plan: Plan {
            origin: Origin::Experiment,
            name: "sample".to_owned(),
            title: "Inference Benchmark Results".to_owned(),
            description: "A sample for tests: nothing in it was measured.".to_owned(),
            hardware: Hardware {
                label: "A sample machine — 8 cores, 64 GB".to_owned(),
                memory_bandwidth: Some(100_000_000_000),
                expect_gpu: None,
                expect_memory: 0,
            },
            engine: Engine {
                source: EngineSource::Git {
                    url: "https://github.com/ggml-org/llama.cpp".to_owned(),
                    rev: "b11434".to_owned(),
                },
                build_number: 11434,
                commit: "0123456".to_owned(),
            },
            builds,
            backends,
            models,
            prompts: vec![prompt],
            cases,
            filler: None,
            schedule,
            seed: SEED,
            cooldown_ms: 0,
            timeouts: Timeouts { load_ms: 600_000, request_ms: 600_000, stop_ms: 5_000 },
            telemetry: TelemetryRate::Off,
            gates: llamark_record::plan::STANDARD_GATES.to_vec(),
            interleaved: None,
            procedure: Procedure::default(),
            ab: None,
            canary: None,
            perplexity: None,
        },
        engine_tree: Some(digest("tree")),
        engine_trees: BTreeMap::new(),
        build_keys,
        model_files,
    }
}

/// The record of a build.
pub(crate) fn build_record(build: &PlannedBuild) -> BuildRecord {
    let inputs = BuildInputs {
        format: "llamark/build/v1".to_owned(),
        source_tree: digest("tree"),
        kind: build.kind,
        cmake: build.cmake.clone(),
        targets: vec!["llama-bench".to_owned(), "llama-server".to_owned()],
        tools: text_map(&[("cmake", "cmake version 3.31.6"), ("c++", "c++ (Debian 12.2.0-14) 12.2.0")]),
        sdk: BTreeMap::new(),
        environment: text_map(&[("LANG", "C.UTF-8")]),
        machine: "linux-x86_64".to_owned(),
    };
    let file = |name: &str, bytes| FileIdentity {
        name: format!("bin/{name}"),
        bytes,
        sha256: digest(&format!("{}/{name}", build.id)),
    };
    let devices = match build.kind {
        BackendKind::Vulkan => vec!["Vulkan0: Sample Graphics (RADV) (65536 MiB, 60000 MiB free)".to_owned()],
        _ => Vec::new(),
    };
    BuildRecord {
        format: "llamark/build/v1".to_owned(),
        key: Sha256::of_canonical_json(&inputs).unwrap(),
        inputs: Some(inputs),
        files: vec![file("llama-bench", 5_000_000), file("llama-server", 9_000_000)],
        server: "bin/llama-server".to_owned(),
        bench: Some("bin/llama-bench".to_owned()),
        version: "version: 11434 (0123456)".to_owned(),
        devices,
        configure_facts: vec![format!("Including {} backend", build.kind.name().to_uppercase())],
        took_ms: 61_234,
    }
}

/// The record of a model.
pub(crate) fn model_record(resolved: &ResolvedPlan, id: &str) -> ModelRecord {
    let small = id.starts_with("small");
    let files = resolved.model_files[id].clone();
    let tensor_bytes = files[0].bytes - 4096;
    let parameters: u64 = if small { 134_515_008 } else { 8_030_261_248 };
    let facts = ModelFacts {
        architecture: "llama".to_owned(),
        name: Some(if small { "Small 135M Instruct" } else { "Middle 8B Instruct" }.to_owned()),
        file_type: Some(if small { "Q4_1" } else { "Q4_K_M" }.to_owned()),
        parameters,
        active_parameters: parameters,
        tensor_bytes,
        bytes_per_token: tensor_bytes - 1_000_000,
        kv_bytes_per_position: Some(if small { 46_080 } else { 131_072 }),
        bits_per_weight: if small { 5.846_101 } else { 4.901_482 },
        context_length: Some(if small { 8192 } else { 131_072 }),
        layers: Some(if small { 30 } else { 32 }),
        experts: None,
        experts_used: None,
        vocabulary: Some(if small { 49_152 } else { 128_256 }),
        bytes_by_type: BTreeMap::from([("F32".to_owned(), 4096), ("Q4_1".to_owned(), tensor_bytes - 4096)]),
        shards: 1,
    };
    ModelRecord { id: id.to_owned(), files, facts: Some(facts), contradictions: Vec::new() }
}

/// The sample machine.
pub(crate) fn environment() -> Environment {
    let facts = [
        ("cpu.logical", "16", "/proc/cpuinfo"),
        ("cpu.model", "Sample Processor 8-Core", "/proc/cpuinfo"),
        ("gpu.0.driver", "radv 25.2", "vulkaninfo"),
        ("gpu.0.name", "Sample Graphics", "vulkaninfo"),
        ("kernel.release", "6.16.0", "uname"),
        ("machine.architecture", "x86_64", "uname"),
        ("memory.total_bytes", "68719476736", "/proc/meminfo"),
        ("os.name", "Debian GNU/Linux 13 (trixie)", "/etc/os-release"),
    ];
    let mut facts: BTreeMap<String, Fact> = facts
        .into_iter()
        .map(|(name, value, source)| {
            let fact = Fact { value: Some(value.to_owned()), source: source.to_owned(), error: None };
            (name.to_owned(), fact)
        })
        .collect();
    let hidden = Fact {
        value: None,
        source: "/sys/devices/system/cpu/cpu0/microcode/version".to_owned(),
        error: Some("permission denied".to_owned()),
    };
    facts.insert("cpu.microcode".to_owned(), hidden);
    Environment { format: ENVIRONMENT_FORMAT.to_owned(), facts }
}

/// How one planned start of a sample goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// As planned.
    Ok,
    /// As planned, but the second run ends early.
    OneInvalidRun,
    /// Memory is not enough.
    OutOfMemory,
}

/// A number that looks measured and is the same each time: `base`, moved by less than `per_mille` thousandths.
fn wobble(base: u64, per_mille: u64, seed: &str) -> u64 {
    let digest = Sha256::of_bytes(seed.as_bytes());
    let draw = u64::from_str_radix(&digest.as_str()[..8], 16).unwrap() % 2001;
    // draw is 0..=2000: from -1 to +1 in thousandths.
    base + base * per_mille * draw / 1_000_000 - base * per_mille / 1000
}

/// Microseconds of one token, and of the whole prompt, by case.
fn pace(case: &Case) -> (u64, u64) {
    let slow = if case.model.starts_with("small") { 1 } else { 20 };
    let fast = if case.backend == "vulkan" { 4 } else { 1 };
    (12_000 * slow / fast, 80_000 * slow / fast / fast)
}

/// One run. `luck` makes other numbers of it.
pub(crate) fn run(case: &Case, id: &StartId, index: u32, warmup: bool, fate: Fate, luck: &str) -> RunRecord {
    let of_start = format!("{luck}{}/{}", id.case, id.start);
    let seed = format!("{of_start}/{index}/{warmup}");
    let (token_us, prompt_us) = pace(case);
    let early = fate == Fate::OneInvalidRun && index == 2 && !warmup;
    let generated_tokens = if early { case.max_tokens / 2 } else { case.max_tokens };
    // The first run of a start is a little slower, and a start has its own pace.
    let token_us = wobble(token_us, 20, &of_start) + if warmup { token_us / 10 } else { 0 };
    let token_us = wobble(token_us, 5, &seed);
    let prompt_us = wobble(prompt_us, 15, &seed);
    let steps = u64::from(generated_tokens) - 1;
    let first_token_ns = prompt_us * 1000 + 412_345;
    let arrivals: Vec<(u32, u64)> =
        (1..=generated_tokens).map(|n| (n, first_token_ns + u64::from(n - 1) * token_us * 1000)).collect();
    let gaps = Gaps::of([arrivals.as_slice()].into_iter());
    let broken = if early {
        let detail = format!("{generated_tokens} tokens, {} were asked for", case.max_tokens);
        vec![BrokenRule { rule: Rule::ExactLength, detail }]
    } else {
        Vec::new()
    };
    RunRecord {
        id: id.clone(),
        index,
        warmup,
        measurement: Some(Measurement {
            prompt_tokens: 11,
            cached_tokens: Some(0),
            prompt_us,
            generated_tokens,
            generation_us: steps * token_us,
            first_token_ns,
            total_ns: first_token_ns + steps * token_us * 1000 + 251_000,
            arrivals,
            output_ids: Some(digest(&format!("{}/{generated_tokens}", case.model)).into()),
        }),
        streams: Vec::new(),
        gaps,
        bench: None,
        broken,
    }
}

/// The events of one start, in order.
pub(crate) fn start_events(resolved: &ResolvedPlan, id: &StartId, fate: Fate) -> Vec<Event> {
    let case = resolved.plan.case(&id.case).unwrap();
    let backend = resolved.plan.backend(&case.backend).unwrap();
    let conditions = text_map(&[("cpu.governor", "performance"), ("memory.available_bytes", "60000000000")]);
    let file = &resolved.model_files[&case.model][0];
    let argv = ["{build}/bin/llama-server", "--model", "{model}", "--port", "0"].map(str::to_owned).to_vec();
    let mut events = vec![Event::StartOpened(StartOpened {
        id: id.clone(),
        argv,
        environment: text_map(&[("LANG", "C.UTF-8")]),
        conditions: conditions.clone(),
        changed: BTreeMap::new(),
        cache: Vec::new(),
        cooled: None,
        pace: None,
    })];
    let mut closed = StartClosed {
        id: id.clone(),
        outcome: Outcome::Ok,
        exit_code: Some(0),
        signal: None,
        max_rss_bytes: Some(file.bytes + 300_000_000),
        lifetime_us: 4_000_000,
        conditions,
        changed: BTreeMap::new(),
        pace: None,
    };
    if fate == Fate::OutOfMemory {
        closed.exit_code = Some(1);
        closed.outcome = Outcome::Failed(Failure {
            kind: FailureKind::OutOfMemory,
            detail: "the device has not enough memory for the model".to_owned(),
            log: vec!["ggml_vulkan: Device memory allocation of size 4920000000 failed.".to_owned()],
            hint: "use fewer layers on the device (gpu_layers), or a smaller quantization".to_owned(),
        });
        events.push(Event::StartClosed(closed));
        return events;
    }
    let ready_us = wobble(file.bytes / 2000, 30, &format!("load/{}/{}", id.case, id.start));
    let proof = |setting: &str, asked: &str, observed: Option<&str>, source: &str| Proof {
        setting: setting.to_owned(),
        asked: asked.to_owned(),
        observed: observed.map(str::to_owned),
        source: source.to_owned(),
        agrees: observed.map(|observed| observed == asked),
    };
    let holder = if backend.is_cpu() { "CPU_Mapped" } else { "Vulkan0" };
    events.push(Event::StartReady(StartReady {
        id: id.clone(),
        load: LoadStages { first_line_us: Some(9_500), weights_us: Some(ready_us * 9 / 10), ready_us },
        proofs: vec![
            proof("device", &backend.device, Some(&backend.device), "log"),
            proof("context", "2048", Some("2048"), "/props"),
            proof("flash_attn", "off", None, "log"),
        ],
        buffers: vec![
            Buffer { device: holder.to_owned(), holds: BufferKind::Model, bytes: file.bytes },
            Buffer { device: holder.to_owned(), holds: BufferKind::Kv, bytes: 94_371_840 },
        ],
        build_info: "b11434-0123456".to_owned(),
        prompt_tokens: 11,
        prompt_ids: digest("prompt ids"),
        depth_ids: None,
        mapped: vec![MappedFile {
            path: "/usr/lib/libc.so.6".to_owned(),
            bytes: Some(1_922_136),
            sha256: Some(digest("libc")),
            error: None,
        }],
    }));
    let luck = if resolved.plan.seed == SEED { String::new() } else { resolved.plan.seed.to_string() };
    let run = |index, warmup| Event::Run(run(case, id, index, warmup, fate, &luck));
    events.extend((1..=case.warmup).map(|index| run(index, true)));
    events.extend((1..=case.runs).map(|index| run(index, false)));
    events.push(Event::StartClosed(closed));
    events
}

/// The fate of a planned start in the sample set.
pub(crate) fn fate(id: &StartId) -> Fate {
    match (&*id.case, id.start) {
        ("middle-8b-q4_k_m/vulkan/bridge", _) => Fate::OutOfMemory,
        ("small-135m-q4_1/vulkan/bridge", 2) => Fate::OneInvalidRun,
        _ => Fate::Ok,
    }
}

/// The experiment that goes with the plan, as an author might write it.
pub(crate) const SPEC_TEXT: &str = "schema: llamark/experiment/v1\nname: sample\n# a sample for tests\n";

/// Begins a sample set.
pub(crate) fn begin(store: &Store, resolved: &ResolvedPlan) -> SetWriter {
    store.create(resolved, &Given::Experiment(SPEC_TEXT), &environment(), "0.1.0").unwrap()
}

/// The event of a build.
pub(crate) fn build_event(build: &PlannedBuild) -> Event {
    Event::Build(BuildEvent { id: build.id.clone(), record: build_record(build) })
}

/// Records models and builds.
pub(crate) fn record_inputs(writer: &mut SetWriter, resolved: &ResolvedPlan) {
    for model in &resolved.plan.models {
        writer.append(Event::Model(model_record(resolved, &model.id))).unwrap();
    }
    for build in &resolved.plan.builds {
        writer.append(build_event(build)).unwrap();
    }
}

/// As [`record_inputs`], for what a resumed set does not have yet.
pub(crate) fn record_inputs_again(writer: &mut SetWriter, resolved: &ResolvedPlan) {
    if writer.ledger().end.is_none() {
        record_inputs(writer, resolved);
    }
}

/// Does all that is pending, and closes each case as soon as its starts settle it.
pub(crate) fn finish(writer: &mut SetWriter, resolved: &ResolvedPlan) {
    for case in &resolved.plan.cases {
        close_if_settled(writer, &case.id);
    }
    // Asked for once: in a large set that takes as long as a start.
    for id in writer.ledger().pending() {
        if writer.ledger().case(&id.case).unwrap().outcome.is_some() {
            continue;
        }
        let log = writer.log_path(&id).unwrap();
        write(&log, format!("main: server is listening, start {}\n", id.start).as_bytes());
        for event in start_events(resolved, &id, fate(&id)) {
            writer.append(event).unwrap();
        }
        close_if_settled(writer, &id.case);
    }
}

fn close_if_settled(writer: &mut SetWriter, id: &str) {
    let case = writer.ledger().case(id).unwrap();
    if let (None, Some(outcome)) = (&case.outcome, case.outcome_of_starts()) {
        writer.append(Event::CaseClosed(CaseClosed { case: id.to_owned(), outcome })).unwrap();
    }
}

/// A whole sealed set; its folder.
pub(crate) fn sealed(root: &Utf8Path, shape: Shape) -> Utf8PathBuf {
    sealed_plan(root, &plan(shape))
}

/// A whole sealed set of that plan; its folder.
pub(crate) fn sealed_plan(root: &Utf8Path, resolved: &ResolvedPlan) -> Utf8PathBuf {
    let mut writer = begin(&store(root), resolved);
    record_inputs(&mut writer, resolved);
    finish(&mut writer, resolved);
    writer.put("notes.txt", b"a derived file\n").unwrap();
    writer.seal(Vec::new()).unwrap()
}
