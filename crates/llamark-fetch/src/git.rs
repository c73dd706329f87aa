//! Engines from git repositories, through the git program: a bare copy in the cache, and the files of one commit.
//!
//! The files come from `git archive`, with the settings that change files switched off, so that the same commit
//! is the same bytes for everybody.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files;
use llamark_process::{Command, Output, RunOptions};
use llamark_record::Sha256;

use crate::error::{FetchError, INSTALL_GIT, last_words};
use crate::fetcher::{Event, Job};
use crate::source::Source;

/// Settings that would change the files, run something, or reach for another protocol.
const SETTINGS: [&str; 8] = [
    "core.autocrlf=false",
    "core.eol=lf",
    "core.attributesFile=/dev/null",
    "core.hooksPath=/dev/null",
    "tar.umask=0022",
    "protocol.ext.allow=never",
    "gc.auto=0",
    "advice.detachedHead=false",
];

/// A commit of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its full id.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
}

/// A git repository, and our copy of it.
struct Repository<'a> {
    job: Job<'a>,
    url: String,
    bare: Utf8PathBuf,
}

impl Job<'_> {
    /// The files of a revision, and the full id of its commit.
    pub(crate) fn git(&self, url: &str, rev: &str, base: &Utf8Path) -> Result<(Source, String), FetchError> {
        let url = check_url(url, base)?;
        check_rev(rev)?;
        let bare = self.cache("git")?.join(format!("{}.git", Sha256::of_bytes(url.as_bytes())));
        let repository = Repository { job: *self, url, bare };
        let commit = repository.resolve(rev)?;
        let origin = format!("{} {rev} ({commit})", repository.url);
        let id = Sha256::of_bytes(format!("git\n{commit}\n").as_bytes());
        let source = self.source(&id, &origin, |into| {
            let tar = into.join("archive.tar");
            repository
                .must(&["archive", "--format=tar", "--output", tar.as_str(), &commit], "read the files")?;
            self.unpack(&tar, &origin, "", into)
        })?;
        Ok((source, commit))
    }

    /// The commits from `good` to `bad`, both included, along first parents: what was merged at a time is one step.
    pub(crate) fn history(
        &self,
        url: &str,
        good: &str,
        bad: &str,
        base: &Utf8Path,
    ) -> Result<Vec<Commit>, FetchError> {
        let url = check_url(url, base)?;
        check_rev(good)?;
        check_rev(bad)?;
        let bare = self.cache("git")?.join(format!("{}.git", Sha256::of_bytes(url.as_bytes())));
        Repository { job: *self, url, bare }.history(good, bad)
    }
}

impl Repository<'_> {
    fn history(&self, good: &str, bad: &str) -> Result<Vec<Commit>, FetchError> {
        let _lock = self.job.lock(&self.bare, &self.url)?;
        self.init()?;
        let [from, to] = self.both(good, bad)?;
        let is_before = from != to && self.git(&["merge-base", "--is-ancestor", &from, &to])?.success();
        if !is_before {
            let (url, good, bad) = (self.url.clone(), good.to_owned(), bad.to_owned());
            return Err(FetchError::NotBefore { url, good, bad });
        }
        let range = format!("{from}..{to}");
        let format = "--format=tformat:%H %s";
        let between =
            self.must(&["rev-list", "--first-parent", "--reverse", format, &range], "list the commits")?;
        let first = self.must(&["rev-list", "--max-count=1", format, &from], "read a commit")?;
        Ok(commits(&first.stdout).chain(commits(&between.stdout)).collect())
    }

    /// Both revisions as commits of a copy that holds their whole history. The network is asked unless it does already
    /// and both are tags or full ids.
    fn both(&self, good: &str, bad: &str) -> Result<[String; 2], FetchError> {
        let is_shallow = self.bare.join("shallow").is_file();
        let known = |rev: &str| -> Result<Option<String>, FetchError> {
            if is_shallow {
                Ok(None)
            } else {
                self.commit(&if is_full(rev) { rev.to_owned() } else { tag(rev) })
            }
        };
        if let (Some(good), Some(bad)) = (known(good)?, known(bad)?) {
            return Ok([good, bad]);
        }
        let what = format!("the history of {}", self.url);
        self.job.tell(Event::Downloading { what, done: 0, total: None });
        let output = self.fetch_all()?;
        let message = if output.success() { String::new() } else { last_words(&output.stderr) };
        let of = |rev: &str| -> Result<String, FetchError> {
            let found = if output.success() { self.commit(rev)? } else { None };
            found.ok_or_else(|| {
                let (url, rev, message) = (self.url.clone(), rev.to_owned(), message.clone());
                FetchError::NoRevision { url, rev, message }
            })
        };
        Ok([of(good)?, of(bad)?])
    }

    fn init(&self) -> Result<(), FetchError> {
        if !self.bare.join("HEAD").is_file() {
            files::create_dir_all(&self.bare)?;
            self.must(&["init", "--quiet", "--bare", self.bare.as_str()], "make a repository")?;
        }
        Ok(())
    }

    /// Every branch and tag, with their whole history.
    fn fetch_all(&self) -> Result<Output, FetchError> {
        let shallow = self.bare.join("shallow").is_file();
        let depth: &[&str] = if shallow { &["--unshallow", "--no-tags"] } else { &["--no-tags"] };
        self.fetch(depth, &["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"])
    }

    /// The commit that `rev` means. The network is asked only when our copy does not know it, or when it is the
    /// name of a branch, which moves.
    fn resolve(&self, rev: &str) -> Result<String, FetchError> {
        let _lock = self.job.lock(&self.bare, &self.url)?;
        self.init()?;
        let (is_full, tag) = (is_full(rev), tag(rev));
        let known = if is_full { rev } else { &tag };
        if let Some(commit) = self.commit(known)? {
            return Ok(commit);
        }
        self.job.tell(Event::Downloading { what: format!("{} {rev}", self.url), done: 0, total: None });
        let branch = format!("refs/heads/{rev}");
        let single = if is_full { vec![rev] } else { vec![tag.as_str(), branch.as_str()] };
        for reference in single {
            let to = if is_full { "refs/llamark/commit" } else { reference };
            if self.fetch(&["--depth=1", "--no-tags"], &[&format!("+{reference}:{to}")])?.success()
                && let Some(commit) = self.commit(if is_full { rev } else { reference })?
            {
                return Ok(commit);
            }
        }
        // A server that gives no single commits, an abbreviated id, or something that is not there.
        let output = self.fetch_all()?;
        let found = if output.success() { self.commit(rev)? } else { None };
        found.ok_or_else(|| {
            let message = if output.success() { String::new() } else { last_words(&output.stderr) };
            FetchError::NoRevision { url: self.url.clone(), rev: rev.to_owned(), message }
        })
    }

    /// The commit that a name means in our copy.
    fn commit(&self, name: &str) -> Result<Option<String>, FetchError> {
        let output = self.git(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("{name}^{{commit}}"),
        ])?;
        let commit = output.stdout.trim();
        Ok((output.success() && !commit.is_empty()).then(|| commit.to_owned()))
    }

    fn fetch(&self, options: &[&str], references: &[&str]) -> Result<Output, FetchError> {
        let mut args = vec!["fetch", "--quiet", "--force", "--no-write-fetch-head"];
        args.extend(options);
        args.extend(["--", self.url.as_str()]);
        args.extend(references);
        self.git(&args)
    }

    fn must(&self, args: &[&str], action: &str) -> Result<Output, FetchError> {
        let output = self.git(args)?;
        if output.success() {
            return Ok(output);
        }
        Err(FetchError::Program {
            action: format!("{action} of {}", self.url),
            program: "git",
            ending: output.ending(),
            message: last_words(&output.stderr),
        })
    }

    fn git(&self, args: &[&str]) -> Result<Output, FetchError> {
        let command = Command::new(self.job.fetcher.git.as_str(), self.bare.as_path())
            .envs(self.job.fetcher.environment.clone())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            // The helpers `ext` and `fd` run what a URL says.
            .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
            .env("GIT_DIR", self.bare.as_str())
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .args(args.iter().copied());
        let options =
            RunOptions { timeout: Some(Duration::from_secs(3600)), ..RunOptions::new(self.job.interrupt) };
        self.job.run(&command, options, "an engine from a git repository", INSTALL_GIT)
    }
}

