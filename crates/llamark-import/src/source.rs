//! The text of a document and its name: what is refused before anything is read, and the way from offset to line.

use std::ops::Range;

use crate::problem::{Code, Problem, Problems};

/// The most bytes that a document of any kind may have: some eight thousand rows of llama-bench.
pub const MAX_BYTES: usize = 8 << 20;

/// The most bytes of a report. The largest that we know has 28 thousand.
const MAX_REPORT: usize = 1 << 20;

/// The most bytes of one line of a report. It bounds what the Markdown of a hostile line can cost.
const MAX_LINE: usize = 4096;

/// The text of one document.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    name: String,
    text: String,
    /// Byte offset of the start of each line.
    lines: Vec<usize>,
}

impl Source {
    /// The text of a report, if it is one that can be read at all.
    pub(crate) fn new(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        let source = Self::of_at_most(MAX_REPORT, name, bytes)?;
        let long =
            (1..=source.lines.len()).map(|line| source.line_span(line)).find(|span| span.len() > MAX_LINE);
        let Some(long) = long else { return Ok(source) };
        let message = format!("the line has {} bytes; a line of a report has at most {MAX_LINE}", long.len());
        let problem =
            Problem::new(Code::Unreadable, long.start..long.start, message).help("is this the report?");
        Err(Problems::new(&source, vec![problem]))
    }

    /// The text of a file whose lines may be of any length, if it is one that can be read at all.
    pub(crate) fn records(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        Self::of_at_most(MAX_BYTES, name, bytes)
    }

    fn of_at_most(most: usize, name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        let refuse = |text: &str, span: Range<usize>, message: String, help: &str| {
            let source = Self::unchecked(name, text.to_owned());
            Err(Problems::new(&source, vec![Problem::new(Code::Unreadable, span, message).help(help)]))
        };
        if bytes.len() > most {
            let message = format!("the file has more than {} MiB, the limit for a document", most >> 20);
            return refuse("", 0..0, message, "is this the right file?");
        }
        let text = match std::str::from_utf8(bytes) {
            // A byte order mark says nothing in UTF-8.
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let good = String::from_utf8_lossy(good).into_owned();
                let end = good.len();
                let help = "save it as UTF-8, or convert it: iconv -f LATIN1 -t UTF-8";
                return refuse(&good, end..end, "the file is not UTF-8 from here on".to_owned(), help);
            }
        };
        let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if let Some((at, c)) = text.char_indices().find(|(_, c)| is_bad(*c)) {
            let message = format!("the file contains the control character U+{:04X}", u32::from(c));
            return refuse(
                text,
                at..at + c.len_utf8(),
                message,
                "a report contains none; is the file damaged?",
            );
        }
        let source = Self::unchecked(name, text.to_owned());
        Ok(source)
    }

    fn unchecked(name: &str, text: String) -> Self {
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1));
        Self { name: name.to_owned(), text, lines }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text of a span; empty if it is none.
    pub(crate) fn get(&self, span: &Range<usize>) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Line of an offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).max(1)
    }

    /// The same, as records have it.
    pub(crate) fn line_number(&self, span: &Range<usize>) -> u64 {
        u64::try_from(self.line(span.start)).unwrap_or(u64::MAX)
    }

    /// A line without its end.
    pub(crate) fn line_span(&self, line: usize) -> Range<usize> {
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.lines.get(line).map_or(self.text.len(), |next| next.saturating_sub(1));
        let whole = self.get(&(start..end));
        start..start + whole.trim_end_matches('\r').len()
    }

    /// The last line that has something on it: where a file ends that was cut off.
    pub(crate) fn end(&self) -> Range<usize> {
        let end = self.text.trim_end().len();
        self.line_span(self.line(end.saturating_sub(1)))
    }
}
