//! A model whose weights are made up: its shape, and which shapes there can be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::preset::SyntheticPreset;
use crate::Sha256;
use crate::digest::CanonicalError;

/// How the bytes of a synthetic model follow from its description. Another way to make them has another number, so that
/// a description never means two files.
pub const SYNTHETIC_FORMAT: &str = "llamark/synthetic/v1";

/// A model whose weights are made up. The same description has the same bytes everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticModel {
    /// The published model whose dimensions the author began with; absent: he gave all of them. For people: the
    /// dimensions are all in `shape`.
    pub like: Option<SyntheticPreset>,
    /// Its dimensions.
    pub shape: SyntheticShape,
    /// Its quantization.
    pub quant: SyntheticQuant,
    /// Where its tokens come from.
    pub tokenizer: SyntheticTokenizer,
    /// Seed of its weights.
    pub seed: u32,
}

/// Where the tokens of a synthetic model come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SyntheticTokenizer {
    /// Made up as well: bytes and pieces of words, as many as the vocabulary needs.
    BuiltIn,
    /// Those of a GGUF file.
    File {
        /// Its path, found as that of a model is.
        file: String,
        /// SHA-256 of the file.
        sha256: Sha256,
    },
}

/// Architectures that can be made up, by their names in llama.cpp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyntheticArchitecture {
    /// `llama`: dense.
    Llama,
    /// `qwen3`: dense, with norms of queries and keys.
    Qwen3,
    /// `qwen3moe`: as `qwen3`, with experts.
    Qwen3Moe,
}

impl SyntheticArchitecture {
    /// All that can be made.
    pub const ALL: [Self; 3] = [Self::Llama, Self::Qwen3, Self::Qwen3Moe];

    /// `general.architecture`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen3 => "qwen3",
            Self::Qwen3Moe => "qwen3moe",
        }
    }

    /// Whether its feed-forward layers are experts.
    pub fn has_experts(self) -> bool {
        self == Self::Qwen3Moe
    }

    /// Whether queries and keys have norms.
    pub fn has_head_norms(self) -> bool {
        self != Self::Llama
    }
}

/// Quantizations that can be made up: the mixes of tensor types that llama-quantize makes under these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(non_camel_case_types, missing_docs, reason = "the names are those of llama-quantize")]
pub enum SyntheticQuant {
    F32,
    F16,
    BF16,
    Q4_0,
    Q8_0,
    Q4_K_S,
    Q4_K_M,
    Q5_K_S,
    Q5_K_M,
    Q6_K,
}

impl SyntheticQuant {
    /// All that can be made.
    pub const ALL: [Self; 10] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q8_0,
        Self::Q4_K_S,
        Self::Q4_K_M,
        Self::Q5_K_S,
        Self::Q5_K_M,
        Self::Q6_K,
    ];

    /// The name, as llama-quantize takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q8_0 => "Q8_0",
            Self::Q4_K_S => "Q4_K_S",
            Self::Q4_K_M => "Q4_K_M",
            Self::Q5_K_S => "Q5_K_S",
            Self::Q5_K_M => "Q5_K_M",
            Self::Q6_K => "Q6_K",
        }
    }

    /// Whether weights are stored in blocks.
    pub fn is_blocks(self) -> bool {
        !matches!(self, Self::F32 | Self::F16 | Self::BF16)
    }
}

/// The dimensions of a synthetic model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticShape {
    /// Architecture.
    pub architecture: SyntheticArchitecture,
    /// Layers, 1 to 512.
    pub layers: u32,
    /// Width of the model.
    pub embedding: u32,
    /// Query heads.
    pub heads: u32,
    /// Heads of keys and values; divides `heads`.
    pub kv_heads: u32,
    /// Width of one head; even.
    pub head_length: u32,
    /// Width of the feed-forward layer; of one expert, where there are experts.
    pub feed_forward: u32,
    /// Tokens, at least [`SyntheticShape::LEAST_VOCABULARY`].
    pub vocabulary: u32,
    /// Context length that the header states, tokens.
    pub context: u32,
    /// Experts; 0 for a dense architecture.
    pub experts: u32,
    /// Experts used for one token; 0 for a dense architecture.
    pub experts_used: u32,
    /// Whether the embedding table serves as output matrix too.
    pub tied: bool,
    /// Base of the rotary positions.
    pub rope_base: u32,
    /// Epsilon of the norms, in parts of a billion: 10,000 is 1e-5.
    pub norm_epsilon_ppb: u32,
}

