//! One sample described: centre, spread, quantiles, outliers.

use serde::{Deserialize, Serialize};

/// A sample in numbers. All fields are in the unit of the values, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// How many values.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Sample standard deviation (n − 1); `None` for one value.
    pub standard_deviation: Option<f64>,
    /// Standard deviation over mean, without unit; `None` for one value or a mean that is not positive.
    pub coefficient_of_variation: Option<f64>,
    /// Median absolute deviation from the median, not scaled.
    pub median_absolute_deviation: f64,
    /// Geometric mean; `None` unless every value is positive.
    pub geometric_mean: Option<f64>,
}

/// Describes a sample. `None` when it is empty or holds a value that is not finite.
pub fn describe(values: &[f64]) -> Option<Description> {
    let sorted = sorted(values)?;
    Some(Description {
        n: values.len(),
        mean: mean(values)?,
        median: median_of_sorted(&sorted)?,
        min: *sorted.first()?,
        max: *sorted.last()?,
        standard_deviation: standard_deviation(values),
        coefficient_of_variation: coefficient_of_variation(values),
        median_absolute_deviation: median_absolute_deviation(values)?,
        geometric_mean: geometric_mean(values),
    })
}

/// Σx/n. `None` when empty or not finite.
pub fn mean(values: &[f64]) -> Option<f64> {
    all_finite(values)?;
    finite(values.iter().sum::<f64>() / values.len() as f64)
}

/// The middle value, or the mean of the two middle values. `None` when empty or not finite.
pub fn median(values: &[f64]) -> Option<f64> {
    median_of_sorted(&sorted(values)?)
}

/// Σ(x − mean)²: the sum of squares that every variance here is made of. Zero when all values are equal, also
/// when their mean cannot be written exactly. `None` when empty or not finite.
pub fn sum_of_squares(values: &[f64]) -> Option<f64> {
    let centre = mean(values)?;
    if values.iter().all(|value| *value == values[0]) {
        return Some(0.0);
    }
    // The second term takes back what rounding of the mean put in (Chan, Golub & LeVeque 1983).
    let (squares, sum) = values.iter().fold((0.0, 0.0), |(squares, sum), value| {
        let difference = value - centre;
        (squares + difference * difference, sum + difference)
    });
    finite((squares - sum * sum / values.len() as f64).max(0.0))
}

/// Sample variance, Σ(x − mean)²/(n − 1). `None` for fewer than two values or values that are not finite.
pub fn variance(values: &[f64]) -> Option<f64> {
    (values.len() >= 2).then_some(())?;
    Some(sum_of_squares(values)? / (values.len() - 1) as f64)
}

/// Sample standard deviation, the root of [`variance`].
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    variance(values).map(f64::sqrt)
}

/// Standard deviation over mean, without unit. `None` for fewer than two values or a mean that is not positive.
pub fn coefficient_of_variation(values: &[f64]) -> Option<f64> {
    let centre = mean(values)?;
    if centre <= 0.0 {
        return None;
    }
    finite(standard_deviation(values)? / centre)
}

/// median |x − median|, not scaled (times 1.4826 it estimates a normal standard deviation).
/// `None` when empty or not finite.
pub fn median_absolute_deviation(values: &[f64]) -> Option<f64> {
    let centre = median(values)?;
    let deviations: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    median(&deviations)
}

/// exp(mean(ln x)). `None` when empty, or when a value is not finite and positive.
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    mean(&logarithms(values)?).and_then(|value| finite(value.exp()))
}

/// The quantile of Hyndman & Fan's type 7, the default of numpy, R and Excel: linear between the order statistics
/// around h = (n − 1)·`probability`. `None` when empty, not finite, or `probability` is outside 0..=1.
pub fn quantile(values: &[f64], probability: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&probability) {
        return None;
    }
    let sorted = sorted(values)?;
    let position = (sorted.len() - 1) as f64 * probability;
    let below = position.floor() as usize;
    let low = *sorted.get(below)?;
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    finite(low + (high - low) * (position - position.floor()))
}

/// Values farther than this many median absolute deviations from the median are flagged: 10 robust standard
/// deviations (hyperfine: modified z-score > 10 · 1.4826).
pub const OUTLIER_DEVIATIONS: f64 = 14.8;

/// Indices of the values with |x − median| > 14.8 MAD. A flag only: nothing is ever dropped for it.
///
/// Empty when the MAD is zero, because then the sample gives no scale to judge by, and when the values are not
/// finite.
pub fn outliers(values: &[f64]) -> Vec<usize> {
    let (Some(centre), Some(deviation)) = (median(values), median_absolute_deviation(values)) else {
        return Vec::new();
    };
    if deviation == 0.0 {
        return Vec::new();
    }
    let limit = OUTLIER_DEVIATIONS * deviation;
    (0..values.len()).filter(|index| (values[*index] - centre).abs() > limit).collect()
}

/// ln x of every value. `None` when empty, or when a value is not finite and positive.
pub fn logarithms(values: &[f64]) -> Option<Vec<f64>> {
    if values.is_empty() {
        return None;
    }
    values.iter().map(|value| (value.is_finite() && *value > 0.0).then(|| value.ln())).collect()
}

/// The values in rising order. `None` when empty or not finite.
pub(crate) fn sorted(values: &[f64]) -> Option<Vec<f64>> {
    all_finite(values)?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(sorted)
}

pub(crate) fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(middle.checked_sub(1)?)?;
    // Halves first: two large values must not overflow.
    Some(0.5 * lower + 0.5 * upper)
}

pub(crate) fn all_finite(values: &[f64]) -> Option<()> {
    (!values.is_empty() && values.iter().all(|value| value.is_finite())).then_some(())
}

pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_type_seven() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&values, 0.25), Some(1.75));
        assert_eq!(quantile(&values, 0.5), median(&values));
        assert_eq!(quantile(&values, 1.0), Some(4.0));
        assert_eq!(quantile(&values, 1.1), None);
        assert_eq!(quantile(&values, f64::NAN), None);
    }

    #[test]
    fn one_value_has_no_spread() {
        let one = describe(&[3.0]).unwrap();
        assert_eq!((one.mean, one.median, one.standard_deviation), (3.0, 3.0, None));
        assert_eq!(one.coefficient_of_variation, None);
    }

    #[test]
    fn equal_values_have_no_variance_even_when_their_mean_is_rounded() {
        assert_eq!(variance(&[0.1; 7]), Some(0.0));
        assert_eq!(variance(&[1.0 / 3.0; 11]), Some(0.0));
    }

    #[test]
    fn outliers_are_flagged_on_both_sides() {
        assert_eq!(outliers(&[10.0, 10.1, 9.9, 10.05, 40.0, -20.0]), vec![4, 5]);
        assert_eq!(outliers(&[1.0, 1.0, 1.0, 9.0]), Vec::<usize>::new());
    }

    #[test]
    fn what_is_not_finite_or_absent_is_none() {
        for values in [&[][..], &[f64::NAN], &[1.0, f64::INFINITY], &[f64::MAX, f64::MAX]] {
            assert_eq!(mean(values), None);
            assert_eq!(describe(values), None);
        }
        assert_eq!(geometric_mean(&[1.0, 0.0]), None);
        assert_eq!(geometric_mean(&[1.0, -1.0]), None);
    }
}
