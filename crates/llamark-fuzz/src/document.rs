//! A published report that is imported.

use llamark_import::Options;
use llamark_record::journal::Event;

/// A report is refused with its problems, or every number that was taken out stands on the line that is named.
pub fn report(data: &[u8]) {
    let options = Options { name: "x".to_owned(), title: None, memory_bandwidth: None };
    let imported = match llamark_import::report("x.md", data, &options) {
        Ok(imported) => imported,
        Err(problems) => {
            assert!(problems.count() > 0);
            assert!(!problems.render(false).contains('\u{1b}'));
            return;
        }
    };
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
