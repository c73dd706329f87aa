//! What a build is made of and what came out of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::model::FileIdentity;
use crate::plan::BackendKind;

/// Everything that decides the bytes of a build. The build key is the digest of its canonical JSON: same key,
/// no work; different key, nothing shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildInputs {
    /// Version of this very structure; part of the key, so that a new meaning never meets an old entry.
    pub format: String,
    /// Digest of the source tree (`tree1`, see `llamark-fetch`).
    pub source_tree: Sha256,
    /// Which backend.
    pub kind: BackendKind,
    /// Every CMake variable that is set, ours and the author's.
    pub cmake: BTreeMap<String, String>,
    /// Targets that are compiled.
    pub targets: Vec<String>,
    /// Tools by name: what `--version` printed first, and where it matters the target triple.
    pub tools: BTreeMap<String, String>,
    /// Facts of the SDK: glslc features, CUDA, ROCm and Vulkan versions.
    pub sdk: BTreeMap<String, String>,
    /// The variables of the environment that reach the compiler.
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
    /// Path of `llama-bench` inside the build's folder, where there is one.
    pub bench: Option<String>,
    /// What `llama-server --version` printed.
    pub version: String,
    /// What `llama-server --list-devices` printed, one device a line, `Vulkan0: ...`.
    pub devices: Vec<String>,
    /// Lines of the configure log of the form "Including X backend" and feature probes.
    pub configure_facts: Vec<String>,
    /// Milliseconds that configure and compile took when the build was made.
    pub took_ms: u64,
}

impl BuildRecord {
    /// Path of a program that lies beside `llama-server`, inside the build's folder, where it is there.
    pub fn beside_server(&self, program: &str) -> Option<&str> {
        let folder = self.server.strip_suffix("llama-server")?;
        let is_it = |name: &str| name.strip_prefix(folder).is_some_and(|rest| rest == program);
        self.files.iter().map(|file| file.name.as_str()).find(|name| is_it(name))
    }
}
