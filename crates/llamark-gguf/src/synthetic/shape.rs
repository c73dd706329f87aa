//! The shape of a synthetic model: what it may be, and which tensors follow.

use std::str::FromStr;

use crate::encode::ALIGNMENT;
use crate::error::GgufError;
use crate::synthetic::vocabulary;
use crate::tensor::TensorType;

/// Architectures that can be made, by their names in llama.cpp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// `llama`: dense.
    Llama,
    /// `qwen3`: dense, with norms of queries and keys.
    Qwen3,
    /// `qwen3moe`: as `qwen3`, with experts.
    Qwen3Moe,
}

impl Architecture {
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

    fn has_head_norms(self) -> bool {
        self != Self::Llama
    }
}

impl FromStr for Architecture {
    type Err = ();

    /// The architecture of a name; nothing to say about others than that they are not in [`Architecture::ALL`].
    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|architecture| architecture.name() == name).ok_or(())
    }
}

/// The type of all matrices. Norms and routers are always F32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of llama.cpp's types")]
pub enum SyntheticQuant {
    F32,
    F16,
    Q4_0,
    Q8_0,
    Q4K,
    Q6K,
}

impl SyntheticQuant {
    /// All that can be made.
    pub const ALL: [Self; 6] = [Self::F32, Self::F16, Self::Q4_0, Self::Q8_0, Self::Q4K, Self::Q6K];

    /// Type of the tensors.
    pub fn tensor_type(self) -> TensorType {
        match self {
            Self::F32 => TensorType::F32,
            Self::F16 => TensorType::F16,
            Self::Q4_0 => TensorType::Q4_0,
            Self::Q8_0 => TensorType::Q8_0,
            Self::Q4K => TensorType::Q4_K,
            Self::Q6K => TensorType::Q6_K,
        }
    }

    /// `general.file_type`. Q4_K is nearest to `Q4_K_S`.
    pub(super) fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 7,
            Self::Q4K => 14,
            Self::Q6K => 18,
        }
    }
}

impl FromStr for SyntheticQuant {
    type Err = ();

    /// The quantization of a type's name, as `Q4_K`.
    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|quant| quant.tensor_type().name() == name).ok_or(())
    }
}

/// What a synthetic model is like. Output and embedding tables are separate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntheticShape {
    /// Architecture.
    pub architecture: Architecture,
    /// Layers, 1 to 512.
    pub layers: u32,
    /// Width of the model; a multiple of the block of the quantization.
    pub embedding: u32,
    /// Query heads.
    pub heads: u32,
    /// Heads of keys and values; divides `heads`.
    pub kv_heads: u32,
    /// Width of one head; even. `heads` × `head_length` is a multiple of the block.
    pub head_length: u32,
    /// Width of the feed-forward layer, of one expert where there are experts; a multiple of the block.
    pub feed_forward: u32,
    /// Tokens, at least 259: three special ones and the 256 bytes.
    pub vocabulary: u32,
    /// Context length that the header states, tokens.
    pub context: u32,
    /// Experts; 0 for a dense architecture.
    pub experts: u32,
    /// Experts used for one token; 0 for a dense architecture.
    pub experts_used: u32,
    /// Type of the matrices.
    pub quant: SyntheticQuant,
}

/// Bounds of every field, well above any model.
const MOST_WIDE: u32 = 1 << 20;

