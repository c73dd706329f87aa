//! What a server says: its log, its answers, its help. A server may be anything: `prebuilt` names a folder.

use llamark_bench::log::LogReader;
use llamark_bench::{sse::Splitter, stream_measurement};

/// Most bytes of one event here; the client has its own, larger bound.
const MAX_EVENT: usize = 4096;

/// The first byte says how the rest is cut.
fn chunks(data: &[u8]) -> (&[u8], usize) {
    match data.split_first() {
        Some((first, rest)) => (rest, usize::from(*first).max(1)),
        None => (data, 1),
    }
}

/// A log says the same however it is cut, and what is kept of it is bounded.
pub fn log(data: &[u8]) {
    let (data, size) = chunks(data);
    let mut whole = LogReader::new();
    let mut events = whole.feed(data);
    events.extend(whole.feed(b"\n"));
    let mut cut = LogReader::new();
    let mut again = Vec::new();
    for chunk in data.chunks(size) {
        again.extend(cut.feed(chunk));
    }
    again.extend(cut.feed(b"\n"));
    assert_eq!(events, again);
    assert_eq!(whole.summary(), cut.summary());
}

/// Events are the same however the stream is cut, none is larger than it may be, and an answer has numbers or a reason.
pub fn answer(data: &[u8]) {
    let (data, size) = chunks(data);
    let split = |size: usize| {
        let mut splitter = Splitter::new(MAX_EVENT);
        let mut events: Vec<Vec<u8>> = Vec::new();
        for chunk in data.chunks(size) {
            if splitter.feed(chunk, |event| events.push(event.to_vec())).is_err() {
                return (events, None);
            }
        }
        (events, Some(splitter.is_inside_event()))
    };
    let (events, end) = split(data.len().max(1));
    assert_eq!(split(size), (events.clone(), end));
    assert!(events.iter().all(|event| event.len() <= 2 * MAX_EVENT + 1));
    match stream_measurement(&events) {
        Ok(measurement) => {
            assert!(measurement.arrivals.is_sorted_by(|a, b| a.0 < b.0));
            assert!(measurement.first_token_ns <= measurement.total_ns);
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
}

/// The help of a server is read, whatever it says.
pub fn help(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (help, version) = text.split_once('\0').unwrap_or((&text, ""));
    let known = llamark_bench::probe::parse_help(help, version);
    for argument in &known.arguments {
        assert!(!argument.names.is_empty());
    }
}
