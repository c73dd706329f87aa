//! From a planned build to binaries in the cache: find the tools, compute the key, look, configure, compile, check
//! that it runs, and give the folder its name.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files::{self, FileError, TemporaryFolder};
use llamark_process::{Interrupt, ProcessError};
use llamark_record::Sha256;
use llamark_record::build::{BuildInputs, BuildRecord};
use llamark_record::plan::{BackendKind, Engine, PlannedBuild};

use crate::cmake;
use crate::dead_flags::{self, DeadFlag, Reason};
use crate::error::BuildError;
use crate::event::Event;
use crate::key::{BUILD_FORMAT, INPUTS_FORMAT, key_of, machine_name};
use crate::machine::Machine;
use crate::prebuilt::{self, Prebuilt};
use crate::requirements::{SPIRV_HEADERS, check_on, nvcc};
use crate::sdk;
use crate::store::{self, Entry, Look};
use crate::tools;
use crate::tree::Tree;
use crate::workshop::{Compile, Workshop, ask_server};

/// Makes builds, or finds them in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builder {
    /// The cache: `builds/`, `tools/` and `tmp/` are in it.
    pub cache: Utf8PathBuf,
    /// The machine that it is built on.
    pub machine: Machine,
    /// Compilers that run at the same time.
    pub jobs: usize,
}

/// Where the engine lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// A source tree of llama.cpp.
    Source {
        /// Its folder. Nothing is written into it.
        path: &'a Utf8Path,
        /// Its digest.
        tree: &'a Sha256,
    },
    /// A folder with binaries that somebody else made.
    Prebuilt {
        /// The folder.
        path: &'a Utf8Path,
    },
}

/// A build with its key: everything is known but whether it compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    build: PlannedBuild,
    key: Sha256,
    how: How,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum How {
    Compile(Box<Compile>),
    Prebuilt(Prebuilt),
    /// It is in the cache, whole.
    Recalled(Box<BuildRecord>),
}

/// A build that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What it is made of, and what came out.
    pub record: BuildRecord,
    /// The folder to which the paths in the record are relative.
    pub folder: Utf8PathBuf,
    /// Whether nothing had to be compiled.
    pub reused: bool,
}

impl Prepared {
    /// The build key.
    pub fn key(&self) -> &Sha256 {
        &self.key
    }

    /// Everything that decides the bytes of the build; absent for a prebuilt engine.
    pub fn inputs(&self) -> Option<&BuildInputs> {
        match &self.how {
            How::Compile(compile) => Some(&compile.inputs),
            How::Prebuilt(_) => None,
            How::Recalled(record) => record.inputs.as_ref(),
        }
    }
}

/// The longest that one waits for another process that makes the same build.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

impl Builder {
    /// A builder on this machine with this cache, using every processor that this process may use.
    pub fn new(cache: &Utf8Path) -> Self {
        let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { cache: cache.to_owned(), machine: Machine::here(), jobs }
    }

    /// The builds in the cache: folder, lock and key of each, whole or not, sorted.
    pub fn cached(&self) -> Vec<(Utf8PathBuf, Utf8PathBuf, Sha256)> {
        let Ok(entries) = self.cache.join("builds").read_dir_utf8() else { return Vec::new() };
        let keys = entries.flatten().filter_map(|entry| entry.file_name().parse::<Sha256>().ok());
        let mut all: Vec<_> = keys
            .map(|key| {
                let Entry { folder, lock, .. } = Entry::new(&self.cache, &key);
                (folder, lock, key)
            })
            .collect();
        all.sort();
        all
    }

    /// The build of that very key, if the cache has it, whole: without the engine, and whatever compiler is there now.
    pub fn recall(&self, build: &PlannedBuild, key: &Sha256) -> Option<Prepared> {
        match Entry::new(&self.cache, key).look(key) {
            Look::Hit(record) => {
                Some(Prepared { build: build.clone(), key: key.clone(), how: How::Recalled(record) })
            }
            Look::Nothing | Look::Damaged(_) => None,
        }
    }

