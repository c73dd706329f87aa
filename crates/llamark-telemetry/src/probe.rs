//! How one sensor is read: every way there is, none of which allocates.

use camino::{Utf8Path, Utf8PathBuf};

use crate::fault::Fault;
use crate::file::{Buffer, Watched, parse, words};
use crate::gpu_metrics;
use crate::source::nvml;

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, which is 100 on every architecture that llama.cpp is built for.
const NANOSECONDS_IN_TICK: i64 = 10_000_000;

/// How one sensor is read.
#[derive(Debug)]
pub(crate) enum Probe {
    /// A file with one number, times a scale.
    Number { file: Watched, scale: i64 },
    /// The number after a key in a file of lines, times a scale.
    Field { file: Watched, key: &'static str, scale: i64 },
    /// The mean of the numbers in several files, times a scale.
    Mean { files: Vec<Watched>, scale: i64 },
    /// The level with a `*` in a list such as `1: 1000Mhz *`.
    Level(Watched),
    /// The table `gpu_metrics` of amdgpu.
    Throttle(Watched),
    /// A question to NVIDIA's driver.
    Nvml(nvml::Question),
    /// Resident memory of the process, from its `status`; absent before there is one.
    Resident(Option<Watched>),
    /// Processor time of the process, from its `stat`.
    CpuTime(Option<Watched>),
    /// It is not there.
    Absent(Fault),
}

impl Probe {
    pub(crate) fn number(path: impl Into<Utf8PathBuf>, scale: i64) -> Self {
        Self::Number { file: Watched::new(path), scale }
    }

    /// What it says now.
    pub(crate) fn read(&mut self, buffer: &mut Buffer) -> Result<i64, Fault> {
        match self {
            Self::Number { file, scale } => scaled(file.number(buffer)?, *scale),
            Self::Field { file, key, scale } => scaled(file.field(key, buffer)?, *scale),
            Self::Mean { files, scale } => {
                let mut sum = 0_i64;
                for file in files.iter_mut() {
                    sum = sum.checked_add(file.number(buffer)?).ok_or(Fault::NotANumber)?;
                }
                let count = i64::try_from(files.len()).map_err(|_| Fault::NotANumber)?;
                scaled(sum.checked_div(count).ok_or(Fault::Empty)?, *scale)
            }
            Self::Level(file) => level(file.read(buffer)?),
            Self::Throttle(file) => gpu_metrics::throttle(file.read(buffer)?),
            Self::Nvml(question) => question.ask(),
            Self::Resident(Some(file)) => match file.field("VmRSS:", buffer) {
                // A process that ended and is not reaped has no memory.
                Err(Fault::NoLine(_)) => Err(Fault::ProcessGone),
                kibibytes => scaled(kibibytes?, 1024),
            },
            Self::CpuTime(Some(file)) => {
                cpu_ticks(file.read(buffer)?).and_then(|ticks| scaled(ticks, NANOSECONDS_IN_TICK))
            }
            Self::Resident(None) | Self::CpuTime(None) => Err(Fault::NoProcess),
            Self::Absent(fault) => Err(*fault),
        }
    }

    /// From now on it is not there.
    pub(crate) fn give_up(&mut self, fault: Fault) {
        *self = Self::Absent(fault);
    }

    /// From now on it is read of that process.
    pub(crate) fn watch(&mut self, folder: &Utf8Path) {
        match self {
            Self::Resident(file) => *file = Some(Watched::once(folder.join("status"))),
            Self::CpuTime(file) => *file = Some(Watched::once(folder.join("stat"))),
            _ => {}
        }
    }
}

fn scaled(value: i64, scale: i64) -> Result<i64, Fault> {
    value.checked_mul(scale).ok_or(Fault::NotANumber)
}

/// Hz of the level with a `*`: `2: 2900Mhz *`.
fn level(text: &[u8]) -> Result<i64, Fault> {
    let line = text
        .split(|byte| *byte == b'\n')
        .find(|line| line.ends_with(b"*"))
        .ok_or(Fault::Said("no level is marked"))?;
    let word = words(line).nth(1).ok_or(Fault::NotANumber)?;
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = word.split_at(digits);
    if !unit.eq_ignore_ascii_case(b"mhz") {
        return Err(Fault::NotANumber);
    }
    scaled(parse(number)?, 1_000_000)
}

/// User and system time of `/proc/PID/stat`: fields 14 and 15. The second field is a name in brackets, which may hold
/// anything.
fn cpu_ticks(text: &[u8]) -> Result<i64, Fault> {
    let end = text.iter().rposition(|byte| *byte == b')').ok_or(Fault::NotANumber)?;
    let mut fields = words(text.get(end + 1..).unwrap_or_default()).skip(11);
    let mut next = || parse(fields.next().ok_or(Fault::NotANumber)?);
    next()?.checked_add(next()?).ok_or(Fault::NotANumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marked_level_is_the_clock() {
        assert_eq!(level(b"0: 600Mhz \n1: 1000Mhz *\n2: 2900Mhz \n"), Ok(1_000_000_000));
        assert_eq!(level(b"S: 19Mhz *\n"), Ok(19_000_000));
        assert!(level(b"0: 600Mhz\n").is_err());
        assert!(level(b"0: fast *\n").is_err());
        assert!(level(b"*\n").is_err());
    }

    #[test]
    fn cpu_time_stands_behind_a_name_that_may_hold_anything() {
        let text = b"7 (a) R ( 1 ) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 100 1000 10\n";
        assert_eq!(cpu_ticks(text), Ok(300));
        assert!(cpu_ticks(b"7 (a S 1 2 3").is_err());
        assert!(cpu_ticks(b"7 (a) S 1 2 3").is_err());
    }
}
