//! What the readings say of a span of time.

use std::collections::BTreeMap;

use llamark_record::telemetry::{Phase, Reading, Throttled, Unit, Window};

use crate::energy::{self, coverage, longest_gap};
use crate::recording::Recording;

/// A span of time, nanoseconds since the origin of the sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub phase: Phase,
    /// Its beginning.
    pub begin_ns: u64,
    /// Its end.
    pub end_ns: u64,
}

pub(crate) fn window(recording: &Recording, span: Span) -> Window {
    let Span { phase, begin_ns, end_ns } = span;
    let bounds = (begin_ns, end_ns);
    let rows = recording.rows();
    let rounds = coverage(rows.at().iter().copied(), bounds, longest_gap(recording.period_ns()));
    let mut window = Window {
        phase,
        begin_ns,
        end_ns,
        rounds: u32::try_from(rounds.inside).unwrap_or(u32::MAX),
        coverage_ppm: rounds.ppm,
        largest_gap_ns: rounds.largest_gap_ns,
        throttled: Throttled::Unknown,
        readings: BTreeMap::new(),
        growth: BTreeMap::new(),
        energy: BTreeMap::new(),
    };
    let mut held_back = Vec::new();
    for (place, channel) in recording.channels().iter().enumerate() {
        let series = rows.series(place);
        if series.is_empty() {
            // The channel says why.
            continue;
        }
        let inside: Vec<i64> = series
            .iter()
            .filter(|(at, _)| (begin_ns..=end_ns).contains(at))
            .map(|(_, value)| *value)
            .collect();
        let name = channel.name.clone();
        if energy::is_of_energy(channel.unit) {
            let found =
                energy::energy(channel.unit, channel.wraps_at, &series, bounds, recording.period_ns());
            window.energy.insert(name.clone(), found);
        }
        match channel.unit {
            Unit::ThrottleBits => held_back.extend(inside.iter().map(|bits| *bits != 0)),
            Unit::ThrottleCount => held_back.extend(inside.windows(2).map(|pair| pair[0] != pair[1])),
            Unit::Nanoseconds => {
                if let [first, .., last] = *inside
                    && let Some(growth) = energy::growth(first, last, None)
                {
                    window.growth.insert(name, u64::try_from(growth).unwrap_or(u64::MAX));
                }
            }
            Unit::Microjoules => {}
            _ => {
                if let Some(reading) = reading(&inside) {
                    window.readings.insert(name, reading);
                }
            }
        }
    }
    window.throttled = throttled(&held_back);
    window
}

fn reading(values: &[i64]) -> Option<Reading> {
    let (min, max) = (*values.iter().min()?, *values.iter().max()?);
    let sum: i128 = values.iter().map(|value| i128::from(*value)).sum();
    let count = i128::try_from(values.len()).ok()?;
    Some(Reading {
        min,
        mean: i64::try_from(sum / count).ok()?,
        max,
        samples: u32::try_from(values.len()).unwrap_or(u32::MAX),
    })
}

fn throttled(held_back: &[bool]) -> Throttled {
    match held_back {
        [] => Throttled::Unknown,
        some if some.contains(&true) => Throttled::Yes,
        _ => Throttled::No,
    }
}
