//! Signals, death, and children that are left behind.
#![expect(unsafe_code, reason = "signals have no safe interface in std")]

use std::io::{Read as _, Write as _};
use std::process::{ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::behaviour::Child;

/// First argument of a process that does nothing but linger.
pub(crate) const LINGER: &str = "--linger";

static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_signal(_signal: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

fn handle(signal: libc::c_int, handler: libc::sighandler_t) {
    // SAFETY: the handler is SIG_IGN, SIG_DFL or `count_signal`, which only touches an atomic.
    unsafe { libc::signal(signal, handler) };
}

/// SIGTERM does nothing from here on.
pub(crate) fn ignore_sigterm() {
    handle(libc::SIGTERM, libc::SIG_IGN);
}

/// SIGTERM and SIGINT are counted from here on.
pub(crate) fn catch_signals() {
    let handler = count_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
    handle(libc::SIGTERM, handler);
    handle(libc::SIGINT, handler);
}

/// Signals so far.
pub(crate) fn signals() -> u32 {
    SIGNALS.load(Ordering::Relaxed)
}

/// Dies of a signal.
pub(crate) fn die(signal: i32) {
    // SAFETY: both calls only concern this process.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::kill(libc::getpid(), signal);
    }
    // Another thread may be the one that dies first.
    std::thread::sleep(Duration::from_secs(60));
}

/// Starts a process that outlives this one, and waits until it is on its own.
pub(crate) fn leave(child: Child) -> std::io::Result<()> {
    let how = match child {
        Child::Group => "group",
        Child::Session => "session",
    };
    #[expect(clippy::disallowed_methods, reason = "to leave a process behind is the misbehaviour")]
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args([LINGER, how]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn()?;
    if let Some(stdout) = &mut process.stdout {
        stdout.read_exact(&mut [0])?;
    }
    Ok(())
}

/// The life of such a process. It ends by itself after a while, should a test fail to kill it.
pub(crate) fn linger(how: &str) -> ExitCode {
    ignore_sigterm();
    if how == "session" {
        // SAFETY: it only concerns this process.
        unsafe { libc::setsid() };
    }
    std::io::stdout().write_all(b"x").ok();
    std::io::stdout().flush().ok();
    std::thread::sleep(Duration::from_secs(60));
    ExitCode::SUCCESS
}
