//! What each kind of backend needs to be built, how it is looked for, and the command that installs it.

use llamark_record::plan::BackendKind;
use serde::Serialize;

use crate::machine::Machine;

/// Packages by distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Install {
    /// Packages of Debian and Ubuntu.
    pub debian: Vec<&'static str>,
    /// Packages of Fedora.
    pub fedora: Vec<&'static str>,
    /// Packages of Arch.
    pub arch: Vec<&'static str>,
}

impl Install {
    fn of(debian: &[&'static str], fedora: &[&'static str], arch: &[&'static str]) -> Self {
        Self { debian: debian.to_vec(), fedora: fedora.to_vec(), arch: arch.to_vec() }
    }

    /// The packages of all that is missing, each once.
    pub(crate) fn merged(missing: &[Missing]) -> Self {
        let mut merged = Self::default();
        for one in missing {
            for (all, more) in [
                (&mut merged.debian, &one.install.debian),
                (&mut merged.fedora, &one.install.fedora),
                (&mut merged.arch, &one.install.arch),
            ] {
                for package in more {
                    if !all.contains(package) {
                        all.push(package);
                    }
                }
            }
        }
        merged
    }

    /// Distribution and command, for each.
    pub fn commands(&self) -> [(&'static str, String); 3] {
        [
            ("Debian/Ubuntu", format!("sudo apt install {}", self.debian.join(" "))),
            ("Fedora", format!("sudo dnf install {}", self.fedora.join(" "))),
            ("Arch", format!("sudo pacman -S {}", self.arch.join(" "))),
        ]
    }

    /// All commands in one sentence.
    pub(crate) fn sentence(&self) -> String {
        let mut text = String::from("install what is missing:");
        for (system, command) in self.commands() {
            text.push_str(&format!("\n  {system}: {command}"));
        }
        if self.debian.iter().any(|package| package.starts_with("rocm")) {
            text.push_str("\n  (ROCm 6.1 or newer; for Debian and Ubuntu from AMD's own package archive)");
        }
        if self.fedora.contains(&"cuda-toolkit") {
            text.push_str("\n  (on Fedora from NVIDIA's own package archive)");
        }
        text
    }
}

/// Older versions of llama.cpp do without them.
pub(crate) const SPIRV_HEADERS: &str = "the SPIR-V headers";

/// Something that a kind of backend needs.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// What, in words.
    pub what: &'static str,
    /// What for.
    pub why: &'static str,
    /// What installs it.
    pub install: Install,
    is_there: fn(&Machine) -> bool,
}

/// Something that is not installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What, in words.
    pub what: String,
    /// What it is needed for.
    pub why: String,
    /// What installs it.
    pub install: Install,
}

/// What a kind of backend needs. cmake and ninja are not among it: where they are missing they are installed
/// into the cache, for which Python is needed.
pub fn requirements(kind: BackendKind) -> Vec<Requirement> {
    let compiler = Install::of(&["build-essential"], &["gcc", "gcc-c++"], &["base-devel"]);
    let mut needed = vec![
        Requirement {
            what: "a C compiler",
            why: "cc, gcc or clang in PATH, or CC",
            install: compiler.clone(),
            is_there: |machine| crate::tools::compiler_path(machine, "CC").is_some(),
        },
        Requirement {
            what: "a C++ compiler",
            why: "c++, g++ or clang++ in PATH, or CXX",
            install: compiler,
            is_there: |machine| crate::tools::compiler_path(machine, "CXX").is_some(),
        },
        Requirement {
            what: "cmake and ninja, or Python 3 to get them",
            why: "cmake 3.21 or newer and ninja in PATH, or python3 in PATH",
            install: Install::of(
                &["cmake", "ninja-build", "python3-venv"],
                &["cmake", "ninja-build", "python3"],
                &["cmake", "ninja", "python"],
            ),
            is_there: |machine| {
                let has = |name| machine.program(name).is_some();
                has("python3") || (has("cmake") && has("ninja"))
            },
        },
    ];
    match kind {
        BackendKind::Cpu => {}
        BackendKind::Vulkan => needed.extend(vulkan()),
        BackendKind::Cuda => needed.extend(cuda()),
        BackendKind::Rocm => needed.extend(rocm()),
    }
    needed
}

