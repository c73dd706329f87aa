//! Made-up interleaved comparisons in which a whole backend moved a little, and what is said about groups.

use llamark_stats::group::shifts;
use llamark_stats::verdict::{Rules, Verdict, decide};

use super::noise::{BACKENDS, CaseNoise, METRICS, Noise, Random};
use super::rules;

/// Starts in each arm, runs of each.
const STARTS: usize = 3;
const RUNS: usize = 5;

/// What came of it. Shares of one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcomes {
    /// Comparisons in which a group was named that did not move, or the wrong way.
    pub(crate) wrong: f64,
    /// Comparisons in which the backend that moved was named, for tg.
    pub(crate) found: f64,
    /// Cells of it that were called by themselves.
    pub(crate) alone: f64,
}

/// So many comparisons of so many cases, of which those of the first backend lost so much.
pub(crate) fn run(noise: &Noise, diffs: usize, cases: usize, loss: f64, seed: u64) -> Option<Outcomes> {
    let mut sum = Outcomes::default();
    for diff in 0..diffs {
        let mut random = Random::new(seed, 1_000_000 + diff as u64);
        let mut cells = Vec::new();
        for case in 0..cases {
            let machine = CaseNoise::draw(noise, &mut random);
            let shift = if case % BACKENDS.len() == 0 { (-loss).ln_1p() } else { 0.0 };
            let mut arm = |shift: f64| {
                let starts: Vec<[Vec<f64>; 2]> =
                    (0..STARTS).map(|_| machine.start(RUNS, [shift; 2], &mut random)).collect();
                [0, 1].map(|metric| starts.iter().map(|start| start[metric].clone()).collect::<Vec<_>>())
            };
            let (a, b) = (arm(0.0), arm(shift));
            for metric in [0, 1] {
                cells.push(rules::cell(
                    2 * case + metric,
                    rules::effect(&a[metric], &b[metric], true)?,
                    (0.0, 0),
                ));
            }
        }
        let verdicts: Vec<Verdict> = decide(&cells, &Rules::STANDARD).iter().map(|one| one.verdict).collect();
        let is_called = |place: &usize| matches!(verdicts[*place], Verdict::Regressed | Verdict::Improved);
        let differences: Vec<f64> = cells.iter().map(|cell| cell.effect.difference).collect();
        let (mut names, mut groups) = (Vec::new(), Vec::new());
        for metric in METRICS {
            for backend in [""].into_iter().chain(BACKENDS) {
                let is_in = |place: &usize| {
                    cells[*place].metric == metric && (backend.is_empty() || cells[*place].backend == backend)
                };
                names.push((metric, backend));
                groups.push(
                    (0..cells.len()).filter(is_in).filter(|place| !is_called(place)).collect::<Vec<_>>(),
                );
            }
        }
        let found = shifts(&differences, &groups, 0.05);
        let moved = |group: usize| names[group].1 == BACKENDS[0] && loss > 0.0;
        let is_wrong = found.iter().any(|shift| !moved(shift.group) || shift.effect.difference < 0.0);
        sum.wrong += f64::from(u8::from(is_wrong));
        let is_found = found.iter().any(|shift| moved(shift.group) && names[shift.group].0 == "tg");
        sum.found += f64::from(u8::from(is_found));
        let of_backend: Vec<usize> =
            (0..cells.len()).filter(|place| cells[*place].backend == BACKENDS[0]).collect();
        sum.alone +=
            of_backend.iter().filter(|place| is_called(place)).count() as f64 / of_backend.len() as f64;
    }
    let share = |sum: f64| sum / diffs as f64;
    Some(Outcomes { wrong: share(sum.wrong), found: share(sum.found), alone: share(sum.alone) })
}
