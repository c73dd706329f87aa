//! Energy of the processor: counters of the kernel's powercap framework (RAPL of Intel and AMD).
//!
//! Since 2020 they are readable by root alone (mode 0400), because of a side channel; then the reason says so.

use camino::Utf8PathBuf;
use llamark_record::telemetry::Unit;

use crate::fault::Fault;
use crate::file::Watched;
use crate::roots::Roots;
use crate::sensor::Sensor;
use crate::source::word;

pub(crate) fn sensors(roots: &Roots) -> Vec<Sensor> {
    let folder = roots.sys.join("class/powercap");
    let mut sensors: Vec<Sensor> = Roots::names(&folder)
        .iter()
        // `intel-rapl-mmio:0` is the same counter by another way.
        .filter(|name| name.starts_with("intel-rapl:"))
        .filter_map(|zone| sensor(&folder, zone))
        .collect();
    if sensors.is_empty() {
        let fault = Fault::Said("the kernel shows no RAPL counters");
        sensors.push(Sensor::absent("cpu.energy", Unit::Microjoules, folder.as_str(), fault));
    }
    sensors
}

/// Packages, and memory, which is not part of them. Cores and graphics are part of the package.
fn sensor(folder: &Utf8PathBuf, zone: &str) -> Option<Sensor> {
    let path = folder.join(zone);
    let label = Watched::text(&path.join("name"))?;
    let name = match label.as_str() {
        package if package.starts_with("package-") => format!("cpu.energy.{}", word(package)),
        "dram" => {
            let (parent, _) = zone.rsplit_once(':')?;
            let package = Watched::text(&folder.join(parent).join("name"))?;
            format!("cpu.energy.{}.dram", word(&package))
        }
        _ => return None,
    };
    let wraps_at = Watched::text(&path.join("max_energy_range_uj")).and_then(|text| text.parse().ok());
    let sensor = Sensor::file(name, Unit::Microjoules, path.join("energy_uj"), 1);
    Some(Sensor { wraps_at: wraps_at.filter(|most| *most > 0), ..sensor })
}
