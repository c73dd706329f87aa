//! Markup through templates: every value is escaped for XML, and what XML cannot hold at all is replaced.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior};
use serde::Serialize;

use crate::error::ReportError;
use crate::escape;

/// The page of a built-in template with these values.
pub(super) fn render<T: Serialize>(
    name: &'static str,
    template: &'static str,
    values: &T,
) -> Result<String, ReportError> {
    let page = || -> Result<String, Error> {
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Custom("xml".into()));
        environment
            .set_formatter(|out, _, value| out.write_str(&xml(&value.to_string())).map_err(Error::from));
        environment.add_template(name, template)?;
        environment.get_template(name)?.render(Value::from(Serde(values)))
    };
    let fail = |source: Error| ReportError::Template {
        excerpt: format!("{name}: {source}"),
        source: Box::new(source),
    };
    let text = page().map_err(fail)?;
    Ok(if text.ends_with('\n') { text } else { text + "\n" })
}

/// Text as the content of an element or of a quoted attribute. Control characters have no place in XML, not even
/// escaped; nor have the two that are no characters.
fn xml(text: &str) -> String {
    let text = escape::line(text);
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_xml_loses_it() {
        assert_eq!(xml("a<b> & \"c\" 'd' ]]>"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39; ]]&gt;");
        assert_eq!(xml("\u{0}\u{1b}[2J\u{fffe}\n x"), "\u{fffd}\u{fffd}[2J\u{fffd} x");
        assert_eq!(
            render("t", "{{ a }}-{{ b }}", &serde_json::json!({"a": 1, "b": "<"})).unwrap(),
            "1-&lt;\n"
        );
    }
}
