//! `llamark bisect`: the first revision of an engine at which a case became worse.

use std::collections::BTreeMap;

use llamark_bench::host;
use llamark_record::bisect::{Answer, BisectRules, Question};
use llamark_record::metric::Metric;
use llamark_record::plan::{PLAN_FORMAT, Plan, ResolvedPlan};
use llamark_stats::sequential::error_of_verdict;

use crate::bisect::history;
use crate::bisect::laboratory::Laboratory;
use crate::bisect::record::RecordFile;
use crate::bisect::search::Search;
use crate::bisect::show;
use crate::cli::{Bisect, Selection};
use crate::context::{Context, shown};
use crate::display::Display;
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};
use crate::load::{self, Loaded};
use crate::resolve;

use super::run;

/// Pairs of starts before the first look. The ends are never decided by two; a revision may be, since the steps before it
/// have shown the noise.
const FIRST_PAIRS: u32 = 2;
/// Pairs that are added before each next look: two, so that each side goes first once.
const MORE_PAIRS: u32 = 2;

pub(crate) fn run(context: &Context, args: &Bisect) -> Outcome {
    let selection = Selection { cases: args.case.iter().cloned().collect(), ..Selection::default() };
    let mut loaded = load::load(context, &args.spec, &selection)?;
    let case = history::one_case(&mut loaded, args.case.as_deref(), &args.spec)?;
    can_be_decided(&loaded, &case, args.metric)?;
    let environment = host::environment(&host::Roots::default());
    run::expect_hardware(context, &loaded, &environment, args.allow_other_hardware)?;
    let display = Display::new(context.terminal);
    let history = history::of(context, args, &loaded, &display)?;
    let (models, _none_is_missing) = resolve::models(context, &loaded, &display, false)?;

    let rules = BisectRules {
        first_pairs: FIRST_PAIRS,
        more_pairs: MORE_PAIRS,
        most_pairs: args.starts,
        error: error_of_verdict(args.error / 100.0, history.revisions.len()),
        minimum: args
            .minimum
            .map_or_else(|| minimum_of(&loaded.plan, args.metric), |percent| percent / 100.0),
    };
    let (context, display, loaded, history) = (context, &display, &loaded, &history);
    let metric = args.metric;
    let laboratory = Laboratory {
        context,
        display,
        loaded,
        history,
        models,
        environment,
        case,
        metric,
        rules,
        attempt: std::num::NonZeroU32::MIN,
    };
    let file = RecordFile::open(context, question(&laboratory)?, args.again)?;
    let laboratory = Laboratory { attempt: file.record.attempt, ..laboratory };
    let mut search = Search::new(laboratory, file);
    search.skip(&args.skip)?;
    let answer = search.go()?;
    display.clear();
    show::answer(&search.file.record).iter().for_each(|line| context.terminal.text(line));
    context.terminal.step("Wrote", &shown(&search.file.path));
    if args.json {
        context.terminal.json(&search.file.record)?;
    }
    Ok(match answer {
        Answer::NotWorse => Exit::Done,
        Answer::FirstBad { .. } => Exit::Regression,
        Answer::EndsUndecided | Answer::Hidden { .. } => Exit::Inconclusive,
    })
}

/// A start counts from two runs on.
fn can_be_decided(loaded: &Loaded, case: &str, metric: Metric) -> Result<(), Failed> {
    let runs = loaded.plan.case(case).map_or(0, |case| case.runs);
    if metric.is_of_runs() && runs < 2 {
        let hint = "write `runs: 3` into `protocol`";
        return fail(Exit::BadInput, "a start with one run is not enough: at least two are needed", hint);
    }
    Ok(())
}

/// The least change that `diff` would call.
fn minimum_of(plan: &Plan, metric: Metric) -> f64 {
    let gate = plan.gates.iter().find(|gate| gate.metric == metric);
    gate.map_or(0.01, |gate| f64::from(gate.minimum_ppm) / 1e6)
}

fn question(laboratory: &Laboratory<'_>) -> Result<Question, Failed> {
    let loaded = laboratory.history.with(laboratory.loaded, 0)?;
    let models = &laboratory.models;
    let plan = ResolvedPlan {
        format: PLAN_FORMAT.to_owned(),
        plan: loaded.plan,
        engine_tree: None,
        engine_trees: BTreeMap::new(),
        build_keys: BTreeMap::new(),
        model_files: models.iter().map(|(id, model)| (id.clone(), model.files.clone())).collect(),
    };
    Ok(Question {
        experiment: plan.plan.name.clone(),
        plan: plan.digest().or_fail(Exit::Internal)?,
        host: laboratory.environment.fingerprint(),
        case: laboratory.case.clone(),
        metric: laboratory.metric,
        rules: laboratory.rules,
        revisions: laboratory.history.revisions.clone(),
    })
}
