//! Drivers and SDKs in user space: ROCm, Vulkan drivers, Mesa.

use super::Roots;
use super::read::Facts;

/// Where the Vulkan loader looks for drivers, as far as no variable says otherwise.
const ICD_FOLDERS: [&str; 3] =
    ["/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/usr/share/vulkan/icd.d"];
/// Packages whose version decides how fast a GPU is: a name on Debian, a name on Arch.
const PACKAGES: [(&str, &str, &str); 2] =
    [("software.mesa", "mesa-vulkan-drivers", "vulkan-radeon"), ("software.libdrm", "libdrm2", "libdrm")];

pub(super) fn facts(roots: &Roots, facts: &mut Facts) {
    facts.file(roots, "software.rocm", "/opt/rocm/.info/version");
    let mut drivers = Vec::new();
    for folder in ICD_FOLDERS {
        for name in roots.names(folder).into_iter().filter(|name| name.ends_with(".json")) {
            let version = roots.text(&format!("{folder}/{name}")).ok().and_then(|text| api_version(&text));
            drivers.push(version.map_or(name.clone(), |version| format!("{name} {version}")));
        }
    }
    let found =
        if drivers.is_empty() { Err("no driver is listed".to_owned()) } else { Ok(drivers.join(", ")) };
    facts.put("software.vulkan_drivers", ICD_FOLDERS[2], found);
    for (name, debian, arch) in PACKAGES {
        if let Some((source, version)) = package(roots, debian, arch) {
            facts.put(name, source, Ok(version));
        }
    }
}

/// The version of the API in the description of a Vulkan driver.
fn api_version(text: &str) -> Option<String> {
    let description: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(description.pointer("/ICD/api_version")?.as_str()?.to_owned())
}

/// The version of an installed package, from the files of dpkg or pacman.
fn package(roots: &Roots, debian: &str, arch: &str) -> Option<(&'static str, String)> {
    let source = "/var/lib/dpkg/status";
    if let Ok(status) = roots.text(source) {
        let mut ours = false;
        for line in status.lines() {
            if let Some(name) = line.strip_prefix("Package: ") {
                ours = name == debian;
            } else if let Some(version) = line.strip_prefix("Version: ").filter(|_| ours) {
                return Some((source, version.to_owned()));
            }
        }
    }
    let source = "/var/lib/pacman/local";
    let head = format!("{arch}-");
    roots.names(source).iter().find_map(|name| {
        let version =
            name.strip_prefix(&head).filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))?;
        Some((source, version.to_owned()))
    })
}
