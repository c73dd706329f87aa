//! `llamark run SET`: the plan of a set once more, with its inputs by digest, and whether the same comes out.

use std::collections::BTreeSet;

use llamark_artifact::{ArtifactSet, vouch};
use llamark_bench::host;
use llamark_record::environment::Environment;
use llamark_record::manifest::{Digests, Resource};
use llamark_report::compare::{self, CompareOptions, Detail, Reproduction};

use crate::cli::Run;
use crate::context::{Context, shown};
use crate::display::Display;
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};
use crate::inputs::{self, Inputs};
use crate::load::{Loaded, Repeats};
use crate::noise_file;
use crate::resolve::Resolved;
use crate::session::Session;
use crate::signature::{self, Signed};

/// Measures the set again and compares: 0 reproduced, 1 not, 3 other hardware, 6 inconclusive.
pub(crate) fn run(context: &Context, args: &Run, loaded: &Loaded, repeats: &Repeats) -> Outcome {
    signed_by_somebody_trusted(context, args, repeats)?;
    let environment = host::environment(&host::Roots::default());
    crate::verb::run::expect_hardware(context, loaded, &environment, args.allow_other_hardware)?;

    let display = Display::new(context.terminal);
    let found = inputs::find(context, loaded, &repeats.resolved, &display)?;
    display.clear();
    let mut resolved = all_there(context, repeats, found)?;
    resolved.dependencies.push(original(repeats)?);
    context.have_machine(&display)?;
    let open = context
        .store()
        .find_interrupted(&resolved.plan, &environment.fingerprint())
        .or_fail(Exit::NotVerified)?;
    let session =
        Session::open(context, &loaded.text, resolved, &environment, open, &display, args.keep_going)?;
    let sealed = session.all()?;
    display.clear();
    context.terminal.step("Sealed", &shown(&sealed));
    if let Some(key) = &args.sign {
        crate::verb::sign::sign(context, &sealed, key)?;
    }
    let base = ArtifactSet::read(&repeats.path).or_fail(Exit::NotVerified)?;
    let again = ArtifactSet::read(&sealed).or_fail(Exit::NotVerified)?;
    conclude(context, &base, &again, &environment)
}

/// What is run again builds and executes what a stranger's set names: where a file says whose sets count, only theirs.
fn signed_by_somebody_trusted(context: &Context, args: &Run, repeats: &Repeats) -> Result<(), Failed> {
    let trust = signature::trust_file(&args.trust)?;
    let signed = signature::of(context, &repeats.path, trust.as_deref())?;
    let hint = match (&signed, &trust) {
        (Signed::Bad { hint, .. }, _) => Some(hint.as_str()),
        (Signed::Trusted { .. }, _) | (_, None) => None,
        (Signed::Unsigned | Signed::By { .. } | Signed::Unchecked { .. }, Some(_)) => {
            Some("ask whoever made it to sign it; `LLAMARK_ALLOWED_SIGNERS=` requires no signature")
        }
    };
    if let Some(hint) = hint {
        let set = shown(&repeats.path);
        return fail(Exit::NotVerified, format!("{set} cannot be run again: {}", signed.words()), hint);
    }
    context.terminal.step("Repeating", &format!("{}, {}", shown(&repeats.path), signed.words()));
    Ok(())
}

/// Everything that went in; else what did not, all of it.
fn all_there(context: &Context, repeats: &Repeats, found: Inputs) -> Result<Resolved, Failed> {
    for build in &found.other_builds {
        context.terminal.warn(build);
    }
    if let Some(resolved) = found.resolved {
        return Ok(resolved);
    }
    for what in &found.missing {
        context.terminal.problem(&format!("missing: {what}"));
    }
    for what in &found.changed {
        context.terminal.problem(&format!("changed: {what}"));
    }
    let set = shown(&repeats.path);
    if found.changed.is_empty() {
        return fail(
            Exit::BadInput,
            format!(
                "{set} cannot be measured again here: {} of its inputs are not available",
                found.missing.len()
            ),
            "inputs are identified by their digest: a model may be anywhere under `--models DIR`, under any name",
        );
    }
    fail(
        Exit::NotVerified,
        format!("this would not repeat {set}, because these changed: {}", found.changed.join(", ")),
        "inputs are identified by their digest: see `model_files` and `engine_tree` in plan.json",
    )
}

/// The set that is repeated, as an input of the new one: its manifest is what it is known by.
fn original(repeats: &Repeats) -> Result<Resource, Failed> {
    let sha256 = vouch::digest(&repeats.path).or_fail(Exit::NotVerified)?;
    let id = repeats.path.canonicalize_utf8().unwrap_or_else(|_| repeats.path.clone());
    let id = id.file_name().unwrap_or_default();
    Ok(Resource {
        name: format!("reproduces/{}/{id}", repeats.resolved.plan.name),
        uri: None,
        digest: Digests { sha256 },
        annotations: std::collections::BTreeMap::new(),
    })
}

/// The comparison, and what it means.
fn conclude(context: &Context, base: &ArtifactSet, again: &ArtifactSet, here: &Environment) -> Outcome {
    let same_host = base.environment.fingerprint() == here.fingerprint();
    let noise = if same_host { noise_file::of_host(context, &here.fingerprint())? } else { None };
    let compare = |across: &[&str]| {
        let across = across.iter().map(|&word| word.to_owned()).collect();
        let options = CompareOptions { across, noise: noise.clone(), ..CompareOptions::default() };
        llamark_report::compare(base, again, &options)
    };
    let cases: BTreeSet<&str> = again.resolved.plan.cases.iter().map(|case| case.id.as_str()).collect();
    let mut comparison = compare(&[])?;
    let answer = compare::reproduction(&comparison, &cases);
    if answer == Reproduction::OtherHardware {
        // It is what differs, so that the numbers can be shown beside each other.
        comparison = compare(&["hardware"])?;
    }
    let terminal = context.terminal;
    let detail = Detail { all: true, explain: terminal.is_verbose() };
    terminal.data(compare::terminal(&comparison, terminal.width(), detail).as_bytes())?;
    tell_outputs(context, base, again);
    let (first, again) = (shown(&base.path), shown(&again.path));
    Ok(match answer {
        Reproduction::Reproduced => {
            terminal.done(&format!("reproduced: {again} gives what {first} has"));
            Exit::Done
        }
        Reproduction::NotReproduced => {
            terminal.problem(&format!("not reproduced: {again} differs from {first}"));
            Exit::Regression
        }
        Reproduction::Inconclusive => {
            terminal.problem(&format!(
                "inconclusive: these starts cannot tell whether {again} gives what {first} has"
            ));
            Exit::Inconclusive
        }
        Reproduction::OtherHardware => {
            terminal.problem(&format!(
                "other hardware: {again} was measured on a different machine than {first}, and does not say whether it \
                 can be reproduced"
            ));
            Exit::NotVerified
        }
    })
}

/// The tokens that were generated: another machine may round otherwise, so that they decide nothing.
fn tell_outputs(context: &Context, base: &ArtifactSet, again: &ArtifactSet) {
    let (same, known) = compare::cases_with_same_tokens(base, again);
    if known > 0 {
        context.terminal.step("Tokens", &format!("the same were generated in {same} of {known} cases"));
    }
}
