//! Engines: from each kind of source to a folder of llama.cpp.

use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files;
use llamark_record::Sha256;
use llamark_record::plan::{EngineSource, Package};
use serde::{Deserialize, Serialize};

use crate::download::{Download, file_name};
use crate::error::FetchError;
use crate::fetcher::{FetchedEngine, Job};
use crate::package::Form;
use crate::source::{Source, is_llama_cpp};
use crate::tree::{self, TREE_FORMAT};

impl Job<'_> {
    pub(crate) fn engine(&self, source: &EngineSource, base: &Utf8Path) -> Result<FetchedEngine, FetchError> {
        match source {
            EngineSource::Git { url, rev } => {
                let (source, commit) = self.git(url, rev, base)?;
                Ok(FetchedEngine::Source { path: source.path, tree: source.tree, git_commit: Some(commit) })
            }
            EngineSource::Archive { location, sha256, subdir } => {
                self.archive(location, sha256, subdir, base).map(without_commit)
            }
            EngineSource::Path { path } => self.folder(&base.join(path)).map(without_commit),
            EngineSource::Package { package, sha256, subdir } => {
                self.engine_package(package, sha256, subdir).map(without_commit)
            }
            EngineSource::Prebuilt { path } => prebuilt(&base.join(path)),
            EngineSource::Unstated => Err(FetchError::Unstated { what: "engine" }),
        }
    }

    fn archive(
        &self,
        location: &str,
        sha256: &Sha256,
        subdir: &str,
        base: &Utf8Path,
    ) -> Result<Source, FetchError> {
        self.source(&archive_id(sha256, subdir), &format!("{location} {subdir}"), |into| {
            if location.contains("://") {
                let what = file_name(location);
                let download = Download { url: location, expected: sha256, what: &what, token: None };
                let file = self.download(download)?;
                let found = self.unpack(&file, location, subdir, into)?;
                files::remove_file(&file)?;
                return Ok(found);
            }
            let file = base.join(location);
            if !file.is_file() {
                let (file, looked_at) = (location.to_owned(), vec![file]);
                return Err(FetchError::NotFound { file, looked_at, similar: Vec::new() });
            }
            let found = self.hash(&file, location)?;
            if found != *sha256 {
                return Err(FetchError::mismatch(location.to_owned(), sha256, &found));
            }
            self.unpack(&file, location, subdir, into)
        })
    }

    fn engine_package(&self, package: &Package, sha256: &Sha256, subdir: &str) -> Result<Source, FetchError> {
        let origin = format!("{package} {subdir}");
        self.source(&archive_id(sha256, subdir), origin.trim_end(), |into| {
            let file = self.package(package, sha256, Form::Source, into)?;
            self.unpack(&file, &package.to_string(), subdir, into)
        })
    }

    /// A folder of the user's. Its digest is remembered while the state of all files is the same.
    fn folder(&self, path: &Utf8Path) -> Result<Source, FetchError> {
        if !path.is_dir() {
            return Err(FetchError::NoFolder { path: path.to_owned() });
        }
        let path = path.canonicalize_utf8()?;
        is_llama_cpp(&path)?;
        let begun = SystemTime::now();
        let entries = tree::entries(&path)?;
        // What lies behind it would decide what is compiled, and is in no digest.
        if let Some((name, target)) = tree::link_out(&entries)? {
            return Err(FetchError::LinkOut { path, name, target });
        }
        let fingerprint = tree::fingerprint(&entries);
        let place =
            self.cache("digests")?.join(format!("tree-{}.json", Sha256::of_bytes(path.as_str().as_bytes())));
        let remembered = fs_err::read(&place).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(RememberedTree { format, fingerprint: known, tree, .. }) = remembered
            && format == TREE_FORMAT
            && known == fingerprint
        {
            return Ok(Source { path, tree });
        }
        let tree = self.hash_tree(&entries, path.as_str())?;
        if tree::fingerprint(&tree::entries(&path)?) != fingerprint {
            return Err(FetchError::Changed { path });
        }
        if tree::is_settled(&entries, begun) {
            let (format, tree) = (TREE_FORMAT.to_owned(), tree.clone());
            let remembered = RememberedTree { format, path: path.clone(), fingerprint, tree };
            files::write_atomic(&place, &serde_json::to_vec(&remembered)?)?;
        }
        Ok(Source { path, tree })
    }
}

/// The digest of a folder of the user's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RememberedTree {
    format: String,
    /// For people.
    path: Utf8PathBuf,
    fingerprint: Sha256,
    tree: Sha256,
}

fn without_commit(source: Source) -> FetchedEngine {
    FetchedEngine::Source { path: source.path, tree: source.tree, git_commit: None }
}

/// A tree is known by the archive and the folder in it, wherever the archive came from.
fn archive_id(sha256: &Sha256, subdir: &str) -> Sha256 {
    Sha256::of_bytes(format!("archive\n{sha256}\n{}\n", subdir.trim_end_matches('/')).as_bytes())
}

fn prebuilt(path: &Utf8Path) -> Result<FetchedEngine, FetchError> {
    if !path.is_dir() {
        return Err(FetchError::NoFolder { path: path.to_owned() });
    }
    let path = path.canonicalize_utf8()?;
    if ["llama-server", "bin/llama-server"].iter().any(|server| path.join(server).is_file()) {
        return Ok(FetchedEngine::Prebuilt { path });
    }
    Err(FetchError::NoServer { path })
}

#[cfg(test)]
mod tests;
