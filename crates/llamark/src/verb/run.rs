//! `llamark run`: fetch, build, measure, record, report. "The plan minus what the store holds" is computed here.

use camino::Utf8Path;
use llamark_artifact::{Found, vouch};
use llamark_bench::host;
use llamark_record::environment::Environment;

use crate::cli::Run;
use crate::context::{Context, shown};
use crate::display::Display;
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};
use crate::load::{self, Loaded};
use crate::resolve::{self, Resolved};
use crate::sealing::conclude;
use crate::session::Session;

pub(crate) fn run(context: &Context, args: &Run) -> Outcome {
    if let Some(key) = args.sign.as_ref().filter(|key| !key.is_file()) {
        return fail(Exit::BadInput, format!("there is no key at {key}"), "nothing was run");
    }
    let loaded = load::load(context, &args.spec, &args.selection)?;
    if args.locked {
        only_pinned(context, &loaded)?;
    }
    if args.dry_run {
        context.terminal.data(super::plan::describe(context, &loaded).as_bytes())?;
        return Ok(Exit::Done);
    }
    if let Some(repeats) = &loaded.repeats {
        return crate::reproduce::run(context, args, &loaded, repeats);
    }
    let environment = host::environment(&host::Roots::default());
    expect_hardware(context, &loaded, &environment, args.allow_other_hardware)?;

    let display = Display::new(context.terminal);
    let resolved = resolve::resolve(context, &loaded, &display, args.keep_going)?;
    let (store, host) = (context.store(), environment.fingerprint());
    let find = || {
        if args.again {
            // Afresh; but the same command again goes on where it was interrupted.
            store.unfinished(&resolved.plan, &host).or_fail(Exit::NotVerified)
        } else {
            store.find(&resolved.plan, &host).or_fail(Exit::NotVerified)
        }
    };
    let mut found = find()?;
    if !matches!(found, Some(Found::Sealed(_))) {
        // Whoever had the machine until now may have measured this very plan.
        context.have_machine(&display)?;
        found = find()?;
    }
    if let Some(Found::Sealed(path)) = &found {
        display.clear();
        let outcome = conclude(context, path, "Unchanged")?;
        let note =
            "this plan was measured on this machine before; nothing was run (`--again` measures again)";
        context.terminal.done(note);
        sign_once(context, args, path)?;
        return Ok(outcome);
    }
    let session =
        Session::open(context, &loaded.text, resolved, &environment, found, &display, args.keep_going)?;
    let sealed = session.all()?;
    display.clear();
    let outcome = conclude(context, &sealed, "Sealed")?;
    sign_once(context, args, &sealed)?;
    Ok(outcome)
}

/// Signs the set where that was asked for, unless it was signed before: by a run that was interrupted after it, or by
/// hand.
fn sign_once(context: &Context, args: &Run, set: &Utf8Path) -> Result<(), Failed> {
    let Some(key) = &args.sign else { return Ok(()) };
    if vouch::signature(set).or_fail(Exit::NotVerified)?.is_some() {
        context
            .terminal
            .step("Unchanged", &format!("{} has a signature; `llamark verify` says whose", shown(set)));
        return Ok(());
    }
    super::sign::sign(context, set, key)
}

/// Nothing may be left open: all that is not pinned is named at once, and nothing was fetched yet.
fn only_pinned(context: &Context, loaded: &Loaded) -> Result<(), Failed> {
    let unpinned = &loaded.pins.unpinned;
    if unpinned.is_empty() {
        return Ok(());
    }
    for what in unpinned {
        context.terminal.problem(&format!("not pinned: {what}"));
    }
    let inputs = if unpinned.len() == 1 { "input is" } else { "inputs are" };
    fail(
        Exit::BadInput,
        format!("{} {inputs} not pinned; nothing was fetched", unpinned.len()),
        "`llamark lock SPEC` pins what is available, and says what is not",
    )
}

/// To repeat a set is to have its inputs, byte for byte. The build may differ: its key names the compiler too, and
/// `llamark diff` says what changed.
pub(crate) fn same_inputs(loaded: &Loaded, resolved: &Resolved) -> Result<(), Failed> {
    let Some(before) = loaded.repeats.as_ref().map(|repeats| &repeats.resolved) else { return Ok(()) };
    let mut changed = Vec::new();
    if (&before.engine_tree, &before.engine_trees)
        != (&resolved.plan.engine_tree, &resolved.plan.engine_trees)
    {
        changed.push("the source tree of the engine".to_owned());
    }
    for (id, files) in &resolved.plan.model_files {
        if before.model_files.get(id) != Some(files) {
            changed.push(format!("the files of model `{id}`"));
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    fail(
        Exit::NotVerified,
        format!("this would not repeat the set, because these changed: {}", changed.join(", ")),
        "inputs are identified by their digest: see `model_files` and `engine_tree` in plan.json",
    )
}

/// The machine must be the one that the experiment expects.
pub(crate) fn expect_hardware(
    context: &Context,
    loaded: &Loaded,
    environment: &Environment,
    allow_other: bool,
) -> Result<(), Failed> {
    let hardware = &loaded.plan.hardware;
    let mut wrong = Vec::new();
    if let Some(expected) = &hardware.expect_gpu {
        let gpus: Vec<&str> = environment
            .facts
            .iter()
            .filter(|(name, _)| name.starts_with("gpu."))
            .filter_map(|(_, fact)| fact.value.as_deref())
            .collect();
        let expected_lower = expected.to_lowercase();
        if !gpus.iter().any(|gpu| gpu.to_lowercase().contains(&expected_lower)) {
            let names: Vec<&str> = environment
                .facts
                .iter()
                .filter(|(name, _)| name.starts_with("gpu.") && name.ends_with(".name"))
                .filter_map(|(_, fact)| fact.value.as_deref())
                .collect();
            let found = if names.is_empty() { "no GPU".to_owned() } else { names.join(", ") };
            wrong.push(format!("it expects the GPU `{expected}`, but this machine has {found}"));
        }
    }
    let memory = environment.value("memory.total_bytes").and_then(|bytes| bytes.parse::<u64>().ok());
    if let Some(memory) = memory
        && memory < hardware.expect_memory
    {
        wrong.push(format!(
            "it expects at least {} of memory, but this machine has {}",
            llamark_report::format::bytes(hardware.expect_memory),
            llamark_report::format::bytes(memory)
        ));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    if allow_other {
        for text in &wrong {
            context.terminal.warn(&format!("the experiment is for another machine: {text}"));
        }
        return Ok(());
    }
    fail(
        Exit::BadInput,
        format!("the experiment is for another machine: {}", wrong.join("; ")),
        "`--allow-other-hardware` runs what can run here",
    )
}
