//! Which revision of a history comes next, and when the first bad one is known: halving, around what cannot be told.
//!
//! The revisions are numbered in their order. 0 is the good end, the last is the bad one, and somewhere between the
//! history turns once. Some revisions cannot be told (they do not build, they crash, they stay undecided): as with
//! `git bisect skip`, the answer is then a range when they hide it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is known of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// As the good end.
    Good,
    /// As the bad end.
    Bad,
    /// It cannot be told.
    Skipped,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Find out about this one.
    Try(usize),
    /// The first bad one.
    Found(usize),
    /// One of these is the first bad one, and what is skipped hides which: all but the last are skipped.
    Hidden {
        /// The first of them.
        first: usize,
        /// The last of them, which is bad.
        last: usize,
    },
}

/// The next thing to do in a history of `revisions`, of which that much is known. Both ends count as known.
///
/// The middle of what is left is tried. Where that cannot be told, its neighbour is; where that cannot either, it may be
/// a long stretch that does not build, and what is left on its two sides is halved, so that a stretch costs about as
/// many tries as halving takes, however long it is. Nothing is tried twice, and everything is tried before an answer
/// is called hidden.
pub fn next(revisions: usize, told: &BTreeMap<usize, Told>) -> Next {
    let end = revisions.saturating_sub(1);
    let of = |known: Told| told.iter().filter(move |(_, told)| **told == known).map(|(place, _)| *place);
    // The history turns once: should it not, what is before the first bad one decides.
    let high = of(Told::Bad).filter(|place| *place > 0).min().unwrap_or(end).min(end);
    let low = of(Told::Good).filter(|place| *place < high).max().unwrap_or(0);
    if high <= low + 1 {
        return Next::Found(high);
    }
    let is_skipped = |place: usize| told.get(&place) == Some(&Told::Skipped);
    let middle = usize::midpoint(low, high);
    let is_open = |place: usize| place > low && place < high && !is_skipped(place);
    if is_open(middle) {
        return Next::Try(middle);
    }
    if let Some(place) = [middle + 1, middle - 1].into_iter().find(|place| is_open(*place))
        && !is_skipped(middle + 1)
        && !is_skipped(middle - 1)
    {
        return Next::Try(place);
    }
    let inside = || of(Told::Skipped).filter(|place| *place > low && *place < high);
    let (first, last) = (inside().min().unwrap_or(middle), inside().max().unwrap_or(middle));
    let place = if first - low > 1 && first - low >= high - last {
        Some(usize::midpoint(low, first))
    } else if high - last > 1 {
        Some(usize::midpoint(last, high))
    } else {
        (low + 1..high).filter(|place| is_open(*place)).min_by_key(|place| place.abs_diff(middle))
    };
    place.map_or(Next::Hidden { first: low + 1, last: high }, Next::Try)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Asks until there is an answer; the number of tries.
    fn ask(revisions: usize, tell: impl Fn(usize) -> Told) -> (Next, usize) {
        let mut told = BTreeMap::new();
        loop {
            match next(revisions, &told) {
                Next::Try(place) => {
                    assert!(place > 0 && place < revisions - 1, "an end is known: {place}");
                    assert_eq!(told.insert(place, tell(place)), None, "{place} is tried twice");
                }
                answer => return (answer, told.len()),
            }
        }
    }

    fn history(first_bad: usize, is_skipped: impl Fn(usize) -> bool) -> impl Fn(usize) -> Told {
        move |place| match place {
            place if is_skipped(place) => Told::Skipped,
            place if place < first_bad => Told::Good,
            _ => Told::Bad,
        }
    }

    #[test]
    fn neighbours_need_no_try() {
        assert_eq!(next(2, &BTreeMap::new()), Next::Found(1));
        assert_eq!(next(3, &BTreeMap::new()), Next::Try(1));
    }

    #[test]
    fn a_stretch_that_does_not_build_is_left_quickly() {
        let (answer, tries) = ask(1001, history(900, |place| (400..600).contains(&place)));
        assert_eq!(answer, Next::Found(900));
        assert!(tries <= 20, "{tries}");
    }

    #[test]
    fn what_is_skipped_around_the_turn_hides_it() {
        let (answer, _) = ask(20, history(10, |place| (8..12).contains(&place)));
        assert_eq!(answer, Next::Hidden { first: 8, last: 12 });
        let (answer, tries) = ask(5, history(3, |_| true));
        assert_eq!((answer, tries), (Next::Hidden { first: 1, last: 4 }, 3));
    }

    proptest! {
        #[test]
        fn any_history_with_any_skips_ends_with_the_truth(
            revisions in 2_usize..200,
            turn: prop::sample::Index,
            skips in prop::collection::vec(prop::bool::weighted(0.3), 200),
        ) {
            let first_bad = 1 + turn.index(revisions - 1);
            let is_skipped = |place: usize| place > 0 && place < revisions - 1 && skips[place];
            let (answer, tries) = ask(revisions, history(first_bad, is_skipped));
            let below = (0..first_bad).rev().find(|place| !is_skipped(*place)).unwrap();
            let above = (first_bad..revisions).find(|place| !is_skipped(*place)).unwrap();
            let expected =
                if above == below + 1 { Next::Found(above) } else { Next::Hidden { first: below + 1, last: above } };
            prop_assert_eq!(answer, expected);
            let skipped = (0..revisions).filter(|place| is_skipped(*place)).count();
            let halvings = (revisions - 1).next_power_of_two().trailing_zeros() as usize;
            prop_assert!(tries <= 3 * halvings + skipped, "{} tries", tries);
        }

        #[test]
        fn without_skips_it_is_halving(revisions in 2_usize..5000, turn: prop::sample::Index) {
            let first_bad = 1 + turn.index(revisions - 1);
            let (answer, tries) = ask(revisions, history(first_bad, |_| false));
            prop_assert_eq!(answer, Next::Found(first_bad));
            prop_assert!(tries <= (revisions - 1).next_power_of_two().trailing_zeros() as usize);
        }

        #[test]
        fn a_stretch_costs_about_as_many_tries_as_halving(
            revisions in 100_usize..2000,
            turn: prop::sample::Index,
            begin: prop::sample::Index,
            length in 1_usize..300,
        ) {
            let first_bad = 1 + turn.index(revisions - 1);
            let begin = 1 + begin.index(revisions - 1);
            let stretch = begin..(begin + length).min(revisions - 1);
            prop_assume!(!stretch.contains(&first_bad) && stretch.end != first_bad);
            let (answer, tries) = ask(revisions, history(first_bad, |place| stretch.contains(&place)));
            prop_assert_eq!(answer, Next::Found(first_bad));
            let halvings = (revisions - 1).next_power_of_two().trailing_zeros() as usize;
            prop_assert!(tries <= 5 * halvings, "{} tries", tries);
        }

        #[test]
        fn what_contradicts_itself_is_no_panic(
            revisions in 0_usize..30,
            told in prop::collection::btree_map(0_usize..40, prop::sample::select(vec![Told::Good, Told::Bad, Told::Skipped]), 0..30),
        ) {
            next(revisions, &told);
        }
    }
}
