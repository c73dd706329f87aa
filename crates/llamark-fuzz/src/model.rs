//! A model file.

use std::io::Cursor;

use camino::Utf8Path;

/// A GGUF is refused, or its header reads and the facts of it can be told; neither takes more memory than the file.
pub fn gguf(data: &[u8]) {
    let length = u64::try_from(data.len()).unwrap();
    // The data of the tensors is mostly not there: the first byte says how much larger the file claims to be.
    let claimed = data.last().map_or(length, |last| length << (last % 34));
    for length in [length, claimed] {
        if let Ok(header) = llamark_gguf::parse(Utf8Path::new("x.gguf"), Cursor::new(data), length) {
            let facts = header.facts();
            assert_eq!(facts.shards, 1);
            assert!(facts.active_parameters <= facts.parameters);
            assert!(facts.bits_per_weight.is_finite() && facts.bits_per_weight >= 0.0);
            let _words = llamark_gguf::contradictions(&facts, length, "Q4_K_M", "30B", "3B");
        }
    }
}
