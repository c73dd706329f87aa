//! Reading the small files of /proc and /sys, and keeping what was found, or why nothing was.

use std::collections::BTreeMap;
use std::io::{self, Read as _};

use llamark_record::environment::Fact;

use super::Roots;

/// Most bytes that are read of one file.
const LIMIT: u64 = 32 << 20;

impl Roots {
    /// The text of a file, without the white space around it; otherwise, why there is none.
    pub(super) fn text(&self, path: &str) -> Result<String, String> {
        let mut bytes = Vec::new();
        fs_err::File::open(self.locate(path))
            .and_then(|file| file.take(LIMIT).read_to_end(&mut bytes))
            .map_err(|error| why(&error))?;
        Ok(String::from_utf8_lossy(&bytes).trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
    }

    /// As [`Roots::text`], of a file that holds a number.
    pub(super) fn number(&self, path: &str) -> Result<u64, String> {
        let text = self.text(path)?;
        text.parse().map_err(|_| format!("`{}` is no number", cut(&text)))
    }

    /// The names in a folder, in order, numbers in them as numbers; none when it cannot be read.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        llamark_telemetry::Roots::names(&self.locate(folder))
    }

    /// Whether there is such a file or folder.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.locate(path).exists()
    }

    fn locate(&self, path: &str) -> camino::Utf8PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// Why something could not be read. The path stands beside it, as the source.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        kind => kind.to_string(),
    }
}

/// The head of a text, for a message.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The value after `key` and a separator, in a text of such lines: `model name : X`, `MemTotal: 1 kB`, `ID=debian`.
pub(super) fn field<'a>(text: &'a str, key: &str, separator: char) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(separator)?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// The numbers in a list of ranges: `0-3,8`. Absent when it is none, or absurdly long.
pub(super) fn ranges(text: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if last < first || last > 1 << 16 {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Facts {
    facts: BTreeMap<String, Fact>,
}

impl Facts {
    /// Keeps a value, or why there is none. A value that is empty is none.
    pub(super) fn put(&mut self, name: impl Into<String>, source: &str, found: Result<String, String>) {
        let found =
            found.and_then(|value| if value.is_empty() { Err("it is empty".to_owned()) } else { Ok(value) });
        let (value, error) = match found {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error)),
        };
        self.facts.insert(name.into(), Fact { value, source: source.to_owned(), error });
    }

    /// Keeps the text of a file.
    pub(super) fn file(&mut self, roots: &Roots, name: impl Into<String>, path: &str) {
        self.put(name, path, roots.text(path));
    }

    /// Keeps the text of a file where there is one; that there is none is no news.
    pub(super) fn file_if_there(&mut self, roots: &Roots, name: impl Into<String>, path: &str) {
        if roots.exists(path) {
            self.file(roots, name, path);
        }
    }

    pub(super) fn into_map(self) -> BTreeMap<String, Fact> {
        self.facts
    }
}
