//! Headers made by hand, right and wrong, and mutations of a right one.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::encode::Encoder;

fn parse_bytes(bytes: &[u8]) -> Result<Header, GgufError> {
    parse(Utf8Path::new("model.gguf"), Cursor::new(bytes), bytes.len() as u64)
}

/// The fault of a file and where it is.
fn fault(bytes: &[u8]) -> (u64, Fault) {
    match parse_bytes(bytes).unwrap_err() {
        GgufError::Malformed { offset, fault, .. } => (offset, fault),
        other => panic!("{other}"),
    }
}

fn sample(mut encoder: Encoder) -> Vec<u8> {
    encoder.string("general.architecture", "llama");
    encoder.u32("llama.block_count", 2);
    encoder.f32("llama.rope.freq_base", 1e4);
    encoder.raw("flag", ValueType::Bool, &[1]);
    encoder.i32s("numbers", &(0..2000).collect::<Vec<_>>());
    encoder.strings("tokenizer.ggml.tokens", (0..20).map(|i| format!("<{i}>")));
    encoder.tensor("token_embd.weight", &[64, 20], TensorType::Q8_0, 1360);
    encoder.tensor("output_norm.weight", &[64], TensorType::F32, 256);
    let data = encoder.data_bytes();
    let mut bytes = encoder.finish();
    bytes.resize(bytes.len() + data as usize, 0);
    bytes
}

#[test]
fn both_byte_orders_say_the_same() {
    let (little, big) = (sample(Encoder::new()), sample(Encoder::big_endian()));
    assert_ne!(little, big);
    let (little, big) = (parse_bytes(&little).unwrap(), parse_bytes(&big).unwrap());
    assert!(big.big_endian && !little.big_endian);
    assert_eq!(little, Header { big_endian: false, ..big });
    assert_eq!(little.architecture(), Some("llama"));
    assert_eq!(little.number_of_architecture("block_count"), Some(2));
    assert_eq!(little.get("flag"), Some(&Value::Bool(true)));
    let numbers = little.get("numbers").unwrap().as_array().unwrap();
    assert_eq!((numbers.length, numbers.first.len()), (2000, 1024));
    assert_eq!(numbers.first[1023], Value::I32(1023));
    let tokens = little.get("tokenizer.ggml.tokens").unwrap().as_array().unwrap();
    assert_eq!((tokens.length, tokens.first.len()), (20, 8));
    assert_eq!(little.tensors[0].bytes, Some(1360));
    assert_eq!(little.tensors[1].offset, 1376);
    assert_eq!(little.data_offset % 32, 0);
}

#[test]
fn version_two_is_read_and_one_is_refused() {
    let mut bytes = sample(Encoder::new());
    bytes[4] = 2;
    assert_eq!(parse_bytes(&bytes).unwrap().version, 2);
    for version in [0_u32, 1, 4, 1_000_000] {
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        let (offset, Fault::Version { .. }) = fault(&bytes) else { panic!("version {version} is refused") };
        assert_eq!(offset, 4);
    }
}

#[test]
fn what_is_no_model_is_named() {
    assert_eq!(fault(b""), (0, Fault::NotGguf { found: String::new() }));
    assert_eq!(fault(b"vers"), (0, Fault::NotGguf { found: "vers".to_owned() }));
    let error = parse_bytes(b"version https://git-lfs").unwrap_err();
    assert_eq!(error.to_string(), "model.gguf: byte 0: not a GGUF file: it begins with \"vers\"");
    assert!(error.hint().contains("git-lfs"));
}

#[test]
fn a_short_file_is_found_at_every_length() {
    let bytes = sample(Encoder::new());
    let data_offset = parse_bytes(&bytes).unwrap().data_offset as usize;
    // The last tensor may lack its padding and nothing else: 1376 + 256 of 1632 bytes.
    assert!(parse_bytes(&bytes[..data_offset + 1632]).is_ok());
    for length in (4..data_offset).step_by(7) {
        assert!(matches!(fault(&bytes[..length]).1, Fault::Ends { .. } | Fault::DataEnds { .. }), "{length}");
    }
    for length in [data_offset, data_offset + 1000, data_offset + 1631] {
        let (_, Fault::DataEnds { end, length: found, .. }) = fault(&bytes[..length]) else {
            panic!("{length}")
        };
        assert_eq!(found, length as u64);
        assert!(end > found);
    }
}

