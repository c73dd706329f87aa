use proptest::prelude::{any, proptest};

use super::*;

const HELP: &str = include_str!("../../fixtures/b11434/help.txt");
const VERSION: &str = include_str!("../../fixtures/b11434/version.txt");
const HELP_B9093: &str = include_str!("../../fixtures/b9093/help.txt");
const VERSION_B9093: &str = include_str!("../../fixtures/b9093/version.txt");
const HELP_2025: &str = include_str!("../../fixtures/2025-08/help.txt");
const VERSION_2025: &str = include_str!("../../fixtures/2025-08/version.txt");

fn show(help: &ServerHelp, name: &str) -> String {
    let argument = help.argument(name).unwrap();
    format!("{} | {} | {}", argument.names.join(" "), argument.value, argument.accepted.join(" "))
}

#[test]
fn arguments_of_b11434() {
    let help = parse_help(HELP, VERSION);
    let lines = HELP.lines().filter(|line| line.starts_with('-') && !line.starts_with("-----")).count();
    assert_eq!(help.arguments.len(), lines, "each line that starts with a dash is an argument");
    assert!(lines > 200, "{lines}");
    insta::assert_snapshot!(show(&help, "-fa"), @"-fa --flash-attn | [on|off|auto] | on off auto");
    insta::assert_snapshot!(show(&help, "--load-mode"), @"-lm --load-mode | MODE | auto none mmap mlock mmap+mlock dio");
    insta::assert_snapshot!(show(&help, "--cache-type-k"), @"-ctk --cache-type-k | TYPE | f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1");
    insta::assert_snapshot!(show(&help, "--n-gpu-layers"), @"-ngl --gpu-layers --n-gpu-layers | N | auto all");
    insta::assert_snapshot!(show(&help, "--split-mode"), @"-sm --split-mode | {none,layer,row,tensor} | none layer row tensor");
    insta::assert_snapshot!(show(&help, "--no-webui"), @"--ui --webui --no-ui --no-webui |  |");
    insta::assert_snapshot!(show(&help, "--version"), @"--version |  |");
    insta::assert_snapshot!(show(&help, "--override-tensor"), @"-ot --override-tensor | <tensor name pattern>=<buffer type>,... |");
    insta::assert_snapshot!(show(&help, "--control-vector-layer-range"), @"--control-vector-layer-range | START END |");
    assert_eq!(help.trace_verbosity, Some(4));
    let removed: Vec<&str> =
        help.arguments.iter().filter(|argument| argument.removed).map(|a| a.names[0].as_str()).collect();
    assert_eq!(
        removed,
        ["--draft", "--draft-min", "--spec-ngram-size-n", "--spec-ngram-size-m", "--spec-ngram-min-hits"]
    );
    assert!(help.argument("--draft-max").is_none(), "listed, and refused");
    assert!(help.argument("--no-mmap").is_none());
}

#[test]
fn arguments_of_b9093() {
    let help = parse_help(HELP_B9093, VERSION_B9093);
    insta::assert_snapshot!(show(&help, "--mmap"), @"--mmap --no-mmap |  |");
    insta::assert_snapshot!(show(&help, "--flash-attn"), @"-fa --flash-attn | [on|off|auto] | on off auto");
    insta::assert_snapshot!(show(&help, "--verbosity"), @"-lv --verbosity --log-verbosity | N | 0 1 2 3 4");
    assert_eq!(help.trace_verbosity, None, "4 is debug there, and 3 prints buffers");
    assert_eq!((help.build_number, help.commit.as_deref()), (Some(9093), Some("pkg")));
}

#[test]
fn arguments_of_august_2025() {
    let help = parse_help(HELP_2025, VERSION_2025);
    insta::assert_snapshot!(show(&help, "-fa"), @"-fa --flash-attn |  |");
    insta::assert_snapshot!(show(&help, "--n-gpu-layers"), @"-ngl --gpu-layers --n-gpu-layers | N |");
    insta::assert_snapshot!(show(&help, "--no-mmap"), @"--no-mmap |  |");
    insta::assert_snapshot!(show(&help, "--override-tensor"), @"--override-tensor -ot | <tensor name pattern>=<buffer type>,... |");
    assert_eq!(help.trace_verbosity, None, "it prints buffers anyway");
    assert!(help.argument("--load-mode").is_none());
}

