//! The process that is measured: resident memory and processor time.
//!
//! Of the server alone, not of its process group: llama-server is one process, and to find others every process of the
//! machine would have to be read in every round.

use llamark_record::telemetry::Unit;

use crate::probe::Probe;
use crate::roots::Roots;
use crate::sensor::Sensor;

pub(crate) fn sensors(roots: &Roots) -> Vec<Sensor> {
    let source = |file: &str| format!("{}/PID/{file}", roots.proc);
    vec![
        Sensor::new("process.rss", Unit::Bytes, source("status"), Probe::Resident(None)),
        Sensor::new("process.cpu_time", Unit::Nanoseconds, source("stat"), Probe::CpuTime(None)),
    ]
}
