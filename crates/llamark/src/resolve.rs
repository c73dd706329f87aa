//! From a plan to a resolved plan: what only this machine and the network can tell.

use std::collections::BTreeMap;

use llamark_build::{Builder, Built, Prepared};
use llamark_fetch::{FetchedEngine, FetchedModel, Fetcher};
use llamark_record::Sha256;
use llamark_record::manifest::Resource;
use llamark_record::model::ModelRecord;
use llamark_record::plan::{Engine, PLAN_FORMAT, Plan, PlannedModel, ResolvedPlan, Tool};
use llamark_report::format::counted;

use crate::context::Context;
use crate::display::Display;
use crate::exit::{Exit, Failed, fail};
use crate::load::Loaded;
use crate::lock_file;

/// A plan with its inputs at hand.
#[derive(Clone)]
pub(crate) struct Resolved {
    /// The plan, with digests.
    pub(crate) plan: ResolvedPlan,
    /// What to build, by build id.
    pub(crate) prepared: BTreeMap<String, Prepared>,
    /// The files of the models, by model id.
    pub(crate) models: BTreeMap<String, FetchedModel>,
    /// Why a model or a build is not there, by its id: only with `--keep-going`.
    pub(crate) missing: BTreeMap<String, String>,
    /// What went in besides what the plan names: the set that is repeated.
    pub(crate) dependencies: Vec<Resource>,
}

impl Resolved {
    /// With everything at hand.
    pub(crate) fn new(loaded: &Loaded, builds: Builds, models: BTreeMap<String, FetchedModel>) -> Self {
        let Builds { engine_tree, engine_trees, prepared } = builds;
        let plan = ResolvedPlan {
            format: PLAN_FORMAT.to_owned(),
            plan: loaded.plan.clone(),
            engine_tree,
            engine_trees,
            build_keys: prepared.iter().map(|(id, prepared)| (id.clone(), prepared.key().clone())).collect(),
            model_files: models.iter().map(|(id, model)| (id.clone(), model.files.clone())).collect(),
        };
        Self { plan, prepared, models, missing: BTreeMap::new(), dependencies: Vec::new() }
    }
}

/// What to build, and from which source trees.
#[derive(Default)]
pub(crate) struct Builds {
    /// Digest of the tree of the plan's engine; absent for a prebuilt one.
    pub(crate) engine_tree: Option<Sha256>,
    /// Those of builds with an engine of their own, by build id.
    pub(crate) engine_trees: BTreeMap<String, Sha256>,
    /// What to build, by build id.
    pub(crate) prepared: BTreeMap<String, Prepared>,
}

/// Fetches the engines, finds the tools, computes the build keys; compiles nothing.
pub(crate) fn builds(context: &Context, loaded: &Loaded, display: &Display) -> Result<Builds, Failed> {
    let observer = |event| display.fetch(event);
    let fetch = |engine: &Engine| {
        Fetcher::new(&context.cache)
            .engine(&engine.source, &loaded.folder, &context.interrupt, &observer)
            .map_err(|error| failed(context, Exit::BadInput, error))
    };
    let engines = loaded.plan.engines().into_iter().map(fetch).collect::<Result<Vec<_>, _>>()?;
    builds_of(context, loaded, &engines, display)
}

/// [`builds`] of engines that are there, in the order of [`Plan::engines`].
pub(crate) fn builds_of(
    context: &Context,
    loaded: &Loaded,
    engines: &[FetchedEngine],
    display: &Display,
) -> Result<Builds, Failed> {
    let plan = &loaded.plan;
    let tree_of = |engine: &FetchedEngine| match engine {
        FetchedEngine::Source { tree, .. } => Some(tree.clone()),
        FetchedEngine::Prebuilt { .. } => None,
    };
    let mut builds = Builds { engine_tree: engines.first().and_then(tree_of), ..Builds::default() };
    let known = plan.engines();
    for (engine, fetched) in known.iter().zip(engines) {
        if let Some(tree) = tree_of(fetched) {
            pinned_engine(context, loaded, engine, &tree)?;
        }
    }
    let builder = Builder::new(&context.cache);
    for build in &plan.builds {
        let of_build = plan.engine_of(build);
        let place = known.iter().position(|engine| *engine == of_build);
        let Some(engine) = place.and_then(|place| engines.get(place)) else {
            return fail(Exit::Internal, format!("the engine of build {} was not fetched", build.id), "");
        };
        let origin = match engine {
            FetchedEngine::Source { path, tree, .. } => llamark_build::Origin::Source { path, tree },
            FetchedEngine::Prebuilt { path } => llamark_build::Origin::Prebuilt { path },
        };
        let ready = builder
            .prepare(build, of_build, origin, &context.interrupt, &|event| display.build(event))
            .map_err(|error| failed(context, Exit::BuildFailed, error))?;
        match (&build.engine, tree_of(engine)) {
            (Some(_), Some(tree)) => {
                builds.engine_trees.insert(build.id.clone(), tree);
            }
            (_, None) => pinned_engine(context, loaded, of_build, ready.key())?,
            (None, Some(_)) => {}
        }
        builds.prepared.insert(build.id.clone(), ready);
    }
    Ok(builds)
}

