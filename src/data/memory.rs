//! Examples from arrays in memory.

use super::error::Problem;
use super::load::channels_first;
use super::{Examples, Features, Storage, Targets};
use crate::model::Shape;

impl From<Vec<u8>> for Storage {
    fn from(values: Vec<u8>) -> Storage {
        Storage::U8(values.into())
    }
}

impl From<Vec<f32>> for Storage {
    fn from(values: Vec<f32>) -> Storage {
        Storage::F32(values.into())
    }
}

/// A class for each example, counted from 0.
impl From<Vec<u32>> for Targets {
    fn from(labels: Vec<u32>) -> Targets {
        let classes = labels.iter().max().map_or(0, |most| *most as usize + 1);
        Targets::Classes { labels, classes }
    }
}

/// So many values for each example, example after example.
impl From<(Vec<f32>, usize)> for Targets {
    fn from((values, outputs): (Vec<f32>, usize)) -> Targets {
        Targets::Values { values, outputs }
    }
}

impl Targets {
    /// Number of examples; none where the last one lacks values.
    fn count(&self) -> Option<usize> {
        match self {
            Targets::Classes { labels, .. } => Some(labels.len()),
            Targets::Values { values, outputs } => {
                (*outputs > 0 && values.len().is_multiple_of(*outputs)).then(|| values.len() / outputs)
            }
        }
    }
}

impl Examples {
    /// Examples in memory: bytes or floats that lie as in a NumPy array of this shape, (N, features), or (N, height, width) or
    /// (N, height, width, channels) of images; and N labels (`Vec<u32>`), or for each example so many values
    /// (`(Vec<f32>, usize)`).
    pub fn new(values: impl Into<Storage>, shape: &[usize], targets: impl Into<Targets>) -> Result<Examples, Problem> {
        let (storage, targets) = (values.into(), targets.into());
        let wrong = |expected: String| Problem::Shape { found: shape.to_vec(), expected };
        let example = match *shape {
            [_, features] => Shape::Features(features),
            [_, height, width] => Shape::Image { channels: 1, height, width },
            [_, height, width, channels] => Shape::Image { channels, height, width },
            _ => return Err(wrong("(N, features), (N, height, width) or (N, height, width, channels)".into())),
        };
        if storage.is_empty() {
            return Err(Problem::Empty { shape: shape.to_vec() });
        }
        let count = shape[0];
        if shape.iter().try_fold(1, |product: usize, side| product.checked_mul(*side)) != Some(storage.len()) {
            return Err(wrong(format!("the sides of {} values", storage.len())));
        }
        if targets.count() != Some(count) {
            let expected = match &targets {
                Targets::Classes { labels, .. } => format!("as many examples as there are labels, {}", labels.len()),
                Targets::Values { values, outputs } => {
                    format!("as many examples as there are targets, {} values in rows of {outputs}", values.len())
                }
            };
            return Err(wrong(expected));
        }
        if let Storage::F32(values) = &storage
            && let Some(index) = values.iter().position(|value| !value.is_finite())
        {
            return Err(Problem::NotFinite { row: index / example.len(), value: f64::from(values[index]) });
        }
        let storage = channels_first(storage, example);
        Ok(Examples::unweighted(Features { storage, count, shape: example }, targets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(shape: &[usize], targets: impl Into<Targets>) -> String {
        Examples::new(vec![0.5; 12], shape, targets).unwrap_err().to_string()
    }

    #[test]
    fn arrays_in_memory_are_read_as_those_of_a_file() {
        let flat = Examples::new(vec![1u8, 2, 3, 4], &[2, 2], vec![0, 2]).unwrap();
        assert_eq!(flat.features.shape, Shape::Features(2));
        assert_eq!(flat.targets, Targets::Classes { labels: vec![0, 2], classes: 3 });
        // Two pixels of three channels: in memory channel by channel.
        let images = Examples::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1, 1, 2, 3], (vec![0.5, 1.5], 2)).unwrap();
        assert_eq!(images.features.storage, Storage::F32(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0].into()));
        assert_eq!(images.features.shape, Shape::Image { channels: 3, height: 1, width: 2 });
    }

    #[test]
    fn arrays_that_do_not_go_together_are_refused() {
        assert!(problem(&[12], vec![0; 12]).contains("expected (N, features)"));
        assert!(problem(&[3, 5], vec![0; 3]).contains("the sides of 12 values"));
        assert!(problem(&[usize::MAX, 3], vec![0; 3]).contains("the sides of 12 values"));
        assert!(problem(&[3, 4], vec![0; 4]).contains("as there are labels, 4"));
        assert!(problem(&[3, 4], (vec![0.0; 5], 2)).contains("5 values in rows of 2"));
        assert!(problem(&[3, 4], (vec![0.0; 3], 0)).contains("3 values in rows of 0"));
        let nan = Examples::new(vec![0.0, 1.0, f32::NAN, 1.0], &[2, 2], vec![0, 1]).unwrap_err().to_string();
        assert!(nan.contains("row 1"), "{nan}");
        assert!(Examples::new(Vec::<f32>::new(), &[0, 3], vec![]).unwrap_err().to_string().contains("no examples"));
    }
}
