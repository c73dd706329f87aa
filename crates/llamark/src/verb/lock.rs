//! `llamark lock`: pins what an experiment leaves open.

use std::collections::BTreeSet;

use llamark_build::{Builder, Origin};
use llamark_fetch::{FetchedEngine, Fetcher};
use llamark_record::plan::EngineSource;
use llamark_spec::lock::{self, Change, EnginePin, Found, How, ModelPin, OpenModel};

use crate::cli::LockArgs;
use crate::context::Context;
use crate::display::Display;
use crate::exit::{Exit, Outcome, fail};
use crate::load::{self, Loaded};
use crate::lock_file::LockFile;
use crate::resolve::{Hint, reason};

pub(crate) fn run(context: &Context, args: &LockArgs) -> Outcome {
    let loaded = load::sound(context, &args.spec, load::check(&args.spec)?)?;
    let file = LockFile::beside(&args.spec);
    // Before anything is fetched: a file that cannot be read is not written over.
    let old = file.read(context)?;
    if args.check {
        return check(context, loaded, &file, old);
    }
    let display = Display::new(context.terminal);
    let mut advice = Advice::default();
    let pinned_engine = |source| engine(context, &loaded, source, &display, &mut advice);
    let engines: Vec<_> = loaded.open.engines.iter().map(pinned_engine).collect();
    let models = loaded.open.models.iter().map(|open| model(context, &loaded, open, &display, &mut advice));
    let found = Found { models: models.collect(), engines };
    display.clear();
    if context.interrupt.is_set() {
        return fail(Exit::Interrupted, "interrupted; the lock file is as it was", "");
    }
    let mut changes = Vec::new();
    let written = file.update(context, |old| {
        let (new, changed) = lock::update(old, &loaded.open, &found);
        changes = changed;
        new
    })?;
    report(context, &loaded, &file, &changes, &advice, written)
}

/// Whether the lock file fits the experiment. Looks at the experiment, its prompts and the lock file alone, so that it
/// can be asked where there are no models.
fn check(context: &Context, mut loaded: Loaded, file: &LockFile, old: Option<lock::Lock>) -> Outcome {
    let exists = old.is_some();
    let pins = lock::apply(&old.unwrap_or_default(), &loaded.open, &mut loaded.plan);
    for what in &pins.unpinned {
        context.terminal.problem(&format!("not pinned: {what}"));
    }
    for what in &pins.stale {
        context.terminal.problem(&format!("pinned, but not asked for by the experiment: {what}"));
    }
    for changed in &pins.changed_prompts {
        context.terminal.problem(&changed.to_string());
    }
    let count = pins.unpinned.len() + pins.stale.len() + pins.changed_prompts.len();
    if count == 0 {
        context.terminal.done(&pinned(loaded.open.count(), 0));
        return Ok(Exit::Done);
    }
    let what = if exists {
        format!("{} does not fit the experiment in {count} {}", file.name(), plural(count, "place"))
    } else {
        format!(
            "there is no {}, and the experiment leaves {count} {} open",
            file.name(),
            plural(count, "input")
        )
    };
    fail(Exit::BadInput, what, "`llamark lock SPEC` writes it")
}

/// What to do about what could not be pinned: each once, since twenty missing models have one remedy.
#[derive(Default)]
struct Advice(BTreeSet<String>);

impl Advice {
    /// Why something cannot be pinned; what to do about it is kept.
    fn take<E: std::error::Error + Hint>(&mut self, error: &E) -> String {
        self.0.extend(Some(error.hint()).filter(|hint| !hint.is_empty()));
        reason(error)
    }
}

