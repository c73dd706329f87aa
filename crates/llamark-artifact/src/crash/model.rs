//! A file system that promises what POSIX promises, and no more: what is not flushed may be on the disk or not, each
//! thing by itself.
//!
//! * Bytes and size of a file are durable after a flush of the file. Before, a crash leaves any state of each change
//!   since: none, all, torn at a multiple of 512 bytes or at any other place tried here, the size without the bytes
//!   (zeros), or the last block without the first.
//! * A name is durable after a flush of its folder, not of the file that it names. Before, each change of a name
//!   since may be there or not, whatever became of the others.
//! * A change of a name is one: `rename` shows the file under the old name, under the new one, or (since the two
//!   halves may lie in two blocks) under both. Never under none, which every file system with `rename` promises.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;

use super::log::Operation;

/// Bytes that a disk writes at once.
const SECTOR: usize = 512;

/// A file or folder, by a number of the model.
type Node = usize;

/// Content of a file after a crash, or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    File(Vec<u8>),
    Folder(BTreeMap<String, Node>),
}

/// What is durable of a node, and what was done to it since.
#[derive(Clone, Debug)]
struct State {
    durable: Content,
    pending: Vec<Change>,
}

/// A change that is not flushed.
#[derive(Clone, Debug)]
enum Change {
    Append(Vec<u8>),
    Cut(usize),
    Name(String, Node),
    Rename(String, String, Node),
    Remove(String),
}

/// The disk after some operations.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    nodes: Vec<State>,
    /// Number of the node that an inode is now.
    inodes: BTreeMap<u64, Node>,
}

/// Files and folders by their paths; a folder has no content.
pub(crate) type Tree = BTreeMap<String, Option<Vec<u8>>>;

impl Disk {
    /// What is in a real folder now, all of it durable.
    pub(crate) fn of(root: &Utf8Path) -> Self {
        let mut disk = Self { nodes: Vec::new(), inodes: BTreeMap::new() };
        disk.take(root);
        disk
    }

    fn take(&mut self, path: &Utf8Path) -> Node {
        let node = self.nodes.len();
        self.nodes.push(State { durable: Content::File(Vec::new()), pending: Vec::new() });
        let metadata = path.symlink_metadata().unwrap();
        self.inodes.insert(metadata.ino(), node);
        self.nodes[node].durable = if metadata.is_dir() {
            let entries = path.read_dir_utf8().unwrap().map(|entry| entry.unwrap());
            let names = entries.map(|entry| (entry.file_name().to_owned(), self.take(entry.path())));
            Content::Folder(names.collect())
        } else {
            Content::File(fs_err::read(path).unwrap())
        };
        node
    }

    fn node(&self, inode: u64) -> Node {
        *self
            .inodes
            .get(&inode)
            .unwrap_or_else(|| panic!("inode {inode} was made by nobody: a call is not noted"))
    }

    fn make(&mut self, folder: u64, name: &str, inode: u64, durable: Content) {
        let node = self.nodes.len();
        self.nodes.push(State { durable, pending: Vec::new() });
        self.inodes.insert(inode, node);
        self.change(folder, Change::Name(name.to_owned(), node));
    }

    fn change(&mut self, inode: u64, change: Change) {
        let node = self.node(inode);
        self.nodes[node].pending.push(change);
    }

    /// Does the operation.
    pub(crate) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create { folder, name, inode } => {
                self.make(*folder, name, *inode, Content::File(Vec::new()));
            }
            Operation::MakeFolder { folder, name, inode } => {
                self.make(*folder, name, *inode, Content::Folder(BTreeMap::new()));
            }
            Operation::Append { inode, bytes } => self.change(*inode, Change::Append(bytes.clone())),
            Operation::Cut { inode, length } => self.change(*inode, Change::Cut(*length)),
            Operation::Rename { folder, from, to, inode } => {
                let node = self.node(*inode);
                self.change(*folder, Change::Rename(from.clone(), to.clone(), node));
            }
            Operation::Remove { folder, name } => self.change(*folder, Change::Remove(name.clone())),
            Operation::Sync { inode } => {
                let node = self.node(*inode);
                let state = &mut self.nodes[node];
                for change in std::mem::take(&mut state.pending) {
                    keep(&mut state.durable, &change, Kept::All);
                }
            }
        }
    }

    /// How many changes may be on the disk or not.
    pub(crate) fn pending(&self) -> usize {
        self.nodes.iter().map(|node| node.pending.len()).sum()
    }

    /// The disk after a crash that keeps of each pending change, in their order, what `fate` says.
    pub(crate) fn crash(&self, fate: &mut dyn FnMut() -> Kept) -> Tree {
        let mut after: Vec<Content> = Vec::new();
        for node in &self.nodes {
            let mut content = node.durable.clone();
            for change in &node.pending {
                keep(&mut content, change, fate());
            }
            after.push(content);
        }
        let mut tree = Tree::new();
        descend(&after, 0, "", &mut tree);
        tree
    }
}

/// What is left of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing.
    None,
    /// All of it.
    All,
    /// Of a write, the first part, up to a multiple of 512 bytes; of a change of a name, that both are there.
    Torn,
    /// Of a write, all but its last byte.
    Short,
    /// Of a write, its size: zeros.
    Zeros,
    /// Of a write, everything but the first 512 bytes, which are zeros.
    Tail,
}

impl Kept {
    /// All of them.
    pub(crate) const EACH: [Self; 6] =
        [Self::None, Self::All, Self::Torn, Self::Short, Self::Zeros, Self::Tail];
}

fn keep(content: &mut Content, change: &Change, kept: Kept) {
    if kept == Kept::None {
        return;
    }
    match (content, change) {
        (Content::File(bytes), Change::Append(more)) => {
            let mut more = more.clone();
            match kept {
                // Lines of a small set have less than a sector: they are torn in the middle, which is worse.
                Kept::Torn if more.len() > SECTOR => more.truncate((more.len() - 1) / SECTOR * SECTOR),
                Kept::Torn => more.truncate(more.len() / 2),
                Kept::Short => more.truncate(more.len().saturating_sub(1)),
                Kept::Zeros => more.fill(0),
                Kept::Tail => more.iter_mut().take(SECTOR).for_each(|byte| *byte = 0),
                Kept::All | Kept::None => {}
            }
            bytes.extend_from_slice(&more);
        }
        (Content::File(bytes), Change::Cut(length)) => bytes.truncate(*length),
        (Content::Folder(names), Change::Name(name, node)) => {
            names.insert(name.clone(), *node);
        }
        (Content::Folder(names), Change::Rename(from, to, node)) => {
            if kept != Kept::Torn && names.get(from) == Some(node) {
                names.remove(from);
            }
            names.insert(to.clone(), *node);
        }
        (Content::Folder(names), Change::Remove(name)) => {
            names.remove(name);
        }
        (content, change) => panic!("{change:?} on {content:?}"),
    }
}

fn descend(after: &[Content], node: Node, prefix: &str, tree: &mut Tree) {
    match &after[node] {
        Content::File(bytes) => {
            tree.insert(prefix.to_owned(), Some(bytes.clone()));
        }
        Content::Folder(names) => {
            if !prefix.is_empty() {
                tree.insert(prefix.to_owned(), None);
            }
            for (name, node) in names {
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
                descend(after, *node, &path, tree);
            }
        }
    }
}
