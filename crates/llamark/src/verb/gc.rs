//! `llamark gc`: removes from the cache what no artifact set refers to. The sets themselves are never touched.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::ArtifactSet;
use llamark_artifact::files::{self, FileError, Lock};
use llamark_build::Builder;
use llamark_fetch::Fetcher;
use llamark_record::plan::ResolvedPlan;
use llamark_report::format::{bytes, counted};
use serde::Serialize;

use crate::cli::Gc;
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome};

/// What is younger may be of a run that has no set yet.
const RECENT: Duration = Duration::from_secs(3600);

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Fate {
    /// A set refers to it.
    Referred,
    /// It was made within the last hour, or somebody is at it.
    InUse,
    /// It would be removed.
    Unused,
    /// It was.
    Removed,
}

/// One entry of the cache.
#[derive(Serialize)]
struct Entry {
    path: Utf8PathBuf,
    what: &'static str,
    bytes: u64,
    fate: Fate,
    #[serde(skip)]
    lock: Option<Utf8PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Gc) -> Outcome {
    let plans = plans(context)?;
    // While somebody compiles or measures, everything may be in use: what a set does not refer to yet, and what it needs next.
    let machine = Machine::of(context);
    let mut entries = entries(context, &plans, &machine);
    if args.delete {
        for entry in entries.iter_mut().filter(|entry| entry.fate == Fate::Unused) {
            entry.fate = if remove(entry).or_fail(Exit::BadInput)? { Fate::Removed } else { Fate::InUse };
        }
    }
    if args.json {
        context.terminal.json(&entries)?;
    }
    let terminal = context.terminal;
    let sum = |fates: &[Fate]| -> u64 {
        entries.iter().filter(|entry| fates.contains(&entry.fate)).map(|entry| entry.bytes).sum()
    };
    for entry in &entries {
        let word = match entry.fate {
            Fate::Unused => "Unused",
            Fate::Removed => "Removed",
            Fate::InUse | Fate::Referred => {
                terminal.detail(&format!("kept: {} {} ({})", entry.what, entry.path, bytes(entry.bytes)));
                continue;
            }
        };
        terminal.step(word, &format!("{} {} ({})", entry.what, entry.path, bytes(entry.bytes)));
    }
    let kept = bytes(sum(&[Fate::Referred, Fate::InUse]));
    let sets = format!("{} in {}", counted(plans.len(), "set"), shown(&context.artifacts));
    if args.delete {
        terminal.done(&format!("{} removed, {kept} kept ({sets})", bytes(sum(&[Fate::Removed]))));
    } else {
        terminal.done(&format!(
            "{} could be removed, {kept} are in use ({sets}); nothing was removed: `llamark gc --delete` removes it",
            bytes(sum(&[Fate::Unused]))
        ));
    }
    Ok(Exit::Done)
}

/// Whether somebody compiles or measures with this cache, on this machine or another that shares it.
enum Machine {
    /// Somebody does.
    Busy,
    /// Nobody does, and nobody begins to here while this lives.
    Free {
        /// Of this machine; absent if there is no cache yet.
        _held: Option<Lock>,
    },
}

impl Machine {
    fn of(context: &Context) -> Self {
        let ours = context.machine_lock();
        let is_lock = |path: &Utf8PathBuf| {
            path.file_name().is_some_and(|name| name.starts_with("machine-") && name.ends_with(".lock"))
        };
        let inside = context.cache.read_dir_utf8().into_iter().flatten().flatten();
        let others: Vec<Utf8PathBuf> = inside
            .map(camino::Utf8DirEntry::into_path)
            .filter(|path| is_lock(path) && *path != ours)
            .collect();
        let is_taken = |path: &Utf8PathBuf| matches!(Lock::try_exclusive(path), Ok(None));
        if others.iter().any(is_taken) {
            return Self::Busy;
        }
        match Lock::try_exclusive(&ours) {
            Ok(None) => Self::Busy,
            held => Self::Free { _held: held.ok().flatten() },
        }
    }
}

