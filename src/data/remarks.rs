//! What deserves a word about examples: a label among the features, classes without examples, values that are no pixels.

use super::{Examples, Features, Scaling, Storage, Targets};
use crate::model::Shape;
use crate::recipe::{Activation, Scale};
use std::collections::BTreeSet;

/// Names of columns for people: of many the first and the last.
pub(super) fn columns(names: &[String]) -> String {
    const SHOWN: usize = 12;
    match names {
        [first, .., last] if names.len() > SHOWN => format!("{} columns, {first} to {last}", names.len()),
        _ => names.join(", "),
    }
}

/// A warning where features are called like the targets beside them in the table: `t1` and `t2` like `t0`, while others are
/// called otherwise.
pub(super) fn targets_beside(features: &[String], targets: &[String]) -> Option<String> {
    let stem = |name: &str| {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        (stem.len() < name.len() && !stem.is_empty() && stem != "#").then(|| stem.to_owned())
    };
    let alike =
        |name: &&String| stem(name).is_some_and(|of| targets.iter().any(|target| stem(target) == Some(of.clone())));
    let (found, others): (Vec<&String>, Vec<&String>) = features.iter().partition(alike);
    let names = |names: Vec<&String>| columns(&names.into_iter().cloned().collect::<Vec<_>>());
    (!found.is_empty() && !others.is_empty()).then(|| {
        format!(
            "warning: the features include {}, which are called like the target ({}); if they are targets too, name all of \
             them as labels, FILE#NAME,NAME, or the features as images",
            names(found),
            columns(targets)
        )
    })
}

/// A warning for each feature without a name of its own that counts the rows, as the index does that pandas writes. Columns of a table
/// with a target are left out by the recipe, those of other files by naming the others.
pub(crate) fn indices(features: &Features, names: &[String], is_table: bool) -> Vec<String> {
    let width = features.shape.len();
    let counts = |feature: usize| {
        let value = |row: usize| features.storage.get(row * width + feature);
        features.count > 3 && (1..features.count).all(|row| value(row) - value(row - 1) == 1.0)
    };
    let is_index = |name: &str| ["", "unnamed: 0", "index", "id"].contains(&&*name.to_ascii_lowercase());
    let found = names.iter().enumerate().filter(|(feature, name)| is_index(name) && counts(*feature));
    let warn = |(_, name): (usize, &String)| {
        let remedy = match is_table {
            true => format!("with data.drop = [{name:?}] (--set 'data.drop=[{name:?}]')"),
            false => "in pandas with to_csv(index=False), or name the other columns, FILE#NAME,NAME".into(),
        };
        format!(
            "warning: the feature {name:?} counts the rows, which tells where an example stands and not what it is; leave it \
             out: {remedy}"
        )
    };
    found.map(warn).collect()
}

/// A warning for each feature that tells the label: in every example it has the label's value, or one that goes with the
/// label's class alone. `names` are those of the features, if they have any.
pub(crate) fn leaks(examples: &Examples, names: &[String]) -> Vec<String> {
    let (features, width) = (&examples.features, examples.features.shape.len());
    let name = |feature: usize| {
        names.get(feature).map_or_else(|| format!("number {feature} (from 0)"), |name| format!("{name:?}"))
    };
    let tells: Vec<usize> = match &examples.targets {
        Targets::Classes { labels, classes } => {
            let told = values_of_classes(features, labels, *classes);
            // With few examples of each class features may tell them by chance.
            let present = told.first().map_or(0, |(_, values)| values.len());
            if present < 2 || labels.len() < 4 * present {
                return Vec::new();
            }
            let alone = told.iter().filter(|(_, values)| distinct(values.iter().map(|value| vec![*value])) == present);
            let alone: Vec<usize> = alone.map(|(feature, _)| *feature).collect();
            let varying: Vec<&(usize, Vec<f32>)> =
                told.iter().filter(|(_, values)| values.iter().any(|value| *value != values[0])).collect();
            let of_class = |class: usize| varying.iter().map(|(_, values)| values[class]).collect();
            if alone.is_empty() && distinct((0..present).map(of_class)) == present {
                let all: Vec<String> = varying.iter().map(|(feature, _)| name(*feature)).collect();
                return vec![format!(
                    "warning: the features {} together tell the label of all {} examples; if they are the label itself, as \
                     columns of 0 and 1, leave them out: the results would mean nothing",
                    columns(&all),
                    examples.count()
                )];
            }
            alone
        }
        Targets::Values { values, outputs } => {
            let ends: Vec<_> = (0..*outputs).filter_map(|output| Ends::of(values, output, *outputs)).collect();
            let tells = |feature: &usize| ends.iter().any(|ends| ends.are_told(features, *feature, values));
            let told: Vec<usize> = (0..width).filter(tells).collect();
            // A network that is to give back its input.
            if told.len() == width && width == *outputs && width > 1 { Vec::new() } else { told }
        }
    };
    let warn = |feature: usize| {
        format!(
            "warning: the feature {} tells the label of all {} examples; if it is the label itself, leave it out: the \
             results would mean nothing",
            name(feature),
            examples.count()
        )
    };
    tells.into_iter().map(warn).collect()
}

