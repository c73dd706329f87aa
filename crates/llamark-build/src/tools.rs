//! cmake, ninja and the compilers: where they are and what they call themselves.
//!
//! cmake and ninja come from `PATH` when they are new enough, else as pinned wheels in a private virtual
//! environment in the cache: no root, no package of the distribution.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files;
use llamark_process::{Command, Interrupt, RunOptions, run};
use llamark_record::Sha256;
use llamark_record::plan::BackendKind;

use crate::error::BuildError;
use crate::event::Event;
use crate::machine::Machine;
use crate::probe;

/// The tools of a build: paths, and what they call themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tools {
    pub(crate) cmake: Utf8PathBuf,
    pub(crate) ninja: Utf8PathBuf,
    pub(crate) cc: Utf8PathBuf,
    pub(crate) cxx: Utf8PathBuf,
    /// By name, for the build key.
    pub(crate) identities: BTreeMap<String, String>,
}

/// cmake that knows the HIP language and presets of today.
const CMAKE: (u32, u32) = (3, 21);
/// cmake that knows `CMAKE_CUDA_ARCHITECTURES=native`.
const CMAKE_FOR_CUDA: (u32, u32) = (3, 24);
/// ninja that llama.cpp's generated files need.
const NINJA: (u32, u32) = (1, 8);

/// What pip installs: exact versions, and the digests of their wheels for Linux (glibc and musl) and macOS, on
/// x86-64 and 64-bit ARM. Any other file is refused before it is unpacked.
const PINS: &str = "\
cmake==4.4.4 \
--hash=sha256:f773a0544c66370408f451acd487c2c643b0dfebb48c5d64f3638bc1bb820238 \
--hash=sha256:b3029f586853e01ddf2824c1ff124a1c5284f8ae897994758e9c4eeb45903b58 \
--hash=sha256:ed50c732a82ac04f6e5606a0677ddfb49dda9ee130f9d4163c5df217e478417e \
--hash=sha256:e2d98233f16b5d6b9d4673a0a724ce801fc413811befb8f0b008cbffb7a2ad63 \
--hash=sha256:883962a72b1b3a16ff445427f24c8caca9797dd9e563bbe208cbcd89e877f9d3
ninja==1.13.2 \
--hash=sha256:65a24341b5ac09fcadcc37082660be40a94174e51a937fabf6e2cae26225fa2c \
--hash=sha256:d775a5e43e9088f507a6250d57fcf5678eb31268c545feb5064ffeee33735622 \
--hash=sha256:915bd482c4be41c75120fd67a22e0bb3f0fbb3bbc5f95b89787deadd59e27ef2 \
--hash=sha256:0e083700470c02ca154a855ae6d692d03564f5064cae52e113896f9ccc078418 \
--hash=sha256:fd82e26c0706ad4ab88e5fdd26f3fab0a987a90f810160f6c322e752c6af298b
";

/// The longest that the installation may take: 40 MB over a slow line.
const INSTALL_LIMIT: Duration = Duration::from_secs(1800);

