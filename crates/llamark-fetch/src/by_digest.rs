//! Inputs by what they are, wherever they lie: a model in some folder, a source tree in the cache. Asks nobody.

use camino::{Utf8Path, Utf8PathBuf};
use llamark_process::Interrupt;
use llamark_record::Sha256;
use llamark_record::model::FileIdentity;

use crate::error::FetchError;
use crate::fetcher::{Event, FetchedEngine, FetchedModel, Fetcher, Job};

/// Folders below a folder of models that are looked into.
const MAX_DEPTH: usize = 6;
/// Entries that are looked at; beyond them a folder is not a folder of models.
const MAX_ENTRIES: usize = 100_000;

impl Fetcher {
    /// The model of these very files, if it lies in one of the folders or below. A single file may have any name; of
    /// several shards each must have its own, since the server finds the later ones by them. The names in the answer are
    /// those that were asked for. Only files of the right size are hashed.
    ///
    /// # Errors
    /// When it is interrupted. What cannot be read is not found.
    pub fn model_by_digest(
        &self,
        files: &[FileIdentity],
        folders: &[&Utf8Path],
        interrupt: &Interrupt,
        observer: &dyn Fn(Event),
    ) -> Result<Option<FetchedModel>, FetchError> {
        let job = Job { fetcher: self, interrupt, observer };
        let Some(first) = files.first() else { return Ok(None) };
        let mut places = Vec::new();
        for folder in folders {
            collect(folder, first.bytes, MAX_DEPTH, &mut 0, &mut places);
        }
        // The one that is called so is the likeliest.
        places.sort_by_key(|path| path.file_name() != Some(first.name.as_str()));
        for place in places {
            let paths = match files {
                [_] => vec![place],
                files => {
                    let folder = place.parent().unwrap_or(Utf8Path::new(""));
                    files.iter().map(|file| folder.join(&file.name)).collect()
                }
            };
            let sizes = paths.iter().zip(files);
            let right_size = |(path, file): (&Utf8PathBuf, &FileIdentity)| {
                path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == file.bytes)
            };
            if !sizes.into_iter().all(right_size) {
                continue;
            }
            match job.identify(paths, None) {
                Ok(found) if found.files.iter().zip(files).all(|(a, b)| a.sha256 == b.sha256) => {
                    return Ok(Some(FetchedModel { paths: found.paths, files: files.to_vec() }));
                }
                Err(error) if error.is_interrupted() => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }

    /// The source tree of this digest, if the cache has it, whatever it came from.
    ///
    /// # Errors
    /// When it is interrupted, or the cache cannot be read.
    pub fn engine_by_digest(
        &self,
        tree: &Sha256,
        interrupt: &Interrupt,
        observer: &dyn Fn(Event),
    ) -> Result<Option<FetchedEngine>, FetchError> {
        let job = Job { fetcher: self, interrupt, observer };
        let source = job.source_by_tree(tree)?;
        Ok(source.map(|source| FetchedEngine::Source {
            path: source.path,
            tree: source.tree,
            git_commit: None,
        }))
    }
}

/// Files of that size in `folder` and below. Links to files count, links to folders are not followed.
fn collect(folder: &Utf8Path, bytes: u64, depth: usize, seen: &mut usize, found: &mut Vec<Utf8PathBuf>) {
    let Ok(entries) = folder.read_dir_utf8() else { return };
    for entry in entries.flatten() {
        *seen += 1;
        if *seen > MAX_ENTRIES {
            return;
        }
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth > 0 {
            collect(entry.path(), bytes, depth - 1, seen, found);
        } else if !kind.is_dir()
            && entry.path().metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == bytes)
        {
            found.push(entry.into_path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{folder, put};

    fn identity(name: &str, content: &[u8]) -> FileIdentity {
        let bytes = u64::try_from(content.len()).unwrap();
        FileIdentity { name: name.to_owned(), bytes, sha256: Sha256::of_bytes(content) }
    }

    #[test]
    fn a_model_is_found_by_what_it_is() {
        let (_keep, root) = folder();
        let (models, fetcher) = (root.join("models"), Fetcher::new(root.join("cache")));
        put(&models.join("fox.gguf"), b"another");
        put(&models.join("deep/er/renamed.gguf"), b"content");
        let find = |files: &[FileIdentity]| {
            fetcher.model_by_digest(files, &[&models], &Interrupt::new(), &|_| ()).unwrap()
        };
        let wanted = identity("fox.gguf", b"content");
        let found = find(std::slice::from_ref(&wanted)).unwrap();
        assert_eq!(found.paths, [models.join("deep/er/renamed.gguf")]);
        assert_eq!(found.files, [wanted]);
        assert_eq!(find(&[identity("fox.gguf", b"missing")]), None);
        assert_eq!(find(&[]), None);
    }

    #[test]
    fn shards_stay_together_under_their_names() {
        let (_keep, root) = folder();
        let (models, fetcher) = (root.join("models"), Fetcher::new(root.join("cache")));
        let shards = [identity("m-00001-of-00002.gguf", b"one"), identity("m-00002-of-00002.gguf", b"two")];
        put(&models.join("a/m-00001-of-00002.gguf"), b"one");
        put(&models.join("b/m-00002-of-00002.gguf"), b"two");
        let find = || fetcher.model_by_digest(&shards, &[&models], &Interrupt::new(), &|_| ()).unwrap();
        assert_eq!(find(), None);
        put(&models.join("a/m-00002-of-00002.gguf"), b"two");
        assert_eq!(find().unwrap().paths[1], models.join("a/m-00002-of-00002.gguf"));
    }
}
