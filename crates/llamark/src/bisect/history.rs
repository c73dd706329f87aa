//! The revisions of a search, from good to bad: commits of a repository, or a list of engines.

use camino::{Utf8Path, Utf8PathBuf};
use llamark_fetch::Fetcher;
use llamark_record::bisect::BisectRevision;
use llamark_record::plan::{Engine, EngineSource};
use llamark_spec::Source;

use crate::cli::Bisect;
use crate::context::{Context, shown, some_of};
use crate::display::Display;
use crate::exit::{Exit, Failed, OrFail as _, fail};
use crate::load::{self, Loaded};
use crate::resolve;

/// Characters of a commit's subject that are shown.
const SUBJECT: usize = 60;

/// The revisions, and what their paths are relative to.
pub(crate) struct History {
    /// From good to bad; at least two.
    pub(crate) revisions: Vec<BisectRevision>,
    /// Folder of the experiment, or of the list.
    pub(crate) folder: Utf8PathBuf,
}

/// The history that was asked for.
///
/// # Errors
/// When the repository has no such history, or the list is none.
pub(crate) fn of(
    context: &Context,
    args: &Bisect,
    loaded: &Loaded,
    display: &Display,
) -> Result<History, Failed> {
    match (&args.engines, &args.good, &args.bad) {
        (Some(list), ..) => of_list(context, list),
        (None, Some(good), Some(bad)) => of_repository(context, [good, bad], loaded, display),
        _ => fail(
            Exit::BadInput,
            "no revisions to search between",
            "name both ends with `--good REV --bad REV`, or a list with `--engines FILE`",
        ),
    }
}

fn of_list(context: &Context, path: &Utf8Path) -> Result<History, Failed> {
    let bytes = fs_err::read(path)
        .or_fail_hint(Exit::BadInput, "a list of engines is a YAML file; `llamark schema engines`")?;
    let engines =
        Source::from_bytes(path.as_str(), bytes).and_then(|text| llamark_spec::parse_engines(&text));
    let engines = load::sound(context, path, engines)?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_str().is_empty() => parent.to_owned(),
        _ => Utf8PathBuf::from("."),
    };
    let revisions = engines.into_iter().map(|(label, engine)| BisectRevision { label, engine }).collect();
    Ok(History { revisions, folder })
}

fn of_repository(
    context: &Context,
    ends: [&str; 2],
    loaded: &Loaded,
    display: &Display,
) -> Result<History, Failed> {
    let EngineSource::Git { url, .. } = &loaded.plan.engine.source else {
        return fail(
            Exit::BadInput,
            "the engine of the experiment does not come from a git repository, so it has no revisions",
            "write `engine: { source: { git: URL, rev: REV } }`, or list the engines with `--engines FILE`",
        );
    };
    let fetcher = Fetcher::new(&context.cache);
    let commits = fetcher
        .history(url, ends, &loaded.folder, &context.interrupt, &|event| display.fetch(event))
        .map_err(|error| resolve::failed(context, Exit::BadInput, error))?;
    display.step("Listed", &format!("{} revisions of {url}, along first parents", commits.len()));
    let revision = |commit: llamark_fetch::Commit| {
        let short = commit.id.get(..12).unwrap_or(&commit.id);
        let subject: String = commit.subject.chars().take(SUBJECT).collect();
        BisectRevision {
            label: format!("{short} {subject}").trim_end().to_owned(),
            engine: Engine {
                source: EngineSource::Git { url: url.clone(), rev: commit.id.clone() },
                build_number: 0,
                commit: commit.id,
            },
        }
    };
    Ok(History { revisions: commits.into_iter().map(revision).collect(), folder: loaded.folder.clone() })
}

impl History {
    /// The revision that the user means: a whole label, or the beginning of a commit.
    ///
    /// # Errors
    /// When there is none, or several.
    pub(crate) fn find(&self, word: &str) -> Result<usize, Failed> {
        let is_commit = |revision: &BisectRevision| {
            word.len() >= 4
                && matches!(&revision.engine.source, EngineSource::Git { rev, .. } if rev.starts_with(word))
        };
        let found: Vec<usize> = (0..self.revisions.len())
            .filter(|place| self.revisions.get(*place).is_some_and(|one| one.label == word || is_commit(one)))
            .collect();
        match found.as_slice() {
            [place] => Ok(*place),
            [] => fail(
                Exit::BadInput,
                format!("the history has no revision `{word}`"),
                "name it by a commit of at least 4 digits, or by its whole label; tags and branches are for the ends",
            ),
            _ => fail(
                Exit::BadInput,
                format!("the history has several revisions `{word}`"),
                "write more characters of it",
            ),
        }
    }

    /// What people call a revision.
    pub(crate) fn label(&self, place: usize) -> &str {
        self.revisions.get(place).map_or("", |revision| revision.label.as_str())
    }

    /// The experiment with that revision for its engine, and without a pin of another.
    pub(crate) fn with(&self, loaded: &Loaded, place: usize) -> Result<Loaded, Failed> {
        let Some(revision) = self.revisions.get(place) else {
            return fail(Exit::Internal, format!("the history has no revision {place}"), "");
        };
        let mut plan =
            llamark_record::plan::Plan { engine: revision.engine.clone(), ab: None, ..loaded.plan.clone() };
        for build in &mut plan.builds {
            build.engine = None;
        }
        Ok(Loaded {
            text: loaded.text.clone(),
            folder: self.folder.clone(),
            plan,
            repeats: None,
            open: llamark_spec::lock::Open::default(),
            pins: llamark_spec::lock::Pins::default(),
            lock: None,
        })
    }
}

/// The one case that is meant.
///
/// # Errors
/// When there are several.
pub(crate) fn one_case(loaded: &mut Loaded, word: Option<&str>, spec: &Utf8Path) -> Result<String, Failed> {
    let plan = &mut loaded.plan;
    if let Some(word) = word.filter(|word| plan.case(word).is_some()) {
        plan.cases.retain(|case| case.id == word);
        plan.leave_unused();
    }
    match plan.cases.as_slice() {
        [case] => Ok(case.id.clone()),
        cases => {
            let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
            fail(
                Exit::BadInput,
                format!("{} cases of {} match: {}", cases.len(), shown(spec), some_of(&ids)),
                "a search is about one case: name it with `--case ID`",
            )
        }
    }
}
