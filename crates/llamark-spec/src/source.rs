//! The text of an experiment and its name, and the way from a byte offset to line and column.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostics, Problem};

/// The most bytes that an experiment may have.
pub const MAX_BYTES: usize = 1 << 20;

/// The text of one experiment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Source {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    text: String,
    /// Byte offset of the start of each line.
    lines: Vec<usize>,
}

/// A place in a text, for people: both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Source {
    /// A text and the name to show for it, mostly its path.
    ///
    /// # Errors
    /// When the text is larger than [`MAX_BYTES`] or holds characters that no YAML file may hold.
    pub fn new(name: impl Into<String>, text: String) -> Result<Self, Diagnostics> {
        let source = Self::unchecked(name.into(), text);
        match source.first_problem() {
            None => Ok(source),
            Some(problem) => Err(Diagnostics::new(source, vec![problem])),
        }
    }

    /// The same from the bytes of a file.
    ///
    /// # Errors
    /// As [`Source::new`], and when the bytes are not UTF-8.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, Diagnostics> {
        let error = match String::from_utf8(bytes) {
            Ok(text) => return Self::new(name, text),
            Err(error) => error,
        };
        let mark = if error.as_bytes().starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        let good = error.utf8_error().valid_up_to().saturating_sub(mark);
        let bytes = error.into_bytes();
        let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let help = if is_utf16 {
            "the file looks like UTF-16; save it as UTF-8"
        } else {
            "save the file as UTF-8 in your editor, or convert it: iconv -f LATIN1 -t UTF-8"
        };
        let whole = bytes.get(..bytes.len().min(MAX_BYTES)).unwrap_or(&bytes);
        let source = Self::unchecked(name.into(), String::from_utf8_lossy(whole).into_owned());
        let text = source.text();
        // What precedes the fault is valid, so its offset is the same in the repaired text.
        let start = good.min(text.len());
        let end =
            text.get(start..).and_then(|rest| rest.chars().next()).map_or(start, |c| start + c.len_utf8());
        let problem = Problem::new("spec/not-utf8", start..end, "the file is not UTF-8")
            .label("no character begins with this byte")
            .help(help);
        Err(Diagnostics::new(source, vec![problem]))
    }

    /// The one problem of a file that cannot be read, for whoever lists the problems of several.
    pub fn unreadable(name: impl Into<String>, reason: &str) -> Diagnostics {
        let problem = Problem::new("spec/unreadable", 0..0, format!("the file cannot be read: {reason}"))
            .help("name a file that is there and that you may read");
        Diagnostics::new(Self::unchecked(name.into(), String::new()), vec![problem])
    }

    fn unchecked(name: String, text: String) -> Self {
        // A byte order mark says nothing in UTF-8.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1));
        Self { inner: Arc::new(Inner { name, text, lines }) }
    }

    fn first_problem(&self) -> Option<Problem> {
        let text = self.text();
        if text.len() > MAX_BYTES {
            let problem = Problem::new(
                "spec/too-large",
                0..0,
                format!("the file has {} bytes, but an experiment has at most {MAX_BYTES}", text.len()),
            );
            return Some(problem.help("is this an experiment? split it into several"));
        }
        let is_bad =
            |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}');
        let (at, c) = text.char_indices().find(|(_, c)| is_bad(*c))?;
        Some(
            Problem::new(
                "spec/control-character",
                at..at + c.len_utf8(),
                format!("the file contains the control character U+{:04X}", u32::from(c)),
            )
            .label("here")
            .help("remove it"),
        )
    }

    /// Name to show.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// Line and column of a byte offset; an offset past the end is the end.
    pub fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text().len());
        let line = self.inner.lines.partition_point(|start| *start <= offset);
        let start = self.line_start(line);
        let column = self.text().get(start..offset).map_or(0, |before| before.chars().count());
        Place { line, column: column + 1 }
    }

    /// The bytes of a line (from 1), without its end.
    pub(crate) fn line_span(&self, line: usize) -> Range<usize> {
        let start = self.line_start(line);
        let end = self.inner.lines.get(line).map_or(self.text().len(), |next| next - 1);
        let text = self.text().get(start..end).unwrap_or_default();
        start..start + text.trim_end_matches('\r').len()
    }

    fn line_start(&self, line: usize) -> usize {
        self.inner.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_not_bytes() {
        let source = Source::new("x", "a: é\r\nß: b\n".to_owned()).unwrap();
        assert_eq!(source.place(0), Place { line: 1, column: 1 });
        assert_eq!(source.place(5), Place { line: 1, column: 5 });
        assert_eq!(source.place(7), Place { line: 2, column: 1 });
        assert_eq!(source.place(9), Place { line: 2, column: 2 });
        assert_eq!(source.place(999), Place { line: 3, column: 1 });
        assert_eq!(&source.text()[source.line_span(1)], "a: é");
        assert_eq!(&source.text()[source.line_span(2)], "ß: b");
        assert_eq!(&source.text()[source.line_span(3)], "");
    }

    #[test]
    fn the_fault_of_bytes_is_found_where_it_is() {
        let error = Source::from_bytes("x", b"a: \xc3\xa9\nb: \xff\n".to_vec()).unwrap_err();
        let item = &error.items()[0];
        assert_eq!((item.code, item.line, item.column), ("spec/not-utf8", 2, 4));
        let error = Source::from_bytes("x", vec![0xff, 0xfe, b'a', 0]).unwrap_err();
        assert!(error.items()[0].help.as_deref().unwrap_or_default().contains("UTF-16"));
    }

    #[test]
    fn a_huge_file_is_refused() {
        let error = Source::new("x", "a".repeat(MAX_BYTES + 1)).unwrap_err();
        assert_eq!(error.items()[0].code, "spec/too-large");
    }
}
