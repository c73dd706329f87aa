//! What is wrong with an experiment, where, and what to do about it: for people and for programs.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use crate::source::Source;

/// The most problems that are reported of one file; the rest are counted.
pub const MAX_PROBLEMS: usize = 100;

/// Characters of a long line that are shown around a fault.
const WINDOW: usize = 160;

/// Bytes between two places of one problem up to which they are shown in one excerpt.
const MAX_EXCERPT: usize = 16 * 1024;

/// How to render.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With the colours of a terminal.
    Color,
    /// Without.
    Plain,
}

/// One problem of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable name of the rule, as in `spec/unknown-key`; see [`crate::rules::RULES`].
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// The line.
    pub source_line: String,
    /// What to say at the place itself; empty when the message says it all.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
    /// Other places that have to do with it.
    pub related: Vec<Related>,
    #[serde(skip)]
    span: Range<usize>,
}

/// Another place that has to do with a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Related {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// What is there.
    pub label: String,
    #[serde(skip)]
    span: Range<usize>,
}

/// Every problem of one experiment, in the order of the file.
#[derive(Clone, Debug, Serialize, thiserror::Error)]
#[error("{}", self.render(Style::Plain))]
pub struct Diagnostics {
    /// The problems.
    items: Vec<Diagnostic>,
    /// How many more there are than are reported.
    more: usize,
    #[serde(skip)]
    origin: Source,
}

/// A problem before it knows its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    code: &'static str,
    span: Range<usize>,
    message: String,
    label: String,
    help: Option<String>,
    related: Vec<(Range<usize>, String)>,
}

impl Problem {
    pub(crate) fn new(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { code, span, message: message.into(), label: String::new(), help: None, related: Vec::new() }
    }

    /// Whether it says the same of the same place.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        (self.code, &self.span, &self.message) == (other.code, &other.span, &other.message)
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    pub(crate) fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }
}

impl Diagnostics {
    /// The problems of a source: sorted by place, each once (what an alias repeats is one problem), capped.
    pub(crate) fn new(source: Source, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        let mut seen = std::collections::HashSet::new();
        problems.retain(|problem| seen.insert((problem.code, problem.span.clone(), problem.message.clone())));
        let more = problems.len().saturating_sub(MAX_PROBLEMS);
        problems.truncate(MAX_PROBLEMS);
        let items = problems.into_iter().map(|problem| Diagnostic::new(&source, problem)).collect();
        Self { items, more, origin: source }
    }

    /// The problems, in the order of the file; at most [`MAX_PROBLEMS`].
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// How many more problems there are than [`Diagnostics::items`] holds.
    pub fn more(&self) -> usize {
        self.more
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        self.origin.name()
    }

    /// For people: each problem with its line, and a last line that counts them.
    pub fn render(&self, style: Style) -> String {
        let renderer = match style {
            Style::Color => Renderer::styled(),
            Style::Plain => Renderer::plain(),
        };
        let mut text = String::new();
        for item in &self.items {
            text.push_str(&item.render(&self.origin, &renderer));
            text.push_str("\n\n");
        }
        let count = self.items.len() + self.more;
        let noun = if count == 1 { "problem" } else { "problems" };
        text.push_str(&format!("{}: {count} {noun}", self.origin.name()));
        if self.more > 0 {
            text.push_str(&format!(", the first {} are shown", self.items.len()));
        }
        text
    }
}

impl Diagnostic {
    fn new(source: &Source, problem: Problem) -> Self {
        let place = source.place(problem.span.start);
        let line = source.line_span(place.line);
        let related = problem
            .related
            .into_iter()
            .map(|(span, label)| {
                let place = source.place(span.start);
                Related { line: place.line, column: place.column, label, span }
            })
            .collect();
        let source_line = source.text().get(line).unwrap_or_default();
        Self {
            code: problem.code,
            message: problem.message,
            file: source.name().to_owned(),
            line: place.line,
            column: place.column,
            source_line: shortened(source_line),
            label: problem.label,
            help: problem.help,
            related,
            span: problem.span,
        }
    }

