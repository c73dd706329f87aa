//! `llamark diff --confirm`: fresh, interleaved starts of both sides, for what looks or is worse, or is undecided.

use camino::Utf8Path;
use llamark_artifact::ArtifactSet;
use llamark_bench::host;
use llamark_record::Sha256;
use llamark_record::comparison::Comparison;
use llamark_record::environment::{Environment, FieldClass};
use llamark_record::plan::{Arm, Pairing, Purpose, ResolvedPlan};
use llamark_report::compare::{Again, is_to_confirm};
use llamark_spec::Turns;

use crate::context::{Context, shown};
use crate::display::Display;
use crate::exit::{Exit, Failed, OrFail as _, fail};
use crate::inputs;
use crate::load::{self, Loaded};
use crate::resolve::Resolved;
use crate::turns::{self, Given};

/// Which round: there is one.
const ROUND: u32 = 1;

/// The fresh sets, measured now or by an earlier call; `None` when there is nothing to confirm.
///
/// # Errors
/// When an input of either set cannot be had (each is named), the machine is another, or the comparison was confirmed
/// before with other starts or cases.
pub(crate) fn fresh(
    context: &Context,
    sets: [&ArtifactSet; 2],
    comparison: &Comparison,
    again: Again,
    starts: u32,
) -> Result<Option<[ArtifactSet; 2]>, Failed> {
    let mut cases: Vec<&str> = comparison
        .cases
        .iter()
        .filter(|case| case.metrics.iter().any(|metric| is_to_confirm(metric, again)))
        .map(|case| case.id.as_str())
        .collect();
    cases.sort_unstable();
    if cases.is_empty() {
        context.terminal.text(match again {
            Again::Worse => "Nothing looks or is worse: there is nothing to confirm (`--confirm=undecided` takes what is inconclusive, too)",
            Again::Undecided => "Everything is decided: there is nothing to confirm",
        });
        return Ok(None);
    }
    context.terminal.step("Confirming", &format!("{} in {starts} fresh starts per side", cases.join(", ")));
    let environment = host::environment(&host::Roots::default());
    on_this_machine(comparison, &environment)?;
    not_reproduced(context, comparison);

    let display = Display::new(context.terminal);
    let [base, candidate] = sets;
    let pairing = pairing(comparison)?;
    let seed = base.resolved.plan.seed.wrapping_add(ROUND);
    let turns = |arm| Turns {
        purpose: Purpose::Confirmation,
        pairing: pairing.clone(),
        arm,
        starts,
        most: turns::most(starts),
        seed,
    };
    let mut missing = Vec::new();
    let a = side(context, base, &cases, &turns(Arm::Base), &display, &mut missing)?;
    let b = side(context, candidate, &cases, &turns(Arm::Candidate), &display, &mut missing)?;
    display.clear();
    let (Some(a), Some(b), true) = (a, b, missing.is_empty()) else {
        for what in &missing {
            context.terminal.problem(&format!("missing: {what}"));
        }
        return fail(
            Exit::BadInput,
            "what was compared cannot be measured again here: some inputs of the sets are not available",
            "run from the folder of the experiment, with `--models DIR` and the same `--cache DIR`",
        );
    };
    only_round(context, [&a.resolved, &b.resolved], &pairing)?;
    let found = turns::find(&context.store(), [&a.resolved, &b.resolved], &environment)?;
    if turns::is_done(&found) {
        context.terminal.step("Unchanged", "this comparison was confirmed before; nothing was run");
    }
    let [base, candidate] = turns::measure(context, [a, b], &environment, &display)?;
    let read = |path: &Utf8Path| ArtifactSet::read(path).or_fail(Exit::NotVerified);
    Ok(Some([read(&base)?, read(&candidate)?]))
}

/// What joins the fresh sets: the two that were compared.
fn pairing(comparison: &Comparison) -> Result<Sha256, Failed> {
    let (base, candidate) = (&comparison.base, &comparison.candidate);
    let (Some(a), Some(b)) = (base.manifest.clone(), candidate.manifest.clone()) else {
        return fail(
            Exit::BadInput,
            "only sealed sets can be confirmed",
            "finish them: run the command that began each set again",
        );
    };
    let pairing = Pairing { purpose: Purpose::Confirmation, of: [a, b], round: ROUND };
    pairing.digest().or_fail(Exit::Internal)
}

