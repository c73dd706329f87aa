//! Models of a given shape with made-up weights, byte for byte the same everywhere.
//!
//! For measuring speed where no model is available: the speed of llama.cpp depends on shapes and types, not on what
//! the weights say. Weights are random with the variance that keeps activations near one, so nothing overflows; the
//! text is nonsense. Every byte is a function of shape, quantization, tokenizer, seed and position alone: integers,
//! and floats only through operations that IEEE 754 fixes. So it does not matter how many threads make them, or in
//! which order.

mod mix;
mod shape;
mod vocabulary;
mod weights;
mod write;

use camino::Utf8Path;
use llamark_record::plan::{SYNTHETIC_FORMAT, SyntheticModel, SyntheticTokenizer};

use crate::encode::Encoder;
use crate::error::GgufError;
use crate::header::SYNTHETIC_KEY;
use crate::parse::tokenizer_keys;
use shape::{Planned, tensors};

/// A synthetic model, ready to be written.
#[derive(Debug)]
pub struct Synthetic {
    header: Vec<u8>,
    tensors: Vec<Planned>,
    seed: u64,
}

impl Synthetic {
    /// The model of that description. `tokenizer` is the file that it takes its tokenizer from, where it names one; it
    /// must have been checked to be that.
    ///
    /// # Errors
    ///
    /// [`GgufError::Shape`] for a shape that no model can have; otherwise what is wrong with the tokenizer.
    pub fn new(model: &SyntheticModel, tokenizer: Option<&Utf8Path>) -> Result<Self, GgufError> {
        model.shape.check(model.quant)?;
        let tensors = tensors(&model.shape, model.quant);
        let mut encoder = Encoder::new();
        describe(&mut encoder, model);
        match (&model.tokenizer, tokenizer) {
            (SyntheticTokenizer::BuiltIn, _) => vocabulary::write(&mut encoder, model.shape.vocabulary),
            (SyntheticTokenizer::File { .. }, Some(path)) => {
                copy_tokenizer(&mut encoder, path, model.shape.vocabulary)?;
            }
            (SyntheticTokenizer::File { file, .. }, None) => {
                let reason = "it is not available";
                return Err(GgufError::NoTokenizer { path: file.into(), reason });
            }
        }
        for tensor in &tensors {
            encoder.tensor(&tensor.name, &tensor.dimensions, tensor.tensor_type, tensor.bytes);
        }
        Ok(Self { header: encoder.finish(), tensors, seed: model.seed.into() })
    }

    /// Size of the file, bytes. The seed does not change it.
    pub fn bytes(&self) -> u64 {
        self.header.len() as u64 + self.tensors.iter().map(Planned::padded_bytes).sum::<u64>()
    }
}

/// The keys that say what the model is.
fn describe(encoder: &mut Encoder, model: &SyntheticModel) {
    let shape = &model.shape;
    let architecture = shape.architecture.name();
    encoder.string("general.architecture", architecture);
    encoder.string("general.name", &format!("synthetic {architecture}"));
    encoder.string(SYNTHETIC_KEY, SYNTHETIC_FORMAT);
    encoder.u32("general.file_type", mix::file_type(model.quant));
    encoder.u32("general.quantization_version", 2);
    let of_architecture = |key: &str| format!("{architecture}.{key}");
    for (key, value) in [
        ("vocab_size", shape.vocabulary),
        ("context_length", shape.context),
        ("embedding_length", shape.embedding),
        ("block_count", shape.layers),
        ("feed_forward_length", shape.feed_forward),
        ("attention.head_count", shape.heads),
        ("attention.head_count_kv", shape.kv_heads),
        ("attention.key_length", shape.head_length),
        ("attention.value_length", shape.head_length),
        ("rope.dimension_count", shape.head_length),
    ] {
        encoder.u32(&of_architecture(key), value);
    }
    // A whole number over a power of ten, each exact as f64, and rounded once: the f32 nearest to 1e-5 from 10,000.
    let epsilon = f64::from(shape.norm_epsilon_ppb) / 1e9;
    encoder.f32(&of_architecture("attention.layer_norm_rms_epsilon"), epsilon as f32);
    encoder.f32(&of_architecture("rope.freq_base"), shape.rope_base as f32);
    if shape.architecture.has_experts() {
        encoder.u32(&of_architecture("expert_count"), shape.experts);
        encoder.u32(&of_architecture("expert_used_count"), shape.experts_used);
        encoder.u32(&of_architecture("expert_feed_forward_length"), shape.feed_forward);
    }
}

/// Takes over every key of a tokenizer, byte for byte.
fn copy_tokenizer(encoder: &mut Encoder, path: &Utf8Path, vocabulary: u32) -> Result<(), GgufError> {
    let (header, keys) = tokenizer_keys(path)?;
    let refuse = |reason| Err(GgufError::NoTokenizer { path: path.to_owned(), reason });
    if header.big_endian {
        return refuse("it is from a machine with the other byte order");
    }
    let Some(tokens) = header.get("tokenizer.ggml.tokens").and_then(|tokens| tokens.as_array()) else {
        return refuse("it has no tokens");
    };
    if tokens.length != u64::from(vocabulary) {
        let (path, found) = (path.to_owned(), tokens.length);
        return Err(GgufError::Vocabulary { path, found, expected: vocabulary });
    }
    for (key, value) in keys {
        encoder.copied(&key, &value);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
