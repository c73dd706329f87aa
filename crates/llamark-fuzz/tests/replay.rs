//! The corpus (seeds, and everything that a fuzzer ever found) through every input, in the order of the names.

#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read is a test that fails")]

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

/// A number generator for mutations: Knuth's.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most.max(1)
    }
}

/// Pieces that are apt to be misread.
const PIECES: [&[u8]; 24] = [
    b"<script>",
    b"]]>",
    b"-->",
    b"\"",
    b"'",
    b"`",
    b"```\n",
    b"|",
    b"\n",
    b"\r\n",
    b"\0",
    b"\x1b[2J",
    b"\\",
    b"{{",
    b"{%",
    b"](javascript:x)",
    b"<http://x>",
    b"\xe2\x80\xae",
    b"18446744073709551616",
    b"-1",
    b"1e999",
    b"null",
    b"../",
    b"[[",
];

fn mutate(seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut data = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(6) {
        let place = chance.below(data.len() + 1);
        match chance.below(5) {
            0 if place < data.len() => data[place] ^= 1 << chance.below(8),
            1 => drop(data.splice(place..place, PIECES[chance.below(PIECES.len())].iter().copied())),
            2 => drop(data.drain(place..(place + chance.below(20)).min(data.len()))),
            3 => {
                let other = &seeds[chance.below(seeds.len())];
                let begin = chance.below(other.len() + 1);
                let piece = other[begin..(begin + chance.below(200)).min(other.len())].to_vec();
                drop(data.splice(place..place, piece));
            }
            _ => data.truncate(place),
        }
    }
    data
}

/// What a fuzzer without a compass finds, on stable Rust: `LLAMARK_FUZZ_ROUNDS=100000 cargo test -p llamark-fuzz chance`,
/// of one input with `LLAMARK_FUZZ_INPUT=page`.
#[test]
fn mutations_by_chance_break_no_promise() {
    let rounds = std::env::var("LLAMARK_FUZZ_ROUNDS").map_or(60, |rounds| rounds.parse().unwrap());
    let wanted = std::env::var("LLAMARK_FUZZ_INPUT").unwrap_or_default();
    let mut chance = Chance(if rounds > 60 { u64::from(std::process::id()) } else { 1 });
    for (name, check) in INPUTS.iter().filter(|(name, _)| wanted.is_empty() || *name == wanted) {
        let begin = Instant::now();
        let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let files = folder.read_dir_utf8().unwrap().map(|entry| fs_err::read(entry.unwrap().path()).unwrap());
        let mut seeds: Vec<Vec<u8>> = files.collect();
        seeds.sort();
        for _ in 0..rounds {
            let data = mutate(&seeds, &mut chance);
            if let Err(panic) = std::panic::catch_unwind(|| check(&data)) {
                println!("{name} breaks on {:?}", String::from_utf8_lossy(&data));
                std::panic::resume_unwind(panic);
            }
        }
        println!("{name}: {rounds} mutations in {:?}", begin.elapsed());
    }
}
