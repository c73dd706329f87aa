//! Which CMake variables a source tree knows, read from its own `CMakeLists.txt` and `*.cmake` files.
//!
//! llama.cpp renames its options every few months, and cmake is silent about a `GGML_*` variable that nobody
//! reads. So a variable of ours is given only to a tree that declares it, and a variable of the author that the
//! tree never mentions is refused before anything is configured.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use camino::Utf8Path;

/// What the tree's CMake code says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Names declared by `option()` or as cache variables.
    declared: BTreeSet<String>,
    /// Every word that begins as llama.cpp's own variables do.
    mentioned: BTreeSet<String>,
    /// Names that the tree itself calls deprecated, with the new name if there is one.
    deprecated: BTreeMap<String, Option<String>>,
    /// Packages that it looks for.
    packages: BTreeSet<String>,
}

/// Beginnings of llama.cpp's own variables.
pub(crate) const PREFIXES: [&str; 2] = ["GGML_", "LLAMA_"];
/// Folders that hold no CMake code that decides a build of the server.
const SKIPPED: [&str; 9] =
    [".git", "docs", "models", "media", "gguf-py", "node_modules", "conversion", "grammars", "requirements"];
/// Deeper than this there is none either.
const DEPTH: u32 = 6;
/// A file of CMake code is not larger than this.
const LARGEST: u64 = 1 << 20;

impl Tree {
    /// Reads the CMake code under `source`.
    pub(crate) fn read(source: &Utf8Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(source, DEPTH)?;
        Ok(tree)
    }

    fn read_folder(&mut self, folder: &Utf8Path, depth: u32) -> io::Result<()> {
        for entry in fs_err::read_dir(folder.as_std_path())? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if depth > 0 && !SKIPPED.contains(&name) {
                    self.read_folder(&folder.join(name), depth - 1)?;
                }
            } else if (name == "CMakeLists.txt" || name.ends_with(".cmake"))
                && kind.is_file()
                && entry.metadata()?.len() <= LARGEST
            {
                let bytes = fs_err::read(folder.join(name))?;
                self.add(&String::from_utf8_lossy(&bytes));
            }
        }
        Ok(())
    }

    /// Adds the text of one file.
    pub(crate) fn add(&mut self, text: &str) {
        let code: String = text
            .lines()
            .map(|line| line.split_once('#').map_or(line, |(before, _)| before))
            .collect::<Vec<_>>()
            .join("\n");
        for prefix in PREFIXES {
            for (start, _) in code.match_indices(prefix) {
                let word = code[start..].split(|c: char| !is_word(c)).next().unwrap_or_default();
                if !code[..start].ends_with(is_word) && !self.mentioned.contains(word) {
                    self.mentioned.insert(word.to_owned());
                }
            }
        }
        for (command, arguments) in commands(&code) {
            let mut words = arguments.split_whitespace();
            match command {
                "option" | "cmake_dependent_option" => self.declared.extend(words.next().map(str::to_owned)),
                "find_package" => self.packages.extend(words.next().map(str::to_owned)),
                "set" => {
                    let name = words.next();
                    if words.any(|word| word == "CACHE") {
                        self.declared.extend(name.map(str::to_owned));
                    }
                }
                "llama_option_depr" => {
                    if let (Some(_), Some(old)) = (words.next(), words.next()) {
                        self.deprecated.insert(old.to_owned(), words.next().map(str::to_owned));
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether the tree declares this option.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.declared.contains(name)
    }

    /// Whether a name of llama.cpp's own occurs in the tree's CMake code at all.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.mentioned.contains(name) || self.declared.contains(name)
    }

    /// Whether the tree looks for this CMake package.
    pub(crate) fn finds(&self, package: &str) -> bool {
        self.packages.contains(package)
    }

    /// The new name of a variable that the tree calls deprecated; the inner absence: there is none.
    pub(crate) fn deprecated(&self, name: &str) -> Option<Option<&str>> {
        self.deprecated.get(name).map(Option::as_deref)
    }

    /// The declared name most like `name`, if any is like it.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        let distance = |other: &str| strsim::damerau_levenshtein(name, other);
        let nearest = self.declared.iter().min_by_key(|other| distance(other))?;
        (distance(nearest) <= 3).then_some(nearest.as_str())
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Calls of CMake commands: name and what is between the parentheses. Text in quotes may hold a parenthesis, in
/// which case the arguments end early; the names that matter here come first.
fn commands(code: &str) -> impl Iterator<Item = (&str, &str)> {
    code.match_indices('(').filter_map(move |(open, _)| {
        let name = code[..open].trim_end().rsplit(|c: char| !is_word(c)).next()?;
        let after = &code[open + 1..];
        let close = after.find(')').unwrap_or(after.len());
        (!name.is_empty()).then(|| (name, &after[..close]))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From llama.cpp b11434.
    const TEXT: &str = r#"
option(LLAMA_BUILD_TESTS     "llama: build tests"     ${LLAMA_STANDALONE})
set   (GGML_CUDA_FA_QUANTS "q4_0-q4_0;q8_0-q8_0" CACHE STRING
                                            "ggml: FlashAttention K-V type combinations to compile")
if (NOT DEFINED LLAMA_BUILD_NUMBER)
    set(LLAMA_BUILD_NUMBER        ${BUILD_NUMBER})
endif()
# option(GGML_OLD "gone" OFF)
function (llama_option_depr TYPE OLD)
llama_option_depr(WARNING     LLAMA_CUDA                GGML_CUDA)
llama_option_depr(WARNING     LLAMA_CURL)
option(GGML_CUDA                            "ggml: use CUDA"                                  OFF)
find_package(SPIRV-Headers CONFIG REQUIRED)
"#;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.add(TEXT);
        tree
    }

    #[test]
    fn options_and_cache_variables_are_declared_and_others_are_mentioned() {
        let tree = tree();
        assert!(tree.declares("LLAMA_BUILD_TESTS") && tree.declares("GGML_CUDA_FA_QUANTS"));
        assert!(!tree.declares("LLAMA_BUILD_NUMBER") && tree.mentions("LLAMA_BUILD_NUMBER"));
        assert!(!tree.mentions("GGML_OLD"), "only in a comment");
        assert_eq!(tree.deprecated("LLAMA_CUDA"), Some(Some("GGML_CUDA")));
        assert_eq!(tree.deprecated("LLAMA_CURL"), Some(None));
        assert_eq!(tree.deprecated("GGML_CUDA"), None);
        assert!(tree.finds("SPIRV-Headers") && !tree.finds("Vulkan"));
        assert_eq!(tree.nearest("GGML_CUAD"), Some("GGML_CUDA"));
        assert_eq!(tree.nearest("SOMETHING_ELSE"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a-z#\"$(){}ü \n_A-Z]{0,200}") {
            Tree::default().add(&text);
        }
    }
}
