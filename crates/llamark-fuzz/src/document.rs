//! A document that is imported: a published report, and a file of llama-bench.

use llamark_import::{Imported, Options, Problems};
use llamark_record::journal::Event;
use llamark_record::stated::StatedRun;

/// A report is refused with its problems, or every number that was taken out stands on the line that is named.
pub fn report(data: &[u8]) {
    let Some(imported) = read(llamark_import::report("x.md", data, &options())) else { return };
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.lines().collect();
    let line = |number: u64| lines[usize::try_from(number).unwrap() - 1];
    for event in &imported.events {
        let Event::Stated(start) = event else { continue };
        assert!(line(start.line).contains('|'));
        for run in &start.runs {
            for number in [&run.pp, &run.tg].into_iter().flatten() {
                assert!(line(run.line).contains(number.as_str()), "{} is not on its line", number.as_str());
            }
        }
    }
    assert!(imported.plan.digest().is_ok());
}

/// A file of llama-bench is refused with its problems, or every sample stands in it as it is.
pub fn llama_bench(data: &[u8]) {
    let Some(imported) = read(llamark_import::llama_bench("x.jsonl", data, &options())) else { return };
    let text = String::from_utf8_lossy(data);
    let is_stated = |run: &StatedRun| run.duration_ns.is_some_and(|time| text.contains(&time.to_string()));
    for event in &imported.events {
        let Event::Stated(start) = event else { continue };
        assert!(!start.runs.is_empty() && start.runs.iter().all(is_stated));
    }
    assert!(imported.runs() > 0);
    assert!(imported.plan.digest().is_ok());
}

fn options() -> Options {
    Options { name: "x".to_owned(), title: None, memory_bandwidth: None }
}

fn read(result: Result<Imported, Problems>) -> Option<Imported> {
    match result {
        Ok(imported) => Some(imported),
        Err(problems) => {
            assert!(problems.count() > 0);
            assert!(!problems.render(false).contains('\u{1b}'));
            None
        }
    }
}
