//! Models: from each kind of source to verified files.

use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files::{self, TemporaryFolder};
use llamark_process::Interrupt;
use llamark_record::Sha256;
use llamark_record::model::FileIdentity;
use llamark_record::plan::{ModelSource, Package};

use crate::archive;
use crate::digest::digest_stamped;
use crate::download::{Download, file_name, length};
use crate::error::FetchError;
use crate::fetcher::{Event, FetchedModel, Fetcher, Job};
use crate::huggingface::HubFile;
use crate::memory::{Memory, Stamp};
use crate::package::Form;
use crate::shards::{ShardName, every_name, shards};
use crate::source::in_archive;

impl Job<'_> {
    pub(crate) fn model(
        &self,
        source: &ModelSource,
        base: &Utf8Path,
        models: Option<&Utf8Path>,
    ) -> Result<FetchedModel, FetchError> {
        match source {
            ModelSource::File { file, sha256 } => {
                let paths = shards(&find(file, base, models)?)?;
                self.identify(paths, sha256.as_ref())
            }
            ModelSource::Url { url, sha256 } => {
                let name = file_name(url);
                if ShardName::parse(&name).is_some() {
                    return Err(FetchError::ShardsWithoutDigest { file: name, kind: "`url` source" });
                }
                let file = Wanted { url, token: None, name: &name, sha256: sha256.clone() };
                self.downloaded(&[file])
            }
            ModelSource::Huggingface { repo, revision, file, endpoint, sha256 } => {
                let names = every_name(file)?;
                let hub: Vec<(String, HubFile)> = names
                    .iter()
                    .map(|name| Ok((file_name(name), self.hub_file(endpoint, repo, revision, name)?)))
                    .collect::<Result<_, FetchError>>()?;
                let mut wanted = Vec::new();
                for (index, (name, file)) in hub.iter().enumerate() {
                    let given = sha256.clone().filter(|_| index == 0);
                    let sha256 = given.map_or_else(|| self.hub_digest(file), Ok)?;
                    wanted.push(Wanted { url: &file.url, token: file.token.as_deref(), name, sha256 });
                }
                self.downloaded(&wanted)
            }
            ModelSource::Package { package, sha256, member } => self.member(package, sha256, member),
            ModelSource::Synthetic { model, sha256 } => self.synthetic(model, sha256.as_ref(), base, models),
            ModelSource::Unstated => Err(FetchError::Unstated { what: "model" }),
        }
    }

    /// Hashes the files, or remembers their digests; the first must be `expected`, where that is given.
    pub(crate) fn identify(
        &self,
        paths: Vec<Utf8PathBuf>,
        expected: Option<&Sha256>,
    ) -> Result<FetchedModel, FetchError> {
        let memory = Memory::new(&self.fetcher.cache);
        let mut identities = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            let name = path.file_name().unwrap_or_default().to_owned();
            let stamp = Stamp::of(&fs_err::metadata(path)?);
            let sha256 = match memory.recall(path, &stamp) {
                Some(sha256) => {
                    self.tell(Event::Hit { what: name.clone() });
                    sha256
                }
                None => {
                    let begun = SystemTime::now();
                    let mut progress = self.hashing(&name, stamp.bytes);
                    let (sha256, stamp) = digest_stamped(path, self.interrupt, &mut progress)?;
                    memory.remember(path, &stamp, begun, &sha256)?;
                    sha256
                }
            };
            if let Some(expected) = expected.filter(|expected| index == 0 && **expected != sha256) {
                return Err(FetchError::mismatch(path.to_string(), expected, &sha256));
            }
            identities.push(FileIdentity { name, bytes: stamp.bytes, sha256 });
        }
        Ok(FetchedModel { paths, files: identities })
    }

    /// Files of the cache, downloaded if they are not there.
    fn downloaded(&self, wanted: &[Wanted<'_>]) -> Result<FetchedModel, FetchError> {
        let folder = self.cache("models")?;
        let place = folder.join(download_id(wanted.iter().map(|file| (file.name, &file.sha256))).as_str());
        if let Some(model) = self.cached(&place, wanted)? {
            return Ok(model);
        }
        let what = wanted.first().map_or("a model", |file| file.name);
        let _lock = self.lock(&place, what)?;
        if let Some(model) = self.cached(&place, wanted)? {
            return Ok(model);
        }
        files::remove_folder(&place)?;
        let mut parts = Vec::new();
        for file in wanted {
            let Wanted { url, token, name, ref sha256 } = *file;
            parts.push(self.download(Download { url, expected: sha256, what: name, token })?);
        }
        let filling = TemporaryFolder::create_in(&folder)?;
        for (file, part) in wanted.iter().zip(&parts) {
            files::rename_file(part, &filling.path().join(file.name))?;
        }
        filling.commit(&place)?;
        let digests: Vec<&Sha256> = wanted.iter().map(|file| &file.sha256).collect();
        self.remember_own(&place, wanted.iter().map(|file| file.name).zip(digests))?;
        self.identify(wanted.iter().map(|file| place.join(file.name)).collect(), None)
    }

    /// What the cache holds at `place`, if it is all there and is what it was.
    fn cached(&self, place: &Utf8Path, wanted: &[Wanted<'_>]) -> Result<Option<FetchedModel>, FetchError> {
        let paths: Vec<_> = wanted.iter().map(|file| place.join(file.name)).collect();
        if !paths.iter().all(|path| path.is_file()) {
            return Ok(None);
        }
        let model = self.identify(paths, None)?;
        let is_whole = model.files.iter().zip(wanted).all(|(found, file)| found.sha256 == file.sha256);
        Ok(is_whole.then_some(model))
    }

    /// Remembers digests of files that were checked on their way into the cache.
    pub(crate) fn remember_own<'a>(
        &self,
        place: &Utf8Path,
        digests: impl Iterator<Item = (&'a str, &'a Sha256)>,
    ) -> Result<(), FetchError> {
        let memory = Memory::new(&self.fetcher.cache);
        for (name, sha256) in digests {
            let path = place.join(name);
            memory.remember_own(&path, &Stamp::of(&fs_err::metadata(&path)?), sha256)?;
        }
        Ok(())
    }

    /// A model inside a package.
    fn member(&self, package: &Package, sha256: &Sha256, member: &str) -> Result<FetchedModel, FetchError> {
        let what = package.to_string();
        let name = member.rsplit('/').next().unwrap_or_default();
        if ShardName::parse(name).is_some() {
            return Err(FetchError::ShardsWithoutDigest {
                file: name.to_owned(),
                kind: "member of a package",
            });
        }
        if name.is_empty() || name.starts_with('.') || name == MEMBER_DIGEST {
            return Err(FetchError::Refused {
                what: "path of a model in a package",
                value: member.to_owned(),
            });
        }
        let folder = self.cache("models")?;
        let place = folder.join(member_id(sha256, member).as_str());
        if let Some(model) = self.cached_member(&place, name)? {
            return Ok(model);
        }
        let _lock = self.lock(&place, &what)?;
        if let Some(model) = self.cached_member(&place, name)? {
            return Ok(model);
        }
        files::remove_folder(&place)?;
        let fetching = TemporaryFolder::create_in(&folder)?;
        let file = self.package(package, sha256, Form::Wheel, fetching.path())?;
        self.tell(Event::Unpacking { what: what.clone() });
        let filling = TemporaryFolder::create_in(&folder)?;
        let to = filling.path().join(name);
        let found = archive::extract(&file, member, &to, &self.fetcher.limits, self.interrupt)
            .map_err(|source| in_archive(&what, source))?;
        if !found {
            let there = archive::names_ending(&file, ".gguf", &self.fetcher.limits).unwrap_or_default();
            return Err(FetchError::NoMember { member: member.to_owned(), what, there });
        }
        let digest = self.hash(&to, name)?;
        files::write_atomic(&filling.path().join(MEMBER_DIGEST), digest.as_str().as_bytes())?;
        filling.commit(&place)?;
        self.remember_own(&place, std::iter::once((name, &digest)))?;
        self.identify(vec![place.join(name)], None)
    }

    /// The file in the cache, if it is there and is what it was when it was taken out of its package, or made.
    pub(crate) fn cached_member(
        &self,
        place: &Utf8Path,
        name: &str,
    ) -> Result<Option<FetchedModel>, FetchError> {
        let stated = fs_err::read_to_string(place.join(MEMBER_DIGEST)).ok();
        let Some(sha256) = stated.and_then(|text| text.trim().parse().ok()) else { return Ok(None) };
        self.cached(place, &[Wanted { url: "", token: None, name, sha256 }])
    }
}

