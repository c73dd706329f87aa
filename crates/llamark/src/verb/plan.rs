//! `llamark plan`: what `run` would do, before anything is spent.

use llamark_record::plan::{Case, Engine, EngineSource, ModelSource, Order, Plan, WarmUp};
use llamark_report::format::counted;

use crate::cli::PlanArgs;
use crate::context::{Context, some_of};
use crate::display::duration;
use crate::estimate::Estimate;
use crate::exit::{Exit, Outcome};
use crate::load::{self, Loaded};

pub(crate) fn run(context: &Context, args: &PlanArgs) -> Outcome {
    let loaded = load::load(context, &args.spec, &args.selection)?;
    if args.json {
        context.terminal.json(&loaded.plan)?;
    } else {
        context.terminal.data(describe(context, &loaded).as_bytes())?;
    }
    Ok(Exit::Done)
}

/// The plan, for people.
pub(crate) fn describe(context: &Context, loaded: &Loaded) -> String {
    let plan = &loaded.plan;
    let mut text = format!("{} ({})\n\n", plan.title, plan.name);
    for of_plan in plan.engines() {
        text.push_str(&format!("Engine  {}\n", engine(of_plan)));
    }
    if let Some(ab) = &plan.ab {
        text.push_str(&format!(
            "A/B     {} against {}, in pairs of starts; what differs: {}\n",
            ab.candidate,
            ab.base,
            if ab.differs.is_empty() { "nothing".to_owned() } else { ab.differs.join(", ") }
        ));
    }
    if let Some(lock) = &loaded.lock {
        let unpinned = loaded.pins.unpinned.len();
        let rest =
            if unpinned == 0 { "everything is pinned".to_owned() } else { format!("{unpinned} not pinned") };
        text.push_str(&format!("Lock    {}, {rest}\n", crate::context::shown(lock)));
    }
    text.push_str(&table("Builds", &builds(plan)));
    text.push_str(&table("Models", &models(context, loaded)));
    text.push_str(&cases(plan));
    // A case may have 5 * 10^9 runs, and more.
    let of_starts = |runs: fn(&Case) -> u32| -> u64 {
        plan.cases.iter().map(|case| u64::from(case.starts) * u64::from(runs(case))).sum()
    };
    let most = if is_fixed(plan) { "" } else { "at most " };
    let order = match plan.procedure.order {
        Order::Interleave => format!("in an order from seed {}", plan.seed),
        Order::Grouped => "case by case".to_owned(),
    };
    text.push_str(&format!(
        "\nTotal   {}, {}, {}, {most}{}, {} and {}, {order}\n",
        counted(plan.builds.len(), "build"),
        counted(plan.models.len(), "model"),
        counted(plan.cases.len(), "case"),
        counted(plan.schedule.len(), "start"),
        counted(of_starts(|case| case.runs), "run"),
        counted(of_starts(|case| case.warmup), "warm-up run"),
    ));
    if let Some(canary) = &plan.canary {
        text.push_str(&format!(
            "Canary  {} tokens after the runs of each start, and from the processor alone, once for each model\n",
            canary.tokens
        ));
    }
    if let Some(perplexity) = &plan.perplexity {
        text.push_str(&format!(
            "Perplexity  of a text of {} bytes, at most {} chunks of {} tokens, by llama-perplexity, once for each model and \
             backend\n",
            perplexity.text.len(),
            perplexity.chunks,
            perplexity.context
        ));
    }
    let estimate = Estimate::from_history(&context.store(), plan);
    let starts = plan.schedule.iter().map(|start| start.case.as_str());
    let time = match estimate.starts(starts, plan.cooldown_ms) {
        Some(time) => {
            let more = if plan.perplexity.is_some() { ", and the perplexities" } else { "" };
            format!("about {}, as in the newest finished set of this experiment{more}", duration(time))
        }
        None => "unknown before the first run; a build takes about 20 core-minutes".to_owned(),
    };
    text.push_str(&format!("Time    {time}\n"));
    text
}

/// Whether it is known before how many starts and runs there are.
fn is_fixed(plan: &Plan) -> bool {
    plan.procedure.until.is_none() && plan.procedure.warmup == WarmUp::Counted
}

fn engine(engine: &Engine) -> String {
    let source = match &engine.source {
        EngineSource::Git { url, rev } => format!("git {url} at {rev}"),
        EngineSource::Archive { location, sha256, .. } => {
            format!("archive {location} (sha256 {})", sha256.short())
        }
        EngineSource::Path { path } => format!("folder {path}"),
        EngineSource::Package { package, sha256, .. } => format!("{package} (sha256 {})", sha256.short()),
        EngineSource::Prebuilt { path } => format!("prebuilt in {path}"),
        EngineSource::Unstated => "not stated".to_owned(),
    };
    match engine.build_number {
        0 => format!("llama.cpp, {source}"),
        number => format!("llama.cpp b{number}, {source}"),
    }
}

