//! Memory: how much, swap, huge pages.

use super::Roots;
use super::read::{Facts, cut, field};

const MEMINFO: &str = "/proc/meminfo";

pub(super) fn facts(roots: &Roots, facts: &mut Facts) {
    for (name, key) in [
        ("memory.total_bytes", "MemTotal"),
        ("memory.available_bytes", "MemAvailable"),
        ("memory.swap_total_bytes", "SwapTotal"),
        ("memory.hugepage_bytes", "Hugepagesize"),
    ] {
        facts.put(name, MEMINFO, meminfo(roots, key).map(|bytes| bytes.to_string()));
    }
    facts.put("memory.hugepages_total", MEMINFO, entry(roots, "HugePages_Total"));
    for (name, path) in [
        ("memory.thp", "/sys/kernel/mm/transparent_hugepage/enabled"),
        ("memory.thp_defrag", "/sys/kernel/mm/transparent_hugepage/defrag"),
    ] {
        facts.put(name, path, roots.text(path).and_then(|text| chosen(&text)));
    }
    facts.file(roots, "memory.swappiness", "/proc/sys/vm/swappiness");
    facts.file(roots, "memory.overcommit", "/proc/sys/vm/overcommit_memory");
    facts.file_if_there(roots, "memory.zswap", "/sys/module/zswap/parameters/enabled");
    let nodes: Vec<String> = roots
        .names("/sys/devices/system/node")
        .into_iter()
        .filter(|name| {
            name.strip_prefix("node").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect();
    let source = "/sys/devices/system/node";
    let count =
        if nodes.is_empty() { Err("no node is listed".to_owned()) } else { Ok(nodes.len().to_string()) };
    facts.put("numa.nodes", source, count);
    if nodes.len() > 1 {
        for node in nodes {
            facts.file(roots, format!("numa.{node}.cpus"), &format!("{source}/{node}/cpulist"));
        }
    }
    facts.file_if_there(roots, "numa.balancing", "/proc/sys/kernel/numa_balancing");
}

/// An entry of /proc/meminfo in bytes.
pub(super) fn meminfo(roots: &Roots, key: &str) -> Result<u64, String> {
    let value = entry(roots, key)?;
    let kibibytes = value.strip_suffix(" kB").ok_or_else(|| format!("`{}` has no unit", cut(&value)))?;
    let kibibytes: u64 = kibibytes.trim().parse().map_err(|_| format!("`{}` is no number", cut(&value)))?;
    kibibytes.checked_mul(1 << 10).ok_or_else(|| format!("`{}` is too large", cut(&value)))
}

fn entry(roots: &Roots, key: &str) -> Result<String, String> {
    let text = roots.text(MEMINFO)?;
    field(&text, key, ':').map(str::to_owned).ok_or_else(|| format!("it has no `{key}`"))
}

/// The word in brackets: `always [madvise] never`.
pub(super) fn chosen(text: &str) -> Result<String, String> {
    let inside =
        text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(word, _)| word.to_owned());
    inside.ok_or_else(|| format!("nothing is chosen in `{}`", cut(text)))
}
