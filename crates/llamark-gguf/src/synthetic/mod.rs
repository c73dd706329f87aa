//! Models of a given shape with made-up weights, byte for byte the same everywhere.
//!
//! For measuring speed where no model can be had: the speed of llama.cpp depends on shapes and types, not on what the
//! weights say. Weights are random with the variance that keeps activations near one, so nothing overflows; the text
//! is nonsense. Every byte is a function of shape, seed and position alone: integers, and floats only through
//! operations that IEEE 754 fixes.

mod shape;
mod vocabulary;
mod weights;

use std::io::Write;

use camino::Utf8Path;

pub use shape::{Architecture, SyntheticQuant, SyntheticShape};

use crate::encode::{ALIGNMENT, Encoder};
use crate::error::GgufError;
use shape::{Planned, tensors};
use weights::Generator;

/// Size of the file of a shape, bytes. The seed does not change it.
///
/// # Errors
///
/// [`GgufError::Shape`] for a shape that no model can have.
pub fn synthetic_bytes(shape: &SyntheticShape) -> Result<u64, GgufError> {
    let (header, planned) = layout(shape)?;
    Ok(header.len() as u64 + planned.iter().map(Planned::padded_bytes).sum::<u64>())
}

/// Writes a synthetic model to `path` and gives its size in bytes. Memory stays at a few MiB whatever the size.
///
/// The file appears as it is written: give a temporary name and rename it when this returns. It is synced to disk.
///
/// # Errors
///
/// [`GgufError::Shape`] for a shape that no model can have, [`GgufError::Write`] when the file cannot be written.
pub fn write_synthetic(shape: &SyntheticShape, seed: u64, path: &Utf8Path) -> Result<u64, GgufError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "streams gigabytes under a temporary name; the caller renames the finished file"
    )]
    let file = fs_err::File::create(path);
    let failed = |source| GgufError::Write { path: path.to_owned(), source };
    let mut file = file.map_err(failed)?;
    let written = write_to(shape, seed, &mut file, path)?;
    file.sync_all().map_err(failed)?;
    Ok(written)
}

/// As [`write_synthetic`], to any destination. Writes in pieces of up to 1 MiB, so no buffer is needed.
///
/// # Errors
///
/// As [`write_synthetic`].
pub fn write_synthetic_to(shape: &SyntheticShape, seed: u64, out: &mut impl Write) -> Result<u64, GgufError> {
    write_to(shape, seed, out, Utf8Path::new("(stream)"))
}

fn write_to(
    shape: &SyntheticShape,
    seed: u64,
    out: &mut impl Write,
    path: &Utf8Path,
) -> Result<u64, GgufError> {
    let failed = |source| GgufError::Write { path: path.to_owned(), source };
    let (header, planned) = layout(shape)?;
    out.write_all(&header).map_err(failed)?;
    let mut written = header.len() as u64;
    for (index, tensor) in planned.iter().enumerate() {
        Generator::new(seed, index as u64).write(tensor, out).map_err(failed)?;
        let padding = tensor.padded_bytes() - tensor.bytes;
        out.write_all(&[0; ALIGNMENT as usize][..padding as usize]).map_err(failed)?;
        written += tensor.padded_bytes();
    }
    out.flush().map_err(failed)?;
    Ok(written)
}

/// The header, and the tensors in the order of their data.
fn layout(shape: &SyntheticShape) -> Result<(Vec<u8>, Vec<Planned>), GgufError> {
    shape.check()?;
    let planned = tensors(shape);
    let mut encoder = Encoder::new();
    let architecture = shape.architecture.name();
    encoder.string("general.architecture", architecture);
    encoder.string("general.name", &format!("synthetic {architecture}"));
    encoder.u32("general.file_type", shape.quant.file_type());
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
    encoder.f32(&of_architecture("attention.layer_norm_rms_epsilon"), 1e-5);
    encoder.f32(&of_architecture("rope.freq_base"), 10_000.0);
    if shape.architecture.has_experts() {
        encoder.u32(&of_architecture("expert_count"), shape.experts);
        encoder.u32(&of_architecture("expert_used_count"), shape.experts_used);
        encoder.u32(&of_architecture("expert_feed_forward_length"), shape.feed_forward);
    }
    vocabulary::write(&mut encoder, shape.vocabulary);
    for tensor in &planned {
        encoder.tensor(&tensor.name, &tensor.dimensions, tensor.tensor_type, tensor.bytes);
    }
    Ok((encoder.finish(), planned))
}

#[cfg(test)]
mod tests;
