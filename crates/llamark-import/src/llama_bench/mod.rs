//! A file of llama-bench: its rows as cases, and each sample as it stands there, in nanoseconds.
//!
//! A row is a test of its own (a prompt of 512 tokens, or 128 tokens generated at a depth), so each is a case of its own:
//! `MODEL/BACKEND/pp512`, `MODEL/BACKEND/tg128/d4096`. The same test again is another start of it.

mod described;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use llamark_record::journal::{CaseClosed, Event, Outcome, StartId};
use llamark_record::model::FileIdentity;
use llamark_record::plan::{
    BackendKind, Case, Document, DocumentKind, ModelSource, NOT_STATED, PlannedBackend, PlannedModel,
    PlannedPrompt, PromptContent, Settings, StatedSettings, Tool, case_id, model_id,
};
use llamark_record::stated::{StatedRun, StatedStart};

use crate::problem::{Code, Problem};
use crate::source::Source;
use crate::stated_plan::{StatedPlan, added};
use crate::{Imported, Options};
use rows::Row;

/// What no file of llama-bench states, and every set that llamark measures does.
const UNSTATED: [&str; 11] = [
    "compiler and flags of the builds",
    "digests of the binaries",
    "digests of the model files",
    "versions of the drivers and the kernel",
    "facts of the machine beyond the names of processor and GPU",
    "whether the settings that were asked for took effect, and on which device it ran",
    "environment of the process",
    "warm-up runs",
    "time to first token, and the time of loading",
    "peak memory",
    "clocks, temperatures and power",
];

/// Settings under llamark's names where it has one.
const NAMES: [(&str, &str); 9] = [
    ("n_batch", "batch"),
    ("n_ubatch", "ubatch"),
    ("n_threads", "threads"),
    ("type_k", "cache_type_k"),
    ("type_v", "cache_type_v"),
    ("n_gpu_layers", "gpu_layers"),
    ("use_mmap", "mmap"),
    ("flash_attn", "flash_attn"),
    ("devices", "device"),
];

/// The plan and the events of a file, or what is wrong with it.
pub(crate) fn read(source: &Source, file: FileIdentity, options: &Options) -> Result<Imported, Vec<Problem>> {
    let (rows, mut problems) = rows::rows(source);
    problems.extend(another_build(&rows));
    problems.extend(another_model(&rows));
    let backends = Backends::of(&rows);
    problems.extend(backends.problems.iter().cloned());
    if problems.is_empty() { Ok(convert(source, &rows, &backends, file, options)) } else { Err(problems) }
}

/// Two builds of llama.cpp in one file are two sets: a set is of one engine.
fn another_build(rows: &[Row]) -> Option<Problem> {
    let first = rows.first()?;
    let other =
        rows.iter().find(|row| row.commit != first.commit || row.build_number != first.build_number)?;
    let message = format!("this row is from build {} ({})", other.build_number, other.commit);
    let of_first = format!("the first is from build {} ({})", first.build_number, first.commit);
    let help = "import the rows of each build as a separate set, and compare them with `llamark diff --across engine`";
    Some(
        Problem::new(Code::Contradiction, other.span.clone(), message)
            .related(first.span.clone(), of_first)
            .help(help),
    )
}

/// Two models that would be one by the id that their files' names give: their rows would be starts of one case.
fn another_model(rows: &[Row]) -> Option<Problem> {
    let mut seen: BTreeMap<String, &Row> = BTreeMap::new();
    for row in rows {
        let id = model(row).id;
        if id.is_empty() {
            let message = format!("`{}` has no letter or digit to make an id from", file_name(row));
            let problem = Problem::new(Code::Malformed, row.span.clone(), message);
            return Some(problem.help(
                "give the file another name in `model_filename`: Latin letters, digits, `.`, `_`, `-`",
            ));
        }
        let facts = |row: &Row| (row.model_bytes, row.parameters);
        let first = *seen.entry(id).or_insert(row);
        let (message, of_first) = if facts(first) != facts(row) {
            (
                format!("this row is for a different model with the name `{}`", file_name(row)),
                format!("the first has {} bytes of weights, this one {}", first.model_bytes, row.model_bytes),
            )
        } else if file_name(first) != file_name(row) {
            (
                "two names differ only in punctuation".to_owned(),
                format!("the first is `{}`", file_name(first)),
            )
        } else {
            continue;
        };
        let help = "import the rows of each as a separate set, or give the files other names";
        let problem = Problem::new(Code::Contradiction, row.span.clone(), message);
        return Some(problem.related(first.span.clone(), of_first).help(help));
    }
    None
}

/// The backends of a file: rows whose settings are the same are of one.
struct Backends {
    /// In the order of the file.
    all: Vec<PlannedBackend>,
    /// Place of the backend of each row.
    of_rows: Vec<usize>,
    problems: Vec<Problem>,
}