/// Fresh starts say nothing of another machine.
fn on_this_machine(comparison: &Comparison, environment: &Environment) -> Result<(), Failed> {
    let here = environment.fingerprint();
    let (base, candidate) = (&comparison.base, &comparison.candidate);
    let other: Vec<&str> = [("baseline", base), ("candidate", candidate)]
        .into_iter()
        .filter(|(_, set)| set.host != here)
        .map(|(side, _)| side)
        .collect();
    if other.is_empty() {
        return Ok(());
    }
    fail(
        Exit::BadInput,
        format!("the {} was measured on another machine, kernel or driver", other.join(" and the ")),
        "confirm where the sets were measured; `diff` without `--confirm` compares them here",
    )
}

/// Both sides are measured on the machine as it is now, so that a cause in the machine cannot show.
fn not_reproduced(context: &Context, comparison: &Comparison) {
    let of_machine = |field: &str| field.starts_with("host.") || field == "llamark";
    let fields: Vec<&str> = comparison
        .differences
        .iter()
        .filter(|one| one.class == FieldClass::Treatment && of_machine(&one.field))
        .map(|one| one.field.as_str())
        .collect();
    if !fields.is_empty() {
        context.terminal.warn(&format!(
            "both sides are measured on the machine as it is now, so an effect of {} cannot be confirmed",
            fields.join(", ")
        ));
    }
}

/// One side with its inputs; `None` when something is missing, which is added to the list.
fn side(
    context: &Context,
    set: &ArtifactSet,
    cases: &[&str],
    turns: &Turns,
    display: &Display,
    missing: &mut Vec<String>,
) -> Result<Option<Given>, Failed> {
    let mut loaded = load::repeat(&set.path.join("manifest.json"))?;
    llamark_spec::interleave(&mut loaded.plan, cases, turns);
    let side = turns.arm.word();
    let resolved = resolved(context, &loaded, side, display, missing)?;
    Ok(resolved.map(|resolved| Given { text: loaded.text, resolved }))
}

/// Everything that is missing is named, not the first of it. Another build would be another measurement.
fn resolved(
    context: &Context,
    loaded: &Loaded,
    side: &str,
    display: &Display,
    missing: &mut Vec<String>,
) -> Result<Option<Resolved>, Failed> {
    let Some(repeats) = &loaded.repeats else { return Ok(None) };
    let found = inputs::find(context, loaded, &repeats.resolved, display)?;
    let changed = found.changed.iter().map(|what| format!("{what}: it has changed"));
    let all = found.missing.iter().cloned().chain(found.other_builds.iter().cloned()).chain(changed);
    missing.extend(all.map(|what| format!("{side}: {what}")));
    Ok(found.resolved)
}

/// Running again until it passes is what the one round is there to prevent.
fn only_round(context: &Context, given: [&Resolved; 2], pairing: &Sha256) -> Result<(), Failed> {
    for resolved in given {
        let sets = context.store().sets(Some(&resolved.plan.plan.name)).or_fail(Exit::NotVerified)?;
        for info in sets {
            // One that does not read decides nothing.
            let Ok(set) = ArtifactSet::read(&info.path) else { continue };
            let turns = set.resolved.plan.interleaved.as_ref();
            let of_this = turns.filter(|turns| turns.pairing == *pairing);
            let same_arm = |arm| resolved.plan.plan.interleaved.as_ref().is_some_and(|own| own.arm == arm);
            if of_this.is_some_and(|turns| same_arm(turns.arm)) && set.resolved != resolved.plan {
                let planned = |plan: &ResolvedPlan| -> (u32, String) {
                    let cases: Vec<&str> = plan.plan.cases.iter().map(|case| case.id.as_str()).collect();
                    let most = plan.plan.cases.first().map_or(0, |case| case.starts);
                    let pairs = plan.plan.interleaved.as_ref().and_then(|turns| turns.pairs);
                    (pairs.unwrap_or(most), cases.join(", "))
                };
                let (before, now) = (planned(&set.resolved), planned(&resolved.plan));
                let (starts, cases) = before;
                let hint = if cases == now.1 {
                    format!(
                        "give `--starts {starts}` to see it again; to ask again, measure the candidate again"
                    )
                } else {
                    format!(
                        "now it would be {}: to see it again, give the options and the noise file of that time; to ask \
                         again, measure the candidate again",
                        now.1
                    )
                };
                return fail(
                    Exit::BadInput,
                    format!(
                        "this comparison was confirmed before, with {starts} starts of {cases} ({}): there is only one \
                         such round",
                        shown(&info.path)
                    ),
                    hint,
                );
            }
        }
    }
    Ok(())
}
