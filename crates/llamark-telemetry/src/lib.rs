//! Takes: roots of /proc and /sys, a process id, a rate.
//! Gives: readings of the machine's sensors with their time stamps, and what they are worth for a span of time; how fast the
//! processor itself is.
//! Never: a process, a server, the network; a file that is written; a 0 for what could not be read.

mod csv;
mod energy;
mod error;
mod fault;
mod file;
mod gpu_metrics;
mod pace;
mod probe;
mod recording;
mod roots;
mod rows;
mod sampler;
mod sensor;
mod source;
mod thermometer;
mod window;

pub use error::TelemetryError;
pub use pace::pace;
pub use recording::Recording;
pub use roots::Roots;
pub use sampler::Sampler;
pub use thermometer::Thermometer;
pub use window::Span;

use llamark_record::telemetry::Channel;

/// Every sensor of this machine that is looked for, each read once; those of a process are left out, since there is
/// none yet.
pub fn channels(roots: &Roots) -> Vec<Channel> {
    let mut sensors = source::discover(roots);
    sensors.retain(|sensor| !sensor.is_of_process());
    let mut rows = rows::Rows::new(sensors.len());
    let mut round = rows::Round::new(sensors.len());
    sampler::read_all(&mut sensors, &mut round, &|_| ());
    rows.push(0, &round);
    let mut channels = recording::channels(&sensors);
    recording::settle(&mut channels, &rows);
    channels
}
