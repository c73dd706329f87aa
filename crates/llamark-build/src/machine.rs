//! The machine as a build sees it: its files, its environment, its programs. A test gives another one.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

/// Where headers and programs are looked for. Nothing else of this crate reads the environment of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The root of the file system: `/`, except in a test.
    pub root: Utf8PathBuf,
    /// The environment of this process, from which an allow-list is taken.
    pub environment: BTreeMap<String, String>,
}

/// Variables that decide what a compiler does or finds. They reach it, and they are part of the build key.
const PASSED: [&str; 38] = [
    "CC",
    "CXX",
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "LIBRARY_PATH",
    "LD_LIBRARY_PATH",
    "PKG_CONFIG_PATH",
    "CMAKE_PREFIX_PATH",
    "CMAKE_INCLUDE_PATH",
    "CMAKE_LIBRARY_PATH",
    "CUDA_PATH",
    "CUDA_HOME",
    "CUDA_ROOT",
    "CUDAToolkit_ROOT",
    "CUDACXX",
    "CUDAHOSTCXX",
    "CUDAARCHS",
    "NVCC_PREPEND_FLAGS",
    "NVCC_APPEND_FLAGS",
    "NVCC_CCBIN",
    "ROCM_PATH",
    "ROCM_HOME",
    "HIP_PATH",
    "HIP_PLATFORM",
    "HIP_CLANG_PATH",
    "HIP_DEVICE_LIB_PATH",
    "HIPCXX",
    "HIPFLAGS",
    "DEVICE_LIB_PATH",
    "VULKAN_SDK",
    "Vulkan_ROOT",
    "SDKROOT",
    "DEVELOPER_DIR",
    "MACOSX_DEPLOYMENT_TARGET",
    "NIX_CFLAGS_COMPILE",
    "NIX_LDFLAGS",
    "NIX_CC",
];

impl Machine {
    /// This machine. Variables that are not UTF-8 are left out.
    pub fn here() -> Self {
        Self { root: Utf8PathBuf::from("/"), environment: llamark_process::own_environment() }
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variables that reach the compiler. `CFLAGS`, `LDFLAGS`, `CMAKE_GENERATOR`, `SOURCE_DATE_EPOCH`,
    /// `LD_PRELOAD` and whatever else is set are not among them.
    pub(crate) fn passed(&self) -> BTreeMap<String, String> {
        PASSED.iter().filter_map(|name| Some(((*name).to_owned(), self.variable(name)?.to_owned()))).collect()
    }

    /// `PATH`.
    pub(crate) fn path(&self) -> &str {
        self.variable("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin")
    }

    /// The program of that name in `PATH`, or the program at that path.
    pub(crate) fn program(&self, name: &str) -> Option<Utf8PathBuf> {
        if name.contains('/') {
            return Some(self.on_disk(Utf8Path::new(name))).filter(|path| is_program(path));
        }
        self.path()
            .split(':')
            .filter(|folder| folder.starts_with('/'))
            .map(|folder| Utf8Path::new(folder).join(name))
            .find(|path| is_program(path))
    }

    /// Where `path` lies, seen from this process.
    pub(crate) fn on_disk(&self, path: &Utf8Path) -> Utf8PathBuf {
        match path.strip_prefix("/") {
            Ok(relative) if !path.starts_with(&self.root) || self.root == "/" => self.root.join(relative),
            _ => path.to_owned(),
        }
    }

    /// Folders that hold `include/`, `lib/` and `share/`, most special first.
    pub(crate) fn prefixes(&self, variables: &[&str], usual: &[&str]) -> Vec<Utf8PathBuf> {
        let mut prefixes: Vec<Utf8PathBuf> =
            variables.iter().filter_map(|name| self.variable(name)).map(Utf8PathBuf::from).collect();
        let listed = self.variable("CMAKE_PREFIX_PATH").unwrap_or_default();
        prefixes.extend(listed.split(':').filter(|one| !one.is_empty()).map(Utf8PathBuf::from));
        prefixes.extend(usual.iter().map(Utf8PathBuf::from));
        prefixes
    }

    /// The first of `relative` under the first of `prefixes` that is there, as it lies on the disk.
    pub(crate) fn first(&self, prefixes: &[Utf8PathBuf], relative: &[&str]) -> Option<Utf8PathBuf> {
        let candidates = prefixes.iter().flat_map(|prefix| relative.iter().map(move |one| prefix.join(one)));
        candidates.map(|path| self.on_disk(&path)).find(|path| path.exists())
    }
}

fn is_program(path: &Utf8Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_list_reaches_the_compiler() {
        let names =
            ["CC", "CFLAGS", "SOURCE_DATE_EPOCH", "LD_PRELOAD", "ROCM_PATH", "PATH", "CMAKE_GENERATOR"];
        let mut environment: BTreeMap<String, String> =
            names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
        environment.insert("CXX".to_owned(), String::new());
        let machine = Machine { root: "/".into(), environment };
        assert_eq!(machine.passed().keys().collect::<Vec<_>>(), ["CC", "ROCM_PATH"]);
    }

    #[test]
    fn another_root_is_another_disk() {
        let machine = Machine { root: "/tmp/x".into(), environment: BTreeMap::new() };
        assert_eq!(machine.on_disk(Utf8Path::new("/usr/include")), "/tmp/x/usr/include");
        assert_eq!(machine.on_disk(Utf8Path::new("/tmp/x/usr")), "/tmp/x/usr");
        assert_eq!(Machine { root: "/".into(), ..machine }.on_disk(Utf8Path::new("/usr")), "/usr");
    }
}
