//! The life of the server around the measuring: its command, its empty home, what of the command is recorded.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_process::{Command, Server};
use llamark_record::Sha256;
use llamark_record::journal::{Failure, StartId};

use crate::failure;
use crate::flags::{self, LaunchRequest, Unsupported};
use crate::start::Start;

/// A server that can be spawned, and what the journal says about it.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The command itself.
    pub(crate) command: Command,
    /// Program and arguments, with the user's folders replaced.
    pub(crate) argv: Vec<String>,
    /// The whole environment, likewise.
    pub(crate) environment: BTreeMap<String, String>,
}

/// What the server calls itself: whoever answers to another name is not ours.
pub(crate) fn alias(id: &StartId) -> String {
    let name = format!("{}\n{}\n{}", id.case, id.start, id.attempt);
    format!("llamark-{}", Sha256::of_bytes(name.as_bytes()).short())
}

/// What is asked of the translator of settings.
pub(crate) fn request<'a>(start: &'a Start<'_>, alias: &'a str) -> LaunchRequest<'a> {
    LaunchRequest {
        settings: start.settings,
        is_cpu_build: start.backend.is_cpu(),
        is_on_processor: start.backend.is_on_processor(),
        device: &start.backend.device,
        backend_environment: &start.backend.environment,
        model: start.model,
        context: start.case.context,
        slots: start.case.concurrency.max(1),
        alias,
        scratch: start.scratch,
    }
}

/// The command that the plan asks for.
///
/// # Errors
/// When this binary cannot do it.
pub(crate) fn prepare(start: &Start<'_>, request: &LaunchRequest<'_>) -> Result<Launch, Unsupported> {
    Ok(launch(start, &start.build.server, flags::translate(start.help, request)?))
}

/// The command of a program of the build with these flags.
pub(crate) fn launch(start: &Start<'_>, program: &str, flags: flags::Launch) -> Launch {
    let program = start.build_folder.join(program);
    let mut argv = vec![hide(start, program.as_str())];
    argv.extend(flags.args.iter().map(|arg| hide(start, arg)));
    let environment =
        flags.environment.iter().map(|(name, value)| (name.clone(), hide(start, value))).collect();
    let command = Command::new(program, start.scratch).args(flags.args).envs(flags.environment);
    Launch { command, argv, environment }
}

/// The binary.
pub(crate) fn program(start: &Start<'_>) -> Utf8PathBuf {
    start.build_folder.join(&start.build.server)
}

/// Makes the home of the program, and spawns it.
///
/// # Errors
/// Why there is none.
pub(crate) fn spawn(start: &Start<'_>, launch: &Launch) -> Result<Server, Failure> {
    let make = |folder: &Utf8Path| fs_err::create_dir_all(folder).map_err(|error| failure::scratch(&error));
    make(start.scratch)?;
    make(start.log.parent().unwrap_or(Utf8Path::new(".")))?;
    for path in launch.command.env.iter().filter(|(name, _)| *name == "HOME" || name.starts_with("XDG_")) {
        if Utf8Path::new(path.1).starts_with(start.scratch) {
            make(Utf8Path::new(path.1))?;
        }
    }
    Server::spawn(&launch.command, start.log).map_err(|error| failure::spawn(&error))
}

/// Replaces the folders that say nothing but where this user keeps things: `{build}`, `{model}`, `{scratch}`.
pub(crate) fn hide(start: &Start<'_>, text: &str) -> String {
    let model = start.model.parent().unwrap_or(Utf8Path::new(""));
    let mut folders = [(start.build_folder, "{build}"), (model, "{model}"), (start.scratch, "{scratch}")];
    // The longest first: one may lie in another.
    folders.sort_by_key(|(folder, _)| std::cmp::Reverse(folder.as_str().len()));
    let mut text = text.to_owned();
    for (folder, name) in folders {
        text = replace_folder(&text, folder.as_str().trim_end_matches('/'), name);
    }
    text
}

/// Replaces `folder` where it is a whole path or the head of one.
fn replace_folder(text: &str, folder: &str, name: &str) -> String {
    if folder.is_empty() {
        return text.to_owned();
    }
    let is_part_of_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(folder) {
        result.push_str(before);
        let is_head = before.chars().next_back().is_some_and(|c| is_part_of_name(c) || c == '/');
        let is_cut = after.chars().next().is_some_and(is_part_of_name);
        result.push_str(if is_head || is_cut { folder } else { name });
        rest = after;
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_replaced_where_they_are_folders() {
        let replace = |text| replace_folder(text, "/m/models", "{model}");
        assert_eq!(replace("/m/models/a.gguf"), "{model}/a.gguf");
        assert_eq!(replace("/m/models"), "{model}");
        assert_eq!(replace("X=/m/models:/m/models/lib"), "X={model}:{model}/lib");
        assert_eq!(replace("/m/models2/a"), "/m/models2/a");
        assert_eq!(replace("/other/m/models/a"), "/other/m/models/a");
        assert_eq!(replace("--port"), "--port");
        assert_eq!(replace_folder("a", "", "{x}"), "a");
    }

    #[test]
    fn an_alias_for_each_attempt() {
        let id = |attempt| StartId { case: "a/b/c".into(), start: 1, attempt };
        assert_eq!(alias(&id(1)).len(), "llamark-".len() + 12);
        assert_ne!(alias(&id(1)), alias(&id(2)));
    }
}