impl Backends {
    fn of(rows: &[Row]) -> Self {
        let differing = differing(rows);
        // Two compilations of one family are two backends: `CUDA` and `CUDA,RPC`.
        let mut compiled: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for row in rows {
            compiled.entry(family(row).1).or_default().insert(&row.backends);
        }
        let mut backends = Self { all: Vec::new(), of_rows: Vec::new(), problems: Vec::new() };
        for row in rows {
            let by_name = settings(row);
            let (kind, family) = family(row);
            let variant = differing.iter().filter_map(|name| Some(format!("+{name}={}", by_name.get(name)?)));
            let is_one = compiled.get(&family).is_none_or(|all| all.len() == 1);
            let own =
                if is_one { String::new() } else { format!("+backends={}", model_id(&row.backends, "")) };
            let name = family + &own + &variant.collect::<String>();
            let place = backends.all.iter().position(|known| known.name == name);
            backends.of_rows.push(place.unwrap_or(backends.all.len()));
            if place.is_none() {
                let label = if kind.is_some() { name.clone() } else { row.backends.clone() };
                backends.all.push(backend(kind, name, label, by_name));
            }
        }
        backends
    }
}

fn backend(
    kind: Option<BackendKind>,
    name: String,
    label: String,
    by_name: BTreeMap<String, String>,
) -> PlannedBackend {
    let text = by_name.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ");
    PlannedBackend {
        name,
        label,
        note: String::new(),
        kind,
        build: String::new(),
        device: String::new(),
        server: Settings::Stated(StatedSettings { text, by_name }),
        environment: BTreeMap::new(),
        tool: Tool::LlamaBench,
        memory_bandwidth: None,
    }
}

/// Names of the settings that are not the same in every row.
fn differing(rows: &[Row]) -> BTreeSet<String> {
    let all: Vec<BTreeMap<String, String>> = rows.iter().map(settings).collect();
    let names: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    let is_same = |name: &String| {
        all.windows(2)
            .all(|pair| pair.first().map(|row| row.get(name)) == pair.get(1).map(|row| row.get(name)))
    };
    names.into_iter().filter(|name| !is_same(name)).cloned().collect()
}

/// The settings of a row, under llamark's names and in its words where it has some.
fn settings(row: &Row) -> BTreeMap<String, String> {
    let ours = |name: &str| {
        NAMES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| *ours).to_owned()
    };
    let word = |name: &str, value: &str| match (name, value) {
        ("flash_attn" | "use_mmap", "1") => "true".to_owned(),
        ("flash_attn" | "use_mmap", "0") => "false".to_owned(),
        ("flash_attn", "-1") => "auto".to_owned(),
        ("n_gpu_layers", "-1") => "all".to_owned(),
        _ => value.to_owned(),
    };
    row.settings.iter().map(|(name, value)| (ours(name), word(name, value))).collect()
}

/// The backend that llama.cpp was compiled with, and what it is called in the ids of cases: one that llamark knows, or else
/// the first that is not the processor, under its own name. BLAS is the processor too.
fn family(row: &Row) -> (Option<BackendKind>, String) {
    let names = || row.backends.split(',').map(str::trim);
    let has = |name: &str| names().any(|backend| backend.eq_ignore_ascii_case(name));
    let gpus = [
        ("CUDA", BackendKind::Cuda),
        ("ROCm", BackendKind::Rocm),
        ("HIP", BackendKind::Rocm),
        ("Vulkan", BackendKind::Vulkan),
    ];
    if let Some((_, kind)) = gpus.into_iter().find(|(name, _)| has(name)) {
        return (Some(kind), kind.name().to_owned());
    }
    let is_processor = |name: &str| name.eq_ignore_ascii_case("CPU") || name.eq_ignore_ascii_case("BLAS");
    match names().find(|name| !is_processor(name)).map(|name| model_id(name, "")) {
        // As llama.cpp calls it since the end of 2025.
        Some(name) if name == "mtl" => (None, "metal".to_owned()),
        Some(name) if name.is_empty() => (None, "other".to_owned()),
        Some(name) => (None, name),
        None => (Some(BackendKind::Cpu), BackendKind::Cpu.name().to_owned()),
    }
}

/// Name of a test as people write it: `pp512`, `tg128`, `pp512+tg128`.
fn test(row: &Row) -> String {
    match (row.prompt, row.generated) {
        (prompt, 0) => format!("pp{prompt}"),
        (0, generated) => format!("tg{generated}"),
        (prompt, generated) => format!("pp{prompt}+tg{generated}"),
    }
}

/// The name of the file without its folders, on any system.
fn file_name(row: &Row) -> &str {
    row.model.rsplit(['/', '\\']).next().unwrap_or_default()
}

