//! What cmake prints while it configures: what it included, what it warns of, where it stopped.

use crate::compile_error::Finding;

/// The configure log, as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigureLog {
    /// `CPU`, `Vulkan`, ...: of the lines "Including X backend".
    pub(crate) backends: Vec<String>,
    /// Lines that tell what the binaries will be: backends, feature probes, versions.
    pub(crate) facts: Vec<String>,
    /// Variables of the command line that nothing read.
    pub(crate) unused: Vec<String>,
    /// Sentences of warnings that speak of something deprecated.
    pub(crate) deprecated: Vec<String>,
    /// The first error.
    pub(crate) error: Option<Finding>,
}

const UNUSED: &str = "Manually-specified variables were not used by the project:";

/// Beginnings of lines that are facts, after the `-- `.
const FACTS: [&str; 16] = [
    "Including ",
    "Adding CPU backend variant",
    "The C compiler identification",
    "The CXX compiler identification",
    "The CUDA compiler identification",
    "The HIP compiler identification",
    "Found OpenMP:",
    "Found Vulkan:",
    "Found CUDAToolkit:",
    "Found BLAS:",
    "Found NCCL",
    "Could NOT find",
    "Using CMAKE_CUDA_ARCHITECTURES",
    "Using CMAKE_HIP_ARCHITECTURES",
    "HIP and hipBLAS found",
    "GGML_SYSTEM_ARCH:",
];

impl ConfigureLog {
    /// Reads the log.
    pub(crate) fn parse(text: &str) -> Self {
        let mut log = Self::default();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let rest = lines.get(at + 1..).unwrap_or_default();
            if let Some(status) = line.strip_prefix("-- ") {
                log.status(status.trim_end());
            } else if line.trim() == UNUSED {
                let names = rest.iter().skip_while(|line| line.is_empty());
                let names = names.take_while(|line| line.starts_with("    "));
                log.unused.extend(names.map(|line| line.trim().to_owned()));
            } else if line.starts_with("CMake Warning") || line.starts_with("CMake Deprecation Warning") {
                let sentences = paragraphs(rest);
                log.deprecated.extend(sentences.into_iter().filter(|one| one.contains("deprecated")));
            } else if line.starts_with("CMake Error") && log.error.is_none() {
                log.error = Some(error_at(line, rest));
            }
        }
        log
    }

    fn status(&mut self, status: &str) {
        let backend = status.strip_prefix("Including ").and_then(|rest| rest.strip_suffix(" backend"));
        self.backends.extend(backend.map(str::to_owned));
        if FACTS.iter().any(|start| status.starts_with(start)) || status.ends_with("supported by glslc") {
            self.facts.push(status.to_owned());
        }
    }
}

/// The indented text below a warning or an error, its wrapped lines joined, up to the call stack.
fn paragraphs(lines: &[&str]) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in lines {
        if line.is_empty() {
            is_open = false;
        } else if !line.starts_with("  ") {
            break;
        } else if let (true, Some(last)) = (is_open, paragraphs.last_mut()) {
            last.push(' ');
            last.push_str(line.trim());
        } else {
            is_open = true;
            paragraphs.push(line.trim().to_owned());
        }
    }
    paragraphs
}

