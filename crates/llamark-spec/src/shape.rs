//! The generated JSON Schema of an experiment, compiled to what the validator walks.
//!
//! Only the keywords that the generator emits for our types are known; any other is an error here, which a
//! test turns into a failure of the build: so the validator can never quietly ignore a rule of the schema.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::{Map, Value};

/// What a value must be.
#[derive(Debug)]
pub(crate) enum Shape {
    Text(TextShape),
    /// Text that is one of these.
    Choice(Vec<String>),
    /// Text that is this and nothing else.
    Constant(String),
    Integer {
        least: i128,
        most: i128,
    },
    Boolean,
    List {
        item: Box<Shape>,
        least: usize,
        unique: bool,
    },
    /// A mapping with names that the author chooses.
    Map {
        item: Box<Shape>,
        names: Option<TextShape>,
        least: usize,
    },
    /// A mapping with known keys.
    Record(RecordShape),
    /// One of several kinds of value.
    Kinds(Vec<Shape>),
    /// One of several records, told apart by a key that is also the title.
    Tagged(Vec<(String, RecordShape)>),
}

#[derive(Debug, Default)]
pub(crate) struct TextShape {
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) example: Option<String>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) most: Option<usize>,
}

impl TextShape {
    /// Whether a text has the form.
    pub(crate) fn fits(&self, text: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
    }
}

#[derive(Debug)]
pub(crate) struct RecordShape {
    pub(crate) fields: BTreeMap<String, Shape>,
    pub(crate) required: Vec<String>,
}

/// The schema uses something that the validator does not know. A bug of this crate.
#[derive(Debug, thiserror::Error)]
#[error("the schema has `{what}` at {place}, which the validator does not know")]
pub(crate) struct UnknownSchema {
    what: String,
    place: String,
}

/// Keywords that say nothing about what is valid.
const ANNOTATIONS: &[&str] = &["$schema", "$defs", "title", "description", "default", "examples", "format"];

/// Deeper references than this are a cycle.
const MAX_DEPTH: usize = 40;

/// Compiles a schema.
///
/// # Errors
/// When it has a keyword, or a combination of keywords, that is not known here.
pub(crate) fn compile(schema: &Value) -> Result<Shape, UnknownSchema> {
    let definitions = schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    Compiler { definitions }.shape(schema, "#", 0)
}

struct Compiler {
    definitions: Map<String, Value>,
}

impl Compiler {
    fn shape(&self, schema: &Value, place: &str, depth: usize) -> Result<Shape, UnknownSchema> {
        let unknown = |what: &str| UnknownSchema { what: what.to_owned(), place: place.to_owned() };
        let Some(object) = schema.as_object().filter(|_| depth < MAX_DEPTH) else {
            return Err(unknown("a schema that is no object, or a cycle"));
        };
        let rules: Vec<&str> =
            object.keys().map(String::as_str).filter(|key| !ANNOTATIONS.contains(key)).collect();
        let only = |known: &[&str]| match rules.iter().find(|rule| !known.contains(rule)) {
            Some(rule) => Err(unknown(rule)),
            None => Ok(()),
        };
        if let Some(reference) = text(object, "$ref") {
            only(&["$ref"])?;
            let name = reference.strip_prefix("#/$defs/").ok_or_else(|| unknown(reference))?;
            let target = self.definitions.get(name).ok_or_else(|| unknown(reference))?;
            return self.shape(target, reference, depth + 1);
        }
        if let Some(branches) = object.get("anyOf").or_else(|| object.get("oneOf")).and_then(Value::as_array)
        {
            only(&["anyOf", "oneOf"])?;
            return self.union(branches, place, depth);
        }
        if let Some(constant) = text(object, "const") {
            only(&["const", "type"])?;
            return Ok(Shape::Constant(constant.to_owned()));
        }
        if let Some(choices) = object.get("enum").and_then(Value::as_array) {
            only(&["enum", "type"])?;
            let choices = choices.iter().map(|choice| choice.as_str().map(str::to_owned));
            return choices
                .collect::<Option<_>>()
                .map(Shape::Choice)
                .ok_or_else(|| unknown("enum of no text"));
        }
        match text(object, "type") {
            Some("boolean") => {
                only(&["type"])?;
                Ok(Shape::Boolean)
            }
            Some("integer") => {
                only(&["type", "minimum", "maximum"])?;
                let bound = |key: &str| object.get(key).and_then(Value::as_i64).map(i128::from);
                let (Some(least), Some(most)) = (bound("minimum"), bound("maximum")) else {
                    return Err(unknown("an integer without bounds"));
                };
                Ok(Shape::Integer { least, most })
            }
            Some("string") => {
                only(&["type", "pattern", "maxLength"])?;
                text_shape(object).map(Shape::Text).ok_or_else(|| unknown("a pattern"))
            }
            Some("array") => {
                only(&["type", "items", "minItems", "uniqueItems"])?;
                let items = object.get("items").ok_or_else(|| unknown("a list of anything"))?;
                let item = Box::new(self.shape(items, &format!("{place}/items"), depth + 1)?);
                let unique = object.get("uniqueItems").and_then(Value::as_bool).unwrap_or(false);
                Ok(Shape::List { item, least: size(object, "minItems"), unique })
            }
            Some("object") => {
                only(&[
                    "type",
                    "properties",
                    "required",
                    "additionalProperties",
                    "propertyNames",
                    "minProperties",
                ])?;
                self.object(object, place, depth)
            }
            other => Err(unknown(other.unwrap_or("no type"))),
        }
    }

