//! Made-up histories whose first bad revision is known, searched by `llamark bisect` and by what people do.

use std::collections::BTreeMap;

use llamark_stats::describe::sum_of_squares;
use llamark_stats::search::{Next, Told, next};
use llamark_stats::sequential::{
    Elsewhere, Ends, Looks, Side, ends, error_of_verdict, repeated_interval, side,
};
use llamark_stats::start_level::start_median;

use super::noise::{CaseNoise, Noise, Random};

/// Runs of a start, all of which count.
const RUNS: usize = 3;
const LOOKS: Looks = Looks { first: 2, more: 2, most: 16 };
/// The probability of a wrong answer that is asked for.
pub(crate) const ERROR: f64 = 0.05;
const MINIMUM: f64 = llamark_stats::estimate::MINIMUM_THROUGHPUT;

/// How a search is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `llamark bisect`: interleaved with the good end, until it is decided.
    Sequential,
    /// One start of each, against the middle of one start of either end.
    OneStart,
    /// Three starts of each, against the middle of the means of three of either end.
    ThreeStarts,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Sequential, Self::OneStart, Self::ThreeStarts];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sequential => "llamark bisect",
            Self::OneStart => "one start a step, middle of the ends",
            Self::ThreeStarts => "three starts a step, middle of the ends",
        }
    }
}

/// What came of the searches of one way. Shares of one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcomes {
    /// The first bad revision was named.
    pub(crate) right: f64,
    /// Another one was, or a range without it.
    pub(crate) wrong: f64,
    /// Starts of a search, on average.
    pub(crate) starts: f64,
}

/// A history in which the revisions from `turn` on lost `loss`, and what measures it.
struct Bench<'a> {
    machine: CaseNoise,
    turn: usize,
    loss: f64,
    /// Standard deviation of how much the machine moves from one start to the next, for good.
    drift: f64,
    moved: f64,
    random: &'a mut Random,
    starts: usize,
}

impl Bench<'_> {
    /// ln tg of one start of a revision.
    fn start(&mut self, revision: usize) -> Option<f64> {
        self.starts += 1;
        let loss = if revision >= self.turn { (-self.loss).ln_1p() } else { 0.0 };
        if self.drift > 0.0 {
            self.moved += self.drift * self.random.normals()[0];
        }
        let shift = loss + self.moved;
        let [_, tg] = self.machine.start(RUNS, [shift; 2], self.random);
        start_median(&tg, 0)
    }

    fn pairs(&mut self, revision: usize, count: u32) -> Option<Vec<f64>> {
        (0..count).map(|_| Some(self.start(0)? - self.start(revision)?)).collect()
    }

    fn mean(&mut self, revision: usize, starts: usize) -> Option<f64> {
        let all: Option<Vec<f64>> = (0..starts).map(|_| self.start(revision)).collect();
        llamark_stats::mean(&all?)
    }
}

/// Searches of histories of so many revisions, by each way: with a loss, or with none; on a machine that drifts so much
/// from start to start, or not.
pub(crate) fn run(
    noise: &Noise,
    searches: usize,
    revisions: usize,
    [loss, drift]: [f64; 2],
    seed: u64,
) -> Option<Vec<Outcomes>> {
    let mut found = Vec::new();
    for way in Way::ALL {
        let mut outcomes = Outcomes::default();
        for search in 0..searches {
            let mut random = Random::new(seed, (search * 10) as u64);
            let machine = CaseNoise::draw(noise, &mut random);
            // Both ends are what they are called, unless nothing is lost at all.
            let turn = 1 + random.choose(1, revisions - 1).first()?;
            let mut bench = Bench { machine, turn, loss, drift, moved: 0.0, random: &mut random, starts: 0 };
            let answer = match way {
                Way::Sequential => sequential(&mut bench, revisions)?,
                Way::OneStart => middle(&mut bench, revisions, 1)?,
                Way::ThreeStarts => middle(&mut bench, revisions, 3)?,
            };
            let is_right = |first: usize, last: usize| loss > 0.0 && (first..=last).contains(&turn);
            match answer {
                Some((first, last)) if !is_right(first, last) => outcomes.wrong += 1.0,
                Some((first, last)) if first == last => outcomes.right += 1.0,
                _ => {}
            }
            outcomes.starts += bench.starts as f64;
        }
        let share = |sum: f64| sum / searches as f64;
        found.push(Outcomes {
            right: share(outcomes.right),
            wrong: share(outcomes.wrong),
            starts: share(outcomes.starts),
        });
    }
    Some(found)
}

/// As `llamark bisect` does it: the range that holds the first bad revision; `None` inside where there is no answer.
fn sequential(bench: &mut Bench<'_>, revisions: usize) -> Option<Option<(usize, usize)>> {
    let error = error_of_verdict(ERROR, revisions);
    let mut elsewhere = Elsewhere::default();
    let mut measure =
        |bench: &mut Bench<'_>, revision, is_decided: &dyn Fn(&llamark_stats::Interval) -> bool| {
            let mut differences = Vec::new();
            let mut last = None;
            while let Some(more) = LOOKS.next(differences.len() as u32) {
                differences.extend(bench.pairs(revision, more)?);
                let interval = repeated_interval(&differences, elsewhere, error, &LOOKS)?;
                last = Some(interval);
                if is_decided(&interval) {
                    break;
                }
            }
            elsewhere.sum_of_squares += sum_of_squares(&differences)?;
            elsewhere.df += differences.len() as u32 - 1;
            last
        };
    let of_ends = measure(bench, revisions - 1, &|interval| ends(interval, MINIMUM) != Ends::Open)?;
    let Ends::Worse { boundary } = ends(&of_ends, MINIMUM) else { return Some(None) };
    let mut told = BTreeMap::new();
    loop {
        match next(revisions, &told) {
            Next::Try(place) => {
                let interval = measure(bench, place, &|interval| side(interval, boundary) != Side::Open)?;
                let verdict = match side(&interval, boundary) {
                    Side::Below => Told::Good,
                    Side::Above => Told::Bad,
                    Side::Open => Told::Skipped,
                };
                told.insert(place, verdict);
            }
            Next::Found(place) => return Some(Some((place, place))),
            Next::Hidden { first, last } => return Some(Some((first, last))),
        }
    }
}

/// As a script for `git bisect run` does it: faster or slower than the middle of what the ends showed.
fn middle(bench: &mut Bench<'_>, revisions: usize, starts: usize) -> Option<Option<(usize, usize)>> {
    let threshold = f64::midpoint(bench.mean(0, starts)?, bench.mean(revisions - 1, starts)?);
    let mut told = BTreeMap::new();
    loop {
        match next(revisions, &told) {
            Next::Try(place) => {
                let is_bad = bench.mean(place, starts)? < threshold;
                told.insert(place, if is_bad { Told::Bad } else { Told::Good });
            }
            Next::Found(place) => return Some(Some((place, place))),
            Next::Hidden { .. } => return None,
        }
    }
}
