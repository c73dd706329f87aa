//! Special functions: digamma, trigamma and its inverse, the normal tail, Student's t tail and quantile.
//!
//! `statrs` gives ln Γ and erfc. Its t distribution is not used: it forms `1 - x` after rounding, which costs
//! the digits of a small tail, and cuts its continued fraction at 140 steps, too few for the pooled degrees of
//! freedom of a large comparison.

use statrs::function::{erf::erfc, gamma::ln_gamma};

/// From here on, asymptotic series are exact to double precision.
const ASYMPTOTIC_FROM: f64 = 16.0;

/// The digamma function ψ(x), the derivative of ln Γ. `None` unless x is finite and positive.
///
/// Recurrence ψ(x) = ψ(x + 1) − 1/x up to 16, then the asymptotic series (Abramowitz & Stegun 6.3.5, 6.3.18).
pub fn digamma(x: f64) -> Option<f64> {
    positive(x)?;
    let (mut x, mut below) = (x, 0.0);
    while x < ASYMPTOTIC_FROM {
        below += 1.0 / x;
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = r
        * (1.0 / 12.0
            - r * (1.0 / 120.0
                - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r * (1.0 / 132.0 - r * 691.0 / 32760.0)))));
    Some(x.ln() - 0.5 / x - series - below)
}

/// The trigamma function ψ′(x). `None` unless x is finite and positive.
///
/// Recurrence ψ′(x) = ψ′(x + 1) + 1/x² up to 16, then the asymptotic series (Abramowitz & Stegun 6.4.6, 6.4.12).
pub fn trigamma(x: f64) -> Option<f64> {
    positive(x)?;
    let (mut x, mut below) = (x, 0.0);
    while x < ASYMPTOTIC_FROM {
        below += 1.0 / (x * x);
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = r
        * (1.0 / 6.0
            - r * (1.0 / 30.0
                - r * (1.0 / 42.0
                    - r * (1.0 / 30.0 - r * (5.0 / 66.0 - r * (691.0 / 2730.0 - r * 7.0 / 6.0))))));
    let value = (1.0 + 0.5 / x + series) / x + below;
    value.is_finite().then_some(value)
}

/// ψ″(x), the derivative of trigamma, for x > 0.
fn tetragamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 0.0);
    while x < ASYMPTOTIC_FROM {
        below -= 2.0 / (x * x * x);
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = r * (0.5 - r * (1.0 / 6.0 - r * (1.0 / 6.0 - r * (0.3 - r * 5.0 / 6.0))));
    -r * (1.0 + 1.0 / x + series) + below
}

/// The x with ψ′(x) = `y`. `None` unless y is finite and positive.
///
/// Newton on 1/ψ′, which is nearly linear: start at ½ + 1/y, then x += ψ′(x)(1 − ψ′(x)/y)/ψ″(x) until the
/// relative step is under 1e-12 (limma `trigammaInverse`, Smyth 2004 appendix, which stops at 1e-8). Beyond
/// y > 1e7 and y < 1e-7 the limits 1/√y and 1/y are exact enough and the iteration would only lose digits.
pub fn trigamma_inverse(y: f64) -> Option<f64> {
    positive(y)?;
    if y > 1e7 {
        return Some(1.0 / y.sqrt());
    }
    if y < 1e-7 {
        let x = 1.0 / y;
        return x.is_finite().then_some(x);
    }
    let mut x = 0.5 + 1.0 / y;
    for _ in 0..100 {
        let value = trigamma(x)?;
        let step = value * (1.0 - value / y) / tetragamma(x);
        x += step;
        if -step / x < 1e-12 {
            break;
        }
    }
    Some(x)
}

/// P(Z > z) for a standard normal Z. `None` for NaN.
pub fn normal_upper_tail(z: f64) -> Option<f64> {
    (!z.is_nan()).then(|| 0.5 * erfc(z / std::f64::consts::SQRT_2))
}

