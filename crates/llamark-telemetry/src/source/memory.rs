//! Memory of the machine.

use llamark_record::telemetry::Unit;

use crate::file::Watched;
use crate::probe::Probe;
use crate::roots::Roots;
use crate::sensor::Sensor;

pub(crate) fn sensors(roots: &Roots) -> Vec<Sensor> {
    let path = roots.proc.join("meminfo");
    let source = path.as_str().to_owned();
    // The kernel writes kB and means KiB.
    let probe = Probe::Field { file: Watched::new(path), key: "MemAvailable:", scale: 1024 };
    vec![Sensor::new("memory.available", Unit::Bytes, source, probe)]
}
