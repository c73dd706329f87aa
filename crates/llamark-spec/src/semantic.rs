//! What a schema cannot say: names that refer to others, and values that depend on others.
//!
//! Works on the tree, so that it also runs when other things are wrong: what has no or the wrong value is
//! skipped, since the schema already said so.

mod ab;
pub(crate) mod backends;
mod matrix;
pub(crate) mod sources;
mod synthetic;
mod tool;
mod until;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use indexmap::IndexSet;
use llamark_record::plan::model_id;

use crate::defaults;
use crate::diagnostic::{MAX_PROBLEMS, Problem};
use crate::node::{Entry, Node};
use crate::suggest;

/// The longest id of a model: with backend and prompt it must still be the name of a folder.
const MAX_ID: usize = 100;
/// The most tokens of a run, over all of its streams: each is recorded with its time, and all of them on one line of the
/// journal, which has at most 16 MiB.
const MAX_RUN_TOKENS: i128 = 500_000;
/// The most starts of an experiment.
const MAX_STARTS: u128 = 100_000;

/// Every rule of [`crate::rules::Level::Meaning`] that the tree breaks.
pub(crate) fn check(root: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    sources::check(root, &mut problems);
    synthetic::check(root, &mut problems);
    backends::check(root, &mut problems);
    ab::check(root, &mut problems);
    check_prompts(root, &mut problems);
    check_protocol(root, &mut problems);
    check_models(root, &mut problems);
    check_gates(root, &mut problems);
    tool::check(root, &mut problems);
    problems
}

fn check_gates(root: &Node, problems: &mut Vec<Problem>) {
    let Some(entry) = root.entry("gates").filter(|entry| entry.node.is_empty_map()) else { return };
    let message = "`gates` names no metric, so no regression would ever be found";
    problems.push(
        Problem::new("spec/no-gates", entry.key_span.clone(), message)
            .help("name one, as in `gates: { tg: 3% }`, or leave `gates` out: then `pp` and `tg` decide"),
    );
}

/// The names that a mapping defines, in the author's order.
fn names<'a>(root: &'a Node, key: &str) -> IndexSet<&'a str> {
    root.get(key).map(Node::entries).unwrap_or_default().iter().map(|entry| entry.key.as_str()).collect()
}

/// A name that nothing defines, and what was meant.
fn undefined(
    code: &'static str,
    kind: &str,
    (name, span): (&str, &Range<usize>),
    defined: &IndexSet<&str>,
    problems: &mut Vec<Problem>,
) {
    if defined.contains(name) {
        return;
    }
    let problem = Problem::new(code, span.clone(), format!("there is no {kind} `{name}`"));
    // What was meant is not looked for when nobody will see it.
    let help = (problems.len() <= MAX_PROBLEMS)
        .then(|| suggest::help(name, &format!("the {kind}s"), defined.iter().copied()));
    problems.push(problem.maybe_help(help));
}

/// The texts of a value that is one text or a list of them, each with its place.
fn texts(node: Option<&Node>) -> Vec<(&str, &Range<usize>)> {
    let Some(node) = node else { return Vec::new() };
    match node.text() {
        Some(text) => vec![(text, &node.span)],
        None => node.items().iter().filter_map(|item| Some((item.text()?, &item.span))).collect(),
    }
}

