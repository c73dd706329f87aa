//! What a stranger may cost: each hostile input is read by a process of its own, which may take so much memory and no
//! more, and ends soon with an error in words.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that runs itself, and plays the stranger who writes files"
)]

use std::io::{Seek as _, SeekFrom, Write as _};
use std::process::Command;
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::ArtifactSet;
use llamark_artifact::journal::Reader;
use llamark_process::Interrupt;

/// Most memory of a child, beyond what the program itself has, KiB.
const MOST_KIB: u64 = 320 << 10;

/// Names the attack that a child makes on itself.
const VARIABLE: &str = "LLAMARK_ATTACK";

/// An attack: what it does in a folder of its own, and what the error says.
type Attack = (&'static str, fn(&Utf8Path) -> String, &'static str);

const ATTACKS: [Attack; 12] = [
    ("gguf: arrays of bytes in 20,000 keys", arrays_in_many_keys, "bytes of keys and values"),
    ("gguf: 2^40 keys announced", |_| gguf(&header(0, 1 << 40)), "keys are announced"),
    ("gguf: a million tensors announced", |_| gguf(&header(1 << 20, 0)), "the file ends"),
    (
        "gguf: a string of 2^60 bytes",
        |_| gguf(&[header(0, 1), (1_u64 << 60).to_le_bytes().to_vec()].concat()),
        "bytes of a key",
    ),
    ("journal: a line of 2 GiB", line_without_end, "longer than"),
    ("journal: 15 MiB of brackets", |folder| journal(folder, &b"[".repeat(15 << 20)), "not a journal entry"),
    ("plan.json: 2 GiB", large_plan, "the limit is"),
    ("experiment: aliases of aliases", aliases, "alias"),
    ("experiment: brackets, 500,000 deep", |_| experiment("[".repeat(500_000)), "nest"),
    ("archive: a file of 2 GiB in 300 KiB", gzip_bomb, "expands to more than"),
    ("report: a megabyte of brackets", |_| report(&"[a](".repeat(250_000)), "bytes"),
    ("template: a string doubled 60 times", template, "fuel"),
];

#[test]
fn every_attack_ends_soon_in_an_error_and_in_bounded_memory() {
    if let Ok(name) = std::env::var(VARIABLE) {
        attack(&name);
        return;
    }
    for (name, _, says) in ATTACKS {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "every_attack_ends_soon_in_an_error_and_in_bounded_memory", "--nocapture"])
            .env(VARIABLE, name)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().find(|line| line.contains("KiB more")).unwrap_or_default();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !line.is_empty(), "{name}: {}\n{said}{errors}", output.status);
        println!("{name}: {line}");
        assert!(line.contains(says), "{name}: {line}");
    }
}

/// In the child.
fn attack(name: &str) {
    let (_, attack, _) = ATTACKS.iter().find(|(known, _, _)| *known == name).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
    let before = peak();
    bound_memory();
    let begin = Instant::now();
    let error = attack(&path);
    let took = begin.elapsed();
    let more = peak() - before;
    let error: String = error.chars().take(300).filter(|c| *c != '\n').collect();
    println!("{more} KiB more, {took:.1?}: {error}");
    assert!(more < MOST_KIB, "{more} KiB");
}

/// Highest memory of this process so far, KiB.
fn peak() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

