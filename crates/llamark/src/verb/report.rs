//! `llamark report`: the report of a set again, or its numbers in another format.

use camino::Utf8Path;
use llamark_artifact::ArtifactSet;
use llamark_report::Templates;

use crate::cli::{Report, ReportFormat};
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};

/// One file to make.
enum Page {
    /// Markdown by these templates, and the name of the file.
    Markdown(Templates, String),
    /// Summary and findings.
    Json,
    /// Runs.
    Csv,
    /// Runs.
    Parquet,
}

impl Page {
    fn file_name(&self) -> &str {
        match self {
            Self::Markdown(_, name) => name,
            Self::Json => "summary.json",
            Self::Csv => "results.csv",
            Self::Parquet => "results.parquet",
        }
    }

    fn make(&self, set: &ArtifactSet) -> Result<Vec<u8>, Failed> {
        Ok(match self {
            Self::Markdown(templates, _) => {
                let summary = llamark_report::summarize(set)?;
                llamark_report::render_markdown(&summary, templates)?.into_bytes()
            }
            Self::Json => llamark_report::summary_json(set)?,
            Self::Csv => llamark_report::results_csv(set)?,
            Self::Parquet => llamark_report::results_parquet(set)?,
        })
    }
}

pub(crate) fn run(context: &Context, args: &Report) -> Outcome {
    let pages = pages(args)?;
    let set = context.read_set(args.set.as_deref())?;
    if let Some(folder) = &args.out {
        llamark_artifact::files::create_dir_all(folder).or_fail(Exit::BadInput)?;
        for page in &pages {
            let path = folder.join(page.file_name());
            llamark_artifact::files::write_atomic(&path, &page.make(&set)?).or_fail(Exit::BadInput)?;
            context.terminal.step("Wrote", &shown(&path));
        }
        return Ok(Exit::Done);
    }
    match pages.as_slice() {
        [Page::Parquet] => fail(
            Exit::BadInput,
            "Parquet is not text and is not written to standard output",
            "name a folder with `--out DIR`",
        ),
        [page] => {
            context.terminal.data(&page.make(&set)?)?;
            context.terminal.detail(&format!("report of {}", shown(&set.path)));
            Ok(Exit::Done)
        }
        _ => fail(Exit::BadInput, "several formats or layouts need a folder", "name one with `--out DIR`"),
    }
}

/// What was asked for, in that order.
fn pages(args: &Report) -> Result<Vec<Page>, Failed> {
    let mut pages = Vec::new();
    for format in &args.format {
        match format {
            ReportFormat::Md => {
                for layout in &args.template {
                    let name = page_name(layout, args.template.len() > 1);
                    pages.push(Page::Markdown(templates(layout)?, name));
                }
            }
            ReportFormat::Json => pages.push(Page::Json),
            ReportFormat::Csv => pages.push(Page::Csv),
            ReportFormat::Parquet => pages.push(Page::Parquet),
        }
    }
    Ok(pages)
}

/// A built-in layout by its name, else a folder.
fn templates(layout: &str) -> Result<Templates, Failed> {
    match Templates::named(layout) {
        Some(templates) => Ok(templates),
        None => Templates::folder(Utf8Path::new(layout))
            .or_fail_hint(Exit::BadInput, "the built-in layouts are `default` and `classic`"),
    }
}

/// `report.md`; with several layouts, all but the default have their name in it.
fn page_name(layout: &str, is_one_of_several: bool) -> String {
    match Utf8Path::new(layout).file_name() {
        Some(name) if is_one_of_several && layout != "default" => format!("report-{name}.md"),
        _ => "report.md".to_owned(),
    }
}