    /// Checks the flags and the machine, finds the tools and computes the key. Compiles nothing.
    ///
    /// # Errors
    /// When something is not installed, a flag is known to do nothing, or the engine is none.
    pub fn prepare(
        &self,
        build: &PlannedBuild,
        engine: &Engine,
        origin: Origin<'_>,
        interrupt: &Interrupt,
        observer: &dyn Fn(Event),
    ) -> Result<Prepared, BuildError> {
        let (source, source_tree) = match origin {
            Origin::Source { path, tree } => (path, tree),
            Origin::Prebuilt { path } => {
                let prebuilt = prebuilt::read(path)?;
                let key = prebuilt.key.clone();
                return Ok(Prepared { build: build.clone(), key, how: How::Prebuilt(prebuilt) });
            }
        };
        if !source.join("CMakeLists.txt").is_file() {
            return Err(BuildError::NotAnEngine { path: source.to_owned() });
        }
        let source = source.canonicalize_utf8()?;
        let tree = Tree::read(&source)?;
        let mut dead = dead_flags::before_configure(&build.cmake, &tree);
        dead.extend(cmake::preset(build.kind).filter(|switch| !tree.declares(switch)).map(|switch| {
            DeadFlag {
                name: switch.to_owned(),
                reason: Reason::Unknown,
                instead: format!("it cannot build backend {}", build.kind.name()),
            }
        }));
        if !dead.is_empty() {
            return Err(BuildError::DeadFlags { build: build.id.clone(), flags: dead });
        }
        self.check_requirements(build, &tree)?;

        let environment = self.plain_environment();
        let compilers = (
            cmake::given(&build.cmake, "CMAKE_C_COMPILER"),
            cmake::given(&build.cmake, "CMAKE_CXX_COMPILER"),
        );
        let tools = tools::find(
            &self.cache,
            &self.machine,
            build.kind,
            compilers,
            &environment,
            interrupt,
            observer,
        )?;
        let architectures_given = cmake::names_architectures(&build.cmake);
        let sdk = sdk::facts(build.kind, &self.machine, architectures_given, &environment, interrupt)?;
        let cmake = cmake::variables(build.kind, engine, &tree, &build.cmake);
        let inputs = BuildInputs {
            format: INPUTS_FORMAT.to_owned(),
            source_tree: source_tree.clone(),
            kind: build.kind,
            machine: machine_name(&self.machine, cmake::is_native(&cmake)),
            cmake,
            targets: [&cmake::TARGETS.map(str::to_owned)[..], &build.extra_targets].concat(),
            tools: tools.identities.clone(),
            sdk,
            environment: self.machine.passed(),
        };
        let key = key_of(&inputs)?;
        let compile = Compile { source, tree, tools, inputs };
        Ok(Prepared { build: build.clone(), key, how: How::Compile(Box::new(compile)) })
    }

    /// What is missing is said before anything is configured, unless the author tells cmake where to look.
    fn check_requirements(&self, build: &PlannedBuild, tree: &Tree) -> Result<(), BuildError> {
        if cmake::names_places(&build.cmake) {
            return Ok(());
        }
        let mut missing = check_on(build.kind, &self.machine);
        missing.retain(|one| one.what != SPIRV_HEADERS || tree.finds("SPIRV-Headers"));
        if missing.is_empty() { Ok(()) } else { Err(BuildError::Missing { kind: build.kind, missing }) }
    }

