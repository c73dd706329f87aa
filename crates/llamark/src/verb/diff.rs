//! `llamark diff`: a verdict per case and metric, and what changed around it.

use crate::cli::{Diff, DiffFormat};
use crate::context::Context;
use crate::exit::{Exit, OrFail as _, Outcome};

pub(crate) fn run(context: &Context, args: &Diff) -> Outcome {
    let base = context.read_set(Some(&args.base))?;
    let candidate = context.read_set(Some(&args.candidate))?;
    let comparison = llamark_report::compare(&base, &candidate).or_fail(Exit::NotVerified)?;
    match args.format {
        DiffFormat::Term => context.terminal.data(comparison.terminal(context.terminal.width()).as_bytes()),
        DiffFormat::Md => context.terminal.data(comparison.markdown().as_bytes()),
        DiffFormat::Json => context.terminal.json(&comparison)?,
    }
    Ok(match comparison.conclusion() {
        llamark_report::Conclusion::NoRegression => Exit::Done,
        llamark_report::Conclusion::Regression => Exit::Regression,
        llamark_report::Conclusion::NotComparable => Exit::NotVerified,
        llamark_report::Conclusion::Inconclusive => Exit::Inconclusive,
    })
}