/// Each feature that has one value in all examples of a class, and that in each class that has examples. Row after row, since
/// the features may be a view of a file.
fn values_of_classes(features: &Features, labels: &[u32], classes: usize) -> Vec<(usize, Vec<f32>)> {
    /// Values of features in classes that are kept at a time.
    const AT_A_TIME: usize = 1 << 20;
    let all: Vec<usize> = (0..features.shape.len()).collect();
    let some = |some: &[usize]| values_of_some(features, some, labels, classes);
    all.chunks((AT_A_TIME / classes.max(1)).max(1)).flat_map(some).collect()
}

/// The same of some features.
fn values_of_some(features: &Features, some: &[usize], labels: &[u32], classes: usize) -> Vec<(usize, Vec<f32>)> {
    let width = features.shape.len();
    let mut left: Vec<(usize, Vec<Option<f32>>)> = some.iter().map(|feature| (*feature, vec![None; classes])).collect();
    for (row, &label) in labels.iter().enumerate() {
        left.retain_mut(|(feature, value_of)| {
            let value = features.storage.get(row * width + *feature);
            *value_of[label as usize].get_or_insert(value) == value
        });
        if left.is_empty() {
            break;
        }
    }
    left.into_iter().map(|(feature, value_of)| (feature, value_of.into_iter().flatten().collect())).collect()
}

/// How many of these are different.
fn distinct(values: impl Iterator<Item = Vec<f32>>) -> usize {
    let bits = |values: Vec<f32>| values.into_iter().map(|value| (value + 0.0).to_bits()).collect::<Vec<u32>>();
    values.map(bits).collect::<BTreeSet<_>>().len()
}

/// The smallest and the largest value of an output, and their rows.
struct Ends {
    output: usize,
    outputs: usize,
    low: (usize, f64),
    high: (usize, f64),
}

impl Ends {
    /// None where the output never changes.
    fn of(values: &[f32], output: usize, outputs: usize) -> Option<Ends> {
        let rows = || values.iter().skip(output).step_by(outputs).map(|value| f64::from(*value)).enumerate();
        let low = rows().min_by(|one, other| one.1.total_cmp(&other.1))?;
        let high = rows().max_by(|one, other| one.1.total_cmp(&other.1))?;
        (low.1 < high.1).then_some(Ends { output, outputs, low, high })
    }

    /// Whether a feature is the output: the same values, or beside other features the same in another unit or order.
    fn are_told(&self, features: &Features, feature: usize, values: &[f32]) -> bool {
        /// What single precision makes of values that are multiplied and shifted, as a share of their range.
        const ROUNDING: f64 = 1e-5;
        let width = features.shape.len();
        let value = |row: usize| f64::from(features.storage.get(row * width + feature));
        let (low, high) = (value(self.low.0), value(self.high.0));
        let is_same = (low, high) == (self.low.1, self.high.1);
        if features.count <= 3 || low == high || width == 1 && !is_same {
            return false;
        }
        let slope = (high - low) / (self.high.1 - self.low.1);
        let mut rows = values.iter().skip(self.output).step_by(self.outputs).enumerate();
        rows.all(|(row, target)| {
            let expected = low + slope * (f64::from(*target) - self.low.1);
            (value(row) - expected).abs() <= ROUNDING * (high - low).abs()
        })
    }
}