/// No model can have this shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a synthetic model cannot have {field} = {value}: {rule}")]
pub struct ImpossibleShape {
    /// Field of the shape.
    pub field: &'static str,
    /// Its value.
    pub value: u64,
    /// What it must be.
    pub rule: String,
}

/// Rows of quantized tensors are whole blocks of this many weights: the smallest block, which llama-quantize falls back to.
const BLOCK: u64 = 32;
/// Bound of every width, well above any model.
const MOST_WIDE: u32 = 1 << 20;

impl SyntheticShape {
    /// Fewest tokens: `<unk>`, `<s>`, `</s>` and the 256 bytes.
    pub const LEAST_VOCABULARY: u32 = 259;

    /// Checks that llama.cpp would load it in that quantization, and that sizes fit.
    ///
    /// # Errors
    /// The first field that is impossible, and why.
    pub fn check(&self, quant: SyntheticQuant) -> Result<(), ImpossibleShape> {
        self.check_ranges()?;
        self.check_heads()?;
        self.check_experts()?;
        let width = u64::from(self.heads) * u64::from(self.head_length);
        let rows = [
            ("embedding", u64::from(self.embedding)),
            ("head_length", width),
            ("feed_forward", u64::from(self.feed_forward)),
        ];
        for (field, row) in rows {
            if quant.is_blocks() && !row.is_multiple_of(BLOCK) {
                let rule = match field {
                    "head_length" => {
                        format!("{} needs heads × head_length to be a multiple of {BLOCK}", quant.name())
                    }
                    _ => format!("{} needs a multiple of {BLOCK}", quant.name()),
                };
                return Err(ImpossibleShape { field, value: row, rule });
            }
        }
        Ok(())
    }

    fn check_ranges(&self) -> Result<(), ImpossibleShape> {
        for (field, value, least, most) in [
            ("layers", self.layers, 1, 512),
            ("embedding", self.embedding, 1, MOST_WIDE),
            ("heads", self.heads, 1, 1024),
            ("kv_heads", self.kv_heads, 1, 1024),
            ("head_length", self.head_length, 2, 4096),
            ("feed_forward", self.feed_forward, 1, MOST_WIDE),
            ("vocabulary", self.vocabulary, Self::LEAST_VOCABULARY, MOST_WIDE),
            ("context", self.context, 1, 1 << 24),
            ("rope_base", self.rope_base, 1, u32::MAX),
            ("norm_epsilon_ppb", self.norm_epsilon_ppb, 1, 1_000_000_000),
        ] {
            if !(least..=most).contains(&value) {
                let rule = format!("it must be {least} to {most}");
                return Err(ImpossibleShape { field, value: value.into(), rule });
            }
        }
        Ok(())
    }

    fn check_heads(&self) -> Result<(), ImpossibleShape> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            let rule = format!("it must divide the {} heads", self.heads);
            return Err(ImpossibleShape { field: "kv_heads", value: self.kv_heads.into(), rule });
        }
        if !self.head_length.is_multiple_of(2) {
            let rule = "it must be even".to_owned();
            return Err(ImpossibleShape { field: "head_length", value: self.head_length.into(), rule });
        }
        Ok(())
    }

    fn check_experts(&self) -> Result<(), ImpossibleShape> {
        let allowed = if self.architecture.has_experts() { 1..=512 } else { 0..=0 };
        for (field, value) in [("experts", self.experts), ("experts_used", self.experts_used)] {
            if !allowed.contains(&value) {
                let name = self.architecture.name();
                let rule = match self.architecture.has_experts() {
                    true => format!("{name} has 1 to {}", allowed.end()),
                    false => format!("{name} has no experts"),
                };
                return Err(ImpossibleShape { field, value: value.into(), rule });
            }
        }
        if self.experts_used > self.experts {
            let rule = format!("there are {} experts", self.experts);
            return Err(ImpossibleShape { field: "experts_used", value: self.experts_used.into(), rule });
        }
        Ok(())
    }
}