    /// The environment of a program that only tells its version.
    fn plain_environment(&self) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), self.machine.path().to_owned()),
            ("LANG".to_owned(), "C".to_owned()),
            ("LC_ALL".to_owned(), "C".to_owned()),
        ]);
        for name in ["LD_LIBRARY_PATH", "ROCM_PATH", "CUDA_PATH"] {
            environment.extend(self.machine.variable(name).map(|value| (name.to_owned(), value.to_owned())));
        }
        environment
    }

    /// Whether [`build`](Self::build) has nothing to compile. Another process may be about to.
    pub fn is_built(&self, prepared: &Prepared) -> bool {
        match &prepared.how {
            How::Prebuilt(_) | How::Recalled(_) => true,
            How::Compile(_) => {
                matches!(Entry::new(&self.cache, &prepared.key).look(&prepared.key), Look::Hit(_))
            }
        }
    }

    /// The build from the cache, or else compiled and put there. Two processes that want the same build do the
    /// work once. However it ends, the cache holds a whole entry or none.
    ///
    /// # Errors
    /// When it cannot be configured or compiled, does not run, or was interrupted.
    pub fn build(
        &self,
        prepared: &Prepared,
        interrupt: &Interrupt,
        observer: &dyn Fn(Event),
    ) -> Result<Built, BuildError> {
        let compile = match &prepared.how {
            How::Compile(compile) => compile,
            How::Prebuilt(prebuilt) => return self.use_prebuilt(prepared, prebuilt, interrupt),
            How::Recalled(record) => {
                let (build, key) = (prepared.build.id.clone(), prepared.key.clone());
                observer(Event::Reused { build, key });
                let folder = Entry::new(&self.cache, &prepared.key).folder;
                return Ok(Built { record: (**record).clone(), folder, reused: true });
            }
        };
        let entry = Entry::new(&self.cache, &prepared.key);
        let reuse = |record: Box<BuildRecord>| {
            let (build, key) = (prepared.build.id.clone(), prepared.key.clone());
            observer(Event::Reused { build, key });
            Built { record: *record, folder: entry.folder.clone(), reused: true }
        };
        // An entry gets its name as a whole, so looking needs no lock.
        if let Look::Hit(record) = entry.look(&prepared.key) {
            return Ok(reuse(record));
        }
        files::create_dir_all(&self.cache.join("builds"))?;
        let _lock = wait_for(&entry.lock, &prepared.build.id, interrupt, observer)?;
        match entry.look(&prepared.key) {
            Look::Hit(record) => return Ok(reuse(record)),
            Look::Nothing => {}
            Look::Damaged(why) => {
                observer(Event::Tools { what: format!("rebuilding a damaged build: {why}") });
                files::remove_folder(&entry.folder)?;
            }
        }
        self.compile(prepared, compile, &entry, interrupt, observer)
    }

    fn compile(
        &self,
        prepared: &Prepared,
        compile: &Compile,
        entry: &Entry,
        interrupt: &Interrupt,
        observer: &dyn Fn(Event),
    ) -> Result<Built, BuildError> {
        let begun = Instant::now();
        let work = TemporaryFolder::create_in(&self.cache.join("tmp"))?;
        let workshop = Workshop {
            id: &prepared.build.id,
            compile,
            folder: work.path(),
            environment: self.environment(compile, work.path())?,
            log: &entry.log,
            interrupt,
            observer,
        };
        files::write_atomic(&entry.log, b"")?;
        let log = workshop.configure(&prepared.build)?;
        workshop.compile(self.jobs)?;
        let took = begun.elapsed();
        let record = workshop.stage(&prepared.key, log.facts, took)?;
        let stage = workshop.stage_folder();
        store::copy_file(&entry.log, &stage.join("build.log"))?;
        store::write_record(&stage, &record)?;
        // The lock is held and the place was empty.
        files::rename_folder(&stage, &entry.folder)?;
        files::remove_file(&entry.log)?;
        observer(Event::Finished { build: prepared.build.id.clone(), key: prepared.key.clone(), took });
        Ok(Built { record, folder: entry.folder.clone(), reused: false })
    }

    /// The whole environment of cmake, ninja and the compilers. `SOURCE_DATE_EPOCH`, `CFLAGS` and whatever else is
    /// not on the list do not reach them; git finds no repository around the source.
    fn environment(
        &self,
        compile: &Compile,
        work: &Utf8Path,
    ) -> Result<BTreeMap<String, String>, BuildError> {
        let mut environment = self.machine.passed();
        let mut default = |name: &str, value: &Utf8Path| {
            environment.entry(name.to_owned()).or_insert_with(|| value.to_string());
        };
        default("CC", &compile.tools.cc);
        default("CXX", &compile.tools.cxx);
        if compile.inputs.kind == BackendKind::Cuda
            && let Some(nvcc) = nvcc(&self.machine)
        {
            default("CUDACXX", &nvcc);
        }
        let mut set = |name: &str, value: &str| environment.insert(name.to_owned(), value.to_owned());
        for (name, folder) in [("HOME", "home"), ("TMPDIR", "tmp")] {
            let folder = work.join(folder);
            files::create_dir_all(&folder)?;
            set(name, folder.as_str());
        }
        set("PATH", &with_ninja(self.machine.path(), &compile.tools.ninja));
        set("LANG", "C");
        set("LC_ALL", "C");
        set("NINJA_STATUS", "[%f/%t] ");
        set("GIT_CONFIG_NOSYSTEM", "1");
        set("GIT_TERMINAL_PROMPT", "0");
        set("GIT_CEILING_DIRECTORIES", compile.source.parent().unwrap_or(Utf8Path::new("/")).as_str());
        if compile.source.join(".git").exists() {
            // The repository is not part of the tree digest, so nothing of it may get into the binaries.
            set("GIT_DIR", work.join("no-repository").as_str());
        }
        Ok(environment)
    }

    fn use_prebuilt(
        &self,
        prepared: &Prepared,
        prebuilt: &Prebuilt,
        interrupt: &Interrupt,
    ) -> Result<Built, BuildError> {
        let home = TemporaryFolder::create_in(&self.cache.join("tmp"))?;
        let mut environment = self.plain_environment();
        environment.insert("HOME".to_owned(), home.path().to_string());
        let server = prebuilt.folder.join(&prebuilt.server);
        let answers = ask_server(&server, home.path(), &environment, &prepared.build.id, interrupt)?;
        let record = BuildRecord {
            format: BUILD_FORMAT.to_owned(),
            key: prepared.key.clone(),
            inputs: None,
            files: prebuilt.files.clone(),
            server: prebuilt.server.clone(),
            bench: prebuilt.bench.clone(),
            version: answers.version,
            devices: answers.devices,
            configure_facts: answers.remarks,
            took_ms: 0,
        };
        Ok(Built { record, folder: prebuilt.folder.clone(), reused: true })
    }
}

