//! The folder of all artifact sets: what is there, and how a set begins or continues.
//!
//! `ROOT/NAME/ID`, where NAME is that of the experiment and ID the time and the first digits of the plan digest, as
//! in `20261122T164500Z-1a2b3c4d`. A set appears under its name as a whole, with its plan and the first line of its
//! journal, so that a folder with a journal always says what it is of. One process writes to a set: it holds a lock
//! on the journal itself, which needs no other file and ends with the process. Readers need none.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use llamark_record::Sha256;
use llamark_record::digest::canonical_json;
use llamark_record::environment::Environment;
use llamark_record::journal::{Begin, Event, JOURNAL_FORMAT};
use llamark_record::plan::{Document, ResolvedPlan};

use crate::files::{self, FileError, Renamed, TEMPORARY_PREFIX, TemporaryFolder};
use crate::journal::{Appender, JOURNAL, Reader, first_prev};
use crate::names::folder_name;
use crate::set::{
    ENVIRONMENT, IMPORTED, PLAN, SIGNATURE, SPEC, document_file, fold, id_of, is_sealed, read_plan,
};
use crate::{ArtifactError, Ledger, SetWriter, plain};

/// Where the time comes from.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The folder of all artifact sets.
#[derive(Clone)]
pub struct Store {
    root: Utf8PathBuf,
    clock: Clock,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("root", &self.root).finish_non_exhaustive()
    }
}

/// A set, as far as its folder tells without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetInfo {
    /// Name of the experiment.
    pub name: String,
    /// Id of the set.
    pub id: String,
    /// Its folder.
    pub path: Utf8PathBuf,
    /// Whether it is finished.
    pub sealed: bool,
}

impl SetInfo {
    /// Plan, host and version with which the set began: one line is read.
    ///
    /// # Errors
    /// When the first line of the journal does not read.
    pub fn begin(&self) -> Result<Begin, ArtifactError> {
        let path = self.path.join(JOURNAL);
        match Reader::open(&path, false)?.next().transpose()?.map(|entry| entry.event) {
            Some(Event::Begin(begin)) => Ok(begin),
            _ => Err(ArtifactError::NotASet { path: self.path.clone() }),
        }
    }
}

/// What a set is made from, byte for byte as it was given.
#[derive(Clone, Copy, Debug)]
pub enum Given<'a> {
    /// The text of an experiment.
    Experiment(&'a str),
    /// A document that is imported, which the plan names, and its content.
    Document(&'a Document, &'a [u8]),
}

/// A set of the same plan on the same machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// All is done.
    Sealed(Utf8PathBuf),
    /// Some of it is done; [`Store::resume`] continues.
    Interrupted(Utf8PathBuf),
}

impl Store {
    /// The store in that folder. Nothing is read or made yet.
    pub fn open(root: &Utf8Path) -> Self {
        Self::with_clock(root, Timestamp::now)
    }

    /// As [`open`](Self::open), with another source of the time: for sets that come out the same each time.
    pub fn with_clock(root: &Utf8Path, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { root: root.to_owned(), clock: Arc::new(clock) }
    }

    /// The sets of one experiment, or of all, by their ids: newest last. Only folders are listed, no set is read.
    ///
    /// # Errors
    /// When a folder cannot be listed. It is not an error when there is none.
    pub fn sets(&self, name: Option<&str>) -> Result<Vec<SetInfo>, ArtifactError> {
        self.sets_where(name, |_id| true)
    }

