//! How the machine is at this moment.

use std::collections::BTreeMap;

use super::{Roots, cpu, gpu, memory, system};

const HWMON: &str = "/sys/class/hwmon";
const THERMAL: &str = "/sys/class/thermal";

pub(super) fn conditions(roots: &Roots) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut put = |name: String, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            found.insert(name, value);
        }
    };
    for (name, key) in [("memory.available_bytes", "MemAvailable"), ("memory.swap_free_bytes", "SwapFree")] {
        put(name.to_owned(), memory::meminfo(roots, key).ok().map(|bytes| bytes.to_string()));
    }
    let load = roots.text("/proc/loadavg").ok();
    let load = load.as_deref().and_then(|text| text.split_whitespace().next()).map(str::to_owned);
    put("load.1min".to_owned(), load);
    put("cpu.mean_mhz".to_owned(), mean_mhz(roots).map(|mhz| mhz.to_string()));
    put("cpu.governor".to_owned(), cpu::each(roots, "scaling_governor").ok());
    put("platform.power_source".to_owned(), system::power_source(roots).ok());
    for (name, value) in temperatures(roots) {
        put(name, Some(value));
    }
    for gpu in gpu::list(roots).iter().filter(|gpu| !gpu.folder.is_empty()) {
        for (what, file) in [
            ("busy_percent", "gpu_busy_percent"),
            ("vram_used_bytes", "mem_info_vram_used"),
            ("gtt_used_bytes", "mem_info_gtt_used"),
        ] {
            let value = roots.number(&format!("{}/{file}", gpu.folder)).ok();
            put(format!("gpu.{}.{what}", gpu.number), value.map(|value| value.to_string()));
        }
        let power = gpu::hwmon(roots, &gpu.folder).and_then(|hwmon| {
            // Some chips have the one, some the other.
            let read = |file| roots.number(&format!("{hwmon}/{file}")).ok();
            read("power1_average").or_else(|| read("power1_input"))
        });
        put(format!("gpu.{}.power_microwatts", gpu.number), power.map(|power| power.to_string()));
    }
    found
}

/// Mean clock of the processors in MHz: as the clock driver has it, otherwise as /proc/cpuinfo has it.
fn mean_mhz(roots: &Roots) -> Option<u64> {
    let mut clocks: Vec<u64> = cpu::online(roots)
        .iter()
        .filter_map(|cpu| {
            let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq");
            Some(roots.number(&path).ok()? / 1_000)
        })
        .collect();
    if clocks.is_empty() {
        let cpuinfo = roots.text("/proc/cpuinfo").ok()?;
        clocks = cpuinfo
            .lines()
            .filter_map(|line| {
                let (key, value) = line.split_once(':')?;
                let whole = value.trim().split('.').next()?;
                (key.trim() == "cpu MHz").then(|| whole.parse().ok())?
            })
            .collect();
    }
    let sum = clocks.iter().try_fold(0_u64, |sum, clock| sum.checked_add(*clock))?;
    sum.checked_div(u64::try_from(clocks.len()).ok()?)
}

/// Temperatures in degrees Celsius, by sensor: `temperature.k10temp.Tctl`, `temperature.zone.x86_pkg_temp`. Of sensors
/// with the same name, the hottest.
fn temperatures(roots: &Roots) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, i64> = BTreeMap::new();
    let mut put = |name: String, path: &str| {
        // A sensor that is switched off says so with an error, or with a number that is no temperature.
        let value = roots.text(path).ok().and_then(|text| text.parse::<i64>().ok());
        if let Some(value) = value.filter(|value| (-50_000..200_000).contains(value) && *value != 0) {
            let hottest = found.entry(name).or_insert(value);
            *hottest = value.max(*hottest);
        }
    };
    for device in roots.names(HWMON) {
        let folder = format!("{HWMON}/{device}");
        let Ok(chip) = roots.text(&format!("{folder}/name")) else { continue };
        for file in roots.names(&folder) {
            let Some(sensor) = file.strip_suffix("_input").filter(|sensor| sensor.starts_with("temp")) else {
                continue;
            };
            let label = roots.text(&format!("{folder}/{sensor}_label")).unwrap_or_else(|_| sensor.to_owned());
            put(format!("temperature.{}.{}", word(&chip), word(&label)), &format!("{folder}/{file}"));
        }
    }
    for zone in roots.names(THERMAL).iter().filter(|name| name.starts_with("thermal_zone")) {
        let folder = format!("{THERMAL}/{zone}");
        let Ok(kind) = roots.text(&format!("{folder}/type")) else { continue };
        put(format!("temperature.zone.{}", word(&kind)), &format!("{folder}/temp"));
    }
    let degrees = |millis: i64| {
        let sign = if millis < 0 { "-" } else { "" };
        format!("{sign}{}.{:03}", millis.abs() / 1_000, millis.abs() % 1_000)
    };
    found.into_iter().map(|(name, millis)| (name, degrees(millis))).collect()
}

/// A label as one word of a name.
fn word(label: &str) -> String {
    label.chars().map(|c| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' }).collect()
}
