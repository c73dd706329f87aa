//! From the shape of a synthetic model to its tensors.

use llamark_record::plan::{SyntheticQuant, SyntheticShape};

use crate::encode::ALIGNMENT;
use crate::synthetic::mix::{self, Role};
use crate::tensor::TensorType;

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
pub(super) fn tensors(shape: &SyntheticShape, quant: SyntheticQuant) -> Vec<Planned> {
    let matrix = |name: &str, dimensions: &[u64], role: Role| {
        planned(name, dimensions, mix::type_of(shape, quant, role, dimensions[0]), Values::Random)
    };
    let (embedding, vocabulary) = (u64::from(shape.embedding), u64::from(shape.vocabulary));
    let mut tensors = vec![
        matrix("token_embd.weight", &[embedding, vocabulary], Role::Embedding),
        norm("output_norm.weight", embedding),
    ];
    if !shape.tied {
        tensors.push(matrix("output.weight", &[embedding, vocabulary], Role::Output));
    }
    for layer in 0..shape.layers {
        layer_tensors(shape, layer, &matrix, &mut tensors);
    }
    tensors
}

/// The tensors of one layer.
fn layer_tensors(
    shape: &SyntheticShape,
    layer: u32,
    matrix: &dyn Fn(&str, &[u64], Role) -> Planned,
    tensors: &mut Vec<Planned>,
) {
    let [embedding, heads, kv_heads, head, feed_forward, experts] =
        [shape.embedding, shape.heads, shape.kv_heads, shape.head_length, shape.feed_forward, shape.experts]
            .map(u64::from);
    let name = |name: &str| format!("blk.{layer}.{name}.weight");
    tensors.push(norm(&name("attn_norm"), embedding));
    tensors.push(norm(&name("ffn_norm"), embedding));
    if shape.architecture.has_head_norms() {
        tensors.push(norm(&name("attn_q_norm"), head));
        tensors.push(norm(&name("attn_k_norm"), head));
    }
    tensors.push(matrix(&name("attn_q"), &[embedding, heads * head], Role::Other));
    tensors.push(matrix(&name("attn_k"), &[embedding, kv_heads * head], Role::Keys));
    tensors.push(matrix(&name("attn_v"), &[embedding, kv_heads * head], Role::Values(layer)));
    tensors.push(matrix(&name("attn_output"), &[heads * head, embedding], Role::AttentionOutput));
    let down = Role::Down(layer);
    if shape.architecture.has_experts() {
        // Routers are never quantized.
        let router = [embedding, experts];
        tensors.push(planned(&name("ffn_gate_inp"), &router, TensorType::F32, Values::Random));
        tensors.push(matrix(&name("ffn_gate_exps"), &[embedding, feed_forward, experts], Role::Other));
        tensors.push(matrix(&name("ffn_up_exps"), &[embedding, feed_forward, experts], Role::Other));
        tensors.push(matrix(&name("ffn_down_exps"), &[feed_forward, embedding, experts], down));
    } else {
        tensors.push(matrix(&name("ffn_gate"), &[embedding, feed_forward], Role::Other));
        tensors.push(matrix(&name("ffn_up"), &[embedding, feed_forward], Role::Other));
        tensors.push(matrix(&name("ffn_down"), &[feed_forward, embedding], down));
    }
}

fn norm(name: &str, width: u64) -> Planned {
    planned(name, &[width], TensorType::F32, Values::Ones)
}

fn planned(name: &str, dimensions: &[u64], tensor_type: TensorType, values: Values) -> Planned {
    let rows: u64 = dimensions.iter().skip(1).product();
    // Rows are whole blocks and every factor is bounded: the shape was checked.
    let bytes = rows * tensor_type.row_bytes(dimensions[0]).unwrap_or(0);
    Planned { name: name.to_owned(), dimensions: dimensions.to_vec(), tensor_type, bytes, values }
}
