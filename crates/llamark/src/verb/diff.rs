//! `llamark diff`: a verdict per case and metric, and what changed around it.

use camino::Utf8Path;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use llamark_artifact::ArtifactSet;
use llamark_record::comparison::{AcceptedChange, Comparison, Conclusion};
use llamark_report::ReportError;
use llamark_report::compare::{self, CompareOptions, Detail};

use crate::cli::{Diff, DiffFormat};
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};

pub(crate) fn run(context: &Context, args: &Diff) -> Outcome {
    let options = CompareOptions {
        sensitive: args.sensitive,
        threshold: args.threshold.map(|percent| percent / 100.0),
        across: args.across.clone(),
        accepted: args.accept.as_deref().map(accepted).transpose()?.unwrap_or_default(),
        today: Timestamp::now().to_zoned(TimeZone::UTC).date().to_string(),
    };
    let base = whole_set(context, &args.base)?;
    let candidate = whole_set(context, &args.candidate)?;
    let comparison = llamark_report::compare(&base, &candidate, &options).map_err(failed)?;
    let detail = Detail { all: args.all || context.terminal.is_verbose(), explain: args.explain };
    print(context, args, &comparison, detail)?;
    Ok(match comparison.conclusion {
        Conclusion::NoRegression => Exit::Done,
        Conclusion::Regression => Exit::Regression,
        Conclusion::NotComparable => Exit::NotVerified,
        Conclusion::Inconclusive => Exit::Inconclusive,
    })
}

fn print(context: &Context, args: &Diff, comparison: &Comparison, detail: Detail) -> Result<(), Failed> {
    match args.format {
        DiffFormat::Term => {
            let text = compare::terminal(comparison, context.terminal.width(), detail);
            context.terminal.data(text.as_bytes());
        }
        DiffFormat::Md => context.terminal.data(compare::markdown(comparison, detail).as_bytes()),
        DiffFormat::Json => context.terminal.json(comparison)?,
    }
    Ok(())
}

/// The set, with every file as its manifest says: what was touched is not compared. A set that is not sealed has no
/// manifest; the comparison says so.
fn whole_set(context: &Context, word: &str) -> Result<ArtifactSet, Failed> {
    let set = context.read_set(Some(word))?;
    if set.sealed.is_some() {
        let verification = llamark_artifact::verify(&set.path, 0).or_fail(Exit::NotVerified)?;
        let problem =
            verification.checks.iter().find_map(|check| Some((check.name, check.problems.first()?)));
        if let Some((name, problem)) = problem {
            return fail(
                Exit::NotVerified,
                format!("{} does not verify, so it is not compared: {name}: {problem}", shown(&set.path)),
                format!("`llamark verify {}` shows everything that is wrong", shown(&set.path)),
            );
        }
    }
    Ok(set)
}

fn accepted(path: &Utf8Path) -> Result<Vec<AcceptedChange>, Failed> {
    let bytes = fs_err::read(path).or_fail(Exit::BadInput)?;
    llamark_spec::Source::from_bytes(path.as_str(), bytes)
        .and_then(|source| llamark_spec::parse_accepted(&source))
        .or_fail(Exit::BadInput)
}

fn failed(error: ReportError) -> Failed {
    let exit = match &error {
        ReportError::UnknownField { .. } => Exit::BadInput,
        _ => Exit::NotVerified,
    };
    let hint = error.hint().to_owned();
    Failed { exit, error: error.into(), hint }
}
