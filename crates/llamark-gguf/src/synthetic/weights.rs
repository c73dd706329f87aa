//! Random weights, block by block, each block from its own position alone.

use crate::synthetic::shape::{Planned, Values};
use crate::tensor::{Layout, TensorType};

/// Counter-based random words: word n of a tensor is a function of the seed, the tensor and n (SplitMix64: Steele, Lea &
/// Flood 2014), so any part can be made without what comes before.
struct Words {
    key: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Words {
    fn new(seed: u64, tensor: u64) -> Self {
        Self {
            key: mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(tensor.wrapping_add(1).wrapping_mul(GOLDEN))),
        }
    }

    fn word(&self, counter: u64) -> u64 {
        mix(self.key.wrapping_add(counter.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// Fills `bytes` with the words from `counter` on.
    fn fill(&self, mut counter: u64, bytes: &mut [u8]) {
        let mut chunks = bytes.chunks_exact_mut(8);
        for chunk in &mut chunks {
            chunk.copy_from_slice(&self.word(counter).to_le_bytes());
            counter += 1;
        }
        let rest = chunks.into_remainder();
        rest.copy_from_slice(&self.word(counter).to_le_bytes()[..rest.len()]);
    }
}

/// Makes the blocks of one tensor.
pub(super) struct Maker {
    words: Words,
    of: TensorType,
    values: Values,
    block_bytes: u64,
    /// Half the width of the distribution of the weights.
    amplitude: f32,
    /// The scale of a block as f16, and that of its minima where it has them.
    scale: [u8; 2],
    minimum: [u8; 2],
}

impl Maker {
    /// For tensor `number` of a model.
    pub(super) fn new(seed: u64, number: u64, tensor: &Planned) -> Self {
        let of = tensor.tensor_type;
        let layout = of.layout().unwrap_or(Layout { name: "", elements: 1, bytes: 1 });
        let amplitude = amplitude(tensor.dimensions.first().copied().unwrap_or(1));
        // The largest quant times the mean of the scales (8 to 15) where there are any.
        let (scale, minimum) = match of {
            TensorType::Q4_0 => (amplitude / 7.0, 0.0),
            TensorType::Q5_0 => (amplitude / 15.0, 0.0),
            // q·d + m with q 0..31: with m = -15.5 d the mean is zero.
            TensorType::Q5_1 => (amplitude / 15.5, -amplitude),
            TensorType::Q8_0 => (amplitude / 128.0, 0.0),
            // d·scale·q − dmin·min: with min = scale and dmin half of the largest quant the mean is zero.
            TensorType::Q4_K => (amplitude / (12.0 * 7.5), amplitude / (12.0 * 7.5) * 7.5),
            TensorType::Q5_K => (amplitude / (12.0 * 15.5), amplitude / (12.0 * 15.5) * 15.5),
            TensorType::Q6_K => (amplitude / (12.0 * 32.0), 0.0),
            _ => (amplitude, 0.0),
        };
        Self {
            words: Words::new(seed, number),
            of,
            values: tensor.values,
            block_bytes: layout.bytes,
            amplitude,
            scale: half(scale).to_le_bytes(),
            minimum: half(minimum).to_le_bytes(),
        }
    }

    /// Bytes of a block.
    pub(super) fn block_bytes(&self) -> u64 {
        self.block_bytes
    }

    /// Fills `bytes` with the blocks from `first` on.
    pub(super) fn blocks(&self, first: u64, bytes: &mut [u8]) {
        let blocks = bytes.chunks_exact_mut(self.block_bytes as usize).zip(first..);
        match self.values {
            Values::Ones => blocks.for_each(|(block, _)| block.copy_from_slice(&1.0_f32.to_le_bytes())),
            Values::Random => match self.of {
                TensorType::F16 => blocks.for_each(|(block, number)| {
                    block.copy_from_slice(&half(self.weight(number)).to_le_bytes());
                }),
                TensorType::BF16 => blocks.for_each(|(block, number)| {
                    block.copy_from_slice(&brain(self.weight(number)).to_le_bytes());
                }),
                TensorType::Q4_0 => blocks.for_each(|(block, number)| self.q4_0(number, block)),
                TensorType::Q5_0 => blocks.for_each(|(block, number)| self.q5_0(number, block)),
                TensorType::Q5_1 => blocks.for_each(|(block, number)| {
                    block[..2].copy_from_slice(&self.scale);
                    block[2..4].copy_from_slice(&self.minimum);
                    self.words.fill(number * WORDS, &mut block[4..]);
                }),
                TensorType::Q8_0 => blocks.for_each(|(block, number)| {
                    block[..2].copy_from_slice(&self.scale);
                    self.words.fill(number * WORDS, &mut block[2..]);
                }),
                TensorType::Q4_K | TensorType::Q5_K => {
                    blocks.for_each(|(block, number)| self.q45_k(number, block));
                }
                TensorType::Q6_K => blocks.for_each(|(block, number)| self.q6_k(number, block)),
                _ => blocks.for_each(|(block, number)| {
                    block.copy_from_slice(&self.weight(number).to_le_bytes());
                }),
            },
        }
    }

    /// A weight of a type without blocks.
    fn weight(&self, number: u64) -> f32 {
        self.amplitude * unit(self.words.word(number * WORDS))
    }

    /// (q − 8)·d with q 0..15: without q = 0 the mean is zero.
    fn q4_0(&self, number: u64, block: &mut [u8]) {
        block[..2].copy_from_slice(&self.scale);
        self.words.fill(number * WORDS, &mut block[2..]);
        for byte in &mut block[2..] {
            *byte |= u8::from(*byte & 0x0f == 0) << 3 | u8::from(*byte & 0xf0 == 0) << 7;
        }
    }

    /// (q − 16)·d with q 0..31, whose fifth bits are the second to fifth byte: where the other four are zero the fifth
    /// is set, so q is never zero, and the mean is.
    fn q5_0(&self, number: u64, block: &mut [u8]) {
        block[..2].copy_from_slice(&self.scale);
        self.words.fill(number * WORDS, &mut block[2..]);
        let mut missing = 0_u32;
        for (place, byte) in block[6..].iter().enumerate() {
            missing |= u32::from(*byte & 0x0f == 0) << place | u32::from(*byte & 0xf0 == 0) << (place + 16);
        }
        for (byte, more) in block[2..6].iter_mut().zip(missing.to_le_bytes()) {
            *byte |= more;
        }
    }

    /// Scales and minima of 6 bits, then quants of 4 bits; before those of Q5_K, their fifth bits.
    fn q45_k(&self, number: u64, block: &mut [u8]) {
        block[..2].copy_from_slice(&self.scale);
        block[2..4].copy_from_slice(&self.minimum);
        // Scales of 8 to 15 need no high bits: the first four and their minima a byte each, the others a nibble.
        let scales = self.words.word(number * WORDS).to_le_bytes().map(|byte| 8 | byte & 7);
        for j in 0..4 {
            block[4 + j] = scales[j];
            block[8 + j] = scales[j];
            block[12 + j] = scales[4 + j] | scales[4 + j] << 4;
        }
        self.words.fill(number * WORDS + 1, &mut block[16..]);
    }

    /// Low bits 128 bytes, high bits 64, scales 16, d: d·scale·(q − 32) with q 0..63.
    fn q6_k(&self, number: u64, block: &mut [u8]) {
        self.words.fill(number * WORDS, &mut block[..208]);
        for scale in &mut block[192..208] {
            *scale = 8 | *scale & 7;
        }
        block[208..].copy_from_slice(&self.scale);
    }
}

/// Words that each block has for itself; none needs more.
const WORDS: u64 = 32;

/// Half the width of a uniform distribution with the variance 1/row: √(3/row). Division and square root are exactly
/// rounded by IEEE 754, so it is the same everywhere.
fn amplitude(row: u64) -> f32 {
    (3.0 / row as f32).sqrt()
}

/// A number in −1..1 from the top 24 bits, exact in f32.
fn unit(word: u64) -> f32 {
    ((word >> 40) as f32 - 8_388_607.5) / 8_388_608.0
}

/// The bf16 nearest to a number of a weight's size, ties to even.
fn brain(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The f16 nearest to a number of a weight's size, ties to even; subnormals included.
///
/// Without branches: whether a weight is subnormal is chance, and a wrong guess of the processor costs more than both ways.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    // Below 2^-14 halves are multiples of 2^-24, to which a sum with 0.5 is rounded.
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits());
    // 13 bits less of a fraction, whose carry goes into the exponent; the exponent counts from another zero.
    let normal = (magnitude + 0xfff + (magnitude >> 13 & 1)).wrapping_sub(112 << 23) >> 13;
    let nearest = if magnitude < 113 << 23 { subnormal } else { normal };
    // No weight is so large; the largest finite value keeps Inf and NaN out.
    sign | nearest.min(0x7bff) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_nearest() {
        for (value, bits) in [
            (0.0_f32, 0),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (0.5, 0x3800),
            (65504.0, 0x7bff),
            (1e6, 0x7bff),
            (f32::INFINITY, 0x7bff),
            // Smallest normal, largest subnormal, smallest subnormal, and half of it (ties to even: zero).
            (6.103_515_6e-5, 0x0400),
            (6.097_555e-5, 0x03ff),
            (5.960_464_5e-8, 0x0001),
            (2.980_232_2e-8, 0x0000),
            (1e-12, 0x0000),
            // Halfway between 1 and its neighbour, and just above.
            (1.000_488_3, 0x3c00),
            (1.000_488_4, 0x3c01),
            (0.1, 0x2e66),
            (1.0 / 3.0, 0x3555),
            (0.999_99, 0x3c00),
        ] {
            assert_eq!(half(value), bits, "{value}");
        }
    }

    #[test]
    fn brain_floats_are_nearest() {
        // The second and third are halfway between two neighbours: to the even one.
        for (bits, brain_bits) in [
            (0x3f80_0000, 0x3f80),
            (0x3f80_8000, 0x3f80),
            (0x3f81_8000, 0x3f82),
            (0x3f80_8001, 0x3f81),
            (0xbd12_7fff, 0xbd12),
        ] {
            assert_eq!(brain(f32::from_bits(bits)), brain_bits, "{bits:x}");
        }
    }

    #[test]
    fn a_block_depends_on_its_place_alone() {
        let tensor = Planned {
            name: String::new(),
            dimensions: vec![64, 40],
            tensor_type: TensorType::Q8_0,
            bytes: 80 * 34,
            values: Values::Random,
        };
        let mut all = vec![0; 80 * 34];
        Maker::new(7, 3, &tensor).blocks(0, &mut all);
        let mut alone = [0; 34];
        Maker::new(7, 3, &tensor).blocks(41, &mut alone);
        assert_eq!(all[41 * 34..42 * 34], alone);
        let mut other = vec![0; 80 * 34];
        Maker::new(7, 4, &tensor).blocks(0, &mut other);
        assert_ne!(all, other);
    }
}
