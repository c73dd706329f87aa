//! `llamark export`: a set in a form that other programs know.

use camino::Utf8Path;
use llamark_artifact::files::{self, FileError, NewFile};
use llamark_artifact::set::{CHECKSUMS, MANIFEST, SIGNATURE, TIMESTAMP};
use llamark_report::{RO_CRATE, ro_crate};

use crate::cli::{Export, ExportKind};
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};

pub(crate) fn run(context: &Context, args: &Export) -> Outcome {
    match args.kind {
        ExportKind::RoCrate => as_ro_crate(context, args),
        ExportKind::LlamaBench => as_llama_bench(context, args),
    }
}

fn as_ro_crate(context: &Context, args: &Export) -> Outcome {
    let path = context.find_set(args.set.as_deref())?;
    let verification = super::verify::without_signature(&path, 0)?;
    if let Some(problem) = verification.first_problem() {
        return fail(
            Exit::NotVerified,
            format!("{} does not verify, and is not exported: {problem}", shown(&path)),
            "`llamark verify` lists everything that is wrong",
        );
    }
    let set = context.read_set(Some(path.as_str()))?;
    let description = ro_crate(&set, args.license.as_deref())?;
    let Some(folder) = &args.out else {
        context.terminal.data(&description)?;
        return Ok(Exit::Done);
    };
    if folder.read_dir_utf8().is_ok_and(|mut inside| inside.next().is_some()) {
        return fail(
            Exit::BadInput,
            format!("{folder} is not empty"),
            "a crate needs its own folder: name one that does not exist yet",
        );
    }
    let names = set.sealed.iter().flat_map(|manifest| &manifest.subject).map(|file| file.name.as_str());
    for name in names.chain([MANIFEST, CHECKSUMS]) {
        copy(&path.join(name), &folder.join(name))?;
    }
    for name in [SIGNATURE, TIMESTAMP] {
        if path.join(name).is_file() {
            copy(&path.join(name), &folder.join(name))?;
        }
    }
    files::write_atomic(&folder.join(RO_CRATE), &description).or_fail(Exit::BadInput)?;
    context.terminal.step("Wrote", &shown(&folder.join(RO_CRATE)));
    Ok(Exit::Done)
}

fn as_llama_bench(context: &Context, args: &Export) -> Outcome {
    let set = context.read_set(args.set.as_deref())?;
    let export = llamark_report::llama_bench(&set, args.build_commit.as_deref())?;
    for (case, reason) in &export.left_out {
        context.terminal.warn(&format!("{case} is left out: {reason}"));
    }
    if export.rows == 0 {
        return fail(
            Exit::NotVerified,
            "there is no row to export",
            "`llamark report` shows what happened to each case",
        );
    }
    match &args.out {
        None => context.terminal.data(export.text.as_bytes())?,
        Some(file) => {
            files::write_atomic(file, export.text.as_bytes()).or_fail(Exit::BadInput)?;
            context.terminal.step("Wrote", &shown(file));
        }
    }
    Ok(Exit::Done)
}

fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<(), Failed> {
    let parent = to.parent().unwrap_or(Utf8Path::new("."));
    files::create_dir_all(parent).or_fail(Exit::BadInput)?;
    let mut source = fs_err::File::open(from).or_fail(Exit::NotVerified)?;
    let mut target = NewFile::create_in(parent).or_fail(Exit::BadInput)?;
    std::io::copy(&mut source, &mut target)
        .map_err(|error| FileError::new("copy into", to, error))
        .or_fail(Exit::BadInput)?;
    target.commit_new(to).or_fail(Exit::BadInput)
}
