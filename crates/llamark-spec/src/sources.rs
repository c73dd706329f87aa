//! Where an engine, a model or a prompt comes from. Each is an object that one key tells apart (`git`, `file`,
//! ...): short to type, and an error can name the very key.
//!
//! The title of each variant in the schema is that key; the validator relies on it. Reading goes through a
//! plain struct with every key, since serde's own untagged enums lose all places and messages.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::synthetic::Synthetic;
use crate::text::{
    ArchiveLocation, Digest, FilePath, GitLocation, PackageUrl, Repository, Revision, Text, WebAddress,
};

/// Where llama.cpp comes from.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub enum EngineSource {
    /// A git repository at a revision.
    #[schemars(title = "git")]
    Git {
        /// The repository.
        git: GitLocation,
        /// Commit, tag or branch.
        rev: Revision,
    },
    /// A tar or zip archive.
    #[schemars(title = "archive")]
    Archive {
        /// Path or URL.
        archive: ArchiveLocation,
        /// SHA-256 of the archive.
        sha256: Digest,
        /// Folder in the archive that contains llama.cpp. Default: its root.
        subdir: Option<FilePath>,
    },
    /// A folder on this machine.
    #[schemars(title = "path")]
    Path {
        /// The folder.
        path: FilePath,
    },
    /// A source package of a language registry.
    #[schemars(title = "package")]
    Package {
        /// Package and version.
        package: PackageUrl,
        /// SHA-256 of the package file.
        sha256: Digest,
        /// Folder in the package that contains llama.cpp. Default: its root.
        subdir: Option<FilePath>,
    },
    /// A folder with a `llama-server` that somebody else built.
    #[schemars(title = "prebuilt")]
    Prebuilt {
        /// The folder.
        prebuilt: FilePath,
    },
}

/// Where a model comes from. For a model with several shards, name the first.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub enum ModelSource {
    /// A file of a Hugging Face repository.
    #[schemars(title = "huggingface")]
    Huggingface {
        /// The repository.
        huggingface: Repository,
        /// File in the repository.
        file: FilePath,
        /// Commit, tag or branch. Default: `main`.
        #[schemars(extend("default" = crate::defaults::REVISION))]
        revision: Option<Revision>,
        /// Base URL of another endpoint. Default: `HF_ENDPOINT` of the environment, or the public one.
        endpoint: Option<WebAddress>,
        /// SHA-256 of the file. Default: the one that the endpoint states.
        sha256: Option<Digest>,
    },
    /// A file on this machine: absolute, under the models folder (`--models`), or relative to the experiment.
    #[schemars(title = "file")]
    File {
        /// Its path.
        file: FilePath,
        /// SHA-256 of the file. Default: whatever is found is recorded.
        sha256: Option<Digest>,
    },
    /// A download.
    #[schemars(title = "url")]
    Url {
        /// The URL.
        url: WebAddress,
        /// SHA-256 of the file.
        sha256: Digest,
    },
    /// A file in a package of a language registry.
    #[schemars(title = "package")]
    Package {
        /// Package and version.
        package: PackageUrl,
        /// SHA-256 of the package file.
        sha256: Digest,
        /// Path of the model in the package.
        member: FilePath,
    },
    /// Made-up weights of a given shape, for measuring speed without a model.
    #[schemars(title = "synthetic")]
    Synthetic {
        /// What to make.
        synthetic: Synthetic,
        /// SHA-256 of the file. Default: whatever the description produces is recorded.
        sha256: Option<Digest>,
    },
}

/// Where a prompt comes from.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub enum PromptSource {
    /// An exact number of tokens, the same for every model: the beginning of a text, cut by the model's own tokenizer.
    #[schemars(title = "tokens")]
    Tokens {
        /// How many.
        #[schemars(range(min = 1, max = 10_000_000))]
        tokens: u32,
        /// The text file that they are cut from; it is repeated if it is too short. Default: a text of llamark's own.
        file: Option<FilePath>,
        /// The text that they are cut from, instead of a file.
        text: Option<Text>,
    },
    /// A text file, used byte for byte.
    #[schemars(title = "file")]
    File {
        /// Its path, relative to the experiment.
        file: FilePath,
    },
    /// The text itself.
    #[schemars(title = "text")]
    Text {
        /// The text.
        text: Text,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EngineKeys {
    git: Option<GitLocation>,
    rev: Option<Revision>,
    archive: Option<ArchiveLocation>,
    path: Option<FilePath>,
    package: Option<PackageUrl>,
    prebuilt: Option<FilePath>,
    sha256: Option<Digest>,
    subdir: Option<FilePath>,
}

impl<'de> Deserialize<'de> for EngineSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match EngineKeys::deserialize(deserializer)? {
            EngineKeys { git: Some(git), rev: Some(rev), .. } => Ok(Self::Git { git, rev }),
            EngineKeys { archive: Some(archive), sha256: Some(sha256), subdir, .. } => {
                Ok(Self::Archive { archive, sha256, subdir })
            }
            EngineKeys { path: Some(path), .. } => Ok(Self::Path { path }),
            EngineKeys { package: Some(package), sha256: Some(sha256), subdir, .. } => {
                Ok(Self::Package { package, sha256, subdir })
            }
            EngineKeys { prebuilt: Some(prebuilt), .. } => Ok(Self::Prebuilt { prebuilt }),
            _ => Err(D::Error::custom("an engine source needs git, archive, path, package or prebuilt")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelKeys {
    file: Option<FilePath>,
    url: Option<WebAddress>,
    huggingface: Option<Repository>,
    package: Option<PackageUrl>,
    revision: Option<Revision>,
    endpoint: Option<WebAddress>,
    sha256: Option<Digest>,
    member: Option<FilePath>,
    synthetic: Option<Synthetic>,
}

impl<'de> Deserialize<'de> for ModelSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match ModelKeys::deserialize(deserializer)? {
            ModelKeys {
                huggingface: Some(huggingface),
                file: Some(file),
                revision,
                endpoint,
                sha256,
                ..
            } => Ok(Self::Huggingface { huggingface, file, revision, endpoint, sha256 }),
            ModelKeys { package: Some(package), sha256: Some(sha256), member: Some(member), .. } => {
                Ok(Self::Package { package, sha256, member })
            }
            ModelKeys { synthetic: Some(synthetic), sha256, .. } => Ok(Self::Synthetic { synthetic, sha256 }),
            ModelKeys { url: Some(url), sha256: Some(sha256), .. } => Ok(Self::Url { url, sha256 }),
            ModelKeys { file: Some(file), sha256, .. } => Ok(Self::File { file, sha256 }),
            _ => Err(D::Error::custom("a model source needs file, url, huggingface, package or synthetic")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptKeys {
    tokens: Option<u32>,
    file: Option<FilePath>,
    text: Option<Text>,
}

impl<'de> Deserialize<'de> for PromptSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match PromptKeys::deserialize(deserializer)? {
            PromptKeys { tokens: Some(tokens), file, text } => Ok(Self::Tokens { tokens, file, text }),
            PromptKeys { file: Some(file), .. } => Ok(Self::File { file }),
            PromptKeys { text: Some(text), .. } => Ok(Self::Text { text }),
            PromptKeys { .. } => Err(D::Error::custom("a prompt needs tokens, file or text")),
        }
    }
}
