//! Examples in memory.

use std::ops::Range;

use super::{Access, Numbers};
use crate::model::Shape;

/// The features' values, example after example.
#[derive(Debug, Clone, PartialEq)]
pub enum Storage {
    /// Bytes, as image files have them.
    U8(Numbers<u8>),
    /// Single-precision floats.
    F32(Numbers<f32>),
}

/// What a model is shown: `count` examples of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// `count * shape.len()` values; images channels first.
    pub storage: Storage,
    /// Number of examples.
    pub count: usize,
    /// Shape of one example.
    pub shape: Shape,
}

/// What a model should answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// One class per example.
    Classes {
        /// The class of each example, below `classes`.
        labels: Vec<u32>,
        /// Number of classes.
        classes: usize,
    },
    /// A vector of values per example.
    Values {
        /// Example after example.
        values: Vec<f32>,
        /// Values per example.
        outputs: usize,
    },
}

/// One split: features and targets of the same examples. Where they were read from makes no two of them differ.
#[derive(Debug, Clone)]
pub struct Examples {
    /// What the model is shown.
    pub features: Features,
    /// What it should answer.
    pub targets: Targets,
    /// How much each example counts in the loss that is trained on, 0 or more; without weights all count the same. The loss of a
    /// batch is the mean by these weights, so that only their ratios matter. Evaluations do not weigh.
    pub weights: Option<Vec<f32>>,
    /// The number of each among those that were read, from 0, where they are a part of these.
    pub rows: Option<Vec<usize>>,
}

/// All splits of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Trained on.
    pub train: Examples,
    /// Watched while training.
    pub validation: Option<Examples>,
    /// Measured at the end.
    pub test: Option<Examples>,
}

impl PartialEq for Examples {
    fn eq(&self, other: &Examples) -> bool {
        let Examples { features, targets, weights, rows: _ } = self;
        (features, targets, weights) == (&other.features, &other.targets, &other.weights)
    }
}

impl Examples {
    /// Sets of as many examples each, of one kind, one after the other. The error says in what they differ.
    pub fn joined(parts: &[&Examples]) -> Result<Examples, &'static str> {
        let [first, ..] = parts else { return Err("are none") };
        if parts.iter().any(|part| (part.count(), part.features.shape) != (first.count(), first.features.shape)) {
            return Err("have examples of several numbers or shapes");
        }
        let (mut bytes, mut floats, mut labels, mut numbers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            match (&part.features.storage, &first.features.storage) {
                (Storage::U8(values), Storage::U8(_)) => bytes.extend_from_slice(values),
                (Storage::F32(values), Storage::F32(_)) => floats.extend_from_slice(values),
                _ => return Err("hold bytes here and floats there"),
            }
            match (&part.targets, &first.targets) {
                (Targets::Classes { labels: own, classes }, Targets::Classes { classes: known, .. })
                    if classes == known =>
                {
                    labels.extend_from_slice(own);
                }
                (Targets::Values { values, outputs }, Targets::Values { outputs: known, .. }) if outputs == known => {
                    numbers.extend_from_slice(values);
                }
                _ => return Err("have targets of several kinds"),
            }
        }
        let weights: Vec<&[f32]> = parts.iter().filter_map(|part| part.weights.as_deref()).collect();
        if !weights.is_empty() && weights.len() < parts.len() {
            return Err("have weights in part");
        }
        let storage = match first.features.storage {
            Storage::U8(_) => Storage::U8(bytes.into()),
            Storage::F32(_) => Storage::F32(floats.into()),
        };
        let targets = match first.targets {
            Targets::Classes { classes, .. } => Targets::Classes { labels, classes },
            Targets::Values { outputs, .. } => Targets::Values { values: numbers, outputs },
        };
        let features = Features { storage, count: parts.len() * first.count(), shape: first.features.shape };
        Ok(Examples { features, targets, weights: (!weights.is_empty()).then(|| weights.concat()), rows: None })
    }
}

