//! How numbers are written: the one place that formats them, for pages, terminal and comparisons alike.
//!
//! A number is written with the digits that its uncertainty leaves: two significant digits of the uncertainty,
//! and the value to the same decimal. Whole numbers are never rounded to tens, and an uncertainty is never
//! written as zero.

use llamark_record::metric::Metric;

/// What stands in a table where there is no number.
pub const NOTHING: &str = "—";

/// Digits after the point that show `digits` significant digits of `value`; 0 for large values.
fn decimals(value: f64, digits: u32) -> usize {
    let magnitude = value.abs();
    if magnitude <= 0.0 || !magnitude.is_finite() {
        return 0;
    }
    let digits = usize::try_from(digits).unwrap_or(1);
    // Rounding may carry into a new digit (9.96 -> 10.0): what is printed in scientific form has carried.
    let text = format!("{magnitude:.*e}", digits.saturating_sub(1));
    let exponent: i32 = text.rsplit('e').next().and_then(|part| part.parse().ok()).unwrap_or(0);
    let wanted = i32::try_from(digits).unwrap_or(1) - 1 - exponent;
    usize::try_from(wanted.clamp(0, 6)).unwrap_or(0)
}

/// `value` with about `digits` significant digits, never in scientific form, whole digits never rounded away:
/// `79.93`, `1417`, `0.003`.
pub fn significant(value: f64, digits: u32) -> String {
    fixed(value, decimals(value, digits))
}

/// `value` with exactly `decimals` digits after the point; no `-0`.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if is_zero(rest) => rest.to_owned(),
        _ => text,
    }
}

fn is_zero(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'0' || byte == b'.')
}

/// A value, and its uncertainty if there is one: `696 ±105`, `79.93 ±0.91`. An uncertainty of exactly zero says
/// nothing (equal values, or a clock too coarse), so it is left out.
pub fn with_uncertainty(value: f64, uncertainty: Option<f64>) -> String {
    match uncertainty.filter(|width| width.is_finite() && *width > 0.0) {
        Some(width) => {
            let decimals = decimals(width, 2);
            let shown = fixed(width, decimals);
            let shown = if is_zero(&shown) { "<0.000001" } else { &shown };
            format!("{} ±{shown}", fixed(value, decimals))
        }
        None => significant(value, 4),
    }
}

/// A value with the half-width of its interval, where the rounding of a document may hide `rounding`.
pub fn with_interval(value: f64, half_width: f64, rounding: f64) -> String {
    if half_width < rounding {
        return with_bound(value, half_width + rounding);
    }
    with_uncertainty(value, Some(half_width))
}

/// A value whose interval is not wider than the rounding of the numbers that it is made of: `3.37 ±<0.02`. The
/// bound is rounded up.
pub fn with_bound(value: f64, bound: f64) -> String {
    let places = decimals(bound, 1);
    let unit = 10f64.powi(-i32::try_from(places).unwrap_or(0));
    let up = (bound / unit - 1e-9).ceil() * unit;
    format!("{} ±<{}", fixed(value, places), fixed(up, places))
}

/// An interval, both ends to the digits that its width leaves: `77.7 to 82.2`.
pub fn interval(low: f64, high: f64) -> String {
    let width = (high - low) / 2.0;
    let decimals = if width > 0.0 { decimals(width, 2) } else { decimals(low, 4) };
    format!("{} to {}", fixed(low, decimals), fixed(high, decimals))
}

/// A duration in milliseconds as people write it: `3.52 ms`, `350 ms`, `1.24 s`, `10s`, `1m30s`, `1h02m`.
pub fn duration_ms(milliseconds: f64) -> String {
    if !milliseconds.is_finite() || milliseconds < 0.0 {
        return NOTHING.to_owned();
    }
    if milliseconds < 999.5 {
        return format!("{} ms", significant(milliseconds, 3));
    }
    if milliseconds < 9_995.0 {
        return format!("{} s", fixed(milliseconds / 1e3, 2));
    }
    let seconds = whole(milliseconds / 1e3);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => {
            let minutes = whole(milliseconds / 60e3);
            format!("{}h{:02}m", minutes / 60, minutes % 60)
        }
    }
}

