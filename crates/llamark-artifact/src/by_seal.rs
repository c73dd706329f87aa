//! Reading a sealed journal quickly: the file is checked against its digest in the manifest, as a whole.
//!
//! [`crate::journal::Reader`] hashes every line by itself and says which one is wrong. Where the question is only
//! whether the bytes are those that were sealed, one digest over the file answers it; what is left is to take the
//! numbers out. Nearly all lines are runs, and those are written in one way only (RFC 8785), so that they are read
//! in place; a line that looks different in any respect is read as JSON. The links of the chain and the order of
//! the events are checked as always. Arrivals of tokens, most of the bytes, are left out without a look at them: that they are
//! pairs of whole numbers is for `verify` to say.

use std::io::Read as _;

use camino::Utf8Path;
use llamark_record::journal::{Entry, Gaps, Measurement, RunRecord, StartId};
use llamark_record::manifest::Manifest;
use llamark_record::{CaseId, Sha256, SharedSha256};
use sha2::Digest as _;

use crate::journal::{JOURNAL, LineProblem, MAX_LINE, first_prev};
use crate::{ArtifactError, Ledger, plain};

/// Bytes that are read, hashed and parsed before the next: small enough to stay near the processor.
const CHUNK: usize = 1 << 20;

/// Folds the sealed journal of the set in `path`, without what a comparison does not look at, into the ledger.
///
/// # Errors
/// [`ArtifactError::Changed`] when the bytes are not those of the manifest; when a line is none, does not follow the
/// one before, or makes no sense where it is.
pub(crate) fn fold(ledger: &mut Ledger, manifest: &Manifest, path: &Utf8Path) -> Result<(), ArtifactError> {
    let path = path.join(JOURNAL);
    let fail = |source| ArtifactError::Read { path: path.clone(), source };
    let mut file = plain::open(&path)?;
    let mut hasher = sha2::Sha256::new();
    let mut lines =
        Lines { ledger, path: &path, seq: 0, head: first_prev().as_str().into(), known: Known::default() };
    // The beginning of a line whose end was not read yet, then what is read behind it.
    let mut buffer: Vec<u8> = Vec::with_capacity(CHUNK);
    loop {
        let kept = buffer.len();
        let limit = u64::try_from(CHUNK).unwrap_or(u64::MAX);
        let read = (&mut file).take(limit).read_to_end(&mut buffer).map_err(fail)?;
        if read == 0 {
            break;
        }
        hasher.update(buffer.get(kept..).unwrap_or_default());
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', &buffer) {
            lines.take(buffer.get(begin..end).unwrap_or_default())?;
            begin = end + 1;
        }
        buffer.drain(..begin);
        if u64::try_from(buffer.len()).unwrap_or(u64::MAX) > MAX_LINE {
            return Err(lines.bad(LineProblem::TooLong));
        }
    }
    if !buffer.is_empty() {
        return Err(lines.bad(LineProblem::Cut));
    }
    let found = Sha256::from_raw(hasher.finalize().into());
    let sealed = manifest.subject.iter().find(|resource| resource.name == JOURNAL);
    let head = manifest.journal_head().map(|head| head.as_str().as_bytes());
    match sealed {
        Some(sealed) if sealed.digest.sha256 == found && head == Some(&lines.head) => Ok(()),
        _ => Err(ArtifactError::Changed { path }),
    }
}

/// The lines of a journal, one after the other.
struct Lines<'a> {
    ledger: &'a mut Ledger,
    path: &'a Utf8Path,
    /// Number of the next entry.
    seq: u64,
    /// Digest of the last one.
    head: Vec<u8>,
    /// What the last run had.
    known: Known,
}

/// What the next run most likely has too: it is then shared, and not read again.
#[derive(Default)]
struct Known {
    case: Option<CaseId>,
    output_ids: Option<SharedSha256>,
}

