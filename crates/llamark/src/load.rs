//! From the path of an experiment to a plan, with its problems printed.

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::ArtifactSet;
use llamark_artifact::set::{MANIFEST, PLAN};
use llamark_record::plan::{Plan, ResolvedPlan};
use llamark_spec::lock::{self, Open, Pins};
use llamark_spec::{Diagnostics, Source, Style, Surroundings};

use crate::cli::Selection;
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, fail};
use crate::lock_file::{self, LockFile};

/// An experiment with its plan, or a set whose plan is to be run again.
pub(crate) struct Loaded {
    /// The text as given.
    pub(crate) text: String,
    /// Folder of the experiment: what its paths are relative to.
    pub(crate) folder: Utf8PathBuf,
    /// The plan.
    pub(crate) plan: Plan,
    /// The set that is repeated: every input must be the one that it had.
    pub(crate) repeats: Option<Repeats>,
    /// What the experiment leaves open; nothing of a set that is repeated.
    pub(crate) open: Open,
    /// What its lock file says of it.
    pub(crate) pins: Pins,
    /// The lock file whose pins are used.
    pub(crate) lock: Option<Utf8PathBuf>,
}

/// A set that is measured again.
#[derive(Clone)]
pub(crate) struct Repeats {
    /// Its folder.
    pub(crate) path: Utf8PathBuf,
    /// Its plan, with the digests of its inputs.
    pub(crate) resolved: ResolvedPlan,
}

/// What the plan needs to know of the world.
struct Here<'a> {
    folder: &'a Utf8Path,
}

impl Surroundings for Here<'_> {
    fn usable_cores(&self) -> u32 {
        llamark_bench::host::usable_cores()
    }

    fn read_prompt(&self, relative: &Utf8Path) -> std::io::Result<String> {
        fs_err::read_to_string(self.folder.join(relative))
    }
}

/// Reads one experiment and expands it; the inner error holds every problem.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn check(path: &Utf8Path) -> Result<Result<Loaded, Diagnostics>, Failed> {
    let bytes =
        fs_err::read(path).or_fail_hint(Exit::BadInput, "SPEC is the path of an experiment, a YAML file")?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_str().is_empty() => parent.to_owned(),
        _ => Utf8PathBuf::from("."),
    };
    let plan = (|| {
        let source = Source::from_bytes(path.as_str(), bytes)?;
        let spec = llamark_spec::parse(&source)?;
        let plan = llamark_spec::expand(&spec, &source, &Here { folder: &folder })?;
        let open = Open::of(&spec, &plan);
        Ok((source, plan, open))
    })();
    Ok(plan.map(|(source, plan, open)| Loaded {
        text: source.text().to_owned(),
        folder,
        plan,
        repeats: None,
        open,
        pins: Pins::default(),
        lock: None,
    }))
}

/// Reads one experiment, prints its problems, leaves only the selected cases, and pins what its lock file pins.
///
/// # Errors
/// When there is a problem, the selection selects nothing, or a prompt is not what is pinned.
pub(crate) fn load(context: &Context, path: &Utf8Path, selection: &Selection) -> Result<Loaded, Failed> {
    // A set is named by its folder or by its manifest.
    let is_folder = path.join(PLAN).is_file();
    if is_folder || path.file_name() == Some(MANIFEST) {
        let mut loaded = repeat(&if is_folder { path.join(MANIFEST) } else { path.to_owned() })?;
        select(&mut loaded.plan, selection)?;
        return Ok(loaded);
    }
    let mut loaded = sound(context, path, check(path)?)?;
    select(&mut loaded.plan, selection)?;
    pin(context, path, &mut loaded)?;
    Ok(loaded)
}

/// What was read; its problems are printed.
///
/// # Errors
/// When there are problems.
pub(crate) fn sound<T>(
    context: &Context,
    path: &Utf8Path,
    read: Result<T, Diagnostics>,
) -> Result<T, Failed> {
    read.or_else(|diagnostics| {
        print_problems(context, &diagnostics);
        let count = diagnostics.items().len();
        let problems = if count == 1 { "problem" } else { "problems" };
        fail(Exit::BadInput, format!("{} has {count} {problems}; nothing was run", shown(path)), "")
    })
}

