//! LM111 to LM114: what is claimed of a model, against its header, its name, its size.

use llamark_record::plan::NOT_STATED;

use super::rules::{CONTRADICTED_CLAIM, CONTRADICTED_NAME, IMPLAUSIBLE_QUANT, UNIT_OF_SIZES};
use super::{Context, Finding, Scope, Subject};
use crate::describe::{claim_of, unit_reading};
use crate::format::{fixed, parameters};
use crate::summary::ModelSummary;
use crate::weights::{nominal_bits, read_count, unit};

/// A file is at least this share of the bits of its quantization. Below its own type a file cannot fall; what is left
/// is the rounding of claims: `~4 GiB` may be 3.5, and `8B` may be 7.5.
const LOW: f64 = 0.8;
/// And at most this share and [`HIGH_BITS`]: embeddings and output of a small model are kept in a larger type.
const HIGH: f64 = 1.35;
/// See [`HIGH`].
const HIGH_BITS: f64 = 1.0;
/// A name and a claim of parameters that differ by more than this contradict each other: `~20B` may be 20.9B.
const NAME_TOLERANCE: f64 = 1.25;

pub(super) fn find(context: &Context<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for (place, model) in context.summary.models.iter().enumerate() {
        let contradictions = model.contradictions.iter().map(|sentence| {
            let text = format!("{}: {sentence}.", context.model(place));
            Finding::new(&CONTRADICTED_CLAIM, context.subject_of_model(place), text)
        });
        all.extend(contradictions);
        all.extend(name(context, place, model));
        all.extend(quant(context, place, model));
    }
    all.extend(sizes(context));
    all
}

/// Active parameters that a name states: `A22B` as a word of it, or the 17B of `17Bx16E`.
fn active_in(name: &str) -> Option<(&str, f64)> {
    name.split([' ', '-', '_']).find_map(|word| {
        let of_a = word.strip_prefix('A').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let of_experts = word.split_once(['x', 'X']).filter(|(_, experts)| experts.ends_with('E'));
        let claim = of_a.or(of_experts.map(|(active, _)| active))?;
        Some((word, read_count(claim)?))
    })
}

fn name(context: &Context<'_>, place: usize, model: &ModelSummary) -> Option<Finding> {
    let (word, named) = active_in(&model.name)?;
    let stated = match &model.facts {
        Some(facts) => crate::format::float(facts.active_parameters),
        None if model.claimed_active_parameters == NOT_STATED => return None,
        None => {
            read_count(&model.claimed_active_parameters).or_else(|| read_count(&model.claimed_parameters))?
        }
    };
    let far = stated / named > NAME_TOLERANCE || named / stated > NAME_TOLERANCE;
    far.then(|| {
        let text = format!(
            "{}: {word} in its name says {} active parameters, but {} are stated.",
            context.model(place),
            shown(named),
            shown(stated)
        );
        Finding::new(&CONTRADICTED_NAME, context.subject_of_model(place), text)
            .number("in_name", named)
            .number("stated", stated)
    })
}

fn shown(count: f64) -> String {
    parameters(format!("{count:.0}").parse().unwrap_or(0))
}

fn quant(context: &Context<'_>, place: usize, model: &ModelSummary) -> Option<Finding> {
    let claim = claim_of(model)?;
    let nominal = nominal_bits(&model.quant)?;
    let other = unit(claim.unit).1;
    let (stated, other_bits) = (claim.bits(claim.unit), claim.bits(other));
    let fits = |bits: f64| (nominal * LOW..=nominal * HIGH + HIGH_BITS).contains(&bits);
    (!fits(stated) && !fits(other_bits)).then(|| {
        let text = format!(
            "{}: {} for {} parameters is {} bits per weight ({} if the size is in {other}); {} has {}.",
            context.model(place),
            model.claimed_file_size,
            model.claimed_parameters,
            fixed(stated, 2),
            fixed(other_bits, 2),
            model.quant,
            fixed(nominal, 2)
        );
        Finding::new(&IMPLAUSIBLE_QUANT, context.subject_of_model(place), text)
            .number("bits_per_weight", stated)
            .number("bits_per_weight_in_other_unit", other_bits)
            .number("nominal_bits_per_weight", nominal)
            .word("quant", model.quant.clone())
    })
}

fn sizes(context: &Context<'_>) -> Option<Finding> {
    let models = &context.summary.models;
    let reading = unit_reading(models);
    let stated = models.iter().find_map(|model| Some(claim_of(model)?.unit))?;
    reading.is_other().then(|| {
        let other = unit(stated).1;
        let closer = reading.models - reading.closer_as_stated;
        let text = format!(
            "File sizes are given in {stated}, but {closer} of {} are closer to the bits of their quantization when read \
             as {other}; here they are read as {other}.",
            reading.models
        );
        Finding::new(&UNIT_OF_SIZES, Subject::set(Scope::Set), text)
            .number("closer_in_other_unit", crate::format::float(u64::try_from(closer).unwrap_or(0)))
            .number("models", crate::format::float(u64::try_from(reading.models).unwrap_or(0)))
            .word("stated_unit", stated)
            .word("read_as", other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_state_active_parameters() {
        assert_eq!(active_in("Qwen3-235B-A22B"), Some(("A22B", 22e9)));
        assert_eq!(active_in("Llama 4 Scout 17Bx16E"), Some(("17Bx16E", 17e9)));
        for name in ["Command-A 111B", "Mixtral 8x7B", "Phi-4-mini Instruct", "A 70B"] {
            assert_eq!(active_in(name), None, "{name}");
        }
    }
}
