//! What is in a data file.

use std::collections::BTreeMap;

use super::array::{Array, Dtype};
use super::error::{DataError, Problem};
use super::examples::hot_column;
use super::frame::{Frame, Parts, Reading, Values};
use super::source::read_each;
use crate::place::Place;

/// Arrays with more different values than this are not taken for labels.
const MAX_CLASSES: usize = 1000;

/// A summary of one array of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayInfo {
    /// The array's key, or the file's name where there are no keys.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Type of the values.
    pub dtype: Dtype,
    /// The smallest finite value.
    pub min: Option<f64>,
    /// The largest finite value.
    pub max: Option<f64>,
    /// Number of NaNs and infinities.
    pub not_finite: usize,
    /// If the array looks like labels, integers or one-hot: each class with its number of examples.
    pub classes: Option<Vec<(i64, usize)>>,
}

/// A summary, or the name of an array of text or records and why it cannot be used.
pub type Described = Result<ArrayInfo, (String, Problem)>;

/// Summarises every array of a file, or the one that `path#key` names.
pub fn describe(source: &str) -> Result<Vec<Described>, DataError> {
    let mut described = Vec::new();
    read_each(source, &mut |name, array| {
        described.push(match array {
            Ok(array) => Ok(summary(name, &array)),
            Err(problem) => Err((name, problem)),
        });
    })?;
    Ok(described)
}

/// A summary of one column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnInfo {
    /// Its name, or without names its number behind a `#`.
    pub name: String,
    /// What it holds: numbers, categories, nothing, or what no table of text could hold.
    pub kind: String,
    /// The smallest and the largest number.
    pub range: Option<[f64; 2]>,
    /// The levels of a category, in the order in which they come; of too many, the first 10000.
    pub levels: Vec<String>,
    /// Cells without a value.
    pub missing: usize,
}

/// Summarises every column of a table, and how it was read, in words.
pub fn describe_columns(source: &str) -> Result<(Vec<ColumnInfo>, String), DataError> {
    let place = Place::parse(source);
    let frame = Frame::read(&place, None, &[], |_, _| Reading::Told).map_err(|problem| problem.at(source))?;
    let info = |(place, values): (usize, &Values)| {
        let numbers = values.numbers.iter().flat_map(Parts::iter).filter(|value| value.is_finite());
        let range = numbers.fold(None, |range: Option<[f64; 2]>, value| {
            let [low, high] = range.unwrap_or([value; 2]);
            Some([low.min(value), high.max(value)])
        });
        let kind = match &values.unusable {
            Some(why) => why.in_words(),
            None if values.is_empty() => "nothing",
            None if values.numbers.is_some() => "numbers",
            None if values.number.is_some() => "numbers and text",
            None => "categories",
        };
        let (name, levels) = (frame.name(place), values.levels.clone());
        ColumnInfo { name, kind: kind.into(), range, levels, missing: values.missing.0 }
    };
    let columns = frame.columns.iter().enumerate().map(info).collect();
    Ok((columns, format!("{} rows, {}", frame.rows, frame.dialect)))
}

fn summary(name: String, array: &Array) -> ArrayInfo {
    let mut info = ArrayInfo {
        name,
        shape: array.shape().to_vec(),
        dtype: array.dtype(),
        min: None,
        max: None,
        not_finite: 0,
        classes: classes(array),
    };
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    let all = array.try_for_each(|_, value| {
        if value.is_finite() {
            (min, max) = (min.min(value), max.max(value));
        } else {
            info.not_finite += 1;
        }
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = all;
    if min <= max {
        (info.min, info.max) = (Some(min), Some(max));
    }
    info
}

/// The classes of an array of labels; `None` when it does not look like one.
pub(super) fn classes(array: &Array) -> Option<Vec<(i64, usize)>> {
    let mut counts = Counts::default();
    match *array.shape() {
        [_] | [_, 1] => array.try_for_each_integer(|value| counts.add(i64::try_from(value?).ok()?))?,
        [_, columns @ 2..=MAX_CLASSES] => {
            let mut row = Vec::with_capacity(columns);
            let each_row = array.try_for_each(|_, value| {
                row.push(value as f32);
                if row.len() == columns {
                    hot_column(&row).and_then(|column| counts.add(column as i64)).ok_or(())?;
                    row.clear();
                }
                Ok::<(), ()>(())
            });
            each_row.ok()?;
        }
        _ => return None,
    }
    let counts = counts.finished();
    (1..=MAX_CLASSES).contains(&counts.len()).then(|| counts.into_iter().collect())
}

/// How often each value comes; equal neighbours, which labels often are, are looked up once.
#[derive(Default)]
struct Counts {
    before: BTreeMap<i64, usize>,
    last: i64,
    /// So often `last` has come since.
    run: usize,
}

impl Counts {
    /// None once there are too many different values.
    fn add(&mut self, value: i64) -> Option<()> {
        if value != self.last {
            self.settle();
            self.last = value;
        }
        self.run += 1;
        (self.before.len() <= MAX_CLASSES).then_some(())
    }

    fn settle(&mut self) {
        if self.run > 0 {
            *self.before.entry(self.last).or_insert(0) += self.run;
            self.run = 0;
        }
    }

    fn finished(mut self) -> BTreeMap<i64, usize> {
        self.settle();
        self.before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_recognised_and_counted() {
        let integers = Array::from_u32(&[4], &[7, 0, 7, 7]).unwrap();
        assert_eq!(classes(&integers), Some(vec![(0, 1), (7, 3)]));
        let one_hot = Array::from_f32(&[2, 3], &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]).unwrap();
        assert_eq!(classes(&one_hot), Some(vec![(0, 1), (1, 1)]));
        assert_eq!(classes(&Array::from_f32(&[2], &[0.5, 1.0]).unwrap()), None);
        let up_to = |count: u32| classes(&Array::from_u32(&[count as usize], &(0..count).collect::<Vec<_>>()).unwrap());
        assert_eq!(up_to(1000).map(|classes| classes.len()), Some(1000));
        assert_eq!((up_to(1001), up_to(0)), (None, None));
        assert_eq!(classes(&Array::from_f32(&[1, 2], &[0.5, 0.5]).unwrap()), None);
    }

    #[test]
    fn odd_values_are_counted_apart() {
        let info = summary("x".to_owned(), &Array::from_f32(&[3], &[f32::NAN, -2.0, 5.0]).unwrap());
        assert_eq!((info.min, info.max, info.not_finite), (Some(-2.0), Some(5.0), 1));
    }
}