fn with(build: impl Fn(&mut Encoder)) -> Vec<u8> {
    let mut encoder = Encoder::new();
    build(&mut encoder);
    let mut bytes = encoder.finish();
    bytes.resize(bytes.len() + 4096, 0);
    bytes
}

#[test]
fn bad_keys_are_refused_where_they_stand() {
    let twice = with(|e| {
        e.u32("a", 1);
        e.u32("b", 2);
        e.u32("a", 3);
    });
    assert_eq!(fault(&twice), (24 + 2 * 17, Fault::DuplicateKey { key: "a".to_owned() }));
    assert_eq!(fault(&with(|e| e.u32("", 1))), (24, Fault::EmptyKey));
    let mut unknown = with(|e| e.u32("key", 1));
    unknown[35] = 13;
    assert_eq!(fault(&unknown), (35, Fault::ValueType { key: "key".to_owned(), number: 13 }));
    let nested = with(|e| e.raw("key", ValueType::Array, &[9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(fault(&nested), (39, Fault::NestedArray { key: "key".to_owned() }));
}

#[test]
fn alignment_must_be_a_power_of_two() {
    for value in [0, 3, 48] {
        let bytes = with(|e| e.u32("general.alignment", value));
        assert!(matches!(fault(&bytes), (24, Fault::Alignment { .. })), "{value}");
    }
    let bytes = with(|e| e.raw("general.alignment", ValueType::U64, &[32, 0, 0, 0, 0, 0, 0, 0]));
    assert!(matches!(fault(&bytes).1, Fault::Alignment { .. }));
    let wide = parse_bytes(&with(|e| e.u32("general.alignment", 4096))).unwrap();
    assert_eq!((wide.alignment, wide.data_offset), (4096, 4096));
}

#[test]
fn bad_tensors_are_refused() {
    let name = || "t".to_owned();
    let cases: [(Vec<u8>, Fault); 6] = [
        (
            with(|e| e.tensor_at("t", &[1; 5], TensorType::F32, 0)),
            Fault::Dimensions { name: name(), count: 5 },
        ),
        (
            with(|e| e.tensor_at("t", &[1 << 40, 1 << 40], TensorType::F32, 0)),
            Fault::Shape { name: name(), shape: vec![1 << 40, 1 << 40] },
        ),
        (
            with(|e| e.tensor_at("t", &[1 << 62, 1], TensorType::F32, 0)),
            Fault::Shape { name: name(), shape: vec![1 << 62, 1] },
        ),
        (
            with(|e| e.tensor_at("t", &[u64::MAX, 0], TensorType::F32, 0)),
            Fault::Shape { name: name(), shape: vec![u64::MAX, 0] },
        ),
        (
            with(|e| e.tensor_at("t", &[100, 2], TensorType::Q4_K, 0)),
            Fault::Row { name: name(), row: 100, block: 256 },
        ),
        (
            with(|e| {
                e.tensor("s", &[8], TensorType::F32, 32);
                e.tensor_at("t", &[8], TensorType::F32, 64);
            }),
            Fault::Offset { name: name(), expected: 32, found: 64 },
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(fault(&bytes).1, expected);
    }
    let twice = with(|e| {
        e.tensor("t", &[8], TensorType::F32, 32);
        e.tensor("t", &[8], TensorType::F32, 32);
    });
    assert_eq!(fault(&twice).1, Fault::DuplicateTensor { name: name() });
    let long = with(|e| e.tensor_at(&"n".repeat(64), &[8], TensorType::F32, 0));
    assert!(matches!(fault(&long).1, Fault::TooMany { count: 64, limit: 63, .. }));
}

#[test]
fn unknown_tensor_types_are_kept() {
    let header = parse_bytes(&with(|e| {
        e.tensor_at("a", &[8], TensorType(57), 0);
        e.tensor_at("b", &[8], TensorType::F32, 96);
        e.tensor_at("c", &[8], TensorType::F32, 128);
    }))
    .unwrap();
    assert_eq!(header.tensors[0].bytes, None);
    assert_eq!(header.tensors[0].tensor_type, TensorType(57));
    assert_eq!(header.tensors[2].bytes, Some(32));
}

#[test]
fn announced_counts_are_not_believed() {
    let mut bytes = sample(Encoder::new());
    for (at, what) in [(8, "tensors"), (16, "keys")] {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        let (offset, Fault::TooMany { what: found, .. }) = fault(&bytes) else { panic!("{what}") };
        assert_eq!((offset, found), (at as u64, what));
        // As many as are allowed, in a file that cannot hold them.
        bytes[at..at + 8].copy_from_slice(&60_000_u64.to_le_bytes());
        fault(&bytes);
    }
    // A key of 2^63 bytes, an array of 2^61 numbers, a string of 2^63 bytes.
    bytes[24..32].copy_from_slice(&(1_u64 << 63).to_le_bytes());
    assert!(matches!(fault(&bytes).1, Fault::TooMany { what: "bytes of a key", .. }));
    let huge = with(|e| {
        let mut value = (ValueType::U64 as u32).to_le_bytes().to_vec();
        value.extend((1_u64 << 61).to_le_bytes());
        e.raw("key", ValueType::Array, &value);
    });
    assert!(matches!(fault(&huge).1, Fault::Ends { .. }));
    let huge = with(|e| e.raw("key", ValueType::String, &(1_u64 << 63).to_le_bytes()));
    assert!(matches!(fault(&huge).1, Fault::Ends { needed: 9_223_372_036_854_775_808, .. }));
}

#[test]
fn long_strings_keep_their_start() {
    let header = parse_bytes(&with(|e| e.string("tokenizer.chat_template", &"x".repeat(100_000)))).unwrap();
    let Some(Value::String(text)) = header.get("tokenizer.chat_template") else { panic!("it is a string") };
    assert_eq!((text.start.len(), text.bytes), (1 << 16, 100_000));
}

#[test]
fn a_missing_file_is_named() {
    let error = read(Utf8Path::new("/nonexistent/model.gguf")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nonexistent/model.gguf");
    assert!(matches!(error, GgufError::Read { .. }));
}

/// A file of any length whose bytes are those given, then zeros: finds loops and allocations that follow a length.
struct Zeros {
    start: Vec<u8>,
    position: u64,
}

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        buffer.fill(0);
        let at = usize::try_from(self.position).unwrap_or(usize::MAX).min(self.start.len());
        let count = buffer.len().min(self.start.len() - at);
        buffer[..count].copy_from_slice(&self.start[at..at + count]);
        self.position += buffer.len() as u64;
        Ok(buffer.len())
    }
}

impl Seek for Zeros {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self.position.saturating_add_signed(by),
            SeekFrom::End(_) => return Err(std::io::ErrorKind::Unsupported.into()),
        };
        Ok(self.position)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutations_never_panic(
        big in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(255)]), 1..6),
        cut in any::<prop::sample::Index>(),
        keep in any::<bool>(),
    ) {
        let mut bytes = sample(if big { Encoder::big_endian() } else { Encoder::new() });
        // Only the header matters, and in it the start.
        let header = bytes.len() - 1664;
        for (at, value) in changes {
            bytes[at.index(header)] = value;
        }
        if !keep {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(header) = parse_bytes(&bytes) {
            let facts = header.facts();
            prop_assert!(facts.bits_per_weight.is_finite());
            crate::contradictions(&facts, bytes.len() as u64, "Q8_0", "1B", "1B");
        }
        // The same in a file that is said to have 97 GiB.
        let endless = Zeros { start: bytes, position: 0 };
        drop(parse(Utf8Path::new("model.gguf"), endless, 97 << 30));
    }
}