impl SyntheticShape {
    /// Checks that llama.cpp would load it and that sizes fit.
    pub(super) fn check(&self) -> Result<(), GgufError> {
        let refuse = |field, value: u64, rule: String| Err(GgufError::Shape { field, value, rule });
        for (field, value, least, most) in [
            ("layers", self.layers, 1, 512),
            ("embedding", self.embedding, 1, MOST_WIDE),
            ("heads", self.heads, 1, 1024),
            ("kv_heads", self.kv_heads, 1, 1024),
            ("head_length", self.head_length, 2, 4096),
            ("feed_forward", self.feed_forward, 1, MOST_WIDE),
            ("vocabulary", self.vocabulary, vocabulary::LEAST, MOST_WIDE),
            ("context", self.context, 1, 1 << 24),
        ] {
            if !(least..=most).contains(&value) {
                return refuse(field, value.into(), format!("it must be {least} to {most}"));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return refuse(
                "kv_heads",
                self.kv_heads.into(),
                format!("it must divide the {} heads", self.heads),
            );
        }
        if !self.head_length.is_multiple_of(2) {
            return refuse("head_length", self.head_length.into(), "it must be even".to_owned());
        }
        let block = self.quant.tensor_type().layout().map_or(1, |layout| layout.elements);
        let width = u64::from(self.heads) * u64::from(self.head_length);
        for (field, value) in [
            ("embedding", u64::from(self.embedding)),
            ("heads × head_length", width),
            ("feed_forward", u64::from(self.feed_forward)),
        ] {
            if !value.is_multiple_of(block) {
                let name = self.quant.tensor_type().name();
                return refuse(field, value, format!("{name} needs a multiple of {block}"));
            }
        }
        let experts = if self.architecture.has_experts() { 1..=512 } else { 0..=0 };
        for (field, value) in [("experts", self.experts), ("experts_used", self.experts_used)] {
            if !experts.contains(&value) {
                let name = self.architecture.name();
                return refuse(
                    field,
                    value.into(),
                    format!("{name} has {} to {}", experts.start(), experts.end()),
                );
            }
        }
        if self.experts_used > self.experts {
            return refuse(
                "experts_used",
                self.experts_used.into(),
                format!("there are {} experts", self.experts),
            );
        }
        Ok(())
    }
}

/// How the values of a tensor are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// All one, as norms.
    Ones,
    /// Random, with the variance 1/row.
    Random,
}

/// A tensor to be written.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) dimensions: Vec<u64>,
    pub(super) tensor_type: TensorType,
    pub(super) bytes: u64,
    pub(super) values: Values,
}

impl Planned {
    pub(super) fn padded_bytes(&self) -> u64 {
        self.bytes.next_multiple_of(ALIGNMENT)
    }
}

/// Every tensor of a shape that was checked, in the order of the file.
pub(super) fn tensors(shape: &SyntheticShape) -> Vec<Planned> {
    let quant = shape.quant.tensor_type();
    let [embedding, heads, kv_heads, head, feed_forward, vocabulary, experts] = [
        shape.embedding,
        shape.heads,
        shape.kv_heads,
        shape.head_length,
        shape.feed_forward,
        shape.vocabulary,
        shape.experts,
    ]
    .map(u64::from);
    let mut planned = vec![
        planned_tensor("token_embd.weight", &[embedding, vocabulary], quant, Values::Random),
        planned_tensor("output_norm.weight", &[embedding], TensorType::F32, Values::Ones),
        planned_tensor("output.weight", &[embedding, vocabulary], quant, Values::Random),
    ];
    for layer in 0..shape.layers {
        let mut norm = |name: &str, width: u64| {
            let name = format!("blk.{layer}.{name}.weight");
            planned.push(planned_tensor(&name, &[width], TensorType::F32, Values::Ones));
        };
        norm("attn_norm", embedding);
        norm("ffn_norm", embedding);
        if shape.architecture.has_head_norms() {
            norm("attn_q_norm", head);
            norm("attn_k_norm", head);
        }
        let mut matrix = |name: &str, dimensions: &[u64], of: TensorType| {
            let name = format!("blk.{layer}.{name}.weight");
            planned.push(planned_tensor(&name, dimensions, of, Values::Random));
        };
        matrix("attn_q", &[embedding, heads * head], quant);
        matrix("attn_k", &[embedding, kv_heads * head], quant);
        matrix("attn_v", &[embedding, kv_heads * head], quant);
        matrix("attn_output", &[heads * head, embedding], quant);
        if shape.architecture.has_experts() {
            matrix("ffn_gate_inp", &[embedding, experts], TensorType::F32);
            matrix("ffn_gate_exps", &[embedding, feed_forward, experts], quant);
            matrix("ffn_up_exps", &[embedding, feed_forward, experts], quant);
            matrix("ffn_down_exps", &[feed_forward, embedding, experts], quant);
        } else {
            matrix("ffn_gate", &[embedding, feed_forward], quant);
            matrix("ffn_up", &[embedding, feed_forward], quant);
            matrix("ffn_down", &[feed_forward, embedding], quant);
        }
    }
    planned
}

fn planned_tensor(name: &str, dimensions: &[u64], tensor_type: TensorType, values: Values) -> Planned {
    let rows: u64 = dimensions.iter().skip(1).product();
    // Rows are whole blocks and every factor is bounded: `check` saw to both.
    let bytes = rows * tensor_type.row_bytes(dimensions[0]).unwrap_or(0);
    Planned { name: name.to_owned(), dimensions: dimensions.to_vec(), tensor_type, bytes, values }
}
