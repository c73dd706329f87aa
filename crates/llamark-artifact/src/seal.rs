//! Sealing: from an open set to a manifest that names every byte of it.
//!
//! The order, and what a crash leaves at each point:
//!
//! 1. The `end` entry is in the journal, durable. Crash: the set is open; resuming finds nothing left to do but to
//!    seal, so that no second `end` is written.
//! 2. Every file is hashed and flushed, logs too, which other programs wrote. Crash: as before.
//! 3. `manifest-sha256.txt` is written atomically; it holds the digest of the manifest, whose bytes are made but not
//!    on disk. Crash: the set is open, since there is no manifest; resuming removes the list.
//! 4. `manifest.json` appears by one rename that replaces nothing: **the commit point**. Its content was flushed
//!    before, and all that it speaks of was flushed before that. Crash before the rename is on disk: as before;
//!    after: the set is sealed.
//! 5. The folder is flushed, files lose their write permission. Crash: the set is sealed; permissions are a
//!    courtesy against accidents and no part of what is verified.
//!
//! A set is sealed if and only if `manifest.json` is there. No state between exists: every step before 4 leaves no
//! manifest, and nothing after it changes content.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use llamark_record::Sha256;
use llamark_record::manifest::{
    BuildDefinition, Builder, Digests, ExternalParameters, Manifest, Metadata, PREDICATE_TYPE, Predicate,
    Resource, RunDetails, STATEMENT_TYPE, build_type,
};
use llamark_record::plan::{EngineSource, ModelSource, PlannedModel, ResolvedPlan};

use crate::files;
use crate::names::check_relative;
use crate::set::{CHECKSUMS, MANIFEST};
use crate::store::pretty;
use crate::{ArtifactError, Ledger, plain};

/// `id` of the builder in the manifest.
const BUILDER: &str = "urn:llamark:llamark";

/// Name of the annotation that holds the size of a file.
pub(crate) const BYTES: &str = "bytes";

/// Writes the checksums and the manifest of the set in `path`, whose journal ends in the `end` entry.
pub(crate) fn seal(
    path: &Utf8Path,
    id: &str,
    resolved: &ResolvedPlan,
    ledger: &Ledger,
    head: &Sha256,
    dependencies: Vec<Resource>,
) -> Result<(), ArtifactError> {
    let subject = subjects(path)?;
    let manifest = Manifest {
        statement_type: STATEMENT_TYPE.to_owned(),
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            build_definition: BuildDefinition {
                build_type: build_type(&resolved.plan).to_owned(),
                external_parameters: ExternalParameters {
                    experiment: resolved.plan.name.clone(),
                    plan_digest: resolved.digest()?,
                },
                internal_parameters: BTreeMap::from([("seed".to_owned(), resolved.plan.seed.to_string())]),
                resolved_dependencies: resolved_dependencies(resolved, ledger, dependencies),
            },
            run_details: RunDetails {
                builder: Builder {
                    id: BUILDER.to_owned(),
                    version: ledger
                        .begin
                        .iter()
                        .map(|begin| ("llamark".to_owned(), begin.llamark.clone()))
                        .collect(),
                },
                metadata: Metadata {
                    invocation_id: id.to_owned(),
                    started_on: ledger.started_at.clone(),
                    finished_on: ledger.finished_at.clone(),
                    journal_head: None,
                },
                byproducts: vec![RunDetails::journal_head(head.clone())],
            },
        },
        subject,
    };
    let bytes = pretty(&manifest)?;
    let checksums = checksums(&manifest.subject, &Sha256::of_bytes(&bytes));
    files::write_atomic(&path.join(CHECKSUMS), checksums.as_bytes())?;
    files::persist_new(&path.join(MANIFEST), &bytes)?;
    make_read_only(path)
}

/// The text of `manifest-sha256.txt`: every subject and the manifest, sorted by name, as `sha256sum` writes it.
pub(crate) fn checksums(subject: &[Resource], manifest: &Sha256) -> String {
    let mut lines: BTreeMap<&str, &Sha256> =
        subject.iter().map(|resource| (resource.name.as_str(), &resource.digest.sha256)).collect();
    lines.insert(MANIFEST, manifest);
    lines.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect()
}

/// Every file of the set but the manifest and the checksums, hashed and flushed.
fn subjects(path: &Utf8Path) -> Result<Vec<Resource>, ArtifactError> {
    let walk = plain::walk(path)?;
    if let Some(odd) = walk.odd.first() {
        return Err(ArtifactError::NotPlain { path: path.join(odd) });
    }
    let mut subject = Vec::new();
    let mut folders = BTreeSet::new();
    for name in walk.files {
        if name == MANIFEST || name == CHECKSUMS {
            continue;
        }
        check_relative(&name)?;
        let file_path = path.join(&name);
        let (file, length) = plain::open_sized(&file_path)?;
        let (bytes, sha256) = plain::digest_open(&file, length, &file_path)?;
        files::flush(&file, &file_path)?;
        let mut folder = file_path.parent();
        while let Some(inside) = folder.filter(|folder| folder.starts_with(path)) {
            folders.insert(inside.to_owned());
            folder = inside.parent();
        }
        subject.push(Resource {
            name,
            uri: None,
            digest: Digests { sha256 },
            annotations: BTreeMap::from([(BYTES.to_owned(), bytes.to_string())]),
        });
    }
    for folder in folders {
        files::sync_folder(&folder)?;
    }
    Ok(subject)
}

