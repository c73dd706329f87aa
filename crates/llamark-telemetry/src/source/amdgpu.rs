//! GPUs of AMD: sysfs of the amdgpu driver, and its hwmon folder. Not rocm-smi, which says 0 W for what it cannot read.
//!
//! Files: "AMDGPU Driver: GPU Power/Thermal Controls and Monitoring" and "Memory Usage" in the kernel's documentation.
//! On an APU the power is that of the whole package, processor included.

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::telemetry::Unit;

use crate::file::Watched;
use crate::gpu_metrics;
use crate::probe::Probe;
use crate::roots::Roots;
use crate::sensor::{Sensor, Zero};
use crate::source::gpus::Gpu;
use crate::source::word;

pub(crate) fn sensors(gpu: &Gpu) -> Vec<Sensor> {
    let folder = &gpu.folder;
    let name = |what: &str| format!("gpu.{}.{what}", gpu.number);
    let hwmon = hwmon(folder);
    let mut sensors = Vec::new();
    // Some chips have the one, some the other.
    let power = ["power1_average", "power1_input"].map(|file| hwmon.join(file));
    let power = power.iter().find(|path| path.exists()).unwrap_or(&power[0]);
    sensors.push(Sensor::file(name("power"), Unit::Microwatts, power.clone(), 1));
    sensors.push(Sensor::file(name("vram"), Unit::Bytes, folder.join("mem_info_vram_used"), 1));
    let gtt = Sensor::file(name("gtt"), Unit::Bytes, folder.join("mem_info_gtt_used"), 1);
    sensors.push(Sensor { zero: Zero::CanBeTrue, ..gtt });
    sensors.push(Sensor::file(name("busy"), Unit::Percent, folder.join("gpu_busy_percent"), 1));
    for (what, label, list) in [("clock", "sclk", "pp_dpm_sclk"), ("memory_clock", "mclk", "pp_dpm_mclk")] {
        sensors.push(clock(name(what), &hwmon, label, folder.join(list)));
    }
    sensors.extend(temperatures(gpu, &hwmon));
    sensors.push(throttle(name("throttle"), folder));
    sensors
}

/// The folder of the sensors; if there is none, a name that says so.
fn hwmon(folder: &Utf8Path) -> Utf8PathBuf {
    let base = folder.join("hwmon");
    let name = Roots::names(&base).into_iter().find(|name| name.starts_with("hwmon"));
    base.join(name.as_deref().unwrap_or("hwmon*"))
}

/// The sensor with that label, in Hz; else the marked level of the list.
fn clock(name: String, hwmon: &Utf8Path, label: &str, list: Utf8PathBuf) -> Sensor {
    let labelled = (1..=4)
        .find(|n| Watched::text(&hwmon.join(format!("freq{n}_label"))).as_deref() == Some(label))
        .map(|n| hwmon.join(format!("freq{n}_input")));
    match labelled {
        Some(path) => Sensor::file(name, Unit::Hertz, path, 1),
        None => Sensor::new(name, Unit::Hertz, list.as_str().to_owned(), Probe::Level(Watched::new(list))),
    }
}

/// `temp1` edge, `temp2` junction, `temp3` mem; an APU has the first alone.
fn temperatures(gpu: &Gpu, hwmon: &Utf8Path) -> Vec<Sensor> {
    let labels = (1..=4).filter_map(|n| Some((n, Watched::text(&hwmon.join(format!("temp{n}_label")))?)));
    let mut sensors: Vec<Sensor> = labels
        .map(|(n, label)| {
            let name = format!("gpu.{}.temperature.{}", gpu.number, word(&label));
            Sensor::file(name, Unit::Millidegrees, hwmon.join(format!("temp{n}_input")), 1)
        })
        .collect();
    if sensors.is_empty() {
        let name = format!("gpu.{}.temperature.edge", gpu.number);
        sensors.push(Sensor::file(name, Unit::Millidegrees, hwmon.join("temp1_input"), 1));
    }
    sensors
}

/// Its unit depends on the layout of the table, so the table is read once here.
fn throttle(name: String, folder: &Utf8Path) -> Sensor {
    let path = folder.join("gpu_metrics");
    let mut buffer = [0; crate::file::MOST];
    let unit = Watched::new(&path).read(&mut buffer).and_then(gpu_metrics::unit);
    let source = path.as_str().to_owned();
    match unit {
        Ok(unit) => Sensor::new(name, unit, source, Probe::Throttle(Watched::new(path))),
        Err(fault) => Sensor::absent(name, Unit::ThrottleBits, source, fault),
    }
}
