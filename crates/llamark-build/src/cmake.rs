//! The flags of cmake: those that make a build hermetic, those of the kind of backend, and the author's.

use std::collections::BTreeMap;

use camino::Utf8Path;
use llamark_record::plan::{BackendKind, Engine};

use crate::cache_txt::truth;
use crate::dead_flags::bare_name;
use crate::tree::Tree;

/// What is compiled.
pub(crate) const TARGETS: [&str; 2] = ["llama-server", "llama-bench"];

/// In the value of a variable, stands for the folder of the source tree: where a user keeps it is not an input.
const SOURCE: &str = "{source}";
/// Likewise, for the folder in which it is built.
const BUILD: &str = "{build}";

/// The switch that a kind of backend needs.
pub(crate) fn preset(kind: BackendKind) -> Option<&'static str> {
    match kind {
        BackendKind::Cpu => None,
        BackendKind::Vulkan => Some("GGML_VULKAN"),
        BackendKind::Rocm => Some("GGML_HIP"),
        BackendKind::Cuda => Some("GGML_CUDA"),
    }
}

/// The kind's name in cmake's "Including X backend".
pub(crate) fn backend_name(kind: BackendKind) -> &'static str {
    match kind {
        BackendKind::Cpu => "CPU",
        BackendKind::Vulkan => "Vulkan",
        BackendKind::Rocm => "HIP",
        BackendKind::Cuda => "CUDA",
    }
}

/// Options that are set when the tree declares them, so that no flag of ours is dead in any version.
///
/// What is not needed is left out (tests, examples, the web page and its download from the network at build
/// time, HTTPS, curl); what would let the machine decide is decided (ccache, the instruction set: with
/// `SOURCE_DATE_EPOCH` set, ggml quietly builds for a processor without AVX).
const DECLARED: [(&str, &str); 13] = [
    ("GGML_CCACHE", "OFF"),
    ("GGML_NATIVE", "ON"),
    ("GGML_OPENMP_FETCH", "OFF"),
    ("LLAMA_BUILD_APP", "OFF"),
    ("LLAMA_BUILD_EXAMPLES", "OFF"),
    ("LLAMA_BUILD_TESTS", "OFF"),
    ("LLAMA_BUILD_UI", "OFF"),
    ("LLAMA_BUILD_WEBUI", "OFF"),
    ("LLAMA_CURL", "OFF"),
    ("LLAMA_OPENSSL", "OFF"),
    ("LLAMA_SERVER_SSL", "OFF"),
    ("LLAMA_USE_PREBUILT_UI", "OFF"),
    ("LLAMA_USE_SYSTEM_GGML", "OFF"),
];

/// Every variable that is set, by its bare name. Folders are written `{source}` and `{build}`.
pub(crate) fn variables(
    kind: BackendKind,
    engine: &Engine,
    tree: &Tree,
    author: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = DECLARED
        .iter()
        .filter(|(name, _)| tree.declares(name))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut set = |name: &str, value: &str| {
        variables.insert(name.to_owned(), value.to_owned());
    };
    set("CMAKE_BUILD_TYPE", "Release");
    // The binaries find their libraries beside them, wherever the folder is moved.
    set("CMAKE_BUILD_RPATH_USE_ORIGIN", "ON");
    set("CMAKE_EXPORT_COMPILE_COMMANDS", "ON");
    // llama.cpp has these without declaring them.
    if tree.mentions("LLAMA_BUILD_NUMBER") {
        set("LLAMA_BUILD_NUMBER", &engine.build_number.to_string());
    }
    if tree.mentions("LLAMA_BUILD_COMMIT") {
        set("LLAMA_BUILD_COMMIT", &engine.commit);
    }
    if let Some(switch) = preset(kind) {
        set(switch, "ON");
    }
    let is_on = |name: &str| {
        let given = author.iter().find(|(key, _)| bare_name(key) == name);
        given.is_some_and(|(_, value)| truth(value) == Some(true))
    };
    if is_on("GGML_BACKEND_DL") && tree.declares("GGML_NATIVE") {
        // ggml refuses the two together.
        set("GGML_NATIVE", "OFF");
    }
    for (name, value) in author {
        let (bare, kind) =
            name.split_once(':').map_or((name.as_str(), None), |(bare, kind)| (bare, Some(kind)));
        variables.remove(bare);
        let key = kind.map_or_else(|| bare.to_owned(), |kind| format!("{bare}:{kind}"));
        variables.insert(key, value.clone());
    }
    // Paths of the source tree are in the text of assertions; without this, two folders give two binaries.
    for name in ["CMAKE_C_FLAGS", "CMAKE_CXX_FLAGS"] {
        let ours = format!("-ffile-prefix-map={SOURCE}=. -ffile-prefix-map={BUILD}=build");
        let authors = variables.remove(name).or_else(|| variables.remove(&format!("{name}:STRING")));
        let value = authors.map_or_else(|| ours.clone(), |authors| format!("{ours} {authors}"));
        variables.insert(name.to_owned(), value);
    }
    variables
}