/// An engine must be what the lock file pins.
fn pinned_engine(context: &Context, loaded: &Loaded, engine: &Engine, found: &Sha256) -> Result<(), Failed> {
    lock_file::same(context, loaded, loaded.pins.check_engine(&engine.source, found).as_slice())
}

/// The models that are there, and why the others are not, by id.
type FoundAndMissing = (BTreeMap<String, FetchedModel>, BTreeMap<String, String>);

/// Finds, fetches and hashes every model. All that are missing are reported at once.
pub(crate) fn models(
    context: &Context,
    loaded: &Loaded,
    display: &Display,
    keep_going: bool,
) -> Result<FoundAndMissing, Failed> {
    let fetcher = Fetcher::new(&context.cache);
    let mut found = BTreeMap::new();
    let mut missing = BTreeMap::new();
    for model in &loaded.plan.models {
        let observer = |event| display.fetch(event);
        let fetched = fetcher.model(
            &model.source,
            &loaded.folder,
            context.models.as_deref(),
            &context.interrupt,
            &observer,
        );
        match fetched {
            Ok(fetched) => {
                found.insert(model.id.clone(), fetched);
            }
            Err(error) if context.interrupt.is_set() || error.is_mismatch() => {
                return Err(failed(context, Exit::BadInput, error));
            }
            Err(error) => {
                missing.insert(model.id.clone(), full_text(&error));
            }
        }
    }
    let changed: Vec<_> =
        found.iter().flat_map(|(id, model)| loaded.pins.check_model(id, &model.files)).collect();
    if !changed.is_empty() {
        display.clear();
        lock_file::same(context, loaded, &changed)?;
    }
    if missing.is_empty() || (keep_going && !found.is_empty()) {
        return Ok((found, missing));
    }
    display.clear();
    for (id, why) in &missing {
        context.terminal.problem(&format!("{id}: {why}"));
    }
    fail(
        Exit::BadInput,
        format!("{} of {} are not available", missing.len(), counted(loaded.plan.models.len(), "model")),
        "put the files under `--models DIR`, or run the others with `--keep-going`",
    )
}

/// All of it.
pub(crate) fn resolve(
    context: &Context,
    loaded: &Loaded,
    display: &Display,
    keep_going: bool,
) -> Result<Resolved, Failed> {
    let builds = builds(context, loaded, display)?;
    let (models, mut missing) = models(context, loaded, display, keep_going)?;
    let untrained = beyond_training(&loaded.plan, &models);
    if keep_going && untrained.len() < models.len() {
        missing.extend(untrained);
    } else {
        within_training(context, &untrained, display)?;
    }
    Ok(Resolved { missing, ..Resolved::new(loaded, builds, models) })
}

/// Models that are asked for more context than they were trained for, by id, each with both numbers.
///
/// llama-server gives a slot no more than that, whatever it is told: such a case would be loaded, and then be
/// invalid.
fn beyond_training(plan: &Plan, models: &BTreeMap<String, FetchedModel>) -> BTreeMap<String, String> {
    let asked = |id: &String| {
        let by_server =
            |name: &str| plan.backend(name).is_some_and(|backend| backend.tool == Tool::LlamaServer);
        let cases = plan.cases.iter().filter(|case| case.model == *id && by_server(&case.backend));
        cases.map(|case| u64::from(case.context)).max()
    };
    let problem = |(id, model): (&String, &FetchedModel)| {
        // A header that cannot be read is said where it is recorded.
        let header = llamark_gguf::read(model.paths.first()?).ok()?;
        let trained = llamark_gguf::facts_of_shards(&[header]).context_length?;
        let asked = asked(id).filter(|asked| *asked > trained)?;
        let text =
            format!("it was trained for a context of {trained} tokens, but the experiment asks for {asked}");
        Some((id.clone(), text))
    };
    models.iter().filter_map(problem).collect()
}

