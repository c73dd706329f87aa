//! The processor: what it is, its cores, how it is driven.

use std::collections::{BTreeMap, BTreeSet};

use llamark_record::Sha256;

use super::Roots;
use super::read::{Facts, field, ranges};

const CPUINFO: &str = "/proc/cpuinfo";
const SYSTEM: &str = "/sys/devices/system/cpu";

pub(super) fn facts(roots: &Roots, facts: &mut Facts) {
    let cpuinfo = roots.text(CPUINFO);
    let of_first = |keys: &[&str]| {
        let text = cpuinfo.as_ref().map_err(Clone::clone)?;
        let value = keys.iter().find_map(|key| field(text, key, ':'));
        value.map(str::to_owned).ok_or_else(|| format!("it has no `{}`", keys.join("` or `")))
    };
    // ARM has no `model name`; some boards say what they are.
    facts.put("cpu.model", CPUINFO, of_first(&["model name", "Model", "Hardware"]));
    facts.put("cpu.vendor", CPUINFO, of_first(&["vendor_id", "CPU implementer"]));
    facts.put("cpu.microcode", CPUINFO, of_first(&["microcode"]));
    let signature = ["cpu family", "model", "stepping"].map(|key| of_first(&[key]));
    facts.put(
        "cpu.signature",
        CPUINFO,
        signature.into_iter().collect::<Result<Vec<_>, _>>().map(|parts| parts.join("-")),
    );
    let flags = of_first(&["flags", "Features"]);
    facts.put(
        "cpu.flags_sha256",
        CPUINFO,
        flags.map(|flags| {
            let flags: BTreeSet<&str> = flags.split_whitespace().collect();
            let flags: Vec<&str> = flags.into_iter().collect();
            Sha256::of_bytes(flags.join(" ").as_bytes()).to_string()
        }),
    );
    cores(roots, facts);
    clocks(roots, facts);
    let (source, found) = caches(roots);
    facts.put("cpu.caches", &source, found);
}

fn cores(roots: &Roots, facts: &mut Facts) {
    let online = online(roots);
    let none = || Err("no processor is listed".to_owned());
    let logical = if online.is_empty() { none() } else { Ok(online.len().to_string()) };
    let source = if listed(roots).is_some() { format!("{SYSTEM}/online") } else { CPUINFO.to_owned() };
    facts.put("cpu.logical", &source, logical);
    let topology = format!("{SYSTEM}/cpu*/topology");
    for (name, of) in
        [("cpu.physical", core as fn(&Roots, u32) -> Result<String, String>), ("cpu.sockets", socket)]
    {
        let things: Result<BTreeSet<String>, String> = online.iter().map(|cpu| of(roots, *cpu)).collect();
        let count =
            things.and_then(|things| if things.is_empty() { none() } else { Ok(things.len().to_string()) });
        facts.put(name, &topology, count);
    }
    facts.file(roots, "cpu.smt", &format!("{SYSTEM}/smt/control"));
    let isolated = format!("{SYSTEM}/isolated");
    if let Ok(cpus) = roots.text(&isolated) {
        facts.put("cpu.isolated", &isolated, Ok(if cpus.is_empty() { "none".to_owned() } else { cpus }));
    }
    let source = "/proc/self/status";
    facts.put(
        "cpu.allowed",
        source,
        roots.text(source).and_then(|text| {
            field(&text, "Cpus_allowed_list", ':')
                .map(str::to_owned)
                .ok_or_else(|| "it does not say".to_owned())
        }),
    );
    facts.put("cpu.usable_cores", "llamark", Ok(super::usable_cores_of(roots).to_string()));
}

fn clocks(roots: &Roots, facts: &mut Facts) {
    facts.put(
        "cpu.governor",
        &format!("{SYSTEM}/cpu*/cpufreq/scaling_governor"),
        each(roots, "scaling_governor"),
    );
    facts.put(
        "cpu.clock_driver",
        &format!("{SYSTEM}/cpu*/cpufreq/scaling_driver"),
        each(roots, "scaling_driver"),
    );
    let preference = "energy_performance_preference";
    if let Ok(value) = each(roots, preference) {
        facts.put("cpu.energy_preference", &format!("{SYSTEM}/cpu*/cpufreq/{preference}"), Ok(value));
    }
    let maximum = each(roots, "cpuinfo_max_freq");
    facts.put("cpu.max_khz", &format!("{SYSTEM}/cpu*/cpufreq/cpuinfo_max_freq"), maximum);
    // Two ways to say it, the second the other way around.
    let boost = format!("{SYSTEM}/cpufreq/boost");
    let no_turbo = format!("{SYSTEM}/intel_pstate/no_turbo");
    let word = |on: bool| Ok(if on { "on" } else { "off" }.to_owned());
    match (roots.number(&boost), roots.number(&no_turbo)) {
        (Ok(on), _) => facts.put("cpu.boost", &boost, word(on != 0)),
        (Err(_), Ok(off)) => facts.put("cpu.boost", &no_turbo, word(off == 0)),
        (Err(error), Err(_)) => facts.put("cpu.boost", &boost, Err(error)),
    }
}

