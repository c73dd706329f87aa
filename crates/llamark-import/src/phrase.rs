//! The small phrases of a report: numbers, durations, counts of parameters, names. Exact, or refused with the reason.

use llamark_record::plan::BackendKind;
use llamark_record::stated::Decimal;

use crate::published::{BackendName, Estimate, Method, Parameters, Run};

/// Why a phrase does not read, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) help: String,
}

/// A refusal with what was expected.
fn refuse<T>(text: &str, what: &str, help: impl Into<String>) -> Result<T, Refusal> {
    let shown: String = text.chars().take(60).collect();
    let message =
        if shown.is_empty() { format!("{what} is missing") } else { format!("`{shown}` is not {what}") };
    Err(Refusal { message, help: help.into() })
}

/// A decimal number.
pub(crate) fn decimal(text: &str) -> Result<Decimal, Refusal> {
    if let Ok(decimal) = Decimal::try_from(text.to_owned()) {
        return Ok(decimal);
    }
    let help = if text.contains(',') {
        "a comma may separate thousands or a fraction; in a copy, write the number without it, or with a point"
    } else {
        "expected digits, optionally with a point and more digits"
    };
    refuse(text, "a decimal number", help)
}

/// A whole number.
pub(crate) fn whole(text: &str) -> Result<u32, Refusal> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if is_digits => Ok(number),
        _ => refuse(text, "a whole number", "expected digits"),
    }
}

/// `696.0 ±104.7`; of a single run, `696.0`.
pub(crate) fn estimate(text: &str, runs: Option<u32>) -> Result<Estimate, Refusal> {
    let example = "as in `696.0 ±104.7`";
    match text.split_once('±') {
        Some((mean, spread)) => {
            Ok(Estimate { mean: decimal(mean.trim())?, spread: Some(decimal(spread.trim())?) })
        }
        None if text.contains("+-") || text.contains("+/-") => {
            refuse(text, "a mean and its spread", "in a copy, write ± between them")
        }
        None if runs == Some(1) => Ok(Estimate { mean: decimal(text)?, spread: None }),
        None => refuse(text, "a mean and its spread", format!("expected both, {example}")),
    }
}

/// `10s`, `1m30s` in ms; a dash where nothing is stated.
pub(crate) fn load(text: &str) -> Result<Option<u64>, Refusal> {
    if matches!(text, "—" | "n/a") {
        return Ok(None);
    }
    let help = "expected minutes and seconds, as in `10s` or `1m30s`; `—` means that there is none";
    let milliseconds = || {
        let (minutes, seconds) = match text.split_once('m') {
            Some((minutes, seconds)) => (whole(minutes).ok()?, seconds),
            None => (0, text),
        };
        let seconds = decimal(seconds.strip_suffix('s')?).ok()?;
        let (whole_seconds, fraction) = seconds.as_str().split_once('.').unwrap_or((seconds.as_str(), ""));
        if fraction.len() > 3 || whole_seconds.len() > 6 || (text.contains('m') && seconds.value() >= 60.0) {
            return None;
        }
        let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
        Some(u64::from(minutes) * 60_000 + whole_seconds.parse::<u64>().ok()? * 1000 + thousandths)
    };
    milliseconds().map_or_else(|| refuse(text, "a load time", help), |ms| Ok(Some(ms)))
}

/// A count of parameters as an experiment has it too: `30B`, `~4B`.
fn count(text: &str) -> Result<String, Refusal> {
    let number = text.strip_prefix('~').unwrap_or(text);
    let digits = number.strip_suffix(['K', 'M', 'B', 'T']).unwrap_or_default();
    match Decimal::try_from(digits.to_owned()) {
        Ok(decimal) if decimal.decimals() <= 3 && digits.len() <= 8 => Ok(text.to_owned()),
        _ => refuse(text, "a number of parameters", "as in `30B` or `~4B`"),
    }
}

/// In the summary: `30B (3B MoE)`, `3.8B`.
pub(crate) fn short_parameters(text: &str) -> Result<Parameters, Refusal> {
    let Some((total, rest)) = text.split_once(" (") else {
        return Ok(Parameters { total: count(text)?, active: None });
    };
    match rest.strip_suffix(" MoE)") {
        Some(active) => Ok(Parameters { total: count(total)?, active: Some(count(active)?) }),
        None => refuse(text, "a number of parameters", "as in `3.8B` or `30B (3B MoE)`"),
    }
}