/// Finds the tools, and installs cmake and ninja into the cache where `PATH` has none that will do.
pub(crate) fn find(
    cache: &Utf8Path,
    machine: &Machine,
    kind: BackendKind,
    compilers: (Option<&str>, Option<&str>),
    environment: &BTreeMap<String, String>,
    interrupt: &Interrupt,
    observer: &dyn Fn(Event),
) -> Result<Tools, BuildError> {
    let root = Utf8Path::new("/");
    let ask = |program: &Utf8Path, args: &[&str]| probe::answer(program, args, root, environment, interrupt);
    let needed = if kind == BackendKind::Cuda { CMAKE_FOR_CUDA } else { CMAKE };
    let in_path = |name: &str, least: (u32, u32)| -> Option<(Utf8PathBuf, String)> {
        let path = machine.program(name)?;
        // One that does not run is as good as none.
        let text = probe::first_line(&ask(&path, &["--version"]).ok()?);
        (version_of(&text)? >= least).then_some((path, text))
    };
    let compiler = |given: Option<&str>, variable: &str| -> Result<(Utf8PathBuf, String), BuildError> {
        let path = match given {
            Some(given) => machine.program(given),
            None => compiler_path(machine, variable),
        };
        // The requirements were checked before, except where the author names the compiler.
        let path = path.unwrap_or_else(|| Utf8PathBuf::from(given.unwrap_or("cc")));
        let version = probe::first_line(&ask(&path, &["--version"])?);
        let target = ask(&path, &["-dumpmachine"]).map(|text| probe::first_line(&text)).unwrap_or_default();
        Ok((path, format!("{version} [{target}]")))
    };
    // All at the same time: this is done at every call of llamark, also when there is nothing to build.
    let (found, cc, cxx) = std::thread::scope(|scope| {
        let cc = scope.spawn(|| compiler(compilers.0, "CC"));
        let cxx = scope.spawn(|| compiler(compilers.1, "CXX"));
        let cmake = scope.spawn(|| in_path("cmake", needed));
        let ninja = in_path("ninja", NINJA);
        ((joined(cmake), ninja), joined(cc), joined(cxx))
    });
    let (cc, cxx) = (cc?, cxx?);
    let (cmake, ninja) = match found {
        (Some(cmake), Some(ninja)) => (cmake, ninja),
        (cmake, ninja) => {
            let folder = install(cache, machine, interrupt, observer)?;
            let installed = |path: Utf8PathBuf| -> Result<(Utf8PathBuf, String), BuildError> {
                let text = probe::first_line(&ask(&path, &["--version"])?);
                Ok((path, text))
            };
            let cmake = cmake.map_or_else(|| installed(cmake_in(&folder)), Ok)?;
            (cmake, ninja.map_or_else(|| installed(folder.join("bin/ninja")), Ok)?)
        }
    };
    let identities = [("cmake", &cmake.1), ("ninja", &ninja.1), ("cc", &cc.1), ("cxx", &cxx.1)]
        .map(|(name, text)| (name.to_owned(), text.clone()));
    Ok(Tools { cmake: cmake.0, ninja: ninja.0, cc: cc.0, cxx: cxx.0, identities: identities.into() })
}

/// What a thread gave; its panic continues here.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The compiler that `CC` or `CXX` names, or else the first of the usual ones.
pub(crate) fn compiler_path(machine: &Machine, variable: &str) -> Option<Utf8PathBuf> {
    if let Some(given) = machine.variable(variable) {
        return machine.program(given.split_whitespace().next()?);
    }
    let usual = if variable == "CC" { ["cc", "gcc", "clang"] } else { ["c++", "g++", "clang++"] };
    usual.iter().find_map(|name| machine.program(name))
}

/// The first two numbers in a line such as `cmake version 3.25.1` or `1.13.2.git`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let mut numbers = text[start..]
        .split('.')
        .map(|part| part.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()));
    Some((numbers.next()??, numbers.next()??))
}

