//! Rules of a matrix: that it varies something, that what is left out and added has a meaning, that every variant can be.

use std::ops::Range;

use super::backends;
use crate::diagnostic::{MAX_PROBLEMS, Problem};
use crate::matrix::{Axes, has_all};
use crate::node::Node;
use crate::suggest;

/// The most combinations of one matrix.
const MAX_COMBINATIONS: usize = 1_000;
/// Keys of a matrix that are no setting.
const NO_SETTINGS: [&str; 2] = ["exclude", "include"];

/// A value of a setting, and where it stands. Two are the same when they mean the same.
#[derive(Clone, Debug)]
pub(super) struct Written<'a> {
    pub(super) key: &'a str,
    text: String,
    pub(super) node: &'a Node,
}

impl PartialEq for Written<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.text == other.text
    }
}

fn written<'a>(key: &'a str, node: &'a Node) -> Option<Written<'a>> {
    let text = node.text().map(str::to_owned);
    let text = text.or_else(|| node.integer().map(|number| number.to_string()));
    let text = text.or_else(|| node.boolean().map(|is_true| is_true.to_string()))?;
    Some(Written { key, text, node })
}

/// How many backends that backend becomes.
pub(super) fn count(backend: &Node) -> usize {
    match backend.get("matrix") {
        None => 1,
        Some(matrix) => {
            let axes = axes(matrix);
            if axes.size() > MAX_COMBINATIONS { axes.size() } else { axes.variants().len().max(1) }
        }
    }
}

/// The settings that vary of each variant of a backend: one without any where there is no matrix, none where there are too
/// many.
pub(super) fn variants(backend: &Node) -> Vec<Vec<Written<'_>>> {
    match backend.get("matrix").map(axes) {
        None => vec![Vec::new()],
        Some(axes) if axes.size() > MAX_COMBINATIONS => Vec::new(),
        Some(axes) => axes.variants(),
    }
}

fn axes(matrix: &Node) -> Axes<Written<'_>> {
    let settings = matrix.entries().iter().filter(|entry| !NO_SETTINGS.contains(&entry.key.as_str()));
    let mut all: Vec<Vec<Written<'_>>> = Vec::new();
    for entry in settings {
        let values: Vec<_> = entry.node.items().iter().filter_map(|item| written(&entry.key, item)).collect();
        if !values.is_empty() {
            all.push(values);
        }
    }
    Axes { axes: all, exclude: combinations(matrix, "exclude"), include: combinations(matrix, "include") }
}

fn combinations<'a>(matrix: &'a Node, key: &str) -> Vec<Vec<Written<'a>>> {
    matrix.get(key).map(Node::items).unwrap_or_default().iter().map(|item| combination(item)).collect()
}

fn combination(node: &Node) -> Vec<Written<'_>> {
    node.entries().iter().filter_map(|entry| written(&entry.key, &entry.node)).collect()
}

/// Checks the matrix of a backend, and the settings of every variant.
pub(super) fn check(backend: &Node, problems: &mut Vec<Problem>) {
    let Some(entry) = backend.entry("matrix") else { return };
    let matrix = &*entry.node;
    let axes = axes(matrix);
    if axes.axes.is_empty() && axes.include.is_empty() {
        let message = "`matrix` varies no setting";
        let help = "list values of a setting, as in `matrix: { threads: [1, 2, 4] }`, or remove it";
        problems.push(Problem::new("spec/matrix-empty", entry.key_span.clone(), message).help(help));
        return;
    }
    if axes.size() > MAX_COMBINATIONS {
        let message =
            format!("`matrix` has {} combinations; at most {MAX_COMBINATIONS} are allowed", axes.size());
        problems.push(
            Problem::new("spec/matrix-size", entry.key_span.clone(), message).help("split the experiment"),
        );
        return;
    }
    check_overrides(backend, matrix, problems);
    check_exclude(matrix, &axes, problems);
    check_include(matrix, &axes, problems);
    let variants = axes.variants();
    if variants.is_empty() {
        let message = "every combination of `matrix` is left out, so nothing of the backend is measured";
        let help = "remove an entry of `exclude`";
        problems.push(Problem::new("spec/matrix-empty", entry.key_span.clone(), message).help(help));
    }
    check_variants(backend, &variants, problems);
}

