//! The canary: from `canary` of a protocol to what every server is asked.

use std::borrow::Cow;
use std::fmt;

use llamark_record::plan::PlannedCanary;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::defaults;
use crate::text::Text;

/// Whether there is a canary, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Canary {
    /// The usual one, or none.
    Usual(bool),
    /// One of the author's.
    Own(OwnCanary),
}

/// Your own canary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnCanary {
    /// Tokens to generate. Default: `24`.
    #[schemars(range(min = 8, max = 512), extend("default" = defaults::CANARY_TOKENS))]
    pub tokens: Option<u32>,
    /// The text to continue. Default: the days of the week, which models are sure how to continue.
    pub prompt: Option<Text>,
}

impl Default for Canary {
    fn default() -> Self {
        Self::Usual(defaults::CANARY)
    }
}

impl Canary {
    /// What every server is asked; `None`: nothing.
    pub(crate) fn planned(&self) -> Option<PlannedCanary> {
        let own = match self {
            Self::Usual(false) => return None,
            Self::Usual(true) => &OwnCanary::default(),
            Self::Own(own) => own,
        };
        let text = own.prompt.as_ref().map_or(defaults::CANARY_PROMPT, Text::as_str);
        // White space at the end would be a token of its own, which no text goes on from.
        let text = text.trim_end().to_owned();
        Some(PlannedCanary::new(own.tokens.unwrap_or(defaults::CANARY_TOKENS), text))
    }
}

impl<'de> Deserialize<'de> for Canary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;
        impl<'de> Visitor<'de> for Choice {
            type Value = Canary;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false`, or a mapping")
            }

            fn visit_bool<E: de::Error>(self, is_on: bool) -> Result<Canary, E> {
                Ok(Canary::Usual(is_on))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Canary, A::Error> {
                OwnCanary::deserialize(MapAccessDeserializer::new(map)).map(Canary::Own)
            }
        }
        deserializer.deserialize_any(Choice)
    }
}

impl JsonSchema for Canary {
    fn schema_name() -> Cow<'static, str> {
        "Canary".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let own = generator.subschema_for::<OwnCanary>();
        json_schema!({
            "title": "canary",
            "description": "`true`, `false`, or a canary of your own: `tokens` and `prompt`.",
            "anyOf": [{ "type": "boolean" }, own],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Option<PlannedCanary> {
        serde_json::from_str::<Canary>(json).unwrap().planned()
    }

    #[test]
    fn a_canary_is_usual_or_none_or_of_the_authors() {
        assert_eq!(of("false"), None);
        assert_eq!(of("true"), Canary::default().planned());
        assert_eq!(of("{}"), of("true"));
        let own = of(r#"{"tokens": 16, "prompt": "One, two,\n"}"#).unwrap();
        assert_eq!((own.tokens, own.text.as_str()), (16, "One, two,"));
        assert!(serde_json::from_str::<Canary>(r#"{"token": 16}"#).is_err());
        assert!(serde_json::from_str::<Canary>("24").is_err());
    }
}
