//! Makes the [`Summary`] of a set from its plan, its ledger and its environment; no clock, no file.

use std::collections::{BTreeMap, BTreeSet};

use llamark_artifact::{ArtifactSet, CaseLedger, Ledger, StartLedger};
use llamark_record::environment::Environment;
use llamark_record::journal::Outcome;
use llamark_record::metric::Metric;
use llamark_record::plan::{Case, Order, Plan, PromptContent, ResolvedPlan, WarmUp};
use llamark_stats::Direction;

use crate::canary;
use crate::counted::{self, broken_text};
use crate::describe;
use crate::error::ReportError;
use crate::estimate::{add_rounding, estimates, round};
use crate::findings;
use crate::format::float;
use crate::frame::{Frames, frames};
use crate::loading::loading;
use crate::perplexity;
use crate::procedure;
use crate::steady;
use crate::summary::{
    CaseSummary, Counts, FirstRun, HardwareSummary, LISTED_RUNS, Method, Metrics, ModelSummary,
    PromptSummary, RunLine, SUMMARY_FORMAT, Section, SetIdentity, Shape, Steady, Summary,
};
use crate::telemetry;
use crate::variants;

/// What a summary is made of. Apart from [`ArtifactSet`], so that it can be made without a disk.
#[derive(Clone, Copy)]
pub struct Material<'a> {
    /// Id of the set.
    pub id: &'a str,
    /// The plan.
    pub resolved: &'a ResolvedPlan,
    /// The journal, folded.
    pub ledger: &'a Ledger,
    /// The machine.
    pub environment: &'a Environment,
}

impl<'a> Material<'a> {
    /// That of a set. A sealed set keeps the id that it was sealed with, whatever its folder is called now.
    pub fn of(set: &'a ArtifactSet) -> Self {
        let sealed = set
            .sealed
            .as_ref()
            .map(|manifest| manifest.predicate.run_details.metadata.invocation_id.as_str());
        Self {
            id: sealed.unwrap_or(&set.id),
            resolved: &set.resolved,
            ledger: set.ledger(),
            environment: &set.environment,
        }
    }
}

/// The summary of a set: every derived number.
///
/// # Errors
/// When the plan has no digest, the set contradicts its plan, or polars refuses.
pub fn summarize(set: &ArtifactSet) -> Result<Summary, ReportError> {
    summarize_material(Material::of(set))
}

/// [`summarize`] from its parts.
///
/// # Errors
/// As [`summarize`].
pub fn summarize_material(material: Material<'_>) -> Result<Summary, ReportError> {
    summarize_frames(material, &frames(material.ledger)?)
}

/// [`summarize`] from its parts and the frames of its ledger.
pub(crate) fn summarize_frames(material: Material<'_>, frames: &Frames) -> Result<Summary, ReportError> {
    let Material { id, resolved, ledger, environment } = material;
    let plan = &resolved.plan;
    let models = describe::models(plan, &ledger.models);
    let mut cases = cases(id, plan, ledger, frames, &models)?;
    let perplexity = perplexity::summary(plan, ledger);
    for case in &mut cases {
        let row = perplexity.as_ref().and_then(|perplexity| perplexity.of(case.model, case.backend));
        case.has_bad_perplexity = row.is_some_and(|row| row.suspect);
    }
    let mut outcomes = BTreeMap::new();
    for case in &cases {
        *outcomes.entry(case.outcome.clone()).or_insert(0) += 1;
    }
    let mut summary = Summary {
        format: SUMMARY_FORMAT.to_owned(),
        set: identity(id, resolved, ledger, environment)?,
        hardware: HardwareSummary {
            label: plan.hardware.label.clone(),
            memory_bandwidth: plan.hardware.memory_bandwidth,
            facts: describe::host_facts(environment),
        },
        method: Method { canary: canary::tally(plan, &cases), ..method(plan, ledger) },
        engine: describe::engine(resolved),
        builds: plan
            .builds
            .iter()
            .map(|build| describe::build(build, ledger.builds.get(&build.id)))
            .collect(),
        backends: plan.backends.iter().map(describe::backend).collect(),
        models,
        sections: sections(plan, &cases),
        cases,
        findings: Vec::new(),
        headlines: Vec::new(),
        outcomes,
        perplexity,
        variants: variants::summary(material)?,
    };
    summary.findings = findings::find(&summary, ledger, plan.procedure);
    summary.headlines = findings::headlines(&summary);
    Ok(summary)
}

