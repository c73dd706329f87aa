//! The command: one file per verb, events to the terminal, errors to exit codes.

mod bisect;
mod cli;
mod confirm;
mod context;
mod display;
mod estimate;
mod exit;
mod inputs;
mod load;
mod lock_file;
mod noise_file;
mod reproduce;
mod resolve;
mod sealing;
mod session;
mod signature;
mod terminal;
mod time_stamp;
mod turns;
mod verb;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use llamark_process::Interrupt;

use crate::cli::{Cli, Verb};
use crate::context::Context;
use crate::exit::{Exit, Failed, OrFail as _, Outcome};
use crate::terminal::Terminal;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way too, and go to standard output.
            let printed = error.print();
            drop(printed);
            let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if is_help { Exit::Done } else { Exit::BadInput }.into();
        }
    };
    let terminal = Terminal::new(&cli.global);
    match dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(failed) => {
            terminal.error(&failed);
            failed.exit.into()
        }
    }
}

fn dispatch(cli: Cli) -> Outcome {
    // First of all, while there is one thread: whatever we spawn must not outlive us.
    let guard = llamark_process::guard().or_fail(Exit::Internal)?;
    let interrupt = Interrupt::new();
    watch_signals(interrupt.clone(), finishes_its_record(&cli.verb))?;
    let context = Context::new(&cli.global, interrupt)?;
    let outcome = match cli.verb {
        Verb::Validate(args) => verb::validate::run(&context, &args),
        Verb::Plan(args) => verb::plan::run(&context, &args),
        Verb::Lock(args) => verb::lock::run(&context, &args),
        Verb::Build(args) => verb::build::run(&context, &args),
        Verb::Run(args) => verb::run::run(&context, &args),
        Verb::Report(args) => verb::report::run(&context, &args),
        Verb::Calibrate(args) => verb::calibrate::run(&context, &args),
        Verb::Diff(args) => verb::diff::run(&context, &args),
        Verb::Bisect(args) => verb::bisect::run(&context, &args),
        Verb::Import(args) => verb::import::run(&context, &args),
        Verb::Export(args) => verb::export::run(&context, &args),
        Verb::Verify(args) => verb::verify::run(&context, &args),
        Verb::Sign(args) => verb::sign::run(&context, &args),
        Verb::Inspect(args) => verb::inspect::run(&context, &args),
        Verb::Doctor(args) => verb::doctor::run(&context, &args),
        Verb::List(args) => verb::list::run(&context, &args),
        Verb::Gc(args) => verb::gc::run(&context, &args),
        Verb::Schema(args) => verb::schema::run(&context, &args),
        Verb::Completions(args) => verb::completions::run(&context, &args),
    };
    drop(guard);
    outcome
}

/// Whether a verb has something to bring to an end when it is interrupted: a server, a compiler, a download, a record. What
/// only reads ends at once.
fn finishes_its_record(verb: &Verb) -> bool {
    match verb {
        Verb::Lock(_) | Verb::Build(_) | Verb::Run(_) | Verb::Calibrate(_) | Verb::Bisect(_) => true,
        Verb::Diff(args) => args.confirm.is_some(),
        Verb::Validate(_)
        | Verb::Plan(_)
        | Verb::Report(_)
        | Verb::Import(_)
        | Verb::Export(_)
        | Verb::Verify(_)
        | Verb::Sign(_)
        | Verb::Inspect(_)
        | Verb::Doctor(_)
        | Verb::List(_)
        | Verb::Gc(_)
        | Verb::Schema(_)
        | Verb::Completions(_) => false,
    }
}

/// The first INT, TERM or HUP asks everything to stop and finish its record, if there is one (`patient`); the next
/// ends us at once (the guard then kills what we spawned). Under `nohup`, HUP stays ignored.
fn watch_signals(interrupt: Interrupt, patient: bool) -> Result<(), Failed> {
    use tokio::signal::unix::{SignalKind, signal};

    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().or_fail(Exit::Internal)?;
    let mut signals = {
        let _inside = runtime.enter();
        let listen = |kind| signal(kind).or_fail(Exit::Internal);
        let hangup = if hangup_is_ignored() { None } else { Some(listen(SignalKind::hangup())?) };
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, hangup)
    };
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let mut is_first = patient;
            loop {
                tokio::select! {
                    _ = signals.0.recv() => {}
                    _ = signals.1.recv() => {}
                    () = next(signals.2.as_mut()) => {}
                }
                if is_first {
                    interrupt.set();
                    is_first = false;
                } else {
                    #[expect(
                        clippy::exit,
                        reason = "nothing is to be finished, or the user asked twice; the journal is consistent at any instant"
                    )]
                    std::process::exit(i32::from(Exit::Interrupted as u8));
                }
            }
        });
    });
    Ok(())
}

/// The next signal, or never.
async fn next(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether HUP was ignored when we started: the kernel's mask of ignored signals has bit 0 for signal 1.
fn hangup_is_ignored() -> bool {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
