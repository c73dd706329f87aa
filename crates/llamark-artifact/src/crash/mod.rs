//! Every crash of making, filling and sealing a set, on a model of a file system that keeps no more than it must.
//!
//! The product code runs on a real folder, and `files::disk` notes each call ([`log`]). The calls are done again on
//! the [`model`], which says what the disk may hold when the power fails before any of them; each such state is laid
//! out in a folder, and the product code recovers from it. That the notes are complete is checked by comparing the
//! model with the real folder; that the checks can fail, by leaving out each flush in turn.
#![expect(clippy::disallowed_methods, reason = "tests: they lay out by hand what a crash left")]

pub(crate) mod log;
mod model;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::journal::{CaseClosed, Entry, Event};
use llamark_record::plan::ResolvedPlan;

use crate::common::{self, TINY, folder};
use crate::journal::JOURNAL;
use crate::{ArtifactError, ArtifactSet, Found, Given, SetWriter, verify};
use log::{Fault, Operation};
use model::{Disk, Kept, Tree};

/// Most pending changes whose every combination is tried; of more, some.
const EVERY_COMBINATION: usize = 6;

/// What was acknowledged before a crash, and so must be there after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Promise {
    /// Entries of the journal; there is a set when there is one.
    entries: usize,
    /// How often `notes.txt` was written.
    notes: usize,
    /// The set was sealed.
    sealed: bool,
}

/// What was written into `notes.txt`, one after the other.
const NOTES: [&[u8]; 2] = [b"first, short", &[b'n'; 1500]];

/// A set from its beginning to its seal, as calls to the disk.
struct Recorded {
    /// The empty folder before the first call.
    before: Disk,
    operations: Vec<Operation>,
    /// What holds from that many operations on.
    promises: Vec<(usize, Promise)>,
    entries: Vec<Entry>,
    /// Files that are there from the beginning, and what was in them.
    first: Vec<(&'static str, Vec<u8>)>,
    /// What was in the file of the build.
    build: Vec<u8>,
}

/// The file of the build, which is there before the build is in the journal.
const BUILD: &str = "builds/cpu.json";

/// Notes what is acknowledged, and when.
#[derive(Default)]
struct Acknowledged {
    promises: Vec<(usize, Promise)>,
    now: Promise,
}

impl Acknowledged {
    fn note(&mut self, change: impl FnOnce(&mut Promise)) {
        change(&mut self.now);
        self.promises.push((log::length(), self.now));
    }

