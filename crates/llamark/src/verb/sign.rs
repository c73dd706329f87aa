//! `llamark sign`: a signature of a sealed set by an SSH key.

use camino::Utf8Path;
use llamark_artifact::vouch;

use crate::cli::Sign;
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};
use crate::signature::{self, Signed};

pub(crate) fn run(context: &Context, args: &Sign) -> Outcome {
    let path = context.find_set(args.set.as_deref())?;
    if !args.replace && vouch::signature(&path).or_fail(Exit::NotVerified)?.is_some() {
        return fail(
            Exit::BadInput,
            format!("{} is already signed", shown(&path)),
            "`--replace` replaces the signature with yours; `llamark verify` says whose it is",
        );
    }
    sign(context, &path, &args.key)?;
    Ok(Exit::Done)
}

/// Signs the set, which must verify: nobody should put a name under what does not hold together.
///
/// # Errors
/// When it does not verify, or the key cannot be used.
pub(crate) fn sign(context: &Context, path: &Utf8Path, key: &Utf8Path) -> Result<(), Failed> {
    let verification = super::verify::without_signature(path, 2)?;
    if let Some(problem) = verification.first_problem() {
        return fail(
            Exit::NotVerified,
            format!("{} does not verify, so it was not signed: {problem}", shown(path)),
            "`llamark verify` lists everything that is wrong",
        );
    }
    if verification.level < 2 {
        return fail(
            Exit::NotVerified,
            format!(
                "{} was made by another version of llamark, so it was not signed: its report cannot be rebuilt here",
                shown(path)
            ),
            "sign it with the version that made it",
        );
    }
    let signature = signature::make(context, path, key)?;
    vouch::put_signature(path, &signature).or_fail(Exit::NotVerified)?;
    match signature::of(context, path, None)? {
        Signed::By { key } => context.terminal.step("Signed", &format!("{} by the key {key}", shown(path))),
        other => return fail(Exit::Internal, format!("{}: {}", shown(path), other.words()), ""),
    }
    Ok(())
}
