//! Takes: a program, its arguments, its folder, its whole environment, and where its output goes.
//! Gives: the output of a helper command, or a running server; how it ended; the certainty that nothing of it is left.
//! Never: a shell string, an inherited environment, a child in our own process group, a process that outlives us.

mod command;
mod environment;
mod error;
mod family;
mod guard;
mod interrupt;
mod output;
mod registry;
mod run;
mod server;
mod spawner;
mod sys;

pub use command::Command;
pub use environment::{base_environment, find_program, own_environment};
pub use error::ProcessError;
pub use guard::{Guard, guard};
pub use interrupt::Interrupt;
pub use run::{Output, RunOptions, run};
pub use server::{Exit, Server};
