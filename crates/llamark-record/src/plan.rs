//! The plan: every default filled in, every matrix expanded, nothing left to decide.
//!
//! No `Option` here means "default": where a field may be absent, its absence is itself the decision and its
//! docstring says what it means. The plan is made by `llamark-spec` from the experiment alone; [`ResolvedPlan`]
//! adds what only this machine and the network could tell (digests, build keys). Its digest is in the first
//! record of the journal, so a case that is dropped or a margin that is moved later is visible.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::digest::CanonicalError;
use crate::model::FileIdentity;

mod backend;
mod canary;
mod gate;
mod interleaved;
mod model;
mod origin;
mod perplexity;
mod preset;
mod procedure;
mod prompt;
mod settings;
mod source;
mod synthetic;
mod tool;
mod variant;

pub use backend::{BackendKind, NO_DEVICE, PlannedBackend, PlannedBuild};
pub use canary::PlannedCanary;
pub use gate::{Gate, STANDARD_GATES};
pub use interleaved::{Arm, Interleaved, Pairing, Purpose};
pub use model::{NOT_STATED, PlannedModel, model_id};
pub use origin::{Document, DocumentKind, Origin};
pub use perplexity::PlannedPerplexity;
pub use preset::SyntheticPreset;
pub use procedure::{CoolDown, Order, PageCache, Procedure, Until, WarmUp};
pub use prompt::{Filler, PlannedPrompt, PromptContent};
pub use settings::{CacheType, GpuLayers, ServerSettings, Settings, StatedSettings};
pub use source::{Engine, EngineSource, ModelSource, Package};
pub use synthetic::{
    ImpossibleShape, SYNTHETIC_FORMAT, SyntheticArchitecture, SyntheticModel, SyntheticQuant, SyntheticShape,
    SyntheticTokenizer,
};
pub use tool::Tool;
pub use variant::{VariantPair, Variants};

/// `format` of a [`ResolvedPlan`] as written by this version.
pub const PLAN_FORMAT: &str = "llamark/plan/v1";

/// An experiment with nothing left to decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// How the plan came to be.
    pub origin: Origin,
    /// Name of the experiment: the folder of its artifact sets.
    pub name: String,
    /// Title of the report.
    pub title: String,
    /// Text under the title; empty when there is none.
    pub description: String,
    /// What the author says about the machine, and requires of it.
    pub hardware: Hardware,
    /// The llama.cpp source tree.
    pub engine: Engine,
    /// What is compiled, each once, in the order of the backends that need it.
    pub builds: Vec<PlannedBuild>,
    /// The backends, in the author's order.
    pub backends: Vec<PlannedBackend>,
    /// The models, in the author's order.
    pub models: Vec<PlannedModel>,
    /// The prompts that some case uses.
    pub prompts: Vec<PlannedPrompt>,
    /// The text that fills the context before the prompt, where a case has a depth; absent: none has. Omitted from
    /// the file if absent, so that older plans keep their digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filler: Option<Filler>,
    /// The cases: one row of the report each. Ordered by model, then backend.
    pub cases: Vec<Case>,
    /// Every start of every case, in the order in which they are run.
    pub schedule: Vec<PlannedStart>,
    /// Seed of the order in `schedule`.
    pub seed: u32,
    /// Pause before each start, ms; the longest one, where `procedure` says what it waits for.
    pub cooldown_ms: u64,
    /// Time limits.
    pub timeouts: Timeouts,
    /// How often the sensors of the machine are read while it measures.
    pub telemetry: TelemetryRate,
    /// How a later comparison with this set as its baseline judges each metric, in the order of a report. Empty if
    /// the plan is of a document, which states nothing of it: [`STANDARD_GATES`] hold then.
    pub gates: Vec<Gate>,
    /// That its starts are interleaved with those of another set; absent: it is measured by itself. Omitted from
    /// the file if absent, so that older plans keep their digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interleaved: Option<Interleaved>,
    /// How starts are prepared and when there are enough of them. Omitted from the file if it is as usual, likewise.
    #[serde(default, skip_serializing_if = "Procedure::is_usual")]
    pub procedure: Procedure,
    /// That every case is there in two variants, whose starts are made in pairs; absent: there is one of each.
    /// Omitted from the file if absent, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ab: Option<Variants>,
    /// What each server continues greedily after its runs, to see whether it computes the right thing; absent:
    /// nothing is asked. Omitted from the file if absent, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<PlannedCanary>,
    /// The text whose perplexity is measured once for each model and backend, after everything else; absent: none is.
    /// Omitted from the file if absent, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<PlannedPerplexity>,
}

