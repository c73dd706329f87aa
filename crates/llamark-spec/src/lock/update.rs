//! An old lock and what was found now: the new lock, and what became of each entry.

use super::{EnginePin, Lock, ModelPin, Open, OpenModel, PromptPin, engine_name, model_name, prompt_name};

/// What the open inputs are now: each a pin, or the reason why it could not be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The engines, in the order of [`Open::engines`].
    pub engines: Vec<Result<EnginePin, String>>,
    /// The models, in the order of [`Open::models`].
    pub models: Vec<Result<ModelPin, String>>,
}

/// What became of an input, or of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The input, or the entry that was removed.
    pub what: String,
    /// What became of it.
    pub how: How,
}

impl Change {
    /// The input without its source, as in `model fox` or `engine`.
    pub fn name(&self) -> &str {
        self.what.split_once(": ").map_or(&self.what, |(name, _)| name)
    }
}

/// What became of an input, or of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// It was pinned, and is what it was.
    Same,
    /// It is pinned now.
    New {
        /// Its digests.
        now: String,
    },
    /// It is not what it was.
    Changed {
        /// The digests of the old entry.
        before: String,
        /// Its digests.
        now: String,
    },
    /// It could not be looked at, and the entry that there is stays.
    Kept {
        /// Why not.
        reason: String,
    },
    /// It could not be looked at, and there is no entry.
    Unpinned {
        /// Why not.
        reason: String,
    },
    /// Nothing in the experiment uses the entry any more.
    Removed,
}

/// The lock that takes the place of `old`. Entries of open inputs that could not be looked at now are kept.
pub fn update(old: &Lock, open: &Open, found: &Found) -> (Lock, Vec<Change>) {
    let mut new = Lock::default();
    let mut changes = Vec::new();
    for (source, now) in open.engines.iter().zip(&found.engines) {
        let before = old.engines.iter().find(|pin| pin.is_of(source));
        let (pin, how) = settle(before, now, EnginePin::digests);
        changes.push(Change { what: engine_name(source), how });
        new.engines.extend(pin);
    }
    for (model, now) in open.models.iter().zip(&found.models) {
        let before = old.models.iter().find(|pin| pin.is_of(&model.source));
        let (pin, how) = settle(before, now, ModelPin::digests);
        changes.push(Change { what: model_name(model), how });
        // Two models may have the same source: it gets one entry.
        if !new.models.iter().any(|pin| pin.is_of(&model.source)) {
            new.models.extend(pin);
        }
    }
    for prompt in &open.prompts {
        let before = old.prompts.iter().find(|pin| pin.file == prompt.file);
        let now = PromptPin { file: prompt.file.clone(), sha256: prompt.sha256.clone() };
        let (pin, how) = settle(before, &Ok(now), |pin| format!("sha256 {}", pin.sha256.short()));
        changes.push(Change { what: prompt_name(prompt), how });
        if !new.prompts.iter().any(|pin| pin.file == prompt.file) {
            new.prompts.extend(pin);
        }
    }
    let stale = super::apply::stale(old, open);
    changes.extend(stale.into_iter().map(|what| Change { what, how: How::Removed }));
    (new, changes)
}

/// The pin of one input, and what became of it.
fn settle<T: Clone + PartialEq>(
    before: Option<&T>,
    now: &Result<T, String>,
    digests: impl Fn(&T) -> String,
) -> (Option<T>, How) {
    match (before, now) {
        (Some(before), Ok(now)) if before == now => (Some(now.clone()), How::Same),
        (Some(before), Ok(now)) => {
            (Some(now.clone()), How::Changed { before: digests(before), now: digests(now) })
        }
        (None, Ok(now)) => (Some(now.clone()), How::New { now: digests(now) }),
        (Some(before), Err(reason)) => (Some(before.clone()), How::Kept { reason: reason.clone() }),
        (None, Err(reason)) => (None, How::Unpinned { reason: reason.clone() }),
    }
}

impl OpenModel {
    /// Its pin, as found.
    pub fn pin(
        &self,
        commit: Option<String>,
        files: Vec<llamark_record::model::FileIdentity>,
    ) -> Option<ModelPin> {
        use llamark_record::plan::ModelSource;
        match (&self.source, commit) {
            (ModelSource::File { file, .. }, _) => Some(ModelPin::File { file: file.clone(), files }),
            (ModelSource::Huggingface { repo, revision, file, endpoint, .. }, Some(commit)) => {
                Some(ModelPin::Huggingface {
                    huggingface: repo.clone(),
                    file: file.clone(),
                    revision: revision.clone(),
                    endpoint: Some(endpoint.clone()).filter(|endpoint| !endpoint.is_empty()),
                    commit,
                    files,
                })
            }
            _ => None,
        }
    }
}
