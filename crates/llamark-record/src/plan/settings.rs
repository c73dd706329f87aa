//! Settings of a server, in llamark's own words.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a server: all of them decided, or those that a document happens to state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Settings {
    /// Every setting has its value.
    Decided(ServerSettings),
    /// Of an imported set: what the document happens to say.
    Stated(StatedSettings),
}

/// What a document says of the settings of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatedSettings {
    /// The words of the document, as in `--no-mmap, flash-attn, q4_0 KV cache`; empty when it says nothing.
    pub text: String,
    /// The same by the name of the setting where llamark has one ([`ServerSettings::by_name`]), else as the document
    /// writes it. What is not there is unknown.
    pub by_name: BTreeMap<String, String>,
}

impl Settings {
    /// The settings, where every one is decided.
    pub fn decided(&self) -> Option<&ServerSettings> {
        match self {
            Self::Decided(settings) => Some(settings),
            Self::Stated(_) => None,
        }
    }

    /// The settings by name, as text: all of them, or those that a document states.
    pub fn by_name(&self) -> BTreeMap<String, String> {
        match self {
            Self::Decided(settings) => settings.by_name(),
            Self::Stated(stated) => stated.by_name.clone(),
        }
    }
}

/// Settings of llama-server, in llamark's own words; `llamark-bench` translates them for each version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Layers on the device.
    pub gpu_layers: GpuLayers,
    /// Flash attention on or off.
    pub flash_attn: bool,
    /// Type of the keys in the KV cache.
    pub cache_type_k: CacheType,
    /// Type of the values in the KV cache.
    pub cache_type_v: CacheType,
    /// Map the model file into memory (true) or read it into memory (false).
    pub mmap: bool,
    /// Lock the model in memory.
    pub mlock: bool,
    /// Threads for token generation.
    pub threads: u32,
    /// Threads for prompt processing.
    pub threads_batch: u32,
    /// Logical batch: maximum tokens in one call.
    pub batch: u32,
    /// Physical batch: maximum tokens computed at once.
    pub ubatch: u32,
}

impl ServerSettings {
    /// Every setting by its name in an experiment, as text.
    pub fn by_name(&self) -> BTreeMap<String, String> {
        let layers = match self.gpu_layers {
            GpuLayers::All => "all".to_owned(),
            GpuLayers::Count(count) => count.to_string(),
        };
        let named = [
            ("gpu_layers", layers),
            ("flash_attn", self.flash_attn.to_string()),
            ("cache_type_k", self.cache_type_k.name().to_owned()),
            ("cache_type_v", self.cache_type_v.name().to_owned()),
            ("mmap", self.mmap.to_string()),
            ("mlock", self.mlock.to_string()),
            ("threads", self.threads.to_string()),
            ("threads_batch", self.threads_batch.to_string()),
            ("batch", self.batch.to_string()),
            ("ubatch", self.ubatch.to_string()),
        ];
        named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// How many layers are on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GpuLayers {
    /// All of them.
    All,
    /// This many.
    Count(u32),
}

/// Element type of a KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are llama.cpp's own")]
pub enum CacheType {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q5_1,
    Q5_0,
    Q4_1,
    Q4_0,
    Iq4Nl,
}

impl CacheType {
    /// llama.cpp's name, as in `--cache-type-k`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q5_1 => "q5_1",
            Self::Q5_0 => "q5_0",
            Self::Q4_1 => "q4_1",
            Self::Q4_0 => "q4_0",
            Self::Iq4Nl => "iq4_nl",
        }
    }
}
