//! A small file of /proc or /sys that is read again and again: opened once, read from its beginning each time.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::OFlags;

use crate::fault::Fault;

/// Most bytes of such a file: a page, which is the limit of sysfs.
pub(crate) const MOST: usize = 4096;

/// Where a file is read to. One for the whole sampler.
pub(crate) type Buffer = [u8; MOST];

/// A file that is read again and again.
#[derive(Debug)]
pub(crate) struct Watched {
    path: Utf8PathBuf,
    file: Option<File>,
    /// Opened at most once: the path may later mean something else.
    once: bool,
    opened: bool,
}

impl Watched {
    /// Not opened before it is read. It is opened again when it was replaced or came back.
    pub(crate) fn new(path: impl Into<Utf8PathBuf>) -> Self {
        Self { path: path.into(), file: None, once: false, opened: false }
    }

    /// As [`Watched::new`], and never opened again: a process id may be given to another process.
    pub(crate) fn once(path: impl Into<Utf8PathBuf>) -> Self {
        Self { once: true, ..Self::new(path) }
    }

    /// What it holds now.
    pub(crate) fn read<'b>(&mut self, buffer: &'b mut Buffer) -> Result<&'b [u8], Fault> {
        let result = self.fill(buffer);
        if result.is_err() {
            self.file = None;
            if self.once && self.opened {
                return Err(Fault::ProcessGone);
            }
        }
        let bytes = buffer.get(..result?).unwrap_or_default();
        if bytes.is_empty() { Err(Fault::Empty) } else { Ok(bytes) }
    }

    fn fill(&mut self, buffer: &mut Buffer) -> Result<usize, Fault> {
        let io = |error: std::io::Error| Fault::Io(error.kind());
        // A file that was removed or replaced is still readable through what was opened before.
        if self.file.as_ref().is_some_and(|file| file.metadata().is_ok_and(|meta| meta.nlink() == 0)) {
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None if self.once && self.opened => return Err(Fault::ProcessGone),
            None => {
                let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
                let file = OpenOptions::new().read(true).custom_flags(flags).open(&self.path).map_err(io)?;
                self.opened = true;
                self.file.insert(file)
            }
        };
        match file.read_at(buffer, 0).map_err(io)? {
            MOST => Err(Fault::TooLong),
            read => Ok(read),
        }
    }

    /// The whole number that it holds.
    pub(crate) fn number(&mut self, buffer: &mut Buffer) -> Result<i64, Fault> {
        parse(self.read(buffer)?)
    }

    /// The number in the line that begins with `key`.
    pub(crate) fn field(&mut self, key: &'static str, buffer: &mut Buffer) -> Result<i64, Fault> {
        let text = self.read(buffer)?;
        let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(key.as_bytes()));
        let line = line.ok_or(Fault::NoLine(key))?;
        parse(words(line).next().unwrap_or_default())
    }

    /// Its text without the white space around it: for names, which are read once.
    pub(crate) fn text(path: &Utf8Path) -> Option<String> {
        let mut buffer = [0; MOST];
        let mut file = Self::new(path);
        let bytes = file.read(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(bytes).trim().to_owned()).filter(|text| !text.is_empty())
    }
}

/// The words of a line.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A whole number, with white space or NULs around it.
pub(crate) fn parse(text: &[u8]) -> Result<i64, Fault> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::NotANumber)?;
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\0');
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    text.parse().map_err(|_| Fault::NotANumber)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use proptest::prelude::*;

    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    #[expect(clippy::disallowed_methods, reason = "a test makes its own files")]
    fn write(path: &Utf8Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_file_is_read_again_and_seen_to_vanish_and_come_back() {
        let (_folder, path) = folder();
        let path = path.join("power1_average");
        let mut buffer = [0; MOST];
        let mut file = Watched::new(&path);
        assert_eq!(file.number(&mut buffer), Err(Fault::Io(ErrorKind::NotFound)));
        write(&path, "15000000\n");
        assert_eq!(file.number(&mut buffer), Ok(15_000_000));
        write(&path, "9\n");
        assert_eq!(file.number(&mut buffer), Ok(9));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.number(&mut buffer), Err(Fault::Io(ErrorKind::NotFound)));
        write(&path, "7\n");
        assert_eq!(file.number(&mut buffer), Ok(7));
    }

    #[test]
    fn a_process_file_is_not_opened_again() {
        let (_folder, path) = folder();
        let path = path.join("status");
        let mut buffer = [0; MOST];
        let mut file = Watched::once(&path);
        write(&path, "VmRSS:\t  12 kB\n");
        assert_eq!(file.field("VmRSS:", &mut buffer), Ok(12));
        assert_eq!(file.field("VmHWM:", &mut buffer), Err(Fault::NoLine("VmHWM:")));
        std::fs::remove_file(&path).unwrap();
        write(&path, "VmRSS:\t  99 kB\n");
        assert_eq!(file.field("VmRSS:", &mut buffer), Err(Fault::ProcessGone));
    }

    #[test]
    fn garbage_is_no_number() {
        let (_folder, path) = folder();
        let path = path.join("f");
        let mut buffer = [0; MOST];
        let mut file = Watched::new(&path);
        for (text, fault) in [
            ("", Fault::Empty),
            (" \n", Fault::Empty),
            ("N/A", Fault::NotANumber),
            ("12 34", Fault::NotANumber),
            ("1e3", Fault::NotANumber),
            ("99999999999999999999", Fault::NotANumber),
            ("9".repeat(5000).as_str(), Fault::TooLong),
        ] {
            write(&path, text);
            assert_eq!(file.number(&mut buffer), Err(fault), "{text}");
        }
    }

    #[test]
    fn what_would_block_is_a_fault_at_once() {
        let (_folder, path) = folder();
        let path = path.join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path.as_std_path(),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let mut buffer = [0; MOST];
        assert!(Watched::new(&path).number(&mut buffer).is_err());
        assert!(Watched::new(path.parent().unwrap()).number(&mut buffer).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_number_or_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..40), number in any::<i64>()) {
            let _either = parse(&bytes);
            prop_assert_eq!(parse(format!(" {number}\n").as_bytes()), Ok(number));
        }
    }
}
