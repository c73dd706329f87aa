//! Rules of `tool: llama-bench`: it knows neither texts, nor streams, nor a warm-up until it is warm.

use crate::diagnostic::Problem;
use crate::node::{Entry, Node};

pub(super) fn check(root: &Node, problems: &mut Vec<Problem>) {
    let Some(tool) = asked(root) else { return };
    let mut refuse = |node: &Node, message: String, help: &str| {
        let problem = Problem::new("spec/llama-bench", node.span.clone(), message);
        problems.push(problem.related(tool.span.clone(), "llama-bench measures here").help(help));
    };
    for entry in used_prompts(root) {
        if entry.node.get("tokens").is_none() && !entry.node.entries().is_empty() {
            let message =
                format!("llama-bench takes a number of tokens, but the prompt `{}` is a text", entry.key);
            refuse(&entry.node, message, "give the number, as in `{ tokens: 512 }`");
        }
    }
    let protocol = root.get("protocol");
    if let Some(node) = protocol.and_then(|protocol| protocol.get("concurrency"))
        && super::numbers(Some(node)).iter().any(|(streams, _)| *streams > 1)
    {
        let message = "llama-bench has no concurrent streams".to_owned();
        refuse(node, message, "leave out `concurrency`, or measure it in a separate experiment");
    }
    if let Some(node) = protocol.and_then(|protocol| protocol.get("warmup"))
        && node.text().is_some()
    {
        let message = "llama-bench warms up with a fixed number of runs".to_owned();
        refuse(node, message, "write a number");
    }
}

/// The first place that asks for llama-bench.
fn asked(root: &Node) -> Option<&Node> {
    let of = |key: &str| root.get(key).map(Node::entries).unwrap_or_default();
    let mut tools = of("backends").iter().chain(of("ab")).filter_map(|entry| entry.node.get("tool"));
    tools.find(|tool| tool.text() == Some("llama-bench"))
}

fn used_prompts(root: &Node) -> impl Iterator<Item = &Entry> {
    let chosen = super::texts(root.get("protocol").and_then(|protocol| protocol.get("prompt")));
    let prompts = root.get("prompts").map(Node::entries).unwrap_or_default().iter();
    prompts.filter(move |entry| chosen.is_empty() || chosen.iter().any(|(name, _)| *name == entry.key))
}
