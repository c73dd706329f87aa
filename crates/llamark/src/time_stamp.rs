//! Time stamps of a manifest by a third party (RFC 3161), checked by stock `openssl ts`, offline.

use std::time::Duration;

use camino::Utf8Path;
use llamark_artifact::set::{MANIFEST, TIMESTAMP};
use llamark_artifact::{Check, vouch};
use llamark_process::{Command, Output, RunOptions};

use crate::context::Context;
use crate::exit::{Exit, Failed, OrFail as _};

const LIMIT: Duration = Duration::from_secs(60);

/// Level 4: a third party, whose certificates are in `authority`, says that the manifest was there at a time. Gives that
/// time as the token has it.
///
/// # Errors
/// When `openssl` is not there.
pub(crate) fn check(
    context: &Context,
    set: &Utf8Path,
    authority: &Utf8Path,
) -> Result<(Check, Option<String>), Failed> {
    let mut check = Check::new(4, "time stamps by a third party");
    check.count();
    if vouch::timestamp(set).or_fail(Exit::NotVerified)?.is_none() {
        check.problem(format!("there is no {TIMESTAMP}"));
        return Ok((check, None));
    }
    let absolute = |path: &Utf8Path| camino::absolute_utf8(path).or_fail(Exit::BadInput);
    let (token, manifest) = (absolute(&set.join(TIMESTAMP))?, absolute(&set.join(MANIFEST))?);
    let authority = absolute(authority)?;
    let (token, manifest, authority) = (token.as_str(), manifest.as_str(), authority.as_str());
    let verified =
        openssl(context, &["ts", "-verify", "-in", token, "-data", manifest, "-CAfile", authority])?;
    if !verified.success() {
        let said: String = verified.stderr.escape_debug().take(300).collect();
        check.problem(format!("{TIMESTAMP} does not vouch for this manifest: {said}"));
        return Ok((check, None));
    }
    let text = openssl(context, &["ts", "-reply", "-in", token, "-text"])?;
    let time = text.stdout.lines().find_map(|line| line.strip_prefix("Time stamp: "));
    Ok((check, time.map(|time| time.escape_debug().take(60).collect())))
}

fn openssl(context: &Context, args: &[&str]) -> Result<Output, Failed> {
    let command =
        Command::new("openssl", "/").envs(llamark_process::base_environment()).args(args.iter().copied());
    let options = RunOptions { timeout: Some(LIMIT), ..RunOptions::new(&context.interrupt) };
    llamark_process::run(&command, options)
        .or_fail_hint(Exit::BadInput, "time stamps are checked by the program openssl")
}
