//! Writes headers: for synthetic models, and for the tests of the parser.

use crate::tensor::TensorType;
use crate::value::ValueType;

/// A header under construction. Counts are patched in by [`Encoder::finish`].
pub(crate) struct Encoder {
    keys: Vec<u8>,
    key_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    data: u64,
    big_endian: bool,
}

/// Tensor data begins at multiples of this.
pub(crate) const ALIGNMENT: u64 = 32;

impl Encoder {
    pub(crate) fn new() -> Self {
        Self {
            keys: Vec::new(),
            key_count: 0,
            tensors: Vec::new(),
            tensor_count: 0,
            data: 0,
            big_endian: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn big_endian() -> Self {
        Self { big_endian: true, ..Self::new() }
    }

    fn number<const N: usize>(&self, mut little: [u8; N]) -> [u8; N] {
        if self.big_endian {
            little.reverse();
        }
        little
    }

    fn string_bytes(&self, text: &str) -> Vec<u8> {
        let mut bytes = self.number((text.len() as u64).to_le_bytes()).to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    /// A key whose value is given as bytes, little end first.
    pub(crate) fn raw(&mut self, key: &str, of: ValueType, value: &[u8]) {
        let key = self.string_bytes(key);
        self.keys.extend(key);
        self.keys.extend(self.number((of as u32).to_le_bytes()));
        self.keys.extend(value);
        self.key_count += 1;
    }

    /// A key whose type and value are taken over from another file of the same byte order.
    pub(crate) fn copied(&mut self, key: &str, type_and_value: &[u8]) {
        let key = self.string_bytes(key);
        self.keys.extend(key);
        self.keys.extend(type_and_value);
        self.key_count += 1;
    }

    pub(crate) fn string(&mut self, key: &str, value: &str) {
        let value = self.string_bytes(value);
        self.raw(key, ValueType::String, &value);
    }

    pub(crate) fn u32(&mut self, key: &str, value: u32) {
        let value = self.number(value.to_le_bytes());
        self.raw(key, ValueType::U32, &value);
    }

    pub(crate) fn f32(&mut self, key: &str, value: f32) {
        let value = self.number(value.to_le_bytes());
        self.raw(key, ValueType::F32, &value);
    }

    pub(crate) fn strings(&mut self, key: &str, values: impl ExactSizeIterator<Item = String>) {
        let mut bytes = self.array_head(ValueType::String, values.len());
        for value in values {
            bytes.extend(self.string_bytes(&value));
        }
        self.raw(key, ValueType::Array, &bytes);
    }

    pub(crate) fn i32s(&mut self, key: &str, values: &[i32]) {
        let mut bytes = self.array_head(ValueType::I32, values.len());
        bytes.extend(values.iter().flat_map(|value| self.number(value.to_le_bytes())));
        self.raw(key, ValueType::Array, &bytes);
    }

    pub(crate) fn f32s(&mut self, key: &str, values: &[f32]) {
        let mut bytes = self.array_head(ValueType::F32, values.len());
        bytes.extend(values.iter().flat_map(|value| self.number(value.to_le_bytes())));
        self.raw(key, ValueType::Array, &bytes);
    }

    fn array_head(&self, of: ValueType, length: usize) -> Vec<u8> {
        let mut bytes = self.number((of as u32).to_le_bytes()).to_vec();
        bytes.extend(self.number((length as u64).to_le_bytes()));
        bytes
    }

    /// A tensor after the previous ones; `bytes` are those of its data. Gives its offset in the data.
    pub(crate) fn tensor(&mut self, name: &str, dimensions: &[u64], of: TensorType, bytes: u64) -> u64 {
        let offset = self.data;
        self.tensor_at(name, dimensions, of, offset);
        self.data = (offset + bytes).next_multiple_of(ALIGNMENT);
        offset
    }

    pub(crate) fn tensor_at(&mut self, name: &str, dimensions: &[u64], of: TensorType, offset: u64) {
        let name = self.string_bytes(name);
        self.tensors.extend(name);
        self.tensors.extend(self.number((dimensions.len() as u32).to_le_bytes()));
        for dimension in dimensions {
            self.tensors.extend(self.number(dimension.to_le_bytes()));
        }
        self.tensors.extend(self.number(of.0.to_le_bytes()));
        self.tensors.extend(self.number(offset.to_le_bytes()));
        self.tensor_count += 1;
    }

    /// Bytes of the tensor data, the padding of the last tensor included.
    #[cfg(test)]
    pub(crate) fn data_bytes(&self) -> u64 {
        self.data
    }

    /// The header, padded to where the data begins.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.number(3_u32.to_le_bytes()));
        bytes.extend(self.number(self.tensor_count.to_le_bytes()));
        bytes.extend(self.number(self.key_count.to_le_bytes()));
        bytes.extend(self.keys);
        bytes.extend(self.tensors);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
        bytes
    }
}
