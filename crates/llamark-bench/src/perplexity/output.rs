//! What llama-perplexity prints: `[1]35.7021,[2]26.4268,...` and `Final estimate: PPL = 22.9302 +/- 2.05065`.

use llamark_record::perplexity::{PerplexityOutcome, PerplexityValue};

/// Stands before the number of chunks that it is going to compute.
const ANNOUNCED: &str = "calculating perplexity over ";
/// Stands before its result.
const FINAL: &str = "Final estimate: PPL = ";
/// What it says in place of an error that is 0, or less by rounding.
const NO_ERROR: &str = "Unexpected negative standard deviation";
/// Digits before the point that a perplexity can have: it is at most the number of tokens that there are, unless the model is
/// surer of something wrong than any model is.
const MOST_DIGITS: usize = 12;
/// Most characters of something that is no number.
const MOST_SHOWN: usize = 40;

/// Reads the output of one life that ended with exit code 0.
pub(super) fn read(text: &str) -> PerplexityOutcome {
    match value(text) {
        Ok(value) => PerplexityOutcome::Value(value),
        Err(Lack::NotFinite { chunk, printed }) => PerplexityOutcome::NotFinite { chunk, printed },
        Err(Lack::Missing(reason)) => PerplexityOutcome::Missing { reason },
    }
}

/// Why there is no value.
enum Lack {
    NotFinite { chunk: u32, printed: String },
    Missing(String),
}

fn value(text: &str) -> Result<PerplexityValue, Lack> {
    let missing = |reason: String| Err(Lack::Missing(reason));
    if let Some(reason) = too_short(text) {
        return missing(reason);
    }
    let Some((_, rest)) = text.split_once(ANNOUNCED) else {
        return missing("llama-perplexity says nothing of chunks".to_owned());
    };
    let announced = number_before(rest, " chunks").unwrap_or(0);
    let running = running(rest)?;
    let printed = u32::try_from(running.len()).unwrap_or(u32::MAX);
    if printed != announced || printed == 0 {
        return missing(format!("llama-perplexity announced {announced} chunks and printed {printed}"));
    }
    let last = running.last().copied().unwrap_or_default();
    let error = match rest.split_once(FINAL) {
        Some((_, estimate)) => Some(error_of(estimate, last).map_err(Lack::Missing)?),
        None if rest.contains(NO_ERROR) => None,
        None => return missing("llama-perplexity printed no final estimate".to_owned()),
    };
    Ok(PerplexityValue { running, error })
}

/// The perplexities over the first chunk, the first two, and so on. Something else may be printed between them, as by a
/// driver, and does not count.
fn running(text: &str) -> Result<Vec<u64>, Lack> {
    let mut running = Vec::new();
    let mut rest = text;
    for chunk in 1_u32.. {
        let Some((_, after)) = rest.split_once(&format!("[{chunk}]")) else { break };
        let Some((printed, after)) = after.split_once(',') else { break };
        let Some(value) = fixed(printed, 4) else {
            let printed = printed.trim().chars().take(MOST_SHOWN).collect();
            return Err(Lack::NotFinite { chunk, printed });
        };
        running.push(value);
        rest = after;
    }
    Ok(running)
}

/// The standard error of the final estimate, which must be that of the last running one.
fn error_of(estimate: &str, last: u64) -> Result<u64, String> {
    let line = estimate.lines().next().unwrap_or_default().trim();
    let parts =
        line.split_once(" +/- ").and_then(|(value, error)| Some((fixed(value, 4)?, fixed(error, 5)?)));
    let shown: String = line.chars().take(MOST_SHOWN).collect();
    match parts {
        None => Err(format!("the final estimate of llama-perplexity is not a number: {shown}")),
        Some((value, _)) if value != last => {
            Err(format!("the final estimate of llama-perplexity, {shown}, is not what it printed before"))
        }
        Some((_, error)) => Ok(error),
    }
}

/// It reads no text of fewer than two chunks, and ends with exit code 0 all the same.
fn too_short(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("you need at least ")?;
    let needed = number_before(rest, " tokens")?;
    let (_, rest) = rest.split_once("tokenizes to only ")?;
    let found = number_before(rest, " tokens")?;
    Some(format!("the text has {found} tokens of this model, and two chunks need {needed}"))
}

fn number_before(text: &str, unit: &str) -> Option<u32> {
    text.split_once(unit)?.0.trim().parse().ok()
}

/// A decimal number with that many digits after the point, as an integer of the last of them. `None`: it is none, or too
/// large.
fn fixed(text: &str, digits: usize) -> Option<u64> {
    let (whole, fraction) = text.trim().split_once('.')?;
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) || whole.len() > MOST_DIGITS || fraction.len() != digits {
        return None;
    }
    format!("{whole}{fraction}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As b11434 printed it, both streams in one file: SmolLM2-135M on a processor, 12 chunks of 128 tokens.
    const REAL: &str = include_str!("recorded-b11434.txt");
    /// Likewise, of a text that has too few tokens.
    const SHORT: &str = include_str!("recorded-short-b11434.txt");

    fn reason(text: &str) -> String {
        match read(text) {
            PerplexityOutcome::Missing { reason } => reason,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_real_output() {
        let PerplexityOutcome::Value(value) = read(REAL) else { panic!("{:?}", read(REAL)) };
        assert_eq!(value.running.len(), 12);
        assert_eq!((value.running[0], value.running[11], value.error), (357_021, 229_302, Some(205_065)));
        assert_eq!(value.perplexity(), 22.9302);
    }

    #[test]
    fn a_text_of_too_few_tokens() {
        assert_eq!(reason(SHORT), "the text has 1539 tokens of this model, and two chunks need 2048");
    }

    #[test]
    fn what_a_driver_says_between_the_chunks_does_no_harm() {
        let noisy = REAL.replace("[7]", "0.00.001 W ggml_vulkan: [warning] slow\n[7]");
        assert_eq!(read(&noisy), read(REAL));
    }

    #[test]
    fn what_is_no_number_is_said_to_be_none() {
        for printed in ["nan", "-nan", "inf", "1234567890123.0000"] {
            let text = REAL.replace("24.2037", printed);
            let expected = PerplexityOutcome::NotFinite { chunk: 4, printed: printed.to_owned() };
            assert_eq!(read(&text), expected);
        }
    }

    #[test]
    fn an_error_of_0_is_none() {
        let final_line = REAL.lines().find(|line| line.contains(FINAL)).unwrap();
        let text = REAL.replace(final_line, "E Unexpected negative standard deviation of log(prob)");
        let value = read(&text).value().cloned().unwrap();
        assert_eq!((value.running.len(), value.error), (12, None));
    }

    #[test]
    fn what_is_cut_or_contradicts_itself_is_missing() {
        assert_eq!(reason(""), "llama-perplexity says nothing of chunks");
        let cut = REAL.split_once("[5]").unwrap().0;
        assert_eq!(reason(cut), "llama-perplexity announced 12 chunks and printed 4");
        let (before, _) = REAL.split_once(FINAL).unwrap();
        assert_eq!(reason(before), "llama-perplexity printed no final estimate");
        let other = REAL.replace("PPL = 22.9302", "PPL = 22.9303");
        assert!(reason(&other).contains("is not what it printed before"), "{}", reason(&other));
        let odd = REAL.replace("+/- 2.05065", "+/- ?");
        assert!(reason(&odd).contains("is not a number: 22.9302 +/- ?"), "{}", reason(&odd));
    }
}
