//! Synthetic models are what they say, the same everywhere, and hold no number that is not one.

use std::io::Cursor;

use llamark_record::Sha256;

use super::*;
use crate::parse::parse;
use crate::tensor::TensorType;

fn tiny(architecture: Architecture, quant: SyntheticQuant) -> SyntheticShape {
    let experts = if architecture.has_experts() { (4, 2) } else { (0, 0) };
    SyntheticShape {
        architecture,
        layers: 2,
        embedding: 256,
        heads: 4,
        kv_heads: 2,
        head_length: 64,
        feed_forward: 512,
        vocabulary: 300,
        context: 1024,
        experts: experts.0,
        experts_used: experts.1,
        quant,
    }
}

fn bytes_of(shape: &SyntheticShape, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = write_synthetic_to(shape, seed, &mut bytes).unwrap();
    assert_eq!(written, bytes.len() as u64);
    bytes
}

#[test]
fn the_header_says_what_the_shape_does() {
    for architecture in Architecture::ALL {
        for quant in SyntheticQuant::ALL {
            let shape = tiny(architecture, quant);
            let bytes = bytes_of(&shape, 1);
            assert_eq!(bytes.len() as u64, synthetic_bytes(&shape).unwrap());
            let header = parse(Utf8Path::new("tiny.gguf"), Cursor::new(&bytes), bytes.len() as u64).unwrap();
            let facts = header.facts();
            assert_eq!(facts.architecture, architecture.name());
            assert_eq!(
                (facts.layers, facts.vocabulary, facts.context_length),
                (Some(2), Some(300), Some(1024))
            );
            assert_eq!(facts.kv_bytes_per_position, Some(2 * 2 * 128 * 2));
            assert_eq!(facts.experts.is_some(), architecture.has_experts());
            let experts = u64::from(shape.experts.max(1));
            let attention = 2 * (256 * 256) + 2 * (256 * 128);
            let router = if architecture.has_experts() { 256 * 4 } else { 0 };
            let norms = if architecture == Architecture::Llama { 512 } else { 512 + 128 };
            let layer = attention + experts * 3 * 256 * 512 + router + norms;
            assert_eq!(facts.parameters, 2 * 256 * 300 + 256 + 2 * layer);
            assert!(facts.bytes_by_type.contains_key(&quant.tensor_type().name()));
            let quant_name = quant.tensor_type().name();
            let claims = crate::contradictions(&facts, bytes.len() as u64, &quant_name, "", "");
            assert_eq!(claims, Vec::<String>::new());
        }
    }
}

#[test]
fn the_same_bytes_everywhere() {
    // These digests are a promise: a model named by shape and seed has them on every machine and in every release.
    let digests: Vec<String> = [
        (Architecture::Llama, SyntheticQuant::F32),
        (Architecture::Llama, SyntheticQuant::F16),
        (Architecture::Llama, SyntheticQuant::Q4_0),
        (Architecture::Llama, SyntheticQuant::Q8_0),
        (Architecture::Qwen3, SyntheticQuant::Q4K),
        (Architecture::Qwen3Moe, SyntheticQuant::Q6K),
    ]
    .into_iter()
    .map(|(architecture, quant)| {
        Sha256::of_bytes(&bytes_of(&tiny(architecture, quant), 42)).as_str().to_owned()
    })
    .collect();
    assert_eq!(
        digests,
        [
            "a6519fa6746ff2b31ec0a4c59e6f26fb804a18fecfc0fac737b87fdaf2a0e4f9",
            "adc1c5da3b40a1ce0e70c87f83b198671699c46ffef960351e8b5d71effd3000",
            "4f1f2f7f0115ed753f1249bbfdaae8a538b058792b81f18c713707a89ee30826",
            "83c913584fa717ae8f0ddd7e645932783f4895f139a7f6a2f485576c65897419",
            "8556b1de34066d21a355c8063c41a964de1eaba0653fb45c66c56b06cfe51e7d",
            "255c69314dcf643db3e15cc38d6219c137b7d4d2490e2d9929629ad7d2971b7c"
        ]
    );
}

#[test]
fn the_seed_changes_weights_and_nothing_else() {
    let shape = tiny(Architecture::Llama, SyntheticQuant::Q8_0);
    let (one, two) = (bytes_of(&shape, 1), bytes_of(&shape, 2));
    let header = parse(Utf8Path::new("tiny.gguf"), Cursor::new(&one), one.len() as u64).unwrap();
    let data = header.data_offset as usize;
    assert_eq!(one[..data], two[..data]);
    assert_ne!(one[data..], two[data..]);
}