fn vulkan() -> Vec<Requirement> {
    vec![
        Requirement {
            what: "the Vulkan headers",
            why: "include/vulkan/vulkan.h",
            install: Install::of(&["libvulkan-dev"], &["vulkan-headers"], &["vulkan-headers"]),
            is_there: |machine| vulkan_header(machine).is_some(),
        },
        Requirement {
            what: "the Vulkan loader",
            why: "libvulkan.so",
            install: Install::of(&["libvulkan-dev"], &["vulkan-loader-devel"], &["vulkan-icd-loader"]),
            is_there: |machine| has_library(machine, &["VULKAN_SDK", "Vulkan_ROOT"], "libvulkan"),
        },
        Requirement {
            what: "glslc",
            why: "needed to compile the shaders",
            install: Install::of(&["glslc"], &["glslc"], &["shaderc"]),
            is_there: |machine| glslc(machine).is_some(),
        },
        Requirement {
            what: SPIRV_HEADERS,
            why: "SPIRV-HeadersConfig.cmake",
            install: Install::of(&["spirv-headers"], &["spirv-headers-devel"], &["spirv-headers"]),
            is_there: |machine| {
                let prefixes = machine.prefixes(&["VULKAN_SDK"], &["/usr", "/usr/local", "/opt/homebrew"]);
                let folders =
                    ["share/cmake/SPIRV-Headers", "lib/cmake/SPIRV-Headers", "lib64/cmake/SPIRV-Headers"];
                machine.first(&prefixes, &folders).is_some()
            },
        },
    ]
}

fn cuda() -> Vec<Requirement> {
    vec![Requirement {
        what: "the CUDA Toolkit",
        why: "nvcc in PATH, in $CUDA_PATH/bin or in /usr/local/cuda/bin",
        install: Install::of(&["nvidia-cuda-toolkit"], &["cuda-toolkit"], &["cuda"]),
        is_there: |machine| nvcc(machine).is_some(),
    }]
}

fn rocm() -> Vec<Requirement> {
    vec![
        Requirement {
            what: "ROCm with HIP",
            why: "hip-config.cmake under $ROCM_PATH, /opt/rocm or /usr",
            install: Install::of(
                &["rocm-hip-sdk"],
                &["rocm-hip-devel", "rocm-comgr-devel"],
                &["rocm-hip-sdk"],
            ),
            is_there: |machine| has_rocm_package(machine, "hip"),
        },
        Requirement {
            what: "hipBLAS",
            why: "hipblas-config.cmake under $ROCM_PATH, /opt/rocm or /usr",
            install: Install::of(&["rocm-hip-sdk"], &["hipblas-devel"], &["rocm-hip-sdk"]),
            is_there: |machine| has_rocm_package(machine, "hipblas"),
        },
        Requirement {
            what: "rocBLAS",
            why: "rocblas-config.cmake under $ROCM_PATH, /opt/rocm or /usr",
            install: Install::of(&["rocm-hip-sdk"], &["rocblas-devel"], &["rocm-hip-sdk"]),
            is_there: |machine| has_rocm_package(machine, "rocblas"),
        },
    ]
}

fn has_rocm_package(machine: &Machine, name: &str) -> bool {
    let paths = ["lib", "lib64", "lib/x86_64-linux-gnu"]
        .map(|folder| format!("{folder}/cmake/{name}/{name}-config.cmake"));
    machine.first(&rocm_prefixes(machine), &paths.each_ref().map(String::as_str)).is_some()
}

/// Where ROCm is looked for, in the order of ggml-hip's CMake code.
pub(crate) fn rocm_prefixes(machine: &Machine) -> Vec<camino::Utf8PathBuf> {
    machine.prefixes(&["ROCM_PATH", "HIP_PATH"], &["/opt/rocm", "/usr"])
}

