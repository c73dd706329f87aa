//! What a reader must know before the numbers.

use std::collections::BTreeSet;

use llamark_record::comparison::{CaseComparison, Cause, Caveat, CaveatCode, ComparedSet, Difference};
use llamark_record::environment::FieldClass;
use llamark_record::journal::CacheState;

use super::rules::gates;
use crate::format::counted;
use crate::pace;
use crate::summarize::Material;

/// Every caveat, the gravest first.
pub(super) fn of(
    sets: (&ComparedSet, &ComparedSet),
    materials: (Material<'_>, Material<'_>),
    cases: &[CaseComparison],
    differences: &[Difference],
) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    let mut say = |code: CaveatCode, text: String| caveats.push(Caveat { code, text });
    let (base, candidate) = sets;
    let is_same =
        base.manifest.is_some() && base.manifest == candidate.manifest && base.variant == candidate.variant;
    if is_same {
        say(CaveatCode::SameSet, "baseline and candidate are the same set".to_owned());
    }
    let both = [(base, materials.0, "baseline"), (candidate, materials.1, "candidate")];
    for (set, material, side) in both {
        if material.resolved.plan.document().is_some() {
            let text = format!(
                "the numbers of the {side} come from a document: they are rounded, and nobody can check them"
            );
            say(CaveatCode::Stated, text);
        }
        if set.manifest.is_none() {
            let text = format!(
                "the {side} is not sealed: nothing vouches for its files, and cases may be unfinished"
            );
            say(CaveatCode::NotSealed, text);
        }
    }
    if gates(&materials.0.resolved.plan) != gates(&materials.1.resolved.plan) {
        let text = "the two experiments have different gates; those of the baseline apply";
        say(CaveatCode::OtherGates, text.to_owned());
    }
    if base.host != candidate.host {
        let text = "the sets were measured on different machines, or the kernel or a driver changed: whatever differs \
                    between them affects the numbers";
        say(CaveatCode::OtherHost, text.to_owned());
    }
    let interleaved = materials.0.resolved.plan.is_interleaved_with(&materials.1.resolved.plan);
    if !is_same && !interleaved && cases.iter().any(|case| !case.metrics.is_empty()) {
        let text = "starts not interleaved, drift not controlled: one set was measured after the other";
        say(CaveatCode::NotInterleaved, text.to_owned());
    }
    let mut causes: Vec<Cause> = differences
        .iter()
        .filter(|difference| difference.class == FieldClass::Treatment)
        .map(|difference| difference.cause)
        .collect();
    causes.sort_unstable();
    causes.dedup();
    if causes.len() > 1 {
        let words: Vec<&str> = causes.iter().map(|cause| cause.word()).collect();
        let text = format!(
            "{} kinds of things differ at once ({}): a comparison of two sets cannot tell their effects apart",
            causes.len(),
            words.join(", ")
        );
        say(CaveatCode::Confounded, text);
    }
    let is_compared = cases.iter().any(|case| !case.metrics.is_empty());
    if causes.is_empty() && !is_same && is_compared {
        let text = "as far as the sets record it, nothing differs between them that could be a cause";
        say(CaveatCode::NothingDiffers, text.to_owned());
    }
    let other = cases.iter().filter(|case| !case.exact.is_empty()).count();
    if other > 0 {
        let text = format!(
            "in {}, something deterministic differs: generated tokens, or bytes of buffers",
            counted(other, "case")
        );
        say(CaveatCode::OutputDiffers, text);
    }
    let compared = cases.iter().filter(|case| !case.metrics.is_empty()).map(|case| case.id.as_str());
    if let Some(text) = moved(materials, compared) {
        say(CaveatCode::MovedStarts, text);
    }
    let caches: Vec<String> = cases
        .iter()
        .filter(|case| !case.metrics.is_empty())
        .filter_map(|case| caches(materials, &case.id))
        .collect();
    if let Some(first) = caches.first() {
        let text = format!(
            "in {}, the starts found the model's files in different states of the page cache ({first}): that alone \
             makes load times differ",
            counted(caches.len(), "case")
        );
        say(CaveatCode::OtherCache, text);
    }
    caveats
}

/// That starts of these cases met two machines, and so do not count for rates.
fn moved<'a>(
    (base, candidate): (Material<'_>, Material<'_>),
    cases: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let interleaved = base.resolved.plan.is_interleaved_with(&candidate.resolved.plan);
    let (mut all, mut moved) = (0_usize, 0_usize);
    for id in cases {
        let Some((a, b)) = base.ledger.case(id).zip(candidate.ledger.case(id)) else { continue };
        let apart = if interleaved { pace::apart(a, b) } else { BTreeSet::new() };
        for start in a.starts.values().chain(b.starts.values()) {
            all += 1;
            moved += usize::from(pace::moved_during(start) || apart.contains(&start.id.start));
        }
    }
    let of_pairs = if interleaved { ", or between the two starts of a pair" } else { "" };
    (moved > 0).then(|| {
        format!(
            "the machine moved to other cores during {moved} of {all} starts{of_pairs} (thread synchronisation became \
             more than twice as fast or slow): their rates are excluded"
        )
    })
}

/// In which states of the page cache the two sides of a case loaded, where it was not the same: `cold, and warm in
/// the candidate`. `None` too where a set does not say.
fn caches(materials: (Material<'_>, Material<'_>), id: &str) -> Option<String> {
    let of = |material: Material<'_>| -> Option<String> {
        let starts = material.ledger.case(id)?.starts.values();
        let words: BTreeSet<&str> =
            starts.filter_map(|start| Some(CacheState::of(&start.opened.cache)?.word())).collect();
        (!words.is_empty()).then(|| words.into_iter().collect::<Vec<_>>().join(" or "))
    };
    let (base, candidate) = (of(materials.0)?, of(materials.1)?);
    (base != candidate || base.contains(" or ")).then(|| format!("{base}, and {candidate} in the candidate"))
}

/// That what was suspected was measured again, and which of these starts do not count.
pub(super) fn of_confirmation(
    by: Option<&[ComparedSet; 2]>,
    materials: Option<(Material<'_>, Material<'_>)>,
) -> Vec<Caveat> {
    let Some(([base, candidate], materials)) = by.zip(materials) else { return Vec::new() };
    let text = format!(
        "what needed confirming was measured again in fresh, interleaved starts ({}/{} and {}/{}): they alone \
         decide it, on the machine as it is now",
        base.name, base.id, candidate.name, candidate.id
    );
    let cases = materials.0.ledger.cases.iter().map(|case| case.case.id.as_str());
    let moved = moved(materials, cases)
        .map(|text| (CaveatCode::MovedStarts, format!("among the fresh starts: {text}")));
    let all = [Some((CaveatCode::Confirmed, text)), moved];
    all.into_iter().flatten().map(|(code, text)| Caveat { code, text }).collect()
}
