//! `ab:` of an experiment: two variants of everything, with interleaved starts.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use llamark_record::plan::{Arm, Case, Engine, PlannedBackend, PlannedBuild, Tool, VariantPair, Variants};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::expand;
use crate::experiment::{self, Build, Server, names};
use crate::text::{Line, VariableName, VariableValue};

/// Two variants of every backend, measured in one set: the starts of the candidate are interleaved with those of the
/// baseline, and `llamark diff SET` compares the two.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ab {
    /// The baseline. Default: everything as in the rest of the experiment.
    pub base: Option<Side>,
    /// The candidate.
    pub candidate: Side,
}

/// One of two variants. What it does not give is as in the rest of the experiment.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// Name in the report. Default: `base` or `candidate`.
    pub label: Option<Line>,
    /// The llama.cpp source tree, instead of the experiment's.
    pub engine: Option<experiment::Engine>,
    /// What measures, instead of what each backend says: `llama-server` or `llama-bench`.
    pub tool: Option<Tool>,
    /// How llama.cpp is compiled, in addition to what each backend says.
    pub build: Option<Build>,
    /// Settings of the server, which override those of each backend.
    pub server: Option<Server>,
    /// Environment variables of the server, which override those of each backend.
    #[serde(default)]
    #[schemars(extend("propertyNames" = names::<VariableName>()))]
    pub env: IndexMap<String, VariableValue>,
}

/// A variant as backends are made of it; one that changes nothing where an experiment has no `ab`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen {
    /// Which of two; absent: the only one.
    pub(crate) arm: Option<Arm>,
    /// Name in the report; empty for the only one.
    pub(crate) label: String,
    /// An engine that is not that of the plan.
    pub(crate) engine: Option<Engine>,
    given: Side,
}

impl Chosen {
    /// That arm, which changes nothing.
    #[cfg(test)]
    pub(crate) fn of(arm: Arm) -> Self {
        Self { arm: Some(arm), ..Self::default() }
    }

    /// What follows the name of a backend: `+base`, `+candidate`, or nothing.
    pub(crate) fn suffix(&self) -> &'static str {
        match self.arm {
            None => "",
            Some(Arm::Base) => "+base",
            Some(Arm::Candidate) => "+candidate",
        }
    }

    /// Settings of the server: those of the variant before those of the backend.
    pub(crate) fn server(&self, of_backend: &Server) -> Server {
        let (own, other) = (self.given.server.clone().unwrap_or_default(), of_backend);
        Server {
            gpu_layers: own.gpu_layers.or(other.gpu_layers),
            flash_attn: own.flash_attn.or(other.flash_attn),
            cache_type_k: own.cache_type_k.or(other.cache_type_k),
            cache_type_v: own.cache_type_v.or(other.cache_type_v),
            mmap: own.mmap.or(other.mmap),
            mlock: own.mlock.or(other.mlock),
            threads: own.threads.or(other.threads),
            threads_batch: own.threads_batch.or(other.threads_batch),
            batch: own.batch.or(other.batch),
            ubatch: own.ubatch.or(other.ubatch),
        }
    }

    /// What measures: as the variant says, or the backend.
    pub(crate) fn tool(&self, of_backend: Option<Tool>) -> Tool {
        self.given.tool.or(of_backend).unwrap_or_default()
    }

    /// Environment variables, likewise.
    pub(crate) fn environment(
        &self,
        of_backend: &IndexMap<String, VariableValue>,
    ) -> BTreeMap<String, String> {
        let all = of_backend.iter().chain(&self.given.env);
        all.map(|(key, value)| (key.clone(), value.as_str().to_owned())).collect()
    }

    /// CMake variables, likewise.
    pub(crate) fn cmake(&self, of_backend: Option<&Build>) -> BTreeMap<String, String> {
        let all =
            [of_backend, self.given.build.as_ref()].into_iter().flatten().flat_map(|build| &build.cmake);
        all.map(|(key, value)| (key.clone(), value.0.clone())).collect()
    }
}