/// What decides the bytes.
#[derive(Serialize)]
struct Identity<'a> {
    format: &'static str,
    shape: &'a SyntheticShape,
    quant: SyntheticQuant,
    tokenizer: Option<&'a Sha256>,
    seed: u32,
}

impl SyntheticModel {
    /// The digest of what decides its bytes. How the author came to the shape, and where the tokenizer lies, do not.
    ///
    /// # Errors
    /// Never in practice: there is no number in it that JSON cannot hold.
    pub fn identity(&self) -> Result<Sha256, CanonicalError> {
        let tokenizer = match &self.tokenizer {
            SyntheticTokenizer::BuiltIn => None,
            SyntheticTokenizer::File { sha256, .. } => Some(sha256),
        };
        let Self { shape, quant, seed, .. } = self;
        let (quant, seed) = (*quant, *seed);
        Sha256::of_canonical_json(&Identity { format: SYNTHETIC_FORMAT, shape, quant, tokenizer, seed })
    }

    /// Name of its file: `synthetic-llama-Q4_K_M.gguf`.
    pub fn file_name(&self) -> String {
        format!("synthetic-{}-{}.gguf", self.shape.architecture.name(), self.quant.name())
    }

    /// What it is, in one line: `like llama-3-70b with layers 8, Q4_K_M, seed 1`; without a preset, the dimensions.
    pub fn summary(&self) -> String {
        let rest = format!("{}, seed {}", self.quant.name(), self.seed);
        let tokenizer = match &self.tokenizer {
            SyntheticTokenizer::BuiltIn => String::new(),
            SyntheticTokenizer::File { file, .. } => format!(", tokenizer of {file}"),
        };
        let Some(preset) = self.like else {
            let all: Vec<String> =
                self.shape.dimensions().map(|(name, value)| format!("{name} {value}")).collect();
            let name = self.shape.architecture.name();
            return format!("{name} with {}, {rest}{tokenizer}", all.join(", "));
        };
        let of_preset = preset.shape();
        let mut other: Vec<String> = self
            .shape
            .dimensions()
            .zip(of_preset.dimensions())
            .filter(|(own, preset)| own != preset)
            .map(|((name, value), _)| format!("{name} {value}"))
            .collect();
        if self.shape.architecture != of_preset.architecture {
            other.insert(0, format!("architecture {}", self.shape.architecture.name()));
        }
        let other = if other.is_empty() { String::new() } else { format!(" with {}", other.join(", ")) };
        format!("like {}{other}, {rest}{tokenizer}", preset.name())
    }
}