/// What an engine is now, or why that cannot be told.
fn engine(
    context: &Context,
    loaded: &Loaded,
    source: &EngineSource,
    display: &Display,
    advice: &mut Advice,
) -> Result<EnginePin, String> {
    let fetched = Fetcher::new(&context.cache)
        .engine(source, &loaded.folder, &context.interrupt, &|event| display.fetch(event))
        .map_err(|error| advice.take(&error))?;
    match (source.clone(), fetched) {
        (EngineSource::Git { url, rev }, FetchedEngine::Source { git_commit: Some(commit), .. }) => {
            Ok(EnginePin::Git { git: url, rev, commit })
        }
        (EngineSource::Path { path }, FetchedEngine::Source { tree, .. }) => {
            Ok(EnginePin::Path { path, tree })
        }
        (EngineSource::Prebuilt { path: prebuilt }, FetchedEngine::Prebuilt { path }) => {
            let (origin, plan) = (Origin::Prebuilt { path: &path }, &loaded.plan);
            let mut builds = plan.builds.iter();
            let build = builds.find(|build| plan.engine_of(build).source == *source);
            let build = build.ok_or("no build of the plan uses it")?;
            let (engine, observer) = (plan.engine_of(build), |event| display.build(event));
            let prepared = Builder::new(&context.cache)
                .prepare(build, engine, origin, &context.interrupt, &observer)
                .map_err(|error| advice.take(&error))?;
            Ok(EnginePin::Prebuilt { prebuilt, key: prepared.key().clone() })
        }
        _ => Err("this kind of source has nothing to pin".to_owned()),
    }
}

/// What a model is now, or why that cannot be told.
fn model(
    context: &Context,
    loaded: &Loaded,
    open: &OpenModel,
    display: &Display,
    advice: &mut Advice,
) -> Result<ModelPin, String> {
    let models = context.models.as_deref();
    let identified = Fetcher::new(&context.cache)
        .identify(&open.source, &loaded.folder, models, &context.interrupt, &|event| display.fetch(event))
        .map_err(|error| advice.take(&error))?;
    let pin = open.pin(identified.commit, identified.files);
    pin.ok_or_else(|| "this kind of source has nothing to pin".to_owned())
}

/// What is pinned, what changed, and what is missing.
fn report(
    context: &Context,
    loaded: &Loaded,
    file: &LockFile,
    changes: &[Change],
    advice: &Advice,
    written: bool,
) -> Outcome {
    let terminal = context.terminal;
    for Change { what, how } in changes {
        match how {
            How::Same => terminal.step("Pinned", what),
            How::New { now } => terminal.step("New", &format!("{what}: {now}")),
            How::Changed { before, now } => terminal.step("Changed", &format!("{what}: {before} -> {now}")),
            How::Removed => terminal.step("Removed", what),
            How::Kept { .. } | How::Unpinned { .. } => {}
        }
    }
    let mut missing = 0;
    for change in changes {
        // The reason says which source it is of.
        let name = change.name();
        match &change.how {
            How::Kept { reason } => terminal.warn(&format!("{name} stays pinned as before: {reason}")),
            How::Unpinned { reason } => {
                missing += 1;
                terminal.problem(&format!("not pinned: {name}: {reason}"));
            }
            _ => {}
        }
    }
    let count = loaded.open.count();
    let pinned = pinned(count, missing);
    let how = match (written, count) {
        (true, _) => format!("{pinned} in {}", file.name()),
        (false, 0) => "the experiment itself fixes every input; there is nothing to pin".to_owned(),
        (false, _) => format!("{pinned} in {}, which is unchanged", file.name()),
    };
    if missing == 0 {
        terminal.done(&how);
        return Ok(Exit::Done);
    }
    fail(
        Exit::BadInput,
        format!("{missing} of {count} {} cannot be pinned here", plural(count, "input")),
        [how, "running `lock` where the others are keeps these pins".to_owned()]
            .into_iter()
            .chain(advice.0.iter().cloned())
            .collect::<Vec<_>>()
            .join("; "),
    )
}

fn pinned(count: usize, missing: usize) -> String {
    let pinned = count - missing;
    let are = if pinned == 1 { "is" } else { "are" };
    format!("{pinned} of {count} {} {are} pinned", plural(count, "input"))
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}
