//! From text to [`Spec`]: tree, schema and meaning first, so that every problem is found at once; then the types.
//!
//! This is the one file that knows `serde_yaml` (here `serde-saphyr`, a maintained successor).

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::defaults;
use crate::diagnostic::{Diagnostics, Problem};
use crate::experiment::Experiment;
use crate::node::{self, Node};
use crate::semantic;
use crate::source::Source;
use crate::validate::{Format, validate};

/// What an experiment must be.
static EXPERIMENT: Format =
    Format::new("an experiment", defaults::SCHEMA_FAMILY, crate::schema::experiment_schema);

/// An experiment that obeys every rule that its text alone can break, and knows its lines.
#[derive(Clone, Debug)]
pub struct Spec {
    experiment: Experiment,
    pub(crate) root: Arc<Node>,
}

impl Spec {
    /// The experiment as typed.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// Name of the experiment.
    pub fn name(&self) -> &str {
        self.experiment.name.as_str()
    }
}

/// Reads an experiment.
///
/// # Errors
/// Every problem of the text, each with its place.
pub fn parse(source: &Source) -> Result<Spec, Diagnostics> {
    let (root, mut problems) = node::build(source.text());
    let Some(root) = root else { return Err(Diagnostics::new(source.clone(), problems)) };
    let found = validate(&EXPERIMENT, source.text(), &root);
    if is_newer_format(&root, defaults::SCHEMA_FAMILY) {
        // Whatever else seems wrong may be right in that format.
        let version = found.into_iter().filter(|problem| problem.code() == "spec/schema-version").collect();
        return Err(Diagnostics::new(source.clone(), version));
    }
    problems.extend(found);
    problems.extend(semantic::check(&root));
    if !problems.is_empty() {
        return Err(Diagnostics::new(source.clone(), problems));
    }
    match typed::<Experiment>(source) {
        Ok(experiment) => Ok(Spec { experiment, root }),
        Err(problem) => Err(Diagnostics::new(source.clone(), vec![*problem])),
    }
}

/// Whether `schema:` names a version of the family that only a newer llamark reads.
pub(crate) fn is_newer_format(root: &Node, family: &str) -> bool {
    let version = root.get("schema").and_then(Node::text).and_then(|text| text.strip_prefix(family));
    version.and_then(|version| version.parse::<u32>().ok()).is_some_and(|version| version > 1)
}

/// The types of a text in which nothing is wrong. That it fails all the same is a bug, and said so.
pub(crate) fn typed<T: DeserializeOwned>(source: &Source) -> Result<T, Box<Problem>> {
    let nodes = usize::try_from(node::MAX_NODES).unwrap_or(usize::MAX);
    let options = serde_yaml::options! {
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_nodes: 2 * nodes,
            max_events: 8 * nodes,
            max_depth: 2 * node::MAX_DEPTH,
            max_aliases: nodes,
            max_anchors: nodes,
            max_merge_keys: nodes,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 8 * nodes,
            max_alias_expansions_per_anchor: nodes,
        },
    };
    serde_yaml::from_str_with_options(source.text(), options).map_err(|error| {
        let offset =
            error.location().and_then(|place| usize::try_from(place.span().byte_offset()?).ok()).unwrap_or(0);
        let message = format!("a bug in llamark: the text obeys every rule but cannot be read: {error}");
        Box::new(Problem::new("spec/bug", offset..offset, message))
    })
}
