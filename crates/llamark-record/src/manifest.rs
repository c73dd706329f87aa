//! The manifest: an in-toto Statement (v1) whose predicate is SLSA provenance (v1).
//!
//! Every file of the set is a subject by its SHA-256; everything that went in (models, binaries, source tree,
//! prompts) is a resolved dependency. Tools that know nothing of llamark can read it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::plan::{Origin, Plan};

/// `_type` of the statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// `predicateType` of the statement.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// `buildType` of the predicate: a run of an experiment, format 1.
pub const BUILD_TYPE: &str = "urn:llamark:run:v1";
/// `buildType` of the predicate: the import of a document that somebody else wrote, format 1.
pub const IMPORT_BUILD_TYPE: &str = "urn:llamark:import:v1";

/// Name of the byproduct whose digest is the `hash` of the last entry of the journal.
pub const JOURNAL_HEAD: &str = "journal/head";

/// The `buildType` of the sets of a plan.
pub fn build_type(plan: &Plan) -> &'static str {
    match plan.origin {
        Origin::Experiment => BUILD_TYPE,
        Origin::Document(_) => IMPORT_BUILD_TYPE,
    }
}

/// An in-toto Statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// Every file of the set but the manifest and the checksum list.
    pub subject: Vec<Resource>,
    /// [`PREDICATE_TYPE`].
    pub predicate_type: String,
    /// The provenance.
    pub predicate: Predicate,
}

impl Manifest {
    /// `hash` of the last entry of the journal, so that a tail that is cut off is visible.
    pub fn journal_head(&self) -> Option<&Sha256> {
        let details = &self.predicate.run_details;
        let byproduct = details.byproducts.iter().find(|byproduct| byproduct.name == JOURNAL_HEAD);
        byproduct.map(|byproduct| &byproduct.digest.sha256).or(details.metadata.journal_head.as_ref())
    }
}

impl RunDetails {
    /// The byproduct that says where the journal ends.
    pub fn journal_head(head: Sha256) -> Resource {
        let annotations = BTreeMap::new();
        Resource { name: JOURNAL_HEAD.to_owned(), uri: None, digest: Digests { sha256: head }, annotations }
    }
}

/// Something by name and digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resource {
    /// Path in the set, or name of the input.
    pub name: String,
    /// Where it is available, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// `{"sha256": "..."}`.
    pub digest: Digests,
    /// `{"bytes": "..."}`, as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Digests by algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Digests {
    /// SHA-256.
    pub sha256: Sha256,
}

/// SLSA provenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Predicate {
    /// What was run, from what.
    pub build_definition: BuildDefinition,
    /// Who ran it, and when.
    pub run_details: RunDetails,
}

/// What was run, from what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuildDefinition {
    /// [`BUILD_TYPE`] or [`IMPORT_BUILD_TYPE`].
    pub build_type: String,
    /// Name of the experiment, digest of the plan.
    pub external_parameters: ExternalParameters,
    /// Seed of the schedule, as text.
    pub internal_parameters: BTreeMap<String, String>,
    /// Models, binaries, source tree, prompts.
    pub resolved_dependencies: Vec<Resource>,
}

/// What the user chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalParameters {
    /// Name of the experiment.
    pub experiment: String,
    /// Digest of the resolved plan, which is `plan.json`.
    pub plan_digest: Sha256,
}

/// Who ran it, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunDetails {
    /// llamark and its version.
    pub builder: Builder,
    /// When, and which set.
    pub metadata: Metadata,
    /// [`JOURNAL_HEAD`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<Resource>,
}

/// The program that ran it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Builder {
    /// `urn:llamark:llamark`.
    pub id: String,
    /// `{"llamark": "0.1.0"}`.
    pub version: BTreeMap<String, String>,
}

/// When, and which set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Id of the set.
    pub invocation_id: String,
    /// First entry of the journal.
    pub started_on: String,
    /// Last entry of the journal.
    pub finished_on: String,
    /// Where older sets have what is a byproduct now: SLSA has no such member here. See [`Manifest::journal_head`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_head: Option<Sha256>,
}