/// Whether a revision is the full id of a commit.
fn is_full(rev: &str) -> bool {
    matches!(rev.len(), 40 | 64) && rev.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn tag(rev: &str) -> String {
    format!("refs/tags/{rev}")
}

/// The commits that `rev-list` prints: a line `commit ID` before each, which says nothing more.
fn commits(text: &str) -> impl Iterator<Item = Commit> + '_ {
    text.lines().filter(|line| !line.starts_with("commit ")).filter_map(|line| {
        let (id, subject) = line.split_once(' ').unwrap_or((line, ""));
        is_full(id).then(|| Commit { id: id.to_owned(), subject: subject.to_owned() })
    })
}

/// The URL as git gets it; a relative path is relative to the experiment.
fn check_url(url: &str, base: &Utf8Path) -> Result<String, FetchError> {
    let refused = || FetchError::Refused { what: "address of a git repository", value: url.to_owned() };
    if url.is_empty() || url.starts_with('-') || url.contains("::") || url.chars().any(char::is_control) {
        return Err(refused());
    }
    if let Some((scheme, _)) = url.split_once("://") {
        let is_known = ["https", "http", "ssh", "git", "file"].contains(&scheme);
        return if is_known { Ok(url.to_owned()) } else { Err(refused()) };
    }
    let path = base.join(url);
    match path.canonicalize_utf8() {
        Ok(path) if path.is_dir() => Ok(path.into_string()),
        // As in `user@host:path`; anything else is a folder that is not there.
        _ if url.split_once(':').is_some_and(|(host, _)| !host.contains('/')) => Ok(url.to_owned()),
        _ => Err(FetchError::NoFolder { path }),
    }
}

/// A revision is a name or an id; nothing that git would take for an option or an expression.
fn check_rev(rev: &str) -> Result<(), FetchError> {
    let is_odd = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let is_bad = rev.is_empty()
        || rev.starts_with(['-', '/'])
        || rev.ends_with(['/', '.'])
        || rev.contains("..")
        || rev.contains("@{")
        || rev.chars().any(is_odd);
    if is_bad { Err(FetchError::Refused { what: "git revision", value: rev.to_owned() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_could_take_for_something_else_is_refused() {
        for rev in ["--upload-pack=x", "", "a..b", "HEAD~1", "a b", "x^", "a:b", "@{u}", "a\nb", "/x", "x/"] {
            assert!(check_rev(rev).is_err(), "{rev}");
        }
        for rev in ["b11434", "master", "feature/x-1", "v1.0", "0123456789abcdef0123456789abcdef01234567"] {
            assert!(check_rev(rev).is_ok(), "{rev}");
        }
        let base = Utf8Path::new("/");
        for url in ["--x", "ext::sh -c x", "", "fd::17", "gopher://h/x", "/nowhere/at/all", "a\nb"] {
            assert!(check_url(url, base).is_err(), "{url}");
        }
        for url in ["https://h/x.git", "git@h:x/y.git", "ssh://h/x"] {
            assert_eq!(check_url(url, base).unwrap(), url);
        }
        assert_eq!(check_url("tmp", base).unwrap(), "/tmp");
    }
}
