//! How warm a device is right now, by the same sensors as the telemetry of a start.

use llamark_record::telemetry::Unit;

use crate::file::{Buffer, MOST};
use crate::roots::Roots;
use crate::sensor::Sensor;
use crate::source;

/// The temperature sensors of a device.
#[derive(Debug)]
pub struct Thermometer {
    sensors: Vec<Sensor>,
    buffer: Box<Buffer>,
}

impl Thermometer {
    /// Those whose name begins so: `cpu.`, `gpu.`, `gpu.0.`. There may be none.
    pub fn find(roots: &Roots, device: &str) -> Self {
        let mut sensors = source::discover(roots);
        sensors.retain(|sensor| sensor.unit == Unit::Millidegrees && sensor.name.starts_with(device));
        Self { sensors, buffer: Box::new([0; MOST]) }
    }

    /// The hottest of them, with its name, in thousandths of a degree Celsius; `None` where none can be read.
    pub fn hottest(&mut self) -> Option<(String, i64)> {
        let mut hottest: Option<(&str, i64)> = None;
        for sensor in &mut self.sensors {
            let Ok(warm) = sensor.read(&mut self.buffer) else { continue };
            if hottest.is_none_or(|(_, most)| warm > most) {
                hottest = Some((&sensor.name, warm));
            }
        }
        hottest.map(|(name, warm)| (name.to_owned(), warm))
    }
}
