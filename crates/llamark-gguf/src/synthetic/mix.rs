//! Which tensor gets which type, under each name that llama-quantize knows.
//!
//! Source: `llama_tensor_get_type_impl` and `tensor_type_fallback` of llama.cpp b11434, src/llama-quant.cpp, for the
//! architectures and names that can be made here and without an importance matrix.

use llamark_record::plan::{SyntheticArchitecture, SyntheticQuant, SyntheticShape};

use crate::tensor::TensorType;

/// What a matrix is for, as far as its type depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The embedding table.
    Embedding,
    /// The output matrix.
    Output,
    /// Keys of a layer.
    Keys,
    /// Values of a layer.
    Values(u32),
    /// The output of the attention of a layer.
    AttentionOutput,
    /// The last of the feed-forward matrices of a layer.
    Down(u32),
    /// Any other that is quantized.
    Other,
}

/// The type of a matrix with rows of that length.
pub(super) fn type_of(shape: &SyntheticShape, quant: SyntheticQuant, role: Role, row: u64) -> TensorType {
    if !quant.is_blocks() {
        return base(quant);
    }
    fallback(wanted(shape, quant, role, row), row)
}

/// `general.file_type`: `enum llama_ftype`, include/llama.h.
pub(super) fn file_type(quant: SyntheticQuant) -> u32 {
    match quant {
        SyntheticQuant::F32 => 0,
        SyntheticQuant::F16 => 1,
        SyntheticQuant::Q4_0 => 2,
        SyntheticQuant::Q8_0 => 7,
        SyntheticQuant::Q4_K_S => 14,
        SyntheticQuant::Q4_K_M => 15,
        SyntheticQuant::Q5_K_S => 16,
        SyntheticQuant::Q5_K_M => 17,
        SyntheticQuant::Q6_K => 18,
        SyntheticQuant::BF16 => 32,
    }
}

/// What most tensors get.
fn base(quant: SyntheticQuant) -> TensorType {
    match quant {
        SyntheticQuant::F32 => TensorType::F32,
        SyntheticQuant::F16 => TensorType::F16,
        SyntheticQuant::BF16 => TensorType::BF16,
        SyntheticQuant::Q4_0 => TensorType::Q4_0,
        SyntheticQuant::Q8_0 => TensorType::Q8_0,
        SyntheticQuant::Q4_K_S | SyntheticQuant::Q4_K_M => TensorType::Q4_K,
        SyntheticQuant::Q5_K_S | SyntheticQuant::Q5_K_M => TensorType::Q5_K,
        SyntheticQuant::Q6_K => TensorType::Q6_K,
    }
}

fn wanted(shape: &SyntheticShape, quant: SyntheticQuant, role: Role, row: u64) -> TensorType {
    let base = base(quant);
    let is_medium = matches!(quant, SyntheticQuant::Q4_K_M | SyntheticQuant::Q5_K_M);
    let eight_experts = shape.experts == 8;
    match role {
        Role::Output => output(base, row),
        Role::Embedding if shape.tied => output(base, row),
        Role::Values(_) | Role::Keys if eight_experts => TensorType::Q8_0,
        Role::Values(layer) => {
            let of = match quant {
                _ if is_medium && gets_more_bits(layer, shape.layers) => TensorType::Q6_K,
                SyntheticQuant::Q4_K_S if layer < 4 => TensorType::Q5_K,
                _ => base,
            };
            // Eight heads share the values of a 70B, so that more bits for them cost little.
            if is_70b(shape) && of == TensorType::Q4_K { TensorType::Q5_K } else { of }
        }
        Role::Down(layer) if is_medium && gets_more_bits(layer, shape.layers) => TensorType::Q6_K,
        Role::Down(layer) if quant == SyntheticQuant::Q4_K_S && layer < shape.layers / 8 => TensorType::Q5_K,
        Role::AttentionOutput if eight_experts && base == TensorType::Q4_K => TensorType::Q5_K,
        _ => base,
    }
}

fn output(base: TensorType, row: u64) -> TensorType {
    match base {
        TensorType::Q8_0 => TensorType::Q8_0,
        of if of.row_bytes(row).is_none() => TensorType::Q8_0,
        _ => TensorType::Q6_K,
    }
}

/// `use_more_bits`: the first and the last eighth, and every third between them.
fn gets_more_bits(layer: u32, layers: u32) -> bool {
    layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
}

/// `LLM_TYPE_70B` of src/models/llama.cpp.
fn is_70b(shape: &SyntheticShape) -> bool {
    shape.architecture == SyntheticArchitecture::Llama && shape.layers == 80 && shape.heads != shape.kv_heads
}

/// What a row that blocks of 256 do not fill gets instead.
fn fallback(of: TensorType, row: u64) -> TensorType {
    if of.row_bytes(row).is_some() {
        return of;
    }
    let smaller = match of {
        TensorType::Q4_K => TensorType::Q5_0,
        TensorType::Q5_K => TensorType::Q5_1,
        TensorType::Q6_K => TensorType::Q8_0,
        other => other,
    };
    if smaller.row_bytes(row).is_some() { smaller } else { TensorType::F16 }
}
