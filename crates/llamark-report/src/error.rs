//! What can go wrong between a set and its report.

use camino::Utf8PathBuf;
use llamark_record::digest::CanonicalError;

/// Why there is no report, table or comparison.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// polars refused.
    #[error("cannot {what}")]
    Frame {
        /// What was tried.
        what: &'static str,
        /// What polars said.
        #[source]
        source: polars::error::PolarsError,
    },
    /// A summary or a comparison could not be written as JSON.
    #[error("cannot write the {what} as JSON")]
    Json {
        /// Which.
        what: &'static str,
        /// What serde said.
        #[source]
        source: serde_json::Error,
    },
    /// A value has no canonical form, so it has no digest.
    #[error("cannot digest the plan")]
    Digest(#[from] CanonicalError),
    /// The manifest of a sealed set cannot be read.
    #[error(transparent)]
    Manifest(std::io::Error),
    /// A set holds rates that a report states, and an export needs times.
    #[error(
        "the set was imported from a report, which states rounded rates and no times; there is nothing to export"
    )]
    NoTimes,
    /// One name would stand for the engines of both sides of an A/B.
    #[error(
        "the set has {engines} engines, and one name for all rows would make them one: leave the name out, and each row \
         gets its commit"
    )]
    OneNameForAll {
        /// How many.
        engines: usize,
    },
    /// A set does not read.
    #[error(transparent)]
    Artifact(#[from] llamark_artifact::ArtifactError),
    /// A set has no manifest, and what was asked for names sets by its digest.
    #[error("the set `{set}` is not sealed, so nothing about it can be attested")]
    NotSealed {
        /// Id of the set.
        set: String,
    },
    /// A field that was declared is none of either set.
    #[error("`{field}` is neither a kind of difference nor a field of these sets")]
    UnknownField {
        /// As typed.
        field: String,
    },
    /// The folder of templates is not there, or cannot be read.
    #[error("cannot use `{path}` as a folder of templates")]
    TemplateFolder {
        /// The folder.
        path: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A template is at fault. The text has file, line and the lines around it.
    #[error("{excerpt}")]
    Template {
        /// `FILE:LINE: what` and the lines around it.
        excerpt: String,
        /// What minijinja said.
        #[source]
        source: Box<minijinja::Error>,
    },
    /// A set without variants was to be compared with itself.
    #[error("the set `{set}` does not have two variants to compare")]
    NoVariants {
        /// Id of the set.
        set: String,
    },
    /// Two sets are not one plan measured twice, interleaved.
    #[error("{base} and {candidate} are not the two sealed sets of a calibration")]
    NotACalibration {
        /// Folder of the first.
        base: Utf8PathBuf,
        /// Folder of the second.
        candidate: Utf8PathBuf,
    },
    /// The numbers of fresh starts are out of all bounds.
    #[error("the fresh starts have values that are not finite")]
    NotFinite,
    /// The set contradicts itself.
    #[error("the set `{set}` contradicts itself: {what}")]
    Inconsistent {
        /// Id of the set.
        set: String,
        /// How.
        what: String,
    },
}

impl ReportError {
    /// What the user can do about it; empty when nothing is known.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotSealed { .. } => "finish it: run the command that began it again",
            Self::UnknownField { .. } => {
                "name a kind (engine, build-flags, compiler, sdk, driver, kernel, power, model, prompt, shape, \
                 settings, variables, hardware, method), or a field as `llamark diff --format json` lists it"
            }
            Self::TemplateFolder { .. } => {
                "give a folder that contains a `report.md.j2`, or leave out `--template`"
            }
            Self::Template { .. } => "every name that a template may use is in `summary.json` of a set",
            Self::Inconsistent { .. } => "`llamark verify` says which file of the set was changed",
            Self::NoVariants { .. } => {
                "name a second set, or measure two variants in one: `ab: { candidate: ... }` in the experiment"
            }
            Self::NotACalibration { .. } => "`llamark calibrate SPEC` makes them",
            Self::NotFinite => {
                "look at what was measured with `llamark report` of the sets of `--confirm`, and measure the candidate again"
            }
            Self::NoTimes => "`llamark report SET --format csv` gives the rates that it states",
            Self::Frame { .. }
            | Self::Json { .. }
            | Self::Digest(_)
            | Self::Manifest(_)
            | Self::OneNameForAll { .. }
            | Self::Artifact(_) => "",
        }
    }
}