/// A word on classes of which a set has no example; `name` tells what a class is called.
pub(crate) fn absent_classes(set: &str, targets: &Targets, name: impl Fn(usize) -> String) -> Option<String> {
    let classes = match targets {
        Targets::Classes { classes, .. } => *classes,
        Targets::Values { outputs, .. } => (*outputs).max(2),
    };
    let mut counts = vec![0; classes];
    targets.classes()?.into_iter().for_each(|class| counts[class as usize] += 1);
    let absent: Vec<String> = (0..classes).filter(|class| counts[*class] == 0).map(name).collect();
    /// More are counted.
    const SHOWN: usize = 8;
    let names = absent[..absent.len().min(SHOWN)].join(", ");
    match absent.len() {
        0 => None,
        1 => Some(format!("the {set} set has no example of class {names} (of {classes})")),
        2..=SHOWN => Some(format!("the {set} set has no example of classes {names} (of {classes})")),
        many => Some(format!(
            "the {set} set has no example of {many} of the {classes} classes: {names} and {} more",
            many - SHOWN
        )),
    }
}

/// A warning where values are to be learned that the network's last activation never gives.
pub(crate) fn out_of_reach(last: Option<Activation>, targets: &Targets) -> Option<String> {
    let Targets::Values { values, .. } = targets else { return None };
    let (low, high) = match last? {
        Activation::Sigmoid | Activation::Softmax => (0.0, 1.0),
        Activation::Tanh => (-1.0, 1.0),
        Activation::Relu | Activation::Softplus => (0.0, f32::INFINITY),
        Activation::Elu => (-1.0, f32::INFINITY),
        Activation::Relu6 => (0.0, 6.0),
        _ => return None,
    };
    let value = values.iter().find(|value| !(low..=high).contains(*value))?;
    let range = if high.is_finite() { format!("from {low} to {high}") } else { format!("from {low} on") };
    Some(format!(
        "warning: the target {value} is out of reach: the last layer's {} gives values {range}; bring the targets there, or \
         make the last layer linear",
        last?
    ))
}

/// A warning where initial weights were trained on features of other names than they are to meet, or in another order.
pub fn other_features(trained: &[String], features: &[String]) -> Option<String> {
    let differ = !trained.is_empty() && !features.is_empty() && trained != features;
    differ.then(|| {
        format!(
            "warning: the initial weights were trained on the features {}, and each is to meet another here: {}; name the \
             columns in that order, FILE#NAME,NAME (data.features of a table with a target), if they are the same",
            columns(trained),
            columns(features)
        )
    })
}

/// Whether rows of such numbers are finite and can be no pixels: some are beyond 255, or not all at most 1 and some below 0 or no
/// whole ones.
pub fn are_no_pixels(values: &[f32]) -> bool {
    let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let can_be_none = largest > 255.0 || largest > 1.0 && odd(values).is_some();
    can_be_none && values.iter().all(|value| value.is_finite())
}

/// A value that no pixel has where the brightest is beyond 1.
fn odd(values: &[f32]) -> Option<f32> {
    values.iter().copied().find(|value| *value < 0.0 || value.fract() != 0.0)
}

