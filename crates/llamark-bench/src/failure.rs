//! What went wrong with a program, from how it ended and what its log says: a kind, a sentence, the lines that
//! decided it, and what the user can do.

use std::fmt;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use camino::Utf8Path;
use llamark_process::{Exit, ProcessError};
use llamark_record::journal::{Failure, FailureKind};

/// Bytes of the end of a log that are looked at.
const TAIL: u64 = 256 << 10;
/// Most lines of a log that a failure shows.
const MAX_LINES: usize = 8;
/// Most characters of such a line.
const MAX_LINE: usize = 300;

/// A line with this text decides nothing: llama.cpp logs that it got no such memory, takes other memory, and goes on.
const HARMLESS: &str = "pinned memory";

/// Text that decides what a failure is, in lower case; the kind; what happened; what the user can do.
struct Sign {
    texts: &'static [&'static str],
    kind: FailureKind,
    what: &'static str,
    hint: &'static str,
}

/// In this order: the first whose text is in the log decides.
const SIGNS: [Sign; 9] = [
    Sign {
        texts: &[
            "failed to allocate",
            "unable to allocate",
            "insufficient memory",
            "out of memory",
            "outofdevicememory",
            "outofhostmemory",
            "outofpoolmemory",
            "cudamalloc failed",
            "hipmalloc failed",
            "cudaerrormemoryallocation",
            "hiperroroutofmemory",
            "bad_alloc",
            "cannot allocate memory",
        ],
        kind: FailureKind::OutOfMemory,
        what: "memory was not enough",
        hint: "use a smaller quantization, a smaller `context`, a quantized KV cache, or fewer layers on the device",
    },
    Sign {
        texts: &[
            "unknown model architecture",
            "unknown pre-tokenizer type",
            "unsupported model architecture",
        ],
        kind: FailureKind::Unsupported,
        what: "this llama.cpp does not know the architecture of the model",
        hint: "use a newer llama.cpp, or leave the model out",
    },
    Sign {
        texts: &["invalid device: "],
        kind: FailureKind::Unsupported,
        what: "llama.cpp does not see the device",
        hint: "`llama-server --list-devices` shows what it sees: is the driver there, and does `env` hide the device?",
    },
    Sign {
        texts: &["error: invalid argument", "error while handling argument", "error: unknown argument"],
        kind: FailureKind::Unsupported,
        what: "this llama.cpp refuses an argument",
        hint: "change the setting that needs the argument, or use another llama.cpp",
    },
    Sign {
        texts: &["requires flash_attn", "flash_attn requires", "unsupported cache type"],
        kind: FailureKind::Unsupported,
        what: "this llama.cpp cannot combine these settings",
        hint: "a quantized V cache needs `flash_attn: true`",
    },
    Sign {
        texts: &[
            "invalid magic",
            "corrupted or incomplete",
            "failed to open gguf file",
            "failed to read tensor",
            "missing tensor",
            "wrong number of tensors",
            "wrong shape",
            "gguf_init_from",
            "unexpectedly reached end of file",
        ],
        kind: FailureKind::Exit,
        what: "the model file cannot be read",
        hint: "fetch the model again and check its sha256",
    },
    Sign {
        texts: &["couldn't bind http server socket", "address already in use"],
        kind: FailureKind::Exit,
        what: "the port is taken",
        hint: "run it again: the system picks another port",
    },
    Sign {
        texts: &[
            "devicelost",
            "device lost",
            "illegal memory access",
            "an illegal instruction was encountered",
        ],
        kind: FailureKind::Crash,
        what: "the device gave up",
        hint: "look at the kernel's log for the driver of the device",
    },
    Sign {
        texts: &[
            "error while loading shared libraries",
            "symbol lookup error",
            "driver version is insufficient",
        ],
        kind: FailureKind::Exit,
        what: "the binary does not fit this system",
        hint: "build again on this machine, or install the libraries that it names",
    },
];

/// A program that is gone although nobody asked it to go.
#[derive(Debug)]
pub(crate) struct Gone {
    who: String,
    /// In which phase of its life, as the end of a sentence; empty where it has but one.
    during: String,
}

impl Gone {
    /// The server, in that phase.
    pub(crate) fn server(phase: &str) -> Self {
        Self { who: "the server".to_owned(), during: format!(" during {phase}") }
    }

