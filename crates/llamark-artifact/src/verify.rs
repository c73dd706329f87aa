//! Verification, offline: is every byte of a set what was sealed (level 0), and does the record hold together (level 1)?
//!
//! Level 0 needs the manifest only. Level 1 reads plan and journal and asks whether what is recorded is what was
//! planned, all of it, once. Level 2, that every derived number comes out again, is of the command and
//! `llamark-report`. What no level here can see: a host that makes up its timings consistently, and a whole set that
//! was made again with new digests; signatures and independent repetition narrow that.
//!
//! The set may come from a stranger. No link is followed, no size is believed, every list of problems is bounded,
//! and text of the set is escaped before it is shown.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::Sha256;
use llamark_record::manifest::{Manifest, PREDICATE_TYPE, STATEMENT_TYPE};
use serde::Serialize;

use crate::journal::JOURNAL;
use crate::plain::Walk;
use crate::seal::{BYTES, checksums};
use crate::set::{CHECKSUMS, ENVIRONMENT, MANIFEST, PLAN, SIGNATURE, TIMESTAMP, parse_manifest};
use crate::{ArtifactError, names, plain, structure};

/// Problems of one check that are kept; the others are counted.
const MAX_PROBLEMS: usize = 100;

/// Files of a sealed set that are no subjects of its manifest. The last two say something of the manifest, and came
/// after it; what they are worth is not of the levels here.
const UNLISTED: [&str; 4] = [MANIFEST, CHECKSUMS, SIGNATURE, TIMESTAMP];

/// Files that every set has.
const REQUIRED: [&str; 3] = [ENVIRONMENT, JOURNAL, PLAN];

/// What was checked, and what was found wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The set.
    pub path: Utf8PathBuf,
    /// The level that was asked for; those below it were done too.
    pub level: u8,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The level that it belongs to.
    pub level: u8,
    /// What was checked, in words that follow a number: `files by size and sha256`.
    pub name: &'static str,
    /// How many things were looked at.
    pub count: u64,
    /// What is wrong, in sentences; at most 100 of them.
    pub problems: Vec<String>,
    /// How many more problems there are.
    pub more: u64,
}

impl Verification {
    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.problems.is_empty())
    }

    /// The first problem.
    pub fn first_problem(&self) -> Option<&str> {
        self.checks.iter().find_map(|check| check.problems.first()).map(String::as_str)
    }
}

impl Check {
    /// A check of nothing so far.
    pub fn new(level: u8, name: &'static str) -> Self {
        Self { level, name, count: 0, problems: Vec::new(), more: 0 }
    }

    /// Looks at one more thing.
    pub fn count(&mut self) {
        self.count += 1;
    }

    /// Notes a problem.
    pub fn problem(&mut self, problem: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem.into());
        } else {
            self.more += 1;
        }
    }

    /// Looks at one more thing, and notes what is wrong with it.
    pub fn result(&mut self, result: Result<(), impl Into<String>>) {
        self.count();
        if let Err(problem) = result {
            self.problem(problem);
        }
    }
}

/// Text of the set, safe for a terminal and not too long.
pub(crate) fn shown(text: &str) -> String {
    let shown: String = text.escape_debug().take(200).collect();
    format!("`{shown}`")
}

/// An error and its causes in one line.
pub(crate) fn said(error: &ArtifactError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.chars().flat_map(char::escape_debug).take(500).collect()
}

/// Verifies the set in `path` up to `level` (0 or 1).
///
/// What is wrong with the set is in the result; an error says that it could not be verified at all.
///
/// # Errors
/// [`ArtifactError::Level`] for another level; [`ArtifactError::NotASet`] when there is no journal;
/// [`ArtifactError::Format`] when a newer llamark wrote it; when a folder cannot be listed.
pub fn verify(path: &Utf8Path, level: u8) -> Result<Verification, ArtifactError> {
    if level > 1 {
        return Err(ArtifactError::Level { level });
    }
    let (mut checks, manifest) = level_0(path, DigestOfJournal::Here)?;
    if let Some(manifest) = manifest.filter(|_| level >= 1) {
        checks.extend(structure::check(path, &manifest)?);
    }
    Ok(Verification { path: path.to_owned(), level, checks })
}

/// The manifest of a sealed set; refuses one in which anything differs from what was sealed, except the bytes of its
/// journal: the code that reads those checks them against the manifest.
///
/// # Errors
/// [`ArtifactError::NotWhole`] with the first thing that is wrong; and as [`verify`].
pub(crate) fn whole_beside_journal(path: &Utf8Path) -> Result<Manifest, ArtifactError> {
    let (checks, manifest) = level_0(path, DigestOfJournal::Elsewhere)?;
    if let Some((check, problem)) =
        checks.iter().find_map(|check| Some((check.name, check.problems.first()?)))
    {
        return Err(ArtifactError::NotWhole { path: path.to_owned(), check, problem: problem.clone() });
    }
    // Without a manifest there was a problem.
    manifest.ok_or_else(|| ArtifactError::NotASet { path: path.to_owned() })
}

/// Where the bytes of the journal, which are most of a set, are compared with their digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DigestOfJournal {
    /// With the other files.
    Here,
    /// Where it is read.
    Elsewhere,
}

