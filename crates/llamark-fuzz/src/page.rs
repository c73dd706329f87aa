//! Names, notes and log lines of a stranger in everything that is shown: they stay text.

use camino::Utf8Path;
use llamark_artifact::{ArtifactSet, Ledger};
use llamark_record::environment::Environment;
use llamark_record::plan::ResolvedPlan;
use llamark_report::compare::{
    CompareOptions, Detail, Side, compare_sides, forest_plot, in_toto, junit, markdown, terminal,
};
use llamark_report::{Material, Templates, render_markdown, summarize_material, terminal_table};
use pulldown_cmark::{Event, Options, Parser, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::folder::sample_set;

/// Members whose text is free: nothing else hangs on it.
const FREE: [&str; 40] = [
    "added",
    "architecture",
    "argv",
    "asked",
    "build_info",
    "claimed_active_parameters",
    "claimed_file_size",
    "claimed_parameters",
    "cmake",
    "commit",
    "conditions",
    "configure_facts",
    "contradictions",
    "description",
    "detail",
    "device",
    "devices",
    "environment",
    "error",
    "expect_gpu",
    "file_type",
    "hint",
    "label",
    "log",
    "machine",
    "note",
    "observed",
    "quant",
    "reason",
    "remarks",
    "rev",
    "server",
    "setting",
    "source",
    "targets",
    "title",
    "tools",
    "unstated",
    "url",
    "version",
];

/// HTML that the templates have of their own.
const OWN_HTML: [&str; 6] = ["<details>", "</details>", "<summary>", "</summary>", "<code>", "</code>"];

/// The texts of a stranger, one after the other and again from the first.
struct Texts<'a> {
    texts: Vec<&'a str>,
    next: usize,
}

impl Texts<'_> {
    fn next(&mut self) -> String {
        let text = self.texts.get(self.next % self.texts.len()).copied().unwrap_or_default();
        self.next += 1;
        text.to_owned()
    }

    /// Every free text of a value replaced.
    fn into<T: Serialize + DeserializeOwned>(&mut self, value: &mut T) {
        let mut json = serde_json::to_value(&*value).unwrap();
        self.replace(&mut json, false);
        if let Ok(changed) = serde_json::from_value(json) {
            *value = changed;
        }
    }

    fn replace(&mut self, value: &mut Value, free: bool) {
        match value {
            Value::String(text) if free => *text = self.next(),
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item, free)),
            Value::Object(members) => {
                for (name, member) in members {
                    // Below a free member every text is; the sources of engine and models are objects.
                    let is_free = FREE.contains(&name.as_str()) && !is_identity(name, member);
                    self.replace(member, free || is_free);
                }
            }
            _ => {}
        }
    }
}

/// Settings and sources hold words of ours.
fn is_identity(name: &str, member: &Value) -> bool {
    matches!(name, "server" | "source") && member.is_object()
}

/// The sample set with other texts.
#[derive(Clone)]
struct Parts {
    id: String,
    resolved: ResolvedPlan,
    ledger: Ledger,
    environment: Environment,
}

impl Parts {
    fn sample(path: &Utf8Path) -> Self {
        let set = ArtifactSet::read(path).unwrap();
        let ledger = set.ledger().clone();
        Self { id: set.id, resolved: set.resolved, ledger, environment: set.environment }
    }

    fn replace(&mut self, texts: &mut Texts<'_>) {
        let plan = &mut self.resolved.plan;
        plan.title = texts.next();
        plan.description = texts.next();
        plan.hardware.label = texts.next();
        for model in &mut plan.models {
            model.name = texts.next();
            texts.into(model);
        }
        plan.backends.iter_mut().for_each(|backend| texts.into(backend));
        texts.into(&mut plan.engine);
        self.ledger.models.values_mut().for_each(|model| texts.into(model));
        self.ledger.builds.values_mut().for_each(|build| texts.into(build));
        for case in &mut self.ledger.cases {
            texts.into(&mut case.outcome);
            for start in case.starts.values_mut().chain(&mut case.superseded) {
                texts.into(&mut start.opened);
                texts.into(&mut start.ready);
                texts.into(&mut start.closed);
                texts.into(&mut start.runs);
            }
        }
        for fact in self.environment.facts.values_mut() {
            fact.value = fact.value.as_ref().map(|_value| texts.next());
            fact.error = fact.error.as_ref().map(|_value| texts.next());
        }
    }

    fn material(&self) -> Material<'_> {
        let Self { id, resolved, ledger, environment } = self;
        Material { id, resolved, ledger, environment }
    }
}

/// Texts, with a zero byte between them, in place of every name, note, label, message and line of a log of a set: the
/// pages have no HTML but their own, no link, no image; the drawings and the XML hold together; nothing moves the cursor.
pub fn page(data: &[u8]) {
    thread_local! {
        static SAMPLE: Parts = Parts::sample(&sample_set());
    }
    let text = String::from_utf8_lossy(data);
    let mut texts = Texts { texts: text.split('\0').collect(), next: 0 };
    let base = SAMPLE.with(Clone::clone);
    let mut parts = base.clone();
    parts.replace(&mut texts);
    let summary = summarize_material(parts.material()).unwrap();
    for layout in ["default", "classic"] {
        harmless_markdown(&render_markdown(&summary, &Templates::named(layout).unwrap()).unwrap());
    }
    harmless_on_a_terminal(&terminal_table(&summary, 80));
    compared(&base, &parts);
}

fn compared(base: &Parts, candidate: &Parts) {
    let side = |parts| Side { material: Parts::material(parts), manifest: None };
    let options = CompareOptions { across: vec!["engine".to_owned()], ..CompareOptions::default() };
    let Ok(comparison) = compare_sides(side(base), side(candidate), &options) else { return };
    harmless_markdown(&markdown(&comparison, Detail { all: true, explain: true }));
    harmless_on_a_terminal(&terminal(&comparison, 100, Detail { all: true, explain: true }));
    harmless_xml(&junit(&comparison).unwrap());
    harmless_xml(&forest_plot(&comparison).unwrap());
    if let Ok(text) = in_toto(&comparison) {
        assert!(serde_json::from_str::<Value>(&text).is_ok());
    }
}

/// As a reader of Markdown sees it, with the extensions that GitHub has.
fn harmless_markdown(page: &str) {
    let extensions = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES;
    for event in Parser::new_ext(page, extensions) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => {
                let mut rest = html.as_ref();
                while let Some(begin) = rest.find('<') {
                    let tag = &rest[begin..];
                    assert!(OWN_HTML.iter().any(|own| tag.starts_with(own)), "HTML of a stranger: {html}");
                    rest = &tag[1..];
                }
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                panic!("a link of a stranger, to {dest_url}")
            }
            _ => {}
        }
    }
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(!page.contains(is_control), "a control character is in the page");
}

fn harmless_on_a_terminal(text: &str) {
    // Colours are put in later, by the command.
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(is_control), "a control character reaches the terminal");
}

/// Well-formed, and nothing in it runs or loads.
fn harmless_xml(text: &str) {
    let document = roxmltree::Document::parse(text).unwrap();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let name = node.tag_name().name();
        assert!(!matches!(name, "script" | "foreignObject" | "image" | "use" | "a" | "style"), "<{name}>");
        for attribute in node.attributes() {
            assert!(!attribute.name().starts_with("on") && attribute.name() != "href", "{attribute:?}");
        }
    }
}
