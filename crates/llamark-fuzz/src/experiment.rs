//! What people write in YAML: an experiment, a lock file, a list of accepted changes.

use std::io;

use camino::Utf8Path;
use llamark_spec::{Diagnostics, Source, Style, Surroundings};

struct Nothing;

impl Surroundings for Nothing {
    fn usable_cores(&self) -> u32 {
        1
    }

    fn read_prompt(&self, _relative: &Utf8Path) -> io::Result<String> {
        Ok("text".to_owned())
    }
}

/// An experiment is refused with places that exist, or becomes a plan whose schedule is all of its cases.
pub fn experiment(data: &[u8]) {
    let plan = Source::from_bytes("x.yaml", data.to_vec()).and_then(|source| {
        let spec = llamark_spec::parse(&source)?;
        llamark_spec::expand(&spec, &source, &Nothing)
    });
    match plan {
        Ok(plan) => {
            assert!(!plan.cases.is_empty());
            let starts: u64 = plan.cases.iter().map(|case| u64::from(case.starts)).sum();
            assert_eq!(u64::try_from(plan.schedule.len()).unwrap(), starts);
        }
        Err(problems) => refused(&problems),
    }
}

/// A lock file is refused with places that exist, or read.
pub fn lock(data: &[u8]) {
    let read = Source::from_bytes("x.lock.yaml", data.to_vec())
        .and_then(|source| llamark_spec::lock::parse(&source).map(|lock| lock.count()));
    if let Err(problems) = read {
        refused(&problems);
    }
}

/// A list of accepted changes is refused with places that exist, or read.
pub fn accepted(data: &[u8]) {
    let read =
        Source::from_bytes("x.yaml", data.to_vec()).and_then(|source| llamark_spec::parse_accepted(&source));
    match read {
        Ok(changes) => assert!(changes.iter().all(|change| change.at_most_ppm < 1_000_000)),
        Err(problems) => refused(&problems),
    }
}

/// Every problem has a place and no bug is among them; both ways to show them end.
fn refused(problems: &Diagnostics) {
    assert!(!problems.items().is_empty());
    for item in problems.items() {
        assert!(item.line >= 1 && item.column >= 1);
        assert_ne!(item.code, "spec/bug", "{problems}");
    }
    let plain = problems.render(Style::Plain);
    assert!(!plain.contains('\u{1b}'), "an escape sequence of the document reaches the terminal");
    assert!(!problems.render(Style::Color).is_empty());
}