/// Pins what the lock file next to the experiment pins.
fn pin(context: &Context, path: &Utf8Path, loaded: &mut Loaded) -> Result<(), Failed> {
    let file = LockFile::beside(path);
    let lock = file.read(context)?;
    loaded.pins = lock::apply(&lock.clone().unwrap_or_default(), &loaded.open, &mut loaded.plan);
    if lock.is_none() {
        return Ok(());
    }
    for stale in &loaded.pins.stale {
        context
            .terminal
            .warn(&format!("{} pins something that the experiment does not ask for: {stale}", file.name()));
    }
    loaded.lock = Some(file.path().to_owned());
    lock_file::same(context, loaded, &loaded.pins.changed_prompts)
}

/// The plan of a sealed set, from its manifest. Files that the author gave by a relative path are looked for under
/// `--models` and in the working directory, since the folder of the experiment is not known any more.
pub(crate) fn repeat(manifest: &Utf8Path) -> Result<Loaded, Failed> {
    let folder = manifest.parent().unwrap_or(Utf8Path::new(""));
    let folder = if folder.as_str().is_empty() { Utf8Path::new(".") } else { folder };
    let sound = llamark_artifact::verify(folder, 1).or_fail(Exit::NotVerified)?;
    if let Some(problem) = sound.first_problem() {
        return fail(
            Exit::NotVerified,
            format!("{} does not verify: {problem}", shown(folder)),
            "a changed set cannot be run again; `llamark verify` lists everything that is wrong",
        );
    }
    let set = ArtifactSet::read(folder).or_fail(Exit::NotVerified)?;
    if let Some(document) = set.resolved.plan.document() {
        return fail(
            Exit::BadInput,
            format!("{} was imported from {}, and cannot be run again", shown(folder), document.file.name),
            format!("the document does not say: {}", document.unstated.join(", ")),
        );
    }
    let text = set.spec_text().or_fail(Exit::NotVerified)?;
    // Whoever measures it beside another set says so anew.
    let plan = Plan { interleaved: None, ..set.resolved.plan.clone() };
    Ok(Loaded {
        text,
        folder: Utf8PathBuf::from("."),
        plan,
        repeats: Some(Repeats { path: folder.to_owned(), resolved: set.resolved }),
        open: Open::default(),
        pins: Pins::default(),
        lock: None,
    })
}

/// Every problem, for people.
pub(crate) fn print_problems(context: &Context, diagnostics: &Diagnostics) {
    let style = if context.terminal.color() { Style::Color } else { Style::Plain };
    context.terminal.problem(&diagnostics.render(style));
}

/// Whether a backend is the one of that name, or a variant of it by a matrix: `cpu+threads=2` is one of `cpu`.
fn is_of(backend: &str, name: &str) -> bool {
    backend.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
}

/// Leaves the cases that the selection selects, and of models, backends, builds and prompts those in use.
fn select(plan: &mut Plan, selection: &Selection) -> Result<(), Failed> {
    for backend in &selection.backends {
        if !plan.backends.iter().any(|known| is_of(&known.name, backend)) {
            let known: Vec<_> = plan.backends.iter().map(|backend| backend.name.as_str()).collect();
            return fail(
                Exit::BadInput,
                format!("the experiment has no backend `{backend}`"),
                format!("it has {}", known.join(", ")),
            );
        }
    }
    let any =
        |words: &[String], id: &str| words.is_empty() || words.iter().any(|word| id.contains(word.as_str()));
    let all = plan.cases.len();
    let ab = plan.ab.clone();
    // Of two variants, one alone would be half of a pair: a selection is of both.
    let is_case = |id: &str, backend: &str| {
        let partner = ab.as_ref().and_then(|ab| ab.partner_of(backend));
        let other = partner.map(|partner| id.replacen(&format!("/{backend}/"), &format!("/{partner}/"), 1));
        any(&selection.cases, id) || other.is_some_and(|other| any(&selection.cases, &other))
    };
    let is_backend = |name: &str| {
        let partner = ab.as_ref().and_then(|ab| ab.partner_of(name));
        let is_named = |name: &str| selection.backends.iter().any(|backend| is_of(name, backend));
        is_named(name) || partner.is_some_and(is_named)
    };
    plan.cases.retain(|case| {
        is_case(&case.id, &case.backend)
            && any(&selection.models, &case.model)
            && (selection.backends.is_empty() || is_backend(&case.backend))
    });
    if plan.cases.len() == all {
        return Ok(());
    }
    if plan.cases.is_empty() {
        return fail(
            Exit::BadInput,
            format!("none of the {all} cases is selected"),
            "`llamark plan SPEC` prints the ids of the cases; --case and --model accept a part of an id",
        );
    }
    plan.leave_unused();
    Ok(())
}
