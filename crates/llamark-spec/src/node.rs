//! The YAML of an experiment as a tree that knows where everything stands, built from parser events.
//!
//! Everything is bounded before it is built: nodes (what an alias repeats counts again each time), depth, and
//! the size of the file. An alias shares the node that it names, so a bomb costs no memory, only a sum.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use crate::diagnostic::Problem;
use crate::scalar::{Scalar, resolve};
use crate::syntax::syntax_problem;

/// The most nodes of an experiment; what an alias or a merge key repeats counts each time.
pub(crate) const MAX_NODES: u64 = 200_000;
/// The deepest nesting.
pub(crate) const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Bytes of the value; of its key, where the value is not written at all.
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
    /// Nodes of the tree below and including this one, aliases written out.
    size: u64,
    /// Levels of the tree below and including this one.
    height: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Anything that is not a collection; `plain` when it is not quoted.
    Scalar {
        scalar: Scalar,
        plain: bool,
    },
    List(Vec<Arc<Node>>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Arc<Node>,
}

impl Node {
    pub(crate) fn is_empty_map(&self) -> bool {
        matches!(&self.value, Value::Map(entries) if entries.is_empty())
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Scalar { .. } | Value::List(_) => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Arc<Node>] {
        match &self.value {
            Value::List(items) => items,
            Value::Scalar { .. } | Value::Map(_) => &[],
        }
    }

    /// The value of a key, where this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &*entry.node)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { scalar: Scalar::Text(text), .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn integer(&self) -> Option<i128> {
        match &self.value {
            Value::Scalar { scalar: Scalar::Integer(number), .. } => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar { scalar: Scalar::Boolean(is_true), .. } => Some(*is_true),
            _ => None,
        }
    }
}

/// The tree of a text, as far as it can be read, and every problem on the way.
pub(crate) fn build(text: &str) -> (Option<Arc<Node>>, Vec<Problem>) {
    let options = granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH + 8,
        block_nesting_limit: MAX_DEPTH + 8,
    };
    let mut builder = Builder { text, ..Builder::default() };
    for event in Parser::new_from_str_with_options(text, options) {
        let result = match event {
            Ok((event, span)) => {
                let tag = span.tag_span().and_then(|tag| tag.byte_range());
                builder.event(&event, span.byte_range().unwrap_or_default(), tag)
            }
            Err(error) => Err(Box::new(syntax_problem(text, &error))),
        };
        if let Err(problem) = result {
            builder.problems.push(*problem);
            return (None, builder.problems);
        }
    }
    if builder.root.is_none() {
        let problem = Problem::new("spec/empty", 0..0, "the file contains no experiment");
        builder.problems.push(problem.help("start from experiments/quickstart.yaml"));
    }
    (builder.root, builder.problems)
}

#[derive(Default)]
struct Builder<'text> {
    text: &'text str,
    problems: Vec<Problem>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Arc<Node>>,
    root: Option<Arc<Node>>,
    documents: usize,
    /// Nodes so far, aliases written out.
    nodes: u64,
}

/// A collection that is not closed yet.
struct Frame {
    anchor: usize,
    start: usize,
    /// End of the last child, or of what opened the collection.
    end: usize,
    size: u64,
    height: usize,
    content: Content,
}

enum Content {
    List(Vec<Arc<Node>>),
    Map(MapContent),
}

#[derive(Default)]
struct MapContent {
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
    /// Key that waits for its value; `Unusable` after a key that is not text.
    pending: Option<Key>,
    merges: Vec<(Range<usize>, Arc<Node>)>,
}

enum Key {
    Text(String, Range<usize>),
    Merge(Range<usize>),
    Unusable,
}

