//! `llamark calibrate`: one experiment against itself, interleaved, for the noise of this machine.

use llamark_artifact::ArtifactSet;
use llamark_bench::host;
use llamark_record::comparison::{Comparison, Verdict};
use llamark_record::environment::Environment;
use llamark_record::noise::Calibration;
use llamark_record::plan::{Arm, Pairing, Purpose};
use llamark_report::compare::{self, CompareOptions};
use llamark_report::format;
use llamark_spec::Turns;

use crate::cli::Calibrate;
use crate::context::{Context, shown};
use crate::display::Display;
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};
use crate::load::{self, Loaded};
use crate::noise_file;
use crate::resolve::{self, Resolved};
use crate::turns;

use super::run;

/// Calibrations of one plan on one machine before we look no further for the next one.
const MOST_ROUNDS: u32 = 10_000;

pub(crate) fn run(context: &Context, args: &Calibrate) -> Outcome {
    let loaded = load::load(context, &args.spec, &args.selection)?;
    let environment = host::environment(&host::Roots::default());
    run::expect_hardware(context, &loaded, &environment, args.allow_other_hardware)?;
    let display = Display::new(context.terminal);
    let resolved = resolve::resolve(context, &loaded, &display, false)?;
    run::same_inputs(&loaded, &resolved)?;

    // Before the round is chosen: another calibration may be about to end.
    context.have_machine(&display)?;
    let given = next_round(context, &loaded, &resolved, args, &environment)?;
    let paths = turns::measure(context, given, &environment, &display)?;
    display.clear();
    let [base, candidate] = paths;
    let base = ArtifactSet::read(&base).or_fail(Exit::NotVerified)?;
    let candidate = ArtifactSet::read(&candidate).or_fail(Exit::NotVerified)?;
    let calibration = compare::calibration(&base, &candidate)?;
    let comparison = llamark_report::compare(&base, &candidate, &CompareOptions::default())?;
    if calibration.cells.is_empty() {
        return fail(
            Exit::CaseWithoutResult,
            "no case has a result in both sets, so nothing was learned",
            format!(
                "`llamark report {}` says what went wrong; once that is fixed, `--again` measures again",
                base.id
            ),
        );
    }
    show(context, &calibration, &comparison);
    for set in [&base, &candidate] {
        context.terminal.step("Sealed", &shown(&set.path));
    }
    if args.json {
        context.terminal.json(&calibration)?;
    }
    let path = noise_file::add(context, &environment.fingerprint(), calibration)?;
    context.terminal.step("Wrote", &shown(&path));
    let all_well = comparison.cases.iter().all(|case| !case.metrics.is_empty());
    Ok(if all_well { Exit::Done } else { Exit::CaseWithoutResult })
}

/// Both arms of the first round that is not measured to its end, or whose numbers are not in the noise file: a new one, unless the
/// last was interrupted, or taught nothing and nobody asks for another.
fn next_round(
    context: &Context,
    loaded: &Loaded,
    resolved: &Resolved,
    args: &Calibrate,
    environment: &Environment,
) -> Result<[turns::Given; 2], Failed> {
    let digest = resolved.plan.digest().or_fail(Exit::Internal)?;
    let known = noise_file::of_host(context, &environment.fingerprint())?;
    let store = context.store();
    for round in 1..=MOST_ROUNDS {
        let of = [digest.clone(), digest.clone()];
        let pairing = Pairing { purpose: Purpose::Calibration, of, round };
        let pairing = pairing.digest().or_fail(Exit::Internal)?;
        let arm = |arm: Arm| {
            let mut resolved = resolved.clone();
            let plan = &mut resolved.plan.plan;
            let cases: Vec<String> = plan.cases.iter().map(|case| case.id.clone()).collect();
            let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
            let seed = plan.seed.wrapping_add(round);
            let (purpose, pairing) = (Purpose::Calibration, pairing.clone());
            llamark_spec::interleave(
                plan,
                &cases,
                &Turns { purpose, pairing, arm, starts: args.starts, most: turns::most(args.starts), seed },
            );
            turns::Given { text: loaded.text.clone(), resolved }
        };
        let given = [arm(Arm::Base), arm(Arm::Candidate)];
        let [a, b] = &given;
        let found = turns::find(&store, [&a.resolved, &b.resolved], environment)?;
        let is_known = || -> Result<bool, Failed> {
            let Some(llamark_artifact::Found::Sealed(path)) = &found[0] else { return Ok(false) };
            let bytes = fs_err::read(path.join("manifest.json")).or_fail(Exit::NotVerified)?;
            let manifest = llamark_record::Sha256::of_bytes(&bytes);
            let mut all = known.iter().flat_map(|file| &file.calibrations);
            Ok(all.any(|calibration| calibration.sets[0] == manifest))
        };
        if !(turns::is_done(&found) && (args.again || is_known()?)) {
            return Ok(given);
        }
    }
    fail(
        Exit::BadInput,
        format!("this plan was calibrated {MOST_ROUNDS} times on this machine"),
        "`diff` uses what they found; with another `seed` in the experiment it is another plan",
    )
}

/// The spread of each gating metric, and whether the machine told a thing from itself.
fn show(context: &Context, calibration: &Calibration, comparison: &Comparison) {
    let percent = |deviation: Option<f64>| deviation.map_or_else(|| "?".to_owned(), format::percent);
    context.terminal.text(&format!(
        "Spread between starts on this machine ({} starts in each of two interleaved sets):",
        calibration.starts
    ));
    for case in &comparison.cases {
        for metric in case.metrics.iter().filter(|metric| metric.gates) {
            let cell =
                calibration.cells.iter().find(|cell| cell.case == case.id && cell.metric == metric.metric);
            let Some(cell) = cell else { continue };
            context.terminal.text(&format!(
                "  {} {}: spread {} between starts, {} between paired starts; the two sets differ by {}",
                case.id,
                metric.metric.name(),
                percent(cell.unpaired.deviation()),
                percent(cell.paired.deviation()),
                metric.change.map_or_else(|| "?".to_owned(), format::change),
            ));
            if matches!(metric.verdict, Verdict::Regressed | Verdict::Improved) {
                context.terminal.warn(&format!(
                    "{} {} was called {} although both sides are identical: this machine is too noisy",
                    case.id,
                    metric.metric.name(),
                    metric.verdict.word()
                ));
            }
        }
    }
}
