//! A report that agrees with itself to a plan and events. Nothing is decided here that the document does not state:
//! what it leaves open is left open, and named.

use std::collections::{BTreeMap, BTreeSet};

use llamark_record::journal::{CaseClosed, Event, Outcome, StartId};
use llamark_record::model::FileIdentity;
use llamark_record::plan::{
    BackendKind, CacheType, Case, Document, DocumentKind, ModelSource, PlannedBackend, PlannedModel,
    PlannedPrompt, PromptContent, Settings, StatedSettings, Tool, model_id,
};
use llamark_record::stated::{StatedRun, StatedStart};

use crate::cases::{self, Model};
use crate::published::{PublishedReport, Row};
use crate::source::Source;
use crate::stated_plan::{StatedPlan, added};
use crate::{Imported, Options, phrase};

/// What no report of this kind states, and every set that llamark measures does.
const UNSTATED: [&str; 15] = [
    "date of the measurements",
    "llama.cpp commit and build number",
    "compiler and flags of the builds",
    "digests of the binaries",
    "digests of the model files",
    "text of the prompt",
    "versions of the drivers and the kernel",
    "facts of the machine beyond the hardware line",
    "server settings that are not listed",
    "number of starts of the server, and the order of the cases",
    "times and token counts behind each rate",
    "warm-up runs",
    "time to first token",
    "peak memory",
    "clocks, temperatures and power",
];

/// What is said of a row of the processor when nothing ran on a GPU.
const NO_OFFLOAD: &str = "no GPU offload";

/// The file, and what was found odd about it.
pub(crate) struct Given {
    pub(crate) file: FileIdentity,
    pub(crate) remarks: Vec<String>,
}

