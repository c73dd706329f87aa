//! Where the sensors are: one file for each kind. Finding them reads names and labels; nothing is kept open.

pub(crate) mod amdgpu;
pub(crate) mod cpu;
pub(crate) mod gpus;
pub(crate) mod memory;
pub(crate) mod nvml;
pub(crate) mod process;
pub(crate) mod rapl;

use crate::roots::Roots;
use crate::sensor::Sensor;

/// Every sensor that is looked for. Counters and power come first: their time stamps matter most.
pub(crate) fn discover(roots: &Roots) -> Vec<Sensor> {
    let gpus = gpus::list(roots);
    let mut sensors = rapl::sensors(roots);
    sensors.extend(gpus::sensors(roots, &gpus));
    sensors.extend(process::sensors(roots));
    sensors.extend(memory::sensors(roots));
    sensors.extend(cpu::sensors(roots));
    sensors.sort_by_key(|sensor| !crate::energy::is_of_energy(sensor.unit));
    sensors
}

/// A label as one word of a name, in lower case.
pub(crate) fn word(label: &str) -> String {
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c.to_ascii_lowercase() } else { '_' };
    label.chars().map(plain).collect()
}
