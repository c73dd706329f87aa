//! What can go wrong while something is fetched, and what to do about it.

use std::io;

use camino::Utf8PathBuf;
use llamark_artifact::files::FileError;
use llamark_gguf::GgufError;
use llamark_process::ProcessError;
use llamark_record::Sha256;

use crate::archive::ArchiveError;

/// Something could not be fetched, or is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Somebody asked to stop. What was downloaded so far stays, and the next time continues from there.
    #[error("interrupted")]
    Interrupted,
    /// A program that fetches is not installed.
    #[error("{purpose} needs the program `{program}`, which is not installed")]
    MissingProgram {
        /// The program.
        program: String,
        /// What it is needed for.
        purpose: &'static str,
        /// How to get it.
        install: &'static str,
    },
    /// A program that fetches could not be run to its end.
    #[error(transparent)]
    Process(ProcessError),
    /// A program that fetches said no.
    #[error("cannot {action}: {program} ended with {ending}{}", said(.message))]
    Program {
        /// What it should have done.
        action: String,
        /// The program.
        program: &'static str,
        /// Its exit code or signal.
        ending: String,
        /// The last of what it said.
        message: String,
    },
    /// The plan comes from a document that does not say where it is from.
    #[error("the document that the plan was imported from does not say where the {what} comes from")]
    Unstated {
        /// What is wanted: `engine`, `model`.
        what: &'static str,
    },
    /// A synthetic model cannot be made.
    #[error(transparent)]
    Synthetic(GgufError),
    /// There is no room for a synthetic model.
    #[error("{file} needs {needed} bytes, but {folder} has room for {free}")]
    NoRoom {
        /// The file.
        file: String,
        /// Its size, bytes.
        needed: u64,
        /// Where it should go.
        folder: Utf8PathBuf,
        /// Bytes that are free there.
        free: u64,
    },
    /// A server said no.
    #[error("cannot download {url}: the server answers {status}")]
    Status {
        /// From where.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The bytes are not those that were asked for. Nothing of them was unpacked or run.
    #[error("{what} does not match: sha256 {found}, expected {expected}")]
    Mismatch {
        /// What was fetched.
        what: String,
        /// The digest that the experiment, or the endpoint, states.
        expected: Box<Sha256>,
        /// The digest that the bytes have.
        found: Box<Sha256>,
    },
    /// A file is nowhere where it is looked for.
    #[error("no file `{file}`: looked at {}", list(.looked_at))]
    NotFound {
        /// The file as the experiment names it.
        file: String,
        /// Every place, in order.
        looked_at: Vec<Utf8PathBuf>,
        /// Files there whose names are alike.
        similar: Vec<String>,
    },
    /// Some shards of a model are not there.
    #[error("`{path}` is one of {count} shards, and these are missing: {}", .missing.join(", "))]
    MissingShards {
        /// The shard that was named.
        path: Utf8PathBuf,
        /// How many there are in all.
        count: u32,
        /// Names of those that are not there.
        missing: Vec<String>,
    },
    /// A model of several shards is named by another than its first.
    #[error("`{file}` is a later shard of a model; name the first, `{first}`")]
    NotFirstShard {
        /// The shard that was named.
        file: String,
        /// The first.
        first: String,
    },
    /// The digests of later shards are stated nowhere.
    #[error("`{file}` is one of several shards, and a {kind} has a digest for one file only")]
    ShardsWithoutDigest {
        /// The shard that was named.
        file: String,
        /// The kind of source.
        kind: &'static str,
    },
    /// Neither the experiment nor the endpoint states a sha256.
    #[error("{url} states no sha256 for this file")]
    NoDigest {
        /// The file.
        url: String,
    },
    /// The endpoint of a repository does not say what a pin needs.
    #[error("{url} states no {what} for this file")]
    NotStated {
        /// The file.
        url: String,
        /// What is missing.
        what: &'static str,
    },
    /// An archive cannot be read, or is not to be trusted.
    #[error("cannot unpack {what}")]
    Archive {
        /// Which archive.
        what: String,
        /// Why.
        #[source]
        source: ArchiveError,
    },
    /// A folder or a file is not in the archive.
    #[error("there is no `{member}` in {what}; at the top level are: {}", .there.join(", "))]
    NoMember {
        /// What was looked for.
        member: String,
        /// In which archive.
        what: String,
        /// What is there.
        there: Vec<String>,
    },
    /// A folder holds no llama.cpp.
    #[error("`{path}` does not contain llama.cpp: there is no `{missing}`")]
    NotLlamaCpp {
        /// The folder.
        path: Utf8PathBuf,
        /// What every llama.cpp has.
        missing: &'static str,
    },
    /// A folder that should be there is not.
    #[error("there is no folder `{path}`")]
    NoFolder {
        /// The folder.
        path: Utf8PathBuf,
    },
    /// A prebuilt engine without its server.
    #[error("there is no `llama-server` in `{path}` nor in its `bin`")]
    NoServer {
        /// The folder.
        path: Utf8PathBuf,
    },
    /// A value of the experiment that could be taken for something else by the program that gets it.
    #[error("`{value}` is not a valid {what}")]
    Refused {
        /// What it should be.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// A repository has no such revision.
    #[error("{url} has no commit, tag or branch `{rev}`{}", said(.message))]
    NoRevision {
        /// The repository.
        url: String,
        /// The revision.
        rev: String,
        /// What git said.
        message: String,
    },
    /// There is no history from one revision to the other.
    #[error("in {url}, `{good}` is not an ancestor of `{bad}`: there is no history between them")]
    NotBefore {
        /// The repository.
        url: String,
        /// The older revision.
        good: String,
        /// The newer one.
        bad: String,
    },
    /// A registry of packages that is not known here.
    #[error("packages of registry `{registry}` cannot be fetched; `pypi` is the only one that can")]
    Registry {
        /// The registry.
        registry: String,
    },
    /// A package client left something else than one file.
    #[error("{package} should be one file, but the client left {count}")]
    PackageFiles {
        /// The package.
        package: String,
        /// How many files there are.
        count: usize,
    },
    /// A file changed while it was read.
    #[error("`{path}` changed while it was hashed")]
    Changed {
        /// The file.
        path: Utf8PathBuf,
    },
    /// A name in a source tree that cannot be hashed or shown.
    #[error(
        "`{path}` contains something that is neither a file, a folder nor a symbolic link, or a name that is not UTF-8"
    )]
    Odd {
        /// Where.
        path: String,
    },
    /// A link of a folder of the user's that leads out of it.
    #[error(
        "the link `{name}` in {path} leads out of it, to `{target}`: what is there would be compiled, but no digest covers it"
    )]
    LinkOut {
        /// The folder.
        path: Utf8PathBuf,
        /// The link, in the folder.
        name: String,
        /// Where it leads.
        target: String,
    },
    /// A record cannot be written. Cannot happen with the records that there are.
    #[error("cannot write a record")]
    Record(#[from] serde_json::Error),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be read. The message names it.
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// How to install curl.
pub(crate) const INSTALL_CURL: &str =
    "Debian, Ubuntu: `sudo apt install curl`; Fedora: `sudo dnf install curl`; Arch: `sudo pacman -S curl`";
/// How to install git.
pub(crate) const INSTALL_GIT: &str =
    "Debian, Ubuntu: `sudo apt install git`; Fedora: `sudo dnf install git`; Arch: `sudo pacman -S git`";
/// How to install Python with pip.
pub(crate) const INSTALL_PIP: &str = "Debian, Ubuntu: `sudo apt install python3-pip`; \
     Fedora: `sudo dnf install python3-pip`; Arch: `sudo pacman -S python-pip`";

impl FetchError {
    /// Whether the bytes are there and are others than were asked for: never to be worked around.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Self::Mismatch { .. } | Self::Archive { .. } | Self::Refused { .. })
    }

    /// The bytes are not those that were asked for.
    pub(crate) fn mismatch(what: String, expected: &Sha256, found: &Sha256) -> Self {
        Self::Mismatch { what, expected: Box::new(expected.clone()), found: Box::new(found.clone()) }
    }

    /// Whether somebody asked for it.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Interrupted)
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::MissingProgram { install, .. } => (*install).to_owned(),
            Self::Status { status: 401 | 403, .. } => {
                "the file needs permission: accept its terms on the site, and set HF_TOKEN".to_owned()
            }
            Self::Status { status: 404, .. } => {
                "check the address, the revision and the file name".to_owned()
            }
            Self::Status { .. } => "try again later; what was already downloaded is kept".to_owned(),
            Self::Mismatch { .. } => {
                "if the new bytes are the right ones, put their sha256 into the experiment".to_owned()
            }
            Self::NotFound { similar, .. } if similar.is_empty() => {
                "give the folder of the models with `--models DIR` or LLAMARK_MODELS".to_owned()
            }
            Self::NotFound { similar, .. } => format!("did you mean {}?", quoted(similar)),
            Self::MissingShards { .. } => "put all shards into one folder".to_owned(),
            Self::ShardsWithoutDigest { .. } => {
                "use a `huggingface` source, or download the shards and use `file`".to_owned()
            }
            Self::NoDigest { .. } => "write its `sha256` into the experiment".to_owned(),
            Self::NotStated { .. } => {
                "write a full commit as its `revision`, or download it and use a `file` source".to_owned()
            }
            Self::NoMember { .. } => "correct `subdir` or `member` in the experiment".to_owned(),
            Self::NotBefore { .. } => {
                "the good revision must be the older one; put revisions in any other order into a list"
                    .to_owned()
            }
            Self::NotLlamaCpp { .. } => "name the folder that has llama.cpp's CMakeLists.txt".to_owned(),
            Self::NoServer { .. } => "name the folder into which llama.cpp was built".to_owned(),
            Self::Synthetic(error) => error.hint().to_owned(),
            Self::NoRoom { .. } => {
                "free some space, or name a folder on another disk with `--cache DIR` or LLAMARK_CACHE"
                    .to_owned()
            }
            Self::Changed { .. } => {
                "wait until it is fully written, and run the same command again".to_owned()
            }
            Self::Archive { source: ArchiveError::Format, .. } => {
                "expected a tar, tar.gz, zip or wheel file".to_owned()
            }
            _ => return None,
        })
    }
}

