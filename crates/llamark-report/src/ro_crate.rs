//! A set as an RO-Crate (Process Run Crate 0.5): for archives that know such crates, and nothing of llamark.
//!
//! It is generated from the manifest and says less than it: nothing is ever verified against it.

use std::collections::BTreeMap;

use llamark_artifact::ArtifactSet;
use llamark_artifact::set::{CHECKSUMS, MANIFEST};
use llamark_record::manifest::{Manifest, Resource};
use serde_json::{Value, json};

use crate::error::ReportError;

/// Name of the description in a crate.
pub const RO_CRATE: &str = "ro-crate-metadata.json";

const CRATE: &str = "https://w3id.org/ro/crate/1.1";
const PROCESS_RUN: &str = "https://w3id.org/ro/wfrun/process/0.5";
const ACTION: &str = "#run";
/// A crate must say something.
const NO_LICENSE: &str = "No licence is stated: ask whoever published this crate.";

/// The description of a sealed set as a crate, under a licence if the publisher names one by its URL.
///
/// # Errors
/// [`ReportError::NotSealed`] when the set has no manifest.
pub fn ro_crate(set: &ArtifactSet, license: Option<&str>) -> Result<Vec<u8>, ReportError> {
    let Some(manifest) = &set.sealed else { return Err(ReportError::NotSealed { set: set.id.clone() }) };
    let files: Vec<Value> = manifest
        .subject
        .iter()
        .map(of_set)
        .chain([(MANIFEST, "application/json"), (CHECKSUMS, "text/plain")].map(
            |(name, format)| json!({"@id": name, "@type": "File", "name": name, "encodingFormat": format}),
        ))
        .collect();
    let inputs = inputs(manifest);
    let mut graph = vec![
        json!({"@id": RO_CRATE, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": CRATE}}),
        root(set, manifest, &files, license),
        json!({"@id": PROCESS_RUN, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}),
        program(manifest),
        action(set, manifest, &files, &inputs),
    ];
    if let Some(license) = license {
        graph.push(json!({"@id": license, "@type": "CreativeWork", "name": license, "url": license}));
    }
    graph.extend(files);
    graph.extend(inputs);
    // One term is none of RO-Crate 1.1; to name its vocabulary would be one more file to fetch.
    let sha256 = "https://w3id.org/ro/terms/workflow-run#sha256";
    let context = json!(["https://w3id.org/ro/crate/1.1/context", {"sha256": sha256}]);
    let mut bytes = serde_json::to_vec_pretty(&json!({"@context": context, "@graph": graph}))
        .map_err(|source| ReportError::Json { what: "description of the crate", source })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn root(set: &ArtifactSet, manifest: &Manifest, files: &[Value], license: Option<&str>) -> Value {
    let plan = &set.resolved.plan;
    let text = if plan.description.is_empty() {
        format!("Artifact set {} of the experiment {}: a benchmark of llama.cpp", set.id, plan.name)
    } else {
        plan.description.clone()
    };
    let mut root = json!({
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": {"@id": PROCESS_RUN},
        "name": plan.title,
        "description": text,
        "datePublished": manifest.predicate.run_details.metadata.finished_on,
        "hasPart": ids(files),
        "mentions": {"@id": ACTION},
    });
    if let Some(root) = root.as_object_mut() {
        let license = license.map_or_else(|| json!(NO_LICENSE), |license| json!({"@id": license}));
        root.insert("license".to_owned(), license);
    }
    root
}

fn program(manifest: &Manifest) -> Value {
    let builder = &manifest.predicate.run_details.builder;
    let version = builder.version.get("llamark").cloned().unwrap_or_else(|| "unknown".to_owned());
    json!({"@id": builder.id, "@type": "SoftwareApplication", "name": "llamark", "identifier": builder.id,
        "softwareVersion": version})
}

fn action(set: &ArtifactSet, manifest: &Manifest, files: &[Value], inputs: &[Value]) -> Value {
    let metadata = &manifest.predicate.run_details.metadata;
    let what = if set.resolved.plan.document().is_some() { "Import" } else { "Run" };
    json!({
        "@id": ACTION,
        "@type": "CreateAction",
        "name": format!("{what} of the experiment {}", set.resolved.plan.name),
        "description": format!("What went in, what came out, and when; {MANIFEST} has more"),
        "identifier": metadata.invocation_id,
        "instrument": {"@id": manifest.predicate.run_details.builder.id},
        "object": ids(inputs),
        "result": ids(files),
        "startTime": zoned(&metadata.started_on),
        "endTime": zoned(&metadata.finished_on),
    })
}

/// A time with its zone as a number, which is how the profile knows it.
fn zoned(time: &str) -> String {
    time.strip_suffix('Z').map_or_else(|| time.to_owned(), |time| format!("{time}+00:00"))
}

fn ids(entities: &[Value]) -> Vec<Value> {
    entities.iter().map(|entity| json!({"@id": entity.get("@id")})).collect()
}

/// A file of the set.
fn of_set(file: &Resource) -> Value {
    let mut entity = json!({
        "@id": encoded(&file.name),
        "@type": "File",
        "name": file.name,
        "encodingFormat": format_of(&file.name),
        "sha256": file.digest.sha256,
    });
    put_size(&mut entity, file);
    entity
}

/// What went in, each once. Nothing of it lies in the crate: it is known by its digest.
fn inputs(manifest: &Manifest) -> Vec<Value> {
    let mut by_id = BTreeMap::new();
    for input in &manifest.predicate.build_definition.resolved_dependencies {
        let id = format!("urn:sha256:{}", input.digest.sha256);
        let mut entity = json!({
            "@id": id,
            "@type": "CreativeWork",
            "name": input.name,
            "sha256": input.digest.sha256,
        });
        put_size(&mut entity, input);
        if let (Some(uri), Some(entity)) = (&input.uri, entity.as_object_mut()) {
            entity.insert("identifier".to_owned(), json!(uri));
        }
        by_id.entry(id).or_insert(entity);
    }
    by_id.into_values().collect()
}

fn put_size(entity: &mut Value, resource: &Resource) {
    if let (Some(bytes), Some(entity)) = (resource.annotations.get("bytes"), entity.as_object_mut()) {
        entity.insert("contentSize".to_owned(), json!(bytes));
    }
}

/// A path as the reference that a crate wants: what no path of a URI may hold is percent-encoded (RFC 3986).
fn encoded(path: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                text.push(char::from(byte));
            }
            _ => {
                let _infallible = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

fn format_of(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "json" => "application/json",
        "jsonl" => "application/jsonl",
        "yaml" => "application/yaml",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "parquet" => "application/vnd.apache.parquet",
        "log" | "txt" => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_those_of_a_uri() {
        assert_eq!(encoded("cases/a__b/start-1.log"), "cases/a__b/start-1.log");
        assert_eq!(encoded("cases/%2E. ü"), "cases/%252E.%20%C3%BC");
        assert_eq!(zoned("2026-11-22T18:16:18.123Z"), "2026-11-22T18:16:18.123+00:00");
    }
}
