//! What went wrong with a server, from how it ended and what its log says: a kind, a sentence, the lines that
//! decided it, and what the user can do.

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
        what: "the server does not see the device",
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

/// The server is gone although nobody asked it to go.
///
/// `killed_for_memory` says whether the kernel killed some process for want of memory meanwhile.
pub(crate) fn died(phase: &str, exit: Option<&Exit>, killed_for_memory: bool, log: &[String]) -> Failure {
    let sign = sign(log);
    let exit_code = exit.and_then(|exit| exit.code);
    let Some(signal) = exit.and_then(|exit| exit.signal) else {
        let code = exit_code.map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"));
        return match sign {
            // 137 is what a shell between us and the server makes of SIGKILL.
            None if exit_code == Some(137) && killed_for_memory => out_of_memory(phase, "was killed", log),
            None => failure(
                FailureKind::Exit,
                format!("the server ended during {phase} with {code}"),
                last_words(log),
                "look at the log of the start",
            ),
            Some((sign, lines)) => failure(
                sign.kind,
                format!("{}: the server ended during {phase} with {code}", sign.what),
                lines,
                sign.hint,
            ),
        };
    };
    let name = signal_name(signal);
    match sign {
        Some((sign, lines)) if sign.kind == FailureKind::OutOfMemory => failure(
            sign.kind,
            format!("{}: {name} ended the server during {phase}", sign.what),
            lines,
            sign.hint,
        ),
        _ if signal == libc::SIGKILL && killed_for_memory => {
            out_of_memory(phase, "was killed by the kernel", log)
        }
        Some((sign, lines)) => failure(
            FailureKind::Crash,
            format!("{}: {name} ended the server during {phase}", sign.what),
            lines,
            sign.hint,
        ),
        None => failure(
            FailureKind::Crash,
            format!("{name} ended the server during {phase}"),
            last_words(log),
            signal_hint(signal),
        ),
    }
}

/// A phase took longer than it may.
pub(crate) fn timed_out(phase: &str, limit: Duration, seen: &str, log: &[String]) -> Failure {
    let seen = if seen.is_empty() { String::new() } else { format!(": {seen}") };
    let detail = format!("{phase} took longer than {}{seen}", seconds(limit));
    failure(
        FailureKind::Timeout,
        detail,
        last_words(log),
        "raise the limit in `timeouts`, or use a smaller model",
    )
}

/// A live server answered something that it should not.
pub(crate) fn protocol(detail: String, log: &[String]) -> Failure {
    match sign(log) {
        Some((sign, lines)) if sign.kind == FailureKind::OutOfMemory => {
            failure(sign.kind, format!("{}: {detail}", sign.what), lines, sign.hint)
        }
        _ => failure(FailureKind::Protocol, detail, error_lines(log), ""),
    }
}

/// The plan asks for what this server cannot do.
pub(crate) fn unsupported(detail: String, hint: &str) -> Failure {
    failure(FailureKind::Unsupported, detail, Vec::new(), hint)
}

/// The server could not be spawned.
pub(crate) fn spawn(error: &ProcessError) -> Failure {
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        detail.push_str(&format!(": {error}"));
        cause = error.source();
    }
    failure(FailureKind::Spawn, detail, Vec::new(), "check that the build is whole: build it again")
}

/// The scratch folder could not be made.
pub(crate) fn scratch(error: &std::io::Error) -> Failure {
    failure(FailureKind::Spawn, format!("the server has no home: {error}"), Vec::new(), "")
}