fn model(row: &Row) -> PlannedModel {
    let stem = file_name(row).trim_end_matches(".gguf");
    let (name, quant) = described::name_and_quant(stem);
    PlannedModel {
        id: model_id(stem, ""),
        name: name.to_owned(),
        quant: quant.to_owned(),
        vision: false,
        note: format!("llama.cpp calls it {}", row.model_type),
        claimed_parameters: described::count(row.parameters),
        claimed_active_parameters: described::active(&row.model_type).unwrap_or(NOT_STATED).to_owned(),
        claimed_file_size: described::size(row.model_bytes),
        source: ModelSource::Unstated,
    }
}

/// A case and the rows that are its starts.
struct Found<'a> {
    case: Case,
    rows: Vec<&'a Row>,
}

/// The cases, in the order of the file.
fn cases<'a>(rows: &'a [Row], backends: &Backends) -> Vec<Found<'a>> {
    let mut cases: Vec<Found<'a>> = Vec::new();
    for (row, backend) in rows.iter().zip(&backends.of_rows) {
        let Some(backend) = backends.all.get(*backend) else { continue };
        let (model, prompt) = (model(row).id, test(row));
        let id = case_id([&model, &backend.name, &prompt], row.depth, 1, None);
        let runs = u32::try_from(row.samples_ns.len()).unwrap_or(u32::MAX);
        if let Some(found) = cases.iter_mut().find(|found| found.case.id == id) {
            found.case.starts += 1;
            found.case.runs = found.case.runs.max(runs);
            found.rows.push(row);
            continue;
        }
        let case = Case {
            id,
            model,
            backend: backend.name.clone(),
            prompt,
            max_tokens: row.generated,
            depth: row.depth,
            concurrency: 1,
            context: row.depth.saturating_add(row.prompt).saturating_add(row.generated),
            warmup: 0,
            runs,
            starts: 1,
        };
        cases.push(Found { case, rows: vec![row] });
    }
    cases
}

fn events(source: &Source, found: &Found<'_>) -> Vec<Event> {
    let starts: Vec<StatedStart> = found
        .rows
        .iter()
        .zip(1..)
        .map(|(row, start)| {
            let line = source.line_number(&row.span);
            let runs = row.samples_ns.iter().zip(1..).map(|(nanoseconds, index)| StatedRun {
                index,
                line,
                pp: None,
                tg: None,
                prompt_tokens: Some(row.prompt),
                generated_tokens: Some(row.generated),
                duration_ns: Some(*nanoseconds),
            });
            StatedStart {
                id: StartId { case: (&found.case.id).into(), start, attempt: 1 },
                line,
                load_ms: None,
                runs: runs.collect(),
            }
        })
        .collect();
    let samples = || found.rows.iter().map(|row| row.samples_ns.len());
    let outcome = if starts.iter().flat_map(|start| &start.runs).any(StatedRun::is_of_both) {
        Outcome::Invalid { reason: StatedRun::OF_BOTH.to_owned() }
    } else if samples().min() != samples().max() {
        let reason = "incomplete: its rows do not have the same number of samples".to_owned();
        Outcome::Invalid { reason }
    } else {
        Outcome::Ok
    };
    let end = Event::CaseClosed(CaseClosed { case: found.case.id.clone(), outcome });
    starts.into_iter().map(Event::Stated).chain([end]).collect()
}

fn convert(
    source: &Source,
    rows: &[Row],
    backends: &Backends,
    file: FileIdentity,
    options: &Options,
) -> Imported {
    let cases = cases(rows, backends);
    let events = cases.iter().flat_map(|found| events(source, found)).collect();
    let mut models: Vec<PlannedModel> = Vec::new();
    for row in rows.iter().map(model) {
        if models.iter().all(|known| known.id != row.id) {
            models.push(row);
        }
    }
    let tests: BTreeSet<String> = rows.iter().map(test).collect();
    let prompt = |name: String| PlannedPrompt {
        name,
        content: PromptContent::Unstated { description: "random tokens of llama-bench".to_owned() },
    };
    let first = rows.first();
    let machine = first.map(|row| [row.gpu.as_str(), row.cpu.as_str()]).unwrap_or_default();
    let label = machine.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ");
    let document = Document {
        kind: DocumentKind::LlamaBench,
        file,
        added: added(options),
        remarks: Vec::new(),
        unstated: UNSTATED.iter().map(|what| (*what).to_owned()).collect(),
    };
    let plan = StatedPlan {
        document,
        title: "llama-bench".to_owned(),
        hardware: label,
        engine: first.map(|row| (row.build_number, row.commit.clone())),
        backends: backends.all.clone(),
        models,
        prompts: tests.into_iter().map(prompt).collect(),
        cases: cases.into_iter().map(|found| found.case).collect(),
    };
    Imported { plan: plan.resolve(options), events }
}
