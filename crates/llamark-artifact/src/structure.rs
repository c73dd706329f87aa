//! Level 1 of verification: is what the journal records what was planned, all of it, once?

use std::collections::BTreeMap;

use camino::Utf8Path;
use llamark_record::Sha256;
use llamark_record::build::BuildRecord;
use llamark_record::digest::canonical_json;
use llamark_record::journal::{Event, Gaps, Outcome, RunRecord};
use llamark_record::manifest::{Manifest, Resource, build_type};
use llamark_record::model::ModelRecord;
use llamark_record::plan::{Case, Plan, ResolvedPlan};

use crate::journal::{JOURNAL, Reader};
use crate::ledger::{CaseLedger, StartLedger};
use crate::set::{PLAN, SPEC, document_file, read_environment, read_plan};
use crate::verify::{Check, said, shown};
use crate::writer::build_file;
use crate::{ArtifactError, Ledger, plain, seal};

/// All checks of level 1. A newer format is an error; anything else that is wrong is in the checks.
pub(crate) fn check(path: &Utf8Path, manifest: &Manifest) -> Result<Vec<Check>, ArtifactError> {
    let mut plan = Check::new(1, "plan");
    plan.count();
    let resolved = match read_plan(path) {
        Ok((resolved, bytes)) => {
            check_plan(&resolved, &bytes, manifest, &mut plan);
            resolved
        }
        Err(error @ ArtifactError::Format { .. }) => return Err(error),
        Err(error) => {
            plan.problem(said(&error));
            return Ok(vec![plan]);
        }
    };
    let mut ledger = Ledger::new(&resolved.plan);
    let journal = read_journal(path, manifest, &resolved, &mut ledger)?;
    let mut checks = vec![plan];
    let whole = journal.problems.is_empty();
    checks.push(journal);
    // Of a journal that does not read to its end, what is missing says nothing.
    if whole {
        checks.push(check_cases(&ledger));
        checks.push(check_runs(&ledger));
        checks.push(check_models(&ledger, &resolved));
        checks.push(check_builds(&ledger, &resolved, path));
        checks.push(check_mapped(&ledger, &resolved));
        checks.push(check_materials(&ledger, &resolved, manifest));
        checks.push(check_host(&ledger, path)?);
    }
    Ok(checks)
}

/// `plan.json` is canonical, agrees with itself, and is the plan of the manifest.
fn check_plan(resolved: &ResolvedPlan, bytes: &[u8], manifest: &Manifest, check: &mut Check) {
    let canonical = canonical_json(resolved).unwrap_or_default();
    if bytes.strip_suffix(b"\n") != Some(canonical.as_slice()) {
        check.problem(format!("`{PLAN}` is not in canonical form"));
    }
    let parameters = &manifest.predicate.build_definition.external_parameters;
    if parameters.plan_digest != Sha256::of_bytes(&canonical) {
        check.problem(format!("the manifest is for a different plan than `{PLAN}`"));
    }
    let definition = &manifest.predicate.build_definition;
    if definition.build_type != build_type(&resolved.plan) {
        check.problem(format!(
            "the manifest says {}, but the plan says something else",
            shown(&definition.build_type)
        ));
    }
    check_origin(&resolved.plan, manifest, check);
    if parameters.experiment != resolved.plan.name {
        check.problem("the manifest and the plan name different experiments");
    }
    check_schedule(&resolved.plan, check);
}

/// The experiment, or the document that the set was imported from, is in the set; the document is that of the plan.
fn check_origin(plan: &Plan, manifest: &Manifest, check: &mut Check) {
    let find = |name: &str| manifest.subject.iter().find(|resource| resource.name == name);
    match plan.document() {
        None if find(SPEC).is_none() => check.problem(format!("the manifest does not name `{SPEC}`")),
        None => {}
        Some(document) => {
            let name = document_file(document);
            if find(&name).is_none_or(|resource| resource.digest.sha256 != document.file.sha256) {
                check.problem(format!("{} is not the document of the plan", shown(&name)));
            }
        }
    }
}

