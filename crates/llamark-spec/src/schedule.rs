//! The order of the starts: blocks, each a random permutation from a recorded seed; or one case after the other.
//!
//! Block `s` holds start `s` of every case that has so many, so that a drift of the machine over hours touches
//! every case alike. The order inside of a block is random, so that no case always follows the same other. The
//! generator is our own (20 lines), since the order must stay the same for ever: it is part of a plan's digest.

use llamark_record::Sha256;
use llamark_record::plan::{Arm, Case, Interleaved, Order, Plan, PlannedStart, Procedure, Purpose};

use crate::ab::{Chosen, id_of};

/// Every start of every case, in the order in which they are run.
pub(crate) fn schedule(cases: &[Case], seed: u32, order: Order) -> Vec<PlannedStart> {
    match order {
        Order::Interleave => blocks(cases, seed),
        Order::Grouped => cases.iter().flat_map(starts_of).collect(),
    }
}

fn starts_of(case: &Case) -> impl Iterator<Item = PlannedStart> {
    (1..=case.starts).map(|start| PlannedStart { case: case.id.clone(), start })
}

fn blocks(cases: &[Case], seed: u32) -> Vec<PlannedStart> {
    let blocks = cases.iter().map(|case| case.starts).max().unwrap_or(0);
    let mut schedule = Vec::new();
    for start in 1..=blocks {
        let mut block: Vec<&Case> = cases.iter().filter(|case| case.starts >= start).collect();
        // Each block has its own stream, so that more starts leave the first ones as they are.
        let mut random = SplitMix64 { state: (u64::from(seed) << 32) | u64::from(start) };
        // Fisher-Yates, from the end.
        for last in (1..block.len()).rev() {
            let other = random.below(last as u64 + 1);
            block.swap(last, usize::try_from(other).unwrap_or(last));
        }
        schedule.extend(block.into_iter().map(|case| PlannedStart { case: case.id.clone(), start }));
    }
    schedule
}

/// Every start of every case in both variants, those of one number side by side. The cases are those that both have in
/// common, in the order that [`schedule`] gives them; which variant goes first is drawn as in [`interleave`].
pub(crate) fn in_pairs(
    cases: &[Case],
    order: Vec<PlannedStart>,
    seed: u32,
    sides: &[Chosen],
) -> Vec<PlannedStart> {
    let mut starts = Vec::new();
    for start in order {
        let Some(case) = cases.iter().find(|case| case.id == start.case) else { continue };
        let first = first_arm(cases, &start, seed);
        let mut pair: Vec<&Chosen> = sides.iter().collect();
        pair.sort_by_key(|side| side.arm != Some(first));
        let of = |side: &Chosen| PlannedStart { case: id_of(case, side.suffix()), start: start.start };
        starts.extend(pair.into_iter().map(of));
    }
    starts
}

/// That plan as one of two whose starts are interleaved, `starts` of each of these cases, in the order that the seed
/// gives. Models, backends, builds and prompts of no case are left out. Two plans with the same ids of cases get the
/// same order.
///
/// Which arm goes first is drawn for each pair of starts of a case, and is the other way round in the second of them:
/// whatever the one that goes second suffers from the first, both arms suffer alike.
pub fn interleave(plan: &mut Plan, cases: &[&str], how: &Turns) {
    plan.cases.retain(|case| cases.contains(&case.id.as_str()));
    plan.cases.sort_by(|a, b| a.id.cmp(&b.id));
    for case in &mut plan.cases {
        case.starts = how.most.max(how.starts);
    }
    plan.leave_unused();
    plan.seed = how.seed;
    plan.schedule = schedule(&plan.cases, how.seed, Order::Interleave);
    // Pairs have an order and a number of their own.
    plan.procedure = Procedure { order: Order::Interleave, until: None, ..plan.procedure };
    let first = plan.schedule.iter().map(|start| first_arm(&plan.cases, start, how.seed)).collect();
    let (purpose, pairing, arm) = (how.purpose, how.pairing.clone(), how.arm);
    // Its variants are cases like any others then: what takes turns are the two plans.
    plan.ab = None;
    let pairs = (how.most > how.starts).then_some(how.starts);
    plan.interleaved = Some(Interleaved { purpose, pairing, arm, first, pairs });
    plan.name = format!("{}-{}", plan.name, purpose.word());
}

/// How two plans take turns.
#[derive(Clone, Debug)]
pub struct Turns {
    /// What for.
    pub purpose: Purpose,
    /// What joins the two.
    pub pairing: Sha256,
    /// Which of them.
    pub arm: Arm,
    /// Pairs of starts of each case that are to meet one machine.
    pub starts: u32,
    /// Pairs of starts of each case that are made at most, to have so many.
    pub most: u32,
    /// Seed of every order.
    pub seed: u32,
}

