//! Loads examples from files and checks that they fit the model.

use super::array::Array;
use super::classes::first_classes;
use super::csv;
use super::error::{DataError, Problem};
use super::source::{Format, Place, open_csv, read_array};
use super::{Examples, Features, Storage, Targets};
use crate::model::Shape;

/// The files of one split, each `path` or `path#key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRef<'a> {
    /// What the model is shown.
    pub images: &'a str,
    /// What it should answer.
    pub labels: &'a str,
}

/// What a model's loss needs as targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// A class of `outputs` per example: softmax cross-entropy.
    Classes {
        /// Units of the last layer.
        outputs: usize,
    },
    /// `outputs` values per example: the squared and binary losses.
    Values {
        /// Units of the last layer.
        outputs: usize,
    },
}

/// Loads one split for a model with this input and these targets.
pub fn load_examples(source: SourceRef<'_>, input: Shape, targets: TargetKind) -> Result<Examples, DataError> {
    RawExamples::read(source)?.fit(input, targets, None)
}

/// One split as its files hold it, before a model is known.
#[derive(Debug)]
pub struct RawExamples<'a> {
    source: SourceRef<'a>,
    images: Array,
    labels: Array,
}

impl<'a> RawExamples<'a> {
    /// Reads the files. Of one CSV file for both, the images are the columns that are not the labels'.
    pub fn read(source: SourceRef<'a>) -> Result<RawExamples<'a>, DataError> {
        let images = match labels_column(source) {
            Some(column) => {
                let reader =
                    open_csv(&Place::parse(source.images).path).map_err(|problem| problem.at(source.images))?;
                csv::read_without(reader, &column).map_err(|problem| problem.at(source.labels))?
            }
            None => read_array(source.images)?,
        };
        Ok(RawExamples { source, images, labels: read_array(source.labels)? })
    }

    /// The input of a model for them; none where the array has too few dimensions or too many.
    pub fn input(&self) -> Option<Shape> {
        match *self.images.shape() {
            [_, features] => Some(Shape::Features(features)),
            [_, height, width] => Some(Shape::Image { channels: 1, height, width }),
            [_, height, width, channels] => Some(Shape::Image { channels, height, width }),
            _ => None,
        }
    }

    /// Examples for a model with this input and these targets: all of them, or those of the first so many classes, in
    /// the files' order.
    pub fn fit(self, input: Shape, targets: TargetKind, classes: Option<usize>) -> Result<Examples, DataError> {
        let RawExamples { source, images, labels } = self;
        let features = features(images, input).map_err(|problem| problem.at(source.images))?;
        let count = labels.shape().first().copied().unwrap_or(0);
        if count != features.count && !labels.is_empty() {
            let images = source.images.to_owned();
            let problem = Problem::CountsDiffer { labels: count, images, count: features.count };
            return Err(problem.at(source.labels));
        }
        let at_labels = |problem: Problem| problem.at(source.labels);
        let (features, labels) = match classes {
            None => (features, labels),
            Some(wanted) => {
                let (kept, labels) = first_classes(&labels, wanted).map_err(at_labels)?;
                (features.select(&kept), labels)
            }
        };
        Ok(Examples { features, targets: self::targets(&labels, targets).map_err(at_labels)? })
    }
}

fn targets(labels: &Array, kind: TargetKind) -> Result<Targets, Problem> {
    match kind {
        TargetKind::Classes { outputs } => classes(labels, outputs),
        TargetKind::Values { outputs } => values(labels, outputs),
    }
}

/// Loads features alone, as for a prediction.
pub fn load_features(path: &str, input: Shape) -> Result<Features, DataError> {
    features(read_array(path)?, input).map_err(|problem| problem.at(path))
}

/// When images and labels come from one CSV file and only the labels' column is named, that column: the images are
/// then all the others.
fn labels_column(source: SourceRef<'_>) -> Option<String> {
    let (images, labels) = (Place::parse(source.images), Place::parse(source.labels));
    let is_csv = matches!(Format::of(&images.path), Some((Format::Csv, _)));
    labels.key.filter(|_| is_csv && images.key.is_none() && images.path == labels.path)
}

/// The features in an array, if they are of the shape that the model takes.
fn features(array: Array, input: Shape) -> Result<Features, Problem> {
    let shape = array.shape().to_vec();
    if array.is_empty() {
        return Err(Problem::Empty { shape });
    }
    if !accepts(input, &shape) {
        return Err(Problem::Shape { expected: expected(input, &shape), found: shape });
    }
    let storage = channels_first(array.into_storage(), input);
    if let Storage::F32(values) = &storage
        && let Some(index) = values.iter().position(|value| !value.is_finite())
    {
        return Err(Problem::NotFinite { row: index / input.len(), value: f64::from(values[index]) });
    }
    Ok(Features { storage, count: shape[0], shape: input })
}

/// True when an array of this shape holds examples for that input.
fn accepts(input: Shape, shape: &[usize]) -> bool {
    let Some((_, example)) = shape.split_first() else { return false };
    let flat = example.len() <= 3 && example.iter().product::<usize>() == input.len();
    match (input, example) {
        (Shape::Features(_), _) => flat,
        (Shape::Image { .. }, [_]) => flat,
        (Shape::Image { channels, height, width }, [rows, columns]) => {
            channels == 1 && (height, width) == (*rows, *columns)
        }
        (Shape::Image { channels, height, width }, [rows, columns, depth]) => {
            (channels, height, width) == (*depth, *rows, *columns)
        }
        _ => false,
    }
}

/// What would have been accepted, and what to do when it is clear what happened.
fn expected(input: Shape, found: &[usize]) -> String {
    match input {
        Shape::Features(n) => {
            format!(
                "(N, {n}) or images with {n} values each, for the model's input [{n}]; change the input or the file"
            )
        }
        Shape::Image { channels, height, width } => {
            let grey = if channels == 1 { format!("(N, {height}, {width}), ") } else { String::new() };
            let input = format!("[{height}, {width}, {channels}]");
            let shapes = format!("{grey}(N, {height}, {width}, {channels}) or (N, {})", channels * height * width);
            let remedy = match found {
                [_, depth, rows, columns] if (*depth, *rows, *columns) == (channels, height, width) => {
                    "the file has its channels first: write them last, in NumPy with x.transpose(0, 2, 3, 1)"
                }
                _ => "change the input or the file",
            };
            format!("{shapes}, for the model's input {input}; {remedy}")
        }
    }
}

/// Files have the channels of a pixel side by side, memory has channel after channel.
fn channels_first(storage: Storage, input: Shape) -> Storage {
    let Shape::Image { channels, height, width } = input else { return storage };
    match storage {
        _ if channels == 1 => storage,
        Storage::U8(values) => Storage::U8(transpose(&values, height * width, channels)),
        Storage::F32(values) => Storage::F32(transpose(&values, height * width, channels)),
    }
}

/// Transposes every `rows` x `columns` matrix in `values`.
pub(crate) fn transpose<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    let mut transposed = Vec::with_capacity(values.len());
    for matrix in values.chunks_exact(rows * columns) {
        for column in 0..columns {
            transposed.extend(matrix.iter().skip(column).step_by(columns));
        }
    }
    transposed
}

