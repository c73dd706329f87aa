//! A vocabulary that llama.cpp loads: three special tokens, the 256 bytes, and fillers up to the size asked for.

use crate::encode::Encoder;

/// Fewest tokens: `<unk>`, `<s>`, `</s>` and the bytes.
pub(super) const LEAST: u32 = 259;

/// Token types of `tokenizer.ggml.token_type`.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;

/// Writes the keys of a SentencePiece-like tokenizer (`tokenizer.ggml.model` = `llama`), which any architecture takes.
/// Text is encoded byte by byte; the fillers decode to words, so that what a model says is text.
pub(super) fn write(encoder: &mut Encoder, vocabulary: u32) {
    let token = |id: u32| match id {
        0 => ("<unk>".to_owned(), UNKNOWN),
        1 => ("<s>".to_owned(), CONTROL),
        2 => ("</s>".to_owned(), CONTROL),
        3..LEAST => (format!("<0x{:02X}>", id - 3), BYTE),
        _ => (format!("\u{2581}w{id}"), NORMAL),
    };
    let tokens: Vec<(String, i32)> = (0..vocabulary).map(token).collect();
    let types: Vec<i32> = tokens.iter().map(|(_, kind)| *kind).collect();
    encoder.string("tokenizer.ggml.model", "llama");
    encoder.strings("tokenizer.ggml.tokens", tokens.into_iter().map(|(text, _)| text));
    encoder.f32s("tokenizer.ggml.scores", &vec![0.0; types.len()]);
    encoder.i32s("tokenizer.ggml.token_type", &types);
    encoder.u32("tokenizer.ggml.unknown_token_id", 0);
    encoder.u32("tokenizer.ggml.bos_token_id", 1);
    encoder.u32("tokenizer.ggml.eos_token_id", 2);
}
