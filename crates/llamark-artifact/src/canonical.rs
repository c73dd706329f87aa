//! Whether a JSON text is in the canonical form of RFC 8785, in one pass and without making it again.
//!
//! This is what makes a million-line journal cheap to check: the digest of a line is the digest of its own bytes,
//! and this module says that these bytes are the canonical ones.

use llamark_record::digest::canonical_json;

/// Deepest nesting that is looked at; the same as `serde_json`'s own limit.
const MAX_DEPTH: usize = 128;

/// Checks one JSON value that fills all of `text`.
///
/// # Errors
/// The byte offset from which on the text is not canonical (or no JSON).
pub(crate) fn check(text: &str) -> Result<(), usize> {
    let mut scan = Scan { text, bytes: text.as_bytes(), at: 0 };
    scan.value(0)?;
    if scan.at == scan.bytes.len() { Ok(()) } else { Err(scan.at) }
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

/// A string as it stands in the text, without its quotes.
#[derive(Clone, Copy)]
struct Key<'a> {
    raw: &'a str,
    /// ASCII without escapes: its bytes sort as its UTF-16 units do.
    simple: bool,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), usize> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.at)
        }
    }

    fn literal(&mut self, literal: &str) -> Result<(), usize> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(literal)) {
            self.at += literal.len();
            Ok(())
        } else {
            Err(self.at)
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), usize> {
        if depth > MAX_DEPTH {
            return Err(self.at);
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(|_key| ()),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.at),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), usize> {
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut before: Option<Key<'a>> = None;
        loop {
            let begin = self.at;
            let key = self.string()?;
            if before.is_some_and(|before| !sorts_before(before, key)) {
                return Err(begin);
            }
            before = Some(key);
            self.expect(b':')?;
            self.value(depth + 1)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.at),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), usize> {
        self.expect(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.at),
            }
        }
    }

    fn string(&mut self) -> Result<Key<'a>, usize> {
        self.expect(b'"')?;
        let begin = self.at;
        let mut simple = true;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let raw = self.text.get(begin..self.at).ok_or(begin)?;
                    self.at += 1;
                    return Ok(Key { raw, simple });
                }
                Some(b'\\') => {
                    simple = false;
                    self.escape()?;
                }
                None | Some(0..=0x1f) => return Err(self.at),
                Some(byte) => {
                    simple &= byte.is_ascii();
                    self.at += 1;
                }
            }
        }
    }

    /// The one allowed spelling of each character that must be escaped.
    fn escape(&mut self) -> Result<(), usize> {
        let begin = self.at;
        match self.bytes.get(begin + 1) {
            Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.text.get(begin + 2..begin + 6).ok_or(begin)?;
                let lower = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                let code = u32::from_str_radix(digits, 16).map_err(|_error| begin)?;
                let short = matches!(code, 0x08 | 0x09 | 0x0a | 0x0c | 0x0d);
                if !lower || code > 0x1f || short {
                    return Err(begin);
                }
                self.at += 6;
            }
            _ => return Err(begin),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), usize> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let text = self.text.get(begin..self.at).ok_or(begin)?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        // Integers below 10^15 are exact and written plainly: nearly every number of a journal.
        let plain = digits.len() <= 15
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'))
            && !digits.is_empty();
        if plain && text != "-0" {
            return Ok(());
        }
        let number: f64 = text.parse().map_err(|_error| begin)?;
        match canonical_json(&number) {
            Ok(written) if number.is_finite() && written == text.as_bytes() => Ok(()),
            _ => Err(begin),
        }
    }
}

/// RFC 8785: keys sort by their UTF-16 code units; none is there twice.
fn sorts_before(before: Key<'_>, key: Key<'_>) -> bool {
    if before.simple && key.simple {
        return before.raw < key.raw;
    }
    units(before) < units(key)
}

fn units(key: Key<'_>) -> Vec<u16> {
    if key.simple {
        return key.raw.encode_utf16().collect();
    }
    // The escapes were checked, so that this cannot fail; an empty key would only fail the order.
    serde_json::from_str::<String>(&format!("\"{}\"", key.raw)).unwrap_or_default().encode_utf16().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_canonical() {
        for good in [
            "0",
            "-1",
            "true",
            "null",
            "[]",
            "{}",
            r#""""#,
            r#"{"a":1,"b":[1,2.5,"x"]}"#,
            "1e+21",
            "4.915",
            "9007199254740991",
            r#"{"é":1,"\ud83d":0}"#.replace("\\ud83d", "中").as_str(),
            r#""\n\u0001\"""#,
            r#"{"":0,"a":1}"#,
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        // UTF-16 order, not that of the bytes: U+1F600 is D83D DE00, which is below U+FB33.
        assert_eq!(check("{\"\u{1f600}\":1,\"\u{fb33}\":2}"), Ok(()));
        assert!(check("{\"\u{fb33}\":1,\"\u{1f600}\":2}").is_err());
    }

    #[test]
    fn what_is_not() {
        for bad in [
            "",
            " 1",
            "1 ",
            "01",
            "-0",
            "1.0",
            "1e5",
            "+1",
            "--1",
            "-",
            "1.",
            "9007199254740993",
            "1e999",
            "NaN",
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a": 1}"#,
            "[1, 2]",
            "[1,]",
            "{,}",
            r#"{"a"}"#,
            r#""\u000a""#,
            r#""\u0041""#,
            r#""\/""#,
            r#""\u001F""#,
            "\"\n\"",
            "[",
            "\"",
            "tru",
            r#""\"#,
            r#""\u00"#,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check(&"[".repeat(100_000)).is_err());
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i32>().prop_map(serde_json::Value::from),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(serde_json::Value::from),
            any::<String>().prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_the_writer(value in json()) {
            let canonical = String::from_utf8(canonical_json(&value).unwrap()).unwrap();
            prop_assert_eq!(check(&canonical), Ok(()));
        }

        // What it accepts is JSON and is its own canonical form.
        #[test]
        fn accepts_nothing_else(text in r#"[\[\]{}",:0-9ae.+\\-]{0,12}"#) {
            if check(&text).is_ok() {
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(canonical_json(&value).unwrap(), text.as_bytes());
            }
        }
    }
}
