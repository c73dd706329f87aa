//! The command as its user meets it: exit codes, what is on which stream, what is left on the disk. The server is
//! the fake one; the real one runs in CI.

mod harness;
mod interrupt;
mod reading;
mod running;
