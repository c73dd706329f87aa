//! Files of Hugging Face repositories, from the public endpoint or any other that speaks the same.

use camino::Utf8PathBuf;
use llamark_artifact::files;
use llamark_record::Sha256;
use serde::{Deserialize, Serialize};

use crate::download::Head;
use crate::error::FetchError;
use crate::fetcher::Job;

/// `format` of a [`Pinned`] as written by this version.
const FORMAT: &str = "llamark/huggingface/v1";

/// One file of a repository.
#[derive(Clone, Debug)]
pub(crate) struct HubFile {
    /// Where to download it.
    pub url: String,
    /// Sent along; only to an endpoint that the user chose, never to one that an experiment names.
    pub token: Option<String>,
    is_pinned: bool,
}

/// What an endpoint states about a file.
#[derive(Clone, Debug)]
pub(crate) struct Stated {
    /// The commit that the revision names.
    pub commit: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Digest of the content.
    pub sha256: Sha256,
}

/// What an endpoint said about a file of a commit: it can never change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    format: String,
    url: String,
    sha256: Sha256,
}

impl Job<'_> {
    /// The address of a file. `endpoint` is the experiment's; empty: the user's.
    pub(crate) fn hub_file(
        &self,
        endpoint: &str,
        repo: &str,
        revision: &str,
        file: &str,
    ) -> Result<HubFile, FetchError> {
        let own = self.fetcher.hugging_face.endpoint.trim_end_matches('/');
        let asked = endpoint.trim_end_matches('/');
        let base = if asked.is_empty() { own } else { asked };
        for (what, value) in [("repository", repo), ("revision", revision), ("file in a repository", file)] {
            let is_path = value.split('/').all(|part| !matches!(part, "" | "." | ".."));
            if !is_path || value.chars().any(char::is_control) {
                return Err(FetchError::Refused { what, value: value.to_owned() });
            }
        }
        let token = self.fetcher.hugging_face.token.reveal().filter(|_| base == own).map(str::to_owned);
        let url = format!("{base}/{}/resolve/{}/{}", percent(repo), percent(revision), percent(file));
        Ok(HubFile { url, token, is_pinned: is_commit(revision) })
    }

    /// The digest that the endpoint states for a file. Asked once for a commit; each time for a branch or tag.
    pub(crate) fn hub_digest(&self, file: &HubFile) -> Result<Sha256, FetchError> {
        let place = self.pin(file)?;
        if let Some(sha256) = self.pinned_digest(file) {
            return Ok(sha256);
        }
        let sha256 = self.ask_digest(file)?;
        if file.is_pinned {
            let pinned = Pinned { format: FORMAT.to_owned(), url: file.url.clone(), sha256: sha256.clone() };
            files::write_atomic(&place, &serde_json::to_vec(&pinned)?)?;
        }
        Ok(sha256)
    }

    /// The digest of a file of a commit, if the endpoint has stated it before.
    pub(crate) fn pinned_digest(&self, file: &HubFile) -> Option<Sha256> {
        let bytes = fs_err::read(self.pin(file).ok()?).ok()?;
        let pinned: Pinned = serde_json::from_slice(&bytes).ok()?;
        (file.is_pinned && pinned.format == FORMAT && pinned.url == file.url).then_some(pinned.sha256)
    }

    fn pin(&self, file: &HubFile) -> Result<Utf8PathBuf, FetchError> {
        Ok(self.cache("huggingface")?.join(format!("{}.json", Sha256::of_bytes(file.url.as_bytes()))))
    }

    /// What the endpoint states about a file now, asked each time.
    pub(crate) fn hub_stated(&self, file: &HubFile, revision: &str) -> Result<Stated, FetchError> {
        let (sha256, head) = self.ask(file)?;
        let missing = |what| FetchError::NotStated { url: file.url.clone(), what };
        let stated = head.get("x-repo-commit").filter(|commit| is_commit(commit));
        let commit = stated.or_else(|| file.is_pinned.then_some(revision)).map(str::to_owned);
        let bytes = head.get("x-linked-size").and_then(|bytes| bytes.parse().ok()).or(head.total);
        Ok(Stated {
            commit: commit.ok_or_else(|| missing("commit"))?,
            bytes: bytes.ok_or_else(|| missing("size"))?,
            sha256,
        })
    }

    fn ask_digest(&self, file: &HubFile) -> Result<Sha256, FetchError> {
        self.ask(file).map(|(sha256, _)| sha256)
    }

    /// The endpoint answers with a redirect to where the bytes are, and says their digest in `x-linked-etag`. A
    /// repository that was renamed is a redirect to the same question.
    fn ask(&self, file: &HubFile) -> Result<(Sha256, Head), FetchError> {
        const MOST_REDIRECTS: u32 = 5;
        let origin = origin(&file.url);
        let mut url = file.url.clone();
        for _ in 0..MOST_REDIRECTS {
            let token = file.token.as_deref().filter(|_| self::origin(&url) == origin);
            let head = self.head(&url, token)?;
            if head.status >= 400 {
                return Err(FetchError::Status { url, status: head.status });
            }
            let stated =
                head.get("x-linked-etag").or_else(|| head.get("etag").filter(|_| head.status == 200));
            if let Some(sha256) = stated.and_then(digest_in) {
                return Ok((sha256, head));
            }
            match head.get("location").filter(|_| (300..400).contains(&head.status)) {
                Some(location) if location.starts_with('/') => url = format!("{origin}{location}"),
                Some(location) => url = location.to_owned(),
                None => break,
            }
        }
        Err(FetchError::NoDigest { url: file.url.clone() })
    }
}

fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The digest in an etag such as `"0123..."` or `W/"0123..."`; small files have another kind of etag.
fn digest_in(etag: &str) -> Option<Sha256> {
    etag.trim_start_matches("W/").trim_matches('"').parse().ok()
}

/// Scheme and host of a URL.
fn origin(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end =
        url.get(after_scheme..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| after_scheme + at);
    url.get(..end).unwrap_or(url).to_owned()
}

/// Percent-encodes all but RFC 3986's unreserved characters and `/`.
fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_addresses() {
        assert_eq!(percent("a b/ü#?.gguf"), "a%20b/%C3%BC%23%3F.gguf");
        assert_eq!(origin("https://h:8080/a/b"), "https://h:8080");
        assert_eq!(origin("https://h"), "https://h");
        let digest = "0".repeat(64);
        assert!(
            digest_in(&format!("\"{digest}\"")).is_some() && digest_in(&format!("W/\"{digest}\"")).is_some()
        );
        assert_eq!(digest_in("\"0123456789012345678901234567890123456789\""), None);
    }
}
