//! What a caller may ask of a comparison.

use llamark_record::comparison::AcceptedChange;
use llamark_record::noise::NoiseFile;

/// What a caller may ask of a comparison. The default asks nothing: the plan of the baseline decides.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Call a change by the size of its estimate: more power, more false calls.
    pub sensitive: bool,
    /// The margin of every gating metric, as a share, instead of those of the plan; the least change looked for is a
    /// third of it.
    pub threshold: Option<f64>,
    /// Fields (or beginnings of fields, or words of a cause) whose difference is what is compared.
    pub across: Vec<String>,
    /// Regressions that somebody accepted.
    pub accepted: Vec<AcceptedChange>,
    /// Today, as `2026-11-22`: accepted changes may have a last day.
    pub today: String,
    /// What is known of the noise of the machine that both sets were measured on.
    pub noise: Option<NoiseFile>,
}