    /// A tool, or the test that it makes.
    pub(crate) fn tool(who: &str) -> Self {
        Self { who: who.to_owned(), during: String::new() }
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} died{}", self.who, self.during)
    }
}

/// The end of a log, and where a reader of the set finds all of it.
#[derive(Debug)]
pub(crate) struct Log {
    /// The last lines.
    pub(crate) lines: Vec<String>,
    /// Its folder and its name.
    pub(crate) file: String,
}

/// Why a program is gone.
///
/// `killed_for_memory` says whether the kernel killed some process for want of memory meanwhile.
pub(crate) fn died(gone: &Gone, exit: Option<&Exit>, killed_for_memory: bool, log: &Log) -> Failure {
    let Gone { who, during } = gone;
    let sign = sign(&log.lines);
    let exit_code = exit.and_then(|exit| exit.code);
    let Some(signal) = exit.and_then(|exit| exit.signal) else {
        let code = exit_code.map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"));
        let ended = format!("{who} ended{during} with {code}");
        return match sign {
            // 137 is what a shell between us and the program makes of SIGKILL.
            None if exit_code == Some(137) && killed_for_memory => out_of_memory(gone, "was killed", log),
            None => {
                let hint = format!("what it said is in `{}` of the set", log.file);
                failure(FailureKind::Exit, ended, last_words(&log.lines), &hint)
            }
            Some((sign, lines)) => failure(sign.kind, format!("{}: {ended}", sign.what), lines, sign.hint),
        };
    };
    let ended = format!("{} ended {who}{during}", signal_name(signal));
    match sign {
        Some((sign, lines)) if sign.kind == FailureKind::OutOfMemory => {
            failure(sign.kind, format!("{}: {ended}", sign.what), lines, sign.hint)
        }
        _ if signal == libc::SIGKILL && killed_for_memory => {
            out_of_memory(gone, "was killed by the kernel", log)
        }
        Some((sign, lines)) => {
            failure(FailureKind::Crash, format!("{}: {ended}", sign.what), lines, sign.hint)
        }
        None => failure(FailureKind::Crash, ended, last_words(&log.lines), signal_hint(signal)),
    }
}

/// A phase took longer than it may.
pub(crate) fn timed_out(phase: &str, limit: Duration, seen: &str, log: &Log) -> Failure {
    let seen = if seen.is_empty() { String::new() } else { format!(": {seen}") };
    let detail = format!("{phase} took longer than {}{seen}", seconds(limit));
    failure(
        FailureKind::Timeout,
        detail,
        last_words(&log.lines),
        "raise the limit in `timeouts`, or use a smaller model",
    )
}

/// A program said something that it should not.
pub(crate) fn protocol(detail: String, log: &Log) -> Failure {
    match sign(&log.lines) {
        Some((sign, lines)) if sign.kind == FailureKind::OutOfMemory => {
            failure(sign.kind, format!("{}: {detail}", sign.what), lines, sign.hint)
        }
        _ => {
            let hint = format!("try another llama.cpp; what this one said is in `{}` of the set", log.file);
            failure(FailureKind::Protocol, detail, error_lines(&log.lines), &hint)
        }
    }
}

/// The plan asks for what this server cannot do.
pub(crate) fn unsupported(detail: String, hint: &str) -> Failure {
    failure(FailureKind::Unsupported, detail, Vec::new(), hint)
}

/// The program could not be spawned.
pub(crate) fn spawn(error: &ProcessError) -> Failure {
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        detail.push_str(&format!(": {error}"));
        cause = error.source();
    }
    failure(FailureKind::Spawn, detail, Vec::new(), "check that the build is whole: build it again")
}

/// The scratch folder, or that of the log, could not be made.
pub(crate) fn scratch(error: &std::io::Error) -> Failure {
    let detail = format!("there is no folder for the program to run in: {error}");
    let hint =
        "see who may write there and how much room is left, or have the cache elsewhere: `--cache DIR`";
    failure(FailureKind::Spawn, detail, Vec::new(), hint)
}

fn out_of_memory(Gone { who, during }: &Gone, what: &str, log: &Log) -> Failure {
    let detail = format!("memory was not enough: {who} {what}{during}");
    let hint = SIGNS.first().map_or("", |sign| sign.hint);
    failure(FailureKind::OutOfMemory, detail, last_words(&log.lines), hint)
}

fn failure(kind: FailureKind, detail: String, log: Vec<String>, hint: &str) -> Failure {
    Failure { kind, detail, log, hint: hint.to_owned() }
}

