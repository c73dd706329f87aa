//! What is usual: the priors of the pools that the cells of a comparison belong to.
//!
//! A pool is one backend and metric; where that has fewer than eight cells, the metric; and then everything.
//! Interleaved starts and others are never in one pool: the squares of the first are those of differences, and about
//! twice as large.

use std::collections::BTreeMap;

use crate::estimate::Estimate;
use crate::shrink::{Prior, Variance, fit_prior};
use crate::start_level::Design;
use crate::verdict::Cell;

/// Cells that a pool of one backend and metric needs; with fewer the metric is the pool, then everything.
pub const FEWEST_IN_POOL: usize = 8;

/// The priors of every pool of a comparison, each fitted once.
#[derive(Clone, Debug, Default)]
pub struct Pools<'a> {
    fine: BTreeMap<(Design, &'a str, &'a str), Prior>,
    metric: BTreeMap<(Design, &'a str), Prior>,
    all: BTreeMap<Design, Prior>,
}

impl<'a> Pools<'a> {
    /// Learns from the cells of a comparison; those without a variance of their own teach nothing.
    pub fn learn(cells: &[Cell<'a>]) -> Self {
        let mut fine: BTreeMap<_, Vec<Variance>> = BTreeMap::new();
        let mut metric: BTreeMap<_, Vec<Variance>> = BTreeMap::new();
        let mut all: BTreeMap<_, Vec<Variance>> = BTreeMap::new();
        for cell in cells {
            let Some(variance) = own_variance(cell) else { continue };
            let design = cell.effect.design;
            fine.entry((design, cell.backend, cell.metric)).or_default().push(variance);
            metric.entry((design, cell.metric)).or_default().push(variance);
            all.entry(design).or_default().push(variance);
        }
        Self { fine: fit(&fine, FEWEST_IN_POOL), metric: fit(&metric, FEWEST_IN_POOL), all: fit(&all, 0) }
    }

    /// What is usual for a cell, which need not be one of those learned from; `None` when too little is known.
    ///
    /// For interleaved starts where only others were seen, twice their s0²: the variance of a difference of two
    /// starts, or more than it, since what a block shares cancels.
    pub fn prior(&self, cell: &Cell<'_>) -> Option<Prior> {
        let design = cell.effect.design;
        self.of_design(design, cell).or_else(|| {
            let other = self.of_design(Design::Unblocked, cell).filter(|_| design == Design::Blocked)?;
            Some(Prior { s_squared: 2.0 * other.s_squared, ..other })
        })
    }

    fn of_design(&self, design: Design, cell: &Cell<'_>) -> Option<Prior> {
        let fine = self.fine.get(&(design, cell.backend, cell.metric));
        fine.or_else(|| self.metric.get(&(design, cell.metric))).or_else(|| self.all.get(&design)).copied()
    }

    /// The variance of a cell, steadied; its own where nothing is usual. `None` without degrees of freedom.
    pub fn variance(&self, cell: &Cell<'_>) -> Option<Variance> {
        let own = own_variance(cell)?;
        Some(self.prior(cell).map_or(own, |prior| prior.posterior(&own)))
    }

    /// The estimate of a cell with that variance; for fresh starts too, with pools that were learned before them.
    pub fn estimate(&self, cell: &Cell<'_>) -> Option<Estimate> {
        Estimate::new(&cell.effect, &self.variance(cell)?)
    }
}

fn fit<K: Ord + Clone>(pools: &BTreeMap<K, Vec<Variance>>, fewest: usize) -> BTreeMap<K, Prior> {
    let large = pools.iter().filter(|(_, pool)| pool.len() >= fewest);
    large.filter_map(|(key, pool)| Some((key.clone(), fit_prior(pool)?))).collect()
}

/// (SS + SS_hist)/(df + df_hist).
fn own_variance(cell: &Cell<'_>) -> Option<Variance> {
    let (squares, df) = cell.history;
    Variance::from_squares(cell.effect.sum_of_squares + squares, cell.effect.df.checked_add(df)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::start_level::Effect;

    fn cell(design: Design, backend: &'static str, metric: &'static str, s_squared: f64) -> Cell<'static> {
        let df = 4;
        let sum_of_squares = s_squared * f64::from(df);
        let effect = Effect { difference: 0.0, sum_of_squares, df, c: 0.5, design, starts: 3 };
        let (minimum, least_estimate, margin) = (0.01, 0.02, 0.03);
        Cell { backend, metric, gating: true, effect, history: (0.0, 0), minimum, least_estimate, margin }
    }

    fn many(design: Design, backend: &'static str, metric: &'static str, count: u32) -> Vec<Cell<'static>> {
        (0..count).map(|i| cell(design, backend, metric, 1e-5 * f64::from(1 + i % 5))).collect()
    }

    #[test]
    fn a_small_pool_is_that_of_its_metric_and_then_everything() {
        let quiet = many(Design::Unblocked, "cpu", "tg", 8);
        let loud: Vec<_> = (0..8).map(|_| cell(Design::Unblocked, "cuda", "tg", 1e-3)).collect();
        let few = many(Design::Unblocked, "vulkan", "tg", 2);
        let single = cell(Design::Unblocked, "cpu", "pp", 1e-5);
        let all = [quiet.clone(), loud, few.clone(), vec![single.clone()]].concat();
        let pools = Pools::learn(&all);
        assert_eq!(pools.prior(&quiet[0]).unwrap().pool_df, 32.0);
        assert_eq!(pools.prior(&few[0]).unwrap().pool_df, 72.0);
        assert_eq!(pools.prior(&single).unwrap().pool_df, 76.0);
    }

    #[test]
    fn interleaved_starts_and_others_are_never_in_one_pool() {
        let mut cells = many(Design::Unblocked, "cpu", "tg", 20);
        cells.extend((0..20).map(|_| cell(Design::Blocked, "cpu", "tg", 1e-2)));
        let pools = Pools::learn(&cells);
        assert_eq!(pools.prior(&cells[0]), Pools::learn(&cells[..20]).prior(&cells[0]));
        assert!((pools.prior(&cells[20]).unwrap().s_squared / 1e-2 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn fresh_interleaved_starts_learn_from_others_at_twice_the_variance() {
        let screen = many(Design::Unblocked, "cpu", "tg", 20);
        let pools = Pools::learn(&screen);
        let fresh = cell(Design::Blocked, "cpu", "tg", 1e-5);
        let usual = pools.prior(&screen[0]).unwrap();
        assert_eq!(pools.prior(&fresh).unwrap(), Prior { s_squared: 2.0 * usual.s_squared, ..usual });
        // The other way round nothing is known: what a block shares may be large.
        let pools = Pools::learn(&many(Design::Blocked, "cpu", "tg", 20));
        assert_eq!(pools.prior(&screen[0]), None);
    }
}
