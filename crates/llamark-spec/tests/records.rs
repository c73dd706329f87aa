//! The committed sets against the committed schemas, by a validator that is not ours.
#![expect(clippy::unwrap_used, reason = "a test")]

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

fn root() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn json(path: &Utf8Path) -> Value {
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

fn validator(name: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&json(&root().join(format!("schema/{name}.schema.json")))).unwrap()
}

/// A measured set that was made up, and the published report, which is real.
fn sets() -> Vec<Utf8PathBuf> {
    let mut sets = vec![root().join("crates/llamark-artifact/tests/fixtures/sample-set")];
    let published = root().join("artifacts/strix-halo").read_dir_utf8().unwrap();
    sets.extend(published.map(|entry| entry.unwrap().into_path()).filter(|path| path.is_dir()));
    assert!(sets.len() > 1);
    sets
}

#[test]
fn the_records_of_the_committed_sets_are_as_their_schemas_say() {
    for set in sets() {
        for (file, schema) in
            [("plan", "resolved-plan"), ("manifest", "manifest"), ("environment", "environment")]
        {
            let path = set.join(format!("{file}.json"));
            validator(schema).validate(&json(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        let validator = validator("journal-entry");
        let journal = fs_err::read_to_string(set.join("journal.jsonl")).unwrap();
        for (number, line) in journal.lines().enumerate() {
            let entry: Value = serde_json::from_str(line).unwrap();
            validator.validate(&entry).unwrap_or_else(|error| panic!("{set} line {}: {error}", number + 1));
        }
        assert!(journal.lines().count() > 10, "{set}");
    }
}

#[test]
fn the_schemas_refuse_what_is_not_in_the_format() {
    let set = sets().remove(0);
    for (file, schema, pointer) in [
        ("plan.json", "resolved-plan", "/plan"),
        ("manifest.json", "manifest", "/predicate/runDetails"),
        ("environment.json", "environment", ""),
    ] {
        let mut record = json(&set.join(file));
        let object = record.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        object.insert("one_more".to_owned(), Value::Bool(true));
        assert!(!validator(schema).is_valid(&record), "{file}");
    }
}
