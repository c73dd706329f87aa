//! A plan of one case, a fake llama-server that misbehaves as told, and what a start of it left behind.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests, which clippy does not take for tests"
)]
#![allow(clippy::allow_attributes, reason = "an expectation would fail in the binary that uses all of it")]

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_bench::host::Roots;
use llamark_bench::probe::{self, ServerHelp};
use llamark_bench::{
    KnownFiles, Progress, RecordError, Recorder, Start, canary_reference, perplexity, perplexity_case,
    reference_parts, run_start,
};
use llamark_process::Interrupt;
use llamark_record::Sha256;
use llamark_record::build::BuildRecord;
use llamark_record::canary::CanaryOutcome;
use llamark_record::journal::{
    Event, Failure, Outcome, Rule, RunRecord, StartClosed, StartId, StartOpened, StartReady,
};
use llamark_record::llama_bench::BenchReport;
use llamark_record::model::FileIdentity;
use llamark_record::perplexity::PerplexityOutcome;
use llamark_record::plan::{
    BackendKind, CacheType, Case, Engine, EngineSource, Filler, GpuLayers, Hardware, Origin, Plan,
    PlannedBackend, PlannedBuild, PlannedCanary, PlannedPerplexity, PlannedPrompt, PlannedStart, Procedure,
    PromptContent, ServerSettings, Settings, TelemetryRate, Timeouts, Tool,
};
use serde_json::Value;

/// Words of the prompt; the fake makes a token of each, and one for the beginning.
pub const PROMPT: &str = "the quick brown fox jumps over the lazy dog";
/// What fills the context before it.
pub const FILLER: &str = "once upon a time there was a river";
/// Tokens of the prompt.
pub const PROMPT_TOKENS: u32 = 10;

/// Everything that a start needs.
pub struct Bench {
    pub plan: Plan,
    pub help: ServerHelp,
    pub bench_help: Option<ServerHelp>,
    pub build: BuildRecord,
    pub model: Utf8PathBuf,
    pub interrupt: Interrupt,
    /// No start takes longer, whatever the server does.
    pub deadline: Duration,
    root: Utf8PathBuf,
    pub build_folder: Utf8PathBuf,
    _folder: Option<tempfile::TempDir>,
}

/// What a start left behind.
#[derive(Debug)]
pub struct Ran {
    pub outcome: Outcome,
    pub events: Vec<Event>,
    pub progress: Vec<Progress>,
    pub took: Duration,
    pub log: String,
}

/// Keeps events in memory.
#[derive(Default)]
pub struct Memory {
    pub events: Vec<Event>,
    /// Files by their extension.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Fails at this event.
    pub fails_at: Option<usize>,
}

impl Recorder for Memory {
    fn record(&mut self, event: Event) -> Result<(), RecordError> {
        if self.fails_at == Some(self.events.len()) {
            return Err(RecordError::new("the disk is full"));
        }
        self.events.push(event);
        Ok(())
    }

    fn attach(&mut self, _: &StartId, extension: &str, bytes: &[u8]) -> Result<(), RecordError> {
        self.files.insert(extension.to_owned(), bytes.to_vec());
        Ok(())
    }
}

/// Where cargo puts the fake: `examples/`, beside the folder of the test.
pub fn fake_server() -> Utf8PathBuf {
    let here = Utf8PathBuf::from_path_buf(std::env::current_exe().unwrap()).unwrap();
    let fake = here.parent().unwrap().parent().unwrap().join("examples/fake_llama_server");
    assert!(fake.exists(), "{fake} is not there: `cargo test -p llamark-bench` builds it");
    fake
}

pub fn write(path: &Utf8Path, text: &str) {
    llamark_artifact::files::write_atomic(path, text.as_bytes()).unwrap();
}

