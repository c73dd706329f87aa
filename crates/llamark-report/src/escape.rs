//! Text of others (names, notes, log lines) made harmless: for Markdown, for a fenced block, for a terminal.

/// Characters that change the direction of what follows, or that are not seen at all.
fn is_deceptive(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// One line of text without control characters: white space runs become one space, the rest of the control
/// characters and those that deceive the eye become U+FFFD.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_whitespace() {
            if !out.ends_with(' ') && !out.is_empty() {
                out.push(' ');
            }
        } else if character.is_control() || is_deceptive(character) {
            out.push('\u{fffd}');
        } else {
            out.push(character);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Text that stands for itself in Markdown: in a paragraph, a heading or a cell of a table, on GitHub and in
/// CommonMark. HTML stays text, a pipe does not end a cell, a newline does not end a row.
pub(crate) fn markdown(text: &str) -> String {
    let text = line(text);
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + 8);
    for (place, &character) in characters.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|place| characters.get(place));
        let after = characters.get(place + 1);
        let is_word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric());
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' if after.is_some_and(|c| c.is_alphanumeric() || *c == '#') => out.push_str("&amp;"),
            '\\' | '`' | '*' | '[' | ']' | '|' | '$' => out.extend(['\\', character]),
            // Inside a word (`Q4_K_M`) it never begins emphasis.
            '_' if !(is_word(before) && is_word(after)) => out.push_str("\\_"),
            // At the head of a word (`~4B`) a tilde cannot end a strike-through.
            '~' if before.is_some_and(|c| !c.is_whitespace() && *c != '(') => out.push_str("\\~"),
            '#' | '-' | '+' | '=' | '~'
                if place == 0 && after.is_none_or(|c| *c == ' ' || *c == character) =>
            {
                out.extend(['\\', character]);
            }
            // `1. ` at the head of a line would be a list.
            '.' | ')' if (1..=9).contains(&place) && is_number_before(&characters, place) => {
                out.extend(['\\', character]);
            }
            _ => out.push(character),
        }
    }
    out
}

/// Whether all before `place` is digits and a space (or the end) comes after.
fn is_number_before(characters: &[char], place: usize) -> bool {
    let digits = characters.get(..place).is_some_and(|head| head.iter().all(char::is_ascii_digit));
    digits && characters.get(place + 1).is_none_or(|c| *c == ' ')
}

/// Text as inline code, in a paragraph or in a cell. Where backticks or pipes make that hard, as `<code>`.
pub(crate) fn markdown_code(text: &str) -> String {
    let text = line(text);
    if text.is_empty() {
        return String::new();
    }
    if !text.contains(['`', '|']) {
        return format!("`{text}`");
    }
    let mut out = String::from("<code>");
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' | '|' | '*' | '_' | '[' | ']' | '\\' | '~' | '$' => {
                out.push_str("&#");
                out.push_str(&u32::from(character).to_string());
                out.push(';');
            }
            _ => out.push(character),
        }
    }
    out.push_str("</code>");
    out
}

/// One line of text inside a fenced block: it cannot end the fence.
pub(crate) fn fenced(text: &str) -> String {
    line(text).replace("```", "'''").replace("~~~", "'''")
}

/// One line of text for a terminal: no escape sequence in it has an effect.
pub(crate) fn terminal(text: &str) -> String {
    line(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_readable() {
        for name in [
            "Qwen3-VL 30B-A3B Instruct",
            "Q4_K_M",
            "UD-Q4_K_XL",
            "~4B (~20B MoE)",
            "Llama 3.3 70B",
            "2.5 x",
            "C++",
        ] {
            assert_eq!(markdown(name), name);
        }
    }

    #[test]
    fn what_markdown_would_read_is_escaped() {
        let cases = [
            ("a|b", "a\\|b"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("&lt;b>", "&amp;lt;b&gt;"),
            ("R&D & more", "R&amp;D & more"),
            ("*bold* _it_ `code`", "\\*bold\\* \\_it\\_ \\`code\\`"),
            ("![x](http://h/)", "!\\[x\\](http://h/)"),
            ("a\nb\r\n| c |", "a b \\| c \\|"),
            ("# title", "\\# title"),
            ("---", "\\---"),
            ("1. item", "1\\. item"),
            ("~~gone~~", "\\~\\~gone\\~\\~"),
            ("a\u{202e}b\u{7}", "a\u{fffd}b\u{fffd}"),
            ("tail\\", "tail\\\\"),
        ];
        for (text, expected) in cases {
            assert_eq!(markdown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn code_and_fences_cannot_be_left() {
        assert_eq!(markdown_code("mmap=on"), "`mmap=on`");
        assert_eq!(markdown_code(""), "");
        assert_eq!(markdown_code("a`|<b"), "<code>a&#96;&#124;&lt;b</code>");
        assert_eq!(fenced("x\n```\n# out"), "x ''' # out");
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(terminal("\u{1b}[2Jgone\u{9b}1m\r\n next"), "\u{fffd}[2Jgone\u{fffd}1m next");
    }
}