/// The program itself where it can be found: what the wheel puts into `bin/` is a Python script around it.
fn cmake_in(folder: &Utf8Path) -> Utf8PathBuf {
    let versions = fs_err::read_dir(folder.join("lib").as_std_path()).into_iter().flatten().flatten();
    versions
        .filter_map(|entry| Utf8PathBuf::try_from(entry.path()).ok())
        .map(|python| python.join("site-packages/cmake/data/bin/cmake"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| folder.join("bin/cmake"))
}

/// Makes the private environment unless it is there, and gives its folder.
///
/// A virtual environment cannot be moved after it was made, so it is made under its last name; the file
/// `complete` is written last, and a folder without it is thrown away.
fn install(
    cache: &Utf8Path,
    machine: &Machine,
    interrupt: &Interrupt,
    observer: &dyn Fn(Event),
) -> Result<Utf8PathBuf, BuildError> {
    let tools = cache.join("tools");
    let name = format!("cmake-ninja-{}", Sha256::of_bytes(PINS.as_bytes()).short());
    let folder = tools.join(&name);
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(folder);
    }
    let python = machine.program("python3").ok_or(BuildError::NoPython)?;
    files::create_dir_all(&tools)?;
    let lock_path = tools.join(format!("{name}.lock"));
    observer(Event::Tools { what: "cmake and ninja: installing pinned wheels into the cache".to_owned() });
    let _lock = files::Lock::exclusive_unless(&lock_path, INSTALL_LIMIT, &|| interrupt.is_set())?;
    if complete.is_file() {
        return Ok(folder);
    }
    let log = tools.join(format!("{name}.log"));
    files::write_atomic(&log, b"")?;
    files::remove_folder(&folder)?;
    let pins = tools.join(format!("{name}.txt"));
    files::write_atomic(&pins, PINS.as_bytes())?;

    let mut environment = llamark_process::base_environment();
    // What the user told pip about indexes, certificates and proxies; nothing of it weakens the digests.
    let pips = machine.environment.iter().filter(|(name, _)| name.starts_with("PIP_"));
    environment.extend(pips.map(|(name, value)| (name.clone(), value.clone())));
    environment.extend([
        ("PATH".to_owned(), machine.path().to_owned()),
        ("PIP_DISABLE_PIP_VERSION_CHECK".to_owned(), "1".to_owned()),
        ("PIP_NO_INPUT".to_owned(), "1".to_owned()),
    ]);
    let in_venv = folder.join("bin/python3");
    let steps: [(&'static str, Utf8PathBuf, Vec<&str>); 2] = [
        ("make a Python environment", python, vec!["-m", "venv", folder.as_str()]),
        (
            "install the wheels",
            in_venv,
            vec![
                "-m",
                "pip",
                "install",
                "--no-deps",
                "--require-hashes",
                "--only-binary",
                ":all:",
                "-r",
                pins.as_str(),
            ],
        ),
    ];
    for (step, program, args) in steps {
        let command = Command::new(program, tools.clone()).args(args).envs(environment.clone());
        let options = RunOptions {
            timeout: Some(INSTALL_LIMIT),
            log: Some(&log),
            interrupt,
            on_line: None,
            stdin: None,
        };
        let output = run(&command, options)?;
        if !output.success() {
            return Err(BuildError::Tools { step, why: why_not(&output), log });
        }
    }
    files::write_atomic(&complete, b"")?;
    Ok(folder)
}

/// The line of pip or venv that says what went wrong: the first error, else the last line.
fn why_not(output: &llamark_process::Output) -> String {
    let lines = || output.stderr.lines().chain(output.stdout.lines()).map(str::trim);
    lines()
        .find(|line| line.contains("ensurepip") || line.starts_with("ERROR:"))
        .map_or_else(|| probe::last_words(output), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (text, version) in [
            ("cmake version 3.25.1", Some((3, 25))),
            ("cmake version 4.4.4-rc1", Some((4, 4))),
            ("1.13.2.git.kitware.jobserver-pipe-1", Some((1, 13))),
            ("1.8", Some((1, 8))),
            ("none", None),
            ("7", None),
        ] {
            assert_eq!(version_of(text), version, "{text}");
        }
        assert!(version_of("cmake version 3.9.6") < Some(CMAKE));
    }

    #[test]
    fn every_pin_is_an_exact_version_with_digests() {
        for line in PINS.lines() {
            let mut words = line.split_whitespace();
            assert!(words.next().unwrap().contains("=="), "{line}");
            let digests: Vec<_> = words.map(|word| word.strip_prefix("--hash=sha256:").unwrap()).collect();
            assert_eq!(digests.len(), 5);
            assert!(digests.iter().all(|digest| digest.parse::<Sha256>().is_ok()));
        }
        assert_eq!(PINS.lines().count(), 2);
    }
}