impl Bench {
    /// A bench with the fake, which behaves as `behaviour` says.
    pub fn new(behaviour: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
        let build_folder = root.join("build");
        let models = root.join("models");
        for folder in [&build_folder.join("bin"), &models] {
            std::fs::create_dir_all(folder).unwrap();
        }
        symlink(fake_server(), build_folder.join("bin/llama-server")).unwrap();
        symlink(fake_server(), build_folder.join("bin/llama-bench")).unwrap();
        write(&models.join("fake.gguf"), &behaviour.to_string());
        // What it looks like must be known to `--help`, which gets no model.
        let beside: BTreeMap<&str, &Value> = ["version", "devices"]
            .into_iter()
            .filter_map(|name| Some((name, behaviour.get(name)?)))
            .collect();
        write(&build_folder.join("bin/fake.json"), &serde_json::to_string(&beside).unwrap());
        let model = models.join("fake.gguf");
        Self::with(root, build_folder, "bin/llama-server", model, Some(folder), BTreeMap::new())
    }

    /// With everything in the folder of the build as what was built: a server maps its libraries from there.
    pub fn with_all_files(mut self) -> Self {
        for entry in self.build_folder.read_dir_utf8().unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_owned();
            if name.contains(".so") || name.starts_with("llama-") {
                let bytes = std::fs::read(entry.path()).unwrap();
                let sha256 = Sha256::of_bytes(&bytes);
                self.build.files.push(FileIdentity { name, bytes: bytes.len() as u64, sha256 });
            }
        }
        self
    }

    /// A bench with any server.
    pub fn with(
        root: Utf8PathBuf,
        build_folder: Utf8PathBuf,
        server: &str,
        model: Utf8PathBuf,
        folder: Option<tempfile::TempDir>,
        environment: BTreeMap<String, String>,
    ) -> Self {
        let interrupt = Interrupt::new();
        let help = probe::probe(&build_folder.join(server), &environment, &interrupt).unwrap();
        let build = BuildRecord {
            format: "llamark/build/v1".to_owned(),
            key: Sha256::of_bytes(b"build"),
            inputs: None,
            files: Vec::new(),
            server: server.to_owned(),
            bench: None,
            version: help.version.clone(),
            devices: Vec::new(),
            configure_facts: Vec::new(),
            took_ms: 0,
        };
        let mut plan = plan();
        plan.backends[0].environment = environment;
        Self {
            deadline: Duration::from_secs(15),
            plan,
            help,
            bench_help: None,
            build,
            model,
            interrupt,
            root,
            build_folder,
            _folder: folder,
        }
    }

    pub fn case(&mut self) -> &mut Case {
        &mut self.plan.cases[0]
    }

    pub fn backend(&mut self) -> &mut PlannedBackend {
        &mut self.plan.backends[0]
    }

    /// A prompt of exactly so many tokens.
    pub fn tokens(mut self, tokens: u32) -> Self {
        let text = PROMPT.to_owned();
        let sha256 = Sha256::of_bytes(text.as_bytes());
        self.plan.prompts[0].content = PromptContent::Tokens { tokens, text, sha256 };
        self
    }

    /// So many tokens of context before the prompt.
    pub fn deep(mut self, depth: u32) -> Self {
        let text = FILLER.to_owned();
        self.plan.filler = Some(Filler { sha256: Sha256::of_bytes(text.as_bytes()), text });
        self.case().depth = depth;
        self
    }

    /// Prepared and warmed up so, with at most so many warm-up runs.
    pub fn procedure(mut self, procedure: Procedure, warmup: u32) -> Self {
        self.plan.procedure = procedure;
        self.case().warmup = warmup;
        self
    }

    /// So many requests at once.
    pub fn streams(mut self, count: u32) -> Self {
        self.case().concurrency = count;
        self
    }

    /// Limits of 300 ms, for a server that hangs.
    pub fn impatient(mut self) -> Self {
        self.plan.timeouts = Timeouts { load_ms: 300, request_ms: 300, stop_ms: 300 };
        self
    }

    /// Measures by llama-bench, beside the server.
    pub fn by_llama_bench(mut self) -> Self {
        let name = self.build.server.replace("llama-server", "llama-bench");
        let help = probe::probe_bench(
            &self.build_folder.join(&name),
            &self.plan.backends[0].environment,
            &self.interrupt,
        );
        self.bench_help = Some(help.unwrap());
        self.build.bench = Some(name);
        self.backend().tool = Tool::LlamaBench;
        self
    }

    /// Asks for a device.
    pub fn on_vulkan(mut self) -> Self {
        self.backend().kind = Some(BackendKind::Vulkan);
        self.backend().device = "Vulkan0".to_owned();
        self
    }

    pub async fn run(&self) -> Ran {
        self.run_with(&mut Memory::default(), |_| ()).await.unwrap()
    }

    pub async fn run_with(
        &self,
        recorder: &mut Memory,
        observer: impl Fn(&Progress),
    ) -> Result<Ran, llamark_bench::BenchError> {
        let case = &self.plan.cases[0];
        let roots = Roots::default();
        let environment = llamark_bench::host::environment(&roots);
        let known_files = KnownFiles::default();
        known_files.pin([&self.model]);
        let start = Start {
            id: StartId { case: (&case.id).into(), start: 1, attempt: 1 },
            plan: &self.plan,
            case,
            backend: &self.plan.backends[0],
            settings: self.plan.backends[0].server.decided().unwrap(),
            prompt: &self.plan.prompts[0].content,
            build: &self.build,
            build_folder: &self.build_folder,
            help: &self.help,
            bench_help: self.bench_help.as_ref(),
            model: &self.model,
            shards: std::slice::from_ref(&self.model),
            log: &self.root.join("start.log"),
            scratch: &self.root.join("scratch"),
            roots: &roots,
            environment: &environment,
            known_files: &known_files,
            cooled: None,
        };
        let progress = std::cell::RefCell::new(Vec::new());
        let observe = |told: Progress| {
            observer(&told);
            progress.borrow_mut().push(told);
        };
        let began = Instant::now();
        let run = run_start(&start, &self.interrupt, recorder, &observe);
        let outcome = tokio::time::timeout(self.deadline, run).await.expect("the start hangs");
        let took = began.elapsed();
        let left = self.left_behind();
        assert!(left.is_empty(), "processes are left: {left:?}");
        let log = fs_err::read_to_string(self.root.join("start.log")).unwrap_or_default();
        let events = recorder.events.clone();
        Ok(Ran { outcome: outcome?, events, progress: progress.into_inner(), took, log })
    }

    /// With a canary of so many tokens.
    pub fn canary(mut self, tokens: u32) -> Self {
        self.plan.canary = Some(PlannedCanary::new(tokens, PROMPT.to_owned()));
        self
    }

    /// What the processor alone says to the canary: the command and the answer.
    pub async fn reference(&self) -> Option<(Vec<String>, CanaryOutcome)> {
        let canary = self.plan.canary.as_ref().unwrap();
        let parts = reference_parts(&self.plan, canary, &self.plan.cases[0].model, &self.plan.backends[0]);
        let roots = Roots::default();
        let start = Start {
            id: StartId { case: parts.case.id.as_str().into(), start: 1, attempt: 1 },
            plan: &self.plan,
            case: &parts.case,
            backend: &parts.backend,
            settings: &parts.settings,
            prompt: &parts.prompt,
            build: &self.build,
            build_folder: &self.build_folder,
            help: &self.help,
            bench_help: None,
            model: &self.model,
            shards: std::slice::from_ref(&self.model),
            log: &self.root.join("reference.log"),
            scratch: &self.root.join("scratch"),
            roots: &roots,
            environment: &llamark_bench::host::environment(&roots),
            known_files: &KnownFiles::default(),
            cooled: None,
        };
        let reference = canary_reference(&start, canary, &self.interrupt);
        let reference = tokio::time::timeout(self.deadline, reference).await.expect("the reference hangs");
        let left = self.left_behind();
        assert!(left.is_empty(), "processes are left: {left:?}");
        reference
    }

    /// With a llama-perplexity in its build, and a plan that asks for so many chunks of a text of that many words.
    pub fn with_perplexity(self, context: u32, chunks: u32, words: usize) -> Self {
        symlink(fake_server(), self.perplexity_program()).unwrap();
        self.asked_for(PlannedPerplexity::new(context, chunks, "word ".repeat(words)))
    }

    /// With a plan that asks for that perplexity, by the llama-perplexity beside its server.
    pub fn asked_for(mut self, planned: PlannedPerplexity) -> Self {
        let name = self.perplexity_program().strip_prefix(&self.build_folder).unwrap().to_string();
        self.build.files.push(FileIdentity { name, bytes: 1, sha256: Sha256::of_bytes(b"program") });
        self.plan.perplexity = Some(planned);
        self
    }

    /// Where the llama-perplexity of its build would be.
    pub fn perplexity_program(&self) -> Utf8PathBuf {
        self.build_folder.join(&self.build.server).with_file_name("llama-perplexity")
    }

    /// How well the backend predicts the text of the plan: the command, and what came of it.
    pub async fn perplexity(&self) -> Option<(Vec<String>, PerplexityOutcome)> {
        let planned = self.plan.perplexity.as_ref().unwrap();
        let case = perplexity_case(planned, &self.plan.cases[0].model, &self.plan.backends[0].name);
        let (roots, scratch) = (Roots::default(), self.root.join("scratch"));
        let text = scratch.join("text.txt");
        std::fs::create_dir_all(&scratch).unwrap();
        write(&text, &planned.text);
        let prompt = PromptContent::Unstated { description: String::new() };
        let start = Start {
            id: StartId { case: case.id.as_str().into(), start: 1, attempt: 1 },
            plan: &self.plan,
            case: &case,
            backend: &self.plan.backends[0],
            settings: self.plan.backends[0].server.decided().unwrap(),
            prompt: &prompt,
            build: &self.build,
            build_folder: &self.build_folder,
            help: &self.help,
            bench_help: None,
            model: &self.model,
            shards: std::slice::from_ref(&self.model),
            log: &self.root.join("perplexity.log"),
            scratch: &scratch,
            roots: &roots,
            environment: &llamark_bench::host::environment(&roots),
            known_files: &KnownFiles::default(),
            cooled: None,
        };
        let help = probe::probe_perplexity(&self.perplexity_program(), &BTreeMap::new(), &self.interrupt);
        let help = help.as_ref().map_err(ToString::to_string);
        let measured = perplexity(&start, planned, help, &text, &self.interrupt);
        let measured = tokio::time::timeout(self.deadline, measured).await.expect("the perplexity hangs");
        let left = self.left_behind();
        assert!(left.is_empty(), "processes are left: {left:?}");
        measured
    }

    /// Processes that were given anything of this bench: as an argument, or in their environment.
    fn left_behind(&self) -> Vec<String> {
        let mut left = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            if name.parse::<u32>().is_err() || name == std::process::id().to_string() {
                continue;
            }
            for file in ["cmdline", "environ"] {
                let bytes = fs_err::read(entry.path().join(file)).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
                if text.contains(self.root.as_str()) {
                    left.push(format!("{name} {file}: {text}"));
                }
            }
        }
        left
    }
}

