//! Templates: where they come from, what they may do, and how their faults are shown.
//!
//! A template sees the [`Summary`] and nothing else: no file outside its folder, no environment, no network, and
//! only so much work. What it prints is escaped for Markdown unless a filter says that it is already; an undefined
//! name is an error, never an empty cell.

use std::collections::HashMap;
use std::sync::Arc;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use crate::error::ReportError;
use crate::findings::NO_RESULT;
use crate::summary::Summary;
use crate::{escape, filters};

/// The template that a report begins with.
const ENTRY: &str = "report.md.j2";
/// Prefix under which a user's template finds the built-in one of the same name, to extend or include it.
const BUILT_IN_PREFIX: &str = "default/";
/// Largest template, bytes.
const LARGEST: u64 = 1 << 20;
/// Name of the escaping of this module.
const MARKDOWN: &str = "markdown";

/// The built-in templates by name.
const BUILT_IN: [(&str, &str); 9] = [
    (ENTRY, include_str!("../../../templates/default/report.md.j2")),
    ("head.md.j2", include_str!("../../../templates/default/head.md.j2")),
    ("findings.md.j2", include_str!("../../../templates/default/findings.md.j2")),
    ("table.md.j2", include_str!("../../../templates/default/table.md.j2")),
    ("perplexity.md.j2", include_str!("../../../templates/default/perplexity.md.j2")),
    ("variants.md.j2", include_str!("../../../templates/default/variants.md.j2")),
    ("section.md.j2", include_str!("../../../templates/default/section.md.j2")),
    ("method.md.j2", include_str!("../../../templates/default/method.md.j2")),
    ("provenance.md.j2", include_str!("../../../templates/default/provenance.md.j2")),
];

/// The layout of the published report that llamark grew from.
const CLASSIC: [(&str, &str); 1] = [(ENTRY, include_str!("../../../templates/classic/report.md.j2"))];

/// Where the templates of a report come from.
#[derive(Clone, Debug)]
pub struct Templates {
    first: First,
}

/// What comes before the built-in templates.
#[derive(Clone, Debug)]
enum First {
    Nothing,
    /// Others that are built in, by name.
    BuiltIn(&'static [(&'static str, &'static str)]),
    /// The user's folder, canonical.
    Folder(Arc<Utf8PathBuf>),
}

impl Templates {
    /// The built-in templates alone.
    pub fn built_in() -> Self {
        Self { first: First::Nothing }
    }

    /// Built-in templates by the name of their layout: `default` or `classic`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::built_in()),
            "classic" => Some(Self { first: First::BuiltIn(&CLASSIC) }),
            _ => None,
        }
    }

    /// The templates of a folder; what is not there is taken from the built-in ones.
    ///
    /// # Errors
    /// When the folder cannot be read, or is none.
    pub fn folder(path: &Utf8Path) -> Result<Self, ReportError> {
        let fail = |source| ReportError::TemplateFolder { path: path.to_owned(), source };
        let canonical = path.canonicalize_utf8().map_err(fail)?;
        if !canonical.is_dir() {
            return Err(fail(std::io::Error::from(std::io::ErrorKind::NotADirectory)));
        }
        Ok(Self { first: First::Folder(Arc::new(canonical)) })
    }
}

/// The report as Markdown.
///
/// # Errors
/// When a template is at fault; the error shows file, line and the lines around it.
pub fn render_markdown(summary: &Summary, templates: &Templates) -> Result<String, ReportError> {
    let rendered = environment(templates, summary)
        .and_then(|environment| page(&environment, summary))
        .map_err(template_error)?;
    Ok(tidy(&rendered))
}

fn page(environment: &Environment<'_>, summary: &Summary) -> Result<String, Error> {
    environment.get_template(ENTRY).and_then(|template| template.render(Value::from(Serde(summary))))
}

/// Work that a report of this size may cost by templates of the user, in instructions of the template engine.
fn fuel(summary: &Summary) -> u64 {
    let runs: u64 = summary.cases.iter().map(|case| u64::try_from(case.runs.len()).unwrap_or(0)).sum();
    let cases = u64::try_from(summary.cases.len()).unwrap_or(0);
    1_000_000 + cases * 50_000 + runs * 2_000
}

fn environment(templates: &Templates, summary: &Summary) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // The built-in ones are known to end, however large the set is.
    let is_of_the_user = matches!(templates.first, First::Folder(_));
    environment.set_fuel(is_of_the_user.then(|| fuel(summary)));
    environment.set_recursion_limit(60);
    environment.set_debug(true);
    // `debug()` would print all that it sees; nothing secret is there, but nobody wants it in a report.
    environment.remove_global("debug");
    let first = templates.first.clone();
    environment.set_loader(move |name| load(&first, name));
    environment.set_auto_escape_callback(|name| {
        let name = name.strip_suffix(".j2").unwrap_or(name);
        if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::Custom(MARKDOWN.into()) }
    });
    environment.set_formatter(write_value);
    filters::add(&mut environment);
    let places = FindingPlaces::of(summary);
    environment.add_filter("places_of_findings", move |section: &Value| places.of_section(section));
    Ok(environment)
}

/// Where the findings of each section are in the list of all of them: to look through that list for each section would take
/// minutes where there are a thousand.
struct FindingPlaces {
    /// By model.
    of_model: HashMap<usize, Vec<usize>>,
    /// By model, prompt and shape.
    of_section: HashMap<(usize, String, String), Vec<usize>>,
}

