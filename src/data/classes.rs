//! Keeping the examples of the first classes alone.

use super::array::Array;
use super::error::Problem;
use super::examples::{Examples, Targets, hot_column};

/// Which examples are of the first `wanted` classes, and their labels as integers. Labels are integers, or rows with a
/// single 1.
pub(super) fn first_classes(labels: &Array, wanted: usize) -> Result<(Vec<usize>, Array), Problem> {
    let mut kept = Vec::new();
    let mut classes = Vec::new();
    for (index, class) in classes_of(labels)?.into_iter().enumerate() {
        let class = u32::try_from(class).map_err(|_| Problem::Label { index, value: class, outputs: wanted })?;
        if (class as usize) < wanted {
            kept.push(index);
            classes.push(class);
        }
    }
    let count = labels.shape().first().copied().unwrap_or(0);
    let array = Array::from_u32(&[classes.len()], &classes).filter(|_| !classes.is_empty());
    Ok((kept, array.ok_or(Problem::NoneOfClasses { count, classes: wanted })?))
}

fn classes_of(labels: &Array) -> Result<Vec<i128>, Problem> {
    match *labels.shape() {
        [_] | [_, 1] => labels.integers().collect(),
        [_, columns] if columns > 1 => {
            let rows = labels.to_f32();
            let class =
                |(row, values)| hot_column(values).map(|column| column as i128).ok_or(Problem::NotOneHot { row });
            rows.chunks_exact(columns).enumerate().map(class).collect()
        }
        _ => {
            let expected = "(N,), (N, 1) or one-hot rows: data.classes needs labels that are classes".into();
            Err(Problem::Shape { found: labels.shape().to_vec(), expected })
        }
    }
}

impl Examples {
    /// Keeps the examples of the first `wanted` classes; examples whose targets are values stay as they are.
    pub(crate) fn keep_first_classes(&mut self, wanted: usize) {
        if let Targets::Classes { labels, .. } = &self.targets {
            let kept: Vec<usize> = (0..labels.len()).filter(|&index| (labels[index] as usize) < wanted).collect();
            *self = self.select(&kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_one_hot_rows_keep_the_first_classes_in_order() {
        let integers = Array::from_u32(&[5], &[3, 0, 1, 2, 1]).unwrap();
        let (kept, labels) = first_classes(&integers, 2).unwrap();
        assert_eq!((kept, labels.to_f32()), (vec![1, 2, 4], vec![0.0, 1.0, 1.0]));
        let rows = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]].concat();
        let (kept, labels) = first_classes(&Array::from_f32(&[3, 3], &rows).unwrap(), 2).unwrap();
        assert_eq!((kept, labels.to_f32()), (vec![1, 2], vec![0.0, 1.0]));
    }

    #[test]
    fn labels_that_are_no_classes_are_refused() {
        let problem = |shape: &[usize], values: &[f32], wanted| {
            first_classes(&Array::from_f32(shape, values).unwrap(), wanted).unwrap_err()
        };
        assert!(matches!(problem(&[2], &[0.0, 0.5], 2), Problem::NotInteger { index: 1, .. }));
        assert!(matches!(problem(&[2], &[0.0, -1.0], 2), Problem::Label { index: 1, value: -1, .. }));
        assert!(matches!(problem(&[1, 2], &[1.0, 1.0], 2), Problem::NotOneHot { row: 0 }));
        assert!(matches!(problem(&[2], &[7.0, 9.0], 5), Problem::NoneOfClasses { count: 2, classes: 5 }));
        assert!(matches!(problem(&[1, 1, 2], &[1.0, 0.0], 2), Problem::Shape { .. }));
    }
}