/// P(T > t) for Student's t with `df` degrees of freedom; an infinite `df` is the normal distribution.
/// `None` for NaN or a `df` under 1e-6.
///
/// ½ I(df/(df + t²); df/2, ½) for t > 0, the regularised incomplete beta function by its continued fraction
/// (Numerical Recipes 6.4), taken on the side where it converges fast; relative error about 1e-13, also in the
/// far tail.
pub fn t_upper_tail(t: f64, df: f64) -> Option<f64> {
    if t.is_nan() || !usable(df) {
        return None;
    }
    // Above 1e10 the t and the normal tail differ by less than t⁴/(4 df), which is below rounding.
    if df > 1e10 {
        return normal_upper_tail(t);
    }
    let tail = positive_t_tail(t.abs(), df);
    Some(if t >= 0.0 { tail } else { 1.0 - tail })
}

/// Two-sided p of a t statistic: 2 P(T > |t|), at most 1. `None` as in [`t_upper_tail`].
pub fn t_two_sided(t: f64, df: f64) -> Option<f64> {
    Some((2.0 * t_upper_tail(t.abs(), df)?).min(1.0))
}

/// The t with P(T <= t) = `probability`. `None` unless 0 < probability < 1 and `df` >= 1e-6.
pub fn t_quantile(probability: f64, df: f64) -> Option<f64> {
    if !(probability > 0.0 && probability < 1.0) {
        return None;
    }
    if probability < 0.5 {
        return Some(-t_upper_quantile(probability, df)?);
    }
    // For a probability near 1 this subtraction is exact (Sterbenz), so no digit is lost.
    t_upper_quantile(1.0 - probability, df)
}

/// The t with P(T > t) = `tail`: as [`t_quantile`], but keeps the digits of a small tail.
/// `None` unless 0 < tail < 1 and `df` >= 1e-6.
pub fn t_upper_quantile(tail: f64, df: f64) -> Option<f64> {
    if !(tail > 0.0 && tail < 1.0 && usable(df)) {
        return None;
    }
    if tail > 0.5 {
        return Some(-t_upper_quantile(1.0 - tail, df)?);
    }
    if tail == 0.5 {
        return Some(0.0);
    }
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    while t_upper_tail(high, df)? > tail {
        low = high;
        high *= 2.0;
        if !high.is_finite() {
            return None;
        }
    }
    // Newton on ln tail as a function of ln t, which is near a line at both ends, kept inside the bracket.
    let mut t = 0.5 * (low + high);
    for _ in 0..200 {
        let at = t_upper_tail(t, df)?;
        if at > tail {
            low = t;
        } else {
            high = t;
        }
        let slope = -t * t_density(t, df) / at;
        let next = t * ((tail / at).ln() / slope).exp();
        let next = if next > low && next < high { next } else { 0.5 * (low + high) };
        if (next - t).abs() <= 4.0 * f64::EPSILON * t {
            return Some(next);
        }
        t = next;
    }
    Some(t)
}

/// No estimate has fewer degrees of freedom; beneath, ln Γ overflows.
fn usable(df: f64) -> bool {
    df >= 1e-6
}

/// Density of Student's t.
fn t_density(t: f64, df: f64) -> f64 {
    if df > 1e10 {
        return (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
    }
    let log_power = -0.5 * (df + 1.0) * (t * t / df).ln_1p();
    (ln_gamma_half_ratio(0.5 * df) + log_power).exp() / (std::f64::consts::PI * df).sqrt()
}

/// P(T > t) for t >= 0 and finite df.
fn positive_t_tail(t: f64, df: f64) -> f64 {
    let square = t * t / df;
    if !square.is_finite() {
        return 0.0;
    }
    let (a, b) = (0.5 * df, 0.5);
    // x = df/(df+t²) and its complement, each formed without a subtraction.
    let (x, complement) = (1.0 / (1.0 + square), square / (1.0 + square));
    // ln of x^a (1-x)^b / B(a, b), with B(a, ½) = Γ(a)√π/Γ(a + ½).
    let log_front =
        -a * square.ln_1p() + b * complement.ln() + ln_gamma_half_ratio(a) - 0.5 * std::f64::consts::PI.ln();
    let front = log_front.exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        0.5 * front * beta_fraction(a, b, x) / a
    } else {
        0.5 * (1.0 - front * beta_fraction(b, a, complement) / b)
    }
}

