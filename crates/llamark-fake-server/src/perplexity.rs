//! llama-perplexity: what the program is when it is called so. A word of the text is a token, and every chunk has the
//! perplexity of the behaviour.

use std::io::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::arguments::Arguments;
use crate::behaviour::{Behaviour, Version};
use crate::log::Log;
use crate::process;

/// How it behaves as llama-perplexity.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Perplexity {
    /// What it prints as the perplexity: a number, or `nan`.
    pub printed: String,
    /// The same on a device, where that is another.
    pub on_device: Option<String>,
    /// Time for each chunk, ms.
    pub chunk_ms: f64,
    /// After the first chunk it does nothing any more.
    pub hang: bool,
    /// After the first chunk it dies of this signal.
    pub die: Option<i32>,
}

impl Default for Perplexity {
    fn default() -> Self {
        Self { printed: "20.0000".to_owned(), on_device: None, chunk_ms: 0.0, hang: false, die: None }
    }
}

/// Whether a program of that name is llama-perplexity.
pub(crate) fn is_perplexity(program: &str) -> bool {
    std::path::Path::new(program).file_name().is_some_and(|name| name == "llama-perplexity")
}

/// Its life.
pub(crate) fn run(behaviour: &Behaviour, given: &[String]) -> Result<u8, Box<dyn std::error::Error>> {
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    let help = match behaviour.version {
        Version::B11434 => include_str!("help-perplexity-b11434.txt"),
        Version::Y2025 => include_str!("help-perplexity-2025.txt"),
    };
    if given.iter().any(|arg| arg == "--help" || arg == "-h") {
        stdout.write_all(help.as_bytes())?;
        return Ok(0);
    }
    let arguments = match Arguments::parse(given, help) {
        Ok(arguments) => arguments,
        Err(message) => {
            writeln!(stderr, "{message}")?;
            return Ok(1);
        }
    };
    let log = Log::new(behaviour.version, arguments.verbosity());
    log.load(behaviour, &arguments, || {});
    let own = &behaviour.perplexity;
    let text = fs_err::read_to_string(arguments.get("-f").unwrap_or_default())?;
    let context = arguments.number("-c").unwrap_or(512).max(1);
    let tokens = u32::try_from(text.split_whitespace().count())?;
    if tokens < 2 * context {
        let needed = 2 * context;
        log.line('E', &format!("perplexity: you need at least {needed} tokens to evaluate perplexity with a context of {context}"));
        log.line('E', &format!("perplexity: the data file you provided tokenizes to only {tokens} tokens"));
        return Ok(0);
    }
    let chunks = (tokens / context).min(arguments.number("--chunks").unwrap_or(u32::MAX));
    log.line('I', &format!("perplexity: calculating perplexity over {chunks} chunks, n_ctx={context}, batch_size=2048, n_seq=1"));
    let on_device = own.on_device.as_ref().filter(|_| arguments.device().is_some());
    let printed = on_device.unwrap_or(&own.printed);
    for chunk in 1..=chunks {
        std::thread::sleep(Duration::from_secs_f64(own.chunk_ms / 1e3));
        write!(stdout, "[{chunk}]{printed},")?;
        stdout.flush()?;
        if let Some(signal) = own.die {
            process::die(signal);
        }
        if own.hang {
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
    }
    writeln!(stdout)?;
    let line = match printed.parse::<f64>() {
        Ok(value) if value.is_finite() => format!("Final estimate: PPL = {printed} +/- {:.5}", value / 10.0),
        _ => "Unexpected negative standard deviation of log(prob)".to_owned(),
    };
    log.line('I', &line);
    Ok(0)
}