    fn append(&mut self, writer: &mut SetWriter, event: Event) -> Result<(), ArtifactError> {
        let again = event.clone();
        let appended = writer.append(event);
        match &appended {
            Ok(()) => self.note(|now| now.entries += 1),
            Err(ArtifactError::File(error)) if error.to_string().contains(JOURNAL) => {
                // The error of a flush is final: the next one would succeed without the data.
                let length = log::length();
                let has_file = matches!(again, Event::Build(_));
                assert!(matches!(writer.append(again), Err(ArtifactError::Abandoned { .. })));
                assert!(has_file || log::length() == length, "the journal was touched again after an error");
            }
            Err(_) => {}
        }
        appended
    }
}

/// Makes a set as `llamark run` does: models, builds, starts with a log that another program writes, files, the seal.
fn make(
    root: &Utf8Path,
    resolved: &ResolvedPlan,
    told: &mut Acknowledged,
) -> Result<Utf8PathBuf, ArtifactError> {
    let given = Given::Experiment(common::SPEC_TEXT);
    let mut writer = common::store(root).create(resolved, &given, &common::environment(), "0.1.0")?;
    told.note(|now| now.entries += 1);
    for model in &resolved.plan.models {
        told.append(&mut writer, Event::Model(common::model_record(resolved, &model.id)))?;
    }
    for build in &resolved.plan.builds {
        told.append(&mut writer, common::build_event(build))?;
    }
    for id in writer.ledger().pending() {
        let path = writer.log_path(&id)?;
        std::fs::write(&path, "main: server is listening\n").unwrap();
        log::created(path.as_std_path());
        log::written(&std::fs::File::open(&path).unwrap(), b"main: server is listening\n");
        for event in common::start_events(resolved, &id, common::Fate::Ok) {
            told.append(&mut writer, event)?;
        }
        let case = writer.ledger().case(&id.case).unwrap();
        if let Some(outcome) = case.outcome_of_starts() {
            told.append(&mut writer, Event::CaseClosed(CaseClosed { case: id.case.to_string(), outcome }))?;
        }
    }
    for content in NOTES {
        writer.put("notes.txt", content)?;
        told.note(|now| now.notes += 1);
    }
    writer.end()?;
    told.note(|now| now.entries += 1);
    let set = writer.seal(Vec::new())?;
    told.note(|now| now.sealed = true);
    Ok(set)
}

fn record(resolved: &ResolvedPlan) -> Recorded {
    let (_keep, root) = folder();
    let before = Disk::of(&root);
    let mut told = Acknowledged::default();
    log::begin();
    let set = make(&root, resolved, &mut told).unwrap();
    let (operations, promises) = (log::end(), told.promises);
    let entries = ArtifactSet::read(&set).unwrap().entries().unwrap().map(Result::unwrap).collect();
    // The notes are complete: done again on the model, they give what is on the disk.
    let mut disk = before.clone();
    operations.iter().for_each(|operation| disk.apply(operation));
    assert_eq!(disk.crash(&mut || Kept::All), tree(&root), "a call to the disk is not noted");
    assert_eq!(disk.pending(), 0, "something of a sealed set is not flushed");
    let read = |name| (name, fs_err::read(set.join(name)).unwrap());
    let first = ["plan.json", "spec.yaml", "environment.json"].map(read).to_vec();
    let build = read(BUILD).1;
    Recorded { before, operations, promises, entries, first, build }
}

/// What lies in a folder.
fn tree(root: &Utf8Path) -> Tree {
    Disk::of(root).crash(&mut || Kept::All)
}

fn lay_out(tree: &Tree, root: &Utf8Path) {
    // Sorted by path, so that a folder comes before what is in it.
    for (path, content) in tree {
        match content {
            None => std::fs::create_dir(root.join(path)).unwrap(),
            Some(bytes) => std::fs::write(root.join(path), bytes).unwrap(),
        }
    }
}

/// Every state that a crash between two operations can leave, with what was promised by then. A state that comes
/// about in two ways has the later promise, which is the stricter.
fn states(
    before: &Disk,
    operations: &[Operation],
    promise_at: &dyn Fn(usize) -> Promise,
    wanted: &dyn Fn(usize) -> bool,
) -> (BTreeMap<Tree, Promise>, usize) {
    let (mut disk, mut found, mut tried) = (before.clone(), BTreeMap::new(), 0);
    for done in 0..=operations.len() {
        if wanted(done) {
            for fates in fates(disk.pending()) {
                let mut fates = fates.into_iter();
                found.insert(disk.crash(&mut || fates.next().unwrap()), promise_at(done));
                tried += 1;
            }
        }
        if let Some(operation) = operations.get(done) {
            disk.apply(operation);
        }
    }
    (found, tried)
}

/// What may become of that many pending changes: every combination of all and nothing where they are few, each way of
/// each one with all or nothing of the others, and some of chance.
fn fates(pending: usize) -> Vec<Vec<Kept>> {
    let mut all = vec![vec![Kept::None; pending], vec![Kept::All; pending]];
    if pending <= EVERY_COMBINATION {
        for bits in 0..1_usize << pending {
            let kept = |place| if bits >> place & 1 == 1 { Kept::All } else { Kept::None };
            all.push((0..pending).map(kept).collect());
        }
    }
    for place in 0..pending {
        for kept in Kept::EACH {
            for others in [Kept::None, Kept::All] {
                let mut fates = vec![others; pending];
                fates[place] = kept;
                all.push(fates);
            }
        }
    }
    let mut chance = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..if pending > 1 { 8 } else { 0 } {
        let mut draw = || {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Kept::EACH[usize::try_from(chance >> 33).unwrap() % Kept::EACH.len()]
        };
        all.push((0..pending).map(|_| draw()).collect());
    }
    all
}

/// What `recover` found wrong.
type Broken = String;

/// Reads, resumes, finishes, seals and verifies what a crash left. The operations of the resumption are noted.
fn recover(
    tree: &Tree,
    promise: Promise,
    recorded: &Recorded,
    resolved: &ResolvedPlan,
) -> Result<Option<(Disk, Vec<Operation>)>, Broken> {
    let (_keep, root) = folder();
    lay_out(tree, &root);
    recover_in(&root, promise, recorded, resolved)
}

/// [`recover`] in that folder.
fn recover_in(
    root: &Utf8Path,
    promise: Promise,
    recorded: &Recorded,
    resolved: &ResolvedPlan,
) -> Result<Option<(Disk, Vec<Operation>)>, Broken> {
    let store = common::store(root);
    let sets = store.sets(None).map_err(|error| format!("sets are not listed: {error}"))?;
    let Some(info) = sets.first() else {
        return if promise.entries == 0 { Ok(None) } else { Err("the set is gone".to_owned()) };
    };
    if sets.len() > 1 {
        return Err("there are two sets".to_owned());
    }
    look(&info.path, promise, recorded)?;
    let found =
        store.find(resolved, &common::environment().fingerprint()).map_err(|error| error.to_string())?;
    if info.sealed {
        if found != Some(Found::Sealed(info.path.clone())) {
            return Err("the sealed set is not found".to_owned());
        }
        is_whole(&info.path)?;
        return Ok(None);
    }
    if found != Some(Found::Interrupted(info.path.clone())) {
        return Err("the interrupted set is not found".to_owned());
    }
    let before = Disk::of(root);
    log::begin();
    let writer = store.resume(&info.path, resolved, &common::environment(), "0.1.0");
    let operations = log::end();
    let mut writer = writer.map_err(|error| format!("it does not resume: {error}"))?;
    common::record_inputs_again(&mut writer, resolved);
    common::finish(&mut writer, resolved);
    let set = writer.seal(Vec::new()).map_err(|error| format!("it is not sealed: {error}"))?;
    look(&set, Promise { sealed: true, ..promise }, recorded)?;
    is_whole(&set)?;
    Ok(Some((before, operations)))
}

/// What a reader sees: all that was promised, nothing that was not written, and sealed only if whole.
fn look(set: &Utf8Path, promise: Promise, recorded: &Recorded) -> Result<(), Broken> {
    let read = ArtifactSet::read(set).map_err(|error| format!("it does not read: {error}"))?;
    let entries: Vec<Entry> =
        read.entries().and_then(Iterator::collect).map_err(|error| format!("its journal: {error}"))?;
    let kept = entries.iter().zip(&recorded.entries).take_while(|(found, written)| found == written).count();
    if kept < promise.entries {
        return Err(format!("{kept} of {} acknowledged entries are there", promise.entries));
    }
    let is_resume = |entry: &Entry| matches!(entry.event, Event::Resume(_));
    if kept < entries.len() && !is_resume(&entries[kept]) {
        return Err(format!("entry {kept} was never written"));
    }
    for (name, written) in &recorded.first {
        if fs_err::read(set.join(name)).ok().as_ref() != Some(written) {
            return Err(format!("{name} is not what was written"));
        }
    }
    let has_build = entries.iter().any(|entry| matches!(entry.event, Event::Build(_)));
    if has_build && fs_err::read(set.join(BUILD)).ok().as_ref() != Some(&recorded.build) {
        return Err("a build is recorded, and its file is not there".to_owned());
    }
    let notes = fs_err::read(set.join("notes.txt")).ok();
    let (least, most) = (promise.notes, NOTES.len());
    let is_one_of = (least..=most).any(|n| notes.as_deref() == n.checked_sub(1).map(|n| NOTES[n]));
    if !is_one_of {
        return Err(format!(
            "notes.txt was written {least} times and holds {:?}",
            notes.map(|notes| notes.len())
        ));
    }
    if promise.sealed && read.sealed.is_none() {
        return Err("its seal is gone".to_owned());
    }
    Ok(())
}

fn is_whole(set: &Utf8Path) -> Result<(), Broken> {
    let verification = verify(set, 1).map_err(|error| format!("it does not verify: {error}"))?;
    verification.first_problem().map_or(Ok(()), |problem| Err(format!("it is sealed, and {problem}")))
}

/// Names and sizes.
fn listed(tree: &Tree) -> String {
    let line = |(path, content): (&String, &Option<Vec<u8>>)| match content {
        None => format!("\n  {path}/"),
        Some(bytes) => format!("\n  {path}: {} bytes", bytes.len()),
    };
    tree.iter().map(line).collect()
}

fn promise_at(promises: &[(usize, Promise)], done: usize) -> Promise {
    promises.iter().take_while(|(from, _)| *from <= done).last().map_or_else(Promise::default, |(_, p)| *p)
}

#[test]
fn every_crash_of_a_set_leaves_what_was_acknowledged_and_nothing_false() {
    let resolved = common::plan(TINY);
    let recorded = record(&resolved);
    let at = |done| promise_at(&recorded.promises, done);
    let (found, tried) = states(&recorded.before, &recorded.operations, &at, &|_done| true);
    let (mut resumed, mut of_resumes, mut again) = (0, 0, 0);
    for (place, (tree, promise)) in found.iter().enumerate() {
        let recovered = recover(tree, *promise, &recorded, &resolved);
        let recovered = recovered
            .unwrap_or_else(|broken| panic!("{promise:?}: {broken}; the disk holds{}", listed(tree)));
        let Some((before, operations)) = recovered else { continue };
        resumed += 1;
        // A crash of the recovery itself; of some, since they are much alike.
        if place % 5 == 0 || operations.len() > 6 {
            let (found, tried) = states(&before, &operations, &|_done| *promise, &|done| done > 0);
            again += tried;
            for tree in found.keys() {
                if let Err(broken) = recover(tree, *promise, &recorded, &resolved) {
                    panic!("{promise:?}: {broken} after a second crash; the disk holds{}", listed(tree));
                }
                of_resumes += 1;
            }
        }
    }
    println!(
        "T1: {} calls to the disk, {tried} crashes, {} different states, {resumed} of them resumed; \
         {again} crashes of a resumption, {of_resumes} states",
        recorded.operations.len(),
        found.len()
    );
    assert!(recorded.operations.len() > 50 && found.len() > 100 && resumed > 50 && of_resumes > 50);
}

/// Whether some crash breaks a promise when that operation is left out.
fn is_missed(place: usize, recorded: &Recorded, resolved: &ResolvedPlan) -> Option<Broken> {
    let mut operations = recorded.operations.clone();
    operations.remove(place);
    let at = |done| promise_at(&recorded.promises, if done >= place { done + 1 } else { done });
    // What it is for shows soon, or in the sealed set.
    let wanted = |done| (place..place + 20).contains(&done) || done == operations.len();
    let (found, _tried) = states(&recorded.before, &operations, &at, &wanted);
    found.iter().find_map(|(tree, promise)| recover(tree, *promise, recorded, resolved).err())
}

#[test]
fn a_flush_that_is_left_out_is_noticed() {
    let resolved = common::plan(TINY);
    let recorded = record(&resolved);
    let flushes: Vec<usize> = (0..recorded.operations.len())
        .filter(|place| matches!(recorded.operations[*place], Operation::Sync { .. }))
        .collect();
    let missed: Vec<(usize, Option<Broken>)> =
        flushes.iter().map(|place| (*place, is_missed(*place, &recorded, &resolved))).collect();
    for (place, broken) in &missed {
        println!("call {place} left out: {}", broken.as_deref().unwrap_or("nothing is missed"));
    }
    let noticed = missed.iter().filter(|(_, broken)| broken.is_some()).count();
    println!("T1: {noticed} of {} flushes are missed when they are left out", flushes.len());
    // Every line of the journal but the last: a crash between it and the next loses what was acknowledged.
    assert!(noticed >= recorded.entries.len(), "{noticed} of {}", flushes.len());
}

/// `EIO` of a broken disk, `ENOSPC` of a full one.
const ERRORS: [i32; 2] = [5, 28];

#[test]
fn an_error_of_any_call_ends_the_work_and_the_same_work_goes_on_after_it() {
    let resolved = common::plan(TINY);
    let recorded = record(&resolved);
    let (mut faults, mut halves) = (0, 0);
    for after in 0..recorded.operations.len() * 2 {
        for (errno, half) in ERRORS.into_iter().flat_map(|errno| [(errno, false), (errno, true)]) {
            let (_keep, root) = folder();
            let mut told = Acknowledged::default();
            log::begin();
            log::set_fault(Some(Fault { after, errno, half }));
            let made = make(&root, &resolved, &mut told);
            let was_hit = !log::has_fault();
            log::set_fault(None);
            let _operations = log::end();
            if !was_hit {
                // It has fewer calls, or no write was left to take a half of.
                assert!(made.is_ok());
                continue;
            }
            let error = made.expect_err("a call failed, and nobody was told");
            let says = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let full = error.to_string().contains("the disk is full");
            assert!(full == (errno == 28), "{error}: {says}");
            if let Err(broken) = recover_in(&root, told.now, &recorded, &resolved) {
                panic!(
                    "call {after} failed with {errno}, {:?}: {broken}; there is{}",
                    told.now,
                    listed(&tree(&root))
                );
            }
            faults += 1;
            halves += usize::from(half);
        }
    }
    println!(
        "T3: {faults} calls failed (EIO, ENOSPC), {halves} of them in the middle of a write; each was said"
    );
    assert!(faults >= 2 * recorded.operations.len() && halves > 10);
}