#[test]
fn versions() {
    let version = |text| {
        let help = parse_help("", text);
        format!("{} | {:?} | {:?}", help.version, help.build_number, help.commit)
    };
    insta::assert_snapshot!(version(VERSION), @r#"0.6.0-dev (build 11434, commit pkg) | Some(11434) | Some("pkg")"#);
    insta::assert_snapshot!(version(VERSION_2025), @r#"1 (4227c9b) | Some(1) | Some("4227c9b")"#);
    insta::assert_snapshot!(version("ggml_cuda_init: found 1 CUDA devices\nversion: 0.6.0-dev (build 0, commit unknown)\n"), @r#"0.6.0-dev (build 0, commit unknown) | Some(0) | Some("unknown")"#);
    insta::assert_snapshot!(version("nothing of the kind"), @" | None | None");
    insta::assert_snapshot!(version("version: (("), @r#"(( | None | Some("(")"#);
}

#[test]
fn devices() {
    assert!(parse_devices(include_str!("../../fixtures/b11434/devices.txt")).is_empty());
    assert!(parse_devices("Available devices:\n").is_empty(), "as in 2025");
    let text = "ggml_vulkan: Found 1 Vulkan devices:\n  0 = noise\nAvailable devices:\n  Vulkan0: llvmpipe (LLVM 15.0.6, 256 bits) (2048 MiB, 2048 MiB free)\n  Vulkan1: other (1 MiB, 1 MiB free)\n";
    assert_eq!(parse_devices(text).len(), 2);
    assert_eq!(parse_devices(text)[0], "Vulkan0: llvmpipe (LLVM 15.0.6, 256 bits) (2048 MiB, 2048 MiB free)");
}

#[test]
fn it_survives_a_round_trip() {
    let help = parse_help(HELP, VERSION);
    let text = serde_json::to_string(&help).unwrap();
    assert_eq!(serde_json::from_str::<ServerHelp>(&text).unwrap(), help);
}

fn script(text: &str) -> (tempfile::TempDir, Utf8PathBuf) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(folder.path()).unwrap().join("server");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).mode(0o755).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    (folder, path)
}

#[test]
fn a_binary_is_asked() {
    let interrupt = Interrupt::new();
    let none = BTreeMap::new();
    let (_folder, server) = script(
        "#!/bin/sh\ncase $1 in --help) echo '-m,    --model FNAME   path';; --version) echo 'version: 7 (abc)' >&2;; esac\n",
    );
    let help = probe(&server, &none, &interrupt).unwrap();
    assert_eq!((help.build_number, help.commit.as_deref()), (Some(7), Some("abc")));
    assert_eq!(list_devices(&server, &none, &interrupt).unwrap(), Vec::<String>::new());

    let (_folder, other) = script("#!/bin/sh\necho hello\n");
    let error = probe(&other, &none, &interrupt).unwrap_err();
    assert!(matches!(error, ProbeError::NotAServer { .. }), "{error}");

    let (_folder, broken) = script("#!/bin/sh\necho 'libcuda.so.1: cannot open' >&2\nexit 127\n");
    let error = probe(&broken, &none, &interrupt).unwrap_err().to_string();
    assert!(error.contains("exit code 127") && error.contains("libcuda.so.1"), "{error}");

    let error = probe(Utf8Path::new("/nowhere/llama-server"), &none, &interrupt).unwrap_err();
    assert!(matches!(error, ProbeError::Run { .. }), "{error}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(help in any::<String>(), version in any::<String>()) {
        parse_help(&help, &version);
        parse_devices(&help);
    }

    #[test]
    fn no_text_that_looks_like_help_makes_it_panic(
        help in "(-{0,3}[a-z]{0,3}[, \\[\\]{}<>|():'=\\n]{0,3}){0,60}",
        version in "version:[ ()a-z0-9,é]{0,20}",
    ) {
        parse_help(&help, &version);
    }
}
