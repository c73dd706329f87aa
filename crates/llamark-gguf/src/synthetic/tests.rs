//! Synthetic models are what they say, the same everywhere, and hold no number that is not one.

use std::io::Cursor;
use std::ops::ControlFlow;

use llamark_record::Sha256;
use llamark_record::model::ModelFacts;
use llamark_record::plan::{SyntheticArchitecture, SyntheticPreset, SyntheticQuant, SyntheticShape};

use super::*;
use crate::header::Header;
use crate::parse::parse;
use crate::tensor::TensorType;

fn model(shape: SyntheticShape, quant: SyntheticQuant, seed: u32) -> SyntheticModel {
    SyntheticModel { like: None, shape, quant, tokenizer: SyntheticTokenizer::BuiltIn, seed }
}

/// Every architecture, tied and not.
fn tiny_shapes() -> Vec<SyntheticShape> {
    let (dense, experts) = (SyntheticPreset::Tiny.shape(), SyntheticPreset::TinyMoe.shape());
    let qwen = SyntheticShape { architecture: SyntheticArchitecture::Qwen3, tied: true, ..dense.clone() };
    vec![dense, qwen, experts]
}

fn bytes_of(shape: &SyntheticShape, quant: SyntheticQuant, seed: u32) -> Vec<u8> {
    let made = Synthetic::new(&model(shape.clone(), quant, seed), None).unwrap();
    let bytes = made.to_bytes(2);
    assert_eq!(made.bytes(), bytes.len() as u64);
    bytes
}

fn header_of(bytes: &[u8]) -> Header {
    parse(Utf8Path::new("tiny.gguf"), Cursor::new(bytes), bytes.len() as u64).unwrap()
}

/// The facts of a model of any size: its tensors are not made, and no file must hold them.
fn facts_of(preset: SyntheticPreset, quant: SyntheticQuant) -> (u64, ModelFacts) {
    let made = Synthetic::new(&model(preset.shape(), quant, 1), None).unwrap();
    let header = parse(Utf8Path::new("m.gguf"), Cursor::new(&made.header), made.bytes()).unwrap();
    (made.bytes(), header.facts())
}

#[test]
fn the_header_says_what_the_shape_does() {
    for shape in tiny_shapes() {
        for quant in SyntheticQuant::ALL {
            let bytes = bytes_of(&shape, quant, 1);
            let header = header_of(&bytes);
            assert_eq!(header.synthetic(), Some(SYNTHETIC_FORMAT));
            let facts = header.facts();
            assert_eq!(facts.architecture, shape.architecture.name());
            assert_eq!(
                (facts.layers, facts.vocabulary, facts.context_length),
                (Some(2), Some(1024), Some(4096))
            );
            assert_eq!(facts.file_type.as_deref(), Some(quant.name()));
            assert_eq!(facts.kv_bytes_per_position, Some(2 * 2 * 128 * 2));
            assert_eq!(facts.experts.is_some(), shape.architecture.has_experts());
            let experts = u64::from(shape.experts.max(1));
            let attention = 2 * (256 * 256) + 2 * (256 * 128);
            let router = if shape.architecture.has_experts() { 256 * 16 } else { 0 };
            let norms = if shape.architecture == SyntheticArchitecture::Llama { 512 } else { 512 + 128 };
            let layer = attention + experts * 3 * 256 * 512 + router + norms;
            let tables = if shape.tied { 1 } else { 2 };
            assert_eq!(facts.parameters, tables * 256 * 1024 + 256 + 2 * layer);
            let claims = crate::contradictions(&facts, bytes.len() as u64, quant.name(), "", "");
            assert_eq!(claims, Vec::<String>::new());
        }
    }
}