/// Whether the build is for the very processor of this machine.
pub(crate) fn is_native(variables: &BTreeMap<String, String>) -> bool {
    let given = variables.iter().find(|(name, _)| bare_name(name) == "GGML_NATIVE");
    given.is_some_and(|(_, value)| truth(value) == Some(true))
}

/// The value of a variable of the author.
pub(crate) fn given<'a>(author: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    author.iter().find(|(key, _)| bare_name(key) == name).map(|(_, value)| value.as_str())
}

/// Whether the author names the GPU architectures.
pub(crate) fn names_architectures(author: &BTreeMap<String, String>) -> bool {
    ["CMAKE_CUDA_ARCHITECTURES", "CMAKE_HIP_ARCHITECTURES", "GPU_TARGETS", "AMDGPU_TARGETS"]
        .iter()
        .any(|name| given(author, name).is_some_and(|value| value != "native"))
}

/// Whether the author tells cmake where the SDK is, so that llamark must not decide that it is missing.
pub(crate) fn names_places(author: &BTreeMap<String, String>) -> bool {
    const PLACES: [&str; 10] = [
        "CMAKE_PREFIX_PATH",
        "CMAKE_TOOLCHAIN_FILE",
        "CMAKE_C_COMPILER",
        "CMAKE_CXX_COMPILER",
        "CMAKE_CUDA_COMPILER",
        "CMAKE_HIP_COMPILER",
        "CUDAToolkit_",
        "Vulkan_",
        "SPIRV",
        "hip",
    ];
    author.keys().any(|name| PLACES.iter().any(|place| name.starts_with(place)))
}

/// Arguments of cmake for the configure step.
pub(crate) fn configure_args(
    source: &Utf8Path,
    build: &Utf8Path,
    ninja: &Utf8Path,
    variables: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut args = vec![
        "-S".to_owned(),
        source.to_string(),
        "-B".to_owned(),
        build.to_string(),
        "-G".to_owned(),
        "Ninja".to_owned(),
        format!("-DCMAKE_MAKE_PROGRAM={ninja}"),
    ];
    args.extend(variables.iter().map(|(name, value)| {
        let value = value.replace(SOURCE, source.as_str()).replace(BUILD, build.as_str());
        format!("-D{name}={value}")
    }));
    args
}

#[cfg(test)]
mod tests {
    use llamark_record::plan::EngineSource;

    use super::*;

    fn engine() -> Engine {
        Engine {
            source: EngineSource::Path { path: "/s".to_owned() },
            build_number: 11434,
            commit: "abc".to_owned(),
        }
    }

    fn tree(options: &[&str], rest: &str) -> Tree {
        let mut tree = Tree::default();
        options.iter().for_each(|name| tree.add(&format!("option({name} \"\" ON)\n")));
        tree.add(rest);
        tree
    }