fn identity(
    id: &str,
    resolved: &ResolvedPlan,
    ledger: &Ledger,
    environment: &Environment,
) -> Result<SetIdentity, ReportError> {
    let plan = &resolved.plan;
    let every_start = ledger.cases.iter().flat_map(|case| case.starts.values().chain(&case.superseded));
    let server_us: u64 = every_start.filter_map(|start| Some(start.closed.as_ref()?.lifetime_us)).sum();
    let begin = ledger.begin.as_ref();
    Ok(SetIdentity {
        name: plan.name.clone(),
        id: id.to_owned(),
        title: if plan.title.is_empty() { plan.name.clone() } else { plan.title.clone() },
        description: plan.description.clone(),
        date: ledger.started_at.get(..10).unwrap_or_default().to_owned(),
        started: ledger.started_at.clone(),
        server_ms: server_us / 1000,
        llamark: begin.map(|begin| begin.llamark.clone()).unwrap_or_default(),
        plan: resolved.digest()?,
        host: begin.map_or_else(|| environment.fingerprint(), |begin| begin.host.clone()),
        resumed: ledger.resumes,
        grade: plan.grade(),
        grade_meaning: plan.grade().meaning().to_owned(),
        document: plan.document().cloned(),
    })
}

fn method(plan: &Plan, ledger: &Ledger) -> Method {
    let mut shapes: Vec<Shape> = Vec::new();
    for case in &plan.cases {
        let shape = Shape {
            max_tokens: case.max_tokens,
            depth: case.depth,
            concurrency: case.concurrency,
            context: case.context,
            warmup: case.warmup,
            warmup_is_most: plan.procedure.warmup != WarmUp::Counted,
            starts_is_most: plan.procedure.until.is_some(),
            runs: case.runs,
            starts: case.starts,
            cases: 1,
        };
        match shapes.iter_mut().find(|known| Shape { cases: 1, ..**known } == shape) {
            Some(known) => known.cases += 1,
            None => shapes.push(shape),
        }
    }
    let mut tokens: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    let mut unproven = BTreeSet::new();
    for case in &ledger.cases {
        for start in case.starts.values() {
            tokens.entry(&case.case.prompt).or_default().extend(start.prompt_tokens());
            let unseen = start.proofs().iter().filter(|proof| proof.agrees.is_none());
            unproven.extend(unseen.map(|proof| proof.setting.clone()));
        }
        let stated = case.stated.values().flat_map(|start| &start.runs).filter_map(|run| run.prompt_tokens);
        tokens.entry(&case.case.prompt).or_default().extend(stated);
    }
    let prompts = plan.prompts.iter().map(|prompt| {
        let tokens = tokens.get(prompt.name.as_str());
        PromptSummary {
            name: prompt.name.clone(),
            sha256: prompt.content.sha256().cloned(),
            characters: prompt
                .content
                .text()
                .map(|text| u64::try_from(text.chars().count()).unwrap_or(u64::MAX)),
            description: match &prompt.content {
                PromptContent::Text { .. } | PromptContent::Tokens { .. } => String::new(),
                PromptContent::Unstated { description } => description.clone(),
            },
            exact_tokens: prompt.content.exact_tokens(),
            tokens_min: tokens.and_then(|tokens| tokens.first().copied()),
            tokens_max: tokens.and_then(|tokens| tokens.last().copied()),
        }
    });
    Method {
        shapes,
        prompts: prompts.collect(),
        seed: plan.seed,
        cooldown_ms: plan.cooldown_ms,
        is_grouped: plan.procedure.order == Order::Grouped,
        procedure: procedure::sentences(plan),
        unproven: unproven.into_iter().collect(),
        canary: None,
    }
}

fn cases(
    id: &str,
    plan: &Plan,
    ledger: &Ledger,
    frames: &Frames,
    models: &[ModelSummary],
) -> Result<Vec<CaseSummary>, ReportError> {
    let mut by_metric = BTreeMap::new();
    for metric in Metric::ALL {
        by_metric.insert(metric.name(), estimates(frames, metric)?);
    }
    let mut cases = Vec::with_capacity(ledger.cases.len());
    for (place, case) in ledger.cases.iter().enumerate() {
        let mut take = |metric: Metric| {
            let mut estimate = by_metric.get_mut(metric.name())?.remove(&place)?;
            add_rounding(&mut estimate, counted::half_unit(case, metric));
            procedure::allow_for_looks(&mut estimate, &case.case, plan.procedure.until);
            Some(estimate)
        };
        let metrics = Metrics {
            pp: take(Metric::Pp),
            tg: take(Metric::Tg),
            tg_stream: take(Metric::TgStream),
            ttft: take(Metric::Ttft),
            ttft_p95: take(Metric::TtftP95),
            ttft_p99: take(Metric::TtftP99),
            itl: take(Metric::Itl),
            itl_p95: take(Metric::ItlP95),
            itl_p99: take(Metric::ItlP99),
            load: take(Metric::Load),
            rss: take(Metric::Rss),
            vram: take(Metric::Vram),
            gtt: take(Metric::Gtt),
            energy_prefill: take(Metric::EnergyPrefill),
            energy_decode: take(Metric::EnergyDecode),
        };
        let summary = case_summary(plan, models, ledger, case, metrics);
        cases.push(summary.ok_or_else(|| ReportError::Inconsistent {
            set: id.to_owned(),
            what: format!("case `{}` names a model or a backend that the plan does not have", case.case.id),
        })?);
    }
    Ok(cases)
}

