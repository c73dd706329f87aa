//! From the text of a lock file to a [`Lock`]: as strict as an experiment, every problem at once and in its place.

use llamark_record::Sha256;
use llamark_record::model::FileIdentity;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{EnginePin, Lock, LockFile, ModelPin, SCHEMA_FAMILY};
use crate::diagnostic::{Diagnostics, Problem};
use crate::node::{self, Node};
use crate::parse::{is_newer_format, typed};
use crate::source::Source;
use crate::validate::{Format, validate};

/// What a lock file must be.
static LOCK: Format = Format::new("a lock file", SCHEMA_FAMILY, crate::schema::lock_schema);

/// Reads a lock file.
///
/// # Errors
/// Every problem of the text, each with its place.
pub fn parse(source: &Source) -> Result<Lock, Diagnostics> {
    let (root, mut problems) = node::build(source.text());
    let fail = |problems| Err(Diagnostics::new(source.clone(), problems));
    let Some(root) = root else {
        if problems.iter().any(|problem| problem.code() == "spec/empty") {
            problems = vec![Problem::new("spec/empty", 0..0, "the lock file is empty")];
        }
        return fail(problems);
    };
    let found = validate(&LOCK, source.text(), &root);
    if is_newer_format(&root, SCHEMA_FAMILY) {
        // Whatever else seems wrong may be right in that format.
        return fail(found.into_iter().filter(|problem| problem.code() == "spec/schema-version").collect());
    }
    problems.extend(found);
    problems.extend(repeated(&root, "engines", &["git", "rev", "path", "prebuilt"]));
    problems.extend(repeated(&root, "models", &["huggingface", "file", "revision", "endpoint"]));
    problems.extend(repeated(&root, "prompts", &["file"]));
    if !problems.is_empty() {
        return fail(problems);
    }
    match typed::<LockFile>(source) {
        Ok(LockFile { engine, engines, models, prompts, .. }) => {
            Ok(Lock { engines: engine.into_iter().chain(engines).collect(), models, prompts })
        }
        Err(problem) => fail(vec![*problem]),
    }
}

/// Entries of a list that say something about the same source: only one could be true.
fn repeated(root: &Node, list: &str, keys: &[&str]) -> Vec<Problem> {
    let key_of = |entry: &Node| -> Vec<Option<String>> {
        keys.iter().map(|key| entry.get(key).and_then(Node::text).map(str::to_owned)).collect()
    };
    let entries = root.get(list).map(Node::items).unwrap_or_default();
    let mut seen = std::collections::HashMap::new();
    let mut problems = Vec::new();
    for entry in entries {
        let Some(place) = entry.entries().first().map(|first| &first.key_span) else { continue };
        if let Some(first) = seen.get(&key_of(entry)) {
            let message = format!("two entries of `{list}` have the same source");
            let problem = Problem::new("spec/repeated-item", place.clone(), message).label("again here");
            let first: &std::ops::Range<usize> = first;
            problems.push(
                problem.related(first.clone(), "first here").help("remove both and run `llamark lock` again"),
            );
        } else {
            seen.insert(key_of(entry), place.clone());
        }
    }
    problems
}

/// Every key of an engine's entry: serde's own untagged enums lose all places and messages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EngineKeys {
    git: Option<String>,
    rev: Option<String>,
    commit: Option<String>,
    path: Option<String>,
    tree: Option<Sha256>,
    prebuilt: Option<String>,
    key: Option<Sha256>,
}

impl<'de> Deserialize<'de> for EnginePin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match EngineKeys::deserialize(deserializer)? {
            EngineKeys { git: Some(git), rev: Some(rev), commit: Some(commit), .. } => {
                Ok(Self::Git { git, rev, commit })
            }
            EngineKeys { path: Some(path), tree: Some(tree), .. } => Ok(Self::Path { path, tree }),
            EngineKeys { prebuilt: Some(prebuilt), key: Some(key), .. } => {
                Ok(Self::Prebuilt { prebuilt, key })
            }
            EngineKeys { .. } => Err(D::Error::custom("an engine's entry needs git, path or prebuilt")),
        }
    }
}

/// Every key of a model's entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelKeys {
    huggingface: Option<String>,
    file: Option<String>,
    revision: Option<String>,
    endpoint: Option<String>,
    commit: Option<String>,
    files: Option<Vec<FileIdentity>>,
}

impl<'de> Deserialize<'de> for ModelPin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match ModelKeys::deserialize(deserializer)? {
            ModelKeys {
                huggingface: Some(huggingface),
                file: Some(file),
                revision: Some(revision),
                endpoint,
                commit: Some(commit),
                files: Some(files),
            } => Ok(Self::Huggingface { huggingface, file, revision, endpoint, commit, files }),
            ModelKeys { huggingface: None, file: Some(file), files: Some(files), .. } => {
                Ok(Self::File { file, files })
            }
            ModelKeys { .. } => Err(D::Error::custom("a model's entry needs file or huggingface")),
        }
    }
}
