//! A tree against the schema: every problem at once, each at the very key or value.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::diagnostic::{MAX_PROBLEMS, Problem};
use crate::node::{Entry, Node, Value};
use crate::scalar::{Scalar, is_canonical_integer};
use crate::shape::{RecordShape, Shape, TextShape, UnknownSchema, compile};
use crate::suggest;

/// A kind of file, by its schema.
pub(crate) struct Format {
    /// What it is, as in `an experiment`.
    name: &'static str,
    /// What stands before the version in `schema:`.
    family: &'static str,
    schema: fn() -> serde_json::Value,
    shape: OnceLock<Result<Shape, UnknownSchema>>,
}

impl Format {
    pub(crate) const fn new(
        name: &'static str,
        family: &'static str,
        schema: fn() -> serde_json::Value,
    ) -> Self {
        Self { name, family, schema, shape: OnceLock::new() }
    }
}

/// Every way in which a tree does not obey the schema of its format.
pub(crate) fn validate(format: &'static Format, text: &str, root: &Node) -> Vec<Problem> {
    match format.shape.get_or_init(|| compile(&(format.schema)())) {
        Ok(shape) => {
            let mut walk = Walk { format, text, problems: Vec::new() };
            walk.check(shape, root, Subject::Root(format.name), &(0..0));
            walk.problems
        }
        Err(error) => vec![Problem::new("spec/bug", 0..0, format!("a bug in llamark: {error}"))],
    }
}

/// What is looked at, for messages.
#[derive(Clone, Copy)]
enum Subject<'a> {
    /// The file as a whole, by what it is.
    Root(&'static str),
    Key(&'a str),
    Item(usize, &'a str),
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Key(key) => write!(f, "`{}`", shortened(key)),
            Self::Item(index, list) => write!(f, "item {} of `{}`", index + 1, shortened(list)),
        }
    }
}

