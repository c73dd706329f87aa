//! The only place that prints: people read standard error, programs read standard output.

use std::io::{IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};

use crate::cli::{Color, Global};
use crate::exit::{Exit, Failed, OrFail as _};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default();
const DONE: Style = AnsiColor::Green.on_default().bold();
const STEP: Style = AnsiColor::Green.on_default().bold();

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    quiet: bool,
    verbose: bool,
    color: bool,
}

impl Terminal {
    /// As the options say.
    pub(crate) fn new(global: &Global) -> Self {
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let choice = anstream::AutoStream::choice(&std::io::stderr());
                choice != anstream::ColorChoice::Never
            }
        };
        let choice = if color { anstream::ColorChoice::Always } else { anstream::ColorChoice::Never };
        choice.write_global();
        Self { quiet: global.quiet, verbose: global.verbose, color }
    }

    /// Whether text for people may be colored.
    pub(crate) fn color(self) -> bool {
        self.color
    }

    /// Whether the curious are asking.
    pub(crate) fn is_verbose(self) -> bool {
        self.verbose
    }

    /// Whether standard error is a terminal on which a line may be drawn again.
    pub(crate) fn is_live(self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// Columns of the terminal, at most 120; 100 if there is none.
    pub(crate) fn width(self) -> u16 {
        let size = terminal_size::terminal_size_of(std::io::stderr());
        size.map_or(100, |(width, _)| width.0.clamp(60, 120))
    }

    /// Something that was done, as `    Fetched llama.cpp b11434`.
    pub(crate) fn step(self, verb: &str, text: &str) {
        if !self.quiet {
            line(&format!("{STEP}{verb:>12}{STEP:#} {text}"));
        }
    }

    /// Text for people, as it is.
    pub(crate) fn text(self, text: &str) {
        if !self.quiet {
            line(text);
        }
    }

    /// Text that says what is wrong; printed even when little is wanted.
    pub(crate) fn problem(self, text: &str) {
        line(text.trim_end());
    }

    /// Something that only the curious want to know.
    pub(crate) fn detail(self, text: &str) {
        if self.verbose {
            line(&format!("{NOTE}{:>12}{NOTE:#} {text}", "note"));
        }
    }

    /// Something that is wrong and does not stop us.
    pub(crate) fn warn(self, text: &str) {
        line(&format!("{WARNING}warning{WARNING:#}: {text}"));
    }

    /// Good news at the end.
    pub(crate) fn done(self, text: &str) {
        if !self.quiet {
            line(&format!("{DONE}done{DONE:#}: {text}"));
        }
    }

    /// The error that ends the command: what happened, its causes, and what to do.
    pub(crate) fn error(self, failed: &Failed) {
        let mut causes = failed.error.chain();
        let mut previous = causes.next().map(ToString::to_string).unwrap_or_default();
        let mut text = format!("{ERROR}error{ERROR:#}: {previous}");
        for cause in causes {
            let cause = cause.to_string();
            // Some errors print their source themselves.
            if !previous.contains(&cause) {
                text.push_str(&format!("\n  {NOTE}cause{NOTE:#}: {cause}"));
            }
            previous = cause;
        }
        if !failed.hint.is_empty() {
            text.push_str(&format!("\n   {NOTE}help{NOTE:#}: {}", failed.hint));
        }
        line(&text);
    }

    /// Data, to standard output. A reader that went away (`| head`) is not an error; a full disk is.
    pub(crate) fn data(self, bytes: &[u8]) -> Result<(), Failed> {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                self.detail("standard output was closed");
                Ok(())
            }
            Err(error) => Err(anyhow::Error::new(error).context("cannot write to standard output"))
                .or_fail_hint(Exit::BadInput, "what was written so far is incomplete"),
        }
    }

    /// A value as JSON, to standard output.
    pub(crate) fn json<T: serde::Serialize>(self, value: &T) -> Result<(), Failed> {
        let mut text = serde_json::to_vec_pretty(value).or_fail(Exit::Internal)?;
        text.push(b'\n');
        self.data(&text)
    }
}

/// One line to standard error; a closed standard error is not a reason to stop measuring.
fn line(text: &str) {
    let mut err = anstream::stderr().lock();
    let written = writeln!(err, "{text}");
    drop(written);
}
