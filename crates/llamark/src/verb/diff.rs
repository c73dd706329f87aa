//! `llamark diff`: a verdict per case and metric, and what changed around it.

use std::mem::ManuallyDrop;

use camino::Utf8Path;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use llamark_artifact::{ArtifactError, ArtifactSet};
use llamark_record::comparison::{AcceptedChange, Comparison, Conclusion};
use llamark_record::noise::NoiseFile;
use llamark_report::compare::{self, Again, CompareOptions, Detail, is_to_confirm};

use crate::cli::{Confirm, Diff, DiffFormat};
use crate::confirm;
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};
use crate::noise_file;

pub(crate) fn run(context: &Context, args: &Diff) -> Outcome {
    let (comparison, may_be_decided) = match &args.candidate {
        Some(candidate) => of_two_sets(context, args, candidate)?,
        None => (of_variants(context, args)?, false),
    };
    let detail = Detail { all: args.all || context.terminal.is_verbose(), explain: args.explain };
    print(context, args, &comparison, detail)?;
    if may_be_decided {
        context.terminal.text(
            "`--confirm=undecided` decides what is open from fresh, interleaved starts on this machine",
        );
    }
    Ok(match comparison.conclusion {
        Conclusion::NoRegression => Exit::Done,
        Conclusion::Regression => Exit::Regression,
        Conclusion::NotComparable => Exit::NotVerified,
        Conclusion::Inconclusive => Exit::Inconclusive,
    })
}

/// Whether fresh starts of both could tell what these could not.
fn may_be_decided(args: &Diff, sets: [&ArtifactSet; 2], comparison: &Comparison) -> bool {
    let is_open = |metric| is_to_confirm(metric, Again::Undecided);
    let is_asked_already = args.confirm.is_some() || args.sensitive;
    // What somebody else measured cannot be measured again.
    let is_ours = sets.iter().all(|set| set.resolved.plan.document().is_none());
    let is_one_machine = comparison.base.host == comparison.candidate.host;
    let mut metrics = comparison.cases.iter().flat_map(|case| &case.metrics);
    comparison.conclusion == Conclusion::Inconclusive
        && !is_asked_already
        && is_ours
        && is_one_machine
        && metrics.any(is_open)
}

/// The comparison, and whether fresh starts could decide what it leaves open.
fn of_two_sets(context: &Context, args: &Diff, candidate: &str) -> Result<(Comparison, bool), Failed> {
    // Never dropped: to give back the memory of a million runs one by one, right before the process gives it back as a
    // whole, would take a tenth of the time.
    let sets = ManuallyDrop::new(whole_sets(context, [&args.base, candidate])?);
    let [base, candidate] = &*sets;
    let options = options(args, noise(context, args, base, candidate)?)?;
    let comparison = llamark_report::compare(base, candidate, &options)?;
    if let Some(again) = args.confirm.map(Again::from)
        && let Some([a, b]) = confirm::fresh(context, [base, candidate], &comparison, again, args.starts)?
    {
        let confirmed = compare::compare_confirmed([base, candidate], [&a, &b], again, &options)?;
        return Ok((confirmed, false));
    }
    let may_be_decided = may_be_decided(args, [base, candidate], &comparison);
    Ok((comparison, may_be_decided))
}

/// The two variants of one set.
fn of_variants(context: &Context, args: &Diff) -> Result<Comparison, Failed> {
    let path = context.find_set(Some(&args.base))?;
    let set = whole(&path, ArtifactSet::read_whole(&path))?;
    if args.confirm.is_some() && set.resolved.plan.ab.is_some() {
        return fail(
            Exit::BadInput,
            "the two variants of one set are already interleaved: `--confirm` would add nothing",
            "for a more certain answer, write more `starts` into the experiment and measure it again",
        );
    }
    let options = options(args, noise(context, args, &set, &set)?)?;
    Ok(compare::compare_variants(&set, &options)?)
}

fn options(args: &Diff, noise: Option<NoiseFile>) -> Result<CompareOptions, Failed> {
    Ok(CompareOptions {
        sensitive: args.sensitive,
        threshold: args.threshold.map(|percent| percent / 100.0),
        across: args.across.clone(),
        accepted: args.accept.as_deref().map(accepted).transpose()?.unwrap_or_default(),
        today: Timestamp::now().to_zoned(TimeZone::UTC).date().to_string(),
        noise,
    })
}

