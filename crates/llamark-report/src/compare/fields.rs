//! Everything that a set says about how it came to be, as flat fields with a path and a value.
//!
//! Plans and records are taken apart through their JSON form, so that a field that is added to them is seen here by
//! itself; until [`super::classes`] knows it, it is identity.

use std::collections::{BTreeMap, BTreeSet};

use llamark_artifact::{CaseLedger, StartLedger};
use llamark_record::Sha256;
use llamark_record::comparison::Touches;
use llamark_record::plan::{Plan, PromptContent};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::error::ReportError;
use crate::summarize::Material;

/// Where a field is: the parts of its name. A part may hold dots (`qwen3-1.7b`).
pub(super) type Path = Vec<String>;

/// Fields of a set: value, and which cases it has to do with.
pub(super) type Fields = BTreeMap<Path, (String, Touches)>;

/// What both sets have, so that only this is compared: what one set lacks is reported by its missing cases.
pub(super) struct Common<'a> {
    /// Cases whose shapes are listed: as there may be very many, those whose shapes differ, unless all are wanted.
    shapes: Vec<&'a str>,
    backends: BTreeSet<&'a str>,
    models: BTreeSet<&'a str>,
    prompts: BTreeSet<&'a str>,
}

impl<'a> Common<'a> {
    /// With the shapes of all cases, or of those that differ.
    pub(super) fn of(base: Material<'a>, candidate: Material<'a>, all_shapes: bool) -> Self {
        let both = |case: &'a CaseLedger| Some((case, candidate.ledger.case(&case.case.id)?));
        let both: Vec<(&CaseLedger, &CaseLedger)> = base.ledger.cases.iter().filter_map(both).collect();
        let is_told = |(a, b): &&(&CaseLedger, &CaseLedger)| all_shapes || Shape::of(a) != Shape::of(b);
        Self {
            shapes: both.par_iter().filter(is_told).map(|(case, _)| case.case.id.as_str()).collect(),
            backends: both.iter().map(|(case, _)| case.case.backend.as_str()).collect(),
            models: both.iter().map(|(case, _)| case.case.model.as_str()).collect(),
            prompts: both.iter().map(|(case, _)| case.case.prompt.as_str()).collect(),
        }
    }
}

/// The fields of a set, as far as they have to do with cases that both have.
pub(super) fn fields(material: Material<'_>, common: &Common<'_>) -> Result<Fields, ReportError> {
    let mut out = Collector { fields: Fields::new() };
    plan(material, &mut out)?;
    backends(material, common, &mut out)?;
    models(material, common, &mut out)?;
    let plan = &material.resolved.plan;
    for prompt in plan.prompts.iter().filter(|prompt| common.prompts.contains(prompt.name.as_str())) {
        let touches = Touches::Prompt(prompt.name.clone());
        match &prompt.content {
            PromptContent::Tokens { sha256, tokens, .. } => {
                out.put(&["prompt", &prompt.name, "sha256"], sha256.as_str(), &touches);
                out.put(&["prompt", &prompt.name, "tokens"], &tokens.to_string(), &touches);
            }
            PromptContent::Text { sha256, .. } => {
                out.put(&["prompt", &prompt.name, "sha256"], sha256.as_str(), &touches);
            }
            PromptContent::Unstated { description } => {
                out.put(&["prompt", &prompt.name, "description"], description, &touches);
            }
        }
    }
    for case in common.shapes.iter().filter_map(|id| material.ledger.case(id)) {
        Shape::of(case).put(&case.case.id, &mut out);
    }
    if let Some(begin) = &material.ledger.begin {
        out.put(&["llamark"], &begin.llamark, &Touches::All);
    }
    for name in material.environment.facts.keys() {
        if let Some(value) = material.environment.value(name) {
            let path: Path = std::iter::once("host").chain(name.split('.')).map(str::to_owned).collect();
            out.fields.insert(path, (value.to_owned(), Touches::All));
        }
    }
    Ok(out.fields)
}

