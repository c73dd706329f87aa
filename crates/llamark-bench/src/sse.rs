//! Server-sent events: bytes in, however they are cut, and the data of whole events out.
//!
//! The part of the format that llama-server uses: `data:` lines, comments (it pings with `:`), a blank line at the
//! end of an event, LF or CRLF. Fields other than `data` are skipped, as the format demands.

/// Splits a byte stream into events.
#[derive(Debug)]
pub struct Splitter {
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    limit: usize,
}

/// An event is larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of more than {limit} bytes")]
pub struct TooLong {
    /// Most bytes of one event.
    pub limit: usize,
}

impl Splitter {
    /// A splitter that refuses an event, or a line, of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { line: Vec::new(), data: None, limit }
    }

    /// Takes the next bytes and gives `on_event` the data of every event that they complete.
    ///
    /// # Errors
    /// When an event is too long. The splitter is of no use after that.
    pub fn feed(&mut self, mut bytes: &[u8], mut on_event: impl FnMut(&[u8])) -> Result<(), TooLong> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            self.push(head)?;
            let mut line = std::mem::take(&mut self.line);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            self.take_line(&line, &mut on_event)?;
            line.clear();
            self.line = line;
        }
        self.push(bytes)
    }

    /// Whether an event was begun and not ended: the stream was cut.
    pub fn is_inside_event(&self) -> bool {
        !self.line.is_empty() || self.data.is_some()
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len().saturating_add(bytes.len()) > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn take_line(&mut self, line: &[u8], on_event: &mut impl FnMut(&[u8])) -> Result<(), TooLong> {
        if line.is_empty() {
            if let Some(data) = self.data.take() {
                on_event(&data);
            }
            return Ok(());
        }
        let Some(value) = line.strip_prefix(b"data:") else { return Ok(()) };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &mut self.data {
            None => self.data = Some(value.to_vec()),
            Some(data) => {
                if data.len().saturating_add(value.len()) > self.limit {
                    return Err(TooLong { limit: self.limit });
                }
                data.push(b'\n');
                data.extend_from_slice(value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> (Vec<String>, bool) {
        let mut splitter = Splitter::new(1000);
        let mut events = Vec::new();
        for chunk in chunks {
            splitter.feed(chunk, |data| events.push(String::from_utf8_lossy(data).into_owned())).unwrap();
        }
        (events, splitter.is_inside_event())
    }

    const STREAM: &[u8] = b"data: {\"a\":1}\n\n:\n\ndata: two\r\n\r\nevent: x\nid: 3\ndata:three\ndata: lines\n\n: ping\ndata: [DONE]\n\n";

    #[test]
    fn events_comments_and_line_ends() {
        let (events, inside) = split(&[STREAM]);
        assert_eq!(events, ["{\"a\":1}", "two", "three\nlines", "[DONE]"]);
        assert!(!inside);
    }

    #[test]
    fn chunks_may_end_anywhere() {
        let whole = split(&[STREAM]);
        for first in 0..STREAM.len() {
            for second in first..STREAM.len() {
                let chunks = [&STREAM[..first], &STREAM[first..second], &STREAM[second..]];
                assert_eq!(split(&chunks), whole, "cut at {first} and {second}");
            }
        }
        let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(split(&bytes), whole);
    }

    #[test]
    fn a_cut_stream_is_seen() {
        assert!(split(&[b"data: x"]).1);
        assert!(split(&[b"data: x\n"]).1);
        assert!(!split(&[b"data: x\n\n"]).1);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut splitter = Splitter::new(10);
        assert_eq!(splitter.feed(b"data: 12345", |_| ()), Err(TooLong { limit: 10 }));
        let mut splitter = Splitter::new(10);
        for _ in 0..2 {
            splitter.feed(b"data:123\n", |_| ()).unwrap();
        }
        assert_eq!(splitter.feed(b"data:12345\n", |_| ()), Err(TooLong { limit: 10 }));
    }
}