    fn sets_where(
        &self,
        name: Option<&str>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<SetInfo>, ArtifactError> {
        let mut sets = Vec::new();
        let names = match name {
            Some(name) => vec![folder_name(name)],
            None => folders(&self.root)?,
        };
        for name in names {
            let folder = self.root.join(&name);
            for id in folders(&folder)?.into_iter().filter(|id| wanted(id)) {
                let path = folder.join(&id);
                if path.join(JOURNAL).is_file() {
                    let sealed = is_sealed(&path);
                    sets.push(SetInfo { name: name.clone(), id, path, sealed });
                }
            }
        }
        sets.sort_by(|a, b| (&a.id, &a.name).cmp(&(&b.id, &b.name)));
        Ok(sets)
    }

    /// The newest sealed set of this plan on this machine; else the newest that was interrupted.
    ///
    /// The id of a set holds the start of the plan digest, so that of a thousand other sets only names are read. What a
    /// crash in the moment of the seal left next to the manifest is removed.
    ///
    /// # Errors
    /// When a folder cannot be listed, or the plan has no digest. A set that does not read is not found.
    pub fn find(&self, plan: &ResolvedPlan, host: &Sha256) -> Result<Option<Found>, ArtifactError> {
        let digest = plan.digest()?;
        let mark = format!("Z-{}", id_part(&digest));
        let mut interrupted = None;
        for set in self.sets_where(Some(&plan.plan.name), |id| id.contains(&mark))?.into_iter().rev() {
            if !set.sealed && interrupted.is_some() {
                continue;
            }
            let same = set.begin().is_ok_and(|begin| begin.plan == digest && begin.host == *host);
            if same && set.sealed {
                tidy(&set.path)?;
                return Ok(Some(Found::Sealed(set.path)));
            }
            if same {
                interrupted = Some(set.path);
            }
        }
        Ok(interrupted.map(Found::Interrupted))
    }

    /// The newest set of this plan on this machine that was interrupted, whatever else was sealed before or after.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn find_interrupted(
        &self,
        plan: &ResolvedPlan,
        host: &Sha256,
    ) -> Result<Option<Found>, ArtifactError> {
        let digest = plan.digest()?;
        let mark = format!("Z-{}", id_part(&digest));
        let sets = self.sets_where(Some(&plan.plan.name), |id| id.contains(&mark))?;
        let same = |set: &SetInfo| {
            !set.sealed && set.begin().is_ok_and(|begin| begin.plan == digest && begin.host == *host)
        };
        Ok(sets.into_iter().rev().find(same).map(|set| Found::Interrupted(set.path)))
    }

