//! Flags of the author that do nothing. A flag that does nothing is an error.
//!
//! CMake cannot be trusted to say so: ggml reads every `GGML_*` variable in a loop, so that none of them counts as
//! unused. Three tests are made instead. Before configure: does the tree's CMake code mention the name, and does
//! it call it deprecated. After: was the variable declared by anybody (`CMakeCache.txt` tells by its help text),
//! did a warning call it deprecated, and is its value still the author's. And a flag of one backend is dead in a
//! build of another.

use std::collections::BTreeMap;
use std::fmt;

use llamark_record::plan::BackendKind;

use crate::cache_txt::{CacheTxt, truth};
use crate::configure_log::ConfigureLog;
use crate::tree::{PREFIXES, Tree};

/// A flag that does nothing, why, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadFlag {
    /// The CMake variable.
    pub name: String,
    /// Why it does nothing.
    pub reason: Reason,
    /// What replaced it, as an instruction; empty when that is not known.
    pub instead: String,
}

/// Why a flag does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// This version of llama.cpp has no such variable.
    Unknown,
    /// This version of llama.cpp calls it deprecated.
    Deprecated,
    /// It exists, but in this configuration nothing reads it.
    Unread,
    /// It names a part of the instruction set, but the build takes that of this very processor.
    Native,
    /// It belongs to a backend that is not in this build.
    OtherBackend(&'static str),
    /// cmake made another value of it.
    Overruled {
        /// The author's value.
        wanted: String,
        /// What cmake made of it.
        got: String,
    },
}

impl fmt::Display for DeadFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cmake flag `{}` ", self.name)?;
        match &self.reason {
            Reason::Unknown => f.write_str("does nothing: this version of llama.cpp has no such variable"),
            Reason::Deprecated => f.write_str("is deprecated in this version of llama.cpp"),
            Reason::Unread => f.write_str("does nothing: nothing reads it in this configuration"),
            Reason::Native => f.write_str(
                "does nothing: GGML_NATIVE uses the instruction set of this processor; \
                 also write `GGML_NATIVE: false`",
            ),
            Reason::OtherBackend(backend) => write!(f, "does nothing: this build is without {backend}"),
            Reason::Overruled { wanted, got } => {
                write!(f, "was set to `{wanted}`, but cmake made it `{got}`")
            }
        }?;
        if self.instead.is_empty() { Ok(()) } else { write!(f, "; {}", self.instead) }
    }
}

/// What replaced variables that are gone, where the new name does not follow from the old one.
const REPLACED: [(&str, &str); 23] = [
    ("GGML_CUBLAS", "write `GGML_CUDA: true`"),
    ("LLAMA_CUBLAS", "write `GGML_CUDA: true`"),
    ("LLAMA_HIPBLAS", "write `GGML_HIP: true`"),
    ("GGML_HIPBLAS", "write `GGML_HIP: true`"),
    ("LLAMA_HIP", "write `GGML_HIP: true`"),
    ("LLAMA_HIP_UMA", UNIFIED_MEMORY),
    ("GGML_HIP_UMA", UNIFIED_MEMORY),
    ("GGML_HIP_ROCWMMA_FATTN", "remove it: flash attention on AMD no longer uses rocWMMA"),
    ("LLAMA_CURL", "remove it: llamark fetches the models, and HTTPS is now `LLAMA_OPENSSL`"),
    ("LLAMA_SERVER_SSL", "write `LLAMA_OPENSSL`"),
    ("LLAMA_BUILD_WEBUI", "write `LLAMA_BUILD_UI`"),
    ("LLAMA_OPENBLAS", "write `GGML_BLAS: true` and `GGML_BLAS_VENDOR: OpenBLAS`"),
    ("GGML_OPENBLAS", "write `GGML_BLAS: true` and `GGML_BLAS_VENDOR: OpenBLAS`"),
    ("LLAMA_CLBLAST", "write `GGML_OPENCL: true` or `GGML_VULKAN: true`"),
    ("LLAMA_CUDA_F16", "remove it: the precision is chosen at run time"),
    ("GGML_CUDA_F16", "remove it: the precision is chosen at run time"),
    ("GGML_CUDA_FA_ALL_QUANTS", "write `GGML_CUDA_FA_QUANTS: all`"),
    ("GGML_CUDA_DMMV_X", "remove it: these kernels are gone"),
    ("GGML_CUDA_MMV_Y", "remove it: these kernels are gone"),
    ("LLAMA_CUDA_FORCE_DMMV", "remove it: these kernels are gone"),
    ("GGML_CUDA_PEER_MAX_BATCH_SIZE", "remove it: the size is chosen at run time"),
    ("LLAMA_SERVER_VERBOSE", "remove it: verbosity is a flag of the server"),
    ("LLAMA_FLASH_ATTN", "remove it: flash attention is a setting of the server (`flash_attn`)"),
];