    fn object(&self, object: &Map<String, Value>, place: &str, depth: usize) -> Result<Shape, UnknownSchema> {
        let unknown = |what: &str| UnknownSchema { what: what.to_owned(), place: place.to_owned() };
        match object.get("additionalProperties") {
            Some(Value::Bool(false)) if !object.contains_key("propertyNames") => {
                let mut fields = BTreeMap::new();
                for (key, field) in object.get("properties").and_then(Value::as_object).into_iter().flatten()
                {
                    let shape = self.shape(field, &format!("{place}/properties/{key}"), depth + 1)?;
                    fields.insert(key.clone(), shape);
                }
                let required = object.get("required").and_then(Value::as_array).into_iter().flatten();
                let required = required.filter_map(Value::as_str).map(str::to_owned).collect();
                Ok(Shape::Record(RecordShape { fields, required }))
            }
            Some(values @ Value::Object(_)) if !object.contains_key("properties") => {
                let item =
                    Box::new(self.shape(values, &format!("{place}/additionalProperties"), depth + 1)?);
                let names = match object.get("propertyNames") {
                    None => None,
                    Some(names) => match self.shape(names, &format!("{place}/propertyNames"), depth + 1)? {
                        Shape::Text(names) => Some(names),
                        _ => return Err(unknown("propertyNames that are no text")),
                    },
                };
                Ok(Shape::Map { item, names, least: size(object, "minProperties") })
            }
            _ => Err(unknown("an object that allows any key")),
        }
    }

    fn union(&self, branches: &[Value], place: &str, depth: usize) -> Result<Shape, UnknownSchema> {
        let mut shapes = Vec::new();
        let mut titles = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            shapes.push(self.shape(branch, &format!("{place}/{index}"), depth + 1)?);
            titles.push(branch.get("title").and_then(Value::as_str).unwrap_or_default().to_owned());
        }
        if shapes.iter().all(|shape| matches!(shape, Shape::Constant(_) | Shape::Choice(_))) {
            let mut choices = Vec::new();
            for shape in shapes {
                match shape {
                    Shape::Constant(constant) => choices.push(constant),
                    Shape::Choice(more) => choices.extend(more),
                    _ => {}
                }
            }
            return Ok(Shape::Choice(choices));
        }
        if !shapes.iter().all(|shape| matches!(shape, Shape::Record(_))) {
            return Ok(Shape::Kinds(shapes));
        }
        let mut tagged = Vec::new();
        for (title, shape) in titles.into_iter().zip(shapes) {
            match shape {
                Shape::Record(record) if record.required.contains(&title) => tagged.push((title, record)),
                _ => {
                    let what = format!("a variant whose title `{title}` is not one of its required keys");
                    return Err(UnknownSchema { what, place: place.to_owned() });
                }
            }
        }
        Ok(Shape::Tagged(tagged))
    }
}

fn text_shape(object: &Map<String, Value>) -> Option<TextShape> {
    let pattern = match text(object, "pattern") {
        Some(pattern) => Some(Regex::new(pattern).ok()?),
        None => None,
    };
    let examples = object.get("examples").and_then(Value::as_array);
    Some(TextShape {
        title: text(object, "title").map(str::to_owned),
        description: text(object, "description").map(str::to_owned),
        example: examples.and_then(|examples| examples.first()?.as_str()).map(str::to_owned),
        pattern,
        most: object.get("maxLength").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok()),
    })
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

fn size(object: &Map<String, Value>, key: &str) -> usize {
    object.get(key).and_then(Value::as_u64).and_then(|least| usize::try_from(least).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_schema_of_an_experiment_is_known() {
        compile(&crate::experiment_schema()).unwrap();
    }

    #[test]
    fn an_unknown_keyword_is_an_error() {
        for (schema, what) in [
            (json!({"type": "string", "minLength": 1}), "minLength"),
            (json!({"type": "number"}), "number"),
            (json!({"type": "object", "properties": {}}), "any key"),
            (json!({"type": "integer", "minimum": 0}), "bounds"),
            (json!({"$ref": "#/$defs/x"}), "#/$defs/x"),
            (json!({"not": {}}), "no type"),
            (json!(true), "no object"),
        ] {
            let error = compile(&schema).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
