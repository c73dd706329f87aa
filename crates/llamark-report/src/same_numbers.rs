//! The numbers of two summaries of one set, where another version of llamark made the other: its words, its layout and what
//! it has more or less of may differ, and no number that both have.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// How many numbers of the cases in `theirs`, a `summary.json`, stand in `ours` too, each the same.
///
/// # Errors
/// The first that is another, or is not there, in words.
pub fn same_numbers(theirs: &[u8], ours: &[u8]) -> Result<u64, String> {
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|error| error.to_string());
    let (theirs, ours) = (read(theirs)?, read(ours)?);
    let ours: BTreeMap<&str, &Value> = cases(&ours).collect();
    let mut count = 0;
    for (id, case) in cases(&theirs) {
        let id_shown = id.escape_debug();
        let mine = ours.get(id).ok_or_else(|| format!("there is no case `{id_shown}`"))?;
        if case.get("outcome") != mine.get("outcome") {
            return Err(format!("the case `{id_shown}` has a different outcome"));
        }
        let metrics =
            |case: &Value| case.get("metrics").and_then(Value::as_object).cloned().unwrap_or_default();
        count += same(&metrics(case), &metrics(mine), &format!("{id_shown}"))?;
    }
    if count == 0 && !ours.is_empty() {
        return Err("it has no numbers to compare".to_owned());
    }
    Ok(count)
}

fn cases(summary: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let cases = summary.get("cases").and_then(Value::as_array).into_iter().flatten();
    cases.filter_map(|case| Some((case.get("id")?.as_str()?, case)))
}

/// Numbers below `theirs` that are in `ours`. A mean must be there.
fn same(theirs: &Map<String, Value>, ours: &Map<String, Value>, place: &str) -> Result<u64, String> {
    let mut count = 0;
    for (name, value) in theirs {
        let place = format!("{place} {name}");
        match (value, ours.get(name)) {
            (Value::Object(theirs), Some(Value::Object(ours))) => count += same(theirs, ours, &place)?,
            (Value::Number(theirs), Some(Value::Number(ours))) if theirs == ours => count += 1,
            (Value::Number(theirs), Some(Value::Number(ours))) => {
                return Err(format!("{place} is {theirs}, but the journal gives {ours}"));
            }
            (Value::Number(_), _) if name == "mean" => {
                return Err(format!("{place} is not what the journal gives"));
            }
            // We know of it, and have none.
            (Value::Object(_) | Value::Number(_), Some(Value::Null)) => {
                return Err(format!("{place} is not what the journal gives"));
            }
            (Value::Object(inner), _) if inner.contains_key("mean") => {
                return Err(format!("{place} is not what the journal gives"));
            }
            _ => {}
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn summary(mean: f64) -> Value {
        json!({"findings": ["words"], "cases": [
            {"id": "m/cpu/p", "outcome": "ok", "metrics": {"pp": {"unit": "tok/s", "n": 3, "mean": mean, "interval": {"low": 1.5}}, "tg": null}},
        ]})
    }

    fn compared(theirs: &Value, ours: &Value) -> Result<u64, String> {
        same_numbers(theirs.to_string().as_bytes(), ours.to_string().as_bytes())
    }

    #[test]
    fn words_may_differ_and_numbers_may_not() {
        let ours = summary(2.5);
        assert_eq!(compared(&summary(2.5), &ours), Ok(3));
        assert!(
            compared(&summary(2.6), &ours).unwrap_err().contains("pp mean is 2.6, but the journal gives 2.5")
        );
        // What the other version knew nothing of, and what it called by another name.
        let mut other = summary(2.5);
        other["findings"] = json!([]);
        other["cases"][0]["shape"] = json!("new");
        other["cases"][0]["metrics"]["pp"]["skew"] = json!(0.1);
        assert_eq!(compared(&other, &ours), Ok(3));
        for (pointer, value) in [
            ("/cases/0/outcome", json!("failed")),
            ("/cases/0/id", json!("another/cpu/p")),
            ("/cases/0/metrics/tg", json!({"mean": 1.0})),
            ("/cases/0/metrics", json!({})),
            ("/cases", json!([])),
        ] {
            let mut forged = summary(2.5);
            *forged.pointer_mut(pointer).unwrap() = value;
            assert!(compared(&forged, &ours).is_err(), "{pointer}");
        }
        assert!(same_numbers(b"no json", b"{}").is_err());
    }
}