impl Builder<'_> {
    fn event(
        &mut self,
        event: &Event<'_>,
        span: Range<usize>,
        tag: Option<Range<usize>>,
    ) -> Result<(), Box<Problem>> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let problem =
                        Problem::new("spec/multiple-documents", span, "a second YAML document begins here");
                    return Err(Box::new(
                        problem.help("an experiment is one document: remove the `---`, or use two files"),
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag_value) => {
                self.note_tag(tag_value.as_deref(), tag, &span);
                let plain = *style == ScalarStyle::Plain;
                let scalar = if plain { resolve(text) } else { Scalar::Text(text.to_string()) };
                self.count(1, &span)?;
                let node =
                    Arc::new(Node { span, value: Value::Scalar { scalar, plain }, size: 1, height: 1 });
                self.close(node, *anchor)?;
            }
            Event::SequenceStart(_, anchor, tag_value) => {
                self.note_tag(tag_value.as_deref(), tag, &span);
                self.open(*anchor, span, Content::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag_value) => {
                self.note_tag(tag_value.as_deref(), tag, &span);
                self.open(*anchor, span, Content::Map(MapContent::default()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&span)?,
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(anchor).cloned() else {
                    let problem = Problem::new(
                        "spec/alias-cycle",
                        span,
                        "this alias is inside the value that it names",
                    );
                    return Err(Box::new(
                        problem.help("an anchor can only be used after its value has ended"),
                    ));
                };
                self.count(node.size, &span)?;
                if self.stack.len() + node.height > MAX_DEPTH {
                    let message =
                        format!("nested deeper than {MAX_DEPTH} levels once this alias is written out");
                    return Err(Box::new(Problem::new("spec/too-deep", span, message)));
                }
                self.close_at(node, span.end)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn note_tag(&mut self, tag: Option<&Tag>, tag_span: Option<Range<usize>>, span: &Range<usize>) {
        if let Some(tag) = tag {
            let span = tag_span.unwrap_or_else(|| span.clone());
            let message = format!("YAML tags are not allowed in an experiment: `{}`", tag.original());
            let help = "remove it; to make a value text, quote it; text that begins with `!` must be quoted";
            self.problems.push(Problem::new("spec/tag", span, message).help(help));
        }
    }

    fn count(&mut self, nodes: u64, span: &Range<usize>) -> Result<(), Box<Problem>> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("with every alias written out, the file has more than {MAX_NODES} values");
        Err(Box::new(
            Problem::new("spec/too-many-nodes", span.clone(), message).label("the limit is reached here"),
        ))
    }

    fn open(&mut self, anchor: usize, span: Range<usize>, content: Content) -> Result<(), Box<Problem>> {
        self.count(1, &span)?;
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(Box::new(Problem::new("spec/too-deep", span, message)));
        }
        self.stack.push(Frame { anchor, start: span.start, end: span.end, size: 1, height: 1, content });
        Ok(())
    }

    fn end(&mut self, span: &Range<usize>) -> Result<(), Box<Problem>> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let mut size = frame.size;
        let value = match frame.content {
            Content::List(items) => Value::List(items),
            Content::Map(content) => {
                let (entries, merged) = self.merge(content)?;
                size = size.saturating_add(merged);
                Value::Map(entries)
            }
        };
        // A block collection ends where the next thing begins; only a bracket is part of it.
        let bracket = self.text.get(span.clone()).is_some_and(|end| matches!(end, "}" | "]"));
        let end = if bracket { span.end } else { frame.end };
        let node = Node { span: frame.start..end.max(frame.start), value, size, height: frame.height };
        self.close(Arc::new(node), frame.anchor)
    }

    /// A value is complete: it gets its anchor and its place in what encloses it.
    fn close(&mut self, node: Arc<Node>, anchor: usize) -> Result<(), Box<Problem>> {
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        let end = node.span.end;
        self.close_at(node, end)
    }

    fn close_at(&mut self, node: Arc<Node>, end: usize) -> Result<(), Box<Problem>> {
        let Some(frame) = self.stack.last_mut() else {
            let is_nothing = matches!(node.value, Value::Scalar { scalar: Scalar::Null, .. });
            self.root = (!is_nothing).then_some(node);
            return Ok(());
        };
        frame.size = frame.size.saturating_add(node.size);
        frame.height = frame.height.max(node.height + 1);
        frame.end = frame.end.max(end);
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map(content) => {
                let problem = content.add(node);
                self.problems.extend(problem);
            }
        }
        Ok(())
    }

    /// Writes out the merge keys of a mapping: what it says itself wins, then the earlier of its sources.
    fn merge(&mut self, content: MapContent) -> Result<(Vec<Entry>, u64), Box<Problem>> {
        let MapContent { mut entries, mut places, merges, .. } = content;
        let mut size = 0_u64;
        for (key_span, node) in merges {
            let sources = match &node.value {
                Value::List(items) => items.clone(),
                Value::Map(_) | Value::Scalar { .. } => vec![node],
            };
            for source in sources {
                let Value::Map(merged) = &source.value else {
                    let message = "the value of a merge key `<<` must be a mapping, or a list of mappings";
                    let problem = Problem::new("spec/merge", key_span.clone(), message);
                    self.problems.push(problem.help("write `<<: *name`, where `&name` marks a mapping"));
                    continue;
                };
                for entry in merged {
                    if places.contains_key(&entry.key) {
                        continue;
                    }
                    self.count(entry.node.size, &key_span)?;
                    size = size.saturating_add(entry.node.size);
                    places.insert(entry.key.clone(), entries.len());
                    entries.push(entry.clone());
                }
            }
        }
        Ok((entries, size))
    }
}