fn f16(bytes: &[u8]) -> f64 {
    let bits = u16::from_le_bytes([bytes[0], bytes[1]]);
    assert_ne!(bits & 0x7c00, 0x7c00, "neither Inf nor NaN");
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    let size = if exponent == 0 {
        fraction * 2_f64.powi(-24)
    } else {
        (1024.0 + fraction) * 2_f64.powi(exponent - 25)
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// The values of one block, by the formulas of ggml-quants.c.
fn dequantize(of: TensorType, block: &[u8]) -> Vec<f64> {
    match of {
        TensorType::F32 => vec![f64::from(f32::from_le_bytes(block.try_into().unwrap()))],
        TensorType::F16 => vec![f16(block)],
        TensorType::Q4_0 => {
            let quant = |nibble: u8| (f64::from(nibble) - 8.0) * f16(block);
            block[2..].iter().flat_map(|byte| [quant(byte & 15), quant(byte >> 4)]).collect()
        }
        TensorType::Q8_0 => {
            block[2..].iter().map(|byte| f64::from(byte.cast_signed()) * f16(block)).collect()
        }
        TensorType::Q4_K => {
            let scales = &block[4..16];
            let scale_min = |j: usize| {
                if j < 4 {
                    (scales[j] & 63, scales[j + 4] & 63)
                } else {
                    let scale = scales[j + 4] & 15 | scales[j - 4] >> 6 << 4;
                    (scale, scales[j + 4] >> 4 | scales[j] >> 6 << 4)
                }
            };
            let mut values = Vec::new();
            for (pair, quants) in block[16..].chunks(32).enumerate() {
                for (high, j) in [(0, 2 * pair), (4, 2 * pair + 1)] {
                    let (scale, min) = scale_min(j);
                    let (d, offset) = (f16(block) * f64::from(scale), f16(&block[2..]) * f64::from(min));
                    values.extend(quants.iter().map(|byte| d * f64::from(byte >> high & 15) - offset));
                }
            }
            values
        }
        TensorType::Q6_K => {
            let (low, rest) = block.split_at(128);
            let (high, rest) = rest.split_at(64);
            let (scales, d) = rest.split_at(16);
            let mut values = Vec::new();
            for half in 0..2 {
                for quarter in 0..4 {
                    for l in 0..32 {
                        let byte = low[half * 64 + l + 32 * (quarter % 2)];
                        let nibble = if quarter < 2 { byte & 15 } else { byte >> 4 };
                        let quant = nibble | (high[half * 32 + l] >> (2 * quarter) & 3) << 4;
                        let scale = scales[half * 8 + l / 16 + 2 * quarter].cast_signed();
                        values.push(f16(d) * f64::from(scale) * (f64::from(quant) - 32.0));
                    }
                }
            }
            values
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn weights_have_mean_zero_and_the_variance_of_their_row() {
    for quant in SyntheticQuant::ALL {
        let of = quant.tensor_type();
        let shape = tiny(Architecture::Llama, quant);
        let bytes = bytes_of(&shape, 5);
        let header = parse(Utf8Path::new("tiny.gguf"), Cursor::new(&bytes), bytes.len() as u64).unwrap();
        let tensor = header.tensors.iter().find(|tensor| tensor.name == "blk.0.ffn_down.weight").unwrap();
        let start = (header.data_offset + tensor.offset) as usize;
        let data = &bytes[start..start + tensor.bytes.unwrap() as usize];
        let block = of.layout().unwrap().bytes as usize;
        let values: Vec<f64> = data.chunks(block).flat_map(|block| dequantize(of, block)).collect();
        assert_eq!(values.len() as u64, tensor.elements);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
        let expected: f64 = 1.0 / 512.0;
        assert!(mean.abs() < 0.04 * expected.sqrt(), "{of:?}: mean {mean}");
        assert!((0.7..1.5).contains(&(variance / expected)), "{of:?}: variance {variance}");
        // Not the same value over and over.
        let distinct: std::collections::BTreeSet<u64> = values.iter().map(|value| value.to_bits()).collect();
        assert!(distinct.len() >= 15, "{of:?}");
    }
}

#[test]
fn impossible_shapes_are_refused_by_field() {
    let good = tiny(Architecture::Qwen3Moe, SyntheticQuant::Q4K);
    let bad = [
        ("layers", SyntheticShape { layers: 0, ..good.clone() }),
        ("embedding", SyntheticShape { embedding: 300, ..good.clone() }),
        ("kv_heads", SyntheticShape { kv_heads: 3, ..good.clone() }),
        ("head_length", SyntheticShape { head_length: 63, ..good.clone() }),
        ("heads × head_length", SyntheticShape { heads: 2, head_length: 66, ..good.clone() }),
        ("feed_forward", SyntheticShape { feed_forward: 100, ..good.clone() }),
        ("vocabulary", SyntheticShape { vocabulary: 258, ..good.clone() }),
        ("context", SyntheticShape { context: 0, ..good.clone() }),
        ("experts", SyntheticShape { experts: 0, ..good.clone() }),
        ("experts_used", SyntheticShape { experts_used: 5, ..good.clone() }),
        ("experts", SyntheticShape { architecture: Architecture::Llama, ..good.clone() }),
        ("embedding", SyntheticShape { embedding: u32::MAX, ..good }),
    ];
    for (expected, shape) in bad {
        let error = synthetic_bytes(&shape).unwrap_err();
        let GgufError::Shape { field, .. } = error else { panic!("{error}") };
        assert_eq!(field, expected);
    }
}

#[test]
fn the_largest_shape_does_not_overflow() {
    let shape = SyntheticShape {
        architecture: Architecture::Qwen3Moe,
        layers: 512,
        embedding: 1 << 20,
        heads: 1024,
        kv_heads: 1024,
        head_length: 4096,
        feed_forward: 1 << 20,
        vocabulary: 1000,
        context: 1 << 24,
        experts: 512,
        experts_used: 512,
        quant: SyntheticQuant::F32,
    };
    // 512 layers × (512 experts × 3 × 2^40 + 4 × 2^42) × 4 bytes and a little.
    assert!(synthetic_bytes(&shape).unwrap() > 512 * (512 * 3 * (1 << 40) + 4 * (1 << 42)) * 4);
}

#[test]
fn a_file_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = camino::Utf8PathBuf::try_from(folder.path().join("tiny.gguf")).unwrap();
    let shape = tiny(Architecture::Llama, SyntheticQuant::Q4_0);
    let written = write_synthetic(&shape, 3, &path).unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), bytes_of(&shape, 3));
    assert_eq!(crate::read(&path).unwrap().file_bytes, written);
    let error = write_synthetic(&shape, 3, Utf8Path::new("/nonexistent/tiny.gguf")).unwrap_err();
    assert!(matches!(error, GgufError::Write { .. }));
}
