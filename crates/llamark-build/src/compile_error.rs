//! The first error in the output of a compile: of gcc, clang, nvcc, glslc, the linker, ninja or cmake.

use std::fmt;

use llamark_record::plan::BackendKind;

use crate::requirements::install_for;

/// An error of a compiler or of cmake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// File and line, where it said them.
    pub place: Option<String>,
    /// What it said.
    pub message: String,
    /// The lines that came with it: the source line, or the output of the step that failed.
    pub context: Vec<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        for line in &self.context {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

impl Finding {
    fn has(&self, text: &str) -> bool {
        self.message.contains(text) || self.context.iter().any(|line| line.contains(text))
    }

    fn disk_is_full(&self) -> bool {
        self.has("No space left on device")
    }

    fn memory_ran_out(&self) -> bool {
        self.has("Killed signal terminated program") || self.has("died due to signal 9")
    }

    /// Whether it is this machine that the compilation failed at, and not the source.
    pub fn is_of_machine(&self) -> bool {
        self.disk_is_full() || self.memory_ran_out()
    }

    /// What to do about it, for causes that are known.
    pub fn hint(&self) -> Option<String> {
        let has = |text: &str| self.has(text);
        if self.disk_is_full() {
            return Some("the disk is full: free some space and run the same command again".to_owned());
        }
        if self.memory_ran_out() {
            return Some(
                "the system ran out of memory: build with fewer jobs, or close something".to_owned(),
            );
        }
        if has("Unsupported gpu architecture") {
            return Some(
                "this CUDA Toolkit does not know that GPU: set CMAKE_CUDA_ARCHITECTURES, or update the toolkit"
                    .to_owned(),
            );
        }
        if has("unsupported GNU version") {
            return Some(
                "this CUDA Toolkit does not support such a new compiler: set CUDAHOSTCXX to an older one"
                    .to_owned(),
            );
        }
        let kind = if has("CUDA Toolkit not found") || has("CMAKE_CUDA_COMPILER") || has("nvcc: not found") {
            BackendKind::Cuda
        } else if has("HIP root directory") || has("CMAKE_HIP_COMPILER") || has("\"hip\"") || has("hipblas") {
            BackendKind::Rocm
        } else if has("Could NOT find Vulkan")
            || has("SPIRV-Headers")
            || has("spirv/unified1")
            || has("glslc")
        {
            BackendKind::Vulkan
        } else if has("CMAKE_CXX_COMPILER") || has("CMAKE_C_COMPILER") {
            BackendKind::Cpu
        } else {
            return None;
        };
        Some(install_for(kind).sentence())
    }
}

/// Lines that are kept of what comes after the first error.
const CONTEXT: usize = 4;
/// Lines that are kept to be shown when no line looks like an error.
const TAIL: usize = 6;

/// Finds the first error in lines that come one by one.
#[derive(Clone, Debug, Default)]
pub(crate) struct FirstError {
    found: Option<Finding>,
    is_closed: bool,
    failed: Vec<String>,
    is_in_failed: bool,
    tail: Vec<String>,
}

impl FirstError {
    /// Takes the next line.
    pub(crate) fn line(&mut self, line: &str) {
        let is_progress = progress(line).is_some();
        if let Some(found) = &mut self.found {
            // What belongs to an error is indented; the next step or the next error ends it.
            self.is_closed |= is_progress || !line.starts_with(' ') || found.context.len() >= CONTEXT;
            if !self.is_closed {
                found.context.push(line.trim_end().to_owned());
            }
            return;
        }
        if let Some((place, message)) = error_in(line) {
            self.found = Some(Finding { place, message, context: Vec::new() });
            return;
        }
        self.is_in_failed = (self.is_in_failed || line.starts_with("FAILED: ")) && !is_progress;
        if self.is_in_failed && self.failed.len() < TAIL {
            self.failed.push(shortened(line));
        }
        if !line.trim().is_empty() {
            self.tail.push(shortened(line));
            if self.tail.len() > TAIL {
                self.tail.remove(0);
            }
        }
    }

    /// The first error; when no line looked like one, what the step that failed printed, or the last lines.
    pub(crate) fn finding(self) -> Finding {
        if let Some(found) = self.found {
            return found;
        }
        let lines = if self.failed.is_empty() { self.tail } else { self.failed };
        let mut lines = lines.into_iter();
        let message = lines.next().unwrap_or_else(|| "it printed nothing".to_owned());
        Finding { place: None, message, context: lines.collect() }
    }
}

fn shortened(line: &str) -> String {
    const LONGEST: usize = 300;
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line.to_owned(),
    }
}

