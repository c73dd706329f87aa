//! Who is left of a child's family, read from `/proc`, and the end of them.
//!
//! A process belongs to the family when it is in the child's group, descends from it, or carries its mark in the
//! environment (so a daemon that left group, session and parent behind is still found).

use std::collections::HashSet;
use std::io::Read as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

use crate::guard::Watchdog;
use crate::registry::{self, MARK_VARIABLE};

/// How long to go on killing: each pass takes milliseconds, and something that forks faster is ended by its
/// group at the first.
const PATIENCE: Duration = Duration::from_secs(3);

/// One process, as `/proc/PID/stat` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    pid: Pid,
    parent: Option<Pid>,
    group: Option<Pid>,
    /// Clock ticks after boot; with the pid it names a process for ever.
    started: u64,
    zombie: bool,
}

/// Every process that can be seen; none where there is no `/proc`.
fn scan() -> Vec<Entry> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    folder
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| parse_stat(&fs_err::read(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// Fields of proc_pid_stat(5): 1 pid, 2 (name), 3 state, 4 parent, 5 group, 22 start time. The name may hold
/// spaces, parentheses and any byte, so everything is counted from the last `)`.
fn parse_stat(stat: &[u8]) -> Option<Entry> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(stat.get(..name_end)?.split(|byte| *byte == b' ').next()?).ok()?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // A process that is just being taken away has -1 for a group, and `from_raw` panics on that.
    let to_pid = |text: &str| text.parse().ok().filter(|raw| *raw > 0).and_then(Pid::from_raw);
    let pid_at = |index: usize| fields.get(index).map(|text| to_pid(text));
    Some(Entry {
        pid: to_pid(pid)?,
        parent: pid_at(1)?,
        group: pid_at(2)?,
        started: fields.get(19)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}

/// Whether the environment of `pid` has our variable with a value that begins with `mark`. Only our own user's
/// processes can be read.
fn has_mark(pid: Pid, mark: &str) -> bool {
    const MOST: u64 = 4 << 20;
    let Ok(file) = fs_err::File::open(format!("/proc/{pid}/environ", pid = pid.as_raw_pid())) else {
        return false;
    };
    let mut bytes = Vec::new();
    if file.take(MOST).read_to_end(&mut bytes).is_err() {
        return false;
    }
    let wanted = format!("{MARK_VARIABLE}={mark}");
    bytes.split(|byte| *byte == 0).any(|variable| variable.starts_with(wanted.as_bytes()))
}

/// Whom to look for.
struct Family<'a> {
    /// Groups, which are also the ids of their leaders.
    groups: &'a HashSet<Pid>,
    /// Beginning of the mark in the environment.
    mark: &'a str,
    /// Nothing that started earlier can belong to it, ticks after boot.
    since: u64,
    /// Never any of these.
    spared: &'a dyn Fn(&Entry) -> bool,
    /// Every child of this process that is not spared belongs to it too: orphans that came to us.
    adopted_by: Option<Pid>,
}

impl Family<'_> {
    /// The members in `entries` that live.
    fn members(&self, entries: &[Entry]) -> Vec<Entry> {
        let mut ids: HashSet<Pid> = self.groups.clone();
        let is_candidate = |entry: &Entry| entry.started >= self.since && !(self.spared)(entry);
        let is_in = |id: Option<Pid>, ids: &HashSet<Pid>| id.is_some_and(|id| ids.contains(&id));
        for entry in entries.iter().filter(|entry| is_candidate(entry)) {
            let adopted = self.adopted_by.is_some() && entry.parent == self.adopted_by;
            if adopted || is_in(entry.group, self.groups) || (!entry.zombie && has_mark(entry.pid, self.mark))
            {
                ids.insert(entry.pid);
            }
        }
        loop {
            let before = ids.len();
            let found = entries.iter().filter(|entry| is_candidate(entry) && is_in(entry.parent, &ids));
            let found: Vec<Pid> = found.map(|entry| entry.pid).collect();
            ids.extend(found);
            if ids.len() == before {
                break;
            }
        }
        let lives = |entry: &&Entry| ids.contains(&entry.pid) && is_candidate(entry) && !entry.zombie;
        entries.iter().filter(lives).cloned().collect()
    }

    /// Kills until nobody is left. How many there were.
    fn kill(&self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        let mut killed: HashSet<(Pid, u64)> = HashSet::new();
        loop {
            let members = self.members(&scan());
            for entry in &members {
                killed.insert((entry.pid, entry.started));
            }
            for group in self.groups {
                let _ = rustix::process::kill_process_group(*group, Signal::KILL);
            }
            for entry in &members {
                let _ = rustix::process::kill_process(entry.pid, Signal::KILL);
            }
            if members.is_empty() || Instant::now() >= deadline {
                return u32::try_from(killed.len()).unwrap_or(u32::MAX);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Kills what is left of the family of `leader`, a child that has ended and is not reaped yet (so that neither
/// its id nor its group can be anybody else's). How many processes that were.
pub(crate) fn sweep(leader: Pid, mark: &str) -> u32 {
    let me = rustix::process::getpid();
    let since = own_start(leader).unwrap_or(0);
    let (adopts, watchdog) = {
        let registry = registry::lock();
        // Orphans come to us only when we asked for them, and are the leader's only when it has no sibling.
        (
            registry.watchdog.is_some() && registry.is_last(leader),
            registry.watchdog.as_ref().map(Watchdog::pid),
        )
    };
    let spared = |entry: &Entry| {
        entry.pid == me
            || entry.pid == leader
            || Some(entry.pid) == watchdog
            || (entry.parent == Some(me) && registry::lock().knows(entry.pid))
    };
    let groups = HashSet::from([leader]);
    let adopted_by = adopts.then_some(me);
    let killed = Family { groups: &groups, mark, since, spared: &spared, adopted_by }.kill();
    reap_orphans(me);
    killed
}

fn own_start(pid: Pid) -> Option<u64> {
    let stat = fs_err::read(format!("/proc/{pid}/stat", pid = pid.as_raw_pid())).ok()?;
    Some(parse_stat(&stat)?.started)
}

/// Takes the dead that came to us from the system.
fn reap_orphans(me: Pid) {
    for entry in scan() {
        if entry.parent == Some(me) && entry.zombie {
            let registry = registry::lock();
            if !registry.knows(entry.pid) {
                let _ = rustix::process::waitpid(Some(entry.pid), WaitOptions::NOHANG);
            }
        }
    }
}

/// Kills every family that the process with `mark` has left behind. For the watchdog, when that process is dead.
pub(crate) fn kill_all(groups: &HashSet<Pid>, mark: &str) {
    let me = rustix::process::getpid();
    let spared = |entry: &Entry| entry.pid == me;
    Family { groups, mark, since: 0, spared: &spared, adopted_by: None }.kill();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_with_hostile_names() {
        let numbers = "0 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0";
        let line = format!("42 (a) Z 1 (\u{e9} b) S 7 42 42 {numbers}");
        let entry = parse_stat(line.as_bytes()).unwrap();
        assert_eq!(entry.pid, Pid::from_raw(42).unwrap());
        assert_eq!(entry.parent, Pid::from_raw(7));
        assert_eq!((entry.group, entry.zombie), (Pid::from_raw(42), false));
        let zombie = parse_stat(format!("42 (\u{fffd}x) Z 7 42 42 {numbers}").as_bytes()).unwrap();
        assert!(zombie.zombie);
        let leaving = parse_stat(format!("42 (x) X 0 -1 -1 {numbers}").as_bytes()).unwrap();
        assert_eq!((leaving.parent, leaving.group), (None, None));
        for bad in ["", "42", "42 (x)", "42 (x) S 1", "x (y) S 1 2 3", "-42 (x) S 7 42 42 0"] {
            assert_eq!(parse_stat(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_start_time_is_field_22() {
        // Fields 3.. of a real line.
        let line = "1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9000 1 2";
        assert_eq!(parse_stat(line.as_bytes()).unwrap().started, 9000);
        assert!(own_start(rustix::process::getpid()).unwrap() > 0);
    }

    #[test]
    fn a_family_is_group_descendants_and_adopted_orphans() {
        let entry = |pid: i32, parent: i32, group: i32| Entry {
            pid: Pid::from_raw(pid).unwrap(),
            parent: Pid::from_raw(parent),
            group: Pid::from_raw(group),
            started: 10,
            zombie: false,
        };
        let far = 2_000_000_000;
        // Ids that no real process has, so that no environment is found.
        let entries = [
            entry(far, 1, far),                             // the leader
            entry(far + 1, far, far),                       // in its group
            entry(far + 2, far + 1, 7),                     // left the group, still a descendant
            entry(far + 3, 1, far),                         // orphan in the group
            entry(far + 4, 5, 5),                           // adopted by us (5)
            entry(far + 5, far + 4, 6),                     // its child
            entry(far + 6, 1, 1),                           // a stranger
            Entry { started: 3, ..entry(far + 7, 1, far) }, // too old to be of the family: the group's id was reused
        ];
        let groups = HashSet::from([Pid::from_raw(far).unwrap()]);
        let spared = |entry: &Entry| entry.pid.as_raw_pid() == far;
        let members = |adopted_by: Option<Pid>| -> Vec<i32> {
            let family = Family { groups: &groups, mark: "none", since: 10, spared: &spared, adopted_by };
            family.members(&entries).iter().map(|entry| entry.pid.as_raw_pid() - far).collect()
        };
        assert_eq!(members(None), [1, 2, 3]);
        assert_eq!(members(Pid::from_raw(5)), [1, 2, 3, 4, 5]);
    }
}
