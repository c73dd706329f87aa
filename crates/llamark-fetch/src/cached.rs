//! What is in the cache, and what each of it is: so that what nobody refers to can be removed.
//!
//! Everything here is available again from its source, and is checked by its digest whenever it is used. So that
//! nothing of the cache is ever needed for a result, and half of an entry that is left over does no harm.

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::Sha256;
use llamark_record::model::FileIdentity;
use llamark_record::plan::{EngineSource, ResolvedPlan};

use crate::fetcher::Fetcher;
use crate::model::{MEMBER_DIGEST, download_id};
use crate::source::tree_of;

/// One entry of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// The file or folder.
    pub path: Utf8PathBuf,
    /// The lock that is held while it is made; absent for what nobody locks.
    pub lock: Option<Utf8PathBuf>,
    /// What it is.
    pub content: Content,
}

/// What an entry of the cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A source tree of this digest; absent when its record does not read.
    Tree(Option<Sha256>),
    /// A model: files that are known by this id, or a member of a package, by its own digest.
    Model {
        /// Name of the folder.
        id: String,
        /// Digest of the member.
        member: Option<Sha256>,
    },
    /// Our copy of a git repository, by the digest of its URL.
    Repository(String),
    /// A download that did not end, or was not unpacked.
    Download,
    /// A remembered digest of a file that is not there any more.
    Memory,
}

impl Content {
    /// In a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Tree(_) => "source tree",
            Self::Model { .. } => "model",
            Self::Repository(_) => "git repository",
            Self::Download => "download",
            Self::Memory => "remembered digest",
        }
    }

    /// Whether a set of that plan refers to it.
    pub fn is_of(&self, plan: &ResolvedPlan) -> bool {
        match self {
            Self::Tree(tree) => tree.as_ref().is_some_and(|tree| {
                plan.engine_tree.as_ref() == Some(tree)
                    || plan.engine_trees.values().any(|other| other == tree)
            }),
            Self::Model { id, member } => plan.model_files.values().any(|files| {
                let digests = files.iter().map(|file| (file.name.as_str(), &file.sha256));
                let is_member = |file: &FileIdentity| member.as_ref() == Some(&file.sha256);
                download_id(digests).as_str() == id || files.iter().any(is_member)
            }),
            Self::Repository(id) => plan.plan.engines().into_iter().any(|engine| match &engine.source {
                EngineSource::Git { url, .. } => Sha256::of_bytes(url.as_bytes()).as_str() == id,
                _ => false,
            }),
            Self::Download | Self::Memory => false,
        }
    }
}

impl Fetcher {
    /// Every entry of the cache that fetching made, sorted by its path. What does not read is listed all the same.
    pub fn cached(&self) -> Vec<Cached> {
        let mut all = Vec::new();
        let with_lock = |path: Utf8PathBuf, content| {
            let lock = Some(Utf8PathBuf::from(format!("{path}.lock")));
            Cached { path, lock, content }
        };
        for path in entries(&self.cache.join("sources")) {
            let content = Content::Tree(tree_of(&path));
            all.push(with_lock(path, content));
        }
        for path in entries(&self.cache.join("models")) {
            let id = path.file_name().unwrap_or_default().to_owned();
            let member = fs_err::read_to_string(path.join(MEMBER_DIGEST)).ok();
            let member = member.and_then(|text| text.trim().parse().ok());
            all.push(with_lock(path, Content::Model { id, member }));
        }
        for path in entries(&self.cache.join("git")) {
            let id = path.file_stem().unwrap_or_default().to_owned();
            all.push(with_lock(path, Content::Repository(id)));
        }
        for path in entries(&self.cache.join("downloads")) {
            let done = path.with_extension("");
            let lock = Some(Utf8PathBuf::from(format!("{done}.lock")));
            all.push(Cached { path, lock, content: Content::Download });
        }
        for path in entries(&self.cache.join("digests")).into_iter().filter(|path| is_stale(path)) {
            all.push(Cached { path, lock: None, content: Content::Memory });
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }
}

/// Whether a remembered digest is of something that is gone.
fn is_stale(memory: &Utf8Path) -> bool {
    #[derive(serde::Deserialize)]
    struct Of {
        path: Utf8PathBuf,
    }
    let of = fs_err::read(memory).ok().and_then(|bytes| serde_json::from_slice::<Of>(&bytes).ok());
    of.is_none_or(|of| !of.path.exists())
}

/// What lies in a folder, but for locks, and for what is being made (its name begins with a dot).
fn entries(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(entries) = folder.read_dir_utf8() else { return Vec::new() };
    let is_entry = |path: &Utf8PathBuf| {
        path.extension() != Some("lock") && !path.file_name().unwrap_or_default().starts_with('.')
    };
    entries.flatten().map(camino::Utf8DirEntry::into_path).filter(is_entry).collect()
}