struct Walk<'a> {
    format: &'static Format,
    text: &'a str,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    /// `place` is where to report that something is missing: the key of the value.
    fn check(&mut self, shape: &Shape, node: &Node, subject: Subject<'_>, place: &Range<usize>) {
        match (shape, &node.value) {
            (Shape::Text(shape), Value::Scalar { scalar: Scalar::Text(text), .. }) => {
                self.check_text(shape, text, subject, &node.span);
            }
            (Shape::Choice(choices), Value::Scalar { scalar: Scalar::Text(text), .. }) => {
                if !choices.contains(text) {
                    let message = format!("{subject} cannot be `{}`", shortened(text));
                    let help = suggest::help(text, "the values", choices.iter().map(String::as_str));
                    self.problems
                        .push(Problem::new("spec/unknown-value", node.span.clone(), message).help(help));
                }
            }
            (Shape::Constant(constant), Value::Scalar { scalar: Scalar::Text(text), .. }) => {
                if text != constant {
                    self.problems.push(wrong_schema(self.format, constant, text, &node.span));
                }
            }
            (Shape::Integer { least, most }, Value::Scalar { scalar: Scalar::Integer(number), .. }) => {
                self.check_integer(*least, *most, *number, subject, &node.span);
            }
            (Shape::Boolean, Value::Scalar { scalar: Scalar::Boolean(_), .. }) => {}
            (Shape::List { item, least, unique }, Value::List(items)) => {
                if items.len() < *least {
                    let message = format!("{subject} needs at least {least} item");
                    self.problems.push(Problem::new("spec/too-few", node.span.clone(), message));
                }
                if *unique {
                    self.check_unique(items, subject);
                }
                let name = match subject {
                    Subject::Key(key) | Subject::Item(_, key) => key,
                    Subject::Root(_) => "",
                };
                for (index, value) in items.iter().enumerate() {
                    self.check(item, value, Subject::Item(index, name), &first_line(self.text, &value.span));
                }
            }
            (Shape::Map { item, names, least }, Value::Map(entries)) => {
                if entries.len() < *least {
                    let message = format!("{subject} needs at least {least} entry");
                    self.problems.push(Problem::new("spec/too-few", place_of(node, place), message));
                }
                for entry in entries {
                    if let Some(names) = names {
                        self.check_text(names, &entry.key, subject, &entry.key_span);
                    }
                    self.check(item, &entry.node, Subject::Key(&entry.key), &entry.key_span);
                }
            }
            (Shape::Record(record), Value::Map(entries)) => {
                self.check_record(record, entries, None, subject, &place_of(node, place));
            }
            (Shape::Tagged(variants), Value::Map(entries)) => {
                self.check_tagged(variants, entries, subject, &place_of(node, place));
            }
            (Shape::Kinds(shapes), value) => match shapes.iter().find(|shape| is_kind(shape, value)) {
                Some(shape) => self.check(shape, node, subject, place),
                None => self.problems.push(self.wrong_type(shape, node, subject)),
            },
            _ => self.problems.push(self.wrong_type(shape, node, subject)),
        }
    }

    fn check_text(&mut self, shape: &TextShape, text: &str, subject: Subject<'_>, span: &Range<usize>) {
        let length = text.chars().count();
        if let Some(most) = shape.most.filter(|most| length > *most) {
            let message = format!("{subject} has {length} characters; at most {most} are allowed");
            let span = first_line(self.text, span);
            if shape.title.as_deref() != Some("sha256") {
                self.problems.push(Problem::new("spec/too-long", span, message));
                return;
            }
        }
        if shape.fits(text) {
            return;
        }
        let title = shape.title.as_deref().unwrap_or("text of this kind");
        let message = if text.trim().is_empty() {
            format!("{subject} is empty")
        } else if title == "line of text" {
            format!("{subject} has several lines or a control character")
        } else {
            format!("`{}` is not a {title}", shortened(text))
        };
        let help = help_for_text(shape, text, title);
        let problem = Problem::new("spec/bad-text", first_line(self.text, span), message);
        self.problems.push(problem.help(help));
    }

    fn check_integer(
        &mut self,
        least: i128,
        most: i128,
        number: i128,
        subject: Subject<'_>,
        span: &Range<usize>,
    ) {
        let written = self.text.get(span.clone()).unwrap_or_default();
        if !is_canonical_integer(written) {
            let message = format!(
                "{subject} is written `{}`, which readers of YAML understand differently",
                shortened(written)
            );
            let problem = Problem::new("spec/number-form", span.clone(), message);
            self.problems.push(problem.help(format!("write `{number}`, or quote it where text is meant")));
        } else if number < least || number > most {
            let bound = if number < least {
                format!("the minimum is {least}")
            } else {
                format!("the maximum is {most}")
            };
            let message = format!("{subject} is {}; {bound}", shortened(written));
            self.problems.push(Problem::new("spec/out-of-range", span.clone(), message));
        }
    }

    fn check_unique(&mut self, items: &[Arc<Node>], subject: Subject<'_>) {
        let mut places: HashMap<Cow<'_, str>, &Range<usize>> = HashMap::new();
        for item in items {
            let text = item.text().map(Cow::Borrowed);
            let number = || item.integer().map(|number| Cow::Owned(number.to_string()));
            let truth = || item.boolean().map(|is_true| Cow::Owned(is_true.to_string()));
            let Some(text) = text.or_else(number).or_else(truth) else { continue };
            if let Some(first) = places.get(&text) {
                let message = format!("`{}` appears twice in {subject}", shortened(&text));
                let problem =
                    Problem::new("spec/repeated-item", item.span.clone(), message).label("again here");
                self.problems
                    .push(problem.related((*first).clone(), "first here").help("remove one of them"));
            } else {
                places.insert(text, &item.span);
            }
        }
    }

    fn check_record(
        &mut self,
        record: &RecordShape,
        entries: &[Entry],
        tag: Option<(&str, &[(String, RecordShape)])>,
        subject: Subject<'_>,
        place: &Range<usize>,
    ) {
        let absent: Vec<&str> = record
            .fields
            .keys()
            .map(String::as_str)
            .filter(|key| !entries.iter().any(|entry| entry.key == *key))
            .collect();
        let mut meant = Vec::new();
        for entry in entries {
            if let Some(field) = record.fields.get(&entry.key) {
                self.check(field, &entry.node, Subject::Key(&entry.key), &entry.key_span);
                continue;
            }
            let rival = tag.filter(|(_, variants)| variants.iter().any(|(key, _)| *key == entry.key));
            let problem = if let Some((tag, _)) = rival {
                let message = format!("`{}` cannot be used together with `{tag}`", entry.key);
                Problem::new("spec/unknown-key", entry.key_span.clone(), message).help(format!(
                    "one key says what kind of {subject} this is: remove `{tag}` or `{}`",
                    entry.key
                ))
            } else {
                let message = format!("unknown key `{}` in {subject}", shortened(&entry.key));
                if self.problems.len() > MAX_PROBLEMS {
                    // Nobody will see it: no time is spent on what was meant.
                    self.problems.push(Problem::new("spec/unknown-key", entry.key_span.clone(), message));
                    continue;
                }
                let nearest = suggest::nearest(&entry.key, absent.iter().copied());
                meant.extend(nearest);
                let help = match nearest {
                    Some(key) => format!("did you mean `{key}`?"),
                    None => help_for_key(record, &entry.key),
                };
                Problem::new("spec/unknown-key", entry.key_span.clone(), message).help(help)
            };
            self.problems.push(problem);
        }
        for key in record
            .required
            .iter()
            .filter(|key| absent.contains(&key.as_str()) && !meant.contains(&key.as_str()))
        {
            let message = format!("{subject} has no `{key}`");
            let problem = Problem::new("spec/missing-key", place.clone(), message);
            let help = record.fields.get(key).and_then(|field| help_for_missing(key, field));
            self.problems.push(problem.maybe_help(help));
        }
    }

    fn check_tagged(
        &mut self,
        variants: &[(String, RecordShape)],
        entries: &[Entry],
        subject: Subject<'_>,
        place: &Range<usize>,
    ) {
        // The schema names the more telling keys first: `huggingface` also has a `file`.
        let chosen = variants.iter().find(|(tag, _)| entries.iter().any(|entry| entry.key == *tag));
        if let Some((tag, record)) = chosen {
            self.check_record(record, entries, Some((tag, variants)), subject, place);
            return;
        }
        let tags = variants.iter().map(|(tag, _)| tag.as_str());
        let known = |key: &str| variants.iter().any(|(_, record)| record.fields.contains_key(key));
        let mut explained = false;
        for entry in entries.iter().filter(|entry| !known(&entry.key)) {
            let message = format!("unknown key `{}` in {subject}", shortened(&entry.key));
            if self.problems.len() > MAX_PROBLEMS {
                self.problems.push(Problem::new("spec/unknown-key", entry.key_span.clone(), message));
                continue;
            }
            let help = suggest::help(&entry.key, "the kinds", tags.clone());
            explained = true;
            self.problems.push(Problem::new("spec/unknown-key", entry.key_span.clone(), message).help(help));
        }
        if !explained {
            let all: Vec<String> = tags.map(|tag| format!("`{tag}`")).collect();
            let message = format!("{subject} does not say what kind it is");
            let help = format!("it needs one of {}", all.join(", "));
            self.problems.push(Problem::new("spec/no-kind", place.clone(), message).help(help));
        }
    }

    fn wrong_type(&self, shape: &Shape, node: &Node, subject: Subject<'_>) -> Problem {
        if let Some(problem) = self.whole_fraction(shape, node, subject) {
            return problem;
        }
        let wanted = kind_of_shape(shape);
        let message = format!("{subject} must be {wanted}, not {}", kind_of_value(&node.value));
        let written = self.text.get(node.span.clone()).unwrap_or_default();
        let help = match (&node.value, shape) {
            (Value::Scalar { scalar: Scalar::Null, .. }, Shape::Record(record))
                if record.required.is_empty() =>
            {
                Some("write `{}` for an empty mapping, or remove the key".to_owned())
            }
            (Value::Scalar { scalar: Scalar::Null, .. }, _) => {
                Some("write a value after the colon, or remove the key".to_owned())
            }
            (_, Shape::Tagged(variants)) => {
                let tags: Vec<String> = variants.iter().map(|(tag, _)| format!("`{tag}`")).collect();
                Some(format!("write `{{ ... }}` with one of {}", tags.join(", ")))
            }
            (Value::Scalar { scalar: Scalar::Text(text), plain }, _) => help_for_scalar(shape, text, *plain),
            (Value::Scalar { .. }, Shape::Text(text)) if !text.fits(written) => {
                Some(help_for_text(text, written, text.title.as_deref().unwrap_or_default()))
            }
            (Value::Scalar { .. }, Shape::Text(_) | Shape::Choice(_) | Shape::Constant(_)) => {
                Some(format!("quote it: \"{}\"", shortened(written)))
            }
            (Value::Scalar { .. }, Shape::Boolean) => Some("write `true` or `false`".to_owned()),
            (Value::List(_), Shape::Map { .. } | Shape::Record(_)) => {
                Some("a mapping is written `{ key: value }`, or as one `key: value` per line".to_owned())
            }
            (Value::Scalar { scalar: Scalar::Float, .. }, Shape::Kinds(kinds))
                if kinds.iter().any(|kind| matches!(kind, Shape::Text(_))) =>
            {
                Some(format!("quote it: \"{}\"", shortened(written)))
            }
            (_, Shape::List { .. }) => {
                Some("a list is written `[a, b]`, or as one item per line after `- `".to_owned())
            }
            _ => None,
        };
        Problem::new("spec/wrong-type", first_line(self.text, &node.span), message).maybe_help(help)
    }
}