/// The plan of every set, sealed or not. One that does not read could refer to anything, so that nothing is removed then.
fn plans(context: &Context) -> Result<Vec<ResolvedPlan>, Failed> {
    let sets = context.store().sets(None).or_fail(Exit::NotVerified)?;
    let hint = "what it uses is unknown, so nothing is removed";
    let plan = |path: &Utf8Path| ArtifactSet::read_plan(path).or_fail_hint(Exit::NotVerified, hint);
    sets.iter().map(|set| plan(&set.path)).collect()
}

fn entries(context: &Context, plans: &[ResolvedPlan], machine: &Machine) -> Vec<Entry> {
    let keys: BTreeSet<_> = plans.iter().flat_map(|plan| plan.build_keys.values()).collect();
    let of = |path: Utf8PathBuf, lock, what, is_referred: bool| {
        let content = Content::of(&path);
        let fate = match () {
            () if is_referred => Fate::Referred,
            () if matches!(machine, Machine::Busy) || content.is_recent => Fate::InUse,
            () => Fate::Unused,
        };
        Entry { bytes: content.bytes, path, what, fate, lock }
    };
    let mut all = Vec::new();
    for (folder, lock, key) in Builder::new(&context.cache).cached() {
        all.push(of(folder, Some(lock), "build", keys.contains(&key)));
    }
    for cached in Fetcher::new(&context.cache).cached() {
        let is_referred = plans.iter().any(|plan| cached.content.is_of(plan));
        all.push(of(cached.path, cached.lock, cached.content.word(), is_referred));
    }
    for folder in ["tmp", "scratch", "builds", "downloads", "git", "models", "sources"] {
        let Ok(inside) = context.cache.join(folder).read_dir_utf8() else { continue };
        for entry in inside.flatten() {
            // Whatever is being filled has such a name, wherever it is; in the first two, all is.
            let is_unfinished = entry.file_name().starts_with(files::TEMPORARY_PREFIX);
            if is_unfinished || matches!(folder, "tmp" | "scratch") {
                all.push(of(entry.into_path(), None, "leftover of a run that was killed", false));
            }
        }
    }
    all
}

/// What a walk through an entry finds.
#[derive(Default)]
struct Content {
    /// Bytes of all files; several names of one file count once.
    bytes: u64,
    /// Whether anything of it was changed within the last hour; also where that cannot be told. The time of the folder alone
    /// stands still while a file in it grows.
    is_recent: bool,
    /// Files that were counted.
    seen: BTreeSet<(u64, u64)>,
}

impl Content {
    fn of(path: &Utf8Path) -> Self {
        let mut this = Self::default();
        this.add(path);
        this
    }

    fn add(&mut self, path: &Utf8Path) {
        let Ok(metadata) = path.symlink_metadata() else {
            self.is_recent = true;
            return;
        };
        let age = metadata.modified().ok().and_then(|changed| SystemTime::now().duration_since(changed).ok());
        self.is_recent |= age.is_none_or(|age| age < RECENT);
        if !metadata.is_dir() {
            let is_new = self.seen.insert((metadata.dev(), metadata.ino()));
            self.bytes += if is_new { metadata.len() } else { 0 };
            return;
        }
        match path.read_dir_utf8().and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(inside) => inside.iter().for_each(|entry| self.add(entry.path())),
            Err(_) => self.is_recent = true,
        }
    }
}

/// Removes it, unless somebody holds its lock. Half of it, where this is killed, is found out by its digests.
fn remove(entry: &Entry) -> Result<bool, FileError> {
    let _lock = match &entry.lock {
        Some(lock) => match Lock::try_exclusive(lock)? {
            Some(lock) => Some(lock),
            None => return Ok(false),
        },
        None => None,
    };
    if entry.path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        files::remove_folder(&entry.path)?;
    } else {
        files::remove_file(&entry.path)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_is_recent() {
        assert!(Content::of(Utf8Path::new("/nowhere/at/all")).is_recent);
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap();
        let file = std::fs::File::create_new(path.join("future")).unwrap();
        let old = SystemTime::now() - 2 * RECENT;
        let age = |time| {
            file.set_modified(time).unwrap();
            fs_err::File::open(path).unwrap().file().set_modified(old).unwrap();
            Content::of(path).is_recent
        };
        assert!(!age(old));
        assert!(age(SystemTime::now()));
        assert!(age(SystemTime::now() + RECENT), "a clock that was set back");
    }
}
