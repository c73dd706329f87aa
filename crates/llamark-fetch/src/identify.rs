//! What a model is, for a lock file: a file of a repository is asked about, and not downloaded.

use camino::Utf8Path;
use llamark_process::Interrupt;
use llamark_record::model::FileIdentity;
use llamark_record::plan::ModelSource;

use crate::download::file_name;
use crate::error::FetchError;
use crate::fetcher::{Event, Fetcher, Job};
use crate::shards::every_name;

/// A model, by the identity of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// The commit that the revision names; absent if the source is not a repository.
    pub commit: Option<String>,
    /// Every shard, in order.
    pub files: Vec<FileIdentity>,
}

impl Fetcher {
    /// What the model of that source is now. A file of this machine is hashed, one of a repository is what its
    /// endpoint states, and all of its shards are of one commit; anything else is fetched.
    ///
    /// # Errors
    /// When it cannot be had or asked about, or its digest is not the one that was asked for.
    pub fn identify(
        &self,
        source: &ModelSource,
        base: &Utf8Path,
        models: Option<&Utf8Path>,
        interrupt: &Interrupt,
        observer: &dyn Fn(Event),
    ) -> Result<Identified, FetchError> {
        let job = Job { fetcher: self, interrupt, observer };
        match source {
            ModelSource::Huggingface { repo, revision, file, endpoint, sha256 } => {
                let identified = job.identify_hub(endpoint, repo, revision, file)?;
                let first = identified.files.first().map(|first| &first.sha256);
                match (sha256, first) {
                    (Some(expected), Some(found)) if expected != found => {
                        Err(FetchError::mismatch(format!("{repo} {file}"), expected, found))
                    }
                    _ => Ok(identified),
                }
            }
            _ => {
                let model = job.model(source, base, models)?;
                Ok(Identified { commit: None, files: model.files })
            }
        }
    }
}

impl Job<'_> {
    fn identify_hub(
        &self,
        endpoint: &str,
        repo: &str,
        revision: &str,
        file: &str,
    ) -> Result<Identified, FetchError> {
        let names = every_name(file)?;
        let mut files = Vec::new();
        let mut commit: Option<String> = None;
        for name in &names {
            // The first answer decides the commit: the name may move between two questions.
            let at = commit.as_deref().unwrap_or(revision);
            let hub = self.hub_file(endpoint, repo, at, name)?;
            self.tell(Event::Downloading {
                what: format!("what {repo} says of {name}"),
                done: 0,
                total: None,
            });
            let stated = self.hub_stated(&hub, at)?;
            files.push(FileIdentity { name: file_name(name), bytes: stated.bytes, sha256: stated.sha256 });
            commit.get_or_insert(stated.commit);
        }
        Ok(Identified { commit, files })
    }
}