    fn render(&self, source: &Source, renderer: &Renderer) -> String {
        let mut marks = vec![Mark::new(source, AnnotationKind::Primary, &self.span, &self.label)];
        for related in &self.related {
            marks.push(Mark::new(source, AnnotationKind::Context, &related.span, &related.label));
        }
        let title = Level::ERROR.primary_title(self.message.as_str()).id(self.code);
        let mut group = Group::with_title(title);
        // The renderer counts columns in what it is given; of a part of a line they are put right afterwards.
        let mut corrections = Vec::new();
        let first = marks.iter().map(|mark| mark.line).min().unwrap_or(1);
        let last = marks.iter().map(|mark| mark.line).max().unwrap_or(1);
        let together = source.line_span(first).start..source.line_span(last).end;
        let is_short = marks.iter().all(|mark| source.line_span(mark.line).len() <= WINDOW);
        if is_short && together.len() <= MAX_EXCERPT {
            let text = source.text().get(together.clone()).unwrap_or_default();
            let snippet = Snippet::source(text).line_start(first).path(source.name());
            let annotations = marks.iter().map(|mark| mark.annotation(&together));
            group = group.element(snippet.annotations(annotations));
        } else {
            for mark in &marks {
                let window = window(source.text(), source.line_span(mark.line), &mark.span);
                let text = source.text().get(window.clone()).unwrap_or_default();
                let snippet = Snippet::source(text).line_start(mark.line).path(source.name());
                group = group.element(snippet.annotation(mark.annotation(&window)));
                let column = source.place(mark.span.start).column;
                let shift = column
                    - source.text().get(window.start..mark.span.start).map_or(0, |cut| cut.chars().count());
                let place = |column: usize| format!("{}:{}:{column}", source.name(), mark.line);
                corrections.push((place(column + 1 - shift), place(column)));
            }
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let report: &[Group<'_>] = &[group];
        let mut text = renderer.render(report);
        for (wrong, right) in corrections {
            text = text.replacen(&wrong, &right, 1);
        }
        text
    }
}

/// A place to mark, cut to the line in which it begins.
struct Mark<'a> {
    kind: AnnotationKind,
    line: usize,
    span: Range<usize>,
    label: &'a str,
}

impl<'a> Mark<'a> {
    fn new(source: &Source, kind: AnnotationKind, span: &Range<usize>, label: &'a str) -> Self {
        let line = source.place(span.start).line;
        let whole = source.line_span(line);
        let start = span.start.clamp(whole.start, whole.end);
        Self { kind, line, span: start..span.end.clamp(start, whole.end), label }
    }

    /// The mark in a part of the text, cut to it.
    fn annotation(&self, part: &Range<usize>) -> Annotation<'a> {
        let inside = |offset: usize| offset.clamp(part.start, part.end) - part.start;
        let span = inside(self.span.start)..inside(self.span.end);
        let annotation = self.kind.span(span);
        if self.label.is_empty() { annotation } else { annotation.label(self.label) }
    }
}

/// The part of a line that is shown around a mark, on character boundaries.
fn window(text: &str, line: Range<usize>, mark: &Range<usize>) -> Range<usize> {
    let mut start = mark.start.saturating_sub(WINDOW / 2).max(line.start);
    let mut end = (mark.start + WINDOW).min(line.end);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    start..end.max(start)
}

/// A line for programs: no more of it than a screen holds.
fn shortened(line: &str) -> String {
    const MOST: usize = 4 * WINDOW;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("dir/x.yaml", text.to_owned()).unwrap()
    }

    #[test]
    fn renders_two_places_and_help() {
        let source = source("é: 1\nb: 2\nc: 3\né: 4\n");
        let problem =
            Problem::new("spec/x", 16..18, "twice").label("again").help("remove one").related(0..2, "first");
        let text = Diagnostics::new(source, vec![problem]).render(Style::Plain);
        insta::assert_snapshot!(text, @r"
        error[spec/x]: twice
         --> dir/x.yaml:4:1
          |
        1 | é: 1
          | - first
        ...
        4 | é: 4
          | ^ again
          |
          = help: remove one

        dir/x.yaml: 1 problem
        ");
    }

    #[test]
    fn programs_read_the_same() {
        let problem = Problem::new("spec/x", 5..6, "twice").label("again").related(0..2, "first");
        let diagnostics = Diagnostics::new(source("é: 1\nb: 2\n"), vec![problem]);
        let json = serde_json::to_value(&diagnostics).unwrap();
        let item = serde_json::json!({
            "code": "spec/x", "message": "twice", "file": "dir/x.yaml", "line": 1, "column": 5, "source_line": "é: 1",
            "label": "again", "help": null, "related": [{"line": 1, "column": 1, "label": "first"}],
        });
        assert_eq!(json, serde_json::json!({"items": [item], "more": 0}));
    }

    #[test]
    fn a_long_line_is_cut_around_the_fault() {
        let long = format!("{}X{}", "é".repeat(50_000), "ü".repeat(50_000));
        let at = 100_000;
        let diagnostics = Diagnostics::new(source(&long), vec![Problem::new("spec/x", at..at + 1, "here")]);
        let text = diagnostics.render(Style::Plain);
        assert!(text.len() < 1000, "{}", text.len());
        assert!(text.contains("dir/x.yaml:1:50001"), "{text}");
        assert!(diagnostics.items()[0].source_line.len() < 3000);
    }

    #[test]
    fn sorts_repeats_none_and_counts_the_rest() {
        let source = source(&"a\n".repeat(500));
        let mut problems: Vec<_> = (0..300).rev().map(|at| Problem::new("spec/x", at..at, "m")).collect();
        problems.extend(problems.clone());
        let diagnostics = Diagnostics::new(source, problems);
        assert_eq!((diagnostics.items().len(), diagnostics.more()), (100, 200));
        assert_eq!(diagnostics.items()[0].line, 1);
        assert!(
            diagnostics.render(Style::Plain).ends_with("dir/x.yaml: 300 problems, the first 100 are shown")
        );
    }
}
