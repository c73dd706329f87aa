//! `llamark import`: a document that somebody else wrote to a sealed set, and back again for `verify`.

use camino::Utf8Path;
use jiff::Timestamp;
use llamark_artifact::{ArtifactSet, Check, Found, Given, Store};
use llamark_import::{Bandwidth, Imported, Options, Problems};
use llamark_record::environment::{ENVIRONMENT_FORMAT, Environment, Fact};
use llamark_record::journal::Event;
use llamark_record::plan::{Document, DocumentKind, model_id};
use llamark_report::format::counted;

use crate::cli::{Import, ImportKind};
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, Outcome, fail};
use crate::sealing::{conclude, seal};

pub(crate) fn run(context: &Context, args: &Import) -> Outcome {
    let options = options(args)?;
    let bytes = read(&args.file)?;
    let kind = match args.kind {
        ImportKind::Report => DocumentKind::Report,
        ImportKind::LlamaBench => DocumentKind::LlamaBench,
    };
    let imported = match convert(kind, args.file.as_str(), &bytes, &options) {
        Ok(imported) => imported,
        Err(problems) => {
            context.terminal.problem(&problems.render(context.terminal.color()));
            let message = format!("{} was not imported", shown(&args.file));
            return fail(Exit::BadInput, message, "");
        }
    };
    let Some(document) = imported.plan.plan.document() else {
        return fail(Exit::Internal, "the plan of an import names no document", "");
    };
    tell(context, &imported, document);
    let cases = imported.plan.plan.cases.len();
    if imported.incomplete().count() == cases {
        return fail(
            Exit::BadInput,
            format!("{} states no case completely; nothing was imported", shown(&args.file)),
            "is the file truncated?",
        );
    }
    let environment = environment();
    let store = store(context)?;
    let found = store.find(&imported.plan, &environment.fingerprint()).or_fail(Exit::NotVerified)?;
    if let Some(Found::Sealed(path)) = found.filter(|_| !args.again) {
        let outcome = conclude(context, &path, "Unchanged")?;
        context
            .terminal
            .done("this document was imported before; nothing to do (`--again` imports it again)");
        return Ok(outcome);
    }
    let given = Given::Document(document, &bytes);
    let version = env!("CARGO_PKG_VERSION");
    let mut writer =
        store.create(&imported.plan, &given, &environment, version).or_fail(Exit::NotVerified)?;
    for event in &imported.events {
        writer.append(event.clone()).or_fail(Exit::NotVerified)?;
    }
    conclude(context, &seal(writer, Vec::new())?, "Sealed")
}

fn convert(kind: DocumentKind, file: &str, bytes: &[u8], options: &Options) -> Result<Imported, Problems> {
    match kind {
        DocumentKind::Report => llamark_import::report(file, bytes, options),
        DocumentKind::LlamaBench => llamark_import::llama_bench(file, bytes, options),
    }
}

/// What was read, what is not there, and what nobody can know.
fn tell(context: &Context, imported: &Imported, document: &Document) {
    let terminal = context.terminal;
    let plan = &imported.plan.plan;
    for (case, reason) in imported.incomplete() {
        terminal.warn(&format!("{case}: {reason}"));
    }
    for remark in &document.remarks {
        terminal.warn(&format!("{remark}: a last digit that rounding does not explain"));
    }
    let (cases, incomplete) = (plan.cases.len(), imported.incomplete().count());
    let (models, cases) = (counted(plan.models.len(), "model"), counted(cases, "case"));
    let text = format!("{models}, {cases}, {}", counted(imported.runs(), "run"));
    let text = if incomplete == 0 { text } else { format!("{text}; {}", are_incomplete(incomplete)) };
    terminal.step("Read", &text);
    let grade = plan.grade();
    terminal.step("Provenance", &format!("{}: {}", grade.name(), grade.meaning()));
    terminal.step("Unknown", &document.unstated.join("; "));
}

fn are_incomplete(cases: usize) -> String {
    format!("{} {} incomplete", counted(cases, "case"), if cases == 1 { "is" } else { "are" })
}