/// What is not seen in the highest memory, since it is asked for and not touched.
#[expect(unsafe_code, reason = "setrlimit has no safe form that sets both limits of one resource here")]
fn bound_memory() {
    let limit = libc::rlimit { rlim_cur: 3 << 30, rlim_max: 3 << 30 };
    // SAFETY: the pointer is to a value that lives through the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

fn header(tensors: u64, keys: u64) -> Vec<u8> {
    [b"GGUF".as_slice(), &3_u32.to_le_bytes(), &tensors.to_le_bytes(), &keys.to_le_bytes()].concat()
}

fn gguf(bytes: &[u8]) -> String {
    let length = u64::try_from(bytes.len()).unwrap();
    chain(llamark_gguf::parse(Utf8Path::new("x.gguf"), std::io::Cursor::new(bytes), length).unwrap_err())
}

fn arrays_in_many_keys(folder: &Utf8Path) -> String {
    const KEYS: u64 = 20_000;
    let path = folder.join("x.gguf");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    file.write_all(&header(0, KEYS)).unwrap();
    for key in 0..KEYS {
        let key = format!("{key:08}");
        file.write_all(&8_u64.to_le_bytes()).unwrap();
        file.write_all(key.as_bytes()).unwrap();
        // An array (9) of 1024 bytes (0).
        file.write_all(&[9_u32.to_le_bytes(), 0_u32.to_le_bytes()].concat()).unwrap();
        file.write_all(&1024_u64.to_le_bytes()).unwrap();
        file.write_all(&[7; 1024]).unwrap();
    }
    file.flush().unwrap();
    chain(llamark_gguf::read(&path).unwrap_err())
}

/// A file of that size in which nothing was written.
fn sparse(path: &Utf8Path, bytes: u64) {
    std::fs::File::create(path).unwrap().set_len(bytes).unwrap();
}

fn line_without_end(folder: &Utf8Path) -> String {
    let path = folder.join("journal.jsonl");
    sparse(&path, 2 << 30);
    chain(Reader::open(&path, true).unwrap().next().unwrap().unwrap_err())
}

fn journal(folder: &Utf8Path, line: &[u8]) -> String {
    let path = folder.join("journal.jsonl");
    std::fs::write(&path, [line, b"\n"].concat()).unwrap();
    chain(Reader::open(&path, true).unwrap().next().unwrap().unwrap_err())
}

fn large_plan(folder: &Utf8Path) -> String {
    sparse(&folder.join("journal.jsonl"), 0);
    sparse(&folder.join("plan.json"), 2 << 30);
    chain(ArtifactSet::read(folder).unwrap_err())
}

fn experiment(text: String) -> String {
    let source = llamark_spec::Source::new("x.yaml", text).unwrap();
    llamark_spec::parse(&source).unwrap_err().to_string()
}

fn aliases(_folder: &Utf8Path) -> String {
    let mut text = "schema: llamark/experiment/v1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    experiment(text)
}

fn gzip_bomb(folder: &Utf8Path) -> String {
    // A tar whose one file has 2 GiB; the zeros are compressed as they are made.
    let path = folder.join("x.tar.gz");
    let mut header = tar::Header::new_ustar();
    header.set_path("zeros").unwrap();
    header.set_size(2 << 30);
    header.set_mode(0o644);
    header.set_cksum();
    let mut file =
        flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
    file.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        file.write_all(&zeros).unwrap();
    }
    let mut file = file.finish().unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let root = folder.join("root");
    std::fs::create_dir(&root).unwrap();
    let limits = llamark_fetch::Limits { entries: 10, bytes: 16 << 20, ratio: 200 };
    chain(llamark_fetch::unpack(&path, &root, &limits, &Interrupt::new()).unwrap_err())
}

fn report(text: &str) -> String {
    let options = llamark_import::Options { name: "x".to_owned(), title: None, memory_bandwidth: None };
    llamark_import::report("x.md", text.as_bytes(), &options).unwrap_err().render(false)
}

fn template(folder: &Utf8Path) -> String {
    let text = "{% set ns = namespace(s='xxxxxxxx') %}\
                {% for a in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}";
    std::fs::write(folder.join("report.md.j2"), text).unwrap();
    let sample =
        Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../llamark-artifact/tests/fixtures/sample-set");
    let summary = llamark_report::summarize(&ArtifactSet::read(&sample).unwrap()).unwrap();
    let templates = llamark_report::Templates::folder(folder).unwrap();
    llamark_report::render_markdown(&summary, &templates).unwrap_err().to_string()
}

/// An error and its causes.
fn chain(error: impl std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push_str(&format!(": {error}"));
        cause = error.source();
    }
    said
}
