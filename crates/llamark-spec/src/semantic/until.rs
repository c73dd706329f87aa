//! How many starts `until` allows, and that these are enough for it to decide anything.

use crate::defaults;
use crate::diagnostic::Problem;
use crate::node::Node;
use crate::procedure::{fewest_starts, most_starts};
use crate::semantic::number_or;

/// What `until` allows is at least what it needs.
pub(super) fn check(protocol: Option<&Node>, problems: &mut Vec<Problem>) {
    let Some(entry) = protocol.and_then(|protocol| protocol.entry("until")) else { return };
    let (starts, runs, most) = (number(protocol, "starts"), number(protocol, "runs"), most(protocol));
    let fewest = fewest_starts(starts.unwrap_or(defaults::STARTS));
    let Some(most) = most.filter(|most| *most < fewest) else { return };
    let runs = runs.unwrap_or(defaults::RUNS);
    let message =
        format!("`until` allows {most} starts of {runs} runs each, but at least {fewest} starts are needed");
    problems.push(
        Problem::new("spec/until-starts", entry.key_span.clone(), message)
            .help("raise `max_starts` or `max_runs`: an interval is over starts, and needs at least three"),
    );
}

/// Most starts of a case; `None` without `until`, or where a number is none.
pub(super) fn most(protocol: Option<&Node>) -> Option<u32> {
    let until = protocol?.get("until")?;
    let of =
        |key: &str| until.get(key).map(|node| node.integer().and_then(|number| u32::try_from(number).ok()));
    let (starts, runs) = (of("max_starts"), of("max_runs"));
    if matches!(starts, Some(None)) || matches!(runs, Some(None)) {
        return None;
    }
    let each = u32::try_from(number_or(protocol, "runs", defaults::RUNS)).ok()?;
    Some(most_starts(starts.flatten(), runs.flatten(), each))
}

fn number(protocol: Option<&Node>, key: &str) -> Option<u32> {
    u32::try_from(protocol?.get(key)?.integer()?).ok()
}
