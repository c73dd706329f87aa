//! Downloads, by curl: resumed where they were, and checked before anybody gets them.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files;
use llamark_process::{Command, Output, RunOptions};
use llamark_record::Sha256;

use crate::digest::digest_file;
use crate::error::{FetchError, INSTALL_CURL, last_words};
use crate::fetcher::{Event, Job};

/// How often the progress of a download is reported.
const TICK: Duration = Duration::from_millis(200);
/// How often a broken download is taken up again without being asked.
const ATTEMPTS: u32 = 4;
/// Before it is taken up again.
const PAUSE: Duration = Duration::from_millis(500);

/// Something to download.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Download<'a> {
    /// From where.
    pub url: &'a str,
    /// What it must be.
    pub expected: &'a Sha256,
    /// For messages.
    pub what: &'a str,
    /// Goes into a header, for the host of `url` alone.
    pub token: Option<&'a str>,
}

impl Job<'_> {
    /// Downloads a file and checks it. The file lies under its digest in the cache until somebody takes it away.
    pub(crate) fn download(&self, download: Download<'_>) -> Result<Utf8PathBuf, FetchError> {
        check_url(download.url)?;
        let folder = self.cache("downloads")?;
        let done = folder.join(download.expected.as_str());
        let _lock = self.lock(&done, download.what)?;
        if done.is_file() {
            return Ok(done);
        }
        let part = folder.join(format!("{}.part", download.expected));
        loop {
            let resumed_at = length(&part);
            self.download_part(download, &part)?;
            let found = self.hash(&part, download.what)?;
            if found == *download.expected {
                break;
            }
            files::remove_file(&part)?;
            // What was there before may have been of another file.
            if resumed_at == 0 {
                return Err(FetchError::mismatch(download.what.to_owned(), download.expected, &found));
            }
        }
        files::rename_file(&part, &done)?;
        Ok(done)
    }

    /// Brings `part` to its full length.
    fn download_part(&self, download: Download<'_>, part: &Utf8Path) -> Result<(), FetchError> {
        for attempt in 1.. {
            let before = length(part);
            let (output, head) = self.curl_to_file(download, part)?;
            match outcome(&output, &head) {
                Outcome::Done => return Ok(()),
                // Nothing is left to ask for; whether it is the right file, its digest says.
                Outcome::PastTheEnd if before > 0 => return Ok(()),
                Outcome::CannotResume if before > 0 => files::remove_file(part)?,
                Outcome::Broken if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
                Outcome::Status(status) => {
                    return Err(FetchError::Status { url: download.url.to_owned(), status });
                }
                _ => return Err(failed(download.url, &output)),
            }
            if attempt > ATTEMPTS {
                return Err(failed(download.url, &output));
            }
        }
        Ok(())
    }

    fn curl_to_file(&self, download: Download<'_>, part: &Utf8Path) -> Result<(Output, Head), FetchError> {
        let config = download.token.map(|token| self.secret(token)).transpose()?;
        let command = self
            .curl()
            .args(["--fail", "--location", "--max-redirs", "10", "--dump-header", "-"])
            // A connection that does not move for a minute is dead.
            .args(["--connect-timeout", "30", "--speed-limit", "1", "--speed-time", "60"])
            .args(["--continue-at", "-", "--output", part.as_str()])
            .args(config.iter().flat_map(|config| ["--config".to_owned(), config.path.to_string()]))
            .args(["--url", download.url]);
        let head = Mutex::new(Head::default());
        let output = std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel(1);
            let (command, head, interrupt) = (&command, &head, self.interrupt);
            scope.spawn(move || {
                let mut on_line = |line: &str| {
                    if let Ok(mut head) = head.lock() {
                        head.line(line);
                    }
                };
                let options = RunOptions { on_line: Some(&mut on_line), ..RunOptions::new(interrupt) };
                drop(sender.send(llamark_process::run(command, options)));
            });
            loop {
                match receiver.recv_timeout(TICK) {
                    Ok(output) => break output,
                    Err(_) => {
                        let total = head.lock().ok().and_then(|head| head.total);
                        let (what, done) = (download.what.to_owned(), length(part));
                        self.tell(Event::Downloading { what, done, total });
                    }
                }
            }
        });
        let output = output.map_err(|error| missing_curl(&self.fetcher.curl, error))?;
        Ok((output, head.into_inner().unwrap_or_default()))
    }

    /// curl without the parts that differ. Globbing is off: a bracket in a URL is a bracket.
    fn curl(&self) -> Command {
        Command::new(self.fetcher.curl.as_str(), self.fetcher.cache.as_path())
            .envs(self.fetcher.environment.clone())
            .args(["--silent", "--show-error", "--globoff", "--proto", "=http,https"])
    }

    /// Asks for the head of a URL. Redirects are not followed.
    pub(crate) fn head(&self, url: &str, token: Option<&str>) -> Result<Head, FetchError> {
        check_url(url)?;
        self.cache("downloads")?;
        let config = token.map(|token| self.secret(token)).transpose()?;
        let command = self
            .curl()
            .args(["--head", "--connect-timeout", "30", "--max-time", "120"])
            .args(config.iter().flat_map(|config| ["--config".to_owned(), config.path.to_string()]))
            .args(["--url", url]);
        let output = llamark_process::run(&command, RunOptions::new(self.interrupt))
            .map_err(|error| missing_curl(&self.fetcher.curl, error))?;
        if !output.success() {
            return Err(failed(url, &output));
        }
        let mut head = Head::default();
        for line in output.stdout.lines() {
            head.line(line);
        }
        Ok(head)
    }

    /// A file that only we can read, with the token as curl reads it: an argument could be seen by everybody.
    fn secret(&self, token: &str) -> Result<Secret, FetchError> {
        use std::io::Write as _;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if !token.bytes().all(is_plain) {
            return Err(FetchError::Refused { what: "token", value: "HF_TOKEN".to_owned() });
        }
        // tempfile makes it with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(self.cache("downloads")?)?;
        file.write_all(format!("header = \"Authorization: Bearer {token}\"\n").as_bytes())?;
        let path = Utf8Path::from_path(file.path());
        let path =
            path.ok_or_else(|| FetchError::Odd { path: file.path().to_string_lossy().into_owned() })?;
        Ok(Secret { path: path.to_owned(), _file: file })
    }

    /// The digest of a file, with its progress told.
    pub(crate) fn hash(&self, path: &Utf8Path, what: &str) -> Result<Sha256, FetchError> {
        let total = length(path);
        digest_file(path, self.interrupt, &mut self.hashing(what, total))
    }

    /// Tells of hashing, now and then.
    pub(crate) fn hashing<'a>(&'a self, what: &'a str, total: u64) -> impl FnMut(u64) + 'a {
        const STEP: u64 = 32 << 20;
        let mut told = 0;
        move |done| {
            if done >= told + STEP {
                told = done;
                self.tell(Event::Hashing { what: what.to_owned(), done, total });
            }
        }
    }
}