/// Each case once; each start of each case once in the schedule, and nothing else.
fn check_schedule(plan: &Plan, check: &mut Check) {
    let mut cases = BTreeMap::new();
    for case in &plan.cases {
        if cases.insert(case.id.as_str(), case.starts).is_some() {
            check.problem(format!("the plan has the case {} twice", shown(&case.id)));
        }
    }
    let mut scheduled = std::collections::BTreeSet::new();
    for start in &plan.schedule {
        let planned =
            cases.get(start.case.as_str()).is_some_and(|starts| (1..=*starts).contains(&start.start));
        if !planned || !scheduled.insert((start.case.as_str(), start.start)) {
            check.problem(format!(
                "the schedule has start {} of {} out of place",
                start.start,
                shown(&start.case)
            ));
        }
    }
    let expected: u64 = cases.values().map(|starts| u64::from(*starts)).sum();
    if u64::try_from(scheduled.len()).unwrap_or(u64::MAX) != expected {
        check.problem("the schedule does not have every start of every case");
    }
}

/// The chain holds, every event is where it makes sense, and the manifest knows the last one.
fn read_journal(
    path: &Utf8Path,
    manifest: &Manifest,
    resolved: &ResolvedPlan,
    ledger: &mut Ledger,
) -> Result<Check, ArtifactError> {
    let mut check = Check::new(1, "journal entries by chain and order");
    let mut reader = match Reader::open(&path.join(JOURNAL), true) {
        Ok(reader) => reader,
        Err(error) => {
            check.problem(said(&error));
            return Ok(check);
        }
    };
    while let Some(entry) = reader.next() {
        let line = reader.entries_read();
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error @ ArtifactError::Format { .. }) => return Err(error),
            Err(error) => {
                check.problem(said(&error));
                break;
            }
        };
        if let Event::Run(run) = &mut entry.event {
            let case = ledger.case(&run.id.case).map(|case| &case.case);
            if let Some(problem) = case.and_then(|case| contradiction(run, case)) {
                check.problem(format!("line {line}: {problem}"));
                break;
            }
            crate::journal::leave_arrivals(run);
        }
        if let Err(misplaced) = ledger.apply(entry) {
            check.problem(format!("line {line}: {misplaced}"));
            break;
        }
    }
    check.count = reader.entries_read();
    if !check.problems.is_empty() {
        return Ok(check);
    }
    let metadata = &manifest.predicate.run_details.metadata;
    if manifest.journal_head() != Some(reader.head()) {
        check.problem("its last entry is not the one that the manifest names");
    }
    if (&ledger.started_at, &ledger.finished_at) != (&metadata.started_on, &metadata.finished_on) {
        check.problem("it began or ended at a different time than the manifest says");
    }
    match (&ledger.begin, resolved.digest()) {
        (Some(begin), Ok(digest)) if begin.plan == digest => {}
        _ => check.problem(format!("its first entry is for a different plan than `{PLAN}`")),
    }
    if ledger.end.is_none() {
        check.problem("it has no end");
    }
    Ok(check)
}

/// What a run says of itself that its own numbers do not bear out, as far as they tell: the times between its tokens, and that
/// it counts.
fn contradiction(run: &RunRecord, case: &Case) -> Option<String> {
    let measured = || run.measurement.iter().chain(run.streams.iter().map(|stream| &stream.measurement));
    let arrivals = || measured().map(|one| one.arrivals.as_slice());
    let is_bounded =
        arrivals().all(|arrivals| arrivals.last().is_none_or(|(tokens, _)| *tokens <= case.max_tokens));
    if run.gaps.is_some() && (!is_bounded || Gaps::of(arrivals()) != run.gaps) {
        return Some("the times between the tokens of the run do not match their arrivals".to_owned());
    }
    if !run.broken.is_empty() {
        return None;
    }
    measured().find_map(|one| {
        let cached = one.cached_tokens.unwrap_or(case.depth);
        if one.generated_tokens != case.max_tokens {
            let (generated, asked) = (one.generated_tokens, case.max_tokens);
            Some(format!(
                "a run that breaks no rule generated {generated} tokens, but {asked} were asked for"
            ))
        } else if cached != case.depth {
            let depth = case.depth;
            Some(format!(
                "a run that breaks no rule took {cached} tokens from a cache, but its depth is {depth}"
            ))
        } else {
            None
        }
    })
}

