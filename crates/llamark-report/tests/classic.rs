//! The layout of the published report: written from the set that was imported from it, it is that report again.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "tests")]

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::ArtifactSet;
use llamark_report::{Templates, render_markdown, summarize};

/// The reference set: the one folder in `artifacts/strix-halo/` that is committed.
fn reference_set() -> ArtifactSet {
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../artifacts/strix-halo");
    let sets: Vec<Utf8PathBuf> =
        folder.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()).collect();
    let imported = sets.iter().find(|path| path.join("imported").is_dir()).unwrap();
    ArtifactSet::read(imported).unwrap()
}

/// The line with every number replaced, and the numbers as they are written.
fn numbers(line: &str) -> (String, Vec<&str>) {
    let mut shape = String::new();
    let mut numbers = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(from.len());
        let (number, after) = from.split_at(end);
        shape.push_str(before);
        shape.push('#');
        numbers.push(number);
        rest = after;
    }
    shape.push_str(rest);
    (shape, numbers)
}

/// Whether two numbers have the same digits after the point and differ by at most one in the last of them.
fn differ_in_the_last_digit(a: &str, b: &str) -> bool {
    let digits = |number: &str| number.replace('.', "").parse::<i64>().unwrap();
    let decimals = |number: &str| number.split_once('.').map(|(_, fraction)| fraction.len());
    decimals(a) == decimals(b) && (digits(a) - digits(b)).abs() <= 1
}

#[test]
fn it_is_the_published_report_but_for_last_digits_of_eleven_rows() {
    let set = reference_set();
    let (_, document) = set.document().unwrap().unwrap();
    let published = String::from_utf8(document).unwrap();
    let page = render_markdown(&summarize(&set).unwrap(), &Templates::named("classic").unwrap()).unwrap();
    assert_eq!(page.lines().count(), published.lines().count());
    // The original was computed from runs with more digits than it prints.
    let (mut rows_of_the_detail, mut rows_of_the_summary) = (0, 0);
    for (number, (ours, theirs)) in page.lines().zip(published.lines()).enumerate() {
        if ours == theirs {
            continue;
        }
        let place = number + 1;
        let ((our_shape, our_numbers), (their_shape, their_numbers)) = (numbers(ours), numbers(theirs));
        assert_eq!(our_shape, their_shape, "line {place}");
        for (ours, theirs) in our_numbers.iter().zip(&their_numbers) {
            assert!(differ_in_the_last_digit(ours, theirs), "line {place}: {ours} is not {theirs}");
        }
        let is_detail = ["| Vulkan |", "| ROCm 7.2 |", "| CPU |"].iter().any(|head| theirs.starts_with(head));
        rows_of_the_detail += usize::from(is_detail);
        rows_of_the_summary += usize::from(!is_detail);
    }
    assert_eq!((rows_of_the_detail, rows_of_the_summary), (11, 4));
}
