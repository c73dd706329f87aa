//! Random weights, block by block, each block from its own position alone.

use std::io::Write;

use crate::synthetic::shape::{Planned, Values};
use crate::tensor::{Layout, TensorType};

/// Bytes made before they are written.
const PIECE: usize = 1 << 20;

/// Counter-based random words: word n of a tensor is a function of the seed, the tensor and n (SplitMix64: Steele, Lea &
/// Flood 2014), so any part can be made without what comes before.
pub(super) struct Generator {
    key: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Generator {
    pub(super) fn new(seed: u64, tensor: u64) -> Self {
        Self {
            key: mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(tensor.wrapping_add(1).wrapping_mul(GOLDEN))),
        }
    }

    fn word(&self, counter: u64) -> u64 {
        mix(self.key.wrapping_add(counter.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// Fills `bytes` with the words from `counter` on.
    fn fill(&self, mut counter: u64, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.word(counter).to_le_bytes()[..chunk.len()]);
            counter += 1;
        }
    }

    /// Writes the data of a tensor, without padding.
    pub(super) fn write(&self, tensor: &Planned, out: &mut impl Write) -> std::io::Result<()> {
        let layout = tensor.tensor_type.layout().unwrap_or(Layout { name: "", elements: 1, bytes: 1 });
        let block_bytes = usize::try_from(layout.bytes).unwrap_or(1);
        let row = tensor.dimensions.first().copied().unwrap_or(1);
        let amplitude = amplitude(row);
        let mut piece = vec![0; (PIECE / block_bytes) * block_bytes];
        let blocks = tensor.bytes / layout.bytes;
        let mut next = 0;
        while next < blocks {
            let count = (blocks - next).min((piece.len() / block_bytes) as u64);
            let part = &mut piece[..count as usize * block_bytes];
            for (index, block) in part.chunks_exact_mut(block_bytes).enumerate() {
                match tensor.values {
                    Values::Ones => block.copy_from_slice(&1.0_f32.to_le_bytes()),
                    Values::Random => self.block(tensor.tensor_type, next + index as u64, amplitude, block),
                }
            }
            out.write_all(part)?;
            next += count;
        }
        Ok(())
    }

    /// Makes block `number`. A block has up to 32 words of its own.
    fn block(&self, of: TensorType, number: u64, amplitude: f32, block: &mut [u8]) {
        let counter = number * 32;
        match of {
            TensorType::F16 => {
                block.copy_from_slice(&half(amplitude * unit(self.word(counter))).to_le_bytes());
            }
            TensorType::Q4_0 => {
                self.fill(counter, &mut block[2..]);
                for byte in &mut block[2..] {
                    // (q − 8)·d: without q = 0 the mean is zero.
                    *byte |= u8::from(*byte & 0x0f == 0) << 3 | u8::from(*byte & 0xf0 == 0) << 7;
                }
                block[..2].copy_from_slice(&half(amplitude / 7.0).to_le_bytes());
            }
            TensorType::Q8_0 => {
                self.fill(counter, &mut block[2..]);
                block[..2].copy_from_slice(&half(amplitude / 128.0).to_le_bytes());
            }
            TensorType::Q4_K => {
                // d·scale·q − dmin·min with q 0..15: with min = scale and dmin = 7.5 d the mean is zero.
                let d = amplitude / (12.0 * 7.5);
                block[..2].copy_from_slice(&half(d).to_le_bytes());
                block[2..4].copy_from_slice(&half(d * 7.5).to_le_bytes());
                // Scales of 8 to 15 need no high bits: the first four and their minima a byte each, the others a nibble.
                let scales = self.word(counter).to_le_bytes().map(|byte| 8 | byte & 7);
                for j in 0..4 {
                    block[4 + j] = scales[j];
                    block[8 + j] = scales[j];
                    block[12 + j] = scales[4 + j] | scales[4 + j] << 4;
                }
                self.fill(counter + 1, &mut block[16..]);
            }
            TensorType::Q6_K => {
                // Low bits 128 bytes, high bits 64, scales 16, d: d·scale·(q − 32) with q 0..63.
                self.fill(counter, &mut block[..208]);
                for scale in &mut block[192..208] {
                    *scale = 8 | *scale & 7;
                }
                block[208..].copy_from_slice(&half(amplitude / (12.0 * 32.0)).to_le_bytes());
            }
            _ => block.copy_from_slice(&(amplitude * unit(self.word(counter))).to_le_bytes()),
        }
    }
}

/// Half the width of a uniform distribution with the variance 1/row: √(3/row). Division and square root are exactly
/// rounded by IEEE 754, so it is the same everywhere.
fn amplitude(row: u64) -> f32 {
    (3.0 / row as f32).sqrt()
}

/// A number in −1..1 from the top 24 bits, exact in f32.
fn unit(word: u64) -> f32 {
    ((word >> 40) as f32 - 8_388_607.5) / 8_388_608.0
}

/// The f16 nearest to a number of a weight's size, ties to even; subnormals included.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let exponent = ((bits >> 23) & 0xff) as i32 - 112;
    let fraction = (bits & 0x7f_ffff) | 0x80_0000;
    if exponent >= 31 {
        // No weight is so large; the largest finite value keeps Inf and NaN out.
        return sign | 0x7bff;
    }
    // Bits to drop: 13 for normal numbers, more for subnormal ones.
    let drop = if exponent > 0 { 13 } else { (14 - exponent).min(25) as u32 };
    let kept = fraction >> drop;
    let rest = fraction & ((1 << drop) - 1);
    let middle = 1 << (drop - 1);
    let rounded = kept + u32::from(rest > middle || (rest == middle && kept & 1 == 1));
    // The hidden bit of a normal number adds one to the exponent field; so does a carry out of the fraction.
    let base = if exponent > 0 { (exponent as u32 - 1) << 10 } else { 0 };
    sign | (base + rounded).min(0x7bff) as u16
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
    fn a_block_depends_on_its_place_alone() {
        let generator = Generator::new(7, 3);
        let mut alone = [0; 34];
        generator.block(TensorType::Q8_0, 41, 0.1, &mut alone);
        let tensor = Planned {
            name: String::new(),
            dimensions: vec![64, 40],
            tensor_type: TensorType::Q8_0,
            bytes: 80 * 34,
            values: Values::Random,
        };
        let mut all = Vec::new();
        generator.write(&tensor, &mut all).unwrap();
        assert_eq!(all.len(), 80 * 34);
        assert_eq!(all[41 * 34 + 2..42 * 34], alone[2..]);
        let mut other = Vec::new();
        Generator::new(7, 4).write(&tensor, &mut other).unwrap();
        assert_ne!(all, other);
    }
}