/// A setting that varies has no fixed value as well.
fn check_overrides(backend: &Node, matrix: &Node, problems: &mut Vec<Problem>) {
    let server = backend.get("server").map(Node::entries).unwrap_or_default();
    for fixed in server {
        if let Some(varied) = matrix.entry(&fixed.key) {
            let message = format!("`{}` varies, but also has a value for all variants", fixed.key);
            let problem = Problem::new("spec/matrix-override", fixed.key_span.clone(), message);
            let problem = problem.related(varied.key_span.clone(), "varies here");
            problems.push(problem.help("remove one of the two"));
        }
    }
}

/// What is left out is one of the combinations: else it was mistyped.
fn check_exclude(matrix: &Node, axes: &Axes<Written<'_>>, problems: &mut Vec<Problem>) {
    let combinations = axes.combinations();
    let entries = matrix.get("exclude").map(Node::items).unwrap_or_default();
    for (entry, excluded) in entries.iter().zip(&axes.exclude) {
        if combinations.iter().any(|combination| has_all(combination, excluded)) {
            continue;
        }
        if problems.len() > MAX_PROBLEMS {
            return;
        }
        let message = "this does not leave out any combination of the matrix";
        let (place, help) = why_nothing(entry, excluded, axes);
        problems.push(Problem::new("spec/exclude-nothing", place, message).help(help));
    }
}

/// The place and the reason for which a combination is none of the matrix.
fn why_nothing(entry: &Node, excluded: &[Written<'_>], axes: &Axes<Written<'_>>) -> (Range<usize>, String) {
    for value in excluded {
        let Some(axis) =
            axes.axes.iter().find(|axis| axis.first().is_some_and(|first| first.key == value.key))
        else {
            let varied = axes.axes.iter().filter_map(|axis| Some(axis.first()?.key));
            let help = format!(
                "`{}` does not vary; {}",
                value.key,
                suggest::help(value.key, "the settings that vary", varied.collect::<Vec<_>>())
            );
            return (value.node.span.clone(), help);
        };
        if !axis.contains(value) {
            return (value.node.span.clone(), other_value(value, axis));
        }
    }
    (entry.span.clone(), "name a value of a setting, as in `{ threads: 2 }`".to_owned())
}

/// What to write instead of a value that the list does not have. Of short numbers, any is near any other.
fn other_value(value: &Written<'_>, axis: &[Written<'_>]) -> String {
    let values: Vec<&str> = axis.iter().map(|value| value.text.as_str()).collect();
    let kind = "the values in the matrix";
    if value.text.len() > 2 {
        return suggest::help(&value.text, kind, values);
    }
    format!("{kind} are {}", values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "))
}

/// What is added is not there already, and says something.
fn check_include(matrix: &Node, axes: &Axes<Written<'_>>, problems: &mut Vec<Problem>) {
    let mut known: Vec<Vec<Written<'_>>> = axes.combinations();
    known.retain(|variant| !axes.exclude.iter().any(|excluded| has_all(variant, excluded)));
    let entries = matrix.get("include").map(Node::items).unwrap_or_default();
    for (entry, included) in entries.iter().zip(&axes.include) {
        let same = |variant: &Vec<Written<'_>>| variant.len() == included.len() && has_all(variant, included);
        let message = if included.is_empty() && entry.is_empty_map() {
            "this adds a combination without settings"
        } else if known.iter().any(same) {
            "this combination is already in the matrix"
        } else {
            known.push(included.clone());
            continue;
        };
        let problem = Problem::new("spec/include-known", entry.span.clone(), message);
        problems.push(problem.help("remove it from `include`"));
    }
}

/// Every variant keeps the rules that a backend keeps; each broken one is said once, at the value in the matrix.
fn check_variants(backend: &Node, variants: &[Vec<Written<'_>>], problems: &mut Vec<Problem>) {
    let before = problems.len();
    for variant in variants {
        let of = |key: &str| {
            let varied = variant.iter().find(|value| value.key == key).map(|value| value.node);
            varied.or_else(|| backend.get("server").and_then(|server| server.get(key)))
        };
        let mut found = Vec::new();
        backends::check_settings(&of, &mut found);
        let is_known = |problem: &Problem| {
            problems.get(before..).unwrap_or_default().iter().any(|known| known.is_at(problem))
        };
        found.retain(|problem| !is_known(problem));
        problems.extend(found);
        if problems.len() > MAX_PROBLEMS {
            return;
        }
    }
}
