//! Made-up comparisons whose truth is known, decided by every rule, and counted.

pub(crate) mod drifting;
pub(crate) mod grouping;
mod noise;
mod rules;
pub(crate) mod searching;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use llamark_stats::verdict::{Rules, decide};
use noise::{CaseNoise, Random};
pub(crate) use noise::{Noise, REALISTIC};
pub(crate) use rules::Rule;
use rules::{Call, QuietU};

/// Runs of each start that our rule leaves out; the others use all, as their users do.
const WARMUP: usize = 1;
/// Starts in the noise file.
const HISTORY: u32 = 10;
/// Fresh starts per arm of a confirmation.
const FRESH: usize = 5;

/// How a comparison is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Design {
    /// k: starts per arm.
    pub(crate) starts: usize,
    /// n: runs per start.
    pub(crate) runs: usize,
}

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Study {
    /// The machine.
    pub(crate) noise: Noise,
    /// Comparisons of each design and slowdown.
    pub(crate) diffs: usize,
    /// Cases of each, with two cells (pp and tg).
    pub(crate) cases: usize,
    /// Cells of them that are slowed.
    pub(crate) slowed: usize,
    /// Where the random numbers begin.
    pub(crate) seed: u64,
}

/// Slowdowns: none, and those whose power is given.
pub(crate) const SLOWDOWNS: [f64; 5] = [0.0, 0.02, 0.03, 0.05, 0.1];

/// What came of one rule in one comparison.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Calls in cells that did not change, in either direction, and of the wrong sign.
    wrong: usize,
    /// Slowed cells that were called slower.
    found: usize,
    /// Cells called equivalent, of those that did not change.
    equivalent: usize,
    /// The same of those that were slowed.
    missed_as_equivalent: usize,
}

/// How a rule did in one design. Shares of one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    /// Cells called, when nothing changed.
    pub(crate) false_alarms: f64,
    /// Comparisons with a call, when nothing changed.
    pub(crate) diffs_with_alarm: f64,
    /// False discovery rate next to slowdowns of 5 %: mean share of the calls that are wrong.
    pub(crate) false_discoveries: f64,
    /// Slowed cells found: at 2, 3, 5 and 10 %.
    pub(crate) power: [f64; 4],
    /// Cells called equivalent, when nothing changed.
    pub(crate) equivalent: f64,
    /// Cells called equivalent, of those slowed by 5 %.
    pub(crate) missed_as_equivalent: f64,
}

impl Rates {
    /// Power for a slowdown of 5 %.
    pub(crate) fn power_at_five_percent(&self) -> f64 {
        self.power[2]
    }
}

/// One comparison by every rule, in the order of [`Rule::ALL`].
fn compare(
    study: &Study,
    design: Design,
    slowdown: f64,
    quiet: &QuietU,
    random: &mut Random,
) -> Option<Vec<Count>> {
    let cells = 2 * study.cases;
    let mut is_slowed = vec![false; cells];
    if slowdown > 0.0 {
        for place in random.choose(study.slowed, cells) {
            is_slowed[place] = true;
        }
    }
    let shift = |place: usize| if is_slowed[place] { (-slowdown).ln_1p() } else { 0.0 };
    let machines: Vec<CaseNoise> = (0..study.cases).map(|_| CaseNoise::draw(&study.noise, random)).collect();
    let arms = |case: usize, starts: usize, random: &mut Random| {
        let machine = &machines[case];
        let shifts = [shift(2 * case), shift(2 * case + 1)];
        let mut arm = |shift: [f64; 2]| {
            let (mut pp, mut tg) = (Vec::new(), Vec::new());
            for _ in 0..starts {
                let [of_pp, of_tg] = machine.start(design.runs, shift, random);
                pp.push(of_pp);
                tg.push(of_tg);
            }
            [pp, tg]
        };
        (arm([0.0; 2]), arm(shifts))
    };
    let mut calls: Vec<Vec<Call>> = vec![Vec::with_capacity(cells); Rule::ALL.len()];
    let (mut alone, mut with_history) = (Vec::new(), Vec::new());
    for (case, machine) in machines.iter().enumerate() {
        let (a, b) = arms(case, design.starts, random);
        let history = machine.history(HISTORY as usize, design.runs, random);
        for metric in [0, 1] {
            for (rule, call) in rules::of_others(&a[metric], &b[metric], quiet)?.into_iter().enumerate() {
                calls[rule].push(call);
            }
            let effect = rules::effect(&a[metric], &b[metric], false)?;
            alone.push(rules::cell(2 * case + metric, effect, (0.0, 0)));
            with_history.push(rules::cell(2 * case + metric, effect, (history[metric], HISTORY - 1)));
        }
    }
    calls[4] = rules::ours(&alone, &rules::sensitive());
    calls[5] = rules::ours(&alone, &Rules::STANDARD);
    let screened = decide(&with_history, &Rules::STANDARD);
    calls[6] = screened.iter().map(|decision| rules::call(decision.verdict)).collect();
    calls[7] = rules::confirmed(&with_history, &screened, |place| {
        let (a, b) = arms(place / 2, FRESH, random);
        rules::effect(&a[place % 2], &b[place % 2], true)
    })?;
    Some(calls.iter().map(|calls| count(calls, &is_slowed)).collect())
}

