//! Made-up comparisons on a machine that others use, with and without a witness of how fast it was: of sets that were measured one
//! after the other, and of starts in turn.

use llamark_stats::Direction;
use llamark_stats::start_level::{blocked, start_median, unblocked};
use llamark_stats::verdict::{Decision, Rules, Verdict, contradicts, decide};

use super::WARMUP;
use super::noise::{CaseNoise, Noise, Random};
use super::rules;

/// Starts in each arm, runs of each.
const STARTS: usize = 3;
const RUNS: usize = 5;
/// Cases; one of them lost something.
const CASES: usize = 6;
/// As parts of the drift: how much the machine moves from one start to the next; and how far it is from what the
/// witness saw before and after a start while the start is measured.
const WOBBLE: f64 = 0.3;
const UNSEEN: f64 = 0.2;
/// How much of what the machine loses pp and tg lose.
const SHARE: [f64; 2] = [1.0, 0.8];
/// Noise of the witness itself: computing, and reading memory.
const OF_WITNESS: [f64; 2] = [0.003, 0.01];
/// The witnesses that pp and tg are compared with.
const WITNESSES: [&[usize]; 2] = [&[0], &[0, 1]];

/// What came of it by each rule; the first knows of no witness. Shares of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcomes<const RULES: usize> {
    /// Comparisons with a call in a cell that did not change, or of the wrong sign.
    pub(crate) wrong: [f64; RULES],
    /// Comparisons in which a cell of the slowed case was called slower.
    pub(crate) found: [f64; RULES],
}

impl<const RULES: usize> Outcomes<RULES> {
    const NONE: Self = Self { wrong: [0.0; RULES], found: [0.0; RULES] };

    fn shares(self, diffs: usize) -> Self {
        let share = |sum: [f64; RULES]| sum.map(|sum| sum / diffs as f64);
        Self { wrong: share(self.wrong), found: share(self.found) }
    }
}

/// The starts of one arm of a case: medians of pp and tg, and what the witnesses saw.
#[derive(Default)]
struct Arm {
    levels: [Vec<f64>; 2],
    paces: [Vec<f64>; 2],
}

impl Arm {
    /// On a machine that is by `session` faster than usual.
    fn measure(case: &CaseNoise, session: f64, drift: f64, loss: f64, random: &mut Random) -> Option<Self> {
        let mut arm = Self::default();
        for _ in 0..STARTS {
            let [wobble, unseen] = random.normals();
            let seen = session + WOBBLE * drift * wobble;
            let machine = seen + UNSEEN * drift * unseen;
            let shift = SHARE.map(|share| share * machine + (-loss).ln_1p());
            let runs = case.start(RUNS, shift, random);
            let luck = random.normals();
            for place in [0, 1] {
                arm.levels[place].push(start_median(&runs[place], WARMUP)?);
                arm.paces[place].push(seen + OF_WITNESS[place] * luck[place]);
            }
        }
        Some(arm)
    }

    /// The levels of a metric, relative to a witness.
    fn relative(&self, metric: usize, witness: usize) -> Vec<f64> {
        self.levels[metric].iter().zip(&self.paces[witness]).map(|(level, pace)| level - pace).collect()
    }
}

/// So many comparisons on a machine whose pace differs between two sets by a standard deviation of `drift`, in which the first
/// case lost so much.
pub(crate) fn run(noise: &Noise, diffs: usize, drift: f64, loss: f64, seed: u64) -> Option<Outcomes<2>> {
    let mut sum = Outcomes::<2>::NONE;
    for diff in 0..diffs {
        let mut random = Random::new(seed, 2_000_000 + diff as u64);
        let [between, _] = random.normals();
        let mut arms = Vec::new();
        for place in 0..CASES {
            let case = CaseNoise::draw(noise, &mut random);
            let base = Arm::measure(&case, 0.0, drift, 0.0, &mut random)?;
            let lost = if place == 0 { loss } else { 0.0 };
            arms.push([base, Arm::measure(&case, drift * between, drift, lost, &mut random)?]);
        }
        let decided = |of: &dyn Fn(&Arm, usize) -> Vec<f64>| -> Option<Vec<Decision>> {
            let mut cells = Vec::new();
            for (place, [base, candidate]) in arms.iter().enumerate() {
                for metric in [0, 1] {
                    let effect =
                        unblocked(&of(base, metric), &of(candidate, metric), Direction::HigherIsBetter)?;
                    cells.push(rules::cell(2 * place + metric, effect, (0.0, 0)));
                }
            }
            Some(decide(&cells, &Rules::STANDARD))
        };
        let measured = decided(&|arm, metric| arm.levels[metric].clone())?;
        let relative = [
            decided(&|arm, metric| arm.relative(metric, 0))?,
            decided(&|arm, metric| arm.relative(metric, WITNESSES[metric].len() - 1))?,
        ];
        for (rule, with_witness) in [false, true].into_iter().enumerate() {
            let verdict = |cell: usize| {
                let measured = measured[cell].verdict;
                let is_contradicted =
                    WITNESSES[cell % 2].iter().any(|one| contradicts(measured, relative[*one][cell].verdict));
                if with_witness && is_contradicted { Verdict::Suspect } else { measured }
            };
            let is_slowed = |cell: usize| cell < 2 && loss > 0.0;
            let is_wrong = |cell: usize| match verdict(cell) {
                Verdict::Regressed => !is_slowed(cell),
                Verdict::Improved => true,
                _ => false,
            };
            sum.wrong[rule] += f64::from(u8::from((0..2 * CASES).any(is_wrong)));
            let is_found = (0..2).any(|cell| verdict(cell) == Verdict::Regressed);
            sum.found[rule] += f64::from(u8::from(is_found));
        }
    }
    Some(sum.shares(diffs))
}

