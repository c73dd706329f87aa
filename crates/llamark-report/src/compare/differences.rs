//! What differs around two sets: each difference with what it means, those that forbid a comparison first, then by
//! likely cause.

use std::collections::BTreeSet;

use llamark_record::comparison::{Cause, Difference, Touches};
use llamark_record::environment::FieldClass;

use super::classes::classify;
use super::fields::{Common, Fields, Path, fields};
use crate::error::ReportError;
use crate::format::float;
use crate::summarize::Material;

/// Two machines of one kind may have this much more or less memory: firmware and kernel keep some.
const SAME_MEMORY: f64 = 0.02;

/// Every difference between the sets, in order. `across` names what was declared: by the caller, who can mistype it,
/// and by a plan of variants, whose cases may have been left out.
pub(super) fn between(
    base: Material<'_>,
    candidate: Material<'_>,
    common: &Common<'_>,
    [across, by_plan]: [&[String]; 2],
) -> Result<Vec<Difference>, ReportError> {
    let sides = [base, candidate];
    let (base, candidate) = rayon::join(|| fields(base, common), || fields(candidate, common));
    let (base, candidate) = (base?, candidate?);
    for word in across {
        check_declared(word, &base, &candidate)?;
    }
    let names: BTreeSet<&Path> = base.keys().chain(candidate.keys()).collect();
    let mut found = Vec::new();
    let mut options = BTreeSet::new();
    for path in names {
        let (a, b) = (base.get(path), candidate.get(path));
        let value = |side: Option<&(String, Touches)>| side.map(|(value, _)| value.clone());
        let Some((_, touches)) = a.or(b) else { continue };
        if a.map(|(value, _)| value) == b.map(|(value, _)| value) {
            continue;
        }
        let (cause, mut class) = classify(path);
        if is_same_memory(path, a, b) {
            class = FieldClass::Nuisance;
        }
        let declared = across.iter().chain(by_plan).any(|word| declares(word, cause, path));
        if declared && class == FieldClass::Identity {
            class = FieldClass::Treatment;
        }
        let (base, candidate) = (value(a), value(b));
        let field = path.join(".");
        if (a.is_none() || b.is_none()) && is_option_of_ours(path, sides) {
            options.insert(field.clone());
        }
        found.push(Difference { cause, class, declared, field, base, candidate, touches: touches.clone() });
    }
    without_consequences(&mut found);
    with_engine(&mut found, &options);
    found.sort_by(|a, b| (rank(a.class), a.cause, &a.field).cmp(&(rank(b.class), b.cause, &b.field)));
    Ok(found)
}

/// Whether a case, by its id `MODEL/BACKEND/PROMPT`, is among those that a difference has to do with.
pub(super) fn touches_case(touches: &Touches, id: &str) -> bool {
    let mut parts = id.split('/');
    let (model, backend, prompt) = (parts.next(), parts.next(), parts.next());
    match touches {
        Touches::All => true,
        Touches::Backend(name) => Some(name.as_str()) == backend,
        Touches::Model(name) => Some(name.as_str()) == model,
        Touches::Prompt(name) => Some(name.as_str()) == prompt,
        Touches::Case(name) => name == id,
    }
}

fn rank(class: FieldClass) -> u8 {
    match class {
        FieldClass::Identity => 0,
        FieldClass::Treatment => 1,
        FieldClass::Nuisance => 2,
    }
}

/// Whether `--across word` means this field: its cause, its name, or a beginning of its name.
fn declares(word: &str, cause: Cause, path: &Path) -> bool {
    let field = path.join(".");
    let is_head = field.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    cause.word() == word || is_head
}

/// A declaration that can mean nothing in these sets is a typing error.
fn check_declared(word: &str, base: &Fields, candidate: &Fields) -> Result<(), ReportError> {
    let is_cause = Cause::ALL.iter().any(|cause| cause.word() == word);
    let mut paths = base.keys().chain(candidate.keys());
    if is_cause || paths.any(|path| declares(word, Cause::Unknown, path)) {
        return Ok(());
    }
    Err(ReportError::UnknownField { field: word.to_owned() })
}

/// What follows from another difference says nothing by itself: other inputs of a build make other binaries.
fn without_consequences(found: &mut Vec<Difference>) {
    let has_cause = |difference: &Difference, causes: &[Cause]| causes.contains(&difference.cause);
    let inputs = [Cause::Engine, Cause::BuildFlags, Cause::Compiler, Cause::Sdk];
    let is_binaries = |difference: &Difference| {
        difference.field.starts_with("build.") && difference.field.ends_with(".binaries")
    };
    let explained: Vec<Touches> = found
        .iter()
        .filter(|difference| has_cause(difference, &inputs) && !is_binaries(difference))
        .map(|difference| difference.touches.clone())
        .collect();
    found.retain(|difference| {
        let follows = explained.contains(&Touches::All) || explained.contains(&difference.touches);
        !(is_binaries(difference) && follows)
    });
}

/// Whether it is an option of a build that nobody asked for: llamark sets some in every version that has them.
fn is_option_of_ours(path: &Path, sides: [Material<'_>; 2]) -> bool {
    let [build, backend, cmake, option] = path.as_slice() else { return false };
    let is_given = |side: &Material<'_>| {
        let plan = &side.resolved.plan;
        let of_backend = plan.backend(backend).map(|backend| backend.build.as_str());
        let build = plan.builds.iter().find(|build| Some(build.id.as_str()) == of_backend);
        build.is_some_and(|build| build.cmake.contains_key(option))
    };
    build == "build" && cmake == "cmake" && !sides.iter().any(is_given)
}

/// Options of ours that only one side has come with its engine, unless it was another llamark that set them.
fn with_engine(found: &mut [Difference], options: &BTreeSet<String>) {
    let is_other_llamark = found.iter().any(|difference| difference.field == "llamark");
    let is_other_engine = found.iter().any(|difference| difference.cause == Cause::Engine);
    if is_other_engine && !is_other_llamark {
        for difference in found.iter_mut().filter(|difference| options.contains(&difference.field)) {
            difference.cause = Cause::Engine;
        }
    }
}

fn is_same_memory(path: &Path, a: Option<&(String, Touches)>, b: Option<&(String, Touches)>) -> bool {
    let bytes = |side: Option<&(String, Touches)>| side?.0.parse::<u64>().ok().map(float);
    match (path.join(".").as_str(), bytes(a), bytes(b)) {
        ("host.memory.total_bytes", Some(a), Some(b)) => (a - b).abs() <= SAME_MEMORY * a.max(b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_a_cause_a_field_or_its_beginning() {
        let path: Path = ["host", "gpu", "0", "name"].map(str::to_owned).into();
        for word in ["hardware", "host", "host.gpu", "host.gpu.0", "host.gpu.0.name"] {
            assert!(declares(word, Cause::Hardware, &path), "{word}");
        }
        for word in ["model", "host.g", "gpu", "host.gpu.0.name.x", ""] {
            assert!(!declares(word, Cause::Hardware, &path), "{word}");
        }
    }

    #[test]
    fn a_little_less_memory_is_the_same_machine() {
        let side = |bytes: u64| (bytes.to_string(), Touches::All);
        let path: Path = ["host", "memory", "total_bytes"].map(str::to_owned).into();
        let same = |a: u64, b: u64| is_same_memory(&path, Some(&side(a)), Some(&side(b)));
        assert!(same(64 << 30, (64 << 30) - (300 << 20)));
        assert!(!same(64 << 30, 62 << 30));
        assert!(!is_same_memory(&path, Some(&side(1)), None));
    }
}
