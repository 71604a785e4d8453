//! How much each example counts in the loss that is trained on.

use super::error::{DataError, Problem};
use super::source::read_array;
use super::{Examples, Targets, TrainedOn, csv};
use crate::place::Place;
use crate::recipe::ClassWeights;

/// The weights in a file, one for each example: `path` or `path#key`.
pub(crate) fn read_weights(source: &str, header: Option<bool>) -> Result<Vec<f32>, DataError> {
    let place = Place::parse(source);
    let at_source = |problem: Problem| problem.at(source);
    let array = if place.is_table() {
        let table = csv::Table::open(&place, header).map_err(at_source)?;
        table.keyed(place.key.as_deref()).and_then(|columns| table.finite_array(&columns)).map_err(at_source)?
    } else {
        read_array(source)?
    };
    match *array.shape() {
        [_] | [_, 1] => {
            let weights = array.to_f32();
            check_weights(&weights).map(|()| weights).map_err(at_source)
        }
        ref shape => {
            let (found, expected) = (shape.to_vec(), "(N,), a weight for each example".into());
            Err(at_source(Problem::Shape { found, expected }))
        }
    }
}

/// Refuses weights that are negative or not finite.
pub(crate) fn check_weights(weights: &[f32]) -> Result<(), Problem> {
    match weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        Some(row) => Err(Problem::Weight { row, value: weights[row] }),
        None => Ok(()),
    }
}

/// Refuses weights that are not as many as the examples.
pub(crate) fn check_count(weights: &[f32], count: usize) -> Result<(), Problem> {
    if weights.len() == count { Ok(()) } else { Err(Problem::WeightCount { weights: weights.len(), count }) }
}

/// The weight of each class of the targets, in their order; `None` of one that no example has where that leaves it open.
pub(crate) fn of_classes(
    weights: &ClassWeights,
    targets: &Targets,
    trained_on: &TrainedOn,
) -> Result<Vec<Option<f64>>, Problem> {
    let labels = targets.classes().ok_or(Problem::WeighsNoClasses)?;
    let classes = match targets {
        Targets::Classes { classes, .. } => *classes,
        // A single output tells two classes apart.
        Targets::Values { outputs, .. } => (*outputs).max(2),
    };
    let names: Vec<String> = (0..classes).map(|class| trained_on.class(class)).collect();
    match weights {
        ClassWeights::Balanced => {
            let mut counts = vec![0usize; classes];
            labels.iter().for_each(|label| counts[*label as usize] += 1);
            let present = counts.iter().filter(|count| **count > 0).count();
            let weight = |count: &usize| (*count > 0).then(|| labels.len() as f64 / (present * count) as f64);
            Ok(counts.iter().map(weight).collect())
        }
        ClassWeights::InOrder(list) if list.len() != classes => {
            Err(Problem::ClassWeightCount { found: list.len(), classes: names })
        }
        ClassWeights::InOrder(list) => Ok(list.iter().map(|weight| Some(f64::from(*weight))).collect()),
        ClassWeights::ByName(named) => {
            let mut all = vec![Some(1.0); classes];
            for (name, weight) in named {
                let Some(class) = names.iter().position(|known| known == name) else {
                    return Err(Problem::NoSuchClass { name: name.clone(), classes: names });
                };
                all[class] = Some(f64::from(*weight));
            }
            Ok(all)
        }
    }
}

impl Examples {
    /// Multiplies each example's weight by that of its class, and brings the mean of all near 1 by a power of two, which changes
    /// no digit: the loss knows only their ratios, and no sum of them is beyond single precision.
    pub(crate) fn weigh(&mut self, of_classes: Option<&[Option<f64>]>) -> Result<(), Problem> {
        let labels = of_classes.and_then(|of_classes| Some((self.targets.classes()?, of_classes)));
        let own = |index: usize| self.weights.as_ref().map_or(1.0, |weights| f64::from(weights[index]));
        let of_class = |index: usize| {
            labels.as_ref().map_or(1.0, |(labels, of_classes)| of_classes[labels[index] as usize].unwrap_or(1.0))
        };
        let weights: Vec<f64> = (0..self.count()).map(|index| own(index) * of_class(index)).collect();
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        if mean <= 0.0 {
            return Err(Problem::NoWeight);
        }
        let scale = mean.log2().round().exp2();
        self.weights = Some(weights.into_iter().map(|weight| (weight / scale) as f32).collect());
        Ok(())
    }
}

/// The weights of classes, in words.
pub(crate) fn classes_in_words(weights: &[Option<f64>], trained_on: &TrainedOn) -> String {
    /// More are not listed.
    const SHOWN: usize = 20;
    let one = |(class, weight): (usize, &Option<f64>)| {
        let name = trained_on.class(class);
        weight.map_or_else(|| format!("{name} has no examples"), |weight| format!("{name} {}", rounded(weight)))
    };
    let listed: Vec<String> = weights.iter().enumerate().take(SHOWN).map(one).collect();
    let more = if weights.len() > SHOWN { " …" } else { "" };
    format!("class weights: {}{more}", listed.join(", "))
}

