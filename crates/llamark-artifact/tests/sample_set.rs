//! The committed sample set is what this version writes, byte for byte.
//!
//! Other crates read it in their tests. When the format changes on purpose:
//! `LLAMARK_UPDATE_FIXTURES=1 cargo test -p llamark-artifact --test sample_set`.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use camino::{Utf8Path, Utf8PathBuf};
use common::{SAMPLE, TINY, content, folder, sealed};
use llamark_artifact::{ArtifactSet, files};
use llamark_record::journal::Outcome;

fn fixture() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sample-set")
}

/// A sample with one attempt that was interrupted, as the fixture has it.
fn make(root: &Utf8Path) -> Utf8PathBuf {
    let resolved = common::plan(SAMPLE);
    let store = common::store(root);
    let mut writer = common::begin(&store, &resolved);
    common::record_inputs(&mut writer, &resolved);
    // The first start is interrupted after its warm-up: llamark was killed.
    let id = writer.ledger().pending().remove(0);
    common::write(&writer.log_path(&id).unwrap(), b"main: loading model\n");
    for event in common::start_events(&resolved, &id, common::Fate::Ok).into_iter().take(3) {
        writer.append(event).unwrap();
    }
    let path = writer.path().to_owned();
    drop(writer);
    let mut writer = store.resume(&path, &resolved, &common::environment(), "0.1.0").unwrap();
    common::finish(&mut writer, &resolved);
    writer.seal(Vec::new()).unwrap()
}

#[test]
fn the_committed_sample_is_what_is_written_now() {
    let (_keep, root) = folder();
    let made = make(&root);
    if std::env::var_os("LLAMARK_UPDATE_FIXTURES").is_some() {
        files::remove_folder(&fixture()).unwrap();
        for (name, bytes) in content(&made) {
            let path = fixture().join(name);
            files::create_dir_all(path.parent().unwrap()).unwrap();
            files::write_atomic(&path, &bytes).unwrap();
        }
    }
    let (made, committed) = (content(&made), content(&fixture()));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&made), names(&committed));
    for ((name, now), (_, then)) in made.iter().zip(&committed) {
        assert_eq!(String::from_utf8_lossy(now), String::from_utf8_lossy(then), "{name}");
    }
}

#[test]
fn the_sample_reads_as_what_happened() {
    let set = ArtifactSet::read(&fixture()).unwrap();
    let ledger = set.ledger();
    assert_eq!(ledger.cases.len(), 4);
    assert_eq!(ledger.resumes, 1);
    let words: Vec<_> =
        ledger.cases.iter().map(|case| case.outcome.as_ref().map_or("open", Outcome::word)).collect();
    assert_eq!(words, ["ok", "ok", "ok", "failed"]);

    let first = &ledger.cases[0];
    assert_eq!(first.superseded.len(), 1);
    assert_eq!(first.superseded[0].runs.len(), 1);
    assert_eq!(first.starts.get(1).unwrap().id.attempt, 2);
    assert_eq!(first.starts.get(1).unwrap().counting().count(), 3);

    let invalid = ledger.cases[1].starts.get(2).unwrap();
    assert_eq!((invalid.runs.len(), invalid.counting().count()), (4, 2));
    assert_eq!(ledger.cases[3].starts.len(), 1, "the second start of a failed case is not tried");
    assert_eq!(set.entries().unwrap().count() as u64, 58);
    assert_eq!(set.sealed.unwrap().subject.len(), 14);
}

#[test]
fn two_makings_are_the_same() {
    let (_keep_a, a) = folder();
    let (_keep_b, b) = folder();
    assert_eq!(content(&sealed(&a, TINY)), content(&sealed(&b, TINY)));
}
