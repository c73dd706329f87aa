//! Facts of the machine, flat and by name, so that two machines can be compared key by key.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;

/// `format` of an [`Environment`] as written by this version.
pub const ENVIRONMENT_FORMAT: &str = "llamark/environment/v1";

/// What was found about the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// [`ENVIRONMENT_FORMAT`].
    pub format: String,
    /// Facts by dotted name: `cpu.model`, `kernel.release`, `gpu.0.name`, `env.OMP_NUM_THREADS`, ...
    pub facts: BTreeMap<String, Fact>,
}

/// A fact, or why it could not be read. Never an invented value: what cannot be read is not 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// The value, as text; absent when it could not be read.
    pub value: Option<String>,
    /// Where it was read.
    pub source: String,
    /// Why there is no value; absent when there is one.
    pub error: Option<String>,
}

/// What a difference in a field means for a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldClass {
    /// Must match, or the two are not the same measurement.
    Identity,
    /// May differ: it is what a comparison is about.
    Treatment,
    /// Recorded, and expected to change from moment to moment.
    Nuisance,
}

/// Facts that make this machine this machine: a set may be resumed only while they stay as they are.
const FINGERPRINT: [&str; 6] =
    ["cpu.model", "cpu.logical", "memory.total_bytes", "kernel.release", "os.name", "machine.architecture"];

impl Environment {
    /// The value of a fact, if there is one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.facts.get(name)?.value.as_deref()
    }

    /// Digest of the facts that make this machine this machine: processor, memory, kernel, and every GPU with
    /// its driver.
    pub fn fingerprint(&self) -> Sha256 {
        let mut text = String::new();
        for (name, fact) in &self.facts {
            let is_gpu = name.starts_with("gpu.") && (name.ends_with(".name") || name.ends_with(".driver"));
            if is_gpu || FINGERPRINT.contains(&name.as_str()) {
                text.push_str(name);
                text.push('=');
                text.push_str(fact.value.as_deref().unwrap_or("?"));
                text.push('\n');
            }
        }
        Sha256::of_bytes(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(facts: &[(&str, &str)]) -> Environment {
        let facts = facts
            .iter()
            .map(|(name, value)| {
                let fact = Fact { value: Some((*value).to_owned()), source: "test".to_owned(), error: None };
                ((*name).to_owned(), fact)
            })
            .collect();
        Environment { format: ENVIRONMENT_FORMAT.to_owned(), facts }
    }

    #[test]
    fn the_fingerprint_sees_hardware_and_not_the_moment() {
        let base = environment(&[("cpu.model", "A"), ("memory.available_bytes", "1")]);
        let later = environment(&[("cpu.model", "A"), ("memory.available_bytes", "2")]);
        let other = environment(&[("cpu.model", "B"), ("memory.available_bytes", "1")]);
        let gpu = environment(&[("cpu.model", "A"), ("gpu.0.name", "X"), ("memory.available_bytes", "1")]);
        assert_eq!(base.fingerprint(), later.fingerprint());
        assert_ne!(base.fingerprint(), other.fingerprint());
        assert_ne!(base.fingerprint(), gpu.fingerprint());
    }
}