fn builds(plan: &Plan) -> Vec<Vec<String>> {
    let row = |build: &llamark_record::plan::PlannedBuild| {
        let users: Vec<_> = plan
            .backends
            .iter()
            .filter(|backend| backend.build == build.id)
            .map(|backend| backend.name.as_str())
            .collect();
        let flags: Vec<_> = build.cmake.iter().map(|(name, value)| format!("{name}={value}")).collect();
        vec![
            build.id.clone(),
            build.kind.name().to_owned(),
            format!("for {}", some_of(&users)),
            flags.join(" "),
        ]
    };
    plan.builds.iter().map(row).collect()
}

fn models(context: &Context, loaded: &Loaded) -> Vec<Vec<String>> {
    let fetcher = llamark_fetch::Fetcher::new(&context.cache);
    let row = |model: &llamark_record::plan::PlannedModel| {
        let place = match &model.source {
            ModelSource::File { file, .. } => file.clone(),
            ModelSource::Unstated => "not stated".to_owned(),
            ModelSource::Url { url, .. } => url.clone(),
            ModelSource::Huggingface { repo, revision, file, .. } => {
                format!("huggingface {repo}@{revision} {file}")
            }
            ModelSource::Package { package, member, .. } => format!("{package} {member}"),
            ModelSource::Synthetic { model, .. } => format!("synthetic weights, {}", model.summary()),
        };
        let size = match fetcher.local_size(&model.source, &loaded.folder, context.models.as_deref()) {
            Some(bytes) => llamark_report::format::bytes(bytes),
            None => absent(&fetcher, &model.source, context, loaded),
        };
        vec![model.id.clone(), size, place]
    };
    loaded.plan.models.iter().map(row).collect()
}

/// What is said instead of the size of a model that is not on this disk.
fn absent(
    fetcher: &llamark_fetch::Fetcher,
    source: &ModelSource,
    context: &Context,
    loaded: &Loaded,
) -> String {
    match source {
        ModelSource::File { .. } => "not found".to_owned(),
        ModelSource::Synthetic { model, .. } => {
            let size = fetcher.synthetic_size(model, &loaded.folder, context.models.as_deref());
            size.map_or_else(
                || "to be made".to_owned(),
                |bytes| format!("{}, to be made", llamark_report::format::bytes(bytes)),
            )
        }
        _ => "to be fetched".to_owned(),
    }
}

/// The cases, under a title that says what they have in common.
fn cases(plan: &Plan) -> String {
    let parts: Vec<[String; 6]> = plan.cases.iter().map(|case| parts(plan, case)).collect();
    let is_common = |place: usize| {
        let part = |parts: &[String; 6]| parts.get(place).cloned();
        parts.len() > 1 && parts.windows(2).all(|two| two.first().map(part) == two.last().map(part))
    };
    let common: Vec<bool> = (0..6).map(is_common).collect();
    let chosen = |parts: &[String; 6], wanted: bool| -> Vec<String> {
        let chosen =
            parts.iter().zip(&common).filter(|(part, common)| **common == wanted && !part.is_empty());
        chosen.map(|(part, _)| part.clone()).collect()
    };
    let title = match parts.first().map(|first| chosen(first, true)).filter(|common| !common.is_empty()) {
        Some(common) => format!("Cases, each: {}", common.join(", ")),
        None => "Cases".to_owned(),
    };
    let row = |(case, parts): (&Case, &[String; 6])| vec![case.id.clone(), chosen(parts, false).join(", ")];
    table(&title, &plan.cases.iter().zip(&parts).map(row).collect::<Vec<_>>())
}

/// What there is to say of a case, each part in its place: `device none`, `3 starts x 5 runs after 1 warm-up`,
/// `depth 4096`, `512 prompt tokens`, `64 to generate in 4 streams`, `context 8192`.
fn parts(plan: &Plan, case: &Case) -> [String; 6] {
    let device = plan.backend(&case.backend).map_or("", |backend| backend.device.as_str());
    let tokens = plan.prompt(&case.prompt).and_then(|prompt| prompt.content.exact_tokens());
    [
        format!("device {device}"),
        repetition(plan, case),
        if case.depth > 0 { format!("depth {}", case.depth) } else { String::new() },
        tokens.map_or_else(String::new, |tokens| format!("{tokens} prompt tokens")),
        match case.concurrency {
            0 | 1 => format!("{} to generate", case.max_tokens),
            streams => format!("{} to generate in {streams} streams", case.max_tokens),
        },
        format!("context {}", case.context),
    ]
}

/// `3 starts x 5 runs after 1 warm-up`.
fn repetition(plan: &Plan, case: &Case) -> String {
    let most = |is_most: bool| if is_most { "at most " } else { "" };
    format!(
        "{}{} starts x {} runs after {}{} warm-up",
        most(plan.procedure.until.is_some()),
        case.starts,
        case.runs,
        most(plan.procedure.warmup != WarmUp::Counted),
        case.warmup
    )
}

/// Rows under a title, in aligned columns.
fn table(title: &str, rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = format!("\n{title}\n");
    for row in rows {
        let mut line = String::from("  ");
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
