//! Takes: where an engine or a model comes from, as the plan says it (a synthetic one is made); a cache folder.
//! Gives: the bytes on this disk, verified before anything of them is unpacked or run, and their digests.
//! Never: a file outside the cache; an unpacked byte outside its folder; a secret in an argument or a message.

mod archive;
mod by_digest;
mod cached;
mod digest;
mod download;
mod engine;
mod error;
mod fetcher;
mod git;
mod huggingface;
mod identify;
mod memory;
mod model;
mod package;
mod shards;
mod source;
mod synthetic;
#[cfg(test)]
mod testing;
mod tree;

pub use archive::{ArchiveError, Limits, unpack};
pub use cached::{Cached, Content};
pub use digest::digest_file;
pub use error::FetchError;
pub use fetcher::{Event, FetchedEngine, FetchedModel, Fetcher, HuggingFace, Token};
pub use git::Commit;
pub use identify::Identified;
pub use shards::shards;
pub use tree::{TREE_FORMAT, tree_digest};
