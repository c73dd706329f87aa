//! Reads a header: buffered, from the start of one file, believing no length in it.
//!
//! Layout: `ggml/include/gguf.h` of llama.cpp. What llama.cpp refuses is refused here with the byte offset; an
//! unknown tensor type, which it also refuses, is kept as a number, so that a newer file can still be described.

use std::collections::HashSet;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

use camino::Utf8Path;

use crate::error::{Fault, GgufError};
use crate::header::{Header, MOST_LAYERS};
use crate::tensor::{TensorInfo, TensorType};
use crate::value::{Array, KeyValue, Text, Value, ValueType};

/// Bounds on what a header may announce. Generous: the largest models have 3,000 tensors and 300,000 tokens.
mod limit {
    pub(super) const KEYS: u64 = 1 << 16;
    pub(super) const TENSORS: u64 = 1 << 20;
    pub(super) const KEY_BYTES: u64 = 1 << 16;
    /// `GGML_MAX_NAME` is 64 with the closing zero.
    pub(super) const TENSOR_NAME_BYTES: u64 = 63;
    pub(super) const ARRAY_STRINGS: u64 = 1 << 21;
    pub(super) const STRING_KEPT: u64 = 1 << 16;
    pub(super) const STRINGS_KEPT: u64 = 8;
    pub(super) const HEADER_BYTES: u64 = 1 << 31;
    /// Memory that everything kept of a header may take: 20 times that of the largest that we know. A byte of the file
    /// can become 40 of memory (an array of bytes is kept as numbers), so that the size of the file bounds nothing.
    pub(super) const KEPT: u64 = 64 << 20;
    /// Keys and tensor infos take memory as they come, not as they are announced.
    pub(super) const RESERVED: usize = 4096;
}

/// Reads the header of the file at `path`. The tensor data is not touched, so it takes milliseconds whatever the size.
///
/// # Errors
///
/// [`GgufError::Read`] when the file cannot be read, [`GgufError::Malformed`] with the byte offset for what is wrong in it,
/// also when it is shorter than the tensors that it describes.
pub fn read(path: &Utf8Path) -> Result<Header, GgufError> {
    let failed = |source| GgufError::Read { path: path.to_owned(), source };
    let file = fs_err::File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    parse(path, file, length)
}

/// As [`read`], from any source of `length` bytes; `path` is for messages.
///
/// # Errors
///
/// As [`read`].
pub fn parse(path: &Utf8Path, source: impl Read + Seek, length: u64) -> Result<Header, GgufError> {
    let reader = BufReader::with_capacity(1 << 16, source);
    let mut parser = Parser { reader, position: 0, length, big_endian: false, keys: Vec::new(), kept: 0 };
    parser.header().map_err(|trouble| trouble.at(path))
}
/// The name of a key; its type and value as bytes.
pub(crate) type RawKey = (String, Vec<u8>);

/// The header of a file, and the keys of its tokenizer as they stand there.
pub(crate) fn tokenizer_keys(path: &Utf8Path) -> Result<(Header, Vec<RawKey>), GgufError> {
    let failed = |source| GgufError::Read { path: path.to_owned(), source };
    let mut file = fs_err::File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let reader = BufReader::with_capacity(1 << 16, &mut file);
    let mut parser = Parser { reader, position: 0, length, big_endian: false, keys: Vec::new(), kept: 0 };
    let header = parser.header().map_err(|trouble| trouble.at(path))?;
    let places = std::mem::take(&mut parser.keys);
    let mut keys = Vec::new();
    for (key, place) in places.into_iter().filter(|(key, _)| key.starts_with("tokenizer.")) {
        // The parser saw to it that this lies in the file, and below its limits.
        let mut bytes = vec![0; usize::try_from(place.end - place.start).unwrap_or(0)];
        file.seek(SeekFrom::Start(place.start)).map_err(failed)?;
        file.read_exact(&mut bytes).map_err(failed)?;
        keys.push((key, bytes));
    }
    Ok((header, keys))
}

enum Trouble {
    Read(std::io::Error),
    Fault(u64, Fault),
}

impl Trouble {
    fn at(self, path: &Utf8Path) -> GgufError {
        match self {
            Self::Read(source) => GgufError::Read { path: path.to_owned(), source },
            Self::Fault(offset, fault) => GgufError::Malformed { path: path.to_owned(), offset, fault },
        }
    }
}

impl From<std::io::Error> for Trouble {
    fn from(source: std::io::Error) -> Self {
        Self::Read(source)
    }
}

