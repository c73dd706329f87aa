//! Two variants in one plan: what `ab:` of an experiment names, measured in pairs of starts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Arm, Plan, ResolvedPlan};

/// Two variants of every case of a plan, whose starts are interleaved in pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variants {
    /// What the baseline is called.
    pub base: String,
    /// What the candidate is called.
    pub candidate: String,
    /// What the experiment gives to only one of them, or differently to both, and so declares to be what is compared: the
    /// beginnings of fields as a comparison names them, `engine` or `backend.cpu.server.threads`. Sorted.
    pub differs: Vec<String>,
    /// The backends of both, by the name that they have in common.
    pub backends: BTreeMap<String, VariantPair>,
}

/// A backend in its two variants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariantPair {
    /// Name of the backend of the baseline.
    pub base: String,
    /// Name of the backend of the candidate.
    pub candidate: String,
}

impl Variants {
    /// What an arm is called.
    pub fn label(&self, arm: Arm) -> &str {
        match arm {
            Arm::Base => &self.base,
            Arm::Candidate => &self.candidate,
        }
    }

    /// The arm of a backend, and the name that both variants of it have in common.
    pub fn arm_of(&self, backend: &str) -> Option<(Arm, &str)> {
        self.backends.iter().find_map(|(common, pair)| {
            let arm = match backend {
                name if name == pair.base => Arm::Base,
                name if name == pair.candidate => Arm::Candidate,
                _ => return None,
            };
            Some((arm, common.as_str()))
        })
    }

    /// The same backend in the other variant.
    pub fn partner_of(&self, backend: &str) -> Option<&str> {
        let (arm, common) = self.arm_of(backend)?;
        let pair = self.backends.get(common)?;
        Some(match arm {
            Arm::Base => &pair.candidate,
            Arm::Candidate => &pair.base,
        })
    }
}

impl Plan {
    /// The id that both variants of a case have in common: the backend of it without its variant. That of a case that has
    /// no variants is its own.
    pub fn common_id(&self, case: &str) -> String {
        let Some(variants) = &self.ab else { return case.to_owned() };
        let common = || {
            let (model, rest) = case.split_once('/')?;
            let (backend, rest) = rest.split_once('/')?;
            let (_, common) = variants.arm_of(backend)?;
            Some(format!("{model}/{common}/{rest}"))
        };
        common().unwrap_or_else(|| case.to_owned())
    }
}

impl ResolvedPlan {
    /// One variant of the plan as a plan of its own: its cases under the ids that both have in common, on its engine.
    /// `None` where there are no variants. It is made to compare, and never measured: its digest is that of nothing.
    #[must_use]
    pub fn variant(&self, arm: Arm) -> Option<Self> {
        let variants = self.plan.ab.as_ref()?;
        let is_own = |backend: &str| variants.arm_of(backend).is_some_and(|(found, _)| found == arm);
        let common = |backend: &str| {
            variants.arm_of(backend).map_or_else(|| backend.to_owned(), |(_, common)| common.to_owned())
        };
        let mut own = self.clone();
        own.plan.cases.retain(|case| is_own(&case.backend));
        own.plan.leave_unused();
        for case in &mut own.plan.cases {
            case.id = self.plan.common_id(&case.id);
            case.backend = common(&case.backend);
        }
        for start in &mut own.plan.schedule {
            start.case = self.plan.common_id(&start.case);
        }
        for backend in &mut own.plan.backends {
            backend.name = common(&backend.name);
            // The name of the variant is all that may be other in it.
            backend.label.clone_from(&backend.name);
        }
        own.plan.ab = None;
        for build in &mut own.plan.builds {
            if let Some(engine) = build.engine.take() {
                own.plan.engine = engine;
                own.engine_tree = self.engine_trees.get(&build.id).cloned();
            }
        }
        let builds = &own.plan.builds;
        own.build_keys.retain(|id, _| builds.iter().any(|build| build.id == *id));
        own.engine_trees.clear();
        Some(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variants() -> Variants {
        let pair =
            |name: &str| VariantPair { base: format!("{name}+base"), candidate: format!("{name}+candidate") };
        let backends = ["cpu", "cpu+threads=2"].map(|name| (name.to_owned(), pair(name))).into();
        Variants { base: "old".to_owned(), candidate: "new".to_owned(), differs: Vec::new(), backends }
    }

    #[test]
    fn a_backend_knows_its_arm_and_its_partner() {
        let variants = variants();
        assert_eq!(variants.arm_of("cpu+base"), Some((Arm::Base, "cpu")));
        assert_eq!(variants.arm_of("cpu+threads=2+candidate"), Some((Arm::Candidate, "cpu+threads=2")));
        assert_eq!(variants.arm_of("cpu"), None);
        assert_eq!(variants.partner_of("cpu+threads=2+base"), Some("cpu+threads=2+candidate"));
        assert_eq!((variants.label(Arm::Base), variants.label(Arm::Candidate)), ("old", "new"));
    }
}
