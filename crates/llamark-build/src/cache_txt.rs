//! `CMakeCache.txt`: what cmake made of the variables that it was given.

use std::collections::BTreeMap;

/// One variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cached {
    /// The text above it: the help given where it was declared.
    pub(crate) help: String,
    /// `BOOL`, `STRING`, `UNINITIALIZED`, ...
    pub(crate) kind: String,
    /// Its value.
    pub(crate) value: String,
}

impl Cached {
    /// Whether nobody declared it: it is there only because the command line said so.
    pub(crate) fn is_undeclared(&self) -> bool {
        self.help.starts_with("No help, variable specified on the command line")
    }
}

/// The variables of a `CMakeCache.txt` by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheTxt(BTreeMap<String, Cached>);

impl CacheTxt {
    /// Reads the text. Lines that are neither a comment nor a variable are passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let mut variables = BTreeMap::new();
        let mut help = String::new();
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("//") {
                help.push_str(comment);
            } else if let Some((name, kind, value)) = entry(line) {
                let (kind, value) = (kind.to_owned(), value.to_owned());
                variables.insert(name.to_owned(), Cached { help: std::mem::take(&mut help), kind, value });
            } else {
                help.clear();
            }
        }
        Self(variables)
    }

    /// The variable of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Cached> {
        self.0.get(name)
    }

    /// Whether the variable is true for CMake's `if()`.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|cached| truth(&cached.value) == Some(true))
    }
}

fn entry(line: &str) -> Option<(&str, &str, &str)> {
    if line.starts_with('#') {
        return None;
    }
    // A name with odd characters is written in quotes.
    let (name, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\":")?,
        None => line.split_once(':')?,
    };
    let (kind, value) = rest.split_once('=')?;
    Some((name, kind, value))
}

/// What CMake's `if(<constant>)` makes of a value; absent when it is not a constant. Source:
/// <https://cmake.org/cmake/help/latest/command/if.html>.
pub(crate) fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_uppercase().as_str() {
        "ON" | "YES" | "TRUE" | "Y" | "1" => Some(true),
        "OFF" | "NO" | "FALSE" | "N" | "0" | "IGNORE" | "NOTFOUND" | "" => Some(false),
        other if other.ends_with("-NOTFOUND") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by cmake 4.4.4 from llama.cpp b11434.
    pub(crate) const RECORDED: &str = r#"# This is the CMakeCache file.
# For build in directory: /build

########################
# EXTERNAL cache entries
########################

//ggml: build shared libraries
BUILD_SHARED_LIBS:BOOL=ON

//Choose the type of build, options are: None Debug Release RelWithDebInfo
// MinSizeRel ...
CMAKE_BUILD_TYPE:STRING=Release

//ggml: enable AVX512F
GGML_AVX512:BOOL=ON

//ggml: FlashAttention K-V type combinations to compile, "all"
// or a list such as "q8_0-q8_0;q8_0-q4_0"
GGML_CUDA_FA_QUANTS:STRING=q4_0-q4_0;q8_0-q8_0;f16-f16;bf16-bf16

//No help, variable specified on the command line.
GGML_HIPBLAS:BOOL=ON

//No help, variable specified on the command line.
GGML_TYPO:UNINITIALIZED=1

//No help, variable specified on the command line.
LLAMA_BUILD_NUMBER:UNINITIALIZED=11434
"#;

    #[test]
    fn help_kind_and_value() {
        let cache = CacheTxt::parse(RECORDED);
        assert_eq!(cache.0.len(), 7);
        let quants = cache.get("GGML_CUDA_FA_QUANTS").unwrap();
        assert_eq!(quants.value, "q4_0-q4_0;q8_0-q8_0;f16-f16;bf16-bf16");
        assert_eq!(quants.kind, "STRING");
        assert!(quants.help.contains("\"all\" or a list"));
        assert!(cache.get("GGML_TYPO").unwrap().is_undeclared());
        assert!(cache.get("GGML_HIPBLAS").unwrap().is_undeclared(), "also with a type");
        assert!(!cache.get("GGML_AVX512").unwrap().is_undeclared());
        assert!(cache.is_on("GGML_AVX512") && !cache.is_on("GGML_CUDA_FA_QUANTS") && !cache.is_on("GONE"));
    }

    #[test]
    fn truth_is_cmakes() {
        for (value, expected) in [
            ("on", Some(true)),
            ("1", Some(true)),
            ("", Some(false)),
            ("Off", Some(false)),
            ("Vulkan_LIBRARY-NOTFOUND", Some(false)),
            ("gfx1151", None),
        ] {
            assert_eq!(truth(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_what_is_written_is_found(
            text in "[ -~ü\n]{0,200}", name in "[A-Z_]{1,20}", value in "[ -~]{0,20}"
        ) {
            CacheTxt::parse(&text);
            let cache = CacheTxt::parse(&format!("{text}\n\n{name}:STRING={value}\n"));
            prop_assert_eq!(&cache.get(&name).unwrap().value, &value);
        }
    }
}
