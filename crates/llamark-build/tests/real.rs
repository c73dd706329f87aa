//! The real thing, by hand: compiles a llama.cpp tree into a cache, and finds it there the second time.
//!
//! `LLAMARK_TEST_ENGINE=/path/to/llama.cpp LLAMARK_TEST_CACHE=/path/to/cache cargo test -p llamark-build --test real
//! -- --ignored --nocapture`. `LLAMARK_TEST_KIND` is `cpu` unless given, `LLAMARK_TEST_FLAGS` are `NAME=VALUE` with
//! spaces between, and with `LLAMARK_TEST_PATH` another `PATH` is used.

use std::time::Instant;

use camino::Utf8PathBuf;
use llamark_build::{Builder, Event, Origin};
use llamark_process::Interrupt;
use llamark_record::Sha256;
use llamark_record::plan::{BackendKind, Engine, EngineSource, PlannedBuild};

#[test]
#[ignore = "compiles llama.cpp: ten minutes on two processors"]
fn a_real_tree_is_compiled_once() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let path = Utf8PathBuf::from(variable("LLAMARK_TEST_ENGINE"));
    let mut builder = Builder::new(&Utf8PathBuf::from(variable("LLAMARK_TEST_CACHE")));
    if let Ok(path) = std::env::var("LLAMARK_TEST_PATH") {
        builder.machine.environment.insert("PATH".to_owned(), path);
    }
    let kind = variable("LLAMARK_TEST_KIND");
    let kind = BackendKind::ALL.into_iter().find(|one| one.name() == kind).unwrap_or(BackendKind::Cpu);
    let flags = variable("LLAMARK_TEST_FLAGS");
    let flags = flags.split_whitespace().filter_map(|flag| flag.split_once('='));
    let cmake = flags.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let build =
        PlannedBuild { id: kind.name().to_owned(), kind, cmake, engine: None, extra_targets: Vec::new() };
    let source = EngineSource::Path { path: path.to_string() };
    let engine = Engine { source, build_number: 11434, commit: "pkg".to_owned() };
    // The digest of the tree is the business of another crate; here the path stands for it.
    let tree = Sha256::of_bytes(path.as_str().as_bytes());
    let origin = Origin::Source { path: &path, tree: &tree };
    let interrupt = Interrupt::new();
    for round in 1..=2 {
        let observer = |event: Event| {
            if !matches!(event, Event::Compiling { done, total, .. } if done % 20 != 0 && done != total) {
                println!("{event:?}");
            }
        };
        let begun = Instant::now();
        let prepared = builder.prepare(&build, &engine, origin, &interrupt, &observer);
        let prepared =
            prepared.unwrap_or_else(|error| panic!("{error}\n{}", error.hint().unwrap_or_default()));
        println!("round {round}: prepared {} in {:?}", prepared.key(), begun.elapsed());
        let begun = Instant::now();
        let built = builder.build(&prepared, &interrupt, &observer);
        let built = built.unwrap_or_else(|error| panic!("{error}\n{}", error.hint().unwrap_or_default()));
        println!("round {round}: reused {} in {:?}: {}", built.reused, begun.elapsed(), built.folder);
        println!("{}", serde_json::to_string_pretty(&built.record).unwrap());
        assert!(round == 1 || built.reused);
    }
}
