//! All that a sampler read, and what it is worth.

use llamark_record::Sha256;
use llamark_record::journal::StartId;
use llamark_record::telemetry::{Availability, Channel, SampleFile, Telemetry, Window};

use crate::csv;
use crate::rows::Rows;
use crate::sensor::Sensor;
use crate::window::{self, Span};

/// All that a sampler read.
#[derive(Clone, Debug)]
pub struct Recording {
    period_ns: u64,
    channels: Vec<Channel>,
    rows: Rows,
    cut_short: Option<String>,
}

impl Recording {
    pub(crate) fn new(period_ns: u64, channels: Vec<Channel>, rows: Rows, stuck: Option<String>) -> Self {
        let full = rows.is_full().then(|| "there was no room for more readings".to_owned());
        Self { period_ns, channels, rows, cut_short: stuck.or(full) }
    }

    /// Planned time between two rounds, ns.
    pub fn period_ns(&self) -> u64 {
        self.period_ns
    }

    /// Every sensor that was looked for, by the order of the columns.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// Time stamps of the rounds, ns since the origin.
    pub fn rounds(&self) -> &[u64] {
        self.rows.at()
    }

    /// Why the rounds end before the sampler was stopped; absent when they do not.
    pub fn cut_short(&self) -> Option<&str> {
        self.cut_short.as_deref()
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// What the readings say of a span of time.
    pub fn window(&self, span: Span) -> Window {
        window::window(self, span)
    }

    /// The readings as CSV: the same bytes for the same readings, at most some 60 MB.
    pub fn csv(&self) -> Vec<u8> {
        csv::csv(self)
    }

    /// The record of a start: its channels, its windows, and the file of readings, whose bytes come second. Which channels
    /// are those of the backend is for the caller to say: `gpus` and `rails` are empty.
    pub fn record(&self, id: StartId, spans: &[Span]) -> (Telemetry, Vec<u8>) {
        let bytes = self.csv();
        let samples = SampleFile {
            sha256: Sha256::of_bytes(&bytes),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            rows: u64::try_from(self.rows.at().len()).unwrap_or(u64::MAX),
            cut_short: self.cut_short.clone(),
        };
        let telemetry = Telemetry {
            id,
            period_ns: self.period_ns,
            channels: self.channels.clone(),
            gpus: Vec::new(),
            rails: Vec::new(),
            windows: spans.iter().map(|span| self.window(*span)).collect(),
            samples,
        };
        (telemetry, bytes)
    }
}

/// The sensors, before anything came of them.
pub(crate) fn channels(sensors: &[Sensor]) -> Vec<Channel> {
    let never = Availability::NotAvailable { reason: "it was never read".to_owned() };
    let channel = |sensor: &Sensor| Channel {
        name: sensor.name.clone(),
        unit: sensor.unit,
        source: sensor.source.clone(),
        wraps_at: sensor.wraps_at,
        availability: never.clone(),
    };
    sensors.iter().map(channel).collect()
}

/// Says of each channel what came of it.
pub(crate) fn settle(channels: &mut [Channel], rows: &Rows) {
    let rounds = u64::try_from(rows.at().len()).unwrap_or(u64::MAX);
    for (place, channel) in channels.iter_mut().enumerate() {
        let faults = rows.faults(place);
        let Some(last) = faults.last.filter(|_| rounds > 0) else {
            if rounds > 0 {
                channel.availability = Availability::Available;
            }
            continue;
        };
        let reason = last.to_string();
        channel.availability = if faults.failed + faults.expected >= rounds {
            Availability::NotAvailable { reason }
        } else if faults.failed == 0 {
            Availability::Available
        } else {
            Availability::Partly { failed: faults.failed, reason }
        };
    }
}
