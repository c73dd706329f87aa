//! The limits of our control groups, versions 1 and 2: a container may have less than its machine.

use super::Roots;
use super::read::Facts;

/// A limit above this is no limit: version 1 writes the largest number of pages.
const UNLIMITED: u64 = 1 << 60;

pub(super) fn facts(roots: &Roots, facts: &mut Facts) {
    let source = "/proc/self/cgroup";
    let groups = roots.text(source);
    facts.put(
        "container.cgroup_version",
        source,
        groups.as_ref().map_err(Clone::clone).map(|groups| {
            if groups.lines().all(|line| line.starts_with("0::")) { "2" } else { "1" }.to_owned()
        }),
    );
    if groups.is_err() {
        return;
    }
    let no_limit = || "no limit is set".to_owned();
    let quota = cpu_quota(roots).ok_or_else(no_limit);
    let quota = quota.map(|millis| format!("{}.{:03}", millis / 1_000, millis % 1_000));
    facts.put("container.cpu_limit", "/sys/fs/cgroup", quota);
    let limit = memory_limit(roots).ok_or_else(no_limit);
    facts.put("container.memory_limit_bytes", "/sys/fs/cgroup", limit.map(|bytes| bytes.to_string()));
}

/// Thousandths of a processor that we may use; absent when there is no limit.
pub(super) fn cpu_quota(roots: &Roots) -> Option<u64> {
    let v2 = unified(roots).into_iter().filter_map(|folder| {
        let text = roots.text(&format!("{folder}/cpu.max")).ok()?;
        let (quota, period) = text.split_once(' ')?;
        share(quota.parse().ok()?, period.trim().parse().ok()?)
    });
    let v1 = hierarchy(roots, "cpu").into_iter().filter_map(|folder| {
        // -1 is no number of microseconds: no limit.
        let quota = roots.number(&format!("{folder}/cpu.cfs_quota_us")).ok()?;
        share(quota, roots.number(&format!("{folder}/cpu.cfs_period_us")).ok()?)
    });
    v2.chain(v1).min()
}

fn share(quota: u64, period: u64) -> Option<u64> {
    quota.checked_mul(1_000)?.checked_div(period)
}

/// Bytes of memory that we may use; absent when there is no limit.
fn memory_limit(roots: &Roots) -> Option<u64> {
    let v2 =
        unified(roots).into_iter().filter_map(|folder| roots.number(&format!("{folder}/memory.max")).ok());
    let v1 = hierarchy(roots, "memory")
        .into_iter()
        .filter_map(|folder| roots.number(&format!("{folder}/memory.limit_in_bytes")).ok());
    v2.chain(v1).filter(|bytes| *bytes < UNLIMITED).min()
}

/// Our group of version 2 and those that it is in: the tightest limit counts.
fn unified(roots: &Roots) -> Vec<String> {
    let groups = roots.text("/proc/self/cgroup").unwrap_or_default();
    let Some(path) = groups.lines().find_map(|line| line.strip_prefix("0::")) else { return Vec::new() };
    upwards("/sys/fs/cgroup", path)
}

/// Likewise, of one controller of version 1.
fn hierarchy(roots: &Roots, controller: &str) -> Vec<String> {
    let groups = roots.text("/proc/self/cgroup").unwrap_or_default();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        if controllers.split(',').any(|name| name == controller) {
            // Mounted by its own name, or by that of the pair.
            let mounts = [controller, controllers].map(|name| format!("/sys/fs/cgroup/{name}"));
            return mounts.iter().flat_map(|mount| upwards(mount, path)).collect();
        }
    }
    Vec::new()
}

/// `/a/b` below `mount`, `/a` below it, and `mount` itself. Inside a container the path may be that of the host, and
/// only `mount` is there.
fn upwards(mount: &str, path: &str) -> Vec<String> {
    let mut folders = vec![mount.to_owned()];
    // A group outside of our view is written with `..`.
    if path.split('/').all(|part| part != "..") {
        let mut folder = mount.to_owned();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            folder = format!("{folder}/{part}");
            folders.push(folder.clone());
        }
    }
    folders
}
