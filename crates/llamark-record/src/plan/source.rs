//! Where engines and models come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::synthetic::SyntheticModel;
use crate::Sha256;

/// The llama.cpp source tree and what it calls itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Where it comes from.
    pub source: EngineSource,
    /// llama.cpp's build number, given to cmake; 0 when unknown.
    pub build_number: u32,
    /// llama.cpp's commit, given to cmake; `unknown` when it is.
    pub commit: String,
}

/// Where an engine comes from. Paths are absolute, or relative to the folder of the experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EngineSource {
    /// A git repository at a revision.
    Git {
        /// URL or path.
        url: String,
        /// Commit, tag or branch.
        rev: String,
    },
    /// A tar or zip archive.
    Archive {
        /// Path or `https://` URL.
        location: String,
        /// SHA-256 of the archive.
        sha256: Sha256,
        /// Folder inside the archive that holds llama.cpp; empty: its root (one enclosing folder is skipped).
        subdir: String,
    },
    /// A folder on this machine.
    Path {
        /// The folder.
        path: String,
    },
    /// A source package of a language registry.
    Package {
        /// The package.
        package: Package,
        /// SHA-256 of the package file.
        sha256: Sha256,
        /// Folder inside the package that holds llama.cpp.
        subdir: String,
    },
    /// A folder that holds a `llama-server` which somebody else built.
    Prebuilt {
        /// The folder.
        path: String,
    },
    /// Of an imported set whose document does not say.
    Unstated,
}

/// A package of a language registry at one version, written as a package URL: `pkg:pypi/NAME@VERSION`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Which registry: `pypi`.
    pub registry: String,
    /// Name of the package.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl std::fmt::Display for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pkg:{}/{}@{}", self.registry, self.name, self.version)
    }
}

/// Where a model comes from. For a model of several shards, the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelSource {
    /// A file: absolute, or under the models folder (`--models`), or else relative to the experiment.
    File {
        /// Its path.
        file: String,
        /// SHA-256 of the (first) file; absent: whatever is found is recorded.
        sha256: Option<Sha256>,
    },
    /// A download.
    Url {
        /// `https://` or `http://` URL.
        url: String,
        /// SHA-256 of the file.
        sha256: Sha256,
    },
    /// A file of a Hugging Face repository. The endpoint is `HF_ENDPOINT`, or the one given here.
    Huggingface {
        /// Repository, as in `owner/name`.
        repo: String,
        /// Commit, tag or branch.
        revision: String,
        /// File in the repository.
        file: String,
        /// Base URL; empty: the environment's, or the public one.
        endpoint: String,
        /// SHA-256 of the file; absent: that which the endpoint states.
        sha256: Option<Sha256>,
    },
    /// A member of a package of a language registry.
    Package {
        /// The package.
        package: Package,
        /// SHA-256 of the package file.
        sha256: Sha256,
        /// Path of the model inside the package.
        member: String,
    },
    /// Made up, to measure speed where there are no weights.
    Synthetic {
        /// What is made.
        model: SyntheticModel,
        /// SHA-256 of the file; absent: that which the description leads to is recorded.
        sha256: Option<Sha256>,
    },
    /// Of an imported set: a document names no file.
    Unstated,
}
