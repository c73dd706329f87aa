//! The metrics: their names, units and directions, and the one definition of each rate.
//!
//! llama.cpp changed the meaning of `timings.predicted_per_second` between versions, so its rates are never
//! used: a rate is computed here, from the raw integers of a record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Prompt processing, tok/s.
    Pp,
    /// Token generation, tok/s.
    Tg,
    /// Time from sending the request to the first generated token, ms.
    Ttft,
    /// Process start to ready, ms.
    Load,
    /// Peak resident memory of the server, bytes.
    Rss,
    /// Peak memory in use on the GPUs of the backend, bytes.
    Vram,
    /// Peak memory of the host in use by the GPUs of the backend, bytes.
    Gtt,
    /// Energy of the backend's device for each token of the prompt, J/token.
    EnergyPrefill,
    /// Energy of the backend's device for each step of generation, J/token.
    EnergyDecode,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    HigherIsBetter,
    /// Less is better.
    LowerIsBetter,
}

impl Metric {
    /// Every metric, in the order of a report.
    pub const ALL: [Self; 9] = [
        Self::Pp,
        Self::Tg,
        Self::Ttft,
        Self::Load,
        Self::Rss,
        Self::Vram,
        Self::Gtt,
        Self::EnergyPrefill,
        Self::EnergyDecode,
    ];

    /// The name in records and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pp => "pp",
            Self::Tg => "tg",
            Self::Ttft => "ttft",
            Self::Load => "load",
            Self::Rss => "rss",
            Self::Vram => "vram",
            Self::Gtt => "gtt",
            Self::EnergyPrefill => "energy_prefill",
            Self::EnergyDecode => "energy_decode",
        }
    }

    /// The unit of a value.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Pp | Self::Tg => "tok/s",
            Self::Ttft | Self::Load => "ms",
            Self::Rss | Self::Vram | Self::Gtt => "bytes",
            Self::EnergyPrefill | Self::EnergyDecode => "J/token",
        }
    }

    /// Whether each run has a value, or else each start.
    pub fn is_of_runs(self) -> bool {
        match self {
            Self::Pp | Self::Tg | Self::Ttft | Self::EnergyPrefill | Self::EnergyDecode => true,
            Self::Load | Self::Rss | Self::Vram | Self::Gtt => false,
        }
    }

    /// Which way is better.
    pub fn direction(self) -> Direction {
        match self {
            Self::Pp | Self::Tg => Direction::HigherIsBetter,
            Self::Ttft
            | Self::Load
            | Self::Rss
            | Self::Vram
            | Self::Gtt
            | Self::EnergyPrefill
            | Self::EnergyDecode => Direction::LowerIsBetter,
        }
    }
}

/// Prompt processing, tok/s: `tokens` evaluated in `microseconds`, from the start of the slot to the first
/// token sampled. `None` when nothing was evaluated or no time passed.
pub fn prompt_rate(tokens: u32, microseconds: u64) -> Option<f64> {
    rate(tokens, microseconds)
}

/// Token generation, tok/s: `tokens - 1` steps in `microseconds`, from the first token to the last.
///
/// The first token is sampled at the end of prompt processing, so n tokens are n - 1 steps.
pub fn generation_rate(tokens: u32, microseconds: u64) -> Option<f64> {
    rate(tokens.saturating_sub(1), microseconds)
}

/// Energy of a token, J: `microjoules` over `tokens`. For decoding, the steps are counted, one fewer than the tokens
/// generated, as in [`generation_rate`]. `None` when there was none.
pub fn energy_per_token(microjoules: u64, tokens: u32) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "microjoules of one run are far below 2^53")]
    let joules = microjoules as f64 / 1e6;
    (tokens > 0).then(|| joules / f64::from(tokens))
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of one request are far below 2^53")]
fn rate(steps: u32, microseconds: u64) -> Option<f64> {
    (steps > 0 && microseconds > 0).then(|| f64::from(steps) * 1e6 / microseconds as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_counts_steps_not_tokens() {
        assert_eq!(generation_rate(129, 2_000_000), Some(64.0));
        assert_eq!(generation_rate(1, 2_000_000), None);
        assert_eq!(generation_rate(0, 0), None);
    }

    #[test]
    fn prompt_counts_tokens() {
        assert_eq!(prompt_rate(512, 1_000_000), Some(512.0));
        assert_eq!(prompt_rate(512, 0), None);
    }
}
