//! What a binary of llama-server can do: its flags and its version, as it states them itself.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_process::{Command, Interrupt, Output, ProcessError, RunOptions};
use serde::{Deserialize, Serialize};

/// What `--help` and `--version` of a llama-server say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerHelp {
    /// Every argument, in the order of the help.
    pub arguments: Vec<Argument>,
    /// The line that starts with `version:`, without that word; empty when there is none.
    pub version: String,
    /// llama.cpp's build number; absent when it does not say.
    pub build_number: Option<u32>,
    /// llama.cpp's commit, as the binary states it; absent when it does not say.
    pub commit: Option<String>,
    /// The value of `--verbosity` that prints devices and buffers, where it is not the default: the level that the
    /// help calls `trace`. Absent in versions that print them anyway.
    pub trace_verbosity: Option<u32>,
}

/// One argument, by all of its names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// Names, as in `["-fa", "--flash-attn"]`.
    pub names: Vec<String>,
    /// What the help shows for the value, as in `N`; empty when it takes none.
    pub value: String,
    /// Words that the help lists as values; empty when it lists none. Numbers that it takes besides are not here.
    pub accepted: Vec<String>,
    /// Listed, and refused: "the argument has been removed".
    pub removed: bool,
}

/// The binary could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It could not be run to its end.
    #[error("cannot ask {server} what it can do")]
    Run {
        /// The binary.
        server: Utf8PathBuf,
        /// Why.
        #[source]
        source: ProcessError,
    },
    /// It ended with an error.
    #[error("`{command}` ended with {ending}: {said}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        ending: String,
        /// The last line that it printed.
        said: String,
    },
    /// What it printed has no argument that a llama-bench has.
    #[error("{bench} does not answer as a llama-bench does: its `--help` has no `--n-prompt`")]
    NotABench {
        /// The binary.
        bench: Utf8PathBuf,
    },
    /// What it printed has no argument that a llama-perplexity has.
    #[error("{program} does not answer as a llama-perplexity does: its `--help` has no `--chunks`")]
    NotAPerplexity {
        /// The binary.
        program: Utf8PathBuf,
    },
    /// What it printed has no argument that a llama-server has.
    #[error("{server} does not answer as a llama-server does: its `--help` has no `--model`")]
    NotAServer {
        /// The binary.
        server: Utf8PathBuf,
    },
}

/// How long a binary may take to say what it can do. The first start of a CUDA build reads a gigabyte of libraries.
const LIMIT: Duration = Duration::from_secs(60);

impl ServerHelp {
    /// The argument of that name, unless this binary refuses it.
    pub fn argument(&self, name: &str) -> Option<&Argument> {
        self.arguments
            .iter()
            .find(|argument| !argument.removed && argument.names.iter().any(|own| own == name))
    }

    /// The first of these names that this binary takes.
    pub fn first<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.argument(name).is_some())
    }
}

/// Asks a binary what it can do: runs it with `--help` and `--version`.
///
/// # Errors
/// When it cannot be run, fails, or is no llama-server.
pub fn probe(
    server: &Utf8Path,
    environment: &BTreeMap<String, String>,
    interrupt: &Interrupt,
) -> Result<ServerHelp, ProbeError> {
    let help = ask(server, "--help", environment, interrupt)?;
    let version = ask(server, "--version", environment, interrupt)?;
    // b11434 and 2025 alike: the help on stdout, the version on stderr. Warnings may be on either.
    let known = parse_help(&help.stdout, &format!("{}\n{}", version.stderr, version.stdout));
    if known.argument("--model").is_none() {
        return Err(ProbeError::NotAServer { server: server.to_owned() });
    }
    Ok(known)
}

/// Asks a llama-bench what it can do: runs it with `--help`.
///
/// # Errors
/// When it cannot be run, fails, or is no llama-bench.
pub fn probe_bench(
    bench: &Utf8Path,
    environment: &BTreeMap<String, String>,
    interrupt: &Interrupt,
) -> Result<ServerHelp, ProbeError> {
    let help = ask(bench, "--help", environment, interrupt)?;
    let known = parse_bench_help(&format!("{}\n{}", help.stdout, help.stderr));
    if known.argument("--n-prompt").is_none() {
        return Err(ProbeError::NotABench { bench: bench.to_owned() });
    }
    Ok(known)
}

/// Asks a llama-perplexity what it can do: runs it with `--help`, which is laid out as a server's.
///
/// # Errors
/// When it cannot be run, fails, or is no llama-perplexity.
pub fn probe_perplexity(
    program: &Utf8Path,
    environment: &BTreeMap<String, String>,
    interrupt: &Interrupt,
) -> Result<ServerHelp, ProbeError> {
    let help = ask(program, "--help", environment, interrupt)?;
    let known = parse_help(&help.stdout, "");
    if known.argument("--chunks").is_none() {
        return Err(ProbeError::NotAPerplexity { program: program.to_owned() });
    }
    Ok(known)
}

/// The devices that a binary sees, one a line, as in `Vulkan0: llvmpipe (2048 MiB, 2048 MiB free)`. The processor is
/// never among them.
///
/// # Errors
/// When it cannot be run, or fails.
pub fn list_devices(
    server: &Utf8Path,
    environment: &BTreeMap<String, String>,
    interrupt: &Interrupt,
) -> Result<Vec<String>, ProbeError> {
    Ok(parse_devices(&ask(server, "--list-devices", environment, interrupt)?.stdout))
}

