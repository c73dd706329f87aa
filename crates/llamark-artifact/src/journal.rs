//! The journal: one line of canonical JSON an event, each holding the digest of the one before.
//!
//! A line is the canonical JSON (RFC 8785) of an [`Entry`] and a newline. `hash` is defined as the SHA-256 of the
//! canonical JSON of the object without `hash`. Since keys are sorted, that text is the line itself without the
//! 74 bytes `"hash":"...",`: so a line is checked by hashing its own bytes, and by [`crate::canonical`], which says
//! that they are the canonical ones. Nothing is written again to be compared; anybody with a JSON parser and an
//! RFC 8785 library gets the same digests.
//!
//! Writing: one `write` of the whole line to a file opened for append, then `fdatasync`, and only then is the event
//! acknowledged. When either fails the file is not touched again (see [`crate::files`]). Reading an unsealed
//! journal, a last line that is bad or has no newline was never acknowledged (or is damaged beyond what can be
//! told from that) and does not count; a bad line anywhere else is corruption and an error.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::Sha256;
use llamark_record::digest::canonical_json;
use llamark_record::journal::{
    Entry, Event, JOURNAL_FORMAT, RunRecord, StartClosed, StartOpened, StartReady,
};
use serde::Serialize;

use crate::{ArtifactError, canonical, files, plain};

/// Name of the journal in a set.
pub const JOURNAL: &str = "journal.jsonl";

/// Longest line that is written and read, bytes. `llamark-spec` refuses runs of so many tokens that theirs would be longer.
pub(crate) const MAX_LINE: u64 = 16 << 20;

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum LineProblem {
    /// It has no newline at its end: it was cut off.
    #[error("the line is truncated")]
    Cut,
    /// It is longer than any that llamark writes.
    #[error("the line is longer than {MAX_LINE} bytes")]
    TooLong,
    /// It is not UTF-8.
    #[error("the line is not UTF-8")]
    Encoding,
    /// It is not a journal entry.
    #[error("the line is not a journal entry: {0}")]
    Json(serde_json::Error),
    /// It means the same as the canonical form, and is written in another way.
    #[error("the line is not in canonical form, from column {column} on")]
    NotCanonical {
        /// Where, in bytes from 1.
        column: usize,
    },
    /// It is not the next one.
    #[error(
        "the entry says that it is number {found}, but {expected} is next: lines were removed, repeated or moved"
    )]
    Sequence {
        /// The number that comes next.
        expected: u64,
        /// The number in the line.
        found: u64,
    },
    /// It does not follow the line before it.
    #[error("the entry does not follow the one before it: its `prev` is a different digest")]
    Chain,
    /// Its content is not what was hashed.
    #[error("the content of the entry does not match its `hash`")]
    Hash,
}

/// The `prev` of the first entry: 64 zeros.
pub fn first_prev() -> Sha256 {
    Sha256::from_raw([0; 32])
}

#[derive(Serialize)]
struct Body<'a> {
    at: &'a str,
    event: &'a Event,
    prev: &'a Sha256,
    seq: u64,
}