    /// The newest set of this plan on this machine, if it was interrupted: what measuring again continues with when
    /// it was itself interrupted. An older one, which a sealed set came after, was given up.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn unfinished(&self, plan: &ResolvedPlan, host: &Sha256) -> Result<Option<Found>, ArtifactError> {
        let digest = plan.digest()?;
        let mark = format!("Z-{}", id_part(&digest));
        let sets = self.sets_where(Some(&plan.plan.name), |id| id.contains(&mark))?;
        let is_same =
            |set: &SetInfo| set.begin().is_ok_and(|begin| begin.plan == digest && begin.host == *host);
        let newest = sets.into_iter().rev().find(is_same);
        Ok(newest.filter(|set| !set.sealed).map(|set| Found::Interrupted(set.path)))
    }

    /// Begins a set: its folder with the plan, the experiment or document as given, the facts of the machine, and a journal
    /// that says which plan it is of. Nobody else can write to it while the writer lives.
    ///
    /// # Errors
    /// When the disk refuses, or two cases would share a folder.
    pub fn create(
        &self,
        resolved: &ResolvedPlan,
        given: &Given<'_>,
        environment: &Environment,
        llamark_version: &str,
    ) -> Result<SetWriter, ArtifactError> {
        refuse_shared_folders(resolved)?;
        let plan = canonical_json(resolved)?;
        let digest = Sha256::of_bytes(&plan);
        let parent = self.root.join(folder_name(&resolved.plan.name));
        let temporary = TemporaryFolder::create_in(&parent)?;
        let path = temporary.path();
        files::persist_new(&path.join(PLAN), &[plan.as_slice(), b"\n"].concat())?;
        match given {
            Given::Experiment(text) => files::persist_new(&path.join(SPEC), text.as_bytes())?,
            Given::Document(document, bytes) => {
                files::create_dir_all(&path.join(IMPORTED))?;
                files::persist_new(&path.join(document_file(document)), bytes)?;
            }
        }
        files::persist_new(&path.join(ENVIRONMENT), &pretty(environment)?)?;

        let now = (self.clock)();
        let journal = path.join(JOURNAL);
        let file = files::open_append(&journal)?;
        // Locked before it has a name under which another process could find it.
        lock(&file, &journal)?;
        let mut appender = Appender::new(file, journal, 0, first_prev());
        let mut ledger = Ledger::new(&resolved.plan);
        let begin = Begin {
            format: JOURNAL_FORMAT.to_owned(),
            plan: digest.clone(),
            llamark: llamark_version.to_owned(),
            host: environment.fingerprint(),
        };
        let entry = appender.append(moment(now), Event::Begin(begin))?;
        let order = |source| ArtifactError::Order { path: path.join(JOURNAL), line: 1, source };
        ledger.apply(entry).map_err(order)?;
        files::sync_folder(path)?;

        let id = format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), id_part(&digest));
        let path = claim(temporary, &parent, &id)?;
        appender.moved_to(path.join(JOURNAL));
        Ok(SetWriter::new(path, appender, ledger, resolved.clone(), self.clock.clone()))
    }

    /// Goes on with an interrupted set: what was acknowledged stays, a line that was being written when it was
    /// interrupted is cut off (and kept as a file of its own), and the journal records that it continues.
    ///
    /// # Errors
    /// When the set is sealed, corrupt, of another plan or of another machine; when another process writes to it;
    /// when there are links in it; when the disk refuses.
    pub fn resume(
        &self,
        path: &Utf8Path,
        resolved: &ResolvedPlan,
        environment: &Environment,
        llamark_version: &str,
    ) -> Result<SetWriter, ArtifactError> {
        let journal = path.join(JOURNAL);
        // Refuses what is no plain file before it is opened for writing.
        drop(plain::open(&journal)?);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(&journal)
            .map_err(|error| FileError::new("open", &journal, error))?;
        lock(&file, &journal)?;
        if is_sealed(path) {
            return Err(ArtifactError::Sealed { path: path.to_owned() });
        }
        clean(path)?;

        let expected = resolved.digest()?;
        let (planned, _bytes) = read_plan(path)?;
        let mut reader = Reader::open(&journal, false)?;
        let mut ledger = Ledger::new(&planned.plan);
        fold(&mut ledger, &mut reader, path)?;
        let found = ledger.begin.as_ref().map_or_else(first_prev, |begin| begin.plan.clone());
        if found != expected || planned != *resolved {
            let (found, expected) = (Box::new(found), Box::new(expected));
            return Err(ArtifactError::OtherPlan { path: path.to_owned(), found, expected });
        }
        let host = environment.fingerprint();
        if ledger.begin.as_ref().is_none_or(|begin| begin.host != host) {
            return Err(ArtifactError::OtherHost { path: path.to_owned() });
        }

        cut_tail(path, &file, &reader)?;
        let appender = Appender::new(file, journal, reader.entries_read(), reader.head().clone());
        let mut writer = SetWriter::new(path.to_owned(), appender, ledger, planned, self.clock.clone());
        // Interrupted between the end and the seal: only the seal is left, and nothing comes after the end.
        if writer.ledger().end.is_none() {
            let format = JOURNAL_FORMAT.to_owned();
            let begin = Begin { format, plan: expected, llamark: llamark_version.to_owned(), host };
            writer.append(Event::Resume(begin))?;
            let facts = pretty(environment)?;
            if plain::read(&path.join(ENVIRONMENT), plain::MAX_JSON)? != facts {
                let resumes = writer.ledger().resumes;
                files::write_atomic(&path.join(format!("environment-resumed-{resumes}.json")), &facts)?;
            }
        }
        Ok(writer)
    }
}

/// The part of a plan digest that stands in the id of a set.
fn id_part(digest: &Sha256) -> &str {
    digest.as_str().get(..8).unwrap_or_default()
}

/// RFC 3339, UTC, milliseconds.
pub(crate) fn moment(now: Timestamp) -> String {
    format!("{now:.3}")
}

/// JSON for people, with a newline at its end.
pub(crate) fn pretty<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, ArtifactError> {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|error| ArtifactError::Canonical(error.into()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Gives the new set its id; a second set within one second gets `-2`, and so on.
fn claim(temporary: TemporaryFolder, parent: &Utf8Path, id: &str) -> Result<Utf8PathBuf, ArtifactError> {
    let mut path = parent.join(id);
    let mut number = 1_u32;
    while files::rename_synced_folder(temporary.path(), &path)? == Renamed::AlreadyThere {
        number = number.saturating_add(1);
        path = parent.join(format!("{id}-{number}"));
    }
    temporary.keep();
    Ok(path)
}

/// One writer: the lock ends with the process.
fn lock(file: &File, path: &Utf8Path) -> Result<(), ArtifactError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(FileError::Locked { path: path.to_owned(), holder: files::lock_holder(file) }.into())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(FileError::new("lock", path, error).into()),
    }
}

