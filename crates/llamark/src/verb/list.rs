//! `llamark list`: the artifact sets.

use serde::Serialize;

use crate::cli::List;
use crate::context::{Context, shown};
use crate::exit::{Exit, OrFail as _, Outcome};

/// What `--json` prints for each set.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    id: &'a str,
    path: String,
    sealed: bool,
}

pub(crate) fn run(context: &Context, args: &List) -> Outcome {
    let sets = context.store().sets(args.name.as_deref()).or_fail(Exit::NotVerified)?;
    let listed: Vec<_> = sets
        .iter()
        .map(|set| Listed { name: &set.name, id: &set.id, path: shown(&set.path), sealed: set.sealed })
        .collect();
    if args.json {
        context.terminal.json(&listed)?;
        return Ok(Exit::Done);
    }
    if listed.is_empty() {
        context.terminal.text(&format!("no artifact sets in {}", shown(&context.artifacts)));
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for set in &listed {
        let state = if set.sealed { "sealed" } else { "interrupted" };
        text.push_str(&format!("{:<11}  {}  {}\n", state, set.id, set.path));
    }
    context.terminal.data(text.as_bytes());
    Ok(Exit::Done)
}
