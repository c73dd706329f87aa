//! A folder that holds a `llama-server` which somebody else built: hashed, not copied.

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::Sha256;
use llamark_record::model::FileIdentity;

use crate::error::BuildError;
use crate::store;

/// What a prebuilt folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prebuilt {
    /// The folder as given.
    pub(crate) folder: Utf8PathBuf,
    /// Every file next to the server.
    pub(crate) files: Vec<FileIdentity>,
    /// The server, inside the folder.
    pub(crate) server: String,
    /// llama-bench, inside the folder.
    pub(crate) bench: Option<String>,
    /// Digest of the list of files.
    pub(crate) key: Sha256,
}

/// Finds and hashes it. The server may lie in the folder itself, in `bin/` or in `build/bin/`.
pub(crate) fn read(folder: &Utf8Path) -> Result<Prebuilt, BuildError> {
    let inside = ["", "bin", "build/bin"]
        .into_iter()
        .find(|inside| folder.join(inside).join("llama-server").is_file())
        .ok_or_else(|| BuildError::NoServer { path: folder.to_owned() })?;
    let files = store::identities(folder, inside, is_llamas)?;
    let name = |name: &str| if inside.is_empty() { name.to_owned() } else { format!("{inside}/{name}") };
    let bench = Some(name("llama-bench")).filter(|bench| files.iter().any(|file| file.name == *bench));
    let key = Sha256::of_canonical_json(&files)?;
    Ok(Prebuilt { folder: folder.to_owned(), server: name("llama-server"), bench, key, files })
}

/// Whether a file may belong to llama.cpp: the folder may be one of many programs, such as `/usr/local/bin`.
fn is_llamas(name: &str) -> bool {
    ["llama", "lib", "ggml", "default.metallib"].iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use llamark_artifact::files;

    use super::*;

    #[test]
    fn the_server_is_found_and_the_key_is_that_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
        assert!(matches!(read(&root), Err(BuildError::NoServer { .. })));
        files::create_dir_all(&root.join("build/bin")).unwrap();
        files::write_atomic(&root.join("build/bin/llama-server"), b"one").unwrap();
        let one = read(&root).unwrap();
        assert_eq!((one.server.as_str(), one.bench.as_deref()), ("build/bin/llama-server", None));
        files::write_atomic(&root.join("build/bin/unrelated"), b"three").unwrap();
        assert_eq!(read(&root).unwrap(), one);
        files::write_atomic(&root.join("build/bin/llama-bench"), b"two").unwrap();
        let two = read(&root).unwrap();
        assert_eq!(two.bench.as_deref(), Some("build/bin/llama-bench"));
        assert_ne!(one.key, two.key);
        assert_eq!(read(&root).unwrap(), two);
    }
}
