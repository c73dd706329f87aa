//! A matrix: from lists of values of settings to every variant of a backend.
//!
//! The same code serves the rules, which know where a value stands, and the plan, which knows what it means: a setting is
//! whatever can be told apart from another.

/// Lists of values, the combinations that are left out, and those that are added.
#[derive(Clone, Debug)]
pub(crate) struct Axes<T> {
    /// The values of each setting that varies, in a fixed order of the settings.
    pub(crate) axes: Vec<Vec<T>>,
    /// A combination that has all the values of one of these is left out.
    pub(crate) exclude: Vec<Vec<T>>,
    /// Combinations in addition to those of the lists; what they do not name is as in the backend.
    pub(crate) include: Vec<Vec<T>>,
}

impl<T: Clone + PartialEq> Axes<T> {
    /// Every variant: the combinations, the last setting changing fastest, then those that are added. None twice.
    pub(crate) fn variants(&self) -> Vec<Vec<T>> {
        let mut variants = self.combinations();
        variants.retain(|variant| !self.exclude.iter().any(|excluded| has_all(variant, excluded)));
        for included in &self.include {
            if !variants.contains(included) {
                variants.push(included.clone());
            }
        }
        variants
    }

    /// Every combination of the lists, whether left out or not.
    pub(crate) fn combinations(&self) -> Vec<Vec<T>> {
        if self.axes.is_empty() {
            return Vec::new();
        }
        let mut combinations = vec![Vec::new()];
        for values in &self.axes {
            let longer = combinations.iter().flat_map(|combination| {
                values.iter().map(move |value| {
                    let mut longer: Vec<T> = combination.clone();
                    longer.push(value.clone());
                    longer
                })
            });
            combinations = longer.collect();
        }
        combinations
    }

    /// How many combinations the lists have.
    pub(crate) fn size(&self) -> usize {
        match self.axes.as_slice() {
            [] => 0,
            axes => axes.iter().map(Vec::len).fold(1, usize::saturating_mul),
        }
    }
}

/// Whether a combination has all of these values. One that names nothing matches nothing.
pub(crate) fn has_all<T: PartialEq>(combination: &[T], values: &[T]) -> bool {
    !values.is_empty() && values.iter().all(|value| combination.contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(variants: &[Vec<(&str, u32)>]) -> String {
        let one = |variant: &Vec<(&str, u32)>| {
            variant.iter().map(|(name, value)| format!("{name}{value}")).collect::<Vec<_>>().join("+")
        };
        variants.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn matrix() -> Axes<(&'static str, u32)> {
        Axes {
            axes: vec![vec![("t", 1), ("t", 2)], vec![("u", 128), ("u", 512)]],
            exclude: Vec::new(),
            include: Vec::new(),
        }
    }

    #[test]
    fn every_combination_once() {
        assert_eq!(texts(&matrix().variants()), "t1+u128 t1+u512 t2+u128 t2+u512");
        assert_eq!(matrix().size(), 4);
        let nothing = Axes::<(&str, u32)> { axes: Vec::new(), exclude: Vec::new(), include: Vec::new() };
        assert!(nothing.variants().is_empty());
    }

    #[test]
    fn some_are_left_out_and_some_are_added() {
        let mut axes = matrix();
        axes.exclude = vec![vec![("u", 512), ("t", 1)], vec![]];
        assert_eq!(texts(&axes.variants()), "t1+u128 t2+u128 t2+u512", "in whichever order they are written");
        axes.exclude = vec![vec![("t", 2)]];
        axes.include = vec![vec![("t", 4), ("u", 1024)], vec![("t", 1), ("u", 128)]];
        assert_eq!(texts(&axes.variants()), "t1+u128 t1+u512 t4+u1024", "what is there is not added again");
    }
}
