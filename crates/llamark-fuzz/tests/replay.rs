//! The corpus (seeds, and everything that a fuzzer ever found) through every input, in the order of the names.

use std::time::{Duration, Instant};

use camino::Utf8Path;
use llamark_fuzz::INPUTS;

/// No input of the corpus may take longer, on a slow machine and without optimisation.
const SLOWEST: Duration = Duration::from_secs(20);

#[test]
fn the_corpus_breaks_no_promise() {
    let corpus = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut folders: Vec<String> =
        corpus.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
    folders.sort();
    assert_eq!(folders, INPUTS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "a folder for each input");
    for (name, check) in INPUTS {
        let begin = Instant::now();
        let mut files: Vec<_> = corpus
            .join(name)
            .read_dir_utf8()
            .unwrap()
            .map(|entry| entry.unwrap().path().to_owned())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has no seed");
        for file in &files {
            let data = fs_err::read(file).unwrap();
            let began = Instant::now();
            println!("{file}");
            check(&data);
            // Cut in half, it is another input, as hostile.
            check(&data[..data.len() / 2]);
            assert!(began.elapsed() < SLOWEST, "{file} takes {:?}", began.elapsed());
        }
        println!("{name}: {} inputs in {:?}", files.len(), begin.elapsed());
    }
}