/// In a section: `30B total / 3B active (MoE)`, `3.8B (dense)`.
pub(crate) fn long_parameters(text: &str) -> Result<Parameters, Refusal> {
    if let Some(total) = text.strip_suffix(" (dense)") {
        return Ok(Parameters { total: count(total)?, active: None });
    }
    let moe = text.strip_suffix(" active (MoE)").and_then(|text| text.split_once(" total / "));
    match moe {
        Some((total, active)) => Ok(Parameters { total: count(total)?, active: Some(count(active)?) }),
        None => {
            refuse(text, "a number of parameters", "as in `3.8B (dense)` or `30B total / 3B active (MoE)`")
        }
    }
}

/// `~19 GiB`.
pub(crate) fn file_size(text: &str) -> Result<String, Refusal> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number = number.strip_prefix('~').unwrap_or(number);
    if matches!(unit, "MB" | "GB" | "TB" | "MiB" | "GiB" | "TiB") && decimal(number).is_ok() {
        return Ok(text.to_owned());
    }
    refuse(text, "the size of a file", "as in `~19 GiB`")
}

/// A backend by the first word of its name.
pub(crate) fn backend(text: &str) -> Result<BackendName, Refusal> {
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    match BackendKind::ALL.into_iter().find(|kind| kind.name() == first) {
        Some(kind) => Ok(BackendName { kind, label: text.to_owned() }),
        None => refuse(text, "a backend", "its name must begin with Vulkan, ROCm, CUDA or CPU"),
    }
}

/// `ROCm and CPU`, `ROCm, CUDA and CPU`.
pub(crate) fn backends(text: &str) -> Result<Vec<BackendName>, Refusal> {
    text.split(" and ").flat_map(|part| part.split(", ")).map(backend).collect()
}

/// `3-run average after 1 warmup; 128 max generated tokens; 8192 context`.
pub(crate) fn method(text: &str) -> Result<Method, Refusal> {
    let help = "as in `3-run average after 1 warmup; 128 max generated tokens; 8192 context`";
    let parts: Vec<&str> = text.split("; ").map(str::trim).collect();
    let [average, tokens, context] = parts.as_slice() else {
        return refuse(text, "the method: three parts between semicolons", help);
    };
    let numbers = || {
        let (runs, warmup) = average.split_once("-run average after ")?;
        let warmup = warmup.strip_suffix('s').unwrap_or(warmup).strip_suffix(" warmup")?;
        let tokens = tokens.strip_suffix(" max generated tokens")?;
        Some((runs, warmup, tokens, context.strip_suffix(" context")?))
    };
    let Some((runs, warmup, max_tokens, context)) = numbers() else {
        return refuse(text, "the method", help);
    };
    let method = Method {
        runs: whole(runs)?,
        warmup: whole(warmup)?,
        max_tokens: whole(max_tokens)?,
        context: whole(context)?,
    };
    if method.runs == 0 || method.runs > 1000 || method.max_tokens == 0 || method.context == 0 {
        return refuse(text, "a possible method", "it needs runs (at most 1000), tokens and a context");
    }
    Ok(method)
}

/// `Run 1: pp=575.11 tg=78.83 (prompt=587 tok, gen=128 tok)`.
pub(crate) fn run(text: &str) -> Result<Run, Refusal> {
    let parts = || {
        let (index, rest) = text.strip_prefix("Run ")?.split_once(": pp=")?;
        let (pp, rest) = rest.split_once(" tg=")?;
        let (tg, rest) = rest.split_once(" (prompt=")?;
        let (prompt, rest) = rest.split_once(" tok, gen=")?;
        Some((index, pp, tg, prompt, rest.strip_suffix(" tok)")?))
    };
    let Some((index, pp, tg, prompt, generated)) = parts() else {
        return refuse(text, "a run", "as in `Run 1: pp=575.11 tg=78.83 (prompt=587 tok, gen=128 tok)`");
    };
    Ok(Run {
        index: whole(index)?,
        pp: decimal(pp)?,
        tg: decimal(tg)?,
        prompt_tokens: whole(prompt)?,
        generated_tokens: whole(generated)?,
    })
}