#[test]
fn the_same_bytes_everywhere() {
    // These digests are a promise: a description has them on every machine and in every release, whatever the compiler's
    // optimisation. Another way to make weights gets another SYNTHETIC_FORMAT.
    let [dense, tied, experts] = tiny_shapes().try_into().unwrap();
    let odd = SyntheticShape {
        embedding: 288,
        heads: 9,
        kv_heads: 3,
        head_length: 32,
        feed_forward: 96,
        ..dense.clone()
    };
    let digest = |shape: &SyntheticShape, quant: SyntheticQuant| {
        let name = format!("{} {}", shape.architecture.name(), quant.name());
        format!("{name} {}", Sha256::of_bytes(&bytes_of(shape, quant, 42)).short())
    };
    let mut digests: Vec<String> = SyntheticQuant::ALL.map(|quant| digest(&dense, quant)).into();
    digests.push(digest(&tied, SyntheticQuant::Q4_K_M));
    digests.push(digest(&experts, SyntheticQuant::Q4_K_M));
    // Rows that blocks of 256 do not fill.
    digests.push(digest(&odd, SyntheticQuant::Q4_K_M));
    digests.push(digest(&odd, SyntheticQuant::Q5_K_M));
    assert_eq!(
        digests,
        [
            "llama F32 5760c83a0ebc",
            "llama F16 11595711eda5",
            "llama BF16 a031f18ff2a4",
            "llama Q4_0 acc2896abc16",
            "llama Q8_0 08762fe73e22",
            "llama Q4_K_S 10eb30c72050",
            "llama Q4_K_M 05d8f52fbfda",
            "llama Q5_K_S 12801fd30e20",
            "llama Q5_K_M 6bb0bdfcc215",
            "llama Q6_K f34a92ff84ff",
            "qwen3 Q4_K_M 9d0b36e31c26",
            "qwen3moe Q4_K_M fbbcb6ff27b9",
            "llama Q4_K_M 023ce3b04cdc",
            "llama Q5_K_M dd6e3944377b",
        ]
    );
}

#[test]
fn the_number_of_threads_changes_nothing() {
    // More than one piece for each thread, and tensors of several pieces.
    let shape = SyntheticShape { feed_forward: 4096, layers: 4, ..SyntheticPreset::Tiny.shape() };
    for quant in [SyntheticQuant::F32, SyntheticQuant::Q6_K] {
        let made = Synthetic::new(&model(shape.clone(), quant, 9), None).unwrap();
        let one = Sha256::of_bytes(&made.to_bytes(1));
        assert_eq!(Sha256::of_bytes(&made.to_bytes(8)), one, "{}", quant.name());
    }
}

#[test]
fn the_seed_changes_weights_and_nothing_else() {
    let shape = SyntheticPreset::Tiny.shape();
    let (one, two) = (bytes_of(&shape, SyntheticQuant::Q8_0, 1), bytes_of(&shape, SyntheticQuant::Q8_0, 2));
    let data = header_of(&one).data_offset as usize;
    assert_eq!(one[..data], two[..data]);
    assert_ne!(one[data..], two[data..]);
}

#[test]
fn presets_have_the_parameters_of_what_they_are_like() {
    // As published: totals from the weights, active ones from the model cards (which count the embedding table too).
    for (preset, total, active) in [
        (SyntheticPreset::Smollm2_135m, 134_515_008, 134.5e6),
        (SyntheticPreset::Llama32_1b, 1_235_814_400, 1.236e9),
        (SyntheticPreset::Llama32_3b, 3_212_749_824, 3.21e9),
        (SyntheticPreset::Llama3_8b, 8_030_261_248, 7.5e9),
        (SyntheticPreset::Llama3_70b, 70_553_706_496, 69.5e9),
        (SyntheticPreset::Qwen3_600m, 596_049_920, 596e6),
        (SyntheticPreset::Qwen3_4b, 4_022_468_096, 4.02e9),
        (SyntheticPreset::Qwen3_8b, 8_190_735_360, 7.57e9),
        (SyntheticPreset::Qwen3_14b, 14_768_307_200, 13.99e9),
        (SyntheticPreset::Qwen3_32b, 32_762_123_264, 31.98e9),
        (SyntheticPreset::Qwen3_30bA3b, 30_532_122_624, 3.04e9),
        (SyntheticPreset::Qwen3_235bA22b, 235_093_634_560, 21.6e9),
    ] {
        let (_, facts) = facts_of(preset, SyntheticQuant::Q8_0);
        assert_eq!(facts.parameters, total, "{}", preset.name());
        let ratio = facts.active_parameters as f64 / active;
        assert!((0.99..1.01).contains(&ratio), "{}: {}", preset.name(), facts.active_parameters);
    }
}