const UNIFIED_MEMORY: &str =
    "set `GGML_CUDA_ENABLE_UNIFIED_MEMORY: \"1\"` in the `env` of the backend instead";

/// Variables of llama.cpp that nobody declares and that work all the same.
const READ_UNDECLARED: [&str; 2] = ["LLAMA_BUILD_NUMBER", "LLAMA_BUILD_COMMIT"];

/// Beginnings of names, the switches that they need (one of), and the backend in words.
const OWNED: [(&str, &[&str], &str); 15] = [
    ("GGML_CUDA_", &["GGML_CUDA", "GGML_HIP", "GGML_MUSA"], "CUDA and HIP"),
    ("CMAKE_CUDA_", &["GGML_CUDA"], "CUDA"),
    ("GGML_HIP_", &["GGML_HIP"], "HIP"),
    ("CMAKE_HIP_", &["GGML_HIP"], "HIP"),
    ("GPU_TARGETS", &["GGML_HIP"], "HIP"),
    ("AMDGPU_TARGETS", &["GGML_HIP"], "HIP"),
    ("GGML_VULKAN_", &["GGML_VULKAN"], "Vulkan"),
    ("GGML_METAL_", &["GGML_METAL"], "Metal"),
    ("GGML_SYCL_", &["GGML_SYCL"], "SYCL"),
    ("GGML_OPENCL_", &["GGML_OPENCL"], "OpenCL"),
    ("GGML_MUSA_", &["GGML_MUSA"], "MUSA"),
    ("GGML_WEBGPU_", &["GGML_WEBGPU"], "WebGPU"),
    ("GGML_BLAS_", &["GGML_BLAS"], "BLAS"),
    ("GGML_RPC_", &["GGML_RPC"], "RPC"),
    ("GGML_OPENMP_", &["GGML_OPENMP"], "OpenMP"),
];

/// Parts of an instruction set that ggml asks for one by one, unless `GGML_NATIVE` is on.
const INSTRUCTIONS: [&str; 15] = [
    "GGML_SSE42",
    "GGML_AVX",
    "GGML_AVX_VNNI",
    "GGML_AVX2",
    "GGML_BMI2",
    "GGML_AVX512",
    "GGML_AVX512_VBMI",
    "GGML_AVX512_VNNI",
    "GGML_AVX512_BF16",
    "GGML_FMA",
    "GGML_F16C",
    "GGML_AMX_TILE",
    "GGML_AMX_INT8",
    "GGML_AMX_BF16",
    "GGML_CPU_ARM_ARCH",
];

/// The name of a variable whose type may have been given with it, as in `GGML_CUDA:BOOL`.
pub(crate) fn bare_name(name: &str) -> &str {
    name.split_once(':').map_or(name, |(name, _)| name)
}

/// What to write instead, from the tree or the table; empty when it is not known.
fn instead(name: &str, tree: &Tree) -> String {
    let by_table = || REPLACED.iter().find(|(old, _)| *old == name).map(|(_, new)| (*new).to_owned());
    let by_tree = || Some(format!("write `{}`", tree.deprecated(name)??));
    let by_prefix = || {
        let new = format!("GGML_{}", name.strip_prefix("LLAMA_")?);
        tree.declares(&new).then(|| format!("write `{new}`"))
    };
    let by_likeness = || Some(format!("did you mean `{}`?", tree.nearest(name)?));
    by_table().or_else(by_tree).or_else(by_prefix).or_else(by_likeness).unwrap_or_default()
}

/// The flags that are dead for sure, told from the tree alone, before anything is configured.
pub(crate) fn before_configure(author: &BTreeMap<String, String>, tree: &Tree) -> Vec<DeadFlag> {
    let mut dead = Vec::new();
    for name in author.keys().map(|name| bare_name(name)) {
        let is_llamas = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let reason = if tree.declares(name) {
            continue;
        } else if tree.deprecated(name).is_some() {
            Reason::Deprecated
        } else if is_llamas && !tree.mentions(name) {
            Reason::Unknown
        } else {
            continue;
        };
        dead.push(DeadFlag { name: name.to_owned(), reason, instead: instead(name, tree) });
    }
    dead
}