/// The plan as a whole, and the engine.
fn plan(material: Material<'_>, out: &mut Collector) -> Result<(), ReportError> {
    let resolved = material.resolved;
    // Told below; the order of the starts follows from the seed.
    let plan = Plan { cases: Vec::new(), schedule: Vec::new(), ..resolved.plan.clone() };
    let mut plan = json(&plan)?;
    if let Value::Object(plan) = &mut plan {
        // Told below, or by the cases; the gates are rules of ours, and so is the order of two sets, or of two variants, that
        // were measured in turn.
        for told in
            ["schedule", "cases", "backends", "models", "prompts", "builds", "gates", "interleaved", "ab"]
        {
            plan.remove(told);
        }
        // Its digest says it.
        if let Some(Value::Object(filler)) = plan.get_mut("filler") {
            filler.remove("text");
        }
        for told in ["canary", "perplexity"] {
            if let Some(Value::Object(told)) = plan.get_mut(told) {
                told.remove("text");
            }
        }
        if let Some(engine) = plan.remove("engine") {
            out.flatten(vec!["engine".to_owned()], &engine, &Touches::All);
        }
    }
    out.flatten(vec!["plan".to_owned()], &plan, &Touches::All);
    if let Some(tree) = &resolved.engine_tree {
        out.put(&["engine", "tree"], tree.as_str(), &Touches::All);
    }
    Ok(())
}

fn backends(material: Material<'_>, common: &Common<'_>, out: &mut Collector) -> Result<(), ReportError> {
    let plan = &material.resolved.plan;
    for backend in plan.backends.iter().filter(|backend| common.backends.contains(backend.name.as_str())) {
        let touches = Touches::Backend(backend.name.clone());
        let mut value = json(backend)?;
        if let Value::Object(value) = &mut value {
            value.insert("server".to_owned(), json(&backend.server.by_name())?);
        }
        // The variables that the server really got, where one was started: those of the author are among them.
        // One that was refused before it was spawned has none.
        let cases = material.ledger.cases.iter().filter(|case| case.case.backend == backend.name);
        let mut given = cases.flat_map(|case| case.starts.values()).map(|start| &start.opened.environment);
        if let (Value::Object(value), Some(given)) = (&mut value, given.find(|given| !given.is_empty())) {
            value.insert("environment".to_owned(), json(given)?);
        }
        out.flatten(vec!["backend".to_owned(), backend.name.clone()], &value, &touches);
        build(material, &backend.name, &backend.build, &touches, out)?;
    }
    Ok(())
}

/// The build of a backend, under the name of the backend: ids of builds depend on what else is in an experiment.
fn build(
    material: Material<'_>,
    backend: &str,
    id: &str,
    touches: &Touches,
    out: &mut Collector,
) -> Result<(), ReportError> {
    let path = vec!["build".to_owned(), backend.to_owned()];
    let resolved = material.resolved;
    let planned = resolved.plan.builds.iter().find(|build| build.id == id);
    if let Some((build, engine)) = planned.and_then(|build| Some((build, build.engine.as_ref()?))) {
        let path = [&path[..], &["engine".to_owned()]].concat();
        out.flatten(path, &json(engine)?, touches);
        if let Some(tree) = resolved.tree_of(build) {
            out.put(&["build", backend, "engine", "tree"], tree.as_str(), touches);
        }
    }
    let Some(record) = material.ledger.builds.get(id) else {
        if let Some(planned) = planned {
            let mut value = json(planned)?;
            if let Value::Object(value) = &mut value {
                value.remove("id");
                value.remove("engine");
            }
            out.flatten(path, &value, touches);
        }
        return Ok(());
    };
    let files: Vec<(&str, &str)> =
        record.files.iter().map(|file| (file.name.as_str(), file.sha256.as_str())).collect();
    let binaries = Sha256::of_canonical_json(&files)?;
    out.put(&["build", backend, "binaries"], binaries.as_str(), touches);
    let Some(inputs) = &record.inputs else {
        out.put(&["build", backend, "version"], record.version.trim(), touches);
        return Ok(());
    };
    let mut inputs = json(inputs)?;
    if let Value::Object(inputs) = &mut inputs {
        // Those of the engine, which are told there.
        inputs.remove("source_tree");
        if let Some(Value::Object(cmake)) = inputs.get_mut("cmake") {
            cmake.remove("LLAMA_BUILD_NUMBER");
            cmake.remove("LLAMA_BUILD_COMMIT");
        }
    }
    out.flatten(path, &inputs, touches);
    Ok(())
}

