//! SHA-256 digests and the one canonical form in which a value is digested.
//!
//! Identities of values (a plan, a build configuration, a case) are the SHA-256 of their canonical JSON
//! (RFC 8785); identities of files are the SHA-256 of their bytes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
///
/// The digits are in place: a journal has one in every line, and a heap block for each would cost more than they do.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256([u8; 64]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a sha256: 64 hexadecimal digits are expected")]
pub struct ParseDigestError(String);

/// A value has no canonical JSON form: it holds a number that is not finite, or a map key that is not a string.
#[derive(Debug, thiserror::Error)]
#[error("the value has no canonical JSON form")]
pub struct CanonicalError(#[from] serde_json::Error);

impl Sha256 {
    /// The digest of `bytes`.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::from_raw(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of the canonical JSON (RFC 8785) of `value`.
    ///
    /// # Errors
    /// When the value has no canonical JSON form.
    pub fn of_canonical_json<T: Serialize>(value: &T) -> Result<Self, CanonicalError> {
        Ok(Self::of_bytes(&canonical_json(value)?))
    }

    /// The digest whose 32 bytes a hasher gave.
    pub fn from_raw(raw: [u8; 32]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(raw) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        Self(digits)
    }

    /// The 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        // They are hexadecimal digits: this does not fail.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        self.as_str().get(..12).unwrap_or_default()
    }
}

/// The canonical JSON (RFC 8785) of `value`, as bytes.
///
/// # Errors
/// When the value holds a number that is not finite, or a map key that is not a string.
pub fn canonical_json<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    Ok(serde_json_canonicalizer::to_vec(value)?)
}

impl FromStr for Sha256 {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Option<[u8; 64]> = text.as_bytes().try_into().ok();
        let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        match digits.filter(|digits| digits.iter().all(is_digit)) {
            Some(digits) => Ok(Self(digits)),
            None => Err(ParseDigestError(text.to_owned())),
        }
    }
}

impl Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl JsonSchema for Sha256 {
    fn schema_name() -> Cow<'static, str> {
        "Sha256".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A SHA-256 digest, written as 64 lower-case hexadecimal digits.",
            "type": "string",
            "pattern": "^[0-9a-f]{64}$"
        })
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A digest that many records have in common: one place in memory for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharedSha256(Arc<Sha256>);

impl Deref for SharedSha256 {
    type Target = Sha256;

    fn deref(&self) -> &Sha256 {
        &self.0
    }
}

impl From<Sha256> for SharedSha256 {
    fn from(digest: Sha256) -> Self {
        Self(Arc::new(digest))
    }
}

impl Serialize for SharedSha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedSha256 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sha256::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_digest() {
        assert_eq!(
            Sha256::of_bytes(b"abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn canonical_form_sorts_keys_and_is_compact() {
        let value = serde_json::json!({"b": 1, "a": [true, null, "é"]});
        assert_eq!(canonical_json(&value).unwrap(), r#"{"a":[true,null,"é"],"b":1}"#.as_bytes());
    }

    #[test]
    fn refuses_what_is_no_digest() {
        for bad in ["", "abc", &"A".repeat(64), &"g".repeat(64), &"é".repeat(32)] {
            assert!(bad.parse::<Sha256>().is_err(), "{bad}");
        }
    }
}
