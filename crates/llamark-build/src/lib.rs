//! Takes: a planned build, a llama.cpp source tree with its digest (or a folder that somebody else built).
//! Gives: a [`BuildRecord`](llamark_record::build::BuildRecord) and a folder of binaries in the cache, or a hit.
//! Never: fetching a source, measuring, printing; nothing is written into the source tree.

mod builder;
mod cache_txt;
mod cmake;
mod compile_error;
mod configure_log;
mod dead_flags;
mod error;
mod event;
mod key;
mod machine;
mod prebuilt;
mod probe;
mod requirements;
mod sdk;
mod store;
mod tools;
mod tree;
mod workshop;

pub use builder::{Builder, Built, Origin, Prepared};
pub use compile_error::Finding;
pub use dead_flags::{DeadFlag, Reason};
pub use error::BuildError;
pub use event::Event;
pub use key::{BUILD_FORMAT, INPUTS_FORMAT, key_of};
pub use machine::Machine;
pub use requirements::{Install, Missing, Requirement, check, check_on, requirements};