/// The first sign that the log shows, with the lines that show it.
fn sign(log: &[String]) -> Option<(&'static Sign, Vec<String>)> {
    SIGNS.iter().find_map(|sign| {
        let shows = |line: &&String| {
            let line = line.to_lowercase();
            !line.contains(HARMLESS) && sign.texts.iter().any(|text| line.contains(text))
        };
        let lines = shorten(log.iter().filter(shows));
        (!lines.is_empty()).then_some((sign, lines))
    })
}

/// Lines that the program marked as errors, or else its last lines.
fn last_words(log: &[String]) -> Vec<String> {
    let errors = error_lines(log);
    if !errors.is_empty() {
        return errors;
    }
    let last: Vec<&String> = log.iter().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    shorten(last.into_iter().rev())
}

fn error_lines(log: &[String]) -> Vec<String> {
    let is_error = |line: &&String| {
        let lower = line.to_lowercase();
        line.contains(" E ")
            || ["ggml_assert", "terminate called", "what():", "error:"]
                .iter()
                .any(|text| lower.contains(text))
    };
    shorten(log.iter().filter(is_error))
}

fn shorten<'a>(lines: impl Iterator<Item = &'a String>) -> Vec<String> {
    lines.take(MAX_LINES).map(|line| line.trim_end().chars().take(MAX_LINE).collect()).collect()
}

/// The end of a log, lossy where it is no UTF-8. No log: no lines.
pub(crate) fn tail(log: &Utf8Path) -> Log {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = fs_err::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let folder = log.parent().and_then(Utf8Path::file_name).unwrap_or_default();
    Log {
        lines: String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect(),
        file: format!("{folder}/{}", log.file_name().unwrap_or_default()),
    }
}

