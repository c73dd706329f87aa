//! `llamark verify`: files, journal, and every derived number made again.

use llamark_artifact::{ArtifactSet, Check, Verification};

use crate::cli::Verify;
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome};

pub(crate) fn run(context: &Context, args: &Verify) -> Outcome {
    let path = context.find_set(args.set.as_deref())?;
    let mut verification = llamark_artifact::verify(&path, args.level.min(1)).or_fail(Exit::NotVerified)?;
    if args.level >= 2 && verification.passed() {
        let set = ArtifactSet::read(&path).or_fail(Exit::NotVerified)?;
        if let Some(document) = set.resolved.plan.document() {
            verification.checks.push(super::import::again(&set, document)?);
        }
        verification.checks.push(derived(&set)?);
        verification.level = 2;
    }
    if args.json {
        context.terminal.json(&verification)?;
    }
    print(context, &verification);
    if verification.passed() {
        context.terminal.done(&format!("{} verifies at level {}", shown(&path), verification.level));
        Ok(Exit::Done)
    } else {
        let count: usize = verification
            .checks
            .iter()
            .map(|check| check.problems.len() + usize::try_from(check.more).unwrap_or(0))
            .sum();
        context.terminal.problem(&format!("{} does not verify: {count} problems", shown(&path)));
        Ok(Exit::NotVerified)
    }
}

/// Level 2: every derived file, made again from plan, journal and environment, byte for byte.
fn derived(set: &ArtifactSet) -> Result<Check, Failed> {
    let again = llamark_report::derived_files(set).or_fail(Exit::NotVerified)?;
    let maker = set
        .sealed
        .as_ref()
        .and_then(|manifest| manifest.predicate.run_details.builder.version.get("llamark").cloned());
    let mut problems = Vec::new();
    for (name, bytes) in &again {
        match fs_err::read(set.path.join(name)) {
            Ok(found) if &found == bytes => {}
            Ok(_) => {
                let by_whom = match &maker {
                    Some(version) if version != env!("CARGO_PKG_VERSION") => {
                        format!(
                            " (the set was made by llamark {version}, this is {})",
                            env!("CARGO_PKG_VERSION")
                        )
                    }
                    _ => String::new(),
                };
                problems.push(format!("{name} is not what the journal gives{by_whom}"));
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    Ok(Check { level: 2, name: "derived files made again", count: again.len() as u64, problems, more: 0 })
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