/// How often the sensors of the machine are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TelemetryRate {
    /// Never.
    Off,
    /// This many times per second.
    Hertz(u32),
}

/// What the author says about the machine (shown in the report) and requires of it (checked before a run).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hardware {
    /// One line for the report; empty when the author gave none.
    pub label: String,
    /// Memory bandwidth in bytes per second, for the roofline; absent: no roofline.
    pub memory_bandwidth: Option<u64>,
    /// Text that the name of a GPU must contain; absent: any machine.
    pub expect_gpu: Option<String>,
    /// Bytes of memory that the machine must have; 0: any amount.
    pub expect_memory: u64,
}

/// Model x backend x prompt shape: one row of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// `MODEL/BACKEND/PROMPT`, and after it the parts of the shape that are not as usual (`/d4096/c4/n256`: see
    /// [`case_id`]); the same in two sets when they mean the same row.
    pub id: String,
    /// Id of the model.
    pub model: String,
    /// Name of the backend.
    pub backend: String,
    /// Name of the prompt.
    pub prompt: String,
    /// Tokens to generate in each run, exactly.
    pub max_tokens: u32,
    /// Tokens of context before the prompt: in the KV cache when a run begins, and not counted in it. 0 is omitted
    /// from the file, so that older plans keep their digest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// Requests that are sent at once in each run, each to a slot of its own. 1 is omitted from the file, likewise.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub concurrency: u32,
    /// Context of each slot of the server, in tokens.
    pub context: u32,
    /// Runs at the measured shape that are recorded but not counted, at the beginning of each start; the maximum, if
    /// the plan's `procedure` says when a start is warm.
    pub warmup: u32,
    /// Runs that count, in each start.
    pub runs: u32,
    /// Starts of the server; the maximum, if the plan's `procedure` says when there are enough.
    pub starts: u32,
}

/// Id of a case: `MODEL/BACKEND/PROMPT`, then `/dN` for a depth other than 0, `/cN` for more streams than 1, and `/nN`
/// for the tokens to generate where the experiment lists several lengths. What an id says does not depend on which other
/// cases there are, but for that list: a single length has always been a matter of the experiment.
pub fn case_id(
    [model, backend, prompt]: [&str; 3],
    depth: u32,
    concurrency: u32,
    listed_length: Option<u32>,
) -> String {
    let mut id = format!("{model}/{backend}/{prompt}");
    let parts = [
        ('d', Some(depth).filter(|depth| *depth != 0)),
        ('c', Some(concurrency).filter(|streams| *streams != 1)),
        ('n', listed_length),
    ];
    for (letter, value) in parts {
        if let Some(value) = value {
            id.push_str(&format!("/{letter}{value}"));
        }
    }
    id
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

fn one() -> u32 {
    1
}

/// One start of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedStart {
    /// Id of the case.
    pub case: String,
    /// Which start of the case, from 1.
    pub start: u32,
}

/// Time limits, ms. Loading or a request that exceeds its limit ends the start with status `timeout`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// From the start of the process to ready.
    pub load_ms: u64,
    /// One request, warm-up included.
    pub request_ms: u64,
    /// From the first signal to the end of the process. It is killed then; what was measured stays valid, and the
    /// record shows the signal.
    pub stop_ms: u64,
}

/// The plan with what only this machine and the network could tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolvedPlan {
    /// [`PLAN_FORMAT`].
    pub format: String,
    /// The plan.
    pub plan: Plan,
    /// Digest of the engine's source tree; absent for a prebuilt engine.
    pub engine_tree: Option<Sha256>,
    /// Build key by build id.
    pub build_keys: BTreeMap<String, Sha256>,
    /// Files by model id, every shard.
    pub model_files: BTreeMap<String, Vec<FileIdentity>>,
    /// Digests of the source trees of builds that have an engine of their own, by build id. Omitted from the file if
    /// empty, so that older plans keep their digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub engine_trees: BTreeMap<String, Sha256>,
}

