//! Rules of models that are made up: that all dimensions are known, and that there can be such a model.

use llamark_record::plan::{SyntheticArchitecture, SyntheticPreset, SyntheticQuant};

use crate::diagnostic::Problem;
use crate::node::Node;
use crate::synthetic::{REQUIRED, Written};

pub(super) fn check(root: &Node, problems: &mut Vec<Problem>) {
    for model in root.get("models").map(Node::items).unwrap_or_default() {
        let Some(entry) = model.get("source").and_then(|source| source.entry("synthetic")) else { continue };
        let node = &entry.node;
        let missing: Vec<String> = REQUIRED
            .iter()
            .filter(|key| node.get("like").is_none() && node.get(key).is_none())
            .map(|key| format!("`{key}`"))
            .collect();
        if !missing.is_empty() {
            let message = format!("without `like`, a synthetic model needs {}", missing.join(", "));
            problems.push(
                Problem::new("spec/synthetic-incomplete", entry.key_span.clone(), message)
                    .help("give them, or name a model with `like`"),
            );
        } else if let Some((field, message)) = impossible(node) {
            let span = node.get(field).map_or_else(|| entry.key_span.clone(), |node| node.span.clone());
            problems
                .push(Problem::new("spec/synthetic-impossible", span, message).help("change the dimensions"));
        }
    }
}

/// What makes a shape impossible: the key, and why. What has a wrong value is left to the schema.
fn impossible(node: &Node) -> Option<(&'static str, String)> {
    let quant = node.get("quant").and_then(Node::text)?;
    let quant = SyntheticQuant::ALL.into_iter().find(|known| known.name() == quant)?;
    let like = node.get("like").and_then(Node::text);
    let like = like.map(|name| SyntheticPreset::ALL.into_iter().find(|known| known.name() == name));
    let architecture = node.get("architecture").and_then(Node::text);
    let architecture =
        architecture.map(|name| SyntheticArchitecture::ALL.into_iter().find(|known| known.name() == name));
    if like == Some(None) || architecture == Some(None) {
        return None;
    }
    let number =
        |key: &str| node.get(key).map(|node| node.integer().and_then(|number| u32::try_from(number).ok()));
    let wrong = node
        .entries()
        .iter()
        .any(|entry| NUMBERS.contains(&entry.key.as_str()) && number(&entry.key) == Some(None));
    if wrong {
        return None;
    }
    let written = Written {
        like: like.flatten(),
        architecture: architecture.flatten(),
        tied: node.get("tied").and_then(Node::boolean),
        number: &|key| number(key).flatten(),
    };
    let error = written.shape().check(quant).err()?;
    Some((error.field, error.to_string()))
}

const NUMBERS: [&str; 10] = [
    "layers",
    "embedding",
    "heads",
    "kv_heads",
    "head_length",
    "feed_forward",
    "vocabulary",
    "context",
    "experts",
    "experts_used",
];
