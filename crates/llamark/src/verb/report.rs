//! `llamark report`: the report of a set again, or its numbers in another format.

use llamark_report::Templates;

use crate::cli::{Report, ReportFormat};
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};

impl ReportFormat {
    fn file_name(self) -> &'static str {
        match self {
            Self::Md => "report.md",
            Self::Json => "summary.json",
            Self::Csv => "results.csv",
            Self::Parquet => "results.parquet",
        }
    }
}

pub(crate) fn run(context: &Context, args: &Report) -> Outcome {
    let set = context.read_set(args.set.as_deref())?;
    let templates = match &args.template {
        Some(folder) => Templates::folder(folder).or_fail(Exit::BadInput)?,
        None => Templates::built_in(),
    };
    let make = |format: ReportFormat| -> Result<Vec<u8>, Failed> {
        match format {
            ReportFormat::Md => {
                let summary = llamark_report::summarize(&set).or_fail(Exit::NotVerified)?;
                let page = llamark_report::render_markdown(&summary, &templates).or_fail(Exit::BadInput)?;
                Ok(page.into_bytes())
            }
            ReportFormat::Json => llamark_report::summary_json(&set).or_fail(Exit::NotVerified),
            ReportFormat::Csv => llamark_report::results_csv(&set).or_fail(Exit::NotVerified),
            ReportFormat::Parquet => llamark_report::results_parquet(&set).or_fail(Exit::NotVerified),
        }
    };
    if let Some(folder) = &args.out {
        llamark_artifact::files::create_dir_all(folder).or_fail(Exit::BadInput)?;
        for format in &args.format {
            let path = folder.join(format.file_name());
            llamark_artifact::files::write_atomic(&path, &make(*format)?).or_fail(Exit::BadInput)?;
            context.terminal.step("Wrote", &shown(&path));
        }
        return Ok(Exit::Done);
    }
    match args.format.as_slice() {
        [ReportFormat::Parquet] => fail(
            Exit::BadInput,
            "Parquet is not text and is not written to standard output",
            "name a folder with `--out DIR`",
        ),
        [format] => {
            context.terminal.data(&make(*format)?);
            context.terminal.detail(&format!("report of {}", shown(&set.path)));
            Ok(Exit::Done)
        }
        _ => fail(Exit::BadInput, "several formats need a folder", "name one with `--out DIR`"),
    }
}
