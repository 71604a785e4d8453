//! Taking a part of the training data away for validation or testing, by seed.

use super::Examples;
use super::error::Problem;
use super::random::Random;

/// How much of the training data is taken away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PartSize {
    /// This share, above 0 and below 1; rounded to the nearest count.
    Fraction(f64),
    /// This many examples.
    Count(usize),
}

impl PartSize {
    /// The number of examples out of `count`. An error unless both sides get at least one.
    fn examples(self, count: usize) -> Result<usize, Problem> {
        let (held, wanted) = match self {
            PartSize::Fraction(share) => ((share * count as f64).round() as usize, format!("the fraction {share}")),
            PartSize::Count(held) => (held, held.to_string()),
        };
        if held == 0 || held >= count {
            return Err(Problem::Split { wanted, count });
        }
        Ok(held)
    }
}

impl Examples {
    /// Takes examples picked at random away, and gives them back. Both parts keep the file's order. The same seed and
    /// purpose pick the same examples on every machine; another purpose picks independently.
    pub fn hold_out(&mut self, amount: PartSize, seed: u64, purpose: &str) -> Result<Examples, Problem> {
        let count = self.count();
        let held = amount.examples(count)?;
        let mut order: Vec<usize> = (0..count).collect();
        Random::new(seed, purpose, 0).shuffle(&mut order);
        let mut is_taken = vec![false; count];
        order[..held].iter().for_each(|index| is_taken[*index] = true);
        drop(order);
        Ok(self.divide(&is_taken))
    }

    /// The same, but each class gives the same share of its examples, to the nearest. Targets that name no classes are one
    /// class.
    pub fn hold_out_by_class(&mut self, amount: PartSize, seed: u64, purpose: &str) -> Result<Examples, Problem> {
        let count = self.count();
        let held = amount.examples(count)?;
        let mut order: Vec<usize> = (0..count).collect();
        Random::new(seed, purpose, 0).shuffle(&mut order);
        let labels = self.targets.classes().unwrap_or_else(|| vec![0; count]);
        let mut sizes = vec![0usize; labels.iter().max().map_or(0, |most| *most as usize + 1)];
        labels.iter().for_each(|label| sizes[*label as usize] += 1);
        let mut left = shares(&sizes, held);
        let mut is_taken = vec![false; count];
        for index in order {
            let left = &mut left[labels[index] as usize];
            is_taken[index] = *left > 0;
            *left -= usize::from(*left > 0);
        }
        drop(labels);
        Ok(self.divide(&is_taken))
    }

    /// Gives the examples that are taken, and keeps the others.
    fn divide(&mut self, is_taken: &[bool]) -> Examples {
        let of = |wanted: bool| (0..is_taken.len()).filter(|index| is_taken[*index] == wanted).collect::<Vec<usize>>();
        let part = self.select(&of(true));
        *self = self.select(&of(false));
        part
    }
}

/// How many each class gives of its examples, `held` in all: its share rounded down, and one more of those with the largest
/// rests, the first class first.
fn shares(sizes: &[usize], held: usize) -> Vec<usize> {
    let all: usize = sizes.iter().sum();
    let product = |size: usize| size as u128 * held as u128;
    let mut shares: Vec<usize> = sizes.iter().map(|size| (product(*size) / all.max(1) as u128) as usize).collect();
    let mut classes: Vec<usize> = (0..sizes.len()).collect();
    classes.sort_by_key(|class| std::cmp::Reverse(product(sizes[*class]) % all.max(1) as u128));
    let missing = held - shares.iter().sum::<usize>();
    classes.into_iter().take(missing).for_each(|class| shares[class] += 1);
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Features, Storage, Targets};
    use crate::model::Shape;

    fn numbered(count: usize) -> Examples {
        let storage = Storage::F32((0..2 * count).map(|v| v as f32).collect());
        let features = Features { storage, count, shape: Shape::Features(2) };
        let targets = Targets::Classes { labels: (0..count as u32).collect(), classes: count };
        Examples::unweighted(features, targets)
    }

    fn labels(examples: &Examples) -> &[u32] {
        match &examples.targets {
            Targets::Classes { labels, .. } => labels,
            Targets::Values { .. } => panic!("these are classes"),
        }
    }

    #[test]
    fn every_example_lands_on_one_side_with_its_label() {
        let mut data = numbered(100);
        let validation = data.hold_out(PartSize::Fraction(0.1), 3, "validation split").unwrap();
        assert_eq!((data.count(), validation.count()), (90, 10));
        let mut all = [labels(&data), labels(&validation)].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<u32>>());
        for part in [&data, &validation] {
            let Storage::F32(values) = &part.features.storage else { panic!("these are floats") };
            for (row, &label) in values.as_chunks::<2>().0.iter().zip(labels(part)) {
                assert_eq!(row[0], 2.0 * label as f32);
            }
        }
    }

    #[test]
    fn the_split_of_a_seed_is_fixed() {
        let split =
            |seed| labels(&numbered(20).hold_out(PartSize::Count(4), seed, "validation split").unwrap()).to_vec();
        assert_eq!(split(0), [4, 14, 15, 17]);
        assert_ne!(split(0), split(1));
    }

    #[test]
    fn classes_keep_their_shares() {
        let rare = |count: usize| {
            let labels = (0..count as u32).map(|index| u32::from(index % 20 == 3)).collect();
            Examples { targets: Targets::Classes { labels, classes: 3 }, ..numbered(count) }
        };
        let ones = |part: &Examples| labels(part).iter().filter(|label| **label == 1).count();
        for seed in 0..5 {
            let mut data = rare(200);
            let held = data.hold_out_by_class(PartSize::Fraction(0.1), seed, "test split").unwrap();
            assert_eq!((held.count(), ones(&held), data.count(), ones(&data)), (20, 1, 180, 9));
        }
        let split = |seed| rare(100).hold_out_by_class(PartSize::Count(30), seed, "test split").unwrap().features;
        assert_eq!(split(0), split(0));
        assert_ne!(split(0), split(1));
        assert_eq!(shares(&[5, 0, 3, 2], 5), [3, 0, 1, 1]);
        assert_eq!(shares(&[1, 1, 1], 2), [1, 1, 0]);
    }

    #[test]
    fn neither_side_may_be_empty() {
        for amount in [PartSize::Count(0), PartSize::Count(10), PartSize::Fraction(0.01), PartSize::Fraction(f64::NAN)]
        {
            assert!(numbered(10).hold_out(amount, 0, "validation split").is_err(), "{amount:?}");
        }
    }
}