/// A file of `cpufreq` of every processor: its value, or each value with how many have it.
pub(super) fn each(roots: &Roots, file: &str) -> Result<String, String> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut error = "no processor is listed".to_owned();
    for cpu in online(roots) {
        match roots.text(&format!("{SYSTEM}/cpu{cpu}/cpufreq/{file}")) {
            Ok(value) => *counts.entry(value).or_default() += 1,
            Err(why) => error = why,
        }
    }
    match counts.len() {
        0 => Err(error),
        1 => Ok(counts.into_keys().next().unwrap_or_default()),
        _ => {
            let parts: Vec<String> =
                counts.iter().map(|(value, count)| format!("{value} ({count})")).collect();
            Ok(parts.join(", "))
        }
    }
}

/// Processors that are online, as the kernel numbers them.
pub(super) fn online(roots: &Roots) -> Vec<u32> {
    listed(roots).unwrap_or_else(|| {
        let text = roots.text(CPUINFO).unwrap_or_default();
        let numbers = text.lines().filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == "processor").then(|| value.trim().parse().ok())?
        });
        numbers.collect()
    })
}

fn listed(roots: &Roots) -> Option<Vec<u32>> {
    ranges(&roots.text(&format!("{SYSTEM}/online")).ok()?).filter(|cpus| !cpus.is_empty())
}

/// Physical cores among the processors that we may run on; absent when the kernel does not list them.
pub(super) fn allowed_cores(roots: &Roots) -> Option<u32> {
    let status = roots.text("/proc/self/status").ok();
    let allowed = status.and_then(|text| ranges(field(&text, "Cpus_allowed_list", ':')?));
    let mut cpus = online(roots);
    if let Some(allowed) = allowed {
        cpus.retain(|cpu| allowed.contains(cpu));
    }
    // A processor that does not say which core it is a thread of is one by itself.
    let cores: BTreeSet<String> =
        cpus.iter().map(|cpu| core(roots, *cpu).unwrap_or_else(|_| format!("processor {cpu}"))).collect();
    u32::try_from(cores.len()).ok().filter(|cores| *cores > 0)
}

/// The core that a processor is a thread of: the processors that share it.
fn core(roots: &Roots, cpu: u32) -> Result<String, String> {
    let read = |file| roots.text(&format!("{SYSTEM}/cpu{cpu}/topology/{file}"));
    read("core_cpus_list").or_else(|_| read("thread_siblings_list"))
}

fn socket(roots: &Roots, cpu: u32) -> Result<String, String> {
    roots.text(&format!("{SYSTEM}/cpu{cpu}/topology/physical_package_id"))
}

/// Caches of the first processor: `L1d 48K, L1i 32K, L2 2048K, L3 32768K for 0-7`.
fn caches(roots: &Roots) -> (String, Result<String, String>) {
    let first = online(roots).first().copied().unwrap_or(0);
    let folder = format!("{SYSTEM}/cpu{first}/cache");
    let mut caches = Vec::new();
    for name in roots.names(&folder).iter().filter(|name| name.starts_with("index")) {
        let read = |file: &str| roots.text(&format!("{folder}/{name}/{file}"));
        let (Ok(level), Ok(size)) = (read("level"), read("size")) else { continue };
        let kind = match read("type").as_deref() {
            Ok("Data") => "d",
            Ok("Instruction") => "i",
            _ => "",
        };
        let shared = read("shared_cpu_list").map_or(String::new(), |cpus| format!(" for {cpus}"));
        caches.push(format!("L{level}{kind} {size}{shared}"));
    }
    let found = if caches.is_empty() { Err("no cache is listed".to_owned()) } else { Ok(caches.join(", ")) };
    (folder, found)
}