/// `vulkan/vulkan.h`.
pub(crate) fn vulkan_header(machine: &Machine) -> Option<camino::Utf8PathBuf> {
    let prefixes = machine.prefixes(&["VULKAN_SDK", "Vulkan_ROOT"], &["/usr", "/usr/local", "/opt/homebrew"]);
    machine.first(&prefixes, &["include/vulkan/vulkan.h"]).or_else(|| {
        let folders: Vec<_> = ["CPATH", "CPLUS_INCLUDE_PATH"]
            .iter()
            .filter_map(|name| machine.variable(name))
            .flat_map(|value| value.split(':'))
            .map(camino::Utf8PathBuf::from)
            .collect();
        machine.first(&folders, &["vulkan/vulkan.h"])
    })
}

/// `glslc`, as CMake's FindVulkan looks for it.
pub(crate) fn glslc(machine: &Machine) -> Option<camino::Utf8PathBuf> {
    let in_sdk = machine.variable("VULKAN_SDK").map(|sdk| format!("{sdk}/bin/glslc"));
    in_sdk.and_then(|path| machine.program(&path)).or_else(|| machine.program("glslc"))
}

/// `nvcc`. CMake finds the toolkit in more places than the compiler, so the path is also given to it.
pub(crate) fn nvcc(machine: &Machine) -> Option<camino::Utf8PathBuf> {
    let given = machine.variable("CUDACXX").and_then(|path| machine.program(path));
    let folders = machine.prefixes(&["CUDAToolkit_ROOT", "CUDA_PATH", "CUDA_HOME"], &[]);
    let under = |prefix: &camino::Utf8PathBuf| machine.program(prefix.join("bin/nvcc").as_str());
    given.or_else(|| folders.iter().find_map(under)).or_else(|| machine.program("nvcc")).or_else(|| {
        ["/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc"].iter().find_map(|path| machine.program(path))
    })
}

fn has_library(machine: &Machine, variables: &[&str], name: &str) -> bool {
    let prefixes = machine.prefixes(variables, &["/usr", "/usr/local", "/opt/homebrew"]);
    let folders = ["lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"];
    let names: Vec<String> = folders
        .iter()
        .flat_map(|folder| ["so", "dylib"].map(|suffix| format!("{folder}/{name}.{suffix}")))
        .collect();
    machine.first(&prefixes, &names.iter().map(String::as_str).collect::<Vec<_>>()).is_some()
}

/// What a build of that kind lacks on this machine.
pub fn check(kind: BackendKind) -> Vec<Missing> {
    check_on(kind, &Machine::here())
}

/// What a build of that kind lacks on that machine.
pub fn check_on(kind: BackendKind, machine: &Machine) -> Vec<Missing> {
    requirements(kind)
        .into_iter()
        .filter(|requirement| !(requirement.is_there)(machine))
        .map(|requirement| Missing {
            what: requirement.what.to_owned(),
            why: requirement.why.to_owned(),
            install: requirement.install,
        })
        .collect()
}

