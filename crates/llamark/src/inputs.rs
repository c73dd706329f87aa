//! The inputs of a set that is measured again: each by its digest, from wherever it is available. What cannot be had
//! is all named, not the first of it.

use std::collections::BTreeMap;

use llamark_build::{Builder, Prepared};
use llamark_fetch::{FetchedEngine, FetchedModel, Fetcher};
use llamark_record::Sha256;
use llamark_record::model::FileIdentity;
use llamark_record::plan::{Engine, PlannedBuild, PlannedModel, ResolvedPlan};

use crate::context::Context;
use crate::display::Display;
use crate::exit::{Exit, Failed};
use crate::load::Loaded;
use crate::resolve::{self, Builds, Resolved, full_text};

/// What was found, and what was not.
#[derive(Default)]
pub(crate) struct Inputs {
    /// All of it; absent when something is missing or is not what it was.
    pub(crate) resolved: Option<Resolved>,
    /// What is not there, each with where it could be had.
    pub(crate) missing: Vec<String>,
    /// What is there under its name, and is not what it was.
    pub(crate) changed: Vec<String>,
    /// Builds that would come out of other tools than then.
    pub(crate) other_builds: Vec<String>,
}

/// Finds every input of the plan of a set, whose digests are in `before`. Fetches what is not here; compiles nothing.
///
/// # Errors
/// Only when it was interrupted.
pub(crate) fn find(
    context: &Context,
    loaded: &Loaded,
    before: &ResolvedPlan,
    display: &Display,
) -> Result<Inputs, Failed> {
    let mut inputs = Inputs::default();
    let builds = inputs.builds(context, loaded, before, display)?;
    let mut models = BTreeMap::new();
    let mut never = BTreeMap::new();
    for model in &loaded.plan.models {
        match before.model_files.get(&model.id) {
            Some(files) => {
                let found = inputs.model(context, loaded, model, files, display)?;
                models.extend(found.map(|found| (model.id.clone(), found)));
            }
            // Its cases were skipped, and are again.
            None => {
                never.insert(model.id.clone(), "the set being repeated did not have it either".to_owned());
            }
        }
    }
    if let Some(builds) = builds.filter(|_| inputs.missing.is_empty() && inputs.changed.is_empty()) {
        let mut resolved = Resolved::new(loaded, builds, models);
        resolved.missing = never;
        inputs.resolved = Some(resolved);
    }
    Ok(inputs)
}

impl Inputs {
    /// The binaries themselves where the cache has them; else the trees by their digests, from the cache or its source.
    fn builds(
        &mut self,
        context: &Context,
        loaded: &Loaded,
        before: &ResolvedPlan,
        display: &Display,
    ) -> Result<Option<Builds>, Failed> {
        let plan = &loaded.plan;
        let builder = Builder::new(&context.cache);
        let recall = |build: &PlannedBuild| {
            Some((build.id.clone(), builder.recall(build, before.build_keys.get(&build.id)?)?))
        };
        let recalled: Option<BTreeMap<String, Prepared>> = plan.builds.iter().map(recall).collect();
        let is_source = |build: &PlannedBuild| before.tree_of(build).is_some();
        if let Some(prepared) = recalled.filter(|_| plan.builds.iter().all(is_source)) {
            let (engine_tree, engine_trees) = (before.engine_tree.clone(), before.engine_trees.clone());
            return Ok(Some(Builds { engine_tree, engine_trees, prepared }));
        }
        let mut engines = Vec::new();
        for engine in plan.engines() {
            let own = plan.builds.iter().find(|build| build.engine.as_ref() == Some(engine));
            let tree = own.map_or(before.engine_tree.as_ref(), |build| before.tree_of(build));
            let Some(found) = self.engine(context, loaded, (engine, tree), display)? else { return Ok(None) };
            engines.push(found);
        }
        let builds = match resolve::builds_of(context, loaded, &engines, display) {
            Ok(built) => built,
            Err(failed) if failed.exit == Exit::Interrupted => return Err(failed),
            Err(failed) => {
                self.missing.push(with_hint(&failed));
                return Ok(None);
            }
        };
        for (id, key) in builds.prepared.iter().map(|(id, prepared)| (id, prepared.key())) {
            match before.build_keys.get(id) {
                Some(known) if known == key => {}
                // The binaries of somebody else are an input; ours are made from inputs.
                _ if plan.builds.iter().any(|build| build.id == *id && !is_source(build)) => self.changed.push(format!("the binaries of build {id}")),
                _ => self.other_builds.push(format!(
                    "build {id}: it would be a different one now (key {}), since the engine, the compiler or a tool has \
                     changed",
                    key.short()
                )),
            }
        }
        Ok(Some(builds))
    }

