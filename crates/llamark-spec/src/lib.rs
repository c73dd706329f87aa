//! Takes: the text of an experiment (YAML) and, to expand it, the prompts and the number of usable cores; of a lock file.
//! Gives: every problem of the text at once, a [`Spec`] that knows its lines, the [`Plan`], what a lock pins of it, the
//! JSON Schemas.
//! Never: a process, a clock, the network, or a file that the caller did not read for it.

pub mod ab;
pub mod accepted;
pub mod canary;
pub mod defaults;
pub mod diagnostic;
pub mod engines;
pub mod experiment;
pub mod lock;
pub mod perplexity;
pub mod procedure;
pub mod rules;
pub mod schema;
pub mod source;
pub mod sources;
pub mod synthetic;
pub mod text;
pub mod units;
pub mod values;

mod expand;
mod matrix;
mod node;
mod parse;
mod scalar;
mod schedule;
mod semantic;
mod shape;
mod suggest;
mod syntax;
mod validate;
mod variant;

pub use accepted::parse_accepted;
pub use diagnostic::{Diagnostic, Diagnostics, Style};
pub use engines::parse_engines;
pub use expand::{Surroundings, expand};
pub use experiment::Experiment;
pub use llamark_record::plan::Plan;
pub use parse::{Spec, parse};
pub use schedule::{Turns, interleave};
pub use schema::{
    accepted_schema, bisect_schema, comparison_schema, engines_schema, environment_schema, experiment_schema,
    journal_schema, lock_schema, manifest_schema, noise_schema, plan_schema, resolved_plan_schema,
};
pub use source::Source;
