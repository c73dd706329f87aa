//! `llamark list`: the artifact sets.

use llamark_artifact::SetInfo;
use llamark_artifact::set::{IMPORTED, PLAN};
use llamark_record::grade::Grade;
use llamark_record::plan::ResolvedPlan;
use llamark_report::format;
use serde::Serialize;

use crate::cli::List;
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome};

/// What `--json` prints for each set.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    id: &'a str,
    path: String,
    sealed: bool,
    /// Whether there is a signature; `verify` says what it is worth.
    signed: bool,
    /// Bytes of all of its files.
    bytes: u64,
    /// The provenance grade; absent if the plan does not read.
    grade: Option<Grade>,
}

/// The grade of a set: only an imported one has something to say of it, so that only its plan is read.
fn grade(set: &SetInfo) -> Option<Grade> {
    if !set.path.join(IMPORTED).is_dir() {
        return Some(Grade::Measured);
    }
    let plan = fs_err::read(set.path.join(PLAN)).ok()?;
    let resolved: ResolvedPlan = serde_json::from_slice(&plan).ok()?;
    Some(resolved.plan.grade())
}

pub(crate) fn run(context: &Context, args: &List) -> Outcome {
    let sets = context.store().sets(args.name.as_deref()).or_fail(Exit::NotVerified)?;
    let listed = sets
        .iter()
        .map(|set| {
            Ok(Listed {
                name: &set.name,
                id: &set.id,
                path: shown(&set.path),
                sealed: set.sealed,
                signed: set.has_signature(),
                bytes: set.bytes().or_fail(Exit::NotVerified)?,
                grade: grade(set),
            })
        })
        .collect::<Result<Vec<_>, Failed>>()?;
    if args.json {
        context.terminal.json(&listed)?;
        return Ok(Exit::Done);
    }
    if listed.is_empty() {
        let what = args.name.as_ref().map_or_else(String::new, |name| format!(" of an experiment `{name}`"));
        context.terminal.text(&format!("no artifact sets{what} in {}", shown(&context.artifacts)));
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for set in &listed {
        let state = if set.sealed { "sealed" } else { "interrupted" };
        let grade = set.grade.map_or("unknown", Grade::name);
        let signed = if set.signed { "signed" } else { "unsigned" };
        let size = format::bytes(set.bytes);
        text.push_str(&format!(
            "{state:<11}  {grade:<8}  {signed:<8}  {size:>10}  {}  {}\n",
            set.id, set.path
        ));
    }
    context.terminal.data(text.as_bytes())?;
    let bytes = listed.iter().map(|set| set.bytes).sum();
    context
        .terminal
        .step("Total", &format!("{} in {}", format::bytes(bytes), format::counted(listed.len(), "set")));
    Ok(Exit::Done)
}