/// Models, binaries, source tree, prompts and the text of the perplexity by digest; and what the caller adds. Sorted by name.
pub(crate) fn resolved_dependencies(
    resolved: &ResolvedPlan,
    ledger: &Ledger,
    extra: Vec<Resource>,
) -> Vec<Resource> {
    let mut all = extra;
    let mut push = |name: String, uri: Option<String>, sha256: &Sha256, bytes: Option<u64>| {
        let annotations = bytes.map(|bytes| (BYTES.to_owned(), bytes.to_string())).into_iter().collect();
        all.push(Resource { name, uri, digest: Digests { sha256: sha256.clone() }, annotations });
    };
    if let Some(tree) = &resolved.engine_tree {
        push("engine/source-tree".to_owned(), engine_uri(&resolved.plan.engine.source), tree, None);
    }
    for build in resolved.plan.builds.iter().filter(|build| build.engine.is_some()) {
        if let Some(tree) = resolved.tree_of(build) {
            let uri = engine_uri(&resolved.plan.engine_of(build).source);
            push(format!("engine/source-tree/{}", build.id), uri, tree, None);
        }
    }
    for model in &resolved.plan.models {
        let files = resolved.model_files.get(&model.id).map(Vec::as_slice).unwrap_or_default();
        for (place, file) in files.iter().enumerate() {
            let uri = if place == 0 { model_uri(model) } else { None };
            push(format!("model/{}/{}", model.id, file.name), uri, &file.sha256, Some(file.bytes));
        }
    }
    for (id, build) in &ledger.builds {
        for file in &build.files {
            push(format!("build/{id}/{}", file.name), None, &file.sha256, Some(file.bytes));
        }
    }
    for (path, file) in mapped(ledger) {
        push(format!("mapped/{}", path.trim_start_matches('/')), None, file.0, file.1);
    }
    for prompt in &resolved.plan.prompts {
        if let (Some(text), Some(sha256)) = (prompt.content.text(), prompt.content.sha256()) {
            push(format!("prompt/{}", prompt.name), None, sha256, u64::try_from(text.len()).ok());
        }
    }
    if let Some(perplexity) = &resolved.plan.perplexity {
        push(
            "perplexity/text".to_owned(),
            None,
            &perplexity.sha256,
            u64::try_from(perplexity.text.len()).ok(),
        );
    }
    if let Some(document) = resolved.plan.document() {
        let file = &document.file;
        push(format!("document/{}", file.name), None, &file.sha256, Some(file.bytes));
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// What servers of the set had mapped, whose digest is known: its path, digest and size. What lies in the folder of a
/// build is there as part of the build.
fn mapped(ledger: &Ledger) -> BTreeSet<(&str, (&Sha256, Option<u64>))> {
    let starts = ledger.cases.iter().flat_map(|case| case.starts.values().chain(&case.superseded));
    let files = starts.filter_map(|start| start.ready.as_ref()).flat_map(|ready| &ready.mapped);
    let of_system = files.filter(|file| !file.path.starts_with("{build}/"));
    of_system.filter_map(|file| Some((file.path.as_str(), (file.sha256.as_ref()?, file.bytes)))).collect()
}

/// Where others can get an engine; a folder of this machine is of no use to them.
fn engine_uri(source: &EngineSource) -> Option<String> {
    match source {
        EngineSource::Git { url, rev } => Some(format!("git+{url}@{rev}")),
        EngineSource::Archive { location, .. } => location.contains("://").then(|| location.clone()),
        EngineSource::Package { package, .. } => Some(package.to_string()),
        EngineSource::Path { .. } | EngineSource::Prebuilt { .. } | EngineSource::Unstated => None,
    }
}

/// Likewise for a model; of several shards, the first.
fn model_uri(model: &PlannedModel) -> Option<String> {
    match &model.source {
        // Made rather than fetched: the plan says how.
        ModelSource::File { .. } | ModelSource::Synthetic { .. } | ModelSource::Unstated => None,
        ModelSource::Url { url, .. } => Some(url.clone()),
        ModelSource::Huggingface { repo, revision, file, .. } => {
            Some(format!("hf://{repo}@{revision}/{file}"))
        }
        ModelSource::Package { package, member, .. } => Some(format!("{package}#{member}")),
    }
}

/// Takes the write permission from every file. A file that refuses stays as it is: the set is sealed already.
fn make_read_only(path: &Utf8Path) -> Result<(), ArtifactError> {
    for name in plain::walk(path)?.files {
        let file = path.join(name);
        if let Ok(metadata) = file.symlink_metadata() {
            let mut permissions = metadata.permissions();
            permissions.set_readonly(true);
            let _courtesy = std::fs::set_permissions(&file, permissions);
        }
    }
    Ok(())
}
