//! `llamark validate`: every problem of every experiment and lock file, and nothing touched.

use camino::Utf8Path;
use llamark_report::format::counted;
use llamark_spec::{Diagnostics, Source};
use serde::Serialize;

use crate::cli::Validate;
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, Outcome};
use crate::{load, lock_file};

/// What `--json` prints for each file.
#[derive(Serialize)]
struct Checked<'a> {
    file: &'a str,
    valid: bool,
    problems: &'a [llamark_spec::Diagnostic],
}

pub(crate) fn run(context: &Context, args: &Validate) -> Outcome {
    let mut problems = Vec::new();
    for path in &args.specs {
        let found = match check(path) {
            Ok(Ok(what)) => {
                context.terminal.step("Valid", &format!("{}: {what}", shown(path)));
                Vec::new()
            }
            Ok(Err(diagnostics)) => {
                if !args.json {
                    load::print_problems(context, &diagnostics);
                }
                diagnostics.items().to_vec()
            }
            // A problem of this file: the others are looked at all the same.
            Err(failed) => {
                if !args.json {
                    context.terminal.error(&failed);
                }
                Source::unreadable(path.as_str(), &failed.to_string()).items().to_vec()
            }
        };
        problems.push((path, found));
    }
    if args.json {
        let checked: Vec<_> = problems
            .iter()
            .map(|(path, found)| Checked { file: path.as_str(), valid: found.is_empty(), problems: found })
            .collect();
        context.terminal.json(&checked)?;
    }
    let count: usize = problems.iter().map(|(_, found)| found.len()).sum();
    if count == 0 {
        return Ok(Exit::Done);
    }
    let bad = problems.iter().filter(|(_, found)| !found.is_empty()).count();
    let (count, files) = (counted(count, "problem"), counted(problems.len(), "file"));
    context.terminal.problem(&format!("{count} in {bad} of {files}"));
    Ok(Exit::BadInput)
}

/// What a file holds, in short, or what is wrong with it. `*.yaml` may name lock files too.
fn check(path: &Utf8Path) -> Result<Result<String, Diagnostics>, Failed> {
    if lock_file::is_named_so(path) {
        let lock = lock_file::check(path)?;
        return Ok(lock.map(|lock| format!("{} pins", lock.count())));
    }
    Ok(load::check(path)?.map(|loaded| {
        let plan = loaded.plan;
        let (models, backends, cases) = (plan.models.len(), plan.backends.len(), plan.cases.len());
        format!("{}, {}, {}", counted(models, "model"), counted(backends, "backend"), counted(cases, "case"))
    }))
}
