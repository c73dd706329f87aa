//! Versions of the SDK of a backend, known before anything is configured: they are part of the build key.

use std::collections::BTreeMap;

use camino::Utf8Path;
use llamark_process::Interrupt;
use llamark_record::plan::BackendKind;

use crate::error::BuildError;
use crate::machine::Machine;
use crate::{probe, requirements};

/// The facts, by name. What cannot be found out is written `unknown`: the build may still work, and a key that
/// says less is better than one that says something wrong.
///
/// `architectures_given`: the author names the GPU architectures, so those that are found here do not matter.
pub(crate) fn facts(
    kind: BackendKind,
    machine: &Machine,
    architectures_given: bool,
    environment: &BTreeMap<String, String>,
    interrupt: &Interrupt,
) -> Result<BTreeMap<String, String>, BuildError> {
    let mut facts = BTreeMap::new();
    let ask = |program: Option<camino::Utf8PathBuf>, args: &[&str]| -> Result<Option<String>, BuildError> {
        let Some(program) = program else { return Ok(None) };
        let (_, output) = probe::ask(&program, args, Utf8Path::new("/"), environment, interrupt)?;
        Ok(output.success().then_some(output.stdout))
    };
    let mut put = |name: &str, value: Option<String>| {
        let value = value.filter(|value| !value.is_empty()).unwrap_or_else(|| "unknown".to_owned());
        facts.insert(name.to_owned(), value);
    };
    match kind {
        BackendKind::Cpu => {}
        BackendKind::Vulkan => {
            let version = ask(requirements::glslc(machine), &["--version"])?;
            put("glslc", version.map(|text| probe::one_line(&text)));
            let header = requirements::vulkan_header(machine)
                .and_then(|path| fs_err::read_to_string(path.with_file_name("vulkan_core.h")).ok());
            put("vulkan.headers", header.and_then(|text| header_version(&text)));
        }
        BackendKind::Cuda => {
            let version = ask(requirements::nvcc(machine), &["--version"])?;
            put("nvcc", version.map(|text| nvcc_release(&text)));
            if !architectures_given {
                let query = ["--query-gpu=compute_cap", "--format=csv,noheader"];
                let found = ask(machine.program("nvidia-smi"), &query)?;
                put("cuda.compute_capabilities", found.map(|text| probe::one_line(&text)));
            }
        }
        BackendKind::Rocm => {
            let hipconfig = requirements::rocm_prefixes(machine)
                .iter()
                .find_map(|prefix| machine.program(prefix.join("bin/hipconfig").as_str()))
                .or_else(|| machine.program("hipconfig"));
            put("hip", ask(hipconfig, &["--version"])?.map(|text| probe::first_line(&text)));
            let info = machine.first(&requirements::rocm_prefixes(machine), &[".info/version"]);
            let info = info.and_then(|path| fs_err::read_to_string(path).ok());
            put("rocm", info.map(|text| probe::first_line(&text)));
            if !architectures_given {
                let enumerator = requirements::rocm_prefixes(machine)
                    .iter()
                    .find_map(|prefix| machine.program(prefix.join("bin/rocm_agent_enumerator").as_str()));
                put("rocm.agents", ask(enumerator, &[])?.map(|text| probe::one_line(&text)));
            }
        }
    }
    Ok(facts)
}

/// The line of `nvcc --version` that names the release.
fn nvcc_release(text: &str) -> String {
    text.lines()
        .find(|line| line.contains("release"))
        .map_or_else(|| probe::one_line(text), |line| line.trim().to_owned())
}

/// `1.3.239` from the text of `vulkan_core.h`.
fn header_version(text: &str) -> Option<String> {
    let after = |mark: &str| text.lines().find_map(|line| Some(line.split_once(mark)?.1.trim()));
    let patch = after("#define VK_HEADER_VERSION ")?;
    let complete = after("#define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION(")?;
    let mut numbers = complete.split(',').map(str::trim).skip(1);
    Some(format!("{}.{}.{patch}", numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_recorded_texts() {
        let header = "// Version of this file\n#define VK_HEADER_VERSION 239\n\n\
                      // Complete version of this file\n\
                      #define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION(0, 1, 3, VK_HEADER_VERSION)\n";
        assert_eq!(header_version(header).as_deref(), Some("1.3.239"));
        assert_eq!(header_version("#define VK_HEADER_VERSION 239\n"), None);
        let nvcc = "nvcc: NVIDIA (R) Cuda compiler driver\nCopyright (c) 2005-2024\n\
                    Cuda compilation tools, release 12.4, V12.4.131\nBuild cuda_12.4.r12.4/compiler.34097967_0\n";
        assert_eq!(nvcc_release(nvcc), "Cuda compilation tools, release 12.4, V12.4.131");
    }

    #[test]
    fn what_is_not_there_is_unknown() {
        let machine = Machine {
            root: "/nonexistent".into(),
            environment: [("PATH".to_owned(), "/nonexistent".to_owned())].into(),
        };
        let none = BTreeMap::new();
        let interrupt = Interrupt::new();
        let cuda = facts(BackendKind::Cuda, &machine, false, &none, &interrupt).unwrap();
        assert_eq!(
            cuda.into_iter().collect::<Vec<_>>(),
            [
                ("cuda.compute_capabilities".to_owned(), "unknown".to_owned()),
                ("nvcc".to_owned(), "unknown".to_owned())
            ]
        );
        assert!(facts(BackendKind::Cpu, &machine, false, &none, &interrupt).unwrap().is_empty());
        assert_eq!(facts(BackendKind::Rocm, &machine, true, &none, &interrupt).unwrap().len(), 2);
    }
}
