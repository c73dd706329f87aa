//! The lock file: digests that the author of an experiment does not type, each next to the source that it belongs to.
//!
//! A source is written as in the experiment (`file`, `git` and `rev`, ...), and that is its key: an experiment that
//! names another source finds no entry, and an entry of a source that is named no more is stale.

mod apply;
mod read;
mod update;
mod write;

pub use apply::{Mismatch, Pins, apply};
pub use read::parse;
pub use update::{Change, Found, How, update};
pub use write::write;

use llamark_record::Sha256;
use llamark_record::model::FileIdentity;
use llamark_record::plan::{EngineSource, ModelSource, Plan};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::parse::Spec;
use crate::perplexity::Perplexity;
use crate::sources;
use crate::text::{Digest, FileName, FilePath, FullCommit, GitLocation, Repository, Revision, WebAddress};

/// `schema:` of a lock file that this version reads and writes.
pub const SCHEMA: &str = "llamark/lock/v1";
/// What stands before the version in `schema:`.
pub(crate) const SCHEMA_FAMILY: &str = "llamark/lock/v";

/// What a lock file pins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The engines: each source once.
    pub engines: Vec<EnginePin>,
    /// The models: each source once.
    pub models: Vec<ModelPin>,
    /// The prompts: each file once.
    pub prompts: Vec<PromptPin>,
}

impl Lock {
    /// How many inputs it pins.
    pub fn count(&self) -> usize {
        self.engines.len() + self.models.len() + self.prompts.len()
    }
}

/// A lock file as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "llamark lock file")]
pub(crate) struct LockFile {
    /// Format of this file: `llamark/lock/v1`.
    #[schemars(extend("const" = SCHEMA))]
    #[expect(dead_code, reason = "the validator has looked at it")]
    schema: String,
    /// What the source of the engine was when it was pinned.
    engine: Option<EnginePin>,
    /// What the sources of the engines were, each once, if two variants have their own engines.
    #[serde(default)]
    engines: Vec<EnginePin>,
    /// What the sources of the models were, each once.
    #[serde(default)]
    models: Vec<ModelPin>,
    /// What the files of the prompts were, each once.
    #[serde(default)]
    prompts: Vec<PromptPin>,
}

/// A source of an engine, and what it was when it was pinned.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub enum EnginePin {
    /// A git repository at a revision.
    #[schemars(title = "git")]
    Git {
        /// The repository, as in the experiment.
        #[schemars(with = "GitLocation")]
        git: String,
        /// The revision, as in the experiment.
        #[schemars(with = "Revision")]
        rev: String,
        /// The commit that the revision named.
        #[schemars(with = "FullCommit")]
        commit: String,
    },
    /// A folder on this machine.
    #[schemars(title = "path")]
    Path {
        /// The folder, as in the experiment.
        #[schemars(with = "FilePath")]
        path: String,
        /// Digest of the tree in it (`tree1`).
        #[schemars(with = "Digest")]
        tree: Sha256,
    },
    /// A folder with a `llama-server` that somebody else built.
    #[schemars(title = "prebuilt")]
    Prebuilt {
        /// The folder, as in the experiment.
        #[schemars(with = "FilePath")]
        prebuilt: String,
        /// Digest of its programs and libraries: the build key.
        #[schemars(with = "Digest")]
        key: Sha256,
    },
}

/// A source of a model, and what its files were when they were pinned.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub enum ModelPin {
    /// A file of a Hugging Face repository.
    #[schemars(title = "huggingface")]
    Huggingface {
        /// The repository, as in the experiment.
        #[schemars(with = "Repository")]
        huggingface: String,
        /// File in the repository, as in the experiment.
        #[schemars(with = "FilePath")]
        file: String,
        /// Commit, tag or branch, as in the experiment or assumed there.
        #[schemars(with = "Revision")]
        revision: String,
        /// Base URL of another endpoint, as in the experiment; absent if it has none.
        #[schemars(with = "Option<WebAddress>")]
        endpoint: Option<String>,
        /// The commit that the revision named.
        #[schemars(with = "FullCommit")]
        commit: String,
        /// Every shard, in order.
        #[schemars(with = "Vec<PinnedFile>", length(min = 1))]
        files: Vec<FileIdentity>,
    },
    /// A file on this machine.
    #[schemars(title = "file")]
    File {
        /// Its path, as in the experiment.
        #[schemars(with = "FilePath")]
        file: String,
        /// Every shard, in order.
        #[schemars(with = "Vec<PinnedFile>", length(min = 1))]
        files: Vec<FileIdentity>,
    },
}

