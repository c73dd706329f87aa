//! The JSON Schemas (draft 2020-12) of what llamark reads and writes, generated from the types.

use llamark_record::bisect::BisectRecord;
use llamark_record::comparison::Comparison;
use llamark_record::environment::Environment;
use llamark_record::journal::Entry;
use llamark_record::manifest::Manifest;
use llamark_record::noise::NoiseFile;
use llamark_record::plan::{Plan, ResolvedPlan};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::accepted::AcceptedFile;
use crate::engines::EnginesFile;
use crate::experiment::Experiment;
use crate::lock::LockFile;

/// The schema of an experiment.
///
/// It has no `null`: a key without a value is a mistake, not a way to leave it out.
pub fn experiment_schema() -> Value {
    let mut schema = schema_of::<Experiment>();
    remove_null(&mut schema);
    schema
}

/// The schema of a lock file. As that of an experiment it has no `null`.
pub fn lock_schema() -> Value {
    let mut schema = schema_of::<LockFile>();
    remove_null(&mut schema);
    schema
}

/// The schema of what `llamark plan --json` prints: a [`Plan`].
pub fn plan_schema() -> Value {
    schema_of::<Plan>()
}

/// The schema of `plan.json`: a [`ResolvedPlan`].
pub fn resolved_plan_schema() -> Value {
    schema_of::<ResolvedPlan>()
}

/// The schema of one line of `journal.jsonl`: an [`Entry`].
pub fn journal_schema() -> Value {
    schema_of::<Entry>()
}

/// The schema of `manifest.json`: a [`Manifest`].
pub fn manifest_schema() -> Value {
    schema_of::<Manifest>()
}

/// The schema of `environment.json`: an [`Environment`].
pub fn environment_schema() -> Value {
    schema_of::<Environment>()
}

/// The schema of what `llamark diff --format json` prints: a [`Comparison`].
pub fn comparison_schema() -> Value {
    schema_of::<Comparison>()
}

/// The schema of the file that `llamark calibrate` writes: a [`NoiseFile`].
pub fn noise_schema() -> Value {
    schema_of::<NoiseFile>()
}

/// The schema of a file of accepted changes (`llamark diff --accept`). Without `null`, as [`experiment_schema`].
pub fn accepted_schema() -> Value {
    let mut schema = schema_of::<AcceptedFile>();
    remove_null(&mut schema);
    schema
}

/// The schema of a list of engines (`llamark bisect --engines`). Without `null`, as [`experiment_schema`].
pub fn engines_schema() -> Value {
    let mut schema = schema_of::<EnginesFile>();
    remove_null(&mut schema);
    schema
}

/// The schema of the file that `llamark bisect` writes: a [`BisectRecord`].
pub fn bisect_schema() -> Value {
    schema_of::<BisectRecord>()
}

/// Every schema and the name of its file in `schema/`.
pub fn all() -> [(&'static str, Value); 12] {
    [
        ("experiment.schema.json", experiment_schema()),
        ("lock.schema.json", lock_schema()),
        ("plan.schema.json", plan_schema()),
        ("resolved-plan.schema.json", resolved_plan_schema()),
        ("journal-entry.schema.json", journal_schema()),
        ("manifest.schema.json", manifest_schema()),
        ("environment.schema.json", environment_schema()),
        ("comparison.schema.json", comparison_schema()),
        ("noise.schema.json", noise_schema()),
        ("accepted.schema.json", accepted_schema()),
        ("engines.schema.json", engines_schema()),
        ("bisect.schema.json", bisect_schema()),
    ]
}

fn schema_of<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    unwrap_lines(&mut schema);
    schema
}

/// The lines of a doc comment end where the source's do; a description is one paragraph a line.
fn unwrap_lines(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(unwrap_lines),
        Value::Object(object) => {
            if let Some(Value::String(description)) = object.get_mut("description") {
                let paragraphs: Vec<String> =
                    description.split("\n\n").map(|text| text.replace('\n', " ")).collect();
                *description = paragraphs.join("\n\n");
            }
            object.values_mut().for_each(unwrap_lines);
        }
        _ => {}
    }
}

/// Takes `null` out of what the types of optional keys allow.
fn remove_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(remove_null),
        Value::Object(object) => {
            remove_null_type(object);
            remove_null_branch(object);
            object.values_mut().for_each(remove_null);
        }
        _ => {}
    }
}

/// `{"type": ["string", "null"]}` becomes `{"type": "string"}`.
fn remove_null_type(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
}

/// `{"anyOf": [X, {"type": "null"}]}` becomes `X`; what stood next to `anyOf` stays.
fn remove_null_branch(object: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = object.get_mut("anyOf") else { return };
    let null = serde_json::json!({"type": "null"});
    let before = branches.len();
    branches.retain(|branch| *branch != null);
    if let [Value::Object(only)] = branches.as_slice()
        && before == 2
    {
        let only = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}