/// The packages of all that is special to a kind.
pub(crate) fn install_for(kind: BackendKind) -> Install {
    let special = match kind {
        BackendKind::Cpu => requirements(kind),
        BackendKind::Vulkan => vulkan(),
        BackendKind::Cuda => cuda(),
        BackendKind::Rocm => rocm(),
    };
    let all: Vec<Missing> = special
        .into_iter()
        .map(|one| Missing { what: one.what.to_owned(), why: one.why.to_owned(), install: one.install })
        .collect();
    Install::merged(&all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    use camino::{Utf8Path, Utf8PathBuf};
    use llamark_artifact::files;

    use super::*;

    fn touch(root: &Utf8Path, path: &str) {
        let path = root.join(path.trim_start_matches('/'));
        files::create_dir_all(path.parent().unwrap()).unwrap();
        files::write_atomic(&path, b"").unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn whats(kind: BackendKind, machine: &Machine) -> Vec<String> {
        check_on(kind, machine).into_iter().map(|missing| missing.what).collect()
    }

    #[test]
    fn an_empty_machine_lacks_everything_and_says_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
        let environment = BTreeMap::from([("PATH".to_owned(), root.join("bin").into_string())]);
        let machine = Machine { root, environment };
        let mut text = String::new();
        for kind in BackendKind::ALL {
            let missing = check_on(kind, &machine);
            let names: Vec<_> = missing.iter().map(|one| one.what.as_str()).collect();
            text.push_str(&format!(
                "{}: {}\n{}\n",
                kind.name(),
                names.join(", "),
                Install::merged(&missing).sentence()
            ));
        }
        insta::assert_snapshot!(text, @"
        cpu: a C compiler, a C++ compiler, cmake and ninja, or Python 3 to get them
        install what is missing:
          Debian/Ubuntu: sudo apt install build-essential cmake ninja-build python3-venv
          Fedora: sudo dnf install gcc gcc-c++ cmake ninja-build python3
          Arch: sudo pacman -S base-devel cmake ninja python
        vulkan: a C compiler, a C++ compiler, cmake and ninja, or Python 3 to get them, the Vulkan headers, the Vulkan loader, glslc, the SPIR-V headers
        install what is missing:
          Debian/Ubuntu: sudo apt install build-essential cmake ninja-build python3-venv libvulkan-dev glslc spirv-headers
          Fedora: sudo dnf install gcc gcc-c++ cmake ninja-build python3 vulkan-headers vulkan-loader-devel glslc spirv-headers-devel
          Arch: sudo pacman -S base-devel cmake ninja python vulkan-headers vulkan-icd-loader shaderc spirv-headers
        rocm: a C compiler, a C++ compiler, cmake and ninja, or Python 3 to get them, ROCm with HIP, hipBLAS, rocBLAS
        install what is missing:
          Debian/Ubuntu: sudo apt install build-essential cmake ninja-build python3-venv rocm-hip-sdk
          Fedora: sudo dnf install gcc gcc-c++ cmake ninja-build python3 rocm-hip-devel rocm-comgr-devel hipblas-devel rocblas-devel
          Arch: sudo pacman -S base-devel cmake ninja python rocm-hip-sdk
          (ROCm 6.1 or newer; for Debian and Ubuntu from AMD's own package archive)
        cuda: a C compiler, a C++ compiler, cmake and ninja, or Python 3 to get them, the CUDA Toolkit
        install what is missing:
          Debian/Ubuntu: sudo apt install build-essential cmake ninja-build python3-venv nvidia-cuda-toolkit
          Fedora: sudo dnf install gcc gcc-c++ cmake ninja-build python3 cuda-toolkit
          Arch: sudo pacman -S base-devel cmake ninja python cuda
          (on Fedora from NVIDIA's own package archive)
        ");
    }

    #[test]
    fn what_is_there_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
        let path = root.join("bin").into_string();
        for program in ["gcc", "clang++", "python3"] {
            touch(&root, &format!("bin/{program}"));
        }
        let mut machine =
            Machine { root: root.clone(), environment: BTreeMap::from([("PATH".to_owned(), path)]) };
        assert_eq!(whats(BackendKind::Cpu, &machine), [""; 0]);
        assert_eq!(whats(BackendKind::Cuda, &machine), ["the CUDA Toolkit"]);
        touch(&root, "/usr/local/cuda/bin/nvcc");
        assert_eq!(whats(BackendKind::Cuda, &machine), [""; 0]);
        assert_eq!(whats(BackendKind::Rocm, &machine).len(), 3);
        for name in ["hip", "hipblas", "rocblas"] {
            touch(&root, &format!("/opt/x/lib/cmake/{name}/{name}-config.cmake"));
        }
        machine.environment.insert("ROCM_PATH".to_owned(), "/opt/x".to_owned());
        assert_eq!(whats(BackendKind::Rocm, &machine), [""; 0]);
        touch(&root, "/usr/include/vulkan/vulkan.h");
        touch(&root, "/usr/lib/x86_64-linux-gnu/libvulkan.so");
        touch(&root, "/usr/share/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake");
        assert_eq!(whats(BackendKind::Vulkan, &machine), ["glslc"]);
        touch(&root, "bin/glslc");
        assert_eq!(whats(BackendKind::Vulkan, &machine), [""; 0]);
    }
}
