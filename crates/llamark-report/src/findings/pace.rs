//! LM309: the processor itself was not as fast around one start as around another.

use llamark_artifact::CaseLedger;
use llamark_record::comparison::PaceKind;

use super::rules::UNEVEN_MACHINE;
use super::{Context, Finding, list};
use crate::format::percent;
use crate::pace::{self, Paces};

/// A difference that no quiet machine shows between the same work and the same work, as a share of its speed.
const UNEVEN: f64 = 0.05;
/// The same of bringing threads together.
const UNEVEN_SYNC: f64 = 0.5;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    (0..context.summary.backends.len()).filter_map(|backend| of_backend(context, backend)).collect()
}

fn of_backend(context: &Context<'_>, backend: usize) -> Option<Finding> {
    let cases: Vec<&CaseLedger> =
        context.of_backend(backend).filter_map(|(place, _)| context.ledger.cases.get(place)).collect();
    let slower = slower_at_computing(&cases).filter(|slower| *slower >= UNEVEN);
    let apart = slower_sync(&cases);
    let mut said = Vec::new();
    if let Some(slower) = slower {
        said.push(format!("computed up to {} slower around one start than around another", percent(slower)));
    }
    if let Some(apart) = apart {
        said.push(format!(
            "synchronised its threads up to {} slower, as on a virtual machine moved to cores that lie further apart",
            percent(apart)
        ));
    }
    if said.is_empty() {
        return None;
    }
    let text = format!(
        "{}: timed with the same work before and after each start, the processor itself {}. Something else slowed it, and \
         so affected the measurements.",
        context.backend(backend),
        list(&said)
    );
    let mut finding = Finding::new(&UNEVEN_MACHINE, context.subject_of_backends([backend]), text);
    for (name, share) in [("compute", slower), ("sync", apart)] {
        if let Some(share) = share {
            finding = finding.number(name, share);
        }
    }
    Some(finding)
}

/// How much slower the slowest start was than the fastest, of those that met one machine.
fn slower_at_computing(cases: &[&CaseLedger]) -> Option<f64> {
    let times: Vec<f64> = cases
        .iter()
        .filter_map(|case| Paces::of(case, PaceKind::Compute))
        .flat_map(|paces| paces.times())
        .collect();
    spread(&times)
}

fn slower_sync(cases: &[&CaseLedger]) -> Option<f64> {
    let starts = cases.iter().flat_map(|case| case.starts.values());
    let times: Vec<f64> = starts.flat_map(pace::syncs).map(|(_, time)| time).collect();
    spread(&times).filter(|slower| *slower > UNEVEN_SYNC)
}

fn spread(times: &[f64]) -> Option<f64> {
    let least = times.iter().copied().min_by(f64::total_cmp)?;
    let most = times.iter().copied().max_by(f64::total_cmp)?;
    Some(-(least - most).exp_m1())
}