/// A warning where features are scaled as pixels, but can be none.
pub(crate) fn no_pixels(scale: Scale, scaling: &Scaling, train: &Features) -> Option<String> {
    let Storage::F32(values) = &train.storage else { return None };
    let white = scaling.divide.first().copied().filter(|_| matches!(scale, Scale::Unit | Scale::Centered))?;
    // Values up to 1 are divided by 1.
    if white == 1.0 {
        return None;
    }
    // Numbers in rows may be pixels of 8 bits, those in pictures of 16 too.
    let large = if matches!(train.shape, Shape::Features(_)) { are_no_pixels(values) } else { white > 65535.0 };
    let why = match odd(values) {
        Some(value) => format!("{value} is the value of no pixel, but the scale \"{scale}\" takes all for pixels"),
        None if large => {
            format!(
                "values up to {} are those of no 8-bit pixels, but the scale \"{scale}\" takes all for pixels",
                train.storage.bounds().1
            )
        }
        None => return None,
    };
    Some(format!(
        "warning: {why} and divides by {white}; if they are measurements, --set data.scale=standard suits them"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(columns: &[&[f32]], targets: Targets) -> Examples {
        let count = columns[0].len();
        let values = (0..count).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
        let features = Features { storage: Storage::F32(values), count, shape: Shape::Features(columns.len()) };
        Examples::unweighted(features, targets)
    }

    fn classes(labels: &[u32], classes: usize) -> Targets {
        Targets::Classes { labels: labels.to_vec(), classes }
    }

    #[test]
    fn a_feature_that_is_the_label_is_named() {
        let labels = [0, 1, 0, 1, 1, 0, 1, 0];
        let same: Vec<f32> = labels.iter().map(|label| *label as f32).collect();
        let coded: Vec<f32> = labels.iter().map(|label| 5.0 - 2.0 * *label as f32).collect();
        let (honest, constant) = ([0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [3.0; 8]);
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        let found = leaks(&examples(&[&honest, &same, &constant, &coded], classes(&labels, 2)), &names);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("the feature \"b\" tells the label of all 8") && found[1].contains("\"d\""),
            "{found:?}"
        );
        let values = Targets::Values { values: same.clone(), outputs: 1 };
        assert!(leaks(&examples(&[&honest, &same], values), &[])[0].contains("number 1 (from 0)"));
        // In another unit and in reverse; a single feature of which the values are made is what is to be learned.
        let target = [0.3, -1.5, 2.25, 0.1, 7.0, 3.5, -0.7, 1.0];
        let values = || Targets::Values { values: target.to_vec(), outputs: 1 };
        let (metres, reversed) = (target.map(|value| value * 1000.0), target.map(|value| 5.0 - value));
        let near = target.map(|value| value + 0.01 * value * value);
        let found = leaks(&examples(&[&honest, &metres, &near, &reversed], values()), &names);
        assert!(found.len() == 2 && found[0].contains("\"b\"") && found[1].contains("\"d\""), "{found:?}");
        assert!(leaks(&examples(&[&metres], values()), &[]).is_empty());
        assert_eq!(leaks(&examples(&[&target], values()), &[]).len(), 1);
        // A network that gives back its input, and few examples.
        let back = Targets::Values { values: [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0].to_vec(), outputs: 2 };
        assert!(leaks(&examples(&[&[1.0, 3.0, 5.0, 7.0], &[2.0, 4.0, 6.0, 8.0]], back), &[]).is_empty());
        assert!(leaks(&examples(&[&[0.0, 1.0]], classes(&[0, 1], 2)), &[]).is_empty());
    }

    #[test]
    fn features_that_tell_the_label_together_are_named() {
        let labels = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2];
        let one_hot = |class: u32| labels.map(|label| f32::from(u8::from(label == class)));
        let (honest, constant) = ([0.0, 1.0, 0.0, 2.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.5, 0.0], [3.0; 12]);
        let [zero, one, two] = [0, 1, 2].map(one_hot);
        let names = ["a", "is 0", "b", "is 1", "is 2"].map(str::to_owned);
        let all: [&[f32]; 5] = [&honest, &zero, &constant, &one, &two];
        let found = leaks(&examples(&all, classes(&labels, 3)), &names);
        assert!(
            found.len() == 1
                && found[0].contains("the features \"is 0\", \"is 1\", \"is 2\" together tell the label of all 12"),
            "{found:?}"
        );
        // The last class is what is none of the others; one column alone does not tell three classes.
        assert_eq!(leaks(&examples(&all[..4], classes(&labels, 3)), &names).len(), 1);
        assert!(leaks(&examples(&all[..3], classes(&labels, 3)), &names).is_empty());
    }

    #[test]
    fn targets_that_no_output_reaches_are_named() {
        let said = |activation, values: &[f32]| {
            out_of_reach(Some(activation), &Targets::Values { values: values.to_vec(), outputs: 1 })
        };
        let warning = said(Activation::Sigmoid, &[0.0, 1.0, -1.0]).unwrap();
        assert!(
            warning.contains("the target -1 is out of reach: the last layer's sigmoid gives values from 0 to 1"),
            "{warning}"
        );
        assert!(said(Activation::Tanh, &[0.0, 255.0]).is_some() && said(Activation::Relu, &[3.0, -0.5]).is_some());
        for (activation, values) in [
            (Activation::Sigmoid, [0.0, 1.0]),
            (Activation::Tanh, [-1.0, 1.0]),
            (Activation::Relu, [0.0, 1e9]),
            (Activation::Linear, [-5.0, 255.0]),
        ] {
            assert_eq!(said(activation, &values), None, "{activation}");
        }
    }

    #[test]
    fn an_index_among_the_features_is_named() {
        let examples =
            examples(&[&[0.0, 1.0, 2.0, 3.0], &[5.0, 6.0, 7.0, 8.0], &[1.0, 0.0, 1.0, 1.0]], classes(&[0; 4], 2));
        let of = |names: [&str; 3], is_table| indices(&examples.features, &names.map(str::to_owned), is_table);
        let found = |names| of(names, false);
        let warned = found(["", "a", "b"]);
        assert!(warned[0].contains("the feature \"\" counts the rows") && warned[0].ends_with("FILE#NAME,NAME"));
        assert!(
            of(["b", "Id", "c"], true)[0]
                .ends_with("leave it out: with data.drop = [\"Id\"] (--set 'data.drop=[\"Id\"]')")
        );
        assert_eq!((found(["year", "a", "b"]).len(), found(["a", "b", ""]).len()), (0, 0));
    }

    #[test]
    fn features_called_like_the_target_are_named() {
        let names = |names: &str| names.split(',').map(str::to_owned).collect::<Vec<_>>();
        let found = targets_beside(&names("x0,x1,t1,t2"), &names("t0")).unwrap();
        assert!(found.contains("include t1, t2, which are called like the target (t0)"), "{found}");
        for (features, targets) in
            [("p0,p1,p2", "label"), ("p1,p2", "p0"), ("x0,x1", "t0"), ("#0,#1", "#2"), ("a,b", "c")]
        {
            assert_eq!(targets_beside(&names(features), &names(targets)), None, "{features}");
        }
    }

    #[test]
    fn classes_without_examples_are_named() {
        let number = |class: usize| class.to_string();
        let name = |class: usize| ["cat", "dog", "owl"][class].to_owned();
        let said = absent_classes("test", &classes(&[0, 2], 3), name).unwrap();
        assert_eq!(said, "the test set has no example of class dog (of 3)");
        assert_eq!(
            absent_classes("test", &classes(&[0, 3, 0], 4), number).unwrap(),
            "the test set has no example of classes 1, 2 (of 4)"
        );
        assert_eq!(
            absent_classes("training", &classes(&[0, 99], 100), |class| format!("n{class}")).unwrap(),
            "the training set has no example of 98 of the 100 classes: n1, n2, n3, n4, n5, n6, n7, n8 and 90 more"
        );
        assert_eq!(absent_classes("test", &classes(&[1, 0], 2), number), None);
        let ones = Targets::Values { values: vec![1.0, 1.0], outputs: 1 };
        assert!(absent_classes("validation", &ones, number).unwrap().contains("no example of class 0 (of 2)"));
        assert_eq!(absent_classes("test", &Targets::Values { values: vec![0.5], outputs: 1 }, number), None);
    }

    #[test]
    fn values_of_no_pixels_are_pointed_at_where_they_are_divided() {
        let warned = |scale, values: &[f32]| {
            let features = examples(&[values], classes(&vec![0; values.len()], 1)).features;
            no_pixels(scale, &Scaling::fit(scale, &features), &features)
        };
        for values in [&[5.1, 3.5][..], &[-1.5, 2.0], &[0.0, 4000.0], &[0.0, 1e6]] {
            let warning = warned(Scale::Unit, values).unwrap();
            assert!(warning.contains("--set data.scale=standard"), "{warning}");
            assert!(warned(Scale::Centered, values).is_some());
            assert!(warned(Scale::Standard, values).is_none() && warned(Scale::None, values).is_none());
            assert!(are_no_pixels(values));
        }
        for values in [&[0.0, 200.0][..], &[0.25, 1.0], &[-1.0, 0.5]] {
            assert_eq!(warned(Scale::Unit, values), None, "{values:?}");
            assert!(!are_no_pixels(values));
        }
        assert!(!are_no_pixels(&[f32::NAN, 4000.0]) && !are_no_pixels(&[]));
    }
}