/// The name of a prompt from what is said of it: `~600 tokens (infrastructure scenario)` is `infrastructure`.
pub(crate) fn prompt_name(text: &str) -> String {
    let inner = text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inner, _)| inner);
    let words = inner.unwrap_or_default().split_whitespace();
    let words: Vec<&str> = words.filter(|word| !matches!(*word, "scenario" | "prompt")).collect();
    let name = llamark_record::plan::model_id(&words.join(" "), "");
    if name.is_empty() { "prompt".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<T: std::fmt::Debug>(read: Result<T, Refusal>) -> String {
        read.unwrap_err().message
    }

    #[test]
    fn a_mean_and_its_spread() {
        let read = estimate("696.0 ±104.7", Some(3)).unwrap();
        assert_eq!(
            (read.mean.as_str(), read.spread.unwrap().as_str().to_owned()),
            ("696.0", "104.7".to_owned())
        );
        assert!(estimate("37 ± 0.0", Some(3)).is_ok() && estimate("37±0", None).is_ok());
        assert_eq!(estimate("37", Some(1)).unwrap().spread, None);
        for text in
            ["1,417 ±275", "696", "696 +- 3", "696 +/- 3", "696 ±", "± 3", "", "696 ±1 ±2", "6e2 ±1", "-1 ±1"]
        {
            assert!(estimate(text, Some(3)).is_err(), "{text}");
        }
        assert!(estimate("1,417 ±275", Some(3)).unwrap_err().help.contains("thousands or a fraction"));
    }

    #[test]
    fn times_to_load() {
        for (text, ms) in
            [("10s", 10_000), ("1m30s", 90_000), ("1m00s", 60_000), ("0.5s", 500), ("100s", 100_000)]
        {
            assert_eq!(load(text), Ok(Some(ms)), "{text}");
        }
        assert_eq!(load("—"), Ok(None));
        for text in ["", "10", "10 s", "1h", "1m", "1m90s", "m10s", "1m1m1s", "-", "10ms", "0.1234s"] {
            assert!(load(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parameters_of_both_tables() {
        assert_eq!(short_parameters("20B (~4B MoE)"), long_parameters("20B total / ~4B active (MoE)"));
        assert_eq!(short_parameters("3.8B"), long_parameters("3.8B (dense)"));
        for text in ["", "30", "B", "~B", "30B (3B)", "30B (MoE)", "30 B", "1.2345B"] {
            assert!(short_parameters(text).is_err(), "{text}");
        }
        assert!(long_parameters("30B").is_err() && long_parameters("30B total (MoE)").is_err());
    }

    #[test]
    fn the_method_in_one_line() {
        let read = method("3-run average after 1 warmup; 128 max generated tokens; 8192 context").unwrap();
        assert_eq!((read.runs, read.warmup, read.max_tokens, read.context), (3, 1, 128, 8192));
        assert!(method("0-run average after 1 warmup; 128 max generated tokens; 8192 context").is_err());
        assert!(method("3-run median after 1 warmup; 128 max generated tokens; 8192 context").is_err());
        assert!(method("3-run average after 1 warmup; 8192 context").is_err());
    }

    #[test]
    fn runs_are_read_whole_or_not_at_all() {
        let whole = "Run 1: pp=575.11 tg=78.83 (prompt=587 tok, gen=128 tok)";
        assert_eq!(run(whole).unwrap().pp.as_str(), "575.11");
        for end in 0..whole.len() {
            assert!(run(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
        assert_eq!(said(run("Run x: pp=1 tg=1 (prompt=1 tok, gen=1 tok)")), "`x` is not a whole number");
    }

    #[test]
    fn names_of_backends_and_prompts() {
        assert_eq!(backend("ROCm 7.2").unwrap().kind, BackendKind::Rocm);
        assert_eq!(backends("ROCm, CUDA and CPU").unwrap().len(), 3);
        assert!(backend("Metal").is_err() && backend("").is_err());
        assert_eq!(prompt_name("~600 tokens (infrastructure scenario)"), "infrastructure");
        assert_eq!(prompt_name("a story"), "prompt");
    }
}