fn first_arm(cases: &[Case], start: &PlannedStart, seed: u32) -> Arm {
    let case = cases.iter().position(|case| case.id == start.case).unwrap_or(0) as u64;
    let (pair, is_second) = ((start.start.saturating_sub(1)) / 2, start.start.is_multiple_of(2));
    // A stream for each pair of starts of each case; the constant keeps it apart from those of the order.
    let mut random = SplitMix64 {
        state: (u64::from(seed) << 32) ^ (case << 16) ^ u64::from(pair) ^ 0xa5a5_0000_0000_a5a5,
    };
    let drawn = if random.below(2) == 0 { Arm::Base } else { Arm::Candidate };
    if is_second { drawn.other() } else { drawn }
}

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, each as likely: what would favour the small ones is drawn again.
    fn below(&mut self, bound: u64) -> u64 {
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let number = self.next();
            if number < limit {
                return number % bound;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(id: &str, starts: u32) -> Case {
        Case {
            id: id.to_owned(),
            model: String::new(),
            backend: String::new(),
            prompt: String::new(),
            max_tokens: 1,
            depth: 0,
            concurrency: 1,
            context: 2,
            warmup: 0,
            runs: 1,
            starts,
        }
    }

    fn order(cases: &[Case], seed: u32) -> Vec<String> {
        schedule(cases, seed, Order::Interleave)
            .into_iter()
            .map(|start| format!("{}{}", start.case, start.start))
            .collect()
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for state 1234567, as published with the reference implementation.
        let mut random = SplitMix64 { state: 1_234_567 };
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn blocks_are_permutations_that_never_change() {
        let cases = ["a", "b", "c", "d", "e", "f"].map(|id| case(id, 2));
        let now = order(&cases, 1);
        assert_eq!(now.join(" "), "d1 f1 e1 a1 c1 b1 c2 e2 f2 b2 d2 a2");
        for (block, starts) in now.chunks(6).enumerate() {
            let mut sorted = starts.to_vec();
            sorted.sort();
            let wanted = ["a", "b", "c", "d", "e", "f"].map(|id| format!("{id}{}", block + 1));
            assert_eq!(sorted, wanted);
        }
        let more = ["a", "b", "c", "d", "e", "f"].map(|id| case(id, 3));
        assert_eq!(order(&more, 1)[..12], now[..]);
        assert_ne!(order(&cases, 2), now);
    }

    #[test]
    fn every_order_is_as_likely() {
        let cases = ["a", "b", "c"].map(|id| case(id, 1));
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            *counts.entry(order(&cases, seed)).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 6);
        // Standard deviation of each count is 29.
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn grouped_is_one_case_after_the_other() {
        let cases = [case("b", 2), case("a", 1)];
        let made: Vec<String> = schedule(&cases, 7, Order::Grouped)
            .iter()
            .map(|start| format!("{}{}", start.case, start.start))
            .collect();
        assert_eq!(made, ["b1", "b2", "a1"]);
    }

    #[test]
    fn cases_with_fewer_starts_are_left_out_of_later_blocks() {
        assert_eq!(order(&[case("a", 1), case("b", 3)], 7)[2..], ["b2", "b3"]);
        assert!(order(&[], 1).is_empty());
    }

    #[test]
    fn each_arm_goes_first_in_one_of_two_starts() {
        let cases = ["a", "b", "c"].map(|id| case(id, 20));
        let firsts = |seed| -> Vec<Arm> {
            schedule(&cases, seed, Order::Interleave)
                .iter()
                .map(|start| first_arm(&cases, start, seed))
                .collect()
        };
        let mut drawn = std::collections::BTreeMap::new();
        for seed in 0..200 {
            for case in &cases {
                let of = |start| PlannedStart { case: case.id.clone(), start };
                for pair in 0..10 {
                    let (one, two) = (2 * pair + 1, 2 * pair + 2);
                    let first = first_arm(&cases, &of(one), seed);
                    assert_eq!(first_arm(&cases, &of(two), seed), first.other());
                    *drawn.entry(first.word()).or_insert(0_u32) += 1;
                }
            }
        }
        // 6000 draws; the standard deviation is 39.
        assert!(drawn.values().all(|count| (2800..3200).contains(count)), "{drawn:?}");
        assert_eq!(firsts(1), firsts(1));
        assert_ne!(firsts(1), firsts(2));
    }

    #[test]
    fn two_variants_are_side_by_side_in_the_order_that_one_would_have() {
        let mut cases = ["a", "b", "c"].map(|id| case("", 20 + u32::from(id == "c")));
        for (case, model) in cases.iter_mut().zip(["a", "b", "c"]) {
            (case.model, case.backend) = (model.to_owned(), "cpu".to_owned());
            case.id = format!("{model}/cpu/p");
        }
        let sides = [Arm::Base, Arm::Candidate].map(Chosen::of);
        let single = schedule(&cases, 3, Order::Interleave);
        let pairs = in_pairs(&cases, single.clone(), 3, &sides);
        assert_eq!(pairs.len(), 2 * single.len());
        let mut base_first = [0; 3];
        for (pair, one) in pairs.chunks(2).zip(&single) {
            let mut found: Vec<_> = pair.iter().map(|start| (start.case.clone(), start.start)).collect();
            base_first[usize::from(one.case.as_bytes()[0] - b'a')] += u32::from(found[0].0.contains("+base"));
            found.sort();
            let of = |suffix: &str| (one.case.replace("/cpu/", &format!("/cpu{suffix}/")), one.start);
            assert_eq!(found, [of("+base"), of("+candidate")]);
        }
        assert!(
            base_first[0] == 10 && base_first[1] == 10 && [10, 11].contains(&base_first[2]),
            "{base_first:?}"
        );
    }
}