/// The plan and the events of a report.
pub(crate) fn convert(
    source: &Source,
    report: &PublishedReport,
    models: &[Model<'_>],
    options: &Options,
    given: Given,
) -> Imported {
    let prompt = phrase::prompt_name(&report.prompt.value);
    let method = &report.method.value;
    let notes = Notes::of(models);
    let mut cases = Vec::new();
    let mut events = Vec::new();
    for model in models {
        for stated in &model.cases {
            let backend = stated.backend.kind.name();
            let id = format!("{}/{backend}/{prompt}", model_id(&model.name.name, &model.name.quant));
            events.extend(self::events(source, &id, model, stated, method.runs));
            cases.push(Case {
                id,
                model: model_id(&model.name.name, &model.name.quant),
                backend: backend.to_owned(),
                prompt: prompt.clone(),
                max_tokens: method.max_tokens,
                depth: 0,
                concurrency: 1,
                context: method.context,
                warmup: method.warmup,
                runs: method.runs,
                starts: 1,
            });
        }
    }
    let added = added(options);
    let document = Document {
        kind: DocumentKind::Report,
        file: given.file,
        added,
        remarks: given.remarks,
        unstated: UNSTATED.iter().map(|what| (*what).to_owned()).collect(),
    };
    let plan = StatedPlan {
        document,
        title: report.title.value.clone(),
        hardware: report.hardware.value.clone(),
        engine: None,
        backends: backends(report, models, &notes),
        models: models.iter().map(|model| planned_model(model, &notes)).collect(),
        prompts: vec![PlannedPrompt {
            name: prompt,
            content: PromptContent::Unstated { description: report.prompt.value.clone() },
        }],
        cases,
    };
    Imported { plan: plan.resolve(options), events }
}

/// What is stated of a case, and its end.
fn events(source: &Source, id: &str, model: &Model<'_>, case: &cases::Case<'_>, planned: u32) -> Vec<Event> {
    let close = |outcome| Event::CaseClosed(CaseClosed { case: id.to_owned(), outcome });
    let incomplete = |what: &str| close(Outcome::Invalid { reason: format!("incomplete: {what}") });
    let (Some(row), None) = (case.row, model.gap(case)) else {
        return vec![incomplete(model.gap(case).unwrap_or_default())];
    };
    let runs: Vec<StatedRun> = case
        .runs
        .iter()
        .map(|run| StatedRun {
            index: run.value.index,
            line: source.line_number(&run.span),
            pp: Some(run.value.pp.clone()),
            tg: Some(run.value.tg.clone()),
            prompt_tokens: Some(run.value.prompt_tokens),
            generated_tokens: Some(run.value.generated_tokens),
            duration_ns: None,
        })
        .collect();
    let count = runs.len();
    let stated = Event::Stated(StatedStart {
        id: StartId { case: id.into(), start: 1, attempt: 1 },
        line: source.line_number(&row.span),
        load_ms: row.numbers.load.value,
        runs,
    });
    let is_complete = u32::try_from(count).is_ok_and(|count| count == planned);
    let end = if is_complete {
        close(Outcome::Ok)
    } else {
        incomplete(&format!("the document states {count} of {planned} runs"))
    };
    vec![stated, end]
}

fn planned_model(model: &Model<'_>, notes: &Notes) -> PlannedModel {
    let facts = model.section.and_then(|section| section.facts.as_ref());
    let in_section = facts.and_then(|facts| facts.parameters.as_ref());
    let in_summary = model.summary.map(|row| &row.parameters);
    let parameters = in_summary.or(in_section).map(|parameters| &parameters.value);
    let id = model_id(&model.name.name, &model.name.quant);
    PlannedModel {
        name: model.name.name.clone(),
        quant: model.name.quant.clone(),
        vision: model.name.vision,
        note: notes.of_models.get(&id).cloned().unwrap_or_default(),
        claimed_parameters: parameters.map(|parameters| parameters.total.clone()).unwrap_or_default(),
        claimed_active_parameters: parameters.and_then(|p| p.active.clone()).unwrap_or_default(),
        claimed_file_size: facts.and_then(|facts| facts.file_size.clone()).unwrap_or_default(),
        source: ModelSource::Unstated,
        id,
    }
}

/// The backends that some case has, those of the summary first.
fn backends(report: &PublishedReport, models: &[Model<'_>], notes: &Notes) -> Vec<PlannedBackend> {
    let mut backends: Vec<PlannedBackend> = Vec::new();
    for case in models.iter().flat_map(|model| &model.cases) {
        let kind = case.backend.kind;
        if backends.iter().any(|known| known.kind == Some(kind)) {
            continue;
        }
        let rows = report.sections.iter().flat_map(|section| &section.rows);
        let label =
            rows.into_iter().find(|row| row.backend.value.kind == kind).map(|row| &row.backend.value.label);
        let note = notes.of_backends.get(kind.name()).cloned().unwrap_or_default();
        let line = report.settings.iter().find(|line| line.backend.value.kind == kind);
        backends.push(PlannedBackend {
            name: kind.name().to_owned(),
            label: label.unwrap_or(&case.backend.label).clone(),
            kind: Some(kind),
            build: String::new(),
            device: String::new(),
            server: Settings::Stated(settings(line.map(|line| line.text.as_str()), &note)),
            note,
            environment: BTreeMap::new(),
            tool: Tool::LlamaServer,
            memory_bandwidth: None,
        });
    }
    // As an experiment has them: in the order of the summary, then of its legend.
    let also = report.summary.also.iter().flat_map(|also| &also.value);
    let order: Vec<BackendKind> =
        report.summary.backends.iter().chain(also).map(|backend| backend.kind).collect();
    backends.sort_by_key(|backend| order.iter().position(|kind| Some(*kind) == backend.kind));
    backends
}

/// `ROCm 7.2, --no-mmap, flash-attn, q4_0 KV cache`: by name what llamark knows, all of it in its own words.
fn settings(line: Option<&str>, note: &str) -> StatedSettings {
    let mut by_name = BTreeMap::new();
    let mut set = |name: &str, value: &str| by_name.insert(name.to_owned(), value.to_owned());
    for part in line.unwrap_or_default().split(", ") {
        let cache = part.strip_suffix(" KV cache").or_else(|| part.strip_suffix(" KV"));
        match part.trim_start_matches("--") {
            "mmap" => drop(set("mmap", "true")),
            "no-mmap" => drop(set("mmap", "false")),
            "flash-attn" => drop(set("flash_attn", "true")),
            "mlock" => drop(set("mlock", "true")),
            _ if cache.is_some_and(is_cache_type) => {
                set("cache_type_k", cache.unwrap_or_default());
                set("cache_type_v", cache.unwrap_or_default());
            }
            other => {
                if let Some((name, value)) = other.split_once('=') {
                    set(name, value);
                }
            }
        }
    }
    let text = match line {
        Some(line) => line.to_owned(),
        None if note == NO_OFFLOAD => {
            set("gpu_layers", "0");
            note.to_owned()
        }
        None => String::new(),
    };
    StatedSettings { text, by_name }
}

fn is_cache_type(name: &str) -> bool {
    let all = [
        CacheType::F32,
        CacheType::F16,
        CacheType::Bf16,
        CacheType::Q8_0,
        CacheType::Q5_1,
        CacheType::Q5_0,
        CacheType::Q4_1,
        CacheType::Q4_0,
        CacheType::Iq4Nl,
    ];
    all.iter().any(|known| known.name() == name)
}

/// Notes of rows, as notes of what they are about: of a backend where all of its rows have the same, else of the
/// model.
struct Notes {
    of_backends: BTreeMap<&'static str, String>,
    of_models: BTreeMap<String, String>,
}

impl Notes {
    fn of(models: &[Model<'_>]) -> Self {
        let mut by_backend: BTreeMap<&'static str, BTreeSet<&str>> = BTreeMap::new();
        // A model with a single row says nothing of the backend, if it is the only one.
        let mut has_others: BTreeSet<&'static str> = BTreeSet::new();
        for model in models {
            for row in rows(model) {
                let kind = row.backend.value.kind.name();
                let is_first = by_backend.entry(kind).or_default().insert(&row.note);
                if model.cases.len() > 1 || !is_first {
                    has_others.insert(kind);
                }
            }
        }
        let mut of_backends = BTreeMap::new();
        for (kind, notes) in by_backend {
            let mut notes = notes.into_iter();
            if let (Some(note), None) = (notes.next(), notes.next())
                && !note.is_empty()
                && has_others.contains(kind)
            {
                of_backends.insert(kind, note.to_owned());
            }
        }
        let mut of_models = BTreeMap::new();
        for model in models {
            let note = Self::of_model(model, &of_backends);
            if !note.is_empty() {
                of_models.insert(model_id(&model.name.name, &model.name.quant), note);
            }
        }
        Self { of_backends, of_models }
    }

    /// The notes of its rows that are not those of a backend; with the backend where there are several rows.
    fn of_model(model: &Model<'_>, of_backends: &BTreeMap<&'static str, String>) -> String {
        let is_own = |row: &&Row| {
            !row.note.is_empty() && of_backends.get(row.backend.value.kind.name()) != Some(&row.note)
        };
        let own = rows(model).filter(is_own);
        let notes: Vec<String> = own
            .map(|row| match model.cases.len() {
                1 => row.note.clone(),
                _ => format!("{}: {}", row.backend.value.label, row.note),
            })
            .collect();
        notes.join("; ")
    }
}

fn rows<'a>(model: &'a Model<'_>) -> impl Iterator<Item = &'a Row> {
    model.cases.iter().filter_map(|case| case.row)
}
