//! Small questions to programs: which version are you.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8Path;
use llamark_process::{Command, Interrupt, Output, ProcessError, RunOptions, run};

use crate::error::BuildError;

/// A program that does not tell its version within this time is broken.
const LIMIT: Duration = Duration::from_secs(60);
/// "Text file busy": the program was written a moment ago, and a process that another thread just forked still
/// holds it open for writing.
const TEXT_BUSY: i32 = 26;

/// Runs `program` and gives what it printed, however it ended.
pub(crate) fn ask(
    program: &Utf8Path,
    args: &[&str],
    cwd: &Utf8Path,
    environment: &BTreeMap<String, String>,
    interrupt: &Interrupt,
) -> Result<(Command, Output), BuildError> {
    let command = Command::new(program, cwd).args(args.iter().copied()).envs(environment.clone());
    for _ in 0..50 {
        match run(&command, RunOptions { timeout: Some(LIMIT), ..RunOptions::new(interrupt) }) {
            Err(ProcessError::Spawn { source, .. }) if source.raw_os_error() == Some(TEXT_BUSY) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return Ok((command, result?)),
        }
    }
    let output = run(&command, RunOptions { timeout: Some(LIMIT), ..RunOptions::new(interrupt) })?;
    Ok((command, output))
}

/// As [`ask`], where anything but success is an error.
pub(crate) fn answer(
    program: &Utf8Path,
    args: &[&str],
    cwd: &Utf8Path,
    environment: &BTreeMap<String, String>,
    interrupt: &Interrupt,
) -> Result<String, BuildError> {
    let (command, output) = ask(program, args, cwd, environment, interrupt)?;
    if output.success() {
        return Ok(output.stdout);
    }
    Err(BuildError::NoVersion {
        command: command.display(),
        ending: output.ending(),
        why: last_words(&output),
    })
}

/// The last line that a program printed, of its errors first.
pub(crate) fn last_words(output: &Output) -> String {
    let last =
        |text: &str| text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
    last(&output.stderr).or_else(|| last(&output.stdout)).unwrap_or_else(|| "it printed nothing".to_owned())
}

/// The first line that is not empty.
pub(crate) fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

/// All lines that are not empty, joined.
pub(crate) fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