fn case_summary(
    plan: &Plan,
    models: &[ModelSummary],
    ledger: &Ledger,
    case: &CaseLedger,
    metrics: Metrics,
) -> Option<CaseSummary> {
    let model = plan.models.iter().position(|model| model.id == case.case.model)?;
    let backend = plan.backends.iter().position(|backend| backend.name == case.case.backend)?;
    let weights = models.get(model).and_then(|model| model.weights.as_ref());
    let bandwidth = plan.backends.get(backend).and_then(|backend| backend.memory_bandwidth);
    let roofline = match (bandwidth.or(plan.hardware.memory_bandwidth), weights, &metrics.tg) {
        // Several streams share what is read for one step.
        (Some(bandwidth), Some(weights), Some(tg)) if bandwidth > 0 && case.case.concurrency == 1 => {
            Some(round(tg.mean * weights.bytes_per_token / float(bandwidth)))
        }
        _ => None,
    };
    let (runs, runs_not_listed) = lines(case);
    let (failure, reason, hint, log) = why(case);
    Some(CaseSummary {
        id: case.case.id.clone(),
        model,
        backend,
        prompt: case.case.prompt.clone(),
        shape: shape(plan, &case.case),
        depth: case.case.depth,
        concurrency: case.case.concurrency,
        max_tokens: case.case.max_tokens,
        outcome: case.outcome.as_ref().map_or("open", Outcome::word).to_owned(),
        failure,
        reason,
        hint,
        log,
        counts: counts(case),
        prompt_tokens: prompt_tokens(case),
        not_available: telemetry::not_available(case, &metrics),
        canary: canary::check(ledger, case),
        has_bad_perplexity: false,
        loading: loading(case, plan.procedure.cache),
        warm_ups: procedure::warm_ups(case),
        stopped: procedure::stopped(case, plan.procedure.until, &metrics),
        metrics,
        roofline,
        first_run: first_run(case),
        steady: Steady { pp: steady::state(case, Metric::Pp), tg: steady::state(case, Metric::Tg) },
        runs,
        runs_not_listed,
    })
}

/// What is not as usual in the shape of a case, for people.
fn shape(plan: &Plan, case: &Case) -> String {
    let mut parts = Vec::new();
    if case.depth > 0 {
        parts.push(format!("depth {}", case.depth));
    }
    if case.concurrency > 1 {
        parts.push(format!("{} streams", case.concurrency));
    }
    if plan.cases.iter().any(|other| other.max_tokens != case.max_tokens) {
        parts.push(format!("{} generated", case.max_tokens));
    }
    parts.join(", ")
}

/// Kind, reason, hint and log of a case that is not ok.
fn why(case: &CaseLedger) -> (String, String, String, Vec<String>) {
    let plain = |reason: &str| (String::new(), reason.to_owned(), String::new(), Vec::new());
    match &case.outcome {
        Some(Outcome::Ok) => plain(""),
        Some(Outcome::Failed(failure)) => {
            (counted::word(&failure.kind), failure.detail.clone(), failure.hint.clone(), failure.log.clone())
        }
        Some(Outcome::Skipped { reason } | Outcome::Invalid { reason }) => plain(reason),
        Some(Outcome::Interrupted) => plain("it was interrupted"),
        None => plain("the set was not finished"),
    }
}