impl Storage {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Storage::U8(values) => values.len(),
            Storage::F32(values) => values.len(),
        }
    }

    /// True when there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `index` as a float.
    pub fn get(&self, index: usize) -> f32 {
        match self {
            Storage::U8(values) => f32::from(values[index]),
            Storage::F32(values) => values[index],
        }
    }

    /// Whether the values are a view of a file, larger than what need fit memory.
    pub fn is_mapped(&self) -> bool {
        match self {
            Storage::U8(values) => values.is_mapped(),
            Storage::F32(values) => values.is_mapped(),
        }
    }

    /// Tells the system how some of the values are about to be read, where they are a view of a file.
    pub(crate) fn expect(&self, values: Range<usize>, access: Access) {
        match self {
            Storage::U8(numbers) => numbers.expect(values, access),
            Storage::F32(numbers) => numbers.expect(values, access),
        }
    }

    /// The smallest and the largest value (0 and 0 when there is none).
    pub fn bounds(&self) -> (f32, f32) {
        match self {
            Storage::U8(values) => {
                let low = values.iter().min().copied().unwrap_or(0);
                (f32::from(low), f32::from(values.iter().max().copied().unwrap_or(0)))
            }
            Storage::F32(values) => {
                let first = values.first().copied().unwrap_or(0.0);
                values.iter().fold((first, first), |(low, high), &value| (low.min(value), high.max(value)))
            }
        }
    }

    /// Calls `visit` with feature number and value, row after row of `width` features.
    pub(super) fn for_each_row(&self, width: usize, mut visit: impl FnMut(usize, f32)) {
        let width = width.max(1);
        match self {
            Storage::U8(values) => {
                for row in values.chunks_exact(width) {
                    row.iter().enumerate().for_each(|(feature, &value)| visit(feature, f32::from(value)));
                }
            }
            Storage::F32(values) => {
                for row in values.chunks_exact(width) {
                    row.iter().enumerate().for_each(|(feature, &value)| visit(feature, value));
                }
            }
        }
    }

    /// The rows of `width` values at `indices`, in that order.
    fn select(&self, indices: &[usize], width: usize) -> Storage {
        match self {
            Storage::U8(values) => Storage::U8(numbers(values, indices, width)),
            Storage::F32(values) => Storage::F32(numbers(values, indices, width)),
        }
    }
}

/// Rows of numbers that may be mapped.
fn numbers<T: bytemuck::Pod>(values: &Numbers<T>, indices: &[usize], width: usize) -> Numbers<T> {
    Numbers::made(values.is_mapped(), indices.len() * width, |write| {
        indices.iter().try_for_each(|index| write(&values[index * width..][..width]))
    })
}

fn rows<T: Copy>(values: &[T], indices: &[usize], width: usize) -> Vec<T> {
    let mut picked = Vec::with_capacity(indices.len() * width);
    for &index in indices {
        picked.extend_from_slice(&values[index * width..][..width]);
    }
    picked
}

impl Features {
    /// The examples at `indices`, in that order. Panics when one is out of range.
    pub fn select(&self, indices: &[usize]) -> Features {
        let storage = self.storage.select(indices, self.shape.len());
        Features { storage, count: indices.len(), shape: self.shape }
    }
}

impl Targets {
    /// The true class of each example; none where targets are values that name no class. Of a single value 0 and 1 are
    /// classes, of several the only 1 among zeros.
    pub fn classes(&self) -> Option<Vec<u32>> {
        match self {
            Targets::Classes { labels, .. } => Some(labels.clone()),
            Targets::Values { values, outputs: 1 } => {
                let class = |value: &f32| [0.0, 1.0].iter().position(|class| class == value);
                values.iter().map(|value| class(value).map(|class| class as u32)).collect()
            }
            Targets::Values { values, outputs } => {
                values.chunks(*outputs).map(|row| hot_column(row).map(|column| column as u32)).collect()
            }
        }
    }

    /// The targets at `indices`, in that order. Panics when one is out of range.
    pub fn select(&self, indices: &[usize]) -> Targets {
        match self {
            Targets::Classes { labels, classes } => {
                Targets::Classes { labels: rows(labels, indices, 1), classes: *classes }
            }
            Targets::Values { values, outputs } => {
                Targets::Values { values: rows(values, indices, *outputs), outputs: *outputs }
            }
        }
    }
}

impl Examples {
    /// Examples that all count the same.
    pub fn unweighted(features: Features, targets: Targets) -> Examples {
        Examples { features, targets, weights: None, rows: None }
    }

    /// Number of examples.
    pub fn count(&self) -> usize {
        self.features.count
    }

    /// The examples at `indices`, in that order. Panics when one is out of range.
    pub fn select(&self, indices: &[usize]) -> Examples {
        Examples {
            features: self.features.select(indices),
            targets: self.targets.select(indices),
            weights: self.weights.as_ref().map(|weights| rows(weights, indices, 1)),
            rows: Some(self.rows.as_ref().map_or_else(|| indices.to_vec(), |known| rows(known, indices, 1))),
        }
    }
}

/// Where the only 1 among zeros is.
pub(crate) fn hot_column(row: &[f32]) -> Option<usize> {
    let column = row.iter().position(|&value| value == 1.0)?;
    row.iter().enumerate().all(|(index, &value)| index == column || value == 0.0).then_some(column)
}

#[cfg(test)]
mod tests {
    use super::Targets;

    #[test]
    fn only_targets_that_name_classes_have_a_truth() {
        let values = |values: &[f32], outputs| Targets::Values { values: values.to_vec(), outputs }.classes();
        assert_eq!(values(&[0.0, 1.0, 1.0, 0.0], 2), Some(vec![1, 0]));
        assert_eq!(values(&[0.0, 1.0], 1), Some(vec![0, 1]));
        assert_eq!(values(&[0.5, 1.0], 1), None);
        assert_eq!(values(&[1.0, 1.0], 2), None);
    }
}
