//! Sets built in memory: so many cases and starts, each with the rates that a test wants.

use llamark_artifact::{CaseLedger, Ledger};
use llamark_record::Sha256;
use llamark_record::journal::Outcome;
use llamark_record::plan::PlannedModel;

use super::Parts;

/// How a synthetic set is to be.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) cases: usize,
    pub(crate) starts: u32,
    pub(crate) runs: u32,
    /// Spread of the starts of a case, as a share.
    pub(crate) between: f64,
    pub(crate) seed: u64,
}

impl Shape {
    pub(crate) const fn new(cases: usize, starts: u32) -> Self {
        Self { cases, starts, runs: 3, between: 0.004, seed: 1 }
    }

    pub(crate) const fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    pub(crate) const fn between(self, between: f64) -> Self {
        Self { between, ..self }
    }

    /// A set in which case `i` has `speed(i)` times the usual rates.
    pub(crate) fn build(self, speed: impl Fn(usize) -> f64) -> Parts {
        let mut parts = Parts::sample();
        let template = parts.ledger.cases.iter().find(|case| case.case.id == "small-135m-q4_1/cpu/bridge");
        let template = template.cloned().unwrap();
        assert_eq!(template.outcome, Some(Outcome::Ok));
        let model = parts.resolved.plan.models[0].clone();
        let files = parts.resolved.model_files[&model.id].clone();
        let plan = &mut parts.resolved.plan;
        plan.backends.retain(|backend| backend.name == "cpu");
        plan.models.clear();
        plan.cases.clear();
        parts.resolved.model_files.clear();
        let mut random = Random::new(self.seed);
        let mut cases = Vec::new();
        for number in 0..self.cases {
            let id = format!("m{number:04}");
            let case = self.case(&template, &id, speed(number), &mut random);
            plan.models.push(PlannedModel { id: id.clone(), name: id.clone(), ..model.clone() });
            plan.cases.push(case.case.clone());
            parts.resolved.model_files.insert(id, files.clone());
            cases.push(case);
        }
        plan.schedule.clear();
        let mut ledger = Ledger::new(plan);
        ledger.cases = cases;
        ledger.begin = parts.ledger.begin.take();
        ledger.builds = std::mem::take(&mut parts.ledger.builds);
        ledger.started_at = std::mem::take(&mut parts.ledger.started_at);
        ledger.finished_at = std::mem::take(&mut parts.ledger.finished_at);
        parts.ledger = ledger;
        parts.id = format!("20261122T18000{}Z-00000000", self.seed % 10);
        parts
    }

    fn case(self, template: &CaseLedger, model: &str, speed: f64, random: &mut Random) -> CaseLedger {
        let mut case = template.clone();
        case.case.model = model.to_owned();
        case.case.id = format!("{model}/cpu/bridge");
        (case.case.starts, case.case.runs) = (self.starts, self.runs);
        let first = template.starts.values().next().unwrap().clone();
        case.starts.retain(|_| false);
        for number in 1..=self.starts {
            let mut start = first.clone();
            start.id.case = (&case.case.id).into();
            start.id.start = number;
            let luck = (random.normal() * self.between).exp();
            let template = start.runs.iter().find(|run| run.counts()).unwrap().clone();
            start.runs.retain(|run| run.warmup);
            for index in 1..=self.runs {
                let mut run = template.clone();
                run.index = index;
                let factor = speed * luck * (random.normal() * 0.001).exp();
                let measured = run.measurement.as_mut().unwrap();
                let scaled = |value: f64| (value / factor).round() as u64;
                measured.prompt_us = scaled(2_000_000.0);
                measured.generation_us = scaled(5_000_000.0 * (random.normal() * 0.001).exp());
                measured.first_token_ns = scaled(2_010_000_000.0);
                start.runs.push(run);
            }
            let noise = |random: &mut Random, spread: f64| (random.normal() * spread).exp();
            start.ready.as_mut().unwrap().load.ready_us = (200_000.0 * noise(random, 0.03)) as u64;
            start.closed.as_mut().unwrap().max_rss_bytes = Some((4e8 * noise(random, 0.0005)) as u64);
            case.starts.insert(number, start);
        }
        case
    }
}

/// Another digest in place of that of every model.
pub(crate) fn other_model(parts: &mut Parts) {
    let other = Sha256::of_bytes(b"other");
    parts.resolved.model_files.values_mut().for_each(|files| files[0].sha256 = other.clone());
}

/// SplitMix64 and the sum of twelve, which is normal enough.
struct Random(u64);

impl Random {
    /// A stream of its own: seeds that differ by a multiple of the step of the generator would share one.
    fn new(seed: u64) -> Self {
        let mut scattered = Self(seed);
        Self((scattered.uniform() * (1_u64 << 53) as f64) as u64)
    }

    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}
