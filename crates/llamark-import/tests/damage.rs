//! The published report, damaged at random and at every line: an error, an incomplete case, or numbers that stand
//! literally where the import says. Never a panic, never another number.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its document has failed")]

use std::collections::BTreeMap;

use llamark_import::{Options, report};
use llamark_record::journal::Event;
use proptest::prelude::*;

const DOCUMENT: &str = include_str!("../../../experiments/published/strix-halo-report.md");

/// What came of damaged documents.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    refused: usize,
    incomplete: usize,
    whole: usize,
}

impl Tally {
    /// Imports the text and holds the promise.
    fn add(&mut self, text: &str) {
        let options = Options { name: "x".to_owned(), title: None, memory_bandwidth: None };
        let imported = match report("x.md", text.as_bytes(), &options) {
            Err(problems) => {
                assert!(problems.count() > 0);
                self.refused += 1;
                return;
            }
            Ok(imported) => imported,
        };
        let lines: Vec<&str> = text.lines().collect();
        let line = |number: u64| lines[usize::try_from(number).unwrap() - 1].trim();
        for event in &imported.events {
            let Event::Stated(start) = event else { continue };
            assert!(line(start.line).contains('|'), "{}", line(start.line));
            for run in &start.runs {
                let again = format!(
                    "Run {}: pp={} tg={} (prompt={} tok, gen={} tok)",
                    run.index,
                    run.pp.as_ref().unwrap(),
                    run.tg.as_ref().unwrap(),
                    run.prompt_tokens.unwrap(),
                    run.generated_tokens.unwrap()
                );
                assert_eq!(again, line(run.line));
            }
        }
        if imported.incomplete().next().is_some() {
            self.incomplete += 1;
        } else {
            self.whole += 1;
        }
    }
}

#[test]
fn cut_after_every_line_and_within_lines() {
    let mut lines = Tally::default();
    let mut at = 0;
    for line in DOCUMENT.split_inclusive('\n') {
        at += line.len();
        lines.add(&DOCUMENT[..at]);
    }
    let mut bytes = Tally::default();
    for end in (0..DOCUMENT.len()).step_by(97).filter(|end| DOCUMENT.is_char_boundary(*end)) {
        bytes.add(&DOCUMENT[..end]);
    }
    eprintln!("cut after every line: {lines:?}; within lines: {bytes:?}");
    // Only the lines after the last run can be missed.
    assert_eq!(lines.whole, 4, "{lines:?}");
    assert!(lines.incomplete > 300 && bytes.incomplete > 10, "{lines:?} {bytes:?}");
}

#[test]
fn without_any_one_line() {
    let all: Vec<&str> = DOCUMENT.lines().collect();
    let mut by_kind: BTreeMap<&str, Tally> = BTreeMap::new();
    for place in 0..all.len() {
        let mut rest = all.clone();
        let gone = rest.remove(place).trim();
        let kind = match gone {
            "" => "blank",
            _ if gone.starts_with("Run ") => "run",
            _ if gone.starts_with('|') => "table",
            _ => "other",
        };
        by_kind.entry(kind).or_default().add(&rest.join("\n"));
    }
    eprintln!("without one line: {by_kind:?}");
    // A run that is gone is never made up for.
    assert_eq!(by_kind["run"], Tally { refused: 0, incomplete: 117, whole: 0 });
    assert_eq!(by_kind["table"].whole, 0, "{by_kind:?}");
}

#[test]
fn two_neighbours_swapped() {
    let all: Vec<&str> = DOCUMENT.lines().collect();
    let mut tally = Tally::default();
    for place in 0..all.len() - 1 {
        let mut swapped = all.clone();
        swapped.swap(place, place + 1);
        tally.add(&swapped.join("\n"));
    }
    eprintln!("two lines swapped: {tally:?}");
}

#[test]
fn any_run_with_another_digit_before_the_point_is_refused() {
    let mut tally = Tally::default();
    for (at, _) in DOCUMENT.match_indices(" pp=").chain(DOCUMENT.match_indices(" tg=")) {
        let place = at + 4;
        let digit = DOCUMENT.as_bytes()[place];
        if !digit.is_ascii_digit() {
            continue;
        }
        let mut text = DOCUMENT.to_owned();
        text.replace_range(place..=place, if digit == b'9' { "1" } else { "9" });
        tally.add(&text);
    }
    eprintln!("first digit of a rate changed: {tally:?}");
    assert_eq!(tally, Tally { refused: 234, incomplete: 0, whole: 0 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_replaced(edits in prop::collection::vec((0..DOCUMENT.len(), "[0-9|±.,\n#*`<>~ a-zA-Z=:‡-]{0,3}"), 1..4)) {
        let mut text = DOCUMENT.to_owned();
        for (at, with) in edits {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            let end = text[at..].char_indices().nth(1).map_or(text.len(), |(next, _)| at + next);
            text.replace_range(at..end, &with);
        }
        Tally::default().add(&text);
    }

    #[test]
    fn any_text_at_all(text in "(# x\n|## Summary\n|\\| a \\| b \\|\n|\\|--\\|--\\|\n|```\n|> |Run 1: pp=1|\\*\\*PP\\*\\*|[ -~]|\n|é|±){0,60}") {
        Tally::default().add(&text);
    }
}
