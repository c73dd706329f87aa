//! What a build is made of and what came out of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::journal::MappedFile;
use crate::model::FileIdentity;
use crate::plan::BackendKind;

/// What the kernel appends to the path of a file that is mapped and was deleted or replaced since.
const DELETED: &str = " (deleted)";

/// Everything that decides the bytes of a build. The build key is the digest of its canonical JSON: same key,
/// no work; different key, nothing shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildInputs {
    /// Version of this structure; part of the key, so that a new meaning never meets an old entry.
    pub format: String,
    /// Digest of the source tree (`tree1`, see `llamark-fetch`).
    pub source_tree: Sha256,
    /// Which backend.
    pub kind: BackendKind,
    /// Every CMake variable that is set, by llamark and by the author.
    pub cmake: BTreeMap<String, String>,
    /// Targets that are compiled.
    pub targets: Vec<String>,
    /// Tools by name: the first line of `--version`, and the target triple where it matters.
    pub tools: BTreeMap<String, String>,
    /// Facts of the SDK: glslc features, CUDA, ROCm and Vulkan versions.
    pub sdk: BTreeMap<String, String>,
    /// The environment variables that reach the compiler.
    pub environment: BTreeMap<String, String>,
    /// Operating system and processor, as in `linux-x86_64`; with `GGML_NATIVE` also the processor's features.
    pub machine: String,
}

/// What a build left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildRecord {
    /// `llamark/build/v1`.
    pub format: String,
    /// The build key: digest of the canonical JSON of `inputs`. For a prebuilt engine, the digest of its files.
    pub key: Sha256,
    /// What decided the bytes; absent for a prebuilt engine.
    pub inputs: Option<BuildInputs>,
    /// Every binary and shared object, by its path inside the build's folder.
    pub files: Vec<FileIdentity>,
    /// Path of `llama-server` inside the build's folder.
    pub server: String,
    /// Path of `llama-bench` inside the build's folder, if there is one.
    pub bench: Option<String>,
    /// What `llama-server --version` printed.
    pub version: String,
    /// What `llama-server --list-devices` printed, one device per line, `Vulkan0: ...`.
    pub devices: Vec<String>,
    /// Lines of the configure log of the form "Including X backend" and feature probes.
    pub configure_facts: Vec<String>,
    /// Milliseconds that configure and compile took when the build was made.
    pub took_ms: u64,
}

impl BuildRecord {
    /// Why a file that a server executes is not the one of this build, as a sentence; `None` for what is, and for what does
    /// not lie in the folder of the build. Where llamark did not compile it, the folder is the user's (`/usr` perhaps), and only
    /// the files that were hashed are known.
    pub fn other_than_built(&self, file: &MappedFile) -> Option<String> {
        let shown = file.path.strip_suffix(DELETED).unwrap_or(&file.path);
        let name = shown.strip_prefix("{build}/")?;
        let reason = match (self.files.iter().find(|built| built.name == name), &file.sha256) {
            (Some(built), Some(sha256)) if *sha256 == built.sha256 => return None,
            (Some(built), Some(sha256)) => {
                format!("its sha256 is {}, not {}", sha256.short(), built.sha256.short())
            }
            (None, _) if self.inputs.is_none() => return None,
            (None, _) => "nothing of that name was built".to_owned(),
            (Some(_), None) if shown != file.path => "it was replaced while the server ran".to_owned(),
            (Some(_), None) => {
                format!("it could not be read ({})", file.error.as_deref().unwrap_or("nobody knows why"))
            }
        };
        Some(format!("the server runs {shown}, which is not what was built: {reason}"))
    }

    /// Path of a program that lies next to `llama-server`, inside the build's folder, where it is there.
    pub fn beside_server(&self, program: &str) -> Option<&str> {
        let folder = self.server.strip_suffix("llama-server")?;
        let is_it = |name: &str| name.strip_prefix(folder).is_some_and(|rest| rest == program);
        self.files.iter().map(|file| file.name.as_str()).find(|name| is_it(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user's folder contains more than what was hashed: `PREFIX/lib` next to `PREFIX/bin`.
    #[test]
    fn of_a_prebuilt_engine_only_what_was_hashed_is_known() {
        let prebuilt = BuildRecord { inputs: None, ..record() };
        let mapped = |path: &str| {
            let sha256 = Some(Sha256::of_bytes(b"whatever"));
            prebuilt.other_than_built(&MappedFile { path: path.to_owned(), bytes: None, sha256, error: None })
        };
        assert_eq!(mapped("{build}/lib/libggml.so"), None);
        assert!(mapped("{build}/bin/libggml.so").is_some());
    }

    fn inputs() -> BuildInputs {
        BuildInputs {
            format: "llamark/build/v1".to_owned(),
            source_tree: Sha256::of_bytes(b"tree"),
            kind: BackendKind::Cpu,
            cmake: BTreeMap::new(),
            targets: Vec::new(),
            tools: BTreeMap::new(),
            sdk: BTreeMap::new(),
            environment: BTreeMap::new(),
            machine: "linux-x86_64".to_owned(),
        }
    }

    fn record() -> BuildRecord {
        let file = |name: &str| FileIdentity {
            name: name.to_owned(),
            bytes: 1,
            sha256: Sha256::of_bytes(name.as_bytes()),
        };
        BuildRecord {
            format: "llamark/build/v1".to_owned(),
            key: Sha256::of_bytes(b"key"),
            inputs: Some(inputs()),
            files: ["bin/llama-server", "bin/libggml.so"].map(file).to_vec(),
            server: "bin/llama-server".to_owned(),
            bench: None,
            version: String::new(),
            devices: Vec::new(),
            configure_facts: Vec::new(),
            took_ms: 1,
        }
    }

    #[test]
    fn what_lies_in_the_folder_of_the_build_is_what_was_built() {
        let mapped = |path: &str, content: Option<&str>| {
            let sha256 = content.map(|content| Sha256::of_bytes(content.as_bytes()));
            let error = sha256.is_none().then(|| "permission denied".to_owned());
            record().other_than_built(&MappedFile { path: path.to_owned(), bytes: None, sha256, error })
        };
        assert_eq!(mapped("{build}/bin/libggml.so", Some("bin/libggml.so")), None);
        assert_eq!(mapped("/usr/lib/libc.so.6", Some("whatever")), None);
        assert_eq!(mapped("/usr/lib/libold.so (deleted)", None), None);
        for (path, content, says) in [
            ("{build}/bin/libggml.so", Some("another"), "its sha256 is"),
            ("{build}/bin/libggml.so", None, "it could not be read (permission denied)"),
            ("{build}/bin/libggml.so (deleted)", None, "it was replaced while the server ran"),
            ("{build}/bin/libggml-cpu-haswell.so", Some("x"), "nothing of that name was built"),
        ] {
            let said = mapped(path, content).unwrap();
            assert!(
                said.contains(says) && said.contains("{build}/bin/lib") && !said.contains("deleted"),
                "{said}"
            );
        }
    }
}