impl From<ProcessError> for FetchError {
    fn from(error: ProcessError) -> Self {
        if error.is_interrupted() { Self::Interrupted } else { Self::Process(error) }
    }
}

/// Adds a program's own words to a message, if there are any.
fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

fn list(paths: &[Utf8PathBuf]) -> String {
    paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
}

/// The last lines of what a program said, for a message.
pub(crate) fn last_words(text: &str) -> String {
    const LINES: usize = 4;
    const MOST: usize = 600;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let words = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join(" | ");
    match words.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", words.get(..end).unwrap_or_default()),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_few() {
        assert_eq!(last_words("a\n\n b \nc\nd\ne\n"), "b | c | d | e");
        assert_eq!(last_words(""), "");
        assert_eq!(last_words(&"é".repeat(5000)).chars().count(), 603);
    }

    #[test]
    fn a_missing_file_says_where_and_what_else() {
        let error = FetchError::NotFound {
            file: "a.gguf".to_owned(),
            looked_at: vec!["/m/a.gguf".into(), "/e/a.gguf".into()],
            similar: vec!["b.gguf".to_owned()],
        };
        assert_eq!(error.to_string(), "no file `a.gguf`: looked at `/m/a.gguf`, `/e/a.gguf`");
        assert_eq!(error.hint().unwrap(), "did you mean `b.gguf`?");
    }
}
