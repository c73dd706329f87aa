//! What the sensors of the machine said during a start: which there are, and what came of each part of the start.
//!
//! Integers only, in the units of [`Unit`]. What could not be read is absent with a reason, never 0.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::journal::StartId;

/// What the sensors said during one start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Which start.
    pub id: StartId,
    /// Planned time between two rounds of readings, nanoseconds.
    pub period_ns: u64,
    /// Every sensor that was looked for.
    pub channels: Vec<Channel>,
    /// The GPUs that the backend may run on, as in `gpu.0`: those of its driver. Empty for the processor alone.
    pub gpus: Vec<String>,
    /// Channels whose energy together is that of the device of the backend: of its GPUs, or of the processor.
    pub rails: Vec<String>,
    /// The parts of the start, in the order of time: idle, load, then prefill and decode of each run (no warm-up).
    pub windows: Vec<Window>,
    /// The file of the readings themselves, next to the log of the server.
    pub samples: SampleFile,
}

/// The file of readings: CSV, a line for each round, empty if there was no reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleFile {
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// Its size.
    pub bytes: u64,
    /// Rounds of readings.
    pub rows: u64,
    /// Why the rounds end before the start does; absent when they do not.
    pub cut_short: Option<String>,
}

/// One sensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Its name: `process.rss`, `gpu.0.power`, `cpu.energy.package-0`, ...
    pub name: String,
    /// Unit of its readings.
    pub unit: Unit,
    /// Where it is read: a path, or the function of a library.
    pub source: String,
    /// Where a counter begins again at 0; absent for what is not a counter or has no such place.
    pub wraps_at: Option<u64>,
    /// Whether it could be read.
    pub availability: Availability,
}

/// Whether a sensor could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Availability {
    /// In every round.
    Available,
    /// In some rounds.
    Partly {
        /// Rounds without a reading.
        failed: u64,
        /// Why, the last time.
        reason: String,
    },
    /// Never.
    NotAvailable {
        /// Why.
        reason: String,
    },
}

/// The unit of a channel's readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Bytes in use.
    Bytes,
    /// Percent of the time that a device was busy.
    Percent,
    /// Clock, Hz.
    Hertz,
    /// Temperature, thousandths of a degree Celsius.
    Millidegrees,
    /// Power, µW.
    Microwatts,
    /// A counter of energy, µJ.
    Microjoules,
    /// A counter of processor time, ns.
    Nanoseconds,
    /// Reasons for which clocks are held back at this moment, one bit each; 0: none.
    ThrottleBits,
    /// A counter that grows while, or each time that, clocks are held back.
    ThrottleCount,
}

/// A part of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Phase {
    /// Before the server is spawned: the baseline.
    Idle,
    /// From the spawn to ready.
    Load,
    /// Of a run: from sending the request to the first token.
    Prefill {
        /// Which run.
        run: u32,
    },
    /// Of a run: from the first token to the last.
    Decode {
        /// Which run.
        run: u32,
    },
}

/// Summary of a part of a start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Which part.
    pub phase: Phase,
    /// Its beginning, nanoseconds since the sampler was started; a time stamp of the file of readings.
    pub begin_ns: u64,
    /// Its end, likewise.
    pub end_ns: u64,
    /// Rounds of readings in it.
    pub rounds: u32,
    /// Share of it that lies between rounds close enough to each other, parts per million.
    pub coverage_ppm: u32,
    /// Longest time in it without a round.
    pub largest_gap_ns: u64,
    /// Whether clocks were held back.
    pub throttled: Throttled,
    /// Mean and extremes by channel, of channels that are no counters; those without a reading are not there.
    pub readings: BTreeMap<String, Reading>,
    /// By how much a counter grew, from the first to the last reading in the window. Energy is apart.
    pub growth: BTreeMap<String, u64>,
    /// Energy by channel of power or energy.
    pub energy: BTreeMap<String, Energy>,
}

/// Readings of one channel in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Smallest.
    pub min: i64,
    /// Arithmetic mean, rounded toward 0.
    pub mean: i64,
    /// Largest: the peak of bytes, the worst of temperatures.
    pub max: i64,
    /// How many.
    pub samples: u32,
}

/// Whether clocks were held back by power, current or heat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Throttled {
    /// Some device says so.
    Yes,
    /// No device that can say so does.
    No,
    /// No device can say so.
    Unknown,
}

/// Energy of a window, if the readings are good enough for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Energy {
    /// Measured.
    Measured {
        /// Microjoules.
        microjoules: u64,
        /// Share of the window that readings of this channel cover, parts per million.
        coverage_ppm: u32,
        /// Longest time without a reading of this channel.
        largest_gap_ns: u64,
    },
    /// Not available: the readings are not good enough for it.
    NotAvailable {
        /// Why.
        reason: String,
    },
}

impl Energy {
    /// The microjoules, where they are.
    pub fn microjoules(&self) -> Option<u64> {
        match self {
            Self::Measured { microjoules, .. } => Some(*microjoules),
            Self::NotAvailable { .. } => None,
        }
    }
}

impl Telemetry {
    /// The window of that phase.
    pub fn window(&self, phase: Phase) -> Option<&Window> {
        self.windows.iter().find(|window| window.phase == phase)
    }

    /// Energy of a phase over all rails, µJ.
    ///
    /// # Errors
    /// Why there is none.
    pub fn energy(&self, phase: Phase) -> Result<u64, String> {
        let window = self.window(phase).ok_or("the start did not come so far")?;
        if self.rails.is_empty() {
            return Err(self.why_not(|name| name.ends_with(".power") || name.contains(".energy"), "energy"));
        }
        let mut sum = 0_u64;
        for rail in &self.rails {
            match window.energy.get(rail) {
                Some(Energy::Measured { microjoules, .. }) => sum = sum.saturating_add(*microjoules),
                Some(Energy::NotAvailable { reason }) => return Err(format!("{rail}: {reason}")),
                None => return Err(self.why_not(|name| name == rail, "energy")),
            }
        }
        Ok(sum)
    }

    /// Most bytes in use of `what` (`vram`, `gtt`), from the spawn of the server on: of each GPU of the backend, summed.
    ///
    /// # Errors
    /// Why there is no number.
    pub fn peak(&self, what: &str) -> Result<u64, String> {
        if self.gpus.is_empty() {
            return Err("the backend runs on no GPU with sensors".to_owned());
        }
        let mut sum = 0_u64;
        for gpu in &self.gpus {
            let name = format!("{gpu}.{what}");
            let peaks = self.windows.iter().filter(|window| window.phase != Phase::Idle);
            let peak = peaks.filter_map(|window| window.readings.get(&name)).map(|reading| reading.max).max();
            match peak.and_then(|peak| u64::try_from(peak).ok()) {
                Some(peak) => sum = sum.saturating_add(peak),
                None => return Err(self.why_not(|channel| channel == name, what)),
            }
        }
        Ok(sum)
    }

    /// Why no channel of a kind was read.
    fn why_not(&self, is_of_kind: impl Fn(&str) -> bool, what: &str) -> String {
        let reason =
            self.channels.iter().filter(|channel| is_of_kind(&channel.name)).find_map(
                |channel| match &channel.availability {
                    Availability::NotAvailable { reason } => Some(format!("{}: {reason}", channel.name)),
                    _ => None,
                },
            );
        reason.unwrap_or_else(|| format!("no sensor of {what}"))
    }
}

impl Unit {
    /// Whether readings of it only grow, so that differences count.
    pub fn is_counter(self) -> bool {
        matches!(self, Self::Microjoules | Self::Nanoseconds | Self::ThrottleCount)
    }
}
