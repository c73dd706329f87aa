//! How starts are prepared and repeated: the keys of `protocol` that say so, and the plan's procedure.

use std::borrow::Cow;
use std::fmt;

use llamark_record::plan::{self, CoolDown, Procedure, WarmUp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::defaults;
use crate::experiment::Protocol;
use crate::units::{Duration, Share, Temperature, Timeout};

/// Fewest starts that an interval is made of.
const FEWEST_STARTS: u32 = 3;

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
        until: protocol.until.as_ref().map(|until| plan::Until {
            share_ppm: u32::try_from(until.ci.0).unwrap_or(u32::MAX),
            least: fewest_starts(protocol.starts.unwrap_or(defaults::STARTS)),
            max_server_ms: until.max_time.map(|limit| limit.0),
        }),
        cooldown: match protocol.cooldown {
            Some(Cooldown::Until(CooldownUntil { until, .. })) => CoolDown::Until { millicelsius: until.0 },
            Some(Cooldown::Pause(_)) | None => CoolDown::Pause,
        },
        min_run_ms: protocol.min_duration.unwrap_or(Duration(0)).0,
    }
}

/// Starts of a case; the most of them, where they are made until something is known.
pub(crate) fn starts(protocol: &Protocol) -> u32 {
    let runs = protocol.runs.unwrap_or(defaults::RUNS);
    match &protocol.until {
        Some(until) => most_starts(until.max_starts, until.max_runs, runs),
        None => protocol.starts.unwrap_or(defaults::STARTS),
    }
}

/// Most starts that these limits allow, with so many runs in each.
pub(crate) fn most_starts(max_starts: Option<u32>, max_runs: Option<u32>, runs: u32) -> u32 {
    let by_runs = max_runs.map(|most| most / runs.max(1));
    match (max_starts, by_runs) {
        (Some(starts), Some(by_runs)) => starts.min(by_runs),
        (Some(starts), None) | (None, Some(starts)) => starts,
        (None, None) => defaults::MAX_STARTS,
    }
}

/// Fewest starts with `until`, where so many are asked for.
pub(crate) fn fewest_starts(starts: u32) -> u32 {
    starts.max(FEWEST_STARTS)
}

/// Length of the pause before a start, ms; the longest, where it waits for something.
pub(crate) fn pause_ms(protocol: &Protocol) -> u64 {
    match protocol.cooldown {
        Some(Cooldown::Pause(pause)) => pause.0,
        Some(Cooldown::Until(CooldownUntil { at_most, .. })) => at_most.0,
        None => defaults::COOLDOWN.parse().map_or(0, |Duration(pause)| pause),
    }
}

/// Add starts until the rates are known precisely enough. Starts are added, not runs, because the runs of one start
/// share its luck.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// How precisely: half the width of the 95 % interval of `pp` and of `tg` over the starts, as a share of the mean.
    pub ci: Share,
    /// Maximum starts of a case. Default: `20`, or what `max_runs` allows.
    #[schemars(range(min = 1, max = 10_000), extend("default" = defaults::MAX_STARTS))]
    pub max_starts: Option<u32>,
    /// Maximum counted runs of a case, rounded down to whole starts.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_runs: Option<u32>,
    /// Total running time of all servers of the experiment. When it is used up, no case gets more than its minimum of
    /// starts, or those that it already has. Default: no limit.
    pub max_time: Option<Timeout>,
}

/// The pause before a start: a duration, or until a temperature is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cooldown {
    /// A duration.
    Pause(Duration),
    /// Until the device is cool.
    Until(CooldownUntil),
}

/// A pause until the device is cool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CooldownUntil {
    /// Wait until the hottest sensor of the backend's device is at most this warm.
    pub until: Temperature,
    /// Longest pause. If no sensor can be read, the pause is this long.
    pub at_most: Timeout,
}

impl<'de> Deserialize<'de> for Cooldown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pause;
        impl<'de> de::Visitor<'de> for Pause {
            type Value = Cooldown;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration, or `until` and `at_most`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cooldown, E> {
                text.parse().map(Cooldown::Pause).map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Cooldown, A::Error> {
                CooldownUntil::deserialize(de::value::MapAccessDeserializer::new(map)).map(Cooldown::Until)
            }
        }
        deserializer.deserialize_any(Pause)
    }
}

impl JsonSchema for Cooldown {
    fn schema_name() -> Cow<'static, str> {
        "Cooldown".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (pause, until) =
            (generator.subschema_for::<Duration>(), generator.subschema_for::<CooldownUntil>());
        json_schema!({
            "title": "pause",
            "description": "A duration, or `until` a temperature and the longest pause, `at_most`.",
            "anyOf": [pause, until],
        })
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
    /// A fixed number.
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