/// `CMake Error at FILE:LINE (command):`, or `CMake Error: text`.
fn error_at(line: &str, rest: &[&str]) -> Finding {
    let place = line.strip_prefix("CMake Error at ").map(|place| {
        let place = place.split(" (").next().unwrap_or(place);
        place.trim_end_matches(':').to_owned()
    });
    let head = line.strip_prefix("CMake Error: ").unwrap_or_default();
    let mut text = paragraphs(rest);
    if !head.is_empty() {
        text.insert(0, head.to_owned());
    }
    let message = if text.is_empty() { line.to_owned() } else { text.join(" ") };
    Finding { place, message, context: Vec::new() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by cmake 4.4.4 from llama.cpp b11434, shortened.
    const RECORDED: &str = "\
-- The C compiler identification is GNU 12.2.0
-- llama.cpp version: 0.6.0-dev
fatal: not a git repository (or any of the parent directories): .git
CMake Warning at CMakeLists.txt:181 (message):
  LLAMA_CURL is deprecated and will be ignored
Call Stack (most recent call first):
  CMakeLists.txt:195 (llama_option_depr)


CMake Warning at ggml/cmake/common.cmake:60 (message):
  GGML_CUDA_FA_ALL_QUANTS is deprecated, use GGML_CUDA_FA_QUANTS=all
  instead
Call Stack (most recent call first):
  ggml/src/ggml-cuda/CMakeLists.txt:124 (x)

-- Found OpenMP: TRUE (found version \"4.5\")
-- Including CPU backend
-- x86 detected
-- Adding CPU backend variant ggml-cpu: -march=native 
-- GL_KHR_cooperative_matrix not supported by glslc
-- GL_EXT_integer_dot_product supported by glslc
-- Including Vulkan backend
CMake Warning (deprecated) at tools/ui/CMakeLists.txt:9 (message):
  LLAMA_BUILD_WEBUI is deprecated, use LLAMA_BUILD_UI instead
This warning is for project developers.  Use -Wno-author or -Wno-deprecated
to suppress it.

-- Generating done (0.1s)
CMake Warning (unused-cli):
  Manually-specified variables were not used by the project:

    CMAKE_TYPO
    CUDAToolkit_ROOT
    GPU_TARGETS


-- Build files have been written to: /build
";

    #[test]
    fn backends_facts_unused_and_deprecated() {
        let log = ConfigureLog::parse(RECORDED);
        assert_eq!(log.backends, ["CPU", "Vulkan"]);
        assert_eq!(log.unused, ["CMAKE_TYPO", "CUDAToolkit_ROOT", "GPU_TARGETS"]);
        assert_eq!(
            log.deprecated,
            [
                "LLAMA_CURL is deprecated and will be ignored",
                "GGML_CUDA_FA_ALL_QUANTS is deprecated, use GGML_CUDA_FA_QUANTS=all instead",
                "LLAMA_BUILD_WEBUI is deprecated, use LLAMA_BUILD_UI instead",
            ]
        );
        assert_eq!(log.error, None);
        insta::assert_snapshot!(log.facts.join("\n"), @r#"
        The C compiler identification is GNU 12.2.0
        Found OpenMP: TRUE (found version "4.5")
        Including CPU backend
        Adding CPU backend variant ggml-cpu: -march=native
        GL_KHR_cooperative_matrix not supported by glslc
        GL_EXT_integer_dot_product supported by glslc
        Including Vulkan backend
        "#);
    }

    #[test]
    fn the_first_error_with_its_place() {
        for (text, place, message) in [
            (
                "-- x\nCMake Error at ggml/src/ggml-cuda/CMakeLists.txt:282 (message):\n  CUDA Toolkit not found\n\n\n-- y\nCMake Error at b:1 (x):\n  second\n",
                Some("ggml/src/ggml-cuda/CMakeLists.txt:282"),
                "CUDA Toolkit not found",
            ),
            (
                "CMake Error: CMake was unable to find Ninja.  CMAKE_MAKE_PROGRAM is not set.\n",
                None,
                "CMake was unable to find Ninja.  CMAKE_MAKE_PROGRAM is not set.",
            ),
            (
                "CMake Error at ggml/src/ggml-vulkan/CMakeLists.txt:14 (find_package):\n  By not providing \"FindX.cmake\" this\n  asked CMake.\n\n  Could not find it.\n",
                Some("ggml/src/ggml-vulkan/CMakeLists.txt:14"),
                "By not providing \"FindX.cmake\" this asked CMake. Could not find it.",
            ),
        ] {
            let error = ConfigureLog::parse(text).error.unwrap();
            assert_eq!((error.place.as_deref(), error.message.as_str()), (place, message));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(CMake (Error|Warning)( at|:)|-- | {2,4}|[a-zü:(]|\n){0,60}") {
            ConfigureLog::parse(&text);
        }
    }
}
