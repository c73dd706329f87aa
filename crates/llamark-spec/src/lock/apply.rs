//! A lock and a plan: names that can move are replaced by the commits that they meant, and what must be found is
//! noted next to the plan.
//!
//! Only the commits enter the plan: they decide what is fetched, also by somebody who repeats the set in a year.
//! Digests do not: those of what was found are part of every resolved plan already, so an experiment that is locked
//! after it was measured is still the same plan, and nothing is measured again for it.

use std::collections::BTreeMap;
use std::fmt;

use llamark_record::Sha256;
use llamark_record::model::FileIdentity;
use llamark_record::plan::{Engine, EngineSource, ModelSource, Plan};

use super::{EnginePin, Lock, ModelPin, Open, PERPLEXITY, engine_name, model_name, prompt_name};

/// What a lock says about the inputs of one plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// The engines that the lock pins.
    pub engines: Vec<EnginePin>,
    /// Files that the models must have, by model id.
    pub models: BTreeMap<String, Vec<FileIdentity>>,
    /// Open inputs of the plan without a pin, by name.
    pub unpinned: Vec<String>,
    /// Entries of sources that the experiment does not leave open, or does not name any more.
    pub stale: Vec<String>,
    /// Prompts whose text is not what is pinned.
    pub changed_prompts: Vec<Mismatch>,
}

/// An input is not what is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The input.
    pub what: String,
    /// The digest in the lock.
    pub pinned: String,
    /// The digest that was found.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  found {}\n  lock  {}", self.what, self.found, self.pinned)
    }
}

/// Pins the plan. `open` is what the experiment leaves open; `plan` may be a part of its plan.
pub fn apply(lock: &Lock, open: &Open, plan: &mut Plan) -> Pins {
    let mut pins = Pins { stale: stale(lock, open), ..Pins::default() };
    for source in &open.engines {
        match lock.engines.iter().find(|pin| pin.is_of(source)) {
            Some(pin) => {
                let of_builds = plan.builds.iter_mut().filter_map(|build| build.engine.as_mut());
                for engine in std::iter::once(&mut plan.engine).chain(of_builds) {
                    if engine.source == *source {
                        pin_engine(pin, engine);
                    }
                }
                pins.engines.push(pin.clone());
            }
            None => pins.unpinned.push(engine_name(source)),
        }
    }
    for model in &open.models {
        let Some(planned) = plan.models.iter_mut().find(|planned| planned.id == model.id) else { continue };
        match lock.models.iter().find(|pin| pin.is_of(&model.source)) {
            Some(pin) => {
                if let (ModelPin::Huggingface { commit, .. }, ModelSource::Huggingface { revision, .. }) =
                    (pin, &mut planned.source)
                {
                    revision.clone_from(commit);
                }
                pins.models.insert(model.id.clone(), pin.files().to_vec());
            }
            None => pins.unpinned.push(model_name(model)),
        }
    }
    let is_used = |name: &str| match name {
        PERPLEXITY => plan.perplexity.is_some(),
        name => plan.prompt(name).is_some(),
    };
    for prompt in open.prompts.iter().filter(|prompt| is_used(&prompt.name)) {
        match lock.prompts.iter().find(|pin| pin.file == prompt.file) {
            Some(pin) if pin.sha256 == prompt.sha256 => {}
            Some(pin) => {
                pins.changed_prompts.push(mismatch(prompt_name(prompt), &pin.sha256, &prompt.sha256));
            }
            None => pins.unpinned.push(prompt_name(prompt)),
        }
    }
    pins
}

/// The engine as if the author had typed the commit. The build number stays that of the tag.
fn pin_engine(pin: &EnginePin, engine: &mut Engine) {
    if let (EnginePin::Git { commit, .. }, EngineSource::Git { rev, .. }) = (pin, &mut engine.source) {
        rev.clone_from(commit);
        if engine.commit == "unknown" {
            engine.commit.clone_from(commit);
        }
    }
}

/// Entries that no open input of the experiment uses.
pub(super) fn stale(lock: &Lock, open: &Open) -> Vec<String> {
    let engines = lock.engines.iter().filter(|pin| !open.engines.iter().any(|source| pin.is_of(source)));
    let models = lock.models.iter().filter(|pin| !open.models.iter().any(|model| pin.is_of(&model.source)));
    let prompts =
        lock.prompts.iter().filter(|pin| !open.prompts.iter().any(|prompt| prompt.file == pin.file));
    let engines = engines.map(|pin| format!("engine: {}", pin.source()));
    let models = models.map(|pin| format!("model: {}", pin.source()));
    engines.chain(models).chain(prompts.map(|pin| format!("prompt: file {}", pin.file))).collect()
}

impl Pins {
    /// What is wrong with the engine from that source; `found` is its tree, or the build key of a prebuilt one.
    pub fn check_engine(&self, source: &EngineSource, found: &Sha256) -> Option<Mismatch> {
        match self.engines.iter().find(|pin| pin.is_of(source))? {
            // What is fetched is known by its commit already.
            EnginePin::Git { .. } => None,
            pin @ (EnginePin::Path { tree: pinned, .. } | EnginePin::Prebuilt { key: pinned, .. }) => {
                (pinned != found).then(|| mismatch(format!("engine: {}", pin.source()), pinned, found))
            }
        }
    }

    /// What is wrong with the files of a model, shard by shard.
    pub fn check_model(&self, id: &str, found: &[FileIdentity]) -> Vec<Mismatch> {
        let Some(pinned) = self.models.get(id) else { return Vec::new() };
        if pinned.len() != found.len() {
            let count = |files: &[FileIdentity]| format!("{} files", files.len());
            let what = format!("model {id}");
            return vec![Mismatch { what, pinned: count(pinned), found: count(found) }];
        }
        let pairs = pinned.iter().zip(found).filter(|(pinned, found)| pinned != found);
        pairs
            .map(|(pinned, found)| Mismatch {
                what: format!("model {id}: {}", found.name),
                pinned: identity(pinned),
                found: identity(found),
            })
            .collect()
    }
}

fn identity(file: &FileIdentity) -> String {
    format!("sha256 {} ({} bytes, {})", file.sha256, file.bytes, file.name)
}

fn mismatch(what: String, pinned: &Sha256, found: &Sha256) -> Mismatch {
    Mismatch { what, pinned: format!("sha256 {pinned}"), found: format!("sha256 {found}") }
}