fn ask(
    server: &Utf8Path,
    question: &str,
    environment: &BTreeMap<String, String>,
    interrupt: &Interrupt,
) -> Result<Output, ProbeError> {
    let folder = server.parent().filter(|folder| !folder.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
    let command = Command::new(server, folder).arg(question).envs(environment.clone());
    let options = RunOptions { timeout: Some(LIMIT), ..RunOptions::new(interrupt) };
    let output = llamark_process::run(&command, options)
        .map_err(|source| ProbeError::Run { server: server.to_owned(), source })?;
    if !output.success() {
        let text = format!("{}\n{}", output.stdout, output.stderr);
        let said = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing");
        let said = said.chars().take(300).collect();
        return Err(ProbeError::Failed { command: command.display(), ending: output.ending(), said });
    }
    Ok(output)
}

/// Reads the output of `--list-devices`.
fn parse_devices(text: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| !line.starts_with("Available devices")).skip(1);
    lines
        .take_while(|line| line.starts_with(' '))
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty() && line != "(none)")
        .collect()
}

/// Reads the output of `--help` and of `--version`.
pub fn parse_help(help: &str, version: &str) -> ServerHelp {
    let mut known = parse_version(version);
    let mut lines = help.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((names, value, first)) = parse_head(line) else { continue };
        let mut description = vec![first.trim()];
        while let Some(more) = lines.next_if(|line| line.starts_with(' ') || line.is_empty()) {
            description.push(more.trim());
        }
        if names.iter().any(|name| name == "--verbosity" || name == "--log-verbosity") {
            known.trace_verbosity = bullets(&description)
                .find(|(_, meaning)| meaning.starts_with("trace"))
                .and_then(|(level, _)| level.parse().ok());
        }
        let accepted = accepted(&value, &description);
        let removed = description.join(" ").contains("argument has been removed");
        known.arguments.push(Argument { names, value, accepted, removed });
    }
    known
}

/// Reads the output of `--help` of a llama-bench, which indents its arguments by two spaces.
pub fn parse_bench_help(help: &str) -> ServerHelp {
    let lines: Vec<&str> = help.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
    parse_help(&lines.join("\n"), "")
}

/// The names, the value and the head of the description in the first line of an argument:
/// `-fa,   --flash-attn [on|off|auto]       set Flash Attention use`.
fn parse_head(line: &str) -> Option<(Vec<String>, String, &str)> {
    let is_name = |word: &str| {
        let body = word.trim_start_matches('-');
        word.starts_with('-') && body.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    let mut names = Vec::new();
    let mut rest = line;
    loop {
        let end = rest.find([' ', ',']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if !is_name(name) {
            return None;
        }
        names.push(name.to_owned());
        rest = after;
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => break,
        }
    }
    // One space before a value, several before the description.
    let (value, description) = match rest.strip_prefix(' ') {
        Some(value) if !value.starts_with(' ') => value.split_once("  ").unwrap_or((value, "")),
        _ => ("", rest),
    };
    Some((names, value.trim().to_owned(), description))
}

/// The values that the help of an argument lists, in whichever of its ways.
fn accepted(value: &str, description: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |word: &str| {
        let is_value =
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-.".contains(&b));
        if is_value && !found.iter().any(|own| own == word) {
            found.push(word.to_owned());
        }
    };
    let listed =
        [('[', ']', '|'), ('{', '}', ','), ('<', '>', '|')].into_iter().find_map(|(open, close, between)| {
            let inside = value.strip_prefix(open)?.strip_suffix(close)?;
            inside.contains(between).then(|| inside.split(between))
        });
    listed.into_iter().flatten().for_each(|word| add(word.trim()));
    let text = description.join(" ");
    if let Some((_, list)) = text.split_once("allowed values:") {
        list.split('(').next().unwrap_or_default().split(',').for_each(|word| add(word.trim()));
    }
    bullets(description).for_each(|(word, _)| add(word));
    // `'on', 'off', or 'auto'`: every second piece is inside quotes.
    text.split('\'').skip(1).step_by(2).for_each(&mut add);
    found
}

/// The items of a list in a description: `- none: no special loading mode`.
fn bullets<'a>(description: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    description.iter().filter_map(|line| {
        let (word, meaning) = line.strip_prefix("- ")?.split_once(':')?;
        Some((word.split(' ').next()?, meaning.trim()))
    })
}

/// `version: 0.6.0-dev (build 11434, commit abc)`, or as it was in 2025: `version: 6123 (4227c9b)`.
fn parse_version(text: &str) -> ServerHelp {
    let mut known = ServerHelp::default();
    let Some(line) = text.lines().find_map(|line| line.trim().strip_prefix("version:")) else { return known };
    known.version = line.trim().to_owned();
    let Some((head, inside)) = known.version.split_once('(') else { return known };
    let inside = inside.trim_end_matches(')');
    if let Some((build, commit)) = inside.split_once(',') {
        known.build_number = build.trim().strip_prefix("build").and_then(|number| number.trim().parse().ok());
        known.commit = commit.trim().strip_prefix("commit").map(|commit| commit.trim().to_owned());
    } else {
        known.build_number = head.trim().parse().ok();
        known.commit = Some(inside.trim().to_owned()).filter(|commit| !commit.is_empty());
    }
    known
}

#[cfg(test)]
mod tests;
