//! How long a plan takes: from what earlier sets of the same experiment took, else not said.

use std::collections::BTreeMap;
use std::time::Duration;

use llamark_artifact::{ArtifactSet, Store};
use llamark_record::plan::Plan;

/// Wall time of one start of a case, from the newest finished set that has the case.
pub(crate) struct Estimate {
    per_start: BTreeMap<String, Duration>,
}

impl Estimate {
    /// Reads the newest sealed set of the experiment; none is not an error.
    pub(crate) fn from_history(store: &Store, plan: &Plan) -> Self {
        let mut per_start = BTreeMap::new();
        let sets = store.sets(Some(&plan.name)).unwrap_or_default();
        if let Some(info) = sets.iter().rev().find(|set| set.sealed)
            && let Ok(set) = ArtifactSet::read(&info.path)
        {
            for case in &set.ledger().cases {
                let lifetimes: Vec<u64> = case
                    .starts
                    .values()
                    .filter_map(|start| start.closed.as_ref())
                    .map(|closed| closed.lifetime_us)
                    .collect();
                if let Some(mean) = lifetimes.iter().sum::<u64>().checked_div(lifetimes.len() as u64) {
                    per_start.insert(case.case.id.clone(), Duration::from_micros(mean));
                }
            }
        }
        Self { per_start }
    }

    /// A start of this case took that long just now.
    pub(crate) fn learn(&mut self, case: &str, took: Duration) {
        self.per_start.insert(case.to_owned(), took);
    }

    /// One start of this case, if it can be told: from the case itself, else from the mean of the others.
    pub(crate) fn start(&self, case: &str) -> Option<Duration> {
        let mean = || {
            let count = u32::try_from(self.per_start.len()).ok().filter(|count| *count > 0)?;
            Some(self.per_start.values().sum::<Duration>() / count)
        };
        self.per_start.get(case).copied().or_else(mean)
    }

    /// All of these starts, with the pauses between them.
    pub(crate) fn starts<'a>(
        &self,
        cases: impl Iterator<Item = &'a str>,
        cooldown_ms: u64,
    ) -> Option<Duration> {
        let mut total = Duration::ZERO;
        for case in cases {
            total += self.start(case)? + Duration::from_millis(cooldown_ms);
        }
        Some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_case_takes_as_long_as_the_others() {
        let mut estimate = Estimate { per_start: BTreeMap::new() };
        assert_eq!(estimate.starts(["a"].into_iter(), 0), None);
        estimate.learn("a", Duration::from_secs(2));
        estimate.learn("b", Duration::from_secs(4));
        assert_eq!(estimate.start("c"), Some(Duration::from_secs(3)));
        assert_eq!(estimate.starts(["a", "b"].into_iter(), 500), Some(Duration::from_secs(7)));
    }
}
