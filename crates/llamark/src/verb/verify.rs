//! `llamark verify`: files, journal, and every derived number made again.

use std::collections::BTreeMap;

use camino::Utf8Path;
use llamark_artifact::{ArtifactSet, Check, Verification};
use llamark_report::format::counted;
use serde::Serialize;

use crate::cli::Verify;
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};
use crate::signature::{self, Signed};
use crate::time_stamp;

/// What no check of a set can know, whatever its level.
const CANNOT_KNOW: [&str; 2] =
    ["whether the machine told the truth", "whether somebody who can sign made up the whole set"];

/// What `--json` prints.
#[derive(Serialize)]
struct Verified<'a> {
    #[serde(flatten)]
    verification: &'a Verification,
    signature: &'a Signed,
    /// What a third party says of when the manifest was there; absent if that was not checked.
    time_stamp: Option<String>,
    cannot_know: [&'static str; 2],
}

pub(crate) fn run(context: &Context, args: &Verify) -> Outcome {
    let path = context.find_set(args.set.as_deref())?;
    let trust = signature::trust_file(&args.trust)?;
    let asked = match (&args.time_authority, &trust) {
        (Some(_), _) => 4,
        (None, Some(_)) => 3,
        (None, None) => 2,
    };
    let level = args.level.unwrap_or(asked);
    let trust = trust.filter(|_| level >= 3);
    if level >= 3 && trust.is_none() {
        return fail(
            Exit::BadInput,
            "level 3 asks whether somebody you trust has signed the set, but no file says whom you trust",
            "name one with `--allowed-signers FILE`",
        );
    }
    let mut verification = without_signature(&path, level.min(2))?;
    // Whoever asked for a level gets it or an error; whoever did not, what there is.
    let falls_short = verification.passed() && verification.level < level.min(2);
    if falls_short && args.level.is_some() {
        return fail(
            Exit::NotVerified,
            format!(
                "{} was made by another version of llamark, and only that version can rebuild its report",
                shown(&path)
            ),
            "without `--level`, the numbers of its summary are checked; or verify it with that version (`builder` in manifest.json)",
        );
    }
    let signed = if verification.passed() {
        signature::of(context, &path, trust.as_deref())?
    } else {
        // Of files that are not what was sealed, a signature says nothing.
        Signed::Unchecked { reason: "the set does not verify without it".to_owned() }
    };
    if verification.passed() && (level >= 3 || matches!(signed, Signed::Bad { .. })) {
        verification.checks.push(signature::check(&signed));
        if !falls_short {
            verification.level = level;
        }
    }
    let mut time = None;
    if verification.passed() && level >= 4 {
        let Some(authority) = &args.time_authority else {
            return fail(
                Exit::BadInput,
                "level 4 asks a third party for the time, but none is named",
                "name its certificates with `--time-authority FILE` (PEM)",
            );
        };
        let (check, stamped) = time_stamp::check(context, &path, authority)?;
        verification.checks.push(check);
        time = stamped;
    }
    if args.json {
        let (verification, signature) = (&verification, &signed);
        let time_stamp = time.clone();
        context.terminal.json(&Verified { verification, signature, time_stamp, cannot_know: CANNOT_KNOW })?;
    }
    print(context, &verification);
    if !verification.passed() {
        let count: usize = verification
            .checks
            .iter()
            .map(|check| check.problems.len() + usize::try_from(check.more).unwrap_or(0))
            .sum();
        context.terminal.problem(&format!("{} does not verify: {}", shown(&path), counted(count, "problem")));
        return Ok(Exit::NotVerified);
    }
    context.terminal.step("Signature", &signed.words());
    if let Some(time) = time {
        context.terminal.step("Time", &format!("a third party says that it existed on {time}"));
    }
    context.terminal.step("Unknown", &CANNOT_KNOW.join("; "));
    if falls_short {
        context.terminal.warn(
            "another version of llamark made its report and tables, and only that version can rebuild them: read the report \
             that `llamark report` makes here",
        );
    }
    context.terminal.done(&format!("{} verifies at level {}", shown(&path), verification.level));
    Ok(Exit::Done)
}

/// Levels 0 to 2. Of a set whose derived files another version of llamark made, level 1 and the numbers of its summary.
///
/// # Errors
/// When the set could not be verified at all.
pub(crate) fn without_signature(path: &Utf8Path, level: u8) -> Result<Verification, Failed> {
    let mut verification = llamark_artifact::verify(path, level.min(1)).or_fail(Exit::NotVerified)?;
    if level >= 2 && verification.passed() {
        let set = ArtifactSet::read(path).or_fail(Exit::NotVerified)?;
        if let Some(document) = set.resolved.plan.document() {
            verification.checks.push(super::import::again(&set, document)?);
        }
        let check = derived(&set)?;
        verification.level = check.level;
        verification.checks.push(check);
    }
    Ok(verification)
}

/// The version of llamark that made the derived files, where it is another than this: the manifest and the journal agree on it.
fn another_version(set: &ArtifactSet) -> Option<&str> {
    let maker = set.sealed.as_ref()?.predicate.run_details.builder.version.get("llamark")?;
    let of_journal = set.ledger().begin.as_ref().map(|begin| &begin.llamark);
    (maker != env!("CARGO_PKG_VERSION") && of_journal == Some(maker)).then_some(maker)
}

/// Every derived file, made again from plan, journal and environment, byte for byte: level 2. Another version has other words
/// and layouts, so that of its files only the numbers of the summary can be made again, and level 1 is what is shown.
fn derived(set: &ArtifactSet) -> Result<Check, Failed> {
    let again = llamark_report::derived_files(set).or_fail(Exit::NotVerified)?;
    let mut check = Check {
        level: 2,
        name: "derived files rebuilt",
        count: again.len() as u64,
        problems: Vec::new(),
        more: 0,
    };
    let mut theirs: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for (name, bytes) in &again {
        match fs_err::read(set.path.join(name)) {
            Ok(found) if &found == bytes => {}
            Ok(found) => {
                check.problems.push(format!("{name} is not what the journal gives"));
                theirs.insert(name, found);
            }
            Err(error) => check.problems.push(error.to_string()),
        }
    }
    let (Some(_), true) = (another_version(set), theirs.len() == check.problems.len() && !theirs.is_empty())
    else {
        return Ok(check);
    };
    const SUMMARY: &str = "summary.json";
    let ours = again.get(SUMMARY).map(Vec::as_slice).unwrap_or_default();
    let compared = llamark_report::same_numbers(theirs.get(SUMMARY).map_or(ours, Vec::as_slice), ours);
    let (count, problems) = match compared {
        Ok(count) => (count, Vec::new()),
        Err(problem) => (0, vec![format!("{SUMMARY}: {problem}")]),
    };
    Ok(Check { level: 1, name: "numbers of another version's summary rebuilt", count, problems, more: 0 })
}

fn print(context: &Context, verification: &Verification) {
    for check in &verification.checks {
        if check.problems.is_empty() {
            context.terminal.step("ok", &format!("{} ({})", check.name, check.count));
        } else {
            for problem in &check.problems {
                context.terminal.problem(&format!("{:>12} {}: {problem}", "FAILED", check.name));
            }
        }
    }
}
