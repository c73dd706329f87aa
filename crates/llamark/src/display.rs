//! Where we are: one live line on a terminal, plain lines elsewhere. Consumes the events of the doers.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use llamark_bench::Progress;

use crate::terminal::Terminal;

/// A plain line at most this often, where no line can be drawn again.
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);

/// The live line and the plain lines.
pub(crate) struct Display {
    terminal: Terminal,
    bar: Option<ProgressBar>,
    last_plain: Cell<Option<Instant>>,
    phase: RefCell<String>,
}

impl Display {
    /// Nothing is shown yet.
    pub(crate) fn new(terminal: Terminal) -> Self {
        let bar = terminal.is_live().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) =
                ProgressStyle::with_template("{prefix:>12.cyan.bold} {wide_msg} {elapsed:.dim}")
            {
                bar.set_style(style);
            }
            bar
        });
        Self { terminal, bar, last_plain: Cell::new(None), phase: RefCell::new(String::new()) }
    }

    /// Something that is done stays on the screen.
    pub(crate) fn step(&self, verb: &str, text: &str) {
        self.above(|terminal| terminal.step(verb, text));
    }

    /// Something that is wrong and does not stop us.
    pub(crate) fn warn(&self, text: &str) {
        self.above(|terminal| terminal.warn(text));
    }

    /// Something for the curious.
    pub(crate) fn detail(&self, text: &str) {
        self.above(|terminal| terminal.detail(text));
    }

    /// What is going on now.
    pub(crate) fn now(&self, verb: &str, text: &str) {
        let is_new = *self.phase.borrow() != verb;
        if is_new {
            verb.clone_into(&mut self.phase.borrow_mut());
        }
        match &self.bar {
            Some(bar) => {
                if is_new {
                    bar.reset_elapsed();
                }
                bar.set_prefix(verb.to_owned());
                bar.set_message(text.to_owned());
                bar.tick();
            }
            None => {
                let is_due = self.last_plain.get().is_none_or(|last| last.elapsed() >= PLAIN_INTERVAL);
                if is_new || is_due {
                    self.last_plain.set(Some(Instant::now()));
                    self.terminal.step(verb, text);
                }
            }
        }
    }

    /// The live line is taken away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.phase.borrow_mut().clear();
    }

    /// An event of a fetch.
    pub(crate) fn fetch(&self, event: llamark_fetch::Event) {
        use llamark_fetch::Event;
        match event {
            Event::Downloading { what, done, total } => self.now("Downloading", &share(&what, done, total)),
            Event::Hashing { what, done, total } => self.now("Hashing", &share(&what, done, Some(total))),
            Event::Making { what, done, total } => self.now("Making", &share(&what, done, Some(total))),
            Event::Unpacking { what } => self.now("Unpacking", &what),
            Event::Waiting { what } => self.now("Waiting", &format!("another llamark is fetching {what}")),
            Event::Hit { what } => self.detail(&format!("{what} is in the cache")),
        }
    }

    /// An event of a build.
    pub(crate) fn build(&self, event: llamark_build::Event) {
        use llamark_build::Event;
        match event {
            Event::Tools { what } => self.now("Preparing", &what),
            Event::Configuring { build } => self.now("Configuring", &build),
            Event::Compiling { build, done, total } => {
                self.now("Compiling", &format!("{build} [{done}/{total}]"));
            }
            Event::Reused { build, key } => {
                self.detail(&format!("build {build} is in the cache as {}", key.short()));
            }
            Event::Waiting { build, path } => {
                self.now("Waiting", &format!("another llamark is building {build} ({path})"));
            }
            Event::Finished { build, key, took } => {
                self.step("Compiled", &format!("{build} in {} (key {})", duration(took), key.short()));
            }
        }
    }

    /// Where a start is. `place` is "case i of n", `left` the time that the rest takes, if it can be told.
    pub(crate) fn start(&self, place: &str, left: Option<Duration>, progress: &Progress) {
        let left = left.map_or_else(String::new, |left| format!(", ~{} left", duration(left)));
        match progress {
            Progress::Spawned => self.now("Starting", &format!("{place}{left}")),
            Progress::Loading { elapsed } => {
                self.now("Loading", &format!("{place}: {}{left}", duration(*elapsed)));
            }
            Progress::Ready { load } => {
                self.detail(&format!("{place}: ready after {} ms", load.as_millis()));
            }
            Progress::Run { index, of, warmup, tokens, of_tokens, pp, tg } => {
                let kind = if *warmup { "warm-up" } else { "run" };
                let rate = |name: &str, value: &Option<f64>| {
                    value.map_or_else(String::new, |value| format!(", {name} {value:.1} tok/s"))
                };
                // The phase that is going on: the line is short.
                let rates = if tg.is_some() { rate("tg", tg) } else { rate("pp", pp) };
                self.now(
                    "Measuring",
                    &format!("{place}: {kind} {index} of {of}, token {tokens} of {of_tokens}{rates}{left}"),
                );
            }
            Progress::RunDone | Progress::Stopped => {}
            Progress::Stopping => self.now("Stopping", &format!("{place}{left}")),
        }
    }

    fn above(&self, print: impl FnOnce(Terminal)) {
        match &self.bar {
            Some(bar) => bar.suspend(|| print(self.terminal)),
            None => print(self.terminal),
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `what 35% of 94 MiB`.
fn share(what: &str, done: u64, total: Option<u64>) -> String {
    use llamark_report::format::bytes;
    match total {
        Some(total) if total > 0 => {
            format!("{what} {}% of {}", done.saturating_mul(100) / total, bytes(total))
        }
        _ => format!("{what} {}", bytes(done)),
    }
}

/// `1h02m`, `3m05s`, `12s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        3600.. => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        60.. => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{seconds}s"),
    }
}