impl SyntheticShape {
    /// Every number of it, by name.
    fn dimensions(&self) -> impl Iterator<Item = (&'static str, u32)> {
        [
            ("layers", self.layers),
            ("embedding", self.embedding),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("head_length", self.head_length),
            ("feed_forward", self.feed_forward),
            ("vocabulary", self.vocabulary),
            ("context", self.context),
            ("experts", self.experts),
            ("experts_used", self.experts_used),
            ("tied", u32::from(self.tied)),
            ("rope_base", self.rope_base),
            ("norm_epsilon_ppb", self.norm_epsilon_ppb),
        ]
        .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> SyntheticModel {
        SyntheticModel {
            like: Some(SyntheticPreset::Qwen3_30bA3b),
            shape: SyntheticPreset::Qwen3_30bA3b.shape(),
            quant: SyntheticQuant::Q4_K_M,
            tokenizer: SyntheticTokenizer::BuiltIn,
            seed: 1,
        }
    }

    #[test]
    fn the_identity_is_of_what_decides_the_bytes() {
        let one = model();
        let identity = one.identity().unwrap();
        assert_eq!(SyntheticModel { like: None, ..one.clone() }.identity().unwrap(), identity);
        let file = |file: &str, text: &[u8]| SyntheticModel {
            tokenizer: SyntheticTokenizer::File { file: file.to_owned(), sha256: Sha256::of_bytes(text) },
            ..one.clone()
        };
        let with_file = file("a.gguf", b"a").identity().unwrap();
        assert_eq!(file("b.gguf", b"a").identity().unwrap(), with_file);
        let shallow = SyntheticShape { layers: 2, ..one.shape.clone() };
        let others = [
            with_file,
            file("a.gguf", b"b").identity().unwrap(),
            SyntheticModel { seed: 2, ..one.clone() }.identity().unwrap(),
            SyntheticModel { quant: SyntheticQuant::Q8_0, ..one.clone() }.identity().unwrap(),
            SyntheticModel { shape: shallow, ..one }.identity().unwrap(),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(*other, identity, "{index}");
        }
    }

    #[test]
    fn summaries_say_what_is_other_than_the_preset() {
        let one = model();
        assert_eq!(one.summary(), "like qwen3-30b-a3b, Q4_K_M, seed 1");
        let shape = SyntheticShape { layers: 8, experts: 32, ..one.shape.clone() };
        let changed = SyntheticModel { shape, ..one.clone() };
        assert_eq!(changed.summary(), "like qwen3-30b-a3b with layers 8, experts 32, Q4_K_M, seed 1");
        let explicit = SyntheticModel { like: None, ..one }.summary();
        assert!(explicit.starts_with("qwen3moe with layers 48, embedding 2048,"), "{explicit}");
    }

    #[test]
    fn every_preset_is_possible_in_every_quantization() {
        for preset in SyntheticPreset::ALL {
            for quant in SyntheticQuant::ALL {
                assert_eq!(preset.shape().check(quant), Ok(()), "{} {}", preset.name(), quant.name());
            }
        }
    }

    #[test]
    fn names_are_those_of_the_file() {
        for preset in SyntheticPreset::ALL {
            assert_eq!(serde_json::to_value(preset).unwrap(), preset.name());
        }
        for quant in SyntheticQuant::ALL {
            assert_eq!(serde_json::to_value(quant).unwrap(), quant.name());
        }
        for architecture in SyntheticArchitecture::ALL {
            assert_eq!(serde_json::to_value(architecture).unwrap(), architecture.name());
        }
    }

    #[test]
    fn impossible_shapes_are_refused_by_field() {
        let good = SyntheticPreset::TinyMoe.shape();
        let bad = [
            ("layers", SyntheticShape { layers: 0, ..good.clone() }),
            ("embedding", SyntheticShape { embedding: 300, ..good.clone() }),
            ("embedding", SyntheticShape { embedding: u32::MAX, ..good.clone() }),
            ("kv_heads", SyntheticShape { kv_heads: 3, ..good.clone() }),
            ("head_length", SyntheticShape { head_length: 63, ..good.clone() }),
            ("head_length", SyntheticShape { heads: 2, head_length: 66, ..good.clone() }),
            ("feed_forward", SyntheticShape { feed_forward: 100, ..good.clone() }),
            ("vocabulary", SyntheticShape { vocabulary: 258, ..good.clone() }),
            ("context", SyntheticShape { context: 0, ..good.clone() }),
            ("experts", SyntheticShape { experts: 0, ..good.clone() }),
            ("experts_used", SyntheticShape { experts_used: 17, ..good.clone() }),
            ("experts", SyntheticShape { architecture: SyntheticArchitecture::Llama, ..good.clone() }),
        ];
        for (field, shape) in bad {
            let error = shape.check(SyntheticQuant::Q4_K_M).unwrap_err();
            assert_eq!(error.field, field, "{error}");
        }
        // Without blocks any row will do.
        assert_eq!(SyntheticShape { embedding: 300, ..good }.check(SyntheticQuant::F16), Ok(()));
    }
}
