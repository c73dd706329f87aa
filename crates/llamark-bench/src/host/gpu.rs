//! GPUs, as the kernel lists them: `gpu.0`, `gpu.1`, ... in the order of their DRM cards, then those of NVIDIA that have
//! no card. llama.cpp may number them otherwise.

use super::Roots;
use super::read::{Facts, field};

const DRM: &str = "/sys/class/drm";
const NVIDIA: &str = "/proc/driver/nvidia";
const KFD: &str = "/sys/class/kfd/kfd/topology/nodes";

/// A GPU that was found.
pub(super) struct Gpu {
    /// Its place in the list.
    pub(super) number: usize,
    /// Folder of the device in /sys; empty when it has none.
    pub(super) folder: String,
    /// Address on the PCI bus; empty when it has none.
    pci: String,
}

/// The GPUs of the machine.
pub(super) fn list(roots: &Roots) -> Vec<Gpu> {
    let is_card = |name: &&String| {
        name.strip_prefix("card").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut gpus: Vec<Gpu> = Vec::new();
    for name in roots.names(DRM).iter().filter(is_card) {
        let folder = format!("{DRM}/{name}/device");
        let pci = uevent(roots, &folder, "PCI_SLOT_NAME").unwrap_or_default();
        gpus.push(Gpu { number: gpus.len(), folder, pci });
    }
    for pci in roots.names(&format!("{NVIDIA}/gpus")) {
        if !gpus.iter().any(|gpu| gpu.pci.eq_ignore_ascii_case(&pci)) {
            gpus.push(Gpu { number: gpus.len(), folder: String::new(), pci });
        }
    }
    gpus
}

pub(super) fn facts(roots: &Roots, facts: &mut Facts) {
    for gpu in list(roots) {
        let name = |what: &str| format!("gpu.{}.{what}", gpu.number);
        let kernel_driver = uevent(roots, &gpu.folder, "DRIVER");
        let is_nvidia = gpu.folder.is_empty() || kernel_driver.as_deref() == Some("nvidia");
        let gfx = gfx_target(roots, &gpu);

        let (source, found) = gpu_name(roots, &gpu, gfx.as_deref());
        facts.put(name("name"), &source, found);
        let (source, found) = driver(roots, kernel_driver.as_deref(), is_nvidia);
        facts.put(name("driver"), &source, found);
        if let Some(gfx) = gfx {
            facts.put(name("gfx"), KFD, Ok(gfx));
        }
        if !gpu.pci.is_empty() {
            facts.put(name("pci"), DRM, Ok(gpu.pci.clone()));
        }
        if is_nvidia {
            let source = format!("{NVIDIA}/gpus/{}/information", gpu.pci);
            if let Ok(text) = roots.text(&source) {
                let firmware = field(&text, "Video BIOS", ':').map(str::to_owned);
                facts.put(
                    name("vbios"),
                    &source,
                    firmware.ok_or_else(|| "it has no `Video BIOS`".to_owned()),
                );
            }
        }
        if !gpu.folder.is_empty() {
            sysfs(roots, facts, &gpu);
        }
    }
}

/// What sysfs says of a device.
fn sysfs(roots: &Roots, facts: &mut Facts, gpu: &Gpu) {
    let folder = &gpu.folder;
    let name = |what: &str| format!("gpu.{}.{what}", gpu.number);
    facts.put(name("id"), folder, id(roots, folder));
    for (what, file) in [
        ("vram_total_bytes", "mem_info_vram_total"),
        // With a resizable BAR, as much as there is.
        ("vram_visible_bytes", "mem_info_vis_vram_total"),
        ("gtt_total_bytes", "mem_info_gtt_total"),
        ("vram_vendor", "mem_info_vram_vendor"),
        ("vbios", "vbios_version"),
        ("performance_level", "power_dpm_force_performance_level"),
        ("pcie_speed", "current_link_speed"),
        ("pcie_width", "current_link_width"),
        ("compute_partition", "current_compute_partition"),
    ] {
        facts.file_if_there(roots, name(what), &format!("{folder}/{file}"));
    }
    let firmware = format!("{folder}/fw_version");
    for file in roots.names(&firmware).iter().filter(|file| file.ends_with("_fw_version")) {
        let part = file.trim_end_matches("_fw_version");
        facts.file(roots, name(&format!("firmware.{part}")), &format!("{firmware}/{file}"));
    }
    // Without one, a missing cap is a fact of an APU, not an accident.
    if let Some(hwmon) = hwmon(roots, folder) {
        facts.file(roots, name("power_cap_microwatts"), &format!("{hwmon}/power1_cap"));
    }
}

/// The folder of the sensors of a device.
pub(super) fn hwmon(roots: &Roots, folder: &str) -> Option<String> {
    let base = format!("{folder}/hwmon");
    let name = roots.names(&base).into_iter().find(|name| name.starts_with("hwmon"))?;
    Some(format!("{base}/{name}"))
}

/// `1002:1586`, with the revision.
fn id(roots: &Roots, folder: &str) -> Result<String, String> {
    let part = |file: &str| {
        roots.text(&format!("{folder}/{file}")).map(|text| text.trim_start_matches("0x").to_ascii_lowercase())
    };
    let id = format!("{}:{}", part("vendor")?, part("device")?);
    Ok(part("revision").map_or(id.clone(), |revision| format!("{id} rev {revision}")))
}

/// What the maker calls it, where the kernel knows; otherwise the maker, and the architecture or the id.
fn gpu_name(roots: &Roots, gpu: &Gpu, gfx: Option<&str>) -> (String, Result<String, String>) {
    let information = format!("{NVIDIA}/gpus/{}/information", gpu.pci);
    if let Ok(text) = roots.text(&information)
        && let Some(model) = field(&text, "Model", ':')
    {
        return (information, Ok(model.to_owned()));
    }
    let product = format!("{}/product_name", gpu.folder);
    let product_name = roots.text(&product).ok().filter(|name| !name.is_empty());
    if let Some(name) = product_name {
        return (product, Ok(gfx.map_or(name.clone(), |gfx| format!("{name} ({gfx})"))));
    }
    let vendor = |text: &str| match text {
        "0x1002" => "AMD",
        "0x10de" => "NVIDIA",
        "0x8086" => "Intel",
        _ => "GPU",
    };
    let found = id(roots, &gpu.folder).map(|id| {
        let vendor = roots.text(&format!("{}/vendor", gpu.folder)).map_or("GPU", |text| vendor(&text));
        let model = id.split(' ').next().unwrap_or_default().to_owned();
        gfx.map_or(format!("{vendor} {model}"), |gfx| format!("{vendor} {model} ({gfx})"))
    });
    (gpu.folder.clone(), found)
}

/// The kernel's driver and its version: drivers of the kernel's own tree have that of the kernel.
fn driver(roots: &Roots, name: Option<&str>, is_nvidia: bool) -> (String, Result<String, String>) {
    if is_nvidia {
        let source = format!("{NVIDIA}/version");
        let found = roots.text(&source).and_then(|text| {
            nvidia_version(&text)
                .map(|version| format!("nvidia {version}"))
                .ok_or_else(|| "it has no version".to_owned())
        });
        return (source, found);
    }
    let Some(name) = name else { return (DRM.to_owned(), Err("no driver is bound to it".to_owned())) };
    let source = format!("/sys/module/{name}/version");
    let found = match (roots.text(&source), roots.text("/proc/sys/kernel/osrelease")) {
        (Ok(version), _) => format!("{name} {version}"),
        (Err(_), Ok(release)) => format!("{name} of Linux {release}"),
        (Err(_), Err(_)) => name.to_owned(),
    };
    (source, Ok(found))
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06  Wed Feb 26 ...`.
fn nvidia_version(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| line.starts_with("NVRM version"))?;
    line.split_whitespace()
        .find(|word| word.contains('.') && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

/// The architecture that HIP compiles for, `gfx1151`: from the compute driver's list, by the PCI address.
fn gfx_target(roots: &Roots, gpu: &Gpu) -> Option<String> {
    // 0000:c1:00.0 -> bus, device and function in one number, the domain apart.
    let (domain, rest) = gpu.pci.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let (device, function) = rest.split_once('.')?;
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let location =
        number(bus)?.checked_mul(1 << 8)? | number(device)?.checked_mul(1 << 3)? | number(function)?;
    let domain = number(domain)?;
    roots.names(KFD).iter().find_map(|node| {
        let properties = roots.text(&format!("{KFD}/{node}/properties")).ok()?;
        let value = |key| field(&properties, key, ' ')?.parse::<u32>().ok();
        if value("location_id")? != location || value("domain").unwrap_or(0) != domain {
            return None;
        }
        // Major, minor and stepping, two decimal digits each for the last two: 110501 is gfx1151, 90010 is gfx90a.
        let version = value("gfx_target_version").filter(|version| *version > 0)?;
        Some(format!("gfx{}{:x}{:x}", version / 10_000, version / 100 % 100, version % 100))
    })
}

fn uevent(roots: &Roots, folder: &str, key: &str) -> Option<String> {
    if folder.is_empty() {
        return None;
    }
    field(&roots.text(&format!("{folder}/uevent")).ok()?, key, '=').map(str::to_owned)
}