/// At most one byte more than a document may have: what is larger is refused by name, and not read.
fn read(path: &Utf8Path) -> Result<Vec<u8>, Failed> {
    use std::io::Read as _;
    let hint = "FILE is the path of the document";
    let file = fs_err::File::open(path).or_fail_hint(Exit::BadInput, hint)?;
    let mut bytes = Vec::new();
    let most = u64::try_from(llamark_import::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).or_fail_hint(Exit::BadInput, hint)?;
    Ok(bytes)
}

fn options(args: &Import) -> Result<Options, Failed> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => model_id(args.file.file_stem().unwrap_or_default(), ""),
    };
    if name.is_empty() || model_id(&name, "") != name || name.len() > 64 {
        return fail(
            Exit::BadInput,
            format!("`{name}` cannot be the name of a set"),
            "use at most 64 lower-case letters, digits, `.`, `_` and `-`: `--name strix-halo`",
        );
    }
    let memory_bandwidth = args.memory_bandwidth.as_deref().map(bandwidth).transpose()?;
    Ok(Options { name, title: args.title.clone(), memory_bandwidth })
}

fn bandwidth(text: &str) -> Result<Bandwidth, Failed> {
    let parsed: llamark_spec::units::Bandwidth = text.parse().or_fail(Exit::BadInput)?;
    Ok(Bandwidth { text: text.to_owned(), bytes_per_second: parsed.0 })
}

/// With the time of `SOURCE_DATE_EPOCH` where it is set, as reproducible builds have it: the same document then gives
/// the same bytes.
fn store(context: &Context) -> Result<Store, Failed> {
    let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") else { return Ok(context.store()) };
    let time = epoch.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    match time {
        Some(time) => Ok(Store::with_clock(&context.artifacts, move || time)),
        None => fail(
            Exit::BadInput,
            format!("SOURCE_DATE_EPOCH is `{epoch}`, which is not a number of seconds since 1970"),
            "unset it, or see https://reproducible-builds.org/specs/source-date-epoch/",
        ),
    }
}

/// Nothing of the machine that was measured was seen, and nothing of the one that imports matters.
fn environment() -> Environment {
    let error = "the set was imported: llamark did not see the machine that was measured".to_owned();
    let fact = Fact { value: None, source: "imported document".to_owned(), error: Some(error) };
    Environment { format: ENVIRONMENT_FORMAT.to_owned(), facts: [("machine".to_owned(), fact)].into() }
}

/// Level 2 of an imported set: the document, imported again, gives this plan and these events.
pub(crate) fn again(set: &ArtifactSet, document: &Document) -> Result<Check, Failed> {
    let mut check = Check {
        level: 2,
        name: "numbers of the document read again",
        count: 0,
        problems: Vec::new(),
        more: 0,
    };
    let Some((_, bytes)) = set.document().or_fail(Exit::NotVerified)? else { return Ok(check) };
    let added = |name: &str| document.added.get(name).map(String::as_str);
    let Ok(memory_bandwidth) = added("memory_bandwidth").map(bandwidth).transpose() else {
        check.problems.push("the plan names a memory bandwidth that cannot be read".to_owned());
        return Ok(check);
    };
    let title = added("title").map(str::to_owned);
    let options = Options { name: set.resolved.plan.name.clone(), title, memory_bandwidth };
    let imported = match convert(document.kind, &document.file.name, &bytes, &options) {
        Ok(imported) => imported,
        Err(problems) => {
            check
                .problems
                .push(format!("the document cannot be read: {}", counted(problems.count(), "problem")));
            return Ok(check);
        }
    };
    if imported.plan != set.resolved {
        check.problems.push("plan.json is not what the document gives".to_owned());
    }
    let mut expected = imported.events.iter();
    for entry in set.entries().or_fail(Exit::NotVerified)? {
        let entry = entry.or_fail(Exit::NotVerified)?;
        if matches!(entry.event, Event::Begin(_) | Event::End(_)) {
            continue;
        }
        if let Event::Stated(start) = &entry.event {
            check.count += u64::try_from(start.runs.len()).unwrap_or(u64::MAX);
        }
        if expected.next() != Some(&entry.event) {
            check
                .problems
                .push(format!("line {} of the journal is not what the document gives", entry.seq + 1));
            return Ok(check);
        }
    }
    if expected.next().is_some() {
        check.problems.push("the document states more than the journal".to_owned());
    }
    Ok(check)
}