/// Class labels: integers, or rows with a single 1.
fn classes(array: &Array, outputs: usize) -> Result<Targets, Problem> {
    let shape = array.shape();
    if array.is_empty() {
        return Err(Problem::Empty { shape: shape.to_vec() });
    }
    let labels = match *shape {
        [_] | [_, 1] => integer_labels(array, outputs)?,
        [_, columns] if columns == outputs => one_hot_labels(array, columns)?,
        _ => {
            let expected = format!("(N,), (N, 1) or one-hot (N, {outputs}), for the model's {outputs} outputs");
            return Err(Problem::Shape { found: shape.to_vec(), expected });
        }
    };
    Ok(Targets::Classes { labels, classes: outputs })
}

fn integer_labels(array: &Array, outputs: usize) -> Result<Vec<u32>, Problem> {
    let checked = array.integers().enumerate().map(|(index, value)| {
        let value = value?;
        let label = u32::try_from(value).ok().filter(|&label| (label as usize) < outputs);
        label.ok_or(Problem::Label { index, value, outputs })
    });
    checked.collect()
}

fn one_hot_labels(array: &Array, columns: usize) -> Result<Vec<u32>, Problem> {
    let rows = array.to_f32();
    let hot = rows
        .chunks_exact(columns)
        .enumerate()
        .map(|(row, values)| hot_column(values).map(|column| column as u32).ok_or(Problem::NotOneHot { row }));
    hot.collect()
}

/// Where the only 1 among zeros is.
pub(crate) fn hot_column(row: &[f32]) -> Option<usize> {
    let column = row.iter().position(|&value| value == 1.0)?;
    row.iter().enumerate().all(|(index, &value)| index == column || value == 0.0).then_some(column)
}

/// Target values; integer labels become one-hot rows when the model has several outputs.
fn values(array: &Array, outputs: usize) -> Result<Targets, Problem> {
    let shape = array.shape();
    if array.is_empty() {
        return Err(Problem::Empty { shape: shape.to_vec() });
    }
    let width: usize = shape[1..].iter().product();
    let values = match shape {
        [_] | [_, 1] if outputs > 1 => one_hot_rows(&integer_labels(array, outputs)?, outputs),
        [_, ..] if width == outputs && shape.len() <= 3 => array.to_f32(),
        _ => {
            let expected = format!("(N, {outputs}) or integer labels (N,), for the model's {outputs} outputs");
            return Err(Problem::Shape { found: shape.to_vec(), expected });
        }
    };
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(Problem::NotFinite { row: index / outputs, value: f64::from(values[index]) });
    }
    Ok(Targets::Values { values, outputs })
}

fn one_hot_rows(labels: &[u32], outputs: usize) -> Vec<f32> {
    let mut rows = vec![0.0; labels.len() * outputs];
    for (row, &label) in rows.chunks_exact_mut(outputs).zip(labels) {
        row[label as usize] = 1.0;
    }
    rows
}

impl Examples {
    /// Makes examples that are in memory fit a model, as loading a file does: the same values under the model's input
    /// shape, classes as one-hot rows where the loss takes values.
    pub(crate) fn fit(&mut self, input: Shape, targets: TargetKind) -> Result<(), Problem> {
        let found = self.features.shape;
        let single_channel = !matches!(found, Shape::Image { channels, .. } if channels > 1);
        if found != input && (found.len() != input.len() || !single_channel) {
            let shape = vec![self.features.count, found.len()];
            return Err(Problem::Shape { expected: expected(input, &shape), found: shape });
        }
        self.features.shape = input;
        let Targets::Classes { labels, .. } = &self.targets else { return Ok(()) };
        let outputs = match targets {
            TargetKind::Classes { outputs } | TargetKind::Values { outputs } => outputs,
        };
        if let Some(index) = labels.iter().position(|&label| label as usize >= outputs) {
            return Err(Problem::Label { index, value: i128::from(labels[index]), outputs });
        }
        self.targets = match targets {
            TargetKind::Classes { outputs } => Targets::Classes { labels: labels.clone(), classes: outputs },
            TargetKind::Values { outputs } => Targets::Values { values: one_hot_rows(labels, outputs), outputs },
        };
        Ok(())
    }
}
