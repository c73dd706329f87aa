//! The files of a set that follow from its journal: as they are sealed, and as `verify` makes them again.

use std::collections::BTreeMap;

use llamark_artifact::ArtifactSet;

use crate::error::ReportError;
use crate::frame::{frames, parquet};
use crate::summarize::{Material, summarize_frames, summarize_material};
use crate::summary::Summary;
use crate::templates::{Templates, render_markdown};

/// `results.parquet`, `summary.json` and `report.md` by name, from the plan, the journal and the environment alone:
/// the same set gives the same bytes, before and after it is sealed.
///
/// # Errors
/// When one of them cannot be made.
pub fn derived_files(set: &ArtifactSet) -> Result<BTreeMap<String, Vec<u8>>, ReportError> {
    derived_from(Material::of(set))
}

/// [`derived_files`] from the parts of a set.
///
/// # Errors
/// When one of them cannot be made.
pub fn derived_from(material: Material<'_>) -> Result<BTreeMap<String, Vec<u8>>, ReportError> {
    let frames = frames(material.ledger)?;
    let summary = summarize_frames(material, &frames)?;
    let page = render_markdown(&summary, &Templates::built_in())?;
    Ok(BTreeMap::from([
        ("results.parquet".to_owned(), parquet(&frames)?),
        ("summary.json".to_owned(), to_json(&summary)?),
        ("report.md".to_owned(), page.into_bytes()),
    ]))
}

/// `summary.json`: the summary as indented JSON with a newline at the end.
///
/// # Errors
/// When there is no summary.
pub fn summary_json(set: &ArtifactSet) -> Result<Vec<u8>, ReportError> {
    to_json(&summarize_material(Material::of(set))?)
}

fn to_json(summary: &Summary) -> Result<Vec<u8>, ReportError> {
    let fail = |source| ReportError::Json { what: "summary", source };
    let mut bytes = serde_json::to_vec_pretty(summary).map_err(fail)?;
    bytes.push(b'\n');
    Ok(bytes)
}
