//! What a template may call: filters that format numbers and mark text.
//!
//! A filter of numbers takes `none` and writes a dash, so that a template needs no condition around it. What they
//! return is safe: it is not escaped again.

use std::collections::BTreeMap;

use llamark_record::metric::Metric;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

use crate::{escape, format};

/// Adds every filter.
pub(crate) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("rate", |value: &Value| number(value, |rate| format::significant(rate, 4)));
    environment.add_filter("duration", |value: &Value| number(value, format::duration_ms));
    environment.add_filter("percent", |value: &Value| number(value, format::percent));
    environment.add_filter("change", |value: &Value| number(value, format::change));
    environment.add_filter("bytes", |value: &Value| integer(value, format::bytes));
    environment.add_filter("decimal_bytes", |value: &Value| integer(value, format::decimal_bytes));
    environment.add_filter("parameters", |value: &Value| integer(value, format::parameters));
    environment.add_filter("count", |value: &Value| integer(value, format::count));
    environment.add_filter("fixed", |value: &Value, decimals: u32| {
        number(value, |value| format::fixed(value, usize::try_from(decimals.min(12)).unwrap_or(0)))
    });
    environment.add_filter("significant", |value: &Value, digits: u32| {
        number(value, |value| format::significant(value, digits.clamp(1, 15)))
    });
    environment.add_filter("of_metric", of_metric);
    environment.add_filter("change_interval", change_interval);
    environment.add_filter("over_depths", over_depths);
    environment.add_filter("estimate", estimate);
    environment.add_filter("spread", spread);
    environment
        .add_filter("code", |text: &Value| Value::from_safe_string(escape::markdown_code(&text.to_string())));
    environment
        .add_filter("fenced", |text: &Value| Value::from_safe_string(escape::fenced(&text.to_string())));
}

fn number(value: &Value, write: impl Fn(f64) -> String) -> Result<Value, Error> {
    if value.is_none() {
        return Ok(Value::from_safe_string(format::NOTHING.to_owned()));
    }
    if value.kind() != ValueKind::Number {
        return Err(not_a_number(value));
    }
    Ok(Value::from_safe_string(write(f64::try_from(value.clone())?)))
}

/// A value of the metric of that name; a dash for `none`.
fn of_metric(value: &Value, metric: &Value) -> Result<Value, Error> {
    let known = Metric::ALL.into_iter().find(|known| metric.as_str() == Some(known.name()));
    number(value, |value| {
        known.map_or_else(|| format::significant(value, 4), |known| format::of_metric(known, value))
    })
}

/// An interval of changes: `-16.7 to -16.5 %`; a dash for `none`.
fn change_interval(interval: &Value) -> Result<Value, Error> {
    if interval.is_none() {
        return number(interval, |_| String::new());
    }
    let [low, high] = [interval.get_attr("low")?, interval.get_attr("high")?];
    let text = format::change_interval(f64::try_from(low)?, f64::try_from(high)?);
    Ok(Value::from_safe_string(text))
}

fn integer(value: &Value, write: impl Fn(u64) -> String) -> Result<Value, Error> {
    if value.is_none() {
        return Ok(Value::from_safe_string(format::NOTHING.to_owned()));
    }
    if value.kind() != ValueKind::Number {
        return Err(not_a_number(value));
    }
    let whole = match u64::try_from(value.clone()) {
        Ok(whole) => whole,
        // The mean of counts need not be whole.
        Err(_) => format!("{:.0}", f64::try_from(value.clone())?).parse().map_err(|_| not_a_number(value))?,
    };
    Ok(Value::from_safe_string(write(whole)))
}

fn not_a_number(value: &Value) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("a number is expected, but this is {}", value.kind()))
}

/// Shapes that differ in nothing but their depth.
struct OverDepths {
    /// What else they are, by name.
    rest: Vec<(String, Value)>,
    depths: Vec<Value>,
    cases: u64,
}

/// Shapes of cases, those that differ in nothing but depth taken together: each with `depths`, and the `cases` of all.
fn over_depths(shapes: &Value) -> Result<Value, Error> {
    let mut all: Vec<OverDepths> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for shape in shapes.try_iter()? {
        let mut rest = Vec::new();
        for name in shape.try_iter()?.map(|name| name.to_string()) {
            if name != "depth" && name != "cases" {
                rest.push((name.clone(), shape.get_attr(&name)?));
            }
        }
        let (depth, cases) = (shape.get_attr("depth")?, u64::try_from(shape.get_attr("cases")?)?);
        let place = *places.entry(format!("{rest:?}")).or_insert(all.len());
        match all.get_mut(place) {
            Some(known) => {
                known.depths.push(depth);
                known.cases = known.cases.saturating_add(cases);
            }
            None => all.push(OverDepths { rest, depths: vec![depth], cases }),
        }
    }
    let as_value = |OverDepths { rest, depths, cases }| {
        let counted = [("depths".to_owned(), Value::from(depths)), ("cases".to_owned(), Value::from(cases))];
        Value::from(rest.into_iter().chain(counted).collect::<BTreeMap<_, _>>())
    };
    Ok(all.into_iter().map(as_value).collect())
}

/// An estimate: `696 ±105`, the half-width of its interval after the mean; a dash for `none`.
fn estimate(value: &Value) -> Result<Value, Error> {
    if value.is_none() {
        return number(value, |_| String::new());
    }
    let mean = f64::try_from(value.get_attr("mean")?)?;
    let interval = value.get_attr("interval")?;
    if interval.is_none() {
        return Ok(Value::from_safe_string(format::with_uncertainty(mean, None)));
    }
    let half_width = f64::try_from(interval.get_attr("half_width")?)?;
    let rounding = f64::try_from(interval.get_attr("rounding")?)?;
    Ok(Value::from_safe_string(format::with_interval(mean, half_width, rounding)))
}

/// The interval of an estimate: `77.7 to 82.2`; a dash if there is none.
fn spread(value: &Value) -> Result<Value, Error> {
    let interval = if value.is_none() { value.clone() } else { value.get_attr("interval")? };
    if interval.is_none() {
        return number(&interval, |_| String::new());
    }
    let low = f64::try_from(interval.get_attr("low")?)?;
    let high = f64::try_from(interval.get_attr("high")?)?;
    Ok(Value::from_safe_string(format::interval(low, high)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shapes_that_differ_in_depth_only_are_one() {
        let shapes = json!([
            {"runs": 3, "depth": 0, "concurrency": 1, "cases": 7},
            {"runs": 3, "depth": 0, "concurrency": 4, "cases": 2},
            {"runs": 3, "depth": 8192, "concurrency": 1, "cases": 5},
        ]);
        let together = over_depths(&Value::from(minijinja::value::Serde(shapes))).unwrap();
        let expected = json!([
            {"runs": 3, "depths": [0, 8192], "concurrency": 1, "cases": 12},
            {"runs": 3, "depths": [0], "concurrency": 4, "cases": 2},
        ]);
        assert_eq!(serde_json::to_value(together).unwrap(), expected);
    }
}
