//! One configure and compile in a folder that is thrown away, and what a server says of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files;
use llamark_process::{Command, Interrupt, RunOptions, run};
use llamark_record::Sha256;
use llamark_record::build::{BuildInputs, BuildRecord};
use llamark_record::plan::PlannedBuild;

use crate::cache_txt::CacheTxt;
use crate::cmake;
use crate::compile_error::{Finding, FirstError, progress};
use crate::configure_log::ConfigureLog;
use crate::error::BuildError;
use crate::event::Event;
use crate::key::BUILD_FORMAT;
use crate::tools::Tools;
use crate::tree::Tree;
use crate::{dead_flags, probe, store};

/// What a compile needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compile {
    /// The source tree. Nothing is written into it.
    pub(crate) source: Utf8PathBuf,
    /// The variables that it knows.
    pub(crate) tree: Tree,
    /// cmake, ninja and the compilers.
    pub(crate) tools: Tools,
    /// Everything that decides the bytes.
    pub(crate) inputs: BuildInputs,
}

/// One configure and compile, in a folder that is thrown away.
pub(crate) struct Workshop<'a> {
    pub(crate) id: &'a str,
    pub(crate) compile: &'a Compile,
    pub(crate) folder: &'a Utf8Path,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) log: &'a Utf8Path,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) observer: &'a dyn Fn(Event),
}