fn out_of_memory(phase: &str, what: &str, log: &[String]) -> Failure {
    let detail = format!("memory was not enough: the server {what} during {phase}");
    let hint = SIGNS.first().map_or("", |sign| sign.hint);
    failure(FailureKind::OutOfMemory, detail, last_words(log), hint)
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

/// Lines that the server marked as errors, or else its last lines.
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

/// The last lines of the log, lossy where they are no UTF-8. No log: no lines.
pub(crate) fn tail(log: &Utf8Path) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = fs_err::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
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

    fn exits(log: &str) -> String {
        let lines: Vec<String> = log.lines().map(str::to_owned).collect();
        show(&died("the load of the model", Some(&exit(Some(1), None)), false, &lines))
    }

    #[test]
    fn what_real_logs_say() {
        insta::assert_snapshot!(exits("0.00.048.054 E llama_model_load: error loading model: unknown model architecture: 'xxama'\n0.00.048.722 E srv  llama_server: exiting due to model loading error"), @"Unsupported | this llama.cpp does not know the architecture of the model: the server ended during the load of the model with exit code 1 | 0.00.048.054 E llama_model_load: error loading model: unknown model architecture: 'xxama' | use a newer llama.cpp, or leave the model out");
        insta::assert_snapshot!(exits("0.00.006.992 E gguf_init_from_reader: invalid magic characters: 'hell', expected 'GGUF'\n0.00.007.122 E llama_model_load_from_file_impl: failed to load model"), @"Exit | the model file cannot be read: the server ended during the load of the model with exit code 1 | 0.00.006.992 E gguf_init_from_reader: invalid magic characters: 'hell', expected 'GGUF' | fetch the model again and check its sha256");
        insta::assert_snapshot!(exits("0.00.026.718 E llama_model_load: error loading model: tensor 'token_embd.weight' data is not within the file bounds, model is corrupted or incomplete"), @"Exit | the model file cannot be read: the server ended during the load of the model with exit code 1 | 0.00.026.718 E llama_model_load: error loading model: tensor 'token_embd.weight' data is not within the file bounds, model is corrupted or incomplete | fetch the model again and check its sha256");
        insta::assert_snapshot!(exits("0.09.759.733 E ggml_aligned_malloc: insufficient memory (attempted to allocate 2197265.62 MB)\n0.09.759.748 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 2304000000000"), @"OutOfMemory | memory was not enough: the server ended during the load of the model with exit code 1 | 0.09.759.733 E ggml_aligned_malloc: insufficient memory (attempted to allocate 2197265.62 MB) / 0.09.759.748 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 2304000000000 | use a smaller quantization, a smaller `context`, a quantized KV cache, or fewer layers on the device");
        insta::assert_snapshot!(exits("error: invalid argument: --bogus"), @"Unsupported | this llama.cpp refuses an argument: the server ended during the load of the model with exit code 1 | error: invalid argument: --bogus | change the setting that needs the argument, or use another llama.cpp");
        insta::assert_snapshot!(exits("ggml_vulkan: No devices found.\nerror while handling argument \"--device\": invalid device: Vulkan0"), @r#"Unsupported | the server does not see the device: the server ended during the load of the model with exit code 1 | error while handling argument "--device": invalid device: Vulkan0 | `llama-server --list-devices` shows what it sees"#);
        insta::assert_snapshot!(exits("0.00.233.734 E llama_init_from_model: quantized V cache requires flash_attn to be enabled"), @"Unsupported | this llama.cpp cannot combine these settings: the server ended during the load of the model with exit code 1 | 0.00.233.734 E llama_init_from_model: quantized V cache requires flash_attn to be enabled | a quantized V cache needs `flash_attn");
        insta::assert_snapshot!(exits("0.00.005.191 E srv         start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 44133"), @"Exit | the port is taken: the server ended during the load of the model with exit code 1 | 0.00.005.191 E srv         start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 44133 | run it again");
        insta::assert_snapshot!(exits("one\ntwo\n"), @"Exit | the server ended during the load of the model with exit code 1 | one / two | look at the log of the start");
        insta::assert_snapshot!(exits("0.03.040.496 I srv          init: preserve_reasoning kwarg: not supported by template"), @"Exit | the server ended during the load of the model with exit code 1 | 0.03.040.496 I srv          init: preserve_reasoning kwarg: not supported by template | look at the log of the start");
    }

    #[test]
    fn every_text_that_means_no_memory() {
        for text in [
            "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4096.00 MiB on device 0: cudaMalloc failed: out of memory",
            "ggml_vulkan: Device memory allocation of size 1 failed.\nggml_vulkan: vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "llama_model_load: error loading model: unable to allocate CUDA0 buffer",
        ] {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            for end in [exit(Some(1), None), exit(None, Some(libc::SIGABRT))] {
                assert_eq!(died("x", Some(&end), false, &lines).kind, FailureKind::OutOfMemory, "{text}");
            }
            assert_eq!(protocol("HTTP 500".to_owned(), &lines).kind, FailureKind::OutOfMemory, "{text}");
        }
    }

    /// llama.cpp goes on without pinned memory: whatever ended it then was something else.
    #[test]
    fn memory_that_is_only_nice_to_have_ends_nothing() {
        for line in [
            "ggml_cuda_host_malloc: failed to allocate 512.00 MiB of pinned memory: out of memory",
            "ggml_vulkan: Failed to allocate pinned memory (vk::Device::allocateMemory: ErrorOutOfDeviceMemory)",
        ] {
            let log = [line.to_owned(), "tail".to_owned()];
            assert_eq!(
                died("x", Some(&exit(None, Some(libc::SIGSEGV))), false, &log).kind,
                FailureKind::Crash
            );
            assert_eq!(died("x", Some(&exit(Some(1), None)), false, &log).kind, FailureKind::Exit, "{line}");
            let refused = [line.to_owned(), "unknown model architecture: 'x'".to_owned()];
            let refused = died("x", Some(&exit(Some(1), None)), false, &refused);
            assert_eq!(refused.kind, FailureKind::Unsupported, "{line}");
            let truly = [line.to_owned(), "cudaMalloc failed: out of memory".to_owned()];
            let truly = died("x", Some(&exit(Some(1), None)), false, &truly);
            assert_eq!((truly.kind, truly.log.len()), (FailureKind::OutOfMemory, 1), "{line}");
        }
    }

    #[test]
    fn signals_by_name() {
        let log = ["/x/ggml.c:12: GGML_ASSERT(n > 0) failed".to_owned(), "tail".to_owned()];
        let abort = died("run 1", Some(&exit(None, Some(libc::SIGABRT))), false, &log);
        insta::assert_snapshot!(show(&abort), @"Crash | SIGABRT ended the server during run 1 | /x/ggml.c:12: GGML_ASSERT(n > 0) failed | a bug in llama.cpp or a driver");
        let kill = |for_memory| show(&died("run 1", Some(&exit(None, Some(libc::SIGKILL))), for_memory, &[]));
        insta::assert_snapshot!(kill(true), @"OutOfMemory | memory was not enough: the server was killed by the kernel during run 1 |  | use a smaller quantization, a smaller `context`, a quantized KV cache, or fewer layers on the device");
        insta::assert_snapshot!(kill(false), @"Crash | SIGKILL ended the server during run 1 |  | somebody killed it, or a limit on memory did");
        let other = died("x", Some(&exit(None, Some(40))), false, &[]);
        assert_eq!(other.detail, "signal 40 ended the server during x");
    }

    #[test]
    fn lines_are_bounded() {
        let log: Vec<String> = (0..100).map(|n| format!("out of memory {n} {}", "é".repeat(1000))).collect();
        let failure = died("x", Some(&exit(Some(1), None)), false, &log);
        assert_eq!(failure.log.len(), MAX_LINES);
        assert!(failure.log.iter().all(|line| line.chars().count() <= MAX_LINE));
    }

    #[test]
    fn times_for_people() {
        let limit = |ms| timed_out("run 1", Duration::from_millis(ms), "3 of 8 tokens were here", &[]).detail;
        assert_eq!(limit(300), "run 1 took longer than 300 ms: 3 of 8 tokens were here");
        assert_eq!(limit(90_000), "run 1 took longer than 90 s: 3 of 8 tokens were here");
    }

    #[test]
    fn the_tail_of_a_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("log");
        assert!(tail(&path).is_empty(), "there is none");
        let mut text = "x".repeat(300 << 10).into_bytes();
        text.extend_from_slice(b"\nlast \xff\n");
        llamark_artifact::files::write_atomic(&path, &text).unwrap();
        let lines = tail(&path);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], "last \u{fffd}");
    }
}
