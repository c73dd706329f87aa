//! Tensor types, their block layouts, and the description of one tensor.

/// How a type stores its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Name, as in `Q4_K`.
    pub name: &'static str,
    /// Elements in a block.
    pub elements: u64,
    /// Bytes of a block.
    pub bytes: u64,
}

/// A tensor type by its number in the file. Numbers that are not known here stay numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorType(pub u32);

impl TensorType {
    /// 32-bit floats.
    pub const F32: Self = Self(0);
    /// 16-bit floats.
    pub const F16: Self = Self(1);
    /// Legacy 4 bit with a scale per 32.
    pub const Q4_0: Self = Self(2);
    /// Legacy 5 bit with a scale per 32.
    pub const Q5_0: Self = Self(6);
    /// Legacy 5 bit with a scale and a minimum per 32.
    pub const Q5_1: Self = Self(7);
    /// 8 bit with a scale per 32.
    pub const Q8_0: Self = Self(8);
    /// 4 bit with scales and minima per 32 in blocks of 256.
    pub const Q4_K: Self = Self(12);
    /// 5 bit with scales and minima per 32 in blocks of 256.
    pub const Q5_K: Self = Self(13);
    /// 6 bit with scales per 16 in blocks of 256.
    pub const Q6_K: Self = Self(14);
    /// The upper half of a 32-bit float.
    pub const BF16: Self = Self(30);

    /// Its layout; `None` for a number that is not known, whose size must not be guessed.
    ///
    /// Source: `GGML_QUANT_SIZES` of llama.cpp b11434, `gguf-py/gguf/constants.py`.
    pub fn layout(self) -> Option<Layout> {
        let (name, elements, bytes) = match self.0 {
            0 => ("F32", 1, 4),
            1 => ("F16", 1, 2),
            2 => ("Q4_0", 32, 18),
            3 => ("Q4_1", 32, 20),
            6 => ("Q5_0", 32, 22),
            7 => ("Q5_1", 32, 24),
            8 => ("Q8_0", 32, 34),
            9 => ("Q8_1", 32, 36),
            10 => ("Q2_K", 256, 84),
            11 => ("Q3_K", 256, 110),
            12 => ("Q4_K", 256, 144),
            13 => ("Q5_K", 256, 176),
            14 => ("Q6_K", 256, 210),
            15 => ("Q8_K", 256, 292),
            16 => ("IQ2_XXS", 256, 66),
            17 => ("IQ2_XS", 256, 74),
            18 => ("IQ3_XXS", 256, 98),
            19 => ("IQ1_S", 256, 50),
            20 => ("IQ4_NL", 32, 18),
            21 => ("IQ3_S", 256, 110),
            22 => ("IQ2_S", 256, 82),
            23 => ("IQ4_XS", 256, 136),
            24 => ("I8", 1, 1),
            25 => ("I16", 1, 2),
            26 => ("I32", 1, 4),
            27 => ("I64", 1, 8),
            28 => ("F64", 1, 8),
            29 => ("IQ1_M", 256, 56),
            30 => ("BF16", 1, 2),
            34 => ("TQ1_0", 256, 54),
            35 => ("TQ2_0", 256, 66),
            39 => ("MXFP4", 32, 17),
            40 => ("NVFP4", 64, 36),
            41 => ("Q1_0", 128, 18),
            42 => ("Q2_0", 64, 18),
            _ => return None,
        };
        Some(Layout { name, elements, bytes })
    }

    /// Its name, or `type 57` for one that is not known.
    pub fn name(self) -> String {
        self.layout().map_or_else(|| format!("type {}", self.0), |layout| layout.name.to_owned())
    }

    /// Bytes of a row of `elements`; `None` for an unknown type, a row that blocks do not fill, or an overflow.
    pub fn row_bytes(self, elements: u64) -> Option<u64> {
        let layout = self.layout()?;
        if !elements.is_multiple_of(layout.elements) {
            return None;
        }
        (elements / layout.elements).checked_mul(layout.bytes)
    }
}

/// One tensor as the header describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name, as in `blk.0.attn_q.weight`.
    pub name: String,
    /// Elements per dimension, the fastest first; one to four.
    pub dimensions: Vec<u64>,
    /// Type.
    pub tensor_type: TensorType,
    /// Where its data begins, bytes from the start of the data.
    pub offset: u64,
    /// Product of the dimensions; known to fit.
    pub elements: u64,
    /// Bytes of its data; `None` when the type is not known.
    pub bytes: Option<u64>,
}

impl TensorInfo {
    /// Elements in one row: the first dimension.
    pub fn row(&self) -> u64 {
        self.dimensions.first().copied().unwrap_or(1)
    }

    /// The layer of `blk.7.attn_q.weight` is 7; `None` for tensors outside the layers.
    pub fn layer(&self) -> Option<u64> {
        self.name.strip_prefix("blk.")?.split_once('.')?.0.parse().ok()
    }

    /// The name within its layer, as `attn_q.weight`; the whole name outside the layers.
    pub fn name_in_layer(&self) -> &str {
        match (self.layer(), self.name.splitn(3, '.').nth(2)) {
            (Some(_), Some(rest)) => rest,
            _ => &self.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_types_stay_numbers() {
        assert_eq!(TensorType(57).name(), "type 57");
        assert_eq!(TensorType(57).row_bytes(256), None);
        assert_eq!(TensorType(4).layout(), None);
        assert_eq!(TensorType::Q4_K.row_bytes(512), Some(288));
        assert_eq!(TensorType::Q4_K.row_bytes(500), None);
        assert_eq!(TensorType::F32.row_bytes(u64::MAX), None);
    }

    #[test]
    fn layers_are_in_names() {
        let tensor = |name: &str| TensorInfo {
            name: name.to_owned(),
            dimensions: vec![4],
            tensor_type: TensorType::F32,
            offset: 0,
            elements: 4,
            bytes: Some(16),
        };
        assert_eq!(tensor("blk.12.ffn_up_exps.weight").layer(), Some(12));
        assert_eq!(tensor("blk.12.ffn_up_exps.weight").name_in_layer(), "ffn_up_exps.weight");
        assert_eq!(tensor("output.weight").layer(), None);
        assert_eq!(tensor("output.weight").name_in_layer(), "output.weight");
        assert_eq!(tensor("blk.x.y").name_in_layer(), "blk.x.y");
    }
}