/// ln(Γ(a + ½)/Γ(a)), without the cancellation of two large ln Γ.
fn ln_gamma_half_ratio(a: f64) -> f64 {
    if a < 20.0 {
        return ln_gamma(a + 0.5) - ln_gamma(a);
    }
    let r = 1.0 / (a * a);
    let series =
        1.0 / 8.0 - r * (1.0 / 192.0 - r * (1.0 / 640.0 - r * (17.0 / 14336.0 - r * 31.0 / 18432.0)));
    0.5 * a.ln() - series / a
}

/// The continued fraction of the incomplete beta function by Lentz's method.
///
/// It needs some √max(a, b) steps, so the limit is never reached for the df allowed here.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..1_000_000_u32 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let change = d * c;
        fraction *= change;
        if (change - 1.0).abs() < 2.0 * f64::EPSILON {
            break;
        }
    }
    fraction
}

fn positive(x: f64) -> Option<f64> {
    (x.is_finite() && x > 0.0).then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(actual: f64, expected: f64, relative: f64) {
        assert!((actual - expected).abs() <= relative * expected.abs(), "{actual:e} is not {expected:e}");
    }

    #[test]
    fn the_tail_of_t_with_one_and_two_degrees_is_closed_form() {
        for t in [1e-9, 0.1, 1.0, 3.0, 50.0, 1e6] {
            close(t_upper_tail(t, 1.0).unwrap(), (1.0 / t).atan() / std::f64::consts::PI, 1e-12);
            let r = (2.0 + t * t).sqrt();
            close(t_upper_tail(t, 2.0).unwrap(), 1.0 / (r * (r + t)), 1e-12);
        }
    }

    #[test]
    fn the_tail_of_t_joins_the_normal_tail() {
        // At df = 1e9 the two differ by about z (z² + 1)/(4 df) × φ(z)/Q(z): 2e-8 relative at z = 4.
        for z in [0.5, 2.0, 4.0] {
            close(t_upper_tail(z, 1e9).unwrap(), normal_upper_tail(z).unwrap(), 1e-7);
            assert_eq!(t_upper_tail(z, f64::INFINITY), normal_upper_tail(z));
        }
    }

    #[test]
    fn quantiles_invert_tails_far_out() {
        for df in [0.7, 2.0, 4.2, 30.0, 2400.0, 1e6, f64::INFINITY] {
            for tail in [1e-30, 1e-12, 1e-6, 0.02, 0.3, 0.4999, 0.9] {
                let t = t_upper_quantile(tail, df).unwrap();
                close(t_upper_tail(t, df).unwrap(), tail, 1e-11);
            }
        }
    }

    #[test]
    fn trigamma_inverse_inverts() {
        for y in [1e-9, 1e-6, 1e-3, 0.3, 5.0, 1e3, 1e6] {
            close(trigamma(trigamma_inverse(y).unwrap()).unwrap(), y, 1e-8);
        }
    }

    #[test]
    fn digamma_differences_are_reciprocals() {
        for x in [0.01, 0.5, 3.3, 15.9, 400.0] {
            close(digamma(x + 1.0).unwrap() - digamma(x).unwrap(), 1.0 / x, 1e-11);
            close(trigamma(x).unwrap() - trigamma(x + 1.0).unwrap(), 1.0 / (x * x), 1e-9);
        }
    }

    #[test]
    fn what_is_undefined_is_none() {
        for x in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            assert_eq!((digamma(x), trigamma(x), trigamma_inverse(x)), (None, None, None));
        }
        assert_eq!(t_upper_tail(f64::NAN, 3.0), None);
        assert_eq!(t_upper_tail(1.0, 0.0), None);
        assert_eq!(t_upper_tail(f64::INFINITY, 3.0), Some(0.0));
        assert_eq!(t_quantile(1.0, 3.0), None);
        assert_eq!(t_quantile(0.5, 3.0), Some(0.0));
    }
}