/// Beside a model from a package, or one that was made: its digest.
pub(crate) const MEMBER_DIGEST: &str = "sha256";

/// A file to be downloaded.
struct Wanted<'a> {
    url: &'a str,
    token: Option<&'a str>,
    name: &'a str,
    sha256: Sha256,
}

/// The folder of downloaded files: the digest of a single one, so that it can be found by it; for shards a digest
/// over all.
pub(crate) fn download_id<'a>(mut files: impl Iterator<Item = (&'a str, &'a Sha256)>) -> Sha256 {
    let Some((name, first)) = files.next() else { return Sha256::of_bytes(b"") };
    let mut text = format!("shards\n{name} {first}\n");
    let mut count = 1;
    for (name, digest) in files {
        text.push_str(&format!("{name} {digest}\n"));
        count += 1;
    }
    if count == 1 { first.clone() } else { Sha256::of_bytes(text.as_bytes()) }
}

fn member_id(sha256: &Sha256, member: &str) -> Sha256 {
    Sha256::of_bytes(format!("member\n{sha256}\n{member}\n").as_bytes())
}

/// Finds the file of an experiment.
pub(crate) fn find(
    file: &str,
    base: &Utf8Path,
    models: Option<&Utf8Path>,
) -> Result<Utf8PathBuf, FetchError> {
    let path = Utf8Path::new(file);
    // An absolute path replaces what it is joined to.
    let mut looked_at = vec![base.join(path)];
    if !path.is_absolute()
        && let Some(models) = models
    {
        looked_at.insert(0, models.join(path));
    }
    if let Some(found) = looked_at.iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    let similar = similar(&looked_at);
    Err(FetchError::NotFound { file: file.to_owned(), looked_at, similar })
}