impl Workshop<'_> {
    fn build_folder(&self) -> Utf8PathBuf {
        self.folder.join("build")
    }

    pub(crate) fn stage_folder(&self) -> Utf8PathBuf {
        self.folder.join("stage")
    }

    pub(crate) fn configure(&self, build: &PlannedBuild) -> Result<ConfigureLog, BuildError> {
        (self.observer)(Event::Configuring { build: self.id.to_owned() });
        let Compile { source, tree, tools, inputs } = self.compile;
        let folder = self.build_folder();
        let args = cmake::configure_args(source, &folder, &tools.ninja, &inputs.cmake);
        let command = Command::new(&tools.cmake, self.folder).args(args).envs(self.environment.clone());
        let options = RunOptions {
            timeout: None,
            log: Some(self.log),
            interrupt: self.interrupt,
            on_line: None,
            stdin: None,
        };
        let output = run(&command, options)?;
        let log = ConfigureLog::parse(&format!("{}\n{}", output.stdout, output.stderr));
        if !output.success() {
            let finding = log.error.unwrap_or_else(|| Finding {
                place: None,
                message: probe::last_words(&output),
                context: Vec::new(),
            });
            return Err(BuildError::Configure {
                build: self.id.to_owned(),
                ending: output.ending(),
                finding: Box::new(finding),
                log: self.log.to_owned(),
            });
        }
        let cache = fs_err::read(folder.join("CMakeCache.txt"))?;
        let cache = CacheTxt::parse(&String::from_utf8_lossy(&cache));
        let flags = dead_flags::after_configure(&build.cmake, tree, &cache, &log, build.kind);
        if !flags.is_empty() {
            return Err(BuildError::DeadFlags { build: self.id.to_owned(), flags });
        }
        let backend = cmake::backend_name(build.kind);
        let is_switched_on = cmake::preset(build.kind).is_none_or(|switch| cache.is_on(switch));
        if !is_switched_on || !log.backends.iter().any(|included| included == backend) {
            let log = self.log.to_owned();
            return Err(BuildError::BackendLeftOut { build: self.id.to_owned(), backend, log });
        }
        Ok(log)
    }

    pub(crate) fn compile(&self, jobs: usize) -> Result<(), BuildError> {
        let mut args =
            vec!["-C".to_owned(), self.build_folder().into_string(), "-j".to_owned(), jobs.to_string()];
        args.extend(self.compile.inputs.targets.iter().cloned());
        let command =
            Command::new(&self.compile.tools.ninja, self.folder).args(args).envs(self.environment.clone());
        let mut first_error = FirstError::default();
        let mut on_line = |line: &str| {
            first_error.line(line);
            if let Some((done, total)) = progress(line) {
                (self.observer)(Event::Compiling { build: self.id.to_owned(), done, total });
            }
        };
        let options = RunOptions {
            timeout: None,
            log: Some(self.log),
            interrupt: self.interrupt,
            on_line: Some(&mut on_line),
            stdin: None,
        };
        let output = run(&command, options)?;
        if output.success() {
            return Ok(());
        }
        Err(BuildError::Compile {
            build: self.id.to_owned(),
            ending: output.ending(),
            finding: Box::new(first_error.finding()),
            log: self.log.to_owned(),
        })
    }

    /// Copies what belongs into the cache, throws the build folder away, and checks that the copy runs without
    /// it.
    pub(crate) fn stage(
        &self,
        key: &Sha256,
        mut facts: Vec<String>,
        took: Duration,
    ) -> Result<BuildRecord, BuildError> {
        let (build, stage) = (self.build_folder(), self.stage_folder());
        let built = build.join(store::BINARIES);
        let server = built.join("llama-server");
        if !server.is_file() {
            return Err(BuildError::NothingBuilt {
                build: self.id.to_owned(),
                path: Utf8PathBuf::from(store::SERVER),
                log: self.log.to_owned(),
            });
        }
        files::create_dir_all(&stage.join(store::BINARIES))?;
        store::copy_binaries(&built, &stage.join(store::BINARIES))?;
        for name in ["CMakeCache.txt", "compile_commands.json"] {
            if build.join(name).is_file() {
                store::copy_file(&build.join(name), &stage.join(name))?;
            }
        }
        files::remove_folder(&build)?;
        let answers =
            ask_server(&stage.join(store::SERVER), self.folder, &self.environment, self.id, self.interrupt)?;
        facts.extend(answers.remarks);
        let files = store::identities(&stage, store::BINARIES, |_| true)?;
        let bench = files.iter().any(|file| file.name == store::BENCH);
        Ok(BuildRecord {
            format: BUILD_FORMAT.to_owned(),
            key: key.clone(),
            inputs: Some(self.compile.inputs.clone()),
            files,
            server: store::SERVER.to_owned(),
            bench: bench.then(|| store::BENCH.to_owned()),
            version: answers.version,
            devices: answers.devices,
            configure_facts: facts,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// What a server says of itself.
pub(crate) struct Answers {
    pub(crate) version: String,
    pub(crate) devices: Vec<String>,
    pub(crate) remarks: Vec<String>,
}

/// Asks the server for its version, which it must know, and for its devices.
pub(crate) fn ask_server(
    server: &Utf8Path,
    cwd: &Utf8Path,
    environment: &BTreeMap<String, String>,
    build: &str,
    interrupt: &Interrupt,
) -> Result<Answers, BuildError> {
    let mut environment = environment.clone();
    environment.insert("GGML_NO_BACKTRACE".to_owned(), "1".to_owned());
    let (command, output) = probe::ask(server, &["--version"], cwd, &environment, interrupt)?;
    if !output.success() {
        return Err(BuildError::DoesNotRun {
            build: build.to_owned(),
            command: command.display(),
            ending: output.ending(),
            why: probe::last_words(&output),
        });
    }
    // It is on standard error in every version that was seen; nothing hangs on it.
    let version = probe::one_line(&format!("{}\n{}", output.stdout, output.stderr));
    let (_, output) = probe::ask(server, &["--list-devices"], cwd, &environment, interrupt)?;
    let mut remarks = Vec::new();
    if !output.success() {
        remarks.push(format!(
            "--list-devices ended with {}: {}",
            output.ending(),
            probe::last_words(&output)
        ));
    }
    Ok(Answers { version, devices: devices(&output.stdout), remarks })
}

/// The lines after `Available devices:`; older versions print nothing when there is none, newer ones `(none)`.
fn devices(text: &str) -> Vec<String> {
    text.lines()
        .skip_while(|line| !line.starts_with("Available devices:"))
        .skip(1)
        .map(str::trim)
        .filter(|line| !line.is_empty() && *line != "(none)")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_several_versions() {
        let vulkan =
            "Available devices:\n  Vulkan0: llvmpipe (LLVM 15.0.6, 256 bits) (2048 MiB, 2048 MiB free)\n";
        assert_eq!(devices(vulkan), ["Vulkan0: llvmpipe (LLVM 15.0.6, 256 bits) (2048 MiB, 2048 MiB free)"]);
        assert!(devices("Available devices:\n  (none)\n").is_empty());
        assert!(devices("Available devices:\n").is_empty());
        assert!(devices("").is_empty());
    }
}