/// A file with a secret, removed when dropped.
struct Secret {
    path: Utf8PathBuf,
    _file: tempfile::NamedTempFile,
}

/// What the server said in its last answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub status: u16,
    /// Bytes of the whole file.
    pub total: Option<u64>,
    headers: Vec<(String, String)>,
}

impl Head {
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(status) = line.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1)) {
            *self = Self { status: status.parse().unwrap_or(0), ..Self::default() };
        } else if let Some((name, value)) = line.split_once(':') {
            let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
            match name.as_str() {
                "content-length" if self.status == 200 => self.total = value.parse().ok(),
                "content-range" => self.total = value.rsplit('/').next().and_then(|total| total.parse().ok()),
                _ => {}
            }
            self.headers.push((name, value));
        }
    }

    /// A header, by its name in lower case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What became of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// The server has no more bytes than we.
    PastTheEnd,
    /// The server cannot begin in the middle.
    CannotResume,
    /// Worth another try.
    Broken,
    /// The server said no.
    Status(u16),
    /// curl failed otherwise.
    Failed,
}

fn outcome(output: &Output, head: &Head) -> Outcome {
    // Codes: 18 partial file, 22 HTTP error, 28 timeout, 33 no ranges, 52 empty answer, 55/56 connection lost,
    // 92 broken HTTP/2 stream (see `man curl`, EXIT CODES).
    match output.code {
        Some(0) => Outcome::Done,
        Some(33) => Outcome::CannotResume,
        Some(18 | 28 | 52 | 55 | 56 | 92) => Outcome::Broken,
        Some(22) => match head.status {
            416 => Outcome::PastTheEnd,
            408 | 429 | 500 | 502 | 503 | 504 => Outcome::Broken,
            status => Outcome::Status(status),
        },
        _ => Outcome::Failed,
    }
}

fn missing_curl(program: &str, error: llamark_process::ProcessError) -> FetchError {
    if error.is_not_found() {
        let (program, purpose) = (program.to_owned(), "a download");
        FetchError::MissingProgram { program, purpose, install: INSTALL_CURL }
    } else {
        error.into()
    }
}

fn failed(url: &str, output: &Output) -> FetchError {
    FetchError::Program {
        action: format!("download {url}"),
        program: "curl",
        ending: output.ending(),
        message: last_words(&output.stderr),
    }
}

fn check_url(url: &str) -> Result<(), FetchError> {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if is_web && !url.chars().any(|c| c.is_control() || c == ' ') {
        return Ok(());
    }
    Err(FetchError::Refused { what: "http or https address", value: url.to_owned() })
}

/// Bytes of a file; 0 when there is none.
pub(crate) fn length(path: &Utf8Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// A name for the file behind a URL that is safe in any folder.
pub(crate) fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '_' };
    let name: String = last.chars().map(safe).take(200).collect();
    match name.trim_start_matches('.') {
        "" => "download".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
