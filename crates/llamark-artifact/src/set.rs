//! An artifact set as read back from disk.

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::Sha256;
use llamark_record::environment::{ENVIRONMENT_FORMAT, Environment};
use llamark_record::manifest::{BUILD_TYPE, IMPORT_BUILD_TYPE, Manifest};
use llamark_record::plan::{Document, PLAN_FORMAT, ResolvedPlan};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::journal::{JOURNAL, Reader};
use crate::names::folder_name;
use crate::{ArtifactError, Ledger, by_seal, plain, verify};

/// The resolved plan: canonical JSON and a newline.
pub const PLAN: &str = "plan.json";
/// The experiment as the author wrote it; not in an imported set.
pub const SPEC: &str = "spec.yaml";
/// Folder of the document that an imported set is made of.
pub const IMPORTED: &str = "imported";
/// Facts of the machine.
pub const ENVIRONMENT: &str = "environment.json";
/// The manifest: a set is sealed when this file is there.
pub const MANIFEST: &str = "manifest.json";
/// The manifest and every subject of it, for `sha256sum -c`.
pub const CHECKSUMS: &str = "manifest-sha256.txt";

/// A signature of the manifest by an SSH key; not in every set, and no part of what is sealed.
pub const SIGNATURE: &str = "manifest.json.sig";
/// A time stamp of the manifest by a third party (RFC 3161); not in every set, and no part of what is sealed.
pub const TIMESTAMP: &str = "manifest.json.tsr";

/// An artifact set, sealed or not.
#[derive(Clone, Debug)]
pub struct ArtifactSet {
    /// Its folder.
    pub path: Utf8PathBuf,
    /// Name of the folder: when it was begun, and the start of the plan digest.
    pub id: String,
    /// What was planned.
    pub resolved: ResolvedPlan,
    /// The machine.
    pub environment: Environment,
    /// The manifest; absent when the set is not sealed.
    pub sealed: Option<Manifest>,
    ledger: Ledger,
}

impl ArtifactSet {
    /// Reads a set, and checks the chain and the order of its journal, but no digest of a file (see [`crate::verify`]).
    ///
    /// A set that is not sealed is read as far as it was acknowledged; another process may be writing to it.
    ///
    /// # Errors
    /// When the folder is not a set, a file does not read, or the journal is corrupt.
    pub fn read(path: &Utf8Path) -> Result<Self, ArtifactError> {
        if !path.join(JOURNAL).is_file() {
            return Err(ArtifactError::NotASet { path: path.to_owned() });
        }
        let sealed = if is_sealed(path) { Some(read_manifest(path)?) } else { None };
        let resolved = read_plan(path)?.0;
        let environment = read_environment(path)?;
        let mut ledger = Ledger::new(&resolved.plan);
        fold(&mut ledger, &mut Reader::open(&path.join(JOURNAL), sealed.is_some())?, path)?;
        Ok(Self { path: path.to_owned(), id: id_of(path), resolved, environment, sealed, ledger })
    }

    /// Reads a set to compare it: as [`Self::read`], but many times faster for one that is sealed, and without what
    /// a comparison does not look at: the arrivals of tokens; of each start its command, the moment, and what was proven. Its journal is checked against the digest in the manifest as a whole, and not by the
    /// digest of each line ([`crate::verify`] proves that the two agree).
    ///
    /// # Errors
    /// As [`Self::read`], and [`ArtifactError::Changed`] when the journal is not the one that was sealed.
    pub fn read_by_seal(path: &Utf8Path) -> Result<Self, ArtifactError> {
        if !path.join(JOURNAL).is_file() || !is_sealed(path) {
            return Self::read(path);
        }
        Self::read_sealed(path, read_manifest(path)?)
    }

    fn read_sealed(path: &Utf8Path, manifest: Manifest) -> Result<Self, ArtifactError> {
        let (resolved, bytes) = read_plan(path)?;
        let environment = read_environment(path)?;
        let mut ledger = Ledger::new(&resolved.plan);
        if let Err(error) = by_seal::fold(&mut ledger, &manifest, path) {
            // Line by line it can be said what is wrong, or that a newer llamark wrote it.
            Self::read(path)?;
            return Err(error);
        }
        // Its canonical text, and a newline.
        let plan = Sha256::of_bytes(bytes.strip_suffix(b"\n").unwrap_or(&bytes));
        if ledger.begin.as_ref().is_none_or(|begin| begin.plan != plan) {
            return Err(ArtifactError::Changed { path: path.join(PLAN) });
        }
        Ok(Self {
            path: path.to_owned(),
            id: id_of(path),
            resolved,
            environment,
            sealed: Some(manifest),
            ledger,
        })
    }

    /// [`Self::read_by_seal`] of a set whose files, not only the journal, all match its manifest. One
    /// that is not sealed has no manifest, and is read as far as it goes.
    ///
    /// # Errors
    /// As [`Self::read_by_seal`], and [`ArtifactError::NotWhole`] when another file is not what was sealed, or was added.
    pub fn read_whole(path: &Utf8Path) -> Result<Self, ArtifactError> {
        if !is_sealed(path) {
            return Self::read(path);
        }
        Self::read_sealed(path, verify::whole_beside_journal(path)?)
    }

