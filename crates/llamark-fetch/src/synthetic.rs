//! Models that are made rather than fetched: `models/IDENTITY/FILE`, with the digest that it had when it was made next
//! to it.

use std::ops::ControlFlow;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files::{self, TemporaryFolder};
use llamark_gguf::{GgufError, Synthetic};
use llamark_record::Sha256;
use llamark_record::plan::{SyntheticModel, SyntheticTokenizer};
use sha2::Digest as _;

use crate::error::FetchError;
use crate::fetcher::{Event, FetchedModel, Fetcher, Job};
use crate::model::{MEMBER_DIGEST, find};

/// More threads than this do not help: one hashes.
const MOST_THREADS: usize = 32;

impl Job<'_> {
    /// A synthetic model: from the cache, or made.
    pub(crate) fn synthetic(
        &self,
        model: &SyntheticModel,
        expected: Option<&Sha256>,
        base: &Utf8Path,
        models: Option<&Utf8Path>,
    ) -> Result<FetchedModel, FetchError> {
        let name = model.file_name();
        let folder = self.cache("models")?;
        let place = folder.join(identity(model)?.as_str());
        let found = match self.cached_member(&place, &name)? {
            Some(found) => found,
            None => {
                let _lock = self.lock(&place, &name)?;
                match self.cached_member(&place, &name)? {
                    Some(found) => found,
                    None => self.make(model, &folder, &place, base, models)?,
                }
            }
        };
        let sha256 = found.files.first().map(|file| &file.sha256);
        match (expected, sha256) {
            (Some(expected), Some(found)) if expected != found => {
                Err(FetchError::mismatch(name, expected, found))
            }
            _ => Ok(found),
        }
    }

    /// Makes it in a temporary folder, hashed on the way, and gives that its name.
    fn make(
        &self,
        model: &SyntheticModel,
        folder: &Utf8Path,
        place: &Utf8Path,
        base: &Utf8Path,
        models: Option<&Utf8Path>,
    ) -> Result<FetchedModel, FetchError> {
        let name = model.file_name();
        let tokenizer = self.tokenizer(model, base, models)?;
        let synthetic = Synthetic::new(model, tokenizer.as_deref()).map_err(FetchError::Synthetic)?;
        files::remove_folder(place)?;
        has_room(folder, &name, synthetic.bytes())?;
        let filling = TemporaryFolder::create_in(folder)?;
        let digest = self.write(&synthetic, &name, &filling.path().join(&name))?;
        files::write_atomic(&filling.path().join(MEMBER_DIGEST), digest.as_str().as_bytes())?;
        filling.commit(place)?;
        self.remember_own(place, std::iter::once((name.as_str(), &digest)))?;
        self.identify(vec![place.join(&name)], None)
    }

    /// Writes the file; its digest.
    fn write(&self, synthetic: &Synthetic, name: &str, to: &Utf8Path) -> Result<Sha256, FetchError> {
        const STEP: u64 = 64 << 20;
        let threads =
            std::thread::available_parallelism().map_or(1, |threads| threads.get().min(MOST_THREADS));
        let total = synthetic.bytes();
        let (mut hasher, mut done, mut told) = (sha2::Sha256::new(), 0, 0);
        self.tell(Event::Making { what: name.to_owned(), done, total });
        let mut in_order = |bytes: &[u8]| {
            hasher.update(bytes);
            done += bytes.len() as u64;
            if done >= told + STEP {
                told = done;
                self.tell(Event::Making { what: name.to_owned(), done, total });
            }
            if self.interrupt.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match synthetic.write(to, threads, &mut in_order) {
            Ok(()) => Ok(Sha256::from_raw(hasher.finalize().into())),
            Err(GgufError::Stopped) => Err(FetchError::Interrupted),
            Err(error) => Err(FetchError::Synthetic(error)),
        }
    }

    /// The file that the tokenizer is taken from, checked to be the one that was meant.
    fn tokenizer(
        &self,
        model: &SyntheticModel,
        base: &Utf8Path,
        models: Option<&Utf8Path>,
    ) -> Result<Option<Utf8PathBuf>, FetchError> {
        let SyntheticTokenizer::File { file, sha256 } = &model.tokenizer else { return Ok(None) };
        let path = find(file, base, models)?;
        self.identify(vec![path.clone()], Some(sha256))?;
        Ok(Some(path))
    }
}

impl Fetcher {
    /// Bytes that a synthetic model will have, whether it was made or not; nothing where that depends on a file that is
    /// not there.
    pub fn synthetic_size(
        &self,
        model: &SyntheticModel,
        base: &Utf8Path,
        models: Option<&Utf8Path>,
    ) -> Option<u64> {
        let tokenizer = match &model.tokenizer {
            SyntheticTokenizer::BuiltIn => None,
            SyntheticTokenizer::File { file, .. } => Some(find(file, base, models).ok()?),
        };
        Synthetic::new(model, tokenizer.as_deref()).ok().map(|synthetic| synthetic.bytes())
    }
}

fn identity(model: &SyntheticModel) -> Result<Sha256, FetchError> {
    model.identity().map_err(|error| FetchError::Read(std::io::Error::other(error)))
}

