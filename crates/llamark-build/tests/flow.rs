//! The whole way from a planned build to the cache, with a cmake, a ninja and compilers that are small scripts.
//! What they do is told by the file `behaviour` of the source tree, since no variable reaches them.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files;
use llamark_build::{BuildError, Builder, Built, Event, Machine, Origin, Prepared, key_of};
use llamark_process::Interrupt;
use llamark_record::Sha256;
use llamark_record::plan::{BackendKind, Engine, EngineSource, PlannedBuild};

const CMAKE: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then echo "cmake version 3.30.1"; exit 0; fi
src=$2; build=$4; behaviour=$(cat "$src/behaviour")
mkdir -p "$build/bin"
echo x >> "$src/../configured"
echo "$src" > "$build/source"
for argument in "$@"; do case $argument in
    -D*) v=${argument#-D}; n=${v%%=*}; printf '//help\n%s:STRING=%s\n\n' "${n%%:*}" "${v#*=}" ;;
esac; done > "$build/CMakeCache.txt"
echo '[]' > "$build/compile_commands.json"
if [ "$behaviour" != left-out ]; then echo "-- Including CPU backend"; fi
if [ "$behaviour" = unused ]; then
    printf 'CMake Warning (unused-cli):\n  Manually-specified variables were not used by the project:\n\n    MY_FLAG\n\n' >&2
fi
if [ "$behaviour" = refuse ]; then
    printf 'CMake Error at ggml/CMakeLists.txt:9 (message):\n  Could NOT find Vulkan\n\n' >&2; exit 1
fi
"#;

const NINJA: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then echo 1.11.1; exit 0; fi
build=$2; src=$(cat "$build/source"); behaviour=$(cat "$src/behaviour"); bin=$build/bin
echo x >> "$src/../compiled"
echo "[1/3] Building CXX object a.o"
case $behaviour in
    hang) sleep 600 ;;
    slow) sleep 1 ;;
    error) printf 'FAILED: [code=1] a.o\nc++ -c a.cpp\n%s/a.cpp:7:3: error: no such thing\n    7 |   x;\nninja: build stopped\n' "$src"; exit 1 ;;
    nothing) exit 0 ;;
    environment) env > "$bin/environment" ;;
esac
echo library > "$bin/libfake.so.0.1"; ln -s libfake.so.0.1 "$bin/libfake.so.0"
cat > "$bin/llama-server" <<'X'
#!/bin/sh
test -e "${0%/*}/libfake.so.0" || exit 3
case $1 in
    --version) echo "version: 7 (abc)" >&2 ;;
    --list-devices) echo "Available devices:"; echo "  Fake0: one (1 MiB, 1 MiB free)" ;;
esac
X
if [ "$behaviour" = broken ]; then
    printf '#!/bin/sh\necho "error while loading shared libraries: libcuda.so.1" >&2; exit 127\n' > "$bin/llama-server"
fi
echo bench > "$bin/llama-bench"; chmod +x "$bin/llama-server" "$bin/llama-bench"
case "$*" in *llama-perplexity*) echo perplexity > "$bin/llama-perplexity" ;; esac
echo "[3/3] Linking"
"#;

const COMPILER: &str = "#!/bin/sh\n\
    case $1 in --version) echo 'fake (X) 12.2.0' ;; -dumpmachine) echo x86_64-linux-gnu ;; esac\n";

