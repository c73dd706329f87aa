//! Kill the writer at any point: what was acknowledged is there, and the same work goes on to the same end.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use camino::{Utf8Path, Utf8PathBuf};
use common::{SAMPLE, TINY, content, folder, lay_out, store, write};
use llamark_artifact::files::FileError;
use llamark_artifact::{ArtifactError, ArtifactSet, Found, Store, verify};
use llamark_record::journal::Event;

/// The content of a set as it is just before its seal, and the bytes after each line of its journal.
fn open_set(shape: common::Shape) -> (Vec<(String, Vec<u8>)>, Vec<usize>) {
    let (_keep, root) = folder();
    let resolved = common::plan(shape);
    let mut writer = common::begin(&store(&root), &resolved);
    common::record_inputs(&mut writer, &resolved);
    common::finish(&mut writer, &resolved);
    writer.end().unwrap();
    let files = content(writer.path());
    let journal = &files.iter().find(|(name, _)| name == "journal.jsonl").unwrap().1;
    let ends =
        journal.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1).collect();
    (files, ends)
}

fn entries(set: &Utf8Path) -> usize {
    ArtifactSet::read(set).unwrap().entries().unwrap().map(Result::unwrap).count()
}

/// Cuts the journal to that length, resumes, finishes and seals; what is acknowledged must be there at each step.
fn crash_at(
    root: &Utf8Path,
    shape: common::Shape,
    files: &[(String, Vec<u8>)],
    length: usize,
    acknowledged: usize,
) {
    let resolved = common::plan(shape);
    let set = root.join("sample").join(format!("20261122T170000Z-{length:08}"));
    lay_out(&set, files);
    let journal = &files.iter().find(|(name, _)| name == "journal.jsonl").unwrap().1;
    write(&set.join("journal.jsonl"), &journal[..length]);

    assert_eq!(entries(&set), acknowledged, "a reader sees what was acknowledged");
    let mut writer = store(root).resume(&set, &resolved, &common::environment(), "0.1.0").unwrap();
    let resumed = entries(&set);
    let ended = writer.ledger().end.is_some();
    assert_eq!(resumed, acknowledged + usize::from(!ended), "one resumption, nothing lost");
    common::record_inputs_again(&mut writer, &resolved);
    common::finish(&mut writer, &resolved);
    let set = writer.seal(Vec::new()).unwrap();
    let verification = verify(&set, 1).unwrap();
    assert!(verification.passed(), "cut at {length}: {:?}", verification.first_problem());
}

#[test]
fn a_journal_cut_at_any_byte_is_resumed_and_sealed() {
    let (files, ends) = open_set(TINY);
    let (_keep, root) = folder();
    let mut points = 0_u32;
    // Before the end of the first line there is no set: it gets its name after that line is on disk.
    for length in ends[0]..=*ends.last().unwrap() {
        // Each end of a line and its surroundings, and every 23rd byte between.
        let near = ends.iter().any(|end| length.abs_diff(*end) <= 2);
        if near || length % 23 == 0 {
            let acknowledged = ends.iter().filter(|end| **end <= length).count();
            crash_at(&root, TINY, &files, length, acknowledged);
            points += 1;
        }
    }
    println!("{points} crash points resumed");
}

#[test]
fn every_line_boundary_of_the_sample_is_resumed() {
    let (files, ends) = open_set(SAMPLE);
    let (_keep, root) = folder();
    for (place, end) in ends.iter().enumerate() {
        crash_at(&root, SAMPLE, &files, *end, place + 1);
    }
    println!("{} crash points resumed", ends.len());
}

#[test]
fn a_torn_last_line_of_zeros_is_cut_and_kept() {
    let (files, ends) = open_set(TINY);
    let (_keep, root) = folder();
    let set = root.join("sample/torn");
    lay_out(&set, &files);
    let journal = &files.iter().find(|(name, _)| name == "journal.jsonl").unwrap().1;
    let torn = [&journal[..ends[3]], &[0; 300], b"\n"].concat();
    write(&set.join("journal.jsonl"), &torn);
    assert_eq!(entries(&set), 4);
    drop(store(&root).resume(&set, &common::plan(TINY), &common::environment(), "0.1.0").unwrap());
    assert_eq!(entries(&set), 5);
    let kept: Vec<_> =
        content(&set).into_iter().filter(|(name, _)| name.starts_with("journal-cut-4-")).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].1.len(), 301);
}

