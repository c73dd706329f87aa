//! LM309: the processor itself was not as fast beside one start as beside another.

use llamark_record::comparison::PaceKind;

use super::rules::UNEVEN_MACHINE;
use super::{Context, Finding};
use crate::format::{counted, percent};
use crate::pace::Paces;

/// A difference that no quiet machine shows between the same work and the same work.
const UNEVEN: f64 = 0.05;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    (0..context.summary.backends.len()).filter_map(|backend| of_backend(context, backend)).collect()
}

fn of_backend(context: &Context<'_>, backend: usize) -> Option<Finding> {
    let of_cases = context
        .of_backend(backend)
        .filter_map(|(place, _)| Paces::of(context.ledger.cases.get(place)?, PaceKind::Compute));
    let paces: Vec<f64> = of_cases.flat_map(|paces| paces.by_start.into_values()).collect();
    let (fastest, slowest) =
        (paces.iter().copied().min_by(f64::total_cmp)?, paces.iter().copied().max_by(f64::total_cmp)?);
    let slower = -(fastest - slowest).exp_m1();
    if slower < UNEVEN {
        return None;
    }
    let text = format!(
        "{}: the processor itself, by the same work before and behind each of {}, was up to {} slower beside one than beside \
         another. Something else had a part of it, and of what was measured.",
        context.backend(backend),
        counted(u64::try_from(paces.len()).ok()?, "start"),
        percent(slower)
    );
    Some(Finding::new(&UNEVEN_MACHINE, context.subject_of_backends([backend]), text).number("slower", slower))
}