/// All checks of level 0, and the manifest if it reads.
fn level_0(
    path: &Utf8Path,
    journal: DigestOfJournal,
) -> Result<(Vec<Check>, Option<Manifest>), ArtifactError> {
    if path.join(JOURNAL).symlink_metadata().is_err() && path.join(MANIFEST).symlink_metadata().is_err() {
        return Err(ArtifactError::NotASet { path: path.to_owned() });
    }
    let mut form = Check::new(0, "manifest");
    form.count();
    let manifest = match read(path) {
        Ok((manifest, digest)) => Some((manifest, digest)),
        Err(error @ ArtifactError::Format { .. }) => return Err(error),
        Err(ArtifactError::NotASet { .. }) => {
            form.problem(
                "the set is not sealed: it has no manifest.json (run the same command again to finish it)",
            );
            None
        }
        Err(error) => {
            form.problem(said(&error));
            None
        }
    };
    let Some((manifest, digest)) = manifest else { return Ok((vec![form], None)) };
    check_form(&manifest, &mut form);
    let walk = plain::walk(path)?;
    let checks = vec![
        form,
        check_checksums(path, &manifest, &digest),
        check_files(path, &manifest, &walk, journal),
        check_nothing_else(&walk, &manifest),
    ];
    Ok((checks, Some(manifest)))
}

/// The manifest and the digest of its file; [`ArtifactError::NotASet`] when there is none.
fn read(path: &Utf8Path) -> Result<(Manifest, Sha256), ArtifactError> {
    let file = path.join(MANIFEST);
    if file.symlink_metadata().is_err() {
        return Err(ArtifactError::NotASet { path: path.to_owned() });
    }
    let bytes = plain::read(&file, plain::MAX_JSON)?;
    Ok((parse_manifest(&file, &bytes)?, Sha256::of_bytes(&bytes)))
}

/// Is it a manifest as this version writes it?
fn check_form(manifest: &Manifest, check: &mut Check) {
    for (what, found, expected) in [
        ("_type", &manifest.statement_type, STATEMENT_TYPE),
        ("predicateType", &manifest.predicate_type, PREDICATE_TYPE),
    ] {
        if found != expected {
            check.problem(format!("its {what} is {}, not `{expected}`", shown(found)));
        }
    }
    let names: Vec<&str> = manifest.subject.iter().map(|resource| resource.name.as_str()).collect();
    if !names.is_sorted() {
        check.problem("its subjects are not sorted by name");
    }
    let unique: BTreeSet<&str> = names.iter().copied().collect();
    if unique.len() != names.len() {
        check.problem("it names a file twice");
    }
    for name in REQUIRED {
        if !unique.contains(name) {
            check.problem(format!("it does not name `{name}`, which every set has"));
        }
    }
}

/// Is `manifest-sha256.txt` the list that goes with the manifest?
fn check_checksums(path: &Utf8Path, manifest: &Manifest, digest: &Sha256) -> Check {
    let mut check = Check::new(0, "lines of manifest-sha256.txt");
    let expected = checksums(&manifest.subject, digest);
    check.count = u64::try_from(expected.lines().count()).unwrap_or(u64::MAX);
    let limit = u64::try_from(expected.len()).unwrap_or(u64::MAX);
    match plain::read(&path.join(CHECKSUMS), limit) {
        Ok(found) if found == expected.as_bytes() => {}
        Ok(found) => {
            let line = found.split(|byte| *byte == b'\n').zip(expected.lines());
            let place = line.take_while(|(found, expected)| *found == expected.as_bytes()).count() + 1;
            check.problem(format!("line {place} is not what the manifest says"));
        }
        Err(ArtifactError::TooLarge { .. }) => check.problem("it has more lines than the manifest has files"),
        Err(error) => check.problem(said(&error)),
    }
    check
}

/// Has every file its size and its digest?
fn check_files(path: &Utf8Path, manifest: &Manifest, walk: &Walk, journal: DigestOfJournal) -> Check {
    let mut check = Check::new(0, "files by size and sha256");
    for resource in &manifest.subject {
        let expected = resource.annotations.get(BYTES).map(String::as_str).unwrap_or_default();
        let digest =
            (resource.name != JOURNAL || journal == DigestOfJournal::Here).then_some(&resource.digest.sha256);
        check.result(check_file(path, walk, &resource.name, expected, digest));
    }
    check
}

/// Is it a plain file of that many bytes, and of that digest where one is asked for?
fn check_file(
    root: &Utf8Path,
    walk: &Walk,
    name: &str,
    bytes: &str,
    sha256: Option<&Sha256>,
) -> Result<(), String> {
    names::check_relative(name).map_err(|error| said(&error))?;
    if UNLISTED.contains(&name) {
        return Err(format!("{} cannot be a subject of the manifest", shown(name)));
    }
    // The walk went through no link.
    if !walk.has(name) {
        plain::refuse_links(root, name).map_err(|error| said(&error))?;
    }
    let path = root.join(name);
    let (file, length) = plain::open_sized(&path).map_err(|error| said(&error))?;
    // The size first: a file that somebody made huge is not read.
    if length.to_string() != bytes {
        return Err(format!("{} has {length} bytes, but {} were sealed", shown(name), shown(bytes)));
    }
    let Some(sha256) = sha256 else { return Ok(()) };
    let (_bytes, found) = plain::digest_open(&file, length, &path).map_err(|error| said(&error))?;
    if found != *sha256 {
        return Err(format!(
            "{} was changed: its sha256 is {}, not {}",
            shown(name),
            found.short(),
            sha256.short()
        ));
    }
    Ok(())
}

/// Is there nothing that the manifest does not name?
fn check_nothing_else(walk: &Walk, manifest: &Manifest) -> Check {
    let mut check = Check::new(0, "files and folders, for what was not sealed");
    let listed: BTreeSet<&str> = manifest.subject.iter().map(|resource| resource.name.as_str()).collect();
    for name in &walk.files {
        let known = listed.contains(name.as_str()) || UNLISTED.contains(&name.as_str());
        check.result(if known { Ok(()) } else { Err(format!("{} was added", shown(name))) });
    }
    for name in &walk.odd {
        check.result(Err(format!("{} is not a plain file in a plain folder", shown(name))));
    }
    check
}
