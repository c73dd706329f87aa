//! The GPUs: `gpu.0`, `gpu.1`, ... in the order of their DRM cards, then those of NVIDIA that have no card. llama.cpp may
//! number them otherwise.

use camino::Utf8PathBuf;
use llamark_record::telemetry::Unit;

use crate::fault::Fault;
use crate::file::Watched;
use crate::roots::Roots;
use crate::sensor::Sensor;
use crate::source::{amdgpu, nvml};

/// A GPU that the kernel lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gpu {
    /// Its place in the list.
    pub(crate) number: usize,
    /// Its folder below `/sys`.
    pub(crate) folder: Utf8PathBuf,
    /// The kernel's driver; empty when there is none.
    pub(crate) driver: String,
    /// Address on the PCI bus, as in `0000:c1:00.0`; empty when it has none.
    pub(crate) pci: String,
}

/// The GPUs that have a DRM card.
pub(crate) fn list(roots: &Roots) -> Vec<Gpu> {
    let drm = roots.sys.join("class/drm");
    let is_card = |name: &&String| {
        name.strip_prefix("card")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let gpu = |(number, name): (usize, &String)| {
        let folder = drm.join(name).join("device");
        let uevent = Watched::text(&folder.join("uevent")).unwrap_or_default();
        let value = |key: &str| {
            let line = uevent.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim().to_ascii_lowercase()
        };
        Gpu { number, driver: value("DRIVER"), pci: value("PCI_SLOT_NAME"), folder }
    };
    Roots::names(&drm).iter().filter(is_card).enumerate().map(gpu).collect()
}

/// The sensors of every GPU.
pub(crate) fn sensors(roots: &Roots, gpus: &[Gpu]) -> Vec<Sensor> {
    let mut sensors: Vec<Sensor> =
        gpus.iter().filter(|gpu| gpu.driver == "amdgpu").flat_map(amdgpu::sensors).collect();
    sensors.extend(nvml::sensors(roots, gpus));
    let without = |gpu: &&Gpu| {
        let of_it = format!("gpu.{}.", gpu.number);
        !sensors.iter().any(|sensor| sensor.name.starts_with(&of_it))
    };
    let silent: Vec<Sensor> = gpus
        .iter()
        .filter(without)
        .map(|gpu| {
            let name = format!("gpu.{}.power", gpu.number);
            let fault = Fault::Said("GPU sensors are read only from amdgpu and NVIDIA's driver");
            Sensor::absent(name, Unit::Microwatts, gpu.folder.as_str(), fault)
        })
        .collect();
    sensors.extend(silent);
    if sensors.is_empty() {
        let fault = Fault::Said("there is no GPU");
        sensors.push(Sensor::absent(
            "gpu.power",
            Unit::Microwatts,
            roots.sys.join("class/drm").as_str(),
            fault,
        ));
    }
    sensors
}
