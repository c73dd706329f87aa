//! A comparison for people and for programs; this file has what the formats share. All are pure functions of it.

mod checks;
mod explain;
pub(super) mod forest;
pub(super) mod in_toto;
pub(super) mod junit;
pub(super) mod markdown;
mod markup;
mod rows;
pub(super) mod tally;
pub(super) mod terminal;
mod together;
mod why;

/// How much is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Equivalent metrics too, instead of a count.
    pub all: bool,
    /// How each verdict came to be, and what differs around each case.
    pub explain: bool,
}