fn models(material: Material<'_>, common: &Common<'_>, out: &mut Collector) -> Result<(), ReportError> {
    let resolved = material.resolved;
    for model in resolved.plan.models.iter().filter(|model| common.models.contains(model.id.as_str())) {
        let touches = Touches::Model(model.id.clone());
        out.flatten(vec!["model".to_owned(), model.id.clone()], &json(model)?, &touches);
        if let Some(files) = resolved.model_files.get(&model.id) {
            let path = vec!["model".to_owned(), model.id.clone(), "files".to_owned()];
            out.flatten(path, &json(files)?, &touches);
        }
    }
    Ok(())
}

/// What one run of a case is, as planned and as the server counted it.
#[derive(PartialEq)]
struct Shape<'a> {
    planned: [(&'static str, u32); 7],
    prompt_tokens: BTreeSet<u32>,
    prompt_ids: BTreeSet<&'a Sha256>,
    depth_ids: BTreeSet<&'a Sha256>,
}

impl<'a> Shape<'a> {
    fn of(case: &'a CaseLedger) -> Self {
        let planned = &case.case;
        let ready = || case.starts.values().filter_map(|start| start.ready.as_ref());
        let stated = case.stated.values().flat_map(|start| &start.runs).filter_map(|run| run.prompt_tokens);
        Self {
            planned: [
                ("max_tokens", planned.max_tokens),
                ("depth", planned.depth),
                ("concurrency", planned.concurrency),
                ("context", planned.context),
                ("warmup", planned.warmup),
                ("runs", planned.runs),
                ("starts", planned.starts),
            ],
            prompt_tokens: case
                .starts
                .values()
                .filter_map(StartLedger::prompt_tokens)
                .chain(stated)
                .collect(),
            prompt_ids: ready().map(|ready| &ready.prompt_ids).collect(),
            depth_ids: ready().filter_map(|ready| ready.depth_ids.as_ref()).collect(),
        }
    }

    fn put(&self, id: &str, out: &mut Collector) {
        let touches = Touches::Case(id.to_owned());
        for (name, value) in self.planned {
            out.put(&["case", id, name], &value.to_string(), &touches);
        }
        for (name, values) in [
            ("prompt_tokens", listed(&self.prompt_tokens)),
            ("prompt_ids", listed(&self.prompt_ids)),
            ("depth_ids", listed(&self.depth_ids)),
        ] {
            if !values.is_empty() {
                out.put(&["case", id, name], &values, &touches);
            }
        }
    }
}

fn listed<T: ToString>(values: &BTreeSet<T>) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn json<T: Serialize>(value: &T) -> Result<Value, ReportError> {
    serde_json::to_value(value).map_err(|source| ReportError::Json { what: "fields of a set", source })
}

struct Collector {
    fields: Fields,
}

impl Collector {
    fn put(&mut self, path: &[&str], value: &str, touches: &Touches) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.fields.insert(path, (value.to_owned(), touches.clone()));
    }

    /// The leaves of a JSON value; elements of a list by their place. An absence is not a field.
    fn flatten(&mut self, path: Path, value: &Value, touches: &Touches) {
        let below = |part: &str| path.iter().cloned().chain([part.to_owned()]).collect::<Path>();
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    self.flatten(below(name), value, touches);
                }
            }
            Value::Array(elements) => {
                for (place, element) in elements.iter().enumerate() {
                    self.flatten(below(&place.to_string()), element, touches);
                }
            }
            Value::Null => {}
            Value::String(text) => {
                self.fields.insert(path, (text.clone(), touches.clone()));
            }
            Value::Bool(_) | Value::Number(_) => {
                self.fields.insert(path, (value.to_string(), touches.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_apart_to_its_leaves() {
        let mut out = Collector { fields: Fields::new() };
        let value = serde_json::json!({"server": {"threads": 8, "x": null, "mmap": true}, "n": ["a"]});
        out.flatten(vec!["backend".to_owned(), "a.b".to_owned()], &value, &Touches::All);
        let found: Vec<(String, &str)> =
            out.fields.iter().map(|(path, (value, _))| (path.join("|"), value.as_str())).collect();
        assert_eq!(
            found,
            [
                ("backend|a.b|n|0".to_owned(), "a"),
                ("backend|a.b|server|mmap".to_owned(), "true"),
                ("backend|a.b|server|threads".to_owned(), "8"),
            ]
        );
    }
}
