//! The end of a set, measured or imported: its derived files, the seal, and what is shown of it.

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::{ArtifactSet, SetWriter};
use llamark_record::manifest::Resource;
use llamark_report::summary::Summary;

use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome};

/// Makes every derived file from the journal, then seals. `dependencies` went in besides what the plan names.
pub(crate) fn seal(mut writer: SetWriter, dependencies: Vec<Resource>) -> Result<Utf8PathBuf, Failed> {
    writer.end().or_fail(Exit::NotVerified)?;
    let set = writer.set().or_fail(Exit::Internal)?;
    for (name, bytes) in llamark_report::derived_files(&set).or_fail(Exit::Internal)? {
        writer.put(&name, &bytes).or_fail(Exit::NotVerified)?;
    }
    writer.seal(dependencies).or_fail(Exit::NotVerified)
}

/// The table, the paths, the exit code: of a set that was sealed just now, or of one that was there already.
pub(crate) fn conclude(context: &Context, path: &Utf8Path, how: &str) -> Outcome {
    let summary = stored_summary(path)?;
    let terminal = context.terminal;
    terminal.text(&llamark_report::terminal_table(&summary, terminal.width()));
    terminal.step(how, &shown(path));
    terminal.step("Report", &shown(&path.join("report.md")));
    let all_well = summary.cases.iter().all(|case| case.outcome == "ok");
    Ok(if all_well { Exit::Done } else { Exit::CaseWithoutResult })
}

/// The summary as sealed; made again from the journal when another version of llamark wrote it otherwise.
fn stored_summary(path: &Utf8Path) -> Result<Summary, Failed> {
    let stored = fs_err::read(path.join("summary.json")).ok();
    if let Some(summary) = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(summary);
    }
    let hint = format!("`llamark verify {path}` says what is wrong; `--again` measures again");
    let set = ArtifactSet::read(path).or_fail_hint(Exit::NotVerified, hint)?;
    Ok(llamark_report::summarize(&set)?)
}
