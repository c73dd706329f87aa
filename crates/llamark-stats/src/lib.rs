//! Takes: numbers, as slices of `f64`; nothing of ours.
//! Gives: descriptions, intervals, tests and verdicts, each with its formula and its source.
//! Never: panics, returns NaN, pools the runs of one server start as if they were independent, or does I/O.
//!
//! What cannot be computed is `None` or a named variant, never a NaN and never a made-up number. Every function
//! says when that is. All intervals and tests are two-sided unless the name says otherwise.

pub mod chance;
pub mod correlation;
pub mod describe;
pub mod estimate;
pub mod group;
pub mod interval;
pub mod multiple;
pub mod pools;
pub mod rank;
pub mod ratio;
pub mod search;
pub mod sequential;
pub mod shrink;
pub mod special;
pub mod start_level;
pub mod steady;
pub mod two_sample;
pub mod until;
pub mod verdict;
pub mod warmup;

pub use describe::{Description, describe, mean, median, standard_deviation};
pub use interval::{Interval, OrderInterval};
pub use start_level::{Design, Direction, Effect};