impl FindingPlaces {
    /// Of all findings but those that stand in the table of the section: cases without a result.
    fn of(summary: &Summary) -> Self {
        let ids = summary.models.iter().enumerate().map(|(place, model)| (model.id.as_str(), place));
        let ids: HashMap<&str, usize> = ids.collect();
        let mut places = Self { of_model: HashMap::new(), of_section: HashMap::new() };
        for (place, finding) in summary.findings.iter().enumerate() {
            let subject = &finding.subject;
            let model = subject.model.as_deref().and_then(|id| ids.get(id).copied());
            let Some(model) = model.filter(|_| finding.code != NO_RESULT.code) else { continue };
            match &subject.prompt {
                None => places.of_model.entry(model).or_default().push(place),
                Some(prompt) => {
                    let key = (model, prompt.clone(), subject.shape.clone().unwrap_or_default());
                    places.of_section.entry(key).or_default().push(place);
                }
            }
        }
        places
    }

    /// Of one section, in the order of the list.
    fn of_section(&self, section: &Value) -> Result<Value, Error> {
        let model = usize::try_from(section.get_attr("model")?)?;
        let text = |name: &str| section.get_attr(name).map(|value| value.to_string());
        let key = (model, text("prompt")?, text("shape")?);
        let both = [self.of_model.get(&model), self.of_section.get(&key)];
        let mut places: Vec<usize> = both.into_iter().flatten().flatten().copied().collect();
        places.sort_unstable();
        Ok(places.into_iter().collect())
    }
}

/// Writes a value into a page: escaped unless it is marked as safe; `none` as a dash.
fn write_value(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_none() {
        return out.write_str(crate::format::NOTHING).map_err(Error::from);
    }
    let is_markdown = matches!(state.auto_escape(), AutoEscape::Custom(name) if name == MARKDOWN);
    if is_markdown && !value.is_safe() && !matches!(value.kind(), ValueKind::Number | ValueKind::Bool) {
        let text = escape::markdown(&value.to_string());
        return out.write_str(&text).map_err(Error::from);
    }
    if is_markdown {
        return out.write_str(&value.to_string()).map_err(Error::from);
    }
    minijinja::escape_formatter(out, state, value)
}

/// The template of that name: the user's, else the built-in one.
fn load(first: &First, name: &str) -> Result<Option<String>, Error> {
    if let Some(name) = name.strip_prefix(BUILT_IN_PREFIX) {
        return Ok(find(&BUILT_IN, name));
    }
    match first {
        First::Nothing => Ok(find(&BUILT_IN, name)),
        First::BuiltIn(templates) => Ok(find(templates, name).or_else(|| find(&BUILT_IN, name))),
        First::Folder(folder) => load_from(folder, name),
    }
}

fn load_from(folder: &Utf8Path, name: &str) -> Result<Option<String>, Error> {
    let refuse =
        |why: &str| Err(Error::new(ErrorKind::BadInclude, format!("template `{name}` is refused: {why}")));
    let relative = Utf8Path::new(name);
    let is_plain = relative.components().all(|part| matches!(part, Utf8Component::Normal(_)));
    if !is_plain || name.contains('\\') || name.contains('\0') || name.is_empty() {
        return refuse("its name must be a path inside the folder of templates, without `..`");
    }
    let path = match folder.join(relative).canonicalize_utf8() {
        Ok(path) => path,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(find(&BUILT_IN, name)),
        Err(error) => return refuse(&error.to_string()),
    };
    if !path.starts_with(folder) {
        return refuse("it is a link that leaves the folder of templates");
    }
    match fs_err::metadata(&path) {
        Ok(metadata) if !metadata.is_file() => return refuse("it is not a file"),
        Ok(metadata) if metadata.len() > LARGEST => return refuse("it is larger than 1 MiB"),
        Ok(_) => {}
        Err(error) => return refuse(&error.to_string()),
    }
    match fs_err::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) => refuse(&error.to_string()),
    }
}

fn find(templates: &[(&str, &str)], name: &str) -> Option<String> {
    templates.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
}

/// The innermost fault that has a place, as `FILE:LINE: what` and the lines around it.
fn template_error(error: Error) -> ReportError {
    let mut innermost = &error;
    let mut next: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(&error);
    while let Some(source) = next {
        if let Some(inner) = source.downcast_ref::<Error>()
            && inner.line().is_some()
        {
            innermost = inner;
        }
        next = source.source();
    }
    let what = match innermost.detail() {
        Some(detail) => format!("{}: {detail}", innermost.kind()),
        None => innermost.kind().to_string(),
    };
    let mut excerpt = match (innermost.name(), innermost.line()) {
        (Some(name), Some(line)) => format!("{name}:{line}: {what}"),
        (Some(name), None) => format!("{name}: {what}"),
        _ => what,
    };
    if let (Some(text), Some(line)) = (innermost.template_source(), innermost.line()) {
        let first = line.saturating_sub(2).max(1);
        for (number, text) in text.lines().enumerate().skip(first - 1).take(line + 2 - first + 1) {
            let number = number + 1;
            let mark = if number == line { '>' } else { ' ' };
            excerpt.push_str(&format!("\n{mark} {number:>4} | {text}"));
        }
    }
    ReportError::Template { excerpt, source: Box::new(error) }
}

/// At most one empty line in a row, one newline at the end, and no white space at the end of a line but the two spaces
/// that break it. Inside fenced blocks nothing is changed.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_fenced = false;
    let mut empty = 1;
    for line in text.lines() {
        let trimmed = line.trim_end();
        let is_break = line.ends_with("  ") && !trimmed.is_empty() && !trimmed.ends_with('|');
        let line = if is_fenced { line } else { trimmed };
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        }
        if line.is_empty() && !is_fenced {
            empty += 1;
            if empty > 1 {
                continue;
            }
        } else {
            empty = 0;
        }
        out.push_str(line);
        if is_break && !is_fenced {
            out.push_str("  ");
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}