impl Ran {
    pub fn opened(&self) -> &StartOpened {
        match &self.events[0] {
            Event::StartOpened(opened) => opened,
            other => panic!("the first event is {other:?}"),
        }
    }

    pub fn ready(&self) -> Option<&StartReady> {
        self.events.iter().find_map(|event| match event {
            Event::StartReady(ready) => Some(ready),
            _ => None,
        })
    }

    pub fn report(&self) -> Option<&BenchReport> {
        self.events.iter().find_map(|event| match event {
            Event::Bench(report) => Some(report),
            _ => None,
        })
    }

    pub fn runs(&self) -> Vec<&RunRecord> {
        fn run(event: &Event) -> Option<&RunRecord> {
            match event {
                Event::Run(run) => Some(run),
                _ => None,
            }
        }
        self.events.iter().filter_map(run).collect()
    }

    /// What was recorded of the canary.
    pub fn canary(&self) -> Option<&CanaryOutcome> {
        self.events.iter().find_map(|event| match event {
            Event::Canary(canary) => Some(&canary.answer),
            _ => None,
        })
    }

    pub fn closed(&self) -> &StartClosed {
        match self.events.last() {
            Some(Event::StartClosed(closed)) => closed,
            other => panic!("the last event is {other:?}"),
        }
    }