#[test]
fn files_are_as_large_as_the_published_ones() {
    // GB, as the pages of published files say that llama-quantize made without further choices.
    for (preset, quant, published) in [
        (SyntheticPreset::Llama3_8b, SyntheticQuant::Q4_K_M, 4.92),
        (SyntheticPreset::Llama3_8b, SyntheticQuant::Q4_K_S, 4.69),
        (SyntheticPreset::Llama3_8b, SyntheticQuant::Q5_K_M, 5.73),
        (SyntheticPreset::Llama3_8b, SyntheticQuant::Q6_K, 6.60),
        (SyntheticPreset::Llama3_8b, SyntheticQuant::Q8_0, 8.54),
        (SyntheticPreset::Llama3_70b, SyntheticQuant::Q4_K_M, 42.52),
        (SyntheticPreset::Qwen3_30bA3b, SyntheticQuant::Q4_K_M, 18.56),
    ] {
        let (bytes, _) = facts_of(preset, quant);
        let ratio = bytes as f64 / (published * 1e9);
        assert!((0.99..1.01).contains(&ratio), "{} {}: {bytes}", preset.name(), quant.name());
    }
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
        TensorType::BF16 => {
            let bits = u16::from_le_bytes([block[0], block[1]]);
            vec![f64::from(f32::from_bits(u32::from(bits) << 16))]
        }
        TensorType::Q5_0 | TensorType::Q5_1 => {
            let legacy = of == TensorType::Q5_0;
            let (high, quants) = block[if legacy { 2 } else { 4 }..].split_at(4);
            let high = u32::from_le_bytes(high.try_into().unwrap());
            let (scale, minimum) =
                if legacy { (f16(block), -16.0 * f16(block)) } else { (f16(block), f16(&block[2..])) };
            let value = |nibble: u8, place: usize| {
                scale * f64::from(u32::from(nibble) | (high >> place & 1) << 4) + minimum
            };
            let pair = |(place, byte): (usize, &u8)| [value(byte & 15, place), value(byte >> 4, place + 16)];
            quants.iter().enumerate().flat_map(pair).collect()
        }
        TensorType::Q8_0 => {
            block[2..].iter().map(|byte| f64::from(byte.cast_signed()) * f16(block)).collect()
        }
        TensorType::Q4_K | TensorType::Q5_K => {
            let (high, quants) = block[16..].split_at(if of == TensorType::Q5_K { 32 } else { 0 });
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
            for (pair, quants) in quants.chunks(32).enumerate() {
                for (shift, j) in [(0, 2 * pair), (4, 2 * pair + 1)] {
                    let (scale, min) = scale_min(j);
                    let (d, offset) = (f16(block) * f64::from(scale), f16(&block[2..]) * f64::from(min));
                    values.extend(quants.iter().enumerate().map(|(place, byte)| {
                        let fifth = high.get(place).map_or(0, |bits| (bits >> j & 1) << 4);
                        d * f64::from(byte >> shift & 15 | fifth) - offset
                    }));
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
    let odd = SyntheticShape { feed_forward: 480, ..SyntheticPreset::Tiny.shape() };
    let shapes = [(SyntheticPreset::Tiny.shape(), 512.0), (odd, 480.0)];
    for (quant, (shape, row)) in
        SyntheticQuant::ALL.into_iter().flat_map(|quant| shapes.clone().map(|of| (quant, of)))
    {
        let bytes = bytes_of(&shape, quant, 5);
        let header = header_of(&bytes);
        let tensor = header.tensors.iter().find(|tensor| tensor.name == "blk.1.ffn_down.weight").unwrap();
        let start = (header.data_offset + tensor.offset) as usize;
        let data = &bytes[start..start + tensor.bytes.unwrap() as usize];
        let of = tensor.tensor_type;
        let block = of.layout().unwrap().bytes as usize;
        let values: Vec<f64> = data.chunks(block).flat_map(|block| dequantize(of, block)).collect();
        assert_eq!(values.len() as u64, tensor.elements);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
        let expected: f64 = 1.0 / row;
        assert!(mean.abs() < 0.04 * expected.sqrt(), "{of:?}: mean {mean}");
        assert!((0.7..1.5).contains(&(variance / expected)), "{of:?}: variance {variance}");
        // Not the same value over and over.
        let distinct: std::collections::BTreeSet<u64> = values.iter().map(|value| value.to_bits()).collect();
        assert!(distinct.len() >= 15, "{of:?}");
    }
}

#[test]
fn the_largest_shape_does_not_overflow() {
    let shape = SyntheticShape {
        layers: 512,
        embedding: 1 << 20,
        heads: 1024,
        kv_heads: 1024,
        head_length: 4096,
        feed_forward: 1 << 20,
        vocabulary: 1000,
        experts: 512,
        experts_used: 512,
        ..SyntheticPreset::TinyMoe.shape()
    };
    // 512 layers × (512 experts × 3 × 2^40 + 4 × 2^42) × 4 bytes and a little.
    let made = Synthetic::new(&model(shape, SyntheticQuant::F32, 1), None).unwrap();
    assert!(made.bytes() > 512 * (512 * 3 * (1 << 40) + 4 * (1 << 42)) * 4);
}

#[test]
fn a_file_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = camino::Utf8PathBuf::try_from(folder.path().join("tiny.gguf")).unwrap();
    let shape = SyntheticPreset::Tiny.shape();
    let made = Synthetic::new(&model(shape.clone(), SyntheticQuant::Q4_0, 3), None).unwrap();
    let mut seen = Vec::new();
    let mut see = |piece: &[u8]| {
        seen.extend_from_slice(piece);
        ControlFlow::Continue(())
    };
    made.write(&path, 2, &mut see).unwrap();
    assert!(fs_err::read(&path).unwrap() == bytes_of(&shape, SyntheticQuant::Q4_0, 3));
    assert!(fs_err::read(&path).unwrap() == seen);
    assert_eq!(crate::read(&path).unwrap().file_bytes, made.bytes());
    let stopped = made.write(&path, 2, &mut |_| ControlFlow::Break(())).unwrap_err();
    assert!(matches!(stopped, GgufError::Stopped));
    let nowhere = Utf8Path::new("/nonexistent/tiny.gguf");
    let error = made.write(nowhere, 2, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, GgufError::Write { .. }));
}

#[test]
fn a_tokenizer_is_taken_over_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| camino::Utf8PathBuf::try_from(folder.path().join(name)).unwrap();
    let donor = place("donor.gguf");
    let shape = SyntheticPreset::Tiny.shape();
    let made = Synthetic::new(&model(shape.clone(), SyntheticQuant::F16, 1), None).unwrap();
    made.write(&donor, 1, &mut |_| ControlFlow::Continue(())).unwrap();
    let tokenizer = SyntheticTokenizer::File { file: "donor.gguf".to_owned(), sha256: Sha256::of_bytes(b"") };
    let of_experts = SyntheticPreset::TinyMoe.shape();
    let copy = SyntheticModel { tokenizer, ..model(of_experts, SyntheticQuant::Q8_0, 1) };
    let header = header_of(&Synthetic::new(&copy, Some(&donor)).unwrap().to_bytes(1));
    let keys = |header: &Header| -> Vec<_> {
        header.values.iter().filter(|entry| entry.key.starts_with("tokenizer.")).cloned().collect()
    };
    assert_eq!(keys(&header), keys(&crate::read(&donor).unwrap()));
    assert_eq!(keys(&header).len(), 7);

    let larger = SyntheticShape { vocabulary: 2048, ..shape };
    let error = Synthetic::new(&SyntheticModel { shape: larger, ..copy.clone() }, Some(&donor)).unwrap_err();
    assert!(
        error.to_string().ends_with("has 1024 tokens, but the vocabulary of the synthetic model is 2048")
    );
    assert!(matches!(Synthetic::new(&copy, None), Err(GgufError::NoTokenizer { .. })));
}
