//! The token ids of a case: those of its prompt, cut where the plan says how many, and before them those that fill the
//! context up to the depth.
//!
//! A text begins again where it ends, as often as it takes. What is repeated are its ids, so that every repetition has the
//! same ones, and the tokens that a tokenizer puts before a text (a BOS) stand at its head alone. The prompt has the same
//! ids at every depth, so that cases that differ in depth differ in nothing else; llama-bench does the same.

use std::time::Duration;

use llamark_record::plan::PromptContent;
use serde_json::{Value, json};

use crate::client::Client;
use crate::protocol::{Halt, Session};

/// What a run sends.
#[derive(Debug)]
pub(crate) struct Prompt {
    /// The ids of the depth, then those of the prompt.
    ids: Vec<i32>,
    depth: usize,
}

impl Prompt {
    /// Everything that is sent.
    pub(crate) fn whole(&self) -> &[i32] {
        &self.ids
    }

    /// What is in the cache before a run begins.
    pub(crate) fn before(&self) -> &[i32] {
        self.ids.get(..self.depth).unwrap_or_default()
    }

    /// What is evaluated in a run.
    pub(crate) fn own(&self) -> &[i32] {
        self.ids.get(self.depth..).unwrap_or_default()
    }

    /// Tokens of the depth.
    pub(crate) fn depth(&self) -> u32 {
        count(self.depth)
    }

    /// Tokens of the prompt itself.
    pub(crate) fn tokens(&self) -> u32 {
        count(self.own().len())
    }
}

fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

/// Has the server tokenize what the case sends.
///
/// # Errors
/// When the server does not, or makes nothing of a text that is to be as long as the plan says.
pub(crate) async fn tokenize(
    session: &Session<'_>,
    client: &Client,
    limit: Duration,
) -> Result<Prompt, Halt> {
    let start = session.start;
    let Some(text) = start.prompt.text() else {
        return Err(Halt::Protocol(format!("prompt `{}` has no text", start.case.prompt)));
    };
    let reader = Tokenizer { session, client, limit };
    let own = match start.prompt {
        PromptContent::Tokens { tokens, .. } => reader.exactly(text, *tokens).await?,
        PromptContent::Text { .. } | PromptContent::Unstated { .. } => reader.ids(text, true).await?,
    };
    let mut ids = match &start.plan.filler {
        Some(filler) if start.case.depth > 0 => reader.exactly(&filler.text, start.case.depth).await?,
        _ => Vec::new(),
    };
    let depth = ids.len();
    ids.extend(own);
    Ok(Prompt { ids, depth })
}

/// The ids of a text at its beginning.
///
/// # Errors
/// When the server does not tokenize it.
pub(crate) async fn ids(
    session: &Session<'_>,
    client: &Client,
    limit: Duration,
    text: &str,
) -> Result<Vec<i32>, Halt> {
    Tokenizer { session, client, limit }.ids(text, true).await
}

struct Tokenizer<'a> {
    session: &'a Session<'a>,
    client: &'a Client,
    limit: Duration,
}

impl Tokenizer<'_> {
    /// The ids of a text: at its beginning as the server itself tokenizes a text prompt, with a BOS token where the model
    /// wants one; else as a text goes on.
    async fn ids(&self, text: &str, is_beginning: bool) -> Result<Vec<i32>, Halt> {
        const PHASE: &str = "the tokenizing of the prompt";
        let body = json!({"content": text, "add_special": is_beginning, "parse_special": is_beginning});
        let answer = self.client.post("/tokenize", body.to_string().into_bytes());
        let answer = self.session.guard(PHASE, self.limit, String::new, answer).await?;
        token_ids(&answer).map_err(|detail| Halt::Protocol(format!("{PHASE}: {detail}")))
    }

    /// The first `tokens` ids of a text that begins again where it ends.
    async fn exactly(&self, text: &str, tokens: u32) -> Result<Vec<i32>, Halt> {
        let wanted = usize::try_from(tokens).unwrap_or(usize::MAX);
        let mut ids = self.ids(text, true).await?;
        if ids.len() < wanted {
            let again = self.ids(text, false).await?;
            if again.is_empty() {
                return Err(Halt::Protocol(format!(
                    "the server makes no tokens of a text of {} bytes",
                    text.len()
                )));
            }
            let missing = wanted - ids.len();
            ids.extend(again.into_iter().cycle().take(missing));
        }
        ids.truncate(wanted);
        Ok(ids)
    }
}

fn token_ids(answer: &Value) -> Result<Vec<i32>, String> {
    let tokens = answer.get("tokens").and_then(Value::as_array).ok_or("the answer has no `tokens`")?;
    let id = |token: &Value| token.as_i64().and_then(|id| i32::try_from(id).ok());
    tokens.iter().map(|token| id(token).ok_or_else(|| format!("`{token}` is no token id"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_an_answer() {
        assert_eq!(token_ids(&json!({"tokens": [1, 2, 49151]})), Ok(vec![1, 2, 49151]));
        assert!(token_ids(&json!({"tokens": [{"id": 1}]})).is_err());
        assert!(token_ids(&json!({})).is_err());
    }

    #[test]
    fn the_depth_stands_before_the_prompt() {
        let prompt = Prompt { ids: vec![1, 7, 7, 1, 9], depth: 3 };
        assert_eq!((prompt.before(), prompt.own()), (&[1, 7, 7][..], &[1, 9][..]));
        assert_eq!((prompt.depth(), prompt.tokens(), prompt.whole().len()), (3, 2, 5));
    }
}
