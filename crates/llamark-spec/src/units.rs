//! Quantities with a unit: durations, sizes and bandwidths, as text in an experiment and as numbers in a plan.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// The text is not a quantity of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}; an example is `{example}`")]
pub struct ParseQuantityError {
    text: String,
    kind: &'static str,
    example: &'static str,
}

/// A type that is a number in one unit, and text in an experiment.
macro_rules! quantity_type {
    (
        $(#[doc = $doc:literal])+
        $name:ident, title: $title:literal, pattern: $pattern:literal, examples: [$example:literal $(, $more:literal)*],
        units: $units:ident
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub u64);

        impl FromStr for $name {
            type Err = ParseQuantityError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let error = || ParseQuantityError { text: text.to_owned(), kind: $title, example: $example };
                quantity(text, $units).map(Self).ok_or_else(error)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "title": $title,
                    "description": ([$($doc),+].map(str::trim).join(" ")),
                    "type": "string",
                    "pattern": $pattern,
                    "examples": [$example $(, $more)*],
                })
            }
        }
    };
}

quantity_type! {
    /// A length of time: a whole number and `ms`, `s`, `m` or `h`.
    Duration, title: "duration", pattern: "^(0|[1-9][0-9]{0,6}) ?(ms|s|m|h)$",
    examples: ["10s", "500ms", "2m"], units: TIMES
}
quantity_type! {
    /// A time limit: a positive whole number and `ms`, `s`, `m` or `h`.
    Timeout, title: "time limit", pattern: "^[1-9][0-9]{0,6} ?(ms|s|m|h)$",
    examples: ["600s", "10m"], units: TIMES
}
quantity_type! {
    /// A size: a number and `B`, `kB`, `MB`, `GB`, `TB` (powers of 1000) or `KiB`, `MiB`, `GiB`, `TiB` (of 1024).
    Size, title: "size", pattern: r"^(0|[1-9][0-9]{0,5})(\.[0-9]{1,3})? ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$",
    examples: ["120 GiB", "512 MB"], units: SIZES
}
quantity_type! {
    /// A bandwidth: a number and `MB/s`, `GB/s`, `TB/s` (powers of 1000) or `MiB/s`, `GiB/s`, `TiB/s` (of 1024).
    Bandwidth, title: "bandwidth",
    pattern: r"^(0|[1-9][0-9]{0,5})(\.[0-9]{1,3})? ?(MB|GB|TB|MiB|GiB|TiB)/s$",
    examples: ["256 GB/s"], units: BANDWIDTHS
}

quantity_type! {
    /// A share: a number above 0 and below 100, and `%`.
    Share, title: "share", pattern: r"^([1-9][0-9]?(\.[0-9]{1,2})?|0\.(0[1-9]|[1-9][0-9]?)) ?%$",
    examples: ["3%", "0.5%"], units: SHARES
}

quantity_type! {
    /// A share that may be more than the whole: a number above 0, at most 10000, and `%`.
    Growth, title: "share",
    pattern: r"^([1-9][0-9]{0,3}(\.[0-9]{1,2})?|10000|0\.(0[1-9]|[1-9][0-9]?)) ?%$",
    examples: ["10%", "150%"], units: SHARES
}

quantity_type! {
    /// A temperature: a whole number of degrees Celsius and `C`.
    Temperature, title: "temperature", pattern: "^[1-9][0-9]{0,2} ?(C|°C)$",
    examples: ["60 C"], units: TEMPERATURES
}

/// In thousandths of a degree Celsius.
const TEMPERATURES: &[(&str, u64)] = &[("°C", 1000), ("C", 1000)];
/// In milliseconds.
const TIMES: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
/// In bytes.
const SIZES: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];
/// In bytes per second.
const BANDWIDTHS: &[(&str, u64)] = &[
    ("MiB/s", 1 << 20),
    ("GiB/s", 1 << 30),
    ("TiB/s", 1 << 40),
    ("MB/s", 1_000_000),
    ("GB/s", 1_000_000_000),
    ("TB/s", 1_000_000_000_000),
];

/// In parts per million.
const SHARES: &[(&str, u64)] = &[("%", 10_000)];

/// The number before a unit times the unit, exactly: the number is held in thousandths.
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    let number = number.strip_suffix(' ').unwrap_or(number);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || number.ends_with('.')
        || fraction.len() > 3
        || !all_digits(whole)
        || !all_digits(fraction)
    {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u128>().ok()?;
    let value = (whole.parse::<u128>().ok()? * 1000 + thousandths).checked_mul(u128::from(unit))? / 1000;
    u64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units() {
        assert_eq!("500ms".parse(), Ok(Duration(500)));
        assert_eq!("2m".parse(), Ok(Duration(120_000)));
        assert_eq!("3 h".parse(), Ok(Duration(10_800_000)));
        assert_eq!("120 GiB".parse(), Ok(Size(120 << 30)));
        assert_eq!("1.5GB".parse(), Ok(Size(1_500_000_000)));
        assert_eq!("7B".parse(), Ok(Size(7)));
        assert_eq!("256.5 GB/s".parse(), Ok(Bandwidth(256_500_000_000)));
        assert_eq!("3%".parse(), Ok(Share(30_000)));
        assert_eq!("0.05 %".parse(), Ok(Share(500)));
        assert_eq!("250%".parse(), Ok(Growth(2_500_000)));
        assert_eq!("60 C".parse(), Ok(Temperature(60_000)));
        assert_eq!("85°C".parse(), Ok(Temperature(85_000)));
        for bad in [
            "",
            "s",
            " s",
            "1",
            "-1s",
            "+1s",
            "1.s",
            ".5s",
            "1 d",
            "1e3s",
            "1.2345s",
            "9".repeat(60).as_str(),
        ] {
            assert!(bad.parse::<Duration>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_example_and_the_longest_text_of_a_pattern_is_read() {
        for (text, units) in [
            ("9999.99%", SHARES),
            ("9999999h", TIMES),
            ("999999.999 TiB", SIZES),
            ("999999.999 TiB/s", BANDWIDTHS),
        ] {
            assert!(quantity(text, units).is_some(), "{text}");
        }
    }
}