/// Steps done and steps in all, of a line `[n/m] ...` of ninja.
pub(crate) fn progress(line: &str) -> Option<(u32, u32)> {
    let (done, total) = line.strip_prefix('[')?.split_once(']')?.0.split_once('/')?;
    Some((done.trim().parse().ok()?, total.trim().parse().ok()?))
}

/// Place and message of a line that is an error.
fn error_in(line: &str) -> Option<(Option<String>, String)> {
    let line = line.trim_end();
    // gcc, clang, glslc: `path:line:column: error: text`. nvcc: `path(line): error: text`.
    for mark in [": fatal error: ", ": error: ", ": internal compiler error: "] {
        if let Some((place, text)) = line.split_once(mark) {
            let is_place = place.contains(':') || place.ends_with(')');
            let text = if mark == ": error: " { text.to_owned() } else { format!("{}{text}", &mark[2..]) };
            return Some(if is_place {
                (Some(nvcc_place(place)), text)
            } else {
                (None, format!("{place}{mark}{text}", text = text.trim_start_matches(&mark[2..])))
            });
        }
    }
    // ld: what failed comes before collect2's "ld returned 1 exit status".
    if let Some((place, text)) = line.split_once(": undefined reference to ") {
        let place = place.rsplit_once("ld: ").map_or(place, |(_, place)| place);
        return Some((Some(place.to_owned()), format!("undefined reference to {text}")));
    }
    if let Some((_, text)) = line.split_once("ld: cannot find ") {
        return Some((None, format!("the linker cannot find {text}")));
    }
    let is_error = line.starts_with("nvcc fatal")
        || line.starts_with("nvcc error")
        || line.starts_with("ptxas fatal")
        || line.starts_with("ninja: error: ")
        || line.starts_with("ninja: fatal: ")
        || line.starts_with("cannot compile ")
        || line.starts_with("CMake Error")
        || line.starts_with("LLVM ERROR")
        || line.contains("No space left on device");
    is_error.then(|| (None, line.to_owned()))
}

