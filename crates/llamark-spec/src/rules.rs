//! Every rule that an experiment must obey, by the code that a problem carries, and who can check it.
//!
//! An editor that has the schema checks the rules of [`Level::Schema`]. The rest is the list of what a schema
//! cannot say: `RULES.md` next to the sources of this crate is generated from it.

/// Who can check a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The file and its YAML: lost before a schema sees it.
    Yaml,
    /// In the schema.
    Schema,
    /// The meaning: names that refer to others, values that depend on others.
    Meaning,
    /// Files around the experiment; checked when it is expanded.
    Surroundings,
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable name.
    pub code: &'static str,
    /// Who can check it.
    pub level: Level,
    /// The rule, as a sentence.
    pub says: &'static str,
}

const fn rule(code: &'static str, level: Level, says: &'static str) -> Rule {
    Rule { code, level, says }
}

/// Every rule.
pub const RULES: &[Rule] = &[
    rule("spec/unreadable", Level::Yaml, "A file is there, and can be read."),
    rule("spec/too-large", Level::Yaml, "A file has at most 1 MiB."),
    rule("spec/not-utf8", Level::Yaml, "A file is UTF-8."),
    rule("spec/control-character", Level::Yaml, "A file contains no control characters."),
    rule("spec/syntax", Level::Yaml, "A file is YAML 1.2, without directives."),
    rule("spec/empty", Level::Yaml, "A file is not empty."),
    rule("spec/multiple-documents", Level::Yaml, "A file is one YAML document."),
    rule("spec/duplicate-key", Level::Yaml, "A key appears once in a mapping."),
    rule("spec/key-not-text", Level::Yaml, "A key is text."),
    rule("spec/tag", Level::Yaml, "There are no YAML tags."),
    rule("spec/merge", Level::Yaml, "A merge key `<<` names a mapping or a list of mappings."),
    rule("spec/alias-cycle", Level::Yaml, "An alias is not inside the value that it names."),
    rule("spec/too-deep", Level::Yaml, "Nesting has at most 64 levels, with aliases written out."),
    rule("spec/too-many-nodes", Level::Yaml, "There are at most 200,000 values, with aliases written out."),
    rule(
        "spec/number-form",
        Level::Yaml,
        "A whole number has only digits and no leading zero: readers of YAML differ on `017`, `0x1f`, `1e3`, `12.0`.",
    ),
    rule("spec/schema-version", Level::Schema, "`schema` is a format that this llamark reads."),
    rule("spec/unknown-key", Level::Schema, "Every key is known."),
    rule("spec/missing-key", Level::Schema, "Every required key is present."),
    rule("spec/no-kind", Level::Schema, "A source has the key that says what kind it is."),
    rule("spec/wrong-type", Level::Schema, "Every value is of the right type."),
    rule("spec/unknown-value", Level::Schema, "A value from a fixed list is in that list."),
    rule("spec/bad-text", Level::Schema, "Text has the form that its key asks for."),
    rule("spec/too-long", Level::Schema, "Text is not too long."),
    rule("spec/out-of-range", Level::Schema, "A number is within its range."),
    rule("spec/too-few", Level::Schema, "A list or mapping that must not be empty is not."),
    rule("spec/repeated-item", Level::Schema, "A list of names contains each name once."),
    rule("spec/unknown-backend", Level::Meaning, "A backend that a model names is defined."),
    rule("spec/unknown-prompt", Level::Meaning, "A prompt that the protocol names is defined."),
    rule("spec/unused-prompt", Level::Meaning, "Every prompt is used."),
    rule("spec/duplicate-model", Level::Meaning, "No two models have the same id."),
    rule("spec/model-id", Level::Meaning, "A model has a name that an id can be made from, or an id."),
    rule("spec/params", Level::Meaning, "A model has no more active parameters than it has parameters."),
    rule("spec/not-first-shard", Level::Meaning, "A model in several files is named by its first file."),
    rule(
        "spec/path-escapes",
        Level::Meaning,
        "A path inside an archive, package or repository stays inside it.",
    ),
    rule(
        "spec/synthetic-incomplete",
        Level::Meaning,
        "A synthetic model is like another model, or has all its dimensions.",
    ),
    rule(
        "spec/synthetic-impossible",
        Level::Meaning,
        "A synthetic model has dimensions that a model can have.",
    ),
    rule(
        "spec/credentials",
        Level::Meaning,
        "A URL contains no user name or password, since it is recorded.",
    ),
    rule("spec/engine-contradiction", Level::Meaning, "`build_number` and `commit` do not contradict `rev`."),
    rule("spec/backend-kind", Level::Meaning, "A backend is named after its kind, or has a `kind`."),
    rule(
        "spec/device",
        Level::Meaning,
        "The device fits the backend's kind; `none` for `cpu` and only there.",
    ),
    rule("spec/layers-without-device", Level::Meaning, "Without a device, no layers are put on one."),
    rule(
        "spec/kind-contradiction",
        Level::Meaning,
        "CMake variables do not switch off the kind of the backend.",
    ),
    rule("spec/cmake-with-prebuilt", Level::Meaning, "A prebuilt engine has no CMake variables."),
    rule("spec/ubatch", Level::Meaning, "`ubatch` is at most `batch`."),
    rule(
        "spec/matrix-empty",
        Level::Meaning,
        "A matrix varies a setting, and does not leave out everything.",
    ),
    rule("spec/matrix-size", Level::Meaning, "A matrix has at most 1,000 combinations."),
    rule("spec/matrix-override", Level::Meaning, "A setting that varies has no fixed value in `server`."),
    rule("spec/exclude-nothing", Level::Meaning, "What a matrix excludes is one of its combinations."),
    rule("spec/include-known", Level::Meaning, "What a matrix includes is not already in it."),
    rule("spec/quantized-values", Level::Meaning, "A quantized `cache_type_v` has `flash_attn: true`."),
    rule(
        "spec/context",
        Level::Meaning,
        "`context` holds `depth`, the tokens of the prompt and `max_tokens`, and the tokens of the canary.",
    ),
    rule(
        "spec/run-length",
        Level::Meaning,
        "`max_tokens` times `concurrency` is at most 500,000: each token is recorded with its time.",
    ),
    rule(
        "spec/two-texts",
        Level::Meaning,
        "A prompt with a number of `tokens` is cut from a `file` or a `text`, not both.",
    ),
    rule(
        "spec/variable",
        Level::Meaning,
        "No environment variable silently changes what is measured, or is secret.",
    ),
    rule(
        "spec/llama-bench",
        Level::Meaning,
        "What llama-bench measures has prompts with a number of `tokens`, a single stream, and a fixed number of warm-up runs.",
    ),
    rule("spec/no-gates", Level::Meaning, "`gates` names at least one metric."),
    rule(
        "spec/until-starts",
        Level::Meaning,
        "`until` allows at least three starts of a case, and no fewer than `starts`.",
    ),
    rule("spec/too-many-starts", Level::Meaning, "There are at most 100,000 starts in total."),
    rule("spec/prompt-unreadable", Level::Surroundings, "The file of a prompt can be read."),
    rule("spec/prompt-empty", Level::Surroundings, "The file of a prompt is not empty."),
    rule("spec/perplexity-unreadable", Level::Surroundings, "The text of a perplexity exists, and is UTF-8."),
    rule("spec/perplexity-long", Level::Surroundings, "The text of a perplexity has at most 2 MiB."),
    rule(
        "spec/perplexity-short",
        Level::Surroundings,
        "The text of a perplexity is long enough for the two chunks that llama-perplexity needs.",
    ),
    rule("spec/bug", Level::Surroundings, "Never seen: llamark contradicts itself. Please report it."),
];

/// The rules as a page for people.
pub fn page() -> String {
    let mut page =
        "# What an experiment must obey\n\nGenerated from `src/rules.rs`; do not edit. An editor with the \
                    schema checks only the second table; a JSON Schema cannot express the others.\n"
            .to_owned();
    for (level, title) in [
        (Level::Yaml, "The file and its YAML"),
        (Level::Schema, "In the schema"),
        (Level::Meaning, "The meaning"),
        (Level::Surroundings, "Files around the experiment"),
    ] {
        page.push_str(&format!("\n## {title}\n\n| code | rule |\n| --- | --- |\n"));
        for rule in RULES.iter().filter(|rule| rule.level == level) {
            page.push_str(&format!("| `{}` | {} |\n", rule.code, rule.says));
        }
    }
    page
}
