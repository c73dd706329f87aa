//! A vocabulary that llama.cpp loads: three special tokens, the 256 bytes, and pieces of words up to the size asked for.

use crate::encode::Encoder;

/// Tokens before the pieces: `<unk>`, `<s>`, `</s>` and the bytes.
const FIXED: u32 = 259;

/// Token types of `tokenizer.ggml.token_type`.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;

/// A space, as a tokenizer of this kind writes it.
const SPACE: char = '\u{2581}';

/// Writes the keys of a SentencePiece-like tokenizer (`tokenizer.ggml.model` = `llama`), which any architecture takes.
///
/// The pieces are all strings of small letters, with and without a space before them, short ones first: a table of
/// 128,256 tokens has those of three letters, so a word is one to three tokens. What is not a piece is encoded by its
/// bytes.
pub(super) fn write(encoder: &mut Encoder, vocabulary: u32) {
    let token = |id: u32| match id {
        0 => ("<unk>".to_owned(), UNKNOWN),
        1 => ("<s>".to_owned(), CONTROL),
        2 => ("</s>".to_owned(), CONTROL),
        3..FIXED => (format!("<0x{:02X}>", id - 3), BYTE),
        _ => (piece(id - FIXED), NORMAL),
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

/// Piece `number`: the space, then for each length all strings of it, and then those with the space before them.
fn piece(number: u32) -> String {
    let Some(mut rest) = number.checked_sub(1) else { return SPACE.to_string() };
    for length in 1.. {
        let count = 26_u32.saturating_pow(length);
        for begin in ["", "\u{2581}"] {
            if rest < count {
                return begin.to_owned() + &letters(rest, length);
            }
            rest -= count;
        }
    }
    String::new()
}

/// String `number` of a length, in alphabetical order.
fn letters(mut number: u32, length: u32) -> String {
    let mut text = vec![b'a'; length as usize];
    for place in text.iter_mut().rev() {
        *place = b'a' + (number % 26) as u8;
        number /= 26;
    }
    text.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn pieces_are_distinct_and_each_is_made_of_shorter_ones() {
        let pieces: Vec<String> = (0..100_000).map(piece).collect();
        assert_eq!(pieces[..3], ["\u{2581}", "a", "b"]);
        assert_eq!([&pieces[27], &pieces[53], &pieces[728]], ["\u{2581}a", "aa", "zz"]);
        let mut known: HashSet<&str> = ('a'..='z').map(|_| "").collect();
        for piece in &pieces {
            // What llama.cpp merges two neighbours into must be there, or the piece is never reached.
            let end = piece.char_indices().next_back().map_or(0, |(at, _)| at);
            assert!(end == 0 || known.contains(&piece[..end]), "{piece}");
            assert!(known.insert(piece), "{piece} twice");
        }
    }
}