fn count(calls: &[Call], is_slowed: &[bool]) -> Count {
    let mut count = Count::default();
    for (call, is_slowed) in calls.iter().zip(is_slowed) {
        match (call, is_slowed) {
            (Call::Slower, true) => count.found += 1,
            (Call::Slower, false) | (Call::Faster, _) => count.wrong += 1,
            (Call::Equivalent, true) => count.missed_as_equivalent += 1,
            (Call::Equivalent, false) => count.equivalent += 1,
            (Call::Nothing, _) => {}
        }
    }
    count
}

/// Every rule in every design, on all cores; the same numbers however many there are. `None` if a rule fails.
pub(crate) fn run(study: &Study, designs: &[Design]) -> Option<Vec<Vec<Rates>>> {
    let per_design = SLOWDOWNS.len() * study.diffs;
    let quiet: Vec<QuietU> = designs.iter().map(|design| QuietU::new(design.starts * design.runs)).collect();
    let results: Vec<Mutex<Option<Vec<Count>>>> =
        (0..designs.len() * per_design).map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let work = || loop {
        let item = next.fetch_add(1, Ordering::Relaxed);
        let Some(result) = results.get(item) else { return };
        let (design, slowdown) = (item / per_design, item % per_design / study.diffs);
        let mut random = Random::new(study.seed, item as u64);
        let counts = compare(study, designs[design], SLOWDOWNS[slowdown], &quiet[design], &mut random);
        if let Ok(mut result) = result.lock() {
            *result = counts;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let _joined_by_the_scope = scope.spawn(work);
        }
    });
    let counts: Option<Vec<Vec<Count>>> =
        results.into_iter().map(|result| result.into_inner().ok().flatten()).collect();
    Some(counts?.chunks(per_design).map(|counts| rates(study, counts)).collect())
}

/// The rates of each rule from the comparisons of one design.
fn rates(study: &Study, counts: &[Vec<Count>]) -> Vec<Rates> {
    let by_slowdown: Vec<&[Vec<Count>]> = counts.chunks(study.diffs).collect();
    let (diffs, cells) = (study.diffs as f64, 2.0 * study.cases as f64);
    let slowed = study.slowed as f64;
    let one = |rule: usize| {
        let sum = |slowdown: usize, of: &dyn Fn(&Count) -> f64| -> f64 {
            by_slowdown[slowdown].iter().map(|counts| of(&counts[rule])).sum::<f64>() / diffs
        };
        let power = |slowdown| sum(slowdown, &|count| count.found as f64) / slowed;
        Rates {
            false_alarms: sum(0, &|count| count.wrong as f64) / cells,
            diffs_with_alarm: sum(0, &|count| f64::from(u8::from(count.wrong > 0))),
            false_discoveries: sum(3, &|count| {
                count.wrong as f64 / (count.wrong + count.found).max(1) as f64
            }),
            power: [power(1), power(2), power(3), power(4)],
            equivalent: sum(0, &|count| count.equivalent as f64) / cells,
            missed_as_equivalent: sum(3, &|count| count.missed_as_equivalent as f64) / slowed,
        }
    };
    (0..Rule::ALL.len()).map(one).collect()
}
