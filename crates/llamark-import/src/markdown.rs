//! Markdown to a flat list of blocks with their places. What a report is not made of stays as [`Block::Other`].

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag};

use crate::source::Source;

/// How a piece of text is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Strong,
    Emphasis,
    /// Code, a link, an image, HTML: what no line of a report has.
    Foreign,
}

/// A piece of text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// A line of text, or what is in a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) span: Range<usize>,
}

/// A row of a table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) cells: Vec<Text>,
    /// Cells as they are written: Markdown drops what is too much and makes up what is missing.
    pub(crate) written: usize,
    pub(crate) span: Range<usize>,
}

/// A block at the top level of a document.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    Heading {
        level: u8,
        text: Text,
    },
    Paragraph(Vec<Text>),
    Table {
        header: Row,
        rows: Vec<Row>,
    },
    /// Lines between fences.
    Code {
        lines: Vec<Range<usize>>,
        span: Range<usize>,
    },
    Html(Range<usize>),
    Rule,
    Other {
        what: &'static str,
        span: Range<usize>,
    },
}

impl Text {
    /// All of it, without its style.
    pub(crate) fn plain(&self) -> String {
        self.pieces.iter().map(|piece| piece.text.as_str()).collect::<String>().trim().to_owned()
    }

    /// All of it but what is emphasised.
    pub(crate) fn not_emphasised(&self) -> String {
        let pieces = self.pieces.iter().filter(|piece| piece.style != Style::Emphasis);
        pieces.map(|piece| piece.text.as_str()).collect::<String>().trim().to_owned()
    }

    /// What is emphasised.
    pub(crate) fn emphasised(&self) -> String {
        let pieces = self.pieces.iter().filter(|piece| piece.style == Style::Emphasis);
        pieces.map(|piece| piece.text.as_str()).collect()
    }

    /// What is in bold at its beginning, and the rest.
    pub(crate) fn key(&self) -> Option<(String, String)> {
        let bold = self.pieces.iter().take_while(|piece| piece.style == Style::Strong).count();
        let (key, rest) = self.pieces.split_at_checked(bold)?;
        let text = |pieces: &[Piece]| pieces.iter().map(|piece| piece.text.as_str()).collect::<String>();
        (bold > 0).then(|| (text(key).trim().to_owned(), text(rest).trim().to_owned()))
    }

    /// Whether there is something in it that no line of a report has.
    pub(crate) fn is_foreign(&self) -> bool {
        self.pieces.iter().any(|piece| piece.style == Style::Foreign)
    }
}

/// The blocks of a document.
pub(crate) fn blocks(source: &Source) -> Vec<Block> {
    let mut events = Parser::new_ext(source.text(), Options::ENABLE_TABLES).into_offset_iter();
    let mut blocks = Vec::new();
    while let Some((event, span)) = events.next() {
        let span = trimmed(source, span);
        let block = match event {
            Event::Rule => Block::Rule,
            Event::Start(tag) => {
                let inside = inside(&mut events);
                container(source, &tag, span, &inside)
            }
            _ => Block::Other { what: "text", span },
        };
        blocks.push(block);
    }
    blocks
}

type Inside<'a> = Vec<(Event<'a>, Range<usize>)>;

/// The events up to the end of what was just begun, without that end.
fn inside<'a>(events: &mut impl Iterator<Item = (Event<'a>, Range<usize>)>) -> Inside<'a> {
    let mut depth = 0_usize;
    let mut all = Vec::new();
    for (event, span) in events {
        match &event {
            Event::Start(_) => depth += 1,
            Event::End(_) if depth == 0 => break,
            Event::End(_) => depth -= 1,
            _ => {}
        }
        all.push((event, span));
    }
    all
}

fn container(source: &Source, tag: &Tag<'_>, span: Range<usize>, inside: &Inside<'_>) -> Block {
    match tag {
        Tag::Heading { level, .. } => {
            let level = match level {
                HeadingLevel::H1 => 1,
                HeadingLevel::H2 => 2,
                _ => 3,
            };
            let text = lines(source, inside).into_iter().next();
            Block::Heading { level, text: text.unwrap_or(Text { pieces: Vec::new(), span }) }
        }
        Tag::Paragraph => Block::Paragraph(lines(source, inside)),
        Tag::Table(_) => table(source, span, inside),
        Tag::CodeBlock(CodeBlockKind::Fenced(_)) => code(source, span, inside),
        Tag::HtmlBlock => Block::Html(span),
        Tag::BlockQuote(_) => Block::Other { what: "a quote", span },
        Tag::List(_) => Block::Other { what: "a list", span },
        Tag::CodeBlock(CodeBlockKind::Indented) => Block::Other { what: "indented code", span },
        _ => Block::Other { what: "a block", span },
    }
}

