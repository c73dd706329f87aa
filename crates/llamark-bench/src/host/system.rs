//! The machine as a whole: product, virtualisation, kernel, system, power.

use super::Roots;
use super::read::{Facts, field};
use super::variables::is_secret;

pub(super) fn facts(roots: &Roots, facts: &mut Facts) {
    facts.put("machine.architecture", "llamark", Ok(std::env::consts::ARCH.to_owned()));
    for (name, file) in [
        ("machine.vendor", "sys_vendor"),
        ("machine.product", "product_name"),
        ("machine.board", "board_name"),
        ("machine.firmware", "bios_version"),
    ] {
        facts.file(roots, name, &format!("/sys/class/dmi/id/{file}"));
    }
    virtualization(roots, facts);
    kernel(roots, facts);

    let source = "/etc/os-release";
    let release = roots.text(source);
    for (name, key) in [("os.name", "PRETTY_NAME"), ("os.id", "ID"), ("os.version", "VERSION_ID")] {
        let value = release.clone().and_then(|text| {
            let value = field(&text, key, '=').ok_or_else(|| format!("it has no `{key}`"))?;
            Ok(value.trim_matches(['"', '\'']).to_owned())
        });
        facts.put(name, source, value);
    }

    facts.file(roots, "platform.profile", "/sys/firmware/acpi/platform_profile");
    facts.put("platform.power_source", POWER_SUPPLY, power_source(roots));
    let source = "/proc/self/limits";
    let locked = roots.text(source).and_then(|text| {
        let rest = text.lines().find_map(|line| line.strip_prefix("Max locked memory"));
        let soft = rest.and_then(|rest| rest.split_whitespace().next());
        soft.map(str::to_owned).ok_or_else(|| "it does not say".to_owned())
    });
    facts.put("limits.locked_memory_bytes", source, locked);
}

fn virtualization(roots: &Roots, facts: &mut Facts) {
    let source = "/proc/cpuinfo";
    let hypervisor = roots.text(source).map(|text| {
        let flags = field(&text, "flags", ':').unwrap_or_default();
        let is_guest = flags.split(' ').any(|flag| flag == "hypervisor");
        let kind = roots.text("/sys/hypervisor/type").unwrap_or_else(|_| "hypervisor".to_owned());
        if is_guest { kind } else { "none".to_owned() }
    });
    facts.put("machine.virtualization", source, hypervisor);
    let hints = [
        ("/.dockerenv", "docker"),
        ("/run/.containerenv", "podman"),
        ("/run/systemd/container", "systemd"),
        ("/dev/.lxc", "lxc"),
    ];
    if let Some((path, name)) = hints.iter().find(|(path, _)| roots.exists(path)) {
        facts.put("container.kind", path, Ok((*name).to_owned()));
        return;
    }
    let source = "/proc/self/cgroup";
    let kind = roots.text(source).map(|groups| {
        let names = ["kubepods", "docker", "libpod", "lxc", "containerd"];
        names.into_iter().find(|name| groups.contains(name)).unwrap_or("none").to_owned()
    });
    facts.put("container.kind", source, kind);
}

fn kernel(roots: &Roots, facts: &mut Facts) {
    facts.file(roots, "kernel.release", "/proc/sys/kernel/osrelease");
    facts.file(roots, "kernel.version", "/proc/sys/kernel/version");
    let source = "/proc/cmdline";
    facts.put("kernel.cmdline", source, roots.text(source).map(|line| without_secrets(&line)));
    facts.file(
        roots,
        "kernel.clocksource",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    );
    let folder = "/sys/devices/system/cpu/vulnerabilities";
    for name in roots.names(folder) {
        facts.file(roots, format!("kernel.mitigations.{name}"), &format!("{folder}/{name}"));
    }
}

/// A kernel command line with `...` for the value of every parameter whose name looks like that of a secret, and for
/// what follows `--`: that is for the first process, says nothing of the kernel, and may be anything.
pub(super) fn without_secrets(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut quoted = false;
    for character in line.chars() {
        if character == '"' {
            quoted = !quoted;
        }
        if character.is_whitespace() && !quoted {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(character);
        } else {
            words.push(character.to_string());
        }
    }
    words.retain(|word| !word.is_empty());
    if let Some(end) = words.iter().position(|word| word == "--") {
        words.truncate(end + 1);
        words.push("...".to_owned());
    }
    let words: Vec<String> = words
        .into_iter()
        .map(|word| match word.split_once('=') {
            // A keymap is no key.
            Some((name, _)) if is_secret(&name.replace("keymap", "").replace("keyboard", "")) => {
                format!("{name}=...")
            }
            _ => word,
        })
        .collect();
    words.join(" ")
}

const POWER_SUPPLY: &str = "/sys/class/power_supply";

/// `mains` or `battery`.
pub(super) fn power_source(roots: &Roots) -> Result<String, String> {
    let names = roots.names(POWER_SUPPLY);
    let read =
        |name: &str, file: &str| roots.text(&format!("{POWER_SUPPLY}/{name}/{file}")).unwrap_or_default();
    let mut found = None;
    for name in &names {
        match read(name, "type").as_str() {
            "Mains" | "USB" if read(name, "online") == "1" => return Ok("mains".to_owned()),
            // A battery of the machine: that of a mouse has the scope of a device.
            "Battery" if read(name, "scope") != "Device" => match read(name, "status").as_str() {
                "Discharging" => found = Some("battery"),
                "Charging" | "Full" | "Not charging" => return Ok("mains".to_owned()),
                _ => {}
            },
            _ => {}
        }
    }
    found.map(str::to_owned).ok_or_else(|| "no power supply says so".to_owned())
}
