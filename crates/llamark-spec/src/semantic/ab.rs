//! Rules of `ab`: what each variant gives keeps the rules that it would keep anywhere else, together with each backend.

use llamark_record::plan::BackendKind;

use super::{backends, matrix, sources};
use crate::diagnostic::{MAX_PROBLEMS, Problem};
use crate::node::Node;

/// How many variants there are of each backend.
pub(super) fn count(root: &Node) -> usize {
    if root.get("ab").is_some() { 2 } else { 1 }
}

pub(super) fn check(root: &Node, problems: &mut Vec<Problem>) {
    let Some(ab) = root.get("ab") else { return };
    for side in ["base", "candidate"].into_iter().filter_map(|name| ab.get(name)) {
        // What is wrong with two backends at one place is said once.
        let mut found = Vec::new();
        check_side(root, side, &mut found);
        let before = problems.len();
        for problem in found {
            if !problems.get(before..).unwrap_or_default().iter().any(|known| known.is_at(&problem)) {
                problems.push(problem);
            }
        }
    }
}

fn check_side(root: &Node, side: &Node, problems: &mut Vec<Problem>) {
    if let Some(engine) = side.get("engine") {
        sources::check_engine(engine, problems);
    }
    for variable in side.get("env").map(Node::entries).unwrap_or_default() {
        backends::check_variable(variable, problems);
    }
    for entry in root.get("backends").map(Node::entries).unwrap_or_default() {
        if problems.len() > MAX_PROBLEMS {
            return;
        }
        let backend = &*entry.node;
        let written = backend.get("kind").and_then(Node::text).unwrap_or(&entry.key);
        if let Some(kind) = backends::kind_named(written) {
            check_kind(side, kind, problems);
        }
        check_prebuilt(root, side, backend, problems);
        check_server(side, backend, problems);
    }
}

fn check_kind(side: &Node, kind: BackendKind, problems: &mut Vec<Problem>) {
    if let Some(cmake) = side.get("build").and_then(|build| build.get("cmake")) {
        backends::check_switches(cmake, kind, problems);
    }
    let layers = side.get("server").and_then(|server| server.get("gpu_layers"));
    if let Some(layers) = layers.filter(|layers| kind == BackendKind::Cpu && layers.integer() != Some(0)) {
        let message = "there is no device to put layers on";
        let problem = Problem::new("spec/layers-without-device", layers.span.clone(), message);
        problems.push(problem.help("remove `gpu_layers`: it would apply to a `cpu` backend too"));
    }
}

/// A prebuilt engine has no CMake variables, wherever either stands.
fn check_prebuilt(root: &Node, side: &Node, backend: &Node, problems: &mut Vec<Problem>) {
    let engine = side.get("engine").or_else(|| root.get("engine"));
    let prebuilt = engine.and_then(|engine| engine.get("source")).and_then(|source| source.entry("prebuilt"));
    let Some(prebuilt) = prebuilt else { return };
    let cmake_of = |node: &'_ Node| {
        let entry = node.get("build")?.entry("cmake")?;
        (!entry.node.entries().is_empty()).then(|| entry.key_span.clone())
    };
    // That of a backend with the engine of all is told there.
    let of_backend = side.get("engine").and_then(|_| cmake_of(backend));
    for place in [cmake_of(side), of_backend].into_iter().flatten() {
        let message = "a prebuilt engine is not compiled";
        let problem = Problem::new("spec/cmake-with-prebuilt", place, message);
        let problem = problem.related(prebuilt.key_span.clone(), "the engine is prebuilt");
        problems.push(problem.help("remove `cmake`, or build the engine from its source"));
    }
}

/// The settings of a variant on a backend, and those that vary there.
fn check_server(side: &Node, backend: &Node, problems: &mut Vec<Problem>) {
    let Some(server) = side.get("server") else { return };
    for fixed in server.entries() {
        if let Some(varied) = backend.get("matrix").and_then(|matrix| matrix.entry(&fixed.key)) {
            let message = format!("`{}` varies, but also has a value for all variants", fixed.key);
            let problem = Problem::new("spec/matrix-override", fixed.key_span.clone(), message);
            let problem = problem.related(varied.key_span.clone(), "varies here");
            problems.push(problem.help("remove one of the two"));
        }
    }
    for variant in matrix::variants(backend) {
        let of = |key: &str| {
            let varied = variant.iter().find(|value| value.key == key).map(|value| value.node);
            let of_backend = || backend.get("server").and_then(|server| server.get(key));
            server.get(key).or(varied).or_else(of_backend)
        };
        backends::check_settings(&of, problems);
    }
}
