//! Takes: the path of one GGUF file, or the shape of a model to make up.
//! Gives: its header and the facts that follow from it; or the bytes of a synthetic model, the same everywhere.
//! Never: reads tensor data, trusts a length in a file, guesses the size of a tensor type, or panics on input.

mod claims;
mod encode;
mod error;
mod facts;
mod file_type;
mod header;
mod parse;
mod synthetic;
mod tensor;
mod value;

pub use claims::contradictions;
pub use error::{Fault, GgufError};
pub use facts::facts_of_shards;
pub use header::Header;
pub use parse::{parse, read};
pub use synthetic::Synthetic;
pub use tensor::{Layout, TensorInfo, TensorType};
pub use value::{Array, KeyValue, Text, Value, ValueType};