/// The nearest whole number, 0 for what is negative or not a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and negative is 0"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// A count as a float. Exact below 2^53, which no count of bytes, tokens or microseconds here comes near.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// Bytes in powers of 1024: `512 B`, `87.4 MiB`, `18.6 GiB`.
pub fn bytes(bytes: u64) -> String {
    scaled(float(bytes), 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// Bytes in powers of 1000, as bandwidths are given: `256 GB`.
pub fn decimal_bytes(bytes: u64) -> String {
    scaled(float(bytes), 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut chosen = units.first().copied().unwrap_or("");
    for unit in units.iter().skip(1) {
        if value < step - 0.5 {
            break;
        }
        value /= step;
        chosen = unit;
    }
    format!("{} {chosen}", trimmed(value, 3))
}

/// A count of parameters: `135M`, `3.8B`, `30.5B`, `235B`.
pub fn parameters(count: u64) -> String {
    let count = float(count);
    let (divisor, unit) = match count {
        c if c >= 999.5e9 => (1e12, "T"),
        c if c >= 999.5e6 => (1e9, "B"),
        c if c >= 999.5e3 => (1e6, "M"),
        c if c >= 1e3 => (1e3, "K"),
        _ => (1.0, ""),
    };
    format!("{}{unit}", trimmed(count / divisor, 3))
}

/// Like [`significant`], without zeros at the end of the decimals.
fn trimmed(value: f64, digits: u32) -> String {
    let text = significant(value, digits);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share of one as a percentage: `63 %`, `9.4 %`, `3 %`, `0.25 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", trimmed(share * 100.0, 2))
}

/// A change as a signed percentage: `-3.2 %`, `+12.0 %`.
pub fn change(share: f64) -> String {
    format!("{} %", signed(share * 100.0, 1))
}

/// An interval of changes, to the digits that its width leaves: `-16.7 to -16.5 %`.
pub fn change_interval(low: f64, high: f64) -> String {
    let (low, high) = (low * 100.0, high * 100.0);
    let decimals = if high - low < 0.2 { 2 } else { 1 };
    format!("{} to {} %", signed(low, decimals), signed(high, decimals))
}

fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    let sign = if value > 0.0 && !is_zero(&text) { "+" } else { "" };
    format!("{sign}{text}")
}

/// A value of a metric, with its unit where that is not tokens per second.
pub fn of_metric(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Pp | Metric::Tg | Metric::TgStream => significant(value, 4),
        Metric::Itl | Metric::ItlP95 | Metric::ItlP99 => format!("{} ms", significant(value, 3)),
        Metric::Ttft | Metric::TtftP95 | Metric::TtftP99 | Metric::Load => duration_ms(value),
        Metric::Rss | Metric::Vram | Metric::Gtt => bytes(format!("{value:.0}").parse().unwrap_or(0)),
        Metric::EnergyPrefill | Metric::EnergyDecode => format!("{} J", significant(value, 3)),
    }
}

/// So many things: `1 case`, `2 cases`. Of nouns that take an `s`.
pub fn counted<N: Copy + std::fmt::Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    let is_one = number == N::from(1);
    format!("{number} {noun}{}", if is_one { "" } else { "s" })
}

/// A count with separators: `1 000 000`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_uncertainty() {
        let cases = [
            (696.02, Some(105.3), "696 ±105"),
            (79.93, Some(0.913), "79.93 ±0.91"),
            (26.6, Some(0.04), "26.600 ±0.040"),
            (1416.7, Some(275.2), "1417 ±275"),
            (99.96, Some(0.996), "100.0 ±1.0"),
            (2.9, Some(0.0), "2.900"),
            (2.9, None, "2.900"),
            (1234.6, None, "1235"),
            (1e9, Some(1e-12), "1000000000.000000 ±<0.000001"),
            (5.0, Some(f64::NAN), "5.000"),
            (0.0, None, "0"),
        ];
        for (value, uncertainty, expected) in cases {
            assert_eq!(with_uncertainty(value, uncertainty), expected, "{value} {uncertainty:?}");
        }
    }

    #[test]
    fn what_rounding_hides_is_a_bound() {
        assert_eq!(with_bound(3.37, 0.0152), "3.37 ±<0.02");
        assert_eq!(with_bound(14.51, 0.02), "14.51 ±<0.02");
        assert_eq!(with_bound(36.8, 0.961), "37 ±<1");
    }

    #[test]
    fn no_uncertainty_is_written_as_zero() {
        for exponent in -12..6 {
            for mantissa in [1.0, 4.999, 5.0, 9.949, 9.96, 9.999] {
                let width = mantissa * 10f64.powi(exponent);
                let text = with_uncertainty(123.456, Some(width));
                let shown = text.split('±').nth(1).unwrap();
                let nonzero = shown.starts_with('<') || shown.parse::<f64>().unwrap() > 0.0;
                assert!(nonzero, "{width} was written {text}");
            }
        }
    }

    #[test]
    fn durations() {
        let cases = [
            (0.0, "0 ms"),
            (3.521, "3.52 ms"),
            (350.4, "350 ms"),
            (999.4, "999 ms"),
            (999.6, "1.00 s"),
            (1240.0, "1.24 s"),
            (9_994.0, "9.99 s"),
            (9_996.0, "10s"),
            (59_400.0, "59s"),
            (59_600.0, "1m00s"),
            (90_000.0, "1m30s"),
            (3_599_700.0, "1h00m"),
            (3_720_000.0, "1h02m"),
            (f64::NAN, "—"),
            (-1.0, "—"),
        ];
        for (milliseconds, expected) in cases {
            assert_eq!(duration_ms(milliseconds), expected, "{milliseconds}");
        }
    }

    #[test]
    fn sizes_and_parameters() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(91_728_960), "87.5 MiB");
        assert_eq!(bytes(20 << 30), "20 GiB");
        assert_eq!(bytes(u64::MAX), "16 EiB");
        assert_eq!(decimal_bytes(256_000_000_000), "256 GB");
        assert_eq!(parameters(134_515_008), "135M");
        assert_eq!(parameters(30_532_122_624), "30.5B");
        assert_eq!(parameters(8_000_000_000), "8B");
        assert_eq!(parameters(235_093_634_560), "235B");
        assert_eq!(parameters(999_700_000), "1B");
        assert_eq!(parameters(12), "12");
    }

    #[test]
    fn shares_and_changes() {
        assert_eq!(percent(0.634), "63 %");
        assert_eq!(percent(0.0943), "9.4 %");
        assert_eq!(percent(2.34), "234 %");
        assert_eq!(percent(0.03), "3 %");
        assert_eq!(change_interval(-0.1671, -0.1634), "-16.7 to -16.3 %");
        assert_eq!(change_interval(-0.0001, 0.0004), "-0.01 to +0.04 %");
        assert_eq!(change(-0.0321), "-3.2 %");
        assert_eq!(change(0.1234), "+12.3 %");
        assert_eq!(change(-0.000_001), "0.0 %");
        assert_eq!(change(0.0), "0.0 %");
        assert_eq!(interval(77.654, 82.21), "77.7 to 82.2");
        assert_eq!(count(1_000_000), "1\u{202f}000\u{202f}000");
        assert_eq!(count(123), "123");
    }
}