/// The flags that are dead in this configuration.
pub(crate) fn after_configure(
    author: &BTreeMap<String, String>,
    tree: &Tree,
    cache: &CacheTxt,
    log: &ConfigureLog,
    kind: BackendKind,
) -> Vec<DeadFlag> {
    let mut dead = Vec::new();
    for (name, wanted) in author {
        let name = bare_name(name);
        if let Some(reason) = reason_after(name, wanted, cache, log, kind) {
            // Elsewhere the flag is right, so there is nothing to write instead.
            let is_right =
                matches!(reason, Reason::Native | Reason::OtherBackend(_) | Reason::Overruled { .. });
            let instead = if is_right { String::new() } else { instead(name, tree) };
            dead.push(DeadFlag { name: name.to_owned(), reason, instead });
        }
    }
    dead
}

fn reason_after(
    name: &str,
    wanted: &str,
    cache: &CacheTxt,
    log: &ConfigureLog,
    kind: BackendKind,
) -> Option<Reason> {
    let cached = cache.get(name);
    let is_llamas = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if log.deprecated.iter().any(|sentence| first_name(sentence) == Some(name)) {
        return Some(Reason::Deprecated);
    }
    let is_undeclared = cached.is_none_or(crate::cache_txt::Cached::is_undeclared);
    if is_llamas && is_undeclared && !READ_UNDECLARED.contains(&name) {
        return Some(Reason::Unknown);
    }
    if INSTRUCTIONS.contains(&name) && cache.is_on("GGML_NATIVE") {
        return Some(Reason::Native);
    }
    if let Some((_, switches, backend)) = OWNED.iter().find(|(start, _, _)| name.starts_with(start)) {
        let is_there = switches.iter().any(|switch| is_switched_on(switch, cache, kind));
        if !is_there {
            return Some(Reason::OtherBackend(backend));
        }
    }
    if log.unused.iter().any(|unused| unused == name) {
        return Some(Reason::Unread);
    }
    let got = &cached?.value;
    let is_same = match (truth(wanted), truth(got)) {
        (Some(wanted), Some(got)) => wanted == got,
        // A path is made absolute and our own flags come before the author's: what matters is in there.
        _ => got.contains(wanted.trim()),
    };
    (!is_same).then(|| Reason::Overruled { wanted: wanted.to_owned(), got: got.clone() })
}

fn is_switched_on(switch: &str, cache: &CacheTxt, kind: BackendKind) -> bool {
    cache.is_on(switch)
        || match kind {
            BackendKind::Cuda => switch == "GGML_CUDA",
            BackendKind::Rocm => switch == "GGML_HIP",
            BackendKind::Vulkan => switch == "GGML_VULKAN",
            BackendKind::Cpu => false,
        }
}

