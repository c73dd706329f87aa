//! Takes: plans, records and events of `llamark-record`; a folder of artifact sets.
//! Gives: artifact sets on disk that survive a crash at any instant, read back and verified; the files module.
//! Never: YAML, a process, the network; no file is written except through [`files`].

pub mod files;
pub mod journal;
pub mod ledger;
pub mod set;
pub mod verify;
pub mod vouch;

mod by_seal;
mod canonical;
mod error;
mod names;
mod plain;
mod seal;
mod store;
mod structure;
mod writer;

pub use error::ArtifactError;
pub use ledger::{CaseLedger, Ledger, StartLedger};
pub use names::folder_name;
pub use set::ArtifactSet;
pub use store::{Found, Given, SetInfo, Store};
pub use verify::{Check, Verification, verify};
pub use writer::SetWriter;

#[cfg(test)]
extern crate self as llamark_artifact;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
#[cfg(test)]
mod crash;