/// A file of a model: the schema of a [`FileIdentity`] here, which is stricter than that of a record.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "its schema is what it is for")]
struct PinnedFile {
    /// Its name, without a folder.
    #[schemars(with = "FileName")]
    name: String,
    /// Its size in bytes.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    bytes: u64,
    /// SHA-256 of its content.
    #[schemars(with = "Digest")]
    sha256: Sha256,
}

/// The file of a prompt, and what it was when it was pinned.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptPin {
    /// Its path, as in the experiment.
    #[schemars(with = "FilePath")]
    pub file: String,
    /// SHA-256 of its text.
    #[schemars(with = "Digest")]
    pub sha256: Sha256,
}

impl EnginePin {
    /// Whether it is of that source.
    pub fn is_of(&self, source: &EngineSource) -> bool {
        match (self, source) {
            (Self::Git { git, rev, .. }, EngineSource::Git { url, rev: wanted }) => {
                git == url && rev == wanted
            }
            (Self::Path { path, .. }, EngineSource::Path { path: wanted })
            | (Self::Prebuilt { prebuilt: path, .. }, EngineSource::Prebuilt { path: wanted }) => {
                path == wanted
            }
            _ => false,
        }
    }

    /// The source, for people.
    pub fn source(&self) -> String {
        match self {
            Self::Git { git, rev, .. } => format!("git {git} at {rev}"),
            Self::Path { path, .. } => format!("path {path}"),
            Self::Prebuilt { prebuilt, .. } => format!("prebuilt {prebuilt}"),
        }
    }

    /// What it was, for people.
    pub fn digests(&self) -> String {
        match self {
            Self::Git { commit, .. } => format!("commit {commit}"),
            Self::Path { tree, .. } => format!("tree {}", tree.short()),
            Self::Prebuilt { key, .. } => format!("files {}", key.short()),
        }
    }
}

impl ModelPin {
    /// Every shard, in order.
    pub fn files(&self) -> &[FileIdentity] {
        match self {
            Self::File { files, .. } | Self::Huggingface { files, .. } => files,
        }
    }

    /// Whether it is of that source, and does not contradict a digest that the author typed.
    pub fn is_of(&self, source: &ModelSource) -> bool {
        let (is_same, typed) = match (self, source) {
            (Self::File { file, .. }, ModelSource::File { file: wanted, sha256 }) => (file == wanted, sha256),
            (
                Self::Huggingface { huggingface, file, revision, endpoint, .. },
                ModelSource::Huggingface { repo, revision: at, file: wanted, endpoint: base, sha256 },
            ) => (
                huggingface == repo
                    && file == wanted
                    && revision == at
                    && endpoint.as_deref().unwrap_or_default() == base,
                sha256,
            ),
            _ => return false,
        };
        let first = self.files().first().map(|first| &first.sha256);
        is_same && typed.as_ref().is_none_or(|typed| first == Some(typed))
    }

    /// The source, for people.
    pub fn source(&self) -> String {
        match self {
            Self::File { file, .. } => format!("file {file}"),
            Self::Huggingface { huggingface, file, revision, .. } => {
                format!("huggingface {huggingface} {file} at {revision}")
            }
        }
    }

    /// What it was, for people.
    pub fn digests(&self) -> String {
        let digests: Vec<&str> = self.files().iter().map(|file| file.sha256.short()).collect();
        let digests = format!("sha256 {}", digests.join(", "));
        match self {
            Self::File { .. } => digests,
            Self::Huggingface { commit, .. } => format!("commit {commit}, {digests}"),
        }
    }
}

/// The inputs that an experiment leaves open: no digest in it decides their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// The engines that are `git` at less than a whole commit, `path` or `prebuilt`: each source once, that of the plan
    /// first.
    pub engines: Vec<EngineSource>,
    /// The models: from `file` or `huggingface` without a `sha256`, or of more shards than the one that it decides.
    pub models: Vec<OpenModel>,
    /// The prompts that come from files.
    pub prompts: Vec<OpenPrompt>,
}

/// A model whose bytes the experiment does not fully determine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenModel {
    /// Its id in the plan.
    pub id: String,
    /// Its source, as in the experiment.
    pub source: ModelSource,
}

/// The name of the text of a perplexity among the prompts: none that a prompt can have.
const PERPLEXITY: &str = "the perplexity";

/// A prompt that comes from a file; or the text of the perplexity, which is pinned likewise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPrompt {
    /// Its name.
    pub name: String,
    /// Its file, as in the experiment.
    pub file: String,
    /// SHA-256 of the text as it is now.
    pub sha256: Sha256,
}

