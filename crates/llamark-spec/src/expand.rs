//! From [`Spec`] to [`Plan`]: every default filled in, every combination written out.

use camino::Utf8Path;
use llamark_record::plan::Plan;

use crate::diagnostic::{Diagnostics, Problem};
use crate::parse::Spec;
use crate::source::Source;

/// What expanding needs to know of the world; the caller gives it, so that expanding is a pure function.
pub trait Surroundings {
    /// Physical cores that this process may use; at least 1.
    fn usable_cores(&self) -> u32;

    /// The text of a prompt, by its path relative to the experiment.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read_prompt(&self, relative: &Utf8Path) -> std::io::Result<String>;
}

/// Fills in every default and writes out every combination.
///
/// # Errors
/// When a prompt cannot be read or is empty.
pub fn expand(spec: &Spec, source: &Source, surroundings: &dyn Surroundings) -> Result<Plan, Diagnostics> {
    let _ = (spec, surroundings);
    Err(Diagnostics::new(source.clone(), vec![Problem::new("spec/x", 0..0, "not yet")]))
}
