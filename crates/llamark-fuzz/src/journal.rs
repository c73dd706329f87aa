//! A journal: as bytes, and as events whose chain is right, which is as far as an attacker can get.

use std::io::Write as _;

use camino::Utf8Path;
use llamark_artifact::journal::Reader;
use llamark_artifact::{ArtifactError, ArtifactSet};
use llamark_record::Sha256;
use llamark_record::digest::canonical_json;
use llamark_record::journal::{Entry, Event};
use llamark_record::manifest::{Manifest, RunDetails};
use serde_json::{Value, json};

use crate::folder::{Folder, copy, sample_set};

/// Entries of the journal in that file, up to the first problem.
fn read(path: &Utf8Path, sealed: bool) -> (Vec<Entry>, Option<ArtifactError>) {
    let mut entries = Vec::new();
    for entry in Reader::open(path, sealed).unwrap() {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) => return (entries, Some(error)),
        }
    }
    (entries, None)
}

/// Any bytes: entries follow each other, and are the canonical JSON of what was read.
pub fn journal(data: &[u8]) {
    thread_local! {
        static FOLDER: Folder = Folder::new();
    }
    FOLDER.with(|folder| {
        let path = folder.path().join("journal.jsonl");
        std::fs::write(&path, data).unwrap();
        let (strict, problem) = read(&path, true);
        let (tolerant, _) = read(&path, false);
        assert!(tolerant.len() >= strict.len());
        let lines = data.split(|byte| *byte == b'\n');
        for (entry, line) in strict.iter().zip(lines) {
            assert_eq!(canonical_json(entry).unwrap(), line, "another way to write an entry was accepted");
        }
        if problem.is_none() {
            let newlines = data.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(strict.len(), newlines, "a part of the journal was passed over");
        }
    });
}

/// A line of a journal at its place in the chain, and its digest.
pub(crate) fn line(seq: u64, prev: &Sha256, event: &Value) -> Option<(Vec<u8>, Sha256)> {
    let at = "2026-11-22T17:00:00.000Z";
    let mut entry = json!({ "at": at, "event": event, "prev": prev.as_str(), "seq": seq });
    let hash = Sha256::of_bytes(&canonical_json(&entry).ok()?);
    entry.as_object_mut()?.insert("hash".to_owned(), Value::from(hash.as_str()));
    let mut line = canonical_json(&entry).ok()?;
    line.push(b'\n');
    Some((line, hash))
}

/// A set in its folder, whose journal is replaced.
struct Sample {
    folder: Folder,
    manifest: Manifest,
    /// The events before those of the stranger: without them nothing else is in place.
    first: Vec<Value>,
}

impl Sample {
    fn new() -> Self {
        let folder = Folder::new();
        copy(&sample_set(), folder.path());
        let journal = fs_err::read_to_string(folder.path().join("journal.jsonl")).unwrap();
        let entry = |line: &str| serde_json::from_str::<Value>(line).unwrap()["event"].take();
        let manifest = fs_err::read(folder.path().join("manifest.json")).unwrap();
        let manifest = serde_json::from_slice(&manifest).unwrap();
        Self { folder, manifest, first: journal.lines().take(1).map(entry).collect() }
    }

    /// Writes a journal of these events and a manifest that goes with it; false when they have no canonical form.
    fn lay_out(&self, events: &[Value]) -> bool {
        let (mut prev, mut journal) = (Sha256::from_raw([0; 32]), Vec::new());
        for (seq, event) in (0..).zip(events) {
            let Some((line, hash)) = line(seq, &prev, event) else { return false };
            journal.extend_from_slice(&line);
            prev = hash;
        }
        let mut manifest = self.manifest.clone();
        manifest.predicate.run_details.byproducts = vec![RunDetails::journal_head(prev)];
        for subject in manifest.subject.iter_mut().filter(|subject| subject.name == "journal.jsonl") {
            subject.digest.sha256 = Sha256::of_bytes(&journal);
            subject.annotations.insert("bytes".to_owned(), journal.len().to_string());
        }
        let path = self.folder.path();
        std::fs::File::create(path.join("journal.jsonl")).unwrap().write_all(&journal).unwrap();
        std::fs::write(path.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
        true
    }
}

fn leave_arrivals(event: &mut Value) {
    if let Some(arrivals) = event.pointer_mut("/run/measurement/arrivals") {
        *arrivals = json!([]);
    }
}

/// Events, one a line of JSON, with the chain and the manifest that go with them: the slow reader and the quick one
/// agree on what they are, and what is accepted is canonical.
pub fn journal_events(data: &[u8]) {
    thread_local! {
        static SAMPLE: Sample = Sample::new();
    }
    SAMPLE.with(|sample| {
        let events = data.split(|byte| *byte == b'\n').take(64);
        let mut all = sample.first.clone();
        all.extend(events.filter_map(|event| serde_json::from_slice(event).ok()));
        if !sample.lay_out(&all) {
            return;
        }
        let slow = ArtifactSet::read(sample.folder.path());
        let quick = ArtifactSet::read_by_seal(sample.folder.path());
        let (Ok(slow), Ok(quick)) = (&slow, &quick) else {
            if slow.is_err() && quick.is_ok() {
                // The quick reader does not look at the arrivals of tokens: without them, the slow one finds nothing either.
                all.iter_mut().for_each(leave_arrivals);
                assert!(sample.lay_out(&all));
                let slow = ArtifactSet::read(sample.folder.path());
                assert!(slow.is_ok(), "{slow:?}, and read by its seal without a problem");
            } else {
                assert_eq!(slow.is_ok(), quick.is_ok(), "{slow:?} and {quick:?}");
            }
            return;
        };
        let mut ledger = slow.ledger().clone();
        for start in
            ledger.cases.iter_mut().flat_map(|case| case.starts.values_mut().chain(&mut case.superseded))
        {
            start.leave_unread();
        }
        // What the quick reader leaves out, and nothing else.
        ledger.finished_at.clone_from(&quick.ledger().finished_at);
        ledger.head.clone_from(&quick.ledger().head);
        assert_eq!(ledger, *quick.ledger());
        let _pending = ledger.pending();
        for event in &all {
            // As it was laid out: `1e2` is written as `100`.
            let written = canonical_json(event).unwrap();
            assert!(serde_json::from_slice::<Event>(&written).is_ok());
        }
    });
}