    fn author(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn b11434_for_vulkan() {
        let options = [
            "GGML_CCACHE",
            "GGML_NATIVE",
            "GGML_OPENMP_FETCH",
            "LLAMA_BUILD_APP",
            "LLAMA_BUILD_EXAMPLES",
            "LLAMA_BUILD_TESTS",
            "LLAMA_BUILD_UI",
            "LLAMA_OPENSSL",
            "LLAMA_USE_PREBUILT_UI",
            "LLAMA_USE_SYSTEM_GGML",
            "GGML_VULKAN",
        ];
        let tree =
            tree(&options, "if (NOT DEFINED LLAMA_BUILD_NUMBER)\nif (NOT DEFINED LLAMA_BUILD_COMMIT)\n");
        let variables =
            variables(BackendKind::Vulkan, &engine(), &tree, &author(&[("GGML_AVX512:BOOL", "ON")]));
        let args = configure_args("/s".into(), "/b".into(), "/n".into(), &variables);
        insta::assert_snapshot!(args.join("\n"), @"
        -S
        /s
        -B
        /b
        -G
        Ninja
        -DCMAKE_MAKE_PROGRAM=/n
        -DCMAKE_BUILD_RPATH_USE_ORIGIN=ON
        -DCMAKE_BUILD_TYPE=Release
        -DCMAKE_CXX_FLAGS=-ffile-prefix-map=/s=. -ffile-prefix-map=/b=build
        -DCMAKE_C_FLAGS=-ffile-prefix-map=/s=. -ffile-prefix-map=/b=build
        -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
        -DGGML_AVX512:BOOL=ON
        -DGGML_CCACHE=OFF
        -DGGML_NATIVE=ON
        -DGGML_OPENMP_FETCH=OFF
        -DGGML_VULKAN=ON
        -DLLAMA_BUILD_APP=OFF
        -DLLAMA_BUILD_COMMIT=abc
        -DLLAMA_BUILD_EXAMPLES=OFF
        -DLLAMA_BUILD_NUMBER=11434
        -DLLAMA_BUILD_TESTS=OFF
        -DLLAMA_BUILD_UI=OFF
        -DLLAMA_OPENSSL=OFF
        -DLLAMA_USE_PREBUILT_UI=OFF
        -DLLAMA_USE_SYSTEM_GGML=OFF
        ");
        assert!(is_native(&variables));
    }

    #[test]
    fn an_older_tree_gets_its_own_options_only() {
        let tree = tree(&["LLAMA_CURL", "GGML_NATIVE"], "");
        let variables = variables(BackendKind::Cpu, &engine(), &tree, &BTreeMap::new());
        let names: Vec<_> = variables.keys().filter(|name| !name.starts_with("CMAKE_")).collect();
        assert_eq!(names, ["GGML_NATIVE", "LLAMA_CURL"]);
    }

    #[test]
    fn the_author_has_the_last_word() {
        let tree = tree(&["GGML_NATIVE", "LLAMA_OPENSSL"], "");
        let author = author(&[
            ("CMAKE_BUILD_TYPE", "RelWithDebInfo"),
            ("CMAKE_CXX_FLAGS", "-fno-omit-frame-pointer"),
            ("GGML_BACKEND_DL", "ON"),
            ("LLAMA_OPENSSL:BOOL", "ON"),
        ]);
        let variables = variables(BackendKind::Cpu, &engine(), &tree, &author);
        assert_eq!(variables["CMAKE_BUILD_TYPE"], "RelWithDebInfo");
        assert!(variables["CMAKE_CXX_FLAGS"].ends_with(" -fno-omit-frame-pointer"));
        assert_eq!(variables["LLAMA_OPENSSL:BOOL"], "ON");
        assert!(!variables.contains_key("LLAMA_OPENSSL"));
        assert!(!is_native(&variables));
    }

    #[test]
    fn places_and_architectures_of_the_author_are_seen() {
        assert!(names_places(&author(&[("Vulkan_INCLUDE_DIR", "/x")])));
        assert!(!names_places(&author(&[("GGML_VULKAN", "ON")])));
        assert!(names_architectures(&author(&[("GPU_TARGETS", "gfx1151")])));
        assert!(!names_architectures(&author(&[("CMAKE_CUDA_ARCHITECTURES", "native")])));
    }
}
