//! The sample set of llamark-artifact, and ways to change what it holds.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file uses a part of this; a broken helper is a broken test"
)]

pub(crate) mod published;
pub(crate) mod synthetic;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::{ArtifactSet, Ledger};
use llamark_record::environment::Environment;
use llamark_record::plan::ResolvedPlan;
use llamark_report::Material;

/// The parts of a set, to be changed by a test.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) id: String,
    pub(crate) resolved: ResolvedPlan,
    pub(crate) ledger: Ledger,
    pub(crate) environment: Environment,
}

impl Parts {
    pub(crate) fn sample() -> Self {
        let set = sample_set();
        Self {
            id: set.id.clone(),
            ledger: set.ledger().clone(),
            resolved: set.resolved,
            environment: set.environment,
        }
    }

    pub(crate) fn material(&self) -> Material<'_> {
        Material {
            id: &self.id,
            resolved: &self.resolved,
            ledger: &self.ledger,
            environment: &self.environment,
        }
    }

    /// Every time of every run of the cases of a backend, multiplied.
    pub(crate) fn slow_down(&mut self, backend: &str, percent: u64) {
        let cases = self.ledger.cases.iter_mut().filter(|case| case.case.backend == backend);
        let runs = cases.flat_map(|case| case.starts.values_mut()).flat_map(|start| &mut start.runs);
        for measurement in runs.filter_map(|run| run.measurement.as_mut()) {
            measurement.prompt_us = measurement.prompt_us * percent / 100;
            measurement.generation_us = measurement.generation_us * percent / 100;
            measurement.first_token_ns = measurement.first_token_ns * percent / 100;
        }
    }

    /// Copies of the runs of each start, so that there are `times` as many starts; each a little different.
    pub(crate) fn more_starts(&mut self, times: u32) {
        for case in &mut self.ledger.cases {
            let starts: Vec<_> = case.starts.values().cloned().collect();
            for (place, mut start) in
                starts.iter().cycle().take(starts.len() * times as usize).cloned().enumerate()
            {
                let number = u32::try_from(place).unwrap() + 1;
                start.id.start = number;
                for measurement in start.runs.iter_mut().filter_map(|run| run.measurement.as_mut()) {
                    measurement.generation_us += u64::from(number) * 97;
                    measurement.prompt_us += u64::from(number) * 13;
                }
                case.starts.insert(number, start);
            }
            case.case.starts = u32::try_from(case.starts.len()).unwrap();
        }
    }
}

pub(crate) fn sample_path() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../llamark-artifact/tests/fixtures/sample-set")
}

pub(crate) fn sample_set() -> ArtifactSet {
    ArtifactSet::read(&sample_path()).unwrap()
}
