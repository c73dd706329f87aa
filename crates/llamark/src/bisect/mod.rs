//! The search for the first bad revision: which revisions there are, which comes next, one of
//! them against the good end, what is kept.
//!
//! Everything that is measured lies in ordinary pairs of sets (`crate::turns`), and every verdict in a file that is
//! written after each step: a search that was killed continues with the same command.

pub(crate) mod history;
pub(crate) mod laboratory;
pub(crate) mod record;
pub(crate) mod search;
pub(crate) mod show;