struct Parser<R: Read + Seek> {
    reader: BufReader<R>,
    position: u64,
    length: u64,
    big_endian: bool,
    /// Where the type and the value of each key lie.
    keys: Vec<(String, Range<u64>)>,
    /// Memory that what is kept takes, bytes; about.
    kept: u64,
}

impl<R: Read + Seek> Parser<R> {
    fn header(&mut self) -> Result<Header, Trouble> {
        let magic = self.take::<4>().map_err(|trouble| match trouble {
            Trouble::Fault(..) => Trouble::Fault(0, Fault::NotGguf { found: String::new() }),
            read @ Trouble::Read(_) => read,
        })?;
        if &magic != b"GGUF" {
            return Err(Trouble::Fault(
                0,
                Fault::NotGguf { found: String::from_utf8_lossy(&magic).into_owned() },
            ));
        }
        let version = self.version()?;
        let tensor_count = self.count("tensors", limit::TENSORS)?;
        let key_count = self.count("keys", limit::KEYS)?;
        let mut values: Vec<KeyValue> = Vec::with_capacity(small(key_count));
        let mut keys = HashSet::new();
        let mut alignment = 32;
        for _ in 0..key_count {
            let at = self.position;
            let entry = self.key_value()?;
            if !keys.insert(entry.key.clone()) {
                return Err(Trouble::Fault(at, Fault::DuplicateKey { key: entry.key }));
            }
            if entry.key == "general.alignment" {
                alignment = checked_alignment(at, &entry.value)?;
            }
            values.push(entry);
        }
        let mut tensors = Vec::with_capacity(small(tensor_count));
        let mut names = HashSet::new();
        let mut expected = Some(0);
        for _ in 0..tensor_count {
            let at = self.position;
            let tensor = self.tensor()?;
            if !names.insert(tensor.name.clone()) {
                return Err(Trouble::Fault(at, Fault::DuplicateTensor { name: tensor.name }));
            }
            expected = follow(at, &tensor, expected, alignment)?;
            tensors.push(tensor);
        }
        let header_end = self.position;
        let overflow = || Trouble::Fault(header_end, Fault::Alignment { value: alignment.to_string() });
        // A file without tensors ends with its header, padded or not.
        let data_offset = header_end.checked_next_multiple_of(alignment).ok_or_else(overflow)?;
        self.check_data(&tensors, data_offset, header_end)?;
        let (big_endian, file_bytes) = (self.big_endian, self.length);
        Ok(Header { version, big_endian, values, tensors, alignment, data_offset, file_bytes })
    }

    /// The version, whose bytes also tell the byte order.
    fn version(&mut self) -> Result<u32, Trouble> {
        let at = self.position;
        let raw = self.take::<4>()?;
        let mut version = u32::from_le_bytes(raw);
        if version & 0xffff == 0 {
            self.big_endian = true;
            version = u32::from_be_bytes(raw);
        }
        if (2..=3).contains(&version) {
            Ok(version)
        } else {
            Err(Trouble::Fault(at, Fault::Version { version }))
        }
    }

    fn count(&mut self, what: &'static str, limit: u64) -> Result<u64, Trouble> {
        let at = self.position;
        let count = self.u64()?;
        if count > limit { Err(Trouble::Fault(at, Fault::TooMany { what, count, limit })) } else { Ok(count) }
    }

    fn key_value(&mut self) -> Result<KeyValue, Trouble> {
        let at = self.position;
        let key = self.short_string("bytes of a key", limit::KEY_BYTES)?;
        if key.is_empty() {
            return Err(Trouble::Fault(at, Fault::EmptyKey));
        }
        let begins = self.position;
        // Three times: it is looked up, and its place is kept.
        self.keep(3 * key.len() + 2 * size_of::<KeyValue>())?;
        let of = self.value_type(&key)?;
        let value = if of == ValueType::Array { Value::Array(self.array(&key)?) } else { self.value(of)? };
        self.keys.push((key.clone(), begins..self.position));
        Ok(KeyValue { key, value })
    }

    fn value_type(&mut self, key: &str) -> Result<ValueType, Trouble> {
        let at = self.position;
        let number = self.u32()?;
        let unknown = || Trouble::Fault(at, Fault::ValueType { key: key.to_owned(), number });
        ValueType::from_number(number).ok_or_else(unknown)
    }