/// The first word of a sentence that has the form of a variable.
fn first_name(sentence: &str) -> Option<&str> {
    let mut words = sentence.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.find(|word| word.contains('_') && !word.bytes().any(|b| b.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn text(dead: &[DeadFlag]) -> String {
        dead.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    /// What the CMake code of llama.cpp b11434 says of these names.
    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.add(
            "option(GGML_CUDA \"\" OFF)\noption(GGML_HIP \"\" OFF)\noption(GGML_NATIVE \"\" ON)\n\
             option(GGML_VULKAN \"\" OFF)\noption(GGML_AVX512 \"\" OFF)\noption(GGML_CUDA_FA_ALL_QUANTS \"\" OFF)\n\
             set(GGML_CUDA_FA_QUANTS \"x\" CACHE STRING \"\")\noption(LLAMA_TESTS_INSTALL \"\" ON)\n\
             option(GGML_HIP_NO_VMM \"\" ON)\noption(GGML_CUDA_GRAPHS \"\" ON)\n\
             llama_option_depr(FATAL_ERROR LLAMA_CUBLAS GGML_CUDA)\nllama_option_depr(WARNING LLAMA_CUDA GGML_CUDA)\n\
             llama_option_depr(WARNING LLAMA_NATIVE GGML_NATIVE)\nllama_option_depr(WARNING LLAMA_CURL)\n\
             if (DEFINED LLAMA_BUILD_WEBUI)\nif (NOT DEFINED LLAMA_BUILD_NUMBER)\n",
        );
        tree
    }

    #[test]
    fn the_tree_alone_tells_most() {
        let author = flags(&[
            ("CMAKE_TYPO", "1"),
            ("GGML_CUDA:BOOL", "ON"),
            ("GGML_CUAD", "ON"),
            ("GGML_HIPBLAS", "ON"),
            ("GGML_HIP_ROCWMMA_FATTN", "ON"),
            ("GGML_HIP_UMA", "ON"),
            ("LLAMA_AVX512", "ON"),
            ("LLAMA_BUILD_NUMBER", "1"),
            ("LLAMA_BUILD_WEBUI", "OFF"),
            ("LLAMA_CUBLAS", "ON"),
            ("LLAMA_CUDA", "ON"),
            ("LLAMA_CURL", "OFF"),
            ("LLAMA_NATIVE", "ON"),
            ("LLAMA_SERVER_SSL", "ON"),
        ]);
        insta::assert_snapshot!(text(&before_configure(&author, &tree())), @r#"
        cmake flag `GGML_CUAD` does nothing: this version of llama.cpp has no such variable; did you mean `GGML_CUDA`?
        cmake flag `GGML_HIPBLAS` does nothing: this version of llama.cpp has no such variable; write `GGML_HIP: true`
        cmake flag `GGML_HIP_ROCWMMA_FATTN` does nothing: this version of llama.cpp has no such variable; remove it: flash attention on AMD no longer uses rocWMMA
        cmake flag `GGML_HIP_UMA` does nothing: this version of llama.cpp has no such variable; set `GGML_CUDA_ENABLE_UNIFIED_MEMORY: "1"` in the `env` of the backend instead
        cmake flag `LLAMA_AVX512` does nothing: this version of llama.cpp has no such variable; write `GGML_AVX512`
        cmake flag `LLAMA_CUBLAS` is deprecated in this version of llama.cpp; write `GGML_CUDA: true`
        cmake flag `LLAMA_CUDA` is deprecated in this version of llama.cpp; write `GGML_CUDA`
        cmake flag `LLAMA_CURL` is deprecated in this version of llama.cpp; remove it: llamark fetches the models, and HTTPS is now `LLAMA_OPENSSL`
        cmake flag `LLAMA_NATIVE` is deprecated in this version of llama.cpp; write `GGML_NATIVE`
        cmake flag `LLAMA_SERVER_SSL` does nothing: this version of llama.cpp has no such variable; write `LLAMA_OPENSSL`
        "#);
    }

    #[test]
    fn an_older_tree_that_has_the_option_is_believed() {
        let mut older = Tree::default();
        older.add("option(LLAMA_CURL \"\" ON)\noption(GGML_HIP_ROCWMMA_FATTN \"\" OFF)\n");
        let author = flags(&[("LLAMA_CURL", "OFF"), ("GGML_HIP_ROCWMMA_FATTN", "ON")]);
        assert_eq!(before_configure(&author, &older), []);
    }

    /// Made by cmake 4.4.4 from llama.cpp b11434 for the CPU.
    const CACHE: &str = "\
//Flags used by the CXX compiler during all build types.
CMAKE_CXX_FLAGS:STRING=-ffile-prefix-map=/s=. -fno-omit-frame-pointer

//Semicolon-separated list of HIP architectures
CMAKE_HIP_ARCHITECTURES:UNINITIALIZED=gfx1151

//No help, variable specified on the command line.
CMAKE_TYPO:UNINITIALIZED=1

//Value Computed by CMake
CUDAToolkit_ROOT:UNINITIALIZED=/x

//ggml: enable AVX512F
GGML_AVX512:BOOL=ON

//ggml: compile all quants for FlashAttention
GGML_CUDA_FA_ALL_QUANTS:BOOL=ON

//No help, variable specified on the command line.
GGML_HIPBLAS:BOOL=ON

//ggml: optimize the build for the current system
GGML_NATIVE:BOOL=OFF

//No help, variable specified on the command line.
GPU_TARGETS:UNINITIALIZED=gfx1151

//No help, variable specified on the command line.
LLAMA_BUILD_COMMIT:UNINITIALIZED=x

//No help, variable specified on the command line.
LLAMA_BUILD_WEBUI:UNINITIALIZED=OFF

//llama: install tests
LLAMA_TESTS_INSTALL:BOOL=OFF
";

    #[test]
    fn cache_and_log_tell_the_rest() {
        let author = flags(&[
            ("CMAKE_CXX_FLAGS", "-fno-omit-frame-pointer"),
            ("CMAKE_HIP_ARCHITECTURES", "gfx1151"),
            ("CMAKE_TYPO", "1"),
            ("CUDAToolkit_ROOT", "/x"),
            ("GGML_AVX512", "true"),
            ("GGML_CUDA_FA_ALL_QUANTS", "ON"),
            ("GGML_HIPBLAS:BOOL", "ON"),
            ("GGML_NATIVE", "ON"),
            ("GPU_TARGETS", "gfx1151"),
            ("LLAMA_BUILD_COMMIT", "x"),
            ("LLAMA_BUILD_WEBUI", "OFF"),
            ("LLAMA_TESTS_INSTALL", "OFF"),
        ]);
        let log = ConfigureLog {
            unused: vec!["CMAKE_TYPO".to_owned(), "CUDAToolkit_ROOT".to_owned(), "GPU_TARGETS".to_owned()],
            deprecated: vec!["LLAMA_BUILD_WEBUI is deprecated, use LLAMA_BUILD_UI instead".to_owned()],
            ..ConfigureLog::default()
        };
        let cache = CacheTxt::parse(CACHE);
        let dead = after_configure(&author, &tree(), &cache, &log, BackendKind::Cpu);
        insta::assert_snapshot!(text(&dead), @"
        cmake flag `CMAKE_HIP_ARCHITECTURES` does nothing: this build is without HIP
        cmake flag `CMAKE_TYPO` does nothing: nothing reads it in this configuration
        cmake flag `CUDAToolkit_ROOT` does nothing: nothing reads it in this configuration
        cmake flag `GGML_CUDA_FA_ALL_QUANTS` does nothing: this build is without CUDA and HIP
        cmake flag `GGML_HIPBLAS` does nothing: this version of llama.cpp has no such variable; write `GGML_HIP: true`
        cmake flag `GGML_NATIVE` was set to `ON`, but cmake made it `OFF`
        cmake flag `GPU_TARGETS` does nothing: this build is without HIP
        cmake flag `LLAMA_BUILD_WEBUI` is deprecated in this version of llama.cpp; write `LLAMA_BUILD_UI`
        ");
    }

    #[test]
    fn instructions_are_chosen_by_native_or_by_the_author() {
        let cache = |native: &str| {
            CacheTxt::parse(&format!("//x\nGGML_NATIVE:BOOL={native}\n\n//x\nGGML_AVX512:BOOL=ON\n"))
        };
        let author = flags(&[("GGML_AVX512", "ON")]);
        let log = ConfigureLog::default();
        let dead = after_configure(&author, &tree(), &cache("ON"), &log, BackendKind::Cpu);
        assert!(text(&dead).ends_with("also write `GGML_NATIVE: false`"), "{}", text(&dead));
        assert_eq!(after_configure(&author, &tree(), &cache("OFF"), &log, BackendKind::Cpu), []);
    }

    #[test]
    fn flags_of_a_backend_live_with_it() {
        let cache = CacheTxt::parse(
            "//No help, variable specified on the command line.\nGPU_TARGETS:UNINITIALIZED=gfx1151\n\n\
             //ggml: use HIP\nGGML_HIP:BOOL=ON\n\n//x\nGGML_CUDA_GRAPHS:BOOL=OFF\n\n//x\nGGML_HIP_NO_VMM:BOOL=ON\n",
        );
        let author =
            flags(&[("GPU_TARGETS", "gfx1151"), ("GGML_CUDA_GRAPHS", "OFF"), ("GGML_HIP_NO_VMM", "ON")]);
        let log = ConfigureLog::default();
        assert_eq!(after_configure(&author, &tree(), &cache, &log, BackendKind::Rocm), []);
        let vulkan = CacheTxt::parse("//x\nGGML_CUDA_GRAPHS:BOOL=OFF\n");
        let author = flags(&[("GGML_CUDA_GRAPHS", "OFF")]);
        let dead = after_configure(&author, &tree(), &vulkan, &log, BackendKind::Vulkan);
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0].reason, Reason::OtherBackend("CUDA and HIP"));
    }
}