fn check_prompts(root: &Node, problems: &mut Vec<Problem>) {
    let defined = names(root, "prompts");
    let chosen = texts(root.get("protocol").and_then(|protocol| protocol.get("prompt")));
    for reference in &chosen {
        undefined("spec/unknown-prompt", "prompt", *reference, &defined, problems);
    }
    for entry in root.get("prompts").map(Node::entries).unwrap_or_default() {
        if let (Some(_), Some(file), Some(text)) =
            (entry.node.get("tokens"), entry.node.entry("file"), entry.node.entry("text"))
        {
            let message = format!("the prompt `{}` is cut from two texts", entry.key);
            let problem = Problem::new("spec/two-texts", text.key_span.clone(), message);
            let problem = problem.related(file.key_span.clone(), "the other one");
            problems.push(problem.help("remove `file` or `text`"));
        }
    }
    if chosen.is_empty() || chosen.iter().any(|(name, _)| !defined.contains(name)) {
        // Without a name, all are used; with a wrong one, it may mean the one that seems unused.
        return;
    }
    let chosen: HashSet<&str> = chosen.into_iter().map(|(name, _)| name).collect();
    for entry in root.get("prompts").map(Node::entries).unwrap_or_default() {
        if !chosen.contains(entry.key.as_str()) {
            let message = format!("the prompt `{}` is not used", entry.key);
            let help = format!("remove it, or also name it: `prompt: [..., {}]` under `protocol`", entry.key);
            problems.push(Problem::new("spec/unused-prompt", entry.key_span.clone(), message).help(help));
        }
    }
}

/// The number of a key, or what is assumed without it.
fn number_or(node: Option<&Node>, key: &str, default: u32) -> i128 {
    node.and_then(|node| node.get(key)).and_then(Node::integer).unwrap_or(i128::from(default))
}

/// The numbers of a value that is one number or a list of them, each with its place.
fn numbers(node: Option<&Node>) -> Vec<(i128, &Range<usize>)> {
    let Some(node) = node else { return Vec::new() };
    match node.integer() {
        Some(number) => vec![(number, &node.span)],
        None => node.items().iter().filter_map(|item| Some((item.integer()?, &item.span))).collect(),
    }
}

/// The largest number of a key, with its place, or what is assumed without it.
fn largest<'a>(node: Option<&'a Node>, key: &str, default: u32) -> (i128, Option<&'a Range<usize>>) {
    let written = numbers(node.and_then(|node| node.get(key)));
    let largest = written.into_iter().max_by_key(|(number, _)| *number);
    largest.map_or((i128::from(default), None), |(number, span)| (number, Some(span)))
}

fn check_protocol(root: &Node, problems: &mut Vec<Problem>) {
    let protocol = root.get("protocol");
    check_context(root, protocol, problems);
    check_canary(protocol, problems);
    check_run_length(protocol, problems);
    check_size(root, protocol, problems);
    until::check(protocol, problems);
}

/// The context must hold the deepest depth, the longest of the prompts whose length is known, and what is generated.
fn check_context(root: &Node, protocol: Option<&Node>, problems: &mut Vec<Problem>) {
    let (max_tokens, length_span) = largest(protocol, "max_tokens", defaults::MAX_TOKENS);
    let (depth, depth_span) = largest(protocol, "depth", defaults::DEPTH);
    let (prompt, prompt_span) = longest_prompt(root, protocol);
    let context = number_or(protocol, "context", defaults::CONTEXT);
    let context_span =
        protocol.and_then(|protocol| protocol.get("context")).map(|context| context.span.clone());
    // A text has a token at least.
    let needed = max_tokens.saturating_add(depth).saturating_add(prompt.unwrap_or(1));
    if context <= 0 || needed <= context {
        return;
    }
    let mut parts = Vec::new();
    if depth > 0 {
        parts.push((format!("a depth of {depth}"), depth_span));
    }
    match prompt {
        Some(tokens) => parts.push((format!("a prompt of {tokens} tokens"), prompt_span)),
        None => parts.push(("the prompt".to_owned(), None)),
    }
    parts.push((format!("{max_tokens} to generate"), length_span));
    let what = listed(&parts.iter().map(|(part, _)| part.as_str()).collect::<Vec<_>>());
    // The place of what is largest, as far as it is written; an assumed context is nowhere.
    let written = [depth_span, prompt_span, length_span].into_iter().flatten().next().cloned();
    let Some(place) = written.or_else(|| context_span.clone()) else { return };
    let message = format!("a context of {context} tokens is too small for {what}");
    let help = format!("write a `context` of {needed} or more under `protocol`");
    let mut problem = Problem::new("spec/context", place.clone(), message).help(help);
    if let Some(span) = context_span.filter(|span| *span != place) {
        problem = problem.related(span, "the context");
    }
    problems.push(problem);
}