impl Open {
    /// What an experiment leaves open; `plan` is its plan, as expanded.
    pub fn of(spec: &Spec, plan: &Plan) -> Self {
        let is_open = |source: &EngineSource| match source {
            EngineSource::Git { rev, .. } => !is_whole_commit(rev),
            EngineSource::Path { .. } | EngineSource::Prebuilt { .. } => true,
            EngineSource::Archive { .. } | EngineSource::Package { .. } | EngineSource::Unstated => false,
        };
        let models = plan.models.iter().filter(|model| is_open_model(&model.source));
        let prompts = plan.prompts.iter().filter_map(|prompt| {
            let mut sources = spec.experiment().prompts.iter();
            let (_, source) = sources.find(|(name, _)| name.as_str() == prompt.name)?;
            let (sources::PromptSource::File { file }
            | sources::PromptSource::Tokens { file: Some(file), .. }) = source
            else {
                return None;
            };
            let (name, file) = (prompt.name.clone(), file.as_str().to_owned());
            Some(OpenPrompt { name, file, sha256: prompt.content.sha256()?.clone() })
        });
        let mut engines: Vec<EngineSource> = Vec::new();
        for engine in plan.engines() {
            if is_open(&engine.source) && !engines.contains(&engine.source) {
                engines.push(engine.source.clone());
            }
        }
        Self {
            engines,
            models: models
                .map(|model| OpenModel { id: model.id.clone(), source: model.source.clone() })
                .collect(),
            prompts: prompts.chain(perplexity_text(spec, plan)).collect(),
        }
    }

    /// How many inputs are open.
    pub fn count(&self) -> usize {
        self.engines.len() + self.models.len() + self.prompts.len()
    }
}

fn is_open_model(source: &ModelSource) -> bool {
    match source {
        ModelSource::File { file, sha256 } | ModelSource::Huggingface { file, sha256, .. } => {
            sha256.is_none() || is_sharded(file)
        }
        // The description of a synthetic model decides every byte.
        ModelSource::Url { .. }
        | ModelSource::Package { .. }
        | ModelSource::Synthetic { .. }
        | ModelSource::Unstated => false,
    }
}

/// Whether a name such as `m-00001-of-00003.gguf` is that of one file of several.
fn is_sharded(file: &str) -> bool {
    let numbers = file.strip_suffix(".gguf").and_then(|stem| {
        let (rest, count) = stem.rsplit_once("-of-")?;
        Some((rest.rsplit_once('-')?.1, count))
    });
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(index, count)| is_number(index) && is_number(count) && count != "00001")
}

/// Whether a revision can never mean another commit.
fn is_whole_commit(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64)
        && revision.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The engine of a plan, for people.
fn engine_name(source: &EngineSource) -> String {
    match source {
        EngineSource::Git { url, rev } => format!("engine: git {url} at {rev}"),
        EngineSource::Path { path } => format!("engine: path {path}"),
        EngineSource::Prebuilt { path } => format!("engine: prebuilt {path}"),
        EngineSource::Archive { location, .. } => format!("engine: archive {location}"),
        EngineSource::Package { package, .. } => format!("engine: {package}"),
        EngineSource::Unstated => "engine: unstated".to_owned(),
    }
}

/// A model of a plan, for people.
fn model_name(model: &OpenModel) -> String {
    let source = match &model.source {
        ModelSource::File { file, .. } => format!("file {file}"),
        ModelSource::Huggingface { repo, revision, file, .. } => {
            format!("huggingface {repo} {file} at {revision}")
        }
        ModelSource::Url { url, .. } => url.clone(),
        ModelSource::Package { package, member, .. } => format!("{package} {member}"),
        ModelSource::Synthetic { model, .. } => format!("synthetic, {}", model.summary()),
        ModelSource::Unstated => "unstated".to_owned(),
    };
    format!("model {}: {source}", model.id)
}

/// The text of the perplexity, where it comes from a file.
fn perplexity_text(spec: &Spec, plan: &Plan) -> Option<OpenPrompt> {
    let source = spec.experiment().protocol.as_ref()?.perplexity.as_ref()?;
    let Perplexity::File { file, .. } = source else { return None };
    let (name, file) = (PERPLEXITY.to_owned(), file.as_str().to_owned());
    Some(OpenPrompt { name, file, sha256: plan.perplexity.as_ref()?.sha256.clone() })
}

fn prompt_name(prompt: &OpenPrompt) -> String {
    if prompt.name == PERPLEXITY {
        return format!("text of {PERPLEXITY}: file {}", prompt.file);
    }
    format!("prompt {}: file {}", prompt.name, prompt.file)
}

#[cfg(test)]
mod tests;