/// Every case came to an end. That it is the one that its starts bear out, the ledger has seen to.
fn check_cases(ledger: &Ledger) -> Check {
    let mut check = Check::new(1, "cases by their end");
    for case in &ledger.cases {
        let name = || shown(&case.case.id);
        check.result(
            case.outcome.as_ref().map(|_| ()).ok_or_else(|| format!("the case {} is unfinished", name())),
        );
    }
    check
}

/// Every planned run of every start that counts is there once; what is not there is accounted for.
fn check_runs(ledger: &Ledger) -> Check {
    let mut check = Check::new(1, "planned runs by their record");
    for case in &ledger.cases {
        if !case.stated.is_empty() {
            // Whether they are all there is what the end of the case says, and that was compared.
            check.count += u64::from(case.case.runs).saturating_mul(u64::from(case.case.starts));
            continue;
        }
        let planned = u64::from(case.case.warmup) + u64::from(case.case.runs);
        for start in case.starts.values() {
            check.count += u64::from(warmups(case, start)) + u64::from(case.case.runs);
            if let Err(problem) = check_start(case, start) {
                check.problem(problem);
            }
        }
        let untried = u64::from(case.starts_wanted())
            .saturating_sub(u64::try_from(case.starts.len()).unwrap_or(u64::MAX));
        check.count += planned.saturating_mul(untried);
        // Starts that were not tried: only where the case says why there is no more of it.
        if untried > 0 && matches!(case.outcome, None | Some(Outcome::Ok)) {
            check.problem(format!("{untried} starts of the case {} are missing", shown(&case.case.id)));
        }
    }
    check
}

fn check_start(case: &CaseLedger, start: &StartLedger) -> Result<(), String> {
    let name = format!("start {} of {}", start.id.start, shown(&start.id.case));
    let Some(closed) = &start.closed else {
        // llamark was killed during it, and then the case was given up for another start.
        return if matches!(case.outcome, Some(Outcome::Ok) | None) {
            Err(format!("{name} has no end"))
        } else {
            Ok(())
        };
    };
    let complete = start.recorded(true) == warmups(case, start) && start.recorded(false) == case.case.runs;
    if closed.outcome == Outcome::Ok && !complete {
        return Err(format!("{name} ended as ok, but does not have all of its runs"));
    }
    Ok(())
}

/// Warm-up runs of a start: those of the plan, unless it was warm before.
fn warmups(case: &CaseLedger, start: &StartLedger) -> u32 {
    // The first of llama-bench's is its own, which it says nothing of.
    let own = u32::from(start.bench.is_some());
    start.warmed.as_ref().map_or(case.case.warmup.saturating_sub(own), |warmed| warmed.runs)
}

/// Every model is the one of the plan, file by file.
fn check_models(ledger: &Ledger, resolved: &ResolvedPlan) -> Check {
    let mut check = Check::new(1, "models by the plan");
    for (id, model) in &ledger.models {
        check.result(check_model(id, model, resolved));
    }
    for case in ledger.cases.iter().filter(|case| !case.starts.is_empty()) {
        if !ledger.models.contains_key(&case.case.model) {
            check.problem(format!(
                "the case {} has starts, but its model is not recorded",
                shown(&case.case.id)
            ));
        }
    }
    check
}

fn check_model(id: &str, model: &ModelRecord, resolved: &ResolvedPlan) -> Result<(), String> {
    if resolved.plan.model(id).is_none() {
        return Err(format!("the plan has no model {}", shown(id)));
    }
    match resolved.model_files.get(id) {
        Some(files) if *files == model.files => Ok(()),
        _ => Err(format!("the files of the model {} are not those of the plan", shown(id))),
    }
}