    fn engine(
        &mut self,
        context: &Context,
        loaded: &Loaded,
        (engine, before): (&Engine, Option<&Sha256>),
        display: &Display,
    ) -> Result<Option<FetchedEngine>, Failed> {
        let observer = |event| display.fetch(event);
        let fetcher = Fetcher::new(&context.cache);
        let interrupt = &context.interrupt;
        if let Some(tree) = before
            && let Ok(Some(engine)) = fetcher.engine_by_digest(tree, interrupt, &observer)
        {
            return Ok(Some(engine));
        }
        let engine = match fetcher.engine(&engine.source, &loaded.folder, interrupt, &observer) {
            Ok(engine) => engine,
            Err(error) if interrupt.is_set() || error.is_interrupted() => {
                return Err(resolve::failed(context, Exit::BadInput, error));
            }
            Err(error) => {
                let digest = before.map_or_else(
                    || "the binaries whose digests are in builds/ of the set".to_owned(),
                    |tree| format!("the source tree {tree}"),
                );
                self.missing.push(format!("the engine, {digest}: {}", full_text(&error)));
                return Ok(None);
            }
        };
        if let (FetchedEngine::Source { tree, .. }, Some(known)) = (&engine, before)
            && tree != known
        {
            self.changed.push(format!(
                "the source tree of the engine (it was {}, now {})",
                known.short(),
                tree.short()
            ));
            return Ok(None);
        }
        Ok(Some(engine))
    }

    fn model(
        &mut self,
        context: &Context,
        loaded: &Loaded,
        model: &PlannedModel,
        files: &[FileIdentity],
        display: &Display,
    ) -> Result<Option<FetchedModel>, Failed> {
        let observer = |event| display.fetch(event);
        let fetcher = Fetcher::new(&context.cache);
        let interrupt = &context.interrupt;
        let cached = context.cache.join("models");
        let folders: Vec<_> = context.models.as_deref().into_iter().chain([cached.as_path()]).collect();
        let found = fetcher.model_by_digest(files, &folders, interrupt, &observer);
        if let Ok(Some(found)) = found {
            return Ok(Some(found));
        }
        let models = context.models.as_deref();
        match fetcher.model(&model.source, &loaded.folder, models, interrupt, &observer) {
            Err(error) if interrupt.is_set() || error.is_interrupted() => {
                Err(resolve::failed(context, Exit::BadInput, error))
            }
            Ok(fetched) if same_bytes(&fetched.files, files) => {
                Ok(Some(FetchedModel { paths: fetched.paths, files: files.to_vec() }))
            }
            Ok(_) => {
                self.changed.push(format!("the files of model `{}`", model.id));
                Ok(None)
            }
            Err(error) => {
                let wanted: Vec<String> = files.iter().map(described).collect();
                self.missing.push(format!(
                    "model {}: {}; it is not under --models DIR, and its source does not provide it: {}",
                    model.id,
                    wanted.join(", "),
                    full_text(&error)
                ));
                Ok(None)
            }
        }
    }
}

fn same_bytes(found: &[FileIdentity], wanted: &[FileIdentity]) -> bool {
    found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| a.sha256 == b.sha256)
}

fn described(file: &FileIdentity) -> String {
    format!("{} ({}, sha256 {})", file.name, llamark_report::format::bytes(file.bytes), file.sha256)
}

fn with_hint(failed: &Failed) -> String {
    if failed.hint.is_empty() { format!("{failed}") } else { format!("{failed} ({})", failed.hint) }
}