impl Walk<'_> {
    /// `1e3` or `12.0` for a whole number: one to a JSON Schema, and none to many readers of YAML.
    fn whole_fraction(&self, shape: &Shape, node: &Node, subject: Subject<'_>) -> Option<Problem> {
        let shapes = match shape {
            Shape::Kinds(shapes) => shapes.as_slice(),
            other => std::slice::from_ref(other),
        };
        if !matches!(node.value, Value::Scalar { scalar: Scalar::Float, .. })
            || !shapes.iter().any(|shape| matches!(shape, Shape::Integer { .. }))
        {
            return None;
        }
        let written = self.text.get(node.span.clone()).unwrap_or_default();
        let number =
            written.parse::<f64>().ok().filter(|number| number.is_finite() && number.fract() == 0.0)?;
        let message = format!("{subject} is written `{}`, but must be a whole number", shortened(written));
        let as_text = shapes.iter().any(|shape| matches!(shape, Shape::Text(_)));
        let help = if as_text {
            format!("write `{number}`, or quote it where text is meant: \"{}\"", shortened(written))
        } else {
            format!("write `{number}`")
        };
        Some(Problem::new("spec/number-form", node.span.clone(), message).help(help))
    }
}

/// Where to say that something of a mapping is missing: at its key, or its first key where it has none.
fn place_of(node: &Node, place: &Range<usize>) -> Range<usize> {
    if place.is_empty() {
        node.entries().first().map_or(0..0, |entry| entry.key_span.clone())
    } else {
        place.clone()
    }
}

fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let length = text.get(span.clone()).and_then(|value| value.find(['\r', '\n'])).unwrap_or(span.len());
    span.start..span.start + length
}

fn wrong_schema(format: &Format, constant: &str, text: &str, span: &Range<usize>) -> Problem {
    let version = text.strip_prefix(format.family).and_then(|version| version.parse::<u32>().ok());
    let (message, help) = match version {
        Some(version) if version > 1 => (
            format!("{} is written in format {version}, but this llamark reads format 1", this(format.name)),
            "use a newer llamark".to_owned(),
        ),
        _ => (
            format!("`{}` is not a format that llamark knows", shortened(text)),
            format!("write `schema: {constant}`"),
        ),
    };
    Problem::new("spec/schema-version", span.clone(), message).help(help)
}

/// `this experiment` for `an experiment`.
fn this(name: &str) -> String {
    format!("this {}", name.split_once(' ').map_or(name, |(_, noun)| noun))
}

fn is_kind(shape: &Shape, value: &Value) -> bool {
    match (shape, value) {
        (
            Shape::Text(_) | Shape::Choice(_) | Shape::Constant(_),
            Value::Scalar { scalar: Scalar::Text(_), .. },
        )
        | (Shape::Integer { .. }, Value::Scalar { scalar: Scalar::Integer(_), .. })
        | (Shape::Boolean, Value::Scalar { scalar: Scalar::Boolean(_), .. })
        | (Shape::List { .. }, Value::List(_))
        | (Shape::Map { .. } | Shape::Record(_) | Shape::Tagged(_), Value::Map(_)) => true,
        (Shape::Kinds(shapes), value) => shapes.iter().any(|shape| is_kind(shape, value)),
        _ => false,
    }
}

