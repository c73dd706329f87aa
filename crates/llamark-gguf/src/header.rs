//! A header as read, and look-ups in it.

use crate::tensor::TensorInfo;
use crate::value::{KeyValue, Value};

/// Everything before the tensor data of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Format version, 2 or 3.
    pub version: u32,
    /// Whether the numbers are big-endian; llama.cpp loads only those of its own machine.
    pub big_endian: bool,
    /// Keys and values, in the order of the file.
    pub values: Vec<KeyValue>,
    /// Tensors, in the order of the file.
    pub tensors: Vec<TensorInfo>,
    /// Tensor data begins at multiples of this, bytes.
    pub alignment: u64,
    /// Where the tensor data begins, bytes from the start of the file.
    pub data_offset: u64,
    /// Length of the file, bytes.
    pub file_bytes: u64,
}

impl Header {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The whole number of a key, of whatever integer type.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// `general.architecture`.
    pub fn architecture(&self) -> Option<&str> {
        self.text("general.architecture")
    }

    /// How its weights were made up; absent for a model whose weights were trained, or made up by somebody else.
    pub fn synthetic(&self) -> Option<&str> {
        self.text(SYNTHETIC_KEY)
    }

    /// The value of `<architecture>.<key>`.
    pub fn of_architecture(&self, key: &str) -> Option<&Value> {
        self.get(&format!("{}.{key}", self.architecture()?))
    }

    /// The whole number of `<architecture>.<key>`.
    pub fn number_of_architecture(&self, key: &str) -> Option<u64> {
        self.of_architecture(key)?.as_u64()
    }

    /// A number per layer: an array of `layers` numbers as it is, a single number for all. `None` when the key is
    /// absent, too short or not of numbers.
    pub fn per_layer(&self, key: &str, layers: u64) -> Option<Vec<u64>> {
        let layers = usize::try_from(layers).ok().filter(|layers| *layers <= MOST_LAYERS)?;
        match self.of_architecture(key)? {
            Value::Array(array) => array.first.get(..layers)?.iter().map(Value::as_u64).collect(),
            single => single.as_u64().map(|value| vec![value; layers]),
        }
    }
}

/// The key of synthetic models; its value is the format by which they were made.
pub(crate) const SYNTHETIC_KEY: &str = "llamark.synthetic";

/// More layers than any architecture of llama.cpp can have (`LLAMA_MAX_LAYERS` is 512).
pub(crate) const MOST_LAYERS: usize = 1024;