/// Every build is the one of the plan, has the key of its inputs, and is the one in `builds/`.
fn check_builds(ledger: &Ledger, resolved: &ResolvedPlan, path: &Utf8Path) -> Check {
    let mut check = Check::new(1, "builds by the plan");
    for (id, build) in &ledger.builds {
        check.result(check_build(id, build, resolved, path));
    }
    for case in ledger.cases.iter().filter(|case| !case.starts.is_empty()) {
        let build = resolved.plan.backend(&case.case.backend).map(|backend| backend.build.as_str());
        if build.is_none_or(|build| !ledger.builds.contains_key(build)) {
            check.problem(format!(
                "the case {} has starts, but its build is not recorded",
                shown(&case.case.id)
            ));
        }
    }
    check
}

fn check_build(
    id: &str,
    build: &BuildRecord,
    resolved: &ResolvedPlan,
    path: &Utf8Path,
) -> Result<(), String> {
    let name = shown(id);
    let Some(planned) = resolved.plan.builds.iter().find(|planned| planned.id == id) else {
        return Err(format!("the plan has no build {name}"));
    };
    if resolved.build_keys.get(id) != Some(&build.key) {
        return Err(format!("the build {name} is not the one in the plan"));
    }
    if let Some(inputs) = &build.inputs {
        match Sha256::of_canonical_json(inputs) {
            Ok(key) if key == build.key => {}
            _ => return Err(format!("the key of the build {name} is not that of its inputs")),
        }
        if resolved.tree_of(planned).is_some_and(|tree| *tree != inputs.source_tree) {
            return Err(format!("the build {name} is from a different source tree than that of the plan"));
        }
    }
    let file = build_file(id);
    match plain::read_json::<BuildRecord>(&path.join(&file), "a build record") {
        Ok(found) if found == *build => Ok(()),
        Ok(_) => Err(format!("{} is not the build that the journal records", shown(&file))),
        Err(error) => Err(said(&error)),
    }
}

/// What each server that counts had mapped from the folder of its build is what was built.
fn check_mapped(ledger: &Ledger, resolved: &ResolvedPlan) -> Check {
    let mut check = Check::new(1, "programs and libraries that were run");
    for case in &ledger.cases {
        let build = resolved.plan.backend(&case.case.backend).and_then(|one| ledger.builds.get(&one.build));
        let is_ok =
            |start: &&StartLedger| start.closed.as_ref().is_some_and(|closed| closed.outcome == Outcome::Ok);
        for start in case.starts.values().filter(is_ok) {
            for file in start.ready.iter().flat_map(|ready| &ready.mapped) {
                check.count();
                if let Some(reason) = build.and_then(|build| build.other_than_built(file)) {
                    let (number, case) = (start.id.start, shown(&case.case.id));
                    check.problem(format!("start {number} of {case}: {}", shown(&reason)));
                }
            }
        }
    }
    check
}

/// What the manifest says went in is what the plan and the journal say. What it names besides (an archive that was fetched)
/// only the manifest knows.
fn check_materials(ledger: &Ledger, resolved: &ResolvedPlan, manifest: &Manifest) -> Check {
    let mut check = Check::new(1, "materials of the manifest");
    let stated = &manifest.predicate.build_definition.resolved_dependencies;
    let mut by_name: BTreeMap<&str, Vec<&Resource>> = BTreeMap::new();
    for resource in stated {
        by_name.entry(&resource.name).or_default().push(resource);
    }
    let known = seal::resolved_dependencies(resolved, ledger, Vec::new());
    for resource in &known {
        check.count();
        if !by_name.get(resource.name.as_str()).is_some_and(|stated| stated.contains(&resource)) {
            let name = shown(&resource.name);
            check.problem(format!("the manifest does not name {name} with its digest here"));
        }
    }
    check
}

/// The machine is the one on which the set began.
fn check_host(ledger: &Ledger, path: &Utf8Path) -> Result<Check, ArtifactError> {
    let mut check = Check::new(1, "machine");
    check.count();
    match read_environment(path) {
        Ok(environment) => {
            if ledger.begin.as_ref().is_none_or(|begin| begin.host != environment.fingerprint()) {
                check.problem("`environment.json` is for a different machine than the journal");
            }
        }
        Err(error @ ArtifactError::Format { .. }) => return Err(error),
        Err(error) => check.problem(said(&error)),
    }
    Ok(check)
}