    fn array(&mut self, key: &str) -> Result<Array, Trouble> {
        let at = self.position;
        let of = self.value_type(key)?;
        let Some(size) = of.size() else {
            if of == ValueType::Array {
                return Err(Trouble::Fault(at, Fault::NestedArray { key: key.to_owned() }));
            }
            let length = self.count("strings in an array", limit::ARRAY_STRINGS)?;
            let mut first = Vec::new();
            for index in 0..length {
                if index < limit::STRINGS_KEPT {
                    first.push(Value::String(self.text()?));
                } else {
                    let bytes = self.u64()?;
                    self.skip(bytes)?;
                }
            }
            return Ok(Array { of, length, first });
        };
        let length = self.u64()?;
        let kept = length.min(MOST_LAYERS as u64);
        let rest = (length - kept).checked_mul(size);
        self.keep(usize::try_from(kept).unwrap_or(usize::MAX).saturating_mul(size_of::<Value>()))?;
        let first = (0..kept).map(|_| self.value(of)).collect::<Result<_, _>>()?;
        let left = self.length - self.position;
        let ends = || Trouble::Fault(at, Fault::Ends { needed: u64::MAX, left });
        self.skip(rest.ok_or_else(ends)?)?;
        Ok(Array { of, length, first })
    }

    /// One value that is not an array.
    fn value(&mut self, of: ValueType) -> Result<Value, Trouble> {
        Ok(match of {
            ValueType::U8 => Value::U8(u8::from_le_bytes(self.number()?)),
            ValueType::I8 => Value::I8(i8::from_le_bytes(self.number()?)),
            ValueType::U16 => Value::U16(u16::from_le_bytes(self.number()?)),
            ValueType::I16 => Value::I16(i16::from_le_bytes(self.number()?)),
            ValueType::U32 => Value::U32(self.u32()?),
            ValueType::I32 => Value::I32(i32::from_le_bytes(self.number()?)),
            ValueType::F32 => Value::F32(f32::from_le_bytes(self.number()?)),
            ValueType::Bool => Value::Bool(self.number::<1>()? != [0]),
            ValueType::U64 => Value::U64(self.u64()?),
            ValueType::I64 => Value::I64(i64::from_le_bytes(self.number()?)),
            ValueType::F64 => Value::F64(f64::from_le_bytes(self.number()?)),
            ValueType::String | ValueType::Array => Value::String(self.text()?),
        })
    }

    fn tensor(&mut self) -> Result<TensorInfo, Trouble> {
        let at = self.position;
        let name = self.short_string("bytes of a tensor name", limit::TENSOR_NAME_BYTES)?;
        self.keep(2 * name.len() + 2 * size_of::<TensorInfo>())?;
        let count = self.u32()?;
        if count > 4 {
            return Err(Trouble::Fault(at, Fault::Dimensions { name, count }));
        }
        let dimensions: Vec<u64> = (0..count).map(|_| self.u64()).collect::<Result<_, _>>()?;
        let tensor_type = TensorType(self.u32()?);
        let offset = self.u64()?;
        // llama.cpp counts in i64.
        let most = i64::MAX as u64;
        let product = dimensions.iter().try_fold(1_u64, |product, dimension| product.checked_mul(*dimension));
        let fits = dimensions.iter().all(|dimension| *dimension <= most);
        let Some(elements) = product.filter(|elements| *elements <= most && fits) else {
            return Err(Trouble::Fault(at, Fault::Shape { name, shape: dimensions }));
        };
        let mut tensor = TensorInfo { name, dimensions, tensor_type, offset, elements, bytes: None };
        if let Some(layout) = tensor_type.layout() {
            let row = tensor.row();
            if !row.is_multiple_of(layout.elements) {
                let fault = Fault::Row { name: tensor.name, row, block: layout.elements };
                return Err(Trouble::Fault(at, fault));
            }
            tensor.bytes =
                (elements / layout.elements).checked_mul(layout.bytes).filter(|bytes| *bytes <= most);
            if tensor.bytes.is_none() {
                return Err(Trouble::Fault(at, Fault::Shape { name: tensor.name, shape: tensor.dimensions }));
            }
        }
        Ok(tensor)
    }

    /// The data of every tensor must lie within the file.
    fn check_data(&self, tensors: &[TensorInfo], data_offset: u64, header_end: u64) -> Result<(), Trouble> {
        for tensor in tensors {
            let end = [data_offset, tensor.offset, tensor.bytes.unwrap_or(0)]
                .into_iter()
                .fold(0_u64, u64::saturating_add);
            if end > self.length {
                let fault = Fault::DataEnds { name: tensor.name.clone(), end, length: self.length };
                return Err(Trouble::Fault(header_end, fault));
            }
        }
        Ok(())
    }

