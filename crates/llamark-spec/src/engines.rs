//! The list of engines of `llamark bisect --engines`: a history that is not a git repository, from good to bad. YAML
//! or JSON.

use std::collections::HashMap;
use std::sync::Arc;

use llamark_record::plan::Engine;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::diagnostic::{Diagnostics, Problem};
use crate::expand;
use crate::experiment;
use crate::node::{self, Node};
use crate::parse::{is_newer_format, typed};
use crate::semantic;
use crate::source::Source;
use crate::text::Line;
use crate::validate::{Format, validate};

/// `schema:` of a list of engines that this version reads.
pub const SCHEMA: &str = "llamark/engines/v1";
/// What stands before the version in `schema:`.
const SCHEMA_FAMILY: &str = "llamark/engines/v";

/// What the file must be.
static ENGINES: Format = Format::new("a list of engines", SCHEMA_FAMILY, crate::schema::engines_schema);

/// Engines in their order: `llamark bisect --engines FILE`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "llamark list of engines")]
pub(crate) struct EnginesFile {
    /// Format of this file: `llamark/engines/v1`.
    #[schemars(extend("const" = SCHEMA))]
    #[expect(dead_code, reason = "the validator has looked at it")]
    schema: String,
    /// The engines, the oldest first: the first is good, the last is bad.
    #[schemars(length(min = 2))]
    engines: Vec<LabelledEngine>,
}

/// An engine with a name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LabelledEngine {
    /// What it is called in the output.
    label: Line,
    /// The engine, as in an experiment. Paths are relative to this file.
    engine: experiment::Engine,
}

/// Reads a list of engines: each with its label, in their order.
///
/// # Errors
/// Every problem of the text, each with its place.
pub fn parse_engines(source: &Source) -> Result<Vec<(String, Engine)>, Diagnostics> {
    let (root, mut problems) = node::build(source.text());
    let fail = |problems| Err(Diagnostics::new(source.clone(), problems));
    let Some(root) = root else {
        if problems.iter().any(|problem| problem.code() == "spec/empty") {
            problems = vec![Problem::new("spec/empty", 0..0, "the list of engines is empty")];
        }
        return fail(problems);
    };
    let found = validate(&ENGINES, source.text(), &root);
    if is_newer_format(&root, SCHEMA_FAMILY) {
        // Whatever else seems wrong may be right in that format.
        return fail(found.into_iter().filter(|problem| problem.code() == "spec/schema-version").collect());
    }
    problems.extend(found);
    let items = root.get("engines").map(Node::items).unwrap_or_default();
    for engine in items.iter().filter_map(|item| item.get("engine")) {
        semantic::sources::check_engine(engine, &mut problems);
    }
    check_labels(items, &mut problems);
    if !problems.is_empty() {
        return fail(problems);
    }
    match typed::<EnginesFile>(source) {
        Ok(EnginesFile { engines, .. }) => Ok(engines
            .into_iter()
            .map(|LabelledEngine { label, engine }| (label.as_str().to_owned(), expand::engine(&engine)))
            .collect()),
        Err(problem) => fail(vec![*problem]),
    }
}

/// A label names one engine.
fn check_labels(items: &[Arc<Node>], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<&str, &Node> = HashMap::new();
    for node in items.iter().filter_map(|item| item.get("label")) {
        let Some(label) = node.text() else { continue };
        if let Some(first) = seen.insert(label, node) {
            let message = format!("two engines are called `{label}`");
            let problem = Problem::new("spec/repeated-item", node.span.clone(), message).label("again here");
            problems.push(problem.related(first.span.clone(), "first here").help("rename one of them"));
        }
    }
}

#[cfg(test)]
mod tests {
    use llamark_record::plan::EngineSource;

    use super::*;
    use crate::Style;

    fn parse(text: &str) -> Result<Vec<(String, Engine)>, Diagnostics> {
        parse_engines(&Source::new("engines.yaml", text.to_owned())?)
    }

    #[test]
    fn engines_are_read_in_their_order() {
        let text = "schema: llamark/engines/v1\nengines:\n\
                    - { label: old, engine: { source: { prebuilt: b1 } } }\n\
                    - { label: new, engine: { source: { git: https://h/x, rev: b11434 } } }\n";
        let found = parse(text).unwrap();
        assert_eq!(found.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>(), ["old", "new"]);
        assert_eq!(found[0].1.source, EngineSource::Prebuilt { path: "b1".to_owned() });
        assert_eq!(found[1].1.build_number, 11434);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "schema: llamark/engines/v1\nengines:\n\
                    - { label: a, engine: { source: { prebuild: b1 } } }\n\
                    - { label: a, engin: { source: { prebuilt: b1 } } }\n";
        let error = parse(text).unwrap_err().render(Style::Plain);
        for part in
            ["engines.yaml:3", "engines.yaml:4", "did you mean `engine`?", "two engines are called `a`"]
        {
            assert!(error.contains(part), "{part} in {error}");
        }
        let one =
            "schema: llamark/engines/v1\nengines: [{ label: a, engine: { source: { prebuilt: b } } }]\n";
        assert!(parse(one).is_err());
        assert!(parse("").unwrap_err().render(Style::Plain).contains("empty"));
        let newer = "schema: llamark/engines/v2\nengines: 1\n";
        assert!(parse(newer).unwrap_err().render(Style::Plain).contains("newer"));
    }
}