/// The lines of a paragraph, a heading or a cell.
fn lines(source: &Source, inside: &Inside<'_>) -> Vec<Text> {
    let mut lines = Vec::new();
    let mut line = Text { pieces: Vec::new(), span: 0..0 };
    let mut styles = vec![Style::Plain];
    for (event, span) in inside {
        let style = styles.last().copied().unwrap_or(Style::Plain);
        let piece = match event {
            Event::Start(tag) => {
                styles.push(match tag {
                    Tag::Strong if style == Style::Plain => Style::Strong,
                    Tag::Emphasis if style == Style::Plain => Style::Emphasis,
                    _ => Style::Foreign,
                });
                None
            }
            Event::End(_) => {
                styles.pop();
                None
            }
            Event::Text(text) => Some((text.as_ref(), style)),
            Event::SoftBreak | Event::HardBreak => {
                lines.push(std::mem::replace(&mut line, Text { pieces: Vec::new(), span: 0..0 }));
                None
            }
            Event::Code(text) | Event::InlineHtml(text) | Event::Html(text) => {
                Some((text.as_ref(), Style::Foreign))
            }
            _ => Some(("", Style::Foreign)),
        };
        if let Some((text, style)) = piece {
            let span = trimmed(source, span.clone());
            line.span = if line.pieces.is_empty() { span } else { line.span.start..span.end };
            line.pieces.push(Piece { text: text.to_owned(), style });
        }
    }
    lines.push(line);
    lines.retain(|line| !line.pieces.is_empty());
    lines
}

fn table(source: &Source, span: Range<usize>, inside: &Inside<'_>) -> Block {
    let mut rows = Vec::new();
    let mut events = inside.iter().cloned();
    while let Some((event, place)) = events.next() {
        if matches!(event, Event::Start(Tag::TableHead | Tag::TableRow)) {
            rows.push(row(source, place, &mut events));
        }
    }
    if rows.is_empty() {
        return Block::Other { what: "a table without a header", span };
    }
    let header = rows.remove(0);
    Block::Table { header, rows }
}

fn row<'a>(
    source: &Source,
    span: Range<usize>,
    events: &mut impl Iterator<Item = (Event<'a>, Range<usize>)>,
) -> Row {
    let mut cells = Vec::new();
    let line = source.line_span(source.line(span.start));
    let all = inside(events);
    let mut all = all.into_iter();
    while let Some((event, place)) = all.next() {
        if matches!(event, Event::Start(Tag::TableCell)) {
            let cell = inside(&mut all);
            let place = trimmed(source, place);
            let text = lines(source, &cell).into_iter().next();
            cells.push(text.unwrap_or(Text { pieces: Vec::new(), span: place }));
        }
    }
    Row { cells, written: written(source.get(&line)), span: line }
}

/// Cells in a line of a table, by its bars.
fn written(line: &str) -> usize {
    let line = line.trim();
    let mut bars = 0;
    let mut escaped = false;
    let mut ends_in_bar = false;
    for c in line.chars() {
        ends_in_bar = c == '|' && !escaped;
        bars += usize::from(ends_in_bar);
        escaped = c == '\\' && !escaped;
    }
    let inner = bars - usize::from(line.starts_with('|')) - usize::from(ends_in_bar && line.len() > 1);
    inner + 1
}

fn code(source: &Source, span: Range<usize>, inside: &Inside<'_>) -> Block {
    let texts = || inside.iter().filter(|(event, _)| matches!(event, Event::Text(_)));
    let mut lines = Vec::new();
    if let (Some(start), Some(end)) =
        (texts().map(|(_, span)| span.start).min(), texts().map(|(_, span)| span.end).max())
    {
        let last = source.line(end.saturating_sub(1).max(start));
        lines = (source.line(start)..=last).map(|line| source.line_span(line)).collect();
    }
    lines.retain(|line| !source.get(line).trim().is_empty());
    Block::Code { lines, span: source.line_span(source.line(span.start)) }
}

/// A span without white space at its ends.
fn trimmed(source: &Source, span: Range<usize>) -> Range<usize> {
    let text = source.get(&span);
    let start = span.start + (text.len() - text.trim_start().len());
    start..start + text.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_counted_as_they_are_written() {
        for (line, cells) in [
            ("| a | b |", 2),
            ("a | b", 2),
            ("| a | b", 2),
            ("| a \\| b |", 1),
            ("| a | | b |", 3),
            ("|", 1),
            ("", 1),
        ] {
            assert_eq!(written(line), cells, "{line}");
        }
    }

    #[test]
    fn a_document_is_a_flat_list_of_blocks() {
        let text =
            "# A *b*\n\n**K:** v  \nw\n\n| x | y |\n|--|--|\n| 1 | 2 | 3 |\n\n```\nrun\n```\n\n> quote\n";
        let source = Source::new("x.md", text.as_bytes()).unwrap();
        let blocks = blocks(&source);
        let [
            Block::Heading { level: 1, text },
            Block::Paragraph(lines),
            Block::Table { header, rows },
            Block::Code { lines: code, .. },
            Block::Other { what: "a quote", .. },
        ] = blocks.as_slice()
        else {
            panic!("{blocks:?}")
        };
        assert_eq!((text.not_emphasised(), text.emphasised()), ("A".to_owned(), "b".to_owned()));
        assert_eq!(lines[0].key(), Some(("K:".to_owned(), "v".to_owned())));
        assert_eq!(source.get(&lines[1].span), "w");
        assert_eq!((header.written, rows[0].cells.len(), rows[0].written), (2, 2, 3));
        assert_eq!(code.iter().map(|line| source.get(line)).collect::<Vec<_>>(), ["run"]);
    }
}
