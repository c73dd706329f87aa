//! The noise of a machine: how much the starts of the same thing differ on it, from calibrations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::digest::CanonicalError;
use crate::metric::Metric;
use crate::plan::{Case, PageCache, ResolvedPlan, Tool};

/// `format` of a [`NoiseFile`] as written by this version.
pub const NOISE_FORMAT: &str = "llamark/noise/v1";

/// What is known about the noise of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseFile {
    /// [`NOISE_FORMAT`].
    pub format: String,
    /// Digest of what identifies the machine: processor, memory, kernel, GPUs and their drivers.
    pub host: Sha256,
    /// Each calibration, the oldest first.
    pub calibrations: Vec<Calibration>,
}

/// One plan measured against itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Name of the two sets: that of the experiment, and `-calibrate`.
    pub name: String,
    /// The two sets by the digest of their manifests: the numbers follow from them.
    pub sets: [Sha256; 2],
    /// When the last of them was finished: RFC 3339, UTC.
    pub finished_at: String,
    /// llama.cpp's build number and commit, in one line.
    pub engine: String,
    /// Version of llamark.
    pub llamark: String,
    /// Starts of each case in each set.
    pub starts: u32,
    /// What was found, by case and metric.
    pub cells: Vec<NoiseCell>,
}

/// The noise of one metric of one case. Of natural logarithms: a deviation of 0.01 is about 1 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseCell {
    /// Id of the case.
    pub case: String,
    /// [`measurement`] of the case: what this is the noise of.
    pub measurement: Sha256,
    /// The metric.
    pub metric: Metric,
    /// Of single starts, around the mean of their set: for sets that are measured one after the other.
    pub unpaired: Squares,
    /// Of differences of two paired starts, around their mean: for sets that are interleaved.
    pub paired: Squares,
    /// Mean difference between the two sets, although both measure the same thing; above zero the second was worse.
    pub difference: f64,
}

/// A sum of squares and its degrees of freedom: the variance is the one over the other, and two of them add up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Squares {
    /// Sum of squares.
    pub sum: f64,
    /// Degrees of freedom.
    pub df: u32,
}

impl Squares {
    /// Standard deviation; `None` without degrees of freedom.
    pub fn deviation(self) -> Option<f64> {
        (self.df > 0).then(|| (self.sum / f64::from(self.df)).sqrt())
    }
}

/// What the noise of a case is the noise of: the bytes of its model, its prompt, its shape with the runs of a start,
/// its device and settings, the instrument and the page cache. Not llama.cpp's version, which a history is to outlive.
///
/// `None` when the plan lacks a part of the case.
///
/// # Errors
/// When a number in the plan is not finite.
pub fn measurement(resolved: &ResolvedPlan, case: &Case) -> Result<Option<Sha256>, CanonicalError> {
    let plan = &resolved.plan;
    let parts = (|| {
        let backend = plan.backend(&case.backend)?;
        let files: Vec<&Sha256> =
            resolved.model_files.get(&case.model)?.iter().map(|file| &file.sha256).collect();
        let prompt = plan.prompt(&case.prompt)?.content.sha256()?;
        let mut shape = vec![case.max_tokens, case.context, case.warmup, case.runs];
        let tokens = plan.prompt(&case.prompt)?.content.exact_tokens().unwrap_or(0);
        // Only where they say something: the noise of what was measured before there were such shapes is still its noise.
        if (case.depth, case.concurrency, tokens) != (0, 1, 0) {
            shape.extend([case.depth, case.concurrency, tokens]);
        }
        let settings = backend.server.by_name();
        // Likewise.
        let usual = (Tool::default(), PageCache::default());
        let (tool, cache) = (backend.tool, plan.procedure.cache);
        let unusual = ((tool, cache) != usual).then_some((tool, cache));
        Some(((files, prompt, shape, backend.kind, &backend.device, settings, &backend.environment), unusual))
    })();
    let digest = |(parts, unusual)| match unusual {
        None => Sha256::of_canonical_json(&parts),
        Some(unusual) => Sha256::of_canonical_json(&(parts, unusual)),
    };
    parts.map(digest).transpose()
}
