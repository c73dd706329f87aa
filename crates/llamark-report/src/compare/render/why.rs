//! What differs, for people: the likeliest cause first, long values shortened.

use llamark_record::comparison::{Comparison, Difference};
use llamark_record::environment::FieldClass;

/// Differences of a class that are listed; the others are in the JSON.
pub(super) const LISTED: usize = 20;
/// Characters of a value that are shown.
const SHOWN: usize = 60;

/// The differences by class, each with its title; classes without one are left out.
pub(super) fn by_class(comparison: &Comparison) -> Vec<(&'static str, Vec<&Difference>)> {
    let classes = [
        (FieldClass::Identity, "What makes it a different measurement"),
        (FieldClass::Treatment, "What differs and may be the cause, the likeliest first"),
        (FieldClass::Nuisance, "What differs and should not matter"),
    ];
    let of = |class: FieldClass| {
        comparison.differences.iter().filter(move |d| d.class == class).collect::<Vec<_>>()
    };
    let lists = classes.into_iter().map(|(class, title)| (title, of(class)));
    lists.filter(|(_, differences)| !differences.is_empty()).collect()
}

/// Both values, shortened around what differs.
pub(super) fn sides(difference: &Difference) -> (String, String) {
    let (a, b) = (difference.base.as_deref(), difference.candidate.as_deref());
    let common = match (a, b) {
        (Some(a), Some(b)) => a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count(),
        _ => 0,
    };
    (shortened(a, common), shortened(b, common))
}

/// A long value from a little before where it begins to differ.
fn shortened(value: Option<&str>, common: usize) -> String {
    let Some(value) = value else { return "(none)".to_owned() };
    if value.is_empty() {
        return "(empty)".to_owned();
    }
    let length = value.chars().count();
    if length <= SHOWN {
        return value.to_owned();
    }
    let is_digest = length == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest {
        return format!("{}...", value.get(..12).unwrap_or(value));
    }
    let from = if common + 16 < SHOWN { 0 } else { common.saturating_sub(12) };
    let part: String = value.chars().skip(from).take(SHOWN - 6).collect();
    let (head, tail) =
        (if from > 0 { "..." } else { "" }, if from + SHOWN - 6 < length { "..." } else { "" });
    format!("{head}{part}{tail}")
}

/// How far the engines are apart, where both have a build number.
pub(super) fn engine_range(comparison: &Comparison) -> Option<String> {
    let find = |field: &str| comparison.differences.iter().find(|difference| difference.field == field);
    let number = find("engine.build_number")?;
    let parse = |value: &Option<String>| value.as_deref()?.parse::<i64>().ok().filter(|number| *number > 0);
    let (a, b) = (parse(&number.base)?, parse(&number.candidate)?);
    let known = |value: &Option<String>| value.clone().filter(|commit| commit != "unknown");
    let commits = find("engine.commit").and_then(|commit| {
        Some(format!(", commits {}..{}", known(&commit.base)?, known(&commit.candidate)?))
    });
    let (apart, way) = if b > a { (b - a, "later") } else { (a - b, "earlier") };
    Some(format!("llama.cpp b{a} -> b{b}: {apart} builds {way}{}", commits.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_shown_where_it_differs() {
        let line = |end: &str| format!("{} {end}", "quiet ".repeat(20));
        let (a, b) = (line("mitigations=auto"), line("mitigations=off"));
        let common = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
        assert!(shortened(Some(&a), common).ends_with("mitigations=auto"));
        assert!(shortened(Some(&b), common).starts_with("..."));
        assert_eq!(shortened(Some(&"ab".repeat(32)), 0), "abababababab...");
        assert_eq!((shortened(None, 0), shortened(Some(""), 0)), ("(none)".to_owned(), "(empty)".to_owned()));
        assert!(shortened(Some(&"é".repeat(500)), 499).chars().count() <= SHOWN);
    }
}
