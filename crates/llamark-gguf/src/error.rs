//! What can be wrong with a file or a shape, where, and what to do.

use camino::Utf8PathBuf;
use llamark_record::plan::ImpossibleShape;

/// Why a header could not be read, or a synthetic model not be written.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The content is not a GGUF header that holds together.
    #[error("{path}: byte {offset}: {fault}")]
    Malformed {
        /// The file.
        path: Utf8PathBuf,
        /// Where in the file the offending item begins.
        offset: u64,
        /// What is wrong there.
        #[source]
        fault: Fault,
    },
    /// No model can have this shape.
    #[error(transparent)]
    Shape(#[from] ImpossibleShape),
    /// A synthetic model needs as many tokens as its vocabulary says, and the file has others.
    #[error("{path} has {found} tokens, but the vocabulary of the synthetic model is {expected}")]
    Vocabulary {
        /// The file with the tokenizer.
        path: Utf8PathBuf,
        /// Tokens in it.
        found: u64,
        /// Tokens of the shape.
        expected: u32,
    },
    /// A file without a tokenizer, or one of a machine of the other byte order.
    #[error("{path} has no tokenizer that can be copied: {reason}")]
    NoTokenizer {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// The synthetic model that was asked for is no longer wanted.
    #[error("stopped while writing a synthetic model")]
    Stopped,
    /// A synthetic model cannot be written.
    #[error("cannot write the synthetic model {path}")]
    Write {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl GgufError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "check that the file exists and is readable",
            Self::Shape(_) => "change the shape of the synthetic model",
            Self::Vocabulary { .. } => "set `vocabulary` to that many tokens",
            Self::NoTokenizer { .. } => {
                "name a GGUF file with a tokenizer, in the byte order of this machine"
            }
            Self::Stopped => "run the same command again to resume",
            Self::Write { .. } => "check that the folder is writable and has room",
            Self::Malformed { fault, .. } => match fault {
                Fault::NotGguf { .. } => {
                    "give the .gguf file itself; a git-lfs pointer or a web page is not a model"
                }
                Fault::Version { .. } => "convert the model again with a current llama.cpp",
                Fault::Ends { .. } | Fault::DataEnds { .. } => {
                    "the download is incomplete; fetch the file again"
                }
                _ => {
                    "the file is damaged or not made by llama.cpp's tools; compare its sha256 with the publisher's"
                }
            },
        }
    }
}

/// One fault of a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The first four bytes are not `GGUF`.
    #[error("not a GGUF file: it begins with {found:?}")]
    NotGguf {
        /// The first bytes, as text.
        found: String,
    },
    /// A version that nobody reads any more, or does not read yet.
    #[error("GGUF version {version} is not supported, only 2 and 3")]
    Version {
        /// The version.
        version: u32,
    },
    /// The file ends inside its header.
    #[error("the file ends too early: {needed} more bytes are announced, but only {left} are left")]
    Ends {
        /// Bytes needed.
        needed: u64,
        /// Bytes left.
        left: u64,
    },
    /// A count or length beyond what is sensible or possible.
    #[error("{count} {what} are announced, more than {limit}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many are announced.
        count: u64,
        /// The most that is accepted here.
        limit: u64,
    },
    /// A key without a name.
    #[error("a key is empty")]
    EmptyKey,
    /// A key is there twice.
    #[error("the key {key:?} appears twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A value of a type that GGUF does not have.
    #[error("the value of {key:?} has the unknown type {number}")]
    ValueType {
        /// The key.
        key: String,
        /// The number of the type.
        number: u32,
    },
    /// An array of arrays, which llama.cpp refuses.
    #[error("the value of {key:?} is an array of arrays")]
    NestedArray {
        /// The key.
        key: String,
    },
    /// `general.alignment` is not a power of two, or not a u32.
    #[error("general.alignment is {value}, not a u32 that is a power of two")]
    Alignment {
        /// The value as written.
        value: String,
    },
    /// A tensor name is there twice.
    #[error("the tensor {name:?} appears twice")]
    DuplicateTensor {
        /// The name.
        name: String,
    },
    /// More than four dimensions.
    #[error("the tensor {name:?} has {count} dimensions, more than 4")]
    Dimensions {
        /// The name.
        name: String,
        /// How many.
        count: u32,
    },
    /// A dimension is negative, or elements or bytes do not fit 63 bits.
    #[error("the shape {shape:?} of the tensor {name:?} is too large")]
    Shape {
        /// The name.
        name: String,
        /// The dimensions, as unsigned numbers.
        shape: Vec<u64>,
    },
    /// A row that its blocks do not fill.
    #[error("the tensor {name:?} has rows of {row} elements, not a multiple of the {block} of its type")]
    Row {
        /// The name.
        name: String,
        /// Elements in a row.
        row: u64,
        /// Elements in a block.
        block: u64,
    },
    /// A tensor is not where the one before it ends.
    #[error("the tensor {name:?} is at {found} of the data, expected at {expected}")]
    Offset {
        /// The name.
        name: String,
        /// Where it should be, from the start of the data.
        expected: u64,
        /// Where the header puts it.
        found: u64,
    },
    /// The data is longer than the file.
    #[error("the tensor {name:?} ends at byte {end}, but the file has {length} bytes")]
    DataEnds {
        /// The name.
        name: String,
        /// Where its data ends in the file.
        end: u64,
        /// Length of the file.
        length: u64,
    },
}
