//! Values of an experiment that may be written in more than one way: `all` or a number, one name or several.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::text::Name;

/// `all` or a number of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerCount {
    /// All of them.
    All,
    /// This many.
    Count(u32),
}

impl<'de> Deserialize<'de> for LayerCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Layers;
        impl Visitor<'_> for Layers {
            type Value = LayerCount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all` or a number of layers")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<LayerCount, E> {
                if text == "all" {
                    Ok(LayerCount::All)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<LayerCount, E> {
                u32::try_from(number).map(LayerCount::Count).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<LayerCount, E> {
                u32::try_from(number).map(LayerCount::Count).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Layers)
    }
}

impl JsonSchema for LayerCount {
    fn schema_name() -> Cow<'static, str> {
        "LayerCount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "number of layers",
            "description": "`all` or a number of layers.",
            "anyOf": [
                { "type": "string", "enum": ["all"] },
                { "type": "integer", "minimum": 0, "maximum": 10_000 },
            ],
        })
    }
}

/// How often sensors are read: `off`, or times per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleRate {
    /// Never.
    Off,
    /// This many times per second.
    Hertz(u32),
}

impl FromStr for SampleRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let number = text.strip_suffix("Hz").map(|number| number.strip_suffix(' ').unwrap_or(number));
        let hertz = number.and_then(|number| number.parse().ok()).filter(|hertz| (1..=100).contains(hertz));
        hertz.map(Self::Hertz).ok_or_else(|| format!("`{text}` is neither `off` nor `1 Hz` to `100 Hz`"))
    }
}

impl<'de> Deserialize<'de> for SampleRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for SampleRate {
    fn schema_name() -> Cow<'static, str> {
        "SampleRate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "rate of readings",
            "description": "`off`, or a whole number of times per second from `1 Hz` to `100 Hz`.",
            "type": "string",
            "pattern": "^(off|([1-9][0-9]?|100) ?Hz)$",
            "examples": ["10 Hz", "off"],
        })
    }
}

/// The value of a CMake variable, as text: `ON` and `OFF` for booleans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CMakeValue(pub String);

impl<'de> Deserialize<'de> for CMakeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl Visitor<'_> for Value {
            type Value = CMakeValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, a whole number or text")
            }

            fn visit_bool<E: de::Error>(self, is_on: bool) -> Result<CMakeValue, E> {
                Ok(CMakeValue(if is_on { "ON" } else { "OFF" }.to_owned()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CMakeValue, E> {
                Ok(CMakeValue(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<CMakeValue, E> {
                Ok(CMakeValue(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<CMakeValue, E> {
                Ok(CMakeValue(number.to_string()))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

impl JsonSchema for CMakeValue {
    fn schema_name() -> Cow<'static, str> {
        "CMakeValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "CMake value",
            "description": "`true` or `false` for an option, a whole number, or text. A list is text with `;`.",
            "anyOf": [
                { "type": "boolean" },
                { "type": "integer", "minimum": 0, "maximum": 1_000_000_000 },
                { "type": "string", "pattern": r"^[^\x00-\x1f\x7f]*$", "maxLength": 4096 },
            ],
            "examples": [true, "gfx1151", 90],
        })
    }
}

/// One name or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptNames(pub Vec<Name>);

impl<'de> Deserialize<'de> for PromptNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = PromptNames;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a prompt, or a list of names")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PromptNames, E> {
                Name::deserialize(de::value::StrDeserializer::new(text)).map(|name| PromptNames(vec![name]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PromptNames, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(PromptNames(names))
            }
        }
        deserializer.deserialize_any(Names)
    }
}

impl JsonSchema for PromptNames {
    fn schema_name() -> Cow<'static, str> {
        "PromptNames".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<Name>();
        json_schema!({
            "title": "names of prompts",
            "description": "The name of a prompt, or a list of names.",
            "anyOf": [name, { "type": "array", "items": name, "minItems": 1, "uniqueItems": true }],
        })
    }
}

/// One number or several, each between `LEAST` and `MOST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbers<const LEAST: u32, const MOST: u32> {
    /// One.
    One(u32),
    /// A list.
    List(Vec<u32>),
}

impl<const LEAST: u32, const MOST: u32> Numbers<LEAST, MOST> {
    /// All of them, in the author's order.
    pub fn all(&self) -> &[u32] {
        match self {
            Self::One(number) => std::slice::from_ref(number),
            Self::List(numbers) => numbers,
        }
    }
}

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Numbers<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore<const LEAST: u32, const MOST: u32>;
        impl<'de, const LEAST: u32, const MOST: u32> Visitor<'de> for OneOrMore<LEAST, MOST> {
            type Value = Numbers<LEAST, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a list of whole numbers")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                u32::try_from(number).map(Numbers::One).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                u32::try_from(number).map(Numbers::One).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut numbers = Vec::new();
                while let Some(number) = list.next_element()? {
                    numbers.push(number);
                }
                Ok(Numbers::List(numbers))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

impl<const LEAST: u32, const MOST: u32> JsonSchema for Numbers<LEAST, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Numbers_{LEAST}_{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = json_schema!({ "type": "integer", "minimum": LEAST, "maximum": MOST });
        json_schema!({
            "anyOf": [number, { "type": "array", "items": number, "minItems": 1, "uniqueItems": true }],
        })
    }
}

/// A whole number from 1 to `MOST`; of the schema alone.
#[derive(Clone, Copy, Debug)]
pub struct Number<const MOST: u32>;

impl<const MOST: u32> JsonSchema for Number<MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Number_{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MOST })
    }
}