/// Names of models that lie where a file was looked for and are called much the same; the best first.
fn similar(looked_at: &[Utf8PathBuf]) -> Vec<String> {
    const ALIKE: f64 = 0.8;
    const MOST: usize = 3;
    let mut found: Vec<(f64, String)> = Vec::new();
    for place in looked_at {
        let (Some(folder), Some(wanted)) = (place.parent(), place.file_name()) else { continue };
        let Ok(entries) = folder.read_dir_utf8() else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let score = strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase());
            if name.ends_with(".gguf") && score >= ALIKE && found.iter().all(|(_, other)| other != name) {
                found.push((score, name.to_owned()));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    found.into_iter().take(MOST).map(|(_, name)| name).collect()
}

impl Fetcher {
    /// Bytes of a model that is on this disk already, all shards; nothing when it would have to be fetched, or is
    /// not there. Asks nobody.
    pub fn local_size(
        &self,
        source: &ModelSource,
        base: &Utf8Path,
        models: Option<&Utf8Path>,
    ) -> Option<u64> {
        let folder = self.cache.join("models");
        let paths = match source {
            ModelSource::File { file, .. } => shards(&find(file, base, models).ok()?).ok()?,
            ModelSource::Unstated => return None,
            ModelSource::Synthetic { model, .. } => {
                vec![folder.join(model.identity().ok()?.as_str()).join(model.file_name())]
            }
            ModelSource::Url { url, sha256 } => vec![folder.join(sha256.as_str()).join(file_name(url))],
            ModelSource::Package { sha256, member, .. } => {
                vec![folder.join(member_id(sha256, member).as_str()).join(Utf8Path::new(member).file_name()?)]
            }
            ModelSource::Huggingface { repo, revision, file, endpoint, sha256 } => {
                let (interrupt, quiet) = (Interrupt::new(), |_| ());
                let job = Job { fetcher: self, interrupt: &interrupt, observer: &quiet };
                let names = every_name(file).ok()?;
                let mut wanted = Vec::new();
                for (index, name) in names.iter().enumerate() {
                    let given = sha256.clone().filter(|_| index == 0);
                    let hub = job.hub_file(endpoint, repo, revision, name).ok()?;
                    wanted.push((file_name(name), given.or_else(|| job.pinned_digest(&hub))?));
                }
                let place = folder
                    .join(download_id(wanted.iter().map(|(name, sha256)| (name.as_str(), sha256))).as_str());
                wanted.iter().map(|(name, _)| place.join(name)).collect()
            }
        };
        paths.iter().map(|path| path.is_file().then(|| length(path))).sum()
    }
}

#[cfg(test)]
mod tests;
