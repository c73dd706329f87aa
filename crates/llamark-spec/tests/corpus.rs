//! Every file of the corpus: the good ones are read, the bad ones are refused with the message that a reader has
//! looked at, and a JSON Schema validator that we did not write agrees.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_spec::rules::{Level, RULES};
use llamark_spec::{Diagnostics, Plan, Source, Style, Surroundings};
use serde_json::Value;

struct Fixed;

impl Surroundings for Fixed {
    fn usable_cores(&self) -> u32 {
        4
    }

    fn read_prompt(&self, relative: &Utf8Path) -> std::io::Result<String> {
        match relative.as_str() {
            "prompts/missing.md" => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "no such file")),
            "prompts/empty.md" => Ok(" \n".to_owned()),
            "texts/long.txt" => Ok("long ".repeat(1 << 19)),
            "texts/story.txt" => Ok("It was a dark and stormy night. ".repeat(8)),
            _ => Ok("A prompt.\n".to_owned()),
        }
    }
}

fn root() -> Utf8PathBuf {
    Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(kind: &str) -> Vec<(String, Vec<u8>)> {
    let folder = root().join("tests/corpus").join(kind);
    let mut files: Vec<_> = folder
        .read_dir_utf8()
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().into_path();
            (path.file_stem().unwrap().to_owned(), fs_err::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn plan(name: &str, bytes: Vec<u8>) -> Result<Plan, Diagnostics> {
    let source = Source::from_bytes(format!("{name}.yaml"), bytes)?;
    let spec = llamark_spec::parse(&source)?;
    llamark_spec::expand(&spec, &source, &Fixed)
}

fn level(code: &str) -> Level {
    RULES.iter().find(|rule| rule.code == code).unwrap_or_else(|| panic!("{code} is not in RULES")).level
}

#[test]
fn good_files_become_plans() {
    for (name, bytes) in files("valid") {
        let plan = plan(&name, bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = serde_json::to_string_pretty(&plan).unwrap();
        insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(format!("valid-{name}"), text);
        });
    }
}

#[test]
fn bad_files_are_explained() {
    let files = files("invalid");
    assert!(files.len() >= 55);
    let mut seen = BTreeSet::new();
    for (name, bytes) in files {
        let begin = Instant::now();
        let error = plan(&name, bytes).expect_err(&name);
        let text = error.render(Style::Plain);
        assert!(begin.elapsed() < Duration::from_secs(2), "{name}: {:?}", begin.elapsed());
        for item in error.items() {
            assert_ne!(item.code, "spec/bug", "{name}: {text}");
            seen.insert(item.code);
        }
        insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(format!("invalid-{name}"), text);
        });
    }
    let cannot_be_a_file = ["spec/bug", "spec/too-large", "spec/unreadable"];
    for rule in RULES.iter().filter(|rule| !cannot_be_a_file.contains(&rule.code)) {
        assert!(seen.contains(rule.code), "no file breaks {}", rule.code);
    }
}

/// The text as JSON, by a reader of YAML that shares nothing with our tree but the tokenizer.
fn as_json(bytes: Vec<u8>) -> Option<Value> {
    let options = serde_yaml::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    serde_yaml::from_str_with_options(&String::from_utf8(bytes).ok()?, options).ok()
}

#[test]
fn a_validator_that_we_did_not_write_agrees() {
    let validator = jsonschema::validator_for(&llamark_spec::experiment_schema()).unwrap();
    for (name, bytes) in files("valid") {
        let json = as_json(bytes).unwrap_or_else(|| panic!("{name}"));
        let errors: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    let mut compared = 0;
    for (name, bytes) in files("invalid") {
        let error = plan(&name, bytes.clone()).expect_err(&name);
        let levels: Vec<Level> = error.items().iter().map(|item| level(item.code)).collect();
        if levels.contains(&Level::Yaml) {
            // The named rules of the file and its YAML: a schema never sees them.
            continue;
        }
        let Some(json) = as_json(bytes) else {
            assert_eq!(name, "number-infinite", "JSON has every value but this");
            continue;
        };
        let says_wrong = levels.contains(&Level::Schema);
        assert_eq!(!validator.is_valid(&json), says_wrong, "{name}: {}", error.render(Style::Plain));
        compared += 1;
    }
    assert!(compared > 60, "{compared}");
}

#[test]
fn the_named_rules_beyond_the_schema_are_what_the_page_says() {
    let path = root().join("RULES.md");
    let page = llamark_spec::rules::page();
    update(&path, &page);
    assert_eq!(
        fs_err::read_to_string(path).unwrap(),
        page,
        "run with LLAMARK_UPDATE_SCHEMA=1 to write it again"
    );
    let codes: BTreeSet<_> = RULES.iter().map(|rule| rule.code).collect();
    assert_eq!(codes.len(), RULES.len());
}

#[test]
fn schema_is_up_to_date() {
    for (name, schema) in llamark_spec::schema::all() {
        let path = root().join("../../schema").join(name);
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        update(&path, &text);
        let found = fs_err::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{path} is not what the types say; run with LLAMARK_UPDATE_SCHEMA=1 to write it again"
        );
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test that writes what is committed, when asked to")]
fn update(path: &Utf8Path, text: &str) {
    if std::env::var_os("LLAMARK_UPDATE_SCHEMA").is_some() {
        fs_err::write(path, text).unwrap();
    }
}

#[test]
fn a_plan_obeys_its_schema() {
    let validator = jsonschema::validator_for(&llamark_spec::plan_schema()).unwrap();
    for (name, bytes) in files("valid") {
        let plan = serde_json::to_value(plan(&name, bytes).unwrap()).unwrap();
        let errors: Vec<_> = validator.iter_errors(&plan).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

/// The schema says the defaults twice: for programs and for people. They must agree.
#[test]
fn every_default_is_said_in_words() {
    fn walk(place: &str, value: &Value, found: &mut u32) {
        if let (Some(default), Some(description)) = (value.get("default"), value.get("description")) {
            let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            let said = format!("Default: `{default}`");
            assert!(description.as_str().unwrap().contains(&said), "{place}: {said}");
            *found += 1;
        }
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| walk(key, value, found)),
            Value::Array(items) => items.iter().for_each(|value| walk(place, value, found)),
            _ => {}
        }
    }
    let mut found = 0;
    walk("", &llamark_spec::experiment_schema(), &mut found);
    assert!(found > 15, "{found}");
}

#[test]
fn the_experiments_that_come_with_llamark_are_good() {
    let folder = root().join("../../experiments");
    let mut count = 0;
    for entry in folder.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.extension() != Some("yaml") || path.as_str().ends_with(".lock.yaml") {
            continue;
        }
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("# yaml-language-server: $schema=../schema/experiment.schema.json\n"),
            "{path}"
        );
        let source = Source::new(path.as_str(), text).unwrap();
        let spec = llamark_spec::parse(&source).unwrap_or_else(|error| panic!("{error}"));
        struct Folder(Utf8PathBuf);
        impl Surroundings for Folder {
            fn usable_cores(&self) -> u32 {
                1
            }
            fn read_prompt(&self, relative: &Utf8Path) -> std::io::Result<String> {
                fs_err::read_to_string(self.0.join(relative))
            }
        }
        llamark_spec::expand(&spec, &source, &Folder(folder.clone()))
            .unwrap_or_else(|error| panic!("{error}"));
        count += 1;
    }
    assert!(count > 0);
}