impl Lines<'_> {
    fn bad(&self, problem: LineProblem) -> ArtifactError {
        ArtifactError::Journal { path: self.path.to_owned(), line: self.seq + 1, problem }
    }

    /// The next line, without its newline.
    fn take(&mut self, line: &[u8]) -> Result<(), ArtifactError> {
        let applied = if let Some((run, link)) = run(line, &mut self.known) {
            self.follow(link.seq, link.prev)?;
            link.hash.clone_into(&mut self.head);
            self.ledger.apply_run(run)
        } else {
            let mut entry: Entry =
                serde_json::from_slice(line).map_err(|error| self.bad(LineProblem::Json(error)))?;
            crate::journal::leave_unread(&mut entry.event);
            self.follow(entry.seq, entry.prev.as_str().as_bytes())?;
            entry.hash.as_str().as_bytes().clone_into(&mut self.head);
            self.ledger.apply(entry)
        };
        self.seq += 1;
        let line = self.seq;
        applied.map_err(|source| ArtifactError::Order { path: self.path.to_owned(), line, source })
    }

    /// Whether a line with that number and that `prev` is the next one.
    fn follow(&self, seq: u64, prev: &[u8]) -> Result<(), ArtifactError> {
        if seq != self.seq {
            return Err(self.bad(LineProblem::Sequence { expected: self.seq, found: seq }));
        }
        if prev != self.head { Err(self.bad(LineProblem::Chain)) } else { Ok(()) }
    }
}

/// Place of an entry in the chain.
struct Link<'a> {
    hash: &'a [u8],
    prev: &'a [u8],
    seq: u64,
}