/// The noise file that was named; else that of the machine that both were measured on, if there is one.
fn noise(
    context: &Context,
    args: &Diff,
    base: &ArtifactSet,
    candidate: &ArtifactSet,
) -> Result<Option<NoiseFile>, Failed> {
    let host = base.environment.fingerprint();
    match &args.noise {
        _ if args.no_noise => Ok(None),
        Some(path) => noise_file::read(path).map(Some),
        None if candidate.environment.fingerprint() == host => noise_file::of_host(context, &host),
        None => Ok(None),
    }
}

impl From<Confirm> for Again {
    fn from(confirm: Confirm) -> Self {
        match confirm {
            Confirm::Worse => Self::Worse,
            Confirm::Undecided => Self::Undecided,
        }
    }
}

impl DiffFormat {
    fn file_name(self) -> &'static str {
        match self {
            Self::Term => "comparison.txt",
            Self::Md => "comparison.md",
            Self::Json => "comparison.json",
            Self::Junit => "comparison.junit.xml",
            Self::InToto => "comparison.intoto.json",
            Self::Svg => "comparison.svg",
        }
    }
}

/// To the folder that was named, else to standard output.
fn print(context: &Context, args: &Diff, comparison: &Comparison, detail: Detail) -> Result<(), Failed> {
    let terminal = &context.terminal;
    let make = |format: DiffFormat| -> Result<String, Failed> {
        Ok(match format {
            DiffFormat::Term => compare::terminal(comparison, terminal.width(), detail),
            DiffFormat::Md => compare::markdown(comparison, detail),
            DiffFormat::Json => serde_json::to_string_pretty(comparison).or_fail(Exit::Internal)? + "\n",
            DiffFormat::Junit => compare::junit(comparison)?,
            DiffFormat::InToto => compare::in_toto(comparison)?,
            DiffFormat::Svg => compare::forest_plot(comparison)?,
        })
    };
    let write = |path: &Utf8Path, text: String| -> Result<(), Failed> {
        llamark_artifact::files::write_atomic(path, text.as_bytes()).or_fail(Exit::BadInput)?;
        terminal.step("Wrote", &shown(path));
        Ok(())
    };
    if let Some(path) = &args.plot {
        write(path, make(DiffFormat::Svg)?)?;
    }
    match (&args.out, args.format.as_slice()) {
        (Some(folder), formats) => {
            llamark_artifact::files::create_dir_all(folder).or_fail(Exit::BadInput)?;
            for format in formats {
                write(&folder.join(format.file_name()), make(*format)?)?;
            }
            terminal.text(&compare::headline(comparison));
        }
        (None, [format]) => terminal.data(make(*format)?.as_bytes())?,
        (None, _) => {
            return fail(Exit::BadInput, "several formats need a folder", "name one with `--out DIR`");
        }
    }
    Ok(())
}

/// The sets, with every file as their manifests say: what was touched is not compared. A set that is not sealed has no
/// manifest; the comparison says so.
fn whole_sets(context: &Context, words: [&str; 2]) -> Result<[ArtifactSet; 2], Failed> {
    let [base, candidate] = words.map(|word| context.find_set(Some(word)));
    let (base, candidate) = (base?, candidate?);
    let (first, second) = ArtifactSet::read_both_whole(&base, &candidate);
    Ok([whole(&base, first)?, whole(&candidate, second)?])
}

/// A set that was read with every file as its manifest says.
fn whole(path: &Utf8Path, read: Result<ArtifactSet, ArtifactError>) -> Result<ArtifactSet, Failed> {
    let path = shown(path);
    read.map_err(|error| {
        let error = match error {
            ArtifactError::NotWhole { check, problem, .. } => anyhow::Error::msg(format!(
                "{path} does not verify, so it is not compared: {check}: {problem}"
            )),
            ArtifactError::Changed { .. } => {
                anyhow::Error::from(error).context(format!("{path} does not verify, so it is not compared"))
            }
            error => error.into(),
        };
        let hint = format!("`llamark verify {path}` shows everything that is wrong");
        Failed { exit: Exit::NotVerified, error, hint }
    })
}

fn accepted(path: &Utf8Path) -> Result<Vec<AcceptedChange>, Failed> {
    let bytes = fs_err::read(path).or_fail(Exit::BadInput)?;
    llamark_spec::Source::from_bytes(path.as_str(), bytes)
        .and_then(|source| llamark_spec::parse_accepted(&source))
        .or_fail(Exit::BadInput)
}