impl MapContent {
    /// Takes a key, or the value of the key before.
    fn add(&mut self, node: Arc<Node>) -> Option<Problem> {
        match self.pending.take() {
            None => {
                let (key, problem) = read_key(&node);
                self.pending = Some(key);
                problem
            }
            Some(Key::Unusable) => None,
            Some(Key::Merge(span)) => {
                self.merges.push((span, node));
                None
            }
            Some(Key::Text(key, key_span)) => {
                if let Some(first) = self.places.get(&key).and_then(|place| self.entries.get(*place)) {
                    let problem = Problem::new(
                        "spec/duplicate-key",
                        key_span,
                        format!("the key `{key}` appears twice"),
                    )
                    .label("again here")
                    .related(first.key_span.clone(), "first here")
                    .help("remove one of them; YAML would silently use only one");
                    return Some(problem);
                }
                let node = if node.span.is_empty() { at_key(&node, &key_span) } else { node };
                self.places.insert(key.clone(), self.entries.len());
                self.entries.push(Entry { key, key_span, node });
                None
            }
        }
    }
}

/// A value that is not written stands where its key stands.
fn at_key(node: &Node, key_span: &Range<usize>) -> Arc<Node> {
    Arc::new(Node { span: key_span.clone(), ..node.clone() })
}