impl ResolvedPlan {
    /// Digest of the source tree that a build is made of; absent for a prebuilt engine.
    pub fn tree_of(&self, build: &PlannedBuild) -> Option<&Sha256> {
        match build.engine {
            Some(_) => self.engine_trees.get(&build.id),
            None => self.engine_tree.as_ref(),
        }
    }

    /// The plan digest: SHA-256 of the canonical JSON.
    ///
    /// # Errors
    /// When a number in the plan is not finite.
    pub fn digest(&self) -> Result<Sha256, CanonicalError> {
        Sha256::of_canonical_json(self)
    }
}

impl Plan {
    /// The document that the plan comes from, if it was imported.
    pub fn document(&self) -> Option<&Document> {
        match &self.origin {
            Origin::Experiment => None,
            Origin::Document(document) => Some(document),
        }
    }

    /// Leaves out models, backends, builds, prompts and starts that no case uses.
    pub fn leave_unused(&mut self) {
        let cases = &self.cases;
        self.schedule.retain(|start| cases.iter().any(|case| case.id == start.case));
        self.models.retain(|model| cases.iter().any(|case| case.model == model.id));
        self.backends.retain(|backend| cases.iter().any(|case| case.backend == backend.name));
        self.prompts.retain(|prompt| cases.iter().any(|case| case.prompt == prompt.name));
        let backends = &self.backends;
        self.builds.retain(|build| backends.iter().any(|backend| backend.build == build.id));
        if cases.iter().all(|case| case.depth == 0) {
            self.filler = None;
        }
        if let Some(ab) = &mut self.ab {
            ab.backends.retain(|_, pair| backends.iter().any(|backend| backend.name == pair.base));
        }
    }

    /// Whether the starts of these two were interleaved: start i of one next to start i of the other.
    pub fn is_interleaved_with(&self, other: &Self) -> bool {
        let both = self.interleaved.as_ref().zip(other.interleaved.as_ref());
        both.is_some_and(|(a, b)| a.pairing == b.pairing && a.arm != b.arm)
    }

    /// The engine that a build is made of: its own, or that of the plan.
    pub fn engine_of<'a>(&'a self, build: &'a PlannedBuild) -> &'a Engine {
        build.engine.as_ref().unwrap_or(&self.engine)
    }

    /// Every engine of the plan, each once: its own first.
    pub fn engines(&self) -> Vec<&Engine> {
        let mut engines = vec![&self.engine];
        for engine in self.builds.iter().filter_map(|build| build.engine.as_ref()) {
            if !engines.contains(&engine) {
                engines.push(engine);
            }
        }
        engines
    }

    /// The backend of that name.
    pub fn backend(&self, name: &str) -> Option<&PlannedBackend> {
        self.backends.iter().find(|backend| backend.name == name)
    }

    /// The model of that id.
    pub fn model(&self, id: &str) -> Option<&PlannedModel> {
        self.models.iter().find(|model| model.id == id)
    }

    /// The prompt of that name.
    pub fn prompt(&self, name: &str) -> Option<&PlannedPrompt> {
        self.prompts.iter().find(|prompt| prompt.name == name)
    }

    /// The case of that id.
    pub fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_is_not_as_usual() {
        let id = |depth, concurrency, length| case_id(["m", "cpu", "p"], depth, concurrency, length);
        assert_eq!(id(0, 1, None), "m/cpu/p");
        assert_eq!(id(4096, 1, None), "m/cpu/p/d4096");
        assert_eq!(id(0, 4, Some(64)), "m/cpu/p/c4/n64");
        assert_eq!(id(1, 2, Some(3)), "m/cpu/p/d1/c2/n3");
    }

    #[test]
    fn a_case_of_an_older_set_has_its_old_form() {
        let text = r#"{"id":"m/b/p","model":"m","backend":"b","prompt":"p","max_tokens":8,"context":256,"warmup":1,"runs":3,"starts":1}"#;
        let case: Case = serde_json::from_str(text).unwrap();
        assert_eq!((case.depth, case.concurrency), (0, 1));
        assert_eq!(serde_json::to_string(&case).unwrap(), text);
        let deep = Case { depth: 512, concurrency: 2, ..case };
        let again: Case = serde_json::from_str(&serde_json::to_string(&deep).unwrap()).unwrap();
        assert_eq!(again, deep);
    }
}
