//! /completion: a stream of tokens at a set speed. The times that it reports are exact; those that pass are no
//! shorter.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::behaviour::{Stage, Version};
use crate::choice;
use crate::http::Answer;
use crate::routes::App;

/// Answers one request, with a stream where that is asked for. `is_wrong`: in the ways that the behaviour says.
pub(crate) fn stream(
    app: &App,
    body: &Value,
    is_wrong: bool,
    answer: &mut Answer<'_>,
) -> std::io::Result<()> {
    let behaviour = &app.behaviour;
    let given: Vec<i64> = body
        .get("prompt")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_i64)
        .collect();
    let prompt = count(given.len());
    // Whoever asks for none gets one, as with the real one.
    let asked = number(body, "n_predict").unwrap_or(16).max(1);
    // A busy slot makes the next request wait.
    let mut slot = app.slot(number(body, "id_slot").unwrap_or(0));
    let uses_cache = body.get("cache_prompt").and_then(Value::as_bool).unwrap_or(true);
    let same = slot.iter().zip(&given).take_while(|(a, b)| a == b).count();
    // At least one token is evaluated.
    let reused = count(same).min(prompt.saturating_sub(1));
    let reused = if uses_cache && !(is_wrong && behaviour.forgets) { reused } else { 0 };
    let cached = if is_wrong { behaviour.cached } else { 0 }.max(reused);
    let early = behaviour.stop_after.filter(|_| is_wrong);
    let tokens = early.unwrap_or(asked).min(asked);
    let processed = prompt.saturating_sub(cached);

    // What is left in the cache: the prompt and all that was generated but the last, which nobody evaluates.
    slot.clone_from(&given);
    slot.extend((1..tokens).map(|token| i64::from(100 + token)));

    let is_stream = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    let began = Instant::now();
    if is_stream {
        answer.begin()?;
    }
    let prompt_s = f64::from(processed) / behaviour.prompt_rate;
    wait_until(began + Duration::from_secs_f64(prompt_s));
    if is_wrong {
        behaviour.reach(Stage::FirstToken);
    }
    let first = Instant::now();
    let half = tokens.div_ceil(2);
    let every = behaviour.tokens_per_event.max(1);
    let mut ids = Vec::new();
    for token in 1..=tokens {
        wait_until(first + Duration::from_secs_f64(f64::from(token - 1) / behaviour.generation_rate));
        ids.push(choice::id(behaviour, token));
        if token % every == 0 && is_stream {
            // As in a real stream, the ids of tokens without an event of their own are lost.
            let last = ids.last().copied();
            ids.clear();
            event(
                answer,
                &json!({
                    "index": 0, "content": " w", "tokens": [last], "stop": false, "id_slot": -1,
                    "tokens_predicted": token, "tokens_evaluated": prompt,
                }),
            )?;
        }
        if token == half && is_wrong && is_stream {
            behaviour.reach(Stage::MidStream);
            if behaviour.cut {
                return answer.end();
            }
            if behaviour.invalid_event {
                answer.chunk(b"data: {\"content\": nonsense}\n\n")?;
            }
            if let Some(message) = &behaviour.error_event {
                return event(
                    answer,
                    &json!({"error": {"code": 500, "message": message, "type": "server_error"}}),
                );
            }
            answer.chunk(b":\n\n")?;
        }
    }
    let off = |value: i64| if is_wrong { value } else { 0 };
    let factor = if is_wrong { behaviour.time_factor } else { 1.0 };
    let luck = 1.0 + behaviour.jitter * app.luck();
    let milliseconds = |seconds: f64| (seconds * factor * luck * 1e6).round() / 1e3;
    let mut timings = json!({
        "prompt_n": i64::from(processed) + off(behaviour.prompt_n_off),
        "prompt_ms": milliseconds(prompt_s),
        "prompt_per_token_ms": 0.0,
        "prompt_per_second": behaviour.prompt_rate,
        "predicted_n": i64::from(tokens) + off(behaviour.predicted_n_off),
        "predicted_ms": milliseconds(f64::from(tokens.saturating_sub(1)) / behaviour.generation_rate),
        "predicted_per_token_ms": 0.0,
        "predicted_per_second": behaviour.generation_rate,
    });
    if behaviour.version == Version::B11434 {
        set(&mut timings, "cache_n", json!(i64::from(cached) + off(behaviour.cache_n_off)));
    }
    if is_wrong && behaviour.drafted > 0 {
        set(&mut timings, "draft_n", json!(behaviour.drafted));
        set(&mut timings, "draft_n_accepted", json!(behaviour.drafted));
    }
    let (text, whole) = if is_stream { (String::new(), Vec::new()) } else { choice::all(behaviour, tokens) };
    let mut last = json!({
            "index": 0, "content": text, "tokens": whole, "id_slot": 0, "stop": true, "model": app.alias(),
            "tokens_predicted": behaviour.claimed.filter(|_| is_wrong).unwrap_or(tokens),
            "tokens_evaluated": i64::from(prompt) + off(behaviour.evaluated_off),
            "generation_settings": {"seed": 1, "temperature": 0.0, "ignore_eos": true, "n_predict": asked, "speculative.types": "none"},
            "prompt": "...", "has_new_line": false, "truncated": is_wrong && behaviour.truncated,
            "stop_type": if early.is_some() { "eos" } else { "limit" }, "stopping_word": "",
            "tokens_cached": prompt + tokens.saturating_sub(1), "timings": timings,
    });
    if !is_stream {
        if let Some(most) = number(body, "n_probs").filter(|_| !behaviour.no_probabilities) {
            set(&mut last, "completion_probabilities", choice::probabilities(behaviour, tokens, most));
        }
        return answer.json(200, &last);
    }
    event(answer, &last)?;
    answer.end()
}

fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

fn number(body: &Value, name: &str) -> Option<u32> {
    body.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok())
}

fn event(answer: &mut Answer<'_>, value: &Value) -> std::io::Result<()> {
    answer.chunk(format!("data: {value}\n\n").as_bytes())
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(object) = object {
        object.insert(name.to_owned(), value);
    }
}

fn wait_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}