#[test]
fn a_bad_line_that_is_not_the_last_is_an_error_that_names_it() {
    let (files, ends) = open_set(TINY);
    let (_keep, root) = folder();
    let set = root.join("sample/bad");
    lay_out(&set, &files);
    let mut journal = files.iter().find(|(name, _)| name == "journal.jsonl").unwrap().1.clone();
    journal[ends[1] + 20] ^= 1;
    write(&set.join("journal.jsonl"), &journal);
    let error = store(&root).resume(&set, &common::plan(TINY), &common::environment(), "0.1.0").unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
    assert_eq!(fs_err::read(set.join("journal.jsonl")).unwrap(), journal, "nothing was cut");
}

/// States that a crash inside `seal` can leave, as its documentation lists them.
#[test]
fn a_crash_during_the_seal_leaves_an_open_set_or_a_sealed_one() {
    let (_keep, root) = folder();
    let sealed = content(&common::sealed(&root, TINY));
    let resolved = common::plan(TINY);
    let partly = |left_out: &[&str], extra: &[(&str, &[u8])]| {
        let kept = sealed.iter().filter(|(name, _)| !left_out.contains(&name.as_str())).cloned();
        kept.chain(extra.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))).collect::<Vec<_>>()
    };
    for (what, files) in [
        ("end", partly(&["manifest.json", "manifest-sha256.txt"], &[])),
        ("temporary list", partly(&["manifest.json", "manifest-sha256.txt"], &[(".tmp-abc", b"half")])),
        ("list", partly(&["manifest.json"], &[])),
        ("temporary manifest", partly(&["manifest.json"], &[(".tmp-abc", b"{")])),
    ] {
        let (_keep, root) = folder();
        let set = root.join("sample/20261122T170000Z-00000000");
        lay_out(&set, &files);
        assert!(ArtifactSet::read(&set).unwrap().sealed.is_none(), "{what}");
        let writer = store(&root).resume(&set, &resolved, &common::environment(), "0.1.0").unwrap();
        assert!(writer.ledger().pending().is_empty());
        let set = writer.seal(Vec::new()).unwrap();
        assert!(verify(&set, 1).unwrap().passed(), "{what}");
        // The same bytes as without the crash: nothing of it stays.
        let journal = |files: &[(String, Vec<u8>)]| {
            files.iter().find(|(name, _)| name == "journal.jsonl").unwrap().1.clone()
        };
        assert_eq!(journal(&content(&set)), journal(&sealed), "{what}");
    }
}

fn find(store: &Store, resolved: &llamark_record::plan::ResolvedPlan) -> Option<Found> {
    store.find(resolved, &common::environment().fingerprint()).unwrap()
}

#[test]
fn a_set_is_found_by_plan_and_machine() {
    let (_keep, root) = folder();
    let store = store(&root);
    let resolved = common::plan(TINY);
    assert_eq!(find(&store, &resolved), None);
    let writer = common::begin(&store, &resolved);
    let first = writer.path().to_owned();
    drop(writer);
    let second = common::begin(&store, &resolved).path().to_owned();
    assert_ne!(first, second);
    assert_eq!(find(&store, &resolved), Some(Found::Interrupted(second)));
    assert_eq!(find(&store, &common::plan(SAMPLE)), None);
    let mut elsewhere = common::environment();
    elsewhere.facts.get_mut("cpu.model").unwrap().value = Some("another".to_owned());
    assert_eq!(store.find(&resolved, &elsewhere.fingerprint()).unwrap(), None);

    let mut writer = store.resume(&first, &resolved, &common::environment(), "0.1.0").unwrap();
    common::record_inputs(&mut writer, &resolved);
    common::finish(&mut writer, &resolved);
    let sealed = writer.seal(Vec::new()).unwrap();
    assert_eq!(find(&store, &resolved), Some(Found::Sealed(sealed.clone())));
    let sets = store.sets(None).unwrap();
    assert_eq!(sets.iter().map(|set| set.sealed).collect::<Vec<_>>(), [true, false]);
    let again = store.resume(&sealed, &resolved, &common::environment(), "0.1.0").unwrap_err();
    assert!(matches!(again, ArtifactError::Sealed { .. }), "{again}");
}

#[test]
fn two_sets_in_one_second_have_two_names() {
    let (_keep, root) = folder();
    let store = Store::with_clock(&root, || jiff::Timestamp::from_second(1_795_366_800).unwrap());
    let resolved = common::plan(TINY);
    let ids: Vec<String> = (0..3).map(|_| common::begin(&store, &resolved).id().to_owned()).collect();
    let id = &ids[0];
    assert!(id.starts_with("20261122T170000Z-") && id.len() == 25, "{id}");
    assert_eq!(ids[1..], [format!("{id}-2"), format!("{id}-3")]);
}