    #[track_caller]
    pub fn failure(&self) -> &Failure {
        assert_eq!(self.closed().outcome, self.outcome, "what is recorded is what is returned");
        match &self.outcome {
            Outcome::Failed(failure) => failure,
            other => panic!("{other:?}\n{}", self.log),
        }
    }

    /// The reason why it is invalid.
    #[track_caller]
    pub fn invalid(&self) -> &str {
        assert_eq!(self.closed().outcome, self.outcome, "what is recorded is what is returned");
        match &self.outcome {
            Outcome::Invalid { reason } => reason,
            other => panic!("{other:?}\n{}", self.log),
        }
    }

    /// The rules that the last run breaks.
    #[track_caller]
    pub fn broken(&self) -> Vec<(Rule, &str)> {
        let last = self.runs().into_iter().next_back().expect("a run");
        last.broken.iter().map(|broken| (broken.rule, broken.detail.as_str())).collect()
    }
}

fn plan() -> Plan {
    let server = ServerSettings {
        gpu_layers: GpuLayers::All,
        flash_attn: true,
        cache_type_k: CacheType::F16,
        cache_type_v: CacheType::F16,
        mmap: false,
        mlock: false,
        threads: 2,
        threads_batch: 2,
        batch: 2048,
        ubatch: 512,
    };
    Plan {
        origin: Origin::Experiment,
        name: "test".to_owned(),
        title: "Test".to_owned(),
        description: String::new(),
        hardware: Hardware {
            label: String::new(),
            memory_bandwidth: None,
            expect_gpu: None,
            expect_memory: 0,
        },
        engine: Engine {
            source: EngineSource::Prebuilt { path: "build".to_owned() },
            build_number: 11434,
            commit: "pkg".to_owned(),
        },
        builds: vec![PlannedBuild {
            id: "cpu".to_owned(),
            kind: BackendKind::Cpu,
            cmake: BTreeMap::new(),
            engine: None,
            extra_targets: Vec::new(),
        }],
        backends: vec![PlannedBackend {
            name: "cpu".to_owned(),
            label: "CPU".to_owned(),
            note: String::new(),
            kind: Some(BackendKind::Cpu),
            build: "cpu".to_owned(),
            device: "none".to_owned(),
            server: Settings::Decided(server),
            environment: BTreeMap::new(),
            tool: Tool::LlamaServer,
            memory_bandwidth: None,
        }],
        models: Vec::new(),
        prompts: vec![PlannedPrompt {
            name: "short".to_owned(),
            content: PromptContent::Text {
                text: PROMPT.to_owned(),
                sha256: Sha256::of_bytes(PROMPT.as_bytes()),
            },
        }],
        cases: vec![Case {
            id: "fake/cpu/short".to_owned(),
            model: "fake".to_owned(),
            backend: "cpu".to_owned(),
            prompt: "short".to_owned(),
            max_tokens: 8,
            depth: 0,
            concurrency: 1,
            context: 2048,
            warmup: 1,
            runs: 2,
            starts: 1,
        }],
        filler: None,
        schedule: vec![PlannedStart { case: "fake/cpu/short".to_owned(), start: 1 }],
        seed: 1,
        cooldown_ms: 0,
        timeouts: Timeouts { load_ms: 5_000, request_ms: 5_000, stop_ms: 2_000 },
        telemetry: TelemetryRate::Off,
        gates: llamark_record::plan::STANDARD_GATES.to_vec(),
        interleaved: None,
        procedure: Procedure::default(),
        ab: None,
        canary: None,
        perplexity: None,
    }
}
