//! The readings of all rounds, next to each other in one piece of memory.

use crate::fault::Fault;

/// Most numbers that are kept: 32 MiB, which are hours at the usual rate.
const MOST_NUMBERS: usize = 4 << 20;
/// Rounds for which there is room from the beginning, so that a usual start never allocates while it is measured.
const ROOM: usize = 8192;
/// Stands for no reading; no sensor says it.
const NONE: i64 = i64::MIN;

/// The readings of one round.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) values: Vec<Result<i64, Fault>>,
}

impl Round {
    pub(crate) fn new(sensors: usize) -> Self {
        Self { values: vec![Err(Fault::NoProcess); sensors] }
    }
}

/// How often a sensor failed, and how the last time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Rounds in which it failed.
    pub(crate) failed: u64,
    /// Rounds in which there was nothing to read.
    pub(crate) expected: u64,
    /// The last failure; before the first, why there was nothing to read.
    pub(crate) last: Option<Fault>,
}

/// All rounds.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    width: usize,
    /// Beginning of each round, nanoseconds.
    at: Vec<u64>,
    values: Vec<i64>,
    faults: Vec<Faults>,
    is_full: bool,
}

impl Rows {
    pub(crate) fn new(width: usize) -> Self {
        let room = ROOM.min(MOST_NUMBERS / (width + 1));
        Self {
            width,
            at: Vec::with_capacity(room),
            values: Vec::with_capacity(room * width),
            faults: vec![Faults::default(); width],
            is_full: false,
        }
    }

    /// Keeps a round, unless there is no room left.
    pub(crate) fn push(&mut self, at: u64, round: &Round) {
        if self.values.len() + self.at.len() + self.width + 1 > MOST_NUMBERS {
            self.is_full = true;
            return;
        }
        self.at.push(at);
        for (value, faults) in round.values.iter().zip(&mut self.faults) {
            match value {
                Ok(value) => self.values.push(*value),
                Err(fault) => {
                    self.values.push(NONE);
                    if fault.is_expected() {
                        faults.expected += 1;
                        faults.last = faults.last.or(Some(*fault));
                    } else {
                        faults.failed += 1;
                        faults.last = Some(*fault);
                    }
                }
            }
        }
    }

    /// Whether rounds were left out for want of room.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The time stamps.
    pub(crate) fn at(&self) -> &[u64] {
        &self.at
    }

    pub(crate) fn faults(&self, sensor: usize) -> Faults {
        self.faults.get(sensor).copied().unwrap_or_default()
    }

    /// The readings of a sensor with their time stamps, without the rounds that have none.
    pub(crate) fn series(&self, sensor: usize) -> Vec<(u64, i64)> {
        let column = self.values.iter().skip(sensor).step_by(self.width.max(1)).copied();
        self.at.iter().copied().zip(column).filter(|(_, value)| *value != NONE).collect()
    }

    /// The rounds: time stamp and readings.
    pub(crate) fn rounds(&self) -> impl Iterator<Item = (u64, impl Iterator<Item = Option<i64>> + '_)> {
        let rows = self.values.chunks(self.width.max(1));
        self.at
            .iter()
            .copied()
            .zip(rows)
            .map(|(at, row)| (at, row.iter().map(|value| Some(*value).filter(|value| *value != NONE))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_failed_is_in_no_series() {
        let mut rows = Rows::new(2);
        for (at, first, second) in
            [(0, Ok(1), Err(Fault::Empty)), (100, Ok(2), Ok(7)), (200, Ok(3), Err(Fault::NotANumber))]
        {
            rows.push(at, &Round { values: vec![first, second] });
        }
        assert_eq!(rows.series(0), [(0, 1), (100, 2), (200, 3)]);
        assert_eq!(rows.series(1), [(100, 7)]);
        assert_eq!((rows.faults(1).failed, rows.faults(1).last), (2, Some(Fault::NotANumber)));
        assert_eq!(rows.rounds().count(), 3);
    }

    #[test]
    fn memory_is_bounded() {
        let mut rows = Rows::new(4095);
        let round = Round { values: vec![Ok(1); 4095] };
        for at in 0..2000 {
            rows.push(at, &round);
        }
        assert!(rows.is_full());
        assert_eq!(rows.at().len(), 1024);
    }
}