fn kind_of_shape(shape: &Shape) -> String {
    match shape {
        Shape::Text(text) => match text.title.as_deref() {
            None | Some("value" | "text") => "text".to_owned(),
            Some("line of text") => "a line of text".to_owned(),
            Some(title) => format!("a {title} (text)"),
        },
        Shape::Choice(choices) => match choices.as_slice() {
            [only] => format!("`{only}`"),
            _ => "text".to_owned(),
        },
        Shape::Constant(constant) => format!("`{constant}`"),
        Shape::Integer { .. } => "a whole number".to_owned(),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::List { .. } => "a list".to_owned(),
        Shape::Map { .. } | Shape::Record(_) | Shape::Tagged(_) => "a mapping".to_owned(),
        Shape::Kinds(shapes) => shapes.iter().map(kind_of_shape).collect::<Vec<_>>().join(" or "),
    }
}

fn kind_of_value(value: &Value) -> &'static str {
    match value {
        Value::Scalar { scalar: Scalar::Null, .. } => "nothing",
        Value::Scalar { scalar: Scalar::Boolean(_), .. } => "`true` or `false`",
        Value::Scalar { scalar: Scalar::Integer(_), .. } => "a whole number",
        Value::Scalar { scalar: Scalar::Float, .. } => "a number with a fraction",
        Value::Scalar { scalar: Scalar::Text(_), .. } => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

/// What to do about text where something else is wanted.
fn help_for_scalar(shape: &Shape, text: &str, plain: bool) -> Option<String> {
    match shape {
        Shape::Boolean => match text.to_lowercase().as_str() {
            "yes" | "on" | "y" => Some("YAML 1.2 knows only `true` and `false`: write `true`".to_owned()),
            "no" | "off" | "n" => Some("YAML 1.2 knows only `true` and `false`: write `false`".to_owned()),
            "true" | "false" if !plain => Some("remove the quotes".to_owned()),
            _ => None,
        },
        Shape::Integer { .. } if is_canonical_integer(text) => Some("remove the quotes".to_owned()),
        Shape::Integer { .. } => {
            let digits: String = text.chars().filter(|c| !matches!(c, '_' | ',' | '\'')).collect();
            is_canonical_integer(&digits).then(|| format!("write `{digits}`"))
        }
        Shape::Kinds(shapes) => shapes.iter().find_map(|shape| help_for_scalar(shape, text, plain)),
        _ => None,
    }
}

/// What to do about text that does not match its pattern.
fn help_for_text(shape: &TextShape, text: &str, title: &str) -> String {
    let lower = text.to_lowercase();
    if lower != text && shape.fits(&lower) {
        return format!("write it in lower case: `{}`", shortened(&lower));
    }
    if title == "sha256" {
        let digits = text.chars().filter(char::is_ascii_hexdigit).count();
        let length = text.chars().count();
        return format!(
            "expected 64 hexadecimal digits; this has {length} characters, {digits} of them hexadecimal digits"
        );
    }
    if text.trim() != text && shape.fits(text.trim()) {
        return format!("remove the spaces: `{}`", shortened(text.trim()));
    }
    let description = shape.description.as_deref().unwrap_or_default();
    match &shape.example {
        Some(example) => format!("{description} For example: `{example}`"),
        None => description.to_owned(),
    }
}

/// What to do about a key that is near no other: it may belong one level down.
fn help_for_key(record: &RecordShape, key: &str) -> String {
    let below = record.fields.iter().find(|(_, field)| match field {
        Shape::Record(inner) => inner.fields.contains_key(key),
        Shape::Tagged(variants) => variants.iter().any(|(_, inner)| inner.fields.contains_key(key)),
        _ => false,
    });
    match below {
        Some((parent, _)) => format!("`{key}` belongs under `{parent}`"),
        None => suggest::help(key, "the keys here", record.fields.keys().map(String::as_str)),
    }
}

fn help_for_missing(key: &str, field: &Shape) -> Option<String> {
    match field {
        Shape::Constant(constant) => Some(format!("add `{key}: {constant}`")),
        Shape::Text(TextShape { title: Some(title), .. }) if title == "sha256" => {
            Some("add the digest of the file, as `sha256sum FILE` prints it".to_owned())
        }
        Shape::Text(TextShape { example: Some(example), .. }) => {
            Some(format!("add it, as in `{key}: {example}`"))
        }
        Shape::Tagged(variants) => {
            let tags: Vec<String> = variants.iter().map(|(tag, _)| format!("`{tag}`")).collect();
            Some(format!("add `{key}: {{ ... }}` with one of {}", tags.join(", ")))
        }
        _ => None,
    }
}

/// Text of the author in a message: no longer than a line.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}
