//! What the standard library and rustix do not offer: `pre_exec`, `fork` and `wait4`. All `unsafe` is here.
#![expect(unsafe_code, reason = "pre_exec, fork, wait4 and close_range have no safe form")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::Pid;

/// How a child ended, and what it had used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reaped {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Most memory that was resident at once in the child, or in a descendant that it waited for, bytes.
    pub max_rss_bytes: u64,
}

/// Prepares `command` so that its process leads a group of its own, inherits no descriptor but its three
/// streams, and is killed by the kernel when we die.
pub(crate) fn arm(command: &mut Command) {
    command.process_group(0);
    let parent = std::process::id();
    // SAFETY: the closure runs between fork and exec. It makes system calls only: no allocation, no lock, and
    // nothing of another thread is touched.
    unsafe {
        command.pre_exec(move || die_with(parent));
    }
}

#[cfg(target_os = "linux")]
fn die_with(parent: u32) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // The parent may have died before the line above; then the signal never comes.
    let is_orphan = rustix::process::getppid().is_none_or(|pid| pid.as_raw_pid().cast_unsigned() != parent);
    if is_orphan {
        return Err(io::Error::from_raw_os_error(libc::ECHILD));
    }
    // SAFETY: close_range with this flag only marks descriptors; kernels before 5.11 refuse it, and then the
    // descriptors that Rust made are marked already.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Linux")]
fn die_with(_parent: u32) -> io::Result<()> {
    Ok(())
}

/// Reaps the child `pid`, which has ended: does not wait long.
pub(crate) fn reap(pid: Pid) -> io::Result<Reaped> {
    let mut status: libc::c_int = 0;
    // SAFETY: rusage is plain integers, for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live, writable variables of the types that wait4 fills.
        let result = unsafe { libc::wait4(pid.as_raw_pid(), &raw mut status, 0, &raw mut usage) };
        if result >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // Linux counts KiB, macOS bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok(Reaped {
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        max_rss_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit,
    })
}

/// Ends this process at once: no destructor, no buffer of the process that it was forked from is flushed.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit does not return and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Which side of a fork this is.
pub(crate) enum Side {
    /// The process that forked, and its child's id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Makes a copy of this process, which must have one thread only.
#[cfg(target_os = "linux")]
pub(crate) fn fork_single_threaded() -> io::Result<Side> {
    // SAFETY: the caller made sure that no other thread exists, so no lock can be held by one that the child
    // does not have, and the child may go on as if nothing had happened.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => Pid::from_raw(pid).map(Side::Parent).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH)),
    }
}

/// Makes `kept` the standard input and closes every other descriptor. Only for a process that will end with
/// [`exit_now`]: every owner of a descriptor is left with nothing.
#[cfg(target_os = "linux")]
pub(crate) fn keep_only(kept: &impl std::os::fd::AsRawFd) -> io::Result<()> {
    // SAFETY: dup2 and close_range act on numbers. Nothing that owns a closed descriptor is used or dropped
    // afterwards, since the process ends with _exit.
    unsafe {
        if libc::dup2(kept.as_raw_fd(), 0) < 0 {
            return Err(io::Error::last_os_error());
        }
        if libc::syscall(libc::SYS_close_range, 1 as libc::c_uint, libc::c_uint::MAX, 0) != 0 {
            // Before Linux 5.9.
            for descriptor in 1..4096 {
                libc::close(descriptor);
            }
        }
    }
    Ok(())
}

/// Ignores the signals by which a terminal or a person ends a program.
#[cfg(target_os = "linux")]
pub(crate) fn ignore_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP, libc::SIGPIPE] {
        // SAFETY: SIG_IGN is a valid disposition for each of them, and there is one thread.
        unsafe {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}