/// The engine of the plan, and the variants: one, or the baseline and the candidate.
pub(crate) fn chosen(ab: Option<&Ab>, engine: &experiment::Engine) -> (Engine, Vec<Chosen>) {
    let Some(ab) = ab else { return (expand::engine(engine), vec![Chosen::default()]) };
    let base = ab.base.clone().unwrap_or_default();
    let engine_of = |side: &Side| expand::engine(side.engine.as_ref().unwrap_or(engine));
    let (of_base, of_candidate) = (engine_of(&base), engine_of(&ab.candidate));
    let side = |arm: Arm, name: &str, given: Side, engine| Chosen {
        arm: Some(arm),
        label: given.label.as_ref().map_or(name, Line::as_str).to_owned(),
        engine,
        given,
    };
    let other = Some(of_candidate).filter(|other| *other != of_base);
    let both = vec![
        side(Arm::Base, "base", base, None),
        side(Arm::Candidate, "candidate", ab.candidate.clone(), other),
    ];
    (of_base, both)
}

/// Each case in both variants, the baseline first.
pub(crate) fn cases_of(common: &[Case], sides: &[Chosen]) -> Vec<Case> {
    let of = |case: &Case, side: &Chosen| Case {
        id: id_of(case, side.suffix()),
        backend: format!("{}{}", case.backend, side.suffix()),
        ..case.clone()
    };
    common.iter().flat_map(|case| sides.iter().map(move |side| of(case, side))).collect()
}

/// The id of a case with that suffix at its backend.
pub(crate) fn id_of(case: &Case, suffix: &str) -> String {
    let head = format!("{}/{}", case.model, case.backend);
    let rest = case.id.strip_prefix(&head).unwrap_or_default();
    format!("{head}{suffix}{rest}")
}

/// What the plan says of its variants; `None` if there is only one.
pub(crate) fn variants(
    sides: &[Chosen],
    backends: &[PlannedBackend],
    builds: &[PlannedBuild],
) -> Option<Variants> {
    let [base, candidate] = sides else { return None };
    let mut pairs = BTreeMap::new();
    let mut differs = Vec::new();
    if candidate.engine.is_some() {
        differs.push("engine".to_owned());
    }
    for backend in backends {
        let Some(common) = backend.name.strip_suffix(base.suffix()) else { continue };
        let name = format!("{common}{}", candidate.suffix());
        let Some(other) = backends.iter().find(|other| other.name == name) else { continue };
        differs.extend(differences(common, backend, other, builds));
        pairs.insert(common.to_owned(), VariantPair { base: backend.name.clone(), candidate: name });
    }
    differs.sort_unstable();
    differs.dedup();
    Some(Variants { base: base.label.clone(), candidate: candidate.label.clone(), differs, backends: pairs })
}

/// The fields that differ between two variants of a backend, as a comparison names them.
fn differences(
    common: &str,
    base: &PlannedBackend,
    candidate: &PlannedBackend,
    builds: &[PlannedBuild],
) -> Vec<String> {
    let cmake = |backend: &PlannedBackend| {
        let build = builds.iter().find(|build| build.id == backend.build);
        build.map(|build| build.cmake.clone()).unwrap_or_default()
    };
    let differing = |head: String, a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| {
        let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
        let other = names.filter(|name| a.get(*name) != b.get(*name));
        other.map(|name| format!("{head}.{name}")).collect::<Vec<_>>()
    };
    let mut found =
        differing(format!("backend.{common}.server"), &base.server.by_name(), &candidate.server.by_name());
    found.extend(differing(
        format!("backend.{common}.environment"),
        &base.environment,
        &candidate.environment,
    ));
    found.extend(differing(format!("build.{common}.cmake"), &cmake(base), &cmake(candidate)));
    if base.tool != candidate.tool {
        // The prompts of llama-bench are random tokens.
        found.extend([format!("backend.{common}.tool"), "prompt".to_owned()]);
    }
    found
}