    /// [`Self::read_whole`] of two sets at the same time.
    ///
    /// # Errors
    /// Of each, as there.
    pub fn read_both_whole(
        base: &Utf8Path,
        candidate: &Utf8Path,
    ) -> (Result<Self, ArtifactError>, Result<Self, ArtifactError>) {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| Self::read_whole(candidate));
            let base = Self::read_whole(base);
            // A panic over there is a panic here, as if there were no thread.
            let candidate = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (base, candidate)
        })
    }

    /// The plan of the set in that folder alone, with the digests of its inputs.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_plan(path: &Utf8Path) -> Result<ResolvedPlan, ArtifactError> {
        Ok(read_plan(path)?.0)
    }

    /// The facts of the machine of the set in that folder alone.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read_environment(path: &Utf8Path) -> Result<Environment, ArtifactError> {
        read_environment(path)
    }

    /// What came of the plan.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The entries of the journal, one by one, as they are read from disk and checked.
    ///
    /// # Errors
    /// When the journal cannot be opened.
    pub fn entries(&self) -> Result<Reader, ArtifactError> {
        Reader::open(&self.path.join(JOURNAL), self.sealed.is_some())
    }

    /// The bytes of the document that an imported set is made of, and their name in the set.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn document(&self) -> Result<Option<(String, Vec<u8>)>, ArtifactError> {
        let Some(document) = self.resolved.plan.document() else { return Ok(None) };
        let name = document_file(document);
        let bytes = plain::read(&self.path.join(&name), plain::MAX_JSON)?;
        Ok(Some((name, bytes)))
    }

    /// The experiment as the author wrote it.
    ///
    /// # Errors
    /// When the file cannot be read, or the set was imported. What is not UTF-8 in it is replaced.
    pub fn spec_text(&self) -> Result<String, ArtifactError> {
        let bytes = plain::read(&self.path.join(SPEC), plain::MAX_JSON)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Where the document lies in an imported set.
pub(crate) fn document_file(document: &Document) -> String {
    format!("{IMPORTED}/{}", folder_name(&document.file.name))
}

/// Whether the set was sealed: its manifest is there.
pub(crate) fn is_sealed(path: &Utf8Path) -> bool {
    path.join(MANIFEST).symlink_metadata().is_ok()
}

/// The id of a set: the name of its folder.
pub(crate) fn id_of(path: &Utf8Path) -> String {
    let named = path.file_name().map(str::to_owned);
    named.or_else(|| path.canonicalize_utf8().ok()?.file_name().map(str::to_owned)).unwrap_or_default()
}

/// Folds the journal of the set in `path` into the ledger.
pub(crate) fn fold(ledger: &mut Ledger, reader: &mut Reader, path: &Utf8Path) -> Result<(), ArtifactError> {
    while let Some(entry) = reader.next() {
        let line = reader.entries_read();
        ledger.apply(entry?).map_err(|source| ArtifactError::Order {
            path: path.join(JOURNAL),
            line,
            source,
        })?;
    }
    Ok(())
}

/// The plan of the set, and the bytes of the file.
pub(crate) fn read_plan(set: &Utf8Path) -> Result<(ResolvedPlan, Vec<u8>), ArtifactError> {
    let path = set.join(PLAN);
    let bytes = plain::read(&path, plain::MAX_JSON)?;
    let plan: ResolvedPlan = parse(&path, "a plan", &bytes, PLAN_FORMAT)?;
    plain::refuse_other_format(&path, &plan.format, PLAN_FORMAT)?;
    Ok((plan, bytes))
}

/// The facts of the machine.
pub(crate) fn read_environment(set: &Utf8Path) -> Result<Environment, ArtifactError> {
    let path = set.join(ENVIRONMENT);
    let bytes = plain::read(&path, plain::MAX_JSON)?;
    let environment: Environment = parse(&path, "facts of a machine", &bytes, ENVIRONMENT_FORMAT)?;
    plain::refuse_other_format(&path, &environment.format, ENVIRONMENT_FORMAT)?;
    Ok(environment)
}

/// The manifest.
pub(crate) fn read_manifest(set: &Utf8Path) -> Result<Manifest, ArtifactError> {
    let path = set.join(MANIFEST);
    let bytes = plain::read(&path, plain::MAX_JSON)?;
    parse_manifest(&path, &bytes)
}

/// The manifest from the bytes of its file.
pub(crate) fn parse_manifest(path: &Utf8Path, bytes: &[u8]) -> Result<Manifest, ArtifactError> {
    // Of the same shape as the manifest, and silent about what it does not know.
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Outer {
        predicate: Middle,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Middle {
        build_definition: Inner,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Inner {
        build_type: Option<String>,
    }
    let parsed: Result<Manifest, _> = plain::parse_json(path, "a manifest", bytes);
    match &parsed {
        Ok(manifest) => {
            refuse_other_build_type(path, &manifest.predicate.build_definition.build_type)?;
        }
        Err(_) => {
            let outer: Outer = serde_json::from_slice(bytes).unwrap_or_default();
            if let Some(found) = outer.predicate.build_definition.build_type {
                refuse_other_build_type(path, &found)?;
            }
        }
    }
    parsed
}

/// Refuses a manifest that is neither of a run nor of an import as this version writes them.
fn refuse_other_build_type(path: &Utf8Path, found: &str) -> Result<(), ArtifactError> {
    if found == IMPORT_BUILD_TYPE {
        return Ok(());
    }
    plain::refuse_other_format(path, found, BUILD_TYPE)
}

/// A file with a `format`. One that does not read, perhaps since a newer llamark wrote it, is called that.
fn parse<T: DeserializeOwned>(
    path: &Utf8Path,
    what: &'static str,
    bytes: &[u8],
    known: &'static str,
) -> Result<T, ArtifactError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Peek {
        format: Option<String>,
    }
    let parsed = plain::parse_json(path, what, bytes);
    if parsed.is_err() {
        let peek: Peek = serde_json::from_slice(bytes).unwrap_or_default();
        peek.format.map_or(Ok(()), |found| plain::refuse_other_format(path, &found, known))?;
    }
    parsed
}
