//! The published report in `experiments/published/` as the parts of an imported set: 21 models on Vulkan, 9 of them on
//! ROCm and the processor too, three runs each.

use std::collections::BTreeMap;

use llamark_artifact::Ledger;
use llamark_import::{Bandwidth, Imported, Options};
use llamark_record::environment::{ENVIRONMENT_FORMAT, Environment};
use llamark_record::journal::Event;

use super::Parts;

const DOCUMENT: &str = include_str!("../../../../experiments/published/strix-halo-report.md");

/// The set, with the bandwidth of the machine added.
pub(crate) fn published() -> Parts {
    let bandwidth = Bandwidth { text: "256 GB/s".to_owned(), bytes_per_second: 256_000_000_000 };
    let options = Options { name: "strix-halo".to_owned(), title: None, memory_bandwidth: Some(bandwidth) };
    parts(llamark_import::report("strix-halo-report.md", DOCUMENT.as_bytes(), &options).unwrap())
}

/// What was imported, as the parts of a set.
pub(crate) fn parts(imported: Imported) -> Parts {
    let mut ledger = Ledger::new(&imported.plan.plan);
    for event in imported.events {
        let find = |id: &str| ledger.cases.iter().position(|case| case.case.id == id).unwrap();
        match event {
            Event::Stated(stated) => {
                let place = find(&stated.id.case);
                ledger.cases[place].stated.insert(stated.id.start, stated);
            }
            Event::CaseClosed(closed) => {
                let place = find(&closed.case);
                ledger.cases[place].outcome = Some(closed.outcome);
            }
            other => assert!(matches!(other, Event::End(_)), "{other:?}"),
        }
    }
    let environment = Environment { format: ENVIRONMENT_FORMAT.to_owned(), facts: BTreeMap::new() };
    Parts { id: "imported".to_owned(), resolved: imported.plan, ledger, environment }
}
