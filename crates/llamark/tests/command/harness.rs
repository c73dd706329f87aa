//! A box with an engine (the fake server), models, an experiment, and folders of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// The command.
const LLAMARK: &str = env!("CARGO_BIN_EXE_llamark");

/// A machine with nothing on it but what the test puts there.
pub(crate) struct Box {
    pub(crate) root: TempDir,
}

impl Box {
    /// With an engine, and no experiment.
    pub(crate) fn new() -> Self {
        let root = TempDir::new().unwrap();
        let this = Self { root };
        std::fs::create_dir_all(this.path("engine")).unwrap();
        std::fs::create_dir_all(this.path("models")).unwrap();
        std::fs::copy(fake_server(), this.path("engine/llama-server")).unwrap();
        this
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A model of that name, on which the fake server behaves so.
    pub(crate) fn model(&self, name: &str, behaviour: &str) -> &Self {
        std::fs::write(self.path("models").join(format!("{name}.gguf")), behaviour).unwrap();
        self
    }

    /// An experiment over these models, with this protocol.
    pub(crate) fn experiment(&self, models: &[&str], protocol: &str) -> PathBuf {
        // The baseline of telemetry takes half a second of every start.
        let telemetry = if protocol.contains("telemetry") { "" } else { "telemetry: { rate: off }, " };
        // A test of something else has no canary, which would ask each server once more and start another for each model.
        let canary = if protocol.contains("canary") { "" } else { "canary: false, " };
        let mut text = format!(
            "schema: llamark/experiment/v1\nname: box\nengine: {{ source: {{ prebuilt: engine }} }}\n\
             backends: {{ cpu: {{ label: CPU }} }}\nprompts: {{ p: {{ text: Tell me a story about a fox. }} }}\n\
             protocol: {{ prompt: p, max_tokens: 8, context: 256, {telemetry}{canary}{protocol} }}\nmodels:\n"
        );
        for model in models {
            text.push_str(&format!("  - {{ name: {model}, source: {{ file: {model}.gguf }} }}\n"));
        }
        let path = self.path("box.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `llamark` with the folders of this box, in it.
    pub(crate) fn llamark(&self, args: &[&str]) -> Command {
        Command::from_std(self.command(&[&[LLAMARK], args].concat()))
    }

    /// It as a child that says nothing.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.spawn_below(&[], args)
    }

    /// It as a child of another program, and not of the test.
    pub(crate) fn spawn_below(&self, before: &[&str], args: &[&str]) -> Child {
        let mut command = self.command(&[before, &[LLAMARK], args].concat());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// It as a child whose standard error is read.
    pub(crate) fn spawn_to_read(&self, args: &[&str]) -> Child {
        let mut command = self.command(&[&[LLAMARK], args].concat());
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs it to the end with that standard output; gives its exit code, and what it said.
    pub(crate) fn run_into(&self, out: std::fs::File, args: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command(&[&[LLAMARK], args].concat());
        let output = command.stdout(out).stderr(Stdio::piped()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(words[0]);
        command
            .current_dir(self.root.path())
            .env("LLAMARK_CACHE", self.path("cache"))
            .env("LLAMARK_MODELS", self.path("models"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env_remove("LLAMARK_ARTIFACTS")
            .env_remove("LLAMARK_ALLOWED_SIGNERS")
            .env_remove("SSH_AUTH_SOCK")
            .env("NO_COLOR", "1")
            .args(&words[1..]);
        command
    }

    /// Runs it to the end; panics with both streams when the exit code is another.
    pub(crate) fn run(&self, args: &[&str], code: i32) -> (String, String) {
        let output: Output = self.llamark(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "llamark {args:?}\n-- stdout\n{out}\n-- stderr\n{err}");
        (out, err)
    }

    /// The folders of all sets that have their name, oldest first.
    pub(crate) fn sets(&self) -> Vec<PathBuf> {
        let Ok(folders) = std::fs::read_dir(self.path("artifacts/box")) else { return Vec::new() };
        let is_set =
            |path: &PathBuf| path.is_dir() && !path.file_name().unwrap().as_encoded_bytes().starts_with(b".");
        let mut sets: Vec<_> = folders.map(|entry| entry.unwrap().path()).filter(is_set).collect();
        sets.sort();
        sets
    }

    /// The newest of them.
    pub(crate) fn set(&self) -> PathBuf {
        self.sets().pop().unwrap()
    }

    /// No process of the box lives: no server, and nothing that was given its folders.
    pub(crate) fn nobody_is_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let mut left = self.servers();
            let mark = self.path("cache").to_str().unwrap().to_owned();
            for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
                let is_of_box = String::from_utf8_lossy(&environment).contains(&mark);
                left.extend(entry.file_name().to_str().unwrap().parse::<u32>().ok().filter(|_| is_of_box));
            }
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still there: {left:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Processes that run the engine of this box.
    pub(crate) fn servers(&self) -> Vec<u32> {
        let engine = self.path("engine/llama-server");
        processes_of(&engine)
    }

    /// Those of them that have that word in their command.
    pub(crate) fn servers_with(&self, word: &str) -> Vec<u32> {
        let has_word = |pid: &u32| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.split(|byte| *byte == 0).any(|given| given == word.as_bytes())
        };
        self.servers().into_iter().filter(has_word).collect()
    }
}

/// The events of that kind in the journal of a set, as far as it is written.
pub(crate) fn events(set: &Path, name: &str) -> Vec<Value> {
    let journal = std::fs::read_to_string(set.join("journal.jsonl")).unwrap_or_default();
    let entries = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries.filter_map(|entry| entry["event"].get(name).cloned()).collect()
}

/// Lines of a terminal as one.
pub(crate) fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Waits until it is so.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal (`-INT`) to a child that lives.
pub(crate) fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

/// Processes whose program is that file.
fn processes_of(program: &Path) -> Vec<u32> {
    let program = program.canonicalize().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        if std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == program) {
            found.push(pid);
        }
    }
    found
}

/// The fake server, which `cargo test` built as an example of this package.
fn fake_server() -> PathBuf {
    let command = Path::new(LLAMARK);
    let fake = command.parent().unwrap().join("examples/fake_server_of_the_command");
    assert!(
        fake.is_file(),
        "{} is missing: `cargo test` without the name of a test builds it, and so does `cargo build -p llamark --examples`",
        fake.display()
    );
    fake
}