fn counts(case: &CaseLedger) -> Counts {
    let mut counts = Counts {
        planned: u64::from(case.case.runs) * u64::from(case.starts_wanted()),
        valid: 0,
        invalid: 0,
        warmup: 0,
        starts_planned: case.starts_wanted(),
        starts: 0,
        superseded: u32::try_from(case.superseded.len()).unwrap_or(u32::MAX),
    };
    for start in counted::starts(case) {
        let before = counts.valid;
        for run in &start.runs {
            if run.warmup {
                counts.warmup += 1;
            } else if run.counts() && start.counts {
                counts.valid += 1;
            } else {
                counts.invalid += 1;
            }
        }
        counts.starts += u32::from(counts.valid > before);
    }
    counts
}

/// Tokens of the prompt: as the server counted them, or as the document states them of its last run.
fn prompt_tokens(case: &CaseLedger) -> Option<u32> {
    let counted = case.starts.values().find_map(StartLedger::prompt_tokens);
    let stated =
        || case.stated.values().flat_map(|start| &start.runs).filter_map(|run| run.prompt_tokens).next_back();
    counted.or_else(stated)
}

fn lines(case: &CaseLedger) -> (Vec<RunLine>, u64) {
    let mut listed = Vec::new();
    let mut count = 0_usize;
    for start in counted::starts(case) {
        let room = LISTED_RUNS.saturating_sub(listed.len());
        listed.extend(start.runs.iter().take(room).map(|run| line(&start, run)));
        count += start.runs.len();
    }
    let left = u64::try_from(count - listed.len()).unwrap_or(u64::MAX);
    (listed, left)
}

fn line(start: &counted::Start<'_>, run: &counted::Run<'_>) -> RunLine {
    RunLine {
        start: start.number,
        index: run.index,
        warmup: run.warmup,
        valid: run.valid,
        broken: broken_text(run.broken),
        pp: run.pp,
        tg: run.tg,
        ttft: run.ttft_ms[0],
        prompt_tokens: run.prompt_tokens,
        generated_tokens: run.generated_tokens,
    }
}

/// The first counted run of each start against the median of the later ones, mean over the starts, by metric.
fn first_run(case: &CaseLedger) -> Option<FirstRun> {
    let effect = |metric: Metric| {
        let starts = counted::samples(case, metric).into_iter();
        // Of two runs, nobody can say which one is odd.
        let starts: Vec<Vec<f64>> = starts.filter(|runs| runs.len() >= 3).collect();
        let effect = llamark_stats::warmup::first_run(&starts, Direction::HigherIsBetter)?;
        Some(round((-effect.worse_by).exp_m1()))
    };
    let effect = FirstRun { pp: effect(Metric::Pp), tg: effect(Metric::Tg) };
    (effect.pp.is_some() || effect.tg.is_some()).then_some(effect)
}

/// The sections of the report: a model with a prompt in one shape each, by tg on the first backend, descending.
fn sections(plan: &Plan, cases: &[CaseSummary]) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (place, case) in cases.iter().enumerate() {
        let known = sections.iter_mut().find(|section| {
            section.model == case.model && section.prompt == case.prompt && section.shape == case.shape
        });
        match known {
            Some(section) => section.cases.push(place),
            None => sections.push(Section {
                model: case.model,
                prompt: case.prompt.clone(),
                shape: case.shape.clone(),
                first: None,
                cases: vec![place],
                others: Vec::new(),
            }),
        }
    }
    let backend_of = |place: &usize| cases.get(*place).map_or(usize::MAX, |case| case.backend);
    for section in &mut sections {
        section.cases.sort_by_key(backend_of);
        section.first = section.cases.first().copied().filter(|place| backend_of(place) == 0);
        let others = section.cases.iter().map(backend_of).filter(|backend| *backend != 0);
        section.others =
            others.filter_map(|backend| Some(plan.backends.get(backend)?.label.clone())).collect();
    }
    let speed = |section: &Section| -> f64 {
        let tg = section.first.and_then(|place| cases.get(place)?.metrics.tg.as_ref());
        tg.map_or(f64::NEG_INFINITY, |tg| tg.mean)
    };
    // The shapes of one model and prompt stay together: a table of depths is read from top to bottom.
    let mut groups: Vec<Vec<Section>> = Vec::new();
    for section in sections {
        let is_of = |group: &&mut Vec<Section>| {
            group.first().is_some_and(|first| first.model == section.model && first.prompt == section.prompt)
        };
        match groups.iter_mut().find(is_of) {
            Some(group) => group.push(section),
            None => groups.push(vec![section]),
        }
    }
    let speed = |group: &[Section]| group.first().map_or(f64::NEG_INFINITY, speed);
    // Stable: equal speeds, and those without one, stay in the author's order.
    groups.sort_by(|a, b| speed(b).total_cmp(&speed(a)));
    groups.into_iter().flatten().collect()
}
