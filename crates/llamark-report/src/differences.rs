//! What differs around two sets: plan, builds, machine; each difference with what it means for a comparison.

use std::collections::{BTreeMap, BTreeSet};

use llamark_record::environment::{Environment, FieldClass};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ReportError;
use crate::summarize::Material;

/// Something that is not the same in both sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// What it means for a comparison.
    pub class: FieldClass,
    /// Where: `plan.backends.cpu.server.threads`, `build.cpu.tools.cc`, `host.kernel.release`.
    pub field: String,
    /// In the base; absent when it has none.
    pub base: Option<String>,
    /// In the candidate; absent when it has none.
    pub candidate: Option<String>,
}

/// Parts of a moment in the names of facts: expected to change.
const MOMENT: [&str; 12] = [
    "available",
    "boot",
    "clock",
    "free",
    "frequency",
    "hostname",
    "load",
    "temperature",
    "time",
    "uptime",
    "used",
    "pid",
];

/// Every difference, by class (identity, treatment, nuisance), then by field.
pub(crate) fn between(base: Material<'_>, candidate: Material<'_>) -> Result<Vec<Difference>, ReportError> {
    let (base, candidate) = (fields(base)?, fields(candidate)?);
    let names: BTreeSet<&String> = base.keys().chain(candidate.keys()).collect();
    let mut differences: Vec<Difference> = names
        .into_iter()
        .filter(|name| base.get(*name) != candidate.get(*name))
        .filter_map(|name| {
            let (base, candidate) = (base.get(name).cloned(), candidate.get(name).cloned());
            // A case, a model or a backend that only one set has is told by the cases.
            let is_listed = ["plan.cases.", "plan.models.", "plan.model_files.", "plan.prompts."]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            if is_listed && (base.is_none() || candidate.is_none()) {
                return None;
            }
            Some(Difference { class: class_of(name), field: name.clone(), base, candidate })
        })
        .collect();
    differences.sort_by(|a, b| (rank(a.class), &a.field).cmp(&(rank(b.class), &b.field)));
    Ok(differences)
}

fn rank(class: FieldClass) -> u8 {
    match class {
        FieldClass::Identity => 0,
        FieldClass::Treatment => 1,
        FieldClass::Nuisance => 2,
    }
}

/// What a difference in a field means.
fn class_of(field: &str) -> FieldClass {
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| field.ends_with(suffix));
    if let Some(fact) = field.strip_prefix("host.") {
        let parts: Vec<&str> = fact.split(['.', '_']).collect();
        let is_moment = parts.iter().any(|part| MOMENT.contains(part));
        return if is_moment { FieldClass::Nuisance } else { FieldClass::Treatment };
    }
    if field.starts_with("plan.model_files.") {
        // The same bytes under another name are the same model.
        return if ends(&[".name"]) { FieldClass::Nuisance } else { FieldClass::Identity };
    }
    if field.starts_with("plan.prompts.") {
        return FieldClass::Identity;
    }
    if field.starts_with("plan.cases.") {
        let is_shape = ends(&[".max_tokens", ".context", ".warmup"]);
        return if is_shape { FieldClass::Identity } else { FieldClass::Nuisance };
    }
    if field.starts_with("plan.backends.") {
        return if ends(&[".label", ".note"]) { FieldClass::Nuisance } else { FieldClass::Treatment };
    }
    if ["plan.engine", "plan.builds.", "plan.cooldown_ms", "build.", "llamark"]
        .iter()
        .any(|p| field.starts_with(p))
    {
        return FieldClass::Treatment;
    }
    FieldClass::Nuisance
}

/// Everything that a set says about how it came to be, flat.
fn fields(material: Material<'_>) -> Result<BTreeMap<String, String>, ReportError> {
    let mut fields = BTreeMap::new();
    let fail = |source| ReportError::Json { what: "plan", source };
    let resolved = material.resolved;
    let mut plan = serde_json::to_value(&resolved.plan).map_err(fail)?;
    if let Value::Object(plan) = &mut plan {
        // The order of the starts follows from the seed; how often is told by the cases.
        plan.remove("schedule");
        if let Some(Value::Array(prompts)) = plan.get_mut("prompts") {
            for prompt in prompts.iter_mut().filter_map(Value::as_object_mut) {
                if let Some(text) = prompt.get_mut("content").and_then(|content| content.get_mut("text")) {
                    text.as_object_mut().map(|text| text.remove("text"));
                }
            }
        }
    }
    flatten("plan", &plan, &mut fields);
    flatten("plan.model_files", &serde_json::to_value(&resolved.model_files).map_err(fail)?, &mut fields);
    if let Some(tree) = &resolved.engine_tree {
        fields.insert("plan.engine.tree".to_owned(), tree.to_string());
    }
    for (id, build) in &material.ledger.builds {
        fields.insert(format!("build.{id}.key"), build.key.to_string());
        fields.insert(format!("build.{id}.version"), build.version.trim().to_owned());
        flatten(&format!("build.{id}"), &serde_json::to_value(&build.inputs).map_err(fail)?, &mut fields);
    }
    if let Some(begin) = &material.ledger.begin {
        fields.insert("llamark".to_owned(), begin.llamark.clone());
    }
    host(material.environment, &mut fields);
    Ok(fields)
}

fn host(environment: &Environment, fields: &mut BTreeMap<String, String>) {
    for name in environment.facts.keys() {
        if let Some(value) = environment.value(name) {
            fields.insert(format!("host.{name}"), value.to_owned());
        }
    }
}

/// Leaves of a JSON value by dotted path; elements of a list by their `id` or `name` where they have one.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                flatten(&format!("{path}.{name}"), value, into);
            }
        }
        Value::Array(elements) => {
            for (place, element) in elements.iter().enumerate() {
                // A file is known by its place, since its name may change.
                let is_file = element.get("sha256").is_some() && element.get("bytes").is_some();
                let key = element.get("id").or_else(|| element.get("name")).and_then(Value::as_str);
                let name = key.filter(|_| !is_file).map_or_else(|| place.to_string(), str::to_owned);
                flatten(&format!("{path}.{name}"), element, into);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            into.insert(path.to_owned(), text.clone());
        }
        Value::Bool(_) | Value::Number(_) => {
            into.insert(path.to_owned(), value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_compared_by_name_and_classes_follow_the_field() {
        let mut fields = BTreeMap::new();
        let value = serde_json::json!({"backends": [{"name": "cpu", "server": {"threads": 8, "x": null}}], "n": [true]});
        flatten("plan", &value, &mut fields);
        let expected = [
            ("plan.backends.cpu.name", "cpu"),
            ("plan.backends.cpu.server.threads", "8"),
            ("plan.n.0", "true"),
        ];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        for (field, class) in [
            ("plan.backends.cpu.server.threads", FieldClass::Treatment),
            ("plan.backends.cpu.note", FieldClass::Nuisance),
            ("plan.model_files.m.0.sha256", FieldClass::Identity),
            ("plan.model_files.m.0.name", FieldClass::Nuisance),
            ("plan.cases.m/cpu/p.max_tokens", FieldClass::Identity),
            ("plan.cases.m/cpu/p.runs", FieldClass::Nuisance),
            ("plan.title", FieldClass::Nuisance),
            ("build.cpu.tools.cc", FieldClass::Treatment),
            ("host.kernel.release", FieldClass::Treatment),
            ("host.memory.available_bytes", FieldClass::Nuisance),
            ("host.cpu.0.frequency_khz", FieldClass::Nuisance),
        ] {
            assert_eq!(class_of(field), class, "{field}");
        }
    }
}