/// Takes the lock of a key, and says so when it has to wait.
fn wait_for(
    path: &Utf8Path,
    build: &str,
    interrupt: &Interrupt,
    observer: &dyn Fn(Event),
) -> Result<files::Lock, BuildError> {
    if let Some(lock) = files::Lock::try_exclusive(path)? {
        return Ok(lock);
    }
    observer(Event::Waiting { build: build.to_owned(), path: path.to_owned() });
    match files::Lock::exclusive_unless(path, LONGEST_WAIT, &|| interrupt.is_set()) {
        Err(FileError::Locked { .. }) if interrupt.is_set() => {
            Err(ProcessError::Interrupted { command: format!("waiting for {path}") }.into())
        }
        result => Ok(result?),
    }
}

/// `PATH` followed by the folder of ninja: a project that configures another one within its build, as that of the
/// Vulkan shaders, looks for it there.
fn with_ninja(path: &str, ninja: &Utf8Path) -> String {
    match ninja.parent() {
        Some(folder) if path.split(':').all(|known| known != folder) => format!("{path}:{folder}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninja_is_in_the_path_once_and_last() {
        assert_eq!(
            with_ninja("/usr/bin:/bin", Utf8Path::new("/cache/tools/bin/ninja")),
            "/usr/bin:/bin:/cache/tools/bin"
        );
        assert_eq!(with_ninja("/usr/bin:/bin", Utf8Path::new("/usr/bin/ninja")), "/usr/bin:/bin");
    }
}
