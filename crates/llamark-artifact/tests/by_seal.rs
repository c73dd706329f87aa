//! Reading a sealed set by its digest gives what reading it line by line gives, and accepts no other bytes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use camino::Utf8Path;
use llamark_artifact::{ArtifactError, ArtifactSet, Ledger, StartLedger};

/// The ledger without what is not read by the seal.
fn without_unread(mut ledger: Ledger) -> Ledger {
    for case in &mut ledger.cases {
        case.starts.values_mut().chain(&mut case.superseded).for_each(StartLedger::leave_unread);
    }
    ledger
}

fn ledger_of(set: &ArtifactSet) -> Ledger {
    without_unread(set.ledger().clone())
}

/// Replaces the journal, which is read-only.
fn replace_journal(set: &Utf8Path, bytes: &[u8]) {
    fs_err::remove_file(set.join("journal.jsonl")).unwrap();
    common::write(&set.join("journal.jsonl"), bytes);
}

#[test]
fn it_gives_what_reading_line_by_line_gives() {
    let (_folder, root) = common::folder();
    let set = common::sealed(&root, common::SAMPLE);
    let (slow, fast) = (ArtifactSet::read(&set).unwrap(), ArtifactSet::read_by_seal(&set).unwrap());
    assert_eq!(ledger_of(&slow), *fast.ledger());
    assert_eq!((slow.id, slow.sealed, slow.resolved), (fast.id, fast.sealed, fast.resolved));
}

#[test]
fn an_open_set_is_read_line_by_line() {
    let (_folder, root) = common::folder();
    let resolved = common::plan(common::SAMPLE);
    let mut writer = common::begin(&common::store(&root), &resolved);
    common::record_inputs(&mut writer, &resolved);
    let set = ArtifactSet::read_by_seal(writer.path()).unwrap();
    assert_eq!(set.sealed, None);
    assert_eq!(set.ledger().models.len(), 2);
}

#[test]
fn no_other_byte_is_accepted() {
    let (_folder, root) = common::folder();
    let set = common::sealed(&root, common::TINY);
    let journal = fs_err::read(set.join("journal.jsonl")).unwrap();
    for place in 0..journal.len() {
        let mut changed = journal.clone();
        changed[place] ^= 1;
        replace_journal(&set, &changed);
        assert!(ArtifactSet::read_by_seal(&set).is_err(), "byte {place}");
    }
    for length in [0, 1, journal.len() / 2, journal.len() - 1] {
        replace_journal(&set, &journal[..length]);
        assert!(ArtifactSet::read_by_seal(&set).is_err(), "{length} bytes");
    }
    replace_journal(&set, &journal);
    ArtifactSet::read_by_seal(&set).unwrap();
}

#[test]
fn a_journal_made_anew_is_called_changed() {
    let (_folder, root) = common::folder();
    let set = common::sealed(&root, common::TINY);
    let other = common::sealed(&root.join("other"), common::Shape { tokens: 3, ..common::TINY });
    // A whole journal with a chain that holds, of the same plan, is still not the one that was sealed.
    let journal = fs_err::read_to_string(other.join("journal.jsonl")).unwrap();
    replace_journal(&set, journal.as_bytes());
    assert!(ArtifactSet::read(&set).is_ok());
    let error = ArtifactSet::read_by_seal(&set).unwrap_err();
    assert!(matches!(error, ArtifactError::Changed { .. }), "{error}");
}

#[test]
fn a_set_is_read_whole_or_not_at_all() {
    let (_folder, root) = common::folder();
    let set = common::sealed(&root, common::TINY);
    assert_eq!(
        ledger_of(&ArtifactSet::read(&set).unwrap()),
        *ArtifactSet::read_whole(&set).unwrap().ledger()
    );
    // The journal by the read, every other file by level 0, and nothing beside them.
    for (name, _content) in common::content(&set) {
        let (_folder, copy) = common::folder();
        common::lay_out(&copy, &common::content(&set));
        let mut bytes = fs_err::read(copy.join(&name)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        common::write(&copy.join(&name), &bytes);
        assert!(ArtifactSet::read_whole(&copy).is_err(), "{name} changed");
        fs_err::remove_file(copy.join(&name)).unwrap();
        // Without its manifest it is not a sealed set any more.
        assert!(name == "manifest.json" || ArtifactSet::read_whole(&copy).is_err(), "{name} gone");
    }
    common::write(&set.join("added"), b"");
    let error = ArtifactSet::read_whole(&set).unwrap_err();
    assert!(
        matches!(error, ArtifactError::NotWhole { .. }) && error.to_string().contains("`added`"),
        "{error}"
    );
    // As they were read apart, so two at the same time.
    let (base, candidate) = ArtifactSet::read_both_whole(&set, &root.join("nothing"));
    assert!(base.is_err() && matches!(candidate, Err(ArtifactError::NotASet { .. })));
}