/// Removes what an interrupted writer left half done, and refuses links. Only with the lock held.
fn clean(set: &Utf8Path) -> Result<(), ArtifactError> {
    let walk = plain::walk(set)?;
    if let Some(odd) = walk.odd.first() {
        return Err(ArtifactError::NotPlain { path: set.join(odd) });
    }
    for file in &walk.files {
        let name = file.rsplit('/').next().unwrap_or_default();
        // The list of checksums is written before the manifest; without that, it is of a seal that did not happen.
        if name.starts_with(TEMPORARY_PREFIX) || file == crate::set::CHECKSUMS {
            files::remove_file(&set.join(file))?;
        }
    }
    Ok(())
}

/// Removes the temporary name that a manifest may still have: where the file system cannot rename without replacing,
/// the manifest gets its name by a link, and a crash before the other name is removed leaves both. A folder that
/// refuses stays as it is, since the set in it may be read all the same; `verify` names what is too much.
fn tidy(set: &Utf8Path) -> Result<(), ArtifactError> {
    let Ok(file) = plain::open(&set.join(JOURNAL)) else { return Ok(()) };
    if file.try_lock().is_err() {
        // Somebody is about to seal it, and will remove what is too much.
        return Ok(());
    }
    for name in plain::walk(set)?.files.iter().filter(|name| name.starts_with(TEMPORARY_PREFIX)) {
        let _refused = files::remove_file(&set.join(name)).and_then(|()| files::sync_folder(set));
    }
    let _released = file.unlock();
    Ok(())
}

/// Cuts off a last line that was never acknowledged. It is kept, since nothing is ever dropped.
fn cut_tail(set: &Utf8Path, file: &File, reader: &Reader) -> Result<(), ArtifactError> {
    let journal = set.join(JOURNAL);
    let fail = |source| ArtifactError::Read { path: journal.clone(), source };
    let mut tail = Vec::new();
    let mut from_good: &File = file;
    from_good.seek(SeekFrom::Start(reader.good_bytes())).map_err(fail)?;
    from_good.read_to_end(&mut tail).map_err(fail)?;
    if tail.is_empty() {
        return Ok(());
    }
    let digest = Sha256::of_bytes(&tail);
    let name = format!("journal-cut-{}-{}.bin", reader.entries_read(), digest.short());
    files::write_atomic(&set.join(name), &tail)?;
    Ok(files::cut(file, &journal, reader.good_bytes())?)
}

fn refuse_shared_folders(resolved: &ResolvedPlan) -> Result<(), ArtifactError> {
    let mut taken = std::collections::BTreeMap::new();
    for case in &resolved.plan.cases {
        let folder = folder_name(&case.id);
        if let Some(first) = taken.insert(folder.clone(), case.id.clone()) {
            return Err(ArtifactError::SharedFolder { first, second: case.id.clone(), folder });
        }
    }
    Ok(())
}

/// Names of the folders in a folder, in no order; none when it is not there. Hidden ones are ours, half made.
fn folders(path: &Utf8Path) -> Result<Vec<String>, ArtifactError> {
    let fail = |source| ArtifactError::Read { path: path.to_owned(), source };
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fail)?;
        let is_folder = entry.file_type().map_err(fail)?.is_dir();
        if let Ok(name) = entry.file_name().into_string()
            && is_folder
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    Ok(names)
}

impl SetInfo {
    /// What is known of the set in that folder, wherever it is.
    ///
    /// # Errors
    /// When the folder holds no set.
    pub fn of(path: &Utf8Path) -> Result<Self, ArtifactError> {
        if !path.join(JOURNAL).is_file() {
            return Err(ArtifactError::NotASet { path: path.to_owned() });
        }
        let whole = path
            .canonicalize_utf8()
            .map_err(|source| ArtifactError::Read { path: path.to_owned(), source })?;
        let name = whole.parent().and_then(Utf8Path::file_name).unwrap_or_default().to_owned();
        Ok(Self { name, id: id_of(&whole), path: path.to_owned(), sealed: is_sealed(path) })
    }

    /// Bytes of all of its files.
    ///
    /// # Errors
    /// When a folder of it cannot be listed.
    pub fn bytes(&self) -> Result<u64, ArtifactError> {
        let files = plain::walk(&self.path)?.files;
        let size =
            |name: &String| self.path.join(name).symlink_metadata().map_or(0, |metadata| metadata.len());
        Ok(files.iter().map(size).sum())
    }

    /// Whether there is a signature; what it is worth, verification says.
    pub fn has_signature(&self) -> bool {
        self.path.join(SIGNATURE).is_file()
    }
}
