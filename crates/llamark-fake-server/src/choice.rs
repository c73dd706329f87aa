//! Which tokens it generates, and how likely it says that they were.

use serde_json::{Value, json};

use crate::behaviour::Behaviour;

/// The token that it is stuck on.
const STUCK: u32 = 7;
/// How far the second of two tokens is behind the first: hopelessly, or by nothing that matters.
const BEHIND: [f64; 2] = [6.0, 0.01];

/// The first choice for token `token`, which counts from 1.
fn first(token: u32) -> u32 {
    100 + token
}

/// What it generates as token `token`.
pub(crate) fn id(behaviour: &Behaviour, token: u32) -> u32 {
    let is_from = |at: Option<u32>| at.is_some_and(|at| token >= at);
    if is_from(behaviour.stuck_at) {
        STUCK
    } else if is_from(behaviour.parts_at) {
        second(token)
    } else {
        first(token)
    }
}

fn second(token: u32) -> u32 {
    first(token) + 5_000
}

/// The text and the ids of an answer of so many tokens.
pub(crate) fn all(behaviour: &Behaviour, tokens: u32) -> (String, Vec<u32>) {
    let ids: Vec<u32> = (1..=tokens).map(|token| id(behaviour, token)).collect();
    (ids.iter().map(|id| format!(" w{id}")).collect(), ids)
}

/// The likeliest tokens beside each, as llama-server writes them.
pub(crate) fn probabilities(behaviour: &Behaviour, tokens: u32, most: u32) -> Value {
    let entry = |token: u32| {
        let behind = BEHIND[usize::from(behaviour.unsure_at == Some(token))];
        let listed =
            [(first(token), -0.1), (second(token), -0.1 - behind), (900_000, -0.1 - BEHIND[0] - behind)];
        let list: Vec<Value> = listed
            .iter()
            .take(usize::try_from(most).unwrap_or(0))
            .map(|(id, value)| likely(*id, *value))
            .collect();
        let mut entry = likely(id(behaviour, token), -0.1);
        entry["top_logprobs"] = Value::Array(list);
        entry
    };
    (1..=tokens).map(entry).collect()
}

fn likely(id: u32, logarithm: f64) -> Value {
    json!({"id": id, "token": format!(" w{id}"), "bytes": [], "logprob": logarithm})
}
