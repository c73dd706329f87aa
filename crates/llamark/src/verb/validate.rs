//! `llamark validate`: every problem of every experiment, and nothing touched.

use serde::Serialize;

use crate::cli::Validate;
use crate::context::{Context, shown};
use crate::exit::{Exit, Outcome};
use crate::load;

/// What `--json` prints for each experiment.
#[derive(Serialize)]
struct Checked<'a> {
    file: &'a str,
    valid: bool,
    problems: &'a [llamark_spec::Diagnostic],
}

pub(crate) fn run(context: &Context, args: &Validate) -> Outcome {
    let mut problems = Vec::new();
    for path in &args.specs {
        let found = match load::check(path)? {
            Ok(loaded) => {
                let plan = &loaded.plan;
                context.terminal.step(
                    "Valid",
                    &format!(
                        "{}: {} models, {} backends, {} cases",
                        shown(path),
                        plan.models.len(),
                        plan.backends.len(),
                        plan.cases.len()
                    ),
                );
                Vec::new()
            }
            Err(diagnostics) => {
                if !args.json {
                    load::print_problems(context, &diagnostics);
                }
                diagnostics.items().to_vec()
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
    let noun = if count == 1 { "problem" } else { "problems" };
    context.terminal.problem(&format!("{count} {noun} in {bad} of {} experiments", problems.len()));
    Ok(Exit::BadInput)
}
