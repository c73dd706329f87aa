//! A comparison as an in-toto statement of a test result (`test-result/v0.1`), so that a policy can ask for one.
//!
//! The subjects are the manifests of both sets, by digest; the configurations are their plans. A comparison that is
//! not decided warns; sets that cannot be compared fail, as a test that could not be made.

use llamark_record::Sha256;
use llamark_record::comparison::{ComparedSet, Comparison, Conclusion};
use llamark_record::manifest::{Digests, STATEMENT_TYPE};
use serde::Serialize;

use super::checks::{self, Outcome};
use crate::error::ReportError;

/// `predicateType` of the statement.
const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    statement_type: &'static str,
    subject: Vec<Descriptor>,
    predicate_type: &'static str,
    predicate: TestResult,
}

#[derive(Serialize)]
struct Descriptor {
    name: String,
    digest: Digests,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TestResult {
    result: &'static str,
    configuration: Vec<Descriptor>,
    passed_tests: Vec<String>,
    warned_tests: Vec<String>,
    failed_tests: Vec<String>,
}

/// As an in-toto statement.
///
/// # Errors
/// When a set is not sealed: then it has no digest that a subject could be known by.
pub fn in_toto(comparison: &Comparison) -> Result<String, ReportError> {
    let sets = [("baseline", &comparison.base), ("candidate", &comparison.candidate)];
    let mut subject = Vec::new();
    for (_, set) in sets {
        let Some(manifest) = &set.manifest else {
            return Err(ReportError::NotSealed { set: set.id.clone() });
        };
        // Two variants are of one set.
        if subject.is_empty() || set.variant.is_none() {
            subject.push(descriptor(set, "manifest.json", manifest));
        }
    }
    let checks = checks::of(comparison);
    let names = |wanted: &[Outcome]| -> Vec<String> {
        checks.iter().filter(|check| wanted.contains(&check.outcome)).map(checks::Check::name).collect()
    };
    let statement = Statement {
        statement_type: STATEMENT_TYPE,
        subject,
        predicate_type: PREDICATE_TYPE,
        predicate: TestResult {
            result: match comparison.conclusion {
                Conclusion::NoRegression => "PASSED",
                Conclusion::Inconclusive => "WARNED",
                Conclusion::Regression | Conclusion::NotComparable => "FAILED",
            },
            // The digest of a plan is that of its canonical JSON, which is `plan.json` without its last newline.
            configuration: sets.iter().map(|(_, set)| descriptor(set, "plan", &set.plan)).collect(),
            passed_tests: names(&[Outcome::Passed]),
            warned_tests: names(&[Outcome::Undecided]),
            failed_tests: names(&[Outcome::Failed, Outcome::NotComparable]),
        },
    };
    let fail = |source| ReportError::Json { what: "test result", source };
    Ok(serde_json::to_string_pretty(&statement).map_err(fail)? + "\n")
}

fn descriptor(set: &ComparedSet, what: &str, sha256: &Sha256) -> Descriptor {
    let digest = Digests { sha256: sha256.clone() };
    Descriptor { name: format!("{}/{}/{what}", set.name, set.id), digest }
}
