//! GPUs of NVIDIA: the driver's own library, NVML, loaded when it is there.
//!
//! It stays loaded until the process ends, which also keeps the driver from putting the GPU to sleep between starts.

use std::sync::OnceLock;

use llamark_record::telemetry::Unit;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use crate::fault::Fault;
use crate::probe::Probe;
use crate::roots::Roots;
use crate::sensor::{Sensor, Zero};
use crate::source::gpus::Gpu;

/// Reasons for held back clocks that are about power, current and heat: SwPowerCap, HwSlowdown, SwThermalSlowdown,
/// HwThermalSlowdown, HwPowerBrakeSlowdown. The others say that the GPU is idle or that its owner chose a clock.
const THROTTLE_BITS: u64 = 0x4 | 0x8 | 0x20 | 0x40 | 0x80;

/// One question about one GPU.
pub(crate) struct Question {
    device: Device<'static>,
    what: What,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Question({:?})", self.what)
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Energy,
    Power,
    Memory,
    Busy,
    Clock,
    MemoryClock,
    Temperature,
    Throttle,
}

/// What is asked of every GPU: name, unit, and the function.
const QUESTIONS: [(What, &str, Unit, &str); 8] = [
    (What::Energy, "energy", Unit::Microjoules, "nvmlDeviceGetTotalEnergyConsumption"),
    (What::Power, "power", Unit::Microwatts, "nvmlDeviceGetPowerUsage"),
    (What::Memory, "vram", Unit::Bytes, "nvmlDeviceGetMemoryInfo_v2"),
    (What::Busy, "busy", Unit::Percent, "nvmlDeviceGetUtilizationRates"),
    (What::Clock, "clock", Unit::Hertz, "nvmlDeviceGetClockInfo"),
    (What::MemoryClock, "memory_clock", Unit::Hertz, "nvmlDeviceGetClockInfo"),
    (What::Temperature, "temperature.core", Unit::Millidegrees, "nvmlDeviceGetTemperature"),
    (What::Throttle, "throttle", Unit::ThrottleBits, "nvmlDeviceGetCurrentClocksThrottleReasons"),
];

impl Question {
    /// The answer now, in the unit of the channel.
    pub(crate) fn ask(&self) -> Result<i64, Fault> {
        let device = &self.device;
        let (answer, scale): (u64, u64) = match self.what {
            // mJ
            What::Energy => (device.total_energy_consumption().map_err(said)?, 1_000),
            // mW
            What::Power => (device.power_usage().map_err(said)?.into(), 1_000),
            What::Memory => (device.memory_info().map_err(said)?.used, 1),
            What::Busy => (device.utilization_rates().map_err(said)?.gpu.into(), 1),
            // MHz
            What::Clock => (device.clock_info(Clock::SM).map_err(said)?.into(), 1_000_000),
            What::MemoryClock => (device.clock_info(Clock::Memory).map_err(said)?.into(), 1_000_000),
            // Degrees
            What::Temperature => (device.temperature(TemperatureSensor::Gpu).map_err(said)?.into(), 1_000),
            What::Throttle => (device.current_throttle_reasons().map_err(said)?.bits() & THROTTLE_BITS, 1),
        };
        let answer = answer.checked_mul(scale).and_then(|answer| i64::try_from(answer).ok());
        answer.ok_or(Fault::NotANumber)
    }
}

/// The sensors of every GPU that NVML knows; nothing where there is no driver of NVIDIA.
pub(crate) fn sensors(roots: &Roots, gpus: &[Gpu]) -> Vec<Sensor> {
    let is_expected =
        gpus.iter().any(|gpu| gpu.driver == "nvidia") || roots.proc.join("driver/nvidia/version").exists();
    if !roots.nvml {
        return Vec::new();
    }
    let library = match library() {
        Ok(library) => library,
        Err(fault) if is_expected => {
            let number = gpus.iter().find(|gpu| gpu.driver == "nvidia").map_or(gpus.len(), |gpu| gpu.number);
            let name = format!("gpu.{number}.power");
            return vec![Sensor::absent(name, Unit::Microwatts, "NVML", fault)];
        }
        Err(_) => return Vec::new(),
    };
    let mut next = gpus.len();
    let mut sensors = Vec::new();
    for index in 0..library.device_count().unwrap_or(0) {
        let Ok(device) = library.device_by_index(index) else { continue };
        let pci = device.pci_info().map(|pci| pci.bus_id).unwrap_or_default();
        let number = gpus.iter().find(|gpu| same_address(&gpu.pci, &pci)).map(|gpu| gpu.number);
        let number = number.unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        for (what, name, unit, function) in QUESTIONS {
            let Ok(device) = library.device_by_index(index) else { continue };
            let probe = Probe::Nvml(Question { device, what });
            let sensor = Sensor::new(format!("gpu.{number}.{name}"), unit, format!("NVML {function}"), probe);
            let zero = if matches!(what, What::Memory) { Zero::CanBeTrue } else { sensor.zero };
            sensors.push(Sensor { zero, ..sensor });
        }
    }
    sensors
}

fn library() -> Result<&'static Nvml, Fault> {
    static LIBRARY: OnceLock<Result<Nvml, Fault>> = OnceLock::new();
    let load = || {
        Nvml::init().map_err(|error| match error {
            NvmlError::LibloadingError(_) => Fault::Said("the library libnvidia-ml.so.1 cannot be loaded"),
            other => said(other),
        })
    };
    LIBRARY.get_or_init(load).as_ref().map_err(|fault| *fault)
}

/// What an error of the library means, in few words.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn said(error: NvmlError) -> Fault {
    Fault::Said(match error {
        NvmlError::NotSupported => "this GPU does not report it",
        NvmlError::NoPermission => "permission denied",
        NvmlError::GpuLost => "the GPU fell off the bus",
        NvmlError::DriverNotLoaded => "the driver is not loaded",
        NvmlError::LibRmVersionMismatch => "the library and the kernel's driver have different versions",
        NvmlError::FailedToLoadSymbol(_) | NvmlError::FunctionNotFound => "this driver has no such function",
        _ => "the driver refuses",
    })
}

/// Whether two PCI addresses are the same: the kernel writes four digits of the domain, NVML eight.
fn same_address(kernel: &str, library: &str) -> bool {
    let parts = |address: &str| {
        let (domain, rest) = address.split_once(':')?;
        Some((u32::from_str_radix(domain, 16).ok()?, rest.to_ascii_lowercase()))
    };
    parts(kernel).is_some_and(|kernel| parts(library) == Some(kernel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_kernel_and_library_are_told_apart() {
        assert!(same_address("0000:c1:00.0", "00000000:C1:00.0"));
        assert!(!same_address("0000:c1:00.0", "00000000:C2:00.0"));
        assert!(!same_address("", ""));
    }

    #[test]
    fn a_recorded_tree_never_asks_the_library_of_this_machine() {
        let roots = Roots { nvml: false, ..Roots::default() };
        assert!(sensors(&roots, &[]).is_empty());
    }
}
