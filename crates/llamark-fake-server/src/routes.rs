//! The routes: /health, /props, /tokenize, /completion.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::behaviour::{Behaviour, Body, Stage, Version};
use crate::completion;
use crate::http::{Answer, Request};

/// Bytes of something huge.
const HUGE: usize = 40 << 20;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) behaviour: Behaviour,
    pub(crate) arguments: Arguments,
    is_ready: AtomicBool,
    in_flight: AtomicU32,
    completions: AtomicU32,
    /// What the cache of each slot holds.
    slots: Vec<Mutex<Vec<i64>>>,
}

impl App {
    pub(crate) fn new(behaviour: Behaviour, arguments: Arguments) -> Self {
        let slots = behaviour.slots.unwrap_or(arguments.slots()).max(1);
        Self {
            slots: (0..slots).map(|_| Mutex::default()).collect(),
            behaviour,
            arguments,
            is_ready: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            completions: AtomicU32::new(0),
        }
    }

    pub(crate) fn set_ready(&self) {
        self.is_ready.store(true, Ordering::SeqCst);
    }

    /// Completions that are being answered.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Something from -1 to 1 that differs from life to life and from answer to answer.
    pub(crate) fn luck(&self) -> f64 {
        let life = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let answer = u64::from(self.completions.load(Ordering::SeqCst)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let spread =
            |seed: u64| f64::from(u16::try_from((seed ^ (seed >> 29)) >> 48).unwrap_or(0)) / 32_767.5 - 1.0;
        // Most of it is the life's: the answers of one life are alike.
        0.8 * spread(life) + 0.2 * spread(life ^ answer)
    }

    /// The cache of a slot. A number that is out of range wraps around, as with the real one.
    pub(crate) fn slot(&self, number: u32) -> MutexGuard<'_, Vec<i64>> {
        let number = usize::try_from(number).unwrap_or(0) % self.slots.len();
        self.slots[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn alias(&self) -> &str {
        self.behaviour.alias.as_deref().unwrap_or(self.arguments.alias())
    }

    pub(crate) fn context(&self) -> u32 {
        self.behaviour.context.unwrap_or(self.arguments.slot_context())
    }

    /// Answers one request.
    pub(crate) fn answer(&self, request: &Request, answer: &mut Answer<'_>) -> std::io::Result<()> {
        if !self.is_ready.load(Ordering::SeqCst) {
            return answer.json(503, &error(503, "Loading model", "unavailable_error"));
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/health") => answer.json(200, &json!({"status": "ok"})),
            ("GET", "/props") => {
                self.behaviour.reach(Stage::Props);
                if self.behaviour.body == Some(Body::HugeProps) {
                    return answer.json(200, &json!({"chat_template": "x".repeat(HUGE)}));
                }
                answer.json(200, &self.props())
            }
            ("POST", "/tokenize") => {
                let text = request.body.get("content").and_then(Value::as_str).unwrap_or_default();
                let special = request.body.get("add_special").and_then(Value::as_bool).unwrap_or(false);
                answer.json(200, &json!({"tokens": tokenize(text, special)}))
            }
            ("POST", "/completion") => {
                self.in_flight.fetch_add(1, Ordering::SeqCst);
                let number = self.completions.fetch_add(1, Ordering::SeqCst) + 1;
                let result = self.complete(request, number, answer);
                self.in_flight.fetch_sub(1, Ordering::SeqCst);
                result
            }
            _ => answer.json(404, &error(404, "File Not Found", "not_found_error")),
        }
    }

    fn complete(&self, request: &Request, number: u32, answer: &mut Answer<'_>) -> std::io::Result<()> {
        let is_wrong = number >= self.behaviour.from_run;
        if is_wrong {
            if let Some((status, message)) = &self.behaviour.status {
                return answer.json(*status, &error(*status, message, "server_error"));
            }
            match self.behaviour.body {
                Some(Body::Garbage) => return answer.raw(&[0xff; 512]),
                Some(Body::Html) => return answer.whole(200, "text/html", b"<html>hello</html>"),
                Some(Body::HugeEvent) => {
                    answer.begin()?;
                    let mut sent = 0;
                    answer.chunk(b"data: {\"content\":\"")?;
                    while sent < HUGE {
                        answer.chunk(&[b'x'; 1 << 16])?;
                        sent += 1 << 16;
                    }
                    return answer.end();
                }
                Some(Body::HugeProps) | None => {}
            }
        }
        completion::stream(self, &request.body, is_wrong, answer)
    }

    fn props(&self) -> Value {
        let version = self.behaviour.version;
        let model = self.behaviour.model_path.as_deref().unwrap_or(self.arguments.model());
        let mut props = json!({
            "default_generation_settings": {"n_ctx": self.context(), "params": {"n_predict": -1}},
            "total_slots": self.behaviour.slots.unwrap_or(self.arguments.slots()),
            "model_path": model,
            "modalities": {"vision": false, "audio": false},
            "chat_template": "{{ messages }}",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "build_info": self.behaviour.build_info.as_deref().unwrap_or(version.build_info()),
        });
        if version == Version::B11434 {
            let new = json!({"model_alias": self.alias(), "model_ftype": "Q4_1", "endpoint_metrics": true, "is_sleeping": false});
            if let (Value::Object(props), Value::Object(new)) = (&mut props, new) {
                props.extend(new);
            }
        }
        props
    }
}

/// One token a word, after one for the beginning.
fn tokenize(text: &str, special: bool) -> Vec<u32> {
    let words = text.split_whitespace().map(|word| {
        let sum = word.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        3 + sum % 32_000
    });
    special.then_some(1).into_iter().chain(words).collect()
}

fn error(status: u16, message: &str, kind: &str) -> Value {
    json!({"error": {"code": status, "message": message, "type": kind}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_a_word() {
        assert_eq!(tokenize("a b  a", true).len(), 4);
        assert_eq!(tokenize("a b a", false)[0], tokenize("a b a", false)[2]);
        assert_eq!(tokenize("", false), [0_u32; 0]);
    }
}
