//! The plan of a document that states results: what it says of its cases, and that the rest is not known.

use std::collections::BTreeMap;

use llamark_record::plan::{
    Case, Document, Engine, EngineSource, Hardware, Origin, PLAN_FORMAT, Plan, PlannedBackend, PlannedModel,
    PlannedPrompt, PlannedStart, Procedure, ResolvedPlan, TelemetryRate, Timeouts,
};

use crate::Options;

/// What a document says.
pub(crate) struct StatedPlan {
    pub(crate) document: Document,
    /// Its title, unless the import gives another.
    pub(crate) title: String,
    /// The machine.
    pub(crate) hardware: String,
    /// Build number and commit of llama.cpp, where it says them.
    pub(crate) engine: Option<(u32, String)>,
    pub(crate) backends: Vec<PlannedBackend>,
    pub(crate) models: Vec<PlannedModel>,
    pub(crate) prompts: Vec<PlannedPrompt>,
    pub(crate) cases: Vec<Case>,
}

impl StatedPlan {
    /// The plan, with what is added at the import.
    pub(crate) fn resolve(self, options: &Options) -> ResolvedPlan {
        let (build_number, commit) = self.engine.unwrap_or_else(|| (0, "unknown".to_owned()));
        let starts = |case: &Case| {
            (1..=case.starts).map(|start| PlannedStart { case: case.id.clone(), start }).collect::<Vec<_>>()
        };
        let plan = Plan {
            origin: Origin::Document(self.document),
            name: options.name.clone(),
            title: options.title.clone().unwrap_or(self.title),
            description: String::new(),
            hardware: Hardware {
                label: self.hardware,
                memory_bandwidth: options.memory_bandwidth.as_ref().map(|added| added.bytes_per_second),
                expect_gpu: None,
                expect_memory: 0,
            },
            engine: Engine { source: EngineSource::Unstated, build_number, commit },
            builds: Vec::new(),
            backends: self.backends,
            models: self.models,
            prompts: self.prompts,
            filler: None,
            schedule: self.cases.iter().flat_map(starts).collect(),
            cases: self.cases,
            seed: 0,
            cooldown_ms: 0,
            timeouts: Timeouts { load_ms: 0, request_ms: 0, stop_ms: 0 },
            telemetry: TelemetryRate::Off,
            gates: Vec::new(),
            interleaved: None,
            procedure: Procedure::default(),
            ab: None,
            canary: None,
            perplexity: None,
        };
        ResolvedPlan {
            format: PLAN_FORMAT.to_owned(),
            plan,
            engine_tree: None,
            engine_trees: BTreeMap::new(),
            build_keys: BTreeMap::new(),
            model_files: BTreeMap::new(),
        }
    }
}

/// What is added at the import.
pub(crate) fn added(options: &Options) -> BTreeMap<String, String> {
    let bandwidth = options.memory_bandwidth.as_ref().map(|added| ("memory_bandwidth", added.text.clone()));
    let title = options.title.as_ref().map(|title| ("title", title.clone()));
    let added = [bandwidth, title].into_iter().flatten();
    added.map(|(name, value)| (name.to_owned(), value)).collect()
}