/// A valid, measured run and its place, if the line is one, in the one way in which llamark writes it.
fn run<'a>(line: &'a [u8], known: &mut Known) -> Option<(RunRecord, Link<'a>)> {
    let mut rest = Cursor { rest: line };
    rest.literal(br#"{"at":""#)?;
    let _at = rest.text()?;
    rest.literal(br#","event":{"run":{"broken":[],"#)?;
    let gaps = rest.gaps()?;
    rest.literal(br#""id":{"attempt":"#)?;
    let attempt = rest.small()?;
    rest.literal(br#","case":""#)?;
    let case = rest.case(known)?;
    rest.literal(br#","start":"#)?;
    let start = rest.small()?;
    rest.literal(br#"},"index":"#)?;
    let index = rest.small()?;
    rest.literal(br#","measurement":{"arrivals":"#)?;
    rest.arrivals()?;
    let measurement = rest.measurement(known)?;
    rest.literal(br#"},"warmup":"#)?;
    let warmup = rest.boolean()?;
    rest.literal(br#"}},"hash":""#)?;
    let hash = rest.bytes()?;
    rest.literal(br#","prev":""#)?;
    let prev = rest.bytes()?;
    rest.literal(br#","seq":"#)?;
    let seq = rest.integer()?;
    (rest.rest == b"}").then_some(())?;
    let id = StartId { case, start, attempt };
    let (measurement, streams, bench, broken) = (Some(measurement), Vec::new(), None, Vec::new());
    let run = RunRecord { id, index, warmup, measurement, streams, gaps, bench, broken };
    Some((run, Link { hash, prev, seq }))
}

/// What is left of a line.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    /// Up to the next quote, which is taken too. None when it holds an escape: then it is not what it looks like.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr2(b'"', b'\\', self.rest)?;
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The id of a case. The runs of a start follow each other.
    fn case(&mut self, known: &mut Known) -> Option<CaseId> {
        let bytes = self.bytes()?;
        match &known.case {
            Some(case) if case.as_bytes() == bytes => {}
            _ => known.case = Some(std::str::from_utf8(bytes).ok()?.into()),
        }
        known.case.clone()
    }

    /// The digest of what was generated. It is mostly the same for all runs of a case.
    fn output_ids(&mut self, known: &mut Known) -> Option<SharedSha256> {
        let bytes = self.bytes()?;
        match &known.output_ids {
            Some(digest) if digest.as_str().as_bytes() == bytes => {}
            _ => known.output_ids = Some(std::str::from_utf8(bytes).ok()?.parse::<Sha256>().ok()?.into()),
        }
        known.output_ids.clone()
    }

    /// A whole number of at most 15 digits, which is exact in JSON.
    fn integer(&mut self) -> Option<u64> {
        let (mut number, mut length) = (0, 0);
        for byte in self.rest.iter().take_while(|byte| byte.is_ascii_digit()).take(16) {
            number = number * 10 + u64::from(byte - b'0');
            length += 1;
        }
        if length == 0 || length > 15 {
            return None;
        }
        self.rest = self.rest.get(length..)?;
        Some(number)
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.integer()?).ok()
    }

    fn boolean(&mut self) -> Option<bool> {
        let value = self.rest.starts_with(b"true");
        self.literal(if value { b"true" } else { b"false" })?;
        Some(value)
    }

    /// Pairs of numbers, which are not looked at: nothing but the next member follows them.
    fn arrivals(&mut self) -> Option<()> {
        let end = memchr::memchr(b'"', self.rest)?;
        let (pairs, rest) = self.rest.split_at_checked(end.checked_sub(1)?)?;
        self.rest = rest;
        (pairs == b"[]" || (pairs.starts_with(b"[[") && pairs.ends_with(b"]]"))).then_some(())
    }

    /// The times between tokens, if they are there, with the comma after them.
    #[expect(clippy::option_option, reason = "none: not as llamark writes it; none in it: not there")]
    fn gaps(&mut self) -> Option<Option<Gaps>> {
        if self.literal(br#""gaps":{"count":"#).is_none() {
            return Some(None);
        }
        let count = self.small()?;
        self.literal(br#","max_ns":"#)?;
        let max_ns = self.integer()?;
        self.literal(br#","p50_ns":"#)?;
        let p50_ns = self.integer()?;
        self.literal(br#","p95_ns":"#)?;
        let p95_ns = self.integer()?;
        self.literal(br#","p99_ns":"#)?;
        let p99_ns = self.integer()?;
        self.literal(b"},")?;
        Some(Some(Gaps { count, p50_ns, p95_ns, p99_ns, max_ns }))
    }

    /// The members after the arrivals.
    fn measurement(&mut self, known: &mut Known) -> Option<Measurement> {
        self.literal(br#","cached_tokens":"#)?;
        let cached_tokens = if self.literal(b"null").is_some() { None } else { Some(self.small()?) };
        self.literal(br#","first_token_ns":"#)?;
        let first_token_ns = self.integer()?;
        self.literal(br#","generated_tokens":"#)?;
        let generated_tokens = self.small()?;
        self.literal(br#","generation_us":"#)?;
        let generation_us = self.integer()?;
        self.literal(br#","output_ids":"#)?;
        let output_ids = if self.literal(b"null").is_some() {
            None
        } else {
            self.literal(b"\"")?;
            Some(self.output_ids(known)?)
        };
        self.literal(br#","prompt_tokens":"#)?;
        let prompt_tokens = self.small()?;
        self.literal(br#","prompt_us":"#)?;
        let prompt_us = self.integer()?;
        self.literal(br#","total_ns":"#)?;
        let total_ns = self.integer()?;
        Some(Measurement {
            prompt_tokens,
            cached_tokens,
            prompt_us,
            generated_tokens,
            generation_us,
            first_token_ns,
            total_ns,
            arrivals: Vec::new(),
            output_ids,
        })
    }
}

#[cfg(test)]
mod tests {
    use llamark_record::journal::{BrokenRule, Event, Rule, Stream};
    use proptest::prelude::*;

    use super::*;

    fn line_of(run: RunRecord) -> (Vec<u8>, Entry) {
        let at = "2026-11-22T17:00:00.000Z".to_owned();
        crate::journal::encode(7, &Sha256::of_bytes(b"before"), at, Event::Run(run)).unwrap()
    }

    fn record(
        case: &str,
        small: [u32; 5],
        large: [u64; 4],
        arrivals: Vec<(u32, u64)>,
        some: bool,
    ) -> RunRecord {
        let [attempt, start, index, prompt_tokens, generated_tokens] = small;
        let [prompt_us, generation_us, first_token_ns, total_ns] = large;
        RunRecord {
            id: StartId { case: case.into(), start, attempt },
            index,
            warmup: some,
            measurement: Some(Measurement {
                prompt_tokens,
                cached_tokens: some.then_some(0),
                prompt_us,
                generated_tokens,
                generation_us,
                first_token_ns,
                total_ns,
                arrivals,
                output_ids: some.then(|| Sha256::of_bytes(b"ids").into()),
            }),
            streams: Vec::new(),
            gaps: Gaps::of([arrivals_of(small[4])].iter().map(Vec::as_slice)),
            bench: None,
            broken: Vec::new(),
        }
    }

    /// Some arrivals, or few enough that there is no gap.
    fn arrivals_of(tokens: u32) -> Vec<(u32, u64)> {
        (0..tokens % 9).map(|token| (token, u64::from(token * token) << 20)).collect()
    }

    #[test]
    fn several_streams_are_left_to_the_parser_of_json() {
        let mut record = record("m/b/p", [1; 5], [1; 4], vec![(1, 2)], true);
        let measurement = record.measurement.take().unwrap();
        record.streams = vec![Stream { sent_ns: 3, measurement }];
        assert!(run(line_of(record).0.strip_suffix(b"\n").unwrap(), &mut Known::default()).is_none());
    }

    #[test]
    fn a_run_as_it_is_written_is_read_in_place() {
        // Fails when a run gets another member: then every line would be read slowly, and nobody would notice.
        for some in [true, false] {
            let mut record = record("m/b/p", [1, 2, 3, 4, 5], [6, 7, 8, 9], vec![(1, 10), (2, 11)], some);
            let (line, entry) = line_of(record.clone());
            let (found, link) = run(line.strip_suffix(b"\n").unwrap(), &mut Known::default()).unwrap();
            record.measurement.as_mut().unwrap().arrivals.clear();
            assert_eq!(found, record);
            let digits = |digest: &Sha256| digest.as_str().as_bytes().to_vec();
            assert_eq!((link.hash, link.prev), (&*digits(&entry.hash), &*digits(&entry.prev)));
            assert_eq!(link.seq, 7);
        }
    }

    #[test]
    fn what_the_run_before_had_is_shared_and_what_it_had_not_is_read() {
        let mut known = Known::default();
        let mut outputs = Vec::new();
        for (case, output) in [("a", b"1"), ("a", b"1"), ("b", b"2")] {
            let mut record = record(case, [1; 5], [1; 4], Vec::new(), true);
            record.measurement.as_mut().unwrap().output_ids = Some(Sha256::of_bytes(output).into());
            let (line, _) = line_of(record.clone());
            let (found, _) = run(line.strip_suffix(b"\n").unwrap(), &mut known).unwrap();
            assert_eq!(found, record);
            outputs.push(found.measurement.unwrap().output_ids.unwrap());
        }
        assert!(std::ptr::eq::<Sha256>(&*outputs[0], &*outputs[1]));
    }

    #[test]
    fn a_run_that_breaks_a_rule_is_left_to_the_parser_of_json() {
        let mut record = record("m/b/p", [1; 5], [1; 4], Vec::new(), true);
        record.broken = vec![BrokenRule { rule: Rule::ColdCache, detail: "3 tokens".to_owned() }];
        assert!(run(line_of(record).0.strip_suffix(b"\n").unwrap(), &mut Known::default()).is_none());
    }

    proptest! {
        #[test]
        fn what_is_read_in_place_is_what_json_says(
            case in ".*",
            small: [u32; 5],
            large in prop::array::uniform4(0_u64..1 << 53),
            arrivals in prop::collection::vec((0_u32..9, 0_u64..1 << 40), 0..4),
            some: bool,
        ) {
            let (line, entry) = line_of(record(&case, small, large, arrivals, some));
            let Event::Run(mut expected) = entry.event else { unreachable!("it is a run") };
            if let Some((found, _link)) = run(line.strip_suffix(b"\n").unwrap(), &mut Known::default()) {
                expected.measurement.as_mut().unwrap().arrivals.clear();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
