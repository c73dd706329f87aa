//! What is wrong with a document, where, and what to do about it.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::source::Source;

/// The most problems that are shown of one document; the rest are counted.
const MAX_PROBLEMS: usize = 50;

/// What kind of problem; its name is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The file is not a text that a report could be.
    Unreadable,
    /// A block, a line or a column that a report does not have.
    Unknown,
    /// Something that a report must have is not there.
    Missing,
    /// Text in a place of a number or of a fact that does not read as one.
    Malformed,
    /// The same thing twice.
    Duplicate,
    /// Two places of the document contradict each other.
    Contradiction,
}

impl Code {
    /// Its stable name.
    fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "import/unreadable",
            Self::Unknown => "import/unknown",
            Self::Missing => "import/missing",
            Self::Malformed => "import/malformed",
            Self::Duplicate => "import/duplicate",
            Self::Contradiction => "import/contradiction",
        }
    }
}

/// One problem, before it knows its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    code: Code,
    span: Range<usize>,
    message: String,
    label: String,
    help: String,
    related: Vec<(Range<usize>, String)>,
}

impl Problem {
    pub(crate) fn new(code: Code, span: Range<usize>, message: impl Into<String>) -> Self {
        let (message, label, help) = (message.into(), String::new(), String::new());
        Self { code, span, message, label, help, related: Vec::new() }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    pub(crate) fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }
}

/// Every problem of one document, in the order of the document: nothing was imported.
#[derive(thiserror::Error)]
pub struct Problems {
    document: Source,
    shown: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(crate) fn new(source: &Source, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        problems.dedup();
        let more = problems.len().saturating_sub(MAX_PROBLEMS);
        problems.truncate(MAX_PROBLEMS);
        Self { document: source.clone(), shown: problems, more }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.shown.len() + self.more
    }

    /// For people: each problem with its line, and a last line that counts them.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in &self.shown {
            text.push_str(&render(&self.document, problem, &renderer));
            text.push_str("\n\n");
        }
        let noun = if self.count() == 1 { "problem" } else { "problems" };
        text.push_str(&format!("{}: {} {noun}", self.document.name(), self.count()));
        if self.more > 0 {
            text.push_str(&format!(", the first {} are shown", self.shown.len()));
        }
        text
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

fn render(source: &Source, problem: &Problem, renderer: &Renderer) -> String {
    let title = Level::ERROR.primary_title(problem.message.as_str()).id(problem.code.name());
    let mut group = Group::with_title(title);
    let primary = (AnnotationKind::Primary, &problem.span, problem.label.as_str());
    let related = problem.related.iter().map(|(span, label)| (AnnotationKind::Context, span, label.as_str()));
    // The places may lie a thousand lines apart, so each is an excerpt of its own.
    for (kind, span, label) in std::iter::once(primary).chain(related) {
        let line = source.line(span.start);
        let whole = source.line_span(line);
        let inside = |offset: usize| offset.clamp(whole.start, whole.end) - whole.start;
        let annotation = kind.span(inside(span.start)..inside(span.end));
        let annotation = if label.is_empty() { annotation } else { annotation.label(label) };
        let snippet = Snippet::source(source.get(&whole)).line_start(line).path(source.name());
        group = group.element(snippet.annotation(annotation));
    }
    if !problem.help.is_empty() {
        group = group.element(Level::HELP.message(problem.help.as_str()));
    }
    let report: &[Group<'_>] = &[group];
    renderer.render(report)
}