    /// A string that is kept whole and must be short.
    fn short_string(&mut self, what: &'static str, limit: u64) -> Result<String, Trouble> {
        let bytes = self.count(what, limit)?;
        Ok(String::from_utf8_lossy(&self.bytes(bytes)?).into_owned())
    }

    /// A string of any length; its beginning is kept.
    fn text(&mut self) -> Result<Text, Trouble> {
        let bytes = self.u64()?;
        self.need(bytes)?;
        let kept = bytes.min(limit::STRING_KEPT);
        let start = String::from_utf8_lossy(&self.bytes(kept)?).into_owned();
        self.keep(start.len() + size_of::<Value>())?;
        self.skip(bytes - kept)?;
        Ok(Text { start, bytes })
    }

    /// A number's bytes, little end first whatever the file has.
    fn number<const N: usize>(&mut self) -> Result<[u8; N], Trouble> {
        let mut raw = self.take::<N>()?;
        if self.big_endian {
            raw.reverse();
        }
        Ok(raw)
    }

    fn u32(&mut self) -> Result<u32, Trouble> {
        self.number().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Trouble> {
        self.number().map(u64::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Trouble> {
        self.need(N as u64)?;
        let mut raw = [0; N];
        self.reader.read_exact(&mut raw)?;
        self.position += N as u64;
        Ok(raw)
    }

    /// `count` bytes, which the caller has bounded.
    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Trouble> {
        self.need(count)?;
        let mut raw = vec![0; usize::try_from(count).unwrap_or(0)];
        self.reader.read_exact(&mut raw)?;
        self.position += count;
        Ok(raw)
    }

    fn skip(&mut self, count: u64) -> Result<(), Trouble> {
        self.need(count)?;
        self.reader.seek_relative(count.cast_signed())?;
        self.position += count;
        Ok(())
    }

    /// So many bytes more are kept in memory.
    fn keep(&mut self, bytes: usize) -> Result<(), Trouble> {
        self.kept = self.kept.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.kept > limit::KEPT {
            let fault =
                Fault::TooMany { what: "bytes of keys and values", count: self.kept, limit: limit::KEPT };
            return Err(Trouble::Fault(self.position, fault));
        }
        Ok(())
    }

    /// The file must have `count` more bytes, and the header must end some time.
    fn need(&self, count: u64) -> Result<(), Trouble> {
        let left = self.length.saturating_sub(self.position);
        if count > left {
            return Err(Trouble::Fault(self.position, Fault::Ends { needed: count, left }));
        }
        if self.position + count > limit::HEADER_BYTES {
            let fault = Fault::TooMany {
                what: "bytes of a header",
                count: self.position + count,
                limit: limit::HEADER_BYTES,
            };
            return Err(Trouble::Fault(self.position, fault));
        }
        Ok(())
    }
}

fn small(count: u64) -> usize {
    usize::try_from(count).unwrap_or(limit::RESERVED).min(limit::RESERVED)
}

fn checked_alignment(at: u64, value: &Value) -> Result<u64, Trouble> {
    match value {
        Value::U32(alignment) if alignment.is_power_of_two() => Ok(u64::from(*alignment)),
        other => Err(Trouble::Fault(at, Fault::Alignment { value: format!("{other:?}") })),
    }
}

/// Checks that a tensor begins where the one before ends, and gives where the next must begin. After a tensor of
/// unknown size only the alignment can be checked, and `expected` is `None`.
fn follow(
    at: u64,
    tensor: &TensorInfo,
    expected: Option<u64>,
    alignment: u64,
) -> Result<Option<u64>, Trouble> {
    let begins =
        expected.unwrap_or_else(|| tensor.offset.checked_next_multiple_of(alignment).unwrap_or(u64::MAX));
    if tensor.offset != begins {
        let fault = Fault::Offset { name: tensor.name.clone(), expected: begins, found: tensor.offset };
        return Err(Trouble::Fault(at, fault));
    }
    let Some(bytes) = tensor.bytes else { return Ok(None) };
    let next = begins.checked_add(bytes).and_then(|end| end.checked_next_multiple_of(alignment));
    let too_large =
        || Trouble::Fault(at, Fault::Shape { name: tensor.name.clone(), shape: tensor.dimensions.clone() });
    next.map(Some).ok_or_else(too_large)
}

#[cfg(test)]
mod tests;
