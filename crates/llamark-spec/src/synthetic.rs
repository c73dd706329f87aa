//! Models that are made up, as an experiment writes them: like a published one, with other dimensions, or from scratch.

use llamark_record::plan::{
    SyntheticArchitecture, SyntheticModel, SyntheticPreset, SyntheticQuant, SyntheticShape,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::defaults;
use crate::text::{Digest, FilePath};

/// A model with made-up weights, byte for byte the same everywhere: for measuring speed without real weights.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Synthetic {
    /// A published model whose dimensions it has, except those that are given here. Without one, all dimensions that
    /// have no default must be given.
    pub like: Option<SyntheticPreset>,
    /// Quantization: the mix of types that llama-quantize produces under this name.
    pub quant: SyntheticQuant,
    /// Seed of the weights. Default: `1`.
    #[schemars(range(min = 0, max = 4_294_967_295_u32), extend("default" = defaults::SYNTHETIC_SEED))]
    pub seed: Option<u32>,
    /// The tokenizer of a GGUF file, instead of a made-up one; `vocabulary` must match it.
    pub tokenizer: Option<SyntheticTokenizer>,
    /// Architecture.
    pub architecture: Option<SyntheticArchitecture>,
    /// Layers.
    #[schemars(range(min = 1, max = 512))]
    pub layers: Option<u32>,
    /// Width of the model.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub embedding: Option<u32>,
    /// Query heads.
    #[schemars(range(min = 1, max = 1024))]
    pub heads: Option<u32>,
    /// Heads of keys and values. Default without `like`: the same as `heads`.
    #[schemars(range(min = 1, max = 1024))]
    pub kv_heads: Option<u32>,
    /// Width of one head. Default without `like`: `embedding` divided by `heads`.
    #[schemars(range(min = 2, max = 4096))]
    pub head_length: Option<u32>,
    /// Width of the feed-forward layer; with experts, of one expert.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub feed_forward: Option<u32>,
    /// Tokens.
    #[schemars(range(min = 259, max = 1_048_576))]
    pub vocabulary: Option<u32>,
    /// Context length that the header states, in tokens. Default without `like`: 8192.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub context: Option<u32>,
    /// Experts.
    #[schemars(range(min = 1, max = 512))]
    pub experts: Option<u32>,
    /// Experts used for one token.
    #[schemars(range(min = 1, max = 512))]
    pub experts_used: Option<u32>,
    /// Whether the embedding table is also the output matrix. Default without `like`: `false`.
    pub tied: Option<bool>,
}

/// The tokenizer of a GGUF file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticTokenizer {
    /// Path of the file, found in the same way as a model.
    pub file: FilePath,
    /// SHA-256 of the file: it decides the bytes of the model.
    pub sha256: Digest,
}

/// What must be given without `like`.
pub(crate) const REQUIRED: [&str; 6] =
    ["architecture", "layers", "embedding", "heads", "feed_forward", "vocabulary"];

/// What an author wrote of a shape: read from the document before it is known to be right, or from [`Synthetic`].
pub(crate) struct Written<'a> {
    pub(crate) like: Option<SyntheticPreset>,
    pub(crate) architecture: Option<SyntheticArchitecture>,
    pub(crate) tied: Option<bool>,
    /// The number of a key.
    pub(crate) number: &'a dyn Fn(&str) -> Option<u32>,
}

impl Written<'_> {
    /// The shape with nothing left open. What is required and missing is 0, which no shape may be.
    pub(crate) fn shape(&self) -> SyntheticShape {
        let begin = self.begin();
        let architecture = self.architecture.unwrap_or(begin.architecture);
        let number = |key: &str, otherwise: u32| (self.number)(key).unwrap_or(otherwise);
        // An architecture without experts has none, whatever it is like.
        let experts =
            |key: &str, otherwise: u32| number(key, if architecture.has_experts() { otherwise } else { 0 });
        SyntheticShape {
            architecture,
            layers: number("layers", begin.layers),
            embedding: number("embedding", begin.embedding),
            heads: number("heads", begin.heads),
            kv_heads: number("kv_heads", begin.kv_heads),
            head_length: number("head_length", begin.head_length),
            feed_forward: number("feed_forward", begin.feed_forward),
            vocabulary: number("vocabulary", begin.vocabulary),
            context: number("context", begin.context),
            experts: experts("experts", begin.experts),
            experts_used: experts("experts_used", begin.experts_used),
            tied: self.tied.unwrap_or(begin.tied),
            rope_base: begin.rope_base,
            norm_epsilon_ppb: begin.norm_epsilon_ppb,
        }
    }

    /// What the dimensions that are left out are.
    fn begin(&self) -> SyntheticShape {
        if let Some(like) = self.like {
            return like.shape();
        }
        let architecture = self.architecture.unwrap_or(SyntheticArchitecture::Llama);
        // Bases and epsilons cost no time: those of the family.
        let family = match architecture {
            SyntheticArchitecture::Llama => SyntheticPreset::Llama3_8b,
            SyntheticArchitecture::Qwen3 | SyntheticArchitecture::Qwen3Moe => SyntheticPreset::Qwen3_8b,
        };
        let number = |key: &str| (self.number)(key).unwrap_or(0);
        let heads = number("heads");
        SyntheticShape {
            architecture,
            layers: 0,
            embedding: 0,
            heads: 0,
            kv_heads: heads,
            head_length: number("embedding").checked_div(heads).unwrap_or(0),
            feed_forward: 0,
            vocabulary: 0,
            context: defaults::SYNTHETIC_CONTEXT,
            experts: 0,
            experts_used: 0,
            tied: false,
            ..family.shape()
        }
    }
}

impl Synthetic {
    fn shape(&self) -> SyntheticShape {
        let number = |key: &str| match key {
            "layers" => self.layers,
            "embedding" => self.embedding,
            "heads" => self.heads,
            "kv_heads" => self.kv_heads,
            "head_length" => self.head_length,
            "feed_forward" => self.feed_forward,
            "vocabulary" => self.vocabulary,
            "context" => self.context,
            "experts" => self.experts,
            "experts_used" => self.experts_used,
            _ => None,
        };
        let Self { like, architecture, tied, .. } = *self;
        Written { like, architecture, tied, number: &number }.shape()
    }

    /// The model with nothing left open.
    pub(crate) fn decided(&self) -> SyntheticModel {
        use llamark_record::plan::SyntheticTokenizer as Decided;
        let tokenizer = self.tokenizer.as_ref().map_or(Decided::BuiltIn, |tokenizer| Decided::File {
            file: tokenizer.file.as_str().to_owned(),
            sha256: crate::expand::digest(&tokenizer.sha256),
        });
        SyntheticModel {
            like: self.like,
            shape: self.shape(),
            quant: self.quant,
            tokenizer,
            seed: self.seed.unwrap_or(defaults::SYNTHETIC_SEED),
        }
    }
}