/// What follows the `hash` member in a line.
fn tail(prev: &Sha256, seq: u64) -> String {
    format!(r#","prev":"{prev}","seq":{seq}}}"#)
}

fn hash_member(hash: &Sha256) -> String {
    format!(r#","hash":"{hash}""#)
}

/// The line (with its newline) and the entry of an event.
///
/// # Errors
/// [`ArtifactError::Inexact`] when the event would not read back as it is, [`ArtifactError::TooLong`] when nobody would read it.
pub(crate) fn encode(
    seq: u64,
    prev: &Sha256,
    at: String,
    event: Event,
) -> Result<(Vec<u8>, Entry), ArtifactError> {
    let body = canonical_json(&Body { at: &at, event: &event, prev, seq })?;
    let hash = Sha256::of_bytes(&body);
    let tail = tail(prev, seq);
    let front = body.strip_suffix(tail.as_bytes()).ok_or(ArtifactError::Inexact)?;
    let line = [front, hash_member(&hash).as_bytes(), tail.as_bytes(), b"\n"].concat();
    let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
    if bytes > MAX_LINE {
        return Err(ArtifactError::TooLong { bytes, limit: MAX_LINE });
    }
    let entry = Entry { seq, prev: prev.clone(), at, event, hash };
    // JSON numbers are doubles: an integer above 2^53 would come back as another.
    match decode(&line, seq, prev) {
        Ok(read) if read == entry => Ok((line, entry)),
        _ => Err(ArtifactError::Inexact),
    }
}

/// The entry of a line (with its newline), checked against its place in the chain.
///
/// # Errors
/// When the line is not exactly what [`encode`] writes at this place.
pub(crate) fn decode(line: &[u8], seq: u64, prev: &Sha256) -> Result<Entry, LineProblem> {
    let line = line.strip_suffix(b"\n").ok_or(LineProblem::Cut)?;
    let text = std::str::from_utf8(line).map_err(|_error| LineProblem::Encoding)?;
    let entry: Entry = serde_json::from_str(text).map_err(LineProblem::Json)?;
    canonical::check(text).map_err(|offset| LineProblem::NotCanonical { column: offset + 1 })?;
    if entry.seq != seq {
        return Err(LineProblem::Sequence { expected: seq, found: entry.seq });
    }
    if entry.prev != *prev {
        return Err(LineProblem::Chain);
    }
    // The line is canonical and has exactly the five members, so that it ends in these two pieces.
    let tail = tail(&entry.prev, entry.seq);
    let member = hash_member(&entry.hash);
    let front =
        text.strip_suffix(&tail).and_then(|rest| rest.strip_suffix(&member)).ok_or(LineProblem::Hash)?;
    let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
    sha2::Digest::update(&mut hasher, front.as_bytes());
    sha2::Digest::update(&mut hasher, tail.as_bytes());
    if Sha256::from_raw(sha2::Digest::finalize(hasher).into()) != entry.hash {
        return Err(LineProblem::Hash);
    }
    Ok(entry)
}

/// Reads a journal from its beginning, one checked entry at a time, in bounded memory.
#[derive(Debug)]
pub struct Reader {
    lines: BufReader<File>,
    path: Utf8PathBuf,
    line: Vec<u8>,
    /// Number of the next entry.
    seq: u64,
    /// Digest of the last entry.
    head: Sha256,
    /// Bytes of all good lines so far.
    good: u64,
    /// An unsealed journal may end in a line that was never acknowledged.
    tolerant: bool,
    ended: bool,
}

impl Reader {
    /// Opens a journal. `sealed`: every line must be good; else a bad last line ends the reading without an error.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a plain file.
    pub fn open(path: &Utf8Path, sealed: bool) -> Result<Self, ArtifactError> {
        let lines = BufReader::with_capacity(256 << 10, plain::open(path)?);
        let path = path.to_owned();
        let line = Vec::new();
        Ok(Self { lines, path, line, seq: 0, head: first_prev(), good: 0, tolerant: !sealed, ended: false })
    }

    /// Digest of the last entry that was read; 64 zeros before the first.
    pub fn head(&self) -> &Sha256 {
        &self.head
    }

    /// How many entries were read.
    pub fn entries_read(&self) -> u64 {
        self.seq
    }

    /// Bytes of the entries that were read: where a bad last line begins.
    pub(crate) fn good_bytes(&self) -> u64 {
        self.good
    }

    fn read(&mut self) -> Result<Option<Entry>, ArtifactError> {
        self.line.clear();
        let fail = |source| ArtifactError::Read { path: self.path.clone(), source };
        let read = self.lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut self.line).map_err(fail)?;
        if read == 0 {
            return Ok(None);
        }
        let length = u64::try_from(read).unwrap_or(u64::MAX);
        let result = if length == MAX_LINE && self.line.last() != Some(&b'\n') {
            Err(LineProblem::TooLong)
        } else {
            decode(&self.line, self.seq, &self.head)
        };
        match result {
            Ok(entry) => {
                if let Event::Begin(begin) = &entry.event {
                    self.refuse_other_format(&begin.format)?;
                }
                self.seq += 1;
                self.head = entry.hash.clone();
                self.good += length;
                Ok(Some(entry))
            }
            Err(problem) => {
                let is_last = self.lines.fill_buf().map_err(fail)?.is_empty();
                if self.tolerant && is_last && self.seq > 0 {
                    return Ok(None);
                }
                if self.seq == 0 {
                    // A first line that does not read: perhaps it is of a newer llamark.
                    let begin: serde_json::Value = serde_json::from_slice(&self.line).unwrap_or_default();
                    let format = begin.pointer("/event/begin/format").and_then(serde_json::Value::as_str);
                    self.refuse_other_format(format.unwrap_or(JOURNAL_FORMAT))?;
                }
                Err(ArtifactError::Journal { path: self.path.clone(), line: self.seq + 1, problem })
            }
        }
    }

    fn refuse_other_format(&self, format: &str) -> Result<(), ArtifactError> {
        plain::refuse_other_format(&self.path, format, JOURNAL_FORMAT)
    }
}

impl Iterator for Reader {
    type Item = Result<Entry, ArtifactError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.read().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

/// Adds to a journal.
#[derive(Debug)]
pub(crate) struct Appender {
    file: File,
    path: Utf8PathBuf,
    seq: u64,
    head: Sha256,
    /// A write failed: what is on disk is not known, and is not made worse.
    abandoned: bool,
}

impl Drop for Appender {
    fn drop(&mut self) {
        // As in `files::Lock`: not left to a child that is being spawned.
        let _released = self.file.unlock();
    }
}

impl Appender {
    /// Continues after entry `seq - 1`, whose digest is `head`. The file is open for append and locked.
    pub(crate) fn new(file: File, path: Utf8PathBuf, seq: u64, head: Sha256) -> Self {
        Self { file, path, seq, head, abandoned: false }
    }

    /// The folder of the journal was renamed: what is said of it from now on names the new place.
    pub(crate) fn moved_to(&mut self, path: Utf8PathBuf) {
        self.path = path;
    }

    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    pub(crate) fn head(&self) -> &Sha256 {
        &self.head
    }

    /// Adds an event. When this returns without an error, it is on disk.
    pub(crate) fn append(&mut self, at: String, event: Event) -> Result<Entry, ArtifactError> {
        if self.abandoned {
            return Err(ArtifactError::Abandoned { path: self.path.clone() });
        }
        let (line, entry) = encode(self.seq, &self.head, at, event)?;
        if let Err(error) = files::append(&self.file, &self.path, &line) {
            self.abandoned = true;
            return Err(error.into());
        }
        self.seq += 1;
        self.head = entry.hash.clone();
        Ok(entry)
    }
}

/// Drops the arrivals of tokens: most of the memory of a million runs, and nothing looks at them again. Of several streams
/// the last stays: when the last of them ended is a part of their rate.
pub(crate) fn leave_arrivals(run: &mut RunRecord) {
    if let Some(measurement) = &mut run.measurement {
        measurement.arrivals = Vec::new();
    }
    for stream in &mut run.streams {
        let arrivals = &mut stream.measurement.arrivals;
        *arrivals = arrivals.last().copied().into_iter().collect();
    }
}

/// Drops what a comparison does not look at: the arrivals of tokens, and what a start says of its command, of the moment and of what
/// was proven then. A set may have a million runs, and a hundred thousand starts.
pub(crate) fn leave_unread(event: &mut Event) {
    match event {
        Event::Run(run) => leave_arrivals(run),
        Event::StartOpened(opened) => leave_of_opened(opened),
        Event::StartReady(ready) => leave_of_ready(ready),
        Event::StartClosed(closed) => leave_of_closed(closed),
        _ => {}
    }
}

pub(crate) fn leave_of_opened(opened: &mut StartOpened) {
    (opened.argv, opened.conditions, opened.changed) = Default::default();
}

pub(crate) fn leave_of_ready(ready: &mut StartReady) {
    (ready.proofs, ready.mapped, ready.build_info) = Default::default();
}

pub(crate) fn leave_of_closed(closed: &mut StartClosed) {
    (closed.conditions, closed.changed) = Default::default();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use llamark_record::journal::{Begin, CaseClosed, End, Outcome};
    use proptest::prelude::*;

    use super::*;

    fn begin(format: &str) -> Event {
        Event::Begin(Begin {
            format: format.to_owned(),
            plan: Sha256::of_bytes(b"plan"),
            llamark: "0.1.0".to_owned(),
            host: Sha256::of_bytes(b"host"),
        })
    }

    fn at() -> String {
        "2026-11-22T17:00:00.000Z".to_owned()
    }

    #[test]
    fn a_line() {
        let (line, _entry) = encode(0, &first_prev(), at(), begin(JOURNAL_FORMAT)).unwrap();
        insta::assert_snapshot!(String::from_utf8(line).unwrap(), @r#"{"at":"2026-11-22T17:00:00.000Z","event":{"begin":{"format":"llamark/journal/v1","host":"4740ae6347b0172c01254ff55bae5aff5199f4446e7f6d643d40185b3f475145","llamark":"0.1.0","plan":"64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525"}},"hash":"1cb5e4d849b420ba55f0da3aed6235634a117508d55f7dde5a9cfb29051372c8","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":0}"#);
    }

    #[test]
    fn a_number_that_json_cannot_carry_is_refused() {
        let taking = |count| {
            let mut measured = run();
            if let Event::Run(run) = &mut measured
                && let Some(measurement) = &mut run.measurement
            {
                measurement.total_ns = count;
            }
            measured
        };
        assert!(encode(0, &first_prev(), at(), taking(1 << 53)).is_ok());
        let error = encode(0, &first_prev(), at(), taking((1 << 53) + 1)).unwrap_err();
        assert!(matches!(error, ArtifactError::Inexact), "{error}");
    }

    fn run() -> Event {
        serde_json::from_value(serde_json::json!({"run": {
            "id": {"case": "m/b/p", "start": 1, "attempt": 1}, "index": 1, "warmup": false, "broken": [],
            "measurement": {
                "prompt_tokens": 11, "cached_tokens": null, "prompt_us": 5, "generated_tokens": 2,
                "generation_us": 7, "first_token_ns": 9, "total_ns": 20, "arrivals": [[1, 9], [2, 20]],
                "output_ids": null
            }
        }}))
        .unwrap()
    }

    #[test]
    fn a_full_disk_ends_the_writing() {
        let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
        let mut journal = Appender::new(full, Utf8PathBuf::from("journal.jsonl"), 0, first_prev());
        let error = journal.append(at(), begin(JOURNAL_FORMAT)).unwrap_err();
        assert!(error.to_string().contains("the disk is full"), "{error}");
        let error = journal.append(at(), begin(JOURNAL_FORMAT)).unwrap_err();
        assert!(matches!(error, ArtifactError::Abandoned { .. }), "{error}");
        assert_eq!(journal.seq(), 0);
    }

    #[test]
    fn a_newer_journal_is_called_that() {
        let (line, _entry) = encode(0, &first_prev(), at(), begin("llamark/journal/v2")).unwrap();
        let unknown = String::from_utf8(line.clone()).unwrap().replace("\"host\"", "\"hosts\"");
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(folder.path().join("journal.jsonl")).unwrap();
        for bytes in [line, unknown.into_bytes()] {
            files::write_atomic(&path, &bytes).unwrap();
            let error = Reader::open(&path, true).unwrap().next().unwrap().unwrap_err();
            assert!(matches!(error, ArtifactError::Format { .. }), "{error}");
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (any::<String>(), any::<String>()).prop_map(|(case, reason)| {
                Event::CaseClosed(CaseClosed { case, outcome: Outcome::Skipped { reason } })
            }),
            prop::collection::btree_map(any::<String>(), any::<u32>(), 0..5)
                .prop_map(|cases: BTreeMap<String, u32>| Event::End(End { cases })),
            Just(run()),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(events in prop::collection::vec(event(), 1..6)) {
            let (mut prev, mut lines) = (first_prev(), Vec::new());
            for (seq, event) in (0_u64..).zip(events) {
                let (line, entry) = encode(seq, &prev, at(), event).unwrap();
                prop_assert_eq!(&decode(&line, seq, &prev).unwrap(), &entry);
                // The definition of the digest, the slow way.
                let mut object: serde_json::Value = serde_json::from_slice(&line).unwrap();
                object.as_object_mut().unwrap().remove("hash");
                prop_assert_eq!(Sha256::of_canonical_json(&object).unwrap(), entry.hash.clone());
                prev = entry.hash.clone();
                lines.push((line, entry));
            }
        }

        #[test]
        fn no_other_line_is_accepted(event in event(), place in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let (line, _entry) = encode(3, &first_prev(), at(), event).unwrap();
            let mut changed = line.clone();
            let place = place.index(line.len());
            changed[place] ^= 1 << bit;
            prop_assert!(decode(&changed, 3, &first_prev()).is_err());
            prop_assert!(decode(&line[..place], 3, &first_prev()).is_err());
            prop_assert!(decode(&line, 4, &first_prev()).is_err());
            prop_assert!(decode(&line, 3, &Sha256::of_bytes(b"other")).is_err());
        }

        #[test]
        fn garbage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes, 0, &first_prev()).is_err());
        }
    }
}
