//! Shapes of published models, for synthetic ones like them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::synthetic::{SyntheticArchitecture, SyntheticShape};

/// Published models whose dimensions are known here. Source of each: the `config.json` that its publisher put next to
/// the weights, in the repository named. Factors of scaled rotary positions (Llama 3.1 and later) are left out: a few
/// dozen numbers that cost no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SyntheticPreset {
    /// Like no model: 2 layers of `llama`, for tests. A few MiB.
    Tiny,
    /// Like no model: 2 layers of `qwen3moe` with 4 of 16 experts, for tests.
    TinyMoe,
    /// HuggingFaceTB/SmolLM2-135M.
    #[serde(rename = "smollm2-135m")]
    Smollm2_135m,
    /// meta-llama/Llama-3.2-1B.
    #[serde(rename = "llama-3.2-1b")]
    Llama32_1b,
    /// meta-llama/Llama-3.2-3B.
    #[serde(rename = "llama-3.2-3b")]
    Llama32_3b,
    /// meta-llama/Meta-Llama-3-8B.
    #[serde(rename = "llama-3-8b")]
    Llama3_8b,
    /// meta-llama/Meta-Llama-3-70B.
    #[serde(rename = "llama-3-70b")]
    Llama3_70b,
    /// Qwen/Qwen3-0.6B.
    #[serde(rename = "qwen3-0.6b")]
    Qwen3_600m,
    /// Qwen/Qwen3-4B.
    #[serde(rename = "qwen3-4b")]
    Qwen3_4b,
    /// Qwen/Qwen3-8B.
    #[serde(rename = "qwen3-8b")]
    Qwen3_8b,
    /// Qwen/Qwen3-14B.
    #[serde(rename = "qwen3-14b")]
    Qwen3_14b,
    /// Qwen/Qwen3-32B.
    #[serde(rename = "qwen3-32b")]
    Qwen3_32b,
    /// Qwen/Qwen3-30B-A3B.
    #[serde(rename = "qwen3-30b-a3b")]
    Qwen3_30bA3b,
    /// Qwen/Qwen3-235B-A22B.
    #[serde(rename = "qwen3-235b-a22b")]
    Qwen3_235bA22b,
}

/// Of Llama 3: base of the rotary positions 500,000, epsilon 1e-5.
const LLAMA_3: SyntheticShape = SyntheticShape {
    architecture: SyntheticArchitecture::Llama,
    layers: 32,
    embedding: 4096,
    heads: 32,
    kv_heads: 8,
    head_length: 128,
    feed_forward: 14336,
    vocabulary: 128_256,
    context: 8192,
    experts: 0,
    experts_used: 0,
    tied: false,
    rope_base: 500_000,
    norm_epsilon_ppb: 10_000,
};

/// Of Qwen3: base 1,000,000, epsilon 1e-6, heads of 128 whatever the width.
const QWEN_3: SyntheticShape = SyntheticShape {
    architecture: SyntheticArchitecture::Qwen3,
    layers: 36,
    embedding: 4096,
    heads: 32,
    kv_heads: 8,
    head_length: 128,
    feed_forward: 12288,
    vocabulary: 151_936,
    context: 40_960,
    experts: 0,
    experts_used: 0,
    tied: false,
    rope_base: 1_000_000,
    norm_epsilon_ppb: 1_000,
};

/// Of its mixtures of experts: 8 of 128.
const QWEN_3_MOE: SyntheticShape = SyntheticShape {
    architecture: SyntheticArchitecture::Qwen3Moe,
    kv_heads: 4,
    experts: 128,
    experts_used: 8,
    ..QWEN_3
};

/// Small enough for a test.
const TINY: SyntheticShape = SyntheticShape {
    layers: 2,
    embedding: 256,
    heads: 4,
    kv_heads: 2,
    head_length: 64,
    feed_forward: 512,
    vocabulary: 1024,
    context: 4096,
    ..LLAMA_3
};