fn read_key(node: &Node) -> (Key, Option<Problem>) {
    let span = node.span.clone();
    match &node.value {
        Value::Scalar { scalar: Scalar::Text(text), plain } => {
            let key = if *plain && text == "<<" { Key::Merge(span) } else { Key::Text(text.clone(), span) };
            (key, None)
        }
        Value::Scalar { .. } => {
            let problem = Problem::new("spec/key-not-text", span, "a key must be text");
            (
                Key::Unusable,
                Some(problem.help("quote it: without quotes YAML reads it as another kind of value")),
            )
        }
        Value::List(_) | Value::Map(_) => {
            let problem =
                Problem::new("spec/key-not-text", span, "a key must be text, not a list or a mapping");
            (
                Key::Unusable,
                Some(problem.help("braces begin a mapping; text that begins with `{` or `[` must be quoted")),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(text: &str) -> Vec<String> {
        fn walk(text: &str, node: &Node, out: &mut Vec<String>) {
            for entry in node.entries() {
                out.push(format!("{}={}", &text[entry.key_span.clone()], &text[entry.node.span.clone()]));
                walk(text, &entry.node, out);
            }
            for item in node.items() {
                out.push(text[item.span.clone()].to_owned());
                walk(text, item, out);
            }
        }
        let (root, problems) = build(text);
        assert!(problems.is_empty(), "{problems:?}");
        let mut out = Vec::new();
        walk(text, &root.unwrap(), &mut out);
        out
    }

    fn codes(text: &str) -> Vec<String> {
        let source = crate::Source::new("x", text.to_owned()).unwrap();
        let diagnostics = crate::Diagnostics::new(source, build(text).1);
        diagnostics
            .items()
            .iter()
            .map(|item| format!("{}:{}:{}", item.code, item.line, item.column))
            .collect()
    }

    #[test]
    fn spans_are_bytes_also_after_other_scripts() {
        assert_eq!(
            slices("ключ: \"é\"\nb:\n  c: {d: [1, ß]}\n  e: |\n    text\n\nf:\n- g\n- h: i\n"),
            [
                "ключ=\"é\"",
                "b=c: {d: [1, ß]}\n  e: |\n    text\n\n",
                "c={d: [1, ß]}",
                "d=[1, ß]",
                "1",
                "ß",
                // A block scalar is its text, a block list begins with its first item.
                "e=text\n\n",
                "f=g\n- h: i",
                "g",
                "h: i",
                "h=i"
            ]
        );
    }

    #[test]
    fn merge_keys_and_aliases() {
        let (root, problems) =
            build("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 9}\nd: *a\n");
        assert!(problems.is_empty());
        let root = root.unwrap();
        let c = root.get("c").unwrap();
        let of = |key: &str| c.get(key).and_then(Node::integer);
        assert_eq!((of("x"), of("y"), of("z")), (Some(9), Some(2), Some(4)));
        assert_eq!(root.get("d").and_then(|d| d.get("x")).and_then(Node::integer), Some(1));
    }

    #[test]
    fn what_yaml_allows_and_we_do_not() {
        assert_eq!(
            codes("a: 1\nb: 2\na: 3\n\"b\": 4\n"),
            ["spec/duplicate-key:3:1", "spec/duplicate-key:4:1"]
        );
        assert_eq!(codes("1: a\nnull: b\n[c]: d\n? {e: f}\n: g\n").len(), 4);
        assert_eq!(codes("a: !!str 1\n"), ["spec/tag:1:4"]);
        assert_eq!(codes("a: &a [*a]\n"), ["spec/alias-cycle:1:8"]);
        assert_eq!(codes("a: 1\n---\nb: 1\n"), ["spec/multiple-documents:2:1"]);
        assert_eq!(codes("# only a comment\n"), ["spec/empty:1:1"]);
        assert_eq!(codes("é: {<<: 1}\n"), ["spec/merge:1:5"]);
        assert_eq!(codes("a: *nobody\n"), ["spec/syntax:1:4"]);
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..30 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert_eq!(codes(&laughs)[0].split(':').next(), Some("spec/too-many-nodes"));
        for open in ["[", "{a: ", "- "] {
            assert_eq!(codes(&open.repeat(20_000))[0].split(':').next(), Some("spec/too-deep"), "{open}");
        }
        let mut ladder = "a0: &a0 x\n".to_owned();
        for level in 1..100 {
            ladder.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert_eq!(codes(&ladder)[0].split(':').next(), Some("spec/too-deep"));
        let merges = format!("a: &a {{{}}}\n", (0..1000).map(|n| format!("k{n}: 1, ")).collect::<String>());
        let merges = merges + &(0..1000).map(|n| format!("b{n}: {{<<: *a}}\n")).collect::<String>();
        assert_eq!(codes(&merges)[0].split(':').next(), Some("spec/too-many-nodes"));
    }
}