/// The canary is asked in the context of the runs. How many tokens its text has, only a model's tokenizer knows: one at least.
fn check_canary(protocol: Option<&Node>, problems: &mut Vec<Problem>) {
    let canary = protocol.and_then(|protocol| protocol.get("canary"));
    let Some((tokens, place)) = numbers(canary.and_then(|canary| canary.get("tokens"))).into_iter().next()
    else {
        return;
    };
    let context = number_or(protocol, "context", defaults::CONTEXT);
    if context <= 0 || tokens < context {
        return;
    }
    let message =
        format!("a context of {context} tokens is too small for the canary's text and its {tokens} tokens");
    let help = "ask for fewer tokens: the first few are enough to tell rounding from error";
    problems.push(Problem::new("spec/context", place.clone(), message).help(help));
}

fn check_run_length(protocol: Option<&Node>, problems: &mut Vec<Problem>) {
    let (max_tokens, length_span) = largest(protocol, "max_tokens", defaults::MAX_TOKENS);
    let (streams, streams_span) = largest(protocol, "concurrency", defaults::CONCURRENCY);
    let tokens = max_tokens.saturating_mul(streams);
    let Some(place) = length_span.or(streams_span).filter(|_| tokens > MAX_RUN_TOKENS) else { return };
    let message = format!(
        "a run of {streams} streams of {max_tokens} tokens has {tokens} tokens, but at most {MAX_RUN_TOKENS} are recorded"
    );
    let mut problem = Problem::new("spec/run-length", place.clone(), message)
        .help("generate fewer tokens: a rate is known long before that many");
    if let Some(span) = streams_span.filter(|span| *span != place) {
        problem = problem.related(span.clone(), "the streams");
    }
    problems.push(problem);
}

/// `one`, `one and two`, `one, two and three`.
fn listed(parts: &[&str]) -> String {
    match parts {
        [head @ .., last] if !head.is_empty() => format!("{} and {last}", head.join(", ")),
        parts => parts.concat(),
    }
}

/// The longest of the prompts that are used and whose tokens are written.
fn longest_prompt<'a>(root: &'a Node, protocol: Option<&Node>) -> (Option<i128>, Option<&'a Range<usize>>) {
    let chosen = texts(protocol.and_then(|protocol| protocol.get("prompt")));
    let prompts = root.get("prompts").map(Node::entries).unwrap_or_default().iter();
    let used = prompts.filter(|entry| chosen.is_empty() || chosen.iter().any(|(name, _)| *name == entry.key));
    let tokens = used.filter_map(|entry| {
        let tokens = entry.node.get("tokens")?;
        Some((tokens.integer()?, &tokens.span))
    });
    tokens.max_by_key(|(tokens, _)| *tokens).map_or((None, None), |(tokens, span)| (Some(tokens), Some(span)))
}