/// How often the kernel has killed a process for want of memory, since it was booted. Absent when it does not count.
pub(crate) fn memory_kills() -> Option<u64> {
    let text = fs_err::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// A duration for people: `5 s`, `1.5 s`, `300 ms`.
fn seconds(limit: Duration) -> String {
    if limit.as_millis() < 1000 {
        format!("{} ms", limit.as_millis())
    } else {
        format!("{} s", limit.as_secs_f64())
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGHUP => "SIGHUP",
        libc::SIGILL => "SIGILL",
        libc::SIGINT => "SIGINT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGXCPU => "SIGXCPU",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

fn signal_hint(signal: i32) -> &'static str {
    match signal {
        libc::SIGILL => {
            "the binary uses instructions that this processor does not have or the compiler got wrong (known: \
             AMX with GCC 12): build with `GGML_NATIVE: false`, or with another compiler"
        }
        libc::SIGBUS => "a mapped file got shorter or its disk failed: check the model file",
        libc::SIGKILL => "somebody killed it, or a limit on memory did: look at the kernel's log",
        libc::SIGABRT | libc::SIGSEGV | libc::SIGFPE => {
            "a bug in llama.cpp or a driver: try another llama.cpp"
        }
        _ => "somebody sent the signal: run it again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: Option<i32>, signal: Option<i32>) -> Exit {
        Exit { code, signal, max_rss_bytes: None, lifetime: Duration::from_secs(1), survivors_killed: 0 }
    }

    fn show(failure: &Failure) -> String {
        let hint = failure.hint.split(':').next().unwrap_or_default().to_owned();
        format!("{:?} | {} | {} | {hint}", failure.kind, failure.detail, failure.log.join(" / "))
    }

    fn log(lines: &[&str]) -> Log {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Log { lines, file: "case/start-1.log".to_owned() }
    }

    fn of(exit: &Exit, killed_for_memory: bool, lines: &[&str]) -> Failure {
        died(&Gone::server("run 1"), Some(exit), killed_for_memory, &log(lines))
    }

    fn exits(lines: &str) -> String {
        let lines: Vec<&str> = lines.lines().collect();
        let gone = Gone::server("the load of the model");
        show(&died(&gone, Some(&exit(Some(1), None)), false, &log(&lines)))
    }

    #[test]
    fn what_real_logs_say() {
        insta::assert_snapshot!(exits("0.00.048.054 E llama_model_load: error loading model: unknown model architecture: 'xxama'\n0.00.048.722 E srv  llama_server: exiting due to model loading error"), @"Unsupported | this llama.cpp does not know the architecture of the model: the server ended during the load of the model with exit code 1 | 0.00.048.054 E llama_model_load: error loading model: unknown model architecture: 'xxama' | use a newer llama.cpp, or leave the model out");
        insta::assert_snapshot!(exits("0.00.006.992 E gguf_init_from_reader: invalid magic characters: 'hell', expected 'GGUF'\n0.00.007.122 E llama_model_load_from_file_impl: failed to load model"), @"Exit | the model file cannot be read: the server ended during the load of the model with exit code 1 | 0.00.006.992 E gguf_init_from_reader: invalid magic characters: 'hell', expected 'GGUF' | fetch the model again and check its sha256");
        insta::assert_snapshot!(exits("0.00.026.718 E llama_model_load: error loading model: tensor 'token_embd.weight' data is not within the file bounds, model is corrupted or incomplete"), @"Exit | the model file cannot be read: the server ended during the load of the model with exit code 1 | 0.00.026.718 E llama_model_load: error loading model: tensor 'token_embd.weight' data is not within the file bounds, model is corrupted or incomplete | fetch the model again and check its sha256");
        insta::assert_snapshot!(exits("0.09.759.733 E ggml_aligned_malloc: insufficient memory (attempted to allocate 2197265.62 MB)\n0.09.759.748 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 2304000000000"), @"OutOfMemory | memory was not enough: the server ended during the load of the model with exit code 1 | 0.09.759.733 E ggml_aligned_malloc: insufficient memory (attempted to allocate 2197265.62 MB) / 0.09.759.748 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 2304000000000 | use a smaller quantization, a smaller `context`, a quantized KV cache, or fewer layers on the device");
        insta::assert_snapshot!(exits("error: invalid argument: --bogus"), @"Unsupported | this llama.cpp refuses an argument: the server ended during the load of the model with exit code 1 | error: invalid argument: --bogus | change the setting that needs the argument, or use another llama.cpp");
        insta::assert_snapshot!(exits("ggml_vulkan: No devices found.\nerror while handling argument \"--device\": invalid device: Vulkan0"), @r#"Unsupported | llama.cpp does not see the device: the server ended during the load of the model with exit code 1 | error while handling argument "--device": invalid device: Vulkan0 | `llama-server --list-devices` shows what it sees"#);
        insta::assert_snapshot!(exits("0.00.233.734 E llama_init_from_model: quantized V cache requires flash_attn to be enabled"), @"Unsupported | this llama.cpp cannot combine these settings: the server ended during the load of the model with exit code 1 | 0.00.233.734 E llama_init_from_model: quantized V cache requires flash_attn to be enabled | a quantized V cache needs `flash_attn");
        insta::assert_snapshot!(exits("0.00.005.191 E srv         start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 44133"), @"Exit | the port is taken: the server ended during the load of the model with exit code 1 | 0.00.005.191 E srv         start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 44133 | run it again");
        insta::assert_snapshot!(exits("one\ntwo\n"), @"Exit | the server ended during the load of the model with exit code 1 | one / two | what it said is in `case/start-1.log` of the set");
        insta::assert_snapshot!(exits("0.03.040.496 I srv          init: preserve_reasoning kwarg: not supported by template"), @"Exit | the server ended during the load of the model with exit code 1 | 0.03.040.496 I srv          init: preserve_reasoning kwarg: not supported by template | what it said is in `case/start-1.log` of the set");
    }

    #[test]
    fn every_text_that_means_no_memory() {
        for text in [
            "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4096.00 MiB on device 0: cudaMalloc failed: out of memory",
            "ggml_vulkan: Device memory allocation of size 1 failed.\nggml_vulkan: vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "llama_model_load: error loading model: unable to allocate CUDA0 buffer",
        ] {
            let lines: Vec<&str> = text.lines().collect();
            for end in [exit(Some(1), None), exit(None, Some(libc::SIGABRT))] {
                assert_eq!(of(&end, false, &lines).kind, FailureKind::OutOfMemory, "{text}");
            }
            let answered = protocol("HTTP 500".to_owned(), &log(&lines));
            assert_eq!(answered.kind, FailureKind::OutOfMemory, "{text}");
        }
    }

    /// llama.cpp goes on without pinned memory: whatever ended it then was something else.
    #[test]
    fn memory_that_is_only_nice_to_have_ends_nothing() {
        for line in [
            "ggml_cuda_host_malloc: failed to allocate 512.00 MiB of pinned memory: out of memory",
            "ggml_vulkan: Failed to allocate pinned memory (vk::Device::allocateMemory: ErrorOutOfDeviceMemory)",
        ] {
            let end = exit(Some(1), None);
            assert_eq!(of(&exit(None, Some(libc::SIGSEGV)), false, &[line, "tail"]).kind, FailureKind::Crash);
            assert_eq!(of(&end, false, &[line, "tail"]).kind, FailureKind::Exit, "{line}");
            let refused = of(&end, false, &[line, "unknown model architecture: 'x'"]);
            assert_eq!(refused.kind, FailureKind::Unsupported, "{line}");
            let truly = of(&end, false, &[line, "cudaMalloc failed: out of memory"]);
            assert_eq!((truly.kind, truly.log.len()), (FailureKind::OutOfMemory, 1), "{line}");
        }
    }

    #[test]
    fn signals_by_name() {
        let end =
            |signal, for_memory, lines: &[&str]| show(&of(&exit(None, Some(signal)), for_memory, lines));
        let abort = end(libc::SIGABRT, false, &["/x/ggml.c:12: GGML_ASSERT(n > 0) failed", "tail"]);
        insta::assert_snapshot!(abort, @"Crash | SIGABRT ended the server during run 1 | /x/ggml.c:12: GGML_ASSERT(n > 0) failed | a bug in llama.cpp or a driver");
        insta::assert_snapshot!(end(libc::SIGKILL, true, &[]), @"OutOfMemory | memory was not enough: the server was killed by the kernel during run 1 |  | use a smaller quantization, a smaller `context`, a quantized KV cache, or fewer layers on the device");
        insta::assert_snapshot!(end(libc::SIGKILL, false, &[]), @"Crash | SIGKILL ended the server during run 1 |  | somebody killed it, or a limit on memory did");
        assert_eq!(of(&exit(None, Some(40)), false, &[]).detail, "signal 40 ended the server during run 1");
    }

    #[test]
    fn a_tool_is_called_by_its_name() {
        let gone = Gone::tool("llama-perplexity");
        let of = |code, signal| died(&gone, Some(&exit(code, signal)), true, &log(&[])).detail;
        assert_eq!(of(Some(1), None), "llama-perplexity ended with exit code 1");
        assert_eq!(of(None, Some(libc::SIGSEGV)), "SIGSEGV ended llama-perplexity");
        assert_eq!(of(Some(137), None), "memory was not enough: llama-perplexity was killed");
        assert_eq!(gone.to_string(), "llama-perplexity died");
        assert_eq!(Gone::server("run 1").to_string(), "the server died during run 1");
    }

    #[test]
    fn whoever_reads_it_is_told_what_to_do() {
        let of_log = "`case/start-1.log` of the set";
        assert!(of(&exit(Some(1), None), false, &[]).hint.contains(of_log));
        assert!(protocol("no times".to_owned(), &log(&[])).hint.contains(of_log));
        assert!(scratch(&std::io::Error::other("the disk is full")).hint.contains("--cache"));
    }

    #[test]
    fn lines_are_bounded() {
        let lines: Vec<String> =
            (0..100).map(|n| format!("out of memory {n} {}", "é".repeat(1000))).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let failure = of(&exit(Some(1), None), false, &lines);
        assert_eq!(failure.log.len(), MAX_LINES);
        assert!(failure.log.iter().all(|line| line.chars().count() <= MAX_LINE));
    }

    #[test]
    fn times_for_people() {
        let seen = "3 of 8 tokens were here";
        let limit = |ms| timed_out("run 1", Duration::from_millis(ms), seen, &log(&[])).detail;
        assert_eq!(limit(300), "run 1 took longer than 300 ms: 3 of 8 tokens were here");
        assert_eq!(limit(90_000), "run 1 took longer than 90 s: 3 of 8 tokens were here");
    }

    #[test]
    fn the_tail_of_a_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("log");
        assert!(tail(&path).lines.is_empty(), "there is none");
        let mut text = "x".repeat(300 << 10).into_bytes();
        text.extend_from_slice(b"\nlast \xff\n");
        llamark_artifact::files::write_atomic(&path, &text).unwrap();
        let Log { lines, file } = tail(&path);
        assert_eq!(file, format!("{}/log", path.parent().unwrap().file_name().unwrap()));
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], "last \u{fffd}");
    }
}
