//! Takes: the bytes of a stranger, one function for each kind of input.
//! Gives: nothing, or a panic when llamark broke a promise on them: no panic, bounded, nothing outside, nothing false.
//! Never: in the command; tests replay a corpus through these functions, and `just fuzz` finds more for it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "each function is a test: it panics on what must not be, and plays the stranger who writes files"
)]

mod archive;
mod document;
mod experiment;
mod folder;
mod journal;
mod model;
#[cfg(feature = "pages")]
mod page;
mod server;
mod set;

pub use archive::{archive, archive_entries};
pub use document::{llama_bench, report};
pub use experiment::{accepted, experiment, lock};
pub use journal::{journal, journal_events};
pub use model::gguf;
#[cfg(feature = "pages")]
pub use page::page;
pub use server::{answer, help, log};
pub use set::{noise, set_file};

/// An input by the name of its fuzz target and of its folder in the corpus.
pub type Input = (&'static str, fn(&[u8]));

/// Every input.
pub const INPUTS: &[Input] = &[
    ("accepted", accepted),
    ("answer", answer),
    ("archive", archive),
    ("archive_entries", archive_entries),
    ("experiment", experiment),
    ("gguf", gguf),
    ("help", help),
    ("journal", journal),
    ("journal_events", journal_events),
    ("llama_bench", llama_bench),
    ("lock", lock),
    ("log", log),
    ("noise", noise),
    #[cfg(feature = "pages")]
    ("page", page),
    ("report", report),
    ("set_file", set_file),
];
