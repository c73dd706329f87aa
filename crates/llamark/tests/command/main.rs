//! The command as its user meets it: exit codes, what is on which stream, what is left on the disk. The server is
//! the fake one; the real one runs in CI.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may panic, and stands outside of what it tests: it spawns the command and writes its files by hand"
)]

mod ab;
mod at_once;
mod bisecting;
mod caching;
mod canary;
mod comparing;
mod exporting;
mod forging;
mod harness;
mod import;
mod interrupt;
mod locking;
mod perplexity;
mod procedure;
mod reading;
mod reproducing;
mod running;
mod shapes;
mod signing;
mod torture;
mod turns;
