//! How much of a window the readings of a channel cover, and the energy that they bear out.
//!
//! The rule, all of it on the readings of the channel itself:
//!
//! - At least [`LEAST_COVERAGE_PPM`] of the window lies between two readings that are close to each other: what is not
//!   seen can then be wrong by all of itself and move the energy by 5 % at most.
//! - No gap is longer than three periods, or [`LEAST_GAP_NS`] where that is longer: two readings that fail in a row are
//!   bridged; a third means that the sensor or the sampler was held up, and what a device does then is not like what it
//!   does before and after. Sensors refresh every 20 to 100 ms, whatever the rate, hence the floor.
//! - At least [`LEAST_READINGS`] readings in the window, of a counter that many different ones: the ends of the window lie
//!   between two readings, half a period off on average, which is then 10 % at most and 5 % on average.
//!
//! Power is integrated by the trapezoid rule. Of a counter, differences are summed; where it wraps, its range is added
//! once. At the ends of the window both are cut in proportion to time.

use llamark_record::telemetry::{Energy, Unit};

/// Least share of the window that must be covered.
pub(crate) const LEAST_COVERAGE_PPM: u32 = 950_000;
/// A gap up to this is not a gap, however short the period.
pub(crate) const LEAST_GAP_NS: u64 = 250_000_000;
/// Least readings in the window.
pub(crate) const LEAST_READINGS: usize = 10;
/// More power than this, µW, is not measured but a counter that was set back.
const MOST_MICROWATTS: u128 = 4_000_000_000;

/// Whether a channel of that unit gives energy.
pub(crate) fn is_of_energy(unit: Unit) -> bool {
    matches!(unit, Unit::Microjoules | Unit::Microwatts)
}

/// Longest time between two readings that still counts as covered.
pub(crate) fn longest_gap(period_ns: u64) -> u64 {
    period_ns.saturating_mul(3).max(LEAST_GAP_NS)
}

/// How time stamps cover a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) ppm: u32,
    pub(crate) largest_gap_ns: u64,
    /// Time stamps in the window, its ends included.
    pub(crate) inside: usize,
}

/// How time stamps, in order, cover the window from `begin` to `end`.
pub(crate) fn coverage(at: impl Iterator<Item = u64>, (begin, end): (u64, u64), limit_ns: u64) -> Coverage {
    let mut covered = 0_u64;
    let mut largest = 0_u64;
    let mut inside = 0;
    let mut before: Option<u64> = None;
    let mut last = begin;
    for at in at {
        if (begin..=end).contains(&at) {
            inside += 1;
        }
        if at > begin && last < end {
            // Before the first reading there is nothing to measure the gap from but the window itself.
            let from = before.unwrap_or(begin);
            let gap = at - from;
            largest = largest.max(gap);
            if before.is_some() && gap <= limit_ns {
                covered += at.min(end) - from.max(begin);
            }
        }
        before = Some(at);
        last = at;
    }
    if last < end {
        largest = largest.max(end - last.max(before.unwrap_or(begin)).min(end));
    }
    let length = u128::from(end.saturating_sub(begin)).max(1);
    let ppm = u128::from(covered) * 1_000_000 / length;
    Coverage { ppm: u32::try_from(ppm).unwrap_or(1_000_000), largest_gap_ns: largest, inside }
}

/// The energy that a channel of power or of energy bears out for a window.
pub(crate) fn energy(
    unit: Unit,
    wraps_at: Option<u64>,
    series: &[(u64, i64)],
    window: (u64, u64),
    period_ns: u64,
) -> Energy {
    let not = |reason: String| Energy::NotAvailable { reason };
    let limit = longest_gap(period_ns);
    let seen = coverage(series.iter().map(|(at, _)| *at), window, limit);
    if seen.ppm < LEAST_COVERAGE_PPM {
        return not(format!(
            "readings cover {}.{:02} % of the window, but {} % are needed",
            seen.ppm / 10_000,
            seen.ppm % 10_000 / 100,
            LEAST_COVERAGE_PPM / 10_000
        ));
    }
    if seen.largest_gap_ns > limit {
        return not(format!(
            "there is no reading for {} ms, but only {} ms are allowed",
            seen.largest_gap_ns / 1_000_000,
            limit / 1_000_000
        ));
    }
    let readings = if unit == Unit::Microjoules { different(series, window) } else { seen.inside };
    if readings < LEAST_READINGS {
        return not(format!(
            "the window has {readings} readings, but {LEAST_READINGS} are needed: raise the rate or measure longer"
        ));
    }
    let mut picojoules = 0_u128;
    for pair in series.windows(2) {
        let [from, to] = *pair else { continue };
        match segment(unit, wraps_at, from, to, window) {
            Ok(part) => picojoules += part,
            Err(reason) => return not(reason.to_owned()),
        }
    }
    match u64::try_from(picojoules / 1_000_000) {
        Ok(microjoules) => {
            Energy::Measured { microjoules, coverage_ppm: seen.ppm, largest_gap_ns: seen.largest_gap_ns }
        }
        Err(_) => not("the sum is too large to be true".to_owned()),
    }
}

/// Readings in the window that differ from the one before: a counter that its device refreshes rarely says little, however
/// often it is asked.
fn different(series: &[(u64, i64)], (begin, end): (u64, u64)) -> usize {
    let changes = series.windows(2).filter(|pair| match pair {
        [(_, before), (at, now)] => before != now && (begin..=end).contains(at),
        _ => false,
    });
    changes.count()
}

/// Energy between two readings as far as it lies in the window, pJ.
fn segment(
    unit: Unit,
    wraps_at: Option<u64>,
    (from, first): (u64, i64),
    (to, second): (u64, i64),
    (begin, end): (u64, u64),
) -> Result<u128, &'static str> {
    let (low, high) = (from.max(begin), to.min(end));
    if low >= high {
        return Ok(0);
    }
    let whole = u128::from(to - from);
    let part = u128::from(high - low);
    let positive = |value: i64| u128::try_from(value).unwrap_or(0);
    if unit == Unit::Microjoules {
        let grown = growth(first, second, wraps_at).ok_or("the counter went backwards")?;
        // µJ in ns to µW: times 1e9.
        if grown * 1_000_000_000 / whole > MOST_MICROWATTS {
            return Err("the counter jumped: it was reset");
        }
        return Ok(grown * 1_000_000 * part / whole);
    }
    // Power at a moment between the two, in µW times `whole`.
    let power = |at: u64| positive(first) * u128::from(to - at) + positive(second) * u128::from(at - from);
    // µW times ns are 1e-15 J, a thousandth of a pJ.
    Ok((power(low) + power(high)) * part / (2 * whole * 1_000))
}

/// By how much a counter grew; absent when it went backwards without a place to wrap.
pub(crate) fn growth(first: i64, second: i64, wraps_at: Option<u64>) -> Option<u128> {
    if second >= first {
        return u128::try_from(i128::from(second) - i128::from(first)).ok();
    }
    let range = i128::from(wraps_at?);
    u128::try_from(range - i128::from(first) + i128::from(second)).ok()
}

#[cfg(test)]
mod tests;
