//! From text to [`Spec`].

use crate::diagnostic::{Diagnostics, Problem};
use crate::experiment::Experiment;
use crate::source::Source;

/// An experiment that obeys every rule that its text alone can break, and knows its lines.
#[derive(Clone, Debug)]
pub struct Spec {
    experiment: Experiment,
}

impl Spec {
    /// The experiment as typed.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }
}

/// Reads an experiment.
///
/// # Errors
/// Every problem of the text, each with its place.
pub fn parse(source: &Source) -> Result<Spec, Diagnostics> {
    match serde_yaml::from_str(source.text()) {
        Ok(experiment) => Ok(Spec { experiment }),
        Err(error) => Err(Diagnostics::new(source.clone(), vec![Problem::new("spec/yaml", 0..0, error.to_string())])),
    }
}
