//! The perplexity: from `perplexity` of a protocol to the text that every backend is to predict.

use camino::Utf8Path;
use llamark_record::plan::PlannedPerplexity;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::defaults;
use crate::diagnostic::{MAX_PROBLEMS, Problem};
use crate::expand::Expander;
use crate::node::Node;
use crate::text::{FilePath, Text};

/// Most bytes of a text: it is in the plan, and so in every set.
const MOST_BYTES: usize = 2 << 20;

/// A text whose perplexity is measured, and how much of it is read.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
pub enum Perplexity {
    /// A text file, of at most 2 MiB.
    #[schemars(title = "file")]
    File {
        /// Its path, relative to the experiment.
        file: FilePath,
        /// Tokens per chunk; the first half of a chunk is context and not counted. Default: `512`.
        #[schemars(range(min = 32, max = 1_000_000), extend("default" = defaults::PERPLEXITY_CONTEXT))]
        context: Option<u32>,
        /// Maximum number of chunks. Default: `16`.
        #[schemars(range(min = 1, max = 1_000), extend("default" = defaults::PERPLEXITY_CHUNKS))]
        chunks: Option<u32>,
    },
    /// The text itself.
    #[schemars(title = "text")]
    Text {
        /// The text.
        text: Text,
        /// Tokens per chunk; the first half of a chunk is context and not counted. Default: `512`.
        #[schemars(range(min = 32, max = 1_000_000), extend("default" = defaults::PERPLEXITY_CONTEXT))]
        context: Option<u32>,
        /// Maximum number of chunks. Default: `16`.
        #[schemars(range(min = 1, max = 1_000), extend("default" = defaults::PERPLEXITY_CHUNKS))]
        chunks: Option<u32>,
    },
}

/// What is compiled in addition to the usual.
pub(crate) fn targets(perplexity: Option<&Perplexity>) -> Vec<String> {
    perplexity.map(|_| PlannedPerplexity::PROGRAM.to_owned()).into_iter().collect()
}

impl Expander<'_> {
    /// The text with how much of it is read; problems where it cannot be read, or is too long or too short.
    pub(crate) fn perplexity(&mut self, perplexity: &Perplexity) -> PlannedPerplexity {
        let (context, chunks) = match perplexity {
            Perplexity::File { context, chunks, .. } | Perplexity::Text { context, chunks, .. } => {
                (*context, *chunks)
            }
        };
        let context = context.unwrap_or(defaults::PERPLEXITY_CONTEXT);
        let chunks = chunks.unwrap_or(defaults::PERPLEXITY_CHUNKS);
        let (key, text) = match perplexity {
            Perplexity::File { file, .. } => {
                ("file", self.surroundings.read_prompt(Utf8Path::new(file.as_str())))
            }
            Perplexity::Text { text, .. } => ("text", Ok(text.as_str().to_owned())),
        };
        let (text, problem) = match text {
            Ok(text) => {
                let problem = fault(perplexity, &text, context);
                (text, problem)
            }
            Err(error) => {
                let message = format!("the text {} cannot be read: {error}", name(perplexity));
                let help =
                    "the path is relative to the folder of the experiment, and a text is UTF-8".to_owned();
                (String::new(), Some(("spec/perplexity-unreadable", message, help)))
            }
        };
        if let Some((code, message, help)) = problem.filter(|_| self.problems.len() < MAX_PROBLEMS) {
            let place = self.spec.root.get("protocol").and_then(|protocol| protocol.get("perplexity"));
            let place = place
                .and_then(|place| place.get(key))
                .map_or(0..0, |node: &Node| first_line(node, perplexity));
            self.problems.push(Problem::new(code, place, message).help(help));
        }
        PlannedPerplexity::new(context, chunks, text)
    }
}

/// The place of a text is its head: all of it would fill the screen.
fn first_line(node: &Node, perplexity: &Perplexity) -> std::ops::Range<usize> {
    match perplexity {
        Perplexity::File { .. } => node.span.clone(),
        Perplexity::Text { .. } => node.span.start..node.span.start.saturating_add(1).min(node.span.end),
    }
}

fn name(perplexity: &Perplexity) -> String {
    match perplexity {
        Perplexity::File { file, .. } => format!("`{}`", file.as_str()),
        Perplexity::Text { .. } => "of the perplexity".to_owned(),
    }
}

/// What is wrong with a text: code, message, help.
fn fault(perplexity: &Perplexity, text: &str, context: u32) -> Option<(&'static str, String, String)> {
    let (name, bytes) = (name(perplexity), text.len());
    if bytes > MOST_BYTES {
        let message = format!("the text {name} has {bytes} bytes, but the limit is {MOST_BYTES} (2 MiB)");
        // A token has some four bytes.
        let help =
            "it is kept in every set, and `chunks` reads only its beginning: cut it, as with `head -c 1M`";
        return Some(("spec/perplexity-long", message, help.to_owned()));
    }
    // A token has at least a byte; two more may be put before the text.
    let needed = 2 * u64::from(context);
    let most = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(2);
    (most < needed).then(|| {
        let message = format!(
            "the text {name} has {bytes} bytes, so fewer tokens than the {needed} that a `context` of {context} needs"
        );
        let help = "llama-perplexity reads at least two chunks: use a longer text or a smaller `context`";
        ("spec/perplexity-short", message, help.to_owned())
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    file: Option<FilePath>,
    text: Option<Text>,
    context: Option<u32>,
    chunks: Option<u32>,
}

impl<'de> Deserialize<'de> for Perplexity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Keys::deserialize(deserializer)? {
            Keys { file: Some(file), context, chunks, .. } => Ok(Self::File { file, context, chunks }),
            Keys { text: Some(text), context, chunks, .. } => Ok(Self::Text { text, context, chunks }),
            Keys { .. } => Err(D::Error::custom("a perplexity needs file or text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Perplexity {
        serde_json::from_value(serde_json::json!({ "text": text })).unwrap()
    }

    #[test]
    fn a_text_is_neither_too_long_nor_too_short() {
        let code = |text: &str, context| fault(&of("x"), text, context).map(|(code, ..)| code);
        assert_eq!(code(&"x".repeat(1022), 512), None);
        assert_eq!(code(&"x".repeat(1021), 512), Some("spec/perplexity-short"));
        assert_eq!(code(&"x".repeat(MOST_BYTES), 512), None);
        assert_eq!(code(&"x".repeat(MOST_BYTES + 1), 512), Some("spec/perplexity-long"));
    }

    #[test]
    fn it_is_a_file_or_a_text() {
        assert!(serde_json::from_str::<Perplexity>(r#"{"context": 128}"#).is_err());
        assert!(serde_json::from_str::<Perplexity>(r#"{"file": "a.txt", "chunk": 1}"#).is_err());
        assert!(matches!(serde_json::from_str(r#"{"file": "a.txt"}"#), Ok(Perplexity::File { .. })));
        assert_eq!(targets(Some(&of("x"))), ["llama-perplexity"]);
        assert!(targets(None).is_empty());
    }
}