/// The weights of examples, in words; `source` is where they come from.
pub(crate) fn samples_in_words(weights: &[f32], source: &str) -> String {
    let (low, high) = weights.iter().fold((f32::INFINITY, 0f32), |(low, high), w| (low.min(*w), high.max(*w)));
    let mean = weights.iter().map(|weight| f64::from(*weight)).sum::<f64>() / weights.len() as f64;
    let zeros = weights.iter().filter(|weight| **weight == 0.0).count();
    let zeros = if zeros > 0 { format!("; {zeros} of 0") } else { String::new() };
    format!("sample weights: {source}, from {low} to {high}, mean {}{zeros}", rounded(mean))
}

/// A number to four digits.
fn rounded(value: f64) -> String {
    let digits = (3 - value.abs().log10().floor().clamp(-9.0, 3.0) as i32).max(0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Features, Storage};
    use crate::model::Shape;

    fn named(names: &[&str]) -> TrainedOn {
        TrainedOn { class_names: names.iter().map(|name| name.to_string()).collect(), ..TrainedOn::default() }
    }

    fn labels(labels: &[u32], classes: usize) -> Targets {
        Targets::Classes { labels: labels.to_vec(), classes }
    }

    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        // sklearn.utils.class_weight.compute_class_weight("balanced", classes=[0, 1, 3], y=[0, 0, 0, 1, 1, 3])
        let targets = labels(&[0, 0, 0, 1, 1, 3], 4);
        let weights = of_classes(&ClassWeights::Balanced, &targets, &TrainedOn::default()).unwrap();
        assert_eq!(weights, [Some(6.0 / 9.0), Some(1.0), None, Some(2.0)]);
        assert_eq!(
            classes_in_words(&weights, &named(&["a", "b", "c", "d"])),
            "class weights: a 0.6667, b 1, c has no examples, d 2"
        );
    }

    #[test]
    fn classes_are_found_by_name_and_in_order() {
        let cats = named(&["cat", "dog", "newt"]);
        let of = |weights: ClassWeights, targets: &Targets| {
            of_classes(&weights, targets, &cats).map_err(|problem| problem.to_string())
        };
        let three = labels(&[0, 1, 2], 3);
        let by_name = |name: &str| ClassWeights::ByName(vec![(name.into(), 2.5)]);
        assert_eq!(of(by_name("dog"), &three).unwrap(), [Some(1.0), Some(2.5), Some(1.0)]);
        let error = of(by_name("newts"), &three).unwrap_err();
        assert!(error.contains("no class \"newts\"") && error.contains("did you mean \"newt\"?"), "{error}");
        assert_eq!(of(ClassWeights::InOrder(vec![1.0, 0.0, 4.0]), &three).unwrap()[2], Some(4.0));
        let error = of(ClassWeights::InOrder(vec![1.0, 2.0]), &three).unwrap_err();
        assert!(error.contains("2 weights") && error.contains("3 classes: cat, dog, newt"), "{error}");
        // A single output tells two classes apart; other values are none.
        let values = |values: &[f32], outputs| Targets::Values { values: values.to_vec(), outputs };
        assert_eq!(of(by_name("dog"), &values(&[0.0, 1.0], 1)).unwrap(), [Some(1.0), Some(2.5)]);
        for none in [values(&[0.0, 0.5], 1), values(&[1.0, 1.0], 2)] {
            assert!(of(by_name("dog"), &none).unwrap_err().contains("the targets are values"));
        }
    }

    #[test]
    fn weights_of_classes_and_examples_multiply_and_have_a_mean_near_1() {
        let features = Features { storage: Storage::F32(vec![0.0; 4].into()), count: 4, shape: Shape::Features(1) };
        let mut examples = Examples::unweighted(features, labels(&[0, 1, 1, 0], 2));
        examples.weights = Some(vec![1.0, 0.5, 0.0, 2.0]);
        examples.weigh(Some(&[Some(1.0), Some(4.0)])).unwrap();
        assert_eq!(examples.weights, Some(vec![1.0, 2.0, 0.0, 2.0]));
        examples.weights = Some(vec![3e38, 1e38, 3e38, 0.0]);
        examples.weigh(None).unwrap();
        let weights = examples.weights.clone().unwrap();
        assert!(weights[0] / weights[1] == 3.0 && weights.iter().sum::<f32>() < 8.0, "{weights:?}");
        examples.weights = Some(vec![0.0, 1.0, 1.0, 0.0]);
        let error = examples.weigh(Some(&[Some(3.0), Some(0.0)])).unwrap_err();
        assert!(matches!(error, Problem::NoWeight), "{error}");
    }

    #[test]
    fn weights_that_are_none_are_refused() {
        for odd in [-1.0, f32::NAN, f32::INFINITY] {
            let problem = check_weights(&[1.0, 0.0, odd]).unwrap_err().to_string();
            assert!(problem.contains("example 2 has the weight"), "{problem}");
        }
        assert!(check_count(&[1.0; 3], 4).unwrap_err().to_string().contains("3 weights, and there are 4 examples"));
    }

    #[test]
    fn numbers_have_four_digits() {
        assert_eq!(
            [0.0, 1.0, 0.6666666, 1234.5678, 12.5, 1e-3].map(rounded),
            ["0", "1", "0.6667", "1235", "12.5", "0.001"]
        );
    }
}
