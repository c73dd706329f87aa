//! The only writer of a set: events into the journal, files next to it.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::journal::{End, Event, StartId};
use llamark_record::manifest::Resource;
use llamark_record::plan::ResolvedPlan;

use crate::journal::{Appender, JOURNAL};
use crate::names::{check_relative, folder_name};
use crate::set::{CHECKSUMS, ENVIRONMENT, MANIFEST, PLAN, SIGNATURE, SPEC, TIMESTAMP, id_of};
use crate::store::{Clock, moment, pretty};
use crate::{ArtifactError, ArtifactSet, Ledger, files, plain, seal};

/// Files of a set that only this crate writes, or that come after its seal.
const RESERVED: [&str; 8] = [PLAN, SPEC, ENVIRONMENT, JOURNAL, MANIFEST, CHECKSUMS, SIGNATURE, TIMESTAMP];

/// Writes one set. While it lives, no other process can.
pub struct SetWriter {
    path: Utf8PathBuf,
    id: String,
    journal: Appender,
    ledger: Ledger,
    resolved: ResolvedPlan,
    clock: Clock,
}

impl fmt::Debug for SetWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SetWriter {
    /// The journal is locked and stands where the ledger does.
    pub(crate) fn new(
        path: Utf8PathBuf,
        journal: Appender,
        ledger: Ledger,
        resolved: ResolvedPlan,
        clock: Clock,
    ) -> Self {
        let id = id_of(&path);
        Self { path, id, journal, ledger, resolved, clock }
    }

    /// The folder of the set.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The id of the set.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What came of the plan so far; [`Ledger::pending`] is what is left to do.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Records an event. When this returns without an error, it is on disk and survives anything.
    ///
    /// A build is also written to `builds/ID.json`.
    ///
    /// # Errors
    /// When the event makes no sense as the next one (nothing is written then), or the disk refuses (then every
    /// later call fails too: the set is to be resumed).
    pub fn append(&mut self, event: Event) -> Result<(), ArtifactError> {
        let order =
            |line| move |source| ArtifactError::Order { path: Utf8PathBuf::from(JOURNAL), line, source };
        let line = self.journal.seq() + 1;
        self.ledger.check(&event).map_err(order(line))?;
        if let Event::Build(build) = &event {
            self.put(&build_file(&build.id), &pretty(&build.record)?)?;
        }
        let entry = self.journal.append(moment((self.clock)()), event)?;
        self.ledger.apply(entry).map_err(order(line))
    }

    /// Writes a file of the set: all of it or nothing. An older one of that name is replaced.
    ///
    /// # Errors
    /// When the name is not a plain relative path or is one of this crate's own, or the disk refuses.
    pub fn put(&self, relative: &str, bytes: &[u8]) -> Result<(), ArtifactError> {
        check_relative(relative)?;
        if RESERVED.contains(&relative) || relative.starts_with(files::TEMPORARY_PREFIX) {
            let reason = "llamark itself writes that file";
            return Err(ArtifactError::Name { name: relative.to_owned(), reason });
        }
        plain::refuse_links(&self.path, relative)?;
        let path = self.path.join(relative);
        if let Some(parent) = path.parent() {
            files::create_dir_all(parent)?;
        }
        Ok(files::write_atomic(&path, bytes)?)
    }

    /// Where the log of the server of that start goes. Its folder is made.
    ///
    /// # Errors
    /// When the disk refuses, or a link is in the way.
    pub fn log_path(&self, id: &StartId) -> Result<Utf8PathBuf, ArtifactError> {
        let folder = format!("cases/{}", folder_name(&id.case));
        plain::refuse_links(&self.path, &folder)?;
        let folder = self.path.join(folder);
        files::create_dir_all(&folder)?;
        Ok(self.path.join(start_file(id, "log")))
    }

    /// Where the log of llama-perplexity goes, of a model on a backend. Its folder is made.
    ///
    /// # Errors
    /// As [`log_path`](Self::log_path).
    pub fn perplexity_log_path(&self, model: &str, backend: &str) -> Result<Utf8PathBuf, ArtifactError> {
        const FOLDER: &str = "perplexity";
        plain::refuse_links(&self.path, FOLDER)?;
        let folder = self.path.join(FOLDER);
        files::create_dir_all(&folder)?;
        Ok(folder.join(format!("{}.log", folder_name(&format!("{model}/{backend}")))))
    }

    /// Writes what lies next to the log of a start: `telemetry.csv`. All of it or nothing.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn attach(&self, id: &StartId, extension: &str, bytes: &[u8]) -> Result<(), ArtifactError> {
        self.put(&start_file(id, extension), bytes)
    }

    /// The set as a reader sees it now.
    ///
    /// # Errors
    /// When a file of it does not read.
    pub fn set(&self) -> Result<ArtifactSet, ArtifactError> {
        ArtifactSet::read(&self.path)
    }

    /// Records the end, once every case came to its own. Derived files that are to see the end are made between this
    /// and [`seal`](Self::seal). It is not an error when the end is recorded.
    ///
    /// # Errors
    /// [`ArtifactError::Unfinished`] when a case is open; else when the disk refuses.
    pub fn end(&mut self) -> Result<(), ArtifactError> {
        if self.ledger.end.is_some() {
            return Ok(());
        }
        let open: Vec<&str> = self
            .ledger
            .cases
            .iter()
            .filter(|case| case.outcome.is_none())
            .map(|case| case.case.id.as_str())
            .collect();
        if let Some(first) = open.first() {
            let first = (*first).to_owned();
            return Err(ArtifactError::Unfinished { path: self.path.clone(), open: open.len(), first });
        }
        self.append(Event::End(End { cases: self.ledger.tally() }))
    }

    /// Seals the set: the end, every file on disk, the checksums, and the manifest as the one commit point.
    ///
    /// `dependencies` are inputs that the plan and the journal do not name; those that they name are there anyway.
    ///
    /// # Errors
    /// As [`end`](Self::end); also when a file of the set is not a plain file.
    pub fn seal(mut self, dependencies: Vec<Resource>) -> Result<Utf8PathBuf, ArtifactError> {
        self.end()?;
        seal::seal(&self.path, &self.id, &self.resolved, &self.ledger, self.journal.head(), dependencies)?;
        Ok(self.path)
    }
}

/// A file of a start.
pub(crate) fn start_file(id: &StartId, extension: &str) -> String {
    format!("cases/{}/start-{}-attempt-{}.{extension}", folder_name(&id.case), id.start, id.attempt)
}

/// The file of a build record.
pub(crate) fn build_file(id: &str) -> String {
    format!("builds/{}.json", folder_name(id))
}