fn within_training(
    context: &Context,
    untrained: &BTreeMap<String, String>,
    display: &Display,
) -> Result<(), Failed> {
    if untrained.is_empty() {
        return Ok(());
    }
    display.clear();
    for (id, why) in untrained {
        context.terminal.problem(&format!("{id}: {why}"));
    }
    let models =
        if untrained.len() == 1 { "1 model has" } else { &format!("{} models have", untrained.len()) };
    fail(
        Exit::BadInput,
        format!("{models} less context than the experiment asks for; nothing was built or run"),
        "lower `context` (and `depth`, which must fit into it), or run the others with `--keep-going`; llama-server \
         gives a slot no more context than the model was trained for",
    )
}

/// Whether nothing of it has to be compiled.
pub(crate) fn is_built(context: &Context, prepared: &Prepared) -> bool {
    Builder::new(&context.cache).is_built(prepared)
}

/// Compiles what the cache does not hold.
pub(crate) fn compile(context: &Context, prepared: &Prepared, display: &Display) -> Result<Built, Failed> {
    let builder = Builder::new(&context.cache);
    builder
        .build(prepared, &context.interrupt, &|event| display.build(event))
        .map_err(|error| failed(context, Exit::BuildFailed, error))
}

/// The record of a model: its files and the facts of its header, set against what the author wrote.
pub(crate) fn model_record(model: &PlannedModel, fetched: &FetchedModel) -> ModelRecord {
    let headers: Result<Vec<_>, _> = fetched.paths.iter().map(|path| llamark_gguf::read(path)).collect();
    let (facts, contradictions) = match headers {
        Ok(headers) => {
            let facts = llamark_gguf::facts_of_shards(&headers);
            let bytes = fetched.files.iter().map(|file| file.bytes).sum();
            let contradictions = llamark_gguf::contradictions(
                &facts,
                bytes,
                &model.quant,
                &model.claimed_parameters,
                &model.claimed_active_parameters,
            );
            (Some(facts), contradictions)
        }
        Err(error) => (None, vec![format!("the header cannot be read: {error}")]),
    };
    ModelRecord { id: model.id.clone(), files: fetched.files.clone(), facts, contradictions }
}

/// Cases that cannot run, with the reason.
pub(crate) fn unavailable<'a>(
    plan: &'a Plan,
    missing: &'a BTreeMap<String, String>,
) -> BTreeMap<&'a str, &'a str> {
    let reason = |case: &llamark_record::plan::Case| {
        let build = plan.backend(&case.backend).map_or("", |backend| backend.build.as_str());
        missing.get(&case.model).or_else(|| missing.get(build))
    };
    plan.cases.iter().filter_map(|case| Some((case.id.as_str(), reason(case)?.as_str()))).collect()
}

/// An error of a doer with its hint; an interrupt is not a failure.
pub(crate) fn failed<E>(context: &Context, exit: Exit, error: E) -> Failed
where
    E: std::error::Error + Send + Sync + 'static + Hint,
{
    if context.interrupt.is_set() {
        return interrupted();
    }
    let hint = error.hint();
    Failed { exit, error: anyhow::Error::new(error), hint }
}

/// What ends a command that was asked to stop.
pub(crate) fn interrupted() -> Failed {
    Failed {
        exit: Exit::Interrupted,
        error: anyhow::Error::msg("interrupted"),
        hint: "run the same command again to resume".to_owned(),
    }
}

/// An error that may know what to do about it.
pub(crate) trait Hint {
    /// What to do; empty when nothing is known.
    fn hint(&self) -> String;
}

impl Hint for llamark_fetch::FetchError {
    fn hint(&self) -> String {
        Self::hint(self).unwrap_or_default()
    }
}

impl Hint for llamark_build::BuildError {
    fn hint(&self) -> String {
        Self::hint(self).unwrap_or_default()
    }
}

/// An error, its causes and what to do, in one line.
pub(crate) fn full_text<E: std::error::Error + Hint>(error: &E) -> String {
    let text = reason(error);
    match error.hint() {
        hint if hint.is_empty() => text,
        hint => format!("{text} ({hint})"),
    }
}

/// An error and its causes in one line.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        source = cause.source();
    }
    text
}
