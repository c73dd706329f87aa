//! The processor: mean clock, temperatures, and whether it is held back.

use llamark_record::telemetry::Unit;

use crate::fault::Fault;
use crate::file::Watched;
use crate::probe::Probe;
use crate::roots::Roots;
use crate::sensor::Sensor;
use crate::source::word;

/// Most processors whose clock is read. On x86 each reading interrupts the processor that is asked, and that is one
/// which computes.
const MOST_CLOCKS: usize = 16;

/// Drivers of the temperature of a processor.
const CHIPS: [&str; 6] = ["coretemp", "k10temp", "zenpower", "cpu_thermal", "scpi_sensors", "apm_xgene"];

pub(crate) fn sensors(roots: &Roots) -> Vec<Sensor> {
    let mut sensors = vec![clock(roots)];
    sensors.extend(temperatures(roots));
    let throttle = roots.sys.join("devices/system/cpu/cpu0/thermal_throttle/package_throttle_count");
    sensors.push(Sensor::file("cpu.throttle", Unit::ThrottleCount, throttle, 1));
    sensors
}

/// Mean clock over at most [`MOST_CLOCKS`] processors, spread evenly.
fn clock(roots: &Roots) -> Sensor {
    let folder = roots.sys.join("devices/system/cpu");
    let is_cpu = |name: &&String| {
        name.strip_prefix("cpu").is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let names = Roots::names(&folder);
    let all: Vec<_> = names
        .iter()
        .filter(is_cpu)
        .map(|name| folder.join(name).join("cpufreq/scaling_cur_freq"))
        .filter(|path| path.exists())
        .collect();
    let source = format!("{folder}/cpu*/cpufreq/scaling_cur_freq");
    if all.is_empty() {
        let fault = Fault::Said("no processor has a clock driver");
        return Sensor::absent("cpu.clock", Unit::Hertz, source, fault);
    }
    let step = all.len().div_ceil(MOST_CLOCKS);
    let files: Vec<Watched> = all.iter().step_by(step).map(Watched::new).collect();
    let source = format!("{source} ({} of {})", files.len(), all.len());
    // The file is in kHz.
    Sensor::new("cpu.clock", Unit::Hertz, source, Probe::Mean { files, scale: 1_000 })
}

/// The temperatures of packages and dies, not of each core; thermal zones only where there is no other.
fn temperatures(roots: &Roots) -> Vec<Sensor> {
    let folder = roots.sys.join("class/hwmon");
    let mut sensors = Vec::new();
    for device in Roots::names(&folder) {
        let device = folder.join(device);
        let Some(chip) = Watched::text(&device.join("name")).filter(|name| CHIPS.contains(&name.as_str()))
        else {
            continue;
        };
        for file in Roots::names(&device) {
            let Some(sensor) = file.strip_suffix("_input").filter(|sensor| sensor.starts_with("temp")) else {
                continue;
            };
            let label =
                Watched::text(&device.join(format!("{sensor}_label"))).unwrap_or_else(|| sensor.to_owned());
            if !label.starts_with("Core ") {
                let name = format!("cpu.temperature.{}.{}", word(&chip), word(&label));
                sensors.push(Sensor::file(name, Unit::Millidegrees, device.join(file), 1));
            }
        }
    }
    if sensors.is_empty() {
        sensors = zones(roots);
    }
    if sensors.is_empty() {
        let fault = Fault::Said("no sensor of the processor");
        sensors.push(Sensor::absent("cpu.temperature", Unit::Millidegrees, folder.as_str(), fault));
    }
    sensors
}

/// Thermal zones that are of the processor by their name.
fn zones(roots: &Roots) -> Vec<Sensor> {
    let folder = roots.sys.join("class/thermal");
    let mut sensors = Vec::new();
    for zone in Roots::names(&folder).iter().filter(|name| name.starts_with("thermal_zone")) {
        let Some(kind) = Watched::text(&folder.join(zone).join("type")) else { continue };
        if kind == "x86_pkg_temp" || kind.contains("cpu") || kind.contains("soc") {
            let name =
                format!("cpu.temperature.zone.{}.{}", zone.trim_start_matches("thermal_zone"), word(&kind));
            sensors.push(Sensor::file(name, Unit::Millidegrees, folder.join(zone).join("temp"), 1));
        }
    }
    sensors
}