fn check_size(root: &Node, protocol: Option<&Node>, problems: &mut Vec<Problem>) {
    let variants = |name: &str| -> usize {
        let backend = root.get("backends").and_then(|backends| backends.get(name));
        backend.map_or(1, matrix::count)
    };
    let all_backends =
        names(root, "backends").iter().map(|name| variants(name)).fold(0, usize::saturating_add);
    let models = root.get("models").map(Node::items).unwrap_or_default();
    let pairs: usize = models
        .iter()
        .map(|model| match model.get("backends") {
            Some(backends) => texts(Some(backends)).iter().map(|(name, _)| variants(name)).sum(),
            None => all_backends,
        })
        .fold(0, usize::saturating_add);
    let prompts = match texts(protocol.and_then(|protocol| protocol.get("prompt"))).len() {
        0 => names(root, "prompts").len(),
        chosen => chosen,
    };
    let starts = u128::try_from(number_or(protocol, "starts", defaults::STARTS)).unwrap_or(0);
    let starts = until::most(protocol).map_or(starts, u128::from);
    let values = |key| numbers(protocol.and_then(|protocol| protocol.get(key))).len().max(1) as u128;
    let shapes = values("max_tokens").saturating_mul(values("depth")).saturating_mul(values("concurrency"));
    let cases = (pairs as u128).saturating_mul(prompts as u128).saturating_mul(shapes);
    let cases = cases.saturating_mul(ab::count(root) as u128);
    if cases.saturating_mul(starts) > MAX_STARTS {
        let written = |key| protocol.and_then(|protocol| protocol.get(key));
        let span = written("until").or_else(|| written("starts")).map_or(0..0, |starts| starts.span.clone());
        let message = format!("{cases} cases with {starts} starts each are more than {MAX_STARTS} starts");
        problems.push(Problem::new("spec/too-many-starts", span, message).help("split the experiment"));
    }
}

fn check_models(root: &Node, problems: &mut Vec<Problem>) {
    let backends = names(root, "backends");
    let mut seen: HashMap<String, &Entry> = HashMap::new();
    for model in root.get("models").map(Node::items).unwrap_or_default() {
        for reference in texts(model.get("backends")) {
            undefined("spec/unknown-backend", "backend", reference, &backends, problems);
        }
        check_params(model, problems);
        let Some(entry) = model.entry("id").or_else(|| model.entry("name")) else { continue };
        let Some(written) = entry.node.text() else { continue };
        let quant = quant_of(model);
        let id = if entry.key == "id" { written.to_owned() } else { model_id(written, quant) };
        if entry.key == "name" && written.trim().is_empty() {
            continue;
        }
        if entry.key == "name" && (id.is_empty() || id.len() > MAX_ID) {
            let message = "no id can be made from this name: it has no Latin letters or digits, or too many";
            problems.push(
                Problem::new("spec/model-id", entry.node.span.clone(), message)
                    .help("add an `id` made of lower-case letters, digits, `.`, `_` and `-`"),
            );
        } else if let Some(first) = seen.get(&id) {
            let message = format!("two models have the id `{id}`");
            problems.push(
                Problem::new("spec/duplicate-model", entry.node.span.clone(), message)
                    .label("again here")
                    .related(first.node.span.clone(), "first here")
                    .help("add an `id`, or a `quant` that tells them apart"),
            );
        } else {
            seen.insert(id, entry);
        }
    }
}

/// The quantization of a model as its id has it: as written, else that of a synthetic one.
fn quant_of(model: &Node) -> &str {
    let synthetic = || model.get("source")?.get("synthetic")?.get("quant");
    model.get("quant").or_else(synthetic).and_then(Node::text).unwrap_or_default()
}

fn check_params(model: &Node, problems: &mut Vec<Problem>) {
    let params = model.get("params");
    let of =
        |key: &str| params.and_then(|params| params.get(key)).and_then(|node| Some((node.text()?, node)));
    if let (Some((total, _)), Some((active, node))) = (of("total"), of("active"))
        && let (Some(all), Some(some)) = (parameters(total), parameters(active))
        && some > all
    {
        let message = format!("{active} active parameters are more than the total of {total}");
        problems.push(Problem::new("spec/params", node.span.clone(), message).help("are the two swapped?"));
    }
}

/// `1.7B` as a number of single parameters, exactly: a thousandth of `K` is one.
fn parameters(text: &str) -> Option<u128> {
    let text = text.strip_prefix('~').unwrap_or(text);
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit: u128 = match unit {
        "K" => 1,
        "M" => 1_000,
        "B" => 1_000_000,
        "T" => 1_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let thousandths = format!("{fraction:0<3}").parse::<u128>().ok()?;
    whole.parse::<u128>().ok()?.checked_mul(1000)?.checked_add(thousandths)?.checked_mul(unit)
}
