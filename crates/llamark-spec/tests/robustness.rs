//! Whatever the text, it is answered soon, without a panic, and with places that exist.

use std::time::{Duration, Instant};

use camino::Utf8Path;
use llamark_spec::{Source, Style, Surroundings};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

const GOOD: &str = include_str!("corpus/valid/everything.yaml");

struct Nothing;

impl Surroundings for Nothing {
    fn usable_cores(&self) -> u32 {
        0
    }

    fn read_prompt(&self, _: &Utf8Path) -> std::io::Result<String> {
        Ok("text".to_owned())
    }
}

/// Reads a text and looks at what comes of it.
fn answer(text: String) {
    let begin = Instant::now();
    let result = Source::new("x.yaml", text).and_then(|source| {
        let spec = llamark_spec::parse(&source)?;
        llamark_spec::expand(&spec, &source, &Nothing).map(|plan| {
            assert!(!plan.cases.is_empty());
            assert_eq!(
                plan.schedule.len(),
                plan.cases.iter().map(|case| case.starts as usize).sum::<usize>()
            );
        })
    });
    if let Err(error) = result {
        assert!(!error.items().is_empty());
        for item in error.items() {
            assert!(item.line >= 1 && item.column >= 1);
            assert_ne!(item.code, "spec/bug", "{error}");
        }
        assert!(!error.render(Style::Color).is_empty());
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

/// A piece of YAML that is apt to be misread.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ": ",
            "- ",
            "\n",
            "\n  ",
            "&a ",
            "*a",
            "<<: ",
            "!x ",
            "\"",
            "'",
            "|\n",
            ">\n",
            "# ",
            "? ",
            "---\n",
            "\t",
            "é",
            "\u{feff}",
            "\r\n",
            "~",
            "null",
            "true",
            "yes",
            "0x1F",
            "1e9",
            ".inf",
            "-",
            "%YAML 1.2\n",
            "@",
            "models: ",
            "name: ",
            "server: ",
            "\u{2028}",
            "\u{85}",
            "\\x",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        answer(text);
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(piece(), 0..60)) {
        answer(pieces.concat());
    }

    #[test]
    fn a_good_text_with_a_piece_cut_or_put_in(
        at in 0..GOOD.len(), cut in 0..30_usize, put in prop_oneof![Just(String::new()), piece()]
    ) {
        let start = (0..=at).rev().find(|at| GOOD.is_char_boundary(*at)).unwrap();
        let end = (start + cut..=GOOD.len()).find(|at| GOOD.is_char_boundary(*at)).unwrap_or(GOOD.len());
        answer(format!("{}{put}{}", &GOOD[..start], &GOOD[end..]));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = Source::from_bytes("x.yaml", bytes) {
            assert!(!error.render(Style::Plain).is_empty());
        }
    }
}

#[test]
fn large_texts_end_soon() {
    // Less than the most that is allowed, since this is built without optimization.
    let most = llamark_spec::source::MAX_BYTES / 4;
    let repeat = |piece: &str| piece.repeat(most / piece.len());
    let numbered =
        |piece: &str| (0..most / (piece.len() + 8)).map(|n| format!("k{n}{piece}")).collect::<String>();
    let names = |count: usize, piece: &str| (0..count).map(|n| format!("k{n}{piece}")).collect::<String>();
    for text in [
        repeat("["),
        repeat("{a: "),
        repeat("- "),
        repeat("a"),
        repeat("a\n"),
        repeat("? "),
        repeat("a: 1\n"),
        repeat("&a "),
        repeat("#\n"),
        repeat("- &a [x]\n- *a\n"),
        format!("x: \"{}", "\\".repeat(most - 10)),
        format!("[{}", "a, ".repeat(most / 3 - 4)),
        format!("x: |\n{}", " \n".repeat(most / 2 - 4)),
        numbered(": 1\n"),
        format!("backends: {{{}}}", numbered(": {}, ")),
        format!(
            "backends: {{{}}}\nmodels: [{{backends: [{}]}}]",
            names(20_000, ": {}, "),
            names(20_000, "x, ")
        ),
        format!("models: [{}]", "{name: a, source: {file: a}},".repeat(6000)),
    ] {
        answer(text);
    }
}

/// Not a test of time: prints it, for `cargo test -p llamark-spec -- --ignored --nocapture speed`.
#[test]
#[ignore = "prints a time"]
fn speed() {
    let mut text = "schema: llamark/experiment/v1\nname: many\nengine: { source: { path: x } }\n".to_owned();
    text.push_str("backends: { cpu: {}, vulkan: {}, rocm: { server: { flash_attn: true } } }\nprompts: { a: { text: b } }\nmodels:\n");
    for n in 0..200 {
        text.push_str(&format!(
            "  - name: Model {n}\n    quant: Q4_K_M\n    params: {{ total: 30B, active: 3B }}\n"
        ));
        text.push_str(&format!(
            "    source: {{ huggingface: owner/name-{n}, file: model-{n}.gguf }}\n    backends: [cpu, rocm]\n"
        ));
    }
    for _ in 0..3 {
        let begin = Instant::now();
        let source = Source::new("x.yaml", text.clone()).unwrap();
        llamark_spec::parse(&source).unwrap();
        println!("{} bytes, 200 models: {:?}", text.len(), begin.elapsed());
    }
}