/// Whether the file fits. A system that does not say how much is free is believed to have enough.
fn has_room(folder: &Utf8Path, file: &str, needed: u64) -> Result<(), FetchError> {
    let Ok(system) = rustix::fs::statvfs(folder.as_std_path()) else { return Ok(()) };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if needed <= free {
        return Ok(());
    }
    Err(FetchError::NoRoom { file: file.to_owned(), needed, folder: folder.to_owned(), free })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use llamark_process::Interrupt;
    use llamark_record::plan::{ModelSource, SyntheticPreset, SyntheticQuant, SyntheticShape};

    use super::*;
    use crate::testing::folder;

    fn tiny() -> SyntheticModel {
        SyntheticModel {
            like: Some(SyntheticPreset::Tiny),
            shape: SyntheticPreset::Tiny.shape(),
            quant: SyntheticQuant::Q4_K_M,
            tokenizer: SyntheticTokenizer::BuiltIn,
            seed: 1,
        }
    }

    fn source(model: SyntheticModel, sha256: Option<Sha256>) -> ModelSource {
        ModelSource::Synthetic { model, sha256 }
    }

    /// Fetches; and what was told meanwhile.
    fn fetch(cache: &Utf8Path, source: &ModelSource) -> (Result<FetchedModel, FetchError>, Vec<Event>) {
        let events = RefCell::new(Vec::new());
        let fetcher = Fetcher::new(cache.join("cache"));
        let observer = |event| events.borrow_mut().push(event);
        let fetched = fetcher.model(source, cache, None, &Interrupt::new(), &observer);
        (fetched, events.into_inner())
    }

    #[test]
    fn it_is_made_once_and_found_again() {
        let (_keep, root) = folder();
        let (made, events) = fetch(&root, &source(tiny(), None));
        let made = made.unwrap();
        assert!(matches!(&events[0], Event::Making { done: 0, .. }), "{events:?}");
        assert_eq!(made.files[0].name, "synthetic-llama-Q4_K_M.gguf");
        assert_eq!(made.files[0].sha256, Sha256::of_bytes(&fs_err::read(&made.paths[0]).unwrap()));
        assert_eq!(llamark_gguf::read(&made.paths[0]).unwrap().file_bytes, made.files[0].bytes);
        // By another way to the same description.
        let (again, events) = fetch(&root, &source(SyntheticModel { like: None, ..tiny() }, None));
        assert_eq!(again.unwrap(), made);
        assert!(matches!(events.as_slice(), [Event::Hit { .. }]), "{events:?}");
        let fetcher = Fetcher::new(root.join("cache"));
        assert_eq!(fetcher.local_size(&source(tiny(), None), &root, None), Some(made.files[0].bytes));
        assert_eq!(fetcher.synthetic_size(&tiny(), &root, None), Some(made.files[0].bytes));
    }

    #[test]
    fn a_file_that_was_changed_is_made_again() {
        let (_keep, root) = folder();
        let made = fetch(&root, &source(tiny(), None)).0.unwrap();
        let path = &made.paths[0];
        let mut bytes = fs_err::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        files::remove_file(path).unwrap();
        crate::testing::put(path, &bytes);
        let again = fetch(&root, &source(tiny(), None)).0.unwrap();
        assert_eq!(again, made);
        assert_eq!(Sha256::of_bytes(&fs_err::read(path).unwrap()), made.files[0].sha256);
    }

    #[test]
    fn a_digest_that_the_author_gives_must_be_right() {
        let (_keep, root) = folder();
        let made = fetch(&root, &source(tiny(), None)).0.unwrap();
        assert!(fetch(&root, &source(tiny(), Some(made.files[0].sha256.clone()))).0.is_ok());
        let error = fetch(&root, &source(tiny(), Some(Sha256::of_bytes(b"x")))).0.unwrap_err();
        assert!(error.is_mismatch(), "{error}");
    }

    #[test]
    fn a_tokenizer_comes_from_the_file_that_was_meant() {
        let (_keep, root) = folder();
        let donor = fetch(&root, &source(tiny(), None)).0.unwrap();
        let with = |sha256: &Sha256| {
            let tokenizer =
                SyntheticTokenizer::File { file: donor.paths[0].to_string(), sha256: sha256.clone() };
            source(SyntheticModel { tokenizer, quant: SyntheticQuant::Q8_0, ..tiny() }, None)
        };
        let made = fetch(&root, &with(&donor.files[0].sha256)).0.unwrap();
        assert_eq!(llamark_gguf::read(&made.paths[0]).unwrap().facts().vocabulary, Some(1024));
        let error = fetch(&root, &with(&Sha256::of_bytes(b"other"))).0.unwrap_err();
        assert!(error.is_mismatch(), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_told_before_it_is_made() {
        let (_keep, root) = folder();
        let shape = SyntheticShape { layers: 512, feed_forward: 1 << 20, embedding: 1 << 20, ..tiny().shape };
        let (result, events) = fetch(&root, &source(SyntheticModel { shape, ..tiny() }, None));
        let error = result.unwrap_err();
        assert!(matches!(error, FetchError::NoRoom { .. }), "{error}");
        assert!(error.hint().unwrap().contains("--cache"));
        assert_eq!(events, []);
    }

    #[test]
    fn an_interrupt_leaves_nothing_behind() {
        let (_keep, root) = folder();
        let interrupt = Interrupt::new();
        interrupt.set();
        let fetcher = Fetcher::new(root.join("cache"));
        let result = fetcher.model(&source(tiny(), None), &root, None, &interrupt, &|_| ());
        assert!(matches!(result, Err(FetchError::Interrupted)));
        let place = root.join("cache/models").join(tiny().identity().unwrap().as_str());
        assert!(!place.exists());
    }
}
