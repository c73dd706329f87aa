//! The file of accepted changes: regressions that a team lives with, each with its size and its reason. YAML or JSON.

use std::collections::HashMap;

use llamark_record::comparison::AcceptedChange;
use llamark_record::metric::{Direction, Metric};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::diagnostic::{Diagnostics, Problem};
use crate::node;
use crate::parse::typed;
use crate::source::Source;
use crate::text::{CaseId, Date, Line};
use crate::units::Growth;
use crate::validate::{Format, validate};

/// 100 %, in parts per million.
const ALL: u64 = 1_000_000;

/// What the file must be. It has no version of its own: it is a list.
static ACCEPTED: Format = Format::new("a file of accepted changes", "", crate::schema::accepted_schema);

/// Changes for a `diff` to accept: `llamark diff BASE CANDIDATE --accept FILE`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(title = "llamark accepted changes")]
pub struct AcceptedFile(pub Vec<AcceptedEntry>);

/// One accepted change.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptedEntry {
    /// Id of the case: `MODEL/BACKEND/PROMPT`.
    pub case: CaseId,
    /// The metric that may be worse.
    pub metric: Metric,
    /// How much worse it may be than the baseline: fewer tok/s (of which no more than all can be lost), or more time, bytes or
    /// energy.
    pub at_most: Growth,
    /// Why it is accepted; shown wherever the regression is shown.
    pub reason: Line,
    /// Last day on which it is valid. Without one, it is valid until it is removed.
    pub until: Option<Date>,
}

/// Reads a file of accepted changes. An empty file accepts nothing.
///
/// # Errors
/// Every problem of the text, each with its place.
pub fn parse_accepted(source: &Source) -> Result<Vec<AcceptedChange>, Diagnostics> {
    let (root, mut problems) = node::build(source.text());
    let Some(root) = root else {
        let is_empty = problems.iter().all(|problem| problem.code() == "spec/empty");
        return if is_empty { Ok(Vec::new()) } else { Err(Diagnostics::new(source.clone(), problems)) };
    };
    problems.extend(validate(&ACCEPTED, source.text(), &root));
    if problems.is_empty() {
        check_duplicates(&root, &mut problems);
    }
    if !problems.is_empty() {
        return Err(Diagnostics::new(source.clone(), problems));
    }
    let AcceptedFile(entries) =
        typed(source).map_err(|problem| Diagnostics::new(source.clone(), vec![*problem]))?;
    check_rates(&root, &entries, &mut problems);
    if !problems.is_empty() {
        return Err(Diagnostics::new(source.clone(), problems));
    }
    let lines = root.items().iter().map(|item| source.place(item.span.start).line);
    let change = |(entry, line): (AcceptedEntry, usize)| AcceptedChange {
        line: u64::try_from(line).unwrap_or(0),
        case: entry.case.as_str().to_owned(),
        metric: entry.metric,
        // The pattern keeps it small.
        at_most_ppm: u32::try_from(entry.at_most.0).unwrap_or(0),
        reason: entry.reason.as_str().to_owned(),
        until: entry.until.map(|date| date.as_str().to_owned()),
    };
    Ok(entries.into_iter().zip(lines).map(change).collect())
}

/// A rate that is worse by all of it is none.
fn check_rates(root: &node::Node, entries: &[AcceptedEntry], problems: &mut Vec<Problem>) {
    for (item, entry) in root.items().iter().zip(entries) {
        let is_rate = entry.metric.direction() == Direction::HigherIsBetter;
        let Some(at_most) = item.get("at_most").filter(|_| is_rate && entry.at_most.0 >= ALL) else {
            continue;
        };
        let message = format!("`{}` is a rate, and cannot lose 100% or more", entry.metric.name());
        let problem = Problem::new("spec/out-of-range", at_most.span.clone(), message);
        problems.push(problem.help("write less than 100%: a rate that is halved is worse by 50%"));
    }
}

/// Two entries for one metric of one case would contradict each other.
fn check_duplicates(root: &node::Node, problems: &mut Vec<Problem>) {
    let mut seen: HashMap<(&str, &str), &node::Node> = HashMap::new();
    for item in root.items() {
        let text = |key: &str| item.get(key).and_then(node::Node::text).unwrap_or_default();
        let key = (text("case"), text("metric"));
        if let Some(first) = seen.insert(key, item) {
            let message = format!("`{}` of `{}` appears twice", key.1, key.0);
            let problem = Problem::new("spec/repeated-item", item.span.clone(), message).label("again here");
            problems
                .push(problem.related(first.span.clone(), "first here").help("remove one of the entries"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Style;

    fn parse(text: &str) -> Result<Vec<AcceptedChange>, Diagnostics> {
        parse_accepted(&Source::new("accepted.yaml", text.to_owned())?)
    }

    #[test]
    fn yaml_and_json_are_read_with_their_lines() {
        let yaml = "# why\n- case: fox/cpu/p\n  metric: tg\n  at_most: 8%\n  reason: Slower on purpose, see #12\n\
                    - { case: hen/cpu/p, metric: pp, at_most: 2.5 %, reason: r, until: 2027-01-31 }\n";
        let found = parse(yaml).unwrap();
        assert_eq!(found.iter().map(|change| change.line).collect::<Vec<_>>(), [2, 6]);
        assert_eq!((found[0].metric, found[0].at_most_ppm, &found[0].until), (Metric::Tg, 80_000, &None));
        assert_eq!(found[1].until.as_deref(), Some("2027-01-31"));
        let json = r#"[{"case": "fox/cpu/p", "metric": "tg", "at_most": "8%", "reason": "r"}]"#;
        assert_eq!(parse(json).unwrap().len(), 1);
        for empty in ["", "# nothing yet\n", "[]\n"] {
            assert_eq!(parse(empty).unwrap(), [], "{empty:?}");
        }
    }

    /// A time can double, and more; a rate cannot lose more than all.
    #[test]
    fn as_much_is_accepted_as_a_metric_can_be_worse() {
        let entry = |metric: &str, share: &str| {
            parse(&format!("- {{ case: a/b/c, metric: {metric}, at_most: {share}, reason: r }}\n"))
        };
        for (share, ppm) in [("150%", 1_500_000), ("99.99%", 999_900), ("10000%", 100_000_000)] {
            assert_eq!(entry("ttft", share).unwrap()[0].at_most_ppm, ppm);
        }
        for beyond in ["10001%", "10000.5%", "0%", "-5%"] {
            assert!(entry("load", beyond).is_err(), "{beyond}");
        }
        assert_eq!(entry("tg", "99%").unwrap()[0].at_most_ppm, 990_000);
        let all = entry("tg", "100%").unwrap_err().render(Style::Plain);
        assert!(all.contains("accepted.yaml:1") && all.contains("cannot lose 100%"), "{all}");
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "- case: fox/cpu/p\n  metric: tgs\n  at_most: 8\n  reason: ''\n  untill: 2027-01-31\n\
                    - { case: fox/cpu/p, metric: pp, at_most: 2%, reason: r, until: 31.1.2027 }\n";
        let error = parse(text).unwrap_err().render(Style::Plain);
        for part in
            ["accepted.yaml:2", "accepted.yaml:3", "accepted.yaml:4", "accepted.yaml:5", "accepted.yaml:6"]
        {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(error.contains("did you mean `until`?"), "{error}");
        let twice = "- { case: a/b/c, metric: pp, at_most: 2%, reason: r }\n".repeat(2);
        assert!(parse(&twice).unwrap_err().render(Style::Plain).contains("appears twice"));
        assert!(parse("case: a/b/c\n").is_err());
    }
}
