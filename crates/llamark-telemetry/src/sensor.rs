//! One sensor: its name, how it is read, and which of its numbers can be true.

use llamark_record::telemetry::Unit;

use crate::fault::Fault;
use crate::file::Buffer;
use crate::probe::Probe;

/// Whether 0 can be a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zero {
    /// It can: nothing is in use, nothing is busy.
    CanBeTrue,
    /// It cannot: the driver says 0 for what it does not know.
    CannotBeTrue,
}

/// One sensor.
#[derive(Debug)]
pub(crate) struct Sensor {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) source: String,
    pub(crate) wraps_at: Option<u64>,
    pub(crate) zero: Zero,
    pub(crate) probe: Probe,
    /// Whether it was ever read.
    pub(crate) was_read: bool,
}

impl Sensor {
    /// A sensor for which 0 cannot be true: temperatures, clocks, power, counters of energy.
    pub(crate) fn new(name: impl Into<String>, unit: Unit, source: impl Into<String>, probe: Probe) -> Self {
        let zero = match unit {
            Unit::Percent | Unit::Nanoseconds | Unit::ThrottleBits | Unit::ThrottleCount => Zero::CanBeTrue,
            _ => Zero::CannotBeTrue,
        };
        Self { name: name.into(), unit, source: source.into(), wraps_at: None, zero, probe, was_read: false }
    }

    /// A number in a file, times `scale`.
    pub(crate) fn file(name: impl Into<String>, unit: Unit, path: camino::Utf8PathBuf, scale: i64) -> Self {
        let source = path.as_str().to_owned();
        Self::new(name, unit, source, Probe::number(path, scale))
    }

    /// A sensor that is not there.
    pub(crate) fn absent(
        name: impl Into<String>,
        unit: Unit,
        source: impl Into<String>,
        fault: Fault,
    ) -> Self {
        Self::new(name, unit, source, Probe::Absent(fault))
    }

    /// Whether it is read of the process that is measured.
    pub(crate) fn is_of_process(&self) -> bool {
        matches!(self.probe, Probe::Resident(_) | Probe::CpuTime(_))
    }

    /// What it says now. A file that was never there is not looked for again; one that vanished is.
    pub(crate) fn read(&mut self, buffer: &mut Buffer) -> Result<i64, Fault> {
        let read = self.probe.read(buffer);
        match read {
            Ok(_) => self.was_read = true,
            Err(fault) if fault.is_lasting() && !self.was_read && !self.is_of_process() => {
                self.probe.give_up(fault);
            }
            Err(_) => {}
        }
        self.judge(read?)
    }

    /// A number, unless it cannot be true.
    fn judge(&self, value: i64) -> Result<i64, Fault> {
        let (range, word) = bounds(self.unit);
        if value == 0 && self.zero == Zero::CannotBeTrue {
            return Err(Fault::FalseZero(word));
        }
        if range.contains(&value) { Ok(value) } else { Err(Fault::Implausible(word)) }
    }
}

/// What readings of a unit can be, and the word for it. Wide: they catch all-ones and broken wiring, no more.
fn bounds(unit: Unit) -> (std::ops::RangeInclusive<i64>, &'static str) {
    match unit {
        Unit::Bytes => (0..=1 << 50, "bytes"),
        Unit::Percent => (0..=100, "percent"),
        Unit::Hertz => (0..=20_000_000_000, "Hz"),
        // Hotter than 150 degrees, silicon is dead.
        Unit::Millidegrees => (-50_000..=150_000, "thousandths of a degree"),
        // All-ones in 32 bits are 4294.97 W.
        Unit::Microwatts => (0..=4_000_000_000, "microwatts"),
        Unit::Microjoules => (0..=i64::MAX, "microjoules"),
        Unit::Nanoseconds => (0..=i64::MAX, "nanoseconds"),
        Unit::ThrottleBits | Unit::ThrottleCount => (0..=i64::MAX, "throttling"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensor(unit: Unit) -> Sensor {
        Sensor::absent("x", unit, "test", Fault::Empty)
    }

    #[test]
    fn a_zero_that_cannot_be_true_is_none() {
        for unit in [Unit::Millidegrees, Unit::Microwatts, Unit::Hertz, Unit::Microjoules, Unit::Bytes] {
            assert!(matches!(sensor(unit).judge(0), Err(Fault::FalseZero(_))), "{unit:?}");
        }
        for unit in [Unit::Percent, Unit::ThrottleBits, Unit::ThrottleCount, Unit::Nanoseconds] {
            assert_eq!(sensor(unit).judge(0), Ok(0), "{unit:?}");
        }
    }

    #[test]
    fn numbers_that_cannot_be_true_are_none() {
        for (unit, value) in [
            (Unit::Percent, 101),
            (Unit::Percent, -1),
            (Unit::Millidegrees, 65_535_000),
            (Unit::Microwatts, 4_294_967_295),
            (Unit::Bytes, -4096),
            (Unit::Hertz, 65_535_000_000),
        ] {
            assert!(matches!(sensor(unit).judge(value), Err(Fault::Implausible(_))), "{unit:?} {value}");
        }
        assert_eq!(sensor(Unit::Millidegrees).judge(-5_000), Ok(-5_000));
    }
}
