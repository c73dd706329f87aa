//! Rules of engines' and models' sources.

use crate::diagnostic::Problem;
use crate::node::Node;

pub(super) fn check(root: &Node, problems: &mut Vec<Problem>) {
    if let Some(engine) = root.get("engine") {
        check_engine(engine, problems);
    }
    for model in root.get("models").map(Node::items).unwrap_or_default() {
        let Some(source) = model.get("source") else { continue };
        check_inside(source, "member", problems);
        if source.get("huggingface").is_some() {
            check_inside(source, "file", problems);
        }
        check_credentials(source, &["url", "endpoint"], problems);
        for key in ["file", "url", "member"] {
            check_shard(source, key, problems);
        }
    }
}

/// What holds of an engine wherever it stands.
pub(crate) fn check_engine(engine: &Node, problems: &mut Vec<Problem>) {
    if let Some(source) = engine.get("source") {
        check_inside(source, "subdir", problems);
        check_credentials(source, &["git", "archive"], problems);
    }
    check_revision(engine, problems);
}

/// A path inside of something else cannot lead out of it.
fn check_inside(source: &Node, key: &str, problems: &mut Vec<Problem>) {
    let Some(node) = source.get(key) else { return };
    let Some(path) = node.text() else { return };
    if path.starts_with('/') || path.contains('\\') || path.split('/').any(|part| part == "..") {
        let message = format!("`{key}` must be a path inside the source, but this one leads out of it");
        let problem = Problem::new("spec/path-escapes", node.span.clone(), message);
        problems.push(problem.help("write it relative to the top of the source, with `/` and without `..`"));
    }
}

fn check_credentials(source: &Node, keys: &[&str], problems: &mut Vec<Problem>) {
    for key in keys {
        let Some(node) = source.get(key) else { continue };
        let Some((scheme, rest)) = node.text().and_then(|url| url.split_once("://")) else { continue };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // `ssh://git@host` names a user and is no secret.
        let user = host.rsplit_once('@').map(|(user, _)| user);
        if user.is_some_and(|user| user.contains(':') || scheme.starts_with("http")) {
            let message =
                format!("`{key}` contains a user name or password, which would be recorded and published");
            problems.push(
                Problem::new("spec/credentials", node.span.clone(), message)
                    .help("remove it, and replace the secret; let git or the environment authenticate"),
            );
        }
    }
}

fn check_revision(engine: &Node, problems: &mut Vec<Problem>) {
    let Some(node) = engine.get("source").and_then(|source| source.get("rev")) else { return };
    let Some(rev) = node.text() else { return };
    let stated = engine.get("build_number").and_then(|number| Some((number.integer()?, number)));
    if let (Some(of_rev), Some((number, number_node))) = (build_number(rev), stated)
        && i128::from(of_rev) != number
    {
        let message = format!("`build_number` is {number}, but `rev` is {rev}");
        problems.push(
            Problem::new("spec/engine-contradiction", number_node.span.clone(), message)
                .related(node.span.clone(), "this tag says the build number")
                .help("remove `build_number`: it follows from the tag"),
        );
    }
    let Some(commit_node) = engine.get("commit") else { return };
    let Some(commit) = commit_node.text() else { return };
    if is_commit(rev) && !rev.starts_with(commit) {
        let message = format!("`commit` is {commit}, but `rev` is a different commit");
        problems.push(
            Problem::new("spec/engine-contradiction", commit_node.span.clone(), message)
                .related(node.span.clone(), "this commit")
                .help("remove `commit`: it follows from `rev`"),
        );
    }
}

/// The build number that a tag of llama.cpp states: 11434 for `b11434`.
pub(crate) fn build_number(rev: &str) -> Option<u32> {
    let digits = rev.strip_prefix('b')?;
    let is_number = (1..=7).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && !digits.starts_with('0') { digits.parse().ok() } else { None }
}

/// Whether a revision is a full commit.
pub(crate) fn is_commit(rev: &str) -> bool {
    rev.len() == 40 && rev.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn check_shard(source: &Node, key: &str, problems: &mut Vec<Problem>) {
    let Some(node) = source.get(key) else { return };
    let Some(path) = node.text() else { return };
    let Some((stem, count)) = path.strip_suffix(".gguf").and_then(|path| path.rsplit_once("-of-")) else {
        return;
    };
    let Some((name, index)) = stem.rsplit_once('-') else { return };
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(index) && is_number(count) && index != "00001" {
        let message = "this is not the first file of the model";
        let problem = Problem::new("spec/not-first-shard", node.span.clone(), message);
        problems.push(
            problem.help(format!("name the first, and the others are found: {name}-00001-of-{count}.gguf")),
        );
    }
}
