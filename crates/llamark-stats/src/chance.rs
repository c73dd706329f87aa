//! How likely is it that so many of several independent events happen by chance?

/// Probability that at least `hits` of independent events with these probabilities happen (Poisson binomial, exact).
pub fn at_least(hits: usize, chances: &[f64]) -> f64 {
    let mut exactly = vec![1.0];
    for chance in chances {
        let mut next = vec![0.0; exactly.len() + 1];
        for (count, probability) in exactly.iter().enumerate() {
            if let [miss, hit] = next.get_mut(count..count + 2).unwrap_or_default() {
                *miss += probability * (1.0 - chance);
                *hit += probability * chance;
            }
        }
        exactly = next;
    }
    exactly.iter().skip(hits).sum::<f64>().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_equal_chances_is_binomial() {
        assert!((at_least(6, &[1.0 / 6.0; 9]) - 0.001_136).abs() < 1e-5);
        assert!((at_least(0, &[0.3; 4]) - 1.0).abs() < 1e-12);
        assert!((at_least(2, &[0.5, 0.5]) - 0.25).abs() < 1e-12);
        assert_eq!(at_least(1, &[]), 0.0);
    }
}