/// A Python that makes environments and installs what the other scripts are.
const PYTHON: &str = r#"#!/bin/sh
here=$(readlink -f "$0"); here=${here%/*}
case $2 in
    venv) mkdir -p "$3/bin"; ln -s "$here/python3" "$3/bin/python3"; echo x >> "$3/../made"; sleep 0.3 ;;
    pip)
        for last in "$@"; do :; done
        grep -q 'cmake==.*--hash=sha256:' "$last" || exit 5
        case $PIP_INDEX_URL in *refused*) echo "ERROR: no matching distribution" >&2; exit 1 ;; esac
        ln -s "$here/cmake" "${0%/*}/cmake"; ln -s "$here/ninja" "${0%/*}/ninja" ;;
esac
"#;

/// The folder of the scripts, written once for all tests: a script that was written a moment ago may not run while
/// another thread forks.
fn programs() -> &'static Utf8Path {
    static FOLDER: OnceLock<(tempfile::TempDir, Utf8PathBuf)> = OnceLock::new();
    let (_, path) = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
        for (name, text) in
            [("cmake", CMAKE), ("ninja", NINJA), ("cc", COMPILER), ("c++", COMPILER), ("python3", PYTHON)]
        {
            files::write_atomic(&path.join(name), text.as_bytes()).unwrap();
            fs_err::set_permissions(path.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        (folder, path)
    });
    path
}

/// A cache, a source tree and a machine of its own.
struct World {
    _folder: tempfile::TempDir,
    root: Utf8PathBuf,
    builder: Builder,
}

impl World {
    fn new(behaviour: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(folder.path().canonicalize().unwrap()).unwrap();
        files::create_dir_all(&root.join("source")).unwrap();
        files::write_atomic(&root.join("source/behaviour"), behaviour.as_bytes()).unwrap();
        let code = "option(GGML_NATIVE \"\" ON)\noption(GGML_CUDA \"\" OFF)\noption(LLAMA_CURL \"\" ON)\n\
                    option(GGML_VULKAN \"\" OFF)\nfind_package(SPIRV-Headers)\n";
        files::write_atomic(&root.join("source/CMakeLists.txt"), code.as_bytes()).unwrap();
        let environment = [
            ("PATH", format!("{}:/usr/bin:/bin", programs())),
            ("CFLAGS", "-O0".to_owned()),
            ("SOURCE_DATE_EPOCH", "1".to_owned()),
            ("ROCM_PATH", "/opt/x".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        let machine = Machine { root: root.join("machine"), environment };
        let builder = Builder { cache: root.join("cache"), machine, jobs: 1 };
        Self { _folder: folder, root, builder }
    }

    fn prepare(&self, build: &PlannedBuild) -> Result<Prepared, BuildError> {
        let engine = Engine {
            source: EngineSource::Path { path: "source".to_owned() },
            build_number: 7,
            commit: "abc".to_owned(),
        };
        let (path, tree) = (self.root.join("source"), Sha256::of_bytes(b"tree"));
        let origin = Origin::Source { path: &path, tree: &tree };
        self.builder.prepare(build, &engine, origin, &Interrupt::new(), &|_| {})
    }

    fn build(&self, prepared: &Prepared) -> (Result<Built, BuildError>, Vec<Event>) {
        let events = Mutex::new(Vec::new());
        let result =
            self.builder.build(prepared, &Interrupt::new(), &|event| events.lock().unwrap().push(event));
        (result, events.into_inner().unwrap())
    }

    fn fails(&self) -> BuildError {
        let prepared = self.prepare(&planned(&[])).unwrap();
        let error = self.build(&prepared).0.unwrap_err();
        self.assert_no_entry();
        error
    }

    /// Nothing but locks and logs is left.
    fn assert_no_entry(&self) {
        let folders = |path: &str| {
            let entries = fs_err::read_dir(self.root.join("cache").join(path)).unwrap();
            entries.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir()).count()
        };
        assert_eq!((folders("builds"), folders("tmp")), (0, 0));
    }

    fn count(&self, name: &str) -> usize {
        fs_err::read_to_string(self.root.join(name)).map_or(0, |text| text.lines().count())
    }
}

fn planned(cmake: &[(&str, &str)]) -> PlannedBuild {
    let cmake: BTreeMap<_, _> =
        cmake.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    PlannedBuild {
        id: "cpu".to_owned(),
        kind: BackendKind::Cpu,
        cmake,
        engine: None,
        extra_targets: Vec::new(),
    }
}

#[test]
fn the_first_time_it_is_compiled_and_the_second_time_it_is_there() {
    let world = World::new("good");
    let prepared = world.prepare(&planned(&[])).unwrap();
    assert_eq!(&key_of(prepared.inputs().unwrap()).unwrap(), prepared.key());
    let (built, events) = world.build(&prepared);
    let built = built.unwrap();
    assert!(!built.reused);
    assert_eq!(built.record.version, "version: 7 (abc)");
    assert_eq!(built.record.devices, ["Fake0: one (1 MiB, 1 MiB free)"]);
    assert_eq!(built.record.configure_facts, ["Including CPU backend"]);
    let names: Vec<_> = built.record.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["bin/libfake.so.0", "bin/libfake.so.0.1", "bin/llama-bench", "bin/llama-server"]);
    for name in ["record.json", "build.log", "CMakeCache.txt", "compile_commands.json", &built.record.server]
    {
        assert!(built.folder.join(name).is_file(), "{name}");
    }
    assert!(fs_err::read_to_string(built.folder.join("build.log")).unwrap().contains("[3/3] Linking"));
    let id = || "cpu".to_owned();
    assert_eq!(events[0], Event::Configuring { build: id() });
    assert_eq!(events[1], Event::Compiling { build: id(), done: 1, total: 3 });
    assert_eq!(events[2], Event::Compiling { build: id(), done: 3, total: 3 });
    assert!(matches!(events[3], Event::Finished { .. }) && events.len() == 4);
    assert!(fs_err::read_dir(world.root.join("cache/tmp")).unwrap().next().is_none());

    let again = world.prepare(&planned(&[])).unwrap();
    assert_eq!(again, prepared);
    let (reused, events) = world.build(&again);
    assert_eq!(reused.unwrap(), Built { reused: true, ..built });
    assert_eq!(events, [Event::Reused { build: id(), key: prepared.key().clone() }]);
    assert_eq!((world.count("configured"), world.count("compiled")), (1, 1));

    let other = world.prepare(&planned(&[("CMAKE_BUILD_TYPE", "Debug")])).unwrap();
    assert_ne!(other.key(), prepared.key());
}

#[test]
fn what_is_to_be_built_beside_the_usual_is_another_build() {
    let world = World::new("ok");
    let usual = world.prepare(&planned(&[])).unwrap();
    assert_eq!(usual.inputs().unwrap().targets, ["llama-server", "llama-bench"]);
    let extra = PlannedBuild { extra_targets: vec!["llama-perplexity".to_owned()], ..planned(&[]) };
    let extra = world.prepare(&extra).unwrap();
    assert_eq!(extra.inputs().unwrap().targets, ["llama-server", "llama-bench", "llama-perplexity"]);
    assert_ne!(usual.key(), extra.key());
    let program = |prepared| {
        world.build(prepared).0.unwrap().record.beside_server("llama-perplexity").map(str::to_owned)
    };
    assert_eq!((program(&usual), program(&extra).as_deref()), (None, Some("bin/llama-perplexity")));
}

#[test]
fn a_damaged_entry_is_made_again() {
    let world = World::new("good");
    let prepared = world.prepare(&planned(&[])).unwrap();
    let built = world.build(&prepared).0.unwrap();
    for (count, path) in [(2, "bin/llama-bench"), (3, "record.json")] {
        files::write_atomic(&built.folder.join(path), b"other").unwrap();
        let (again, events) = world.build(&prepared);
        assert!(!again.unwrap().reused);
        assert!(matches!(&events[0], Event::Tools { what } if what.contains(path)), "{:?}", events[0]);
        assert_eq!(world.count("compiled"), count);
    }
    files::remove_file(&built.folder.join("bin/libfake.so.0")).unwrap();
    assert!(!world.build(&prepared).0.unwrap().reused);
}

#[test]
fn errors_name_the_cause_and_the_log() {
    let error = World::new("refuse").fails();
    let text = error.to_string();
    assert!(text.contains("ggml/CMakeLists.txt:9: Could NOT find Vulkan (log: "), "{text}");
    assert!(error.hint().unwrap().contains("libvulkan-dev"));

    let world = World::new("error");
    let error = world.fails();
    let BuildError::Compile { finding, log, .. } = &error else { panic!("{error}") };
    assert_eq!(finding.place.as_deref(), Some(format!("{}/source/a.cpp:7:3", world.root).as_str()));
    assert_eq!(finding.message, "no such thing");
    assert_eq!(finding.context, ["    7 |   x;"]);
    assert!(fs_err::read_to_string(log).unwrap().contains("no such thing"));

    assert!(matches!(World::new("nothing").fails(), BuildError::NothingBuilt { .. }));
    assert!(matches!(World::new("left-out").fails(), BuildError::BackendLeftOut { backend: "CPU", .. }));
    let error = World::new("broken").fails();
    assert!(error.to_string().contains("libcuda.so.1"), "{error}");
    assert!(error.hint().unwrap().contains("LD_LIBRARY_PATH"));
}

#[test]
fn flags_that_do_nothing_are_errors() {
    let world = World::new("unused");
    let error = world.prepare(&planned(&[("GGML_HIPBLAS", "ON")])).unwrap_err();
    assert!(error.to_string().contains("`GGML_HIPBLAS` does nothing"), "{error}");
    let prepared = world.prepare(&planned(&[("MY_FLAG", "1")])).unwrap();
    let error = world.build(&prepared).0.unwrap_err();
    assert!(error.to_string().contains("`MY_FLAG` does nothing: nothing reads it"), "{error}");
    assert_eq!(world.count("compiled"), 0);
    let error = world.prepare(&planned(&[("GGML_CUDA_X", "1")])).unwrap_err();
    assert!(matches!(error, BuildError::DeadFlags { .. }), "{error}");
}

#[test]
fn an_interrupt_leaves_no_entry_and_no_process() {
    let world = World::new("hang");
    let prepared = world.prepare(&planned(&[])).unwrap();
    let interrupt = Interrupt::new();
    let begun = Instant::now();
    let error = world
        .builder
        .build(&prepared, &interrupt, &|event| {
            if matches!(event, Event::Compiling { .. }) {
                interrupt.set();
            }
        })
        .unwrap_err();
    assert!(error.is_interrupted(), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    world.assert_no_entry();
}

#[test]
fn two_at_the_same_time_compile_once() {
    let world = World::new("slow");
    let prepared = world.prepare(&planned(&[])).unwrap();
    let results = std::thread::scope(|scope| {
        let threads = [0, 1].map(|_| scope.spawn(|| world.build(&prepared)));
        threads.map(|thread| thread.join().unwrap())
    });
    let reused = results.iter().filter(|(built, _)| built.as_ref().unwrap().reused).count();
    let waited =
        results.iter().filter(|(_, events)| matches!(events.first(), Some(Event::Waiting { .. }))).count();
    assert_eq!((reused, waited, world.count("compiled")), (1, 1, 1));
}

#[test]
fn nothing_but_the_list_reaches_the_compiler() {
    let world = World::new("environment");
    let prepared = world.prepare(&planned(&[])).unwrap();
    assert_eq!(prepared.inputs().unwrap().environment.keys().collect::<Vec<_>>(), ["ROCM_PATH"]);
    let built = world.build(&prepared).0.unwrap();
    let text = fs_err::read_to_string(built.folder.join("bin/environment")).unwrap();
    let mut names: Vec<_> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    // The shell's own, and the mark of a process of ours.
    names.retain(|name| !["PWD", "OLDPWD", "_", "SHLVL"].contains(name) && !name.starts_with("LLAMARK"));
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "CC",
            "CXX",
            "GIT_CEILING_DIRECTORIES",
            "GIT_CONFIG_NOSYSTEM",
            "GIT_TERMINAL_PROMPT",
            "HOME",
            "LANG",
            "LC_ALL",
            "NINJA_STATUS",
            "PATH",
            "ROCM_PATH",
            "TMPDIR"
        ]
    );
    assert!(text.contains(&format!("GIT_CEILING_DIRECTORIES={}\n", world.root)), "{text}");
    let cache = fs_err::read_to_string(built.folder.join("CMakeCache.txt")).unwrap();
    assert!(cache.contains(&format!("CMAKE_C_FLAGS:STRING=-ffile-prefix-map={}/source=. ", world.root)));
    assert!(cache.contains("LLAMA_CURL:STRING=OFF") && !cache.contains("LLAMA_OPENSSL"), "{cache}");
}

#[test]
fn what_is_missing_is_said_before_anything_runs() {
    let mut world = World::new("good");
    let build = PlannedBuild { id: "vulkan".to_owned(), kind: BackendKind::Vulkan, ..planned(&[]) };
    world.builder.machine.environment.insert("PATH".to_owned(), programs().to_string());
    let error = world.prepare(&build).unwrap_err();
    let BuildError::Missing { missing, .. } = &error else { panic!("{error}") };
    let what: Vec<_> = missing.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(what, ["the Vulkan headers", "the Vulkan loader", "glslc", "the SPIR-V headers"]);
    assert!(error.hint().unwrap().contains("sudo apt install libvulkan-dev glslc spirv-headers"));
    assert_eq!(world.count("configured"), 0);
    files::remove_file(&world.root.join("source/CMakeLists.txt")).unwrap();
    assert!(matches!(world.prepare(&build), Err(BuildError::NotAnEngine { .. })));
}

#[test]
fn a_prebuilt_folder_is_used_as_it_is() {
    let world = World::new("good");
    let built = world.build(&world.prepare(&planned(&[])).unwrap()).0.unwrap();
    let engine = Engine {
        source: EngineSource::Prebuilt { path: String::new() },
        build_number: 0,
        commit: String::new(),
    };
    let origin = Origin::Prebuilt { path: &built.folder };
    let prepared = world.builder.prepare(&planned(&[]), &engine, origin, &Interrupt::new(), &|_| {}).unwrap();
    let prebuilt = world.build(&prepared).0.unwrap();
    assert_eq!(prebuilt.folder, built.folder);
    assert_eq!(prebuilt.record.inputs, None);
    assert_eq!(prebuilt.record.files, built.record.files);
    assert_eq!((prebuilt.record.server.as_str(), prebuilt.record.took_ms), ("bin/llama-server", 0));
    assert_eq!(prebuilt.record.version, built.record.version);
}

/// A folder for `PATH` with compilers, and a cmake and a ninja that do not run.
fn poor_path(world: &World) -> Utf8PathBuf {
    let bin = world.root.join("bin");
    files::create_dir_all(&bin).unwrap();
    for (name, target) in [("cc", "cc"), ("c++", "c++"), ("cmake", "/bin/false"), ("ninja", "/bin/false")] {
        fs_err::os::unix::fs::symlink(programs().join(target), bin.join(name)).unwrap();
    }
    bin
}

#[test]
fn without_cmake_and_without_python_it_says_so() {
    let mut world = World::new("good");
    let bin = poor_path(&world);
    world.builder.machine.environment.insert("PATH".to_owned(), bin.to_string());
    let error = world.prepare(&planned(&[])).unwrap_err();
    assert!(matches!(error, BuildError::NoPython), "{error}");
    assert!(error.hint().unwrap().contains("ninja-build"));
    files::remove_file(&bin.join("cmake")).unwrap();
    assert!(matches!(world.prepare(&planned(&[])), Err(BuildError::Missing { .. })));
}

#[test]
fn cmake_and_ninja_are_installed_once_into_the_cache() {
    let mut world = World::new("good");
    let bin = poor_path(&world);
    fs_err::os::unix::fs::symlink(programs().join("python3"), bin.join("python3")).unwrap();
    let environment = &mut world.builder.machine.environment;
    environment.insert("PATH".to_owned(), format!("{bin}:/usr/bin:/bin"));
    environment.insert("PIP_INDEX_URL".to_owned(), "refused".to_owned());
    let error = world.prepare(&planned(&[])).unwrap_err();
    assert!(error.to_string().contains("ERROR: no matching distribution"), "{error}");
    assert!(error.hint().unwrap().contains("apt install cmake"));

    world.builder.machine.environment.remove("PIP_INDEX_URL");
    let keys = std::thread::scope(|scope| {
        let threads = [0, 1].map(|_| scope.spawn(|| world.prepare(&planned(&[])).unwrap().key().clone()));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(keys[0], keys[1]);
    assert_eq!(world.count("cache/tools/made"), 2, "the half-made one was thrown away, then one for both");
    let prepared = world.prepare(&planned(&[])).unwrap();
    assert_eq!(prepared.inputs().unwrap().tools["cmake"], "cmake version 3.30.1");
    assert!(!world.build(&prepared).0.unwrap().reused);
    assert_eq!(world.count("cache/tools/made"), 2);
}
