//! Takes: plans, records and events of `llamark-record`; a folder of artifact sets.
//! Gives: artifact sets on disk that survive a crash at any instant, read back and verified; the files module.
//! Never: YAML, a process, the network; no file is written except through [`files`].

pub mod files;
