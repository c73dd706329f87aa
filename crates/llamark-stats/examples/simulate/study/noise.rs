//! The noise of made-up measurements: servers that start fast or slowly, runs that vary less than starts do.
//!
//! The sizes are those of 642 published rows of llama-bench (three runs each) and of builds that were published
//! again with another value.

use llamark_stats::start_level::start_median;
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

/// The two metrics of a case.
pub(crate) const METRICS: [&str; 2] = ["pp", "tg"];

/// Backends that the cases are spread over: the pools of the variance.
pub(crate) const BACKENDS: [&str; 3] = ["cpu", "cuda", "vulkan"];

/// How noisy a machine is. Sizes are standard deviations of ln value: 0.01 is 1 %.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    /// Median over cases of σ_w, between the runs of one start, of pp and of tg.
    pub(crate) within: [f64; 2],
    /// Median over cases of σ_b, between starts.
    pub(crate) between: f64,
    /// Spread of both over the cases: standard deviation of ln σ.
    pub(crate) spread: f64,
    /// Correlation of the pp and the tg of one start.
    pub(crate) correlation: f64,
    /// Share of cells whose first run is slow.
    pub(crate) slow_first: f64,
    /// Mean of how much slower, in logarithms; exponential.
    pub(crate) slow_by: f64,
}

/// What published rows look like.
pub(crate) const REALISTIC: Noise = Noise {
    within: [0.004, 0.0015],
    between: 0.005,
    spread: 0.64,
    correlation: 0.5,
    slow_first: 0.5,
    slow_by: 0.01,
};

/// Random numbers; the same seed gives the same ones on every machine.
pub(crate) struct Random(Pcg64);

impl Random {
    /// An own stream for each piece of work, so that the order in which they are done does not matter.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(Pcg64::seed_from_u64(seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Above 0, at most 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Two independent standard normal numbers (Box & Muller 1958).
    pub(crate) fn normals(&mut self) -> [f64; 2] {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        [radius * sin, radius * cos]
    }

    /// `count` different numbers below `limit`.
    pub(crate) fn choose(&mut self, count: usize, limit: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..limit).collect();
        for place in 0..count {
            let other = place + (self.0.next_u64() % (limit - place) as u64) as usize;
            all.swap(place, other);
        }
        all.truncate(count);
        all
    }
}

/// The noise of one case: σ_w, σ_b and the slowness of run 1, of pp and of tg.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CaseNoise {
    within: [f64; 2],
    between: [f64; 2],
    slow: [f64; 2],
    correlation: f64,
}

impl CaseNoise {
    /// A case of a machine.
    pub(crate) fn draw(noise: &Noise, random: &mut Random) -> Self {
        let (w, b) = (random.normals(), random.normals());
        let metrics = [0, 1];
        let slow = metrics.map(|_| {
            if random.uniform() <= noise.slow_first { -noise.slow_by * random.uniform().ln() } else { 0.0 }
        });
        Self {
            within: metrics.map(|m| noise.within[m] * (noise.spread * w[m]).exp()),
            between: metrics.map(|m| noise.between * (noise.spread * b[m]).exp()),
            slow,
            correlation: noise.correlation,
        }
    }

    /// The runs of one start, in tok/s, of pp and of tg. `shift` is added to ln value.
    pub(crate) fn start(&self, runs: usize, shift: [f64; 2], random: &mut Random) -> [Vec<f64>; 2] {
        let [common, own] = random.normals();
        let partner = self.correlation * common + (1.0 - self.correlation * self.correlation).sqrt() * own;
        let luck = [common * self.between[0], partner * self.between[1]];
        let mut values = [Vec::with_capacity(runs), Vec::with_capacity(runs)];
        for run in 0..runs {
            let draws = random.normals();
            for metric in [0, 1] {
                let slow = if run == 0 { self.slow[metric] } else { 0.0 };
                let logarithm = luck[metric] + shift[metric] + self.within[metric] * draws[metric] - slow;
                values[metric].push(100.0 * logarithm.exp());
            }
        }
        values
    }

    /// Squares around their mean of the start medians of `starts` starts, of pp and of tg.
    pub(crate) fn history(&self, starts: usize, runs: usize, random: &mut Random) -> [f64; 2] {
        let mut medians = [Vec::new(), Vec::new()];
        for _ in 0..starts {
            let values = self.start(runs, [0.0; 2], random);
            for (medians, values) in medians.iter_mut().zip(&values) {
                medians.extend(start_median(values, super::WARMUP));
            }
        }
        medians.map(|medians| llamark_stats::describe::sum_of_squares(&medians).unwrap_or_default())
    }
}