impl SyntheticPreset {
    /// Every one.
    pub const ALL: [Self; 14] = [
        Self::Tiny,
        Self::TinyMoe,
        Self::Smollm2_135m,
        Self::Llama32_1b,
        Self::Llama32_3b,
        Self::Llama3_8b,
        Self::Llama3_70b,
        Self::Qwen3_600m,
        Self::Qwen3_4b,
        Self::Qwen3_8b,
        Self::Qwen3_14b,
        Self::Qwen3_32b,
        Self::Qwen3_30bA3b,
        Self::Qwen3_235bA22b,
    ];

    /// The name, as in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::TinyMoe => "tiny-moe",
            Self::Smollm2_135m => "smollm2-135m",
            Self::Llama32_1b => "llama-3.2-1b",
            Self::Llama32_3b => "llama-3.2-3b",
            Self::Llama3_8b => "llama-3-8b",
            Self::Llama3_70b => "llama-3-70b",
            Self::Qwen3_600m => "qwen3-0.6b",
            Self::Qwen3_4b => "qwen3-4b",
            Self::Qwen3_8b => "qwen3-8b",
            Self::Qwen3_14b => "qwen3-14b",
            Self::Qwen3_32b => "qwen3-32b",
            Self::Qwen3_30bA3b => "qwen3-30b-a3b",
            Self::Qwen3_235bA22b => "qwen3-235b-a22b",
        }
    }

    /// Its dimensions.
    pub fn shape(self) -> SyntheticShape {
        match self {
            Self::Tiny => TINY,
            Self::TinyMoe => SyntheticShape {
                architecture: SyntheticArchitecture::Qwen3Moe,
                experts: 16,
                experts_used: 4,
                rope_base: 1_000_000,
                norm_epsilon_ppb: 1_000,
                ..TINY
            },
            Self::Smollm2_135m => SyntheticShape {
                layers: 30,
                embedding: 576,
                heads: 9,
                kv_heads: 3,
                head_length: 64,
                feed_forward: 1536,
                vocabulary: 49_152,
                tied: true,
                rope_base: 100_000,
                ..LLAMA_3
            },
            Self::Llama32_1b => SyntheticShape {
                layers: 16,
                embedding: 2048,
                head_length: 64,
                feed_forward: 8192,
                context: 131_072,
                tied: true,
                ..LLAMA_3
            },
            Self::Llama32_3b => SyntheticShape {
                layers: 28,
                embedding: 3072,
                heads: 24,
                feed_forward: 8192,
                context: 131_072,
                tied: true,
                ..LLAMA_3
            },
            Self::Llama3_8b => LLAMA_3,
            Self::Llama3_70b => {
                SyntheticShape { layers: 80, embedding: 8192, heads: 64, feed_forward: 28672, ..LLAMA_3 }
            }
            Self::Qwen3_600m => SyntheticShape {
                layers: 28,
                embedding: 1024,
                heads: 16,
                feed_forward: 3072,
                tied: true,
                ..QWEN_3
            },
            Self::Qwen3_4b => SyntheticShape { embedding: 2560, feed_forward: 9728, tied: true, ..QWEN_3 },
            Self::Qwen3_8b => QWEN_3,
            Self::Qwen3_14b => {
                SyntheticShape { layers: 40, embedding: 5120, heads: 40, feed_forward: 17408, ..QWEN_3 }
            }
            Self::Qwen3_32b => {
                SyntheticShape { layers: 64, embedding: 5120, heads: 64, feed_forward: 25600, ..QWEN_3 }
            }
            Self::Qwen3_30bA3b => {
                SyntheticShape { layers: 48, embedding: 2048, feed_forward: 768, ..QWEN_3_MOE }
            }
            Self::Qwen3_235bA22b => {
                SyntheticShape { layers: 94, heads: 64, feed_forward: 1536, ..QWEN_3_MOE }
            }
        }
    }
}
