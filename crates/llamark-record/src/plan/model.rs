//! A model of the plan, and its id.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::ModelSource;

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedModel {
    /// Name in case ids and paths: lower-case letters, digits, `.`, `_`, `-`.
    pub id: String,
    /// Name in the report.
    pub name: String,
    /// Quantization as the author writes it; empty: taken from the header of the file.
    pub quant: String,
    /// Multimodal, benchmarked on text alone.
    pub vision: bool,
    /// Note in the report; empty when there is none.
    pub note: String,
    /// Parameters as the author writes them (`30B`); empty: taken from the header.
    pub claimed_parameters: String,
    /// Active parameters as the author writes them (`3B`); empty: taken from the header, or else all of them;
    /// [`NOT_STATED`]: it may or may not be a mixture of experts.
    pub claimed_active_parameters: String,
    /// Size of the file as a document writes it (`~19 GiB`); empty: that of the file.
    pub claimed_file_size: String,
    /// Where it comes from.
    pub source: ModelSource,
}

/// Instead of active parameters: the document says neither how many there are nor that all are.
pub const NOT_STATED: &str = "not stated";

/// The id of a model: its name and quantization in lower case, everything that is no Latin letter, digit, `.` or
/// `_` a `-`.
pub fn model_id(name: &str, quant: &str) -> String {
    let mut id = String::new();
    for c in name.chars().chain(" ".chars()).chain(quant.chars()) {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => id.push(c),
            c @ ('.' | '_') if !id.is_empty() => id.push(c),
            _ if !id.is_empty() && !id.ends_with('-') => id.push('-'),
            _ => {}
        }
    }
    id.truncate(id.trim_end_matches(['-', '.', '_']).len());
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_models() {
        for (name, quant, id) in [
            ("Qwen3-VL 30B-A3B Instruct", "Q4_K_M", "qwen3-vl-30b-a3b-instruct-q4_k_m"),
            ("SmolLM2 1.7B", "", "smollm2-1.7b"),
            ("  Ünï  (test) ", "IQ4_XS", "n-test-iq4_xs"),
            ("Модель", "", ""),
            ("..", "", ""),
        ] {
            assert_eq!(model_id(name, quant), id);
        }
    }
}
