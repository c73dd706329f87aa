//! `llamark completions`: the completion script for a shell.

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions};
use crate::context::Context;
use crate::exit::{Exit, Outcome};

pub(crate) fn run(context: &Context, args: &Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "llamark", &mut script);
    context.terminal.data(&script)?;
    Ok(Exit::Done)
}