/// Pairs of interleaved starts, and how many are made at most to have so many on one machine.
pub(crate) const PAIRS: usize = 5;
const MOST_PAIRS: usize = 3 * PAIRS;
/// What the other of two states of the machine costs: a virtual machine of two cores, moved from cores with one cache to cores with
/// two.
const OTHER_CORES: f64 = 0.235;

/// One start on such a machine: levels of pp and tg, and on which cores it was, before it and after it.
#[derive(Clone, Copy)]
struct Moved {
    levels: [f64; 2],
    cores: [bool; 2],
}

/// So many interleaved comparisons of one case, on a machine that moves to its other cores during a start with that
/// probability: of all pairs; without those that met both; and with others in their place.
pub(crate) fn run_moved(
    noise: &Noise,
    diffs: usize,
    moves: f64,
    loss: f64,
    seed: u64,
) -> Option<Outcomes<3>> {
    let mut sum = Outcomes::<3>::NONE;
    for diff in 0..diffs {
        let mut random = Random::new(seed, 3_000_000 + diff as u64);
        let case = CaseNoise::draw(noise, &mut random);
        let mut on_others = false;
        let mut start = |loss: f64, random: &mut Random| -> Option<Moved> {
            let before = on_others;
            on_others ^= random.uniform() < moves;
            // What counts is the median of its runs, and the move was before the most of them or behind it.
            let met = if random.uniform() < 0.5 { before } else { on_others };
            let shift = (-loss).ln_1p() - if met { OTHER_CORES } else { 0.0 };
            let runs = case.start(RUNS, [shift; 2], random);
            let levels = [start_median(&runs[0], WARMUP)?, start_median(&runs[1], WARMUP)?];
            Some(Moved { levels, cores: [before, on_others] })
        };
        let met_one = |pair: &&[Moved; 2]| {
            let mut cores = pair.iter().flat_map(|start| start.cores);
            cores.all(|cores| cores == pair[0].cores[0])
        };
        let mut pairs: Vec<[Moved; 2]> = Vec::new();
        for pair in 0..MOST_PAIRS {
            if pairs.iter().filter(met_one).count() == PAIRS {
                break;
            }
            // Who goes first alternates.
            let first = start(if pair % 2 == 0 { 0.0 } else { loss }, &mut random)?;
            let second = start(if pair % 2 == 0 { loss } else { 0.0 }, &mut random)?;
            pairs.push(if pair % 2 == 0 { [first, second] } else { [second, first] });
        }
        for (rule, (pairs, with_witness)) in
            [(&pairs[..PAIRS], false), (&pairs[..PAIRS], true), (&pairs, true)].into_iter().enumerate()
        {
            let kept: Vec<&[Moved; 2]> = pairs.iter().filter(|pair| !with_witness || met_one(pair)).collect();
            let mut cells = Vec::new();
            for metric in [0, 1] {
                let side =
                    |side: usize| -> Vec<f64> { kept.iter().map(|pair| pair[side].levels[metric]).collect() };
                let effect = blocked(&side(0), &side(1), Direction::HigherIsBetter);
                cells.extend(effect.map(|effect| rules::cell(metric, effect, (0.0, 0))));
            }
            let verdicts: Vec<Verdict> =
                decide(&cells, &Rules::STANDARD).iter().map(|one| one.verdict).collect();
            let is_wrong = |verdict: &Verdict| match verdict {
                Verdict::Regressed => loss == 0.0,
                Verdict::Improved => true,
                _ => false,
            };
            sum.wrong[rule] += f64::from(u8::from(verdicts.iter().any(is_wrong)));
            sum.found[rule] += f64::from(u8::from(verdicts.contains(&Verdict::Regressed)));
        }
    }
    Some(sum.shares(diffs))
}
