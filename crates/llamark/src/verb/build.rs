//! `llamark build`: the builds of an experiment, and nothing else.

use std::collections::BTreeMap;

use crate::cli::Build;
use crate::context::Context;
use crate::display::Display;
use crate::exit::{Exit, Outcome};
use crate::{load, resolve};

pub(crate) fn run(context: &Context, args: &Build) -> Outcome {
    let loaded = load::load(context, &args.spec, &args.selection)?;
    let display = Display::new(context.terminal);
    let prepared = resolve::builds(context, &loaded, &display)?.prepared;
    if !prepared.values().all(|prepared| resolve::is_built(context, prepared)) {
        // Compilers beside a measurement would be measured with it.
        context.have_machine(&display)?;
    }
    let mut records = BTreeMap::new();
    for (id, prepared) in &prepared {
        let built = resolve::compile(context, prepared, &display)?;
        let how = if built.reused { "Reused" } else { "Built" };
        display.step(how, &format!("{id}: {} in {}", built.record.version, built.folder));
        records.insert(id, built.record);
    }
    display.clear();
    if args.json {
        context.terminal.json(&records)?;
    }
    Ok(Exit::Done)
}
