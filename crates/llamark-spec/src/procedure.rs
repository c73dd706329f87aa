//! How starts are prepared and repeated: the keys of `protocol` that say so, and the plan's procedure.

use std::borrow::Cow;
use std::fmt;

use llamark_record::plan::{Procedure, WarmUp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::defaults;
use crate::experiment::Protocol;
use crate::units::Duration;

/// What the protocol says of it; what it does not say is as usual.
pub(crate) fn procedure(protocol: &Protocol) -> Procedure {
    Procedure {
        cache: protocol.cache.unwrap_or_default(),
        order: protocol.order.unwrap_or_default(),
        warmup: match protocol.warmup {
            Some(WarmUpRuns::Auto) => WarmUp::Steady {
                window: defaults::AUTO_WARMUP_WINDOW,
                variation_ppm: defaults::AUTO_WARMUP_VARIATION_PPM,
            },
            Some(WarmUpRuns::Count(_)) | None => WarmUp::Counted,
        },
        min_run_ms: protocol.min_duration.unwrap_or(Duration(0)).0,
        ..Procedure::default()
    }
}

/// Most warm-up runs of a start.
pub(crate) fn most_warmups(protocol: &Protocol) -> u32 {
    match protocol.warmup {
        Some(WarmUpRuns::Auto) => defaults::AUTO_WARMUP_MOST,
        Some(WarmUpRuns::Count(count)) => count,
        None => defaults::WARMUP,
    }
}

/// `auto` or a number of warm-up runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmUpRuns {
    /// Until the runs are steady.
    Auto,
    /// This many.
    Count(u32),
}

impl<'de> Deserialize<'de> for WarmUpRuns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Runs;
        impl de::Visitor<'_> for Runs {
            type Value = WarmUpRuns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`auto` or a number of runs")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<WarmUpRuns, E> {
                if text == "auto" {
                    Ok(WarmUpRuns::Auto)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<WarmUpRuns, E> {
                u32::try_from(number).map(WarmUpRuns::Count).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<WarmUpRuns, E> {
                u32::try_from(number).map(WarmUpRuns::Count).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Runs)
    }
}

impl JsonSchema for WarmUpRuns {
    fn schema_name() -> Cow<'static, str> {
        "WarmUpRuns".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "number of warm-up runs",
            "description": "`auto` or a number of warm-up runs.",
            "anyOf": [
                { "type": "string", "enum": ["auto"] },
                { "type": "integer", "minimum": 0, "maximum": 1000 },
            ],
        })
    }
}