/// nvcc's `path(line)` in the form of the others.
fn nvcc_place(place: &str) -> String {
    match place.strip_suffix(')').and_then(|place| place.rsplit_once('(')) {
        Some((path, line)) if line.bytes().all(|b| b.is_ascii_digit()) => format!("{path}:{line}"),
        _ => place.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first(log: &str) -> Finding {
        let mut first = FirstError::default();
        log.lines().for_each(|line| first.line(line));
        first.finding()
    }

    #[test]
    fn each_compilers_form() {
        let gcc = "\
[1/2] Building CXX object a.o
FAILED: [code=1] src/a.o 
/usr/bin/c++ -DX -c /s/a.cpp
/s/a.h: In function 'int f()':
/s/a.h:3:1: warning: no return statement in function returning non-void [-Wreturn-type]
/s/a.cpp:12:5: error: 'x' was not declared in this scope
   12 |     x = 1;
      |     ^
/s/a.cpp:13:5: error: second
ninja: build stopped: subcommand failed.
";
        insta::assert_snapshot!(first(gcc), @"
        /s/a.cpp:12:5: 'x' was not declared in this scope
               12 |     x = 1;
                  |     ^
        ");
        for (line, place, message) in [
            (
                "/s/b.cpp:3:10: fatal error: vulkan/vulkan.hpp: No such file or directory",
                Some("/s/b.cpp:3:10"),
                "fatal error: vulkan/vulkan.hpp: No such file or directory",
            ),
            (
                "/s/fattn.cu(77): error: identifier \"foo\" is undefined",
                Some("/s/fattn.cu:77"),
                "identifier \"foo\" is undefined",
            ),
            (
                "nvcc fatal   : Unsupported gpu architecture 'compute_121a'",
                None,
                "nvcc fatal   : Unsupported gpu architecture 'compute_121a'",
            ),
            (
                "/s/mul_mm.comp:7: error: '#extension' : extension not supported: GL_KHR_cooperative_matrix",
                Some("/s/mul_mm.comp:7"),
                "'#extension' : extension not supported: GL_KHR_cooperative_matrix",
            ),
            (
                "/usr/bin/ld: src/libllama.so: undefined reference to `ggml_foo'",
                Some("src/libllama.so"),
                "undefined reference to `ggml_foo'",
            ),
            (
                "/usr/bin/ld: cannot find -lvulkan: No such file or directory",
                None,
                "the linker cannot find -lvulkan: No such file or directory",
            ),
            (
                "c++: fatal error: Killed signal terminated program cc1plus",
                None,
                "c++: fatal error: Killed signal terminated program cc1plus",
            ),
            (
                "collect2: error: ld returned 1 exit status",
                None,
                "collect2: error: ld returned 1 exit status",
            ),
            (
                "ninja: error: unknown target 'llama-server'",
                None,
                "ninja: error: unknown target 'llama-server'",
            ),
            (
                "/tmp/x.s: fatal error: error writing to /tmp/x.s: No space left on device",
                None,
                "/tmp/x.s: fatal error: error writing to /tmp/x.s: No space left on device",
            ),
            (
                "clang++: error: cannot find ROCm device library for gfx9999",
                None,
                "clang++: error: cannot find ROCm device library for gfx9999",
            ),
        ] {
            let finding = first(&format!("[3/9] Building\nFAILED: a.o\ncommand\n{line}\n"));
            assert_eq!((finding.place.as_deref(), finding.message.as_str()), (place, message));
        }
    }

    #[test]
    fn without_a_line_that_is_an_error_the_failed_step_is_shown() {
        let finding =
            first("[1/2] ok\nFAILED: gen.h\npython3 gen.py\nTraceback\nKeyError: 1\n[2/2] other\nmore\n");
        insta::assert_snapshot!(finding, @"
        FAILED: gen.h
            python3 gen.py
            Traceback
            KeyError: 1
        ");
        assert_eq!(first("one\ntwo\n").message, "one");
        assert_eq!(first("").message, "it printed nothing");
    }

    #[test]
    fn ninjas_progress() {
        assert_eq!(progress("[12/218] Building CXX object a.o"), Some((12, 218)));
        for line in ["", "[", "[a/b] x", "[1] x", "x [1/2]", "[1/99999999999]"] {
            assert_eq!(progress(line), None, "{line}");
        }
    }

    #[test]
    fn known_causes_have_a_hint() {
        let hint = |message: &str| {
            Finding { place: None, message: message.to_owned(), context: vec![] }.hint().unwrap_or_default()
        };
        assert!(hint("CUDA Toolkit not found").contains("pacman -S cuda"));
        assert!(hint("Failed to find HIP root directory").contains("rocm"));
        assert!(hint("Could NOT find Vulkan (missing: glslc)").contains("libvulkan-dev"));
        assert!(hint("could not find SPIRV-HeadersConfig.cmake").contains("spirv-headers"));
        assert!(hint("writing: No space left on device").contains("disk is full"));
        assert!(hint("c++: fatal error: Killed signal terminated program cc1plus").contains("memory"));
        assert_eq!(hint("'x' was not declared in this scope"), "");
        let is_of_machine = |message: &str| {
            Finding { place: None, message: message.to_owned(), context: vec![] }.is_of_machine()
        };
        assert!(is_of_machine("writing: No space left on device"));
        assert!(is_of_machine("c++: fatal error: Killed signal terminated program cc1plus"));
        assert!(!is_of_machine("'x' was not declared in this scope"));
    }

    proptest! {
        #[test]
        fn any_log_gives_a_finding(log in "(FAILED: |: error: |\\[1/2\\] |[a-zü:() ]|\n){0,60}") {
            prop_assert!(first(&log).context.len() <= TAIL);
        }
    }
}
