//! Facts of the machine: what it is, and how it is at this moment.
//!
//! Everything is read from files below one root, so that a recorded tree of another machine can be read as well; and
//! from the environment variables. Nothing is spawned.
//!
//! Never among them: the name of the machine or of its user, serial numbers, addresses, the value of a variable or of
//! a kernel parameter whose name looks like that of a secret. In the values of variables the home folder is `~`.

mod cgroup;
mod conditions;
mod cpu;
mod gpu;
mod memory;
mod read;
mod software;
mod system;
mod variables;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use llamark_record::environment::{ENVIRONMENT_FORMAT, Environment, Fact};

use read::Facts;

/// Where facts are read. The default is this machine.
#[derive(Clone, Debug)]
pub struct Roots {
    /// `/`, or a folder that holds a recorded tree: `proc/cpuinfo`, `sys/class/drm`, `etc/os-release`, ...
    pub root: Utf8PathBuf,
    /// The environment variables; those that matter are picked out.
    pub variables: BTreeMap<String, String>,
}

impl Default for Roots {
    fn default() -> Self {
        Self { root: Utf8PathBuf::from("/"), variables: llamark_process::own_environment() }
    }
}

/// What this machine is: processor, memory, kernel, system, limits, GPUs and their drivers, and the variables that
/// matter to ggml, CUDA, HIP, Vulkan and OpenMP. What cannot be read is there too, with the reason.
pub fn environment(roots: &Roots) -> Environment {
    let mut facts = Facts::default();
    cpu::facts(roots, &mut facts);
    memory::facts(roots, &mut facts);
    system::facts(roots, &mut facts);
    cgroup::facts(roots, &mut facts);
    gpu::facts(roots, &mut facts);
    software::facts(roots, &mut facts);
    variables::facts(roots, &mut facts);
    Environment { format: ENVIRONMENT_FORMAT.to_owned(), facts: facts.into_map() }
}

/// Facts of [`environment`] that are momentary, and so no change of the machine.
const MOMENTARY: [&str; 1] = ["memory.available_bytes"];

/// Facts that are other now than they were in `before`; one that is gone has no value. Not those that change from moment
/// to moment, see [`conditions`].
pub fn changed(roots: &Roots, before: &Environment) -> BTreeMap<String, Fact> {
    let now = environment(roots).facts;
    let gone = |name: &String| {
        let fact = Fact { value: None, source: "none".to_owned(), error: Some("it is gone".to_owned()) };
        (!now.contains_key(name)).then(|| (name.clone(), fact))
    };
    let gone: Vec<_> = before.facts.keys().filter_map(gone).collect();
    let is_other = |name: &String, fact: &Fact| {
        before.facts.get(name).is_none_or(|then| then.value != fact.value)
            && !MOMENTARY.contains(&name.as_str())
    };
    now.into_iter().filter(|(name, fact)| is_other(name, fact)).chain(gone).collect()
}

/// How this machine is at this moment: free memory, load, clocks, temperatures, how busy the GPUs are. Names are as in
/// [`environment`], with the unit at their end. What cannot be read is not there.
pub fn conditions(roots: &Roots) -> BTreeMap<String, String> {
    conditions::conditions(roots)
}

/// Cores that a computation of ours can use on this machine; see [`usable_cores_of`].
pub fn usable_cores() -> u32 {
    usable_cores_of(&Roots { root: Utf8PathBuf::from("/"), variables: BTreeMap::new() })
}

/// Cores that a computation of ours can use: the physical cores among the processors that we may run on, and no more
/// than the time that our control groups grant. At least one.
///
/// Two threads on one core share its vector units, so more threads than cores make llama.cpp no faster.
pub fn usable_cores_of(roots: &Roots) -> u32 {
    let cores = cpu::allowed_cores(roots)
        .or_else(|| u32::try_from(std::thread::available_parallelism().ok()?.get()).ok())
        .unwrap_or(1);
    let granted =
        cgroup::cpu_quota(roots).map_or(u32::MAX, |millis| u32::try_from(millis / 1_000).unwrap_or(u32::MAX));
    cores.min(granted).max(1)
}

/// Memory of the machine in bytes; absent when the kernel does not say.
pub fn memory_total(roots: &Roots) -> Option<u64> {
    memory::meminfo(roots, "MemTotal").ok()
}

#[cfg(test)]
mod tests;
