//! Numbers that a document states: as they are written, and where. Nothing of them was measured by llamark.
//!
//! A published report gives rates that were rounded when it was written. They are kept as the decimals that stand
//! there: times that were never seen cannot be made up from them, and nobody can mistake them for measurements.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::StartId;

/// One start as a document states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatedStart {
    /// Which: of which case, which start. A document knows no attempts; it is the first.
    pub id: StartId,
    /// Line of the document on which the row of the case stands, from 1.
    pub line: u64,
    /// Process start to ready, ms; absent if the document does not say.
    pub load_ms: Option<u64>,
    /// The runs, in the order of the document.
    pub runs: Vec<StatedRun>,
}

/// One run as a document states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatedRun {
    /// Which run of the start, from 1.
    pub index: u32,
    /// Line of the document, from 1.
    pub line: u64,
    /// Prompt processing, tok/s.
    pub pp: Option<Decimal>,
    /// Token generation, tok/s.
    pub tg: Option<Decimal>,
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u32>,
    /// Tokens generated.
    pub generated_tokens: Option<u32>,
    /// How long it took, ns, where the document gives times and no rates: the prompt, or the generation if there is
    /// no prompt. Omitted from the file if absent, so that older sets stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ns: Option<u64>,
}

impl StatedRun {
    /// Why a case with such runs says nothing.
    pub const OF_BOTH: &str = "one rate of a prompt and a generation together is neither of both";

    /// Whether one time is that of a prompt and of a generation together: no rate follows from it.
    pub fn is_of_both(&self) -> bool {
        let some = |tokens: Option<u32>| tokens.is_some_and(|tokens| tokens > 0);
        self.duration_ns.is_some() && some(self.prompt_tokens) && some(self.generated_tokens)
    }
}

/// A decimal number as it is written, as in `575.11`: digits, and after a point as many as there were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal(#[schemars(regex(pattern = r"^[0-9]{1,15}(\.[0-9]{1,15})?$"))] String);

/// Text that is not a decimal number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no decimal number: digits are expected, and a point with digits after it if any")]
pub struct NotDecimal(String);

impl Decimal {
    /// The number as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest floating-point number.
    pub fn value(&self) -> f64 {
        // It has at most 15 digits before and after the point, so it always reads.
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// Digits after the point.
    pub fn decimals(&self) -> usize {
        self.0.split_once('.').map_or(0, |(_, fraction)| fraction.len())
    }

    /// Half a unit of the last digit: the number that was rounded to this one lies no farther away.
    pub fn half_unit(&self) -> f64 {
        0.5 * 10_f64.powi(-i32::try_from(self.decimals()).unwrap_or(0))
    }
}

impl TryFrom<String> for Decimal {
    type Error = NotDecimal;

    fn try_from(text: String) -> Result<Self, NotDecimal> {
        let digits = |text: &str| (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let reads = match text.split_once('.') {
            Some((whole, fraction)) => digits(whole) && digits(fraction),
            None => digits(&text),
        };
        if reads { Ok(Self(text)) } else { Err(NotDecimal(text.chars().take(40).collect())) }
    }
}

impl From<Decimal> for String {
    fn from(decimal: Decimal) -> Self {
        decimal.0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Result<Decimal, NotDecimal> {
        Decimal::try_from(text.to_owned())
    }

    #[test]
    fn a_decimal_stays_as_it_is_written() {
        let written = decimal("575.10").unwrap();
        assert_eq!((written.as_str(), written.decimals()), ("575.10", 2));
        assert!((written.value() - 575.1).abs() < 1e-12);
        assert!((written.half_unit() - 0.005).abs() < 1e-15);
        assert!((decimal("7").unwrap().half_unit() - 0.5).abs() < 1e-15);
        assert_eq!(serde_json::to_string(&written).unwrap(), "\"575.10\"");
    }

    #[test]
    fn what_is_not_plainly_a_number_is_refused() {
        for text in
            ["", ".", "1.", ".5", "1,234.5", "1 234", "-1.0", "+1", "1e3", "NaN", "inf", "1.2.3", "٣", "1.0 "]
        {
            assert!(decimal(text).is_err(), "{text:?}");
        }
        assert!(decimal(&"9".repeat(16)).is_err());
        assert!(serde_json::from_str::<Decimal>("\"1e3\"").is_err());
        assert!(serde_json::from_str::<Decimal>("575.11").is_err(), "a JSON number has lost its digits");
    }
}