#[test]
fn one_writer_and_any_number_of_readers() {
    let (_keep, root) = folder();
    let store = store(&root);
    let resolved = common::plan(TINY);
    let mut writer = common::begin(&store, &resolved);
    let path: Utf8PathBuf = writer.path().to_owned();
    let error = store.resume(&path, &resolved, &common::environment(), "0.1.0").unwrap_err();
    assert!(matches!(error, ArtifactError::File(FileError::Locked { .. })), "{error}");
    let holder = format!("another llamark (process {})", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    common::record_inputs(&mut writer, &resolved);
    assert_eq!(entries(&path), 3);
    drop(writer);
    drop(store.resume(&path, &resolved, &common::environment(), "0.1.0").unwrap());
}

#[test]
fn another_plan_or_machine_does_not_go_on() {
    let (_keep, root) = folder();
    let store = store(&root);
    let resolved = common::plan(TINY);
    let path = common::begin(&store, &resolved).path().to_owned();
    let before = content(&path);
    let other = common::plan(SAMPLE);
    let error = store.resume(&path, &other, &common::environment(), "0.1.0").unwrap_err();
    assert!(matches!(error, ArtifactError::OtherPlan { .. }), "{error}");
    let mut environment = common::environment();
    environment.facts.get_mut("kernel.release").unwrap().value = Some("7.0".to_owned());
    let error = store.resume(&path, &resolved, &environment, "0.1.0").unwrap_err();
    assert!(matches!(error, ArtifactError::OtherHost { .. }), "{error}");
    assert_eq!(content(&path), before);
    // A fact that is no part of the machine's identity changed: it goes on, and says so.
    let mut environment = common::environment();
    environment.facts.get_mut("gpu.0.driver").unwrap().source = "another tool".to_owned();
    drop(store.resume(&path, &resolved, &environment, "0.1.0").unwrap());
    assert!(path.join("environment-resumed-1.json").is_file());
}

#[test]
fn events_out_of_place_are_refused_and_not_written() {
    let (_keep, root) = folder();
    let resolved = common::plan(TINY);
    let mut writer = common::begin(&store(&root), &resolved);
    common::record_inputs(&mut writer, &resolved);
    let before = fs_err::read(writer.path().join("journal.jsonl")).unwrap();
    let id = writer.ledger().pending().remove(0);
    let events = common::start_events(&resolved, &id, common::Fate::Ok);
    let mut refuse = |event: &Event| {
        let error = writer.append(event.clone()).unwrap_err();
        assert!(matches!(error, ArtifactError::Order { .. }), "{error}");
    };
    for event in &events[1..] {
        refuse(event);
    }
    let mut second_attempt = events[0].clone();
    if let Event::StartOpened(opened) = &mut second_attempt {
        opened.id.attempt = 2;
    }
    refuse(&second_attempt);
    assert!(matches!(writer.end(), Err(ArtifactError::Unfinished { open: 1, .. })));
    assert_eq!(fs_err::read(writer.path().join("journal.jsonl")).unwrap(), before);
    common::finish(&mut writer, &resolved);
    // A number that JSON cannot carry exactly is not written as another one.
    let error = writer.append(events[0].clone()).unwrap_err();
    assert!(error.to_string().contains("already ended"), "{error}");
}

#[test]
fn links_planted_in_a_set_are_not_followed() {
    let (_keep, root) = folder();
    let store = store(&root);
    let resolved = common::plan(TINY);
    let writer = common::begin(&store, &resolved);
    let path = writer.path().to_owned();
    let outside = root.join("outside");
    fs_err::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, path.join("cases")).unwrap();
    let id = writer.ledger().pending().remove(0);
    assert!(matches!(writer.log_path(&id), Err(ArtifactError::NotPlain { .. })));
    assert!(matches!(writer.put("cases/x", b""), Err(ArtifactError::NotPlain { .. })));
    for name in ["../x", "/x", "plan.json", "journal.jsonl", "manifest.json", ""] {
        assert!(matches!(writer.put(name, b""), Err(ArtifactError::Name { .. })), "{name}");
    }
    drop(writer);
    assert!(matches!(
        store.resume(&path, &resolved, &common::environment(), "0.1.0"),
        Err(ArtifactError::NotPlain { .. })
    ));
    assert!(content(&outside).is_empty());
}
