//! The output of a helper command while it comes: to the log, in lines to the caller, and its tail kept.

use std::io::{self, Read as _, Write as _};
use std::sync::mpsc::SyncSender;

/// Most bytes of one stream that are kept: the last ones.
pub(crate) const TAIL_LIMIT: usize = 16 << 20;
/// A line longer than this is handed on in pieces.
const LINE_LIMIT: usize = 64 << 10;

/// The last [`TAIL_LIMIT`] bytes of a stream.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        // Twice the limit before anything is moved, so that a byte is moved once on average.
        if self.bytes.len() >= 2 * TAIL_LIMIT {
            self.bytes.drain(..self.bytes.len() - TAIL_LIMIT);
        }
    }

    /// The tail as text; bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn text(&self) -> String {
        let start = self.bytes.len().saturating_sub(TAIL_LIMIT);
        String::from_utf8_lossy(self.bytes.get(start..).unwrap_or_default()).into_owned()
    }
}

/// Cuts a stream into lines, without their ends (`\n`, `\r\n`).
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    pub(crate) fn push(&mut self, chunk: &[u8], mut emit: impl FnMut(String)) {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.pending.len() >= LINE_LIMIT {
                self.flush(&mut emit);
            }
        }
    }

    pub(crate) fn flush(&mut self, mut emit: impl FnMut(String)) {
        if !self.pending.is_empty() {
            let line = self.pending.strip_suffix(b"\n").unwrap_or(&self.pending);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            emit(String::from_utf8_lossy(line).into_owned());
            self.pending.clear();
        }
    }
}

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// What the threads around a running command say.
#[derive(Debug)]
pub(crate) enum Message {
    /// A line of either stream.
    Line(String),
    /// A stream ended.
    Closed(Stream, Tail),
    /// The process has ended and waits to be reaped.
    Ended,
}

/// Reads `pipe` to its end. A log that cannot be written any more (disk full) does not stop the command.
pub(crate) fn pump(
    mut pipe: io::PipeReader,
    stream: Stream,
    mut log: Option<std::fs::File>,
    sender: &SyncSender<Message>,
) {
    let mut tail = Tail::default();
    let mut lines = Lines::default();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let chunk = buffer.get(..count).unwrap_or_default();
        if log.as_mut().is_some_and(|log| log.write_all(chunk).is_err()) {
            log = None;
        }
        tail.push(chunk);
        // When the caller has gone away there is nobody to tell; the pipe must be emptied all the same.
        lines.push(chunk, |line| drop(sender.send(Message::Line(line))));
    }
    lines.flush(|line| drop(sender.send(Message::Line(line))));
    drop(sender.send(Message::Closed(stream, tail)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |line| out.push(line));
        }
        lines.flush(|line| out.push(line));
        out
    }

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_arrive() {
        let whole: &[u8] = "[1/2] größe\r\n\nlast".as_bytes();
        let bytewise: Vec<&[u8]> = whole.chunks(1).collect();
        let expected = ["[1/2] größe", "", "last"];
        assert_eq!(lines(&[whole]), expected);
        assert_eq!(lines(&bytewise), expected);
        assert_eq!(lines(&[]), Vec::<String>::new());
        assert_eq!(lines(&[b"\xff\xfe\n"]), ["\u{fffd}\u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = vec![b'x'; 3 * LINE_LIMIT];
        let chunks: Vec<&[u8]> = long.chunks(1000).collect();
        let out = lines(&chunks);
        assert!(out.len() >= 3 && out.iter().all(|line| line.len() < LINE_LIMIT + 1000));
        assert_eq!(out.concat().len(), long.len());
    }

    #[test]
    fn the_tail_keeps_the_last_bytes() {
        let mut tail = Tail::default();
        for index in 0..40_u32 {
            tail.push(&vec![b'a' + u8::try_from(index % 26).unwrap(); 1 << 20]);
        }
        tail.push(b"end");
        let text = tail.text();
        assert_eq!(text.len(), TAIL_LIMIT);
        assert!(text.ends_with("nnnend"), "{}", &text[text.len() - 6..]);
        assert!(tail.bytes.len() < 2 * TAIL_LIMIT);
    }
}
